//! What can go wrong between a judged command and its exit status, in two voices.
//!
//! Owns the one error type of this layer. [`SshError::for_assistant`] is a fixed text
//! without address, name, path or secret; [`SshError::for_operator`] has the cause and
//! belongs in the log. Made by every file of this folder, read by the task layer.

mod problem;

use std::fmt;
use std::net::{IpAddr, SocketAddr};

pub use crate::ssh::error::problem::{HostKeyProblem, KeyProblem, ResolveFailure, SudoProblem};
use crate::ssh::phase::Phase;
use crate::ssh::said;
use crate::ssh::unanswered::Unanswered;

/// The words of the network denial for a name that cannot be resolved.
pub(crate) const NO_ADDRESS: &str = "DNS resolution failed";

/// A run that failed. Every variant names one operation that did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SshError {
    /// The name has no address, or could not be looked up.
    Resolve { name: String, why: ResolveFailure },
    /// The policy's network lists allow none of the addresses.
    NoAddressAllowed { refused: Vec<IpAddr> },
    /// TCP could not connect to any allowed address; the last failure.
    Connect { address: SocketAddr, errno: i32 },
    /// The jump host did not connect us to the next address, and says why.
    Tunnel { address: SocketAddr, cause: String },
    /// The deadline of a phase passed; `whole_run` if it was the run's own.
    Timeout { phase: Phase, whole_run: bool },
    /// The run's switch was thrown.
    Cancelled(Phase),
    /// The configuration that allowed the command is not in force any more. Nothing was sent.
    Superseded,
    /// The host closed the channel in order and did not say how the command ended.
    NoStatus,
    /// The host turns this address away for a while (sshd's `PerSourcePenalties`).
    TurnedAway { said: String },
    /// Neither side knows an algorithm of the other for this part of the key exchange.
    NoCommon {
        part: &'static str,
        host: String,
        ours: String,
    },
    /// The peer closed the connection, or the network broke it.
    LinkLost { phase: Phase, cause: String },
    /// libssh2 refused what the peer sent.
    Protocol { phase: Phase, cause: String },
    /// The host's key is not the one on record.
    HostKey(HostKeyProblem),
    /// `known_hosts` could not be read, or a line of it cannot be honoured.
    KnownHosts { cause: String },
    /// The host has no login configured.
    NoCredentials,
    /// The private key cannot be used.
    Key(KeyProblem),
    /// The host refused every credential it was offered.
    Denied {
        methods: String,
        /// With what it hung up then, if it did.
        farewell: Option<String>,
    },
    /// The host takes none of what the entry has for this user, or wants more than that.
    NotTaken { methods: String, offered: String },
    /// The host asks at the login for something that it got no answer to.
    Prompt { question: String, why: Unanswered },
    /// `sudo` on the host did not get what it wanted, so that the command was not run.
    Sudo(SudoProblem),
    /// The host refused the channel or the command.
    Refused { what: &'static str, cause: String },
    /// This machine could not do its part (descriptors, threads, memory).
    Local { what: &'static str, cause: String },
    /// A hop on the way to the host failed; the position counts from 1.
    Hop { alias: String, error: Box<Self> },
}

impl SshError {
    /// The text for the assistant: one of a fixed list, nothing of the host in it.
    pub fn for_assistant(&self) -> &'static str {
        match self {
            Self::Resolve { .. } => "SSH hostname resolution failed: DNS lookup failed",
            Self::NoAddressAllowed { .. } => "No resolved IPs allowed by policy.network",
            Self::Connect { errno, .. } => connect_text(*errno),
            Self::Tunnel { .. } => {
                "SSH connection refused: Port may be closed or firewall blocking"
            }
            Self::Timeout { phase, .. } => timeout_text(*phase),
            Self::Cancelled(_) => "Cancelled",
            Self::Superseded => "The configuration changed before the command was sent: Not run",
            Self::NoStatus => {
                "SSH command ended without an exit status: The host closed the channel and did not say how it ended"
            }
            Self::TurnedAway { .. } => {
                "SSH connection refused: The host turns this server away for a while, do not try again soon"
            }
            Self::NoCommon { .. } => {
                "SSH negotiation failed: No algorithm in common, see legacy_algorithms"
            }
            Self::LinkLost {
                phase: Phase::Run | Phase::Close,
                ..
            } => "SSH connection lost: The command may or may not have run to its end",
            Self::LinkLost { .. } | Self::Protocol { .. } => {
                "SSH connection failed: Check host, port, and network connectivity"
            }
            Self::Local { .. } => {
                "The server is out of descriptors, threads or memory: The command was not run, try again later"
            }
            Self::HostKey(problem) => match problem {
                HostKeyProblem::Unknown { .. } => "SSH host key not found: Add host to known_hosts",
                HostKeyProblem::Mismatch { .. } => {
                    "SSH host key verification failed: Host key mismatch"
                }
                HostKeyProblem::Certificate { .. } => {
                    "SSH host key verification failed: Host certificate is not valid"
                }
                HostKeyProblem::Revoked { .. } => {
                    "SSH host key verification failed: Host key is revoked"
                }
            },
            Self::KnownHosts { .. } => "SSH host key verification failed: Check known_hosts file",
            Self::NoCredentials => "SSH credentials missing: Add credentials for this host",
            Self::Key(problem) => match problem {
                KeyProblem::Missing { .. } => {
                    "SSH key file not found: Check key path configuration"
                }
                KeyProblem::Unreadable { .. } => {
                    "SSH key permission denied: Check key file permissions (should be 600)"
                }
                KeyProblem::Passphrase { given: false } => {
                    "SSH key requires passphrase: Provide key_passphrase_secret"
                }
                KeyProblem::Passphrase { given: true } => {
                    "SSH key passphrase wrong: Check key_passphrase_secret"
                }
                KeyProblem::Format { .. } => {
                    "SSH key format invalid: Check key file format (RSA/Ed25519/ECDSA)"
                }
                KeyProblem::Certificate { .. } => "SSH certificate invalid: Check cert_path file",
                KeyProblem::Agent { .. } => "SSH agent unavailable: Check agent socket",
                KeyProblem::Identity { .. } => {
                    "SSH agent lacks the key of this login: Check identity and the agent's keys"
                }
            },
            Self::Denied { .. } => "SSH authentication failed: Invalid credentials",
            Self::NotTaken { .. } => "SSH permission denied: Check username and credentials",
            Self::Prompt { why, .. } => why.told(),
            Self::Sudo(problem) => match problem {
                SudoProblem::Wrong => "sudo refused the password: Not run",
                SudoProblem::WrongBefore => {
                    "sudo refused this password before: Not tried again, not run"
                }
                SudoProblem::Refused => "sudo refused the user: Not run",
                SudoProblem::Silent => "sudo did not ask for a password in time: Not run",
            },
            Self::Refused { .. } => "SSH command refused: Host did not start the command",
            Self::Hop { error, .. } => error.for_assistant(),
        }
    }

    /// The detail of a network denial, if it is one: the name gave no address, or none
    /// that is allowed.
    pub fn network_denial(&self) -> Option<&'static str> {
        match self {
            Self::Resolve { .. }
            | Self::Timeout {
                phase: Phase::Resolve,
                whole_run: false,
            } => Some(NO_ADDRESS),
            Self::NoAddressAllowed { .. } => Some("No resolved IPs allowed by policy.network"),
            _ => None,
        }
    }

    /// What the host offered where it and this server do not come together, for the
    /// assistant: names of algorithms or of ways to log in; and what it said when it would
    /// not have us, without who and where.
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::NoCommon { part, host, ours } => Some(format!(
                "no {part} in common; the host has: {}; this server: {}",
                names_in(host),
                names_in(ours)
            )),
            Self::NotTaken { offered, .. } => {
                Some(format!("the host takes: {}", names_in(offered)))
            }
            Self::TurnedAway { said } => said::quoted(said),
            Self::Denied { farewell, .. } => said::in_cause(farewell.as_deref()?),
            Self::LinkLost { cause, .. } => said::in_cause(cause),
            Self::Hop { error, .. } => error.detail(),
            _ => None,
        }
    }

    /// The cause, for the log.
    pub fn for_operator(&self) -> String {
        self.to_string()
    }

    /// The phase in which it happened, where one is known.
    pub fn phase(&self) -> Option<Phase> {
        match self {
            Self::Resolve { .. } | Self::NoAddressAllowed { .. } => Some(Phase::Resolve),
            Self::Connect { .. } | Self::Tunnel { .. } => Some(Phase::Connect),
            Self::Timeout { phase, .. }
            | Self::Cancelled(phase)
            | Self::LinkLost { phase, .. }
            | Self::Protocol { phase, .. } => Some(*phase),
            Self::HostKey(_) | Self::KnownHosts { .. } => Some(Phase::Handshake),
            Self::Prompt { .. } => Some(Phase::Authenticate),
            Self::NoCredentials | Self::Key(_) | Self::Denied { .. } | Self::NotTaken { .. } => {
                Some(Phase::Authenticate)
            }
            Self::TurnedAway { .. } | Self::NoCommon { .. } => Some(Phase::Handshake),
            Self::Sudo(_) | Self::Refused { .. } | Self::Superseded | Self::NoStatus => {
                Some(Phase::Run)
            }
            Self::Local { .. } => None,
            Self::Hop { error, .. } => error.phase(),
        }
    }
}

/// Of a list of names (RFC 4251 section 5) those that are such, up to a bound: who wrote it
/// is not trusted.
fn names_in(list: &str) -> String {
    let is_name = |name: &&str| {
        let accept = |byte: u8| byte.is_ascii_alphanumeric() || b"@.-_+".contains(&byte);
        (1..=64).contains(&name.len()) && name.bytes().all(accept)
    };
    let names = list.split([',', ' ']).filter(is_name).take(40);
    let names: Vec<&str> = names.collect();
    match names.is_empty() {
        true => "nothing".to_owned(),
        false => names.join(", "),
    }
}

fn connect_text(errno: i32) -> &'static str {
    use nix::libc::{EACCES, ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, EPERM, ETIMEDOUT};
    match errno {
        ECONNREFUSED => "SSH connection refused: Port may be closed or firewall blocking",
        ENETUNREACH | EHOSTUNREACH => "SSH network unreachable: Cannot reach host",
        ETIMEDOUT => "SSH connection timeout: Host did not respond",
        // The sandbox grants the ports of servers.yml and no others.
        EACCES | EPERM => "SSH network unreachable: Cannot reach host",
        _ => "SSH connection failed: Check host, port, and network connectivity",
    }
}

fn timeout_text(phase: Phase) -> &'static str {
    match phase {
        Phase::Resolve => "SSH hostname resolution failed: DNS lookup failed",
        Phase::Connect | Phase::Handshake => "SSH connection timeout: Host did not respond",
        Phase::Authenticate => "SSH authentication timeout: Host did not answer the login",
        Phase::Run | Phase::Close => "Command timeout: Time limit reached",
    }
}

impl fmt::Display for SshError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve { name, why } => write!(f, "resolve {name}: {why}"),
            Self::NoAddressAllowed { refused } => {
                write!(f, "no address allowed by policy.network:")?;
                refused.iter().try_for_each(|ip| write!(f, " {ip}"))
            }
            Self::Connect { address, errno } => {
                write!(
                    f,
                    "connect to {address}: {}",
                    std::io::Error::from_raw_os_error(*errno)
                )
            }
            Self::Tunnel { address, cause } => write!(f, "tunnel to {address}: {cause}"),
            Self::Timeout {
                phase,
                whole_run: true,
            } => {
                write!(f, "the run's time was up in phase {phase}")
            }
            Self::Timeout {
                phase,
                whole_run: false,
            } => {
                write!(f, "the time of phase {phase} was up")
            }
            Self::Cancelled(phase) => write!(f, "cancelled in phase {phase}"),
            Self::Superseded => {
                f.write_str("the configuration changed before the request was sent")
            }
            Self::NoStatus => f.write_str("the host closed the channel without an exit status"),
            Self::TurnedAway { said } => write!(
                f,
                "the host turns this address away (PerSourcePenalties?): it said {}",
                said.escape_debug()
            ),
            Self::NoCommon { part, host, ours } => write!(
                f,
                "no {part} in common: the host has {}; this server offers {ours}",
                host.escape_debug()
            ),
            Self::LinkLost { phase, cause } => {
                write!(f, "connection lost in phase {phase}: {cause}")
            }
            Self::Protocol { phase, cause } => {
                write!(f, "protocol error in phase {phase}: {cause}")
            }
            Self::HostKey(problem) => problem.fmt(f),
            Self::KnownHosts { cause } => write!(f, "known_hosts: {cause}"),
            Self::NoCredentials => f.write_str("the host has no credentials"),
            Self::Prompt { question, why } => {
                write!(f, "the host asks \"{}\", {why}", question.escape_debug())
            }
            Self::Sudo(problem) => problem.fmt(f),
            Self::Key(problem) => problem.fmt(f),
            Self::Denied { methods, farewell } => {
                write!(f, "the host refused the login ({methods})")?;
                match farewell {
                    Some(farewell) => write!(f, "; then {farewell}"),
                    None => Ok(()),
                }
            }
            Self::NotTaken { methods, offered } => write!(
                f,
                "the host wants another login ({}) than the entry has (tried: {})",
                offered.escape_debug(),
                if methods.is_empty() {
                    "none"
                } else {
                    methods.as_str()
                },
            ),
            Self::Refused { what, cause } => write!(f, "the host refused the {what}: {cause}"),
            Self::Local { what, cause } => write!(f, "{what}: {cause}"),
            Self::Hop { alias, error } => write!(f, "jump host {alias}: {error}"),
        }
    }
}

impl std::error::Error for SshError {}
