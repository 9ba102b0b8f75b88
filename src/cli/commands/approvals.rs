//! `approvals`, `approve ID` and `deny ID`: the operator's word on commands that wait, and what
//! logins ask.
//!
//! Owns what is shown and asked. Shown is what the word will be bound to: host, shell and
//! command, or host, user and question; the rest is what the server says, and marked as that.
//! What is typed for a login is not shown. Called by `startup`.

use std::collections::BTreeSet;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::path::Path;
use std::time::Duration;

use crate::audit::Ts;
use crate::cli::Outcome;
use crate::cli::commands::output::{self, say};
use crate::model::text::{ascii, visible};
use crate::task::approvals::counter::{self, Waiting, WaitingLogin};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

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
            let logins = open_logins(counter::logins(path).map_err(|error| of(path, &error))?);
            for one in &logins {
                out.write_all(login_page(one).as_bytes())?;
            }
            if waiting.is_empty() && logins.is_empty() {
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
            for one in open_logins(counter::logins(path).map_err(|error| of(path, &error))?) {
                if !seen.insert(one.question.id.clone()) {
                    continue;
                }
                out.write_all(login_page(&one).as_bytes())?;
                out.flush()?;
                if asks {
                    let question = "Type the answer, or Enter to leave it: ";
                    match typed(question, out)? {
                        None => writeln!(out, "left as it is")?,
                        Some(text) => {
                            tell(counter::type_in(path, &one.question, Some(&text)), out)?
                        }
                    }
                }
            }
            // What became of an answer is not to wait for the next question.
            out.flush()?;
            std::thread::sleep(LOOK);
        }
    })
}

fn tell(written: io::Result<()>, out: &mut dyn Write) -> io::Result<()> {
    match written {
        Ok(()) => writeln!(out, "given to the login"),
        Err(error) => writeln!(out, "not given: {error}"),
    }
}

/// A line that is not shown where it is typed; none if it is empty.
fn typed(question: &str, out: &mut dyn Write) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    // Before the question: nothing that is typed after it is shown, or thrown away.
    let _quiet = Quiet::new();
    write!(out, "{question}")?;
    out.flush()?;
    let mut line = Zeroizing::new(Vec::new());
    io::stdin()
        .lock()
        .take(ANSWER_MAX)
        .read_until(b'\n', &mut line)?;
    let end = line.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r'));
    line.truncate(end.map_or(0, |at| at + 1));
    if io::stdin().is_terminal() {
        // The key that ended the line was not shown either.
        writeln!(out)?;
    }
    Ok((!line.is_empty()).then_some(line))
}

/// The terminal shows nothing of what is typed until this is dropped.
struct Quiet(Option<Termios>);

impl Quiet {
    fn new() -> Self {
        let before = tcgetattr(io::stdin()).ok();
        if let Some(before) = &before {
            let mut quiet = before.clone();
            quiet.local_flags.remove(LocalFlags::ECHO);
            // Where it cannot be had, the line is read all the same.
            let _ = tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &quiet);
        }
        Self(before)
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, before);
        }
    }
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
    if let Ok(login) = counter::login(path, id) {
        return answer_login(path, &login, approved);
    }
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

/// The answer to a login: a line of standard input, or that there is none.
fn answer_login(path: &Path, one: &WaitingLogin, approved: bool) -> Outcome {
    output::print(|out| {
        out.write_all(login_page(one).as_bytes())?;
        let text = match approved {
            false => None,
            true => match typed("Type the answer: ", out)? {
                Some(text) => Some(text),
                None => {
                    say("nothing was typed: the login still waits");
                    return Ok(false);
                }
            },
        };
        counter::type_in(path, &one.question, text.as_deref().map(Vec::as_slice))?;
        let told = match approved {
            true => "given to the login",
            false => "declined",
        };
        writeln!(out, "{told}")?;
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

fn open_logins(waiting: Vec<WaitingLogin>) -> Vec<WaitingLogin> {
    let now = Ts::now().micros();
    let open = |one: &WaitingLogin| !one.answered && one.question.until >= now;
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

/// One question of a login.
fn login_page(one: &WaitingLogin) -> String {
    let question = &one.question;
    let seconds = question.until.saturating_sub(Ts::now().micros()) / 1_000_000;
    format!(
        "login {}   (waits {seconds} s more)\n  host     {}\n  user     {}\n  asks     {} (says the \
         host)\n  server   started by {}, file of uid {} (says the server)\n\n",
        question.id,
        plain(&question.alias),
        plain(&question.user),
        plain(&question.question),
        plain(&question.os_user),
        one.owner
    )
}

fn plain(text: &str) -> String {
    ascii(&visible(text))
}
