//! Landlock: which files can be opened and which TCP ports connected to, enforced by the
//! kernel whatever this process is made to do.
//!
//! Asks for exactly what the kernel's ABI offers, as hard requirements: a right that is
//! not enforced is an error here, never a silence. Which level is enough is decided by
//! `startup`, the only caller, while there is one thread.

use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath,
    PathFd, PathFdError, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus,
    Scope,
};
use nix::errno::Errno;
use nix::libc;

/// The oldest ABI that restricts TCP (Linux 6.7).
pub(crate) const TCP: u32 = 4;

/// The newest ABI whose rights these rules were tested with (Linux 6.15). What newer
/// kernels add is not asked for.
const NEWEST: u32 = 7;

/// Files that the C library's resolver reads, where there are any.
pub const RESOLVER_FILES: [&str; 6] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/services",
];

/// What stays possible. Everything that is not named here is refused.
///
/// Directories are granted as the handles that were opened, not by name: what was
/// checked is what is granted. A rule binds the inode, so a file that is replaced (by
/// rename) stays readable only if its directory is granted.
#[derive(Debug, Default, Clone)]
pub struct Grants<'a> {
    /// Directories whose files are read.
    pub read: Vec<BorrowedFd<'a>>,
    /// Files that are read, where they exist now.
    pub read_files: Vec<&'a Path>,
    /// Directories whose files are created, written, renamed and removed.
    pub write: Vec<BorrowedFd<'a>>,
    /// TCP ports that are connected to.
    pub ports: Vec<u16>,
}

/// What the kernel enforces from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enforced {
    /// The kernel's ABI version.
    pub abi: u32,
    /// Whether TCP is restricted (ABI 4).
    pub tcp: bool,
    /// Whether signals and abstract sockets end at the sandbox (ABI 6).
    pub scopes: bool,
}

/// Why there is no Landlock at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// EPERM: a filter around this process forbids the calls.
    #[error(
        "the container's seccomp profile blocks Landlock: use a profile that allows landlock_create_ruleset, \
         landlock_add_rule and landlock_restrict_self (the default ones of Docker 23 and Podman 4 do)"
    )]
    Blocked,
    /// ENOSYS: the kernel was built without it, or is older than 5.13.
    #[error(
        "this kernel lacks Landlock: use Linux 5.13 or newer (6.7 for all of it) with CONFIG_SECURITY_LANDLOCK"
    )]
    NotInKernel,
    /// EOPNOTSUPP: built in, but not in the list of active security modules.
    #[error(
        "Landlock is disabled at boot: add 'landlock' to the kernel parameter lsm= (see /sys/kernel/security/lsm)"
    )]
    DisabledAtBoot,
    #[error("Landlock does not answer: {0}")]
    Other(Errno),
}

/// A rule that could not be made or enforced.
#[derive(Debug, thiserror::Error)]
pub enum LandlockError {
    /// A file exists and cannot be opened.
    #[error("Landlock: {path}: {error}", path = .path.display())]
    Open { path: PathBuf, error: PathFdError },
    #[error("Landlock: {0}")]
    Rules(#[from] RulesetError),
    /// The calls succeeded and the kernel still does not enforce all that was asked.
    #[error("Landlock: only {0:?}")]
    NotEnforced(RulesetStatus),
}

/// The kernel's ABI version, 1 or more. Asked of the system call itself: the crate does
/// not tell a blocked call from a missing one.
///
/// # Errors
/// There is no Landlock, and why.
pub fn probe() -> Result<u32, Unavailable> {
    const LANDLOCK_CREATE_RULESET_VERSION: u32 = 1;
    // SAFETY: with this flag the call takes no attributes and answers a number.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<libc::c_void>(),
            0_usize,
            LANDLOCK_CREATE_RULESET_VERSION,
        )
    };
    match Errno::result(answer) {
        Ok(version) => u32::try_from(version).map_err(|_| Unavailable::Other(Errno::ERANGE)),
        Err(Errno::EPERM | Errno::EACCES) => Err(Unavailable::Blocked),
        Err(Errno::ENOSYS) => Err(Unavailable::NotInKernel),
        Err(Errno::EOPNOTSUPP) => Err(Unavailable::DisabledAtBoot),
        Err(error) => Err(Unavailable::Other(error)),
    }
}

/// Restricts the calling thread, and those it makes, to `grants`. `version` is what
/// [`probe`] answered. There is no way back and no way to widen it.
///
/// # Errors
/// The kernel refused a rule: nothing is restricted then.
pub fn restrict(grants: &Grants<'_>, version: u32) -> Result<Enforced, LandlockError> {
    let abi = known_abi(version);
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(abi))?;
    let enforced = Enforced {
        abi: version,
        tcp: version >= TCP,
        scopes: version >= 6,
    };
    if enforced.tcp {
        ruleset = ruleset.handle_access(AccessNet::from_all(abi))?;
    }
    if enforced.scopes {
        ruleset = ruleset.scope(Scope::from_all(abi))?;
    }
    let mut created = ruleset.create()?;
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    for directory in &grants.read {
        created = created.add_rule(PathBeneath::new(directory, read))?;
    }
    for path in grants.read_files.iter().filter(|path| path.exists()) {
        let failed = |error| LandlockError::Open {
            path: path.to_path_buf(),
            error,
        };
        let file = PathFd::new(path).map_err(failed)?;
        created = created.add_rule(PathBeneath::new(file, AccessFs::ReadFile))?;
    }
    for directory in &grants.write {
        created = created.add_rule(PathBeneath::new(directory, write_rights(abi)))?;
    }
    if enforced.tcp {
        for port in &grants.ports {
            created = created.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
        }
    }
    match created.restrict_self()?.ruleset {
        RulesetStatus::FullyEnforced => Ok(enforced),
        status => Err(LandlockError::NotEnforced(status)),
    }
}

fn known_abi(version: u32) -> ABI {
    match version.min(NEWEST) {
        0 => ABI::Unsupported,
        1 => ABI::V1,
        2 => ABI::V2,
        3 => ABI::V3,
        4 => ABI::V4,
        5 => ABI::V5,
        6 => ABI::V6,
        _ => ABI::V7,
    }
}

/// What an append-only file and its rotation need, as far as this ABI knows it.
fn write_rights(abi: ABI) -> BitFlags<AccessFs> {
    let wanted = AccessFs::ReadFile
        | AccessFs::ReadDir
        | AccessFs::WriteFile
        | AccessFs::MakeReg
        | AccessFs::RemoveFile
        | AccessFs::Truncate;
    wanted & AccessFs::from_all(abi)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_says_what_to_do() {
        let texts = [
            Unavailable::Blocked,
            Unavailable::NotInKernel,
            Unavailable::DisabledAtBoot,
        ]
        .map(|reason| reason.to_string());
        assert!(texts[0].contains("profile"), "{texts:?}");
        assert!(texts[1].contains("6.7"), "{texts:?}");
        assert!(texts[2].contains("lsm="), "{texts:?}");
    }

    #[test]
    fn every_right_of_a_grant_is_one_the_abi_has() {
        for version in 1..=NEWEST {
            let abi = known_abi(version);
            assert!(AccessFs::from_all(abi).contains(write_rights(abi)));
        }
    }
}
