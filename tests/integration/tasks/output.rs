//! Reading a task's output while it grows: by lines from its end, and by byte offset so
//! that nothing is read twice and nothing is missed; what was cut off is said.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use crate::common::{Fleet, Gate, Server, policy_allowing, wait_until};
use serde_json::{Value, json};

fn start(server: &Server, command: &str) -> Value {
    let task = server.tool(
        "ssh_run_async",
        json!({"alias": "web1", "command": command}),
    );
    task["task_id"].clone()
}

fn page(server: &Server, id: &Value, offset: &Value) -> Value {
    server.tool(
        "ssh_get_task_output",
        json!({"task_id": id, "offset": offset}),
    )
}

/// Reads on from an offset until all there is so far has been read.
fn drain(server: &Server, id: &Value, offset: &mut Value, into: &mut String) -> bool {
    loop {
        let page = page(server, id, offset);
        assert_eq!(page["offset"], *offset);
        let text = page["text"].as_str().unwrap();
        into.push_str(text);
        let next = page["next_offset"].as_u64().unwrap();
        assert_eq!(next, offset.as_u64().unwrap() + text.len() as u64);
        *offset = page["next_offset"].clone();
        if page["next_offset"] == page["available"] {
            return page["finished"] == true;
        }
    }
}

#[test]
fn paging_through_a_growing_output_gives_every_byte_once() {
    let fleet = Fleet::of(&["web1"]);
    let policy = policy_allowing(&["hostname"]);
    let policy = policy.replace("max_seconds: 30", "max_seconds: 30\n  answer_chars: 100000");
    fleet.setup.write("policy.yml", &policy);
    let gate = Gate::new();
    // Two streams, lines of many lengths, characters of several bytes.
    let part = |name: &str| {
        format!(
            "i=0; while [ $i -lt 400 ]; do i=$((i+1)); printf '{name} %d %0*d é日\\n' $i $((i % 97 + 1)) 0; \
             [ $((i % 7)) = 0 ] && printf 'err {name} %d ß\\n' $i >&2; done; true\n"
        )
    };
    fleet.host("web1").stub(
        "hostname",
        &format!(
            "#!/bin/sh\n{}{}\n{}{}\n",
            part("first"),
            gate.wait(),
            part("second"),
            gate.wait()
        ),
    );
    let server = Server::start(&fleet.setup);
    let id = start(&server, "hostname");
    let mut text = String::new();
    let mut offset = json!(0);
    let lines = |text: &str| text.lines().count();
    // 400 lines of stdout and 57 of stderr a part.
    wait_until("the first part", || {
        assert!(!drain(&server, &id, &mut offset, &mut text));
        lines(&text) == 457
    });
    gate.open();
    wait_until("the second part", || {
        assert!(!drain(&server, &id, &mut offset, &mut text));
        lines(&text) == 914
    });
    gate.open();
    wait_until("the end", || drain(&server, &id, &mut offset, &mut text));

    let result = server.tool("ssh_get_task_result", json!({"task_id": id}));
    let (mut out, mut err) = (String::new(), String::new());
    for line in text.lines() {
        let to = if line.starts_with("err") {
            &mut err
        } else {
            &mut out
        };
        to.push_str(line);
        to.push('\n');
    }
    assert_eq!(result["output"], out.trim_end());
    assert_eq!(result["stderr"], err.trim_end());
    // Read anew, it is the same.
    let mut again = String::new();
    assert!(drain(&server, &id, &mut json!(0), &mut again));
    assert_eq!(again, text);
    server.finish();
}

#[test]
fn an_output_larger_than_a_frame_is_read_in_pages() {
    let fleet = Fleet::of(&["web1"]);
    fleet.setup.write(
        "policy.yml",
        &policy_allowing(&["seq *"]).replace(
            "max_seconds: 30",
            "max_seconds: 30\n  max_output_bytes: 4000000\n  answer_chars: 100000",
        ),
    );
    let server = Server::start(&fleet.setup);
    let run = server.run("web1", "seq 300000");
    assert_eq!(run["exit_code"], 0);
    let whole: String = (1..=300_000).map(|n| format!("{n}\n")).collect();
    let mut text = String::new();
    assert!(drain(&server, &run["task_id"], &mut json!(0), &mut text));
    assert!(text == whole, "{} bytes of {}", text.len(), whole.len());
    server.finish();
}

#[test]
fn the_last_lines_are_counted_as_documented() {
    let fleet = Fleet::of(&["web1"]);
    let server = Server::start(&fleet.setup);
    for (count, asked, shown, more) in [(5, 3, 3, true), (100, 50, 50, true), (20, 50, 20, false)] {
        let id = server.run_id("web1", &format!("seq {count}"));
        let tail = server.tool(
            "ssh_get_task_output",
            json!({"task_id": id, "max_lines": asked}),
        );
        let expected: Vec<String> = (count - shown + 1..=count).map(|n| n.to_string()).collect();
        assert_eq!(tail["output_lines"], json!(expected));
        assert_eq!(
            (&tail["total_lines"], &tail["has_more"]),
            (&json!(count), &json!(more))
        );
        assert_eq!(tail["finished"], true);
    }
    server.finish();
}

#[test]
fn a_capped_output_is_kept_up_to_the_cap_and_says_what_is_missing() {
    let fleet = Fleet::of(&["web1"]);
    let policy = policy_allowing(&["seq *", "hostname"]).replace(
        "max_seconds: 30",
        "max_seconds: 30\n  max_output_bytes: 1000",
    );
    fleet.setup.write("policy.yml", &policy);
    // The command that is stopped goes on for ever otherwise.
    fleet.host("web1").stub(
        "hostname",
        "#!/bin/sh\nwhile :; do echo 0123456789abcde; done\n",
    );
    let server = Server::start(&fleet.setup);
    let run = server.run("web1", "hostname");
    assert_eq!(run["truncated"], true);
    assert!(run["omitted_bytes"].as_u64().unwrap() > 0);
    assert_eq!(run["terminated"], "confirmed");
    let output = run["output"].as_str().unwrap();
    assert!(output.starts_with("0123456789abcde\n0123456789abcde\n"));
    assert!(
        run.to_string().contains("max_output_bytes"),
        "the note says which limit"
    );
    let page = page(&server, &run["task_id"], &json!(0));
    assert_eq!(page["available"], 1000);

    // What comes between the stop and the end is counted as well.
    fleet.host("web1").stub(
        "hostname",
        "#!/bin/sh\ntrap 'head -c 500000 /dev/zero; exit' TERM\nhead -c 2000 /dev/zero\n\
         while :; do sleep 0.1; done\n",
    );
    let run = server.run("web1", "hostname");
    // At least: a shell may have a word for the signal.
    assert!(run["omitted_bytes"].as_u64().unwrap() >= 501_000, "{run}");

    // With `discard` it runs to its end, and the count is exact.
    fleet.setup.write(
        "policy.yml",
        &policy.replace(
            "max_output_bytes: 1000",
            "max_output_bytes: 1000\n  on_output_cap: discard",
        ),
    );
    assert_eq!(
        server.tool("ssh_reload_config", json!({}))["status"],
        "reloaded"
    );
    let run = server.run("web1", "seq 300000");
    let whole: usize = (1..=300_000).map(|n: u32| n.to_string().len() + 1).sum();
    assert_eq!(
        (&run["exit_code"], &run["truncated"]),
        (&json!(0), &json!(true))
    );
    assert_eq!(run["omitted_bytes"], whole - 1000);
    server.finish();
}

/// Results that a client never asks for again are in memory up to a bound, the oldest go
/// first, and a command that runs now is neither ended nor cut because of them.
#[test]
fn what_others_left_in_memory_ends_no_command() {
    let fleet = Fleet::of(&["one"]);
    let policy = policy_allowing(&["seq *"]);
    let policy = policy.replace("limits:\n", "limits:\n  max_output_bytes: 1048576\n");
    fleet.setup.write("policy.yml", &policy);
    let server = crate::common::Launch::era(crate::common::Era::V2025_11_25).start(&fleet.setup);
    let long = json!({"alias": "one", "command": "seq 150000"});
    // Of some 938 KB each: more than the server keeps.
    for _ in 0..150 {
        let params = json!({"name": "ssh_run", "arguments": long, "task": {"ttl": 600_000}});
        let task = server.request("tools/call", params)["task"]["taskId"].clone();
        let result = server.request("tasks/result", json!({"taskId": task}));
        assert_eq!(result["structuredContent"]["exit_code"], 0, "{result}");
    }
    let ran = server.run("one", "seq 150000");
    assert_eq!(ran["exit_code"], 0, "{ran}");
    let text = ran.to_string();
    assert!(
        !text.contains("memory that the server keeps"),
        "{text:.300}"
    );
    server.finish();
}
