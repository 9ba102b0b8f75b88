//! The audit chain: whatever is changed, removed, moved or doubled in a file that the
//! server wrote, `verify` with the head that was kept elsewhere finds it; and no bytes at
//! all make it panic or call them sound.
//!
//! Input: a list of changes, four bytes each (what, where in two bytes, with what). If the
//! first byte is 255, the rest is the file itself.

use std::fs::{self, File};
use std::sync::OnceLock;

use mcp_ssh_orchestrator::testing::audit::{
    Audit, AuditEnd, Grounds, Kept, Linked, Place, Sandbox, ServerStart, Ts, verify_reader,
};
use mcp_ssh_orchestrator::testing::model::names::{CommandHash, HostAlias, TaskId};

use super::dice::Dice;

struct Chain {
    bytes: Vec<u8>,
    head: String,
}

pub fn run(data: &[u8]) {
    let chain = chain();
    let mut dice = Dice::new(data);
    let changed = match data.first() {
        Some(255) => dice.rest()[1..].to_vec(),
        _ => change(chain.bytes.clone(), &mut dice),
    };
    let sound = check(chain, &changed);
    if changed == chain.bytes {
        assert!(sound, "the untouched chain is called broken");
    } else {
        assert!(!sound, "a changed chain is called sound");
    }
}

fn check(chain: &Chain, bytes: &[u8]) -> bool {
    let mut report = Vec::new();
    let sound =
        verify_reader(bytes, Some(&chain.head), &mut report).expect("a Vec takes everything");
    assert!(!report.is_empty(), "nothing was reported");
    sound
}

fn change(mut bytes: Vec<u8>, dice: &mut Dice<'_>) -> Vec<u8> {
    while !dice.is_empty() && !bytes.is_empty() {
        let what = dice.below(6);
        let at = (usize::from(dice.byte()) << 8 | usize::from(dice.byte())) % bytes.len();
        let with = dice.byte();
        let mut lines: Vec<Vec<u8>> = bytes
            .split_inclusive(|byte| *byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect();
        let (one, other) = (at % lines.len(), usize::from(with) % lines.len());
        match what {
            0 => bytes[at] = with,
            1 => bytes.insert(at, with),
            2 => drop(bytes.drain(at..(at + 1 + usize::from(with)).min(bytes.len()))),
            3 => bytes.truncate(at),
            4 => {
                lines.swap(one, other);
                bytes = lines.concat();
            }
            _ => {
                lines.insert(one, lines[other].clone());
                bytes = lines.concat();
            }
        }
        bytes.truncate(1 << 16);
    }
    bytes
}

/// A chain that the server's own code wrote, with commands that ended in each way.
fn chain() -> &'static Chain {
    static CHAIN: OnceLock<Chain> = OnceLock::new();
    CHAIN.get_or_init(|| {
        let scratch =
            std::env::temp_dir().join(format!("mcp-ssh-fuzz-audit.{}", std::process::id()));
        let _ = fs::remove_dir_all(&scratch);
        fs::create_dir_all(&scratch).expect("a scratch directory can be made");
        let path = scratch.join("audit.jsonl");
        let silence = File::options()
            .write(true)
            .open("/dev/null")
            .expect("there is /dev/null");
        let audit = Audit::to(silence);
        let place = Place::open(&path, 0).expect("the directory is there");
        audit
            .begin(Some(Kept::File(place)), start())
            .expect("the chain begins");
        let alias = HostAlias::parse("web1").expect("an alias");
        for number in 0..6_u64 {
            let hash = CommandHash::of(&format!("uptime {number}"));
            if number % 3 == 2 {
                audit.deny(&alias, hash, Grounds::default());
                continue;
            }
            let task = TaskId::new(&alias, hash, 1_700_000_000_000_000 + number);
            let started = audit
                .allow(&alias, hash, Grounds::default())
                .start(&task)
                .expect("the start is recorded");
            if number % 2 == 0 {
                started.finish(AuditEnd {
                    exit_code: 0,
                    duration_ms: number,
                    bytes_out: 10,
                    bytes_err: 0,
                    cancelled: false,
                    timeout: false,
                    target_ip: "127.0.0.1".parse().ok(),
                    transferred: None,
                });
            }
        }
        audit.close("done");
        let bytes = fs::read(&path).expect("the chain was written");
        let last = String::from_utf8(bytes.clone()).expect("it is text");
        let head = last
            .trim_end()
            .rsplit("\"sha256\":\"")
            .next()
            .and_then(|tail| tail.get(..64));
        let head = head.expect("the last line has a seal").to_owned();
        let _ = fs::remove_dir_all(&scratch);
        Chain { bytes, head }
    })
}

fn start() -> ServerStart {
    ServerStart {
        ts: Ts::from_micros(1_700_000_000_000_000),
        timestamp: "2023-11-14T22:13:20+0000".into(),
        version: "0",
        pid: 1,
        config_hash: "0".repeat(64),
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
