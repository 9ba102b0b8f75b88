//! What a login waits for beside the line: a key that is slow to unlock, addresses and name
//! servers that say nothing.
//!
//! `cargo bench --bench login`, or `-- HOSTS` (50). Needs root, for a name server of its own in
//! a mount namespace of its own. Each figure is a ratio to something measured in the same run.
//! Exits 1 if one is not reached.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a failed step ends the benchmark"
)]

#[path = "../tests/common/mod.rs"]
mod common;
mod support;

use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Instant;

use common::{Fleet, HostSpec};
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{self, AddressFamily, Backlog, SockFlag, SockType, SockaddrIn};
use support::{Client, allowing_true, arguments, figure, median, run_true, seconds, tag_run};

/// The name servers: one that says nothing, and ours.
const SILENT_SERVER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 8);
const SERVER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);
/// Where nobody answers. Numbers that the C library puts before those of the fleet (RFC 6724,
/// section 6, rule 9).
const DEAD: [Ipv4Addr; 3] = [
    Ipv4Addr::new(127, 0, 0, 2),
    Ipv4Addr::new(127, 0, 0, 3),
    Ipv4Addr::new(127, 0, 0, 4),
];

fn main() -> ExitCode {
    let hosts = arguments().first().map_or(50, |text| text.parse().unwrap());
    let unlocked = unlocked_once(hosts);
    let named = Named::new();
    let reached = [unlocked, named.dead_addresses(), named.dead_name_server()];
    match reached.iter().all(|reached| *reached) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Hosts that are logged in to at once with one key, whose passphrase is slow.
fn unlocked_once(hosts: usize) -> bool {
    let names: Vec<String> = (0..hosts).map(|number| format!("node-{number}")).collect();
    let specs = names.iter().map(|name| HostSpec::new(name).tags(&["all"]));
    let fleet = Fleet::with(specs.collect());
    fleet.new_key(
        "id_slow",
        &["-t", "ed25519", "-a", "100", "-N", "a slow one"],
    );
    fleet.setup.secret("phrase", "a slow one");
    let slow = ["key_path: id_slow", "key_passphrase_secret: phrase"];
    let plain = ["key_path: id_fleet"];
    let (mut plains, mut kept, mut each, mut derivation) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..3 {
        plains.push(logged_in_with(&fleet, &plain, 60, hosts));
        kept.push(logged_in_with(&fleet, &slow, 60, hosts));
        each.push(logged_in_with(&fleet, &slow, 0, hosts));
        let begun = Instant::now();
        let file = fleet.setup.keys.join("id_slow");
        let known = Command::new(common::tool("ssh-keygen"))
            .args(["-y", "-P", "a slow one", "-f"])
            .arg(file)
            .output();
        assert!(known.unwrap().status.success());
        derivation.push(seconds(begun));
    }
    let [plain, kept, each, derivation] = [plains, kept, each, derivation].map(median);
    println!(
        "{hosts} hosts cold: {plain:.2} s with a plain key, {kept:.2} s with one of `-a 100`, \
         {each:.2} s where nothing is kept (session_idle_seconds: 0); \
         ssh-keygen unlocks it in {derivation:.2} s"
    );
    figure(
        "what the passphrase costs them all, in unlockings",
        (kept - plain) / derivation,
        1.5,
        "",
    )
}

fn logged_in_with(fleet: &Fleet, login: &[&str], idle: u32, hosts: usize) -> f64 {
    fleet.log_in_with(login);
    let width = format!("concurrency: {{max_tasks: {hosts}, fan_out: {hosts}}}\n");
    let policy = allowing_true(idle) + &width;
    fleet.setup.write("policy.yml", &policy);
    tag_run(&fleet.setup, "all", hosts)
}

/// One host by three names: alone, behind one and behind three addresses that say nothing.
struct Named {
    fleet: Fleet,
    port: u16,
    /// Held open, so that the kernel does not say that nobody is there.
    _held: (UdpSocket, Vec<OwnedFd>),
}

impl Named {
    fn new() -> Self {
        let fleet = Fleet::of(&["web1"]);
        let (live, port) = (fleet.machines[0].address, fleet.machines[0].port);
        let key = fleet.machines[0].public_host_key();
        let mut hosts = "hosts:\n".to_owned();
        let mut known = String::new();
        for name in ["none.test", "one.test", "three.test"] {
            hosts +=
                &format!("  - {{alias: {name}, host: {name}, port: {port}, credentials: fleet}}\n");
            known += &format!("[{name}]:{port} {key}\n");
        }
        fleet.setup.write("servers.yml", &hosts);
        fleet.setup.key("known_hosts", &known);
        fleet.setup.write("policy.yml", &allowing_true(0));
        // What getaddrinfo(3) reads, for this process and its children.
        unshare(CloneFlags::CLONE_NEWNS).expect("needs root, for a mount namespace of its own");
        fleet.setup.write("resolv.conf", "");
        let file = fleet.setup.config.join("resolv.conf");
        common::run("mount", &["--make-rprivate", "/"]);
        let bind = ["--bind", file.to_str().unwrap(), "/etc/resolv.conf"];
        common::run("mount", &bind);
        let taken = "port 53 of 127.0.0.8 and 127.0.0.9 is taken";
        let silent_server = UdpSocket::bind((SILENT_SERVER, 53)).expect(taken);
        serve(UdpSocket::bind((SERVER, 53)).expect(taken), live);
        let held = DEAD.iter().flat_map(|address| silent(*address, port));
        Named {
            _held: (silent_server, held.collect()),
            fleet,
            port,
        }
    }

    fn ask(&self, servers: &[Ipv4Addr]) {
        let lines = servers
            .iter()
            .map(|server| format!("nameserver {server}\n"));
        self.fleet
            .setup
            .write("resolv.conf", &lines.collect::<String>());
    }

    /// A cold command on a host of which the first addresses say nothing.
    fn dead_addresses(&self) -> bool {
        self.ask(&[SERVER]);
        let mut all = true;
        for (name, dead) in [("one.test", 1), ("three.test", 3)] {
            let (mut alone, mut first, mut later) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..5 {
                let mut client = Client::start(&self.fleet.setup);
                // The first of a server reads what the next ones have read.
                run_true(&mut client, "none.test");
                alone.push(run_true(&mut client, "none.test"));
                first.push(run_true(&mut client, name));
                later.push(run_true(&mut client, name));
                client.finish();
            }
            let [alone, first, later] = [alone, first, later].map(median);
            println!(
                "a cold command, {dead} addresses before it dead: {:.0} ms the first time, \
                 {:.0} ms later; {:.0} ms without them",
                first * 1000.0,
                later * 1000.0,
                alone * 1000.0
            );
            all &= figure(
                "what the dead cost the first time, in attempt delays of RFC 8305",
                (first - alone) / 0.25,
                f64::from(dead) * 1.2,
                "",
            );
            all &= figure("and later, to a host without them", later / alone, 1.5, "");
        }
        all
    }

    /// A cold command, and `ssh`, where the first name server says nothing.
    fn dead_name_server(&self) -> bool {
        self.ask(&[SILENT_SERVER, SERVER]);
        let mut client = Client::start(&self.fleet.setup);
        let own = run_true(&mut client, "none.test");
        client.finish();
        let begun = Instant::now();
        let keys = &self.fleet.setup.keys;
        let status = Command::new(common::tool("ssh"))
            .args(["-F", "/dev/null", "-o"])
            .arg(format!("UserKnownHostsFile={}/known_hosts", keys.display()))
            .arg("-i")
            .arg(keys.join("id_fleet"))
            .args(["-p", &self.port.to_string()])
            .arg(format!("{}@none.test", common::login().name))
            .arg("true")
            .status();
        assert!(status.unwrap().success());
        let theirs = seconds(begun);
        println!("first name server dead: {own:.2} s, `ssh` {theirs:.2} s");
        figure("a dead name server, to `ssh`", own / theirs, 1.05, "")
    }
}

/// A name server (RFC 1035) that knows the host at `live` by its three names.
fn serve(socket: UdpSocket, live: Ipv4Addr) {
    thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((count, from)) = socket.recv_from(&mut query) {
            let _ = socket.send_to(&answer(&query[..count], live), from);
        }
    });
}

fn answer(query: &[u8], live: Ipv4Addr) -> Vec<u8> {
    // Behind the header of twelve bytes: labels, each after its length, up to one of none.
    let name = query[12..].iter().position(|byte| *byte == 0).unwrap() + 13;
    let question = &query[12..name + 4];
    let dead = match query[12] {
        4 => 0,
        3 => 1,
        _ => DEAD.len(),
    };
    let is_ipv4 = query[name + 1] == 1;
    let addresses = DEAD[..dead].iter().chain([&live]).filter(|_| is_ipv4);
    let records: Vec<u8> = addresses
        .clone()
        .flat_map(|address| {
            // The name of the question; type A, class IN, 60 s, four bytes.
            let mut record = vec![0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4];
            record.extend(address.octets());
            record
        })
        .collect();
    let count = u8::try_from(addresses.count()).unwrap();
    let mut reply = vec![query[0], query[1], 0x81, 0x80, 0, 1, 0, count, 0, 0, 0, 0];
    reply.extend(question);
    reply.extend(records);
    reply
}

/// A port that takes no connection in: its queue is full, so that the kernel drops what else
/// comes, as a firewall does.
fn silent(address: Ipv4Addr, port: u16) -> Vec<OwnedFd> {
    let listener = TcpListener::bind((address, port)).unwrap();
    // A second listen(2) sets another backlog.
    socket::listen(&listener, Backlog::new(0).unwrap()).unwrap();
    let mut held: Vec<OwnedFd> = vec![listener.into()];
    for _ in 0..4 {
        let flags = SockFlag::SOCK_NONBLOCK;
        let socket = socket::socket(AddressFamily::Inet, SockType::Stream, flags, None).unwrap();
        let to = SockaddrIn::from(SocketAddrV4::new(address, port));
        let _ = socket::connect(socket.as_raw_fd(), &to);
        held.push(socket);
    }
    held
}
