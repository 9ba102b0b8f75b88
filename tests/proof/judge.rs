//! Whether what a program did is what its description says.

use mcp_ssh_orchestrator::testing::policy::programs::probe::Look;

use crate::families::Program;
use crate::trace::Deed;

/// What every program may open for writing.
const ANYBODY: &[&str] = &[
    "/dev/null",
    "/dev/tty",
    "/dev/stdout",
    "/dev/stderr",
    "/dev/pts/*",
    // The name of a thread.
    "/proc/self/task/*",
];

/// Sockets where names of users and hosts are looked up, and where daemons are asked. What a
/// daemon does is not seen here.
const SOCKETS: &[&str] = &[
    "/run/*",
    "/var/run/*",
    "/dev/log",
    "nstat0",
    "rtacct0",
    "public/*",
    "cib_*",
    "cmap*",
    "cfg0*",
    "pacemakerd*",
    "crmd*",
    "/org/kernel/linux/storage/multipathd*",
];

/// Calls that programs are there for.
const CALLS: &[(&str, &str)] = &[
    ("nice", "setpriority"),
    ("ionice", "ioprio_set"),
    ("pmap", "shmget"),
    ("pmap", "shmctl"),
    ("taskset", "sched_setaffinity"),
    ("timeout", "kill"),
    ("strace", "kill"),
    // Filters what it hears of new devices.
    ("lsusb", "setsockopt SET"),
    ("tcpdump", "setsockopt SET"),
    ("udevadm", "setsockopt SET"),
    // The child that it has look for servers.
    ("smbclient", "kill"),
    // A test of its configuration tries whether the ports are free.
    ("nginx", "listen"),
    // Ask a device what it is.
    ("btrfs", "ioctl BTRFS_IOC_INO_LOOKUP"),
    ("btrfs", "ioctl BTRFS_IOC_SUBVOL_GETFLAGS"),
    ("btrfs", "ioctl BTRFS_IOC_TREE_SEARCH"),
    ("e2fsck", "ioctl FDGETPRM"),
    ("fdisk", "ioctl FDGETPRM"),
    ("sfdisk", "ioctl FDGETPRM"),
    ("hdparm", "ioctl HDIO_GET_IDENTITY"),
    ("hdparm", "ioctl HDIO_GET_MULTCOUNT"),
    ("hdparm", "ioctl SG_IO"),
    ("mdadm", "ioctl GET_ARRAY_INFO"),
    ("nvme", "ioctl NVME_IOCTL_ADMIN_CMD"),
    // Older ways to ask.
    ("brctl", "ioctl SIOCDEVPRIVATE"),
    ("filefrag", "ioctl FIBMAP"),
    // Tries in /tmp what the file system can.
    ("borg", "ioctl FS_IOC_SETFLAGS"),
    ("ufw", "sendmsg netlink"),
    // GLib gives its threads the priority that they have.
    ("nmcli", "sched_setattr"),
    ("strace", "ptrace"),
    ("timeout", "setpriority"),
    ("sudo", "setpriority"),
    ("sudo", "prlimit64"),
    ("sudo", "kill"),
    // A node of Erlang's own for as long as it runs, which takes nobody without its cookie.
    ("rabbitmq-diagnostics", "listen"),
    ("rabbitmqctl", "listen"),
    // Become the daemon's user.
    ("rabbitmq-diagnostics", "keyctl"),
    ("rabbitmq-diagnostics", "setpriority"),
    ("rabbitmqctl", "keyctl"),
    ("rabbitmqctl", "setpriority"),
];

/// What the description does not allow.
pub(crate) fn findings<'d>(
    program: &Program,
    inner: &[&Program],
    look: &Look,
    words: &[String],
    deeds: &'d [Deed],
) -> Vec<&'d Deed> {
    let effects = look.effects.as_deref().unwrap_or_default();
    let has = |effect: &str| effects.split(", ").any(|one| one == effect);
    let levels = || std::iter::once(program).chain(inner.iter().copied());
    let is_known = |file: &str| {
        let name = file.rsplit('/').next().unwrap_or(file);
        levels().any(|level| level.names.contains(&name) || level.helpers.contains(&name))
            || look
                .inner
                .clone()
                .is_some_and(|inner| words[inner].iter().any(|word| word == name))
    };
    deeds
        .iter()
        .filter(|deed| {
            let allowed = match deed {
                Deed::Writes(file) => {
                    one_of(ANYBODY, file) || levels().any(|level| one_of(&level.may_write, file))
                }
                Deed::Changes(call) => {
                    let file = call.split_once(' ').map_or("", |(_, file)| file);
                    // Memory of its own.
                    file.starts_with("/memfd:")
                        || levels().any(|level| one_of(&level.may_write, file))
                }
                Deed::Starts(file) => is_known(file),
                Deed::Asks(file) => one_of(SOCKETS, file) || has("network"),
                // A name server may be asked for the names of addresses.
                Deed::Reaches(address) => {
                    has("network") || address.ends_with(" 53") || address.ends_with(" 0")
                        // What runs on this host is asked about this host.
                        || address.starts_with("127.")
                        || address.starts_with("::1 ")
                        // Sorts its own addresses.
                        || address.starts_with("0.0.0.0 ")
                        || address.starts_with(":: ")
                }
                Deed::Loads(_) => false,
                Deed::Calls(call) => levels().any(|level| {
                    CALLS
                        .iter()
                        .any(|(name, known)| level.names.contains(name) && known == call)
                }),
            };
            !allowed
        })
        .collect()
}

fn one_of(patterns: &[&str], file: &str) -> bool {
    patterns
        .iter()
        .any(|pattern| match pattern.strip_suffix('*') {
            Some(beginning) => file.starts_with(&beginning.replace('~', "/root")),
            None => pattern.replace('~', "/root") == file,
        })
}

/// Whether the description names a file that is written.
pub(crate) fn may_write(program: &Program, inner: &[&Program], file: &str) -> bool {
    let mut levels = std::iter::once(program).chain(inner.iter().copied());
    levels.any(|level| one_of(&level.may_write, file))
}
