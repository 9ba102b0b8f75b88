//! Links that every kernel makes below `/proc` (proc(5)), and what a process holds there.
//!
//! Owns which paths lead away by them: `/proc/1/root/etc/shadow` is `/etc/shadow`, and what
//! `/proc/1/fd/3` is nobody knows. Called for the paths of commands, for grants and denials.

use crate::policy::rule::glob::{EXPANDED, expands_to};
use crate::policy::syntax::command::NUMBER;

/// What the host puts in: a wildcard's match, or the digits that a command prints.
const OPEN: [char; 2] = [EXPANDED, NUMBER];

/// Where a link leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Root,
    Somewhere,
}

/// What lies behind `/proc/PID`, and behind `/proc/PID/task/TID`; nothing if it is no such path.
fn of_process(components: &[String]) -> &[String] {
    let is_process = |name: &String| {
        let number = name.bytes().all(|b| b.is_ascii_digit());
        number || name.contains(OPEN) || matches!(name.as_str(), "self" | "thread-self")
    };
    match components {
        [proc, process, task, thread, rest @ ..]
            if expands_to(proc, "proc")
                && is_process(process)
                && expands_to(task, "task")
                && is_process(thread) =>
        {
            rest
        }
        [proc, process, rest @ ..] if expands_to(proc, "proc") && is_process(process) => rest,
        _ => &[],
    }
}

/// Where the kernel's own link at the end of the path leads, if there is one.
pub(super) fn led_to(components: &[String]) -> Option<End> {
    match of_process(components) {
        [name] if name == "root" && is_certain(components) => Some(End::Root),
        [name] if expands_to(name, "root") || expands_to(name, "cwd") => Some(End::Somewhere),
        [name, _] if expands_to(name, "fd") || expands_to(name, "map_files") => {
            Some(End::Somewhere)
        }
        _ => None,
    }
}

/// Whether it can be nothing but a path of a process: what a wildcard stands for may be one of
/// these, and another folder as well.
fn is_certain(components: &[String]) -> bool {
    let tasks = components.get(2).filter(|_| components.len() > 3);
    components.first().is_some_and(|name| name == "proc") && tasks.is_none_or(|name| name == "task")
}

/// Whether what a process has open, in memory or in its variables is read there: that of no
/// place, so that no pattern grants it.
pub(super) fn holds_anything(components: &[String]) -> bool {
    match of_process(components) {
        [name] => expands_to(name, "environ") || expands_to(name, "mem"),
        [name, _] => expands_to(name, "fd") || expands_to(name, "map_files"),
        // The kernel's own memory and log.
        _ => matches!(components, [proc, name] if expands_to(proc, "proc")
            && (expands_to(name, "kcore") || expands_to(name, "kmsg"))),
    }
}

/// Whether all of a process, or what it calls its root, would be read with a tree.
pub(super) fn is_tree_of_processes(components: &[String]) -> bool {
    let proc = components.first().is_some_and(|name| name == "proc");
    let whole = match components.len() {
        1 => true,
        2 | 4 => of_process(components).is_empty() && !of_process(&extended(components)).is_empty(),
        3 => components
            .last()
            .is_some_and(|name| expands_to(name, "task")),
        _ => false,
    };
    proc && (whole || led_to(components).is_some())
}

fn extended(components: &[String]) -> Vec<String> {
    let more = std::iter::once("x".to_owned());
    components.iter().cloned().chain(more).collect()
}
