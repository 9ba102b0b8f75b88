//! `sudo` gets the password that the credentials name, once, and only where a rule lets a
//! command run behind it; nothing else is ever given it, and nobody sees it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::common::{Fleet, Gate, HostSpec, Machine, Server, login, members, run_cli, wait_until};
use crate::direct::Direct;
use mcp_ssh_orchestrator::testing::ssh::SshError;
use mcp_ssh_orchestrator::testing::ssh::error::SudoProblem;

const POLICY: &str = r#"
limits:
  max_seconds: 30
network:
  allow_cidrs: [127.0.0.0/8]
rules:
  - action: allow
    trust_arguments: true
    stdin: true
    aliases: ["*"]
    commands: ["cat", "whoami", "true", "echo *", "head *", "timeout 5 sudo whoami"]
  - action: allow
    trust_arguments: true
    sudo: true
    stdin: true
    aliases: ["*"]
    commands: ["cat", "cat *", "whoami", "id", "id *", "ps *", "false", "sha256sum"]
  - action: allow
    detach: true
    sudo: true
    aliases: ["*"]
    commands: ["whoami"]
files:
  - action: allow
    aliases: ["*"]
    sudo: true
    read: ["/run/mcp-ssh-orchestrator-test/**"]
    write: ["/run/mcp-ssh-orchestrator-test/**"]
"#;

/// A fleet whose login is in sudoers, with this password for it.
fn fleet(specs: Vec<HostSpec>, password: &str) -> Fleet {
    login().make_sudoer();
    let fleet = Fleet::with(specs);
    fleet.setup.secret("raise", password);
    let entry = fleet.credentials_yaml() + "    sudo: {password_secret: raise}\n";
    fleet.setup.write("credentials.yml", &entry);
    fleet.setup.write("policy.yml", POLICY);
    fleet
}

fn answer(server: &Server, command: &str) -> Value {
    server.tool("ssh_run", json!({"alias": "web1", "command": command}))
}

/// Notes each call of `sudo` on a host, then does what `script` says.
fn watched(machine: &Machine, script: &str) -> PathBuf {
    let calls = login().home.join(format!("sudo-calls-{}", machine.port));
    let _ = fs::remove_file(&calls);
    let text = format!("#!/bin/sh\necho \"$*\" >>{}\n{script}\n", calls.display());
    machine.stub("sudo", &text);
    calls
}

fn lines(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn it_is_told_its_password_wherever_it_stands() {
    let fleet = fleet(vec![HostSpec::new("web1")], login().password());
    let server = Server::start(&fleet.setup);
    let user = &login().name;
    let both = format!("root\n{user}\nroot");
    for (command, output) in [
        ("sudo whoami", "root"),
        ("sudo -n whoami", "root"),
        ("sudo whoami 2>/dev/null | head -n 1", "root"),
        ("sudo whoami 2>&1", "root"),
        ("echo hello | sudo cat", "hello"),
        ("sudo whoami; whoami; sudo whoami", &both),
        ("echo \"it is $(sudo whoami)\"", "it is root"),
        ("if sudo false; then echo no; else sudo whoami; fi", "root"),
        // What asks for no password is given none, and reads nothing.
        ("sudo id -un", "root"),
        ("sudo cat", ""),
        ("/usr/bin/sudo whoami", "root"),
    ] {
        let ran = answer(&server, command);
        let said = ran.get("output").and_then(Value::as_str).unwrap_or("");
        assert_eq!(
            (said, &ran["exit_code"]),
            (output, &json!(0)),
            "{command}: {ran}"
        );
        assert_eq!(ran.get("stderr"), None, "{command}: {ran}");
    }
    let ran = answer(&server, "sudo false");
    assert_eq!(ran["exit_code"], 1, "{ran}");
    // The whole ran on one login: nothing was left over for the next command to read.
    assert_eq!(fleet.host("web1").logins(), 1);
    assert_eq!(answer(&server, "cat").get("output"), None);
    let seen = answer(&server, "sudo ps -eo args | grep sudo");
    let seen = seen["output"].as_str().unwrap();
    assert!(seen.contains("ps -eo args"), "{seen}");
    assert!(!seen.contains(login().password()));
    assert!(server.finish().status.success());
}

#[test]
fn what_the_command_reads_comes_after_the_password() {
    let fleet = fleet(vec![HostSpec::new("web1")], login().password());
    let server = Server::start(&fleet.setup);
    let text: String = (0..20_000).map(|line| format!("line {line}\n")).collect();
    for command in ["sudo cat | head -c 14", "cat | sudo cat | head -c 14"] {
        let fed = json!({"alias": "web1", "command": command, "stdin": text});
        let ran = server.tool("ssh_run", fed);
        assert_eq!(ran["output"], "line 0\nline 1", "{ran}");
    }
    let fed = json!({"alias": "web1", "command": "sudo sha256sum", "stdin": text});
    let known = json!({"alias": "web1", "command": "cat", "stdin": ""});
    assert_eq!(server.tool("ssh_run", known).get("output"), None);
    let ran = server.tool("ssh_run", fed);
    use sha2::{Digest, Sha256};
    let digest: String = Sha256::digest(&text)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert!(
        ran["output"].as_str().unwrap().starts_with(&digest),
        "{ran}"
    );
}

#[test]
fn files_by_sudo_take_it_too() {
    let fleet = fleet(vec![HostSpec::new("web1")], login().password());
    let dir = PathBuf::from(format!(
        "/run/mcp-ssh-orchestrator-test/root-{}",
        std::process::id()
    ));
    fs::create_dir_all(&dir).unwrap();
    crate::common::run("chmod", &["700", dir.to_str().unwrap()]);
    let file = dir.join("secret.conf");
    let server = Server::start(&fleet.setup);
    let wrote = server.tool(
        "ssh_write_file",
        json!({"alias": "web1", "path": file, "content": "only root\n", "how": "create", "sudo": true}),
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), "only root\n", "{wrote}");
    let read = server.tool(
        "ssh_read_file",
        json!({"alias": "web1", "path": file, "sudo": true}),
    );
    assert_eq!(read["content"], "only root\n", "{read}");
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_wrong_one_is_tried_once() {
    let fleet = fleet(
        vec![HostSpec::new("web1"), HostSpec::new("web2")],
        "not-the-word",
    );
    let mut direct = Direct::of(&fleet.setup);
    let ran = direct.run("web1", "sudo whoami; whoami");
    assert_eq!(ran.error(), &SshError::Sudo(SudoProblem::Wrong));
    assert_eq!(ran.out(), "", "nothing of the command ran");
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(said.contains("1 incorrect password attempt"), "{said}");
    assert!(!said.contains("mcp-ssh:"), "{said}");
    let connections = |fleet: &Fleet| {
        fleet
            .host("web1")
            .log()
            .join("\n")
            .matches("Connection from")
            .count()
    };
    let before = connections(&fleet);
    for _ in 0..3 {
        let ran = direct.run("web1", "sudo cat /etc/shadow");
        assert_eq!(ran.error(), &SshError::Sudo(SudoProblem::WrongBefore));
    }
    assert_eq!(connections(&fleet), before);
    // Another host may take it, a command without sudo is run, and a reload tries anew.
    assert_eq!(
        direct.run("web2", "sudo whoami").error(),
        &SshError::Sudo(SudoProblem::Wrong)
    );
    assert_eq!(direct.run("web1", "echo a").ok().out(), "a\n");
    fleet.setup.secret("raise", login().password());
    direct.reload(&fleet.setup);
    assert_eq!(direct.run("web1", "sudo whoami").ok().out(), "root\n");
}

#[test]
fn an_assistant_is_told_who_has_to_do_what() {
    let fleet = fleet(vec![HostSpec::new("web1")], "not-the-word");
    let server = Server::start(&fleet.setup);
    for _ in 0..2 {
        let ran = server.call(
            "ssh_run",
            json!({"alias": "web1", "command": "sudo whoami"}),
        );
        let found = members(&ran);
        assert_eq!(found["code"], "login:sudo-password", "{ran}");
        assert!(ran.to_string().contains("sudo.password_secret"), "{ran}");
    }
    let fleet = Fleet::of(&["web1"]);
    login().make_sudoer();
    fleet.setup.write("policy.yml", POLICY);
    let server = Server::start(&fleet.setup);
    for command in ["sudo whoami", "sudo -n whoami"] {
        let ran = answer(&server, command);
        assert_eq!(ran["exit_code"], 1);
        assert!(
            ran["notes"].to_string().contains("password_secret"),
            "{ran}"
        );
    }
    assert_eq!(answer(&server, "sudo id -un")["output"], "root");
}

#[test]
fn where_it_does_not_count_that_is_said() {
    let fleet = fleet(vec![HostSpec::new("web1")], login().password());
    let server = Server::start(&fleet.setup);
    let ran = answer(&server, "{ sudo whoami; sudo whoami; echo end; } | cat");
    assert!(
        ran["notes"].to_string().contains("timestamp_timeout"),
        "{ran}"
    );
    // Not the leading word of a command, so that nothing is asked for before it.
    let ran = answer(&server, "timeout 5 sudo whoami");
    assert_eq!(ran["exit_code"], 1);
    assert!(
        ran["notes"].to_string().contains("Write sudo first"),
        "{ran}"
    );
}

#[test]
fn only_a_judged_sudo_is_told() {
    let fleet = fleet(vec![HostSpec::new("web1")], login().password());
    let calls = watched(fleet.host("web1"), "exec /usr/bin/sudo \"$@\"");
    let server = Server::start(&fleet.setup);
    for command in ["whoami", "echo sudo", "cat", "echo \"$(whoami) sudo\""] {
        answer(&server, command);
    }
    assert_eq!(lines(&calls), [""; 0]);
    answer(&server, "sudo whoami");
    let seen = lines(&calls);
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert!(
        seen[0].starts_with("-S -p [mcp-ssh:") && seen[0].ends_with("?] -v"),
        "{seen:?}"
    );
    assert_eq!(seen[1], "whoami");
    // Another run has another mark.
    answer(&server, "sudo whoami");
    assert_ne!(lines(&calls)[2], seen[0]);
    // A job is not fed.
    let job = server.tool(
        "ssh_run_async",
        json!({"alias": "web1", "command": "sudo whoami", "detach": true}),
    );
    let asked = |lines: Vec<String>| {
        lines
            .iter()
            .filter(|line| line.contains("mcp-ssh:"))
            .count()
    };
    wait_until("the job's sudo", || lines(&calls).len() == 5);
    assert_eq!(asked(lines(&calls)), 2, "{job}");
    let denied = server.call(
        "ssh_run",
        json!({"alias": "web1", "command": "sudo head -n 1"}),
    );
    assert_eq!(members(&denied)["code"], "no-rule", "{denied}");
}

/// What asks with other words, or not at all, is given nothing.
#[test]
fn nothing_is_said_to_what_does_not_ask_with_the_words_of_this_run() {
    let fleet = fleet(vec![HostSpec::new("web1")], login().password());
    let policy = POLICY.replace("max_seconds: 30", "max_seconds: 2");
    fleet.setup.write("policy.yml", &policy);
    let server = Server::start(&fleet.setup);
    let host = fleet.host("web1");
    for prompt in [
        "Password: ",
        "[sudo] password for you: ",
        "[mcp-ssh:00000000000000000000000000000000?]",
        "[mcp-ssh:",
    ] {
        let got = login().home.join(format!("got-{}", host.port));
        let script = format!(
            "[ \"$5\" ] || {{ printf %s '{prompt}' >&2; exec head -n 1 >{}; }}",
            got.display()
        );
        let calls = watched(host, &script);
        let ran = server.call(
            "ssh_run",
            json!({"alias": "web1", "command": "sudo whoami"}),
        );
        assert_eq!(
            members(&ran)["code"],
            "login:sudo-silent",
            "{prompt}: {ran}"
        );
        assert_eq!(lines(&calls).len(), 1);
        assert_eq!(fs::read_to_string(&got).unwrap(), "", "{prompt}");
    }
    watched(host, "echo no such luck >&2; exit 1");
    let ran = server.call(
        "ssh_run",
        json!({"alias": "web1", "command": "sudo whoami; whoami"}),
    );
    assert_eq!(members(&ran)["code"], "login:sudo-refused", "{ran}");
}

#[test]
fn hosts_of_a_tag_are_told_their_own() {
    let fleet = fleet(
        vec![
            HostSpec::new("web1").tags(&["web"]),
            HostSpec::new("web2").tags(&["web"]),
        ],
        login().password(),
    );
    fleet.setup.secret("other", "not-the-word");
    let user = &login().name;
    let entry = format!(
        "{}    sudo: {{password_secret: raise}}\n  - name: other\n    username: {user}\n    key_path: id_fleet\n    sudo: {{password_secret: other}}\n",
        fleet.credentials_yaml()
    );
    fleet.setup.write("credentials.yml", &entry);
    let servers = fleet.servers_yaml();
    let second = servers.rfind("credentials: fleet").unwrap();
    let servers = format!(
        "{}{}",
        &servers[..second],
        servers[second..].replacen("fleet", "other", 1)
    );
    fleet.setup.write("servers.yml", &servers);
    let server = Server::start(&fleet.setup);
    let ran = server.tool(
        "ssh_run_on_tag",
        json!({"tag": "web", "command": "sudo whoami"}),
    );
    let text = ran.to_string();
    assert!(
        text.contains("root") && text.contains("sudo-password"),
        "{text}"
    );
}

/// Twelve ask at the same time, on four hosts with a password each.
#[test]
fn who_asks_among_many_is_told_its_own() {
    const EACH: usize = 3;
    let names = ["web1", "web2", "web3", "web4"];
    let fleet = fleet(names.map(HostSpec::new).into(), login().password());
    let word = |name: &str| format!("word-of-{name}");
    let entries = names.map(|name| {
        fleet.setup.secret(name, &word(name));
        format!(
            "  - name: {name}\n    username: {}\n    key_path: id_fleet\n    sudo: \
             {{password_secret: {name}}}\n",
            login().name
        )
    });
    let entries = format!("entries:\n{}", entries.concat());
    fleet.setup.write("credentials.yml", &entries);
    let mut servers = fleet.servers_yaml();
    for name in names {
        servers = servers.replacen("credentials: fleet", &format!("credentials: {name}"), 1);
    }
    fleet.setup.write("servers.yml", &servers);
    let gate = Gate::new();
    let told = |machine: &Machine| login().home.join(format!("told-{}", machine.port));
    let calls = names.map(|name| {
        let machine = fleet.host(name);
        let _ = fs::remove_file(told(machine));
        let asks = format!(
            "[ \"$4\" = -v ] || exec \"$@\"\n{}\nprintf %s \"$3\" >&2\nread -r word && echo \"$word\" >>{}",
            gate.wait(),
            told(machine).display()
        );
        watched(machine, &asks)
    });
    let server = Server::start(&fleet.setup);
    let start = |name: &str| {
        let task = server.tool(
            "ssh_run_async",
            json!({"alias": name, "command": "sudo whoami"}),
        );
        task["task_id"].clone()
    };
    let tasks: Vec<Value> = (0..EACH).flat_map(|_| names.map(start)).collect();
    let asking = || calls.iter().map(|file| lines(file).len()).sum::<usize>();
    wait_until("all of them to ask", || asking() == tasks.len());
    tasks.iter().for_each(|_| gate.open());
    for id in &tasks {
        let state = || server.tool("ssh_get_task_status", json!({"task_id": id}))["status"].clone();
        wait_until("its end", || state() == "completed");
    }
    for name in names {
        assert_eq!(lines(&told(fleet.host(name))), vec![word(name); EACH]);
    }
    assert!(server.finish().status.success());
}

#[test]
fn a_password_of_two_lines_is_refused_at_load() {
    let fleet = Fleet::of(&["web1"]);
    fleet.setup.secret("raise", "first line\nsecond line");
    let entry = fleet.credentials_yaml() + "    sudo: {password_secret: raise}\n";
    fleet.setup.write("credentials.yml", &entry);
    let check = run_cli(&fleet.setup, &["check"]);
    let text = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(!check.status.success(), "{text}");
    assert!(text.contains("entries[0].sudo.password_secret"), "{text}");
    assert!(
        text.contains("line break") && !text.contains("first line"),
        "{text}"
    );
    for (wrong, said) in [
        ("    sudo: {}\n", "no secret"),
        ("    sudo: true\n", "a mapping"),
        ("    sudo: {password_secret: ../x}\n", "1 to 100"),
        ("    sudo: {password: x}\n", "password_secret"),
    ] {
        fleet
            .setup
            .write("credentials.yml", &(fleet.credentials_yaml() + wrong));
        let check = run_cli(&fleet.setup, &["check"]);
        let text = String::from_utf8_lossy(&check.stdout).into_owned();
        assert!(
            !check.status.success() && text.contains(said),
            "{wrong}: {text}"
        );
    }
}
