//! How much of the sandbox must hold, and what is said of it.
//!
//! Owns the levels: `required` refuses to go on without all of it, `degraded` says what
//! is missing, `off` leaves the filters away (privileges are given up all the same).
//! Also what a reload may not ask of a closed sandbox. The mechanisms are those of
//! `sys`. Called by the boot once, while there is one thread.

use std::collections::BTreeSet;
use std::fs::File;
use std::{fmt, io};

use crate::audit;
use crate::cli::Sandbox as Level;
use crate::config::{Admission, Snapshot};
use crate::model::names::Port;
use crate::startup::identity::Identity;
use crate::sys::landlock::{self, Enforced, Grants, LandlockError};
use crate::sys::process;
use crate::sys::seccomp::{self, Needs, SeccompError};
use crate::sys::single_threaded::SingleThreaded;

/// DNS over TCP, for answers that do not fit a datagram (RFC 7766).
const DNS: u16 = 53;

/// What the configuration needs of the network.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    ports: BTreeSet<Port>,
    agent: bool,
}

impl Scope {
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        Self {
            ports: snapshot.ports(),
            agent: snapshot.needs_agent(),
        }
    }
}

/// What was verified to hold, and what a later configuration is measured with.
pub(crate) struct Confinement {
    pub report: audit::Sandbox,
    /// What of the sandbox this machine does not give, a sentence each.
    pub missing: Vec<String>,
    ports: Option<BTreeSet<Port>>,
    agent: bool,
}

/// Why the server does not start.
#[derive(Debug)]
pub(crate) enum ConfineError {
    NewPrivileges(io::Error),
    /// `required`, and these are missing.
    Incomplete(Vec<String>),
    Landlock(LandlockError),
    Seccomp(SeccompError),
    /// The kernel accepted everything, and the process can still do what it must not.
    NotInForce(&'static str),
}

impl fmt::Display for ConfineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NewPrivileges(error) => write!(f, "cannot forbid new privileges: {error}"),
            Self::Incomplete(missing) => write!(
                f,
                "the sandbox is required and cannot be closed: {}; or start with \
                 --sandbox=degraded, which goes on without",
                missing.join("; ")
            ),
            Self::Landlock(error) => error.fmt(f),
            Self::Seccomp(error) => error.fmt(f),
            Self::NotInForce(what) => write!(f, "the sandbox is not in force: {what}"),
        }
    }
}

/// Closes the sandbox around `scope` and `grants`, and verifies it.
///
/// # Errors
/// The level is `required` and something is missing, or a mechanism that the kernel
/// offers does not take effect.
pub(crate) fn close(
    _: &SingleThreaded,
    level: Level,
    identity: Identity,
    scope: Scope,
    mut grants: Grants<'_>,
) -> Result<Confinement, ConfineError> {
    let Scope { ports, agent } = scope;
    let needs = Needs { agent };
    grants.ports = ports.iter().map(|port| port.get()).chain([DNS]).collect();
    process::forbid_new_privileges().map_err(ConfineError::NewPrivileges)?;

    let mut missing = Vec::new();
    let abi = available_landlock(&mut missing);
    let filter = seccomp::probe().map_err(|error| missing.push(error.to_string()));
    if level == Level::Required && !missing.is_empty() {
        return Err(ConfineError::Incomplete(missing));
    }
    let (landlock, seccomp) = if level == Level::Off {
        missing = vec![
            "the sandbox is off, as --sandbox=off asks: for debugging, not for service".to_owned(),
        ];
        (None, false)
    } else {
        let landlock = match abi.map(|abi| landlock::restrict(&grants, abi)) {
            Some(Err(error)) if level == Level::Degraded => {
                missing.push(error.to_string());
                None
            }
            other => other.transpose().map_err(ConfineError::Landlock)?,
        };
        if filter.is_ok() {
            seccomp::restrict(needs).map_err(ConfineError::Seccomp)?;
        }
        verify(landlock, filter.is_ok())?;
        (landlock, filter.is_ok())
    };
    let still_root = identity.still_root.map(|reason| reason.to_string());
    Ok(Confinement {
        report: audit::Sandbox {
            level: name(level),
            landlock_abi: landlock.map_or(0, |enforced| enforced.abi),
            seccomp,
            no_new_privs: true,
            uid: identity.uid,
            gid: identity.gid,
            capabilities_dropped: true,
            missing: missing.iter().cloned().chain(still_root).collect(),
        },
        missing,
        ports: landlock
            .is_some_and(|enforced| enforced.tcp)
            .then_some(ports),
        agent: agent || !seccomp,
    })
}

/// The ABI to use, if there is one; what it lacks is said.
fn available_landlock(missing: &mut Vec<String>) -> Option<u32> {
    match landlock::probe() {
        Ok(abi) => {
            if abi < landlock::FLOOR {
                missing.push(format!(
                    "this kernel's Landlock (ABI {abi}) cannot restrict TCP: use Linux 6.7 or \
                     newer (ABI {})",
                    landlock::FLOOR
                ));
            }
            Some(abi)
        }
        Err(reason) => {
            missing.push(reason.to_string());
            None
        }
    }
}

/// Asks the kernel, and tries one thing that must fail.
fn verify(landlock: Option<Enforced>, seccomp: bool) -> Result<(), ConfineError> {
    if !process::new_privileges_forbidden() {
        return Err(ConfineError::NotInForce("no_new_privs is not set"));
    }
    if !process::dumps_forbidden() {
        return Err(ConfineError::NotInForce("the process is dumpable"));
    }
    if seccomp && !seccomp::is_active() {
        return Err(ConfineError::NotInForce("there is no system call filter"));
    }
    if landlock.is_some() && File::open("/").is_ok() {
        return Err(ConfineError::NotInForce("/ can be opened"));
    }
    Ok(())
}

fn name(level: Level) -> &'static str {
    match level {
        Level::Required => "required",
        Level::Degraded => "degraded",
        Level::Off => "off",
    }
}

impl Confinement {
    /// What a reload is asked before it is taken in: nothing can be added to a sandbox
    /// that is closed.
    pub(crate) fn admission(&self) -> Admission {
        let (ports, agent) = (self.ports.clone(), self.agent);
        Box::new(move |snapshot| {
            let mut reasons = Vec::new();
            for host in snapshot.hosts() {
                if ports
                    .as_ref()
                    .is_some_and(|ports| !ports.contains(&host.port))
                {
                    reasons.push(format!(
                        "host {} uses port {}, which no host used when the sandbox was closed",
                        host.alias, host.port
                    ));
                }
            }
            if snapshot.needs_agent() && !agent {
                reasons.push(
                    "a credential asks an agent for its key, and none did when the sandbox was \
                     closed"
                        .to_owned(),
                );
            }
            if reasons.is_empty() {
                Ok(())
            } else {
                Err(reasons)
            }
        })
    }
}
