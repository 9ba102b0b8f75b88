//! Loops over what only the host knows: the files of a pattern, and the numbers and names that
//! a program prints. Judged as all that they may be, sent as a loop.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::fs;
use std::process::Command;

use serde_json::json;

use super::support::{Host, canonical, load, named};
use crate::common::{Fleet, Server, login, wait_until};
use mcp_ssh_orchestrator::testing::policy::Verdict;

const POLICY: &str = r#"{"shell": {"globs": true}, "limits": {"deny_substrings": []}, "rules": [
    {"action": "allow", "sudo": true, "reads": ["linux", "docker", "systemd", "text"],
     "paths": ["/var/log/**", "/proc/**", "/tmp/**"]},
    {"action": "allow", "commands": ["kill -HUP *"]}]}"#;

fn sent(command: &str) -> String {
    let snapshot = load(POLICY).unwrap();
    let host = Host::new("web1", []);
    let verdict = snapshot.policy().judge_text(&host.subject(), command);
    match canonical(&verdict) {
        Some(text) => text.to_owned(),
        None => panic!("{command}: {verdict:?}"),
    }
}

#[test]
fn a_loop_over_what_the_host_knows_stays_one() {
    for (command, text) in [
        (
            "for p in $(pgrep -x nginx); do cat /proc/$p/limits | head -n 3; done",
            "{ for mcp_ssh_each_p in $( 'pgrep' '-x' 'nginx' ) ; do 'cat' \
             '/proc/'\"$mcp_ssh_each_p\"'/limits' | 'head' '-n' '3' ; done ; }",
        ),
        (
            "for f in /var/log/*.log; do echo \"== $f\"; tail -n 2 \"$f\"; done",
            "{ for mcp_ssh_each_f in '/var/log/'*'.log' ; do 'echo' '== '\"$mcp_ssh_each_f\" ; \
             'tail' '-n' '2' \"$mcp_ssh_each_f\" ; done ; }",
        ),
        // Without quotes it is one word all the same, and braces are no more than that.
        (
            "for f in /var/log/a?; do tail -n 2 $f ${f}.1; done",
            "{ for mcp_ssh_each_f in '/var/log/a'? ; do 'tail' '-n' '2' \"$mcp_ssh_each_f\" \
             \"$mcp_ssh_each_f\"'.1' ; done ; }",
        ),
        // Whatever a client calls it, and however two are called.
        (
            "for x in $(nproc); do for mcp_ssh_each_x in $(id -u); do id $x; done; done",
            "{ for mcp_ssh_each_x in $( 'nproc' ) ; do { for mcp_ssh_each_mcp_ssh_each_x in \
             $( 'id' '-u' ) ; do 'id' \"$mcp_ssh_each_x\" ; done ; } ; done ; }",
        ),
        // What is known is spelled out as before, what is not is a loop of its own.
        (
            "for x in 1 $(id -u); do id $x; done",
            "{ 'id' '1' ; for mcp_ssh_each_x in $( 'id' '-u' ) ; do 'id' \"$mcp_ssh_each_x\" ; \
             done ; }",
        ),
        (
            "for c in $(docker ps -q); do for t in 1 2; do docker inspect -f '{{.Name}}' $c; done; done",
            "{ for mcp_ssh_each_c in $( 'docker' 'ps' '-q' ) ; do { 'docker' 'inspect' '-f' \
             '{{.Name}}' \"$mcp_ssh_each_c\" ; 'docker' 'inspect' '-f' '{{.Name}}' \
             \"$mcp_ssh_each_c\" ; } ; done ; }",
        ),
        (
            "for c in $(docker ps --format '{{.Names}}'); do docker logs --tail 5 $c; done",
            "{ for mcp_ssh_each_c in $( 'docker' 'ps' '--format' '{{.Names}}' ) ; do 'docker' \
             'logs' '--tail' '5' \"$mcp_ssh_each_c\" ; done ; }",
        ),
        (
            "for p in $(pgrep -x nginx || true); do ps -p $p; done",
            "{ for mcp_ssh_each_p in $( 'pgrep' '-x' 'nginx' || 'true' ) ; do 'ps' '-p' \
             \"$mcp_ssh_each_p\" ; done ; }",
        ),
        (
            "for PATH in /tmp/*; do wc -c $PATH; done | sort -n",
            "{ for mcp_ssh_each_PATH in '/tmp/'* ; do 'wc' '-c' \"$mcp_ssh_each_PATH\" ; done ; } | \
             'sort' '-n'",
        ),
    ] {
        assert_eq!(sent(command), text, "{command}");
    }
}

#[test]
fn a_variable_is_shown_by_its_name_or_its_files() {
    let snapshot = load(POLICY).unwrap();
    let host = Host::new("web1", []);
    for (command, part) in [
        (
            "for p in $(pgrep x); do cat /etc/$p; done",
            "'/etc/$p' of 'cat'",
        ),
        ("for f in /etc/*.conf; do cat $f; done", "/etc/*.conf"),
        // Behind the inner one a shell would have that one's last value.
        (
            "for p in $(pgrep x); do for p in 1 2; do ps -p $p; done; ps -p $p; done",
            "one within another of its NAME",
        ),
        (
            "for p in 1 2; do for p in 3; do ps -p $p; done; done",
            "one within another of its NAME",
        ),
    ] {
        let verdict = snapshot.policy().judge_text(&host.subject(), command);
        let Verdict::Deny(denial) = verdict else {
            panic!("{command}: {verdict:?}")
        };
        assert!(denial.why().contains(part), "{}", denial.why());
    }
}

#[test]
fn a_loop_lets_nothing_through_that_its_rounds_would_not() {
    let snapshot = load(POLICY).unwrap();
    for (command, code) in [
        // The program, an option, a redirection, an assignment.
        ("for f in /var/log/*; do $f; done", "syntax:dollar"),
        ("for f in /var/log/*; do cat <$f; done", "syntax:redirect"),
        (
            "for f in /var/log/*; do LANG=$f date; done",
            "syntax:dollar",
        ),
        ("for p in $(pgrep x); do ps -$p; done", "syntax:dollar"),
        ("for p in $(pgrep x); do $p; done", "syntax:dollar"),
        // What is put together with it is another file.
        (
            "for f in /var/log/*; do cat $f/../../../etc/shadow; done",
            "syntax:glob",
        ),
        ("for f in /var/log/*; do cat /etc/$f; done", "judged"),
        ("for f in /etc/*; do cat $f; done", "judged"),
        (
            "for p in $(pgrep x); do cat /proc/$p/environ; done",
            "judged",
        ),
        ("for p in $(pgrep x); do cat /etc/$p; done", "judged"),
        // What is run for each is judged.
        ("for c in $(docker ps -aq); do docker rm $c; done", "judged"),
        (
            "for c in $(docker ps --format '{{.Names}}'); do docker stop $c; done",
            "judged",
        ),
        (
            "for c in $(docker ps --no-trunc --format '{{.Names}}'); do docker top $c; done",
            "syntax:dollar",
        ),
        ("for p in $(pgrep x); do kill -9 $p; done", "judged"),
        ("for f in /var/log/*; do sudo rm $f; done", "judged"),
        // What may print anything, and what is no path.
        (
            "for x in $(cat /var/log/x); do echo $x; done",
            "syntax:dollar",
        ),
        (
            "for x in \"$(cat /var/log/x)\"; do echo $x; done",
            "syntax:dollar",
        ),
        ("for x in $(pgrep x)y; do echo $x; done", "syntax:dollar"),
        ("for x in $?; do echo $x; done", "syntax:dollar"),
        ("for f in *.log; do cat $f; done", "syntax:glob"),
        ("for f in /var/log/[ab]; do cat $f; done", "syntax:bracket"),
        ("for f in ~/*; do cat $f; done", "syntax:tilde"),
        ("for f in /var/../*; do cat $f; done", "syntax:glob"),
        // Where a round leaves another directory than it found.
        (
            "for f in /var/log/*; do cd /tmp; cat x; done; cat y",
            "judged",
        ),
    ] {
        let (verdict, found) = named(&snapshot, command);
        let found = if found.starts_with("syntax:") {
            found
        } else {
            "judged"
        };
        assert_eq!((verdict, found), ("deny", code), "{command}");
    }
    // What a deny says of the files counts for each that there may be.
    let denying = POLICY
        .replace(
            "\"deny_substrings\": []",
            "\"deny_substrings\": [\"private\"]",
        )
        .replace(
            "\"rules\": [",
            "\"rules\": [{\"action\": \"deny\", \"paths\": [\"/var/log/auth*\"]},",
        );
    let denying = load(&denying).unwrap();
    for (pattern, verdict) in [
        ("/var/log/sys*", "allow"),
        ("/var/log/a*", "deny"),
        ("/var/log/*", "deny"),
        ("/var/log/*h.log", "deny"),
        ("/var/log/priv*", "deny"),
        ("/var/log/x?private*", "deny"),
    ] {
        let command = format!("for f in {pattern}; do head -n 1 \"$f\"; done");
        let direct = format!("head -n 1 {pattern}");
        assert_eq!(named(&denying, &direct).0, verdict, "{direct}");
        assert_eq!(named(&denying, &command).0, verdict, "{command}");
    }
    // The command that gives the values is judged as well.
    let docker = POLICY.replace("\"linux\", ", "");
    let docker = load(&docker).unwrap();
    for (command, verdict) in [
        (
            "for c in $(docker ps -q); do docker inspect -f '{{.Name}}' $c; done",
            "allow",
        ),
        (
            "for c in $(pgrep x); do docker inspect -f '{{.Name}}' a$c; done",
            "deny",
        ),
    ] {
        assert_eq!(named(&docker, command).0, verdict, "{command}");
    }
    let plain = POLICY.replace("\"globs\": true", "\"globs\": false");
    let plain = load(&plain).unwrap();
    let command = "for f in /var/log/*; do cat $f; done";
    assert_eq!(named(&plain, command), ("deny", "syntax:glob"));
}

/// What a name of a file can be to a program, and what a number can be a name of. Each beside a
/// command that differs in what makes it harmful alone.
#[test]
fn no_name_is_a_command_an_option_or_another_file() {
    let policy = POLICY
        .replace(
            "\"docker\",",
            "\"docker\", \"packages\", \"network\", \"storage\", \"web\", \"security\",",
        )
        .replace(
            "\"paths\"",
            "\"also\": [\"network\"], \"hosts\": [\"ok.example\"], \"paths\"",
        );
    let snapshot = load(&policy).unwrap();
    for (denied, allowed) in [
        // Perl's <> starts what ends with a bar.
        ("pflogsumm /tmp/*", "pflogsumm /tmp/mail.log"),
        (
            "for f in /tmp/*; do pflogsumm $f; done",
            "for f in /tmp/a /tmp/b; do pflogsumm $f; done",
        ),
        // rpm expands macros in a relative name.
        ("cd /tmp && rpm -qf ./*", "rpm -qf /tmp/*"),
        (
            "cd /tmp && for f in ./*; do rpm -qf $f; done",
            "for f in /tmp/*; do rpm -qf $f; done",
        ),
        // A script can begin like a path.
        (
            "for f in /tmp/*; do awk \"$f\" /var/log/x; done",
            "for f in /tmp/*; do awk 1 $f; done",
        ),
        // Another folder may have the form of a process's.
        ("cat /*/*/root/tmp/x", "cat /proc/*/root/tmp/x"),
        (
            "for d in /*/b*b; do cat $d/root/tmp/x; done",
            "for d in /proc/1*; do cat $d/root/tmp/x; done",
        ),
        (
            "cat /proc/1/*/2/root/tmp/x",
            "cat /proc/1/task/2/root/tmp/x",
        ),
        // A file may be called like a number.
        ("unzip -p $(hostname)", "unzip -p /tmp/x.zip"),
        (
            "for n in $(hostname); do unzip -p $n; done",
            "for n in $(hostname); do unzip -p /tmp/$n.zip; done",
        ),
        (
            "for p in $(pgrep x); do cmp -l /var/log/a $p; done",
            "for p in $(pgrep x); do cmp -l /var/log/a /tmp/$p; done",
        ),
        // Nobody has seen the names that are sent.
        (
            "echo /var/log/* | openssl s_client -connect ok.example:443",
            "echo x | openssl s_client -connect ok.example:443",
        ),
        (
            "for f in /tmp/*; do echo $f; done | openssl s_client -connect ok.example:443",
            "for f in a b; do echo $f; done | openssl s_client -connect ok.example:443",
        ),
    ] {
        assert_eq!(named(&snapshot, denied).0, "deny", "{denied}");
        assert_eq!(named(&snapshot, allowed).0, "allow", "{allowed}");
    }
    for allowed in [
        "for f in /tmp/*.pem; do openssl x509 -in $f -noout -enddate; done",
        "for f in /tmp/*.tar.gz; do tar -tzf $f; done",
        "for f in /var/log/*; do date -r $f; xxd -l 16 $f; [ -s $f ] && wc -l $f; done",
        "for p in $(pgrep x); do ss -tnp | grep \"pid=$p,\"; done",
        "for c in $(docker ps -qf status=exited); do docker logs --tail 5 $c; done",
    ] {
        assert_eq!(named(&snapshot, allowed).0, "allow", "{allowed}");
    }
}

/// Names that a shell would cut, expand or take for options, read by every shell.
#[test]
fn each_file_is_one_word_to_every_shell() {
    let dir = crate::common::Scratch::new("loops");
    let root = dir.path().join("log");
    fs::create_dir(&root).unwrap();
    let names = [
        "a b.log",
        "*.log",
        "-n.log",
        "x'y\".log",
        "$(id).log",
        "new\nline.log",
    ];
    for name in names {
        fs::write(root.join(name), name).unwrap();
    }
    let policy = POLICY.replace("/tmp/**", &format!("{}/**", root.display()));
    let snapshot = load(&policy).unwrap();
    let host = Host::new("web1", []);
    let root = root.display();
    let text = format!("for f in {root}/*.log; do cat \"$f\"; echo :$f:; done");
    let verdict = snapshot.policy().judge_text(&host.subject(), &text);
    let line = canonical(&verdict).unwrap_or_else(|| panic!("{verdict:?}"));
    let mut sorted = names;
    sorted.sort_unstable();
    for shell in [
        &["dash"][..],
        &["bash"],
        &["bash", "--posix"],
        &["busybox", "ash"],
        &["ksh93"],
        &["mksh"],
        &["yash"],
        &["posh"],
        &["zsh"],
    ] {
        let run = Command::new(shell[0])
            .args(&shell[1..])
            .args(["-c", line])
            .env("LC_ALL", "C")
            .output()
            .unwrap_or_else(|error| panic!("{shell:?}: {error} (scripts/test installs it)"));
        let expected: String = sorted
            .iter()
            .map(|name| format!("{name}:{root}/{name}:\n"))
            .collect();
        let out = String::from_utf8(run.stdout).unwrap();
        assert_eq!(
            out,
            expected,
            "{shell:?}: {}",
            String::from_utf8_lossy(&run.stderr)
        );
    }
}

#[test]
fn a_host_runs_the_rounds() {
    let fleet = Fleet::of(&["web1"]);
    let logs = login().home.join("loops");
    fs::create_dir_all(&logs).unwrap();
    for name in ["one.log", "two three.log"] {
        fs::write(logs.join(name), format!("in {name}\n")).unwrap();
    }
    let policy = format!(
        "shell: {{globs: true}}\nnetwork: {{allow_cidrs: [127.0.0.0/8]}}\nrules:\n  - {{action: allow, \
         aliases: ['*'], reads: [linux, text], paths: ['{}/**', '/proc/**']}}\n",
        logs.display()
    );
    fleet.setup.write("policy.yml", &policy);
    let server = Server::start(&fleet.setup);
    let logs = logs.display();
    let command = format!("for f in {logs}/*.log; do cat $f; done");
    assert_eq!(
        server.run("web1", &command)["output"],
        "in one.log\nin two three.log"
    );
    // Nothing is there: as a shell has it, the pattern is the one word.
    let command = format!("for f in {logs}/*.gz; do [ -f $f ] && echo $f; done; echo end");
    assert_eq!(server.run("web1", &command)["output"], "end");
    let marks: Vec<_> = (0..2)
        .map(|_| Command::new("sleep").arg("7654").spawn().unwrap())
        .collect();
    let named = |pid: u32| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    for mark in &marks {
        wait_until("the sleep to be one", || named(mark.id()) == "sleep\n");
    }
    let command = "for p in $(pgrep -f '^sleep 7654'); do cat /proc/$p/comm; done";
    let ran = server.run("web1", command);
    for mut mark in marks {
        mark.kill().unwrap();
        mark.wait().unwrap();
    }
    assert_eq!(ran["output"], "sleep\nsleep", "{ran}");
    let ran = server.tool("ssh_plan", json!({"alias": "web1", "command": command}));
    assert!(ran.to_string().contains("mcp_ssh_each_p"), "{ran}");
    assert!(server.finish().status.success());
}
