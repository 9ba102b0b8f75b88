//! Identity: from root to a plain user, and all capabilities gone either way.
//!
//! Nothing here is best effort: [`become_user`] and [`drop_capabilities`] read back what
//! the kernel says afterwards and fail if anything is left. Which user, and whether a
//! failure is fatal, is decided by `startup`, the only caller, while there is one thread.

use std::io;

use nix::errno::Errno;
use nix::libc;
use nix::unistd::{Gid, Uid, getgroups, getresgid, getresuid, setgroups};

/// A step of giving up privileges that failed.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    /// setgroups(2), setresgid(2) or setresuid(2): the process lacks the capability.
    #[error("{0}: {1}")]
    Change(&'static str, Errno),
    /// The kernel reports another identity than the one asked for.
    #[error("the {0} did not change")]
    Kept(&'static str),
    #[error("capabilities: {0}")]
    Capabilities(io::Error),
    /// A set of capabilities is not empty afterwards.
    #[error("capabilities are left in the {0} set")]
    Left(&'static str),
}

pub(crate) fn is_root() -> bool {
    Uid::effective().is_root()
}

pub(crate) fn user() -> u32 {
    Uid::effective().as_raw()
}

pub(crate) fn group() -> u32 {
    Gid::effective().as_raw()
}

/// Becomes `uid` and `gid` for good: real, effective and saved, without further groups.
///
/// # Errors
/// The process may not (a container without CAP_SETUID), or the kernel reports another
/// identity afterwards.
pub fn become_user(uid: u32, gid: u32) -> Result<(), PrivilegeError> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    let change = |call| move |error| PrivilegeError::Change(call, error);
    setgroups(&[]).map_err(change("setgroups"))?;
    nix::unistd::setresgid(gid, gid, gid).map_err(change("setresgid"))?;
    nix::unistd::setresuid(uid, uid, uid).map_err(change("setresuid"))?;

    let users = getresuid().map_err(change("getresuid"))?;
    if [users.real, users.effective, users.saved] != [uid; 3] {
        return Err(PrivilegeError::Kept("user"));
    }
    let groups = getresgid().map_err(change("getresgid"))?;
    if [groups.real, groups.effective, groups.saved] != [gid; 3] {
        return Err(PrivilegeError::Kept("group"));
    }
    let further = getgroups().map_err(change("getgroups"))?;
    if !further.is_empty() {
        return Err(PrivilegeError::Kept("list of groups"));
    }
    Ok(())
}

/// Does something as another user and comes back: how it is learnt whether that user
/// could read the files, before there is no way back. `None` if the process may not.
///
/// # Errors
/// The way back failed: the process must not go on.
pub(crate) fn try_as<T>(
    uid: u32,
    gid: u32,
    action: impl FnOnce() -> T,
) -> Result<Option<T>, PrivilegeError> {
    let groups = getgroups().map_err(|error| PrivilegeError::Change("getgroups", error))?;
    let (own_uid, own_gid) = (Uid::effective(), Gid::effective());
    if setgroups(&[]).is_err() {
        return Ok(None);
    }
    let entered = nix::unistd::setegid(Gid::from_raw(gid))
        .and_then(|()| nix::unistd::seteuid(Uid::from_raw(uid)));
    let result = entered.is_ok().then(action);
    // The saved user is still root, so that the way back is open in this order.
    nix::unistd::seteuid(own_uid)
        .and_then(|()| nix::unistd::setegid(own_gid))
        .and_then(|()| setgroups(&groups))
        .map_err(|error| PrivilegeError::Change("return from another user", error))?;
    Ok(result)
}

/// Empties the bounding set as far as the process may (a plain user may not, and cannot
/// use it either). To be called before [`become_user`], which takes the right away.
pub(crate) fn drop_bounding_set() {
    for capability in 0..64 {
        // SAFETY: takes two numbers; an unknown or forbidden one is an error code.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
    }
}

/// Empties the effective, permitted, inheritable and ambient sets, and verifies it.
///
/// # Errors
/// A call failed, or a set is not empty.
pub(crate) fn drop_capabilities() -> Result<(), PrivilegeError> {
    // SAFETY: takes two numbers. A kernel without ambient capabilities (before 4.3)
    // answers EINVAL, and has none to drop.
    unsafe {
        libc::prctl(
            libc::PR_CAP_AMBIENT,
            libc::PR_CAP_AMBIENT_CLEAR_ALL,
            0,
            0,
            0,
        )
    };
    set_capabilities().map_err(PrivilegeError::Capabilities)?;
    let left = capabilities().map_err(PrivilegeError::Capabilities)?;
    for (set, name) in [
        (left.effective, "effective"),
        (left.permitted, "permitted"),
        (left.inheritable, "inheritable"),
    ] {
        if set != 0 {
            return Err(PrivilegeError::Left(name));
        }
    }
    // SAFETY: takes two numbers. Capability 0 stands for all: CLEAR_ALL is one step.
    let ambient =
        unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_IS_SET, 0, 0, 0) };
    if ambient == 1 {
        return Err(PrivilegeError::Left("ambient"));
    }
    Ok(())
}

/// The three sets of capget(2), 64 bits each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Capabilities {
    pub effective: u64,
    pub permitted: u64,
    pub inheritable: u64,
}

/// `struct __user_cap_header_struct`
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// `struct __user_cap_data_struct`, of which version 3 has two: low and high halves.
#[repr(C)]
#[derive(Default, Clone, Copy)]
struct Half {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// `_LINUX_CAPABILITY_VERSION_3`; pid 0 is the calling thread.
const HEADER: Header = Header {
    version: 0x2008_0522,
    pid: 0,
};

fn set_capabilities() -> io::Result<()> {
    let (header, none) = (HEADER, [Half::default(); 2]);
    // SAFETY: both point to live values of the layout that version 3 asks for.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw const header, &raw const none) };
    Errno::result(result)?;
    Ok(())
}

/// What the calling thread holds.
///
/// # Errors
/// capget(2) failed.
pub(crate) fn capabilities() -> io::Result<Capabilities> {
    let mut header = HEADER;
    let mut halves = [Half::default(); 2];
    // SAFETY: both point to live, writable values of the layout of version 3.
    let result = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, &raw mut halves) };
    Errno::result(result)?;
    let [low, high] = halves;
    let join = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low);
    Ok(Capabilities {
        effective: join(low.effective, high.effective),
        permitted: join(low.permitted, high.permitted),
        inheritable: join(low.inheritable, high.inheritable),
    })
}
