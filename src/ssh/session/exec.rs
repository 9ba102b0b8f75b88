//! Runs one authorised command on a channel of a session that is logged in, and ends it for real.
//!
//! Owns what happens between 'open a channel' and 'the channel is closed': the request,
//! both streams as they come, exit status and signal, and the ending by RFC 4254 §6.9 when
//! the run is over before the command is. Once the request may have been sent, nothing
//! here or above sends it again. Called by [`crate::ssh::client`].

use std::borrow::Cow;
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::ssh::deadline::{Control, Deadline, Watch};
use crate::ssh::error::{SshError, SudoProblem};
use crate::ssh::libssh2::{Fault, FaultKind, Session, Step, Stream};
use crate::ssh::phase::Phase;
use crate::ssh::run_report::{Clearance, Ended, Exit, Flow, RunReport, Sink};
use crate::ssh::session::channel::Channel;
use crate::ssh::session::feed::Feed;
use crate::ssh::session::window::{self, Window};
use crate::ssh::transport::link::{Link, explain};

/// Bytes handed to the sink at once, at most.
const READ: usize = 32 * 1024;
/// How long the output of a command that has ended is waited for while nothing of it comes:
/// a process that it left behind may hold it open for ever.
const LEFT_BEHIND: Duration = Duration::from_secs(2);
/// Opens the channel. Nothing is sent that could run.
///
/// # Errors
/// The host refuses the channel, the link fails, time is up, the run is cancelled.
pub(crate) fn open(link: &mut Link, watch: &Watch<'_>) -> Result<(), SshError> {
    // The channel of the run before may still wait for the host's goodbye, and a host may
    // take one at a time.
    link.drive(watch, Session::closed)?;
    granted(link, watch)
}

/// As [`open`], on a session that has had a channel: the host may have been about to let go of
/// that one when it was asked for the next.
///
/// # Errors
/// As [`open`].
pub(crate) fn reopen(link: &mut Link, watch: &Watch<'_>) -> Result<(), SshError> {
    match open(link, watch) {
        Err(SshError::Refused { .. }) => granted(link, watch),
        result => result,
    }
}

/// Waits for the channel that was asked for, or asks for one.
///
/// # Errors
/// As [`open`].
pub(crate) fn granted(link: &mut Link, watch: &Watch<'_>) -> Result<(), SshError> {
    match link.drive_faults(watch, |session, _| ask_session(session))? {
        Ok(()) => Ok(()),
        Err(fault) if fault.kind == FaultKind::Channel => Err(SshError::Refused {
            what: "channel",
            cause: fault.text,
        }),
        Err(fault) => Err(explain(watch.phase, &fault)),
    }
}

/// Asks for a channel without waiting for the answer; [`granted`] is to be called next.
pub(crate) fn ask(link: &mut Link) -> Step<()> {
    let step = ask_session(link.session());
    match link.flush(Phase::Close) {
        Ok(()) => step,
        // The next call will find it out, too.
        Err(_) => Poll::Pending,
    }
}

fn ask_session(session: &mut Session) -> Step<()> {
    session.open_exec(window::FIRST, window::PACKET)
}

/// Sends the command, if `clearance` still lets it, and sees it to its end. The report says
/// what became of it.
pub(crate) fn run(
    channel: &mut Channel,
    command: &str,
    (feed, window): (Feed<'_>, Window),
    clearance: &dyn Clearance,
    control: &Control,
    sink: &mut dyn Sink,
    report: &mut RunReport,
) {
    let mut running = Running {
        channel,
        feed,
        window,
        sink,
        buffer: vec![0; READ],
        not_given: 0,
        stopped: false,
        asked: None,
        heard: false,
        silent_since: None,
    };
    let result = running
        .send(command, clearance, control)
        .and_then(|answer| running.follow(command, answer, control));
    match result {
        Ok(Seen::Closed) => running.note_exit(report),
        Ok(Seen::Left) => {
            running.note_exit(report);
            // Something over there still holds the channel's output.
            report.left_running = true;
            report.spent = true;
        }
        Ok(Seen::Unanswered) => {
            running.note_exit(report);
            // An answer to the request may still come, and must not be the next one's.
            report.spent = true;
        }
        Ok(Seen::Enough) => {
            report.ended = Ended::Stopped;
            running.stopped = true;
            running.end(control, report);
        }
        Err(error) => running.fail(error, control, report),
    }
    running.settle_sudo(report);
    report.sent = running.asked.is_some();
    report.bytes_not_given = running.not_given;
}

pub(super) enum Seen {
    Closed,
    /// The command has ended, and said how; something it left behind holds its output.
    Left,
    /// The channel was closed without an answer to the request.
    Unanswered,
    /// The sink wants no more.
    Enough,
}

/// Whether the host has answered the request.
#[derive(PartialEq, Eq)]
enum Answer {
    Awaited,
    Yes,
}

pub(super) struct Running<'a> {
    pub(super) channel: &'a mut Channel,
    feed: Feed<'a>,
    window: Window,
    sink: &'a mut dyn Sink,
    buffer: Vec<u8>,
    /// Bytes read after the sink had said 'stop'.
    not_given: u64,
    pub(super) stopped: bool,
    /// When the request was handed to the wire: from then on the command may run.
    pub(super) asked: Option<Instant>,
    /// The command has said something: it has begun.
    pub(super) heard: bool,
    /// Since when the command is known to have ended while its output has not, and nothing
    /// of that came.
    silent_since: Option<Instant>,
}

impl Running<'_> {
    /// Hands the request over and sends it, in one moment in which the configuration that
    /// allowed it cannot change: what a reload denies before is not sent.
    fn send(
        &mut self,
        command: &str,
        clearance: &dyn Clearance,
        control: &Control,
    ) -> Result<Answer, SshError> {
        let watch = control.begin(Phase::Run);
        loop {
            watch.check()?;
            let mut sent = None;
            let (asked, ends) = (&mut self.asked, self.feed.is_empty());
            let cleared = clearance.send(&mut || {
                // The socket does not block: what it does not take now follows.
                let acted = self.channel.act(Phase::Run, |session| {
                    let before = session.wire().sent();
                    let step = session.exec(command);
                    if session.wire().sent() == before {
                        return step;
                    }
                    *asked = Some(Instant::now());
                    // The end of the command's stdin travels with the request.
                    let end = (ends && step.is_pending()).then(|| session.send_eof());
                    match end {
                        Some(failed @ Poll::Ready(Err(_))) => failed,
                        _ => step,
                    }
                });
                sent = Some(acted);
            });
            let Some(step) = sent.filter(|_| cleared) else {
                return Err(SshError::Superseded);
            };
            let step = step?;
            if self.asked.is_some() || step.is_ready() {
                return answered(step);
            }
            // A key exchange is under way, in which nothing else is sent.
            self.channel.fill(&watch)?;
        }
    }

    fn follow(
        &mut self,
        command: &str,
        mut answer: Answer,
        control: &Control,
    ) -> Result<Seen, SshError> {
        let watch = control.begin(Phase::Run);
        loop {
            watch.check()?;
            if answer == Answer::Awaited {
                let exec = |session: &mut Session| session.exec(command);
                answer = answered(self.channel.act(Phase::Run, exec)?)?;
                if let (Answer::Yes, Some(asked)) = (&answer, self.asked) {
                    self.window.answered(asked.elapsed());
                }
            }
            if answer == Answer::Yes {
                self.feed.pump(self.channel, Phase::Run)?;
            }
            // Also before the answer: a host may end the command first, or never answer.
            match self.take_in(Phase::Run)? {
                Some(Seen::Closed) if answer == Answer::Awaited => return Ok(Seen::Unanswered),
                Some(seen) => return Ok(seen),
                None => {}
            }
            if answer == Answer::Yes && self.feed.has_news() {
                continue;
            }
            if !self.await_more(&watch, control)? {
                return Ok(Seen::Left);
            }
        }
    }

    /// Waits for bytes; false if the command has ended and nothing of its output has come
    /// for a while: a process that it left behind holds it.
    fn await_more(&mut self, watch: &Watch<'_>, control: &Control) -> Result<bool, SshError> {
        let has_exit = |session: &mut Session| {
            session.exit_status().is_some() || session.exit_signal().is_some()
        };
        if !self.channel.look(has_exit).unwrap_or_default() {
            self.channel.fill(watch)?;
            return Ok(true);
        }
        let since = *self.silent_since.get_or_insert_with(Instant::now);
        let left = LEFT_BEHIND.saturating_sub(since.elapsed());
        if left.is_zero() {
            return Ok(false);
        }
        match self
            .channel
            .fill(&control.within(Phase::Run, Deadline::after(left)))
        {
            Err(SshError::Timeout {
                whole_run: false, ..
            }) => Ok(true),
            filled => filled.map(|_| true),
        }
    }

    /// Gives the sink what is there.
    pub(super) fn take_in(&mut self, phase: Phase) -> Result<Option<Seen>, SshError> {
        if !self.tell(phase)? {
            return Ok(None);
        }
        for stream in [Stream::Stdout, Stream::Stderr] {
            loop {
                let into = &mut self.buffer;
                let read = |session: &mut Session| session.read(stream, into);
                let count = match self.channel.act(phase, read)? {
                    Poll::Ready(Ok(0)) | Poll::Pending => break,
                    Poll::Ready(Ok(count)) => count,
                    Poll::Ready(Err(fault)) => return Err(explain(phase, &fault)),
                };
                if self.give(stream, count) == Flow::Stop && !self.stopped {
                    return Ok(Some(Seen::Enough));
                }
            }
        }
        self.tell(phase)?;
        let closed = self.channel.act(phase, has_ended)?;
        let closed = closed.map_err(|fault| explain(phase, &fault))?;
        Ok(closed.then_some(Seen::Closed))
    }

    fn tell(&mut self, phase: Phase) -> Result<bool, SshError> {
        let (before, window) = (self.window.size(), &mut self.window);
        let told = self.channel.act(phase, |session| window.follow(session))?;
        if self.window.size() != before {
            self.channel.note_window(self.window.size());
        }
        told.map_err(|fault| explain(phase, &fault))
    }

    fn give(&mut self, stream: Stream, count: usize) -> Flow {
        self.heard = true;
        self.silent_since = None;
        self.window.read(count);
        let bytes = self.buffer.get(..count).unwrap_or_default();
        let bytes = match stream {
            Stream::Stdout => Cow::Borrowed(bytes),
            Stream::Stderr => self.feed.sift(bytes),
        };
        let (bytes, count) = (&*bytes, bytes.len());
        if self.stopped {
            self.not_given = self
                .not_given
                .saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
            return Flow::Stop;
        }
        match stream {
            Stream::Stdout => self.sink.stdout(bytes),
            Stream::Stderr => self.sink.stderr(bytes),
        }
    }

    /// What `sudo` said before the command is no end of the command's.
    fn settle_sudo(&mut self, report: &mut RunReport) {
        let rest = self.feed.rest();
        if !rest.is_empty() && !self.stopped {
            self.sink.stderr(&rest);
        }
        let Some(sudo) = self.feed.sudo() else {
            return;
        };
        let problem = match report.ended {
            Ended::Exited => sudo.problem(),
            Ended::TimedOut(_) => sudo.is_waiting().then_some(SudoProblem::Silent),
            _ => None,
        };
        if let Some(problem) = problem {
            if report.ended == Ended::Exited {
                report.ended = Ended::Failed;
            }
            report.exit = None;
            report.error = Some(SshError::Sudo(problem));
        }
    }

    fn note_exit(&mut self, report: &mut RunReport) {
        let exit = |session: &mut Session| match (session.exit_signal(), session.exit_status()) {
            (Some(signal), _) => Some(Exit::named(signal)),
            (None, Some(status)) => Some(Exit::Status(status)),
            (None, None) => None,
        };
        report.exit = self.channel.look(exit).flatten();
        if report.exit.is_none() {
            report.outcome_unknown = true;
            report.ended = Ended::Failed;
            report.error = Some(SshError::NoStatus);
        }
    }

    fn fail(&mut self, error: SshError, control: &Control, report: &mut RunReport) {
        report.ended = Ended::of(&error);
        match error {
            // Nothing was sent: there is nothing to end.
            _ if self.asked.is_none() => {}
            SshError::Timeout { .. } | SshError::Cancelled(_) => self.end(control, report),
            SshError::Refused { .. } | SshError::Superseded => {}
            // All was said: only the goodbye is missing.
            SshError::LinkLost { .. } if self.channel.look(|s| s.at_eof()) == Some(true) => {
                self.note_exit(report);
                if report.exit.is_some() {
                    report.ended = Ended::Exited;
                    report.spent = true;
                    return;
                }
            }
            _ => report.outcome_unknown = true,
        }
        report.error = Some(error);
    }
}

/// What the host says to the request.
fn answered(step: Step<()>) -> Result<Answer, SshError> {
    match step {
        Poll::Pending => Ok(Answer::Awaited),
        Poll::Ready(Ok(())) => Ok(Answer::Yes),
        Poll::Ready(Err(fault)) if fault.kind == FaultKind::Request => Err(SshError::Refused {
            what: "command",
            cause: fault.text,
        }),
        Poll::Ready(Err(fault)) => Err(explain(Phase::Run, &fault)),
    }
}

/// The command's end is known and nothing of its output is missing. The close that follows
/// is not waited for.
fn has_ended(session: &mut Session) -> Result<bool, Fault> {
    if !session.at_eof() {
        return Ok(false);
    }
    if session.exit_status().is_some() || session.exit_signal().is_some() {
        return Ok(true);
    }
    match session.wait_closed() {
        Poll::Ready(Ok(())) => Ok(true),
        Poll::Pending => Ok(false),
        Poll::Ready(Err(fault)) => Err(fault),
    }
}
