//! `check`: whether the server would start, found out by doing all of the boot but the
//! serving.
//!
//! Owns the rehearsal: the process really becomes the user and really closes the sandbox,
//! so that nothing is promised that the boot would not do. Connects nowhere and writes
//! nothing. Called by the parent, which has the report printed.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use crate::cli::commands::check::{Fact, Report, Standing};
use crate::cli::commands::output::directories;
use crate::cli::{Settings, VARIABLES};
use crate::config::{Dirs, Environment, Snapshot, load};
use crate::startup::inputs::{NEEDED, NoPlace, Places, agent_trouble, grants, usable, written};
use crate::startup::proof::Proof;
use crate::startup::sandbox::{self, Confinement, Demand, Scope};
use crate::startup::{accounts, identity, logins};
use crate::sys::single_threaded::SingleThreaded;
use crate::sys::{privileges, process};
use crate::task::approvals::desk::Desk;

/// Loads the configuration as the server would, looks at the logins, and goes the way of
/// the boot.
pub(crate) fn rehearse(
    alone: &SingleThreaded,
    settings: &Settings,
    environment: &Environment,
) -> Report {
    let dirs = directories(settings);
    let mut report = Report::new(&dirs, load(&dirs, environment));
    let failing = report.snapshot().map(logins::failing);
    report.warn(failing.into_iter().flatten());
    examine(alone, settings, &dirs, environment, &mut report);
    report
}

/// Goes the way of the boot, and adds a fact for each step.
fn examine(
    alone: &SingleThreaded,
    settings: &Settings,
    dirs: &Arc<Dirs>,
    environment: &Environment,
    report: &mut Report,
) {
    for text in environment.strangers(&VARIABLES) {
        report.add(doubtful("environment", text));
    }
    let places = match Places::open(settings, dirs) {
        Ok(places) => places,
        Err(NoPlace(name, error)) => {
            // As the report has named them since the first version.
            let name = match name {
                "audit-file" => "audit_file",
                "audit-dir" => "audit_dir",
                "log-file" => "log_file",
                "log-syslog" => "log_syslog",
                "metrics-file" => "metrics_file",
                "transfer-dir" => "transfer_dir",
                _ => "approvals",
            };
            return report.add(bad(name, error));
        }
    };
    // Nobody can read a configuration that does not load.
    let loaded = report.snapshot();
    let usable = || loaded.is_some_and(|it| usable(dirs, environment, it, &written(settings)));
    let user = match accounts::find_some(settings.user.as_ref()) {
        Ok(user) => user,
        Err(error) => return report.add(bad("user", format!("--user: {error}"))),
    };
    let identity = match identity::settle(alone, user, usable) {
        Ok(identity) => identity,
        Err(error) => return report.add(bad("user", error)),
    };
    match &identity.still_root {
        None => report.add(good(
            "user",
            format!("uid {}, without capabilities", identity.uid),
        )),
        // Of one that does not load it is no doubt of its own.
        Some(reason) if report.snapshot().is_some() => {
            report.add(doubtful("user", reason.to_string()));
        }
        Some(_) => {}
    }
    for path in report
        .snapshot()
        .map(Snapshot::unreadable)
        .unwrap_or_default()
    {
        let (uid, shown) = (privileges::user(), path.display());
        report.add(doubtful(
            "user",
            format!("uid {uid} cannot read {shown}: {NEEDED}"),
        ));
    }
    let agent = report
        .snapshot()
        .and_then(|snapshot| agent_trouble(snapshot, environment));
    if let Some(trouble) = agent {
        report.add(doubtful("agent", trouble));
    }
    let asks = report.snapshot().is_some_and(Snapshot::asks_operator);
    if asks && places.desk.is_none() {
        report.add(doubtful(
            "approvals",
            "a login asks the operator (ask: operator), and nobody can be asked: start with \
             --approvals-dir"
                .to_owned(),
        ));
    }
    let page = report.snapshot().and_then(Snapshot::approval_url).is_some();
    match places.desk.as_ref().map(Desk::trusted) {
        None if page => report.add(doubtful(
            "approvals",
            "approval_url is a page of approvals, and none are asked for out of band: start with \
             --approvals-dir"
                .to_owned(),
        )),
        None => {}
        Some(Ok(owner)) => {
            let page = match page {
                true => "; clients that can are pointed to approval_url",
                false => "",
            };
            report.add(good(
                "approvals",
                format!("by uid {owner}, out of band{page}"),
            ));
        }
        Some(Err(error)) => report.add(bad("approvals", error)),
    }
    if let Some(path) = &settings.audit_file {
        report.add(written_file("audit_file", path));
    }
    if let Some(path) = &settings.audit_dir {
        report.add(written_directory("audit_dir", path));
    }
    if let Some(path) = &settings.transfer_dir {
        report.add(written_directory("transfer_dir", path));
    }
    if let Some(path) = &settings.log_file {
        report.add(written_file("log_file", path));
    }
    if let Some(syslog) = &places.syslog {
        report.add(match syslog.trouble() {
            None => good("log_syslog", syslog.shown().display().to_string()),
            // The server starts all the same, and goes on trying.
            Some(trouble) => doubtful("log_syslog", trouble),
        });
    }
    if let Some(path) = &settings.metrics_file {
        report.add(written_file("metrics_file", path));
    }
    let scope = report.snapshot().map(Scope::of).unwrap_or_default();
    let scope = scope.and_syslog(places.syslog.is_some());
    let proof = Proof::before(dirs, report.snapshot());
    let grants = grants(dirs, &places);
    match sandbox::close(alone, &Demand::of(settings), identity, scope, grants) {
        Ok(confined) => {
            for fact in sandbox(&confined) {
                report.add(fact);
            }
            if let Err(hidden) = proof.after() {
                report.add(bad("sandbox", hidden));
            }
        }
        Err(error) => report.add(bad("sandbox", error)),
    }
}

fn written_file(name: &'static str, path: &Path) -> Fact {
    let shown = path.display();
    if fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) {
        bad(name, format!("{shown} is not a regular file"))
    } else if process::can_write_beside(path) {
        good(name, shown.to_string())
    } else {
        let uid = privileges::user();
        bad(name, format!("uid {uid} cannot write {shown} or beside it"))
    }
}

fn written_directory(name: &'static str, path: &Path) -> Fact {
    let shown = path.display();
    match process::can_write_beside(&path.join("records")) {
        true => good(name, shown.to_string()),
        false => {
            let uid = privileges::user();
            bad(name, format!("uid {uid} cannot write in {shown}"))
        }
    }
}

fn sandbox(confined: &Confinement) -> Vec<Fact> {
    let achieved = &confined.report;
    let mut facts = Vec::new();
    let ports = if achieved.rights.contains(&"tcp") {
        "files and TCP ports"
    } else {
        "files"
    };
    if achieved.landlock_abi > 0 {
        let abi = achieved.landlock_abi;
        facts.push(good("landlock", format!("in force (ABI {abi}): {ports}")));
    }
    if achieved.seccomp {
        facts.push(good("seccomp", "in force: system calls".to_owned()));
    }
    let missing = confined.missing.iter();
    facts.extend(missing.map(|what| doubtful("sandbox", format!("missing: {what}"))));
    facts
}

fn good(name: &'static str, text: String) -> Fact {
    fact(name, text, Standing::Good)
}

fn doubtful(name: &'static str, text: String) -> Fact {
    fact(name, text, Standing::Warning)
}

fn bad(name: &'static str, text: impl ToString) -> Fact {
    fact(name, text.to_string(), Standing::Bad)
}

fn fact(name: &'static str, text: String, standing: Standing) -> Fact {
    Fact {
        name,
        text,
        standing,
    }
}
