//! Reviewable data behind the policy: words of shells, programs that start others or run
//! code, what each program's options can do.
//!
//! Owns the lists and their look-up, and nothing of what follows from a hit. Never
//! complete: the number of the version goes up with each review, and `policy tables`
//! prints all of it. Called by the lexer, the hazards, the filters and the deny views.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use crate::policy::hazard::programs::{self, exceptions};
use exceptions::{Driven, Operand};

/// Goes up with every change of a table.
pub(crate) const VERSION: u32 = 4;

/// Keywords of every shell, and what acts like one.
pub(crate) const RESERVED_WORDS: &str = include_str!("words/reserved_words.txt");

/// Builtins that evaluate an operand in some shell, or change the shell they run in.
pub(crate) const EVALUATING_BUILTINS: &str = include_str!("words/evaluating_builtins.txt");

/// Programs that run code from an operand, a file or their input.
pub(crate) const INTERPRETERS: &str = include_str!("words/interpreters.txt");

/// Followed by a version, these are the same interpreters: `python3.12`, `perl5.36`.
pub(crate) const VERSIONED_INTERPRETERS: [&str; 11] = [
    "bash", "ksh", "lua", "node", "perl", "php", "pip", "pypy", "python", "ruby", "tclsh",
];

/// How a program that starts another one is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wrapper {
    pub(crate) name: &'static str,
    /// Short options without a value; any other may have one.
    pub(crate) flags: &'static str,
    /// Operands before the program; `None` where what runs cannot be told by position
    /// (a shell's text, a script, a configuration), so that all must be spelled out.
    pub(crate) operands: Option<u8>,
}

/// Programs that start other programs.
pub(crate) const WRAPPERS: &[Wrapper] = &[
    program("aa-exec", "div", 0),
    whole("abduco"),
    whole("at"),
    whole("autossh"),
    whole("batch"),
    whole("bpftrace"),
    program("busybox", "", 0),
    whole("bwrap"),
    whole("capsh"),
    program("catchsegv", "", 0),
    program("cgexec", "", 0),
    program("choom", "", 0),
    program("chpst", "vVP012", 0),
    program("chronic", "ev", 0),
    program("chroot", "", 1),
    program("chrt", "bfior", 1),
    whole("clush"),
    program("command", "p", 0),
    program("coresched", "", 0),
    program("cpulimit", "bfz", 0),
    whole("daemon"),
    whole("daemonize"),
    whole("dbclient"),
    whole("dbus-launch"),
    program("dbus-run-session", "", 0),
    whole("direnv"),
    whole("distrobox"),
    program("doas", "nL", 0),
    whole("dtach"),
    program("dumb-init", "cv", 0),
    program("eatmydata", "", 0),
    whole("entr"),
    program("env", "i0v", 0),
    program("envdir", "", 1),
    program("envuidgid", "", 1),
    program("exec", "cl", 0),
    whole("execlineb"),
    whole("expect"),
    program("fakechroot", "", 0),
    program("fakeroot", "", 0),
    program("faketime", "f", 1),
    whole("firejail"),
    whole("flock"),
    program("gchroot", "", 1),
    whole("gdb"),
    program("genv", "i0v", 0),
    program("gnice", "0123456789", 0),
    program("gnohup", "", 0),
    program("gosu", "", 1),
    program("gstdbuf", "", 0),
    program("gtimeout", "vfp", 1),
    program("gxargs", "0rtxpo", 0),
    whole("hyperfine"),
    program("i386", "", 0),
    program("ifne", "n", 0),
    program("ionice", "t", 0),
    program("k3s", "", 0),
    program("keep-one-running", "", 0),
    whole("ld-linux-aarch64.so.1"),
    whole("ld-linux-x86-64.so.2"),
    whole("ld-linux.so.2"),
    whole("ld-musl-x86_64.so.1"),
    whole("ld.so"),
    program("linux32", "", 0),
    program("linux64", "", 0),
    whole("lldb"),
    program("logsave", "asv", 1),
    program("ltrace", "cCfirS", 0),
    whole("lxc-attach"),
    whole("lxc-execute"),
    program("microk8s", "", 0),
    whole("mosh"),
    program("nice", "0123456789", 0),
    whole("nodemon"),
    program("nohup", "", 0),
    program("nsenter", "muinpCTUFZ", 0),
    whole("nsjail"),
    program("numactl", "", 0),
    whole("parallel"),
    whole("pdsh"),
    whole("pee"),
    program("perf", "", 1),
    program("pkexec", "", 0),
    whole("plink"),
    program("prlimit", "", 0),
    program("proot", "", 0),
    program("proxychains", "q", 0),
    program("proxychains4", "q", 0),
    whole("pssh"),
    whole("rexec"),
    whole("rlogin"),
    program("rlwrap", "", 0),
    whole("rr"),
    whole("rsh"),
    program("run-one", "", 0),
    whole("run-parts"),
    program("run0", "", 0),
    program("runcon", "c", 1),
    whole("runuser"),
    program("s6-envdir", "", 1),
    program("s6-setuidgid", "", 1),
    program("s6-softlimit", "", 0),
    whole("schedtool"),
    program("schroot", "", 0),
    whole("script"),
    program("sem", "", 0),
    program("setarch", "", 1),
    program("setlock", "nNxX", 1),
    program("setpriv", "", 0),
    program("setsid", "cfw", 0),
    program("setuidgid", "", 1),
    whole("sg"),
    whole("slogin"),
    program("softlimit", "", 0),
    whole("ssh"),
    whole("ssh-agent"),
    whole("sshpass"),
    whole("stap"),
    whole("start-stop-daemon"),
    program("stdbuf", "", 0),
    program("strace", "cCdfFhiqrtTvVwxyYz", 0),
    whole("su"),
    program("su-exec", "", 1),
    program("sudo", "AbBEHkKlnNPSvV", 0),
    program("sudo-rs", "AbBEHkKlnNPSvV", 0),
    whole("sudoedit"),
    program("systemd-cat", "", 0),
    program("systemd-inhibit", "", 0),
    whole("systemd-nspawn"),
    program("systemd-run", "dGPqrStv", 0),
    whole("systemd-socket-activate"),
    program("taskset", "ac", 1),
    program("time", "apqvV", 0),
    program("timeout", "vfp", 1),
    program("tini", "gsv", 0),
    whole("toolbox"),
    program("torsocks", "", 0),
    program("toybox", "", 0),
    whole("trace-cmd"),
    program("tsocks", "", 0),
    program("uclampset", "", 0),
    program("unbuffer", "p", 0),
    program("unshare", "muinpCTUfrc", 0),
    program("valgrind", "qv", 0),
    whole("watch"),
    whole("watchexec"),
    program("x86_64", "", 0),
    program("xargs", "0rtxpo", 0),
    program("xvfb-run", "a", 0),
];

const fn program(name: &'static str, flags: &'static str, operands: u8) -> Wrapper {
    Wrapper {
        name,
        flags,
        operands: Some(operands),
    }
}

const fn whole(name: &'static str) -> Wrapper {
    Wrapper {
        name,
        flags: "",
        operands: None,
    }
}

/// Subcommands and words behind which another program's words follow. Looked through by
/// deny rules only.
pub(crate) const INNER_PROGRAM_AFTER: &[(&str, &str)] = &[
    ("crictl", "exec"),
    ("ctr", "exec run"),
    ("docker", "exec run"),
    ("bfs", "-exec -execdir -ok -okdir"),
    ("docker-compose", "exec run"),
    ("find", "-exec -execdir -ok -okdir"),
    ("gfind", "-exec -execdir -ok -okdir"),
    ("ip", "exec"),
    ("machinectl", "shell"),
    ("fd", "-x -X --exec --exec-batch"),
    ("incus", "exec"),
    ("kubectl", "exec run debug"),
    ("lxc", "exec"),
    ("nerdctl", "exec run"),
    ("pct", "exec"),
    ("podman", "exec run"),
    ("limactl", "shell"),
    ("multipass", "exec"),
    ("oc", "exec rsh run debug"),
    ("podman-compose", "exec run"),
];

/// Programs that put words of their input behind those of the command they are given.
pub(crate) const ADDS_WORDS: &[&str] = &["gxargs", "parallel", "sem", "xargs"];

/// Programs that need no rule.
pub(crate) const ALWAYS_ALLOWED: &[&str] = &["echo", "false", "printf", "true"];

/// Where a plain name of an allow pattern may be found.
pub(crate) const SYSTEM_DIRECTORIES: &[&str] = &["/bin/", "/usr/bin/", "/sbin/", "/usr/sbin/"];

/// A program's hazards, ready to look up.
#[derive(Debug, Default)]
pub(crate) struct Hazards {
    /// Every argument is one.
    pub(crate) everything: bool,
    pub(crate) short: &'static str,
    pub(crate) long: Vec<&'static str>,
    pub(crate) words: HashSet<&'static str>,
    /// Words that are one right behind the program only.
    pub(crate) first: HashSet<&'static str>,
    /// What follows one of its words: `git branch`.
    pub(crate) verbs: HashMap<&'static str, Hazards>,
    pub(crate) driven: Option<&'static Driven>,
    pub(crate) parts: Vec<&'static str>,
    pub(crate) operand: Option<&'static Operand>,
    pub(crate) abbreviates: bool,
    pub(crate) joins: bool,
    /// Long options that are no abbreviation, however they begin.
    pub(crate) whole: Vec<&'static str>,
    /// Letters that count before one of the others only.
    pub(crate) leading: (&'static str, &'static str),
}

struct Lookup {
    reserved: HashSet<&'static str>,
    builtins: HashSet<&'static str>,
    interpreters: HashSet<&'static str>,
    wrappers: HashMap<&'static str, Wrapper>,
    inner: HashMap<&'static str, HashSet<&'static str>>,
    hazards: HashMap<&'static str, Hazards>,
}

static LOOKUP: LazyLock<Lookup> = LazyLock::new(|| {
    let set = |words: &'static str| words.split_ascii_whitespace().collect();
    let mut hazards: HashMap<&'static str, Hazards> = HashMap::new();
    for row in programs::rows() {
        for program in row.programs.split_ascii_whitespace() {
            let entry = hazards.entry(program).or_default();
            entry.everything = row.short == "*";
            entry.short = row.short;
            entry.long = row.long.split_ascii_whitespace().collect();
            let words = row.words.split_ascii_whitespace();
            entry.first = words.clone().filter_map(|w| w.strip_prefix('^')).collect();
            entry.words = words.filter(|word| !word.starts_with('^')).collect();
        }
    }
    for driven in exceptions::DRIVEN_BY_INPUT {
        hazards.entry(driven.told.program).or_default().driven = Some(driven);
    }
    for operand in exceptions::OPERAND_HAZARDS {
        hazards.entry(operand.program).or_default().operand = Some(operand);
    }
    for (name, options) in exceptions::WHOLE_OPTIONS {
        hazards.entry(name).or_default().whole = options.split(' ').collect();
    }
    for (name, letters, valued) in exceptions::LEADING_LETTERS {
        hazards.entry(name).or_default().leading = (letters, valued);
    }
    for (name, parts) in exceptions::PART_HAZARDS {
        hazards.entry(name).or_default().parts = parts.split(' ').collect();
    }
    for name in exceptions::ABBREVIATING {
        hazards.entry(name).or_default().abbreviates = true;
    }
    for name in exceptions::JOINING {
        hazards.entry(name).or_default().joins = true;
    }
    let verbs: Vec<_> = hazards.extract_if(|name, _| name.contains(':')).collect();
    for (name, of_verb) in verbs {
        if let Some((program, verb)) = name.split_once(':') {
            let entry = hazards.entry(program).or_default();
            entry.verbs.insert(verb, of_verb);
        }
    }
    Lookup {
        reserved: set(RESERVED_WORDS),
        builtins: set(EVALUATING_BUILTINS),
        interpreters: set(INTERPRETERS),
        wrappers: WRAPPERS.iter().map(|each| (each.name, *each)).collect(),
        inner: INNER_PROGRAM_AFTER
            .iter()
            .map(|(name, words)| (*name, set(words)))
            .collect(),
        hazards,
    }
});

pub(crate) fn is_reserved_word(word: &str) -> bool {
    LOOKUP.reserved.contains(word)
}

pub(crate) fn is_evaluating_builtin(word: &str) -> bool {
    LOOKUP.builtins.contains(word)
}

/// `name` without its directory.
pub(crate) fn is_interpreter(name: &str) -> bool {
    let of_version = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    LOOKUP.interpreters.contains(name)
        || (name.bytes().next_back().is_some_and(of_version)
            && VERSIONED_INTERPRETERS.iter().any(|known| {
                name.strip_prefix(known)
                    .is_some_and(|version| version.bytes().all(of_version))
            }))
}

/// `name` without its directory.
pub(crate) fn wrapper(name: &str) -> Option<Wrapper> {
    LOOKUP.wrappers.get(name).copied()
}

/// `name` without its directory.
pub(crate) fn hazards(name: &str) -> Option<&'static Hazards> {
    LOOKUP.hazards.get(name)
}

/// The words of this program behind which another one's follow.
pub(crate) fn inner_program_after(name: &str) -> Option<&'static HashSet<&'static str>> {
    LOOKUP.inner.get(name)
}

/// A program's name without its directory.
pub(crate) fn base_name(program: &str) -> &str {
    let slash = program.bytes().rposition(|byte| byte == b'/');
    let name = slash.and_then(|slash| program.get(slash + 1..));
    name.unwrap_or(program)
}

/// Whether `program` is what the plain name of an allow pattern stands for.
pub(crate) fn is_system_path_of(program: &str, name: &str) -> bool {
    SYSTEM_DIRECTORIES
        .iter()
        .any(|directory| program.strip_prefix(directory) == Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_words_are_sorted_and_unique() {
        let of_row = |row: &'static programs::Row| row.programs.split(' ');
        let names: Vec<_> = programs::rows().flat_map(of_row).collect();
        let known: HashSet<_> = names.iter().collect();
        assert_eq!(known.len(), names.len(), "{names:?}");
        for row in programs::rows() {
            assert!(of_row(row).is_sorted_by(|a, b| a < b), "{row:?}");
        }
        assert!(WRAPPERS.is_sorted_by(|a, b| a.name < b.name));
        assert!(VERSIONED_INTERPRETERS.is_sorted_by(|a, b| a < b));
        for words in [RESERVED_WORDS, EVALUATING_BUILTINS, INTERPRETERS] {
            let lines: Vec<&str> = words.lines().collect();
            assert!(lines.is_sorted_by(|a, b| a < b), "{words}");
            assert!(lines.iter().all(|word| !word.contains(' ')), "{words}");
        }
    }

    #[test]
    fn versions_make_no_new_interpreter() {
        for name in ["python3", "python3.12", "perl5.36.0", "bash5", "node22"] {
            assert!(is_interpreter(name), "{name}");
        }
        for name in ["pythonic", "php8.2-fpm", "nodes", "bashful"] {
            assert!(!is_interpreter(name), "{name}");
        }
    }

    #[test]
    fn hazards_are_found_by_base_name() {
        assert!(hazards("find").unwrap().words.contains("-exec"));
        assert!(hazards("curl").unwrap().everything);
        assert_eq!(hazards("hostname").unwrap().operand.unwrap().first, 1);
        assert!(is_system_path_of("/usr/bin/ls", "ls"));
        assert!(!is_system_path_of("/usr/local/bin/ls", "ls"));
    }
}
