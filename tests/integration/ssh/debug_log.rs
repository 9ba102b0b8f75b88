//! What each SSH session agreed on is in the log where debug level is asked for, without a
//! secret, and is not there by default.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use crate::common::{Fleet, HostSpec, Scratch, Server, login, members, run, task_of};
use serde_json::{Value, json};

fn fleet() -> Fleet {
    let fleet = Fleet::with(vec![
        HostSpec::new("gate"),
        HostSpec::new("inner")
            .yaml("jump: gate")
            .password_login()
            .sshd("KexAlgorithms ecdh-sha2-nistp384")
            .sshd("Ciphers aes192-ctr")
            .sshd("MACs hmac-sha2-512"),
    ]);
    fleet.setup.secret("login", login().password());
    let more = "    password_secret: login\n";
    fleet
        .setup
        .write("credentials.yml", &(fleet.credentials_yaml() + more));
    fleet
}

fn sessions(server: Server) -> Vec<Value> {
    let records = server.finish().records;
    records
        .into_iter()
        .filter(|record| record["op"] == "ssh_session")
        .collect()
}

#[test]
fn at_debug_level_every_session_says_what_it_agreed_on() {
    let fleet = fleet();
    fleet.setup.env("MCP_SSH_DEBUG", "1");
    let server = Server::start(&fleet.setup);
    let first = server.run_id("gate", "echo one");
    server.run("gate", "echo two");
    server.run("inner", "echo three");
    assert_eq!(server.run("gate", "cat /etc/shadow")["exit_code"], 1);
    // No session, nothing agreed on.
    fleet.host("gate").stop();
    server.run("gate", "echo four");
    let sessions = sessions(server);
    let reused: Vec<&Value> = sessions.iter().map(|session| &session["reused"]).collect();
    assert_eq!(reused, [false, true, false, true], "{sessions:#?}");
    let alone = &sessions[0];
    assert_eq!(
        (&alone["type"], &alone["alias"], &alone["task_id"]),
        (&json!("trace"), &json!("gate"), &first)
    );
    assert!(alone["ts"].is_f64());
    let hops = alone["hops"].as_array().unwrap();
    assert_eq!(hops.len(), 1);
    assert_eq!(hops[0]["host_key"], "ssh-ed25519");
    for key in ["kex", "cipher_out", "cipher_in", "mac_out", "mac_in"] {
        assert!(hops[0][key].as_str().is_some_and(|name| !name.is_empty()));
    }
    assert!(
        hops[0]["server"]
            .as_str()
            .unwrap()
            .starts_with("SSH-2.0-OpenSSH"),
        "{alone}"
    );
    assert_eq!(sessions[1]["hops"], alone["hops"]);
    let behind = sessions[2]["hops"].as_array().unwrap();
    let aliases: Vec<&Value> = behind.iter().map(|hop| &hop["alias"]).collect();
    assert_eq!(aliases, ["gate", "inner"]);
    let inner = &behind[1];
    assert_eq!(inner["kex"], "ecdh-sha2-nistp384");
    assert_eq!(inner["cipher_out"], "aes192-ctr");
    assert_eq!(inner["cipher_in"], "aes192-ctr");
    assert_eq!(inner["mac_out"], "hmac-sha2-512");
    assert_eq!(inner["mac_in"], "hmac-sha2-512");
}

/// Where a login fails is where one wants to know.
#[test]
fn a_login_that_failed_says_what_it_had_agreed_on() {
    let fleet = fleet();
    fleet.setup.env("MCP_SSH_DEBUG", "1");
    fleet.host("inner").change_host_key();
    let server = Server::start(&fleet.setup);
    let arguments = json!({"alias": "inner", "command": "echo one"});
    let failed = server.call("ssh_run", arguments);
    let changed = members(&failed);
    assert_eq!(
        changed["why"],
        "SSH host key verification failed: Host key mismatch"
    );
    let dir = Scratch::new("stranger");
    let file = dir.path().join("id");
    let path = file.to_str().unwrap();
    run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", path]);
    fleet
        .setup
        .key("id_fleet", &std::fs::read_to_string(&file).unwrap());
    let denied = server.run("gate", "echo two");
    assert_eq!(
        denied["why"],
        "SSH authentication failed: Invalid credentials"
    );
    let sessions = sessions(server);
    let of = |session: &Value| -> Vec<Value> {
        let hops = session["hops"].as_array().unwrap();
        hops.iter().map(|hop| hop["alias"].clone()).collect()
    };
    assert_eq!(sessions.len(), 2, "{sessions:#?}");
    assert_eq!(of(&sessions[0]), ["gate", "inner"]);
    assert_eq!(sessions[0]["hops"][1]["cipher_out"], "aes192-ctr");
    assert_eq!(sessions[0]["task_id"], task_of(&failed));
    assert_eq!(of(&sessions[1]), ["gate"]);
    assert_eq!(sessions[1]["reused"], false);
}

#[test]
fn by_default_nothing_is_said_of_it() {
    for value in ["", "0"] {
        let fleet = Fleet::of(&["web1"]);
        fleet.setup.env("MCP_SSH_DEBUG", value);
        let server = Server::start(&fleet.setup);
        assert_eq!(server.run("web1", "echo one")["exit_code"], 0);
        assert_eq!(sessions(server), Vec::<Value>::new());
    }
}

#[test]
fn a_value_that_is_neither_is_refused() {
    let fleet = Fleet::of(&["web1"]);
    fleet.setup.env("MCP_SSH_DEBUG", "verbose");
    let output = crate::common::run_cli(&fleet.setup, &["check"]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("MCP_SSH_DEBUG is neither 1 nor 0"), "{text}");
}
