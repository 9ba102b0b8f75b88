//! Other spellings of one command that is not allowed.
//!
//! Owns what would do the same in a form that is more often let through: a filter that reads a
//! file behind `cat`, `--` before the words that `xargs` adds, `find -exec` in the place of
//! `xargs`, one look for `watch`, `sudo` before each command in the place of a shell as root.
//! Refuses what would do something else. Called by the judgement once it denies.

use crate::policy::decision::kind::Rewrite;
use crate::policy::filter;
use crate::policy::hazard::wrappers;
use crate::policy::programs::kind::Kind;
use crate::policy::syntax::command::{Input, Parsed, Redirect, Simple, Word};
use crate::policy::syntax::lexer::{self, Options};
use crate::policy::syntax::meaning;

/// Options with which a program does the same and keeps nothing.
const KEEPS_NOTHING: &[(&str, &str)] =
    &[("nstat", "-s"), ("rtacct", "-s"), ("sqlite3", "-readonly")];

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
    attempts.extend(keeping_nothing(command).and_then(put));
    attempts.extend(without_shell(&command.words).and_then(put));
    attempts.extend(shown_by_jq(&command.words).and_then(put));
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

/// `nstat -az` → `nstat -s -az`.
fn keeping_nothing(command: &Simple<'_>) -> Option<String> {
    let word = command.words.iter().find(|word| word.text != "sudo")?;
    let name = wrappers::base_name(&word.text);
    let (_, option) = KEEPS_NOTHING.iter().find(|(known, _)| *known == name)?;
    let end = (word.start + word.text.len()).checked_sub(command.start)?;
    let (before, after) = command.text.split_at_checked(end)?;
    (before.ends_with(&*word.text)).then(|| format!("{before} {option}{after}"))
}

/// A shell that only starts what could be started without it: `sudo sh -c 'TEXT'` → TEXT with
/// `sudo` before each command, `su - USER -c 'TEXT'` and `sudo -i -u USER …` → `sudo -u USER …`,
/// `bash -lc 'TEXT'` → `bash -c 'TEXT'`.
fn without_shell(words: &[Word<'_>]) -> Option<String> {
    let texts: Vec<&str> = words.iter().map(|word| &*word.text).collect();
    let last = words.last().filter(|last| last.is_literal())?;
    let is_shell = |name: &str| ["sh", "bash", "dash", "/bin/sh", "/bin/bash"].contains(&name);
    let is_user = |name: &str| Kind::Name.takes(name);
    match texts.as_slice() {
        [shell, "-lc", _] if is_shell(shell) => Some(format!(
            "{shell} -c {}",
            meaning::readable(std::slice::from_ref(last))
        )),
        ["sudo", shell, "-c", text] if is_shell(shell) => distributed("sudo", text),
        ["sudo", "-n", shell, "-c", text] if is_shell(shell) => distributed("sudo -n", text),
        ["sudo", "-u", user, shell, "-c", text] if is_shell(shell) && is_user(user) => {
            distributed(&format!("sudo -u {user}"), text)
        }
        ["sudo", "su", "-" | "-l", user, "-c", text]
        | ["sudo", "su", user, "-c", text]
        | ["su", "-" | "-l", user, "-c", text]
        | ["su", user, "-c", text]
            if is_user(user) =>
        {
            distributed(&format!("sudo -u {user}"), text)
        }
        ["sudo", "-i", "-u", user, _, ..] | ["sudo", "-u", user, "-i", _, ..] if is_user(user) => {
            let rest = meaning::readable(words.get(4..)?);
            Some(format!("sudo -u {user} {rest}"))
        }
        ["sudo", "-iu", user, _, ..] if is_user(user) => {
            let rest = meaning::readable(words.get(3..)?);
            Some(format!("sudo -u {user} {rest}"))
        }
        _ => None,
    }
}

/// A text with this before each program that is given nothing to read by another.
fn distributed(prefix: &str, text: &str) -> Option<String> {
    const OF_THE_SHELL: &[&str] = &[
        ":", "[", "cd", "command", "exit", "hash", "jobs", "times", "type", "ulimit", "umask",
        "wait",
    ];
    let parsed = lexer::parse(text, Options { globs: true }).ok()?;
    let mut starts = Vec::new();
    for command in &parsed.commands {
        let program = wrappers::base_name(&command.words.first()?.text);
        // The redirection would be opened by the login itself.
        if OF_THE_SHELL.contains(&program) || command.read_by_redirect().next().is_some() {
            return None;
        }
        let prints = matches!(program, "echo" | "printf" | "true" | "false");
        if command.input == Input::Login && !prints {
            starts.push(command.start);
        }
    }
    // The rounds of a loop stand at one place.
    starts.sort_unstable();
    starts.dedup();
    let mut new = text.to_owned();
    for start in starts.into_iter().rev() {
        new.insert_str(start, &format!("{prefix} "));
    }
    match (parsed.commands.len(), new.contains(['\n', '#'])) {
        (1, _) => Some(new),
        (_, true) => Some(format!("(\n{new}\n)")),
        (_, false) => Some(format!("( {new} )")),
    }
}

/// `python3 -m json.tool` → `jq .`.
fn shown_by_jq(words: &[Word<'_>]) -> Option<String> {
    let [python, option, module, file @ ..] = words else {
        return None;
    };
    let is_python = ["python", "python3"].contains(&&*python.text);
    let module = is_python && option.text == "-m" && module.text == "json.tool";
    let plain = |file: &Word<'_>| !file.text.starts_with('-');
    (module && file.len() <= 1 && file.iter().all(plain)).then(|| {
        format!("jq . {}", meaning::readable(file))
            .trim_end()
            .to_owned()
    })
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
    fn a_container_without_its_variables() {
        let rewritten = without_variables(&["docker", "inspect", "web", "db"]).unwrap();
        assert!(rewritten.starts_with("docker inspect --format '{{.Name}} "));
        assert!(rewritten.ends_with("' web db"));
        assert_eq!(without_variables(&["docker", "inspect", "-s", "web"]), None);
        assert_eq!(without_variables(&["docker", "inspect"]), None);
        assert_eq!(without_variables(&["docker", "ps"]), None);
    }

    #[test]
    fn a_command_without_the_shell_that_starts_it() {
        for (text, command) in [
            (
                "sudo sh -c 'ls /root | head'",
                Some("( sudo ls /root | head )"),
            ),
            ("sudo -n bash -c 'cat /x'", Some("sudo -n cat /x")),
            (
                "sudo sh -c 'echo a; for f in /x /y; do cat $f; done'",
                Some("( echo a; for f in /x /y; do sudo cat $f; done )"),
            ),
            ("sudo sh -c 'cd /x && ls'", None),
            ("sudo sh -c 'cat < /x'", None),
            ("sudo sh -c 'echo x > /y'", None),
            ("sudo sh -xc 'ls'", None),
            (
                "sudo su - postgres -c \"psql -c 'select 1'\"",
                Some("sudo -u postgres psql -c 'select 1'"),
            ),
            ("su -- -x -c ls", None),
            (
                "sudo -i -u postgres psql -c 'select 1'",
                Some("sudo -u postgres psql -c 'select 1'"),
            ),
            ("sudo -i", None),
            ("sudo -iu postgres", None),
            ("bash -lc 'node -v'", Some("bash -c 'node -v'")),
        ] {
            let parsed = lexer::parse(text, Options { globs: true });
            let words = parsed
                .as_ref()
                .map(|parsed| parsed.commands[0].words.clone());
            let found = words.ok().and_then(|words| without_shell(&words));
            assert_eq!(found.as_deref(), command, "{text}");
        }
    }

    #[test]
    fn an_option_with_which_nothing_is_kept() {
        for (text, command) in [
            ("nstat -az", Some("nstat -s -az")),
            ("sudo /sbin/nstat", Some("sudo /sbin/nstat -s")),
            (
                "sqlite3 /x 'select 1'",
                Some("sqlite3 -readonly /x 'select 1'"),
            ),
            ("df -h", None),
        ] {
            let parsed = lexer::parse(text, Options { globs: true }).unwrap();
            let found = keeping_nothing(&parsed.commands[0]);
            assert_eq!(found.as_deref(), command, "{text}");
        }
    }
}
