//! Three directories with everything in them that leads out, and what must not be read.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use mcp_ssh_orchestrator::testing::config::files::directories::KEY_MAX;
use mcp_ssh_orchestrator::testing::config::{Dirs, Links};
use nix::sys::stat::Mode;

/// Begins every file that may be read.
const INSIDE: &[u8] = b"inside";
const OUTSIDE: &[u8] = b"OUTSIDE";

pub struct Scene {
    pub root: PathBuf,
    pub dirs: [(Arc<Dirs>, Links); 2],
}

pub fn is_inside(bytes: &[u8]) -> bool {
    bytes.starts_with(INSIDE)
}

impl Scene {
    pub fn outside_is_untouched(&self, text: &str) {
        for file in OUTSIDES {
            let bytes = fs::read(self.root.join(file)).expect("it was there");
            assert_eq!(bytes, OUTSIDE, "{text:?} changed what is outside");
        }
    }

    /// Puts back what may be replaced.
    pub fn restore(&self) {
        for directory in DIRECTORIES {
            let directory = self.root.join(directory);
            clear(&directory);
            fill(&directory, &self.root);
        }
    }
}

const DIRECTORIES: [&str; 3] = ["config", "keys", "secrets"];
const OUTSIDES: [&str; 4] = ["outside", "keys-not/k", "k2", "known_hosts"];

/// Made once a process.
pub fn scene() -> &'static Scene {
    static SCENE: OnceLock<Scene> = OnceLock::new();
    SCENE.get_or_init(|| {
        let root = std::env::temp_dir().join(format!("mcp-ssh-fuzz-paths.{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join("keys-not")).expect("a scratch directory can be made");
        let root = fs::canonicalize(&root).expect("it is there");
        for file in OUTSIDES {
            fs::write(root.join(file), OUTSIDE).expect("written");
        }
        for directory in DIRECTORIES {
            fs::create_dir(root.join(directory)).expect("made");
            fill(&root.join(directory), &root);
        }
        let dirs = [Links::Refused, Links::Beneath].map(|links| {
            let [config, keys, secrets] = DIRECTORIES.map(|directory| root.join(directory));
            (Arc::new(Dirs::open(&config, &keys, &secrets, links)), links)
        });
        Scene { root, dirs }
    })
}

fn clear(directory: &Path) {
    for entry in fs::read_dir(directory).expect("it is there") {
        let entry = entry.expect("it can be listed").path();
        let removed = match entry.is_dir() && !entry.is_symlink() {
            true => fs::remove_dir_all(&entry),
            false => fs::remove_file(&entry),
        };
        removed.expect("it can be removed");
    }
}

fn fill(directory: &Path, root: &Path) {
    fs::create_dir_all(directory.join("sub/deep")).expect("made");
    let long = "n".repeat(255);
    for inside in [
        "k",
        "K",
        "known_hosts",
        "sub/k",
        "sub/deep/k",
        ".hidden",
        &long,
    ] {
        fs::write(directory.join(inside), INSIDE).expect("written");
    }
    let mut large = INSIDE.to_vec();
    large.resize(usize::try_from(KEY_MAX).unwrap_or_default() + 1, b' ');
    fs::write(directory.join("large"), large).expect("written");
    nix::unistd::mkfifo(&directory.join("pipe"), Mode::S_IRUSR).expect("a pipe");
    let outside = root.join("outside");
    for (link, to) in [
        ("out", Path::new("../outside")),
        ("abs", outside.as_path()),
        ("up", Path::new("..")),
        ("root", Path::new("/")),
        ("self", Path::new("self")),
        ("in", Path::new("k")),
        ("dir", Path::new("sub")),
        ("proc", Path::new("/proc/self/root")),
        ("null", Path::new("/dev/null")),
        ("sub/back", Path::new("../k")),
        ("sub/out", Path::new("../../outside")),
    ] {
        symlink(to, directory.join(link)).expect("linked");
    }
}
