//! Hazards of programs that read, search, convert and pack files.
//!
//! Owns data only; what a row means is said in [`super`]. Called by [`crate::policy::hazard::programs::rows`].

use crate::policy::hazard::programs::{Row, row};

/// In the order of the first program of each row.
#[rustfmt::skip]
pub(crate) const ROWS: &[Row] = &[
    row("ack ack-grep", "", "pager output", ""),
    row("ag", "", "pager", ""),
    row("ar nm objdump ranlib size strip", "", "plugin", ""),
    row("bat batcat", "", "pager config-file map-syntax", "cache"),
    row("bfs", "",
        "",
        "-exec -execdir -ok -okdir -delete -rm -fls -fprint -fprint0 -fprintf -files0-from"),
    row("borg", "",
        "rsh remote-path log-json-file",
        "create delete prune extract mount init break-lock rename import-tar export-tar \
         recreate compact with-lock serve key config debug transfer rdelete rcreate upgrade \
         benchmark"),
    row("bsdtar", "xcruIPTC",
        "extract create append update use-compress-program files-from directory",
        ""),
    row("bzgrep xzgrep zegrep zfgrep", "fRrd",
        "file recursive dereference-recursive exclude-from",
        ""),
    row("bzip2", "dzkf", "compress decompress keep force", ""),
    row("cpio", "ipoOFDERI", "extract create pass-through file rsh-command", ""),
    row("csplit gcsplit gsplit split", "", "filter", ""),
    row("dd duplicity gdd gpg gpg2 gtee ldd tee xsltproc", "*", "", ""),
    row("diff", "", "to-file from-file", ""),
    row("du gdu", "X", "files0-from exclude-from", ""),
    row("egrep fgrep gegrep gfgrep", "fRrd", "file recursive directories", ""),
    row("fd fdfind", "xX", "exec exec-batch", ""),
    row("file", "Cfm", "compile files-from magic-file", ""),
    row("find gfind", "",
        "",
        "-exec -execdir -ok -okdir -delete -fls -fprint -fprint0 -fprintf -files0-from"),
    row("ggrep grep zgrep", "fRrd",
        "file recursive dereference-recursive directories exclude-from",
        ""),
    row("gshuf shuf", "o", "output random-source", ""),
    row("gsort sort", "oT",
        "output compress-program files0-from temporary-directory random-source",
        ""),
    row("gtail tail", "fF", "follow retry", ""),
    row("gtar tar", "xcruAIPTCFg",
        "extract get create append update catenate concatenate delete to-command \
         checkpoint-action use-compress-program info-script new-volume-script rsh-command \
         rmt-command files-from absolute-names directory one-top-level index-file transform \
         xform volno-file listed-incremental set-mtime-command",
        ""),
    row("guniq uniq", "", "", ""),
    row("gwc wc", "", "files0-from", ""),
    row("iconv", "o", "output", ""),
    row("info", "o", "output dribble restore init-file variable", ""),
    row("jq", "fL", "from-file slurpfile rawfile argfile", ""),
    row("ldconfig", "fCrnlvX", "", ""),
    row("lzma unlzma unxz xz", "dzkfS",
        "compress decompress uncompress keep force files files0 suffix",
        ""),
    row("rclone", "",
        "password-command config rc sftp-ssh metadata-mapper log-file bearer-token-command \
         webdav-bearer-token-command cache-dir",
        "copy copyto copyurl move moveto sync bisync delete deletefile purge mount rcd serve \
         config rcat mkdir rmdir rmdirs touch link settier backend cleanup archivesync \
         setmeta"),
    row("restic", "op",
        "password-command option cache-dir repository-file password-file tls-client-cert",
        "backup forget prune restore init mount unlock key dump migrate rebuild-index recover \
         tag copy rewrite repair self-update"),
    row("rg", "zf", "pre hostname-bin search-zip file", ""),
    row("rsync", "eMTf",
        "rsh rsync-path daemon config dparam remote-option remove-source-files delete \
         write-batch only-write-batch read-batch temp-dir log-file files-from exclude-from \
         include-from password-file backup-dir partial-dir filter del delete-before \
         delete-during delete-delay delete-after delete-excluded delete-missing-args \
         remove-sent-files super copy-as log-file-format",
        ""),
    row("sed", "ifE", "in-place file", ""),
    row("tree", "oR", "", ""),
    row("unzip zipinfo", "-", "", ""),
    row("xmllint", "o",
        "output shell catalogs path noent loaddtd dtdvalid schema relaxng schematron xinclude",
        ""),
    row("xxd", "r", "revert", ""),
    row("yq", "is", "inplace in-place split-exp split-exp-file from-file null-input", ""),
    row("zip", "T", "unzip-command test", ""),
    row("zstd zstdmt", "odkfzDT",
        "rm output-dir-flat output-dir-mirror trace train train-cover train-fastcover \
         train-legacy compress decompress force",
        ""),
    row("zstdcat", "o", "", ""),
];
