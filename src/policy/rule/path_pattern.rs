//! Patterns of `paths:`: which files a rule is about.
//!
//! Owns what a pattern means, component by component: `**` is any number of them, none
//! included (`/var/log/**` holds for `/var/log` too), and `*`, `?`, `[…]` stay within one.
//! Owns both directions of a match: a grant must cover every file that the words may
//! become on the host ([`PathPattern::covers`]), a denial holds if it may be one of them
//! ([`PathPattern::may_meet`]). Of links it knows those that every kernel makes:
//! `/proc/1/root/etc/shadow` is `/etc/shadow` (proc(5)). What other names stand for is the
//! host's business. Called by the rules and the deny rules.

use crate::policy::rule::glob::{self, Glob, Token};
use crate::policy::rule::kernel_links::{self, End};
use crate::policy::syntax::command::{NUMBER, Word};

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(crate) struct PathPattern {
    components: Vec<Component>,
}

#[derive(Debug, Clone)]
enum Component {
    /// `**`.
    AnyDepth,
    One {
        exact: Glob,
        /// In lower case, for denials.
        tokens: Vec<Token>,
    },
}

/// Why a text is no pattern of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PathPatternError {
    /// Neither `/`, nor `~/`, nor `**` at the beginning.
    #[error("the path begins neither with / nor with ~/ nor with **")]
    Relative,
    /// A `..`, `.` or empty component.
    #[error("the path has an empty, . or .. component")]
    Climbs,
    /// A piece with `?` or `[…]` that is too long.
    #[error("? or [...] within a very long piece without a *")]
    TooLong,
}

/// A file that a command names, as far as the words tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedPath {
    base: Base,
    components: Vec<String>,
}

/// What a path begins at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Base {
    Root,
    /// The login's home.
    Home,
    /// Some directory, known to the host alone.
    Somewhere,
}

/// Where a relative path begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From<'d> {
    Home,
    Directory(&'d str),
    Somewhere,
}

/// Stands for a character that the host expands within one component.
const WILD: char = glob::EXPANDED;

/// Directories that are one and the same on most hosts: by FHS 3.0 section 5.13, and where
/// `/usr` is immutable (ostree). A denial of one holds for the other.
const SAME: &[(&[&str], &[&str])] = &[
    (&["var", "run"], &["run"]),
    (&["var", "lock"], &["run", "lock"]),
    (&["var", "home"], &["home"]),
    (&["var", "roothome"], &["root"]),
];

/// Directories that are nobody's home.
const NO_HOMES: &[&str] = &[
    "bin", "boot", "dev", "etc", "lib", "lib64", "proc", "run", "sbin", "sys", "usr",
];

impl NamedPath {
    /// The path of a word in which [`glob::EXPANDED`] stands for what the host expands.
    /// `..` takes the component before it away, where that is known.
    pub(crate) fn new(text: &str, from: From<'_>) -> Self {
        let (mut base, text) = match text.strip_prefix('~') {
            Some("") => (Base::Home, ""),
            Some(rest) if rest.starts_with('/') => (Base::Home, rest),
            // `~user` is somebody's home.
            Some(rest) => (
                Base::Somewhere,
                rest.split_once('/').map_or("", |(_, rest)| rest),
            ),
            None if text.starts_with('/') => (Base::Root, text),
            None => match from {
                From::Home => (Base::Home, text),
                From::Somewhere => (Base::Somewhere, text),
                From::Directory(directory) => {
                    return Self::new(&format!("{directory}/{text}"), From::Somewhere);
                }
            },
        };
        let mut components: Vec<String> = Vec::new();
        for component in text.split('/') {
            // What follows a link begins where the link leads.
            if !components.is_empty()
                && base == Base::Root
                && let Some(end) = kernel_links::led_to(&components)
            {
                components.clear();
                base = match end {
                    End::Root => Base::Root,
                    End::Somewhere => Base::Somewhere,
                };
            }
            match component {
                "" | "." => {}
                // What is above a wildcard's match is known; above a home it is not.
                ".." => {
                    if components.pop().is_none() && base != Base::Root {
                        base = Base::Somewhere;
                    }
                }
                other => components.push(other.to_owned()),
            }
        }
        if base == Base::Root && kernel_links::holds_anything(&components) {
            base = Base::Somewhere;
        }
        Self { base, components }
    }
}

impl NamedPath {
    /// The other names that it has by [`SAME`].
    fn others(&self) -> impl Iterator<Item = Self> {
        let pairs = SAME.iter().flat_map(|(one, two)| [(one, two), (two, one)]);
        let root = self.base == Base::Root;
        pairs.filter(move |_| root).filter_map(|(known, other)| {
            let (head, rest) = self.components.split_at_checked(known.len())?;
            let begins = head
                .iter()
                .zip(*known)
                .all(|(name, known)| glob::expands_to(name, known));
            let names = other.iter().map(|name| (*name).to_owned());
            begins.then(|| Self {
                base: self.base,
                components: names.chain(rest.iter().cloned()).collect(),
            })
        })
    }

    /// Whether it is the login's home itself, where keys are.
    pub(crate) fn is_home(&self) -> bool {
        self.base == Base::Home && self.components.is_empty()
    }
}

/// The text of a word as [`NamedPath::new`] takes it: with a mark for what the host
/// expands, and the `~` of the login's home as it is.
pub(crate) fn text_of(word: &Word<'_>) -> String {
    let text = word.expanded().into_owned();
    match word.is_below_home() {
        true => text.replacen(WILD, "~", 1),
        false => text,
    }
}

/// The same for a denial, with a [`NUMBER`] as it is.
pub(crate) fn text_of_denied(word: &Word<'_>) -> String {
    let text = text_of(word);
    let each = text.chars().zip(word.text.chars());
    let kept = |(c, own)| if own == NUMBER { own } else { c };
    each.map(kept).collect()
}

/// Whether a word of a command has a `..` component.
pub(crate) fn climbs(text: &str) -> bool {
    text.split('/').any(|component| component == "..")
}

/// Whether a path within a word ([`text_of`]) is that of no place, which no pattern covers.
pub(crate) fn is_of_no_place(text: &str) -> bool {
    let path = text.find('/').and_then(|at| text.get(at..));
    path.is_some_and(|path| NamedPath::new(path, From::Somewhere).base == Base::Somewhere)
}

/// Whether a path of a word ([`text_of`]) leads out of where it begins by a link of the
/// kernel, or to what a process holds.
pub(crate) fn is_led_away(text: &str) -> bool {
    let path = NamedPath::new(text, From::Somewhere);
    let in_proc = |first: Option<&str>| first == Some("proc");
    let first = text.split('/').find(|name| !matches!(*name, "" | "."));
    text.starts_with('/')
        && (path.base != Base::Root
            || (in_proc(first) && !in_proc(path.components.first().map(String::as_str))))
}

impl PathPattern {
    /// # Errors
    /// [`PathPatternError`] for a text that could never match or would not mean what it seems to.
    pub(crate) fn parse(text: &str) -> Result<Self, PathPatternError> {
        let (first, rest) = match text.strip_prefix("~/") {
            Some(rest) => (Some("~"), rest),
            None => match text.strip_prefix('/') {
                Some(rest) => (None, rest),
                None if text == "**" || text.starts_with("**/") => (None, text),
                None => return Err(PathPatternError::Relative),
            },
        };
        let mut components = Vec::new();
        for component in first.into_iter().chain(rest.split('/')) {
            components.push(match component {
                "" if text == "/" => continue,
                "" | "." | ".." => return Err(PathPatternError::Climbs),
                "**" => Component::AnyDepth,
                other => {
                    let exact = Glob::parse(other).map_err(|_| PathPatternError::TooLong)?;
                    let tokens = glob::tokens(other);
                    Component::One {
                        exact,
                        tokens: tokens.iter().map(Token::folded).collect(),
                    }
                }
            });
        }
        Ok(Self { components })
    }

    /// Whether every file that the path may become is one of these. What only the host
    /// knows is covered by `*` or `**` alone: `/etc/*-release` by `/etc/*release`.
    pub(crate) fn covers(&self, path: &NamedPath) -> bool {
        let mut names: Vec<&str> = path.components.iter().map(String::as_str).collect();
        match path.base {
            Base::Root => {}
            Base::Home => names.insert(0, "~"),
            Base::Somewhere => return false,
        }
        let takes = |glob: &Component, name: &str| match glob {
            Component::AnyDepth => true,
            Component::One { exact, .. } if name.contains(WILD) => exact.covers(name, WILD),
            // Below `~` stands nothing but the login's home.
            Component::One { exact, .. } => exact.matches(name),
        };
        walk(&self.components, &names, takes)
    }

    /// Whether that holds for the path and for everything below it.
    pub(crate) fn covers_below(&self, path: &NamedPath) -> bool {
        matches!(self.components.last(), Some(Component::AnyDepth))
            && self.covers(path)
            && !kernel_links::is_tree_of_processes(&path.components)
    }

    /// Whether it says in which directory its files lie.
    pub(crate) fn is_placed(&self) -> bool {
        matches!(self.components.first(), Some(Component::One { .. }))
    }

    /// Whether the path may be one of these files, in any case of its letters.
    pub(crate) fn may_meet(&self, path: &NamedPath) -> bool {
        self.meets(path, false) || path.others().any(|other| self.meets(&other, false))
    }

    /// Whether one of these files may lie below the path.
    pub(crate) fn may_lie_below(&self, path: &NamedPath) -> bool {
        self.meets(path, true) || path.others().any(|other| self.meets(&other, true))
    }

    fn meets(&self, path: &NamedPath, below: bool) -> bool {
        let names: Vec<&str> = path.components.iter().map(String::as_str).collect();
        let takes = |component: &Component, name: &str| match component {
            Component::AnyDepth => true,
            // A shell's `*` makes no name that begins with a dot.
            Component::One { tokens, .. }
                if name.starts_with(WILD) && tokens.first() == Some(&Token::Text('.')) =>
            {
                false
            }
            Component::One { tokens, .. } => may_be(tokens, &glob::fold_text(name)),
        };
        let from = |components: &[Component]| {
            if below {
                starts(components, &names, takes)
            } else {
                walk(components, &names, takes)
            }
        };
        if path.base == Base::Root {
            return from(&self.components);
        }
        // Below an unknown directory: any tail of the pattern may begin there.
        let first = self.components.first();
        if path.base == Base::Home
            && let Some(Component::One { exact, .. }) = first
            && NO_HOMES
                .iter()
                .any(|name| exact.is_literal() && exact.matches(name))
        {
            return false;
        }
        // `**/.env` names a file somewhere; the home of a login is none.
        let anywhere = matches!(
            self.components.split_first(),
            Some((Component::AnyDepth, rest))
                if !rest.is_empty() && rest.iter().all(|each| matches!(each, Component::One { .. }))
        );
        if path.is_home() && anywhere && !below {
            return false;
        }
        if path.base == Base::Home && first.is_some_and(|first| takes(first, "~")) {
            let rest = self.components.get(1..).unwrap_or_default();
            if from(rest) {
                return true;
            }
        }
        (0..=self.components.len()).any(|at| {
            let tail = self.components.get(at..).unwrap_or_default();
            (at < self.components.len() || names.is_empty()) && from(tail)
        })
    }
}

/// Whether a name may become one that these tokens take. What the host puts in the place of one
/// [`NUMBER`] is digits: a run of them that is longer than the tokens has one that a star takes,
/// and that could be left out, so that no more need to be tried.
fn may_be(tokens: &[Token], name: &str) -> bool {
    let Some((before, after)) = name
        .split_once(NUMBER)
        .filter(|_| name.matches(NUMBER).count() == 1 && tokens.len() <= glob::MIXED_MAX)
    else {
        return glob::overlap(
            tokens,
            &glob::expanded_tokens(&name.replace(NUMBER, WILD.encode_utf8(&mut [0; 4]))),
        );
    };
    let (before, after) = (glob::expanded_tokens(before), glob::expanded_tokens(after));
    let digit = glob::tokens("[0-9 ,\n]");
    (0..=tokens.len()).any(|count| {
        let digits: Vec<Token> = digit.iter().cloned().cycle().take(count).collect();
        let name = [before.as_slice(), &digits, &after].concat();
        glob::overlap(tokens, &name)
    })
}

/// Whether the components take all names.
fn walk(
    components: &[Component],
    names: &[&str],
    takes: impl Fn(&Component, &str) -> bool + Copy,
) -> bool {
    // reach[j]: the components so far take the first j names.
    let mut reach = vec![false; names.len() + 1];
    if let Some(first) = reach.first_mut() {
        *first = true;
    }
    for component in components {
        reach = step(component, names, &reach, takes);
    }
    reach.last() == Some(&true)
}

/// Whether the names are the beginning of what the components take.
fn starts(
    components: &[Component],
    names: &[&str],
    takes: impl Fn(&Component, &str) -> bool + Copy,
) -> bool {
    let mut reach = vec![false; names.len() + 1];
    if let Some(first) = reach.first_mut() {
        *first = true;
    }
    for component in components {
        if reach.last() == Some(&true) {
            return true;
        }
        reach = step(component, names, &reach, takes);
    }
    reach.last() == Some(&true)
}

fn step(
    component: &Component,
    names: &[&str],
    reach: &[bool],
    takes: impl Fn(&Component, &str) -> bool,
) -> Vec<bool> {
    let mut next = vec![false; reach.len()];
    match component {
        Component::AnyDepth => {
            let mut any = false;
            for (to, from) in next.iter_mut().zip(reach) {
                any |= *from;
                *to = any;
            }
        }
        Component::One { .. } => {
            for ((to, from), name) in next.iter_mut().skip(1).zip(reach).zip(names) {
                *to = *from && takes(component, name);
            }
        }
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> PathPattern {
        PathPattern::parse(text).unwrap()
    }

    fn named(text: &str) -> NamedPath {
        NamedPath::new(&text.replace('*', &WILD.to_string()), From::Home)
    }

    #[test]
    fn what_is_covered() {
        for (text, path) in [
            ("/var/log/**", "/var/log"),
            ("/var/log/**", "/var/log/a/b.log"),
            ("/var/log/**", "/var//log/./a"),
            ("/var/log/**", "/var/log/*.log"),
            ("/var/log/*", "/var/log/*.log"),
            ("/var/log/*.log", "/var/log/*.log"),
            ("/var/log/*.log", "/var/log/a.log"),
            ("/**", "/"),
            ("/etc/*release", "/etc/*-release"),
            ("/", "/"),
            ("~/**", "notes.txt"),
            ("~/**", "~/notes.txt"),
            ("**", "/x/y"),
            ("/srv/*/logs/**", "/srv/app/logs/x"),
            ("/proc/**", "/proc/1/status"),
            ("/proc/**", "/proc/*info"),
            ("/proc/**", "/proc/*/status"),
            ("/proc/**", "/proc/41/cwd"),
            ("/proc/**", "/proc/self/fd"),
            ("/proc/**", "/proc/sys/fs/file-nr"),
            ("/proc/**", "/proc/fs/root/x"),
            ("/var/log/**", "/proc/1/root/var/log/x"),
        ] {
            assert!(pattern(text).covers(&named(path)), "{text} {path}");
        }
        for (text, path) in [
            ("/var/log/*", "/var/log/a/b"),
            ("/var/log/*", "/var/log"),
            ("/var/log/**", "/var/log2"),
            ("/var/log/**", "/var/log/../../etc/shadow"),
            ("/var/log/*.log", "/var/log/*"),
            ("/etc/*Release", "/etc/*release"),
            ("/etc/?release", "/etc/*release"),
            ("/var/log/**", "/var/*"),
            ("/var/log/**", "x.log"),
            ("~/**", "/root/x"),
            ("~/**", "../other/x"),
            ("/proc/**", "/proc/1/root/etc/shadow"),
            ("/proc/**", "/proc/1/root/"),
            ("/**", "/proc/self/cwd/x"),
            ("/proc/**", "/proc/1/task/1/root/etc/shadow"),
            ("/proc/**", "/proc/thread-self/root/etc/shadow"),
            ("/proc/**", "/proc/*/r*t/etc/shadow"),
            ("/proc/**", "/proc/1/environ"),
            ("/proc/**", "/proc/1/task/1/environ"),
            ("/proc/**", "/proc/1/*"),
            ("/proc/**", "/proc/1/fd/3"),
            ("/proc/**", "/proc/kcore"),
            ("/proc/**", "/proc/*"),
            ("/proc/**", "/proc/kc*"),
            ("/proc/**", "/proc/*msg"),
        ] {
            assert!(!pattern(text).covers(&named(path)), "{text} {path}");
        }
        let there = NamedPath::new("syslog", From::Directory("/var/log"));
        assert!(pattern("/var/log/**").covers(&there));
        assert!(!pattern("/**").covers(&NamedPath::new("x", From::Somewhere)));
    }

    #[test]
    fn what_may_be_met() {
        for (text, path) in [
            ("/etc/shadow*", "/etc/shadow"),
            ("/etc/shadow*", "/ETC//./Shadow-"),
            ("/etc/shadow*", "/etc/sh*w"),
            ("/etc/shadow*", "/etc/*"),
            ("/etc/shadow*", "/*/shadow"),
            ("/etc/shadow*", "/etc/ssl/../shadow"),
            ("**/.env", "/srv/app/.env"),
            ("**/.env", ".env"),
            ("**/id_*", ".ssh/id_ed25519"),
            ("/home/*/.ssh/**", ".ssh/id_rsa"),
            ("/home/*/.ssh/**", "~/.ssh"),
            ("/root/**", "x"),
            ("~/secret", "secret"),
            ("/etc/shadow*", "/proc/self/root/etc/shadow"),
            ("/etc/shadow*", "/proc/self/root/../etc/shadow"),
            ("/etc/shadow*", "/p*/1/r*/etc/shadow"),
            ("/etc/shadow*", "/proc/1/cwd/shadow"),
            ("**/.env", "/proc/1/root/srv/.env"),
            ("/run/secrets/**", "/var/run/secrets/x"),
            ("/var/run/secrets/**", "/run/secrets/x"),
            ("/home/*/.ssh/**", "/var/home/core/.ssh/id_rsa"),
            ("/root/**", "/var/r*/x"),
        ] {
            assert!(pattern(text).may_meet(&named(path)), "{text} {path}");
        }
        for (text, path) in [
            ("/etc/shadow*", "/etc/passwd"),
            ("/etc/shadow*", "/etc/host*"),
            ("/etc/shadow*", "/etc"),
            ("/etc/shadow*", "shadow"),
            ("**/.env", "/srv/app/env"),
            ("/home/*/.ssh/**", "/srv/.ssh/x"),
        ] {
            assert!(!pattern(text).may_meet(&named(path)), "{text} {path}");
        }
        // Digits that the host puts there.
        let numbered = |text: &str| named(&text.replace('N', &NUMBER.to_string()));
        for (text, path) in [
            ("/var/log/sa15", "/var/log/saN"),
            ("/var/log/sa*5", "/var/log/saN"),
            ("/proc/[0-9]*/environ", "/proc/N/environ"),
            ("/proc/12345678901234/environ", "/proc/N/environ"),
            ("**/*.key", "/x/N.key"),
            ("**/?", "/x/N"),
            ("**/a.key", "/x/aN.Nkey"),
            ("/etc/shadow*", "/proc/N/root/etc/shadow"),
            ("/etc/shadow*", "/proc/N/task/N/cwd/shadow"),
        ] {
            assert!(pattern(text).may_meet(&numbered(path)), "{text} {path}");
        }
        for (text, path) in [
            ("/var/log/sa1x", "/var/log/saN"),
            ("**/*.key", "/x/N"),
            ("**/.env", "N"),
            ("/proc/self/environ", "/proc/N/environ"),
        ] {
            assert!(!pattern(text).may_meet(&numbered(path)), "{text} {path}");
        }
        let somewhere = NamedPath::new("shadow", From::Somewhere);
        assert!(pattern("/etc/shadow*").may_meet(&somewhere));
        let there = NamedPath::new("shadow", From::Directory("/etc"));
        assert!(pattern("/etc/shadow*").may_meet(&there));
    }

    #[test]
    fn paths_that_are_led_away() {
        for (text, expected) in [
            ("/proc/1/root/etc/shadow", true),
            ("/./proc/1/environ", true),
            ("/proc/1/status", false),
            ("/var/log/x", false),
            ("x", false),
        ] {
            assert_eq!(is_led_away(text), expected, "{text}");
        }
    }

    #[test]
    fn trees_that_are_covered() {
        for (path, expected) in [
            ("/proc/sys", true),
            ("/proc/1/fd", true),
            ("/proc/1/net", true),
            ("/proc", false),
            ("/proc/1", false),
            ("/proc/*", false),
            ("/proc/1/task", false),
            ("/proc/1/task/2", false),
            ("/proc/1/root", false),
            ("/proc/1/cwd", false),
        ] {
            let found = pattern("/proc/**").covers_below(&named(path));
            assert_eq!(found, expected, "{path}");
        }
    }

    #[test]
    fn what_may_lie_below() {
        for (text, path) in [
            ("/etc/shadow*", "/etc"),
            ("/etc/shadow*", "/"),
            ("/etc/shadow*", "/etc/shadow"),
            ("**/.env", "/srv"),
            ("/home/*/.ssh/**", "/home/bob"),
        ] {
            assert!(pattern(text).may_lie_below(&named(path)), "{text} {path}");
        }
        for (text, path) in [("/etc/shadow*", "/etc/nginx"), ("/etc/shadow*", "/var/log")] {
            assert!(!pattern(text).may_lie_below(&named(path)), "{text} {path}");
        }
    }

    #[test]
    fn texts_that_are_no_patterns() {
        for text in ["var/log", "*.log", "/a/../b", "/a//b", "/a/", ""] {
            assert!(PathPattern::parse(text).is_err(), "{text}");
        }
    }
}
