//! What is asked of a host, as one value that is judged, kept, and judged again.
//!
//! Owns nothing but the parts: the command as it came in or the work on a file, and what it
//! is fed. A permit keeps
//! it, so that a later policy judges the same and not a part of it. Made by the tools and by
//! `task`; judged by [`crate::policy::Policy::judge_request`].

use std::sync::Arc;

use crate::model::names::{CommandHash, CommandText, InputError};
use crate::model::stdin::Stdin;
use crate::policy::Policy;
use crate::policy::decision::judge::purpose::Purpose;
use crate::policy::decision::subject::Subject;
use crate::policy::decision::verdict::Verdict;
use crate::policy::files::work::FileWork;

/// What is asked of a host. Not judged yet.
#[derive(Debug, Clone)]
pub struct Request {
    text: CommandText,
    stdin: Option<Stdin>,
    file: Option<Arc<FileWork>>,
    purpose: Purpose,
}

impl Request {
    pub fn new(text: &CommandText, stdin: Option<Stdin>) -> Self {
        Self {
            text: text.clone(),
            stdin,
            file: None,
            purpose: Purpose::Run,
        }
    }

    /// Work on a file; `stdin` is what it is to hold. Its description is its text.
    ///
    /// # Errors
    /// The description is no text for a record: the path is too long.
    pub fn of_file(work: FileWork, stdin: Option<Stdin>) -> Result<Self, InputError> {
        Ok(Self {
            text: CommandText::parse(&work.described())?,
            stdin,
            file: Some(Arc::new(work)),
            purpose: Purpose::Run,
        })
    }

    /// What a command is wanted for.
    #[must_use]
    pub fn wanted_for(self, purpose: Purpose) -> Self {
        Self { purpose, ..self }
    }

    pub fn purpose(&self) -> &Purpose {
        &self.purpose
    }

    pub fn file(&self) -> Option<&FileWork> {
        self.file.as_deref()
    }

    /// The command as it came in.
    pub fn text(&self) -> &CommandText {
        &self.text
    }

    /// The name of it in records.
    pub fn hash(&self) -> CommandHash {
        self.text.hash()
    }

    pub fn stdin(&self) -> Option<&Stdin> {
        self.stdin.as_ref()
    }
}

impl Policy {
    /// Decides what may become of a request on a host. Never touches the host.
    pub fn judge_request(&self, subject: &Subject<'_>, request: &Request) -> Verdict {
        let subject = subject.fed(request.stdin.as_ref());
        match &request.file {
            None => self.judge_for(&subject, &request.text, &request.purpose),
            Some(work) => self.judge_file(&subject, &request.text, work),
        }
    }
}
