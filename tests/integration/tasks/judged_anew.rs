//! A command that waited, for a person or for its turn, is judged by the configuration of
//! the moment at which it would run, and runs under that one or not at all; its output is
//! kept free of that one's secrets.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use crate::common::{
    Era, Fleet, Gate, HostSpec, Launch, Proxy, Server, members, policy_allowing, wait_until,
};
use serde_json::{Value, json};

/// `uptime` is allowed, `seq` as it is said, and one command at a time runs on a host.
fn policy(seq: &str) -> String {
    policy_allowing(&["uptime"])
        + &format!("  - {{action: {seq}, aliases: [\"*\"], commands: [\"seq *\"]}}\n")
        + "concurrency: {max_per_host: 1}\n"
}

fn fleet() -> Fleet {
    let hosts = ["one", "two"].map(|alias| HostSpec::new(alias).tags(&["all"]));
    let fleet = Fleet::with(hosts.into());
    fleet.setup.write("policy.yml", &policy("ask"));
    fleet
}

/// A server whose client can ask a person.
fn asking(fleet: &Fleet) -> Server {
    let launch = Launch::era(Era::V2025_11_25).capabilities(json!({"elicitation": {}}));
    launch.start(&fleet.setup)
}

fn question(server: &Server) -> Value {
    let frame = server.wait_frame("a question", |frame| {
        frame["method"] == "elicitation/create"
    });
    frame["id"].clone()
}

fn approve(server: &Server, question: &Value) {
    let yes = json!({"action": "accept", "content": {"approve": true}});
    server.send(&json!({"jsonrpc": "2.0", "id": question, "result": yes}));
}

fn reload(server: &Server) {
    let answer = server.tool("ssh_reload_config", json!({}));
    assert_eq!(answer["status"], "reloaded", "{answer}");
}

/// Calls a tool for which a person is asked, changes the files, and only then says yes.
fn approved_after(server: &Server, tool: &str, arguments: Value, change: impl FnOnce()) -> Value {
    let id = server.begin_call(tool, arguments);
    let asked = question(server);
    change();
    reload(server);
    approve(server, &asked);
    server.response(&id)["result"].clone()
}

fn run_seq() -> Value {
    json!({"alias": "one", "command": "seq 3"})
}

/// The policy's decisions on record, in their order.
fn decisions(records: &[Value]) -> Vec<bool> {
    let decisions = records.iter().filter(|r| r["type"] == "policy_decision");
    decisions.map(|r| r["allowed"].as_bool().unwrap()).collect()
}

fn count(records: &[Value], kind: &str) -> usize {
    records.iter().filter(|r| r["type"] == kind).count()
}

fn assert_overruled(denied: &Value, code: &str) {
    assert_eq!(
        (&denied["status"], &denied["code"]),
        (&json!("denied"), &json!(code)),
        "{denied}"
    );
    let why = denied["why"].as_str().unwrap();
    assert!(why.contains("was changed while"), "{why}");
}

#[test]
fn a_yes_that_comes_after_the_policy_took_the_command_back_runs_nothing() {
    let fleet = fleet();
    let calls = [
        ("ssh_run", run_seq(), "no-rule"),
        ("ssh_run_async", run_seq(), "deny-rule"),
    ];
    for (tool, arguments, code) in calls {
        fleet.setup.write("policy.yml", &policy("ask"));
        let server = asking(&fleet);
        let result = approved_after(&server, tool, arguments, || match code {
            "no-rule" => fleet.allow(&["uptime"]),
            _ => fleet.setup.write("policy.yml", &policy("deny")),
        });
        assert_eq!(result["isError"], true, "{result}");
        assert_overruled(&members(&result), code);
        let records = server.finish().records;
        let approval = records.iter().find(|r| r["type"] == "approval").unwrap();
        assert_eq!(approval["outcome"], "accepted");
        assert_eq!(decisions(&records), [false]);
        assert_eq!(count(&records, "audit"), 0);
    }
    assert!(fleet.machines.iter().all(|host| host.logins() == 0));
}

#[test]
fn a_yes_for_a_tag_counts_for_the_hosts_where_the_new_policy_still_asks() {
    let fleet = fleet();
    let server = asking(&fleet);
    let arguments = json!({"tag": "all", "command": "seq 3"});
    let result = approved_after(&server, "ssh_run_on_tag", arguments, || {
        let policy = policy("ask").replace(
            "{action: ask, aliases: [\"*\"]",
            "{action: ask, aliases: [two]",
        );
        fleet.setup.write("policy.yml", &policy);
    });
    let result = &members(&result);
    let [one, two] = [&result["results"][0], &result["results"][1]];
    assert_eq!(
        (&one["denied"], &one["code"], &two["output"]),
        (&json!(true), &json!("no-rule"), &json!("1\n2\n3")),
        "{result}"
    );
    let summary = &result["summary"];
    assert_eq!(
        (&summary["denied"], &summary["succeeded"]),
        (&json!(1), &json!(1))
    );
    let records = server.finish().records;
    assert_eq!(count(&records, "approval"), 2);
    assert_eq!(count(&records, "audit"), 1);
    assert_eq!(fleet.host("one").logins(), 0);
}

#[test]
fn a_yes_counts_while_the_new_policy_asks_or_allows_the_same() {
    let fleet = fleet();
    // Asked by another rule, in another place; allowed outright.
    let other_rule = policy("ask").replace(
        "rules:\n",
        "rules:\n  - {action: ask, aliases: [one], commands: [\"seq 3*\"]}\n",
    );
    for changed in [other_rule, policy("allow")] {
        fleet.setup.write("policy.yml", &policy("ask"));
        let server = asking(&fleet);
        let result = approved_after(&server, "ssh_run", run_seq(), || {
            fleet.setup.write("policy.yml", &changed);
        });
        assert_eq!(members(&result)["output"], "1\n2\n3", "{result}");
        assert_eq!(decisions(&server.finish().records), [true]);
    }
}

#[test]
fn what_was_approved_runs_with_the_host_and_the_limits_of_the_new_files() {
    let fleet = fleet();
    let server = asking(&fleet);
    let result = approved_after(&server, "ssh_run", run_seq(), || {
        // 'one' is where 'two' is, and may say three bytes.
        let servers = fleet.servers_yaml();
        let [one, two] = ["one", "two"].map(|alias| {
            let host = fleet.host(alias);
            (host.address.to_string(), host.port.to_string())
        });
        let servers = servers.replace(&one.0, &two.0).replace(&one.1, &two.1);
        fleet.setup.write("servers.yml", &servers);
        let policy = policy("ask").replace("limits:", "limits:\n  max_output_bytes: 3");
        fleet.setup.write("policy.yml", &policy);
    });
    let result = &members(&result);
    assert_eq!(
        (
            &result["target_ip"],
            &result["truncated"],
            &result["output"]
        ),
        (
            &json!(fleet.host("two").address.to_string()),
            &json!(true),
            &json!("1\n2")
        ),
        "{result}"
    );
    assert_eq!(fleet.host("one").logins(), 0);
    server.finish();
}

#[test]
fn a_yes_counts_for_exactly_what_was_shown() {
    let fleet = fleet();
    let server = asking(&fleet);
    let result = approved_after(&server, "ssh_run", run_seq(), || {
        // Asked for again, but it would reach the host by another way than its shell.
        let servers = fleet.servers_yaml();
        let servers = servers.replace("alias: one", "alias: one\n    shell: direct");
        fleet.setup.write("servers.yml", &servers);
    });
    assert_overruled(&members(&result), "approval:mismatch");
    assert_eq!(decisions(&server.finish().records), [false]);
    assert!(fleet.machines.iter().all(|host| host.logins() == 0));
}

#[test]
fn a_yes_for_a_host_that_is_gone_runs_nothing() {
    let fleet = fleet();
    let server = asking(&fleet);
    let result = approved_after(&server, "ssh_run", run_seq(), || {
        let servers = fleet.servers_yaml().replace("alias: one", "alias: other");
        fleet.setup.write("servers.yml", &servers);
    });
    assert_overruled(&members(&result), "host-gone");
    assert_eq!(decisions(&server.finish().records), [false]);
    assert!(fleet.machines.iter().all(|host| host.logins() == 0));
}

/// Keeps host `one` busy until the gate is opened.
fn occupy(fleet: &Fleet, server: &Server) -> (Gate, Value) {
    let gate = Gate::new();
    fleet
        .host("one")
        .stub("uptime", &format!("#!/bin/sh\n{}\n", gate.wait()));
    let task = server.tool(
        "ssh_run_async",
        json!({"alias": "one", "command": "uptime"}),
    );
    let id = task["task_id"].clone();
    wait_until("it to run", || status(server, &id)["status"] == "running");
    (gate, id)
}

fn status(server: &Server, id: &Value) -> Value {
    server.tool("ssh_get_task_status", json!({"task_id": id}))
}

#[test]
fn what_waits_for_its_turn_is_denied_if_the_policy_took_it_back() {
    let fleet = fleet();
    fleet.setup.write("policy.yml", &policy("allow"));
    let server = Server::start(&fleet.setup);
    let (gate, _busy) = occupy(&fleet, &server);
    let waited_for = server.begin_call("ssh_run", run_seq());
    let task = server.tool("ssh_run_async", run_seq())["task_id"].clone();
    wait_until("both to wait", || {
        status(&server, &task)["queue_position"] == 1
    });
    fleet.allow(&["uptime"]);
    reload(&server);
    gate.open();
    let result = &server.response(&waited_for)["result"];
    assert_eq!(result["isError"], true, "{result}");
    assert_overruled(&members(result), "no-rule");
    wait_until("its end", || status(&server, &task)["status"] == "failed");
    let result = server.tool("ssh_get_task_result", json!({"task_id": task}));
    // The same refusal as for the one that was waited for.
    assert_overruled(&result, "no-rule");
    let records = server.finish().records;
    assert_eq!(decisions(&records), [true, true, true, false, false]);
    assert_eq!(count(&records, "audit"), 1, "of what kept the host busy");
}

#[test]
fn what_was_approved_and_waits_for_its_turn_runs_while_the_policy_still_asks() {
    let fleet = fleet();
    let server = asking(&fleet);
    let (gate, _busy) = occupy(&fleet, &server);
    let id = server.begin_call("ssh_run_async", run_seq());
    approve(&server, &question(&server));
    let task = members(&server.response(&id)["result"])["task_id"].clone();
    assert_eq!(status(&server, &task)["status"], "pending");
    // Within the limits of the new files.
    let policy = policy("ask").replace("limits:", "limits:\n  max_output_bytes: 3");
    fleet.setup.write("policy.yml", &policy);
    reload(&server);
    gate.open();
    wait_until("its end", || status(&server, &task)["status"] == "failed");
    let result = server.tool("ssh_get_task_result", json!({"task_id": task}));
    assert_eq!(
        (&result["output"], &result["truncated"]),
        (&json!("1\n2"), &json!(true)),
        "{result}"
    );
    assert_eq!(decisions(&server.finish().records), [true, true]);
}

#[test]
fn what_was_allowed_and_waits_for_its_turn_does_not_run_without_a_yes() {
    let fleet = fleet();
    fleet.setup.write("policy.yml", &policy("allow"));
    let server = Server::start(&fleet.setup);
    let (gate, _busy) = occupy(&fleet, &server);
    let call = server.begin_call("ssh_run", run_seq());
    wait_until("its decision", || decisions(&server.records()).len() == 2);
    fleet.setup.write("policy.yml", &policy("ask"));
    reload(&server);
    gate.open();
    let result = &server.response(&call)["result"];
    assert_overruled(&members(result), "approval:missing");
    assert_eq!(decisions(&server.finish().records), [true, true, false]);
}

/// A yes that a configuration had no use for is not brought up again by the next one.
#[test]
fn a_yes_for_something_else_does_not_come_back() {
    let fleet = fleet();
    let server = asking(&fleet);
    let (gate, _busy) = occupy(&fleet, &server);
    // When the yes comes, the command is allowed without one, and by another way than the
    // one that was shown.
    let answer = approved_after(&server, "ssh_run_async", run_seq(), || {
        let servers = fleet.servers_yaml();
        let servers = servers.replace("alias: one", "alias: one\n    shell: direct");
        fleet.setup.write("servers.yml", &servers);
        fleet.setup.write("policy.yml", &policy("allow"));
    });
    let task = members(&answer)["task_id"].clone();
    assert_eq!(status(&server, &task)["status"], "pending", "{answer}");
    fleet.setup.write("policy.yml", &policy("ask"));
    reload(&server);
    gate.open();
    wait_until("its end", || status(&server, &task)["status"] == "failed");
    let result = server.tool("ssh_get_task_result", json!({"task_id": task}));
    assert_overruled(&result, "approval:missing");
    assert_eq!(decisions(&server.finish().records), [true, true, false]);
}

#[test]
fn the_hosts_of_a_tag_whose_turn_comes_later_are_judged_at_their_turn() {
    let fleet = fleet();
    fleet.setup.write("policy.yml", &policy("allow"));
    let gate = Gate::new();
    fleet
        .host("one")
        .stub("uptime", &format!("#!/bin/sh\n{}\n", gate.wait()));
    let server = Server::start(&fleet.setup);
    let call = server.begin_call(
        "ssh_run_on_tag",
        json!({"tag": "all", "command": "uptime", "batch": 1, "max_failures": 1}),
    );
    server.wait_record("the first to run", |r| r["phase"] == "running");
    let policy = policy("allow").replacen("aliases: [\"*\"]", "aliases: [one]", 1);
    assert!(!policy.contains("aliases: [\"*\"]\n"));
    fleet.setup.write("policy.yml", &policy);
    reload(&server);
    gate.open();
    let result = &members(&server.response(&call)["result"]);
    let [one, two] = [&result["results"][0], &result["results"][1]];
    assert_eq!(
        (&one["exit_code"], &two["code"]),
        (&json!(0), &json!("no-rule")),
        "{result}"
    );
    assert!(
        two["why"].as_str().unwrap().contains("was changed while"),
        "{two}"
    );
    assert_eq!(result["summary"]["denied"], 1, "{result}");
    assert_eq!(decisions(&server.finish().records), [true, false]);
    assert_eq!(fleet.host("two").logins(), 0);
}

#[test]
fn a_lower_bound_of_the_new_files_holds_for_what_waits() {
    let fleet = fleet();
    let wider = policy("allow").replace("max_per_host: 1", "max_per_host: 2");
    fleet.setup.write("policy.yml", &wider);
    let server = Server::start(&fleet.setup);
    let (gate, _first) = occupy(&fleet, &server);
    fleet.setup.write("policy.yml", &policy("allow"));
    reload(&server);
    let task = server.tool("ssh_run_async", run_seq())["task_id"].clone();
    assert_eq!(status(&server, &task)["status"], "pending");
    gate.open();
    wait_until("its end", || {
        status(&server, &task)["status"] == "completed"
    });
    server.finish();
}

#[test]
fn a_higher_bound_of_the_new_files_lets_what_waits_begin() {
    let fleet = fleet();
    fleet.setup.write("policy.yml", &policy("allow"));
    let server = Server::start(&fleet.setup);
    let (gate, _first) = occupy(&fleet, &server);
    let task = server.tool("ssh_run_async", run_seq())["task_id"].clone();
    assert_eq!(status(&server, &task)["status"], "pending");
    let wider = policy("allow").replace("max_per_host: 1", "max_per_host: 2");
    fleet.setup.write("policy.yml", &wider);
    reload(&server);
    wait_until("its end", || {
        status(&server, &task)["status"] == "completed"
    });
    gate.open();
    server.finish();
}

/// Gives the login a password beside its key, as a secret to look for.
fn set_password(fleet: &Fleet, password: &str) {
    let credentials = fleet.credentials_yaml() + "    password_secret: fleet\n";
    fleet.setup.write("credentials.yml", &credentials);
    fleet.setup.secret("fleet", password);
}

/// The harness looks for every planted secret in all that the server says.
#[test]
fn secrets_of_the_new_files_are_taken_out_of_what_waited() {
    let fleet = fleet();
    fleet.setup.write("policy.yml", &policy("allow"));
    set_password(&fleet, "the first password");
    let server = Server::start(&fleet.setup);
    let (gate, _busy) = occupy(&fleet, &server);
    let says_it = "#!/bin/sh\necho it is the second password\n";
    fleet.host("one").stub("seq", says_it);
    let call = server.begin_call("ssh_run", run_seq());
    wait_until("its decision", || decisions(&server.records()).len() == 2);
    set_password(&fleet, "the second password");
    reload(&server);
    gate.open();
    let result = &members(&server.response(&call)["result"]);
    assert_eq!(result["output"], "it is [redacted]", "{result}");
    server.finish();
}

#[test]
fn secrets_of_the_old_files_are_looked_for_while_something_runs_by_them() {
    let fleet = fleet();
    fleet.setup.write("policy.yml", &policy("allow"));
    set_password(&fleet, "the first password");
    let server = Server::start(&fleet.setup);
    let (gate, busy) = occupy(&fleet, &server);
    set_password(&fleet, "the second password");
    reload(&server);
    let says_both = "#!/bin/sh\necho the first password, the second password\n";
    fleet.host("two").stub("seq", says_both);
    assert_eq!(
        server.run("two", "seq 3")["output"],
        "[redacted], [redacted]"
    );
    gate.open();
    wait_until("its end", || {
        status(&server, &busy)["status"] == "completed"
    });
    server.finish();
}

/// A login held open in each of its steps, and a reload that takes the command back
/// meanwhile: what was not sent by then is not sent, and what is said to be denied did not
/// run.
#[test]
fn what_was_denied_during_the_login_is_not_sent() {
    let fleet = Fleet::of(&["one"]);
    let proxy = Proxy::before(fleet.host("one"));
    let (entry, known) = proxy.entry("held", fleet.host("one"));
    fleet
        .setup
        .write("servers.yml", &(fleet.servers_yaml() + &entry));
    fleet.setup.key("known_hosts", &known);
    // Each run leaves a line, by whichever user the host runs it.
    let marks = std::env::temp_dir().join(format!("mcp-ssh-marks-{}", std::process::id()));
    std::fs::write(&marks, "").unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    std::fs::set_permissions(&marks, open).unwrap();
    let script = format!("#!/bin/sh\necho ran >>{}\necho ran\n", marks.display());
    fleet.host("one").stub("hostname", &script);
    let allowed = policy_allowing(&["hostname"]);
    fleet.setup.write("policy.yml", &allowed);
    let server = Server::start(&fleet.setup);
    let (mut denied, mut pieces) = (0, 0);
    loop {
        fleet.setup.write("policy.yml", &allowed);
        reload(&server);
        proxy.hold_after(pieces);
        let call = json!({"alias": "held", "command": "hostname"});
        let id = server.begin_call("ssh_run", call);
        let is_over = || server.frames().iter().any(|frame| frame["id"] == id);
        if !proxy.wait_held(is_over) {
            break;
        }
        fleet
            .setup
            .write("policy.yml", &policy_allowing(&["uptime"]));
        reload(&server);
        proxy.release();
        let result = members(&server.response(&id)["result"]);
        if result["status"] == "denied" {
            assert_overruled(&result, "no-rule");
            denied += 1;
        } else {
            assert_eq!(result["output"], "ran", "held after {pieces}: {result}");
        }
        pieces += 1;
    }
    // Version, key exchange, login, channel: each of them was held.
    assert!(denied >= 5, "{denied} of {pieces}");
    let records = server.finish().records;
    let ran = std::fs::read_to_string(&marks).unwrap().lines().count();
    std::fs::remove_file(&marks).unwrap();
    assert_eq!(ran, pieces + 1 - denied);
    // Every run that began has its end, and no denial is without its decision.
    let ends = count(&records, "audit");
    let [yes, no] = [true, false].map(|which| {
        let all = decisions(&records);
        all.into_iter().filter(|allowed| *allowed == which).count()
    });
    assert_eq!((ends, yes, no), (pieces + 1, pieces + 1, denied));
}

/// The same login, and a reload that still allows the command: it runs, once, by a login
/// that the new configuration made.
#[test]
fn what_is_still_allowed_after_a_change_during_the_login_runs_once() {
    let fleet = Fleet::of(&["one"]);
    let proxy = Proxy::before(fleet.host("one"));
    let (entry, known) = proxy.entry("held", fleet.host("one"));
    fleet
        .setup
        .write("servers.yml", &(fleet.servers_yaml() + &entry));
    fleet.setup.key("known_hosts", &known);
    let server = Server::start(&fleet.setup);
    proxy.hold_after(2);
    let call = json!({"alias": "held", "command": "echo once"});
    let id = server.begin_call("ssh_run", call);
    assert!(proxy.wait_held(|| false));
    reload(&server);
    proxy.release();
    let result = &members(&server.response(&id)["result"]);
    assert_eq!(
        (&result["output"], &result["exit_code"]),
        (&json!("once"), &json!(0))
    );
    assert_eq!(fleet.host("one").logins(), 2);
    let records = server.finish().records;
    assert_eq!(
        (decisions(&records), count(&records, "audit")),
        (vec![true], 1)
    );
}
