//! Every path that a configuration can say, on the real file system: of a key, of a
//! certificate, of known_hosts, of a secret's file, by its own type and through the
//! loader. Whatever the path says, nothing outside its directory is ever read or replaced,
//! no more than a file of the accepted size, and no link is followed unless allowed.
//!
//! Input: a path, and a `!` behind it if the file is to be replaced, too. `@` stands for
//! the directory of all, `~` for a name of 255 bytes.

mod scene;

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use mcp_ssh_orchestrator::testing::config::files::directories::{KEY_MAX, KEY_PATH_MAX};
use mcp_ssh_orchestrator::testing::config::{
    Dirs, Environment, FileError, KeyPath, KnownHostsPath, Links, load_texts,
};

use scene::Scene;

pub fn run(data: &[u8]) {
    let scene = scene::scene();
    let text = String::from_utf8_lossy(data);
    let (text, replaces) = match text.strip_suffix('!') {
        Some(text) => (text, true),
        None => (&*text, false),
    };
    let text = text
        .replace('@', scene.root.to_str().unwrap_or_default())
        .replace('~', &"n".repeat(255));
    for (dirs, links) in &scene.dirs {
        key(scene, dirs, *links, &text);
        known_hosts(scene, dirs, *links, &text, replaces);
        everything(scene, dirs, &text);
    }
}

fn key(scene: &Scene, dirs: &Dirs, links: Links, text: &str) {
    let Ok(path) = KeyPath::parse(text, dirs) else {
        return;
    };
    it_is_a_plain_path(text, path.relative().as_path());
    match dirs.read_key(&path) {
        Ok(secret) => {
            let asked = scene.root.join("keys").join(path.relative().as_path());
            it_is_beneath(scene, "keys", &asked, links, secret.expose());
            assert!(u64::try_from(secret.expose().len()).is_ok_and(|size| size <= KEY_MAX));
        }
        Err(FileError::TooLarge { size, .. }) => assert!(size > KEY_MAX),
        Err(_) => {}
    }
}

fn known_hosts(scene: &Scene, dirs: &Dirs, links: Links, text: &str, replaces: bool) {
    let Ok(path) = KnownHostsPath::parse(text, dirs) else {
        return;
    };
    it_is_a_plain_path(text, path.relative().as_path());
    let asked = dirs.known_hosts_file(&path);
    let directory = match asked.starts_with(scene.root.join("config")) {
        true => "config",
        false => "keys",
    };
    let Ok(content) = dirs.read_known_hosts(&path) else {
        return;
    };
    it_is_beneath(scene, directory, &asked, links, &content.bytes);
    if !replaces {
        return;
    }
    // Replacing changes the name that was asked for, never what a link on it leads to.
    let before = content.bytes.to_vec();
    if dirs.replace_known_hosts(&path, b"replaced").is_ok() {
        let now = fs::read(&asked).expect("what was replaced is there");
        assert_eq!(now, b"replaced", "{text:?}");
        scene.outside_is_untouched(text);
        scene.restore();
    } else {
        let now = fs::read(&asked).expect("what was read is there");
        assert_eq!(now, before, "{text:?}: not replaced, and changed");
    }
}

/// The same text in every place of the three files.
fn everything(scene: &Scene, dirs: &Arc<Dirs>, text: &str) {
    let written = serde_json::to_string(text).expect("a text");
    let servers = "hosts:\n  - {alias: web1, host: 192.0.2.1, credentials: c}\n";
    let files = [
        format!("{{name: c, username: u, key_path: {written}, cert_path: {written}}}"),
        format!("{{name: c, username: u, password_secret: {written}}}"),
    ];
    for credential in files {
        let credentials = format!("entries:\n  - {credential}\n");
        let policy = format!("known_hosts_path: {written}\nrules: []\n");
        for policy in [policy.as_str(), "rules: []\n"] {
            let texts = [servers, credentials.as_str(), policy].map(str::as_bytes);
            let Ok(loaded) = load_texts(texts, dirs, &Environment::default()) else {
                continue;
            };
            let snapshot = loaded.snapshot;
            let login = &snapshot.hosts()[0].login;
            for path in [&login.key_path, &login.cert_path].into_iter().flatten() {
                if let Ok(secret) = dirs.read_key(path) {
                    assert!(scene::is_inside(secret.expose()), "{text:?}");
                }
            }
            if let Some(secret) = &login.password {
                assert!(scene::is_inside(secret.expose()), "{text:?}");
                let file = scene.root.join("secrets").join(text);
                assert!(
                    !text.contains(['/', '.', '\0']) && file.exists(),
                    "{text:?} is no name of a secret"
                );
            }
            if let Ok(content) = dirs.read_known_hosts(snapshot.known_hosts()) {
                assert!(scene::is_inside(&content.bytes), "{text:?}");
            }
        }
    }
}

fn it_is_a_plain_path(text: &str, relative: &Path) {
    assert!(text.chars().count() <= KEY_PATH_MAX && !text.contains('\0'));
    let plain = relative
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    assert!(
        plain && relative.components().count() > 0,
        "{text:?} is {relative:?}"
    );
}

fn it_is_beneath(scene: &Scene, directory: &str, asked: &Path, links: Links, bytes: &[u8]) {
    assert!(scene::is_inside(bytes), "{asked:?} read something outside");
    let real = fs::canonicalize(asked).expect("what was read is there");
    assert!(
        real.starts_with(scene.root.join(directory)),
        "{asked:?} is {real:?}"
    );
    if links == Links::Refused {
        let plain: PathBuf = asked.components().collect();
        assert_eq!(plain, real, "{asked:?} went through a link");
    }
}
