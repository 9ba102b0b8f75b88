//! Promise: an operator learns from the command line which rule decided, keeps
//! expectations beside the policy, and can read the tables.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::process::Output;

use crate::common::{Setup, run_cli};
use serde_json::{Value, json};

/// The lines are counted on below.
const POLICY: &str = "\
limits: {max_seconds: 7, deny_substrings: ['rm -rf /']}
network: {allow_cidrs: [127.0.0.0/8]}
rules:
  - action: allow
    commands:
      - 'uptime*'
      - 'find /var/log *'
  - action: ask
    commands: ['systemctl restart *']
  - action: deny
    commands: ['uptime --secret*']
";

fn setup() -> Setup {
    let setup = Setup::new();
    setup.write(
        "servers.yml",
        "hosts:\n  - {alias: web1, host: 127.0.0.9, credentials: c, tags: []}\n  \
         - {alias: far, host: 192.0.2.1, credentials: c, tags: []}\n",
    );
    setup.write(
        "credentials.yml",
        "entries:\n  - {name: c, username: u, agent: true}\n",
    );
    setup.write("policy.yml", POLICY);
    setup
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[track_caller]
fn assert_code(output: &Output, code: i32) {
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{}\n{err}", out(output));
}

fn plan(setup: &Setup, alias: &str, command: &str, code: i32) -> Value {
    let output = run_cli(setup, &["plan", "--json", alias, command]);
    assert_code(&output, code);
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_plan_names_the_rule_that_decided() {
    let setup = setup();
    let allowed = plan(&setup, "web1", " uptime -p ", 0);
    assert_eq!(allowed["allowed"], true);
    assert_eq!(allowed["command"], "uptime -p");
    assert_eq!(allowed["canonical"], "'uptime' '-p'");
    assert_eq!(allowed["commands"][0]["line"], 6, "{allowed}");
    assert_eq!(allowed["limits"]["max_seconds"], 7);
    assert_eq!(allowed["network"], "127.0.0.9 is allowed");

    let ask = plan(&setup, "web1", "systemctl restart nginx", 0);
    assert_eq!(
        (&ask["verdict"], &ask["allowed"]),
        (&json!("ask"), &json!(false))
    );
    assert_eq!(ask["commands"][0]["line"], 9, "{ask}");

    let denied = plan(&setup, "web1", "uptime && uptime --secret", 1);
    assert_eq!(denied["code"], "deny-rule");
    assert_eq!(denied["line"], 11, "{denied}");
    assert_eq!(denied["denied_command"], "uptime --secret");
    assert_eq!(denied["canonical"], Value::Null);

    let hazard = plan(&setup, "web1", "find /var/log -delete", 1);
    assert_eq!(hazard["commands"][0]["hazard"], "-delete", "{hazard}");
    assert_eq!(hazard["commands"][0]["line"], 7, "{hazard}");

    let filter = plan(&setup, "web1", "uptime | sed -E s/a/b/", 1);
    assert_eq!(filter["code"], "no-rule");
    let hint = filter["hint"].as_str().unwrap();
    assert!(hint.contains("filters its input") && hint.contains("ssh_plan"));

    let refused = plan(&setup, "web1", "uptime $HOME", 1);
    assert_eq!(
        (&refused["code"], &refused["position"]),
        (&json!("syntax:dollar"), &json!(7))
    );

    let hidden = plan(&setup, "web1", "uptime 'rm'  -rf /", 1);
    assert_eq!(hidden["code"], "deny-substring");
    assert_eq!(hidden["deny_substring"], "rm -rf /");
    assert_eq!(hidden["found_in"], "uptime rm -rf /");

    let far = plan(&setup, "far", "uptime", 0);
    assert_ne!(far["network"], "192.0.2.1 is allowed");
}

#[test]
fn a_plan_for_people_says_the_same() {
    let setup = setup();
    let output = run_cli(&setup, &["plan", "web1", "uptime -p"]);
    assert_code(&output, 0);
    assert!(out(&output).starts_with("allow (rule) on web1\n"));
    assert!(out(&output).contains("'uptime' '-p'\n"), "{}", out(&output));
    assert!(out(&output).contains("policy.yml:6"), "{}", out(&output));

    let output = run_cli(&setup, &["plan", "web1", "uptime --secret"]);
    assert_code(&output, 1);
    assert!(out(&output).starts_with("deny (deny-rule) on web1\n"));
    assert!(out(&output).contains("policy.yml:11"), "{}", out(&output));

    let output = run_cli(&setup, &["plan", "nowhere", "uptime"]);
    assert_code(&output, 1);
    assert!(out(&output).is_empty());
    assert!(String::from_utf8_lossy(&output.stderr).contains("no host 'nowhere'"));
}

#[test]
fn expectations_beside_the_policy() {
    let setup = setup();
    let file = setup.config.join("policy.test");
    let test = |text: &str| {
        setup.write("policy.test", text);
        run_cli(&setup, &["policy", "test", file.to_str().unwrap()])
    };
    let right = "# what must hold\n\nallow web1 uptime\nask web1 systemctl restart nginx\n\
                 deny web1 rm x\ndeny:deny-rule far uptime --secret\n";
    let output = test(right);
    assert_code(&output, 0);
    assert_eq!(out(&output), "4 passed, 0 failed\n");

    // As another system's editor writes it.
    let output = test(&format!("\u{feff}{}", right.replace('\n', "\r\n")));
    assert_eq!(out(&output), "4 passed, 0 failed\n");

    let wrong = "allow web1 uptime\nallow web1 rm x\ndeny:no-rule web1 uptime $X\n\
                 allow nowhere uptime\n";
    let output = test(wrong);
    assert_code(&output, 1);
    assert_eq!(
        out(&output),
        "line 2: rm x on web1: expected allow, decided deny:no-rule\n\
         line 3: uptime $X on web1: expected deny:no-rule, decided deny:syntax:dollar\n\
         line 4: no host 'nowhere' in servers.yml\n\
         1 passed, 3 failed\n"
    );

    // What follows the largest size that is read is not passed over in silence.
    let long = format!("{right}#{}", "x".repeat(10 * 1024 * 1024));
    for (text, problem) in [
        (long.as_str(), "more than 10485760 bytes"),
        ("# nothing\n", "holds no expectation"),
        ("perhaps web1 uptime\n", "line 1"),
    ] {
        let output = test(text);
        assert_code(&output, 1);
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(err.contains(problem), "{err}");
    }
    assert_code(&run_cli(&setup, &["policy", "test", "/nonexistent"]), 1);
}

#[test]
fn the_tables_are_printed_with_their_version() {
    // Needs no configuration: they are part of the program.
    let output = run_cli(&Setup::new(), &["policy", "tables"]);
    assert_code(&output, 0);
    let text = out(&output);
    let version = text.lines().next().unwrap().strip_prefix("version: ");
    let version: u32 = version.unwrap().parse().unwrap();
    assert!(version >= 1);
    for line in ["  find: ", "  sudo: ", "  grep: "] {
        assert!(
            text.lines().any(|l| l.starts_with(line)),
            "{line:?} in\n{text}"
        );
    }
}
