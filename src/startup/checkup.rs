//! `check`: whether the server would start, found out by doing all of the boot but the
//! serving.
//!
//! Owns what is said of this machine beside the report on the files: the process really
//! becomes the user and really closes the sandbox, so that nothing is promised that the
//! boot would not do. Connects nowhere and writes nothing. Called by `startup`.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::Arc;

use crate::audit;
use crate::cli::commands::check::{self, Fact, Report, Standing};
use crate::cli::{Sandbox as Level, Settings, VARIABLES};
use crate::config::{Dirs, Environment, Snapshot};
use crate::startup::sandbox::{self, Scope};
use crate::startup::{
    NEEDED, Outcome, agent_trouble, grants, identity, open, open_audit_file, reports, usable,
};
use crate::sys::single_threaded::SingleThreaded;
use crate::sys::{privileges, process};

pub(crate) fn check(
    alone: &SingleThreaded,
    settings: &Settings,
    environment: &Environment,
    json: bool,
) -> Outcome {
    // Asked before the filter closes, which has no terminal's ioctl(2).
    let colour = io::stdout().is_terminal() && !environment_says_no_colour();
    let dirs = open(settings);
    let mut report = check::check(&dirs, environment);
    examine(alone, settings, &dirs, environment, &mut report);
    let text = if json {
        report.json()
    } else {
        report.text(colour)
    };
    let good = report.is_good();
    reports::print(|out| out.write_all(text.as_bytes()).map(|()| good))
}

fn environment_says_no_colour() -> bool {
    process::variable_is_set("NO_COLOR")
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
    let place = match open_audit_file(settings) {
        Ok(place) => place,
        Err(error) => return report.add(bad("audit_file", error)),
    };
    let path = settings.audit_file.as_deref();
    let usable = || usable(dirs, environment, path);
    let identity = match identity::settle(alone, settings.user, usable) {
        Ok(identity) => identity,
        Err(error) => return report.add(bad("user", error)),
    };
    match &identity.note {
        None => report.add(good(
            "user",
            format!("uid {}, without capabilities", identity.uid),
        )),
        // Nobody can read a configuration that does not load: that is no doubt of its own.
        Some(note) if report.snapshot().is_some() => report.add(doubtful("user", note.clone())),
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
    if let Some(path) = path {
        report.add(audit_file(path));
    }
    let scope = report.snapshot().map(Scope::of).unwrap_or_default();
    match sandbox::close(
        alone,
        settings.sandbox,
        identity,
        scope,
        grants(dirs, place.as_ref()),
    ) {
        Ok(confined) => sandbox(&confined.report, settings.sandbox)
            .into_iter()
            .for_each(|fact| report.add(fact)),
        Err(error) => report.add(bad("sandbox", error)),
    }
}

fn audit_file(path: &Path) -> Fact {
    let shown = path.display();
    if fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) {
        bad("audit_file", format!("{shown} is not a regular file"))
    } else if process::can_write_beside(path) {
        good("audit_file", shown.to_string())
    } else {
        let uid = privileges::user();
        bad(
            "audit_file",
            format!("uid {uid} cannot write {shown} or beside it"),
        )
    }
}

fn sandbox(achieved: &audit::Sandbox, level: Level) -> Vec<Fact> {
    let mut facts = Vec::new();
    if achieved.landlock_abi > 0 {
        let abi = achieved.landlock_abi;
        facts.push(good(
            "landlock",
            format!("in force (ABI {abi}): files and TCP ports"),
        ));
    }
    if achieved.seccomp {
        facts.push(good("seccomp", "in force: system calls".to_owned()));
    }
    // The user's note is among them and has been said.
    let missing = achieved
        .missing
        .iter()
        .filter(|text| !text.contains("uid 0"));
    if level != Level::Required {
        facts.extend(missing.map(|text| doubtful("sandbox", format!("missing: {text}"))));
    }
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
