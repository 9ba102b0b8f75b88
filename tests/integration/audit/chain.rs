//! Whatever is done to an audit file afterwards, `verify` finds it: every record of a
//! file is changed, removed, moved, doubled, replaced and cut off in turn, and the
//! records of two chains are mixed in every way.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use crate::common::{Scratch, Setup, run_cli};
use crate::ledger::{
    assert_sound, begin, begin_quietly, count, family, records, run, task, verdict,
};
use mcp_ssh_orchestrator::testing::audit::{Grounds, Ts, verify_reader};
use mcp_ssh_orchestrator::testing::cli::commands::audit_show::{Filter, Since, show};
use mcp_ssh_orchestrator::testing::model::names::{CommandHash, HostAlias};

type Lines = Vec<Vec<u8>>;

/// The lines of a chain with some commands on it, newlines included.
fn chain(commands: u64) -> Lines {
    let scratch = Scratch::new("chain");
    let path = scratch.path().join("audit.jsonl");
    let audit = begin_quietly(&path, 0);
    for number in 0..commands {
        audit.deny(
            &crate::ledger::alias(),
            crate::ledger::hash(),
            Grounds::default(),
        );
        run(&audit, number);
    }
    audit.close("end_of_input");
    drop(audit);
    assert_sound(&[&path]);
    lines(&path)
}

fn lines(path: &Path) -> Lines {
    let text = fs::read(path).unwrap();
    text.split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect()
}

fn head(lines: &Lines) -> String {
    let last: serde_json::Value = serde_json::from_slice(lines.last().unwrap()).unwrap();
    last["sha256"].as_str().unwrap().to_owned()
}

fn check(lines: &Lines, head: Option<&str>) -> (bool, String) {
    let mut report = Vec::new();
    let sound = verify_reader(lines.concat().as_slice(), head, &mut report).unwrap();
    (sound, String::from_utf8(report).unwrap())
}

/// The mutated chain is not sound, with the head of the original and, if the mutation
/// shows by itself, without.
fn caught(original: &Lines, mutated: &Lines, what: &str, by_itself: bool) -> String {
    assert_ne!(
        original.concat(),
        mutated.concat(),
        "{what} changes nothing"
    );
    let head = head(original);
    let (sound, report) = check(mutated, Some(&head));
    assert!(!sound, "{what} went unseen:\n{report}");
    if by_itself {
        assert!(!check(mutated, None).0, "{what} went unseen without a head");
    }
    report
}

#[test]
fn an_untouched_chain_is_sound() {
    let lines = chain(5);
    let (sound, report) = check(&lines, Some(&head(&lines)));
    assert!(sound, "{report}");
    assert!(report.contains("5 commands started, 5 ended (0 interrupted)"));
    assert!(report.contains("; 0 came after it"), "{report}");
    let first: serde_json::Value = serde_json::from_slice(&lines[0]).unwrap();
    assert_eq!(first["type"], "audit_genesis");
    assert_eq!(first["prev"], "0".repeat(64));
    assert_eq!(first["seq"], 0);
    assert_eq!(first["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(first["config_hash"], "c0".repeat(32));
    assert_eq!(first["sandbox"]["level"], "off");
    let program = fs::read("/proc/self/exe").unwrap();
    use sha2::Digest;
    let digest = sha2::Sha256::digest(&program);
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(first["binary_sha256"], hex);
}

#[test]
fn a_changed_byte_of_any_record_is_found_and_named() {
    let lines = chain(4);
    for record in 0..lines.len() {
        for at in 0..lines[record].len() {
            let mut mutated = lines.clone();
            mutated[record][at] ^= 1;
            caught(&lines, &mutated, &format!("byte {at} of {record}"), true);
        }
        // A plausible change: another host, the seal left alone.
        let text = String::from_utf8(lines[record].clone()).unwrap();
        let changed = text.replacen("\"type\":\"", "\"type\":\"x", 1);
        let mut mutated = lines.clone();
        mutated[record] = changed.into_bytes();
        let report = caught(&lines, &mutated, "a changed type", true);
        assert!(
            report.contains(&format!("line {}:", record + 1)),
            "{report}"
        );
    }
}

/// A seal is nothing that only a server can make: a file may hold any number.
#[test]
fn a_number_that_no_chain_reaches_is_a_finding_and_no_crash() {
    use sha2::Digest;
    let body = r#"{"type":"audit_rotate","ts":1.0,"seq":18446744073709551615,"boot":"b""#;
    let body = format!("{body},\"prev\":\"{}\"", "0".repeat(64));
    let seal: String = sha2::Sha256::digest(&body)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let scratch = Scratch::new("number");
    let path = scratch.path().join("audit.jsonl");
    fs::write(&path, format!("{body},\"sha256\":\"{seal}\"}}\n")).unwrap();
    let setup = Setup::new();
    fs::remove_dir_all(&setup.config).unwrap();
    let config = setup.config.to_str().unwrap();
    assert!(run_cli(&setup, &["init", config]).status.success());
    let file = path.to_str().unwrap();
    for (args, told) in [
        (["audit", "verify", file], "line 1 is not a record"),
        (["audit", "show", file], "line 1 is not a whole record"),
        (
            ["serve", "--audit-file", file],
            "jsonl: line 1 is not a record",
        ),
    ] {
        let output = run_cli(&setup, &args);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains(told), "{text}");
    }
}

/// What an archive holds compressed is verified on its way out of it.
#[test]
fn a_pipe_is_verified_like_a_file() {
    let setup = Setup::new();
    let mut command = setup.command();
    command.args(["audit", "verify", "/dev/stdin"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = chain(20).concat();
    child.stdin.take().unwrap().write_all(&lines).unwrap();
    let output = child.wait_with_output().unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{report}");
    assert!(report.contains("sound up to record"), "{report}");
}

/// One line that is no record is one finding, whether it took a record's place or came in
/// between, and hides none behind it.
#[test]
fn a_line_of_somebody_elses_is_one_finding() {
    let lines = chain(4);
    for at in 1..lines.len() {
        let mut more = lines.clone();
        more.insert(at, b"not ours\n".to_vec());
        let mut instead = lines.clone();
        instead[at] = b"not ours\n".to_vec();
        for mutated in [more, instead] {
            let report = caught(&lines, &mutated, "a foreign line", true);
            let found = check(&mutated, None).1.matches("BROKEN").count();
            assert_eq!(found, 1, "{at}: {report}");
            // Behind it, a record that is missing is one more.
            if at + 3 < mutated.len() {
                let mut two = mutated.clone();
                two.remove(at + 2);
                assert_eq!(check(&two, None).1.matches("BROKEN").count(), 2, "{at}");
            }
        }
    }
}

#[test]
fn a_removed_record_is_found_and_named() {
    let lines = chain(4);
    for record in 0..lines.len() {
        let mut mutated = lines.clone();
        mutated.remove(record);
        let last = record == lines.len() - 1;
        let report = caught(&lines, &mutated, &format!("{record} removed"), !last);
        if record > 0 && !last {
            let named = format!("records {record} to {record} are missing");
            assert!(report.contains(&named), "{report}");
        }
    }
}

#[test]
fn a_cut_off_beginning_or_end_is_found() {
    let lines = chain(4);
    for kept in 1..lines.len() {
        let beginning = lines[..kept].to_vec();
        caught(
            &lines,
            &beginning,
            &format!("the end from {kept} on"),
            false,
        );
        let end = lines[kept..].to_vec();
        caught(&lines, &end, &format!("the beginning up to {kept}"), true);
    }
    // Within a record, at every byte of the last one.
    let last = lines.last().unwrap().len();
    for bytes in 1..last {
        let mut mutated = lines.clone();
        mutated.last_mut().unwrap().truncate(bytes);
        caught(
            &lines,
            &mutated,
            &format!("{bytes} bytes of the last"),
            true,
        );
    }
    assert!(!check(&Vec::new(), None).0, "an empty file is no chain");
}

#[test]
fn a_moved_or_doubled_record_is_found() {
    let lines = chain(4);
    for from in 0..lines.len() {
        for to in 0..lines.len() {
            if from != to {
                let mut moved = lines.clone();
                let record = moved.remove(from);
                moved.insert(to, record);
                caught(&lines, &moved, &format!("{from} moved to {to}"), true);
                let mut swapped = lines.clone();
                swapped.swap(from, to);
                caught(&lines, &swapped, &format!("{from} and {to} swapped"), true);
                let mut replaced = lines.clone();
                replaced[to] = replaced[from].clone();
                let what = format!("{to} replaced by {from}");
                caught(&lines, &replaced, &what, true);
            }
            let mut doubled = lines.clone();
            doubled.insert(to, lines[from].clone());
            caught(&lines, &doubled, &format!("{from} doubled at {to}"), true);
        }
    }
    let mut reversed = lines.clone();
    reversed.reverse();
    caught(&lines, &reversed, "reversed", true);
    let twice = [lines.clone(), lines.clone()].concat();
    caught(&lines, &twice, "the whole doubled", true);
}

#[test]
fn records_of_another_chain_are_found_wherever_they_are_put() {
    let (lines, other) = (chain(4), chain(4));
    for at in 0..lines.len() {
        let mut replaced = lines.clone();
        replaced[at] = other[at].clone();
        caught(&lines, &replaced, &format!("{at} from the other"), true);
        let mut inserted = lines.clone();
        inserted.insert(at, other[at].clone());
        caught(&lines, &inserted, &format!("the other's {at} put in"), true);
        if at > 0 {
            let spliced = [&lines[..at], &other[at..]].concat();
            let report = caught(&lines, &spliced, &format!("tail from {at} on"), true);
            let named = format!("record {at} does not follow");
            assert!(report.contains(&named), "{report}");
        }
        let joined = [&lines[..=at], &other[..]].concat();
        caught(&lines, &joined, &format!("other after {at}"), true);
    }
}

#[test]
fn a_record_sealed_anew_breaks_the_next_one() {
    use sha2::Digest;
    let lines = chain(4);
    for at in 0..lines.len() - 1 {
        let text = String::from_utf8(lines[at].clone()).unwrap();
        let (canonical, _) = text.rsplit_once(",\"sha256\":").unwrap();
        let forged = canonical.replacen("\"ts\":1", "\"ts\":2", 1);
        let digest = sha2::Sha256::digest(forged.as_bytes());
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut mutated = lines.clone();
        mutated[at] = format!("{forged},\"sha256\":\"{hex}\"}}\n").into_bytes();
        let report = caught(&lines, &mutated, &format!("{at} forged"), true);
        let named = format!("record {} does not follow", at + 1);
        assert!(report.contains(&named), "{report}");
    }
}

#[test]
fn every_break_is_reported_not_only_the_first() {
    let lines = chain(8);
    let mut mutated = lines.clone();
    mutated[3][20] ^= 1;
    mutated.remove(9);
    mutated[15] = b"nonsense\n".to_vec();
    let report = caught(&lines, &mutated, "three things", true);
    assert!(report.contains("line 4"), "{report}");
    assert!(report.contains("records 9 to 9 are missing"), "{report}");
    assert!(report.contains("line 16 is not a record"), "{report}");
    assert!(report.contains("NOT SOUND: 3 breaks"), "{report}");
}

#[test]
fn an_earlier_head_is_found_with_what_came_after_it() {
    let lines = chain(4);
    for at in 0..lines.len() {
        let head = head(&lines[..=at].to_vec());
        let (sound, report) = check(&lines, Some(&head));
        assert!(sound, "{report}");
        let after = lines.len() - 1 - at;
        let named = format!("the given head is record {at}; {after} came after it");
        assert!(report.contains(&named), "{report}");
    }
    let foreign = head(&chain(1));
    assert!(!check(&lines, Some(&foreign)).0);
    for wrong in ["", "abc", &"g".repeat(64)] {
        assert!(!check(&lines, Some(wrong)).0, "{wrong}");
    }
}

#[test]
fn a_chain_over_many_files_is_read_as_one_in_any_order() {
    let scratch = Scratch::new("rotated");
    let path = scratch.path().join("audit.jsonl");
    let audit = begin_quietly(&path, 4_000);
    let open = audit.allow(
        &crate::ledger::alias(),
        crate::ledger::hash(),
        Grounds::default(),
    );
    let open = open.start(&task(7)).unwrap();
    for number in 100..130 {
        run(&audit, number);
    }
    open.finish(crate::ledger::ended());
    audit.close("end_of_input");
    drop(audit);
    let mut files = family(&path);
    assert!(files.len() > 4, "{files:?}");
    files.sort();
    let paths: Vec<&Path> = files.iter().map(AsRef::as_ref).collect();
    let report = assert_sound(&paths);
    assert!(report.contains("31 commands started, 31 ended"), "{report}");
    let mut backwards = paths.clone();
    backwards.reverse();
    assert_sound(&backwards);

    // In the order of the chain: the current file has the shortest name.
    let mut ordered = paths.clone();
    ordered.rotate_left(1);
    assert!(ordered.last().unwrap().ends_with("audit.jsonl"));
    for missing in 0..ordered.len() {
        let mut rest = ordered.clone();
        rest.remove(missing);
        let (sound, report) = verdict(&rest, None);
        if missing == 0 {
            // Its own first record says that something was before it.
            assert!(sound && report.contains("continues a file that was not given"));
        } else if missing == ordered.len() - 1 {
            assert!(sound, "{report}");
        } else {
            assert!(!sound && report.contains("are missing"), "{report}");
        }
    }
    for (index, file) in ordered.iter().enumerate() {
        let twice = [ordered.clone(), vec![file]].concat();
        assert!(!verdict(&twice, None).0, "file {index} given twice");
        let text = lines(file);
        fs::write(file, text[1..].concat()).unwrap();
        let (sound, report) = verdict(&ordered, None);
        assert!(!sound, "first record of file {index} removed:\n{report}");
        fs::write(file, text[..text.len() - 1].concat()).unwrap();
        let (sound, report) = verdict(&ordered, None);
        assert_eq!(sound, index == ordered.len() - 1, "{report}");
        fs::write(file, text.concat()).unwrap();
    }
    // The open command is named at the head of each file until it ends.
    let second = records(ordered[1]);
    assert_eq!(second[0]["type"], "audit_rotate");
    assert_eq!(second[0]["reason"], "size");
    assert_eq!(second[1]["tasks"][0], task(7).as_str());
}

#[test]
fn files_that_cannot_be_read_are_findings() {
    let scratch = Scratch::new("unreadable");
    let (sound, report) = verdict(&[&scratch.path().join("absent")], None);
    assert!(!sound && report.contains("No such file"), "{report}");
    let (sound, _) = verdict(&[scratch.path()], None);
    assert!(!sound);
}

#[test]
fn what_is_shown_can_be_filtered() {
    let scratch = Scratch::new("show");
    let path = scratch.path().join("audit.jsonl");
    let audit = begin(&path, 0).unwrap();
    run(&audit, 1);
    let other = HostAlias::parse("db1").unwrap();
    audit.deny(&other, CommandHash::of("whoami"), Grounds::default());
    audit.close("end_of_input");
    let shown = |filter: Filter| {
        let mut out = Vec::new();
        let sound = show(&path, &filter, &mut out).unwrap();
        (sound, String::from_utf8(out).unwrap())
    };
    let (sound, all) = shown(Filter::default());
    assert!(sound);
    assert_eq!(all.lines().count(), records(&path).len());
    for word in ["allowed", "started", "ended", "DENIED", "server_stop"] {
        assert!(all.contains(word), "{word} in\n{all}");
    }
    let denied = Filter {
        denied: true,
        ..Filter::default()
    };
    let (_, text) = shown(denied);
    assert_eq!(text.lines().count(), 1);
    assert!(text.contains("DENIED       db1") && text.contains("hash=f25297859cf0"));
    let host = Filter {
        alias: Some("web1".into()),
        ..Filter::default()
    };
    assert_eq!(shown(host).1.lines().count(), 3);
    let since = |text| Filter {
        since: Since::parse(text, Ts::now()),
        ..Filter::default()
    };
    assert_eq!(shown(since("1h")).1, all);
    assert_eq!(shown(since("2999-01-01")).1, "");

    // A changed record is marked, and shown whatever the filter says.
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"db1\"", "\"dbx\"")).unwrap();
    let (sound, text) = shown(since("2999-01-01"));
    assert!(!sound && text.starts_with("!! changed: ") && text.contains("dbx"));
    crate::ledger::scribble(&path, b"\x1b[2J torn");
    let (sound, text) = shown(since("2999-01-01"));
    assert!(!sound && text.contains("is not a whole record") && !text.contains('\u{1b}'));
    assert_eq!(count(&crate::ledger::log(&path), "policy_decision"), 2);
}
