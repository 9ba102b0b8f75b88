//! Why a command did not reach its host, for whoever has to mend it.
//!
//! Owns the reasons and codes of such failures and who has to do what. Says nothing that
//! the assistant may not know: no address, no name, no path. Called by
//! [`crate::task::worker`] with the error of a run; read by the answers of the tools.

use crate::ssh::{HostKeyProblem, KeyProblem, Phase, SshError, SudoProblem, Unanswered};

/// A command that was never sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreached {
    /// `connection`, `host_key`, `login`, `timeout` or `server`.
    pub reason: &'static str,
    pub code: &'static str,
    /// Who has to do what.
    pub hint: &'static str,
}

const HOST_DOWN: &str = "The host or the way to it is down, or a firewall is between. A person has to look; nothing of the \
    command was run, so it can be tried again later.";
const HOST_SLOW: &str = "The host did not answer in time. Try again later; if it stays so, a person has to look at the host \
    and the network.";
const LOGIN: &str = "The operator has to correct the credentials of this host in credentials.yml, or what the host accepts. \
    Another command will fail alike.";
const KEY: &str = "The operator has to correct the key of this login on the server's side. Another command will fail alike.";
const SUDO: &str = "Nothing was run. The operator has to correct sudo.password_secret of this login in credentials.yml and \
    reload, or what sudoers says of this user. Do not try again: each wrong password counts on the host.";
const SERVER: &str = "This server could not do its part; nothing was run. Try again later, and tell the operator if it stays \
    so.";

impl Unreached {
    /// The server's own fault, before anything was sent.
    pub(crate) const SERVER: Self = new("server", "server:resources", SERVER);
    /// What was to be run could not be put on record.
    pub(crate) const AUDIT: Self = new(
        "server",
        "server:audit",
        "The record of commands cannot be written, so none is run. The operator has to see to its disk.",
    );

    /// `None` for what went wrong after the command had been sent.
    pub(crate) fn of(error: &SshError) -> Option<Self> {
        let (reason, code, hint) = match error {
            SshError::Resolve { .. } | SshError::NoAddressAllowed { .. } => {
                ("connection", "connection:name", HOST_DOWN)
            }
            SshError::Connect { errno, .. } => ("connection", connect_code(*errno), HOST_DOWN),
            SshError::Tunnel { .. } => (
                "connection",
                "connection:jump",
                "The jump host does not reach this host. A person has to look at both.",
            ),
            SshError::LinkLost {
                phase: Phase::Run | Phase::Close,
                ..
            } => return None,
            SshError::LinkLost { .. } => (
                "connection",
                "connection:closed",
                "The host closed the connection before the login: too many connections, too many failed logins, or a \
                 firewall. Wait before trying again.",
            ),
            SshError::Protocol { .. } => (
                "connection",
                "connection:protocol",
                "Host and server do not understand each other: often no common algorithm. The operator sees the cause \
                 in the log.",
            ),
            SshError::Timeout {
                phase: Phase::Run | Phase::Close,
                ..
            } => return None,
            SshError::Timeout { phase, .. } => return Some(Self::timeout(*phase)),
            SshError::Cancelled(_) | SshError::Superseded | SshError::NoStatus => return None,
            SshError::TurnedAway { .. } => (
                "connection",
                "connection:turned-away",
                "The host turns this server away for a while, after too many failed logins. Do not try again soon; the \
                 operator can look at PerSourcePenalties of sshd.",
            ),
            SshError::NoCommon { .. } => (
                "connection",
                "connection:no-common-algorithm",
                "Host and server have no algorithm in common. The operator sees both lists in the log; for an old device \
                 legacy_algorithms of servers.yml adds what it needs.",
            ),
            SshError::HostKey(problem) => return Some(host_key(problem)),
            SshError::KnownHosts { .. } => (
                "host_key",
                "host_key:file",
                "The operator has to correct the known_hosts file on the server's side.",
            ),
            SshError::NoCredentials => ("login", "login:no-credentials", LOGIN),
            SshError::Key(problem) => ("login", key_code(problem), KEY),
            SshError::Denied { .. } => ("login", "login:refused", LOGIN),
            SshError::NotTaken { .. } => ("login", "login:other-method", LOGIN),
            SshError::Prompt {
                why: Unanswered::NoEntry,
                ..
            } => (
                "login",
                "login:prompt",
                "The host asks at the login for something that the server has no answer for. The operator sees the \
                 question in the log and can name an answer in prompts of this login in credentials.yml.",
            ),
            SshError::Prompt { .. } => (
                "login",
                "login:operator",
                "This login needs a code that the operator types while it waits: ask the operator to run \
                 'mcp-ssh-orchestrator approvals --watch' on the server's machine, then try again.",
            ),
            SshError::Sudo(problem) => ("login", sudo_code(*problem), SUDO),
            SshError::Refused { .. } => (
                "connection",
                "connection:command-refused",
                "The login works, but the host starts no command for it. The operator has to look at the account and \
                 at sshd's limits.",
            ),
            SshError::Local { .. } => ("server", "server:resources", SERVER),
            SshError::Hop { error, .. } => return Self::of(error),
        };
        Some(new(reason, code, hint))
    }

    /// The time was up before the command was sent.
    pub(crate) fn timeout(phase: Phase) -> Self {
        let code = match phase {
            Phase::Resolve => "timeout:resolve",
            Phase::Connect => "timeout:connect",
            Phase::Handshake => "timeout:handshake",
            Phase::Authenticate => "timeout:login",
            Phase::Run | Phase::Close => "timeout:run",
        };
        new("timeout", code, HOST_SLOW)
    }
}

const fn new(reason: &'static str, code: &'static str, hint: &'static str) -> Unreached {
    Unreached { reason, code, hint }
}

fn connect_code(errno: i32) -> &'static str {
    use nix::libc::{ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, ETIMEDOUT};
    match errno {
        ECONNREFUSED => "connection:refused",
        EHOSTUNREACH | ENETUNREACH => "connection:unreachable",
        ETIMEDOUT => "connection:no-answer",
        _ => "connection:failed",
    }
}

fn host_key(problem: &HostKeyProblem) -> Unreached {
    let (code, hint) = match problem {
        HostKeyProblem::Unknown { .. } => (
            "host_key:unknown",
            "The operator runs `trust` with this alias, compares the fingerprint, and the key becomes known. Nobody \
             else can.",
        ),
        HostKeyProblem::Mismatch { .. } => (
            "host_key:changed",
            "The host shows another key than the one on record: it was set up anew, or somebody is between. Stop, and \
             tell the operator, who checks the host and then runs `trust` with this alias.",
        ),
        HostKeyProblem::Certificate { .. } => (
            "host_key:certificate",
            "The certificate of this host does not hold for it now. Stop, and tell the operator, who sees the cause in \
             the log and renews the certificate.",
        ),
        HostKeyProblem::Revoked { .. } => (
            "host_key:revoked",
            "The key of this host is marked as revoked. Stop, and tell the operator.",
        ),
    };
    new("host_key", code, hint)
}

fn sudo_code(problem: SudoProblem) -> &'static str {
    match problem {
        SudoProblem::Wrong | SudoProblem::WrongBefore => "login:sudo-password",
        SudoProblem::Refused => "login:sudo-refused",
        SudoProblem::Silent => "login:sudo-silent",
    }
}

fn key_code(problem: &KeyProblem) -> &'static str {
    match problem {
        KeyProblem::Missing { .. } => "login:key-missing",
        KeyProblem::Unreadable { .. } => "login:key-unreadable",
        KeyProblem::Passphrase { given: false } => "login:key-passphrase-missing",
        KeyProblem::Passphrase { given: true } => "login:key-passphrase-wrong",
        KeyProblem::Format { .. } => "login:key-format",
        KeyProblem::Certificate { .. } => "login:certificate",
        KeyProblem::Agent { .. } => "login:agent",
        KeyProblem::Identity { .. } => "login:identity",
    }
}
