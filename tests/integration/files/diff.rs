//! A file of a host is compared with another host's, another there, or a text; each side is
//! judged for itself.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::fs;

use serde_json::{Value, json};

use super::read_and_write::{code, hash, place, policy, put};
use crate::common::{Era, Fleet, Launch, Server, members, text_of};

/// Two hosts that see the same directory: they differ by path.
fn fleet() -> Fleet {
    Fleet::of(&["web1", "web2"])
}

fn diff(server: &Server, more: Value) -> Value {
    let mut arguments = json!({"alias": "web1"});
    for (name, value) in more.as_object().unwrap() {
        arguments[name] = value.clone();
    }
    server.call("ssh_diff_file", arguments)
}

#[test]
fn two_hosts_two_files_and_a_text_are_compared() {
    let (_scratch, dir) = place();
    let fleet = fleet();
    fleet.setup.write("policy.yml", &policy(&dir, ""));
    let (one, other) = (dir.join("one"), dir.join("other"));
    let text: String = (0..200).map(|n| format!("line {n}\n")).collect();
    put(&one, &text);
    put(&other, &text.replace("line 100\n", "changed\n"));
    let server = Server::start(&fleet.setup);
    let result = diff(
        &server,
        json!({"path": one, "other_alias": "web2", "other_path": other}),
    );
    let compared = members(&result);
    assert_eq!(compared["equal"], false, "{compared}");
    assert_eq!(
        compared["diff"],
        "@@ -98,7 +98,7 @@\n line 97\n line 98\n line 99\n-line 100\n+changed\n line 101\n line 102\n line 103\n"
    );
    assert_eq!(
        (&compared["added"], &compared["removed"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(compared["from"]["sha256"], hash(&text));
    let head = format!(
        "--- web1:{}\n+++ web2:{}\n@@",
        one.display(),
        other.display()
    );
    assert!(text_of(&result).contains(&head), "{result}");
    // Both are on record as reads, by path and without what they hold.
    let records = server.records();
    let read: Vec<_> = records
        .iter()
        .filter(|record| record["type"] == "policy_decision")
        .map(|record| {
            (
                record["alias"].clone(),
                record["file"]["path"].clone(),
                record["file"]["doing"].clone(),
            )
        })
        .collect();
    assert_eq!(
        read,
        [
            (json!("web1"), json!(one), json!("read")),
            (json!("web2"), json!(other), json!("read"))
        ]
    );

    let same = members(&diff(&server, json!({"path": one, "other_alias": "web2"})));
    assert_eq!(
        (&same["equal"], same.get("diff")),
        (&json!(true), None),
        "{same}"
    );

    let with = text.replace("line 0\n", "") + "more";
    let given = members(&diff(&server, json!({"path": one, "text": with})));
    let said = given["diff"].as_str().unwrap();
    assert!(
        said.starts_with("@@ -1,4 +1,3 @@\n-line 0\n line 1\n"),
        "{said}"
    );
    assert!(
        said.ends_with("+more\n\\ No newline at end of file\n"),
        "{said}"
    );
    assert_eq!(given["to"]["sha256"], hash(&with));

    // What does not fit is counted, and it is bounded.
    let none: String = (0..2_000).map(|n| format!("other {n}\n")).collect();
    let cut = members(&diff(
        &server,
        json!({"path": one, "text": none, "max_chars": 400}),
    ));
    assert!(cut["diff"].as_str().unwrap().chars().count() <= 400);
    assert!(
        cut["notes"][0].as_str().unwrap().contains("are left out"),
        "{cut}"
    );
    let log = server.finish().log;
    assert!(
        !log.contains("line 97") && !log.contains("other 7"),
        "{log}"
    );
}

#[test]
fn what_is_no_text_or_too_large_is_compared_by_its_hash() {
    let (_scratch, dir) = place();
    let fleet = fleet();
    fleet.setup.write("policy.yml", &policy(&dir, ""));
    let server = Server::start(&fleet.setup);
    let path = dir.join("x");
    let compare = |bytes: &[u8], text: &str| {
        put(&path, "");
        fs::write(&path, bytes).unwrap();
        members(&diff(&server, json!({"path": path, "text": text})))
    };
    for bytes in [&b"\x7fELF\0\x01"[..], b"\xff\xfe\n", b"a\x1b[31mb\n"] {
        let said = compare(bytes, "a\n");
        assert_eq!(
            (&said["equal"], said.get("diff")),
            (&json!(false), None),
            "{said}"
        );
        assert!(
            said["notes"][0].as_str().unwrap().contains("is not text"),
            "{said}"
        );
    }
    let large = "x\n".repeat(600_000);
    let said = compare(large.as_bytes(), "x\n");
    assert_eq!(
        (&said["equal"], said.get("diff")),
        (&json!(false), None),
        "{said}"
    );
    assert!(
        said["notes"][0].as_str().unwrap().contains("too large"),
        "{said}"
    );
    // Two that are large and equal are known to be.
    fs::copy(&path, dir.join("y")).unwrap();
    let said = members(&diff(
        &server,
        json!({"path": path, "other_path": dir.join("y")}),
    ));
    assert_eq!(said["equal"], true, "{said}");
    // A secret is not told by a comparison.
    let said = compare(
        b"password=hunter2hunter2\na\n",
        "password=hunter3hunter3\nb\n",
    );
    assert!(!said["diff"].to_string().contains("hunter2"), "{said}");
    assert!(said["notes"].to_string().contains("secrets"), "{said}");
}

#[test]
fn each_side_is_judged_before_either_is_read() {
    let (_scratch, dir) = place();
    let fleet = fleet();
    let all = dir.display();
    let more = format!(
        "  - action: deny\n    aliases: [web2]\n    read: [\"{all}/secret\"]\n  \
         - action: ask\n    read: [\"{all}/asked*\"]\n"
    );
    fleet.setup.write("policy.yml", &policy(&dir, &more));
    for name in ["open", "secret", "asked1", "asked2"] {
        put(&dir.join(name), &format!("{name}\n"));
    }
    let server = Server::start(&fleet.setup);
    let paths = |one: &str, other: &str| json!({"path": dir.join(one), "other_path": dir.join(other), "other_alias": "web2"});
    assert_eq!(code(&diff(&server, paths("open", "secret"))), "deny-rule");
    assert_eq!(
        code(&diff(
            &server,
            json!({"path": "/etc/hostname", "text": "x"})
        )),
        "file:no-rule"
    );
    assert_eq!(
        code(&diff(&server, paths("open", "asked1"))),
        "approval:unavailable"
    );
    assert!(fleet.machines.iter().all(|host| host.logins() == 0));
    assert_eq!(code(&diff(&server, paths("open", "none"))), "file:missing");
    for (more, said) in [
        (
            json!({"path": dir.join("open")}),
            "give what to compare with",
        ),
        (
            json!({"path": dir.join("open"), "other_alias": "web1"}),
            "give what to compare with",
        ),
        (
            json!({"path": dir.join("open"), "text": "x", "other_alias": "web2"}),
            "do not go together",
        ),
        (
            json!({"path": dir.join("open"), "other_path": "x"}),
            "other_path must be absolute",
        ),
        (
            json!({"path": dir.join("open"), "other_alias": "web3"}),
            "Host alias not found",
        ),
    ] {
        let result = diff(&server, more);
        assert_eq!(result["isError"], true);
        assert!(text_of(&result).contains(said), "{said}: {result}");
    }
    server.finish();

    // One question for both.
    let asking = Launch::era(Era::V2025_11_25).capabilities(json!({"elicitation": {}}));
    let server = asking.start(&fleet.setup);
    let mut call = paths("asked1", "asked2");
    call["alias"] = json!("web1");
    let id = server.begin_call("ssh_diff_file", call);
    let asked = server.wait_frame("a question", |frame| {
        frame["method"] == "elicitation/create"
    });
    let message = asked["params"]["message"].as_str().unwrap();
    let read =
        |alias: &str, name: &str| format!("{alias}: ssh_read_file {}", dir.join(name).display());
    for part in [read("web1", "asked1"), read("web2", "asked2")] {
        assert!(message.contains(&part), "{message}");
    }
    server.send(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept", "content": {}}}));
    let said = members(&server.response(&id)["result"]);
    assert_eq!(said["diff"], "@@ -1 +1 @@\n-asked1\n+asked2\n");
}
