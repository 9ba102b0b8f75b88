//! The protocol's two descriptors, moved to where nothing else can touch them.
//!
//! After [`take`], descriptor 0 reads end of file and descriptor 1 is stderr: a stray
//! write by a library lands in the log, never inside the protocol. A stderr that was closed
//! fails each write, so that nothing runs whose record nobody gets. [`Input`] reads the
//! client and ends early when the process is asked to stop. Called by `startup`.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::EventFd;
use nix::{libc, unistd};

use crate::sys::single_threaded::SingleThreaded;

/// Between two tries of a call for which the kernel had no memory.
const PAUSE: Duration = Duration::from_millis(20);

/// The protocol's ends, which no other code knows.
pub(crate) struct Stdio {
    pub input: OwnedFd,
    pub output: OwnedFd,
}

/// Whether the process was started with stderr closed.
static STDERR_WAS_CLOSED: AtomicBool = AtomicBool::new(false);

/// Run by the C library before `main`: Rust's runtime opens /dev/null for each standard
/// descriptor that is closed, and then nobody can tell that what is written there is lost.
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK_AT_STDERR: extern "C" fn() = look_at_stderr;

extern "C" fn look_at_stderr() {
    // SAFETY: takes two numbers. Needs nothing of the runtime that is not there yet.
    let closed = unsafe { libc::fcntl(libc::STDERR_FILENO, libc::F_GETFD) } == -1;
    STDERR_WAS_CLOSED.store(closed, Ordering::Relaxed);
}

/// Moves stdin and stdout to private close-on-exec descriptors, and closes everything
/// else that was inherited but stderr.
///
/// That 0, 1 and 2 are open is what Rust's runtime makes sure of before `main`.
///
/// # Errors
/// Out of descriptors; nothing else can fail here.
pub(crate) fn take(alone: &SingleThreaded) -> io::Result<Stdio> {
    close_inherited(alone);
    let input = duplicate(io::stdin().as_fd())?;
    let output = duplicate(io::stdout().as_fd())?;
    // Not /dev/null, which an empty container may lack: a pipe without a writer.
    let (empty, writer) = unistd::pipe2(OFlag::O_CLOEXEC)?;
    drop(writer);
    unistd::dup2_stdin(&empty)?;
    if STDERR_WAS_CLOSED.load(Ordering::Relaxed) {
        // A pipe without a reader: what is written there is known to reach nobody.
        let (reader, unread) = unistd::pipe2(OFlag::O_CLOEXEC)?;
        drop(reader);
        unistd::dup2_stderr(&unread)?;
    }
    unistd::dup2_stdout(io::stderr())?;
    Ok(Stdio { input, output })
}

fn duplicate(descriptor: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    descriptor.try_clone_to_owned()
}

/// Closes 3 and up. A kernel before 5.9 has no close_range(2): there they are closed one
/// by one, as far as a limit of descriptors usually goes.
fn close_inherited(_: &SingleThreaded) {
    // SAFETY: this is the first thing the process does, and it has one thread: no object
    // owns a descriptor above 2 yet.
    let result = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
    if result == 0 {
        return;
    }
    for descriptor in 3..65_536 {
        // SAFETY: as above.
        unsafe { libc::close(descriptor) };
    }
}

/// The client's side of the protocol: its bytes until it closes or `stop` is raised.
pub(crate) struct Input {
    client: File,
    stop: Arc<EventFd>,
}

impl Input {
    pub(crate) fn new(client: OwnedFd, stop: Arc<EventFd>) -> Self {
        Self {
            client: client.into(),
            stop,
        }
    }
}

impl Read for Input {
    /// Ends (0 bytes) as soon as `stop` is readable, even while the client is silent.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = [
                PollFd::new(self.client.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.stop.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut ready, PollTimeout::NONE) {
                Err(Errno::EINTR) => continue,
                // The kernel is short of memory for the moment: no reason to end a server.
                Err(Errno::ENOMEM | Errno::EAGAIN) => {
                    std::thread::sleep(PAUSE);
                    continue;
                }
                other => other?,
            };
            let [client, stop] = ready.map(|fd| fd.any().unwrap_or(true));
            if stop {
                return Ok(0);
            }
            if client {
                // A client may hand over a non-blocking pipe: then this can find nothing.
                match self.client.read(buffer) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    other => return other,
                }
            }
        }
    }
}

/// Longest first line that is waited for where the server does not start.
const FIRST_LINE: usize = 64 * 1024;
/// Milliseconds. Clients send their first request at once.
const PATIENCE: u16 = 1_000;

/// What a client says first, as far as it comes soon, in one piece and without its newline.
/// For a server that does not start and answers that alone.
pub(crate) fn first_line(client: &OwnedFd) -> Vec<u8> {
    let mut line = vec![0; FIRST_LINE];
    let mut filled = 0;
    while let Some(room) = line.get_mut(filled..)
        && !room.is_empty()
    {
        let mut ready = [PollFd::new(client.as_fd(), PollFlags::POLLIN)];
        if poll(&mut ready, PATIENCE) != Ok(1) {
            break;
        }
        match unistd::read(client, room) {
            Ok(0) | Err(_) => break,
            Ok(read) => filled += read,
        }
        if let Some(end) = line.iter().take(filled).position(|byte| *byte == b'\n') {
            filled = end;
            break;
        }
    }
    line.truncate(filled);
    line
}

/// Answers whether the client is gone or `stop` is raised, without reading: for when its
/// requests are not read because it does not read its answers.
pub(crate) struct Gone {
    client: File,
    stop: Arc<EventFd>,
}

impl Gone {
    /// # Errors
    /// Out of descriptors.
    pub(crate) fn watching(input: &Input) -> io::Result<Self> {
        Ok(Self {
            client: input.client.try_clone()?,
            stop: Arc::clone(&input.stop),
        })
    }

    pub(crate) fn now(&self) -> bool {
        // A client at a socket that shut down its side; pipes answer POLLHUP, unasked.
        let hung_up = PollFlags::from_bits_retain(libc::POLLRDHUP);
        let mut ready = [
            PollFd::new(self.client.as_fd(), hung_up),
            PollFd::new(self.stop.as_fd(), PollFlags::POLLIN),
        ];
        poll(&mut ready, PollTimeout::ZERO).is_ok()
            && ready.iter().any(|fd| fd.any().unwrap_or(true))
    }
}

/// Our side of the protocol.
pub(crate) struct Output {
    client: File,
}

impl Output {
    pub(crate) fn new(client: OwnedFd) -> Self {
        Self {
            client: client.into(),
        }
    }
}

impl Write for Output {
    /// Waits where the client handed over a non-blocking pipe.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.client.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let ready = PollFd::new(self.client.as_fd(), PollFlags::POLLOUT);
                    match poll(&mut [ready], PollTimeout::NONE) {
                        Ok(_) | Err(Errno::EINTR) => {}
                        Err(Errno::ENOMEM | Errno::EAGAIN) => std::thread::sleep(PAUSE),
                        Err(error) => return Err(error.into()),
                    }
                }
                other => return other,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use nix::fcntl::{FcntlArg, fcntl};

    use super::*;

    #[test]
    fn input_ends_with_the_client_or_on_stop() {
        let (read, write) = unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
        let stop = Arc::new(EventFd::new().unwrap());
        let mut input = Input::new(read, Arc::clone(&stop));
        let mut client = File::from(write);
        client.write_all(b"hello").unwrap();
        let mut buffer = [0; 16];
        assert_eq!(input.read(&mut buffer).unwrap(), 5);
        stop.write(1).unwrap();
        client.write_all(b"late").unwrap();
        assert_eq!(input.read(&mut buffer).unwrap(), 0);
    }

    #[test]
    fn the_first_line_is_what_comes_before_a_newline_or_the_end() {
        for said in [&b"hello\nworld\n"[..], b"hello"] {
            let (read, write) = unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
            File::from(write).write_all(said).unwrap();
            assert_eq!(first_line(&read), b"hello");
        }
    }

    #[test]
    fn gone_sees_the_client_close() {
        let (read, write) = unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
        let stop = Arc::new(EventFd::new().unwrap());
        let input = Input::new(read, Arc::clone(&stop));
        let gone = Gone::watching(&input).unwrap();
        let mut client = File::from(write);
        client.write_all(b"not read").unwrap();
        assert!(!gone.now());
        drop(client);
        assert!(gone.now());
    }

    #[test]
    fn output_waits_for_a_slow_client() {
        let (read, write) = unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).unwrap();
        fcntl(&read, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
        let writer = std::thread::spawn(move || {
            let mut output = Output::new(write);
            output.write_all(&vec![b'x'; 1 << 20]).unwrap();
        });
        let mut received = Vec::new();
        File::from(read).read_to_end(&mut received).unwrap();
        writer.join().unwrap();
        assert_eq!(received.len(), 1 << 20);
    }
}
