//! How much of the sandbox must hold, and what is said of it.
//!
//! Owns the comparison of what a level demands with what this kernel gives: below the floor
//! the server does not start, above it all that the kernel has is used, and what it lacks is
//! named. (`off` leaves the filters away; privileges are given up all the same.) Also what a
//! reload may not ask of a closed sandbox. The mechanisms are those of `sys`. Called by the
//! boot once, while there is one thread.

use std::collections::BTreeSet;
use std::fs::File;
use std::{fmt, io};

use crate::audit;
use crate::cli::{Right, Sandbox as Level, Settings};
use crate::config::{Admission, Snapshot};
use crate::model::names::Port;
use crate::model::threads::Maker;
use crate::startup::identity::Identity;
use crate::sys::landlock::{self, Grants, LandlockError};
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
    /// There is a datagram socket of AF_UNIX.
    syslog: bool,
}

impl Scope {
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        Self {
            ports: snapshot.ports(),
            agent: snapshot.needs_agent(),
            syslog: false,
        }
    }

    pub(crate) fn and_syslog(self, syslog: bool) -> Self {
        Self { syslog, ..self }
    }
}

/// What was verified to hold, and what a later configuration is measured with.
pub(crate) struct Confinement {
    pub report: audit::Sandbox,
    /// What of the sandbox this machine does not give, a sentence each.
    pub missing: Vec<String>,
    /// Of threads that look names up: they may do less than others.
    pub resolvers: Maker,
    ports: Option<BTreeSet<Port>>,
    agent: bool,
}

/// What the command line demands.
pub(crate) struct Demand<'a> {
    level: Level,
    /// Beside what the level demands.
    floor: &'a [Right],
}

impl<'a> Demand<'a> {
    pub(crate) fn of(settings: &'a Settings) -> Self {
        Self {
            level: settings.sandbox,
            floor: &settings.sandbox_floor,
        }
    }

    /// What is demanded and not there.
    fn lacking(&self, held: &[Right]) -> Vec<Right> {
        let demanded = self.level.floor().iter().chain(self.floor);
        let mut lacking: Vec<Right> = demanded
            .filter(|right| !held.contains(right))
            .copied()
            .collect();
        lacking.sort();
        lacking.dedup();
        lacking
    }

    /// How to start without what is lacking.
    fn way_out(&self, lacking: &[Right]) -> String {
        if lacking.iter().any(|right| self.floor.contains(right)) {
            return "or leave that out of --sandbox-floor".to_owned();
        }
        let lower = [Level::Required, Level::Degraded];
        let enough = lower
            .iter()
            .find(|level| lacking.iter().all(|right| !level.floor().contains(right)));
        let level = enough.unwrap_or(&Level::Degraded).name();
        format!("or start with --sandbox={level}, which goes on without")
    }
}

/// Why the server does not start.
#[derive(Debug)]
pub(crate) enum ConfineError {
    NewPrivileges(io::Error),
    /// These are demanded and not there.
    Incomplete {
        lacking: Vec<Right>,
        missing: Vec<String>,
        way_out: String,
    },
    Landlock(LandlockError),
    Seccomp(SeccompError),
    Threads(io::Error),
    /// The kernel accepted everything, and the process can still do what it must not.
    NotInForce(&'static str),
}

impl fmt::Display for ConfineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NewPrivileges(error) => write!(f, "cannot forbid new privileges: {error}"),
            Self::Incomplete {
                lacking,
                missing,
                way_out,
            } => {
                let names: Vec<_> = lacking.iter().map(|right| right.name()).collect();
                write!(
                    f,
                    "the sandbox cannot be closed as it must be (without: {}): {}; {way_out}",
                    names.join(", "),
                    missing.join("; ")
                )
            }
            Self::Landlock(error) => error.fmt(f),
            Self::Seccomp(error) => error.fmt(f),
            Self::Threads(error) => write!(f, "cannot start the resolvers' thread: {error}"),
            Self::NotInForce(what) => write!(f, "the sandbox is not in force: {what}"),
        }
    }
}

/// Closes the sandbox around `scope` and `grants`, and verifies it.
///
/// # Errors
/// Something that is demanded is not there, or a mechanism that the kernel offers does not
/// take effect.
pub(crate) fn close(
    _: &SingleThreaded,
    demand: &Demand<'_>,
    identity: Identity,
    scope: Scope,
    mut grants: Grants<'_>,
) -> Result<Confinement, ConfineError> {
    let Scope {
        ports,
        agent,
        syslog,
    } = scope;
    let unix = agent || syslog;
    grants.ports = ports.iter().map(|port| port.get()).chain([DNS]).collect();
    process::forbid_new_privileges().map_err(ConfineError::NewPrivileges)?;

    let offer = Offer::of_this_kernel();
    let lacking = demand.lacking(&offer.held(unix));
    if !lacking.is_empty() {
        return Err(ConfineError::Incomplete {
            way_out: demand.way_out(&lacking),
            lacking,
            missing: offer.missing(unix),
        });
    }
    let (in_force, resolvers, missing) = if demand.level == Level::Off {
        let off = "the sandbox is off, as --sandbox=off asks: for debugging, not for service";
        (Offer::nothing(), Maker::default(), vec![off.to_owned()])
    } else {
        let (in_force, resolvers) = enforce(demand, offer, &grants, Needs { agent })?;
        let missing = in_force.missing(unix);
        (in_force, resolvers, missing)
    };
    let abi = in_force.landlock.as_ref().copied().unwrap_or(0);
    let seccomp = in_force.seccomp.is_ok();
    let rights = in_force.held(unix);
    let still_root = identity.still_root.map(|reason| reason.to_string());
    Ok(Confinement {
        ports: rights.contains(&Right::Tcp).then_some(ports),
        report: audit::Sandbox {
            level: demand.level.name(),
            rights: rights.into_iter().map(Right::name).collect(),
            landlock_abi: abi,
            seccomp,
            no_new_privs: true,
            uid: identity.uid,
            gid: identity.gid,
            capabilities_dropped: true,
            missing: missing.iter().cloned().chain(still_root).collect(),
        },
        missing,
        resolvers,
        agent: agent || !seccomp,
    })
}

/// Puts in force what the kernel offers, all of it. At a level with a floor, a mechanism that
/// is offered and fails is a reason not to start.
fn enforce(
    demand: &Demand<'_>,
    offer: Offer,
    grants: &Grants<'_>,
    needs: Needs,
) -> Result<(Offer, Maker), ConfineError> {
    let landlock = match offer.landlock {
        Err(reason) => Err(reason),
        Ok(abi) => match landlock::restrict(grants, abi) {
            Ok(enforced) => Ok(enforced.abi),
            Err(error) if demand.lacking(&[]).is_empty() => Err(error.to_string()),
            Err(error) => return Err(ConfineError::Landlock(error)),
        },
    };
    let mut resolvers = Maker::default();
    if offer.seccomp.is_ok() {
        resolvers = filter(needs)?;
    }
    verify(landlock.is_ok(), offer.seccomp.is_ok())?;
    let seccomp = offer.seccomp;
    Ok((Offer { landlock, seccomp }, resolvers))
}

/// The filters, and the one thread that is started before the last: the resolvers' maker has a
/// narrower one, and after the last nothing can be narrowed. It waits until it is asked for a
/// thread, and no byte of a stranger has been read.
fn filter(needs: Needs) -> Result<Maker, ConfineError> {
    let last = seccomp::restrict_but_last(needs).map_err(ConfineError::Seccomp)?;
    let of_resolvers = last.clone();
    let narrow = move || of_resolvers.restrict_to_resolvers();
    let resolvers = Maker::start("resolvers", narrow)
        .map_err(ConfineError::Threads)?
        .map_err(ConfineError::Seccomp)?;
    last.restrict().map_err(ConfineError::Seccomp)?;
    Ok(resolvers)
}

/// What a kernel gives, or why it does not.
struct Offer {
    /// The ABI of Landlock.
    landlock: Result<u32, String>,
    seccomp: Result<(), String>,
}

impl Offer {
    fn of_this_kernel() -> Self {
        Self {
            landlock: landlock::probe().map_err(|reason| reason.to_string()),
            seccomp: seccomp::probe().map_err(|error| error.to_string()),
        }
    }

    fn nothing() -> Self {
        Self {
            landlock: Err(String::new()),
            seccomp: Err(String::new()),
        }
    }

    /// What of it holds. Some of what an older Landlock does not know is held by the filter
    /// of system calls, which has no truncate(2), no kill(2), ioctl(2) for sockets alone and
    /// Unix sockets only for an agent and for syslog (`unix`).
    fn held(&self, unix: bool) -> Vec<Right> {
        let abi = self.landlock.as_ref().copied().unwrap_or(0);
        let seccomp = self.seccomp.is_ok();
        let holds = |right: &Right| match right {
            Right::Seccomp => seccomp,
            Right::Files => abi >= 1,
            // Without Landlock, opening a file can cut it off too.
            Right::Truncate => abi >= 3 || (abi >= 1 && seccomp),
            Right::Tcp => abi >= landlock::TCP,
            Right::Ioctl => abi >= 5 || seccomp,
            Right::Scopes => abi >= 6 || (seccomp && !unix),
        };
        Right::ALL.into_iter().filter(holds).collect()
    }

    /// What does not hold, why, and what mends it: a sentence each.
    fn missing(&self, unix: bool) -> Vec<String> {
        let mut missing = Vec::new();
        let held = self.held(unix);
        match &self.landlock {
            Err(reason) => missing.push(reason.clone()),
            Ok(abi) => {
                if !held.contains(&Right::Tcp) {
                    missing.push(format!(
                        "this kernel's Landlock (ABI {abi}) cannot restrict TCP: a server that was \
                         taken over could connect to every port that the network lets through; \
                         use Linux 6.7 or newer (ABI {})",
                        landlock::TCP
                    ));
                }
                if !held.contains(&Right::Scopes) && self.seccomp.is_ok() {
                    missing.push(format!(
                        "this kernel's Landlock (ABI {abi}) cannot keep a server that was taken \
                         over from abstract Unix sockets, which a socket for the agent or for syslog leaves open; use \
                         Linux 6.12 or newer (ABI 6)"
                    ));
                }
            }
        }
        if let Err(reason) = &self.seccomp {
            missing.push(reason.clone());
        }
        missing
    }
}

/// Asks the kernel, and tries one thing that must fail.
fn verify(landlock: bool, seccomp: bool) -> Result<(), ConfineError> {
    if !process::new_privileges_forbidden() {
        return Err(ConfineError::NotInForce("no_new_privs is not set"));
    }
    if !process::dumps_forbidden() {
        return Err(ConfineError::NotInForce("the process is dumpable"));
    }
    if seccomp && !seccomp::is_active() {
        return Err(ConfineError::NotInForce("there is no system call filter"));
    }
    if landlock && File::open("/").is_ok() {
        return Err(ConfineError::NotInForce("/ can be opened"));
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel(abi: u32, seccomp: bool) -> Offer {
        let no = |held: bool, text: &str| if held { Ok(()) } else { Err(text.to_owned()) };
        Offer {
            landlock: no(abi > 0, "no Landlock").map(|()| abi),
            seccomp: no(seccomp, "no filters"),
        }
    }

    /// Kernels as they are delivered, and what each level makes of them.
    #[test]
    fn each_level_has_its_floor() {
        let starts = |level, floor: &[Right], abi, seccomp| {
            let demand = Demand { level, floor };
            demand.lacking(&kernel(abi, seccomp).held(false)).is_empty()
        };
        for (abi, seccomp, strict, required) in [
            (7, true, true, true),
            (4, true, true, true),  // Linux 6.7
            (3, true, false, true), // Ubuntu 22.04 with 6.5
            (2, true, false, true), // Debian 12
            (1, true, false, true), // Ubuntu 22.04 with 5.15
            (0, true, false, false),
            (7, false, false, false),
        ] {
            assert_eq!(starts(Level::Strict, &[], abi, seccomp), strict, "{abi}");
            assert_eq!(
                starts(Level::Required, &[], abi, seccomp),
                required,
                "{abi}"
            );
            assert!(starts(Level::Degraded, &[], abi, seccomp));
        }
        assert!(!starts(Level::Required, &[Right::Tcp], 3, true));
        assert!(!starts(Level::Degraded, &[Right::Files], 0, true));
        assert!(starts(
            Level::Degraded,
            &[Right::Ioctl, Right::Scopes],
            0,
            true
        ));
    }

    #[test]
    fn what_a_kernel_lacks_is_named_once_with_the_way_out() {
        let named = |abi, seccomp, agent| kernel(abi, seccomp).missing(agent).join("\n");
        assert_eq!(named(7, true, true), "");
        assert!(named(2, true, false).contains("(ABI 2) cannot restrict TCP"));
        assert!(!named(5, true, false).contains("abstract"));
        assert!(named(5, true, true).contains("abstract"));
        assert_eq!(named(0, true, true), "no Landlock");
        assert_eq!(named(0, false, true), "no Landlock\nno filters");
        let way_out =
            |level, lacking: &[Right], floor: &[Right]| Demand { level, floor }.way_out(lacking);
        assert!(way_out(Level::Strict, &[Right::Tcp], &[]).contains("--sandbox=required"));
        assert!(way_out(Level::Strict, &[Right::Files], &[]).contains("--sandbox=degraded"));
        assert!(way_out(Level::Required, &[Right::Tcp], &[Right::Tcp]).contains("-floor"));
    }
}
