//! A disk that says no: full, failing, read-only, or with another file in the place. The
//! command does not run, nothing half written stays, and what has been decided comes on
//! the record as soon as the disk says yes again.
//!
//! The disks are real: a small tmpfs, and ext4 on a loop device whose own disk fills up
//! or whose file system is told that it has an error. Each test has a mount namespace of
//! its own, which takes the mounts with it when it ends. Needs root.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{Scratch, tool};
use crate::ledger::{
    alias, assert_sound, begin, count, ended, hash, log, records, run, scribble, task, verdict,
};
use mcp_ssh_orchestrator::testing::audit::{
    Audit, AuditEnd, AuditError, Grounds, Kept, Patterns, Started,
};
use mcp_ssh_orchestrator::testing::model::names::OnAuditFailure;
use nix::sched::{CloneFlags, unshare};

/// A directory, and what this thread mounts its own from now on. In this order: who
/// removes the directory at the end is started with it, and must not see the mounts.
pub(super) fn own_mounts(name: &str) -> Scratch {
    let scratch = Scratch::new(name);
    let own = unshare(CloneFlags::CLONE_NEWNS);
    own.expect("a mount namespace: run the tests as root");
    sh("mount --make-rprivate /", Path::new("/"));
    scratch
}

pub(super) fn sh(script: &str, directory: &Path) -> String {
    for name in ["mount", "mkfs.ext4", "losetup"] {
        tool(name);
    }
    let output = Command::new("/bin/sh")
        .args(["-ec", script])
        .current_dir(directory)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {text}{error}");
    text
}

/// Takes all the room that is left in a directory. Removing the file gives it back.
fn fill(directory: &Path) -> PathBuf {
    let path = directory.join("filler");
    // Down to the last byte: first in large pieces, then in small ones.
    sh(
        "dd if=/dev/zero of=filler bs=4096 2>/dev/null || true
         dd if=/dev/zero of=filler bs=1 oflag=append conv=notrunc count=8192 2>/dev/null || true",
        directory,
    );
    path
}

pub(super) fn start(audit: &Audit, number: u64) -> Result<Started, AuditError> {
    audit
        .allow(&alias(), hash(), Grounds::default())
        .start(&task(number))
}

/// The command is refused with a cause for the operator, and none of it for the client.
pub(super) fn refused(audit: &Audit, number: u64, cause: &str) {
    let error = start(audit, number).map(|started| started.finish(ended()));
    let error = error.expect_err(&format!("refused for: {cause}"));
    assert!(error.for_operator().contains(cause), "{error}");
    assert!(error.for_assistant().contains("was not run"));
    assert!(!error.for_assistant().contains('/'));
}

/// Each start has its end, and each decision is there.
fn complete(files: &[&Path], decisions: usize, runs: usize) {
    let report = assert_sound(files);
    let counted = format!("{runs} commands started, {runs} ended (0 interrupted)");
    assert!(report.contains(&counted), "{report}");
    let found: Vec<_> = files.iter().flat_map(|file| records(file)).collect();
    assert_eq!(count(&found, "policy_decision"), decisions);
}

#[test]
fn a_full_disk_refuses_commands_until_there_is_room() {
    let scratch = own_mounts("full");
    sh("mount -t tmpfs -o size=256k none .", scratch.path());
    let directory = scratch.path().canonicalize().unwrap();
    let path = directory.join("audit.jsonl");
    // The log goes elsewhere: stderr is not on the full disk.
    let audit = {
        let audit = begin(&path, 0).unwrap();
        run(&audit, 1);
        audit
    };
    let open = start(&audit, 2).unwrap();
    let filler = fill(&directory);
    // What still fits into the last page goes through; then nothing does.
    let mut fitted = 0_u32;
    while let Ok(started) = start(&audit, 100 + u64::from(fitted)) {
        started.finish(ended());
        fitted += 1;
        assert!(fitted < 100, "the disk is not full");
    }
    for number in 0..5 {
        refused(&audit, 500 + number, "No space left on device");
    }
    // The end of a command that was running must not be lost.
    open.finish(ended());
    let (sound, report) = verdict(&[&path], None);
    assert!(sound, "no half record while the disk is full: {report}");

    fs::remove_file(filler).unwrap();
    run(&audit, 3);
    audit.close("end_of_input");
    let runs = 3 + usize::try_from(fitted).unwrap();
    complete(&[&path], runs + 6, runs);
    let found = records(&path);
    assert!(count(&found, "audit_gap") == 0);
}

#[test]
fn a_full_disk_may_be_a_warning() {
    let scratch = own_mounts("warn");
    sh(
        "mkdir small && mount -t tmpfs -o size=64k none small",
        scratch.path(),
    );
    let small = scratch.path().join("small");
    let path = small.join("audit.jsonl");
    let audit = ledger_with_log(&path, &scratch.path().join("log"));
    audit.configure(Patterns::none(), OnAuditFailure::Warn);
    run(&audit, 1);
    let filler = fill(&small);
    let mut number = 2;
    while count(&records(&scratch.path().join("log")), "audit") < 60 {
        start(&audit, number).unwrap().finish(ended());
        number += 1;
    }
    let log = records(&scratch.path().join("log"));
    let says = |msg: &str| log.iter().filter(|record| record["msg"] == msg).count();
    assert_eq!(says("audit_failed"), 1, "said once, not for each record");
    assert!(says("audit_unrecorded") > 10, "said for each command");
    fs::remove_file(filler).unwrap();
    run(&audit, number);
    audit.close("end_of_input");
    let found = records(&path);
    assert_sound(&[&path]);
    // Every decision and end is there; the starts that could not be written are not.
    assert_eq!(count(&found, "policy_decision") as u64, number);
    assert_eq!(count(&found, "audit") as u64, number);
    assert!(count(&found, "audit_start") < 60);
    let log = records(&scratch.path().join("log"));
    assert_eq!(count_msg(&log, "audit_recovered"), 1);
}

fn count_msg(records: &[serde_json::Value], msg: &str) -> usize {
    records.iter().filter(|record| record["msg"] == msg).count()
}

/// A record whose plain log is not beside the file.
pub(super) fn ledger_with_log(path: &Path, log: &Path) -> Audit {
    let log = fs::File::create(log).unwrap();
    let audit = Audit::to(log);
    let place = mcp_ssh_orchestrator::testing::audit::Place::open(path, 0).unwrap();
    audit
        .begin(Some(Kept::File(place)), crate::ledger::server())
        .unwrap();
    audit
}

#[test]
fn more_than_memory_holds_is_counted_as_lost() {
    let scratch = own_mounts("lost");
    sh(
        "mkdir small && mount -t tmpfs -o size=64k none small",
        scratch.path(),
    );
    let small = scratch.path().join("small");
    let path = small.join("audit.jsonl");
    let audit = ledger_with_log(&path, Path::new("/dev/null"));
    let filler = fill(&small);
    // Some 150 bytes each: 1 MiB of them and then some.
    for _ in 0..12_000 {
        audit.deny(&alias(), hash(), Grounds::default());
    }
    fs::remove_file(filler).unwrap();
    // The disk itself has to take what was kept.
    sh("mount -o remount,size=32m small", scratch.path());
    audit.close("end_of_input");
    assert_sound(&[&path]);
    let found = records(&path);
    let gap = found.iter().find(|record| record["type"] == "audit_gap");
    let lost = usize::try_from(gap.unwrap()["lost"].as_u64().unwrap()).unwrap();
    assert!(lost > 0);
    assert_eq!(count(&found, "policy_decision") + lost, 12_000);
}

/// ext4 on a loop device on a tmpfs of 4 MiB: it fills up beneath the file system's feet.
fn fragile(scratch: &Scratch) -> PathBuf {
    let script = "mkdir base disk && mount -t tmpfs -o size=4m none base
        truncate -s 16m base/image && mkfs.ext4 -q -F -E nodiscard base/image
        mount -o loop,errors=remount-ro base/image disk";
    sh(script, scratch.path());
    scratch.path().join("disk")
}

#[test]
fn an_error_on_the_way_to_the_disk_refuses_commands_until_there_is_another_file() {
    let scratch = own_mounts("eio");
    let disk = fragile(&scratch);
    let path = disk.join("audit.jsonl");
    let log = scratch.path().join("log");
    let audit = ledger_with_log(&path, &log);
    run(&audit, 1);
    let filler = fill(&scratch.path().join("base"));
    // Blocks that the image has already can still be written; new ones cannot.
    let mut number = 2;
    let failed = loop {
        for _ in 0..200 {
            audit.deny(&alias(), hash(), Grounds::default());
        }
        match start(&audit, number) {
            Ok(started) => started.finish(ended()),
            Err(error) => break error.for_operator(),
        }
        number += 1;
        assert!(number < 200, "the disk does not fail");
    };
    assert!(failed.contains("cannot bring it to disk"), "{failed}");
    // There is room again, but what was written before may be gone: still refused.
    fs::remove_file(filler).unwrap();
    refused(&audit, 900, "cannot bring it to disk");
    // A signal alone does not mend it; another file does.
    audit.reopen();
    refused(&audit, 901, "cannot bring it to disk");
    let aside = disk.join("audit.jsonl.1");
    fs::rename(&path, &aside).unwrap();
    audit.reopen();
    run(&audit, 902);
    audit.close("end_of_input");
    let report = assert_sound(&[&aside, &path]);
    // The start that was refused is in the file, and so is what became of it: nothing.
    let found = [records(&aside), records(&path)].concat();
    let (starts, ends) = (count(&found, "audit_start"), count(&found, "audit"));
    let withdrawn = count(&found, "audit_withdrawn");
    assert_eq!(starts, ends + withdrawn, "{report}");
    assert!(withdrawn >= 1, "{report}");
    assert!(count_msg(&records(&log), "audit_refused") >= 3);
}

#[test]
fn a_file_system_that_turned_read_only_refuses_commands() {
    let scratch = own_mounts("read-only");
    let disk = fragile(&scratch);
    let path = disk.join("audit.jsonl");
    let audit = ledger_with_log(&path, &scratch.path().join("log"));
    run(&audit, 1);
    // What the kernel does after an error on the disk, asked for here.
    let script = "device=$(findmnt -no SOURCE disk)
        echo 1 > /sys/fs/ext4/${device##*/}/trigger_fs_error";
    sh(script, scratch.path());
    for number in 2..5 {
        refused(&audit, number, "Read-only file system");
    }
    assert_sound(&[&path]);
    assert_eq!(count(&records(&path), "audit_start"), 1);
    // And at the start of a server.
    drop(audit);
    let other = disk.join("other.jsonl");
    let error = begin_quietly_fails(&other);
    assert!(error.contains("Read-only file system"), "{error}");
}

fn begin_quietly_fails(path: &Path) -> String {
    let audit = Audit::to(fs::File::create("/dev/null").unwrap());
    let place = mcp_ssh_orchestrator::testing::audit::Place::open(path, 0).unwrap();
    let begun = audit.begin(Some(Kept::File(place)), crate::ledger::server());
    begun.unwrap_err().for_operator()
}

#[test]
fn another_file_in_the_place_refuses_commands() {
    let scratch = Scratch::new("replaced");
    let path = scratch.path().join("audit.jsonl");
    let audit = begin(&path, 0).unwrap();
    run(&audit, 1);
    let aside = scratch.path().join("aside");

    // Replaced by a copy of itself, as an editor does.
    fs::rename(&path, &aside).unwrap();
    fs::copy(&aside, &path).unwrap();
    refused(&audit, 2, "stands for another file");
    // The signal does not make the other file ours.
    audit.reopen();
    refused(&audit, 3, "stands for another file");
    fs::rename(&aside, &path).unwrap();
    run(&audit, 4);

    // Replaced by a link to itself.
    fs::rename(&path, &aside).unwrap();
    std::os::unix::fs::symlink(&aside, &path).unwrap();
    refused(&audit, 5, "stands for another file");
    fs::rename(&aside, &path).unwrap();
    run(&audit, 6);

    // Written to by somebody else.
    let length = fs::metadata(&path).unwrap().len();
    scribble(&path, b"{}\n");
    refused(&audit, 7, "somebody else changed it");
    crate::ledger::cut(&path, length);
    run(&audit, 8);

    // Deleted: the chain goes on in a new file, once the operator says so.
    fs::remove_file(&path).unwrap();
    refused(&audit, 9, "it was deleted");
    audit.reopen();
    run(&audit, 10);
    audit.close("end_of_input");
    let (sound, report) = verdict(&[&path], None);
    assert!(
        sound && report.contains("continues a file that was not given"),
        "{report}"
    );
    let log = log(&path);
    assert_eq!(count_msg(&log, "audit_refused"), 5);
    assert_eq!(count_msg(&log, "audit_not_reopened"), 1);
    // Each decision is in the log and, as it was kept in memory meanwhile, in a file.
    assert_eq!(count(&log, "policy_decision"), 10);
}

#[test]
fn without_a_file_an_unread_log_refuses_commands() {
    let (read, write) = nix::unistd::pipe().unwrap();
    let audit = Audit::to(write);
    drop(start(&audit, 1).unwrap());
    drop(read);
    let error = start(&audit, 2).map(drop).unwrap_err();
    assert!(error.for_operator().contains("nobody reads it"), "{error}");
    audit.configure(Patterns::none(), OnAuditFailure::Warn);
    start(&audit, 3).unwrap().finish(AuditEnd::unknown());
}
