//! The process's own attributes: not dumpable, no core, descriptors, umask, environment,
//! no new privileges.
//!
//! Each function changes one attribute and reads it back where the kernel lets it. None
//! decides whether a failure matters. Called by `startup` while there is one thread.

use std::ffi::CStr;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use nix::errno::Errno;
use nix::libc;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};
use nix::unistd::AccessFlags;

use crate::sys::single_threaded::SingleThreaded;

/// New files are for their owner only.
pub(crate) fn restrict_new_files() {
    umask(Mode::from_bits_truncate(0o077));
}

/// Arenas of glibc's allocator: a thread a task would get it eight a core, and each keeps
/// what its threads freed.
#[cfg(target_env = "gnu")]
const ARENAS: libc::c_int = 2;
/// Bytes. Larger blocks are mapped, and given back to the system when freed; free memory
/// at the end of the heap beyond this is given back too. Both are glibc's first values,
/// which it would raise as large blocks come and go (mallopt(3)).
#[cfg(target_env = "gnu")]
const GIVE_BACK: libc::c_int = 128 * 1024;

/// Keeps freed memory from staying with the process: what is resident follows what is in
/// use, also after a burst of tasks. Does nothing with another C library; another allocator
/// (AddressSanitizer's, say) may refuse, and then memory stays longer and all else is well.
pub(crate) fn give_freed_memory_back(_: &SingleThreaded) {
    #[cfg(target_env = "gnu")]
    for (parameter, value) in [
        (libc::M_ARENA_MAX, ARENAS),
        (libc::M_MMAP_THRESHOLD, GIVE_BACK),
        (libc::M_TRIM_THRESHOLD, GIVE_BACK),
    ] {
        // SAFETY: takes two numbers, before there is a second thread.
        unsafe { libc::mallopt(parameter, value) };
    }
}

/// Closes /proc/PID/mem and ptrace(2) to processes of the same user, and forbids core
/// files: keys and passphrases pass through this memory.
///
/// # Errors
/// The attribute did not take effect. A change of uid resets it: to be called again
/// after one.
pub(crate) fn forbid_dumps() -> io::Result<()> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    nix::sys::prctl::set_dumpable(false)?;
    if dumps_forbidden() {
        Ok(())
    } else {
        Err(io::Error::other("the process is still dumpable"))
    }
}

/// What the kernel says of [`forbid_dumps`].
pub(crate) fn dumps_forbidden() -> bool {
    nix::sys::prctl::get_dumpable() == Ok(false)
}

/// Raises the soft limit of open descriptors towards `wanted`, as far as the hard limit
/// lets it. Returns what holds now.
///
/// # Errors
/// The limit cannot be read or set.
pub(crate) fn raise_descriptor_limit(wanted: u64) -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let target = wanted.min(hard).max(soft);
    setrlimit(Resource::RLIMIT_NOFILE, target, hard)?;
    Ok(target)
}

/// How many bytes of memory the process may have, if anything limits it: its control group,
/// those above that, or RLIMIT_AS. Asked before the sandbox closes.
pub(crate) fn memory_limit() -> Option<u64> {
    let address_space = match getrlimit(Resource::RLIMIT_AS) {
        Ok((soft, _)) if soft != nix::sys::resource::RLIM_INFINITY => Some(soft),
        _ => None,
    };
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let of_group = groups.lines().filter_map(group_limit).min();
    address_space.into_iter().chain(of_group).min()
}

/// The least limit of one control group (a line of cgroups(7)'s /proc/PID/cgroup) and of those
/// above it, as far as they can be seen: in a container its own is the root.
fn group_limit(line: &str) -> Option<u64> {
    let mut parts = line.splitn(3, ':');
    let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
    let (root, file) = match controllers {
        "" => ("/sys/fs/cgroup", "memory.max"),
        own if own.split(',').any(|name| name == "memory") => {
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
        }
        _ => return None,
    };
    let limit = |group: &Path| {
        let group = group.strip_prefix("/").unwrap_or(group);
        let text = std::fs::read_to_string(Path::new(root).join(group).join(file)).ok()?;
        // Without a limit it is `max`, or in version 1 the largest number of pages.
        let bytes: u64 = text.trim().parse().ok()?;
        (bytes < 1 << 60).then_some(bytes)
    };
    Path::new(path).ancestors().filter_map(limit).min()
}

/// No program that this process could start would gain privileges (execve(2) is
/// forbidden as well); without it a plain user may not install filters.
///
/// # Errors
/// The attribute did not take effect.
pub fn forbid_new_privileges() -> io::Result<()> {
    nix::sys::prctl::set_no_new_privs()?;
    if new_privileges_forbidden() {
        Ok(())
    } else {
        Err(io::Error::other("no_new_privs did not take effect"))
    }
}

/// What the kernel says of [`forbid_new_privileges`].
pub(crate) fn new_privileges_forbidden() -> bool {
    nix::sys::prctl::get_no_new_privs() == Ok(true)
}

/// Whether the effective user could make, write and rename `path` where it is.
pub(crate) fn can_write_beside(path: &Path) -> bool {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let allowed = |path: &Path, access| nix::unistd::eaccess(path, access);
    let file = match allowed(path, AccessFlags::R_OK | AccessFlags::W_OK) {
        Ok(()) | Err(Errno::ENOENT) => true,
        Err(_) => false,
    };
    file && allowed(directory, AccessFlags::W_OK | AccessFlags::X_OK).is_ok()
}

/// Whether the effective user could connect to the socket at `path` (unix(7): by write
/// permission). Whoever listens there may still refuse it.
pub(crate) fn can_connect(path: &Path) -> bool {
    let is_socket = std::fs::metadata(path).is_ok_and(|found| found.file_type().is_socket());
    is_socket && nix::unistd::eaccess(path, AccessFlags::W_OK).is_ok()
}

/// Whether a variable of the environment is set and not empty.
pub(crate) fn variable_is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty())
}

/// Wipes the values of all environment variables in place and empties the environment.
/// What a secret's variable held is then only where the configuration keeps it.
///
/// # Errors
/// The environment cannot be cleared.
pub(crate) fn clear_environment(alone: &SingleThreaded) -> io::Result<()> {
    wipe_environment(alone);
    // SAFETY: there is one thread, and no reference into the environment is held.
    Errno::result(unsafe { libc::clearenv() }).map(drop)?;
    Ok(())
}

unsafe extern "C" {
    /// environ(7)
    static environ: *mut *mut libc::c_char;
}

fn wipe_environment(_: &SingleThreaded) {
    // SAFETY: environ(7) is null or a null-terminated array of pointers to NUL-terminated
    // strings. They lie on the initial stack or were allocated by setenv(3), and are
    // writable; with one thread nobody else looks at them. The volatile writes stay
    // within the length that strlen counted.
    unsafe {
        let mut entry = environ;
        while !entry.is_null() && !(*entry).is_null() {
            let text = *entry;
            let length = CStr::from_ptr(text).count_bytes();
            for offset in 0..length {
                text.add(offset).write_volatile(0);
            }
            entry = entry.add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptor_limit_is_never_lowered() {
        let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert!(raise_descriptor_limit(1).unwrap() >= soft);
    }
}
