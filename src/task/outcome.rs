//! How a task ended, as facts and as text.
//!
//! Owns the words for the end of a run: its state, what is said beside the output when
//! something is missing from it, and what an assistant may read of a failure. Runs
//! nothing and writes no record. Made by [`crate::task::worker`], read by the tools.

use std::fmt;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;

use crate::audit::{AuditEnd, Bytes};
use crate::model::names::{CommandHash, HostAlias, TaskId};
use crate::ssh::{Phase, Terminated};
use crate::task::output::{Output, Stream};
use crate::task::permit::Overruled;
use crate::task::transfer::Moved;
use crate::task::transfer::trouble::Trouble;
use crate::task::unreached::Unreached;

/// Where a task stands. The only ways are pending → running → one of the other four, and
/// pending → cancelled or failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Waits for its turn.
    Pending,
    Running,
    /// Ended with exit status 0.
    Completed,
    /// Ended with another status or a signal, or could not run to its end.
    Failed,
    Cancelled,
    /// The time limit ended it.
    Timeout,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Timeout => "timeout",
        }
    }

    pub fn is_finished(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }
}

/// Why output is missing from a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// `max_output_bytes` of the host.
    Limit,
    /// The outputs of all tasks together needed more memory than the server allows.
    Memory,
}

/// Output that was read from the host, or still came, and was not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Truncated {
    /// Bytes as the host sent them. What the host would have sent had it not been
    /// stopped is not known and not counted.
    pub bytes_left_out: u64,
    pub why: Cut,
}

/// Looks in stderr, as it comes, for the words of a `sudo` that may not ask for a password, or
/// has nobody to ask. It says them in pieces.
#[derive(Default)]
pub(crate) struct SudoWords {
    last: Vec<u8>,
    pub(crate) seen: bool,
}

impl SudoWords {
    /// Those of sudo; those of sudo-rs, which has words of its own for `-n` and without one.
    const WORDS: [&[u8]; 3] = [
        b"sudo: a password is required",
        b"sudo: interactive authentication is required",
        b"sudo: A terminal is required to authenticate",
    ];
    /// The longest of them.
    const LONGEST: usize = 44;
    /// More at once is another program's, up to its end.
    const MOST: usize = 4096;

    pub(crate) fn look(&mut self, bytes: &[u8]) {
        let end = |bytes: &[u8], count: usize| {
            let from = bytes.len().saturating_sub(count);
            bytes.get(from..).unwrap_or_default().to_vec()
        };
        self.last.append(&mut end(bytes, Self::MOST));
        self.seen |= Self::WORDS.iter().any(|words| {
            let mut windows = self.last.windows(words.len());
            windows.any(|window| window == *words)
        });
        self.last = end(&self.last, Self::LONGEST);
    }
}

/// Why a run failed, in words that an assistant may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// A fixed text; nothing of the host in it.
    pub text: String,
    /// Set if the command was not sent.
    pub unreached: Option<Unreached>,
    /// Set if the network policy, or a name without an address, kept it from connecting.
    pub network: Option<&'static str>,
    /// What the host had to say to it, where that helps: names of algorithms or of ways to
    /// log in.
    pub detail: Option<String>,
}

/// What is known of a finished task, without its output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    pub id: TaskId,
    pub alias: HostAlias,
    pub hash: CommandHash,
    /// Of what is sent, whatever its spelling.
    pub canonical: CommandHash,
    pub state: State,
    /// The remote exit status, 0 to 2^32-1; -1 where none was had.
    pub exit_code: i64,
    /// The signal that ended the remote command, without `SIG` (RFC 4254 §6.10).
    pub exit_signal: Option<String>,
    /// Milliseconds from the start of the connection to the end.
    pub duration_ms: u64,
    pub cancelled: bool,
    pub timeout: bool,
    /// What the run was doing when its time was up.
    pub timeout_phase: Option<Phase>,
    pub truncated: Option<Truncated>,
    /// Whether the remote process is known to have ended, where it had to be ended.
    pub terminated: Option<Terminated>,
    /// The command was sent, and may have run to its end or not.
    pub outcome_unknown: bool,
    /// The command has ended; something that it left behind goes on and holds its output.
    pub left_running: bool,
    /// The host closed the channel in order and said nothing of the end.
    pub closed_without_status: bool,
    /// `sudo` said that it wants a password, and whether this login has one for it.
    pub sudo_wants: Option<bool>,
    /// The address that was connected to.
    pub target_ip: Option<IpAddr>,
    /// Bytes of stdout as read from the host.
    pub bytes_out: u64,
    /// Bytes of stderr as read from the host.
    pub bytes_err: u64,
    /// How many that looked like credentials were taken out of the output.
    pub redacted: u64,
    pub error: Option<Failure>,
    /// Set if it was denied when its turn came: the configuration had changed.
    pub overruled: Option<Box<Overruled>>,
    /// The file that was transferred, whole.
    pub moved: Option<Moved>,
    /// Why one was not, where the reason is on this side.
    pub trouble: Option<Trouble>,
    /// The host's address as the configuration has it.
    pub hostname: Arc<str>,
    /// The time limit it ran under.
    pub max_seconds: u32,
}

impl Failure {
    pub(crate) fn new(text: &str, unreached: Option<Unreached>) -> Self {
        Self {
            text: text.to_owned(),
            unreached,
            network: None,
            detail: None,
        }
    }
}

impl Facts {
    /// What is on record of it.
    pub(crate) fn audit_end(&self) -> AuditEnd {
        AuditEnd {
            exit_code: self.exit_code,
            duration_ms: self.duration_ms,
            bytes_out: self.bytes_out,
            bytes_err: self.bytes_err,
            cancelled: self.cancelled,
            timeout: self.timeout,
            target_ip: self.target_ip,
            transferred: self.moved.as_ref().map(|moved| Bytes {
                bytes: moved.bytes,
                sha256: moved.sha256.clone(),
            }),
        }
    }

    /// The reason, if the network policy or the name kept it from connecting.
    pub fn network_denial(&self) -> Option<&'static str> {
        self.error.as_ref()?.network
    }

    /// Why the command was not sent, where something else than a policy kept it from that.
    pub fn unreached(&self) -> Option<Unreached> {
        match (&self.error, self.timeout_phase) {
            _ if self.is_denied() || self.cancelled => None,
            (_, Some(phase)) if self.timeout && phase < Phase::Run => {
                Some(Unreached::timeout(phase))
            }
            (Some(failure), _) => failure.unreached,
            (None, _) => None,
        }
    }

    /// Whether nothing was sent because a policy forbids it.
    pub fn is_denied(&self) -> bool {
        self.overruled.is_some() || self.network_denial().is_some()
    }

    /// What a reader of the output has to know beside it, a sentence each.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(Truncated {
            bytes_left_out,
            why,
        }) = self.truncated
        {
            let limit = match why {
                Cut::Limit => "max_output_bytes of this host",
                Cut::Memory => "the memory that the server keeps for all outputs",
            };
            notes.push(format!(
                "Output truncated at {limit}: at least {bytes_left_out} bytes were not kept."
            ));
        }
        if self.timeout {
            let phase = self.timeout_phase.map_or("run", Phase::as_str);
            notes.push(format!(
                "Timed out at the limit of {} s, in phase {phase}; the output until then is kept. \
                 For longer work use ssh_run_async, whose limit is max_async_seconds.",
                self.max_seconds
            ));
        }
        if let Some(failure) = &self.error
            && self.bytes_out + self.bytes_err > 0
            && !self.timeout
            && !self.cancelled
        {
            notes.push(format!("Failed after this output: {}.", failure.text));
        }
        if self.outcome_unknown {
            let cause = if self.closed_without_status {
                "the host closed the command's channel and did not say how it ended"
            } else {
                "the connection was lost after the command was sent"
            };
            notes.push(format!(
                "Outcome unknown: {cause}. It was not sent again; check the host before you \
                 repeat it."
            ));
        }
        if self.redacted > 0 {
            notes.push(format!(
                "{} taken out that looked like credentials ([redacted]); the operator can turn \
                 this off for a host with redact: [].",
                self.redacted
            ));
        }
        match self.sudo_wants {
            Some(false) => notes.push(
                "sudo wants a password on this host, and this login has none for it: the operator \
                 can set sudo: {password_secret: NAME} in credentials.yml, or NOPASSWD in sudoers."
                    .into(),
            ),
            Some(true) => notes.push(
                "sudo was given its password before this command, and does not count it here: not \
                 behind another program (timeout), nor among several commands in ( … ), { … } | or \
                 $( … ), nor where sudoers has timestamp_timeout=0. Write sudo first, in a command \
                 of its own."
                    .into(),
            ),
            None => {}
        }
        if self.left_running {
            notes.push(
                "The command has ended, but something that it started still runs on the host and \
                 holds its output; what that says is not read any more."
                    .into(),
            );
        }
        if self.terminated == Some(Terminated::Unconfirmed) {
            notes.push(
                "The remote process was signalled, but the host did not confirm that it ended."
                    .into(),
            );
        }
        notes
    }
}

/// A finished task: the facts, and its output.
#[derive(Clone)]
pub struct Outcome {
    pub(crate) facts: Arc<Facts>,
    pub(crate) output: Arc<Output>,
}

impl Outcome {
    pub fn facts(&self) -> &Arc<Facts> {
        &self.facts
    }

    /// All that is kept of stdout, and of stderr; clean and without secrets.
    pub fn streams(&self) -> [String; 2] {
        [Stream::Out, Stream::Err].map(|stream| self.output.kept(Some(stream)).text)
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.facts.fmt(f)
    }
}

impl Deref for Outcome {
    type Target = Facts;

    fn deref(&self) -> &Facts {
        &self.facts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_sudo_are_found_in_pieces() {
        for known in SudoWords::WORDS {
            assert!(known.len() <= SudoWords::LONGEST);
            let said = [b"x\n", known, b"\n"].concat();
            for cut in 0..said.len() {
                let mut words = SudoWords::default();
                words.look(&said[..cut]);
                words.look(b"");
                words.look(&said[cut..]);
                assert!(words.seen, "{cut}");
            }
        }
        let mut words = SudoWords::default();
        words.look(b"a password is required\n");
        assert!(!words.seen);
    }
}
