//! What is to be done with a file: its path, which part, or how it is to be replaced.
//!
//! Owns what a path may be: absolute, from the root, without `.`, `..`, links by name or
//! anything that does not show; what it stands for on the host, the script checks. Judges
//! nothing. Made by the tools of the client's arguments.

use std::fmt::Write as _;

use crate::model::invisible::{is_blank, is_invisible};

/// Longest path, in bytes (PATH_MAX of Linux is 4,096 with its end).
const PATH_MAX: usize = 1_024;
/// Longest name of a file, less what a backup puts behind it.
const NAME_MAX: usize = 230;

/// The absolute path of a file, as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePath(String);

/// Why a text is no such path. The text is for the assistant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathFault {
    #[error("path is required")]
    Missing,
    #[error("path must be absolute: /etc/hosts")]
    Relative,
    #[error("path must have no empty, . or .. part, and no / at its end")]
    Parts,
    #[error("path is too long")]
    TooLong,
    #[error("path has a character that does not show, or a line break")]
    Hidden,
}

impl FilePath {
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, PathFault> {
        if text.is_empty() {
            return Err(PathFault::Missing);
        }
        let hidden = |c: char| c.is_control() || is_invisible(c) || (is_blank(c) && c != ' ');
        if text.chars().any(hidden) {
            return Err(PathFault::Hidden);
        }
        let inside = text.strip_prefix('/').ok_or(PathFault::Relative)?;
        if inside
            .split('/')
            .any(|part| matches!(part, "" | "." | ".."))
        {
            return Err(PathFault::Parts);
        }
        let name = text.rsplit('/').next().unwrap_or_default();
        if text.len() > PATH_MAX || name.len() > NAME_MAX {
            return Err(PathFault::TooLong);
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The directory that holds it, and its name there.
    pub(crate) fn parts(&self) -> (&str, &str) {
        match self.0.rsplit_once('/') {
            Some(("", name)) => ("/", name),
            Some(parts) => parts,
            None => ("/", &self.0),
        }
    }
}

/// Longest name of a local file, in bytes (NAME_MAX of Linux is 255).
const LOCAL_MAX: usize = 200;

/// The name of a file in the server's own directory for transfers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalName(String);

impl LocalName {
    /// One plain name: nothing that leads elsewhere or does not show. Those that begin with a
    /// dot are the server's own, of what is not whole yet.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |c: char| {
            let hidden = c.is_control() || is_invisible(c) || (is_blank(c) && c != ' ');
            c != '/' && !hidden
        };
        let fits = (1..=LOCAL_MAX).contains(&text.len()) && !text.starts_with('.');
        (fits && text.trim() == text && text.chars().all(plain)).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Which part of a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// From this byte on, at most so many.
    Bytes { offset: u64, limit: u64 },
    /// From this line on, counted from 1, so many, and at most so many bytes of them.
    Lines { from: u64, count: u64, limit: u64 },
}

/// What becomes of a file that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// There must be none.
    Create,
    /// There must be one; it is replaced.
    Replace,
    /// There must be one; it is replaced by itself with more at its end.
    Append,
}

impl How {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Replace => "replace",
            Self::Append => "append",
        }
    }
}

/// Permissions of a file: three octal digits, nothing beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode(u16);

impl Mode {
    /// `644`, `0644`.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('0').filter(|rest| rest.len() == 3);
        let digits = digits.unwrap_or(text);
        (digits.len() == 3 && digits.bytes().all(|digit| (b'0'..=b'7').contains(&digit)))
            .then(|| u16::from_str_radix(digits, 8).ok())
            .flatten()
            .map(Self)
    }

    pub fn digits(self) -> String {
        format!("{:03o}", self.0)
    }
}

/// SHA-256 as 64 hex digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sha256Hex(String);

impl Sha256Hex {
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        (text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .then_some(Self(text))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doing {
    Read(Part),
    /// Read whole, into a file of the server's.
    Fetch(Fetching),
    Write(Writing),
}

/// Where a file is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetching {
    pub to: LocalName,
    /// Whether it may take the place of what is there.
    pub overwrite: bool,
    /// What the file must hold.
    pub expected: Option<Sha256Hex>,
}

/// How a file is to be written. What it is to hold is what the request is given to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writing {
    pub how: How,
    pub mode: Option<Mode>,
    /// What the file must hold until then.
    pub expected: Option<Sha256Hex>,
    /// Whether the old one stays under another name.
    pub backup: bool,
    /// The server's file that holds it, where no client has sent it.
    pub from: Option<LocalName>,
}

/// Work on one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileWork {
    pub path: FilePath,
    pub doing: Doing,
    /// As root, by `sudo`.
    pub sudo: bool,
}

impl FileWork {
    /// `read`, `fetch`, `write` or `send`.
    pub fn verb(&self) -> &'static str {
        match &self.doing {
            Doing::Read(_) => "read",
            Doing::Fetch(_) => "fetch",
            Doing::Write(Writing { from: None, .. }) => "write",
            Doing::Write(_) => "send",
        }
    }

    /// The server's file that it reads or makes.
    pub fn local(&self) -> Option<&LocalName> {
        match &self.doing {
            Doing::Read(_) => None,
            Doing::Fetch(fetching) => Some(&fetching.to),
            Doing::Write(writing) => writing.from.as_ref(),
        }
    }

    /// All of it on one line: its hash names the work in records, and a person reads it.
    pub fn described(&self) -> String {
        let mut text = format!("ssh_{}_file {}", self.verb(), self.path.as_str());
        let _ = match &self.doing {
            Doing::Read(Part::Bytes { offset, limit }) => {
                write!(text, " (from byte {offset}, at most {limit})")
            }
            Doing::Read(Part::Lines { from, count, limit }) => {
                write!(text, " (from line {from}, {count}, at most {limit} bytes)")
            }
            Doing::Fetch(fetching) => {
                let expected = fetching.expected.as_ref();
                let expected = expected.map(|hash| format!(", holding {}", hash.as_str()));
                write!(
                    text,
                    " (to {}{}{})",
                    fetching.to.as_str(),
                    expected.unwrap_or_default(),
                    if fetching.overwrite {
                        ", in place of what is there"
                    } else {
                        ""
                    },
                )
            }
            Doing::Write(writing) => {
                let from = writing.from.as_ref();
                let from = from.map(|name| format!("from {}, ", name.as_str()));
                let mode = writing.mode.map(|mode| format!(", mode {}", mode.digits()));
                let expected = writing.expected.as_ref();
                let expected = expected.map(|hash| format!(", in place of {}", hash.as_str()));
                write!(
                    text,
                    " ({}{}{}{}{})",
                    from.unwrap_or_default(),
                    writing.how.as_str(),
                    mode.unwrap_or_default(),
                    expected.unwrap_or_default(),
                    if writing.backup {
                        ", with a backup"
                    } else {
                        ""
                    },
                )
            }
        };
        if self.sudo {
            text.push_str(" by sudo");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_absolute_and_says_what_it_is() {
        for good in ["/etc/hosts", "/a", "/srv/it's here/é", "/-x/--y"] {
            assert_eq!(FilePath::parse(good).unwrap().as_str(), good);
        }
        for (bad, why) in [
            ("", PathFault::Missing),
            ("etc/hosts", PathFault::Relative),
            ("~/x", PathFault::Relative),
            ("/", PathFault::Parts),
            ("/etc/", PathFault::Parts),
            ("/etc//hosts", PathFault::Parts),
            ("/etc/../x", PathFault::Parts),
            ("/etc/./x", PathFault::Parts),
            ("/etc/x\n", PathFault::Hidden),
            ("/etc/\u{202e}x", PathFault::Hidden),
            ("/etc/a\u{a0}b", PathFault::Hidden),
            ("/etc/a\0", PathFault::Hidden),
        ] {
            assert_eq!(FilePath::parse(bad), Err(why), "{bad:?}");
        }
        assert!(FilePath::parse(&format!("/{}", "x".repeat(NAME_MAX + 1))).is_err());
    }

    #[test]
    fn a_local_name_leads_nowhere() {
        for good in [
            "a",
            "dump 1.tar.gz",
            "it's-é",
            "-x",
            "a..b",
            &"x".repeat(LOCAL_MAX),
        ] {
            assert_eq!(LocalName::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            ".",
            "..",
            ".hidden",
            "a/b",
            "/a",
            "../a",
            "a\0b",
            "a\nb",
            " a",
            "a ",
            "a\u{202e}b",
            "a\u{a0}b",
            &"x".repeat(LOCAL_MAX + 1),
        ] {
            assert_eq!(LocalName::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn modes_have_three_digits() {
        for (text, digits) in [("644", "644"), ("0600", "600"), ("000", "000")] {
            assert_eq!(Mode::parse(text).unwrap().digits(), digits);
        }
        for bad in ["", "7", "4755", "04755", "888", "+64", "rw-"] {
            assert_eq!(Mode::parse(bad), None, "{bad}");
        }
    }
}
