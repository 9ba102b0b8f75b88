//! Every line the server can write to its log, byte for byte: names, order and types of
//! the fields are a contract with log pipelines. Only moments are blanked out.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use mcp_ssh_orchestrator::testing::audit::{
    Approval, ApprovalOutcome, Asked, Audit, AuditEnd, Decision, End, Grounds, Hop, Linked, Looked,
    Patterns, Phase, Record, Reload, Sandbox, ServerStart, Ts,
};
use mcp_ssh_orchestrator::testing::config::{Fault, Mark, Place, Problem, Warning, WarningKind};
use mcp_ssh_orchestrator::testing::model::names::{
    CommandHash, CommandText, HostAlias, OnAuditFailure, TaskId,
};
use mcp_ssh_orchestrator::testing::model::security_event::{EventValue, SecurityEvent};
use mcp_ssh_orchestrator::testing::policy::Code;
use mcp_ssh_orchestrator::testing::policy::decision::denial::{Bypass, Chain, ChainPart, Trail};

use std::fs::File;
use std::io::Read;
use std::process::{Command, Stdio};

const TS: Ts = Ts::from_micros(1_761_489_054_143_455_u64);

fn alias() -> HostAlias {
    HostAlias::parse("web1").unwrap()
}

fn hash() -> CommandHash {
    CommandHash::of("hostname")
}

fn task() -> TaskId {
    TaskId::new(&alias(), hash(), 1_761_489_054_143_455_u64)
}

/// The record with the moments of now blanked out: `"ts":T` and `"timestamp":"T"`.
fn blank(json: &str) -> String {
    let mut text = json.to_owned();
    if let Some(at) = text.find("\"ts\":") {
        let from = at + 5;
        let number: String = text[from..]
            .chars()
            .take_while(|c| c.is_ascii_digit() || *c == '.')
            .collect();
        let (whole, fraction) = number.split_once('.').unwrap();
        assert!(whole.len() == 10 && fraction.len() == 6, "{json}");
        text.replace_range(from..from + number.len(), "T");
    }
    let stamp = "\"timestamp\":\"";
    if let Some(at) = text.find(stamp) {
        let from = at + stamp.len();
        let written = text[from..from + 24].to_owned();
        assert!(
            written.ends_with("+0000") && written.as_bytes()[10] == b'T',
            "{json}"
        );
        text.replace_range(from..from + 24, "T");
    }
    text
}

fn hop() -> Hop {
    Hop {
        alias: alias(),
        legacy_algorithms: false,
        kex: "mlkem768x25519-sha256".into(),
        host_key: "ssh-ed25519".into(),
        cipher_out: "aes256-ctr".into(),
        cipher_in: "aes128-ctr".into(),
        mac_out: "hmac-sha2-256".into(),
        mac_in: "hmac-sha2-512".into(),
        server: "SSH-2.0-\"x\"".into(),
    }
}

fn holds(record: &Record, expected: &str) {
    assert_eq!(blank(&record.to_json()), expected);
}

#[test]
fn the_five_kinds_of_the_log_contract() {
    holds(
        &Record::decision(&alias(), hash(), true, Grounds::default()),
        r#"{"type":"policy_decision","ts":T,"alias":"web1","hash":"7063dece7ccc","allowed":true}"#,
    );
    let grounds = Grounds {
        code: Some("no-rule"),
        rule: Some(7),
        canonical_hash: Some(CommandHash::of("uptime")),
        reason: Some("in words"),
        command: Some("for the file alone".into()),
        ..Grounds::default()
    };
    holds(
        &Record::decision(&alias(), hash(), false, grounds),
        r#"{"type":"policy_decision","ts":T,"alias":"web1","hash":"7063dece7ccc","allowed":false,"code":"no-rule","rule":7,"canonical_hash":"dd291cd6294b","reason":"in words"}"#,
    );
    let end = AuditEnd {
        exit_code: 0,
        duration_ms: 150,
        bytes_out: 25,
        bytes_err: 0,
        cancelled: false,
        timeout: false,
        target_ip: Some("10.0.0.11".parse().unwrap()),
        transferred: None,
    };
    let audit = |end, interrupted| {
        let (ts, alias, hash) = (TS, alias(), hash());
        Record::Audit(End {
            ts,
            alias,
            hash,
            end,
            interrupted,
            start_unrecorded: false,
            canonical_hash: (!interrupted).then(|| CommandHash::of("'hostname'")),
        })
    };
    assert_eq!(
        audit(end, false).to_json(),
        r#"{"type":"audit","ts":1761489054.143455,"alias":"web1","hash":"7063dece7ccc","exit_code":0,"duration_ms":150,"bytes_out":25,"bytes_err":0,"cancelled":false,"timeout":false,"target_ip":"10.0.0.11","canonical_hash":"dd63694a862d"}"#
    );
    assert_eq!(
        audit(AuditEnd::unknown(), true).to_json(),
        r#"{"type":"audit","ts":1761489054.143455,"alias":"web1","hash":"7063dece7ccc","exit_code":-1,"duration_ms":0,"bytes_out":0,"bytes_err":0,"cancelled":false,"timeout":false,"target_ip":"","interrupted":true}"#
    );
    for (phase, word) in [
        (Phase::Connecting, "connecting"),
        (Phase::Connected, "connected"),
        (Phase::Running, "running"),
    ] {
        holds(
            &Record::progress(&task(), phase, 1_024, 500),
            &format!(
                r#"{{"type":"progress","ts":T,"task_id":"web1:7063dece7ccc:1761489054143455","phase":"{word}","bytes_read":1024,"elapsed_ms":500}}"#
            ),
        );
    }
    let event = SecurityEvent {
        event_type: "path_traversal_attempt",
        attempted_path: Some("../etc/passwd".into()),
        resolved_path: Some("/app/secrets/../etc/passwd".into()),
        reason: Some("path_outside_allowed_directory"),
        extra: vec![
            ("base_dir", EventValue::Text("/app/secrets".into())),
            ("max_size", EventValue::Number(7)),
        ],
    };
    holds(
        &Record::security(event),
        r#"{"type":"security_event","level":"error","kind":"security_audit","event_type":"path_traversal_attempt","ts":T,"timestamp":"T","attempted_path":"../etc/passwd","resolved_path":"/app/secrets/../etc/passwd","reason":"path_outside_allowed_directory","base_dir":"/app/secrets","max_size":7}"#,
    );
    let bare = SecurityEvent {
        event_type: "invalid_secret_name",
        ..SecurityEvent::default()
    };
    holds(
        &Record::security(bare),
        r#"{"type":"security_event","level":"error","kind":"security_audit","event_type":"invalid_secret_name","ts":T,"timestamp":"T"}"#,
    );
    holds(
        &Record::error("run_exception", "Connection failed"),
        r#"{"level":"error","msg":"run_exception","error":"Connection failed","ts":T}"#,
    );
    holds(
        &Record::ssh_session(&task(), &alias(), true, vec![hop()]),
        concat!(
            r#"{"type":"trace","op":"ssh_session","ts":T,"task_id":"web1:7063dece7ccc:1761489054143455","#,
            r#""alias":"web1","reused":true,"hops":[{"alias":"web1","kex":"mlkem768x25519-sha256","#,
            r#""host_key":"ssh-ed25519","cipher_out":"aes256-ctr","cipher_in":"aes128-ctr","#,
            r#""mac_out":"hmac-sha2-256","mac_in":"hmac-sha2-512","server":"SSH-2.0-\"x\""}]}"#
        ),
    );
    holds(
        &Record::run_done(Some(&alias()), 123),
        r#"{"type":"trace","op":"run_done","elapsed_ms":123,"ts":T,"alias":"web1"}"#,
    );
}

#[test]
fn events_about_commands_quote_none_of_them_but_the_disguised() {
    for (text, expected) in [
        (
            "a\0b",
            r#"{"type":"null_byte_injection_attempt","level":"error","msg":"security_event","ts":T,"field":"command","kind":"security_audit","event_type":"null_byte_injection_attempt","timestamp":"T"}"#,
        ),
        (
            "a\u{1b}b",
            r#"{"type":"control_character_injection_attempt","level":"error","msg":"security_event","ts":T,"field":"command","char_code":27,"kind":"security_audit","event_type":"control_character_injection_attempt","timestamp":"T"}"#,
        ),
    ] {
        let error = CommandText::parse(text).unwrap_err();
        holds(&Record::injection(&error).unwrap(), expected);
    }
    let part = |text: &str, position, code| ChainPart {
        hash: CommandHash::of(text),
        position,
        code,
    };
    let mut trail = Trail {
        bypass: Some(Bypass {
            original_command: "r\\m -rf /".into(),
            normalized_command: "rm -rf /".into(),
            blocked_pattern: "rm -rf /".into(),
        }),
        chain: Some(Chain {
            parts: vec![
                part("uptime", 0, Code::Rule),
                part("whoami", 10, Code::NoRule),
            ],
            denied: Some(1),
        }),
    };
    let hash = CommandHash::of("uptime && whoami");
    let written = |trail: &Trail| -> Vec<String> {
        let records = Record::trail(&alias(), hash, trail);
        records.iter().map(|r| blank(&r.to_json())).collect()
    };
    assert_eq!(
        written(&trail),
        [
            r#"{"type":"security_event","level":"error","kind":"security_audit","event_type":"command_bypass_attempt","ts":T,"timestamp":"T","alias":"web1","original_command":"r\\m -rf /","normalized_command":"rm -rf /","blocked_pattern":"rm -rf /"}"#,
            r#"{"type":"command_chain_denied","level":"warn","msg":"security_event","ts":T,"alias":"web1","original_command":"7a6857739b2f","denied_command":"f25297859cf0","parsed_commands":["dd291cd6294b","f25297859cf0"],"denied_index":1,"code":"no-rule","position":10}"#,
        ]
    );
    trail.bypass = None;
    trail.chain.as_mut().unwrap().denied = None;
    assert_eq!(
        written(&trail),
        [
            r#"{"type":"command_chain_parsed","level":"info","msg":"command_chain","ts":T,"alias":"web1","original_command":"7a6857739b2f","parsed_commands":["dd291cd6294b","f25297859cf0"],"command_count":2}"#
        ]
    );
    assert!(written(&Trail::default()).is_empty());
}

#[test]
fn events_about_hosts() {
    let event = |event_type, extra: &[(&'static str, EventValue)]| {
        Record::security(SecurityEvent {
            event_type,
            extra: extra.to_vec(),
            ..SecurityEvent::default()
        })
    };
    let text = |text: &str| EventValue::Text(text.into());
    holds(
        &event(
            "dns_rate_limit_exceeded",
            &[
                ("hostname", text("db.internal")),
                ("max_per_second", EventValue::Number(10)),
            ],
        ),
        r#"{"type":"security_event","level":"error","kind":"security_audit","event_type":"dns_rate_limit_exceeded","ts":T,"timestamp":"T","hostname":"db.internal","max_per_second":10}"#,
    );
    for kind in ["host_key_mismatch", "host_key_unknown", "host_key_revoked"] {
        let extra = [
            ("alias", text("web1")),
            ("presented_key", text("SHA256:new")),
        ];
        holds(
            &event(kind, &extra),
            &format!(
                r#"{{"type":"security_event","level":"error","kind":"security_audit","event_type":"{kind}","ts":T,"timestamp":"T","alias":"web1","presented_key":"SHA256:new"}}"#
            ),
        );
    }
    holds(
        &Record::host_key_policy_deprecated("require_known_host: false is ignored", None),
        r#"{"type":"host_key_policy_deprecated","level":"warn","msg":"deprecation_warning","detail":"require_known_host: false is ignored","cwe":"CWE-295","ts":T}"#,
    );
    holds(
        &Record::host_key_policy_deprecated("host_key_auto_add is ignored", Some(&alias())),
        r#"{"type":"host_key_policy_deprecated","level":"warn","msg":"deprecation_warning","detail":"host_key_auto_add is ignored","alias":"web1","cwe":"CWE-295","ts":T}"#,
    );
    holds(
        &Record::load_host_keys_failed("/app/keys/known_hosts", "a \"quoted\" cause"),
        r#"{"level":"warn","msg":"load_host_keys_failed","path":"/app/keys/known_hosts","error":"a \"quoted\" cause","ts":T}"#,
    );
}

fn problem(file: &'static str) -> Record {
    Record::config_problem(&Problem {
        place: Place::at(file, Mark { line: 3, column: 1 }),
        key: String::new(),
        fault: Fault::Syntax,
        found: "found it".to_owned(),
        accepted: String::new(),
        nearest: None,
    })
}

#[test]
fn events_about_the_server() {
    holds(
        &problem("policy.yml"),
        r#"{"level":"error","kind":"config_error","path":"policy.yml","error":"policy.yml:3:1: found it","ts":T}"#,
    );
    holds(
        &problem(".env"),
        r#"{"level":"error","kind":"env_file_parse_error","path":".env","error":".env:3:1: found it","ts":T}"#,
    );
    holds(
        &Record::config_surprise(&Warning {
            place: Place::file("policy.yml"),
            key: "overrides.aliases.web1.require_known_host".to_owned(),
            kind: WarningKind::HostKeyPolicy,
            text: "ignored".to_owned(),
        }),
        r#"{"type":"host_key_policy_deprecated","level":"warn","msg":"deprecation_warning","detail":"policy.yml: overrides.aliases.web1.require_known_host: ignored","alias":"web1","cwe":"CWE-295","ts":T}"#,
    );
    holds(
        &Record::config_warning("policy.yml", "rule never takes effect"),
        r#"{"level":"warn","msg":"config_warning","path":"policy.yml","error":"rule never takes effect","ts":T}"#,
    );
    holds(
        &Record::error_details(&alias(), "SSH error", "kex failed at 10.0.0.1"),
        r#"{"level":"error","msg":"error_details","sanitized":"SSH error","original":"kex failed at 10.0.0.1","ts":T,"alias":"web1"}"#,
    );
    holds(
        &Record::warning("notification_failed", "broken pipe"),
        r#"{"level":"warn","msg":"notification_failed","error":"broken pipe","ts":T}"#,
    );
    holds(
        &Record::host_error("run_on_tag_host_failed", &alias(), "no route"),
        r#"{"level":"error","msg":"run_on_tag_host_failed","alias":"web1","error":"no route","ts":T}"#,
    );
    holds(
        &Record::async_task_event("created", &task(), serde_json::json!({"status": "pending"})),
        r#"{"level":"info","msg":"async_task_event","event_type":"created","task_id":"web1:7063dece7ccc:1761489054143455","payload":{"status":"pending"},"ts":T}"#,
    );
    let outcomes = [
        (ApprovalOutcome::Accepted, "accepted"),
        (ApprovalOutcome::Declined, "declined"),
        (ApprovalOutcome::Cancelled, "cancelled"),
        (ApprovalOutcome::Timeout, "timeout"),
        (ApprovalOutcome::Unsupported, "unsupported"),
        (ApprovalOutcome::ClientLost, "client_lost"),
        (ApprovalOutcome::Forged, "forged"),
        (ApprovalOutcome::Malformed, "malformed"),
        (ApprovalOutcome::Replayed, "replayed"),
        (ApprovalOutcome::Expired, "expired"),
    ];
    for (outcome, word) in outcomes {
        let approval = Record::Approval(Approval {
            ts: TS,
            alias: alias(),
            hash: hash(),
            digest: "00ff".into(),
            outcome,
            elapsed_ms: 9,
            way: "operator",
            request: Some("abc".into()),
            by: Some(7),
        });
        holds(
            &approval,
            &format!(
                r#"{{"type":"approval","ts":T,"alias":"web1","hash":"7063dece7ccc","digest":"00ff","outcome":"{word}","elapsed_ms":9,"way":"operator","request":"abc","by":7}}"#
            ),
        );
    }
    let reload = Record::Reload(Reload {
        ts: TS,
        status: "reloaded",
        config_hash: "ab".into(),
        problems: 0,
        trigger: "signal",
    });
    holds(
        &reload,
        r#"{"type":"reload","ts":T,"status":"reloaded","config_hash":"ab","problems":0,"trigger":"signal"}"#,
    );
    let start = Record::ServerStart(ServerStart {
        ts: TS,
        timestamp: TS.iso(),
        version: "2.0.0",
        pid: 1,
        config_hash: "ab".into(),
        hosts: 3,
        sandbox: Sandbox {
            level: "required",
            rights: vec!["seccomp", "files"],
            landlock_abi: 7,
            seccomp: true,
            no_new_privs: true,
            uid: 10_001,
            gid: 10_001,
            capabilities_dropped: true,
            missing: Vec::new(),
        },
        audit_file: true,
        linked: Linked {
            libssh2: "1".into(),
            openssl: "3".into(),
            zlib: "1".into(),
            build: "hardened",
        },
    });
    holds(
        &start,
        r#"{"type":"server_start","ts":T,"timestamp":"T","version":"2.0.0","pid":1,"config_hash":"ab","hosts":3,"sandbox":{"level":"required","rights":["seccomp","files"],"landlock_abi":7,"seccomp":true,"no_new_privs":true,"uid":10001,"gid":10001,"capabilities_dropped":true,"missing":[]},"audit_file":true,"linked":{"libssh2":"1","openssl":"3","zlib":"1","build":"hardened"}}"#,
    );
    let stop = Record::ServerStop {
        ts: TS,
        reason: "end_of_input",
    };
    holds(
        &stop,
        r#"{"type":"server_stop","ts":T,"reason":"end_of_input"}"#,
    );
    let head = Record::AuditHead {
        ts: TS,
        seq: 41,
        head: "00".into(),
    };
    holds(
        &head,
        r#"{"type":"audit_head","ts":T,"seq":41,"head":"00"}"#,
    );
    let looked = Record::Call(Looked {
        ts: TS,
        tool: "ssh_plan",
        outcome: "answered",
        alias: Some(alias()),
        hash: Some(hash()),
        verdict: Some("deny"),
        code: Some("no-rule"),
    });
    holds(
        &looked,
        r#"{"type":"call","ts":T,"tool":"ssh_plan","outcome":"answered","alias":"web1","hash":"7063dece7ccc","verdict":"deny","code":"no-rule"}"#,
    );
    let gap = Record::LogGap { ts: TS, lost: 2 };
    holds(&gap, r#"{"type":"log_gap","ts":T,"lost":2}"#);
    let decision = Record::PolicyDecision(Decision {
        ts: Ts::from_micros(1_761_489_054_200_000),
        alias: alias(),
        hash: hash(),
        allowed: false,
        grounds: Grounds::default(),
    });
    assert!(decision.to_json().contains("\"ts\":1761489054.200000,"));
}

/// What joins the records of a call follows the fields of the contract, and a client's own
/// words can neither break a line nor hold a secret.
#[test]
fn records_of_a_call_say_who_asked() {
    let (read, write) = nix::unistd::pipe().unwrap();
    let audit = Audit::to(write);
    let secret = "correct horse battery staple";
    audit.configure(Patterns::new([secret.as_bytes()]), OnAuditFailure::Refuse);
    audit.started_by("alice".into());
    let call = audit.asked_by(Asked {
        client: Some(format!("a\n\u{1b}[2J{secret}")),
        client_version: Some("9".repeat(500)),
        protocol: Some("2025-11-25"),
        request_id: Some(serde_json::json!(7)),
        traceparent: None,
    });
    drop(
        call.of_task(&task())
            .allow(&alias(), hash(), Grounds::default()),
    );
    call.emit(Record::progress(&task(), Phase::Running, 1, 2));
    audit.emit(Record::warning("notification_failed", "x"));
    drop((audit, call));
    let mut log = String::new();
    File::from(read).read_to_string(&mut log).unwrap();
    let lines: Vec<&str> = log.lines().collect();
    let boot = |line: &str| {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        record["boot"].as_str().unwrap().to_owned()
    };
    let asked = format!(
        r#""os_user":"alice","client":"a\\n\\u{{1b}}[2J[redacted]","client_version":"{}…","protocol":"2025-11-25","request_id":7,"boot":"{}"}}"#,
        "9".repeat(200),
        boot(lines[0]),
    );
    let decided = r#"{"type":"policy_decision","ts":T,"alias":"web1","hash":"7063dece7ccc","allowed":true,"task_id":"web1:7063dece7ccc:1761489054143455","#;
    assert_eq!(blank(lines[0]), format!("{decided}{asked}"));
    // It names its task itself, once.
    assert!(
        lines[1].ends_with(&format!("\"elapsed_ms\":2,{asked}")),
        "{}",
        lines[1]
    );
    let own = format!(r#""error":"x","ts":T,"boot":"{}"}}"#, boot(lines[0]));
    assert!(blank(lines[2]).ends_with(&own), "{}", lines[2]);
    assert_eq!(boot(lines[0]).len(), 32);
}

#[test]
fn free_text_is_redacted_before_it_is_cut() {
    let (read, write) = nix::unistd::pipe().unwrap();
    let audit = Audit::to(write);
    let secret = "correct horse battery staple";
    audit.configure(Patterns::new([secret.as_bytes()]), OnAuditFailure::Refuse);
    audit.emit(Record::error("run_exception", format!("with {secret}!")));
    // The secret lies across the cut: its first half must not stay.
    let command = format!("{}{secret} {}", "x".repeat(1_010), "y".repeat(2_000));
    let trail = Trail {
        bypass: Some(Bypass {
            original_command: command.clone(),
            normalized_command: "ü".repeat(2_000),
            blocked_pattern: secret.into(),
        }),
        chain: None,
    };
    audit.trail(&alias(), CommandHash::of(&command), &trail);
    audit.emit(Record::config_warning("a".repeat(9_000), secret));
    drop(audit);
    let mut log = String::new();
    File::from(read).read_to_string(&mut log).unwrap();
    let lines: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["error"], "with [redacted]!");
    let original = lines[1]["original_command"].as_str().unwrap();
    assert!(original.ends_with("x[redacted] yyy…") && original.len() <= 1_024 + 3);
    let normalized = lines[1]["normalized_command"].as_str().unwrap();
    assert_eq!(normalized, format!("{}…", "ü".repeat(512)));
    assert_eq!(lines[1]["blocked_pattern"], "[redacted]");
    assert_eq!(lines[2]["path"].as_str().unwrap().len(), 4_096 + 3);
    assert!(!log.contains("horse"));
}

/// Set for the child of the next test.
const PANICS: &str = "MCP_SSH_TEST_PANICS";

/// Not a test but the child: panics if it is told to.
#[test]
fn child() {
    if let Ok(how) = std::env::var(PANICS) {
        mcp_ssh_orchestrator::testing::audit::install_panic_hook(&Audit::to_stderr());
        match how.as_str() {
            "literal" => panic!("an invariant that did not hold"),
            _ => panic!("not found in the output: {how}"),
        }
    }
}

#[test]
fn a_panic_is_one_record_that_quotes_no_data() {
    for (how, message) in [
        ("literal", "an invariant that did not hold"),
        (
            "correct horse battery staple",
            "(left out: it may quote data)",
        ),
    ] {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "audit::records::child", "--nocapture"])
            .env(PANICS, how)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(!output.status.success());
        let log = String::from_utf8(output.stderr).unwrap();
        assert!(!log.contains("horse"), "{log}");
        let line = log.lines().next().unwrap();
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(
            line.starts_with(r#"{"type":"panic","level":"error","ts":"#),
            "{line}"
        );
        assert_eq!(record["message"], message);
        assert_eq!(record["thread"], "audit::records::child");
        let location = record["location"].as_str().unwrap();
        assert!(
            location.starts_with("tests/integration/audit/records.rs:"),
            "{location}"
        );
    }
}
