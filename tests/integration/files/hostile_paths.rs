//! Links, devices, line breaks, `..`, a full disk, another content than was thought: refused,
//! with nothing half written and nothing left beside.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use serde_json::json;

use super::read_and_write::{code, hash, place, policy, put, write};
use crate::common::{Fleet, Server, members, text_of};

/// What lies in a directory, with what it holds.
fn content(dir: &Path) -> Vec<(String, String)> {
    let mut found: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            let text = match kind.is_file() {
                true => fs::read_to_string(entry.path()).unwrap(),
                false => format!("{kind:?}"),
            };
            (entry.file_name().into_string().unwrap(), text)
        })
        .collect();
    found.sort();
    found
}

#[test]
fn a_path_that_is_not_what_it_says_is_refused() {
    let (_scratch, dir) = place();
    let fleet = Fleet::of(&["web1"]);
    fleet.setup.write("policy.yml", &policy(&dir, ""));
    put(&dir.join("real"), "real\n");
    fs::create_dir(dir.join("inner")).unwrap();
    put(&dir.join("inner/file"), "inner\n");
    symlink("/etc/passwd", dir.join("link")).unwrap();
    symlink("nowhere", dir.join("dangling")).unwrap();
    symlink("/etc", dir.join("etc")).unwrap();
    symlink("inner", dir.join("other")).unwrap();
    fs::create_dir(dir.join("broken\n")).unwrap();
    put(&dir.join("broken\n/file"), "x\n");
    symlink("broken\n", dir.join("broken")).unwrap();
    nix::unistd::mkfifo(
        &dir.join("pipe"),
        nix::sys::stat::Mode::from_bits_truncate(0o666),
    )
    .unwrap();
    put(&dir.join("secret"), "secret\n");
    fs::hard_link(dir.join("secret"), dir.join("second")).unwrap();
    put(&dir.join("special"), "special\n");
    fs::set_permissions(dir.join("special"), fs::Permissions::from_mode(0o4755)).unwrap();
    let before = content(&dir);
    let server = Server::start(&fleet.setup);
    for (name, reads, writes) in [
        ("link", "file:link", "file:link"),
        ("dangling", "file:link", "file:link"),
        ("etc/passwd", "file:real", "file:real"),
        ("other/file", "file:real", "file:real"),
        ("broken/file", "file:real", "file:real"),
        ("inner", "file:kind", "file:kind"),
        ("pipe", "file:kind", "file:kind"),
        ("none", "file:missing", "file:missing"),
        ("none/file", "file:directory", "file:directory"),
        ("second", "", "file:names"),
        ("special", "", "file:special"),
    ] {
        let path = dir.join(name);
        let result = server.call("ssh_read_file", json!({"alias": "web1", "path": path}));
        match reads {
            "" => assert_eq!(result["isError"], false, "{result}"),
            reads => assert_eq!(code(&result), reads, "{name}: {result}"),
        }
        for how in ["replace", "append"] {
            let result = write(&server, &path, json!({"content": "new\n", "how": how}));
            assert_eq!(code(&result), writes, "{name}: {result}");
        }
    }
    for name in ["link", "dangling", "real", "inner", "pipe", "other"] {
        let result = write(&server, &dir.join(name), json!({"content": "new\n"}));
        assert!(
            ["file:exists", "file:link"].contains(&&*code(&result)),
            "{name}: {result}"
        );
    }
    // The real path is told, so that it can be asked for.
    let asked = json!({"alias": "web1", "path": dir.join("other/file")});
    let result = server.call("ssh_read_file", asked);
    let real = dir.join("inner/file").display().to_string();
    assert!(text_of(&result).contains(&real), "{result}");
    // These do not leave the server.
    let inside = dir.display();
    for path in [
        format!("{inside}/../x"),
        format!("{inside}//x"),
        format!("{inside}/x\ny"),
        format!("{inside}/\u{202e}x"),
        "relative".to_owned(),
        "/dev/".to_owned(),
        String::new(),
    ] {
        let answer = server.tool_error("ssh_read_file", json!({"alias": "web1", "path": path}));
        assert!(answer.contains("path"), "{answer}");
    }
    assert_eq!(content(&dir), before);
}

#[test]
fn what_does_not_fit_changes_nothing() {
    let (_scratch, dir) = place();
    let fleet = Fleet::of(&["web1"]);
    fleet.setup.write("policy.yml", &policy(&dir, ""));
    let path = dir.join("file");
    put(&path, "old\n");
    let host = fleet.host("web1");
    let server = Server::start(&fleet.setup);
    let replace = |hash: &str| {
        let more = json!({"content": "new\n", "how": "replace", "expected_sha256": hash});
        write(&server, &path, more)
    };
    assert_eq!(code(&replace(&hash("other\n"))), "file:changed");
    // A disk that is full, a disk that loses what it took, and one that takes no name more.
    for (program, script, expected) in [
        ("dd", "#!/bin/sh\nhead -c 2\nexit 1\n", "file:full"),
        ("dd", "#!/bin/sh\nhead -c 2\n", "file:incomplete"),
        ("dd", "#!/bin/sh\ntr n m\n", "file:incomplete"),
        ("mv", "#!/bin/sh\nexit 1\n", "file:rename"),
        ("mktemp", "#!/bin/sh\nexit 1\n", "file:temporary"),
        // Somebody changes the file, or puts another in its place, while it is being written.
        (
            "dd",
            &format!(
                "#!/bin/sh\n/bin/dd \"$@\"\necho more >>'{}'\n",
                path.display()
            ),
            "file:changed",
        ),
        (
            "dd",
            &format!(
                "#!/bin/sh\n/bin/dd \"$@\"\nrm -f '{0}'\necho x >'{0}'\n",
                path.display()
            ),
            "file:moved",
        ),
        (
            "dd",
            &format!(
                "#!/bin/sh\n/bin/dd \"$@\"\nln -sf /etc/passwd '{}'\n",
                path.display()
            ),
            "file:moved",
        ),
    ] {
        let _ = fs::remove_file(&path);
        put(&path, "old\n");
        host.stub(program, script);
        let result = replace(&hash("old\n"));
        assert_eq!(code(&result), expected, "{script}: {result}");
        host.stub(
            program,
            &format!("#!/bin/sh\nexec /usr/bin/{program} \"$@\"\n"),
        );
        let left = content(&dir);
        assert_eq!(left.len(), 1, "{script}: {left:?}");
        assert_ne!(left[0].1, "new\n", "{script}");
    }
    let _ = fs::remove_file(&path);
    put(&path, "old\n");
    assert_eq!(members(&replace(&hash("old\n")))["sha256"], hash("new\n"));
}

/// What `mv --exchange -T -- A B` of GNU coreutils 9.5 does, on whatever machine this runs:
/// renameat2(2) with `RENAME_EXCHANGE`.
const EXCHANGE: &str = "exec perl -e '$call = `uname -m` =~ /aarch64/ ? 276 : 316; \
    exit(syscall($call, -100, $ARGV[0], -100, $ARGV[1], 2) != 0)' \"$4\" \"$5\"";

/// Between the last check and the rename, where nothing of a shell can look any more.
#[test]
fn what_comes_in_the_last_moment_keeps_its_place() {
    let (_scratch, dir) = place();
    let fleet = Fleet::of(&["web1"]);
    fleet.setup.write("policy.yml", &policy(&dir, ""));
    let path = dir.join("file");
    let host = fleet.host("web1");
    let server = Server::start(&fleet.setup);
    let gate = dir.join("once");
    let at = path.display();
    for (effect, expected, left) in [
        (
            format!("echo theirs >'{at}.new'; /usr/bin/mv '{at}.new' '{at}'"),
            "file:moved",
            "theirs\n",
        ),
        (format!("echo more >>'{at}'"), "file:changed", "old\nmore\n"),
        (format!("ln -sf /etc/hostname '{at}'"), "file:moved", ""),
        (":".to_owned(), "", "new\n"),
    ] {
        let _ = fs::remove_file(&path);
        let _ = fs::remove_file(&gate);
        put(&path, "old\n");
        let script = format!(
            "#!/bin/sh\n[ -e '{0}' ] || {{ : >'{0}'; {effect}; }}\n\
             [ \"$1\" != --exchange ] || {EXCHANGE}\nexec /usr/bin/mv \"$@\"\n",
            gate.display()
        );
        host.stub("mv", &script);
        let more = json!({"content": "new\n", "how": "replace", "expected_sha256": hash("old\n")});
        let result = write(&server, &path, more);
        match expected {
            "" => assert_eq!(members(&result)["sha256"], hash("new\n"), "{result}"),
            expected => assert_eq!(code(&result), expected, "{effect}: {result}"),
        }
        match left {
            "" => assert_eq!(fs::read_link(&path).unwrap(), Path::new("/etc/hostname")),
            left => assert_eq!(fs::read_to_string(&path).unwrap(), left),
        }
        let names: Vec<_> = content(&dir).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["file", "once"], "{effect}");
    }
    // A host whose `mv` cannot: as ever.
    let plain = "#!/bin/sh\n[ \"$1\" != --exchange ] || exit 1\nexec /usr/bin/mv \"$@\"\n";
    host.stub("mv", plain);
    let more = json!({"content": "newer\n", "how": "replace", "expected_sha256": hash("new\n")});
    assert_eq!(
        members(&write(&server, &path, more))["replaced_sha256"],
        hash("new\n")
    );
    assert_eq!(content(&dir).len(), 2);
}
