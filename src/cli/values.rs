//! Values of options, as people write them: sizes, users, switches, shells.
//!
//! Owns their forms and the messages about others. Opens nothing: what a user's name
//! stands for is found out by `startup`. Called by `cli`.

use std::ffi::OsStr;

use crate::audit::{FACILITIES, Target};
use crate::cli::Shell;

/// Whom the process is to become, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub user: Id,
    /// Absent: the group of the same number, or the one that the name has.
    pub group: Option<Id>,
}

/// A user or a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Id {
    Number(u32),
    Name(String),
}

pub(crate) fn account(value: &str) -> Result<Account, String> {
    let (user, group) = match value.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (value, None),
    };
    let id = |text: &str| {
        id(text)
            .ok_or_else(|| format!("user '{value}' is not USER or USER:GROUP, names or numbers"))
    };
    Ok(Account {
        user: id(user)?,
        group: group.map(id).transpose()?,
    })
}

fn id(text: &str) -> Option<Id> {
    // As useradd(8) takes them; one that begins like a number is none.
    let named = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    match text.chars().next()? {
        // u32::MAX means 'leave unchanged' to setresuid(2).
        '0'..='9' => match text.parse() {
            Ok(u32::MAX) | Err(_) => None,
            Ok(number) => Some(Id::Number(number)),
        },
        '-' | '.' => None,
        _ => text.chars().all(named).then(|| Id::Name(text.to_owned())),
    }
}

/// What sizes may be written with. One letter and `iB` count by 1024, `B` by 1000, as
/// dd(1) has it.
const UNITS: &[(&str, u64)] = &[
    ("", 1),
    ("b", 1),
    ("k", 1 << 10),
    ("kib", 1 << 10),
    ("kb", 1_000),
    ("m", 1 << 20),
    ("mib", 1 << 20),
    ("mb", 1_000_000),
    ("g", 1 << 30),
    ("gib", 1 << 30),
    ("gb", 1_000_000_000),
];

/// A number of days, up to a century.
pub(crate) fn days(value: &OsStr) -> Result<u64, String> {
    let days = value.to_str().and_then(|text| text.trim().parse().ok());
    days.filter(|days| *days <= 36_500)
        .ok_or_else(|| format!("audit-keep-days: {value:?} is not a number of days up to 36500"))
}

pub(crate) fn size(option: &str, value: &OsStr) -> Result<u64, String> {
    let read = |text: &str| {
        let text = text.trim().to_ascii_lowercase();
        let digits = text.find(|c: char| !c.is_ascii_digit());
        let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit.trim_start())?;
        number.parse::<u64>().ok()?.checked_mul(*factor)
    };
    let size = value.to_str().and_then(read);
    size.ok_or_else(|| {
        format!("{option}: {value:?} is not a size: bytes, or a number with K, M, G, KiB, MB, …")
    })
}

/// `FACILITY` or `FACILITY:SOCKET`.
pub(crate) fn syslog(value: &OsStr) -> Result<Target, String> {
    let text = value.to_str().unwrap_or_default();
    let (facility, socket) = text.split_once(':').unwrap_or((text, "/dev/log"));
    let known = FACILITIES.iter().find(|(name, _)| *name == facility);
    match (known, socket) {
        (Some((_, facility)), socket) if socket.starts_with('/') => Ok(Target {
            facility: *facility,
            socket: socket.into(),
        }),
        _ => {
            let names: Vec<&str> = FACILITIES.iter().map(|(name, _)| *name).collect();
            Err(format!(
                "log-syslog: {value:?} is not FACILITY or FACILITY:SOCKET, with one of {} and a \
                 path from /",
                names.join(", ")
            ))
        }
    }
}

pub(crate) fn switched_on(name: &str, value: Option<&OsStr>) -> Result<bool, String> {
    let lower = value.map(OsStr::to_ascii_lowercase);
    match lower.as_deref().map(OsStr::to_str) {
        None | Some(Some("0" | "false" | "no" | "off")) => Ok(false),
        Some(Some("1" | "true" | "yes" | "on")) => Ok(true),
        Some(_) => Err(format!("{name} is neither 1 nor 0")),
    }
}

pub(crate) fn shell(value: &str) -> Result<Shell, String> {
    match value {
        "bash" => Ok(Shell::Bash),
        "zsh" => Ok(Shell::Zsh),
        "fish" => Ok(Shell::Fish),
        _ => Err(format!(
            "there are completions for bash, zsh and fish, and none for '{value}'"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        let read = |text: &str| size("x", OsStr::new(text)).ok();
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("64M", 64 << 20),
            ("64 MiB", 64 << 20),
            ("10k", 10_240),
            ("1GB", 1_000_000_000),
            ("2g", 2 << 30),
        ] {
            assert_eq!(read(text), Some(bytes), "{text}");
        }
        for wrong in ["", "M", "-1", "1.5M", "1T", "1 M M", "99999999999G"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn syslog_is_a_facility_and_perhaps_a_socket() {
        let read = |text: &str| syslog(OsStr::new(text)).ok();
        let target = |facility, socket: &str| {
            let socket = socket.into();
            Some(Target { facility, socket })
        };
        assert_eq!(read("authpriv"), target(10, "/dev/log"));
        let other = "/run/systemd/journal/dev-log";
        assert_eq!(read(&format!("local3:{other}")), target(19, other));
        for wrong in [
            "",
            "kern",
            "local8",
            "10",
            "authpriv:",
            "user:dev/log",
            "/dev/log",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn users_are_names_or_numbers() {
        let number = |number| Id::Number(number);
        let name = |name: &str| Id::Name(name.to_owned());
        let read = |text| {
            account(text)
                .ok()
                .map(|account| (account.user, account.group))
        };
        assert_eq!(read("7"), Some((number(7), None)));
        assert_eq!(read("7:8"), Some((number(7), Some(number(8)))));
        assert_eq!(read("root"), Some((name("root"), None)));
        assert_eq!(read("_svc:adm"), Some((name("_svc"), Some(name("adm")))));
        for wrong in [
            "",
            ":",
            "1:",
            "4294967295",
            "-1",
            "1:2:3",
            "1a",
            "a b",
            "a/b",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
