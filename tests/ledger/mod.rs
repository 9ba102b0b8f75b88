//! What the tests of the audit file share: a record begun in a directory, commands that
//! come and go on it, and its lines read back.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "each test binary uses its own part, and a failed step is a failed test"
)]

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

use mcp_ssh_orchestrator::testing::audit::{
    Audit, AuditEnd, AuditError, Grounds, Kept, Linked, Place, Sandbox, ServerStart, Ts, verify,
};
use mcp_ssh_orchestrator::testing::model::names::{CommandHash, HostAlias, TaskId};
use serde_json::Value;

/// What a server says of itself at its start.
pub(crate) fn server() -> ServerStart {
    let ts = Ts::now();
    ServerStart {
        ts,
        timestamp: ts.iso(),
        version: env!("CARGO_PKG_VERSION"),
        pid: std::process::id(),
        config_hash: "c0".repeat(32),
        hosts: 1,
        sandbox: Sandbox {
            level: "off",
            rights: Vec::new(),
            landlock_abi: 0,
            seccomp: false,
            no_new_privs: false,
            uid: 0,
            gid: 0,
            capabilities_dropped: false,
            missing: Vec::new(),
        },
        audit_file: true,
        linked: Linked {
            libssh2: "1".into(),
            openssl: "3".into(),
            zlib: "1".into(),
            build: "hardened",
        },
    }
}

/// A record with its plain log in `<path>.log`.
pub(crate) fn begin(path: &Path, rotate_bytes: u64) -> Result<Audit, AuditError> {
    let mut log = path.as_os_str().to_owned();
    log.push(".log");
    let log = OpenOptions::new().create(true).append(true).open(log);
    let audit = Audit::to(log.unwrap());
    let place = Place::open(path, rotate_bytes).unwrap();
    audit.begin(Some(Kept::File(place)), server())?;
    Ok(audit)
}

/// A record whose plain log nobody wants.
pub(crate) fn begin_quietly(path: &Path, rotate_bytes: u64) -> Audit {
    let audit = Audit::to(OpenOptions::new().write(true).open("/dev/null").unwrap());
    let place = Place::open(path, rotate_bytes).unwrap();
    audit.begin(Some(Kept::File(place)), server()).unwrap();
    audit
}

pub(crate) fn alias() -> HostAlias {
    HostAlias::parse("web1").unwrap()
}

pub(crate) fn hash() -> CommandHash {
    CommandHash::of("uptime")
}

pub(crate) fn task(number: u64) -> TaskId {
    TaskId::new(&alias(), hash(), number)
}

pub(crate) fn ended() -> AuditEnd {
    AuditEnd {
        exit_code: 0,
        duration_ms: 5,
        bytes_out: 1,
        bytes_err: 2,
        cancelled: false,
        timeout: false,
        target_ip: Some([127, 0, 0, 1].into()),
        transferred: None,
    }
}

/// One command, from its decision to its end.
pub(crate) fn run(audit: &Audit, number: u64) {
    let decided = audit.allow(&alias(), hash(), Grounds::default());
    decided.start(&task(number)).unwrap().finish(ended());
}

pub(crate) fn records(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.ends_with('\n') || text.is_empty());
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

pub(crate) fn log(path: &Path) -> Vec<Value> {
    let mut log = path.as_os_str().to_owned();
    log.push(".log");
    records(Path::new(&log))
}

/// How many of the records are of one type.
pub(crate) fn count(records: &[Value], kind: &str) -> usize {
    records.iter().filter(|r| r["type"] == kind).count()
}

/// Whether the files are one sound chain, with the report.
pub(crate) fn verdict(files: &[&Path], head: Option<&str>) -> (bool, String) {
    let files: Vec<PathBuf> = files.iter().map(|path| path.to_path_buf()).collect();
    let mut report = Vec::new();
    let sound = verify(&files, head, &mut report).unwrap();
    (sound, String::from_utf8(report).unwrap())
}

pub(crate) fn assert_sound(files: &[&Path]) -> String {
    let (sound, report) = verdict(files, None);
    assert!(sound, "{report}");
    report
}

/// Every file of a chain whose current one is `path`, in no order.
pub(crate) fn family(path: &Path) -> Vec<PathBuf> {
    let name = path.file_name().unwrap().to_str().unwrap();
    let entries = fs::read_dir(path.parent().unwrap()).unwrap();
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|found| {
            let found = found.file_name().unwrap().to_str().unwrap();
            found.starts_with(name) && !found.ends_with(".log")
        })
        .collect()
}

/// Appends bytes behind the server's back.
pub(crate) fn scribble(path: &Path, bytes: &[u8]) {
    use std::io::Write;
    let mut file = OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

pub(crate) fn cut(path: &Path, length: u64) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_len(length).unwrap();
}
