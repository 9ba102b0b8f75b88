//! A disk that is full, in bytes or in names, on the host or here: the old file stays as it was,
//! and nothing lies beside it. The disk is a small tmpfs. Needs root.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::fs;

use serde_json::{Value, json};

use crate::audit_disk::{own_mounts, sh};
use crate::common::{Fleet, Launch, Server, members, policy_allowing, text_of};

#[test]
fn a_full_disk_keeps_the_old_file() {
    let scratch = own_mounts("host-disk");
    let place = fs::canonicalize(scratch.path()).unwrap();
    // 16 pages; the directory, the old file and one more.
    sh(
        "mkdir disk names; chmod 755 .; mount -t tmpfs -o size=64k,mode=777 none disk
         mount -t tmpfs -o nr_inodes=2,mode=777 none names
         for at in disk names; do echo old >$at/file; chmod 666 $at/file; done",
        &place,
    );
    let fleet = Fleet::of(&["web1"]);
    let all = place.display();
    let files = format!("files:\n  - action: allow\n    write: [\"{all}/**\"]\n    sudo: true\n");
    let policy = policy_allowing(&["true"]) + &files;
    fleet.setup.write("policy.yml", &policy);
    let server = Server::start(&fleet.setup);
    let long = "x".repeat(100_000);
    for (name, how, content, code) in [
        ("disk/file", "append", &*long, "file:full"),
        ("disk/new", "create", &long, "file:full"),
        ("names/file", "append", "x", "file:temporary"),
        ("names/new", "create", "x", "file:temporary"),
    ] {
        let path = place.join(name);
        let asked = json!({"alias": "web1", "path": path, "content": content, "how": how});
        let result = server.call("ssh_write_file", asked);
        assert_eq!(result["isError"], true, "{result}");
        let refused: Value = serde_json::from_str(&text_of(&result)).unwrap();
        assert_eq!(refused["code"], code, "{name}: {refused}");
        let directory = path.parent().unwrap();
        assert_eq!(fs::read_dir(directory).unwrap().count(), 1, "{name}");
        assert_eq!(fs::read_to_string(directory.join("file")).unwrap(), "old\n");
    }
    // What fits is written.
    let asked = json!({"alias": "web1", "path": place.join("disk/new"), "content": "x"});
    assert_eq!(members(&server.call("ssh_write_file", asked))["size"], 1);
}

#[test]
fn a_transfer_that_does_not_fit_leaves_nothing() {
    let scratch = own_mounts("transfer-disk");
    let place = fs::canonicalize(scratch.path()).unwrap();
    sh(
        "mkdir disk names local inner; chmod 755 . local; chmod 777 inner
         mount -t tmpfs -o size=64k,mode=777 none disk
         mount -t tmpfs -o size=64k,mode=755 none local
         head -c 100000 /dev/urandom >inner/large; echo old >local/file; echo old >disk/file
         chmod 666 inner/large disk/file",
        &place,
    );
    let fleet = Fleet::of(&["web1"]);
    let all = place.display();
    let files =
        format!("files:\n  - action: allow\n    read: [\"{all}/**\"]\n    write: [\"{all}/**\"]\n");
    let policy = policy_allowing(&["true"]) + &files;
    fleet.setup.write("policy.yml", &policy);
    let names = |name: &str| fs::read_dir(place.join(name)).unwrap().count();
    let code = |result: &Value| {
        assert_eq!(result["isError"], true, "{result}");
        let refused: Value = serde_json::from_str(&text_of(result)).unwrap();
        refused["code"].as_str().unwrap().to_owned()
    };
    // Here.
    let local = place.join("local");
    let args = ["--transfer-dir", local.to_str().unwrap()];
    let server = Launch::default().args(&args).start(&fleet.setup);
    for name in ["new", "file"] {
        let large = place.join("inner/large");
        let asked = json!({"alias": "web1", "path": large, "name": name, "overwrite": true});
        let result = server.call("ssh_fetch_file", asked);
        assert_eq!(code(&result), "local:full", "{result}");
        assert_eq!(names("local"), 1);
        assert_eq!(fs::read_to_string(local.join("file")).unwrap(), "old\n");
    }
    let asked = json!({"alias": "web1", "path": place.join("disk/file"), "name": "fits"});
    assert_eq!(members(&server.call("ssh_fetch_file", asked))["size"], 4);
    server.finish();
    // There.
    let inner = place.join("inner");
    sh("chmod 755 inner", &place);
    let args = ["--transfer-dir", inner.to_str().unwrap()];
    let server = Launch::default().args(&args).start(&fleet.setup);
    for (name, how) in [("new", "create"), ("file", "replace")] {
        let path = place.join("disk").join(name);
        let asked = json!({"alias": "web1", "path": path, "name": "large", "how": how});
        let result = server.call("ssh_send_file", asked);
        assert_eq!(code(&result), "file:full", "{result}");
        assert_eq!(names("disk"), 1);
        let kept = fs::read_to_string(place.join("disk/file")).unwrap();
        assert_eq!(kept, "old\n");
    }
}
