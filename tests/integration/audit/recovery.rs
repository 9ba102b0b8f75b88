//! The audit file through starts, crashes and rotations: what was open is closed, what
//! was torn is mended without losing a whole record, and the chain goes on.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::common::Scratch;
use crate::ledger::{
    alias, assert_sound, begin, count, cut, ended, family, hash, log, records, run, scribble, task,
};
use mcp_ssh_orchestrator::testing::audit::{Audit, AuditEnd, Grounds};

fn place(scratch: &Scratch) -> PathBuf {
    scratch.path().join("audit.jsonl")
}

/// Ends without closing, as a killed server does: what is open stays open.
fn abandon(audit: Audit) {
    drop(audit);
}

fn paths(files: &[PathBuf]) -> Vec<&Path> {
    files.iter().map(AsRef::as_ref).collect()
}

#[test]
fn each_command_has_a_decision_a_start_and_an_end_in_order() {
    let scratch = Scratch::new("order");
    let path = place(&scratch);
    let audit = begin(&path, 0).unwrap();
    run(&audit, 1);
    audit.close("end_of_input");
    let found = records(&path);
    let kinds: Vec<_> = found.iter().map(|r| r["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "audit_genesis",
            "server_start",
            "policy_decision",
            "audit_start",
            "audit",
            "server_stop"
        ]
    );
    for (number, record) in found.iter().enumerate() {
        assert_eq!(record["seq"], number);
        assert_eq!(record["boot"], found[0]["boot"]);
        assert_eq!(record["boot"].as_str().unwrap().len(), 32);
    }
    assert_eq!(found[3]["task_id"], task(1).as_str());
    assert_eq!(found[4]["task_id"], task(1).as_str());
    // stderr has the plain records, without anything of the chain, and the head.
    let log = log(&path);
    let kinds: Vec<_> = log.iter().map(|r| r["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "server_start",
            "policy_decision",
            "audit",
            "server_stop",
            "audit_head"
        ]
    );
    for record in &log {
        assert!(record.get("prev").is_none() && record["boot"] == found[0]["boot"]);
    }
    assert_eq!(log[4]["head"], found[5]["sha256"]);
    assert_eq!(log[4]["seq"], 5);
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn the_next_start_closes_what_was_interrupted_and_goes_on() {
    let scratch = Scratch::new("interrupted");
    let path = place(&scratch);
    let audit = begin(&path, 0).unwrap();
    run(&audit, 1);
    let open = audit
        .allow(&alias(), hash(), Grounds::default())
        .start(&task(2))
        .unwrap();
    // Killed: nothing of its memory comes to an end.
    std::mem::forget(open);
    std::mem::forget(audit.clone());
    drop(audit);
    let before = records(&path);

    // The lock goes with the process. This process lives on, so let a copy be the file.
    let copy = scratch.path().join("copy.jsonl");
    fs::copy(&path, &copy).unwrap();
    let audit = begin(&copy, 0).unwrap();
    run(&audit, 3);
    audit.close("end_of_input");
    let found = records(&copy);
    assert_eq!(found[..before.len()], before);
    let boot = &found[before.len()];
    assert_eq!(
        (&boot["type"], &boot["closed"]),
        (&"audit_boot".into(), &1.into())
    );
    assert_ne!(boot["boot"], before[0]["boot"]);
    let closed = &found[before.len() + 1];
    assert_eq!(closed["type"], "audit");
    assert_eq!(closed["interrupted"], true);
    assert_eq!(closed["exit_code"], -1);
    assert_eq!(closed["task_id"], task(2).as_str());
    assert_eq!(
        (&closed["alias"], &closed["hash"]),
        (&"web1".into(), &hash().to_string().into())
    );
    assert_eq!(count(&log(&copy), "audit"), 2, "stderr is told too");
    let report = assert_sound(&[&copy]);
    assert!(
        report.contains("3 commands started, 3 ended (1 interrupted)"),
        "{report}"
    );

    // Closed once: the start after that finds nothing to close.
    drop(audit);
    let audit = begin(&copy, 0).unwrap();
    audit.close("end_of_input");
    let report = assert_sound(&[&copy]);
    assert!(report.contains("3 ended (1 interrupted)"), "{report}");
}

#[test]
fn a_torn_last_line_is_mended_without_losing_a_whole_one() {
    let scratch = Scratch::new("torn");
    let path = place(&scratch);
    let audit = begin(&path, 0).unwrap();
    run(&audit, 1);
    run(&audit, 2);
    abandon(audit);
    let whole = fs::read(&path).unwrap();
    let lines = whole.split_inclusive(|byte| *byte == b'\n').count();
    let last = whole[..whole.len() - 1]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .unwrap()
        + 1;
    let edges = [last, last + 1, whole.len() - 2, whole.len() - 1];
    for length in (last..whole.len()).step_by(9).chain(edges) {
        fs::write(&path, &whole[..length]).unwrap();
        let audit = begin(&path, 0).unwrap();
        abandon(audit);
        assert_sound(&[&path]);
        let found = records(&path);
        // All but the last newline: the record was whole.
        let kept = if length == whole.len() - 1 {
            lines
        } else {
            lines - 1
        };
        assert_eq!(found[kept]["type"], "audit_boot", "cut at {length}");
        assert!(fs::read(&path).unwrap().starts_with(&whole[..last]));
        let torn = if kept == lines { 0 } else { length - last };
        assert_eq!(found[kept]["mended_bytes"], torn);
        // The end that was torn off is written anew, as far as anything is known of it.
        assert_eq!(found[kept]["closed"], lines - kept);
    }
}

#[test]
fn rubbish_behind_the_last_line_is_cut_off() {
    let scratch = Scratch::new("rubbish");
    let path = place(&scratch);
    abandon(begin(&path, 0).unwrap());
    for rubbish in [&[0; 5_000][..], b"{\"type\":\"audit\"", &[b'x'; 3_000_000]] {
        scribble(&path, rubbish);
        abandon(begin(&path, 0).unwrap());
        assert_sound(&[&path]);
        let found = records(&path);
        assert_eq!(found[found.len() - 2]["mended_bytes"], rubbish.len());
    }
    // A file of which nothing was ever whole begins anew.
    fs::write(&path, "{\"type\":\"audit_gen").unwrap();
    abandon(begin(&path, 0).unwrap());
    assert_eq!(records(&path)[0]["type"], "audit_genesis");
}

#[test]
fn a_damaged_file_is_not_continued() {
    let scratch = Scratch::new("damaged");
    let path = place(&scratch);
    let audit = begin(&path, 0).unwrap();
    run(&audit, 1);
    abandon(audit);
    let whole = fs::read_to_string(&path).unwrap();
    let refused = |text: &str, expected: &str| {
        fs::write(&path, text).unwrap();
        let error = begin(&path, 0).map(drop).unwrap_err().for_operator();
        assert!(error.contains(expected), "{error}");
        assert!(error.contains(path.to_str().unwrap()), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text, "left as it was");
    };
    refused(&whole.replace("\"web1\"", "\"web2\""), "line 3 was changed");
    refused(&format!("{whole}\n"), "line 6 is not a record");
    refused(
        &format!("{}\n{whole}", "x".repeat(2_000_000)),
        "line 1 is longer",
    );
    let (_, beheaded) = whole.split_once('\n').unwrap();
    refused(beheaded, "line 1 does not belong there");
    refused(&format!("{whole}{whole}"), "line 6 does not belong there");
}

#[test]
fn one_file_has_one_server_and_is_a_regular_one() {
    let scratch = Scratch::new("exclusive");
    let path = place(&scratch);
    let audit = begin(&path, 0).unwrap();
    let error = begin(&path, 0).map(drop).unwrap_err().for_operator();
    assert!(error.contains("another server is writing it"), "{error}");
    drop(audit);
    begin(&path, 0).unwrap().close("end_of_input");

    let link = scratch.path().join("link.jsonl");
    symlink(&path, &link).unwrap();
    assert!(begin(&link, 0).is_err());
    let fifo = scratch.path().join("fifo.jsonl");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let error = begin(&fifo, 0).map(drop).unwrap_err().for_operator();
    assert!(error.contains("not a regular file"), "{error}");
    let directory = scratch.path().join("directory.jsonl");
    fs::create_dir(&directory).unwrap();
    assert!(begin(&directory, 0).is_err());
}

#[test]
fn a_renamed_file_is_followed_by_another_at_the_next_record() {
    let scratch = Scratch::new("renamed");
    let path = place(&scratch);
    let audit = begin(&path, 0).unwrap();
    run(&audit, 1);
    let open = audit
        .allow(&alias(), hash(), Grounds::default())
        .start(&task(2))
        .unwrap();
    let aside = scratch.path().join("audit.jsonl.1");
    fs::rename(&path, &aside).unwrap();
    // Nobody has to say so: the next record is where the name leads.
    run(&audit, 3);
    audit.reopen();
    run(&audit, 4);
    open.finish(ended());
    // A signal without a rename changes nothing.
    let inode = fs::metadata(&path).unwrap().ino();
    audit.reopen();
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
    // logrotate's 'create' leaves an empty file in the place.
    let second = scratch.path().join("audit.jsonl.2");
    fs::rename(&path, &second).unwrap();
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    run(&audit, 5);
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640, "its mode is kept");
    audit.reopen();
    run(&audit, 6);
    audit.close("end_of_input");
    drop(audit);

    let report = assert_sound(&[&aside, &second, &path]);
    assert!(
        report.contains("6 commands started, 6 ended (0 interrupted)"),
        "{report}"
    );
    let found = records(&second);
    assert_eq!(found[0]["type"], "audit_rotate");
    assert_eq!(found[0]["reason"], "reopened");
    assert_eq!(found[1]["tasks"][0], task(2).as_str());
    assert_eq!(count(&records(&aside), "audit_start"), 2);
    assert!(
        log(&path).iter().all(|r| r["level"].is_null()),
        "nothing went wrong"
    );
    // The chain goes on at the next start from the file that is there.
    begin(&path, 0).unwrap().close("end_of_input");
    assert_sound(&[&aside, &second, &path]);
}

#[test]
fn a_rotation_that_a_crash_cut_short_is_finished_at_the_next_start() {
    let scratch = Scratch::new("half-rotated");
    let path = place(&scratch);
    let next = scratch.path().join("audit.jsonl.next");
    let audit = begin(&path, 2_000).unwrap();
    let open = audit
        .allow(&alias(), hash(), Grounds::default())
        .start(&task(1))
        .unwrap();
    let mut number = 10;
    while family(&path).len() == 1 {
        run(&audit, number);
        number += 1;
    }
    std::mem::forget(open);
    abandon(audit);

    // The crash came between the two renames: the next file is whole under its own name.
    let copy = Scratch::new("half-rotated-copy");
    let there = place(&copy);
    for file in family(&path) {
        fs::copy(&file, copy.path().join(file.file_name().unwrap())).unwrap();
    }
    fs::rename(&there, copy.path().join("audit.jsonl.next")).unwrap();
    let audit = begin(&there, 0).unwrap();
    audit.close("end_of_input");
    drop(audit);
    let files = family(&there);
    let report = assert_sound(&paths(&files));
    assert!(report.contains("(1 interrupted)"), "{report}");
    assert!(
        records(&there)
            .iter()
            .any(|r| r["interrupted"] == true && r["task_id"] == task(1).as_str())
    );

    // The crash came before the first rename: what was prepared is void.
    let files = family(&there);
    fs::write(copy.path().join("audit.jsonl.next"), "half a rec").unwrap();
    begin(&there, 0).unwrap().close("end_of_input");
    assert_eq!(family(&there).len(), files.len());
    assert_sound(&paths(&files));
    assert!(!next.exists());
}

#[test]
fn a_dropped_start_is_an_interrupted_end() {
    let scratch = Scratch::new("dropped");
    let path = place(&scratch);
    let audit = begin(&path, 0).unwrap();
    drop(
        audit
            .allow(&alias(), hash(), Grounds::default())
            .start(&task(1))
            .unwrap(),
    );
    drop(audit.allow(&alias(), hash(), Grounds::default()));
    let end = AuditEnd {
        cancelled: true,
        ..AuditEnd::unknown()
    };
    audit
        .allow(&alias(), hash(), Grounds::default())
        .not_started(end);
    audit.close("end_of_input");
    let found = records(&path);
    assert_eq!(count(&found, "policy_decision"), 3);
    assert_eq!(count(&found, "audit_start"), 1);
    let ends: Vec<_> = found.iter().filter(|r| r["type"] == "audit").collect();
    assert_eq!(ends.len(), 2);
    assert_eq!(ends[0]["interrupted"], true);
    assert_eq!(
        (&ends[1]["cancelled"], ends[1].get("interrupted")),
        (&true.into(), None)
    );
}

#[test]
fn a_cut_file_is_seen_at_once() {
    let scratch = Scratch::new("cut");
    let path = place(&scratch);
    let audit = begin(&path, 0).unwrap();
    run(&audit, 1);
    let length = fs::metadata(&path).unwrap().len();
    cut(&path, length - 1);
    let error = audit
        .allow(&alias(), hash(), Grounds::default())
        .start(&task(2))
        .map(drop);
    assert!(
        error
            .unwrap_err()
            .for_operator()
            .contains("somebody else changed it")
    );
}

#[test]
fn the_head_goes_to_the_log_from_time_to_time_once_it_is_on_disk() {
    let scratch = Scratch::new("heads");
    let path = place(&scratch);
    let audit = begin(&path, 0).unwrap();
    for number in 0..400 {
        run(&audit, number);
    }
    let heads = || {
        let log = log(&path);
        let heads = log.into_iter().filter(|r| r["type"] == "audit_head");
        heads.collect::<Vec<_>>()
    };
    crate::common::wait_until("a head without an end", || !heads().is_empty());
    let head = &heads()[0];
    let record = &records(&path)[usize::try_from(head["seq"].as_u64().unwrap()).unwrap()];
    assert_eq!(
        (&head["seq"], &head["head"]),
        (&record["seq"], &record["sha256"])
    );
    let given = head["head"].as_str().unwrap().to_owned();
    audit.close("end_of_input");
    let (sound, report) = crate::ledger::verdict(&[&path], Some(&given));
    assert!(sound, "{report}");
}
