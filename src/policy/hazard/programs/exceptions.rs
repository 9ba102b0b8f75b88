//! What letters, names and words of a row cannot say of a program: operands that change
//! something, commands read from the input, parts of words, abbreviations.
//!
//! Owns data only; what a hit means is said in [`crate::policy::hazard`]. Called by the
//! tables.

/// An operand at which a program starts to change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Operand {
    pub(crate) program: &'static str,
    /// Counted from 1.
    pub(crate) first: usize,
    /// Short options with a value, which is no operand.
    pub(crate) valued: &'static str,
    /// Long ones, if their value is the next word.
    pub(crate) valued_long: &'static [&'static str],
    /// A word that begins with this is no operand.
    pub(crate) but: Option<char>,
}

#[rustfmt::skip]
pub(crate) const OPERAND_HAZARDS: &[Operand] = &[
    operand("crontab", 1, "u"), operand("domainname", 1, "F"), operand("hostname", 1, "F"),
    operand("ifconfig", 2, ""), operand("nisdomainname", 1, "F"), operand("uniq", 2, "fsw"),
    operand("xxd", 2, "clos"), operand("ypdomainname", 1, "F"),
    operand("guniq", 2, "fsw"),
    operand("sv", 1, "w"), operand("pmset", 1, "g"),
    // `git branch x` makes one; `git branch --contains x` does not.
    Operand {
        valued_long: GIT_LISTING,
        ..operand("git:branch", 1, "l")
    },
    Operand {
        valued_long: GIT_LISTING,
        ..operand("git:tag", 1, "l")
    },
    // `date 0101000020` sets the clock; `date +%s` does not.
    Operand {
        valued_long: DATES,
        but: Some('+'),
        ..operand("date", 1, "dDrvz")
    },
    Operand {
        valued_long: DATES,
        but: Some('+'),
        ..operand("gdate", 1, "dDrvz")
    },
];

const DATES: &[&str] = &["date", "reference", "rfc-3339"];

const GIT_LISTING: &[&str] = &[
    "contains",
    "format",
    "list",
    "merged",
    "no-contains",
    "no-merged",
    "points-at",
    "sort",
];

/// A program that reads commands from its input, which nobody judges, unless its words
/// tell it what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Driven {
    /// The last operand it needs for that; none is enough if its `first` is 0.
    pub(crate) told: Operand,
    /// Words that are enough, and letters that are in a cluster.
    pub(crate) unless: &'static [&'static str],
    pub(crate) letters: &'static str,
}

#[rustfmt::skip]
pub(crate) const DRIVEN_BY_INPUT: &[Driven] = &[
    driven("bluetoothctl", 1, "ati", &[], ""), driven("chronyc", 1, "fhp", &[], ""),
    driven("dscl", 2, "uPfp", &[], ""), driven("fdisk", 0, "", &["--list"], "lsx"),
    driven("gdisk", 0, "", &[], "l"), driven("lvm", 1, "", &[], ""),
    driven("parted", 2, "a", &["--list"], "l"), driven("sfdisk", 0, "", SFDISK_READING, "ldJVFs"),
    driven("supervisorctl", 1, "csupr", &[], ""), driven("varnishadm", 1, "nTSt", &[], ""),
    driven("virsh", 1, "cdekKl", &[], ""), driven("wpa_cli", 1, "gGhips", &[], ""),
];

const SFDISK_READING: &[&str] = &[
    "--dump",
    "--json",
    "--list",
    "--list-free",
    "--show-size",
    "--verify",
];

const fn driven(
    program: &'static str,
    least: usize,
    valued: &'static str,
    unless: &'static [&'static str],
    letters: &'static str,
) -> Driven {
    Driven {
        told: operand(program, least, valued),
        unless,
        letters,
    }
}

const fn operand(program: &'static str, first: usize, valued: &'static str) -> Operand {
    Operand {
        program,
        first,
        valued,
        valued_long: &[],
        but: None,
    }
}

/// Harmless long options that begin like a hazardous one, and are no abbreviation of it.
pub(crate) const WHOLE_OPTIONS: &[(&str, &str)] = &[
    ("du", "exclude"),
    ("git", "text"),
    ("ggrep", "exclude"),
    ("gtar", "list"),
    ("gdu", "exclude"),
    ("grep", "exclude"),
    ("journalctl", "cursor"),
    ("kubectl", "client output"),
    ("rsync", "exclude include"),
    ("tar", "list"),
];

/// Letters that are a hazard in a cluster, but not behind one of those that follow, which
/// take the rest for their value: `-As URL`, but not `-ojson`.
pub(crate) const LEADING_LETTERS: &[(&str, &str, &str)] = &[("kubectl", "ks", "clLnov")];

/// Parts of a word that are a hazard wherever they stand in it.
pub(crate) const PART_HAZARDS: &[(&str, &str)] = &[
    (
        "firewall-cmd",
        "--add --remove --set --new --delete --reload --complete --runtime --panic --load --change --permanent --direct --lockdown --policy --path --reset",
    ),
    (
        "kubectl",
        "template-file= jsonpath-file= jsonpath-as-json-file= columns-file= templatefile=",
    ),
    (
        "aws",
        "create- delete- put- update- terminate- stop- start-instance start-db start-task start-crawler start-workflow start-stream start-cluster start-canar start-transcription start-resource start-data start-outbound start-sync start-match start-exec start-build start-job start-auto start-session start-deploy start-pipeline start-image reboot- modify- run- attach- detach- associate- send- invoke execute- register- authorize- revoke- enable- disable- set- add- remove- restore- import- export- allocate- release- assume- get-secret-value get-session-token get-federation-token get-login-password get-authorization-token decrypt cancel- copy- replace- reject- accept- publish- upload- write- file:// fileb://",
    ),
    (
        "networksetup",
        "-set -add -create -remove -delete -switch -connect -power -order -rename -duplicate -enable -import -detect",
    ),
    ("openssl", "-cbc -cfb -ctr -ecb -ofb"),
    ("qemu-img", "json:"),
    (
        "rabbitmqctl",
        "set_ clear_ delete_ add_ close_ force_ import_ export_ restart_ suspend_ resume_ enable_ rename_ sync_ update_ change_ trace_",
    ),
    ("rclone", "ssh= command= mapper="),
    ("scutil", "--set --prefs --renew --nc"),
    ("smartctl", "scterc, scttempint,"),
    ("unzip", "--"),
    ("yq", "load env( strenv envsubst system"),
    ("zipinfo", "--"),
    ("blockdev", "--set --flush --reread"),
    ("sysctl", "="),
];

/// Programs that accept any beginning of a word of theirs for the word.
pub(crate) const ABBREVIATING: &[&str] = &[
    "bridge",
    "btrfs",
    "hg",
    "ip",
    "mysqladmin",
    "nmcli",
    "parted",
    "tc",
];

/// Programs that join their words again and read them as commands: a quoted word may hold
/// several, as in `nft list 'ruleset; flush ruleset'`.
pub(crate) const JOINING: &[&str] = &[
    "chronyc",
    "nft",
    "nsd-control",
    "parted",
    "rndc",
    "supervisorctl",
    "unbound-control",
    "varnishadm",
    "virsh",
];
