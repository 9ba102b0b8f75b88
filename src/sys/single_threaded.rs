//! The proof that the process has one thread.
//!
//! What closes descriptors, clears the environment, gives up privileges and closes the
//! sandbox is only right while nobody else runs: a second thread would keep its privileges
//! and its system calls. Those functions borrow a [`SingleThreaded`]; `main` makes the only
//! one, and [`SingleThreaded::end`] gives it up before the first thread is started.

use std::io;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::libc;

/// One for each process; stays on the thread that made it.
pub struct SingleThreaded(PhantomData<*const ()>);

impl SingleThreaded {
    /// # Errors
    /// There is another thread, or there has been a token already.
    pub fn at_start() -> io::Result<Self> {
        static MADE: AtomicBool = AtomicBool::new(false);
        if MADE.swap(true, Ordering::SeqCst) {
            return Err(io::Error::other("the process was started already"));
        }
        // unshare(2): with this flag it changes nothing for a process of one thread and is
        // EINVAL for any other. (gVisor answers EINVAL to the neighbours CLONE_VM and
        // CLONE_SIGHAND in any case.) Where a container's own filter does not let it through,
        // what is left is the order of `main`.
        // SAFETY: takes a number.
        match Errno::result(unsafe { libc::unshare(libc::CLONE_THREAD) }) {
            Err(Errno::EINVAL) => Err(io::Error::other(
                "the process has more than one thread before its first line, as an emulated \
                 processor gives it (qemu-user): use the program for this machine's own",
            )),
            Ok(_) | Err(_) => Ok(Self(PhantomData)),
        }
    }

    /// From now on threads may be started: the token is gone.
    pub(crate) fn end(self) {
        let Self(_) = self;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_threads_gets_none() {
        // The test runner's own thread waits for this one.
        let other = std::thread::spawn(std::thread::park);
        assert!(SingleThreaded::at_start().is_err());
        assert!(SingleThreaded::at_start().is_err());
        other.thread().unpark();
        other.join().unwrap();
    }
}
