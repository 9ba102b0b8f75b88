//! The system calls that the server may make after the start, and why: the filter's data.
//!
//! To be read by reviewers. A call that is not listed ends the process (SIGSYS): only
//! code that an attacker brought along makes it. A call is answered with an error number
//! instead where a library asks, is told no, and goes on. Numbers are those of
//! arch/x86/entry/syscalls/syscall_64.tbl and of asm-generic/unistd.h (aarch64); a test
//! compares them with the system's headers, and another makes every call with every
//! argument that is named here, and with arguments that are not. Compiled by `seccomp`.

use nix::libc::{EACCES, EAFNOSUPPORT, ENOSYS};

/// One system call.
#[derive(Debug)]
pub struct Call {
    pub name: &'static str,
    /// Number on x86_64, if it exists there.
    pub x86_64: Option<u16>,
    /// Number on aarch64, if it exists there.
    pub aarch64: Option<u16>,
    pub verdict: Verdict,
    /// Who makes it and what for.
    pub why: &'static str,
}

/// What becomes of a call.
#[derive(Debug)]
pub enum Verdict {
    /// Made, whatever its arguments.
    Allow,
    /// Made if every test of one of the alternatives holds.
    Only(&'static [&'static [Test]], Otherwise),
    /// Not made: the caller gets this error number and copes.
    Refuse(i32),
}

/// What becomes of a call whose arguments are not among the accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Otherwise {
    Kill,
    Errno(i32),
}

/// `argument & mask == value`, of the low 32 bits (the kernel reads these as `int`, or
/// all flags that exist are among them).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Test {
    /// Counted from 0.
    pub argument: u8,
    pub mask: u32,
    pub value: Value,
}

/// What an argument is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    Is(u32),
    /// This process's id, known when the filter is compiled.
    OwnPid,
}

const fn is(argument: u8, value: u32) -> Test {
    masked(argument, u32::MAX, value)
}

const fn masked(argument: u8, mask: u32, value: u32) -> Test {
    Test {
        argument,
        mask,
        value: Value::Is(value),
    }
}

const fn both(name: &'static str, x86_64: u16, aarch64: u16, why: &'static str) -> Call {
    Call {
        name,
        x86_64: Some(x86_64),
        aarch64: Some(aarch64),
        verdict: Verdict::Allow,
        why,
    }
}

impl Call {
    const fn x86_only(mut self) -> Self {
        self.aarch64 = None;
        self
    }

    const fn only(mut self, accepted: &'static [&'static [Test]], otherwise: Otherwise) -> Self {
        self.verdict = Verdict::Only(accepted, otherwise);
        self
    }

    const fn refused(mut self, error: i32) -> Self {
        self.verdict = Verdict::Refuse(error);
        self
    }
}

// Values that <linux/*.h> gives names to; the same on both architectures.
const AF_UNIX: u32 = 1;
const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;
const SOCK_STREAM: u32 = 1;
const SOCK_DGRAM: u32 = 2;
/// All of a socket's type but SOCK_NONBLOCK and SOCK_CLOEXEC.
const SOCK_TYPE: u32 = !(0o4000 | 0o2000000);
const IPPROTO_IP: u32 = 0;
const IPPROTO_TCP: u32 = 6;
const IPPROTO_UDP: u32 = 17;
const IPPROTO_IPV6: u32 = 41;
const SOL_SOCKET: u32 = 1;
const MSG_FASTOPEN: u32 = 0x2000_0000;
const PROT_EXEC: u32 = 4;
/// CLONE_VM, FS, FILES, SIGHAND, THREAD, SYSVSEM, SETTLS, PARENT_SETTID and
/// CHILD_CLEARTID: exactly what pthread_create(3) asks for, so no new namespace.
const THREAD: u32 = 0x003d_0f00;
/// A futex operation without FUTEX_PRIVATE_FLAG and FUTEX_CLOCK_REALTIME.
const FUTEX_COMMAND: u32 = !(128 | 256);

/// Sockets to hosts and name servers. Any other protocol, above all MPTCP, would go past
/// Landlock's TCP rules; AF_UNIX is what glibc tries first (nscd), AF_NETLINK what it
/// asks for the machine's addresses: it goes on without either.
const INET_SOCKETS: &[&[Test]] = &[
    &[is(0, AF_INET), masked(1, SOCK_TYPE, SOCK_STREAM), is(2, 0)],
    &[
        is(0, AF_INET),
        masked(1, SOCK_TYPE, SOCK_STREAM),
        is(2, IPPROTO_TCP),
    ],
    &[is(0, AF_INET), masked(1, SOCK_TYPE, SOCK_DGRAM), is(2, 0)],
    &[
        is(0, AF_INET),
        masked(1, SOCK_TYPE, SOCK_DGRAM),
        is(2, IPPROTO_UDP),
    ],
    &[is(0, AF_INET6), masked(1, SOCK_TYPE, SOCK_STREAM), is(2, 0)],
    &[
        is(0, AF_INET6),
        masked(1, SOCK_TYPE, SOCK_STREAM),
        is(2, IPPROTO_TCP),
    ],
    &[is(0, AF_INET6), masked(1, SOCK_TYPE, SOCK_DGRAM), is(2, 0)],
    &[
        is(0, AF_INET6),
        masked(1, SOCK_TYPE, SOCK_DGRAM),
        is(2, IPPROTO_UDP),
    ],
];

/// Added to the filter only where a credential says `agent: true`.
pub const AGENT_SOCKET: &[Test] = &[is(0, AF_UNIX), masked(1, SOCK_TYPE, SOCK_STREAM), is(2, 0)];

/// What a look-up of a name has no use for, of what the table lets the process do: it parses
/// what strangers answer, and opens a few files to read them. Ends the process, as what is
/// not in the table does.
pub const BEYOND_RESOLVERS: &[(&str, &[&[Test]])] = &[
    // Any way of opening that can change a file.
    (
        "openat",
        &[
            &[masked(2, O_ACCMODE, 1)],
            &[masked(2, O_ACCMODE, 2)],
            &[masked(2, O_ACCMODE, 3)],
            &[masked(2, O_CREAT, O_CREAT)],
            &[masked(2, O_TRUNC, O_TRUNC)],
        ],
    ),
    ("openat2", &[]),
    ("ftruncate", &[]),
    ("renameat", &[]),
    ("unlinkat", &[]),
    ("linkat", &[]),
    ("fchmod", &[]),
    ("fchown", &[]),
    ("flock", &[]),
    ("fsync", &[]),
    ("fdatasync", &[]),
    ("getdents64", &[]),
    ("readlinkat", &[]),
    ("eventfd2", &[]),
];

/// Options of sockets that `ssh` and the resolver set.
const SOCKET_OPTIONS: &[&[Test]] = &[
    &[is(1, SOL_SOCKET), is(2, 9)],    // SO_KEEPALIVE
    &[is(1, SOL_SOCKET), is(2, 13)],   // SO_LINGER
    &[is(1, SOL_SOCKET), is(2, 20)],   // SO_RCVTIMEO
    &[is(1, SOL_SOCKET), is(2, 21)],   // SO_SNDTIMEO
    &[is(1, IPPROTO_TCP), is(2, 1)],   // TCP_NODELAY
    &[is(1, IPPROTO_TCP), is(2, 4)],   // TCP_KEEPIDLE
    &[is(1, IPPROTO_TCP), is(2, 5)],   // TCP_KEEPINTVL
    &[is(1, IPPROTO_TCP), is(2, 6)],   // TCP_KEEPCNT
    &[is(1, IPPROTO_TCP), is(2, 12)],  // TCP_QUICKACK
    &[is(1, IPPROTO_TCP), is(2, 18)],  // TCP_USER_TIMEOUT
    &[is(1, IPPROTO_IP), is(2, 11)],   // IP_RECVERR
    &[is(1, IPPROTO_IPV6), is(2, 25)], // IPV6_RECVERR
];

const O_ACCMODE: u32 = 3;
const O_CREAT: u32 = 0o100;
const O_TRUNC: u32 = 0o1000;

const KILL: Otherwise = Otherwise::Kill;
const NOT_PERMITTED: Otherwise = Otherwise::Errno(EACCES);

/// The filter, in the order of x86_64 numbers.
#[rustfmt::skip]
pub const CALLS: &[Call] = &[
    both("read", 0, 63, "stdin, sockets, files, event descriptors"),
    both("write", 1, 64, "stdout, stderr, the audit file, event descriptors"),
    both("close", 3, 57, "everything that was opened"),
    both("fstat", 5, 80, "size and kind of a file before it is read"),
    both("poll", 7, 0, "waiting for sockets, stdin and wake-ups").x86_only(),
    both("lseek", 8, 62, "the C library's stdio in the resolver; a file is sent from its beginning"),
    both("mmap", 9, 222, "memory and thread stacks; never executable: dlopen(3) of a name service module is told no")
        .only(&[&[masked(2, PROT_EXEC, 0)]], NOT_PERMITTED),
    both("mprotect", 10, 226, "thread stacks' guard pages and the allocator's arenas; never executable")
        .only(&[&[masked(2, PROT_EXEC, 0)]], KILL),
    both("munmap", 11, 215, "memory given back"),
    both("brk", 12, 214, "the allocator's main arena"),
    both("rt_sigaction", 13, 134, "abort(3) restores the default action of SIGABRT"),
    both("rt_sigprocmask", 14, 135, "threads start and end with signals blocked"),
    both("rt_sigreturn", 15, 139, "the runtime's handler of stack overflows returns"),
    both("ioctl", 16, 29, "FIONBIO and FIONREAD on sockets; isatty(3) is told no")
        .only(&[&[is(1, 0x5421)], &[is(1, 0x541b)]], NOT_PERMITTED),
    both("writev", 20, 66, "the resolver's TCP queries, vectored writes"),
    both("sched_yield", 24, 124, "locks that spin a little"),
    both("mremap", 25, 216, "growing buffers"),
    both("madvise", 28, 233, "memory given back by the allocator and by ended threads"),
    both("nanosleep", 35, 101, "sleep(3) in libraries"),
    both("getpid", 39, 172, "abort(3), and the libraries' check for a fork"),
    both("socket", 41, 198, "connections to hosts and name servers, over IPv4 and IPv6 only")
        .only(INET_SOCKETS, Otherwise::Errno(EAFNOSUPPORT)),
    both("connect", 42, 203, "hosts and name servers; ports are Landlock's part, addresses the policy's"),
    both("sendto", 44, 206, "sockets; MSG_FASTOPEN would connect past Landlock")
        .only(&[&[masked(3, MSG_FASTOPEN, 0)]], KILL),
    both("recvfrom", 45, 207, "sockets"),
    both("sendmsg", 46, 211, "sockets, as sendto").only(&[&[masked(2, MSG_FASTOPEN, 0)]], KILL),
    both("recvmsg", 47, 212, "the resolver's error queue"),
    both("shutdown", 48, 210, "sockets are closed in an orderly way"),
    both("getsockname", 51, 204, "getaddrinfo(3) sorts addresses by their source"),
    both("getpeername", 52, 205, "the address that was connected to goes on the record"),
    both("setsockopt", 54, 208, "keepalive, TCP_NODELAY, time limits").only(SOCKET_OPTIONS, NOT_PERMITTED),
    both("getsockopt", 55, 209, "SO_ERROR after a connection that was waited for"),
    both("clone", 56, 220, "threads; never a process, never a namespace").only(&[&[is(0, THREAD)]], KILL),
    both("exit", 60, 93, "a thread ends"),
    both("uname", 63, 160, "the resolver asks for the machine's name"),
    both("fcntl", 72, 25, "F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC")
        .only(&[&[is(1, 1)], &[is(1, 2)], &[is(1, 3)], &[is(1, 4)], &[is(1, 1030)]], NOT_PERMITTED),
    both("flock", 73, 32, "the audit file has one writer; a file that is fetched is no one else's to sweep"),
    both("fsync", 74, 82, "the audit directory after a rotation; a file that was fetched; trust: known_hosts and its directory"),
    both("fdatasync", 75, 83, "the audit file before a command is sent"),
    both("ftruncate", 77, 46, "a torn last line of the audit file is mended"),
    both("getcwd", 79, 17, "a relative path in an error's text"),
    both("fchmod", 91, 52, "trust: known_hosts keeps its mode where it is replaced"),
    both("fchown", 93, 55, "a rotated audit file keeps its group"),
    both("gettimeofday", 96, 169, "time where there is no vDSO"),
    both("sysinfo", 99, 179, "the C library's qsort(3) asks how much memory it may take"),
    both("getuid", 102, 174, "the C library asks whether it runs with raised privileges"),
    both("getgid", 104, 176, "as getuid"),
    both("geteuid", 107, 175, "as getuid"),
    both("getegid", 108, 177, "as getuid"),
    both("sigaltstack", 131, 132, "each thread has its own stack for stack overflows"),
    both("fstatfs", 138, 44, "room on the audit file's disk"),
    both("prctl", 157, 167, "PR_SET_NAME of threads; PR_SET_NO_NEW_PRIVS before each further filter; the self-check's PR_GET_DUMPABLE, PR_GET_SECCOMP and PR_GET_NO_NEW_PRIVS")
        .only(&[&[is(0, 15)], &[is(0, 38)], &[is(0, 3)], &[is(0, 21)], &[is(0, 39)]], NOT_PERMITTED),
    both("gettid", 186, 178, "abort(3)"),
    both("time", 201, 0, "time where there is no vDSO").x86_only(),
    both("futex", 202, 98, "locks: wait and wake; never with priority inheritance")
        .only(&[
            &[masked(1, FUTEX_COMMAND, 0)], &[masked(1, FUTEX_COMMAND, 1)],
            &[masked(1, FUTEX_COMMAND, 9)], &[masked(1, FUTEX_COMMAND, 10)],
        ], KILL),
    both("sched_getaffinity", 204, 123, "the allocator sizes its arenas, threads look at their stacks"),
    both("getdents64", 217, 61, "the audit directory is looked through for what is old, that for transfers for what was left"),
    both("restart_syscall", 219, 128, "the kernel resumes a wait after a stop signal"),
    both("clock_gettime", 228, 113, "time where there is no vDSO"),
    both("clock_nanosleep", 230, 115, "sleeping threads"),
    both("exit_group", 231, 94, "the process ends"),
    both("tgkill", 234, 131, "abort(3) raises SIGABRT in this process, and in no other")
        .only(&[&[Test { argument: 0, mask: u32::MAX, value: Value::OwnPid }]], KILL),
    both("openat", 257, 56, "known_hosts, keys, the resolver's files, the audit file; files that are transferred; which ones is Landlock's part"),
    both("newfstatat", 262, 79, "the resolver notices a changed resolv.conf"),
    both("unlinkat", 263, 35, "what a rotation, a fetch, or trust, prepared and did not take into use"),
    both("renameat", 264, 38, "the audit file is rotated; a file that was fetched takes another's place; trust: known_hosts is replaced"),
    both("linkat", 265, 37, "a file that was fetched gets its name, unless there is one"),
    both("readlinkat", 267, 78, "links beneath are followed by hand where there is no openat2"),
    both("ppoll", 271, 73, "as poll, which aarch64 lacks"),
    both("set_robust_list", 273, 99, "each thread at its start"),
    both("eventfd2", 290, 19, "a wake-up for each task"),
    both("sendmmsg", 307, 269, "the resolver sends its two queries at once").only(&[&[masked(3, MSG_FASTOPEN, 0)]], KILL),
    both("getrandom", 318, 278, "keys, and hash tables' seeds"),
    both("statx", 332, 291, "size and kind of a file"),
    both("rseq", 334, 293, "each thread at its start"),
    both("clone3", 435, 435, "pthread_create(3) tries it first; its arguments cannot be filtered").refused(ENOSYS),
    both("openat2", 437, 437, "keys and secrets are opened beneath their directories"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_kernel_headers() {
        let header = |path: &str| {
            std::fs::read_to_string(path)
                .unwrap_or_else(|error| panic!("{path}: {error}; apt-get install linux-libc-dev"))
        };
        let number = |text: &str, names: &[String]| {
            text.lines().find_map(|line| {
                let mut words = line.split_whitespace();
                let found = words.next() == Some("#define")
                    && names.iter().any(|name| words.clone().next() == Some(name));
                found.then(|| words.nth(1).unwrap().to_owned())
            })
        };
        let generic = header("/usr/include/asm-generic/unistd.h");
        for call in CALLS {
            let Some(expected) = call.aarch64 else {
                assert!(number(&generic, &[format!("__NR_{}", call.name)]).is_none());
                continue;
            };
            // Some calls have a second, width-neutral name there.
            let names = ["__NR_", "__NR3264_"].map(|prefix| format!("{prefix}{}", call.name));
            let names = [
                &names[..],
                &[match call.name {
                    "newfstatat" => "__NR3264_fstatat".to_owned(),
                    name => format!("__NR_{}", name.trim_end_matches("64")),
                }],
            ]
            .concat();
            let found = number(&generic, &names);
            assert_eq!(
                found.as_deref(),
                Some(expected.to_string().as_str()),
                "{}",
                call.name
            );
        }
        let x86 = header("/usr/include/x86_64-linux-gnu/asm/unistd_64.h");
        for call in CALLS {
            let expected = call.x86_64.unwrap().to_string();
            let found = number(&x86, &[format!("__NR_{}", call.name)]);
            assert_eq!(found.as_deref(), Some(expected.as_str()), "{}", call.name);
        }
    }

    #[test]
    fn the_list_is_in_order_and_each_call_says_why() {
        let numbers: Vec<_> = CALLS.iter().map(|call| call.x86_64).collect();
        assert!(numbers.is_sorted(), "{numbers:?}");
        for pair in CALLS.windows(2) {
            assert_ne!(pair[0].x86_64, pair[1].x86_64);
        }
        assert!(CALLS.iter().all(|call| call.why.len() > 3));
        for (name, _) in BEYOND_RESOLVERS {
            assert!(CALLS.iter().any(|call| call.name == *name), "{name}");
        }
    }
}
