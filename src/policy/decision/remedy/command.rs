//! Other spellings of one command that is not allowed.
//!
//! Owns what would do the same in a form that is more often let through: a filter that reads a
//! file behind `cat`, `--` before the words that `xargs` adds, `find -exec` in the place of
//! `xargs`, one look for `watch`, `sudo` before each command in the place of a shell as root.
//! Refuses what would do something else. Called by the judgement once it denies.

use crate::policy::decision::kind::Rewrite;
use crate::policy::filter;
use crate::policy::hazard::wrappers;
use crate::policy::programs::invocation::Invocation;
use crate::policy::programs::kind::Kind;
use crate::policy::programs::reading::What;
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
    attempts.extend(listed(&command.words, &words).and_then(with));
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

/// `find … -exec ls -l {} +` → `find … -printf …`, of what is no directory: of that ls shows
/// what is in it.
fn listed(command: &[Word<'_>], words: &[&str]) -> Option<String> {
    let at = words.iter().position(|word| *word == "-exec")?;
    let (found, exec) = words.split_at_checked(at)?;
    let options = match exec {
        ["-exec", "ls" | "/bin/ls", options @ .., "{}", "+" | ";"] => options,
        _ => return None,
    };
    let own = options.iter().all(|word| word.starts_with('-'));
    let itself = options
        .iter()
        .any(|word| !word.starts_with("--") && word.contains('d'));
    let files = found.windows(2).any(|pair| matches!(pair, ["-type", "f"]));
    if !own || !(itself || files) {
        return None;
    }
    let found = meaning::readable(command.get(..at)?);
    Some(format!("{found} -printf '%M %u %g %s %p\\n'"))
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
    let one_each = command.words.iter().any(|word| word.text == "-n1");
    let listed = match found.words.split_last() {
        Some((last, listed)) if matches!(&*last.text, "-print" | "-print0") => listed,
        _ => &found.words,
    };
    if !is_one_condition(listed) || program.iter().any(|word| word.text.contains("{}")) {
        return None;
    }
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
    let (listed, program) = (meaning::readable(listed), meaning::readable(&program));
    let end = if one_each { "';'" } else { "+" };
    Some(Rewrite {
        tool: None,
        command: format!("{before}{listed} -exec {program} {{}} {end}{silent}{after}"),
    })
}

/// Whether a further action would be done for each file that this `find` prints: no action of
/// its own, and no `-o` outside of parentheses.
fn is_one_condition(found: &[Word<'_>]) -> bool {
    const ACTS: &[&str] = &[
        "-delete", "-exec", "-execdir", "-fls", "-fprint", "-fprint0", "-fprintf", "-ls", "-ok",
        "-okdir", "-print", "-print0", "-printf", "-quit",
    ];
    let mut depth = 0_usize;
    found.iter().all(|word| {
        match &*word.text {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            "-o" | "-or" | "," => return depth > 0,
            text => return !ACTS.contains(&text),
        }
        true
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
            let parsed = lexer::parse(text, Options { globs: true }).ok()?;
            let mut commands = parsed.commands.iter();
            let anywhere = commands.all(|command| is_the_same_anywhere(&command.words));
            let new = distributed(&format!("sudo -u {user}"), text);
            new.filter(|_| anywhere)
        }
        ["sudo", "-i", "-u", user, _, ..] | ["sudo", "-u", user, "-i", _, ..] if is_user(user) => {
            let rest = words.get(4..).filter(|rest| is_the_same_anywhere(rest))?;
            Some(format!("sudo -u {user} {}", meaning::readable(rest)))
        }
        ["sudo", "-iu", user, _, ..] if is_user(user) => {
            let rest = words.get(3..).filter(|rest| is_the_same_anywhere(rest))?;
            Some(format!("sudo -u {user} {}", meaning::readable(rest)))
        }
        _ => None,
    }
}

/// Whether a command does the same wherever it is started: a shell of a login starts at home.
fn is_the_same_anywhere(words: &[Word<'_>]) -> bool {
    let program = words.first().map_or("", |word| &*word.text);
    let placed = |text: &str| text.starts_with('/');
    let invocation = Invocation::of(words);
    (placed(program) || !program.contains('/'))
        && invocation.levels.iter().all(|level| {
            level.reading.as_ref().is_some_and(|reading| {
                reading.here.is_none()
                    && reading.roles.iter().all(|role| match role.what {
                        What::Value { kind, text, .. } | What::Operand { kind, text } => {
                            !kind.names_a_file() || placed(text)
                        }
                        What::Unknown(_) => false,
                        _ => true,
                    })
            })
        })
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
        // The login's shell would look for the files, and at its own home.
        let expands = |word: &Word<'_>| !word.globs.is_empty() || word.is_below_home();
        if command.words.iter().any(expands) {
            return None;
        }
        // What is given something to read stays the login's: it may name no file of its own.
        let given = command.input != Input::Login;
        if given && !filter::is_filter(&command.words) {
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
    // A shell reads the words, joined by blanks.
    let plain = |word: &Word<'_>| {
        let mut bytes = word.text.bytes();
        bytes.all(|b| b.is_ascii_alphanumeric() || b"_./:=,@%+-".contains(&b))
    };
    match rest {
        [] => None,
        [text] if text.text.contains(['\n', '#']) => None,
        [text] if text.text.contains([';', '|', '&']) => Some(format!("( {} )", text.text)),
        [text] => Some(text.text.clone().into_owned()),
        words => words.iter().all(plain).then(|| meaning::readable(words)),
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
    fn a_list_of_what_is_no_directory() {
        for (text, command) in [
            (
                "find /x -type f -exec ls -l {} +",
                Some("find /x -type f -printf '%M %u %g %s %p\\n'"),
            ),
            (
                "find /x -exec ls -ld {} \\;",
                Some("find /x -printf '%M %u %g %s %p\\n'"),
            ),
            ("find /x -exec ls -l {} +", None),
            ("find /x -type f -exec ls -l {} + -delete", None),
            ("find /x -type f -name ls -exec rm {} +", None),
            ("find /x -type f -exec ls -l /y {} +", None),
        ] {
            let parsed = lexer::parse(text, Options { globs: true }).unwrap();
            let words = &parsed.commands[0].words;
            let texts: Vec<&str> = words.iter().map(|word| &*word.text).collect();
            assert_eq!(listed(words, &texts).as_deref(), command, "{text}");
        }
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
