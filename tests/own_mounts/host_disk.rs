//! A host whose disk is full, in bytes or in names: the old file stays as it was, and nothing
//! lies beside it. The disk is a small tmpfs. Needs root.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::fs;

use serde_json::{Value, json};

use crate::audit_disk::{own_mounts, sh};
use crate::common::{Fleet, Server, members, policy_allowing, text_of};

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
