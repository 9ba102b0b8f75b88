//! How much of the sandbox must hold: the levels, and single rights by name.
//!
//! Owns these words of the command line and what each level demands. What is in force is
//! found out by `startup`, which compares.

use std::ffi::OsStr;

/// How much of the sandbox must hold before the server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sandbox {
    /// All that a kernel of today gives, TCP ports included, or the server does not start.
    Strict,
    /// Files and system calls, and whatever more this kernel gives.
    Required,
    /// What can be had; what is missing is on the record.
    Degraded,
    /// None of it: for debugging with tools that the sandbox stops.
    Off,
}

/// One thing that the sandbox takes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// System calls that the server does not make.
    Seccomp,
    /// Files that are not configured.
    Files,
    /// Cutting off files by name.
    Truncate,
    /// TCP ports that no host uses.
    Tcp,
    /// Commands to devices.
    Ioctl,
    /// Signals to other processes, and their abstract sockets.
    Scopes,
}

impl Right {
    pub(crate) const ALL: [Self; 6] = [
        Self::Seccomp,
        Self::Files,
        Self::Truncate,
        Self::Tcp,
        Self::Ioctl,
        Self::Scopes,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Seccomp => "seccomp",
            Self::Files => "files",
            Self::Truncate => "truncate",
            Self::Tcp => "tcp",
            Self::Ioctl => "ioctl",
            Self::Scopes => "scopes",
        }
    }
}

impl Sandbox {
    pub(crate) const ALL: [Self; 4] = [Self::Strict, Self::Required, Self::Degraded, Self::Off];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Required => "required",
            Self::Degraded => "degraded",
            Self::Off => "off",
        }
    }

    /// What must hold at this level.
    pub(crate) fn floor(self) -> &'static [Right] {
        match self {
            Self::Strict => &[Right::Seccomp, Right::Files, Right::Truncate, Right::Tcp],
            Self::Required => &[Right::Seccomp, Right::Files],
            Self::Degraded | Self::Off => &[],
        }
    }
}

pub(crate) fn parse_level(value: &OsStr) -> Result<Sandbox, String> {
    let found = Sandbox::ALL.into_iter().find(|level| value == level.name());
    found.ok_or_else(|| {
        format!(
            "sandbox level {value:?} is not one of: {}",
            Sandbox::ALL.map(Sandbox::name).join(", ")
        )
    })
}

/// Names of rights, with commas between them.
pub(crate) fn parse_floor(value: &OsStr) -> Result<Vec<Right>, String> {
    let known = Right::ALL.map(Right::name).join(", ");
    let text = value
        .to_str()
        .ok_or_else(|| format!("sandbox-floor: {value:?} is not a list of: {known}"))?;
    let names = text
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty());
    names
        .map(|name| {
            let found = Right::ALL.into_iter().find(|right| right.name() == name);
            found.ok_or_else(|| format!("sandbox-floor: '{name}' is not one of: {known}"))
        })
        .collect()
}
