//! The text that is sent to read or write a file: one line for `/bin/sh`, always the same.
//!
//! Owns every check that only the host can make: that the path is no link and leads through
//! none, that it is a regular file, that what was opened is what was checked, that what
//! arrived is whole. What is written is written beside, synced, and renamed; whatever fails
//! before leaves the old file as it was and nothing beside it. Nothing of a client stands in
//! it but words in quotes. The host answers with lines that begin with [`MARK`].
//!
//! Needs a POSIX shell, `/proc`, `stat`, `readlink`, `sha256sum`, and to write `mktemp`, `dd`,
//! `ln -T`, `mv -T`: GNU or busybox. Where one is missing, nothing is done.

use std::fmt::Write as _;

use crate::model::stdin::Stdin;
use crate::policy::files::work::{Doing, FileWork, Part, Writing};
use crate::policy::syntax::render::quote;

/// What the lines of an answer begin with.
pub(crate) const MARK: &str = "mcp-file:";

/// Largest file that is hashed whole, or rewritten, in bytes.
pub(crate) const HASHED_MAX: u64 = 64 * 1024 * 1024;

/// Into the directory, which must be the real one. A directory that is moved later stays the
/// one that was checked. `$l` keeps a line break at the end of a name.
const ENTER: &str = r#"l=$(printf "\nx"); x() { printf "mcp-file:%s\n" "$*"; exit 1; }; LC_ALL=C; export LC_ALL; umask 077; case $d in /) p=/$n;; *) p=$d/$n;; esac; cd -P -- "$d" 2>/dev/null || x directory; r=$(pwd -P; printf x); [ "$r" = "$d$l" ] || { r=${r%?x}; x real "${r%/}/$n"; }; [ ! -L "./$n" ] || x link "$(readlink -f -- "./$n" 2>/dev/null)"; "#;

/// Opens the file as descriptor 3, and sees to it that this is the one of that name: a link
/// that was put in its place in between is told by `/proc`.
const OPEN: &str = r#"[ -f "./$n" ] || x kind; [ -r "./$n" ] || x unreadable; exec 3<"./$n"; [ -e /proc/self/fd/3 ] || x proc; r=$(readlink /proc/self/fd/3; printf x); [ "$r" = "$p$l" ] || x moved; [ -f /proc/self/fd/3 ] || x kind; set -- $(stat -L -c "%s %a %u:%g %h %Y" /proc/self/fd/3); [ $# = 5 ] || x stat; "#;

/// The hash of what is open.
const HASH: &str = r#"h=$(sha256sum </proc/self/fd/3 2>/dev/null); h=${h%% *}; "#;

/// What a transfer ends with, before the hash.
pub(crate) const END: &str = "mcp-file:end ";

/// The script for this work; `stdin` is what the file is to hold, and `most` the bytes of a
/// file that may be transferred.
pub(crate) fn script(work: &FileWork, stdin: Option<&Stdin>, most: u64) -> String {
    let (directory, name) = work.path.parts();
    let mut text = String::from("d=");
    quote(directory, &mut text);
    text.push_str("; n=");
    quote(name, &mut text);
    text.push_str("; ");
    match &work.doing {
        Doing::Read(part) => read(*part, &mut text),
        Doing::Fetch(_) => fetch(most, &mut text),
        Doing::Write(writing) => {
            let most = writing.from.as_ref().map_or(HASHED_MAX, |_| most);
            write(writing, stdin, most, &mut text);
        }
    }
    match work.sudo {
        false => text,
        true => {
            let mut raised = String::from("sudo -n -- /bin/sh -c ");
            quote(&text, &mut raised);
            raised
        }
    }
}

fn read(part: Part, text: &mut String) {
    text.push_str(ENTER);
    text.push_str(r#"[ -e "./$n" ] || x missing; "#);
    text.push_str(OPEN);
    // A large file, or a host without the program, has no hash.
    let _ = write!(
        text,
        r#"h=; [ "$1" -gt {HASHED_MAX} ] || {{ {HASH}}}; printf "mcp-file:ok %s %s %s %s %s\n" "$1" "$2" "$3" "$5" "$h"; "#
    );
    let _ = match part {
        Part::Bytes { offset, limit } => write!(
            text,
            "tail -c +{} /proc/self/fd/3 | head -c {limit}",
            offset.saturating_add(1)
        ),
        Part::Lines { from, count, limit } => write!(
            text,
            "tail -n +{from} /proc/self/fd/3 | head -n {count} | head -c {limit}"
        ),
    };
}

/// Whole, with its size before it and its hash behind it: of what the file holds once all was
/// read, so that a change in between shows.
fn fetch(most: u64, text: &mut String) {
    text.push_str(ENTER);
    text.push_str(
        r#"command -v sha256sum >/dev/null 2>&1 || x sha256sum; [ -e "./$n" ] || x missing; "#,
    );
    text.push_str(OPEN);
    let _ = write!(
        text,
        r#"[ "$1" -le {most} ] || x large "$1"; printf "mcp-file:ok %s %s %s %s\n" "$1" "$2" "$3" "$5"; head -c "$1" /proc/self/fd/3 || exit 1; h=$(head -c "$1" /proc/self/fd/3 | sha256sum); printf "mcp-file:end %s\n" "${{h%% *}}""#
    );
}

fn write(writing: &Writing, stdin: Option<&Stdin>, most: u64, text: &mut String) {
    let mode = writing.mode.map(|mode| mode.digits()).unwrap_or_default();
    let expected = writing.expected.as_ref().map_or("", |hash| hash.as_str());
    let backup = if writing.backup { "1" } else { "" };
    let lists = if writing.mode.is_none() { "mode," } else { "" };
    let (size, hash) = match stdin {
        Some(stdin) => (stdin.size(), stdin.sha256_hex()),
        None => (0, EMPTY.to_owned()),
    };
    let _ = write!(
        text,
        "w={}; m={mode}; j={lists}; y=+; e={expected}; b={backup}; z={size}; k={hash}; ",
        writing.how.as_str()
    );
    text.push_str(ENTER);
    text.push_str(r#"command -v sha256sum >/dev/null 2>&1 || x sha256sum; h=; o=0; if [ -e "./$n" ]; then [ "$w" != create ] || x exists; "#);
    text.push_str(OPEN);
    // Another name of it would keep the old content; one with special bits is a program's
    // power, which no content takes over.
    let _ = write!(
        text,
        r#"[ "$4" = 1 ] || x names; case $2 in ????) x special;; esac; [ "$1" -le {most} ] || x large; {HASH}[ -z "$e" ] || [ "$h" = "$e" ] || x changed "$h"; [ "$w" != append ] || o=$1; m=${{m:-$2}}; else [ "$w" = create ] || x missing; [ -z "$e" ] || x missing; fi; "#
    );
    text.push_str(WRITE);
}

/// Of nothing.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Beside, in a file that was not there (`set -C` follows no link), whole, with the rights of
/// the old one, then in its place. From the first byte on the trap takes away what lies
/// beside, however it ends; with `PIPE`, also where nobody is left to be told why. A signal is
/// sent again where it may have been lost, and goes to the whole group: what takes the file
/// away is deaf to it. One that comes while the file is made waits until its name is known.
///
/// Access lists and extended attributes are the old file's where `cp` can copy them (GNU), the
/// lists only where no mode is asked for. A byte is written after that, which takes file
/// capabilities away: they were given to another content.
///
/// Where `mv` can exchange two files (GNU 9.5, `RENAME_EXCHANGE`), what the new one displaced is
/// looked at once more: a file that somebody put there, or wrote to, after the last check, gets
/// its place back. If it cannot, it stays beside: nothing of another writer's is removed.
const WRITE: &str = r#"t=; s=; trap "trap \"\" HUP INT TERM PIPE; [ -z \"\$t\" ] || rm -f -- \"\$t\"" EXIT; trap "s=1" HUP INT TERM PIPE; u=$(mktemp -u ./.mcp-ssh.XXXXXXXX) || x temporary; set -C; command exec 4>"$u" || x temporary; t=$u; set +C; trap "trap \"\" HUP INT TERM PIPE; exit 143" HUP INT TERM PIPE; [ -z "$s" ] || exit 143; [ -e /proc/self/fd/4 ] || x proc; { [ "$w" != append ] || cat /proc/self/fd/3; cat; } | dd bs=65536 conv=fsync 2>/dev/null >&4 || x full; [ "$(stat -L -c %s /proc/self/fd/4)" = "$((o + z))" ] || x incomplete; c=$(tail -c "$z" /proc/self/fd/4 | sha256sum); [ "${c%% *}" = "$k" ] || x incomplete; if [ -n "$h" ]; then c=$(head -c "$o" /proc/self/fd/4 | sha256sum); [ "$w" != append ] || [ "${c%% *}" = "$h" ] || x incomplete; [ "$(stat -L -c %u:%g /proc/self/fd/4)" = "$3" ] || chown "$3" /proc/self/fd/4 2>/dev/null || x owner; y=-; if [ "$((o + z))" -gt 0 ] && cp --attributes-only --preserve="${j}xattr" -- /proc/self/fd/3 /proc/self/fd/4 2>/dev/null; then y=+; fi; head -c 1 /proc/self/fd/4 | dd of=/proc/self/fd/4 bs=1 count=1 conv=notrunc 2>/dev/null || x full; fi; chmod "${m:-600}" /proc/self/fd/4 || x mode; a=$(sha256sum </proc/self/fd/4); a=${a%% *}; q=; if [ -n "$h" ]; then [ ! -L "./$n" ] && [ "./$n" -ef /proc/self/fd/3 ] || x moved; c=$(sha256sum </proc/self/fd/3); [ "${c%% *}" = "$h" ] || x changed "${c%% *}"; if [ -n "$b" ]; then q=$n.bak-$(printf %.12s "$h"); ln -T -- "./$n" "./$q" 2>/dev/null || { [ ! -L "./$q" ] && [ -f "./$q" ] && c=$(sha256sum <"./$q") && [ "${c%% *}" = "$h" ]; } || x backup; fi; if mv --exchange -T -- "$t" "./$n" 2>/dev/null; then c=; [ ! -L "$t" ] && [ "$t" -ef /proc/self/fd/3 ] && c=$(sha256sum <"$t"); [ "${c%% *}" = "$h" ] || { mv --exchange -T -- "$t" "./$n" 2>/dev/null && [ "$t" -ef /proc/self/fd/4 ] || t=; [ -n "$c" ] || x moved; x changed "${c%% *}"; }; else mv -f -T -- "$t" "./$n" 2>/dev/null || x rename; t=; fi; else ln -T -- "$t" "./$n" 2>/dev/null || { [ ! -e "./$n" ] || x exists; x rename; }; fi; [ ! -L "./$n" ] && [ "./$n" -ef /proc/self/fd/4 ] || x moved; sync . 2>/dev/null || :; printf "mcp-file:ok %s %s %s %s %s\n" "$((o + z))" "$a" "${h:--}" "$y" "$q""#;
