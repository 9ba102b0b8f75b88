//! Promises: a host without `legacy_algorithms` is offered nothing that is old, in no packet;
//! one with it works although it knows nothing newer, and the log says so of each session.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::thread;

use crate::common::{Fleet, HostSpec, Scratch, Server, run, run_cli};
use crate::direct::{Direct, Ran};
use mcp_ssh_orchestrator::testing::ssh::SshError;
use serde_json::{Value, json};

/// What a Cisco IOS 15 switch has, as `ssh -vv` shows it.
const IOS_15: [&str; 5] = [
    "KexAlgorithms diffie-hellman-group14-sha1,diffie-hellman-group1-sha1",
    "HostKeyAlgorithms ssh-rsa",
    "Ciphers aes128-cbc,3des-cbc,aes192-cbc,aes256-cbc",
    "MACs hmac-sha1,hmac-sha1-96",
    "PubkeyAcceptedAlgorithms ssh-rsa",
];
/// Its older brothers have less.
const IOS_12: [&str; 5] = [
    "KexAlgorithms diffie-hellman-group1-sha1",
    "HostKeyAlgorithms ssh-rsa",
    "Ciphers 3des-cbc",
    "MACs hmac-sha1",
    "PubkeyAcceptedAlgorithms ssh-rsa",
];
/// OpenSSH 5.3 (RHEL 6), without what later ones dropped.
const OPENSSH_5_3: [&str; 5] = [
    "KexAlgorithms diffie-hellman-group-exchange-sha1,diffie-hellman-group14-sha1,diffie-hellman-group1-sha1",
    "HostKeyAlgorithms ssh-rsa",
    "Ciphers aes128-ctr,aes192-ctr,aes256-ctr,aes128-cbc,3des-cbc",
    "MACs hmac-sha1,hmac-sha1-96",
    "PubkeyAcceptedAlgorithms ssh-rsa",
];

/// One host with an RSA key, the client's key an RSA one, too.
struct Old {
    fleet: Fleet,
    _dir: Scratch,
}

fn old(lines: &[&str], yaml: &[&str]) -> Old {
    let dir = Scratch::new("old-host-key");
    let key = dir.path().join("rsa");
    let key = key.to_str().unwrap();
    run(
        "ssh-keygen",
        &[
            "-q", "-t", "rsa", "-b", "2048", "-N", "", "-C", "", "-f", key,
        ],
    );
    let mut spec = HostSpec::new("web1").sshd(&format!("HostKey {key}"));
    for line in lines {
        spec = spec.sshd(line);
    }
    for line in yaml {
        spec = spec.yaml(line);
    }
    let fleet = Fleet::with(vec![spec]);
    let host = fleet.host("web1");
    let public = std::fs::read_to_string(format!("{key}.pub")).unwrap();
    let line = format!("[{}]:{} {public}", host.address, host.port);
    fleet.setup.key("known_hosts", &line);
    fleet.new_key("id_rsa", &["-t", "rsa", "-b", "2048", "-N", ""]);
    let credentials = fleet.credentials_yaml().replace("id_fleet", "id_rsa");
    fleet.setup.write("credentials.yml", &credentials);
    Old { fleet, _dir: dir }
}

fn hello(old: &Old) -> Ran {
    Direct::of(&old.fleet.setup).run("web1", "echo hello")
}

#[test]
fn what_is_old_works_where_the_host_says_so_and_nowhere_else() {
    for (name, lines, agreed) in [
        (
            "IOS 15",
            &IOS_15,
            "kex=diffie-hellman-group14-sha1 host_key=ssh-rsa cipher=aes256-cbc/aes256-cbc mac=hmac-sha1/hmac-sha1",
        ),
        (
            "IOS 12",
            &IOS_12,
            "kex=diffie-hellman-group1-sha1 host_key=ssh-rsa cipher=3des-cbc/3des-cbc mac=hmac-sha1/hmac-sha1",
        ),
        (
            "OpenSSH 5.3",
            &OPENSSH_5_3,
            "kex=diffie-hellman-group14-sha1 host_key=ssh-rsa cipher=aes256-ctr/aes256-ctr mac=hmac-sha1/hmac-sha1",
        ),
    ] {
        let ran = hello(&old(lines, &["legacy_algorithms: true"]));
        assert!(ran.report.error.is_none(), "{name}: {:?}", ran.report.error);
        assert_eq!(ran.out(), "hello\n", "{name}");
        let hop = &ran.report.negotiated.as_ref().unwrap()[0];
        assert!(hop.to_string().contains(agreed), "{name}: {hop}");
        assert!(hop.legacy_algorithms);

        let ran = hello(&old(lines, &[]));
        assert!(
            matches!(ran.error(), SshError::NoCommon { .. }),
            "{name}: {:?}",
            ran.report.error
        );
    }
}

/// A host that does not say which signatures it takes (RFC 8308) would get SHA-1 of libssh2;
/// one that takes SHA-1 alone gets none without `legacy_algorithms`.
#[test]
fn a_login_is_signed_with_sha1_where_the_host_says_so_and_nowhere_else() {
    for (form, args) in [("openssh", &[][..]), ("pem", &["-m", "PEM"])] {
        for (yaml, gets_in) in [(&["legacy_algorithms: true"][..], true), (&[], false)] {
            let old = old(
                &[
                    "PubkeyAcceptedAlgorithms ssh-rsa",
                    "HostKeyAlgorithms rsa-sha2-256",
                ],
                yaml,
            );
            let rsa = ["-t", "rsa", "-b", "2048", "-N", ""];
            old.fleet.new_key("id_other", &[&rsa[..], args].concat());
            let credentials = old.fleet.credentials_yaml().replace("id_fleet", "id_other");
            old.fleet.setup.write("credentials.yml", &credentials);
            let ran = hello(&old);
            assert_eq!(
                ran.report.error.is_none(),
                gets_in,
                "{form}: {:?}",
                ran.report
            );
        }
    }
}

#[test]
fn what_is_newer_is_agreed_on_first() {
    let old = old(&[], &["legacy_algorithms: true"]);
    let ran = hello(&old);
    let hop = ran.ok().report.negotiated.as_ref().unwrap()[0].to_string();
    for old in ["sha1", "cbc", "host_key=ssh-rsa "] {
        assert!(!hop.contains(old), "{hop}");
    }
}

#[test]
fn dropbear_takes_what_a_default_host_offers_and_what_is_old() {
    for yaml in [&[][..], &["legacy_algorithms: true"]] {
        let mut spec = HostSpec::new("web1").dropbear();
        for line in yaml {
            spec = spec.yaml(line);
        }
        let fleet = Fleet::with(vec![spec]);
        fleet.new_key("id_rsa", &["-t", "rsa", "-b", "2048", "-N", ""]);
        let credentials = fleet.credentials_yaml().replace("id_fleet", "id_rsa");
        fleet.setup.write("credentials.yml", &credentials);
        let ran = Direct::of(&fleet.setup).run("web1", "echo hello");
        assert_eq!(ran.ok().out(), "hello\n");
    }
}

#[test]
fn the_log_says_it_of_each_session_at_any_level() {
    let old = old(&IOS_15, &["legacy_algorithms: true"]);
    let server = Server::start(&old.fleet.setup);
    server.run("web1", "echo one");
    server.run("web1", "echo two");
    let records = server.finish().records;
    let is_session = |record: &&Value| record["op"] == "ssh_session";
    let sessions: Vec<&Value> = records.iter().filter(is_session).collect();
    assert_eq!(sessions.len(), 2, "{sessions:#?}");
    for session in sessions {
        let hop = &session["hops"][0];
        assert_eq!(hop["legacy_algorithms"], json!(true), "{hop}");
        assert_eq!(hop["kex"], "diffie-hellman-group14-sha1", "{hop}");
    }
}

#[test]
fn check_names_the_hosts() {
    let fleet = Fleet::with(vec![
        HostSpec::new("web1"),
        HostSpec::new("switch").yaml("legacy_algorithms: true"),
    ]);
    let output = run_cli(&fleet.setup, &["check"]);
    let page = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        page.contains("legacy_algorithms (SHA-1, CBC, 3DES are accepted): switch"),
        "{page}"
    );
    let output = run_cli(&fleet.setup, &["check", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        report["configuration"]["legacy_algorithms"],
        json!(["switch"]),
        "{report}"
    );
}

/// The first packet of the key exchange, as it goes over the line in the clear.
#[test]
fn the_offer_is_what_it_says() {
    let fleet = Fleet::with(vec![
        HostSpec::new("web1"),
        HostSpec::new("switch").yaml("legacy_algorithms: true"),
    ]);
    let kex = "ext-info-c,kex-strict-c-v00@openssh.com,\
        mlkem768x25519-sha256,mlkem768nistp256-sha256,mlkem1024nistp384-sha384,\
        curve25519-sha256,curve25519-sha256@libssh.org,\
        ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,\
        diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,\
        diffie-hellman-group-exchange-sha256,diffie-hellman-group14-sha256";
    let keys = "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,\
        rsa-sha2-512,rsa-sha2-256";
    let ciphers = "chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com,\
        aes256-ctr,aes192-ctr,aes128-ctr";
    let macs = "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha2-256,\
        hmac-sha2-512";
    assert_eq!(
        offer_of(&fleet, "web1"),
        [kex, keys, ciphers, ciphers, macs, macs, "none", "none"].map(str::to_owned)
    );
    let kex = format!("{kex},diffie-hellman-group14-sha1,diffie-hellman-group1-sha1");
    let ciphers = format!("{ciphers},aes256-cbc,aes192-cbc,aes128-cbc,3des-cbc");
    let keys = format!("{keys},ssh-rsa");
    let macs = format!("{macs},hmac-sha1");
    let none = "none".to_owned();
    assert_eq!(
        offer_of(&fleet, "switch"),
        [
            kex,
            keys,
            ciphers.clone(),
            ciphers,
            macs.clone(),
            macs,
            none.clone(),
            none
        ]
    );
}

/// Lists of algorithms that this host is sent (RFC 4253 section 7.1).
fn offer_of(fleet: &Fleet, alias: &str) -> [String; 8] {
    let host = fleet.host(alias);
    host.stop();
    let listener = TcpListener::bind((host.address, host.port)).unwrap();
    let heard = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"SSH-2.0-listener\r\n").unwrap();
        let mut reader = BufReader::new(stream);
        let mut version = String::new();
        reader.read_line(&mut version).unwrap();
        assert!(version.starts_with("SSH-2.0-"), "{version}");
        let mut length = [0; 4];
        reader.read_exact(&mut length).unwrap();
        let mut packet = vec![0; u32::from_be_bytes(length) as usize];
        reader.read_exact(&mut packet).unwrap();
        packet
    });
    let ran = Direct::of(&fleet.setup).run(alias, "echo hello");
    assert!(ran.report.error.is_some());
    let packet = heard.join().unwrap();
    // Length of the padding, SSH_MSG_KEXINIT, cookie, lists.
    assert_eq!(packet[1], 20);
    let mut rest = &packet[18..];
    [(); 8].map(|()| {
        let (length, after) = rest.split_first_chunk::<4>().unwrap();
        let (list, after) = after.split_at(u32::from_be_bytes(*length) as usize);
        rest = after;
        String::from_utf8(list.to_vec()).unwrap()
    })
}
