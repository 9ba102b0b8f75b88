//! Gives `sudo` the password that it asks for, once, and nobody else.
//!
//! Owns the conversation before the command begins: the password goes out when the host's
//! stderr has had the prompt that was made for this run, and is never sent a second time; the
//! marks are taken out of the output. What the command itself is given to read waits until
//! `sudo` has what it wants. Remembers which passwords were refused, so that no number of
//! commands locks an account. Called by [`crate::ssh::session::feed`] and
//! [`crate::ssh::client`].

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use zeroize::Zeroizing;

use crate::config::Secret;
use crate::model::names::HostAlias;
use crate::policy::{Authorised, Marks, Raised};
use crate::ssh::error::SudoProblem;

/// What sudo-rs puts around a prompt, in one piece with it.
const AROUND: (&[u8], &[u8]) = (b"[sudo: ", b"] Password: ");

/// A command whose `sudo` is given a password.
pub(crate) struct Prompting<'a> {
    raised: Raised<'a>,
    marks: Marks,
    /// What is still to be sent of the password and the end of its line.
    due: Option<Zeroizing<Vec<u8>>>,
    at: usize,
    state: State,
    /// Bytes of stderr that may be the beginning of a mark.
    held: Vec<u8>,
    /// A mark has come that nobody has looked at.
    news: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing was asked yet.
    Silent,
    /// The password was sent, or is being sent.
    Told,
    /// It was asked for again, so it was wrong.
    Wrong,
    /// The command has begun.
    Ready,
    /// There is no command.
    Over(SudoProblem),
}

/// What is to be done on the command's stdin.
pub(crate) enum Due<'p> {
    /// Send this, and say how much was taken.
    Password(&'p [u8]),
    /// Tell the end: there is no other password.
    End,
    /// Wait for what `sudo` says.
    Nothing,
    /// It is the command's turn.
    Command,
}

impl<'a> Prompting<'a> {
    /// `None` if no part of the command is a judged `sudo`, or the login has no password for it.
    pub(crate) fn of(command: &'a Authorised, password: Option<&Secret>) -> Option<Self> {
        let raised = command.raised()?;
        let mut line = Zeroizing::new(Vec::with_capacity(password?.expose().len() + 1));
        line.extend_from_slice(password?.expose());
        line.push(b'\n');
        Some(Self {
            raised,
            marks: Marks::new(nonce()),
            due: Some(line),
            at: 0,
            state: State::Silent,
            held: Vec::new(),
            news: false,
        })
    }

    /// The request; the host ends the command after so many seconds.
    pub(crate) fn exec_line(&self, seconds: u32) -> String {
        self.raised.exec_line(&self.marks, seconds)
    }

    pub(crate) fn due(&self) -> Due<'_> {
        match (self.state, &self.due) {
            (State::Told, Some(line)) => Due::Password(line.get(self.at..).unwrap_or_default()),
            (State::Silent | State::Told, _) => Due::Nothing,
            (State::Wrong | State::Over(_), _) => Due::End,
            (State::Ready, _) => Due::Command,
        }
    }

    /// So much of the password was taken.
    pub(crate) fn took(&mut self, count: usize) {
        self.at = self.at.saturating_add(count);
        if self.due.as_ref().is_some_and(|line| self.at >= line.len()) {
            self.due = None;
        }
    }

    /// What of these bytes of stderr is output; the marks in them count.
    pub(crate) fn sift(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        let start = self.marks.start.as_bytes().to_vec();
        let mut output = Vec::new();
        loop {
            let found = self
                .held
                .windows(start.len())
                .position(|window| window == start);
            let Some(at) = found else {
                // Perhaps its beginning is there.
                let most = self.held.len().min(start.len().saturating_sub(1));
                let kept = (0..=most)
                    .rev()
                    .find(|count| start.starts_with(tail(&self.held, *count)));
                let passed = self.held.len().saturating_sub(kept.unwrap_or(0));
                output.extend(self.held.drain(..passed));
                return output;
            };
            output.extend(self.held.drain(..at));
            let Some([kind, Marks::END]) = self.held.get(start.len()..start.len() + 2) else {
                if self.held.len() >= start.len() + 2 {
                    // No mark of ours.
                    output.extend(self.held.drain(..start.len()));
                    continue;
                }
                return output;
            };
            let kind = *kind;
            self.held.drain(..start.len() + 2);
            if kind == Marks::ASKS && output.ends_with(AROUND.0) {
                output.truncate(output.len().saturating_sub(AROUND.0.len()));
                if self.held.starts_with(AROUND.1) {
                    self.held.drain(..AROUND.1.len());
                }
            }
            self.heard(kind);
        }
    }

    /// What was held back, when nothing more comes.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    /// Whether a mark has come since this was asked last.
    pub(crate) fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    fn heard(&mut self, kind: u8) {
        self.news = true;
        self.state = match (kind, self.state) {
            (Marks::ASKS, State::Silent) => State::Told,
            (Marks::ASKS, State::Told) => State::Wrong,
            (Marks::READY, State::Silent | State::Told) => State::Ready,
            (Marks::REFUSES, State::Wrong) => State::Over(SudoProblem::Wrong),
            (Marks::REFUSES, State::Silent | State::Told) => State::Over(SudoProblem::Refused),
            (_, state) => state,
        };
        if self.state != State::Told {
            self.due = None;
        }
    }

    /// Why the command was not run, once the host has closed the channel.
    pub(crate) fn problem(&self) -> Option<SudoProblem> {
        match self.state {
            State::Over(problem) => Some(problem),
            State::Wrong => Some(SudoProblem::Wrong),
            State::Silent | State::Told | State::Ready => None,
        }
    }

    /// Whether it has come to nothing yet.
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.state, State::Silent | State::Told)
    }
}

fn tail(bytes: &[u8], count: usize) -> &[u8] {
    bytes
        .get(bytes.len().saturating_sub(count)..)
        .unwrap_or_default()
}

/// A number that nobody on the host can know before it is sent. The hasher's keys are the
/// kernel's random bytes.
fn nonce() -> u128 {
    let half = || u128::from(RandomState::new().build_hasher().finish());
    (half() << 64) | half()
}

/// Passwords that a host did not take. A reload reads secrets anew, and with that forgets.
#[derive(Clone, Default)]
pub(crate) struct RefusedPasswords(Arc<Mutex<Vec<RefusedPassword>>>);

struct RefusedPassword {
    alias: HostAlias,
    password: Weak<Secret>,
}

impl RefusedPasswords {
    pub(crate) fn has(&self, alias: &HostAlias, password: &Arc<Secret>) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().any(|each| {
            &each.alias == alias && std::ptr::eq(each.password.as_ptr(), Arc::as_ptr(password))
        })
    }

    pub(crate) fn add(&self, alias: &HostAlias, password: &Arc<Secret>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|each| &each.alias != alias && each.password.strong_count() > 0);
        known.push(RefusedPassword {
            alias: alias.clone(),
            password: Arc::downgrade(password),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompting(marks: &Marks) -> Prompting<'static> {
        Prompting {
            raised: Raised::of_test("'sudo' 'id'"),
            marks: marks.clone(),
            due: Some(Zeroizing::new(b"word\n".to_vec())),
            at: 0,
            state: State::Silent,
            held: Vec::new(),
            news: false,
        }
    }

    fn mark(marks: &Marks, kind: u8) -> Vec<u8> {
        [marks.start.as_bytes(), &[kind, Marks::END]].concat()
    }

    #[test]
    fn marks_are_found_wherever_the_bytes_are_cut() {
        let marks = Marks::new(nonce());
        let said = [
            b"[mcp banner ".to_vec(),
            mark(&marks, Marks::ASKS),
            b"\n".to_vec(),
            mark(&marks, Marks::READY),
            marks.start.clone().into_bytes(),
            b" rest".to_vec(),
        ]
        .concat();
        for cut in 0..said.len() {
            let mut prompting = prompting(&marks);
            let mut output = prompting.sift(&said[..cut]);
            output.extend(prompting.sift(&said[cut..]));
            output.extend(prompting.rest());
            let expected = format!("[mcp banner \n{} rest", marks.start);
            assert_eq!(String::from_utf8(output).unwrap(), expected, "{cut}");
            assert!(matches!(prompting.due(), Due::Command));
        }
    }

    #[test]
    fn what_sudo_rs_puts_around_the_prompt_goes_with_it() {
        let marks = Marks::new(3);
        let said = [AROUND.0, &mark(&marks, Marks::ASKS), AROUND.1, b"kept"].concat();
        assert_eq!(prompting(&marks).sift(&said), b"kept");
    }

    #[test]
    fn the_password_is_due_once() {
        let marks = Marks::new(1);
        let mut prompting = prompting(&marks);
        assert!(matches!(prompting.due(), Due::Nothing));
        prompting.sift(&mark(&Marks::new(2), Marks::ASKS));
        assert!(matches!(prompting.due(), Due::Nothing));
        prompting.sift(&mark(&marks, Marks::ASKS));
        assert!(matches!(prompting.due(), Due::Password(b"word\n")));
        prompting.took(2);
        assert!(matches!(prompting.due(), Due::Password(b"rd\n")));
        prompting.took(3);
        assert!(matches!(prompting.due(), Due::Nothing));
        prompting.sift(&mark(&marks, Marks::ASKS));
        assert!(matches!(prompting.due(), Due::End));
        prompting.sift(&mark(&marks, Marks::REFUSES));
        assert_eq!(prompting.problem(), Some(SudoProblem::Wrong));
        assert_ne!(nonce(), nonce());
    }

    #[test]
    fn a_password_that_was_refused_is_known_until_it_is_read_anew() {
        let secret = || Arc::new(Secret::new(Zeroizing::new(b"word".to_vec())));
        let (alias, refused) = (
            HostAlias::parse("web1").unwrap(),
            RefusedPasswords::default(),
        );
        let (old, new) = (secret(), secret());
        refused.add(&alias, &old);
        assert!(refused.has(&alias, &old) && !refused.has(&alias, &new));
        assert!(!refused.has(&HostAlias::parse("web2").unwrap(), &old));
    }
}
