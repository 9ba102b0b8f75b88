//! Files on hosts that are not OpenSSH on a plain file system: dropbear, files with access lists
//! and attributes.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::fs;
use std::path::Path;

use serde_json::json;

use super::read_and_write::{code, hash, place, policy, put, write};
use crate::common::{Fleet, HostSpec, Server, members, run};

#[test]
fn dropbear_reads_and_writes_whole_files_too() {
    let (_scratch, dir) = place();
    let fleet = Fleet::with(vec![HostSpec::new("web1").dropbear()]);
    fleet.setup.write("policy.yml", &policy(&dir, ""));
    let server = Server::start(&fleet.setup);
    let path = dir.join("file");
    let text: String = (0..30_000).map(|n| format!("line {n:07}\n")).collect();
    let made = members(&write(&server, &path, json!({"content": text})));
    assert_eq!(made["sha256"], hash(&text), "{made}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    let asked = json!({"alias": "web1", "path": path, "from_line": 30_000});
    assert_eq!(
        server.tool("ssh_read_file", asked)["content"],
        "line 0029999\n"
    );
    let more = json!({"content": "new\n", "how": "replace", "expected_sha256": hash("other")});
    assert_eq!(code(&write(&server, &path, more)), "file:changed");
    let more = json!({"content": "end\n", "how": "append", "expected_sha256": hash(&text)});
    let added = members(&write(&server, &path, more));
    assert_eq!(added["sha256"], hash(&format!("{text}end\n")), "{added}");
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
}

/// Sets or shows an attribute; the standard library has no call for it.
fn attribute(script: &str, path: &Path) -> String {
    let script = format!("import os, sys; p = sys.argv[1]; {script}");
    run("python3", &["-c", &script, path.to_str().unwrap()])
        .trim()
        .to_owned()
}

/// `user::rw-,user:4242:rw-,group::r--,mask::rw-,other::---` as the kernel keeps it (version 2,
/// little-endian entries of tag, rights and id).
const LIST: &str = "import struct; os.setxattr(p, 'system.posix_acl_access', struct.pack('<I', 2) \
    + b''.join(struct.pack('<HHI', *e) for e in [(1, 6, 0xffffffff), (2, 6, 4242), (4, 4, 0xffffffff), \
    (16, 6, 0xffffffff), (32, 0, 0xffffffff)]))";
const SHOW_LIST: &str = "print(os.getxattr(p, 'system.posix_acl_access').hex())";

#[test]
fn lists_and_attributes_are_kept_or_it_is_said_that_they_are_not() {
    let (_scratch, dir) = place();
    let fleet = Fleet::of(&["web1"]);
    fleet.setup.write("policy.yml", &policy(&dir, ""));
    let path = dir.join("file");
    put(&path, "old\n");
    attribute("os.setxattr(p, 'user.origin', b'backup')", &path);
    attribute(LIST, &path);
    let list = attribute(SHOW_LIST, &path);
    let server = Server::start(&fleet.setup);
    for (content, how) in [("new\n", "replace"), ("more\n", "append")] {
        let done = members(&write(
            &server,
            &path,
            json!({"content": content, "how": how}),
        ));
        assert_eq!(done.get("note"), None, "{done}");
        assert_eq!(attribute(SHOW_LIST, &path), list);
        let origin = attribute("print(os.getxattr(p, 'user.origin').decode())", &path);
        assert_eq!(origin, "backup");
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "new\nmore\n");
    // Rights that are asked for are all the rights there are.
    let asked = json!({"content": "x\n", "how": "replace", "mode": "600"});
    members(&write(&server, &path, asked));
    let names = attribute("print(sorted(os.listxattr(p)))", &path);
    assert_eq!(names, "['user.origin']");
    // A `cp` that cannot do it.
    let host = fleet.host("web1");
    host.stub("cp", "#!/bin/sh\nexit 1\n");
    let done = members(&write(
        &server,
        &path,
        json!({"content": "y\n", "how": "replace"}),
    ));
    assert!(
        done["note"].as_str().unwrap().contains("not all kept"),
        "{done}"
    );
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
}
