//! The system call filter: compiles the data of `syscalls` and hands it to the kernel.
//!
//! One allow-list that kills the process for what it does not know, and one more for
//! each error number: the kernel takes the strictest answer of all filters. One thread takes
//! a further one, for the kind of threads that it makes. Whether the server starts without
//! it is decided by `startup`, the only caller.

use std::collections::BTreeMap;

use nix::errno::Errno;
use nix::libc;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, apply_filter, apply_filter_all_threads,
};

use crate::sys::syscalls::{
    AGENT_SOCKET, BEYOND_RESOLVERS, CALLS, Call, Otherwise, Test, Value, Verdict,
};

/// Why the filter is not in force.
#[derive(Debug, thiserror::Error)]
pub enum SeccompError {
    /// EPERM: a filter around this process forbids further ones.
    #[error(
        "the container's seccomp profile blocks seccomp: use a profile that allows the seccomp system call \
         (the default ones of Docker and Podman do)"
    )]
    Blocked,
    /// ENOSYS or EINVAL: the kernel was built without filters.
    #[error(
        "this kernel lacks seccomp filters: use one with CONFIG_SECCOMP_FILTER (Linux 4.14 or newer)"
    )]
    NotInKernel,
    /// No table for this processor.
    #[error("there is no seccomp table for {0}")]
    Architecture(&'static str),
    #[error("seccomp: {0}")]
    Compile(BackendError),
    #[error("seccomp: {0}")]
    Apply(seccompiler::Error),
    #[error("seccomp does not answer: {0}")]
    Probe(Errno),
}

/// What differs between two configurations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// A credential says `agent: true`: AF_UNIX stream sockets stay possible.
    pub agent: bool,
}

/// Whether the kernel takes filters that kill the process.
///
/// # Errors
/// It does not, and why.
pub(crate) fn probe() -> Result<(), SeccompError> {
    let action: u32 = libc::SECCOMP_RET_KILL_PROCESS;
    // SAFETY: with this operation the call reads one number behind the pointer.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_GET_ACTION_AVAIL,
            0,
            &raw const action,
        )
    };
    match Errno::result(answer) {
        Ok(_) => Ok(()),
        Err(Errno::EPERM | Errno::EACCES) => Err(SeccompError::Blocked),
        Err(Errno::ENOSYS | Errno::EINVAL | Errno::EOPNOTSUPP) => Err(SeccompError::NotInKernel),
        Err(error) => Err(SeccompError::Probe(error)),
    }
}

/// Puts the filter in force for all threads, for good. Needs `no_new_privs`.
///
/// # Errors
/// The kernel refused it. The process must not go on then: a part may be in force.
pub fn restrict(needs: Needs) -> Result<(), SeccompError> {
    let (answers, last) = answering(needs)?;
    for program in answers.iter().chain([&last.kills]) {
        apply_filter_all_threads(program).map_err(SeccompError::Apply)?;
    }
    Ok(())
}

/// Puts in force all but the part that kills, which each thread then takes for itself by
/// [`Last`]: this one and those that it starts before.
///
/// # Errors
/// As [`restrict`].
pub fn restrict_but_last(needs: Needs) -> Result<Last, SeccompError> {
    let (answers, last) = answering(needs)?;
    for program in &answers {
        apply_filter_all_threads(program).map_err(SeccompError::Apply)?;
    }
    Ok(last)
}

/// What ends the process; no further filter can be installed after it.
#[derive(Clone)]
pub struct Last {
    kills: BpfProgram,
    resolvers: BpfProgram,
}

impl Last {
    /// For this thread and those that it starts from now on.
    ///
    /// # Errors
    /// As [`restrict`].
    pub fn restrict(&self) -> Result<(), SeccompError> {
        apply_filter(&self.kills).map_err(SeccompError::Apply)
    }

    /// The same without what the look-up of a name has no use for.
    ///
    /// # Errors
    /// As [`restrict`].
    pub fn restrict_to_resolvers(&self) -> Result<(), SeccompError> {
        apply_filter(&self.resolvers).map_err(SeccompError::Apply)?;
        self.restrict()
    }
}

/// The filters that answer with an error number, and what comes last.
fn answering(needs: Needs) -> Result<(Vec<BpfProgram>, Last), SeccompError> {
    let arch = std::env::consts::ARCH;
    let target = TargetArch::try_from(arch).map_err(|_| SeccompError::Architecture(arch))?;
    let mut answers = compile(target, needs, std::process::id())?;
    let kills = answers.pop().unwrap_or_default();
    let resolvers = without(target, BEYOND_RESOLVERS)?;
    Ok((answers, Last { kills, resolvers }))
}

/// A filter that ends the process for these calls, and lets every other one pass.
fn without(target: TargetArch, calls: &[(&str, &[&[Test]])]) -> Result<BpfProgram, SeccompError> {
    let mut rules = BTreeMap::new();
    for (name, alternatives) in calls {
        let Some(call) = CALLS.iter().find(|call| call.name == *name) else {
            continue;
        };
        let alternatives: Result<Vec<_>, _> =
            alternatives.iter().map(|tests| rule(tests, 0)).collect();
        if let Some(number) = number(call, target)? {
            rules.insert(i64::from(number), alternatives?);
        }
    }
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::KillProcess,
        target,
    );
    filter
        .and_then(BpfProgram::try_from)
        .map_err(SeccompError::Compile)
}

/// Whether a filter is in force, as the kernel says.
pub fn is_active() -> bool {
    // SAFETY: takes a number and answers one.
    let mode = unsafe { libc::prctl(libc::PR_GET_SECCOMP, 0, 0, 0, 0) };
    mode.cast_unsigned() == libc::SECCOMP_MODE_FILTER
}

/// The programs in the order in which they are installed: the one that kills comes last,
/// as it does not allow installing another.
///
/// # Errors
/// The data contradicts itself.
pub(crate) fn compile(
    target: TargetArch,
    needs: Needs,
    pid: u32,
) -> Result<Vec<BpfProgram>, SeccompError> {
    let mut answers: Vec<i32> = CALLS.iter().filter_map(answer).collect();
    answers.sort_unstable();
    answers.dedup();
    let mut programs = Vec::new();
    for error in answers {
        // Also lets pass what the last filter will kill: the strictest answer counts.
        let action = SeccompAction::Errno(error.cast_unsigned());
        programs.push(program(target, needs, pid, action, Some(error))?);
    }
    programs.push(program(
        target,
        needs,
        pid,
        SeccompAction::KillProcess,
        None,
    )?);
    Ok(programs)
}

/// The error number that a call can be answered with.
fn answer(call: &Call) -> Option<i32> {
    match call.verdict {
        Verdict::Refuse(error) | Verdict::Only(_, Otherwise::Errno(error)) => Some(error),
        Verdict::Allow | Verdict::Only(_, Otherwise::Kill) => None,
    }
}

/// The filter whose answer to what it does not allow is `action`: for `error`, or the
/// killing one for `None`.
fn program(
    target: TargetArch,
    needs: Needs,
    pid: u32,
    action: SeccompAction,
    error: Option<i32>,
) -> Result<BpfProgram, SeccompError> {
    let mut rules = BTreeMap::new();
    for call in CALLS {
        let Some(number) = number(call, target)? else {
            continue;
        };
        // A rule without alternatives allows the call whatever its arguments.
        let mut alternatives = Vec::new();
        match call.verdict {
            Verdict::Refuse(answer) if error == Some(answer) => continue,
            Verdict::Only(accepted, _) if error == answer(call) => {
                for tests in accepted {
                    alternatives.push(rule(tests, pid)?);
                }
                if needs.agent && call.name == "socket" {
                    alternatives.push(rule(AGENT_SOCKET, pid)?);
                }
            }
            _ => {}
        }
        rules.insert(i64::from(number), alternatives);
    }
    if error.is_some() {
        // The filters that follow are still to be installed; the last one forbids it.
        rules.insert(installing(target), Vec::new());
    }
    let filter = SeccompFilter::new(rules, action, SeccompAction::Allow, target);
    filter
        .and_then(BpfProgram::try_from)
        .map_err(SeccompError::Compile)
}

/// The call's number, if it exists there.
fn number(call: &Call, target: TargetArch) -> Result<Option<u16>, SeccompError> {
    match target {
        TargetArch::x86_64 => Ok(call.x86_64),
        TargetArch::aarch64 => Ok(call.aarch64),
        _ => Err(SeccompError::Architecture("this processor")),
    }
}

/// The number of seccomp(2).
fn installing(target: TargetArch) -> i64 {
    match target {
        TargetArch::x86_64 => 317,
        _ => 277,
    }
}

fn rule(tests: &[Test], pid: u32) -> Result<SeccompRule, SeccompError> {
    let conditions: Result<Vec<_>, _> = tests
        .iter()
        .map(|test| {
            let value = match test.value {
                Value::Is(value) => value,
                Value::OwnPid => pid,
            };
            let operation = match test.mask {
                u32::MAX => SeccompCmpOp::Eq,
                mask => SeccompCmpOp::MaskedEq(mask.into()),
            };
            let length = SeccompCmpArgLen::Dword;
            SeccompCondition::new(test.argument, length, operation, value.into())
        })
        .collect();
    conditions
        .and_then(SeccompRule::new)
        .map_err(SeccompError::Compile)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_architectures_compile() {
        for target in [TargetArch::x86_64, TargetArch::aarch64] {
            for agent in [false, true] {
                let programs = compile(target, Needs { agent }, 7).unwrap();
                assert_eq!(programs.len(), 4);
            }
            assert!(!without(target, BEYOND_RESOLVERS).unwrap().is_empty());
        }
    }
}
