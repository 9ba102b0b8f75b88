//! The three files: any bytes give types or problems, never a panic, in bounded memory
//! (libFuzzer's limit), and the same every time.
//!
//! Input: `servers.yml`, a zero byte, `credentials.yml`, a zero byte, `policy.yml`; a file
//! that is left out is a good one.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use mcp_ssh_orchestrator::testing::config::yaml::node;
use mcp_ssh_orchestrator::testing::config::{Dirs, Environment, Links, Loaded, load_texts};

use super::dice::Dice;

const SERVERS: &[u8] = b"hosts:\n  - {alias: web1, host: 192.0.2.1, credentials: c, tags: [web]}\n  - {alias: db1, host: db.example, credentials: c, jump: web1}\n";
const CREDENTIALS: &[u8] = b"entries:\n  - {name: c, username: u, key_path: k}\n";
const POLICY: &[u8] = b"rules:\n  - {action: allow, aliases: ['*'], commands: ['uptime*']}\n";

pub fn run(data: &[u8]) {
    let _ = node::parse(data);
    let mut dice = Dice::new(data);
    let mut file = |good: &'static [u8]| {
        let field = dice.field();
        if field.is_empty() { good } else { field }
    };
    let files = [file(SERVERS), file(CREDENTIALS), file(POLICY)];
    let once = load(files);
    let again = load(files);
    match (once, again) {
        (Ok(once), Ok(again)) => {
            assert_eq!(once.snapshot.hash(), again.snapshot.hash());
            hosts_are_sound(&once);
        }
        (Err(once), Err(again)) => {
            assert_eq!(once, again);
            assert!(!once.is_empty(), "refused without a reason");
        }
        _ => panic!("the same files were taken once and refused once"),
    }
}

fn load(files: [&[u8]; 3]) -> Result<Loaded, String> {
    static DIRS: OnceLock<Arc<Dirs>> = OnceLock::new();
    let nowhere = Path::new("/nonexistent/fuzz");
    let dirs = DIRS.get_or_init(|| Arc::new(Dirs::open(nowhere, nowhere, nowhere, Links::Refused)));
    load_texts(files, dirs, &Environment::default()).map_err(|error| {
        assert!(!error.for_assistant().is_empty());
        error.for_operator()
    })
}

fn hosts_are_sound(loaded: &Loaded) {
    let snapshot = &loaded.snapshot;
    for host in snapshot.hosts() {
        assert!(
            snapshot.host(&host.alias).is_some(),
            "a listed host is not found"
        );
        let route = snapshot.route(&host.alias);
        assert!(
            (1..=4).contains(&route.len()),
            "a route of {} hops",
            route.len()
        );
        assert_eq!(route.last().map(|last| &last.alias), Some(&host.alias));
        for tag in &host.tags {
            assert!(
                snapshot
                    .hosts_with_tag(tag)
                    .any(|other| other.alias == host.alias)
            );
        }
    }
}
