//! A command that would do the same as one that was denied.
//!
//! Owns the search for another spelling: words put into quotes, a filter that reads a file
//! behind `cat`, a long command without `nohup` and `&`, `[ … ]` for `[[ … ]]`, `--` before
//! the words that `xargs` adds, one look for `watch`. Refuses to offer what was not judged and let through, and what
//! would do something else. Called by the judgement once it denies.

use crate::policy::decision::kind::Rewrite;
use crate::policy::decision::reason::Code;
use crate::policy::decision::subject::Subject;
use crate::policy::decision::verdict::Verdict;
use crate::policy::programs::invocation::Invocation;
use crate::policy::programs::kind::Kind;
use crate::policy::syntax::command::{Fault, Input, Parsed, Redirect, Simple, Word};
use crate::policy::syntax::meaning;
use crate::policy::{Policy, filter};

impl Policy {
    /// The first of the other spellings that is allowed, or asked about.
    pub(crate) fn rewrite(&self, subject: &Subject<'_>, attempts: Vec<Rewrite>) -> Option<Rewrite> {
        attempts
            .into_iter()
            .find(|attempt| !matches!(self.judged(subject, &attempt.command), Verdict::Deny(_)))
    }
}

/// What helps where a deny rule holds for no file that is named.
pub(crate) const NAME_THE_FILES: &str = "A wildcard in it may stand for a file that the policy denies: name the files that are \
    meant, or write more of their names";

impl Policy {
    /// Whether a command is denied only for what its wildcards may stand for.
    pub(crate) fn denies_wildcards_of(&self, subject: &Subject<'_>, command: &Simple<'_>) -> bool {
        let is_denied = |command: &Simple<'_>| {
            let invocation = Invocation::of(&command.words);
            self.rules.decide(subject, command, &invocation).code == Code::DenyRule
        };
        let mut spelled = command.clone();
        for word in &mut spelled.words {
            let text = word.text.as_bytes();
            let wild = |at: &usize| matches!(text.get(*at), Some(b'*' | b'?'));
            word.globs.retain(|at| !wild(at));
        }
        spelled.words != command.words && is_denied(command) && !is_denied(&spelled)
    }
}

/// Other spellings of a text that was not understood.
pub(crate) fn of_faults(text: &str, faults: &[Fault]) -> Vec<Rewrite> {
    let mut attempts = Vec::new();
    if let Some(command) = without_background(text) {
        attempts.push(Rewrite {
            tool: Some("ssh_run_async"),
            command,
        });
    }
    if text.contains("[[ ") {
        attempts.push(Rewrite {
            tool: None,
            command: text.replace("[[ ", "[ ").replace(" ]]", " ]"),
        });
    }
    let mut quoted = text.to_owned();
    // From behind, so that the places before stay where they are.
    for fault in faults.iter().rev() {
        quoted = match respelled(&quoted, *fault) {
            Some(next) => next,
            None => return attempts,
        };
    }
    attempts.push(Rewrite {
        tool: None,
        command: quoted,
    });
    attempts
}

/// `nohup COMMAND > FILE 2>&1 &`, perhaps with `echo $!` behind it: the command alone.
fn without_background(text: &str) -> Option<String> {
    let (command, after) = text
        .rsplit_once('&')
        .filter(|(command, _)| !command.ends_with('&'))?;
    if !matches!(
        after.trim().trim_start_matches(';').trim(),
        "" | "echo $!" | "disown"
    ) {
        return None;
    }
    let command = command.trim().trim_end_matches("2>&1").trim_end();
    let command = match command.split_once('>') {
        Some((command, target)) if !target.trim().contains([' ', ';', '|', '&', '\'']) => command,
        Some(_) => return None,
        None => command,
    };
    let command = command.trim();
    let command = command.strip_prefix("nohup ").unwrap_or(command);
    Some(command.trim().to_owned())
}

/// The text with the word of a fault in quotes, or without the redirection that is one.
fn respelled(text: &str, fault: Fault) -> Option<String> {
    let bytes = text.as_bytes();
    let is_blank = |at: usize| bytes.get(at).is_none_or(|byte| b" \n;|&".contains(byte));
    let (before, after) = text.split_at_checked(fault.position)?;
    match fault.code {
        Code::Glob | Code::Bracket | Code::Brace | Code::Caret | Code::Tilde | Code::Bang => {
            let start = (0..=fault.position)
                .rev()
                .find(|at| *at == 0 || is_blank(at - 1))?;
            let end = (fault.position..=text.len()).find(|at| is_blank(*at))?;
            let word = text.get(start..end)?;
            if word.contains(['\'', '"', '\\', '$', '`', '/', '<', '>']) {
                return None;
            }
            Some(format!(
                "{}'{word}'{}",
                text.get(..start)?,
                text.get(end..)?
            ))
        }
        // `$(COMMAND)` that may split becomes one word.
        Code::Dollar if after.starts_with("$(") && is_blank(fault.position.wrapping_sub(1)) => {
            let end = after.find(')')?;
            let (inside, rest) = after.split_at_checked(end + 1)?;
            (!inside.contains(['"', '\''])).then(|| format!("{before}\"{inside}\"{rest}"))
        }
        _ => None,
    }
}

/// Another spelling of a list of which one command is not allowed.
pub(crate) fn of_command(text: &str, parsed: &Parsed<'_>, command: &Simple<'_>) -> Vec<Rewrite> {
    let put = |new: String| {
        let written: &str = &command.text;
        let end = command.start + written.len();
        let same = text.get(command.start..end) == Some(written);
        let (before, after) = (text.get(..command.start)?, text.get(end..)?);
        same.then(|| Rewrite {
            tool: None,
            command: format!("{before}{new}{after}"),
        })
    };
    // Only a list of its own can take a pipe in its place.
    let behind_pipe = text
        .get(..command.start)
        .is_some_and(|before| before.trim_end().ends_with('|'));
    let with = |new: String| put(new).filter(|_| parsed.commands.len() == 1 || !behind_pipe);
    let mut attempts = Vec::new();
    let words: Vec<&str> = command.words.iter().map(|word| &*word.text).collect();
    if words.contains(&"-exec") && words.iter().any(|word| matches!(*word, "ls" | "/bin/ls")) {
        let found = command.words.iter().take_while(|word| word.text != "-exec");
        let found = found.cloned().collect::<Vec<_>>();
        let listed = format!("{} -printf '%M %u %g %s %p\\n'", meaning::readable(&found));
        attempts.extend(with(listed));
    }
    attempts.extend(behind_cd(text, parsed));
    if words.first() == Some(&"xargs") && !words.contains(&"--") && command.redirects.is_empty() {
        attempts.extend(put(format!("{} --", command.text)));
    }
    attempts.extend(with_exec(text, parsed, command));
    let piped = text
        .get(command.start + command.text.len()..)
        .is_some_and(|after| after.trim_start().starts_with('|'));
    if !piped {
        attempts.extend(without_variables(&words).and_then(put));
    }
    if words.first() == Some(&"watch") {
        attempts.extend(watched(&command.words).and_then(put));
    }
    // `PROGRAM … FILE` → `cat FILE | PROGRAM …`.
    if let ([rest @ .., file], true) = (command.words.as_slice(), filter::is_named(&command.words))
        && rest.len() > 1
        && file.is_literal()
        && file.text.starts_with('/')
    {
        let file = meaning::readable(std::slice::from_ref(file));
        attempts.extend(with(format!("cat {file} | {}", meaning::readable(rest))));
    }
    attempts
}

/// `cd /x; …` → `cd /x && { …; }`: what follows starts in `/x` or not at all.
pub(crate) fn behind_cd(text: &str, parsed: &Parsed<'_>) -> Option<Rewrite> {
    let first = parsed
        .commands
        .first()
        .filter(|first| first.words.len() == 2)?;
    if first.words.first()?.text != "cd" || first.start != 0 {
        return None;
    }
    let (cd, rest) = text.split_at_checked(first.text.len())?;
    let rest = rest
        .trim_start_matches(' ')
        .strip_prefix([';', '\n'])?
        .trim();
    let rest = rest.trim_end_matches([';', '\n', ' ']);
    let group = match rest.contains(['\n', '#']) {
        true => format!("{{\n{rest}\n}}"),
        false => format!("{{ {rest}; }}"),
    };
    Some(Rewrite {
        tool: None,
        command: format!("{cd} && {group}"),
    })
}

/// `find … | xargs PROGRAM` → `find … -exec PROGRAM {} +`, which takes the files from the
/// places that find was given and no words of any text.
fn with_exec(text: &str, parsed: &Parsed<'_>, command: &Simple<'_>) -> Option<Rewrite> {
    let Input::Pipe(from) = &command.input else {
        return None;
    };
    let found = parsed
        .commands
        .get(from.start)
        .filter(|_| from.len() == 1)?;
    let name = |simple: &Simple<'_>| Some(simple.words.first()?.text.clone().into_owned());
    let whole = |simple: &Simple<'_>| {
        let end = simple.start + simple.text.len();
        (text.get(simple.start..end) == Some(&*simple.text)).then_some(end)
    };
    if name(found)? != "find" || name(command)? != "xargs" {
        return None;
    }
    let mut rest = command.words.get(1..)?;
    while let [option, after @ ..] = rest
        && option.text.starts_with('-')
    {
        if !matches!(&*option.text, "-0" | "-r" | "-0r" | "-r0" | "-n1" | "-x") {
            return None;
        }
        rest = after;
    }
    let program: Vec<Word<'_>> = rest
        .iter()
        .filter(|word| word.text != "--")
        .cloned()
        .collect();
    let listed = found.words.iter().filter(|word| word.text != "-print0");
    let listed: Vec<Word<'_>> = listed.cloned().collect();
    whole(found)?;
    let (before, after) = (text.get(..found.start)?, text.get(whole(command)?..)?);
    let silent = match found.redirects.as_slice() {
        [] => "",
        [Redirect::ErrorsToNull] => " 2>/dev/null",
        _ => return None,
    };
    if program.is_empty() || !command.redirects.is_empty() {
        return None;
    }
    let (listed, program) = (meaning::readable(&listed), meaning::readable(&program));
    Some(Rewrite {
        tool: None,
        command: format!("{before}{listed} -exec {program} {{}} +{silent}{after}"),
    })
}

/// `docker inspect NAME` with the members that hold no secret.
fn without_variables(words: &[&str]) -> Option<String> {
    let (program, names) = match words {
        ["sudo", rest @ ..] => return without_variables(rest).map(|text| format!("sudo {text}")),
        [program, "container", "inspect", names @ ..] | [program, "inspect", names @ ..] => {
            (program, names)
        }
        _ => return None,
    };
    if !matches!(*program, "docker" | "podman" | "nerdctl") {
        return None;
    }
    let plain = |name: &&str| !name.starts_with('-') && Kind::Object.takes(name);
    let format = "{{.Name}} {{json .State}} restarts={{.RestartCount}} image={{.Config.Image}} \
                  {{json .NetworkSettings.Networks}} {{json .Mounts}}";
    (!names.is_empty() && names.iter().all(plain))
        .then(|| format!("{program} inspect --format '{format}' {}", names.join(" ")))
}

/// What `watch` runs, once: it needs a terminal, and nobody looks at one here.
fn watched(words: &[Word<'_>]) -> Option<String> {
    let mut rest = words.get(1..)?;
    while let [option, after @ ..] = rest
        && option.text.starts_with('-')
    {
        let valued = matches!(&*option.text, "-n" | "--interval");
        rest = match valued {
            true => after.get(1..)?,
            false => after,
        };
    }
    match rest {
        [] => None,
        [text] => Some(text.text.clone().into_owned()),
        words => Some(meaning::readable(words)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_command_without_what_hides_it() {
        for (text, command) in [
            (
                "nohup /opt/x.sh 600 > /tmp/x.log 2>&1 & echo $!",
                Some("/opt/x.sh 600"),
            ),
            ("sleep 5 &", Some("sleep 5")),
            ("sleep 5 & rm x", None),
            ("a && b", None),
            ("a > 'x y' &", None),
        ] {
            assert_eq!(without_background(text).as_deref(), command, "{text}");
        }
    }

    #[test]
    fn a_container_without_its_variables() {
        let rewritten = without_variables(&["docker", "inspect", "web", "db"]).unwrap();
        assert!(rewritten.starts_with("docker inspect --format '{{.Name}} "));
        assert!(rewritten.ends_with("' web db"));
        assert_eq!(without_variables(&["docker", "inspect", "-s", "web"]), None);
        assert_eq!(without_variables(&["docker", "inspect"]), None);
        assert_eq!(without_variables(&["docker", "ps"]), None);
    }

    #[test]
    fn words_in_quotes() {
        let respell = |text: &str, code| {
            let position = text.find(['*', '[', '$']).unwrap();
            respelled(text, Fault { code, position })
        };
        assert_eq!(respell("ls x*.y z", Code::Glob).unwrap(), "ls 'x*.y' z");
        assert_eq!(
            respell("ps -p $(pgrep x) -f", Code::Dollar).unwrap(),
            "ps -p \"$(pgrep x)\" -f"
        );
        assert_eq!(respell("ls /x/*.y z", Code::Glob), None);
    }
}
