//! One session to a jump host that carries many: a thread that owns it, opens a tunnel for
//! each address that is asked of it, and moves bytes between the tunnels and the runs.
//!
//! Opens one tunnel at a time, because libssh2 has one place for the answer to such a request;
//! an address that does not answer holds up the next request, so who waits too long goes
//! elsewhere ([`NoTunnel::Busy`]). Ends when nobody has used it for a while, when it is told to
//! and the last tunnel is gone, or with the connection; the runs on it are told why. Judges
//! nothing: only addresses that were pinned are asked of it, by [`crate::ssh::login::route::bastions`].

use std::collections::VecDeque;
use std::ffi::CString;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::PollFlags;

use crate::policy::network::PinnedAddress;
use crate::ssh::deadline::{Cancel, Control, Deadline};
use crate::ssh::error::SshError;
use crate::ssh::libssh2::{FaultKind, Stream, Tunnel};
use crate::ssh::phase::Phase;
use crate::ssh::transport::conduit::{Conduit, RunEnd};
use crate::ssh::transport::link::{Link, explain};
use crate::ssh::transport::wait::wait_for;

/// How long a request waits for those before it to be answered.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long what is kept until the host has answered on a channel is kept if none is opened.
const UNASKED: Duration = Duration::from_secs(1);
/// Longest sleep; there are keepalives to be sent.
const NAP: Duration = Duration::from_secs(5);
const STACK: usize = 512 * 1024;
/// Turns after which a question of [`RunEnd::ask`] is answered although there is still more:
/// a session on which so much comes is alive.
const TURNS: u8 = 8;
/// Bytes moved at once.
const PIECE: usize = 32 * 1024;
/// Bytes libssh2 may hold: what one session may, and a tunnel's window for each.
const HELD: usize = 8 * 1024 * 1024;
const HELD_PER_TUNNEL: usize = 3 * 1024 * 1024;

/// A session that carries others. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(crate) struct Trunk(Arc<Shared>);

struct Shared {
    inbox: Mutex<Inbox>,
    wake: Cancel,
}

#[derive(Default)]
struct Inbox {
    requests: VecDeque<Arc<Request>>,
    /// Takes no more requests.
    retired: bool,
}

struct Request {
    address: SocketAddr,
    state: Mutex<State>,
    cancel: Cancel,
}

enum State {
    Waiting,
    Begun,
    Answered(Result<RunEnd, NoTunnel>),
    /// Nobody waits for the answer any more.
    Over,
}

/// Why there is no tunnel.
pub(crate) enum NoTunnel {
    /// An address before this one does not answer.
    Busy,
    /// The session is over, or takes no more of them.
    Gone,
    Failed(SshError),
}

impl Trunk {
    /// `until_answered` is dropped when the host has answered on a channel.
    ///
    /// # Errors
    /// Out of threads or descriptors.
    pub(crate) fn start<T: Send + 'static>(
        link: Link,
        until_answered: T,
        idle: Duration,
    ) -> Result<Self, SshError> {
        let local = |cause: std::io::Error| SshError::Local {
            what: "a jump host's session",
            cause: cause.to_string(),
        };
        let shared = Arc::new(Shared {
            inbox: Mutex::default(),
            wake: Cancel::new().map_err(local)?,
        });
        let relay = Relay {
            link,
            shared: Arc::clone(&shared),
            opening: None,
            tunnels: Vec::new(),
            buffer: vec![0; PIECE],
            until_answered: Some(until_answered),
            idle,
            used: Instant::now(),
        };
        let builder = thread::Builder::new()
            .name("jump-host".into())
            .stack_size(STACK);
        builder.spawn(move || relay.run()).map_err(local)?;
        Ok(Self(shared))
    }

    /// A tunnel to an address as the host sees it.
    ///
    /// # Errors
    /// See [`NoTunnel`].
    pub(crate) fn open(
        &self,
        address: PinnedAddress,
        control: &Control,
    ) -> Result<RunEnd, NoTunnel> {
        let request = Arc::new(Request {
            address: address.socket_addr(),
            state: Mutex::new(State::Waiting),
            cancel: control.cancel.clone(),
        });
        {
            let mut inbox = self.0.lock();
            if inbox.retired {
                return Err(NoTunnel::Gone);
            }
            inbox.requests.push_back(Arc::clone(&request));
        }
        self.0.wake.wake();
        let patience = Deadline::after(PATIENCE);
        let watch = control.begin(Phase::Connect);
        loop {
            let mut state = request.lock();
            match std::mem::replace(&mut *state, State::Over) {
                State::Answered(answer) => return answer,
                State::Waiting if patience.has_passed() => return Err(NoTunnel::Busy),
                other => *state = other,
            }
            let most = match *state {
                State::Waiting => patience.left().unwrap_or(PATIENCE),
                _ => NAP,
            };
            drop(state);
            let switch = control.cancel.as_fd();
            if let Err(error) = wait_for(switch, PollFlags::empty(), &watch, most) {
                *request.lock() = State::Over;
                return Err(NoTunnel::Failed(error));
            }
        }
    }

    /// Takes no more requests; what it carries is carried to its end.
    pub(crate) fn retire(&self) {
        self.0.lock().retired = true;
        self.0.wake.wake();
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.0.lock().retired
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Request {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether somebody still waits for it.
    fn begin(&self) -> bool {
        let mut state = self.lock();
        let waits = matches!(*state, State::Waiting);
        if waits {
            *state = State::Begun;
        }
        waits
    }

    /// An answer that nobody waits for is dropped, and what is in it let go.
    fn answer(&self, answer: Result<RunEnd, NoTunnel>) {
        let mut state = self.lock();
        if !matches!(*state, State::Over) {
            *state = State::Answered(answer);
        }
        drop(state);
        self.cancel.wake();
    }
}

/// The thread's side.
struct Relay<T> {
    link: Link,
    shared: Arc<Shared>,
    opening: Option<Arc<Request>>,
    tunnels: Vec<Carried>,
    buffer: Vec<u8>,
    until_answered: Option<T>,
    idle: Duration,
    /// When something was last carried or asked for.
    used: Instant,
}

struct Carried {
    tunnel: Tunnel,
    conduit: Arc<Conduit>,
    up: Vec<u8>,
    ended: bool,
    /// The run has let go, and its last words were taken.
    gone: bool,
    /// Turns since it was seen that the run asks; none: it does not.
    asked: Option<u8>,
}

impl<T> Relay<T> {
    fn run(mut self) {
        let control = Control::new(Deadline::Never, self.shared.wake.clone());
        let cause = loop {
            self.shared.wake.settle();
            self.hear_questions();
            let turn = self.turn();
            self.answer_questions(matches!(turn, Ok(true)));
            match turn {
                Ok(true) => continue,
                Ok(false) if self.is_over() => break "it was not used any more".to_owned(),
                Ok(false) => {}
                Err(error) => break error.to_string(),
            }
            let mut interest = PollFlags::POLLIN;
            if self.link.has_outbound() {
                interest |= PollFlags::POLLOUT;
            }
            let nap = match self.until_answered {
                Some(_) => UNASKED,
                None => NAP.min(self.idle.max(UNASKED)),
            };
            let watch = control.begin(Phase::Run);
            if let Err(error) = wait_for(self.link.descriptor(), interest, &watch, nap) {
                break error.to_string();
            }
        };
        self.end(&cause);
    }

    /// Before a turn: what is asked during one is answered after the next.
    fn hear_questions(&mut self) {
        for carried in &mut self.tunnels {
            if carried.asked.is_none() && carried.conduit.is_asked() {
                carried.asked = Some(0);
            }
        }
    }

    fn answer_questions(&mut self, there_is_more: bool) {
        for carried in &mut self.tunnels {
            let Some(turns) = carried.asked else { continue };
            carried.asked =
                Some(turns.saturating_add(1)).filter(|turns| there_is_more && *turns < TURNS);
            if carried.asked.is_none() {
                carried.conduit.answer();
            }
        }
    }

    /// Moves what can be moved without waiting; whether anything was.
    fn turn(&mut self) -> Result<bool, SshError> {
        let mut moved = self.link.pump(Phase::Run)?;
        let _ = self.link.session().closed();
        moved |= self.open_next()?;
        for index in 0..self.tunnels.len() {
            moved |= self.carry(index)?;
        }
        let session = self.link.session();
        self.tunnels.retain(|carried| {
            if carried.gone {
                session.close_tunnel(carried.tunnel);
            }
            !carried.gone
        });
        let _ = self.link.session().closed();
        self.link.still_believed(Phase::Run)?;
        self.link.flush(Phase::Run)?;
        let held = HELD.saturating_add(HELD_PER_TUNNEL.saturating_mul(self.tunnels.len()));
        if self.link.session().wire().allocated() > held {
            return Err(SshError::Protocol {
                phase: Phase::Run,
                cause: "the jump host sends faster than it may".into(),
            });
        }
        if moved || self.opening.is_some() || !self.tunnels.is_empty() {
            self.used = Instant::now();
        } else if self.used.elapsed() >= UNASKED {
            self.until_answered = None;
        }
        Ok(moved)
    }

    /// Goes on with the request that is under way, or begins the next.
    fn open_next(&mut self) -> Result<bool, SshError> {
        while self.opening.is_none() {
            let Some(next) = self.shared.lock().requests.pop_front() else {
                return Ok(false);
            };
            self.opening = Some(next).filter(|next| next.begin());
        }
        let Some(request) = self.opening.take() else {
            return Ok(false);
        };
        let address = request.address;
        let ip = CString::new(address.ip().to_string()).unwrap_or_default();
        let session = self.link.session();
        match session.open_tunnel(&ip, address.port()) {
            Poll::Pending => {
                self.opening = Some(request);
                return Ok(false);
            }
            Poll::Ready(Ok(())) => {
                let conduit = Conduit::new(self.shared.wake.clone());
                match (session.set_aside(), conduit) {
                    (Some(tunnel), Ok(conduit)) => {
                        request.answer(Ok(RunEnd::of(&conduit)));
                        self.tunnels.push(Carried {
                            tunnel,
                            conduit,
                            up: Vec::new(),
                            ended: false,
                            gone: false,
                            asked: None,
                        });
                    }
                    (tunnel, conduit) => {
                        tunnel.into_iter().for_each(|it| session.close_tunnel(it));
                        let cause = conduit.err().map(|error| error.to_string());
                        request.answer(Err(NoTunnel::Failed(SshError::Local {
                            what: "a tunnel",
                            cause: cause.unwrap_or_default(),
                        })));
                    }
                }
            }
            Poll::Ready(Err(fault)) if fault.kind == FaultKind::Channel => {
                request.answer(Err(NoTunnel::Failed(SshError::Tunnel {
                    address,
                    cause: fault.text,
                })));
            }
            Poll::Ready(Err(fault)) => {
                request.answer(Err(NoTunnel::Gone));
                return Err(explain(Phase::Connect, &fault));
            }
        }
        // The host has answered on a channel, whatever it said.
        self.until_answered = None;
        Ok(true)
    }

    /// Moves one tunnel's bytes.
    fn carry(&mut self, index: usize) -> Result<bool, SshError> {
        let Some(carried) = self.tunnels.get_mut(index) else {
            return Ok(false);
        };
        let session = self.link.session();
        let mut moved = false;
        let room = carried.conduit.room().min(PIECE);
        if !carried.ended && room > 0 {
            let space = self.buffer.get_mut(..room).unwrap_or_default();
            let (read, at_eof) = session.on(carried.tunnel, |session| {
                let read = session.read(Stream::Stdout, space);
                (read, session.at_eof())
            });
            match read {
                Poll::Ready(Ok(count @ 1..)) => {
                    carried.conduit.put(space.get(..count).unwrap_or_default());
                    moved = true;
                }
                Poll::Ready(Ok(_)) if at_eof => {
                    carried.ended = true;
                    carried.conduit.end("closed by the other side");
                }
                Poll::Ready(Ok(_)) | Poll::Pending => {}
                Poll::Ready(Err(fault)) => return Err(explain(Phase::Run, &fault)),
            }
        }
        // In this order: nothing comes after it has let go.
        carried.gone = carried.conduit.is_let_go();
        carried.conduit.take(&mut carried.up);
        while !carried.up.is_empty() {
            let written = session.on(carried.tunnel, |session| session.write(&carried.up));
            match written {
                Poll::Ready(Ok(0)) | Poll::Pending => break,
                Poll::Ready(Ok(count)) => {
                    carried.up.drain(..count.min(carried.up.len()));
                    moved = true;
                }
                // The host has closed this one; what is on its way there has nowhere to go.
                Poll::Ready(Err(fault)) if fault.kind != FaultKind::Link => {
                    carried.up.clear();
                    carried.ended = true;
                    carried.conduit.end(&fault.text);
                }
                Poll::Ready(Err(fault)) => return Err(explain(Phase::Run, &fault)),
            }
        }
        Ok(moved)
    }

    /// Whether it may go: nobody uses it, and it is told to or has been idle long enough. From
    /// then on it takes no request.
    fn is_over(&self) -> bool {
        let mut inbox = self.shared.lock();
        let unused = self.tunnels.is_empty() && self.opening.is_none() && inbox.requests.is_empty();
        if unused && (inbox.retired || self.used.elapsed() >= self.idle.max(UNASKED)) {
            inbox.retired = true;
        }
        unused && inbox.retired
    }

    fn end(self, cause: &str) {
        let requests = {
            let mut inbox = self.shared.lock();
            inbox.retired = true;
            std::mem::take(&mut inbox.requests)
        };
        for request in self.opening.into_iter().chain(requests) {
            request.answer(Err(NoTunnel::Gone));
        }
        let cause = format!("the connection to the jump host ended: {cause}");
        for carried in self.tunnels {
            carried.conduit.end(&cause);
        }
        self.link.goodbye();
    }
}
