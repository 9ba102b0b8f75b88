//! `audit show [FILE|DIR]...`: records one by one, by time, for people and for programs.
//!
//! Owns the filters and the waiting for more. Proves nothing beyond each record's own seal (that is
//! `verify`), and marks what does not match it. Whatever a file holds, nothing but
//! printable text goes out. Called by `startup` for the subcommand.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::audit::timestamp::Ts;
use crate::cli::Outcome;
use crate::cli::commands::audit::forms::Form;
use crate::cli::commands::audit::records::{self, Followed, Read, Record, is_a_yes};
use crate::cli::commands::output::{self, say};
use crate::model::text::visible;

/// How often `--follow` looks.
const LOOK: Duration = Duration::from_millis(300);

/// Which records to print.
#[derive(Debug, Default)]
pub struct Filter {
    /// Only those of this host.
    pub alias: Option<String>,
    /// Only those from this moment on.
    pub since: Option<Since>,
    /// Only refusals: by the policy, by a person, of a disguised command.
    pub denied: bool,
}

/// A moment as people write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Since(Ts);

impl Since {
    /// What [`Since::parse`] accepts.
    pub const FORMS: &'static str = "2025-11-02, 2025-11-02T14:36 or 2025-11-02T14:36:07 (UTC), Unix seconds, \
         or an age such as 90s, 30m, 2h, 7d";

    /// Reads one of [`Since::FORMS`]; an age counts back from `now`.
    pub fn parse(text: &str, now: Ts) -> Option<Self> {
        let text = text.trim();
        if let Some(ts) = Ts::parse_iso(text) {
            return Some(Self(ts));
        }
        let seconds = |digits: &str, unit: u64| digits.parse::<u64>().ok()?.checked_mul(unit);
        let unit = match text.chars().last()? {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => {
                let micros = seconds(text, 1)?.checked_mul(1_000_000)?;
                return Some(Self(Ts::from_micros(micros)));
            }
        };
        let age = seconds(text.get(..text.len() - 1)?, unit)?.checked_mul(1_000_000)?;
        Some(Self(Ts::from_micros(now.micros().saturating_sub(age))))
    }
}

/// What is to be printed, and how.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) alias: Option<String>,
    pub(crate) since: Option<String>,
    pub(crate) denied: bool,
    pub(crate) form: Form,
    /// Goes on with what is written from now on.
    pub(crate) follow: bool,
}

/// Prints the records of files, after reading what `--since` says.
pub(crate) fn run(paths: &[PathBuf], wanted: Wanted) -> Outcome {
    let since = wanted.since.as_deref();
    let since = match since
        .map(|text| Since::parse(text, Ts::now()).ok_or(text))
        .transpose()
    {
        Ok(since) => since,
        Err(text) => {
            say(&format!("--since: '{text}' is none of: {}", Since::FORMS));
            return Outcome::Usage;
        }
    };
    let filter = Filter {
        alias: wanted.alias,
        since,
        denied: wanted.denied,
    };
    let form = wanted.form;
    match wanted.follow {
        false => output::print(|out| print(paths, &filter, form, out)),
        true => output::print(|out| follow(paths, &filter, form, out)),
    }
}

/// Prints the records of a file that the filter lets through, as lines. Says whether every
/// line was a record whose seal matches.
///
/// # Errors
/// The file can't be read or the report can't be written.
pub fn show(path: &Path, filter: &Filter, out: &mut dyn Write) -> io::Result<bool> {
    print(
        &[path.to_owned()],
        filter,
        Form::Lines { colour: false },
        out,
    )
}

fn print(paths: &[PathBuf], filter: &Filter, form: Form, out: &mut dyn Write) -> io::Result<bool> {
    if let Some(head) = form.head() {
        writeln!(out, "{head}")?;
    }
    let mut sound = true;
    records::each(paths, |read| {
        sound &= one(&read, filter, form, out)?;
        Ok(())
    })?;
    Ok(sound)
}

/// Ends when nobody reads any more.
fn follow(paths: &[PathBuf], filter: &Filter, form: Form, out: &mut dyn Write) -> io::Result<bool> {
    if let Some(head) = form.head() {
        writeln!(out, "{head}")?;
    }
    let mut followed = Followed::default();
    loop {
        for read in followed.new_ones(paths)? {
            one(&read, filter, form, out)?;
        }
        out.flush()?;
        std::thread::sleep(LOOK);
    }
}

/// Prints one record; false where it is none, or was changed.
fn one(read: &Read, filter: &Filter, form: Form, out: &mut dyn Write) -> io::Result<bool> {
    match read {
        Read::NoRecord(at) => {
            let line = format!("!! {at} is not a whole record");
            match form {
                Form::Lines { .. } => writeln!(out, "{}", visible(&line))?,
                // What a program reads has records alone.
                Form::Json | Form::Csv => say(&visible(&line)),
            }
            Ok(false)
        }
        // Shown whatever the filter says: a changed record may have been changed to
        // escape it.
        Read::Record(record) if !record.intact || filter.accepts(record) => {
            writeln!(out, "{}", form.write(record))?;
            Ok(record.intact)
        }
        Read::Record(_) => Ok(true),
    }
}

impl Filter {
    fn accepts(&self, record: &Record) -> bool {
        let refusal = match record.text("type") {
            "policy_decision" => !record.is("allowed"),
            "approval" => !is_a_yes(record.text("outcome")),
            "call" => record.text("verdict") == "deny" || record.text("outcome") == "refused",
            "command_chain_denied" | "command_bypass_attempt" => true,
            "security_event" => record.text("event_type") == "command_bypass_attempt",
            _ => false,
        };
        (!self.denied || refusal)
            && self
                .alias
                .as_deref()
                .is_none_or(|alias| record.text("alias") == alias)
            && self
                .since
                .is_none_or(|Since(since)| record.moment() >= since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_people_write_them() {
        let now = Ts::from_micros(1_762_094_167_000_000);
        let since = |text| Since::parse(text, now).map(|Since(ts)| ts.micros() / 1_000_000);
        assert_eq!(since("2025-11-02"), Some(1_762_041_600));
        assert_eq!(since("2025-11-02T14:36"), Some(1_762_094_160));
        assert_eq!(since("2025-11-02 14:36:07"), Some(1_762_094_167));
        assert_eq!(since("2025-11-02T14:36:07+0000"), Some(1_762_094_167));
        assert_eq!(since("2025-11-02T14:36:07Z"), Some(1_762_094_167));
        assert_eq!(since("1762094100"), Some(1_762_094_100));
        assert_eq!(since("2h"), Some(1_762_086_967));
        assert_eq!(since("7d"), Some(1_761_489_367));
        for wrong in ["", "h", "soon", "2025-13-01", "2025-02-30", "-5m", "9é"] {
            assert_eq!(since(wrong), None, "{wrong}");
        }
    }
}
