//! Approvals out of band: what waits for the operator, and the operator's word.
//!
//! A directory of the operator's has two more in it: `requests`, which the server writes, and
//! `grants`, which the operator's user alone can write. So what the operator says proves
//! itself by whose file it is; the client, which runs as the server's user at most, can
//! neither make it nor use it twice. Owns the two forms and what binds them: host, exact
//! command, shell, policy, time, and a number of this one question. `desk` is the server's
//! side, `counter` the operator's, and `login` what a host asks at a login. Nothing here asks or
//! judges.

pub(crate) mod counter;
pub(crate) mod desk;
pub(crate) mod login;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::audit::Ts;
use crate::model::text::hex;

/// The two directories within the operator's.
pub(crate) const REQUESTS: &str = "requests";
pub(crate) const GRANTS: &str = "grants";
/// What the names of both kinds of files end with.
const SUFFIX: &str = ".json";
/// Most bytes of one that are read: a command for a large fleet.
const BYTES_MAX: u64 = 4 * 1024 * 1024;

/// What a command is approved for. The digest is made of it, never copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Target {
    pub(crate) alias: String,
    /// How the host's shell gets it: `sh`, `login` or `direct`.
    pub(crate) shell: String,
    /// The canonical command, exactly as it would be sent, or the work on a file in words.
    pub(crate) command: String,
}

/// A question, as the server puts it. Nothing in it is believed: what is granted is what is
/// shown of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    pub(crate) id: String,
    /// Of this one question: a grant for an earlier one counts for none.
    pub(crate) nonce: String,
    /// Moments in microseconds.
    pub(crate) asked: u64,
    pub(crate) until: u64,
    /// SHA-256 in hex of the configuration in force.
    pub(crate) policy: String,
    pub(crate) targets: Vec<Target>,
    /// What each of them is given to read, or a file is to hold: size, hash, and its
    /// beginning. Empty for most.
    pub(crate) given: String,
    /// What the server says the command does, and by which lines of policy.yml it asks.
    pub(crate) does: String,
    pub(crate) rules: Vec<usize>,
    /// What the client says of itself, and who started the server.
    pub(crate) client: String,
    pub(crate) os_user: String,
}

/// The operator's word on one question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Grant {
    pub(crate) id: String,
    pub(crate) nonce: String,
    pub(crate) approved: bool,
    pub(crate) policy: String,
    /// Hosts, in the order of the question.
    pub(crate) aliases: Vec<String>,
    /// Of hosts, shells and commands, and of what is given to them.
    pub(crate) digest: String,
    /// When it was written, and until when it counts, in microseconds.
    pub(crate) at: u64,
    pub(crate) until: u64,
}

/// Why a file in the place of a grant is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forgery {
    /// It is not the operator's, or others can write it, or it is a link.
    Owner,
    Malformed,
    /// For another question, or for an earlier one of that name.
    Replayed,
    /// For another command, or for another shell.
    Digest,
    Host,
    Policy,
    Expired,
}

impl Forgery {
    /// As the record has it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "grant_not_of_the_operator",
            Self::Malformed => "grant_malformed",
            Self::Replayed => "grant_of_another_question",
            Self::Digest => "grant_for_another_command",
            Self::Host => "grant_for_another_host",
            Self::Policy => "grant_under_another_policy",
            Self::Expired => "grant_expired",
        }
    }
}

/// SHA-256 in hex over the targets and what they are given, each part with its length before
/// it.
pub(crate) fn digest(targets: &[Target], given: &str) -> String {
    let mut hash = Sha256::new();
    let parts = targets
        .iter()
        .flat_map(|target| [&target.alias, &target.shell, &target.command])
        .map(String::as_str);
    for part in parts.chain([given]) {
        hash.update(part.len().to_string());
        hash.update(b":");
        hash.update(part);
    }
    hex(&<[u8; 32]>::from(hash.finalize()))
}

impl Request {
    /// Bytes that it takes, about.
    pub(crate) fn weight(&self) -> usize {
        let targets = self.targets.iter();
        let texts =
            targets.map(|target| size_of::<Target>() + target.alias.len() + target.command.len());
        size_of::<Self>() + self.given.len() + texts.sum::<usize>()
    }
}

impl Grant {
    /// The operator's word on what a request shows.
    pub(crate) fn on(request: &Request, approved: bool) -> Self {
        Self {
            id: request.id.clone(),
            nonce: request.nonce.clone(),
            approved,
            policy: request.policy.clone(),
            aliases: request
                .targets
                .iter()
                .map(|target| target.alias.clone())
                .collect(),
            digest: digest(&request.targets, &request.given),
            at: Ts::now().micros(),
            until: request.until,
        }
    }

    /// Whether it is the word on this very question.
    ///
    /// # Errors
    /// What it is not.
    pub(crate) fn answers(&self, request: &Request, now: u64) -> Result<bool, Forgery> {
        let aliases = request.targets.iter().map(|target| &target.alias);
        if self.id != request.id || self.nonce != request.nonce || self.at < request.asked {
            Err(Forgery::Replayed)
        } else if !self.aliases.iter().eq(aliases) {
            Err(Forgery::Host)
        } else if self.digest != digest(&request.targets, &request.given) {
            Err(Forgery::Digest)
        } else if self.policy != request.policy {
            Err(Forgery::Policy)
        } else if now > self.until || now > request.until || self.at > now.saturating_add(SKEW) {
            Err(Forgery::Expired)
        } else {
            Ok(self.approved)
        }
    }
}

/// How far ahead a moment may be that was taken on the same machine.
const SKEW: u64 = 5_000_000;

/// Whether a name is an id: nothing that leads out of a directory.
pub(crate) fn is_id(id: &str) -> bool {
    (8..=64).contains(&id.len()) && id.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')
}

fn file_name(id: &str) -> String {
    format!("{id}{SUFFIX}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request {
            id: "abcdefgh".into(),
            nonce: "n".into(),
            asked: 100,
            until: u64::MAX - SKEW,
            policy: "p".into(),
            targets: vec![Target {
                alias: "web1".into(),
                shell: "sh".into(),
                command: "'reboot'".into(),
            }],
            given: String::new(),
            does: String::new(),
            rules: vec![3],
            client: String::new(),
            os_user: String::new(),
        }
    }

    #[test]
    fn a_grant_is_good_for_its_own_question_alone() {
        let (asked, now) = (request(), Ts::now().micros());
        let grant = Grant::on(&asked, true);
        assert_eq!(grant.answers(&asked, now), Ok(true));
        assert_eq!(Grant::on(&asked, false).answers(&asked, now), Ok(false));
        let with = |change: fn(&mut Grant)| {
            let mut grant = grant.clone();
            change(&mut grant);
            grant.answers(&asked, now).unwrap_err()
        };
        assert_eq!(with(|grant| grant.nonce.push('x')), Forgery::Replayed);
        assert_eq!(with(|grant| grant.id.push('x')), Forgery::Replayed);
        assert_eq!(with(|grant| grant.at = 99), Forgery::Replayed);
        assert_eq!(with(|grant| grant.digest.push('0')), Forgery::Digest);
        assert_eq!(
            with(|grant| grant.aliases.push("db1".into())),
            Forgery::Host
        );
        assert_eq!(with(|grant| grant.policy.push('0')), Forgery::Policy);
        assert_eq!(with(|grant| grant.until = 7), Forgery::Expired);
        assert_eq!(with(|grant| grant.at = u64::MAX), Forgery::Expired);
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let mut other = request().targets;
        other[0].alias = "web1sh".into();
        other[0].shell = String::new();
        assert_ne!(digest(&other, ""), digest(&request().targets, ""));
        let given = "1 bytes to read";
        assert_ne!(digest(&other, ""), digest(&other, given));
    }

    #[test]
    fn an_id_leads_nowhere() {
        for wrong in ["", "short", "../../etc", "abcdefgh.json", "abc/defgh"] {
            assert!(!is_id(wrong), "{wrong}");
        }
        assert!(is_id("abc_DEF0"));
    }
}
