//! The name of a job: a command that goes on when whoever started it has gone.
//!
//! Owns how a task's id tells a job from other tasks, and what its directory on the host is
//! called. A name is made of letters, digits, `_`, `-` and `.` alone, so that it means the
//! same to every shell. Called by `policy` for what is sent, by `task` and the tools.

use std::sync::Arc;

use crate::model::names::{CommandHash, HostAlias, TaskId};

/// What the last part of a job's id begins with; the token of another task has no dot.
const MARK: &str = "job.";
/// Longest token.
const TOKEN_MAX: usize = 64;

/// A job on some host: the hash of its command, and a part that nobody guesses.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JobId {
    hash: CommandHash,
    token: Arc<str>,
}

impl JobId {
    /// `None` unless the token is 1 to 64 of `A-Z a-z 0-9 _ -`.
    pub fn new(hash: CommandHash, token: &str) -> Option<Self> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let accepted = (1..=TOKEN_MAX).contains(&token.len()) && token.chars().all(plain);
        accepted.then(|| Self {
            hash,
            token: token.into(),
        })
    }

    /// The host and the job of a task's id, if it is a job's.
    pub fn of(id: &TaskId) -> Option<(HostAlias, Self)> {
        let mut parts = id.as_str().split(':');
        let (alias, hash, token) = (parts.next()?, parts.next()?, parts.next()?);
        let job = Self::new(CommandHash::parse(hash)?, token.strip_prefix(MARK)?)?;
        let alias = HostAlias::parse(alias).ok()?;
        parts.next().is_none().then_some((alias, job))
    }

    /// The job that has this directory.
    pub fn of_directory(name: &str) -> Option<Self> {
        let (hash, token) = name.split_once('.')?;
        Self::new(CommandHash::parse(hash)?, token)
    }

    /// What its directory is called.
    pub fn directory(&self) -> String {
        format!("{}.{}", self.hash, self.token)
    }

    /// What its first process carries in its arguments, and by which it is told from another
    /// one that got the same number.
    pub fn mark(&self) -> String {
        format!("{MARK}{}", self.token)
    }

    pub fn hash(&self) -> CommandHash {
        self.hash
    }

    /// Its name as a task's.
    pub fn task_id(&self, alias: &HostAlias) -> TaskId {
        TaskId::new(alias, self.hash, self.mark())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_back_from_both_of_its_forms() {
        let alias = HostAlias::parse("web1.example").unwrap();
        let job = JobId::new(CommandHash::of("uptime"), "-aB_9").unwrap();
        let id = job.task_id(&alias);
        assert_eq!(id.as_str(), "web1.example:dd291cd6294b:job.-aB_9");
        assert_eq!(JobId::of(&id), Some((alias, job.clone())));
        assert_eq!(JobId::of_directory(&job.directory()), Some(job));
    }

    #[test]
    fn what_is_no_job_is_none() {
        for id in [
            "web1:dd291cd6294b:aB_9",
            "web1:dd291cd6294b:job.",
            "web1:dd291cd6294b:job.a.b",
            "web1:dd291cd6294b:job.a:b",
            "web1:dd291cd6294:job.a",
            "job.a",
        ] {
            assert_eq!(JobId::of(&TaskId::parse(id).unwrap()), None, "{id}");
        }
        for name in [
            "dd291cd6294b",
            "dd291cd6294b.",
            "dd291cd6294b.a/b",
            "..",
            "x.y",
        ] {
            assert_eq!(JobId::of_directory(name), None, "{name}");
        }
    }
}
