//! Secrets, keys and configuration mounted by Kubernetes: every name is a link into a
//! directory that is swapped as a whole. Refused as links are, followed with
//! `--allow-links-beneath`, and never half old, half new.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::{Setup, run_cli};
use mcp_ssh_orchestrator::testing::config::{
    Dirs, Environment, KeyPath, Links, LoadError, Snapshot, Store, load,
};

const POLICY: &str = "rules: [{action: allow, commands: [uptime]}]\n";

fn credentials(user: &str) -> String {
    format!("entries: [{{name: ops, username: {user}, key_path: id, password_secret: word}}]\n")
}

/// Mounts a version of a volume as the kubelet does: a directory with a time in its name,
/// `..data` leading to it, and each file a link through `..data`. A later version goes
/// beside the old one, and `..data` is renamed over.
fn mount(volume: &Path, version: u32, files: &[(&str, &str)]) {
    let payload = format!("..2026_11_23_18_00_{version:02}.{version}");
    fs::create_dir(volume.join(&payload)).unwrap();
    for (name, text) in files {
        let file = volume.join(&payload).join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    }
    symlink(&payload, volume.join("..data_tmp")).unwrap();
    let before = fs::read_link(volume.join("..data")).ok();
    fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
    for (name, _) in files {
        let link = volume.join(name);
        if fs::symlink_metadata(&link).is_err() {
            symlink(format!("..data/{name}"), link).unwrap();
        }
    }
    if let Some(before) = before {
        fs::remove_dir_all(volume.join(before)).unwrap();
    }
}

fn volumes(setup: &Setup, version: u32) {
    let text = |what: &str| format!("{what} {version}");
    let credentials = credentials(&format!("user{version}"));
    let servers = format!(
        "hosts: [{{alias: a, host: 10.0.0.1, credentials: ops, description: user{version}}}]\n"
    );
    let config = [
        ("servers.yml", servers.as_str()),
        ("credentials.yml", &credentials),
        ("policy.yml", POLICY),
    ];
    mount(&setup.config, version, &config);
    mount(
        &setup.keys,
        version,
        &[("id", &text("key")), ("known_hosts", "")],
    );
    mount(&setup.secrets, version, &[("word", &text("secret"))]);
}

#[test]
fn links_that_stay_beneath_are_followed_on_request_alone() {
    let setup = Setup::new();
    volumes(&setup, 1);
    let error = load_with(&setup, Links::Refused).err().unwrap();
    assert_eq!(error.problems.len(), 3, "{error}");
    for problem in &error.problems {
        assert!(
            problem.accepted.contains("--allow-links-beneath"),
            "{problem}"
        );
    }
    assert!(
        error
            .events
            .iter()
            .all(|event| event.reason == Some("path_is_symlink"))
    );

    let snapshot = load_with(&setup, Links::Beneath).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        shown(&snapshot),
        ("user1".into(), "secret 1".into(), "key 1".into())
    );
    assert!(
        snapshot
            .dirs()
            .read_known_hosts(snapshot.known_hosts())
            .is_ok()
    );
}

#[test]
fn the_binary_says_and_takes_the_flag() {
    let setup = Setup::new();
    volumes(&setup, 1);
    let refused = run_cli(&setup, &["check", "--sandbox", "off"]);
    assert_eq!(refused.status.code(), Some(1));
    let text = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert!(text.contains("--allow-links-beneath"), "{text}");
    let taken = run_cli(
        &setup,
        &["check", "--sandbox", "off", "--allow-links-beneath"],
    );
    assert_eq!(taken.status.code(), Some(0), "{taken:?}");
    setup.env("MCP_SSH_ALLOW_LINKS_BENEATH", "1");
    let taken = run_cli(&setup, &["check", "--sandbox", "off"]);
    assert_eq!(taken.status.code(), Some(0), "{taken:?}");
}

#[test]
fn a_swap_is_seen_whole() {
    let setup = Setup::new();
    volumes(&setup, 0);
    let dirs = Arc::new(dirs(&setup, Links::Beneath));
    let first = load(&dirs, &Environment::default()).unwrap().snapshot;
    let store = Arc::new(Store::new(
        Environment::default(),
        first,
        Box::new(|_| Ok(())),
    ));
    let stop = Arc::new(AtomicBool::new(false));
    let reader = {
        let (dirs, stop) = (Arc::clone(&dirs), Arc::clone(&stop));
        std::thread::spawn(move || {
            let key = KeyPath::parse("id", &dirs).unwrap();
            let mut reads = 0_u32;
            while !stop.load(Ordering::Relaxed) {
                match dirs.read_key(&key) {
                    Ok(secret) => {
                        let text = String::from_utf8(secret.expose().to_vec()).unwrap();
                        let version = text.strip_prefix("key ").unwrap();
                        assert!(version.parse::<u32>().is_ok(), "{text}");
                    }
                    Err(error) => panic!("{error}"),
                }
                // The three files are of one moment, too.
                let now = load(&dirs, &Environment::default()).unwrap().snapshot;
                let host = &now.hosts()[0];
                assert_eq!(host.description, host.login.username);
                reads += 1;
            }
            reads
        })
    };
    for version in 1..=30 {
        volumes(&setup, version);
        store.reload().unwrap_or_else(|error| panic!("{error}"));
        let expected = (
            format!("user{version}"),
            format!("secret {version}"),
            format!("key {version}"),
        );
        assert_eq!(shown(&store.current()), expected);
    }
    stop.store(true, Ordering::Relaxed);
    assert!(reader.join().unwrap() > 0);
}

#[test]
fn links_that_leave_the_volume_stay_refused() {
    let setup = Setup::new();
    volumes(&setup, 1);
    fs::write(setup.secrets.join("beside"), "x").unwrap();
    for target in [
        "../secrets/beside",
        "..data/../../secrets/beside",
        "/etc/passwd",
    ] {
        let link = setup.keys.join("id");
        fs::remove_file(&link).unwrap();
        symlink(target, &link).unwrap();
        let error = load_with(&setup, Links::Beneath).err().unwrap();
        let [problem] = error.problems.as_slice() else {
            panic!("{error}")
        };
        assert_eq!(problem.key, "entries[0].key_path");
        assert_eq!(
            error.events[0].reason,
            Some("path_outside_allowed_directory")
        );
    }
}

fn dirs(setup: &Setup, links: Links) -> Dirs {
    Dirs::open(&setup.config, &setup.keys, &setup.secrets, links)
}

fn load_with(setup: &Setup, links: Links) -> Result<Snapshot, LoadError> {
    load(&Arc::new(dirs(setup, links)), &Environment::default()).map(|loaded| loaded.snapshot)
}

/// User, password and key of the one host.
fn shown(snapshot: &Snapshot) -> (String, String, String) {
    let login = &snapshot.hosts()[0].login;
    let key = snapshot
        .dirs()
        .read_key(login.key_path.as_ref().unwrap())
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let password = login.password.as_ref().unwrap();
    (
        login.username.clone(),
        text(password.expose()),
        text(key.expose()),
    )
}
