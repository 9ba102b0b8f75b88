//! Key paths against the real file system: whatever the path says, nothing outside the
//! directory is ever read, with links refused and with links allowed beneath.
//!
//! Input: a path.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::OnceLock;

use mcp_ssh_orchestrator::config::{Dirs, KeyPath, Links};

const INSIDE: &str = "inside";

struct Scene {
    keys: PathBuf,
    strict: Dirs,
    beneath: Dirs,
}

pub fn run(data: &[u8]) {
    let scene = scene();
    let text = String::from_utf8_lossy(data);
    // `@` stands for the directory, so that absolute paths into it are reached.
    let text = text.replace('@', scene.keys.to_str().unwrap_or_default());
    for (dirs, links) in [(&scene.strict, false), (&scene.beneath, true)] {
        let Ok(path) = KeyPath::parse(&text, dirs) else {
            continue;
        };
        let Ok(secret) = dirs.read_key(&path) else {
            continue;
        };
        assert_eq!(
            secret.expose(),
            INSIDE.as_bytes(),
            "{text:?} read something outside"
        );
        let real = fs::canonicalize(scene.keys.join(path.relative().as_path()))
            .expect("what was read is there");
        assert!(real.starts_with(&scene.keys), "{text:?} is {real:?}");
        if !links {
            let asked = scene.keys.join(path.relative().as_path());
            let plain: PathBuf = asked.components().collect();
            assert_eq!(plain, real, "{text:?} went through a link");
        }
    }
}

/// A keys directory with everything that leads out of it, made once a process.
fn scene() -> &'static Scene {
    static SCENE: OnceLock<Scene> = OnceLock::new();
    SCENE.get_or_init(|| {
        let root = std::env::temp_dir().join(format!("mcp-ssh-fuzz-paths.{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        let keys = root.join("keys");
        fs::create_dir_all(keys.join("sub/deep")).expect("a scratch directory can be made");
        let root = fs::canonicalize(&root).expect("it is there");
        let keys = root.join("keys");
        fs::create_dir_all(root.join("keys-not")).expect("made");
        for outside in ["outside", "keys-not/k", "k2"] {
            fs::write(root.join(outside), "OUTSIDE").expect("written");
        }
        for inside in ["k", "sub/k", "sub/deep/k"] {
            fs::write(keys.join(inside), INSIDE).expect("written");
        }
        let outside = root.join("outside");
        let absolute = outside.to_str().expect("a plain path");
        for (link, to) in [
            ("out", "../outside"),
            ("abs", absolute),
            ("up", ".."),
            ("root", "/"),
            ("self", "self"),
            ("in", "k"),
            ("dir", "sub"),
            ("sub/back", "../k"),
            ("sub/out", "../../outside"),
        ] {
            symlink(to, keys.join(link)).expect("linked");
        }
        let open = |links| Dirs::open(&keys, &keys, &keys, links);
        Scene {
            strict: open(Links::Refused),
            beneath: open(Links::Beneath),
            keys,
        }
    })
}
