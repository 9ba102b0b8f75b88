//! What the audit file costs: commands a second on the record alone, with stderr only
//! and with the chained file, at several numbers of parallel tasks.
//!
//! A command here is its three records and nothing else, or a wait of as long as a short
//! command takes on a warm session; the second is what a user can notice. Run:
//! `cargo bench --bench audit`. Prints a table; the ratio is with the file over without.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failed step fails the benchmark, and its result is its output"
)]

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::time::{Duration, Instant};

use mcp_ssh_orchestrator::testing::audit::{
    Audit, AuditEnd, Grounds, Kept, Linked, Place, ROTATE_BYTES, Sandbox, ServerStart, Ts,
};
use mcp_ssh_orchestrator::testing::model::names::{CommandHash, HostAlias, TaskId};

/// Commands of one measurement.
const COMMANDS: u32 = 16_384;

/// What a short command takes on a session that is open already.
const COMMAND: Duration = Duration::from_millis(5);

fn main() {
    let directory = std::env::temp_dir().join(format!("audit-bench.{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    println!("parallel  each    stderr only      with file      ratio   fdatasync alone");
    for each in [Duration::ZERO, COMMAND] {
        for parallel in [1, 16, 64, 256] {
            let commands = COMMANDS.min(parallel * 256);
            let plain = measure(&log(), parallel, commands, each);
            let path = directory.join("audit.jsonl");
            let audit = log();
            let place = Place::open(&path, ROTATE_BYTES).unwrap();
            audit.begin(Some(Kept::File(place)), server()).unwrap();
            let chained = measure(&audit, parallel, commands, each);
            audit.close("end_of_input");
            drop(audit);
            let ratio = chained / plain;
            let disk = sync_alone(&directory);
            println!(
                "{parallel:>8}  {:>2} ms  {plain:>9.0}/s  {chained:>9.0}/s   {ratio:>6.3}   {disk:>8.2} ms",
                each.as_millis()
            );
            fs::remove_file(path).unwrap();
        }
    }
    fs::remove_dir_all(directory).unwrap();
}

/// A plain log that goes to a file, as a container's does.
fn log() -> Audit {
    Audit::to(OpenOptions::new().write(true).open("/dev/null").unwrap())
}

/// Commands a second.
fn measure(audit: &Audit, parallel: u32, commands: u32, each: Duration) -> f64 {
    let alias = HostAlias::parse("web1").unwrap();
    let hash = CommandHash::of("uptime");
    let began = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..parallel {
            let alias = &alias;
            scope.spawn(move || {
                for command in 0..commands / parallel {
                    let number = u64::from(thread) << 32 | u64::from(command);
                    let task = TaskId::new(alias, hash, number);
                    let started = audit
                        .allow(alias, hash, Grounds::default())
                        .start(&task)
                        .unwrap();
                    if !each.is_zero() {
                        std::thread::sleep(each);
                    }
                    started.finish(AuditEnd::unknown());
                }
            });
        }
    });
    f64::from(commands) / began.elapsed().as_secs_f64()
}

/// Milliseconds of one append with fdatasync on the same disk, for comparison.
fn sync_alone(directory: &Path) -> f64 {
    use std::io::Write;
    let path = directory.join("probe");
    let mut file = fs::File::create(&path).unwrap();
    let began = Instant::now();
    for _ in 0..50 {
        file.write_all(&[b'x'; 300]).unwrap();
        file.sync_data().unwrap();
    }
    began.elapsed().as_secs_f64() * 1_000.0 / 50.0
}

fn server() -> ServerStart {
    let ts = Ts::now();
    ServerStart {
        ts,
        timestamp: ts.iso(),
        version: env!("CARGO_PKG_VERSION"),
        pid: std::process::id(),
        config_hash: String::new(),
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
