//! Promise: the system call filter does what its table says, call by call and argument
//! by argument.
//!
//! The cases are made from the table itself (`sys::syscalls`): each call is made with
//! each accepted set of arguments, with each of them changed bit by bit, and every number
//! that is not in the table is called too. Each in a process of its own, since most of
//! them end it.

#![allow(
    unsafe_code,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    reason = "makes system calls by number, with arguments of six"
)]

use crate::child::Ended;
use mcp_ssh_orchestrator::testing::model::threads::Maker;
use mcp_ssh_orchestrator::testing::sys::process;
use mcp_ssh_orchestrator::testing::sys::seccomp::{self, Needs};
use mcp_ssh_orchestrator::testing::sys::syscalls::{
    AGENT_SOCKET, BEYOND_RESOLVERS, CALLS, Call, Otherwise, Test, Value, Verdict,
};
use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise, sigaction};

/// Beyond the last system call of any kernel so far.
const NUMBERS: i64 = 512;

#[test]
fn calls_without_conditions_pass() {
    let calls = calls(|verdict| matches!(verdict, Verdict::Allow));
    assert!(calls.len() > 40);
    for (call, number) in calls {
        let ended = filtered(AGENTLESS, || exit_code(make(number, [u64::MAX; 6])));
        match call.name {
            "exit" | "exit_group" => assert!(matches!(ended, Ended::Exited(255)), "{ended:?}"),
            // Takes its arguments from a signal's frame on the stack.
            "rt_sigreturn" => {}
            name => assert_eq!(ended, Ended::Exited(0), "{name}"),
        }
    }
}

#[test]
fn a_signal_handler_returns() {
    extern "C" fn handler(_: libc::c_int) {}
    let ended = filtered(AGENTLESS, || {
        let action = SigAction::new(
            SigHandler::Handler(handler),
            SaFlags::empty(),
            SigSet::empty(),
        );
        // SAFETY: the handler does nothing.
        let installed = unsafe { sigaction(Signal::SIGUSR1, &action) };
        i32::from(installed.and_then(|_| raise(Signal::SIGUSR1)).is_err())
    });
    assert_eq!(ended, Ended::Exited(0));
}

#[test]
fn accepted_arguments_pass() {
    let calls = calls(|verdict| matches!(verdict, Verdict::Only(..)));
    assert!(calls.len() > 10);
    for (call, number) in calls {
        let Verdict::Only(accepted, _) = call.verdict else {
            unreachable!()
        };
        assert!(!accepted.is_empty(), "{}", call.name);
        for tests in accepted {
            let status = filtered(AGENTLESS, || exit_code(make(number, arguments(tests))));
            let stopped = [
                Ended::Killed(Signal::SIGSYS),
                Ended::Exited(1),
                Ended::Exited(99),
            ];
            assert!(
                !stopped.contains(&status),
                "{} {tests:?}: {status:?}",
                call.name
            );
        }
    }
}

/// 1 if the answer can only be the filter's: no call answers so to these arguments.
fn exit_code(result: Result<i64, Errno>) -> i32 {
    match result {
        Err(Errno::EACCES | Errno::ENOSYS | Errno::EAFNOSUPPORT) => 1,
        _ => 0,
    }
}

#[test]
fn perturbed_arguments_are_stopped() {
    let mut cases = 0;
    for (call, number) in calls(|verdict| matches!(verdict, Verdict::Only(..))) {
        let Verdict::Only(accepted, otherwise) = call.verdict else {
            unreachable!()
        };
        let count = perturbations(accepted).len();
        assert!(count > 0, "{}", call.name);
        cases += count;
        match otherwise {
            Otherwise::Kill => {
                for case in 0..count {
                    // Made again in the child, whose own id is one of the values.
                    let ended = filtered(AGENTLESS, || {
                        let _ = make(number, perturbations(accepted)[case]);
                        0
                    });
                    assert_killed(ended, &format!("{} case {case}", call.name));
                }
            }
            // None of these ends the process: all in one.
            Otherwise::Errno(error) => {
                let ended = filtered(AGENTLESS, || {
                    let expected = Err(Errno::from_raw(error));
                    let stopped = |arguments: &[u64; 6]| make(number, *arguments) == expected;
                    i32::from(!perturbations(accepted).iter().all(stopped))
                });
                assert_eq!(ended, Ended::Exited(0), "{}", call.name);
            }
        }
    }
    assert!(cases > 500, "only {cases}");
}

#[test]
fn refused_calls_get_their_error() {
    let calls = calls(|verdict| matches!(verdict, Verdict::Refuse(_)));
    assert!(!calls.is_empty());
    for (call, number) in calls {
        let Verdict::Refuse(error) = call.verdict else {
            unreachable!()
        };
        let status = filtered(AGENTLESS, || {
            i32::from(make(number, [0; 6]) != Err(Errno::from_raw(error)))
        });
        assert_eq!(status, Ended::Exited(0), "{}", call.name);
    }
}

#[test]
fn everything_else_ends_the_process() {
    let listed: Vec<_> = CALLS.iter().filter_map(number).collect();
    for number in (0..NUMBERS).filter(|number| !listed.contains(number)) {
        let status = filtered(AGENTLESS, || i32::from(make(number, [u64::MAX; 6]).is_ok()));
        if UPROBES.contains(&number) {
            assert_ne!(status, Ended::Exited(1), "number {number} did something");
        } else {
            assert_killed(status, &format!("number {number}"));
        }
    }
}

/// uretprobe and uprobe: kernels from 6.14 on let these past every filter, and answer a
/// caller in which they did not plant the call themselves with SIGILL or an error.
#[cfg(target_arch = "x86_64")]
const UPROBES: [i64; 2] = [335, 336];
#[cfg(not(target_arch = "x86_64"))]
const UPROBES: [i64; 0] = [];

/// The second table of numbers that x86_64 kernels may have (x32) holds nothing for us.
#[test]
#[cfg(target_arch = "x86_64")]
fn the_other_tables_of_this_processor_are_closed() {
    const X32: i64 = 0x4000_0000;
    for call in ["getpid", "write", "execve"] {
        let number = match call {
            "getpid" => libc::SYS_getpid,
            "write" => libc::SYS_write,
            _ => 520,
        };
        let status = filtered(AGENTLESS, || {
            let _ = make(X32 | number, [0; 6]);
            0
        });
        assert_killed(status, call);
    }
}

#[test]
fn unix_sockets_are_for_the_agent_alone() {
    let socket = |needs| {
        filtered(needs, || {
            i32::from(make(libc::SYS_socket, arguments(AGENT_SOCKET)).is_err())
        })
    };
    let with_agent = socket(Needs { agent: true });
    assert_eq!(with_agent, Ended::Exited(0));
    let without = socket(AGENTLESS);
    assert_eq!(without, Ended::Exited(1));
    // And nothing more comes with it.
    let datagram = filtered(Needs { agent: true }, || {
        let type_ = libc::SOCK_DGRAM.cast_unsigned().into();
        i32::from(make(libc::SYS_socket, [1, type_, 0, 0, 0, 0]) != Err(Errno::EAFNOSUPPORT))
    });
    assert_eq!(datagram, Ended::Exited(0));
}

#[test]
fn a_filter_that_is_in_force_says_so() {
    let status = filtered(AGENTLESS, || i32::from(!seccomp::is_active()));
    assert_eq!(status, Ended::Exited(0));
    assert!(!seccomp::is_active());
}

/// What a look-up of a name has no use for ends the process where a thread of the resolvers'
/// kind makes it, and is let through where another thread of the same process does.
#[test]
fn threads_that_look_names_up_may_do_less() {
    assert!(BEYOND_RESOLVERS.len() > 10);
    for (name, alternatives) in BEYOND_RESOLVERS {
        let call = CALLS.iter().find(|call| call.name == *name).unwrap();
        let number = number(call).unwrap();
        let mut cases: Vec<[u64; 6]> = alternatives
            .iter()
            .map(|tests| {
                let mut arguments = [0; 6];
                for test in *tests {
                    arguments[usize::from(test.argument)] = u64::from(expected(test));
                }
                arguments
            })
            .collect();
        if cases.is_empty() {
            cases.push([u64::MAX; 6]);
        }
        for case in cases {
            let by_a_resolver = with_resolvers(move || i32::from(make(number, case).is_ok()), || 0);
            assert_killed(by_a_resolver, &format!("{name} {case:?}"));
            let by_another = with_resolvers(|| 0, move || i32::from(make(number, case).is_err()));
            let made = matches!(by_another, Ended::Exited(0 | 1));
            assert!(made, "{name} {case:?}: {by_another:?}");
        }
    }
}

#[test]
fn threads_that_look_names_up_may_do_what_that_takes() {
    let looked_up = with_resolvers(
        || {
            use std::net::ToSocketAddrs;
            // The second asks the name servers, as far as there are any.
            let here = ("localhost", 0).to_socket_addrs().is_ok();
            let _ = ("name.invalid", 0).to_socket_addrs();
            i32::from(!here)
        },
        || 0,
    );
    assert_eq!(looked_up, Ended::Exited(0));
    let read_only = with_resolvers(
        || i32::from(std::fs::File::open("/etc/hosts").is_err()),
        || 0,
    );
    assert_eq!(read_only, Ended::Exited(0));
    // No thread of this kind can put a filter of its own in force, nor its maker.
    let further = with_resolvers(
        || make(libc::SYS_seccomp, [1, 0, 0, 0, 0, 0]).map_or(1, |_| 2),
        || 0,
    );
    assert_killed(further, "seccomp(2)");
}

/// Runs the one on a thread that a narrowed maker starts, the other on the first thread, in a
/// process that is confined as the server is. The first of their results that is not 0 is the
/// exit code.
fn with_resolvers(
    resolver: impl FnOnce() -> i32 + Send + 'static,
    other: impl FnOnce() -> i32,
) -> Ended {
    crate::child::run(|| {
        let started = process::forbid_new_privileges()
            .ok()
            .and_then(|()| seccomp::restrict_but_last(AGENTLESS).ok())
            .and_then(|last| {
                let narrow = last.clone();
                let narrow = move || narrow.restrict_to_resolvers();
                let maker = Maker::start("resolvers", narrow).ok()?.ok()?;
                last.restrict().ok()?;
                Some(maker)
            });
        let Some(maker) = started else { return 99 };
        let (told, telling) = std::sync::mpsc::channel();
        let work = move || {
            let _ = told.send(resolver());
        };
        let builder = std::thread::Builder::new();
        let Ok(()) = maker.spawn(builder, work) else {
            return 98;
        };
        match telling.recv() {
            Ok(0) => other(),
            Ok(code) => code,
            Err(_) => 97,
        }
    })
}

const AGENTLESS: Needs = Needs { agent: false };

fn calls(wanted: impl Fn(&Verdict) -> bool) -> Vec<(&'static Call, i64)> {
    CALLS
        .iter()
        .filter(|call| wanted(&call.verdict))
        .filter_map(|call| Some((call, number(call)?)))
        .collect()
}

fn number(call: &Call) -> Option<i64> {
    let number = if cfg!(target_arch = "x86_64") {
        call.x86_64
    } else {
        call.aarch64
    };
    number.map(i64::from)
}

/// Arguments that pass `tests`; those that are not tested are as bad as can be.
fn arguments(tests: &[Test]) -> [u64; 6] {
    let mut arguments = [u64::MAX; 6];
    for test in tests {
        arguments[usize::from(test.argument)] = expected(test).into();
    }
    arguments
}

fn expected(test: &Test) -> u32 {
    match test.value {
        Value::Is(value) => value,
        // Asked where the call is made: the child's own id.
        Value::OwnPid => std::process::id(),
    }
}

/// Every accepted set of arguments with every tested bit of it changed, as far as that
/// is not accepted by another alternative.
fn perturbations(accepted: &[&[Test]]) -> Vec<[u64; 6]> {
    let mut found = Vec::new();
    for tests in accepted {
        for test in *tests {
            for bit in (0..32).filter(|bit| test.mask & (1 << bit) != 0) {
                let mut changed = arguments(tests);
                changed[usize::from(test.argument)] ^= 1 << bit;
                let passes = |tests: &&[Test]| {
                    tests.iter().all(|test| {
                        let given = changed[usize::from(test.argument)] as u32;
                        given & test.mask == expected(test)
                    })
                };
                if !accepted.iter().any(passes) {
                    found.push(changed);
                }
            }
        }
    }
    found
}

fn make(number: i64, [a, b, c, d, e, f]: [u64; 6]) -> Result<i64, Errno> {
    // SAFETY: the arguments are chosen so that no pointer among them is valid, and the
    // process that makes the call ends right after it.
    Errno::result(unsafe { libc::syscall(number, a, b, c, d, e, f) })
}

/// Runs `action` under the filter in a process of its own; its result is the exit code.
fn filtered(needs: Needs, action: impl FnOnce() -> i32) -> Ended {
    crate::child::run(|| {
        let ready = process::forbid_new_privileges().is_ok() && seccomp::restrict(needs).is_ok();
        if ready { action() } else { 99 }
    })
}

fn assert_killed(ended: Ended, what: &str) {
    assert_eq!(ended, Ended::Killed(Signal::SIGSYS), "{what}");
}
