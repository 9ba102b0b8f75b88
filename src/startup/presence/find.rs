//! The running servers of a user, asked one by one.
//!
//! Owns the search and the waiting. A server is only ever sent a signal while its file's
//! lock is held and by a handle of that very process, so that a number which has passed to
//! another process is never signalled. Called by the subcommands `reload` and `status`.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg, OFlag};

use crate::startup::presence::directory::{self, Runtime};
use crate::startup::presence::own::namespace;
use crate::startup::presence::{Answer, Identified, Question, moment};
use crate::sys::signals::{Handle, Told};

/// Most bytes of a file that are read.
const READ_MAX: u64 = 1024 * 1024;
/// How long a server may take: it waits for files that are being written, and for a
/// name server where a known host is looked up.
const PATIENCE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(20);

/// A running server.
pub(crate) struct Found {
    pub(crate) identified: Identified,
    file: File,
}

/// Why a server gave no answer.
#[derive(Debug)]
pub(crate) enum Silent {
    /// It runs in another container, where its number counts.
    Elsewhere,
    Gone,
    Signal(io::Error),
    /// It runs and does not answer.
    Mute,
}

impl std::fmt::Display for Silent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Elsewhere => f.write_str(
                "runs in another container: ask it there (docker exec CONTAINER \
                 mcp-ssh-orchestrator …)",
            ),
            Self::Gone => f.write_str("has just ended"),
            Self::Signal(error) => write!(f, "cannot be sent a signal: {error}"),
            Self::Mute => write!(f, "did not answer within {} s", PATIENCE.as_secs()),
        }
    }
}

/// Every running server of a user.
///
/// # Errors
/// The directory that the command line names cannot be used.
pub(crate) fn servers(named: Option<&Path>, uid: u32) -> io::Result<Vec<Found>> {
    let mut servers = Vec::new();
    for place in directory::places(named, uid) {
        match directory::opened(&place, uid) {
            Ok(runtime) => servers.extend(of(&runtime)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // Somebody else's directory in /tmp is not where our servers are.
            Err(_) if named.is_none() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(servers)
}

fn of(runtime: &Runtime) -> io::Result<Vec<Found>> {
    let mut servers = Vec::new();
    for name in runtime.names()? {
        // Gone since the listing.
        let Ok(file) = runtime.file(&name, OFlag::O_RDONLY) else {
            continue;
        };
        if let Some(file) = still_held(file)
            && let Some(identified) = identified(&file)
        {
            servers.push(Found { identified, file });
        }
    }
    Ok(servers)
}

/// The file, if its server lives.
fn still_held(file: File) -> Option<File> {
    match Flock::lock(file, FlockArg::LockSharedNonblock) {
        Ok(_) => None,
        Err((file, _)) => Some(file),
    }
}

fn identified(file: &File) -> Option<Identified> {
    serde_json::from_slice(lines(file).ok()?.first()?).ok()
}

fn lines(mut file: &File) -> io::Result<Vec<Vec<u8>>> {
    file.seek(SeekFrom::Start(0))?;
    let mut found = Vec::new();
    let mut reader = BufReader::new(io::Read::take(file, READ_MAX));
    loop {
        let mut line = Vec::new();
        reader.read_until(b'\n', &mut line)?;
        // A line without its end is being written.
        if line.pop() != Some(b'\n') {
            return Ok(found);
        }
        found.push(line);
    }
}

impl Found {
    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// There is none, and why.
    pub(crate) fn ask(self, question: Question) -> Result<Answer, Silent> {
        if self.identified.namespace != namespace() {
            return Err(Silent::Elsewhere);
        }
        let begun = moment();
        let handle = Handle::of(self.identified.pid).map_err(|_| Silent::Gone)?;
        // Whoever holds the lock wrote the number, and lives: so the handle is its own.
        let file = still_held(self.file).ok_or(Silent::Gone)?;
        let told = match question {
            Question::Reload => Told::HangUp,
            Question::Status => Told::Report,
        };
        handle.tell(told).map_err(Silent::Signal)?;
        let end = Instant::now() + PATIENCE;
        let mut file = Some(file);
        while let Some(held) = file.take() {
            let answers = lines(&held).unwrap_or_default();
            let answers = answers.iter().skip(1);
            let answers = answers.filter_map(|line| serde_json::from_slice::<Answer>(line).ok());
            let mut new =
                answers.filter(|answer| answer.question == question && answer.begun >= begun);
            if let Some(answer) = new.next() {
                return Ok(answer);
            }
            if Instant::now() >= end {
                return Err(Silent::Mute);
            }
            std::thread::sleep(PAUSE);
            file = still_held(held);
        }
        Err(Silent::Gone)
    }
}
