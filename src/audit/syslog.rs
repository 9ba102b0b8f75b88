//! The plain log, sent to the machine's syslog as well: rsyslog, syslog-ng, journald.
//!
//! Owns the socket, the form of a message and the thread that sends. A message is a datagram
//! as syslog(3) writes one, `<PRI>mcp-ssh-orchestrator[PID]: {the line}`, without the moment
//! (RFC 3164, 4.3.3 lets the receiver set it; the line has its own, and the server no time
//! zone). A syslog that is full, hangs or is gone holds nothing up: lines wait in memory up to
//! [`WAITING_MAX`], the socket is connected anew, and what did not fit is counted (`log_gap`).
//! That it fails is said in the log, once, and so is its end. It is no proof that somebody
//! reads: whether a command may run is decided by the log and the audit file. Called by
//! [`crate::audit::Audit`] alone.

use std::collections::VecDeque;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;

use crate::audit::record::Record;
use crate::audit::record::severity::Severity;
use crate::audit::timestamp::Ts;

/// Most bytes of waiting messages.
const WAITING_MAX: usize = 1_048_576;

/// How long a syslog that is there may take to make room before the next look at it, and how
/// long one that is not is left alone.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where messages go, and as what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The facility's number (RFC 5424, 6.2.1).
    pub facility: u8,
    /// The datagram socket, such as `/dev/log`.
    pub socket: PathBuf,
}

/// The facilities that a program of the system may use, by the names of syslog.conf(5).
pub(crate) const FACILITIES: &[(&str, u8)] = &[
    ("user", 1),
    ("daemon", 3),
    ("auth", 4),
    ("authpriv", 10),
    ("local0", 16),
    ("local1", 17),
    ("local2", 18),
    ("local3", 19),
    ("local4", 20),
    ("local5", 21),
    ("local6", 22),
    ("local7", 23),
];

/// The socket, made before the sandbox forbids to make any.
pub(crate) struct Syslog {
    socket: UnixDatagram,
    target: Target,
    state: Mutex<State>,
    /// Something came, or all is out.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Vec<u8>>,
    bytes: usize,
    lost: u64,
    /// One message is taken out and not gone yet.
    sending: bool,
    /// There is a thread that sends.
    started: bool,
}

impl Syslog {
    /// Makes the socket: to be called before the sandbox closes. Whether anybody listens is
    /// found out later ([`Syslog::trouble`]), because that may change.
    ///
    /// # Errors
    /// There are no descriptors.
    pub(crate) fn open(target: &Target) -> io::Result<Arc<Self>> {
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Arc::new(Self {
            socket,
            target: target.clone(),
            state: Mutex::default(),
            changed: Condvar::new(),
        }))
    }

    /// Where it sends to.
    pub(crate) fn shown(&self) -> &Path {
        &self.target.socket
    }

    /// Why nobody would get a message now, if so.
    pub(crate) fn trouble(&self) -> Option<String> {
        let error = self.socket.connect(self.shown()).err()?;
        Some(format!("{}: {error}", self.shown().display()))
    }

    /// Starts the thread that sends, which lives as long as the process. `say` writes to the
    /// log.
    ///
    /// # Errors
    /// There can be no thread.
    pub(crate) fn start(self: &Arc<Self>, say: impl Fn(Record) + Send + 'static) -> io::Result<()> {
        let syslog = Arc::clone(self);
        std::thread::Builder::new()
            .name("syslog".to_owned())
            .stack_size(64 * 1024)
            .spawn(move || syslog.run(&say))?;
        self.lock().started = true;
        Ok(())
    }

    /// Hands a line over. Never waits, never fails.
    pub(crate) fn send(&self, severity: Severity, line: &str) {
        let message = self.message(severity, line);
        let mut state = self.lock();
        if state.bytes + message.len() > WAITING_MAX {
            state.lost += 1;
            return;
        }
        state.bytes += message.len();
        state.waiting.push_back(message);
        self.changed.notify_all();
    }

    /// Waits up to `patience` until everything is out. Without a thread it goes out here, as
    /// far as it can.
    pub(crate) fn flush(&self, patience: Duration) {
        let mut state = self.lock();
        if !state.started {
            let connected = self.socket.connect(self.shown());
            for message in state.waiting.drain(..) {
                if connected.is_err() || self.socket.send(&message).is_err() {
                    break;
                }
            }
            return;
        }
        let _ = self.changed.wait_timeout_while(state, patience, |state| {
            state.sending || !state.waiting.is_empty()
        });
    }

    fn message(&self, severity: Severity, line: &str) -> Vec<u8> {
        let priority = self.target.facility * 8 + severity.number();
        let pid = std::process::id();
        format!("<{priority}>mcp-ssh-orchestrator[{pid}]: {line}").into_bytes()
    }

    fn run(&self, say: &dyn Fn(Record)) {
        let mut failing = false;
        loop {
            let (message, lost) = self.next();
            let gap = (lost > 0).then(|| {
                let gap = Record::LogGap {
                    ts: Ts::now(),
                    lost,
                };
                self.message(gap.severity(), &gap.to_json())
            });
            for message in message.into_iter().chain(gap) {
                self.deliver(&message, &mut failing, say);
            }
            self.lock().sending = false;
            self.changed.notify_all();
        }
    }

    /// The next message, and how many were lost before it.
    fn next(&self) -> (Option<Vec<u8>>, u64) {
        let state = self.lock();
        let nothing = |state: &mut State| state.waiting.is_empty() && state.lost == 0;
        let state = self.changed.wait_while(state, nothing);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        let message = state.waiting.pop_front();
        state.bytes -= message.as_ref().map_or(0, Vec::len);
        state.sending = true;
        // What was lost came after what still waits.
        let lost = match state.waiting.is_empty() {
            true => std::mem::take(&mut state.lost),
            false => 0,
        };
        (message, lost)
    }

    /// Tries until it is out, or can never be.
    fn deliver(&self, message: &[u8], failing: &mut bool, say: &dyn Fn(Record)) {
        loop {
            let began = Instant::now();
            let error = match self.socket.send(message) {
                Ok(_) => break,
                Err(error) => error,
            };
            match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::EINTR) => continue,
                Some(Errno::EMSGSIZE) => {
                    self.lock().lost += 1;
                    return;
                }
                _ => {}
            }
            let connected = self.socket.connect(self.shown());
            // A daemon that was started anew: it gets the message without anybody noticing.
            let again = connected.is_ok() && error.kind() != io::ErrorKind::WouldBlock;
            if again && !*failing && self.socket.send(message).is_ok() {
                break;
            }
            if !std::mem::replace(failing, true) {
                let path = self.shown().display();
                let error = connected.err().unwrap_or(error);
                say(Record::warning("syslog_failed", format!("{path}: {error}")));
            }
            std::thread::sleep(PATIENCE.saturating_sub(began.elapsed()));
        }
        if std::mem::replace(failing, false) {
            let path = self.shown().display();
            say(Record::warning(
                "syslog_recovered",
                format!("{path}: messages go out again"),
            ));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_that_syslog_3_could_have_written() {
        let target = Target {
            facility: 10,
            socket: "/dev/log".into(),
        };
        let syslog = Syslog::open(&target).unwrap();
        let message = syslog.message(Severity::Notice, "{\"a\":1}");
        let expected = format!(
            "<85>mcp-ssh-orchestrator[{}]: {{\"a\":1}}",
            std::process::id()
        );
        assert_eq!(String::from_utf8(message).unwrap(), expected);
    }

    #[test]
    fn what_does_not_fit_is_counted_and_nobody_waits() {
        let target = Target {
            facility: 10,
            socket: "/nowhere/log".into(),
        };
        let syslog = Syslog::open(&target).unwrap();
        let line = "x".repeat(999);
        for _ in 0..2_000 {
            syslog.send(Severity::Informational, &line);
        }
        let state = syslog.lock();
        assert!(
            state.bytes <= WAITING_MAX && state.lost > 900,
            "{}",
            state.lost
        );
        assert_eq!(state.waiting.len() as u64 + state.lost, 2_000);
    }
}
