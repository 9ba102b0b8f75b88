//! Promise: the binary needs nothing but itself. In an empty directory it serves, and
//! finds hosts by /etc/hosts and by DNS, in the whole sandbox; of a name's addresses, the
//! next allowed one where nobody answers on the first, and never one that is blocked.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::{Fleet, Scratch, copy_program, members, tool};
use nix::unistd::Uid;
use serde_json::{Value, json};

/// Where the name server of this file listens: port 53 of an address of its own.
const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(127, 53, 53, 53);

/// The first address of a name that has an allowed one as well.
const BLOCKED: Ipv4Addr = Ipv4Addr::new(127, 53, 53, 54);

#[test]
fn an_empty_root_is_enough() {
    assert!(
        Uid::effective().is_root(),
        "chroot(2) needs root: run this test as root"
    );
    let fleet = Fleet::of(&["literal", "listed", "asked"]);
    let addresses = ["literal", "listed", "asked"].map(|alias| fleet.host(alias).address);
    let root = Scratch::new("chroot");
    let root = root.path();
    furnish(root, &fleet);
    // Somebody listens on the address that the policy blocks, and must never hear of it.
    let blocked = TcpListener::bind((BLOCKED, fleet.host("listed").port)).unwrap();
    blocked.set_nonblocking(true).unwrap();
    let names = NameServer::start("asked.example.net", addresses[2]);

    // setpriv: as the container image does, from the start.
    let mut child = Command::new(tool("chroot"))
        .args(["--userspec=10001:10001", "--groups="])
        .arg(root)
        .args(["/server"])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut client = Client::new(&mut child);
    let [literal, listed, asked] = addresses;
    for (alias, address) in [
        ("literal", literal),
        ("listed", listed),
        ("asked", asked),
        ("both", listed),
        ("guarded", listed),
    ] {
        let run = client.run(alias);
        assert_eq!(run["exit_code"], 0, "{alias}: {run}");
        assert_eq!(run["target_ip"], address.to_string(), "{alias}");
    }
    assert!(names.asked() > 0);
    let heard = blocked.accept().map_err(|error| error.kind());
    assert!(matches!(heard, Err(ErrorKind::WouldBlock)), "{heard:?}");
    let unknown = client.run("nowhere");
    assert_eq!(unknown["detail"], "DNS resolution failed", "{unknown}");
    drop(client);
    let output = child.wait_with_output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{log}");
    let start = log
        .lines()
        .find(|line| line.contains("server_start"))
        .unwrap();
    let start: Value = serde_json::from_str(start).unwrap();
    assert_eq!(start["sandbox"]["level"], "required");
    assert_eq!(start["sandbox"]["missing"], json!([]));
}

/// The server, the resolver's files, and the three directories where the container
/// image has them. Nothing else: no /dev, no /proc, no library.
fn furnish(root: &Path, fleet: &Fleet) {
    copy_program(
        env!("CARGO_BIN_EXE_mcp-ssh-orchestrator"),
        root.join("server"),
    );
    fs::create_dir(root.join("etc")).unwrap();
    let listed = fleet.host("listed").address;
    fs::write(
        root.join("etc/hosts"),
        // ::1 comes first in any order of them (RFC 6724 §2.1), and there is nobody there.
        format!(
            "{BLOCKED} guarded.example.net\n\
             {listed} listed.example.net both.example.net guarded.example.net\n\
             ::1 both.example.net\n"
        ),
    )
    .unwrap();
    // Without it the C library takes the first line alone (host.conf(5)).
    fs::write(root.join("etc/host.conf"), "multi on\n").unwrap();
    let policy = fs::read_to_string(fleet.setup.config.join("policy.yml")).unwrap();
    assert!(policy.contains("[127.0.0.0/8]"), "{policy}");
    fleet.setup.write(
        "policy.yml",
        &policy.replace(
            "[127.0.0.0/8]",
            &format!("[127.0.0.0/8, \"::1/128\"]\n  block_ips: [{BLOCKED}]"),
        ),
    );
    let resolver = format!("nameserver {NAME_SERVER}\noptions timeout:1 attempts:2\n");
    fs::write(root.join("etc/resolv.conf"), resolver).unwrap();

    let app = root.join("app");
    for (name, from) in [
        ("config", &fleet.setup.config),
        ("keys", &fleet.setup.keys),
        ("secrets", &fleet.setup.secrets),
    ] {
        let to = app.join(name);
        fs::create_dir_all(&to).unwrap();
        for file in fs::read_dir(from).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
    let mut servers = "hosts:\n".to_owned();
    let mut known = String::new();
    for (alias, host) in [
        ("literal", fleet.host("literal").address.to_string()),
        ("listed", "listed.example.net".to_owned()),
        ("asked", "asked.example.net".to_owned()),
        ("both", "both.example.net".to_owned()),
        ("guarded", "guarded.example.net".to_owned()),
        ("nowhere", "nowhere.example.net".to_owned()),
    ] {
        let like = match alias {
            "nowhere" => "asked",
            "both" | "guarded" => "listed",
            itself => itself,
        };
        let like = fleet.host(like);
        let port = like.port;
        servers +=
            &format!("  - {{alias: {alias}, host: {host}, port: {port}, credentials: fleet}}\n");
        known += &format!("[{host}]:{port} {}\n", like.public_host_key());
    }
    fs::write(app.join("config/servers.yml"), servers).unwrap();
    fs::write(app.join("keys/known_hosts"), known).unwrap();
    let output = Command::new(tool("chown"))
        .args(["-R", "10001:10001"])
        .arg(root)
        .status();
    assert!(output.unwrap().success());
}

/// As little of a client as it takes.
struct Client {
    to: std::process::ChildStdin,
    from: BufReader<std::process::ChildStdout>,
    id: u64,
}

impl Client {
    fn new(child: &mut Child) -> Self {
        let mut client = Self {
            to: child.stdin.take().unwrap(),
            from: BufReader::new(child.stdout.take().unwrap()),
            id: 0,
        };
        let info = json!({"name": "tests", "version": "1"});
        client.request(
            "initialize",
            &json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info}),
        );
        writeln!(
            client.to,
            r#"{{"jsonrpc":"2.0","method":"notifications/initialized"}}"#
        )
        .unwrap();
        client
    }

    fn run(&mut self, alias: &str) -> Value {
        let arguments = json!({"alias": alias, "command": "true"});
        let result = self.request(
            "tools/call",
            &json!({"name": "ssh_run", "arguments": arguments}),
        );
        members(&result).clone()
    }

    fn request(&mut self, method: &str, params: &Value) -> Value {
        self.id += 1;
        let frame = json!({"jsonrpc": "2.0", "id": self.id, "method": method, "params": params});
        writeln!(self.to, "{frame}").unwrap();
        loop {
            let mut line = String::new();
            let read = self.from.read_line(&mut line).unwrap();
            assert!(read > 0, "the server ended before it answered {method}");
            let frame: Value = serde_json::from_str(&line).unwrap();
            if frame["id"] == self.id {
                return frame["result"].clone();
            }
        }
    }
}

/// Answers for one name with one IPv4 address, and knows no other (RFC 1035 §4).
struct NameServer {
    asked: Arc<AtomicUsize>,
}

impl NameServer {
    fn start(name: &str, address: Ipv4Addr) -> Self {
        let socket = UdpSocket::bind((NAME_SERVER, 53)).unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let (name, counter) = (name.to_owned(), Arc::clone(&asked));
        std::thread::spawn(move || {
            let mut query = [0; 512];
            while let Ok((length, client)) = socket.recv_from(&mut query) {
                if let Some(answer) = answer(&query[..length], &name, address) {
                    counter.fetch_add(1, Ordering::Relaxed);
                    let _ = socket.send_to(&answer, client);
                }
            }
        });
        Self { asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn answer(query: &[u8], name: &str, address: Ipv4Addr) -> Option<Vec<u8>> {
    const HEADER: usize = 12;
    let question = query.get(HEADER..)?;
    let (mut labels, mut at) = (Vec::new(), 0);
    while *question.get(at)? != 0 {
        let length = usize::from(question[at]);
        labels.push(String::from_utf8(question.get(at + 1..=at + length)?.to_vec()).ok()?);
        at += length + 1;
    }
    let kind = question.get(at + 1..at + 3)?;
    let question = question.get(..at + 5)?;
    let known = labels.join(".").eq_ignore_ascii_case(name);
    let found = known && kind == [0, 1];
    // Response, recursion available; NXDOMAIN for another name.
    let code = if known { 0x80 } else { 0x83 };
    let mut answer = query.get(..2)?.to_vec();
    answer.extend([0x81, code, 0, 1, 0, u8::from(found), 0, 0, 0, 0]);
    answer.extend(question);
    if found {
        // The name by a pointer to the question, A, IN, TTL of a minute, four bytes.
        answer.extend([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(address.octets());
    }
    Some(answer)
}
