//! A server killed at any moment leaves an audit file that the next one goes on with: no
//! whole record is lost, each start has exactly one end, and what the killed one had
//! said to be recorded is recorded.
//!
//! The server is this test program itself, run once more as a child that records
//! commands and says on its standard output what has been recorded. It is killed at
//! random moments, and, by strace, on entering each of the system calls that touch the
//! file, one after the other. What a power cut would take as well, a kill does not: there
//! the order of the system calls is looked at.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::common::{Scratch, tool};
use crate::ledger::{
    alias, assert_sound, begin_quietly, ended, family, hash, records, scribble, task,
};
use mcp_ssh_orchestrator::testing::audit::{Audit, Grounds};

const FILE: &str = "MCP_SSH_TEST_AUDIT_FILE";
const THREADS: &str = "MCP_SSH_TEST_AUDIT_THREADS";
const COMMANDS: &str = "MCP_SSH_TEST_AUDIT_COMMANDS";
const FIRST: &str = "MCP_SSH_TEST_AUDIT_FIRST";

/// Small enough for a rotation every few commands.
const ROTATE: u64 = 6_000;

/// Not a test but the child: does nothing unless it is told to.
#[test]
fn child() {
    let Some(file) = std::env::var_os(FILE) else {
        return;
    };
    let number = |name| std::env::var(name).unwrap().parse::<u64>().unwrap();
    let (threads, commands, first) = (number(THREADS), number(COMMANDS), number(FIRST));
    let audit = begin_quietly(Path::new(&file), ROTATE);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let audit = &audit;
            scope.spawn(move || {
                for command in 0..commands {
                    one(audit, first + thread * 1_000_000 + command);
                }
            });
        }
    });
    audit.close("end_of_input");
    say("closed", 0);
}

fn one(audit: &Audit, number: u64) {
    let decided = audit.allow(&alias(), hash(), Grounds::default());
    let started = decided.start(&task(number)).unwrap();
    say("started", number);
    started.finish(ended());
    say("ended", number);
}

fn say(what: &str, number: u64) {
    let line = format!("@{what} {number}\n");
    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
}

fn spawn(mut command: Command, path: &Path, threads: u64, commands: u64, first: u64) -> Child {
    command
        .args([
            "--exact",
            "audit::crash::child",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(FILE, path)
        .env(THREADS, threads.to_string())
        .env(COMMANDS, commands.to_string())
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command.spawn().unwrap()
}

/// What children have said to be recorded.
#[derive(Default)]
struct Said {
    started: BTreeSet<String>,
    ended: BTreeSet<String>,
}

impl Said {
    fn hear(&mut self, line: &str) {
        // libtest's own words may stand before the first line.
        let Some((_, words)) = line.rsplit_once('@') else {
            return;
        };
        let Some((what, number)) = words.split_once(' ') else {
            return;
        };
        let id = task(number.parse().unwrap()).to_string();
        match what {
            "started" => drop(self.started.insert(id)),
            "ended" => drop(self.ended.insert(id)),
            _ => {}
        }
    }

    /// The files hold all of it, exactly once, in one sound chain.
    fn holds(&self, path: &Path) {
        let files = family(path);
        let paths: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
        assert_sound(&paths);
        let (mut starts, mut ends) = (BTreeMap::new(), BTreeMap::new());
        let mut decisions = 0;
        for record in paths.iter().flat_map(|path| records(path)) {
            let id = record["task_id"].as_str().unwrap_or_default().to_owned();
            match record["type"].as_str().unwrap() {
                "audit_start" => *starts.entry(id).or_insert(0) += 1,
                "audit" => ends
                    .entry(id)
                    .or_insert(Vec::new())
                    .push(record["interrupted"] == true),
                "policy_decision" => decisions += 1,
                _ => {}
            }
        }
        assert!(starts.values().all(|count| *count == 1), "each start once");
        assert!(decisions >= starts.len());
        assert_eq!(
            starts.keys().collect::<Vec<_>>(),
            ends.keys().collect::<Vec<_>>(),
            "each start has an end, each end a start"
        );
        assert!(ends.values().all(|ends| ends.len() == 1), "each end once");
        for id in &self.started {
            assert!(starts.contains_key(id), "{id} started and is not recorded");
        }
        for id in &self.ended {
            assert_eq!(ends[id], [false], "{id} ended and is not recorded so");
        }
    }
}

#[test]
fn killed_at_random_moments() {
    let scratch = Scratch::new("killed");
    let path = scratch.path().join("audit.jsonl");
    let mut said = Said::default();
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..40 {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let itself = Command::new(std::env::current_exe().unwrap());
        let mut child = spawn(itself, &path, 8, 1_000_000, (round + 1) * 100_000_000);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Somewhere within the first records, or before any.
        for line in lines.by_ref().take(usize::try_from(seed % 400).unwrap()) {
            said.hear(&line.unwrap());
        }
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        // What it still said before it died counts too, up to a last half line.
        for line in lines.map_while(Result::ok) {
            if line.starts_with('@') && line.len() > 10 {
                said.hear(&line);
            }
        }
    }
    // The last one ends in order, and closes what the others left open.
    begin_quietly(&path, ROTATE).close("end_of_input");
    assert!(said.ended.len() > 1_000, "{} commands", said.ended.len());
    said.holds(&path);
}

#[test]
fn killed_on_entering_each_system_call_that_touches_the_file() {
    let strace = tool("strace");
    for call in [
        "write",
        "fdatasync",
        "fsync",
        "openat",
        "renameat",
        "unlinkat",
        "ftruncate",
        "flock",
    ] {
        let scratch = Scratch::new(call);
        let path = scratch.path().join("audit.jsonl");
        let mut said = Said::default();
        let (mut survived, mut killed) = (0, 0);
        let tears = call == "ftruncate";
        if tears {
            begin_quietly(&path, ROTATE).close("end_of_input");
        }
        for when in 1..1_000 {
            if tears {
                // Without a torn write there is nothing to cut off.
                scribble(&path, b"{\"type\":\"audit_st");
            }
            let mut traced = Command::new(&strace);
            traced
                .args(["-f", "-qq", "-o", "/dev/null", "-e"])
                .arg(format!("trace={call}"))
                .arg("-e")
                .arg(format!("inject={call}:signal=SIGKILL:when={when}"))
                .arg(std::env::current_exe().unwrap());
            let mut child = spawn(traced, &path, 1, 12, when * 1_000);
            let heard = BufReader::new(child.stdout.take().unwrap()).lines();
            for line in heard.map_while(Result::ok) {
                said.hear(&line);
            }
            if child.wait().unwrap().success() {
                survived += 1;
                // It makes fewer of these calls than that.
                if survived == 2 {
                    break;
                }
            } else {
                killed += 1;
            }
        }
        assert!(survived == 2 && killed > 0, "{call}: killed {killed} times");
        begin_quietly(&path, ROTATE).close("end_of_input");
        said.holds(&path);
    }
}

/// What of some files a power cut would spare, by the system calls that were made.
#[derive(Default)]
struct Disk {
    /// By path: how often it was written, and up to where that is on disk.
    files: BTreeMap<String, (u64, u64)>,
    /// What a thread is bringing there: the path, and up to where.
    under_way: BTreeMap<String, (String, u64)>,
    /// A file got another name, and the directory is not on disk since.
    renamed: bool,
    renames: usize,
}

impl Disk {
    /// One line of `strace -f -y`: a thread, its call, and the paths of its descriptors.
    fn happened(&mut self, line: &str) {
        let (thread, call) = line.split_once(' ').unwrap();
        let call = call.trim_start();
        if let Some(done) = call.strip_prefix("<... ") {
            if done.ends_with("= 0") && done.contains("sync resumed") {
                self.reached(thread);
            }
            return;
        }
        let path = |text: &str| -> String {
            let from = text.find('<').map_or(0, |at| at + 1);
            text[from..].chars().take_while(|c| *c != '>').collect()
        };
        if call.starts_with("write(") {
            self.files.entry(path(call)).or_default().0 += 1;
        } else if call.starts_with("fsync(") || call.starts_with("fdatasync(") {
            let path = path(call);
            let (written, _) = *self.files.entry(path.clone()).or_default();
            self.under_way.insert(thread.into(), (path, written));
            if call.ends_with("= 0") {
                self.reached(thread);
            }
        } else if call.starts_with("renameat") {
            // Unfinished: another thread had its turn before the answer was there.
            let done = ["= 0", "<unfinished ...>"];
            assert!(done.iter().any(|end| call.ends_with(end)), "{call}");
            let words: Vec<&str> = call.split('"').collect();
            let [from, to] = [words[1], words[3]].map(|name| format!("{}/{name}", path(call)));
            assert_eq!(self.lost(), Vec::<String>::new(), "before {call}");
            let moved = self.files.remove(&from).unwrap();
            self.files.insert(to.clone(), moved);
            let syncs = self.under_way.values_mut();
            syncs
                .filter(|(path, _)| *path == from)
                .for_each(|(path, _)| path.clone_from(&to));
            (self.renamed, self.renames) = (true, self.renames + 1);
        }
    }

    fn reached(&mut self, thread: &str) {
        let (path, until) = self.under_way.remove(thread).unwrap();
        // A directory is written by nobody.
        self.renamed &= path.contains(".jsonl");
        let (_, synced) = self.files.entry(path).or_default();
        *synced = until.max(*synced);
    }

    fn lost(&self) -> Vec<String> {
        let files = self.files.iter();
        files
            .filter(|(path, (written, synced))| path.contains(".jsonl") && synced < written)
            .map(|(path, _)| path.clone())
            .collect()
    }
}

#[test]
fn what_counts_as_recorded_survives_a_power_cut() {
    let scratch = Scratch::new("power");
    let path = scratch.path().join("audit.jsonl");
    let trace = scratch.path().join("trace");
    let mut traced = Command::new(tool("strace"));
    traced
        .args(["-f", "-y", "-qq", "-s", "64", "-o"])
        .arg(&trace)
        .args(["-e", "trace=write,fsync,fdatasync,renameat,renameat2"])
        .args(["-e", "signal=none"])
        .arg(std::env::current_exe().unwrap());
    let child = spawn(traced, &path, 1, 40, 1_000);
    assert!(child.wait_with_output().unwrap().status.success());
    let mut disk = Disk::default();
    let mut said = 0;
    for line in std::fs::read_to_string(&trace).unwrap().lines() {
        disk.happened(line);
        if ["@started", "@closed"]
            .iter()
            .any(|word| line.contains(word))
        {
            assert_eq!(disk.lost(), Vec::<String>::new(), "{line}");
            assert!(!disk.renamed, "the directory is not on disk: {line}");
            said += 1;
        }
    }
    assert_eq!(said, 41);
    assert!(disk.renames > 4, "{} renames", disk.renames);
}
