//! `approvals`, `approve ID` and `deny ID`: the operator's word on commands that wait.
//!
//! Owns what is shown and asked. Shown is what the word will be bound to: host, shell and
//! command; the rest is what the server says, and marked as that. Called by `startup`.

use std::collections::BTreeSet;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::path::Path;
use std::time::Duration;

use crate::audit::Ts;
use crate::cli::Outcome;
use crate::cli::commands::output::{self, say};
use crate::model::text::{ascii, visible};
use crate::task::approvals::counter::{self, Waiting};

/// How often `--watch` looks.
const LOOK: Duration = Duration::from_millis(300);
/// Longest answer read from a person, in bytes.
const ANSWER_MAX: u64 = 256;
/// Most targets that are shown one by one.
const TARGETS: usize = 200;

/// Lists what waits, and with `watch` goes on and asks about each.
pub(crate) fn list(path: &Path, watch: bool) -> Outcome {
    if !watch {
        return output::print(|out| {
            let waiting = open(counter::waiting(path).map_err(|error| of(path, &error))?);
            for one in &waiting {
                out.write_all(page(one).as_bytes())?;
            }
            if waiting.is_empty() {
                writeln!(out, "nothing waits for approval in {}", path.display())?;
            }
            Ok(true)
        });
    }
    output::print(|out| {
        let asks = io::stdin().is_terminal();
        let mut seen = BTreeSet::new();
        loop {
            let waiting = open(counter::waiting(path).map_err(|error| of(path, &error))?);
            for one in waiting {
                if !seen.insert(one.request.id.clone()) {
                    continue;
                }
                out.write_all(page(&one).as_bytes())?;
                out.flush()?;
                if asks {
                    ask(path, &one, out)?;
                }
            }
            std::thread::sleep(LOOK);
        }
    })
}

/// Asks on the terminal about one that was shown.
fn ask(path: &Path, one: &Waiting, out: &mut dyn Write) -> io::Result<()> {
    let Some(word) = read("Approve? yes, no, or Enter to leave it: ", out)? else {
        return Ok(());
    };
    let approved = match word.as_str() {
        "yes" => true,
        "no" => false,
        _ => {
            writeln!(out, "left as it is")?;
            return Ok(());
        }
    };
    match counter::answer(path, &one.request, approved) {
        Ok(()) => writeln!(out, "{}", told(approved))?,
        Err(error) => writeln!(out, "not written: {error}")?,
    }
    Ok(())
}

/// `approve ID` and `deny ID`. `sure`: nobody is asked.
pub(crate) fn answer(path: &Path, id: &str, approved: bool, sure: bool) -> Outcome {
    let one = match counter::one(path, id) {
        Ok(one) => one,
        Err(error) => {
            say(&format!("no request '{}' waits here: {error}", visible(id)));
            return Outcome::Problems;
        }
    };
    output::print(|out| {
        out.write_all(page(&one).as_bytes())?;
        if approved && !sure {
            if !io::stdin().is_terminal() {
                say("standard input is no terminal: give --yes to approve what is shown above");
                return Ok(false);
            }
            let word = read("Approve exactly this, once? (yes/no) ", out)?;
            if word.as_deref() != Some("yes") {
                writeln!(out, "not approved: the answer was not 'yes'")?;
                return Ok(false);
            }
        }
        counter::answer(path, &one.request, approved)?;
        writeln!(out, "{}", told(approved))?;
        Ok(true)
    })
}

fn told(approved: bool) -> &'static str {
    match approved {
        true => "approved",
        false => "denied",
    }
}

/// A line from the terminal; nothing at its end.
fn read(question: &str, out: &mut dyn Write) -> io::Result<Option<String>> {
    write!(out, "{question}")?;
    out.flush()?;
    let mut line = String::new();
    let count = io::stdin().lock().take(ANSWER_MAX).read_line(&mut line)?;
    Ok((count > 0).then(|| line.trim().to_lowercase()))
}

/// What nobody has answered yet, and is still waited for.
fn open(waiting: Vec<Waiting>) -> Vec<Waiting> {
    let now = Ts::now().micros();
    let open = |one: &Waiting| !one.answered && one.request.until >= now;
    waiting.into_iter().filter(open).collect()
}

fn of(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// One request. Characters beyond ASCII are written as codes, so that a letter that only
/// looks like another one shows.
fn page(one: &Waiting) -> String {
    let request = &one.request;
    let seconds = request.until.saturating_sub(Ts::now().micros()) / 1_000_000;
    let mut out = format!("request {}   (waits {seconds} s more)\n", request.id);
    for target in request.targets.iter().take(TARGETS) {
        let shell = match target.shell.as_str() {
            "sh" => String::new(),
            other => format!("   (shell: {})", plain(other)),
        };
        out.push_str(&format!("  host     {}{shell}\n", plain(&target.alias)));
        out.push_str(&format!("  command  {}\n", plain(&target.command)));
    }
    let more = request.targets.len().saturating_sub(TARGETS);
    if more > 0 {
        out.push_str(&format!(
            "  and {more} more, which are approved with these\n"
        ));
    }
    if !request.given.is_empty() {
        out.push_str(&format!("  given    {}\n", plain(&request.given)));
    }
    let rules: Vec<String> = request.rules.iter().map(usize::to_string).collect();
    out.push_str(&format!(
        "  it does  {} (says the server)\n",
        plain(&request.does)
    ));
    out.push_str(&format!(
        "  rule     policy.yml, line {} (says the server)\n",
        rules.join(", ")
    ));
    out.push_str(&format!(
        "  client   {} of {}, file of uid {} (says the server)\n\n",
        plain(&request.client),
        plain(&request.os_user),
        one.owner
    ));
    out
}

fn plain(text: &str) -> String {
    ascii(&visible(text))
}
