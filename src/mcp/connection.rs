//! One connection: bytes come in as lines, each message goes to whom it concerns.
//!
//! Owns the reading and writing threads, the first step of every message (which revision
//! it is of, whether its id is free), and the orderly end. The only caller of `dispatch`.
//! Never waits for a call: what can take time goes to a thread of its own, so `ping` and
//! cancellations are always served. Called by `startup`; fuzz targets call
//! [`handle_line`] with a transport of their own.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, select_biased};

use crate::audit::Record;
use crate::mcp::call::inflight::{Batch, Route};
use crate::mcp::dispatch;
use crate::mcp::protocol::peer::Caller;
use crate::mcp::session::{Server, Session};
use crate::mcp::wire::frame::{Frame, LineReader, MAX_LINE};
use crate::mcp::wire::message::{self, Incoming, Params, Parsed, RequestId, RpcError};
use crate::mcp::wire::outbox::Outbox;

/// What commands in flight get to end in, and then answers to be written. Together less
/// than the 2 s after which clients send SIGTERM.
const END_COMMANDS: Duration = Duration::from_millis(1_500);
const END_ANSWERS: Duration = Duration::from_millis(300);
/// How long answers of quick calls that are still being made are waited for, and records of
/// questions that nobody will answer, after the last of them.
const END_CALLS: Duration = Duration::from_millis(500);
/// How often the client is looked after while it does not read its answers.
const LOOK: Duration = Duration::from_millis(50);
/// Stack of the reading and of the writing thread, in bytes.
const STACK: usize = 256 * 1024;

/// Serves one client until its input ends, it goes away, or the process is told to stop.
///
/// Starts a thread that reads and one that writes. `gone` answers, without reading,
/// whether the client closed its side or the process is to stop: it is asked while a
/// client does not read its answers, because then its input is not read either.
///
/// # Errors
/// The system gives no thread. The end of a client is not an error.
pub(crate) fn serve(
    server: Server,
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
    gone: impl Fn() -> bool,
) -> io::Result<()> {
    let outbox = Arc::new(Outbox::new());
    let session = Session::new(server, Arc::clone(&outbox));
    let watching = Arc::downgrade(&session);
    session.server.store.observe(Box::new(move |attempt| {
        if let (Some(session), Ok(reloaded)) = (watching.upgrade(), attempt.outcome) {
            session.announce(&reloaded.before, &reloaded.snapshot);
        }
    }));
    let (hang_up, hung_up) = bounded(1);
    let writing = Arc::clone(&outbox);
    spawn("mcp-write", move || {
        // A client that is gone is an end like any other.
        let _ = writing.write_to(output);
        let _ = hang_up.try_send(());
    })?;
    // What was read together waits while something is dealt with: a thread is not woken for
    // each line, which takes its time on a busy machine.
    let (lines, incoming) = bounded(1);
    spawn("mcp-read", move || read(LineReader::new(input), &lines))?;
    converse(&session, &outbox, &incoming, &hung_up, gone);
    end(&session, &outbox);
    Ok(())
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.stack_size(STACK).spawn(work).map(drop)
}

/// The reading thread's life: ends with the input, or when nobody takes lines any more.
fn read(mut input: LineReader<impl Read>, lines: &Sender<io::Result<Vec<Frame>>>) {
    loop {
        let frames = input.read_some();
        let ended = frames.as_ref().map_or(true, Vec::is_empty);
        if lines.send(frames).is_err() || ended {
            return;
        }
    }
}

fn converse(
    session: &Arc<Session>,
    outbox: &Outbox,
    incoming: &Receiver<io::Result<Vec<Frame>>>,
    hung_up: &Receiver<()>,
    gone: impl Fn() -> bool,
) {
    loop {
        let frames = select_biased! {
            recv(hung_up) -> _ => return,
            recv(incoming) -> frames => frames,
        };
        let frames = match frames {
            Ok(Ok(frames)) => frames,
            Ok(Err(error)) => {
                let record = Record::error("input_failed", error);
                session.server.audit.emit(record);
                return;
            }
            // The reading thread has ended: so has the input.
            Err(_) => return,
        };
        for frame in frames {
            match frame {
                Frame::Line(line) => handle_line(session, &line),
                Frame::TooLong { bytes } => {
                    let why = format!("a line of {bytes} bytes (at most {MAX_LINE} accepted)");
                    session.log_unreadable(&why);
                }
            }
            // Unread answers are memory: no further line is taken before there is room.
            while !outbox.wait_for_room(LOOK) {
                if gone() {
                    return;
                }
            }
            if !hung_up.is_empty() {
                return;
            }
        }
    }
}

/// Ends what is under way: commands are ended on their hosts, what is to go on the record
/// gets a moment to get there. What was answered before the end of the input is still
/// written; nothing that comes later is, because many clients fail on it when they leave.
fn end(session: &Arc<Session>, outbox: &Outbox) {
    outbox.close();
    session.close();
    session.server.tasks.shutdown(END_COMMANDS);
    session.wait_until_idle(END_CALLS);
    outbox.wait_until_written(Instant::now() + END_ANSWERS);
}

/// Deals with one line of input, without its line ending.
pub fn handle_line(session: &Arc<Session>, line: &[u8]) {
    match message::parse(line) {
        Ok(Parsed::One(incoming)) => take(session, incoming, Route::Direct),
        Ok(Parsed::Batch { messages, garbage }) => {
            if let Some(garbage) = garbage {
                session.log_unreadable(&format!("in a batch: {garbage}"));
            }
            take_batch(session, messages);
        }
        Err(garbage) => session.log_unreadable(&garbage.to_string()),
    }
}

fn take_batch(session: &Arc<Session>, messages: Vec<Incoming>) {
    let accepted = session
        .handshake()
        .is_some_and(|handshake| handshake.version.has_batches());
    if !accepted {
        let error = RpcError::invalid_request("Batches exist in revision 2025-03-26 only");
        for incoming in messages {
            if let Incoming::Request { id, .. } | Incoming::Invalid { id, .. } = incoming {
                session.inflight.refuse(&id, &error, &Route::Direct);
            }
        }
        return;
    }
    // Counted before any of them is taken: the answers go out together with the last one.
    let due = messages.iter().filter(|incoming| {
        matches!(
            incoming,
            Incoming::Request { .. } | Incoming::Invalid { .. }
        )
    });
    let route = Route::Batch(Batch::new(due.count()));
    for incoming in messages {
        match incoming {
            Incoming::Request { id, method, .. } if method == "initialize" => {
                let error = RpcError::invalid_request("initialize must not be in a batch");
                session.inflight.refuse(&id, &error, &route);
            }
            incoming => take(session, incoming, route.clone()),
        }
    }
}

fn take(session: &Arc<Session>, incoming: Incoming, route: Route) {
    match incoming {
        Incoming::Request { id, method, params } => {
            take_request(session, id, &method, params, route);
        }
        Incoming::Notification { method, params } => take_notification(session, &method, &params),
        Incoming::Response { id, outcome } => session.questions.settle(&id, outcome),
        Incoming::Invalid { id, error } => session.inflight.refuse(&id, &error, &route),
    }
}

fn take_request(session: &Arc<Session>, id: RequestId, method: &str, params: Params, route: Route) {
    // The revision is settled first: a handshake that this very message makes does not
    // count for it.
    let caller = Caller::of(method, &params, session.handshake());
    let Some(ticket) = session.inflight.open(id, route) else {
        return;
    };
    match caller {
        Ok(caller) => dispatch::request(session, ticket, caller, method, params),
        Err(error) => ticket.answer(Err(error)),
    }
}

/// Unknown notifications ask for nothing, so nothing happens.
fn take_notification(session: &Session, method: &str, params: &Params) {
    match method {
        "notifications/cancelled" => {
            if let Some(id) = params.get("requestId").and_then(RequestId::of_value) {
                session.inflight.cancel(&id);
            }
        }
        "notifications/initialized" => session.is_initialized(),
        _ => {}
    }
}
