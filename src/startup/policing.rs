//! `plan`, `policy test` and `policy tables`: the policy without a server.
//!
//! Owns loading the configuration for them and finding the host; the policy makes the
//! reports. Connects nowhere. Called by `startup`.

use std::path::Path;

use crate::cli::Settings;
use crate::cli::commands::plan::{self, Plan};
use crate::config::{Environment, Host, HostAddress, Snapshot, load};
use crate::model::names::HostAlias;
use crate::startup::{Outcome, open, reports, say};

/// Largest file of expectations, in bytes.
const EXPECTATIONS_MAX: u64 = 10 * 1024 * 1024;

pub(crate) fn plan(
    settings: &Settings,
    environment: &Environment,
    alias: &str,
    command: &str,
    json: bool,
) -> Outcome {
    let Some(snapshot) = snapshot(settings, environment) else {
        return Outcome::Problems;
    };
    let Some(host) = host(&snapshot, alias) else {
        say(&format!("no host '{alias}' in servers.yml"));
        return Outcome::Problems;
    };
    let command = command.trim();
    let subject = host.subject();
    let plan = Plan {
        subject,
        command,
        explanation: snapshot.policy().explain(&subject, command),
        limits: snapshot.policy().limits(host.alias.as_str(), &host.tags),
        network: network(&snapshot, host),
    };
    let text = if json { plan.json() } else { plan.text() };
    reports::print(|out| out.write_all(text.as_bytes()).map(|()| !plan.is_denied()))
}

pub(crate) fn test(settings: &Settings, environment: &Environment, file: &Path) -> Outcome {
    let Some(snapshot) = snapshot(settings, environment) else {
        return Outcome::Problems;
    };
    let text = match read(file) {
        Ok(text) => text,
        Err(error) => {
            say(&format!("{}: {error}", file.display()));
            return Outcome::Problems;
        }
    };
    let expectations = match plan::expectations(&text) {
        Ok(expectations) => expectations,
        Err(error) => {
            say(&format!("{}: {error}", file.display()));
            return Outcome::Problems;
        }
    };
    let wrong: Vec<String> = expectations
        .iter()
        .filter_map(|expected| match host(&snapshot, expected.alias) {
            Some(host) => expected.check(snapshot.policy(), &host.subject()),
            None => Some(format!(
                "line {}: no host '{}' in servers.yml",
                expected.line, expected.alias
            )),
        })
        .collect();
    reports::print(|out| {
        for line in &wrong {
            writeln!(out, "{line}")?;
        }
        let (passed, failed) = (expectations.len() - wrong.len(), wrong.len());
        writeln!(out, "{passed} passed, {failed} failed")?;
        Ok(wrong.is_empty())
    })
}

pub(crate) fn tables() -> Outcome {
    reports::print(|out| out.write_all(plan::tables().as_bytes()).map(|()| true))
}

fn snapshot(settings: &Settings, environment: &Environment) -> Option<Snapshot> {
    match load(&open(settings), environment) {
        Ok(loaded) => Some(loaded.snapshot),
        Err(error) => {
            say(&error.for_operator());
            None
        }
    }
}

fn read(file: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    let read = std::fs::File::open(file)?
        .take(EXPECTATIONS_MAX + 1)
        .read_to_string(&mut text)?;
    // A part of it would pass for the whole.
    if u64::try_from(read).is_ok_and(|read| read > EXPECTATIONS_MAX) {
        let text = format!("it has more than {EXPECTATIONS_MAX} bytes");
        return Err(std::io::Error::other(text));
    }
    Ok(text.trim_start_matches('\u{feff}').to_owned())
}

fn host<'s>(snapshot: &'s Snapshot, alias: &str) -> Option<&'s Host> {
    snapshot.host(&HostAlias::parse(alias).ok()?)
}

fn network(snapshot: &Snapshot, host: &Host) -> String {
    match &host.address {
        HostAddress::Literal(address) => {
            match snapshot.policy().network().pin(*address, host.port) {
                Ok(_) => format!("{address} is allowed"),
                Err(refused) => format!("{address} is {refused}"),
            }
        }
        HostAddress::Name(name) => {
            let name = name.as_str();
            format!("{name} is resolved and its addresses are checked at each run")
        }
    }
}
