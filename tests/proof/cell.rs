//! The throw-away root, and one invocation in it under strace.
//!
//! A worker leaves the namespaces of the machine (mounts, network, processes, IPC, name),
//! gives up what would reach the machine all the same (clock, modules, reboot), makes the
//! root and goes into it. Then it takes invocations, one a line, from its standard input.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, chroot};
use serde::{Deserialize, Serialize};

use crate::trace::{self, Deed};

/// Where programs are looked for, within the root.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Output beyond this is not waited for.
const ENOUGH: u64 = 1 << 20;

/// What a worker is asked.
#[derive(Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) words: Vec<String>,
    /// A file that is the standard input.
    pub(crate) input: String,
    pub(crate) seconds: u64,
}

/// What came of it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) deeds: Vec<Deed>,
    /// Files that are not as they were.
    pub(crate) changed: Vec<String>,
    pub(crate) ended: bool,
    /// What it printed, on both.
    pub(crate) output: String,
}

/// A worker, from outside.
pub(crate) struct Worker {
    child: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Worker {
    pub(crate) fn start(number: usize) -> Self {
        let place = std::env::temp_dir().join(format!("proof-{}-{number}", std::process::id()));
        fs::create_dir_all(&place).unwrap();
        let mut child = Command::new("setpriv")
            .args(["--bounding-set=-sys_time,-sys_boot,-sys_module,-sys_rawio,-mac_admin,-mac_override"])
            .args(["unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child"])
            .arg(std::env::current_exe().unwrap())
            .arg("inside")
            .arg(&place)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("setpriv and unshare (Debian: apt-get install util-linux)");
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { child, answers }
    }

    pub(crate) fn ask(&mut self, job: &Job) -> Seen {
        let mut input = self.child.stdin.as_ref().unwrap();
        let mut line = serde_json::to_string(job).unwrap();
        line.push('\n');
        input.write_all(line.as_bytes()).unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        assert!(
            !answer.is_empty(),
            "the cell ended: the proof needs root, strace, and a kernel with overlay mounts"
        );
        serde_json::from_str(&answer).unwrap()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// The worker's own side; ends with its standard input.
pub(crate) fn inside(place: &str) {
    let made = Command::new("sh")
        .args(["-c", include_str!("cell.sh"), "cell.sh", place])
        .env("PATH", PATH)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(made.success(), "tests/proof/cell.sh: {made}");
    chroot(&PathBuf::from(place).join("merged")).unwrap();
    std::env::set_current_dir("/probe").unwrap();
    let limit = |what, most| setrlimit(what, most, most).unwrap();
    limit(Resource::RLIMIT_AS, 8 << 30);
    limit(Resource::RLIMIT_CPU, 600);
    limit(Resource::RLIMIT_FSIZE, 64 << 20);
    let mut out = std::io::stdout();
    let mut known = BTreeSet::new();
    changed(&mut known);
    for line in std::io::stdin().lines() {
        let job: Job = serde_json::from_str(&line.unwrap()).unwrap();
        let mut answer = serde_json::to_string(&run(&job, &mut known)).unwrap();
        answer.push('\n');
        out.write_all(answer.as_bytes()).unwrap();
    }
}

fn run(job: &Job, known: &mut BTreeSet<Change>) -> Seen {
    let mut child = Command::new("strace")
        .args([
            "-f",
            "--seccomp-bpf",
            "-qqq",
            "-y",
            "-s",
            "256",
            "-e",
            "signal=none",
        ])
        .args(["-o", "/trace/one", "-e"])
        .arg(format!("trace={}", trace::WATCHED.replace([' ', '\n'], "")))
        .arg("--")
        .args(&job.words)
        .env_clear()
        .envs([
            ("PATH", PATH),
            ("HOME", "/root"),
            ("LANG", "C.UTF-8"),
            ("TERM", "dumb"),
            ("USER", "root"),
        ])
        .stdin(fs::File::open(&job.input).unwrap())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let group = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let outputs = [
        reader(child.stdout.take().unwrap()),
        reader(child.stderr.take().unwrap()),
    ];
    let (sender, receiver) = mpsc::channel();
    let waiter = thread::spawn(move || {
        let _ = child.wait();
        let _ = sender.send(());
    });
    let ended = receiver
        .recv_timeout(Duration::from_secs(job.seconds))
        .is_ok();
    let _ = killpg(group, Signal::SIGKILL);
    waiter.join().unwrap();
    // What it left in the background would hold the pipes open.
    kill_strays();
    let output = outputs.map(|reader| reader.join().unwrap()).concat();
    let written = fs::read("/trace/one").unwrap_or_default();
    Seen {
        deeds: trace::deeds(&String::from_utf8_lossy(&written)),
        changed: changed(known),
        ended,
        output,
    }
}

fn reader(from: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.take(ENOUGH).read_to_end(&mut bytes);
        bytes.truncate(4096);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Ends every other process of this namespace of processes, and reaps it: this is its first
/// process, to which orphans fall, and a long run would collect thousands of dead ones.
fn kill_strays() {
    let own = std::process::id().to_string();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name != own
            && let Ok(number) = name.parse()
        {
            let _ = nix::sys::signal::kill(Pid::from_raw(number), Signal::SIGKILL);
        }
    }
    while waitpid(None, None).is_ok() {}
}

/// A file of the layer above the machine's files: its path, when it changed, its size.
type Change = (String, i64, i64, u64);

/// What is new in the layer above the machine's files.
fn changed(known: &mut BTreeSet<Change>) -> Vec<String> {
    let mut changed = Vec::new();
    let mut open = vec![PathBuf::from("/changed")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap().flatten() {
            let path = entry.path();
            let Ok(about) = fs::symlink_metadata(&path) else {
                continue;
            };
            let shown = Path::new("/").join(path.strip_prefix("/changed").unwrap());
            let shown = shown.display().to_string();
            if about.is_dir() {
                open.push(path);
            } else if known.insert((
                shown.clone(),
                about.ctime(),
                about.ctime_nsec(),
                about.len(),
            )) {
                changed.push(shown);
            }
        }
    }
    changed
}
