//! What is broken is named, to the person who can mend it: each wrong file, argument,
//! host and key gives a message that says what to do, the assistant's without addresses,
//! paths or names of users, the operator's with the cause. Garbage does not end the
//! server; the end of its input does.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;

use crate::common::{Fleet, HostSpec, Launch, Server, Setup, login, structured, text_of};
use serde_json::{Value, json};

/// Starts a server that must not come up, and returns its log.
fn refused_start(setup: &Setup) -> String {
    let server = Launch::default().bare().start(setup);
    let status = server.wait_exit();
    assert_eq!(
        status.code(),
        Some(1),
        "signal {:?}\n{}",
        status.signal(),
        server.log()
    );
    server.log()
}

fn assert_names(log: &str, what: &[&str]) {
    for word in what {
        assert!(log.contains(word), "the log does not say {word:?}:\n{log}");
    }
}

#[test]
fn a_missing_file_is_named() {
    for file in ["servers.yml", "credentials.yml", "policy.yml"] {
        let fleet = Fleet::of(&["web1"]);
        std::fs::remove_file(fleet.setup.config.join(file)).unwrap();
        assert_names(&refused_start(&fleet.setup), &[file]);
    }
}

#[test]
fn a_broken_file_is_named_with_its_line() {
    for file in ["servers.yml", "credentials.yml", "policy.yml"] {
        let fleet = Fleet::of(&["web1"]);
        let text = std::fs::read_to_string(fleet.setup.config.join(file)).unwrap();
        let broken = text.lines().count() + 1;
        fleet.setup.write(file, &format!("{text}  - [unclosed\n"));
        let log = refused_start(&fleet.setup);
        assert_names(&log, &[file]);
        let near = (broken.saturating_sub(1)..=broken + 1)
            .any(|line| log.contains(&format!("{file}:{line}")));
        assert!(near, "no line near {broken} of {file} in\n{log}");
    }
}

#[test]
fn a_wrong_value_is_named_with_file_line_and_key() {
    let fleet = Fleet::of(&["web1"]);
    let servers = fleet.servers_yaml();
    let credentials = fleet.credentials_yaml();
    let policy = crate::common::policy_allowing(&["uptime"]);
    let line_of =
        |text: &str, word: &str| text.lines().position(|line| line.contains(word)).unwrap() + 1;
    let cases = [
        // An unknown key names the nearest known one.
        (
            "servers.yml",
            servers.replace("credentials:", "credential:"),
            "credential:",
            "credentials",
        ),
        (
            "servers.yml",
            servers.replace("port: ", "port: x"),
            "port: x",
            "port",
        ),
        (
            "servers.yml",
            servers.replace("credentials: fleet", "credentials: nobody"),
            "nobody",
            "nobody",
        ),
        (
            "servers.yml",
            servers.replace("tags: []", "tags: web"),
            "tags: web",
            "tags",
        ),
        (
            "credentials.yml",
            credentials.replace("username:", "user:"),
            "user:",
            "username",
        ),
        (
            "policy.yml",
            policy.replace("allow_cidrs: [127.0.0.0/8]", "allow_cidrs: [127.0.0.0/99]"),
            "/99",
            "allow_cidrs",
        ),
        (
            "policy.yml",
            policy.replace("max_seconds: 30", "max_seconds: soon"),
            "soon",
            "max_seconds",
        ),
        (
            "policy.yml",
            policy.replace("commands:", "command:"),
            "command:",
            "commands",
        ),
        (
            "policy.yml",
            policy.replace("action: allow", "action: permit"),
            "permit",
            "action",
        ),
    ];
    for (file, text, marker, key) in cases {
        fleet.write_all();
        fleet.setup.write(file, &text);
        let log = refused_start(&fleet.setup);
        assert_names(&log, &[&format!("{file}:{}", line_of(&text, marker)), key]);
    }
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let fleet = Fleet::of(&["web1"]);
    fleet.setup.env("MCP_SSH_CONFIG_DIR", "/nowhere/config");
    assert_names(&refused_start(&fleet.setup), &["/nowhere/config"]);
}

#[test]
fn wrong_arguments_are_told_apart() {
    let fleet = Fleet::of(&["web1"]);
    let server = Server::start(&fleet.setup);
    for tool in ["ssh_describe_host", "ssh_plan", "ssh_run", "ssh_run_async"] {
        let args = json!({"alias": "nobody", "command": "uptime"});
        let args = if tool == "ssh_describe_host" {
            json!({"alias": "nobody"})
        } else {
            args
        };
        let said = server.tool_error(tool, args);
        assert!(said.contains("Host alias not found"), "{tool}: {said}");
        assert!(!said.contains("127."), "{said}");
    }
    for tool in ["ssh_plan", "ssh_run", "ssh_run_async"] {
        for blank in ["", "   "] {
            let said = server.tool_error(tool, json!({"alias": "web1", "command": blank}));
            assert_eq!(said, "Error: command is required", "{tool}");
            let said = server.tool_error(tool, json!({"alias": blank, "command": "uptime"}));
            assert_eq!(said, "Error: alias is required", "{tool}");
        }
    }
    let long = "x".repeat(10_001);
    let said = server.tool_error("ssh_run", json!({"alias": "web1", "command": long}));
    assert!(said.contains("too long"), "{said}");
    assert_eq!(server.run("web1", "echo still here")["exit_code"], 0);
}

/// Runs `true` on the host and asserts that nothing was obtained and nothing is told
/// to the assistant that it did not know. Returns what it was told and the cause on record.
fn failing_run(fleet: &Fleet, server: &Server, alias: &str) -> (String, String) {
    let before = server.records().len();
    let result = server.call("ssh_run", json!({"alias": alias, "command": "true"}));
    let run = structured(&result).unwrap();
    assert_eq!(run["exit_code"], -1, "{run}");
    let said = run["why"].as_str().unwrap().to_owned();
    let whole = text_of(&result);
    let keys = fleet.setup.keys.to_str().unwrap();
    for private in [login().name.as_str(), "id_fleet", keys] {
        assert!(
            !whole.contains(private),
            "the assistant is told {private:?}: {whole}"
        );
    }
    // The peer's address is a field of its own once there was a connection; the text has none.
    for machine in &fleet.machines {
        assert!(
            !said.contains(&machine.address.to_string())
                && !said.contains(&machine.port.to_string()),
            "{said}"
        );
    }
    let audit = server.wait_record("the audit record of the failed run", |record| {
        record["type"] == "audit" && record["exit_code"] == -1 && record["alias"] == alias
    });
    assert_eq!(audit["timeout"], run["timeout"] == true);
    let after: Vec<Value> = server.records().split_off(before);
    let cause = after
        .iter()
        .find(|r| r["msg"] == "run_exception")
        .unwrap_or_else(|| panic!("no cause on record: {after:?}"));
    let both = |r: &&Value| r["msg"] == "error_details" && r["original"] == cause["error"];
    let both = after.iter().find(both);
    let both = both.unwrap_or_else(|| panic!("not told what was said: {after:?}"));
    assert_eq!(both["sanitized"], said, "{both}");
    (said, cause["error"].as_str().unwrap().to_owned())
}

#[test]
fn a_closed_port_is_said_at_once() {
    let fleet = Fleet::of(&["web1"]);
    fleet.host("web1").stop();
    let server = Server::start(&fleet.setup);
    let (said, cause) = failing_run(&fleet, &server, "web1");
    assert_eq!(
        said,
        "SSH connection refused: Port may be closed or firewall blocking"
    );
    assert!(cause.contains("refused"), "{cause}");
}

#[test]
fn an_unknown_host_key_stops_everything() {
    let fleet = Fleet::of(&["web1"]);
    fleet.setup.key("known_hosts", "");
    let server = Server::start(&fleet.setup);
    let (said, _) = failing_run(&fleet, &server, "web1");
    assert_eq!(said, "SSH host key not found: Add host to known_hosts");
    assert_eq!(fleet.host("web1").logins(), 0);
    // Adding it mends it without a restart.
    fleet
        .setup
        .key("known_hosts", &fleet.host("web1").known_hosts_line());
    assert_eq!(server.run("web1", "true")["exit_code"], 0);
}

#[test]
fn a_changed_host_key_is_never_accepted() {
    let fleet = Fleet::of(&["web1"]);
    fleet.host("web1").change_host_key();
    let server = Server::start(&fleet.setup);
    let (said, _) = failing_run(&fleet, &server, "web1");
    assert!(said.contains("host key"), "{said}");
    assert_eq!(fleet.host("web1").logins(), 0);
}

#[test]
fn a_key_that_is_not_let_in_is_an_authentication_failure() {
    let fleet = Fleet::of(&["web1"]);
    // A pair that exists but was never authorised.
    let stranger = Fleet::of(&[]);
    let key = std::fs::read_to_string(stranger.setup.keys.join("id_fleet")).unwrap();
    fleet.canaries().plant_key(&key);
    fleet.setup.key("id_fleet", &key);
    let server = Server::start(&fleet.setup);
    let (said, _) = failing_run(&fleet, &server, "web1");
    assert_eq!(said, "SSH authentication failed: Invalid credentials");
    assert_eq!(fleet.host("web1").logins(), 0);
}

#[test]
fn a_key_file_that_is_not_there_is_said_without_its_path() {
    let fleet = Fleet::of(&["web1"]);
    let server = Server::start(&fleet.setup);
    std::fs::remove_file(fleet.setup.keys.join("id_fleet")).unwrap();
    let (said, cause) = failing_run(&fleet, &server, "web1");
    assert_eq!(said, "SSH key file not found: Check key path configuration");
    assert!(cause.contains("id_fleet"), "{cause}");
}

/// A policy whose deadline comes quickly.
fn two_seconds(fleet: &Fleet) {
    let policy = crate::common::policy_allowing(&["true", "sleep *"])
        .replace("max_seconds: 30", "max_seconds: 2");
    fleet.setup.write("policy.yml", &policy);
}

/// Points the host at another address and port.
fn move_host(fleet: &Fleet, to: SocketAddr) {
    let host = fleet.host("web1");
    let servers = fleet
        .servers_yaml()
        .replace(&host.address.to_string(), &to.ip().to_string());
    fleet.setup.write(
        "servers.yml",
        &servers.replace(&host.port.to_string(), &to.port().to_string()),
    );
    let line = format!("[{}]:{} {}\n", to.ip(), to.port(), host.public_host_key());
    fleet.setup.key("known_hosts", &line);
}

#[test]
fn a_host_that_does_not_answer_to_connecting_ends_with_the_deadline() {
    let fleet = Fleet::of(&["web1"]);
    two_seconds(&fleet);
    // A listener whose queue is full drops what comes: as silent as a dead host.
    let (listener, _held) = full_listener();
    move_host(&fleet, listener);
    let server = Server::start(&fleet.setup);
    let (said, _) = failing_run(&fleet, &server, "web1");
    assert_eq!(said, "SSH connection timeout: Host did not respond");
}

/// An address at which connecting hangs, and what keeps it so.
fn full_listener() -> (SocketAddr, (std::os::fd::OwnedFd, Vec<TcpStream>)) {
    use nix::sys::socket::{
        AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, getsockname, listen, socket,
    };
    use std::os::fd::AsRawFd;
    let fd = socket(
        AddressFamily::Inet,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    )
    .unwrap();
    bind(fd.as_raw_fd(), &SockaddrIn::new(127, 9, 9, 9, 0)).unwrap();
    listen(&fd, Backlog::new(0).unwrap()).unwrap();
    let port = getsockname::<SockaddrIn>(fd.as_raw_fd()).unwrap().port();
    let address = SocketAddr::from((Ipv4Addr::new(127, 9, 9, 9), port));
    let mut held = Vec::new();
    while let Ok(stream) =
        TcpStream::connect_timeout(&address, std::time::Duration::from_millis(300))
    {
        held.push(stream);
    }
    (address, (fd, held))
}

#[test]
fn a_server_that_hangs_ends_with_the_deadline_in_each_phase_of_the_handshake() {
    // It says nothing; it says who it is and nothing more.
    for banner in ["", "SSH-2.0-OpenSSH_9.2\r\n"] {
        let fleet = Fleet::of(&["web1"]);
        two_seconds(&fleet);
        let listener = TcpListener::bind((Ipv4Addr::new(127, 9, 9, 10), 0)).unwrap();
        move_host(&fleet, listener.local_addr().unwrap());
        let silent = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(banner.as_bytes()).unwrap();
            // Reads and never answers, until the client goes.
            std::io::copy(&mut stream, &mut std::io::sink()).unwrap_or(0)
        });
        let server = Server::start(&fleet.setup);
        let (said, cause) = failing_run(&fleet, &server, "web1");
        assert!(said.contains("timeout"), "{said}");
        assert!(!cause.is_empty());
        silent.join().unwrap();
    }
}

#[test]
fn a_server_that_hangs_while_authenticating_ends_with_the_deadline() {
    // sshd asks this program for the keys of the user, and it does not answer.
    let hang = "AuthorizedKeysCommand /bin/sleep 3600";
    let fleet = Fleet::with(vec![
        HostSpec::new("web1")
            .sshd("AuthorizedKeysFile none")
            .sshd(hang)
            .sshd("AuthorizedKeysCommandUser nobody")
            .sshd("LoginGraceTime 0"),
    ]);
    two_seconds(&fleet);
    let server = Server::start(&fleet.setup);
    let (said, _) = failing_run(&fleet, &server, "web1");
    assert!(said.contains("timeout"), "{said}");
    assert_eq!(fleet.host("web1").logins(), 0);
}

#[test]
fn a_command_that_hangs_ends_with_the_deadline() {
    let fleet = Fleet::of(&["web1"]);
    two_seconds(&fleet);
    let server = Server::start(&fleet.setup);
    let run = server.run("web1", "sleep 60");
    assert_eq!(
        (&run["exit_code"], &run["timeout"]),
        (&json!(-1), &json!(true))
    );
}

#[test]
fn garbage_does_not_end_the_server_and_the_end_of_input_does() {
    let fleet = Fleet::of(&["web1"]);
    let server = Server::start(&fleet.setup);
    let garbage: [&[u8]; 12] = [
        b"\n",
        b"\r\n",
        b"not json\n",
        b"{\"jsonrpc\":\n",
        b"[]\n",
        b"null\n",
        b"\"text\"\n",
        b"{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"ping\"}\n",
        b"{\"jsonrpc\":\"1.0\",\"id\":[],\"method\":7}\n",
        b"\xff\xfe\x00\x01\n",
        b"{\"jsonrpc\":\"2.0\",\"method\":\"\xc3\x28\"}\n",
        b"{\"jsonrpc\":\"2.0\",\"id\":424242,\"result\":{}}\n",
    ];
    for bytes in garbage {
        server.send_raw(bytes);
    }
    server.send_raw(&[b'['; 100_000]);
    server.send_raw(b"\n");
    server.send_raw(&vec![b'x'; 32 << 20]);
    server.send_raw(b"\n");
    assert_eq!(server.run("web1", "echo alive")["output"], "alive");
    let done = server.finish();
    assert_eq!(done.status.code(), Some(0));
}

#[test]
fn the_end_of_input_ends_the_server_in_the_middle_of_a_line() {
    let fleet = Fleet::of(&["web1"]);
    let server = Server::start(&fleet.setup);
    server.send_raw(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"meth");
    assert_eq!(server.finish().status.code(), Some(0));
}
