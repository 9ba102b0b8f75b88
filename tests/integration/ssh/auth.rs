//! Every key form, certificate, password and prompt that is promised gets in, by SHA-2 at
//! least; what does not get in says why, to the assistant without a name or a path.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::fs;
use std::path::Path;

use crate::common::{Agent, Fleet, HostSpec, Launch, Server, login, run};
use crate::direct::{Direct, Ran};
use mcp_ssh_orchestrator::testing::ssh::SshError;
use mcp_ssh_orchestrator::testing::ssh::error::KeyProblem;

fn hello(fleet: &Fleet, alias: &str) -> Ran {
    Direct::of(&fleet.setup).run(alias, "echo hello")
}

#[track_caller]
fn gets_in(fleet: &Fleet, alias: &str) {
    let ran = hello(fleet, alias);
    assert_eq!(ran.ok().out(), "hello\n");
}

#[test]
fn every_form_of_key_gets_in() {
    let fleet = Fleet::with(vec![
        HostSpec::new("openssh"),
        HostSpec::new("dropbear").dropbear(),
    ]);
    let kinds: &[(&str, &[&str])] = &[
        ("ed25519", &["-t", "ed25519"]),
        ("ecdsa256", &["-t", "ecdsa", "-b", "256"]),
        ("ecdsa384", &["-t", "ecdsa", "-b", "384"]),
        ("ecdsa521", &["-t", "ecdsa", "-b", "521"]),
        ("rsa2048", &["-t", "rsa", "-b", "2048"]),
        ("rsa3072", &["-t", "rsa", "-b", "3072"]),
    ];
    let forms: &[(&str, &[&str])] = &[
        ("openssh", &[]),
        ("pem", &["-m", "PEM"]),
        ("pkcs8", &["-m", "PKCS8"]),
    ];
    for (kind, kind_args) in kinds {
        for (form, form_args) in forms {
            // OpenSSH writes ed25519 in its own form only.
            if *kind == "ed25519" && *form != "openssh" {
                continue;
            }
            for phrase in ["", "open sesame"] {
                let name = format!("{kind}-{form}-{}", phrase.len());
                let quick = ["-a", "1", "-N", phrase];
                fleet.new_key(&name, &[kind_args, form_args, &quick[..]].concat());
                fleet.setup.secret("phrase", "open sesame");
                let key_line = format!("key_path: {name}");
                let mut lines = vec![key_line.as_str()];
                if !phrase.is_empty() {
                    lines.push("key_passphrase_secret: phrase");
                }
                fleet.log_in_with(&lines);
                for alias in ["openssh", "dropbear"] {
                    let ran = hello(&fleet, alias);
                    assert!(
                        ran.report.error.is_none(),
                        "{name} at {alias}: {:?}",
                        ran.report.error
                    );
                    assert_eq!(ran.out(), "hello\n", "{name} at {alias}");
                }
            }
        }
    }
}

#[test]
fn rsa_signs_with_sha2() {
    let fleet = Fleet::with(vec![HostSpec::new("web1").sshd("LogLevel DEBUG2")]);
    fleet.new_key("id_rsa", &["-t", "rsa", "-b", "2048", "-N", ""]);
    fleet.log_in_with(&["key_path: id_rsa"]);
    gets_in(&fleet, "web1");
    let log = fleet.host("web1").log().join("\n");
    assert!(log.contains("rsa-sha2-512"), "{log}");
    assert!(!log.contains("signature algorithm ssh-rsa "), "{log}");
}

#[test]
fn a_certificate_gets_in_where_its_key_alone_does_not() {
    let fleet = Fleet::with(vec![HostSpec::new("web1")]);
    let keys = &fleet.setup.keys;
    for (name, kind) in [
        ("ed", &["-t", "ed25519"][..]),
        ("rsa", &["-t", "rsa", "-b", "2048"]),
        ("ec", &["-t", "ecdsa"]),
    ] {
        let ca = keys.join(format!("ca-{name}"));
        run(
            "ssh-keygen",
            &["-q", "-t", "ed25519", "-N", "", "-f", ca.to_str().unwrap()],
        );
        let file = keys.join(format!("id-{name}"));
        run(
            "ssh-keygen",
            &[kind, &["-q", "-N", "", "-f", file.to_str().unwrap()]].concat(),
        );
        let public = file.with_extension("pub");
        run(
            "ssh-keygen",
            &[
                "-q",
                "-s",
                ca.to_str().unwrap(),
                "-I",
                "fleet",
                "-n",
                &login().name,
                public.to_str().unwrap(),
            ],
        );
        let key_line = format!("key_path: id-{name}");
        let cert_line = format!("cert_path: id-{name}-cert.pub");
        let ca_file = Path::new("/run/mcp-ssh-orchestrator-test").join(format!("ca-{name}.pub"));
        fs::copy(ca.with_extension("pub"), &ca_file).unwrap();
        let trusting = Fleet::with(vec![
            HostSpec::new("web1").sshd(&format!("TrustedUserCAKeys {}", ca_file.display())),
        ]);
        for file in [format!("id-{name}"), format!("id-{name}-cert.pub")] {
            trusting
                .setup
                .key(&file, &fs::read_to_string(keys.join(&file)).unwrap());
        }
        trusting.log_in_with(&[&key_line]);
        let ran = hello(&trusting, "web1");
        assert!(matches!(ran.error(), SshError::Denied { .. }), "{name}");
        trusting.log_in_with(&[&key_line, &cert_line]);
        gets_in(&trusting, "web1");
        fs::remove_file(ca_file).unwrap();
    }
}

#[test]
fn a_password_gets_in() {
    let fleet = Fleet::with(vec![
        HostSpec::new("web1").password_login(),
        HostSpec::new("web2")
            .sshd("UsePAM yes")
            .sshd("PasswordAuthentication no")
            .sshd("KbdInteractiveAuthentication yes"),
        HostSpec::new("web3").dropbear(),
    ]);
    fleet.setup.secret("login", login().password());
    fleet.log_in_with(&["password_secret: login"]);
    gets_in(&fleet, "web1");
    assert!(fleet.host("web1").wait_log("Accepted password").len() > 1);
    gets_in(&fleet, "web2");
    assert!(
        fleet
            .host("web2")
            .wait_log("Accepted keyboard-interactive")
            .len()
            > 1
    );
    gets_in(&fleet, "web3");
}

#[test]
fn key_then_password() {
    let fleet = Fleet::with(vec![
        HostSpec::new("either").password_login(),
        HostSpec::new("both")
            .password_login()
            .sshd("AuthenticationMethods publickey,password"),
    ]);
    fleet.setup.secret("login", login().password());
    fleet.setup.key("stranger", &stranger_key());
    fleet.log_in_with(&["key_path: stranger", "password_secret: login"]);
    gets_in(&fleet, "either");
    let log = fleet.host("either").log().join("\n");
    let (key, password) = (log.find("Failed publickey"), log.find("Accepted password"));
    assert!(key.is_some() && key < password, "{log}");
    fleet.log_in_with(&["key_path: id_fleet", "password_secret: login"]);
    gets_in(&fleet, "both");
    // A key that is enough keeps the password here.
    gets_in(&fleet, "either");
    fleet.host("either").wait_log("Accepted publickey");
    let log = fleet.host("either").log().join("\n");
    assert_eq!(log.matches("Accepted password").count(), 1, "{log}");
}

/// A key that no host knows.
fn stranger_key() -> String {
    let dir = crate::common::Scratch::new("stranger");
    let file = dir.path().join("id");
    run(
        "ssh-keygen",
        &[
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-f",
            file.to_str().unwrap(),
        ],
    );
    fs::read_to_string(file).unwrap()
}

#[test]
fn an_agent_signs() {
    let fleet = Fleet::with(vec![HostSpec::new("web1").sshd("LogLevel DEBUG2")]);
    for args in [
        &["-t", "ed25519", "-N", ""][..],
        &["-t", "rsa", "-b", "2048", "-N", ""],
        &["-t", "ecdsa", "-N", ""],
    ] {
        let agent = Agent::start();
        fleet.new_key(&format!("id_{}", args[1]), args);
        let key = fleet.setup.keys.join(format!("id_{}", args[1]));
        agent.add(&key);
        fleet.log_in_with(&["agent: true"]);
        let direct = Direct::with_agent(&fleet.setup, Some(agent.socket.clone()));
        let ran = direct.run("web1", "echo hello");
        assert_eq!(ran.ok().out(), "hello\n");
    }
    let direct = Direct::with_agent(&fleet.setup, Some("/nonexistent".into()));
    let ran = direct.run("web1", "echo hello");
    assert!(matches!(
        ran.error(),
        SshError::Key(KeyProblem::Agent { .. })
    ));
}

/// What an agent holds is used by the entries that say so, and by no other.
#[test]
fn an_agent_is_for_the_entries_that_ask_for_it() {
    let fleet = Fleet::of(&["web1"]);
    let agent = Agent::start();
    agent.add(&fleet.setup.keys.join("id_fleet"));
    fleet.setup.key("stranger", &stranger_key());
    let run = |lines: &[&str]| {
        fleet.log_in_with(lines);
        Direct::with_agent(&fleet.setup, Some(agent.socket.clone())).run("web1", "echo hello")
    };
    let ran = run(&["key_path: stranger"]);
    let denied = matches!(ran.error(), SshError::Denied { methods, .. } if methods == "publickey");
    assert!(denied, "{:?}", ran.report);
    assert_eq!(fleet.host("web1").logins(), 0);
    let ran = run(&["key_path: stranger", "agent: true"]);
    assert_eq!(ran.ok().out(), "hello\n");
}

/// One that takes the connection and says nothing, and one that does not even take it.
#[test]
fn an_agent_that_hangs_does_not_hang_the_run() {
    use mcp_ssh_orchestrator::testing::ssh::{Ended, Phase};
    let fleet = Fleet::of(&["web1"]);
    fleet.log_in_with(&["agent: true"]);
    let dir = crate::common::Scratch::new("agent");
    let socket = dir.path().join("socket");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let direct = Direct::with_agent(&fleet.setup, Some(socket.clone()));
    let within = || crate::direct::Order {
        deadline: std::time::Duration::from_secs(2),
        ..crate::direct::order("web1", "echo hello")
    };
    let ran = direct.order(within());
    assert_eq!(ran.report.ended, Ended::TimedOut(Phase::Authenticate));
    // The backlog of a listening socket can be changed by listening again.
    let none = nix::sys::socket::Backlog::new(0).unwrap();
    nix::sys::socket::listen(&listener, none).unwrap();
    let full = std::thread::spawn(move || {
        // Blocks when the queue is full, until the listener goes.
        let taken = std::iter::from_fn(|| std::os::unix::net::UnixStream::connect(&socket).ok());
        taken.take(64).count()
    });
    let line = || {
        let table = fs::read_to_string("/proc/net/unix").unwrap();
        let path = dir.path().join("socket");
        let mine = table
            .lines()
            .filter(|line| line.ends_with(path.to_str().unwrap()));
        mine.count()
    };
    crate::common::wait_until("the queue is full", || line() >= 2);
    let begun = direct.begin(within());
    let ran = begun.join();
    assert_eq!(
        ran.report.ended,
        Ended::TimedOut(Phase::Authenticate),
        "{:?}",
        ran.report
    );
    // And a cancel is heeded while it waits there.
    let begun = direct.begin(crate::direct::order("web1", "echo hello"));
    fleet.host("web1").wait_log("Connection from");
    begun.cancel.cancel();
    assert!(matches!(begun.join().report.ended, Ended::Cancelled(_)));
    drop(listener);
    assert!(full.join().unwrap() < 64);
}

/// Through the server, with all of the sandbox required, which is the default.
#[test]
fn an_agent_signs_for_the_confined_server() {
    let fleet = Fleet::with(vec![HostSpec::new("web1"), HostSpec::new("web2")]);
    let agent = Agent::start();
    fleet.new_key("id_agent", &["-t", "ed25519", "-N", ""]);
    let key = fleet.setup.keys.join("id_agent");
    agent.add(&key);
    fs::remove_file(key).unwrap();
    fleet.log_in_with(&["agent: true"]);
    fleet
        .setup
        .env("SSH_AUTH_SOCK", agent.socket.to_str().unwrap());
    let server = Server::start(&fleet.setup);
    let start = server.wait_type("server_start");
    // LeakSanitizer has to be run without one: scripts/sanitize.
    if std::env::var_os("MCP_SSH_TEST_SANDBOX").is_none() {
        assert_eq!(start["sandbox"]["level"], "required");
        assert_eq!(start["sandbox"]["seccomp"], true);
    }
    for alias in ["web1", "web2", "web1"] {
        assert_eq!(server.run(alias, "echo hello")["output"], "hello");
    }
    // The agent goes: what is logged in goes on, a new login says why it cannot be.
    drop(agent);
    assert_eq!(server.run("web1", "echo hello")["output"], "hello");
    fleet.host("web2").cut();
    let ran = server.run("web2", "echo hello");
    assert_eq!(ran["why"], "SSH agent unavailable: Check agent socket");
    let finished = server.finish();
    assert!(finished.status.success(), "{}", finished.log);
}

/// The container's user could read the files, and not ask root's agent.
#[test]
fn the_server_stays_who_can_ask_the_agent() {
    let fleet = Fleet::with(vec![HostSpec::new("web1")]);
    let agent = Agent::start();
    agent.add(&fleet.setup.keys.join("id_fleet"));
    fs::remove_file(fleet.setup.keys.join("id_fleet")).unwrap();
    fleet.log_in_with(&["agent: true"]);
    for dir in [&fleet.setup.config, &fleet.setup.keys, &fleet.setup.secrets] {
        run("chmod", &["-R", "a+rX", dir.to_str().unwrap()]);
    }
    let warned = |record: &serde_json::Value| {
        record["msg"] == "config_warning"
            && record["error"].as_str().unwrap().contains("SSH_AUTH_SOCK")
    };
    let server = Server::start(&fleet.setup);
    assert_eq!(server.wait_type("server_start")["sandbox"]["uid"], 10_001);
    let ran = server.run("web1", "echo hello");
    assert_eq!(ran["why"], "SSH agent unavailable: Check agent socket");
    assert!(server.finish().records.iter().any(warned));
    let check = crate::common::run_cli(&fleet.setup, &["check"]);
    let text = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(text.contains("SSH_AUTH_SOCK is not set"), "{text}");

    let socket = agent.socket.to_str().unwrap();
    fleet.setup.env("SSH_AUTH_SOCK", socket);
    let server = Server::start(&fleet.setup);
    assert_eq!(server.wait_type("server_start")["sandbox"]["uid"], 0);
    assert_eq!(server.run("web1", "echo hello")["output"], "hello");
    assert!(!server.finish().records.iter().any(warned));
    // Told to be somebody who cannot, it says so.
    let server = Launch::default()
        .args(&["--user", "10001"])
        .start(&fleet.setup);
    server.wait_record("the agent's warning", warned);
}

/// sshd hangs up at the last refusal that it has patience for (`MaxAuthTries`), and says no
/// more than that. It said no before, and that is what is reported.
#[test]
fn a_host_that_hangs_up_after_refusals_has_refused() {
    let fleet = Fleet::with(vec![HostSpec::new("web1").sshd("MaxAuthTries 3")]);
    let agent = Agent::start();
    for number in 0..4 {
        let name = format!("stranger-{number}");
        fleet.setup.key(&name, &stranger_key());
        agent.add(&fleet.setup.keys.join(name));
    }
    for lines in [
        &["agent: true"][..],
        &["key_path: stranger-0", "agent: true"],
        &["agent: true", "password_secret: word"],
    ] {
        fleet.setup.secret("word", "not-the-word");
        fleet.log_in_with(lines);
        let direct = Direct::with_agent(&fleet.setup, Some(agent.socket.clone()));
        let ran = direct.run("web1", "echo hello");
        let denied = matches!(ran.error(), SshError::Denied { .. });
        assert!(denied, "{lines:?}: {:?}", ran.report);
    }
    fleet
        .host("web1")
        .wait_log("Too many authentication failures");
}

/// Credentials may be right and still not what the host wants of this user.
#[test]
fn a_login_that_the_host_does_not_take_is_not_called_wrong() {
    let fleet = Fleet::with(vec![
        HostSpec::new("keys-alone"),
        HostSpec::new("passwords-alone")
            .password_login()
            .sshd("PubkeyAuthentication no"),
        HostSpec::new("both")
            .password_login()
            .sshd("AuthenticationMethods publickey,password"),
        HostSpec::new("key-alone-dropbear").dropbear().sshd("-s"),
    ]);
    fleet.setup.secret("login", login().password());
    fleet.setup.secret("wrong", "not-the-word");
    let (key, password) = ("key_path: id_fleet", "password_secret: login");
    let refused = "SSH permission denied: Check username and credentials";
    let wrong = "SSH authentication failed: Invalid credentials";
    for (alias, lines, text) in [
        ("keys-alone", &[password][..], refused),
        ("key-alone-dropbear", &[password], refused),
        ("passwords-alone", &[key], refused),
        ("both", &[key], refused),
        ("both", &[password], refused),
        ("both", &[key, "password_secret: wrong"], wrong),
        ("passwords-alone", &["password_secret: wrong"], wrong),
    ] {
        fleet.log_in_with(lines);
        let ran = hello(&fleet, alias);
        assert_eq!(
            ran.error().for_assistant(),
            text,
            "{alias} {lines:?}: {}",
            ran.error().for_operator()
        );
        assert_eq!(ran.error().phase().unwrap().as_str(), "authenticate");
    }
    fleet.log_in_with(&[key]);
    let why = hello(&fleet, "both").error().for_operator();
    assert!(why.contains("(password)"), "{why}");
}

#[test]
fn what_does_not_get_in_says_why() {
    let fleet = Fleet::with(vec![HostSpec::new("web1").password_login()]);
    fleet.new_key("locked", &["-t", "ed25519", "-a", "1", "-N", "open sesame"]);
    fleet.new_key(
        "locked-pem",
        &["-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "open sesame"],
    );
    fleet.new_key(
        "locked-pkcs8",
        &["-t", "ecdsa", "-m", "PKCS8", "-N", "open sesame"],
    );
    fleet.setup.secret("wrong", "not-the-word");
    fleet.setup.key("stranger", &stranger_key());
    fleet.setup.key("nonsense", "this is no key\n");
    fleet.setup.key(
        "cut",
        &fs::read_to_string(fleet.setup.keys.join("id_fleet")).unwrap()[..200],
    );
    fleet.setup.key("cut2", "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU=\n-----END OPENSSH PRIVATE KEY-----\n");
    fs::create_dir(fleet.setup.keys.join("folder")).unwrap();
    let cases: &[(&[&str], &str)] = &[
        (
            &["key_path: stranger"],
            "SSH authentication failed: Invalid credentials",
        ),
        (
            &["password_secret: wrong"],
            "SSH authentication failed: Invalid credentials",
        ),
        (
            &["key_path: absent"],
            "SSH key file not found: Check key path configuration",
        ),
        (
            &["key_path: locked"],
            "SSH key requires passphrase: Provide key_passphrase_secret",
        ),
        (
            &["key_path: locked-pem"],
            "SSH key requires passphrase: Provide key_passphrase_secret",
        ),
        (
            &["key_path: locked-pkcs8"],
            "SSH key requires passphrase: Provide key_passphrase_secret",
        ),
        (
            &["key_path: locked", "key_passphrase_secret: wrong"],
            "SSH key passphrase wrong: Check key_passphrase_secret",
        ),
        (
            &["key_path: locked-pem", "key_passphrase_secret: wrong"],
            "SSH key passphrase wrong: Check key_passphrase_secret",
        ),
        (
            &["key_path: locked-pkcs8", "key_passphrase_secret: wrong"],
            "SSH key passphrase wrong: Check key_passphrase_secret",
        ),
        (
            &["key_path: nonsense"],
            "SSH key format invalid: Check key file format (RSA/Ed25519/ECDSA)",
        ),
        (
            &["key_path: cut"],
            "SSH key format invalid: Check key file format (RSA/Ed25519/ECDSA)",
        ),
        (
            &["key_path: cut2"],
            "SSH key format invalid: Check key file format (RSA/Ed25519/ECDSA)",
        ),
        (
            &["key_path: id_fleet", "cert_path: id_fleet"],
            "SSH certificate invalid: Check cert_path file",
        ),
    ];
    for (lines, text) in cases {
        fleet.log_in_with(lines);
        let ran = hello(&fleet, "web1");
        assert_eq!(ran.error().for_assistant(), *text, "{lines:?}");
        assert!(!ran.error().for_operator().contains("open sesame"));
    }
}
