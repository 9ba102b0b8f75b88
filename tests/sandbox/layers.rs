//! Promise: what the sandbox forbids, the kernel refuses, with exactly this error or
//! signal; and what the server needs goes on working.
//!
//! Each probe is made three times: free (the control: it must succeed, so that no probe
//! can pass for nothing), under Landlock alone, and under the whole sandbox; as root and
//! as a plain user. Each in a process of its own.

#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_sign_loss,
    clippy::cast_possible_truncation,
    reason = "makes system calls as an attacker would; a failed step is a failed test"
)]

use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::child::{Ended, Idle};
use mcp_ssh_orchestrator::testing::audit;
use mcp_ssh_orchestrator::testing::sys::landlock::{self, Grants, RESOLVER_FILES};
use mcp_ssh_orchestrator::testing::sys::seccomp::{self, Needs};
use mcp_ssh_orchestrator::testing::sys::{privileges, process};
use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::Signal;
use nix::unistd::Uid;

use Expected::{Error, Killed, Unsaid, Works};

/// How a probe must end under a layer.
#[derive(Debug, Clone, Copy)]
enum Expected {
    Works,
    Error(Errno),
    Killed,
    /// Differs between kernels: why there is another layer.
    Unsaid,
}

struct Probe {
    name: &'static str,
    action: fn(&World) -> Result<(), Errno>,
    landlock: Expected,
    both: Expected,
}

const fn probe(
    name: &'static str,
    action: fn(&World) -> Result<(), Errno>,
    landlock: Expected,
    both: Expected,
) -> Probe {
    Probe {
        name,
        action,
        landlock,
        both,
    }
}

const NO: Expected = Error(Errno::EACCES);
const NO_FAMILY: Expected = Error(Errno::EAFNOSUPPORT);

#[rustfmt::skip]
const PROBES: &[Probe] = &[
    // What the server does.
    probe("read a granted file", |w| read(&w.readable.join("file")), Works, Works),
    probe("read a resolver's file", |_| read(Path::new("/etc/hosts")), Works, Works),
    probe("write, rename, remove in the audit directory", rotate, Works, Works),
    probe("connect to a configured port", |w| connect(w.open_port), Works, Works),
    probe("ask a name server", |w| datagram(w.udp_port), Works, Works),
    probe("look up localhost", |_| look_up("localhost"), Works, Works),
    probe("start threads that allocate", |_| threads(), Works, Works),
    probe("open beneath a directory", open_beneath, Works, Works),
    // Files.
    probe("read another file", |w| read(&w.outside.join("file")), NO, NO),
    probe("read /etc/passwd", |_| read(Path::new("/etc/passwd")), NO, NO),
    probe("read /proc", |_| read(Path::new("/proc/self/status")), NO, NO),
    probe("list the root", |_| done(fs::read_dir("/")), NO, NO),
    probe("leave a granted directory", |w| read(&w.readable.join("../outside/file")), NO, NO),
    probe("follow a link out", |w| read(&w.readable.join("link")), NO, NO),
    probe("write a readable file", |w| append(&w.readable.join("file")), NO, NO),
    probe("create beside readable files", |w| create(&w.readable.join("new")), NO, NO),
    probe("create a file elsewhere", |w| create(&w.outside.join("new")), NO, NO),
    probe("truncate by name", |w| truncate(&w.outside.join("file")), NO, Killed),
    probe("make a directory", make_directory, NO, Killed),
    probe("make a link", make_link, Error(Errno::EXDEV), Error(Errno::EXDEV)),
    probe("make a symbolic link", make_symbolic_link, NO, Killed),
    probe("change a mode", |w| chmod(&w.writable.join("own")), Works, Killed),
    // Network.
    probe("connect to another port", |w| connect(w.closed_port), NO, NO),
    probe("connect past TCP rules by MPTCP", |w| stream(IPPROTO_MPTCP, w.closed_port), Unsaid, NO_FAMILY),
    probe("connect past TCP rules by FASTOPEN", |w| fast_open(w.closed_port), Unsaid, Killed),
    probe("bind", |_| bind(), NO, Killed),
    probe("listen without bind", |_| listen(), Unsaid, Killed),
    probe("abstract socket", |w| done(UnixStream::connect_addr(&w.address())), Error(Errno::EPERM), NO_FAMILY),
    probe("socket of a path", |w| done(UnixStream::connect(w.outside.join("socket"))), Unsaid, NO_FAMILY),
    probe("netlink", |_| socket(libc::AF_NETLINK, libc::SOCK_RAW, 0), Works, NO_FAMILY),
    probe("SCTP, DCCP and others", |_| socket(libc::AF_INET, libc::SOCK_STREAM, 132), Unsaid, NO_FAMILY),
    // Other processes.
    probe("signal a process", |w| kill(w.neighbour.0.as_raw()), Error(Errno::EPERM), Killed),
    probe("signal a thread", |w| tgkill(w.neighbour.0.as_raw()), Error(Errno::EPERM), Killed),
    probe("fork", |_| fork(), Works, Killed),
    probe("execve", |w| execute(&w.readable.join("program")), NO, Killed),
    probe("ptrace", |_| call(libc::SYS_ptrace, [0; 5]), Works, Killed),
    probe("read a process's memory", |_| read_memory(), Works, Killed),
    probe("open a process", |_| call(libc::SYS_pidfd_open, [std::process::id().into(), 0, 0, 0, 0]), Works, Killed),
    // Code.
    probe("map executable memory", |_| executable_map(), Works, NO),
    probe("make memory executable", |_| executable_protect(), Works, Killed),
    probe("make an anonymous file", |_| call(libc::SYS_memfd_create, [c"x".as_ptr() as u64, 0, 0, 0, 0]), Works, Killed),
    probe("change the personality", |_| call(libc::SYS_personality, [0xffff_ffff, 0, 0, 0, 0]), Works, Killed),
];

/// Whose control run a machine may refuse on its own: it must only not end the process.
#[rustfmt::skip]
const KERNEL_SURFACE: &[(&str, i64)] = &[
    ("io_uring_setup", libc::SYS_io_uring_setup),
    ("bpf", libc::SYS_bpf),
    ("userfaultfd", libc::SYS_userfaultfd),
    ("keyctl", libc::SYS_keyctl),
    ("add_key", libc::SYS_add_key),
    ("perf_event_open", libc::SYS_perf_event_open),
    ("unshare", libc::SYS_unshare),
    ("setns", libc::SYS_setns),
    ("mount", libc::SYS_mount),
    ("pivot_root", libc::SYS_pivot_root),
    ("chroot", libc::SYS_chroot),
    ("init_module", libc::SYS_init_module),
    ("kexec_load", libc::SYS_kexec_load),
    ("setuid", libc::SYS_setuid),
    ("capset", libc::SYS_capset),
    ("seccomp", libc::SYS_seccomp),
    ("open_by_handle_at", libc::SYS_open_by_handle_at),
    ("accept4", libc::SYS_accept4),
    ("process_vm_writev", libc::SYS_process_vm_writev),
];

#[test]
fn every_probe_ends_as_the_sandbox_says() {
    let mut wrong = Vec::new();
    for user in users() {
        let world = World::make(user);
        for probe in PROBES {
            let free = world.attempt(probe.action, Layer::None);
            if free != Ended::Exited(0) {
                wrong.push(format!("{user:?}: control of '{}': {free:?}", probe.name));
            }
            for (layer, expected) in [(Layer::Landlock, probe.landlock), (Layer::Both, probe.both)]
            {
                let ended = world.attempt(probe.action, layer);
                if !fits(ended, expected) {
                    wrong.push(format!("{user:?}: {layer:?}: '{}': {ended:?}", probe.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn rare_parts_of_the_kernel_end_the_process() {
    for user in users() {
        let world = World::make(user);
        for (name, number) in KERNEL_SURFACE {
            let make = || {
                let _ = call(*number, [u64::MAX; 5]);
                0
            };
            let free = world.enter(Layer::None, make);
            assert_eq!(free, Ended::Exited(0), "{name} as {user:?}");
            let ended = world.enter(Layer::Both, make);
            assert_eq!(ended, Ended::Killed(Signal::SIGSYS), "{name} as {user:?}");
        }
    }
}

/// An abort inside the filter is an abort, so that a crash is recognised as one.
#[test]
fn abort_ends_in_sigabrt() {
    for user in users() {
        let world = World::make(user);
        let ended = world.enter(Layer::Both, || std::process::abort());
        assert_eq!(ended, Ended::Killed(Signal::SIGABRT), "{user:?}");
    }
}

/// A panic writes its record and ends the process as an abort, also in a thread. (Tests
/// are built to unwind, the binary is not: here C's calling convention stops unwinding.)
#[test]
fn a_panic_ends_in_sigabrt() {
    extern "C" fn fail() {
        panic!("on purpose")
    }
    for user in users() {
        let world = World::make(user);
        let (log, stderr) = io::pipe().unwrap();
        let prepare = || {
            nix::unistd::dup2_stderr(&stderr).unwrap();
            audit::install_panic_hook(&audit::Audit::to_stderr());
        };
        let ended = world.enter_after(prepare, Layer::Both, || {
            let _ = std::thread::spawn(|| fail()).join();
            0
        });
        assert_eq!(ended, Ended::Killed(Signal::SIGABRT), "{user:?}");
        drop(stderr);
        let log = io::read_to_string(log).unwrap();
        let first = log.lines().next().unwrap();
        let record: serde_json::Value = serde_json::from_str(first).unwrap();
        assert_eq!(record["type"], "panic", "{log}");
        assert_eq!(record["message"], "on purpose", "{log}");
    }
}

/// A second ruleset cannot give back what the first took, nor can a new thread.
#[test]
fn there_is_no_way_back() {
    for user in users() {
        let world = World::make(user);
        let ended = world.enter(Layer::Landlock, || {
            let outside = File::open(&world.outside);
            let again = std::thread::scope(|scope| {
                let thread = scope.spawn(|| read(&world.outside.join("file")));
                thread.join().unwrap()
            });
            i32::from(outside.is_ok() || again != Err(Errno::EACCES))
        });
        assert_eq!(ended, Ended::Exited(0), "{user:?}");
    }
}

/// What was opened before stays open: that is how stdin, stdout and the directories live.
#[test]
fn descriptors_from_before_go_on_working() {
    for user in users() {
        let world = World::make(user);
        let before = File::open(world.outside.join("file")).unwrap();
        let ended = world.enter(Layer::Both, || {
            i32::from(io::read_to_string(&before).is_err())
        });
        assert_eq!(ended, Ended::Exited(0), "{user:?}");
    }
}

fn fits(ended: Ended, expected: Expected) -> bool {
    match expected {
        Works => ended == Ended::Exited(0),
        Error(error) => ended == Ended::Exited(error as i32),
        Killed => ended == Ended::Killed(Signal::SIGSYS),
        Unsaid => true,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layer {
    None,
    Landlock,
    Both,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum User {
    /// With all capabilities, as the tests were started: nothing here rests on rights.
    Root,
    Plain,
    /// Whoever runs the tests.
    Own,
}

const PLAIN: u32 = 10_001;

fn users() -> Vec<User> {
    if Uid::effective().is_root() {
        vec![User::Root, User::Plain]
    } else {
        vec![User::Own]
    }
}

/// Everything outside the sandbox that a probe tries to reach.
struct World {
    user: User,
    root: PathBuf,
    readable: PathBuf,
    writable: PathBuf,
    outside: PathBuf,
    open_port: u16,
    closed_port: u16,
    udp_port: u16,
    abstract_name: String,
    neighbour: Idle,
    _listeners: (
        TcpListener,
        TcpListener,
        UdpSocket,
        UnixListener,
        UnixListener,
    ),
}

impl World {
    fn make(user: User) -> Self {
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("sandbox-{}-{number}", std::process::id());
        let root = std::env::temp_dir().join(&name);
        let [readable, writable, outside] =
            ["readable", "writable", "outside"].map(|part| root.join(part));
        for directory in [&readable, &writable, &outside] {
            fs::create_dir_all(directory).unwrap();
            fs::write(directory.join("file"), "text").unwrap();
        }
        fs::write(writable.join("own"), "").unwrap();
        fs::write(readable.join("program"), "#!/bin/true\n").unwrap();
        std::os::unix::fs::symlink("../outside/file", readable.join("link")).unwrap();
        let local = |port| SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        let listeners = (
            TcpListener::bind(local(0)).unwrap(),
            TcpListener::bind(local(0)).unwrap(),
            UdpSocket::bind(local(0)).unwrap(),
            UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap(),
            UnixListener::bind(outside.join("socket")).unwrap(),
        );
        for entry in [&readable, &writable, &outside] {
            for file in fs::read_dir(entry).unwrap() {
                hand_over(&file.unwrap().path(), user);
            }
            hand_over(entry, user);
        }
        Self {
            user,
            open_port: listeners.0.local_addr().unwrap().port(),
            closed_port: listeners.1.local_addr().unwrap().port(),
            udp_port: listeners.2.local_addr().unwrap().port(),
            abstract_name: name,
            neighbour: Idle::start(|| become_user(user)),
            _listeners: listeners,
            root,
            readable,
            writable,
            outside,
        }
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from_abstract_name(&self.abstract_name).unwrap()
    }

    /// The exit code is the error number, 0 for success.
    fn attempt(&self, action: fn(&Self) -> Result<(), Errno>, layer: Layer) -> Ended {
        self.enter(layer, || {
            action(self).map_or_else(|error| error as i32, |()| 0)
        })
    }

    fn enter(&self, layer: Layer, action: impl FnOnce() -> i32) -> Ended {
        self.enter_after(|| {}, layer, action)
    }

    /// `prepare` is done before the sandbox closes.
    fn enter_after(
        &self,
        prepare: impl FnOnce(),
        layer: Layer,
        action: impl FnOnce() -> i32,
    ) -> Ended {
        let directories = [&self.readable, &self.writable].map(|path| File::open(path).unwrap());
        crate::child::run(|| {
            prepare();
            become_user(self.user);
            if layer != Layer::None {
                let grants = Grants {
                    read: vec![directories[0].as_fd()],
                    read_files: RESOLVER_FILES.iter().map(Path::new).collect(),
                    write: vec![directories[1].as_fd()],
                    ports: vec![self.open_port, 53],
                };
                process::forbid_new_privileges().unwrap();
                let abi = landlock::probe().unwrap_or_else(|error| panic!("{error}"));
                let enforced = landlock::restrict(&grants, abi).unwrap();
                assert!(
                    enforced.tcp && enforced.scopes,
                    "tests need Linux 6.12: {enforced:?}"
                );
            }
            if layer == Layer::Both {
                seccomp::restrict(Needs { agent: false }).unwrap();
            }
            action()
        })
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

fn become_user(user: User) {
    if user == User::Plain {
        privileges::become_user(PLAIN, PLAIN).unwrap();
    }
}

fn hand_over(path: &Path, user: User) {
    if user == User::Plain {
        std::os::unix::fs::lchown(path, Some(PLAIN), Some(PLAIN)).unwrap();
    }
    if !path.is_symlink() {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
    }
}

fn errno(error: io::Error) -> Errno {
    error
        .raw_os_error()
        .map_or(Errno::UnknownErrno, Errno::from_raw)
}

fn done<T>(result: io::Result<T>) -> Result<(), Errno> {
    result.map(drop).map_err(errno)
}

fn call(number: i64, [a, b, c, d, e]: [u64; 5]) -> Result<(), Errno> {
    // SAFETY: the pointers among the arguments are static or invalid, and the process
    // ends after the probe.
    Errno::result(unsafe { libc::syscall(number, a, b, c, d, e) }).map(drop)
}

fn read(path: &Path) -> Result<(), Errno> {
    done(File::open(path))
}

fn append(path: &Path) -> Result<(), Errno> {
    done(OpenOptions::new().append(true).open(path))
}

fn create(path: &Path) -> Result<(), Errno> {
    done(File::create(path))?;
    done(fs::remove_file(path))
}

fn truncate(path: &Path) -> Result<(), Errno> {
    nix::unistd::truncate(path, 4)
}

fn chmod(path: &Path) -> Result<(), Errno> {
    done(fs::set_permissions(path, fs::Permissions::from_mode(0o600)))
}

fn make_directory(world: &World) -> Result<(), Errno> {
    let path = world.writable.join("directory");
    done(fs::create_dir(&path))?;
    done(fs::remove_dir(path))
}

fn make_link(world: &World) -> Result<(), Errno> {
    let path = world.writable.join("link");
    done(fs::hard_link(world.readable.join("file"), &path))?;
    done(fs::remove_file(path))
}

fn make_symbolic_link(world: &World) -> Result<(), Errno> {
    let path = world.writable.join("symbolic");
    done(std::os::unix::fs::symlink("/", &path))?;
    done(fs::remove_file(path))
}

fn rotate(world: &World) -> Result<(), Errno> {
    let [current, rotated] = ["audit", "audit.1"].map(|name| world.writable.join(name));
    done(fs::write(&current, "record\n"))?;
    done(
        append(&current)
            .map_err(io::Error::from)
            .and_then(|()| File::open(&current)?.sync_data()),
    )?;
    let directory = File::open(&world.writable).map_err(errno)?;
    nix::fcntl::renameat(&directory, "audit", &directory, "audit.1")?;
    nix::unistd::unlinkat(
        &directory,
        &rotated,
        nix::unistd::UnlinkatFlags::NoRemoveDir,
    )
}

fn open_beneath(world: &World) -> Result<(), Errno> {
    let directory = File::open(&world.readable).map_err(errno)?;
    let how = nix::fcntl::OpenHow::new().resolve(nix::fcntl::ResolveFlag::RESOLVE_BENEATH);
    nix::fcntl::openat2(&directory, "file", how).map(drop)
}

fn connect(port: u16) -> Result<(), Errno> {
    done(TcpStream::connect((Ipv4Addr::LOCALHOST, port)))
}

fn datagram(port: u16) -> Result<(), Errno> {
    // Not std's UdpSocket, which binds: the resolver does not.
    let socket = open_socket(libc::AF_INET, libc::SOCK_DGRAM, 0)?;
    let address = nix::sys::socket::SockaddrIn::new(127, 0, 0, 1, port);
    nix::sys::socket::connect(socket.as_raw_fd(), &address)?;
    nix::sys::socket::send(
        socket.as_raw_fd(),
        b"?",
        nix::sys::socket::MsgFlags::empty(),
    )
    .map(drop)
}

fn look_up(name: &str) -> Result<(), Errno> {
    let found = (name, 22).to_socket_addrs();
    let first = found.ok().and_then(|mut addresses| addresses.next());
    first.map(drop).ok_or(Errno::ENOENT)
}

/// More threads than the allocator has arenas, each with more than one arena's memory.
fn threads() -> Result<(), Errno> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..32_u8)
            .map(|number| {
                scope.spawn(move || {
                    let memory = vec![number; 4 << 20];
                    std::thread::sleep(Duration::from_millis(1));
                    memory.iter().all(|byte| *byte == number)
                })
            })
            .collect();
        let all = threads
            .into_iter()
            .all(|thread| thread.join().unwrap_or(false));
        all.then_some(()).ok_or(Errno::EIO)
    })
}

fn open_socket(family: i32, kind: i32, protocol: i32) -> Result<File, Errno> {
    use std::os::fd::FromRawFd;
    // SAFETY: takes numbers; the descriptor it answers is nobody else's.
    let descriptor = Errno::result(unsafe { libc::socket(family, kind, protocol) })?;
    // SAFETY: as above.
    Ok(unsafe { File::from_raw_fd(descriptor) })
}

fn socket(family: i32, kind: i32, protocol: i32) -> Result<(), Errno> {
    match open_socket(family, kind, protocol) {
        // The kernel may lack the protocol; the filter's answer is another one.
        Err(Errno::EPROTONOSUPPORT) => Ok(()),
        other => other.map(drop),
    }
}

const IPPROTO_MPTCP: i32 = 262;

fn stream(protocol: i32, port: u16) -> Result<(), Errno> {
    let socket = match open_socket(libc::AF_INET, libc::SOCK_STREAM, protocol) {
        // As in `socket`.
        Err(Errno::EPROTONOSUPPORT | Errno::ENOPROTOOPT) => return Ok(()),
        other => other?,
    };
    let address = nix::sys::socket::SockaddrIn::new(127, 0, 0, 1, port);
    nix::sys::socket::connect(socket.as_raw_fd(), &address)
}

fn fast_open(port: u16) -> Result<(), Errno> {
    let socket = open_socket(libc::AF_INET, libc::SOCK_STREAM, 0)?;
    let address = nix::sys::socket::SockaddrIn::new(127, 0, 0, 1, port);
    let flags = nix::sys::socket::MsgFlags::from_bits_retain(libc::MSG_FASTOPEN);
    nix::sys::socket::sendto(socket.as_raw_fd(), b"?", &address, flags).map(drop)
}

fn bind() -> Result<(), Errno> {
    let socket = open_socket(libc::AF_INET, libc::SOCK_STREAM, 0)?;
    let address = nix::sys::socket::SockaddrIn::new(127, 0, 0, 1, 0);
    nix::sys::socket::bind(socket.as_raw_fd(), &address)
}

fn listen() -> Result<(), Errno> {
    let socket = open_socket(libc::AF_INET, libc::SOCK_STREAM, 0)?;
    let backlog = nix::sys::socket::Backlog::MAXCONN;
    nix::sys::socket::listen(&socket, backlog)
}

/// SIGURG: ignored by a process that does not handle it.
fn kill(pid: i32) -> Result<(), Errno> {
    call(libc::SYS_kill, [pid as u64, libc::SIGURG as u64, 0, 0, 0])
}

fn tgkill(pid: i32) -> Result<(), Errno> {
    call(
        libc::SYS_tgkill,
        [pid as u64, pid as u64, libc::SIGURG as u64, 0, 0],
    )
}

fn fork() -> Result<(), Errno> {
    // SAFETY: the child ends at once.
    match unsafe { nix::unistd::fork() }? {
        nix::unistd::ForkResult::Parent { child } => nix::sys::wait::waitpid(child, None).map(drop),
        // SAFETY: as above.
        nix::unistd::ForkResult::Child => unsafe { libc::_exit(0) },
    }
}

/// Replaces this process; its own end is that of the program, 0.
fn execute(path: &Path) -> Result<(), Errno> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(path.as_os_str().as_bytes()).unwrap();
    nix::unistd::execv(&path, &[&path]).map(drop)
}

fn read_memory() -> Result<(), Errno> {
    let (from, mut to) = ([7_u8; 4], [0_u8; 4]);
    let local = libc::iovec {
        iov_base: to.as_mut_ptr().cast(),
        iov_len: 4,
    };
    let remote = libc::iovec {
        iov_base: from.as_ptr().cast_mut().cast(),
        iov_len: 4,
    };
    let pid = std::process::id() as i32;
    // SAFETY: both vectors describe live memory of this process.
    let result = unsafe { libc::process_vm_readv(pid, &local, 1, &remote, 1, 0) };
    Errno::result(result).map(drop)
}

fn map(protection: i32) -> Result<*mut libc::c_void, Errno> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping wherever the kernel likes.
    let memory = unsafe { libc::mmap(std::ptr::null_mut(), 4096, protection, flags, -1, 0) };
    if memory == libc::MAP_FAILED {
        Err(Errno::last())
    } else {
        Ok(memory)
    }
}

fn executable_map() -> Result<(), Errno> {
    map(libc::PROT_READ | libc::PROT_EXEC).map(drop)
}

fn executable_protect() -> Result<(), Errno> {
    let memory = map(libc::PROT_READ | libc::PROT_WRITE)?;
    // SAFETY: a mapping that nobody else uses.
    Errno::result(unsafe { libc::mprotect(memory, 4096, libc::PROT_READ | libc::PROT_EXEC) })
        .map(drop)
}
