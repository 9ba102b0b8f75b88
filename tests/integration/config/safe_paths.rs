//! No path, however it is written, opens a file outside its directory: not by dots, not
//! by an absolute path, not over links, not by swapping a directory while it is read; as
//! root and as a plain user.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::{Scratch, copy_program};
use mcp_ssh_orchestrator::testing::config::files::beneath::{Directory, RelativePath};
use mcp_ssh_orchestrator::testing::config::{Dirs, FileError, KeyPath, KnownHostsPath, Links};
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, openat2};
use nix::libc;
use nix::sys::stat::Mode;
use nix::unistd::{Uid, mkfifo};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

const PLAIN_USER: u32 = 10_001;
const AS_PLAIN_USER: &str = "SAFE_PATHS_AS_PLAIN_USER";

#[test]
fn as_whoever_runs_the_tests() {
    everything();
}

#[test]
fn as_a_plain_user() {
    if std::env::var_os(AS_PLAIN_USER).is_some() {
        assert!(!Uid::effective().is_root());
        return everything();
    }
    if !Uid::effective().is_root() {
        // The test above was that.
        return;
    }
    // The binary may stand where only root may look.
    let scratch = Scratch::new("plain");
    let binary = scratch.path().join("safe_paths");
    copy_program(std::env::current_exe().unwrap(), &binary);
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
    let home = scratch.path().join("tmp");
    fs::create_dir(&home).unwrap();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o777)).unwrap();
    let output = Command::new(&binary)
        .args([
            "--exact",
            "config::safe_paths::as_a_plain_user",
            "--nocapture",
        ])
        .env(AS_PLAIN_USER, "1")
        .env("TMPDIR", &home)
        .current_dir("/")
        .uid(PLAIN_USER)
        .gid(PLAIN_USER)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && told.contains("1 passed"),
        "{told}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn everything() {
    for links in [Links::Refused, Links::Beneath] {
        let tree = Tree::new();
        what_is_not_a_plain_file_is_told_apart(&tree, links);
        no_written_path_leaves(&tree, links);
        no_swap_leaves(&tree, links);
    }
    sizes_are_bounded();
    replacing_replaces_the_name_alone();
}

/// The same on a system without `openat2(2)`, in a child that took the call away from itself.
#[test]
fn where_there_is_no_openat2() {
    const WITHOUT: &str = "SAFE_PATHS_WITHOUT_OPENAT2";
    if std::env::var_os(WITHOUT).is_none() {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "config::safe_paths::where_there_is_no_openat2"])
            .arg("--nocapture")
            .env(WITHOUT, "1")
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && told.contains("1 passed"),
            "{told}{error}"
        );
        return;
    }
    let number = i64::from(i32::try_from(libc::SYS_openat2).unwrap());
    let filter = SeccompFilter::new(
        BTreeMap::from([(number, Vec::new())]),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOSYS.cast_unsigned()),
        TargetArch::try_from(std::env::consts::ARCH).unwrap(),
    );
    let program: BpfProgram = filter.unwrap().try_into().unwrap();
    seccompiler::apply_filter_all_threads(&program).unwrap();
    let how = OpenHow::new().flags(OFlag::O_PATH);
    let here = fs::File::open(".").unwrap();
    assert_eq!(openat2(&here, ".", how).err(), Some(Errno::ENOSYS));
    everything();
}

/// `keys/` with everything that a path could trip over, and files around it that must
/// never be read. A file inside says its own path, one outside says OUTSIDE.
struct Tree {
    root: PathBuf,
    dirs: Dirs,
    beneath: Dirs,
    _socket: UnixListener,
    _scratch: Scratch,
}

impl Tree {
    fn new() -> Self {
        let scratch = Scratch::new("tree");
        let root = scratch.path().to_owned();
        for dir in [
            "keys/sub/deep",
            "keys/..data",
            "keys/-",
            "keys_evil",
            "other/sub",
            "config",
            "secrets",
        ] {
            fs::create_dir_all(root.join(dir)).unwrap();
        }
        for inside in [
            "id",
            "sub/key",
            "sub/deep/key",
            "..data/key",
            "-/id",
            "keys",
            "...",
            "%2e%2e",
        ] {
            fs::write(root.join("keys").join(inside), format!("inside:{inside}")).unwrap();
        }
        for outside in [
            "outside",
            "keys_evil/k",
            "other/id",
            "other/key",
            "other/sub/key",
            "config/id",
        ] {
            fs::write(root.join(outside), "OUTSIDE").unwrap();
        }
        let absolute = |path: &str| root.join(path).display().to_string();
        for (link, target) in [
            ("link_in", "id".to_owned()),
            ("link_sub", "sub".to_owned()),
            ("link_data", "..data/key".to_owned()),
            ("link_back", "sub/../id".to_owned()),
            ("link_around", "../keys/id".to_owned()),
            ("link_out", "../outside".to_owned()),
            ("link_dir", "../other".to_owned()),
            ("link_abs", absolute("outside")),
            ("link_abs_in", absolute("keys/id")),
            ("link_root", "/".to_owned()),
            ("link_proc", "/proc/self/root".to_owned()),
            ("link_cwd", "/proc/self/cwd".to_owned()),
            ("dangling", "nothing".to_owned()),
            ("loop", "loop".to_owned()),
            ("sub/up", "..".to_owned()),
            ("sub/up_up", "../..".to_owned()),
        ] {
            symlink(target, root.join("keys").join(link)).unwrap();
        }
        mkfifo(&root.join("keys/fifo"), Mode::S_IRWXU).unwrap();
        let socket = UnixListener::bind(root.join("keys/socket")).unwrap();
        let open = |links| {
            let of = |name: &str| root.join(name);
            Dirs::open(&of("config"), &of("keys"), &of("secrets"), links)
        };
        Self {
            dirs: open(Links::Refused),
            beneath: open(Links::Beneath),
            root: root.clone(),
            _socket: socket,
            _scratch: scratch,
        }
    }

    fn dirs(&self, links: Links) -> &Dirs {
        match links {
            Links::Refused => &self.dirs,
            Links::Beneath => &self.beneath,
        }
    }
}

fn what_is_not_a_plain_file_is_told_apart(tree: &Tree, links: Links) {
    use FileError::{Directory as Dir, Link, Missing, NotRegular, Outside};
    let followed = links == Links::Beneath;
    let by_links = |refused: FileError, beneath: Result<&'static str, FileError>| {
        if followed { beneath } else { Err(refused) }
    };
    let cases: &[(&str, Result<&str, FileError>)] = &[
        ("id", Ok("id")),
        ("./id", Ok("id")),
        ("sub//deep/key", Ok("sub/deep/key")),
        ("sub", Err(Dir)),
        ("nothing", Err(Missing)),
        ("id/key", Err(Missing)),
        ("fifo", Err(NotRegular)),
        ("socket", Err(NotRegular)),
        ("dangling", by_links(Link, Err(Missing))),
        ("loop", Err(Link)),
        ("link_in", by_links(Link, Ok("id"))),
        ("link_sub/key", by_links(Link, Ok("sub/key"))),
        ("link_data", by_links(Link, Ok("..data/key"))),
        ("link_back", by_links(Link, Ok("id"))),
        ("sub/up/id", by_links(Link, Ok("id"))),
        ("sub/up_up/outside", by_links(Link, Err(Outside))),
        ("link_around", by_links(Link, Err(Outside))),
        ("link_out", by_links(Link, Err(Outside))),
        ("link_dir/id", by_links(Link, Err(Outside))),
        ("link_abs", by_links(Link, Err(Outside))),
        ("link_abs_in", by_links(Link, Err(Outside))),
        ("link_root/etc/passwd", by_links(Link, Err(Outside))),
        ("link_proc/etc/passwd", by_links(Link, Err(Outside))),
        ("link_cwd/etc/passwd", by_links(Link, Err(Outside))),
    ];
    let dirs = tree.dirs(links);
    for (path, expected) in cases {
        let key = KeyPath::parse(path, dirs).unwrap();
        let read = dirs.read_key(&key).map(|secret| text(secret.expose()));
        let expected = expected.map(|inside| format!("inside:{inside}"));
        assert_eq!(read, expected, "{path} with {links:?}");
    }
}

/// Thousands of paths out of everything that has ever fooled a comparison of paths.
fn no_written_path_leaves(tree: &Tree, links: Links) {
    let root = tree.root.display().to_string();
    let keys = format!("{root}/keys");
    let parts = [
        "..",
        ".",
        "",
        "id",
        "sub",
        "deep",
        "key",
        "up",
        "up_up",
        "link_in",
        "link_sub",
        "link_out",
        "link_dir",
        "link_root",
        "link_proc",
        "link_data",
        "..data",
        "keys",
        "keys_evil",
        "k",
        "outside",
        "other",
        "etc",
        "passwd",
        "proc",
        "self",
        "root",
        "cwd",
        "...",
        "....",
        "%2e%2e",
        "..\\..",
        "\\..",
        "..;",
        "~",
        "-",
        "\u{2025}",
        "．．",
        "id\0",
        "fifo",
        "loop",
    ];
    let starts = [
        "",
        "",
        "",
        "/",
        "//",
        "./",
        "../",
        "~/",
        &keys,
        &root,
        "/proc/self/cwd",
        "/etc",
    ];
    let mut random = Random::default();
    let dirs = tree.dirs(links);
    let (mut read, mut refused) = (0_u32, 0_u32);
    for _ in 0..20_000 {
        let mut path = starts[random.below(starts.len())].to_owned();
        for _ in 0..=random.below(5) {
            if !path.is_empty() && !path.ends_with('/') || random.below(8) == 0 {
                path.push('/');
            }
            path.push_str(parts[random.below(parts.len())]);
        }
        let key = KeyPath::parse(&path, dirs).ok();
        let known_hosts = KnownHostsPath::parse(&path, dirs).ok();
        let relative = RelativePath::new(&path);
        let contents = [
            key.and_then(|key| Some(text(dirs.read_key(&key).ok()?.expose()))),
            known_hosts
                .filter(|path| !is_in_config(dirs, path))
                .and_then(|path| Some(text(&dirs.read_known_hosts(&path).ok()?.bytes))),
            relative.and_then(|path| Some(text(&dirs.keys().read(&path, 1_000).ok()?.bytes))),
        ];
        for content in contents {
            let Some(content) = content else {
                refused += 1;
                continue;
            };
            read += 1;
            let inside = content.strip_prefix("inside:");
            let inside = inside.unwrap_or_else(|| panic!("{path:?} opened {content}"));
            if links == Links::Refused {
                // What was written is what was opened.
                assert!(
                    path.replace("//", "/").replace("/./", "/").contains(inside),
                    "{path:?} → {inside}"
                );
            }
        }
    }
    assert!(
        read > 100 && refused > 10_000,
        "{read} read, {refused} refused: no test"
    );
}

fn is_in_config(dirs: &Dirs, path: &KnownHostsPath) -> bool {
    dirs.known_hosts_file(path)
        .starts_with(dirs.config().path())
}

/// A directory on the way that is, from moment to moment, a directory inside and a link
/// to one outside.
fn no_swap_leaves(tree: &Tree, links: Links) {
    let keys = tree.root.join("keys");
    fs::create_dir(keys.join("real")).unwrap();
    fs::write(keys.join("real/key"), "inside:real/key").unwrap();
    symlink("../other", keys.join("trap")).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let swapper = {
        let (stop, keys) = (Arc::clone(&stop), keys.clone());
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                for name in ["real", "trap"] {
                    fs::rename(keys.join(name), keys.join("way")).unwrap();
                    fs::rename(keys.join("way"), keys.join(name)).unwrap();
                }
            }
        })
    };
    let dirs = tree.dirs(links);
    let key = KeyPath::parse("way/key", dirs).unwrap();
    let (mut inside, mut trapped) = (0_u32, 0_u32);
    while inside < 50 || trapped < 50 {
        match dirs.read_key(&key) {
            Ok(secret) => {
                assert_eq!(text(secret.expose()), "inside:real/key");
                inside += 1;
            }
            Err(FileError::Link | FileError::Outside) => trapped += 1,
            Err(_) => {}
        }
    }
    stop.store(true, Ordering::Relaxed);
    swapper.join().unwrap();
}

fn sizes_are_bounded() {
    let scratch = Scratch::new("sizes");
    let directory = Directory::open(scratch.path(), Links::Refused);
    let path = RelativePath::new("file").unwrap();
    fs::write(scratch.path().join("file"), [b'x'; 100]).unwrap();
    assert_eq!(
        directory
            .read(&path, 100)
            .map(|content| content.bytes.len()),
        Ok(100)
    );
    let too_large = FileError::TooLarge { size: 100, max: 99 };
    assert_eq!(directory.read(&path, 99).err(), Some(too_large));
    // Of files of /proc the size is 0, whatever they hold.
    let proc = Directory::open("/proc/self", Links::Refused);
    let status = RelativePath::new("status").unwrap();
    assert_eq!(
        proc.read(&status, 1_000_000).err(),
        Some(FileError::Changed)
    );
    // A file that its mode hides is told apart from one that isn't there.
    fs::set_permissions(scratch.path().join("file"), fs::Permissions::from_mode(0o0)).unwrap();
    let hidden = directory.read(&path, 100).map(|content| content.mode);
    if Uid::effective().is_root() {
        assert_eq!(hidden, Ok(0));
    } else {
        assert_eq!(hidden, Err(FileError::NotPermitted));
    }
    let nowhere = Directory::open(scratch.path().join("none"), Links::Refused);
    assert_eq!(nowhere.available(), Err(FileError::Missing));
    assert_eq!(nowhere.read(&path, 1).err(), Some(FileError::Missing));
}

fn replacing_replaces_the_name_alone() {
    let tree = Tree::new();
    let dirs = tree.dirs(Links::Refused);
    for (path, lands) in [
        ("known_hosts", "known_hosts"),
        ("sub/known", "sub/known"),
        ("link_out", "link_out"),
    ] {
        let path = KnownHostsPath::parse(path, dirs).unwrap();
        dirs.replace_known_hosts(&path, b"new").unwrap();
        let file = tree.root.join("keys").join(lands);
        let mode = || fs::symlink_metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode(), 0o100_644);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        dirs.replace_known_hosts(&path, b"newer").unwrap();
        assert_eq!(mode(), 0o100_640);
        assert_eq!(fs::read(&file).unwrap(), b"newer");
    }
    assert_eq!(fs::read(tree.root.join("outside")).unwrap(), b"OUTSIDE");
    let over_link = KnownHostsPath::parse("link_dir/known_hosts", dirs).unwrap();
    assert_eq!(
        dirs.replace_known_hosts(&over_link, b"x"),
        Err(FileError::Link)
    );
    let left = fs::read_dir(tree.root.join("keys")).unwrap();
    assert!(
        !left
            .into_iter()
            .any(|entry| name(&entry.unwrap().path()).ends_with(".new"))
    );
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// xorshift64*: the same paths in each run.
struct Random(u64);

impl Default for Random {
    fn default() -> Self {
        Self(0x2545_f491_4f6c_dd1d)
    }
}

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 16) % u64::try_from(bound).unwrap()).unwrap()
    }
}
