//! The Model Context Protocol over a pair of byte streams, in all five revisions.
//!
//! Owns the conversation with the client: lines in, lines out, the tools, resources and
//! prompts. Runs nothing and judges nothing itself: it asks `policy` what may run and
//! hands that to `task`. Trusts nothing a client sends: lines, nesting, ids, queues and
//! threads are bounded, and no input ends the server but its end. Called by `startup`.

pub(crate) mod call;
pub(crate) mod dispatch;
pub(crate) mod feature;
pub(crate) mod protocol;
pub(crate) mod session;
pub(crate) mod tools;
pub(crate) mod wire;

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, select_biased};

pub use crate::mcp::wire::frame::{Frame, LineReader, MAX_LINE};
pub use crate::mcp::wire::outbox::Outbox;
pub use session::{Server, Session};

use crate::audit::Record;

/// What commands in flight get to end in, and then answers to be written. Together less
/// than the 2 s after which clients send SIGTERM.
const END_COMMANDS: Duration = Duration::from_millis(1_500);
const END_ANSWERS: Duration = Duration::from_millis(300);
/// How long answers of quick calls that are still being made are waited for.
const END_CALLS: Duration = Duration::from_millis(500);
/// How often the client is looked after while it does not read its answers.
const LOOK: Duration = Duration::from_millis(50);

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
    let (hang_up, hung_up) = bounded(1);
    let writing = Arc::clone(&outbox);
    spawn("mcp-write", move || {
        // A client that is gone is an end like any other.
        let _ = writing.write_to(output);
        let _ = hang_up.try_send(());
    })?;
    // One line waits while one is dealt with.
    let (lines, incoming) = bounded(1);
    spawn("mcp-read", move || read(LineReader::new(input), &lines))?;
    converse(&session, &outbox, &incoming, &hung_up, gone);
    end(&session, &outbox);
    Ok(())
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.stack_size(256 * 1024).spawn(work).map(drop)
}

/// The reading thread's life: ends with the input, or when nobody takes lines any more.
fn read(mut input: LineReader<impl Read>, lines: &Sender<io::Result<Frame>>) {
    while let Some(frame) = input.read().transpose() {
        let failed = frame.is_err();
        if lines.send(frame).is_err() || failed {
            return;
        }
    }
}

fn converse(
    session: &Arc<Session>,
    outbox: &Outbox,
    incoming: &Receiver<io::Result<Frame>>,
    hung_up: &Receiver<()>,
    gone: impl Fn() -> bool,
) {
    loop {
        while !outbox.wait_for_room(LOOK) {
            if gone() {
                return;
            }
        }
        let frame = select_biased! {
            recv(hung_up) -> _ => return,
            recv(incoming) -> frame => frame,
        };
        match frame {
            Ok(Ok(Frame::Line(line))) => session.handle_line(&line),
            Ok(Ok(Frame::TooLong { bytes })) => {
                let why = format!("a line of {bytes} bytes (at most {MAX_LINE} accepted)");
                session.log_unreadable(&why);
            }
            Ok(Err(error)) => {
                let record = Record::error("input_failed", error);
                session.server.audit.emit(record);
                return;
            }
            // The reading thread has ended: so has the input.
            Err(_) => return,
        }
    }
}

/// Ends what is under way: calls that are being answered get a moment, commands are
/// ended on their hosts, and what can still be written is.
fn end(session: &Arc<Session>, outbox: &Outbox) {
    session.close();
    session.server.tasks.shutdown(END_COMMANDS);
    let deadline = Instant::now() + END_CALLS;
    while !session.is_idle() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    outbox.close();
    outbox.wait_until_written(Instant::now() + END_ANSWERS);
}

/// HMAC-SHA-256 under a key of this process.
fn keyed(key: &[u8; 64]) -> hmac::Hmac<sha2::Sha256> {
    use hmac::KeyInit as _;
    hmac::Hmac::new(key.into())
}
