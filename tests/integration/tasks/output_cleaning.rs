//! What a host sends reaches an assistant clean: no escape sequence, no control character,
//! nothing invisible, no secret of the configuration, however the bytes were cut into
//! reads.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use crate::common::{Fleet, HostSpec, Server, members, task_of};
use mcp_ssh_orchestrator::testing::audit::{Patterns, Redactor};
use mcp_ssh_orchestrator::testing::task::{Cleaner, clean};
use serde_json::{Value, json};

struct Case {
    name: String,
    raw: Vec<u8>,
    shown: String,
}

/// The corpus, whole.
fn cases() -> Vec<Case> {
    let text = include_str!("../../data/output/cleaning.jsonl");
    let cases: Vec<Case> = text
        .lines()
        .map(|line| {
            let case: Value = serde_json::from_str(line).unwrap();
            let hex = case["hex"].as_str().unwrap();
            let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
            Case {
                name: case["name"].as_str().unwrap().into(),
                raw: (0..hex.len()).step_by(2).map(byte).collect(),
                shown: case["shown"].as_str().unwrap().into(),
            }
        })
        .collect();
    assert!(cases.len() >= 40, "the corpus is not whole");
    cases
}

#[test]
fn every_case_of_the_corpus_comes_out_as_it_should() {
    for case in cases() {
        assert_eq!(clean(&case.raw), case.shown, "{}", case.name);
    }
}

/// Both ends of each range of Default_Ignorable_Code_Point (DerivedCoreProperties.txt), of
/// the separators and of the annotation characters.
#[test]
fn what_shows_nothing_is_shown() {
    for (first, last) in [
        ('\u{ad}', '\u{ad}'),
        ('\u{34f}', '\u{34f}'),
        ('\u{61c}', '\u{61c}'),
        ('\u{115f}', '\u{1160}'),
        ('\u{17b4}', '\u{17b5}'),
        ('\u{180b}', '\u{180f}'),
        ('\u{200b}', '\u{200f}'),
        ('\u{2028}', '\u{202e}'),
        ('\u{2060}', '\u{206f}'),
        ('\u{3164}', '\u{3164}'),
        ('\u{fe00}', '\u{fe0f}'),
        ('\u{feff}', '\u{feff}'),
        ('\u{ffa0}', '\u{ffa0}'),
        ('\u{fff0}', '\u{fffb}'),
        ('\u{1bca0}', '\u{1bca3}'),
        ('\u{1d173}', '\u{1d17a}'),
        ('\u{e0000}', '\u{e0fff}'),
    ] {
        for c in [first, last] {
            let shown = format!("a\\u{{{:x}}}b", u32::from(c));
            assert_eq!(clean(format!("a{c}b").as_bytes()), shown);
        }
    }
}

#[test]
fn cuts_between_reads_change_nothing() {
    let all: Vec<u8> = cases()
        .into_iter()
        .flat_map(|case| [case.raw, b" \n".to_vec()].concat())
        .collect();
    let whole = clean(&all);
    for size in [1, 2, 3, 5, 7, 64, 1_000] {
        let mut cleaner = Cleaner::default();
        let mut pieces = String::new();
        for piece in all.chunks(size) {
            cleaner.push(piece, &mut pieces);
        }
        cleaner.finish(&mut pieces);
        assert_eq!(pieces, whole, "reads of {size} bytes");
    }
}

#[test]
fn a_secret_is_found_whatever_is_put_between_its_characters() {
    let secret = "hunter2-geheim-é";
    let patterns = Patterns::new([secret.as_bytes()]);
    let raw = format!("a {secret} b hun\u{1b}[31mter2-ge\u{1b}]0;x\u{7}heim-é c hunter2");
    for size in 1..raw.len() {
        let (mut cleaner, mut redactor) = (Cleaner::default(), Redactor::new(&patterns));
        let (mut cleaned, mut shown) = (String::new(), String::new());
        for piece in raw.as_bytes().chunks(size) {
            cleaner.push(piece, &mut cleaned);
            redactor.push(&cleaned, &mut shown);
            cleaned.clear();
        }
        cleaner.finish(&mut cleaned);
        redactor.push(&cleaned, &mut shown);
        redactor.finish(&mut shown);
        assert_eq!(
            shown, "a [redacted] b [redacted] c hunter2",
            "reads of {size} bytes"
        );
    }
}

/// A secret of characters that are shown otherwise, or not at all; and a plain one behind
/// a sequence that swallows its beginning.
#[test]
fn the_secrets_that_cleaning_would_bend_do_not_come_back() {
    let odd = "be\u{7}ll\u{200b}-\u{1b}[31mred<|im_start|>\u{202e}é";
    let plain = "hunter2-geheim";
    let fleet = Fleet::of(&["web1"]);
    fleet.setup.secret("odd", odd);
    fleet.setup.secret("plain", plain);
    fleet.setup.write(
        "credentials.yml",
        &(fleet.credentials_yaml()
            + "    key_passphrase_secret: odd\n    password_secret: plain\n"),
    );
    let octal = |text: &str| -> String {
        let bytes = text.as_bytes().iter();
        bytes.map(|byte| format!("\\{byte:03o}")).collect()
    };
    let mut script = "#!/bin/sh\n".to_owned();
    // Whole, and cut into two reads at every place.
    for at in 0..=odd.len() {
        let (one, two) = odd.as_bytes().split_at(at);
        let part =
            |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("\\{byte:03o}")).collect() };
        script += &format!(
            "printf 'a {}'; sleep 0.02; printf '{} z\\n'\n",
            part(one),
            part(two)
        );
    }
    for before in ["\u{1b}[", "\u{1b}[31;", "\u{1b}(", "\u{1b}"] {
        script += &format!("printf '{}{}\\n'\n", octal(before), octal(plain));
    }
    fleet.host("web1").stub("hostname", &script);
    let server = Server::start(&fleet.setup);
    let output = server.run("web1", "hostname")["output"].clone();
    let output = output.as_str().unwrap();
    let whole = output
        .lines()
        .filter(|line| *line == "a [redacted] z")
        .count();
    assert_eq!(whole, odd.len() + 1, "{output}");
    for rest in ["unter2", "geheim", "bell", "be\\x07", "red<", "im_start"] {
        assert!(!output.contains(rest), "{rest}: {output}");
    }
    server.finish();
}

#[test]
fn a_real_host_cannot_get_an_escape_into_a_result() {
    let fleet = Fleet::with(vec![HostSpec::new("web1")]);
    // Octal, because a remote printf knows no hex everywhere.
    let mut script = String::from("#!/bin/sh\n");
    let mut expected = String::new();
    for case in cases() {
        let octal: String = case
            .raw
            .iter()
            .map(|byte| format!("\\{byte:03o}"))
            .collect();
        script += &format!("printf '{octal}\\n'; printf '{octal}\\n' >&2\n");
        expected += &case.shown;
        expected.push('\n');
    }
    fleet.host("web1").stub("hostname", &script);
    let server = Server::start(&fleet.setup);
    let arguments = json!({"alias": "web1", "command": "hostname"});
    let result = server.call("ssh_run", arguments);
    let run = members(&result);
    assert_eq!(run["exit_code"], 0);
    // A cut-off character or sequence ends at its line's end here, so it counts the same.
    let shown = expected.strip_suffix('\n').unwrap();
    assert_eq!(run["output"], shown);
    assert_eq!(run["stderr"], shown);
    // The same text when it is read live, line by line and by offset.
    let page = server.tool(
        "ssh_get_task_output",
        json!({"task_id": task_of(&result), "max_lines": 1000}),
    );
    for line in page["output_lines"].as_array().unwrap() {
        let line = line.as_str().unwrap();
        assert!(
            line.chars().all(|c| !c.is_control() || c == '\t'),
            "{line:?}"
        );
    }
    server.finish();
}

#[test]
fn the_values_of_configured_secrets_do_not_come_back() {
    let fleet = Fleet::of(&["web1"]);
    let secret = "correct-horse-battery";
    fleet.setup.secret("fleet_password", secret);
    fleet.setup.write(
        "credentials.yml",
        &(fleet.credentials_yaml() + "    password_secret: fleet_password\n"),
    );
    fleet.host("web1").stub(
        "hostname",
        "#!/bin/sh\nprintf 'a correct-horse-'; sleep 0.2; printf 'battery z\\n'; \
         printf 'corr\\033[1mect-horse-battery' >&2\n",
    );
    let server = Server::start(&fleet.setup);
    let run = server.run("web1", "hostname");
    assert_eq!(run["output"], "a [redacted] z");
    assert_eq!(run["stderr"], "[redacted]");
    server.finish();
}

/// What looks like a credential goes, with a note that counts them, unless the policy says
/// otherwise for the host.
#[test]
fn credentials_are_taken_out_unless_the_policy_keeps_them() {
    let fleet = Fleet::of(&["web1", "web2"]);
    let text = "DB_PASSWORD=correct-horse\nAuthorization: Bearer 0123456789abcdef\nplain\n";
    for host in ["web1", "web2"] {
        let script =
            format!("#!/bin/sh\nprintf '%s' '{text}'\nprintf 'key AKIAIOSFODNN7EXAMPLE' >&2\n");
        fleet.host(host).stub("uptime", &script);
    }
    let policy = crate::common::policy_allowing(&["uptime"])
        + "overrides:\n  aliases:\n    web2:\n      redact: []\n";
    fleet.setup.write("policy.yml", &policy);
    let server = Server::start(&fleet.setup);
    let arguments = json!({"alias": "web1", "command": "uptime"});
    let result = server.call("ssh_run", arguments);
    let run = members(&result);
    assert_eq!(
        run["output"],
        "DB_PASSWORD=[redacted]\nAuthorization: Bearer [redacted]\nplain"
    );
    assert_eq!(run["stderr"], "key [redacted]");
    let notes = run["notes"].to_string();
    assert!(
        notes.contains("3 taken out") && notes.contains("redact: []"),
        "{run}"
    );
    let kept = server.tool(
        "ssh_get_task_output",
        json!({"task_id": task_of(&result), "offset": 0}),
    );
    assert!(!kept.to_string().contains("horse"), "{kept}");
    let run = server.run("web2", "uptime");
    assert_eq!(run["output"], text.trim_end());
    assert!(run.get("notes").is_none(), "{run}");
    server.finish();
}
