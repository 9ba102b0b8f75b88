//! The server's core with a transport of its own: any sequence of lines, in both eras,
//! gives frames that are JSON-RPC, no more answers than there were requests, and a server
//! that still answers. Nothing is connected to: the network policy blocks every address.
//!
//! Input: lines. `@M` stands for the `_meta` of the modern era, `@I` for the handshake of
//! a legacy one.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use mcp_ssh_orchestrator::testing::audit::{Audit, Sandbox};
use mcp_ssh_orchestrator::testing::config::{
    Dirs, Environment, Links, Snapshot, Store, load_texts,
};
use mcp_ssh_orchestrator::testing::mcp::{Outbox, Server, Session, handle_line};
use mcp_ssh_orchestrator::testing::ssh::Client;
use mcp_ssh_orchestrator::testing::task::Tasks;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{}}}"#;
const HANDSHAKE: &str = concat!(
    r#"{"jsonrpc":"2.0","id":"hello","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"elicitation":{}},"clientInfo":{"name":"f","version":"0"}}}"#,
    "\n",
    r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#
);
/// The id of the request that must be answered at the end.
const PROBE: &str = "the last one";

const SERVERS: &[u8] = b"hosts:\n  - {alias: web1, host: 192.0.2.1, credentials: c, tags: [web]}\n";
const CREDENTIALS: &[u8] = b"entries:\n  - {name: c, username: u, key_path: k}\n";
const POLICY: &[u8] = b"network: {block_cidrs: [0.0.0.0/0, '::/0']}\nrules:\n  - {action: allow, tags: [web], commands: ['uptime*']}\n  - {action: ask, tags: [web], commands: [id]}\n";

pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    // Bytes that are not UTF-8 go in as they are.
    let bytes = if text.contains('\u{fffd}') {
        data.to_vec()
    } else {
        text.replace("@M", META)
            .replace("@I", HANDSHAKE)
            .into_bytes()
    };
    let outbox = Arc::new(Outbox::new());
    let session = Session::new(server().clone(), Arc::clone(&outbox));
    let mut asked: HashMap<String, usize> = HashMap::new();
    let mut frames = Vec::new();
    for line in bytes.split(|byte| *byte == b'\n').take(64) {
        count_requests(line, &mut asked);
        handle_line(&session, line);
        frames.extend(outbox.drain());
    }
    let probe =
        format!(r#"{{"jsonrpc":"2.0","id":"{PROBE}","method":"tools/list","params":{{{META}}}}}"#);
    handle_line(&session, probe.as_bytes());
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut alive = false;
    while !alive {
        assert!(
            Instant::now() < deadline,
            "the server does not answer any more"
        );
        let new = outbox.drain();
        alive = new.iter().any(|frame| frame.contains(PROBE));
        frames.extend(new);
        std::thread::yield_now();
    }
    // Nobody will answer what was asked.
    session.close();
    frames.iter().for_each(|frame| hold(frame, &mut asked));
}

fn count_requests(line: &[u8], asked: &mut HashMap<String, usize>) {
    let line = line.trim_ascii();
    let Ok(line) = serde_json::from_slice::<&RawValue>(line) else {
        return;
    };
    // What stands beside an id need not have a value: half a surrogate pair, `1e999`.
    let each: Vec<&RawValue> = serde_json::from_str(line.get()).unwrap_or_else(|_| vec![line]);
    for message in each {
        if let Ok(Numbered { id: Some(id) }) = serde_json::from_str(message.get())
            && let Ok(id) = serde_json::from_str::<Value>(id.get())
        {
            *asked.entry(id.to_string()).or_default() += 1;
        }
    }
}

#[derive(Deserialize)]
struct Numbered<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

fn hold(frame: &str, asked: &mut HashMap<String, usize>) {
    assert!(
        !frame.trim_end_matches('\n').contains('\n'),
        "a frame of several lines: {frame}"
    );
    let value: Value = serde_json::from_str(frame).expect("a frame is JSON");
    let each = match value {
        Value::Array(batch) => batch,
        one => vec![one],
    };
    for message in each {
        assert_eq!(message["jsonrpc"], "2.0", "{message}");
        let is_answer = message.get("method").is_none();
        if !is_answer {
            continue;
        }
        assert!(
            message.get("result").is_some() != message.get("error").is_some(),
            "{message}"
        );
        let id = message["id"].to_string();
        if id == format!("{PROBE:?}") {
            continue;
        }
        let left = asked
            .get_mut(&id)
            .unwrap_or_else(|| panic!("nobody asked: {message}"));
        assert!(*left > 0, "answered too often: {message}");
        *left -= 1;
    }
}

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let nowhere = Path::new("/nonexistent/fuzz");
        let dirs = Arc::new(Dirs::open(nowhere, nowhere, nowhere, Links::Refused));
        let loaded = load_texts(
            [SERVERS, CREDENTIALS, POLICY],
            &dirs,
            &Environment::default(),
        );
        let snapshot = loaded.expect("the configuration loads").snapshot;
        let silence = File::options()
            .write(true)
            .open("/dev/null")
            .expect("there is /dev/null");
        let audit = Audit::to(silence);
        let admit = Box::new(|_: &Snapshot| Ok(()));
        let store = Arc::new(Store::new(Environment::default(), snapshot, admit));
        let tasks = Tasks::new(
            audit.clone(),
            Client::new(None),
            Arc::clone(&store),
            &[7; 64],
        );
        Server {
            store,
            tasks: tasks.expect("a thread can be started"),
            audit,
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
            key: [7; 64],
        }
    })
}
