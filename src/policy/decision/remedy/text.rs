//! Other spellings of a text that was not understood.
//!
//! Owns words put into quotes and braces spelled out, `[ … ]` for `[[ … ]]`, a long command
//! without `nohup` and `&`, and the value of a variable in its place. Refuses quotes around a
//! pattern of files, which would then be one file. Called by the judgement once it denies.

use crate::policy::decision::kind::Rewrite;
use crate::policy::decision::reason::Code;
use crate::policy::decision::remedy::given;
use crate::policy::programs::invocation::Invocation;
use crate::policy::programs::reading::What;
use crate::policy::syntax::command::Fault;
use crate::policy::syntax::lexer::{self, Options};

/// Most words that braces are spelled out to.
const BRACES_MAX: usize = 64;
/// Variables that programs look at, so that their value cannot only be put in its place.
const LOOKED_AT: &[&str] = &[
    "AWS", "COLUMNS", "DOCKER", "ENV", "GIT", "HOME", "IFS", "KUBE", "LANG", "LC_", "LD_", "LINES",
    "MYSQL", "PAGER", "PATH", "PG", "PWD", "REDIS", "SHELL", "TERM", "TZ", "USER",
];

/// What to do with a word that has a wildcard.
#[derive(Clone, Copy, PartialEq)]
enum Wildcards {
    /// It stands for files here: `./` before it.
    Files,
    /// It stands for itself: quotes around it.
    Text,
}

/// Other spellings of a text with these faults.
pub(crate) fn of_faults(text: &str, faults: &[Fault]) -> Vec<Rewrite> {
    let mut attempts = Vec::new();
    if let Some(command) = without_background(text) {
        attempts.push(Rewrite {
            tool: Some("ssh_run_async"),
            command,
        });
    }
    let mut put = |command: Option<String>| {
        attempts.extend(command.map(|command| Rewrite {
            tool: None,
            command,
        }));
    };
    put(with_brackets(text, faults));
    put(with_values(text));
    put(without_bash(text));
    put(respelled_all(text, faults, Wildcards::Files));
    let quoted = respelled_all(text, faults, Wildcards::Text);
    put(quoted.filter(|quoted| !quotes_a_pattern_of_files(quoted)));
    attempts
}

/// `[ … ]` for each `[[ … ]]`, where nothing else looks like one, and no pattern stands in it.
fn with_brackets(text: &str, faults: &[Fault]) -> Option<String> {
    let opened = text.match_indices("[[ ");
    let starts = opened.clone().all(|(at, _)| {
        let mut faults = faults.iter();
        faults.any(|fault| fault.code == Code::Bracket && fault.position == at)
    });
    let plain = opened.clone().all(|(at, _)| {
        let rest = text.get(at + 3..).unwrap_or_default();
        let inside = rest.split_once(" ]]").map(|(inside, _)| inside);
        inside.is_some_and(|inside| !inside.contains(['*', '?', '[', '<', '>']))
    });
    let all = opened.count();
    let closed = text.matches(" ]]").count();
    (all > 0 && all == closed && starts && plain)
        .then(|| text.replace("[[ ", "[ ").replace(" ]]", " ]"))
}

/// The text without any of the faults.
fn respelled_all(text: &str, faults: &[Fault], wildcards: Wildcards) -> Option<String> {
    let mut new = text.to_owned();
    // From behind, so that the places before stay where they are.
    let mut before = text.len();
    for fault in faults.iter().rev() {
        if fault.position >= before && before < text.len() {
            continue;
        }
        (before, new) = respelled(&new, *fault, wildcards)?;
    }
    (new != text).then_some(new)
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
        // `2>FILE` takes the errors alone.
        Some((command, _)) if command.ends_with(|c: char| c.is_ascii_digit()) => {
            command.strip_suffix(" 1")?
        }
        Some((command, target)) if !target.trim().contains([' ', ';', '|', '&', '\'']) => command,
        Some(_) => return None,
        None => command,
    };
    let command = command.trim();
    let command = command.strip_prefix("nohup ").unwrap_or(command);
    Some(command.trim().to_owned())
}

/// The text without the fault, and where it begins to be another.
fn respelled(text: &str, fault: Fault, wildcards: Wildcards) -> Option<(usize, String)> {
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
            if word.contains(['\'', '"', '\\', '$', '`', '<', '>']) {
                return None;
            }
            let new = match (fault.code, wildcards) {
                (Code::Brace, _) if word.contains(',') || word.contains("..") => {
                    spelled_out(word)?.join(" ")
                }
                _ if word.contains('/') => return None,
                (Code::Glob | Code::Bracket, Wildcards::Files) if !word.starts_with('-') => {
                    format!("./{word}")
                }
                _ => format!("'{word}'"),
            };
            Some((
                start,
                format!("{}{new}{}", text.get(..start)?, text.get(end..)?),
            ))
        }
        // `$(COMMAND)` that may split becomes one word.
        Code::Dollar if after.starts_with("$(") && is_blank(fault.position.wrapping_sub(1)) => {
            let end = after.find(')')?;
            let (inside, rest) = after.split_at_checked(end + 1)?;
            let new = format!("{before}\"{inside}\"{rest}");
            (!inside.contains(['"', '\''])).then_some((fault.position, new))
        }
        Code::Redirect if after.starts_with("<<<") => given::by_echo(text, fault.position),
        Code::Redirect if after.starts_with("<<") => given::as_statement(text, fault.position),
        Code::Newline => given::in_one_line(text, fault.position),
        _ => None,
    }
}

/// Whether a word in quotes is a file to its program, and looks as if many were meant.
fn quotes_a_pattern_of_files(text: &str) -> bool {
    let Ok(parsed) = lexer::parse(text, Options { globs: true }) else {
        return false;
    };
    parsed.commands.iter().any(|command| {
        let invocation = Invocation::of(&command.words);
        command.words.iter().enumerate().any(|(index, word)| {
            let file = match invocation.role(index).1.map(|role| role.what) {
                Some(What::Operand { kind, .. } | What::Value { kind, .. }) => kind.names_a_file(),
                _ => false,
            };
            file && word.quoted && word.text.contains(['*', '?', '['])
        })
    })
}

/// What bash makes of `a{b,c}d` and `{1..3}`.
fn spelled_out(word: &str) -> Option<Vec<String>> {
    let Some((before, rest)) = word.split_once('{') else {
        return Some(vec![word.to_owned()]);
    };
    let (inside, after) = rest.split_once('}')?;
    let each: Vec<String> = match inside.split_once("..") {
        Some((first, last)) => {
            let plain = |text: &str| text == "0" || !text.starts_with(['0', '+', '-']);
            let number = |text: &str| text.parse::<usize>().ok().filter(|_| plain(text));
            let (first, last) = (number(first)?, number(last)?);
            if first.abs_diff(last) >= BRACES_MAX {
                return None;
            }
            let rising = (first.min(last)..=first.max(last)).map(|n| n.to_string());
            match first <= last {
                true => rising.collect(),
                false => rising.rev().collect(),
            }
        }
        None if inside.contains(',') && !inside.contains('{') => {
            inside.split(',').map(str::to_owned).collect()
        }
        None => return None,
    };
    let after = spelled_out(after)?;
    let words = each.iter().flat_map(|each| {
        let after = after.iter();
        after.map(move |after| format!("{before}{each}{after}"))
    });
    let words: Vec<String> = words.take(BRACES_MAX).collect();
    (!words.iter().any(String::is_empty)).then_some(words)
}

/// A text that begins with `NAME=VALUE;`, with the value in the place of the name.
fn with_values(text: &str) -> Option<String> {
    let mut rest = text.trim_start_matches([' ', '\n']);
    let mut values: Vec<(&str, &str)> = Vec::new();
    while let Some((name, value, after)) = assignment(rest) {
        values.push((name, value));
        rest = after.trim_start_matches([' ', '\n']);
    }
    let mut new = rest.to_owned();
    for (name, value) in &values {
        let loops = [format!("for {name} "), format!("read {name}")];
        if is_set(rest, name) || loops.iter().any(|text| rest.contains(text)) {
            return None;
        }
        let replaced = with_value(&new, name, value);
        // Who does not use it here means it for a program.
        if replaced == new {
            return None;
        }
        new = replaced;
    }
    (!values.is_empty()).then_some(new)
}

/// Whether a command of the text begins with `NAME=`.
fn is_set(text: &str, name: &str) -> bool {
    text.match_indices(&format!("{name}=")).any(|(at, _)| {
        let before = text.get(..at).unwrap_or_default().trim_end_matches(' ');
        before.is_empty() || before.ends_with([';', '\n', '&', '|', '(', '{'])
    })
}

/// `NAME=VALUE` with a `;` or a line break behind it, where the value needs no quotes.
fn assignment(text: &str) -> Option<(&str, &str, &str)> {
    let (name, rest) = text.split_once('=')?;
    let end = rest.find([';', '\n'])?;
    let (value, after) = rest.split_at_checked(end)?;
    let value = value.trim_end();
    let bare = ['"', '\''].iter().find_map(|quote| {
        let inside = value.strip_prefix(*quote)?;
        inside.strip_suffix(*quote)
    });
    let value = bare.unwrap_or(value);
    let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && !LOOKED_AT.iter().any(|known| name.starts_with(known));
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_./:,+@%-".contains(&b);
    let is_plain = !value.is_empty() && value.bytes().all(plain);
    (is_name && is_plain && !after.starts_with(";;"))
        .then(|| (name, value, after.get(1..).unwrap_or("")))
}

/// `timeout 3 bash -c '…/dev/tcp/HOST/PORT…'`: `nc -z -w 3 HOST PORT`, which asks the same.
fn without_bash(text: &str) -> Option<String> {
    let (before, rest) = text.split_once("bash -c ")?;
    let quote = rest
        .chars()
        .next()
        .filter(|quote| ['\'', '"'].contains(quote))?;
    let (inside, after) = rest.get(1..)?.split_once(quote)?;
    let (redirect, place) = inside.split_once("/dev/tcp/")?;
    let (host, port) = place.split_once('/')?;
    let name = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    let plain = !host.is_empty() && !host.starts_with('-') && host.chars().all(name);
    let number = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let only_opens = [
        "<",
        ">",
        "exec 3<>",
        "echo >",
        "echo > ",
        ": >",
        ": > ",
        "cat < /dev/null > ",
        "cat </dev/null >",
    ];
    let (before, seconds) = match before.trim_end().rsplit_once("timeout ") {
        Some((head, seconds)) if seconds.bytes().all(|b| b.is_ascii_digit()) => (head, seconds),
        _ => (before, "5"),
    };
    (plain && number && only_opens.contains(&redirect))
        .then(|| format!("{before}nc -z -w {seconds} {host} {port}{after}"))
}

/// The text with a value in the place of `$NAME` and `${NAME}`, wherever a shell would put it.
fn with_value(text: &str, name: &str, value: &str) -> String {
    let mut new = String::with_capacity(text.len());
    let mut rest = text;
    let (mut single, mut double) = (false, false);
    while let Some(c) = rest.chars().next() {
        let used = (!single && c == '$').then(|| {
            let after = rest.get(1..)?;
            match after.strip_prefix('{') {
                Some(inside) => inside.strip_prefix(name)?.strip_prefix('}'),
                None => after.strip_prefix(name).filter(|after| {
                    !after.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
                }),
            }
        });
        if let Some(after) = used.flatten() {
            new.push_str(value);
            rest = after;
            continue;
        }
        let mut length = c.len_utf8();
        match c {
            '\'' if !double => single = !single,
            '"' if !single => double = !double,
            '\\' if !single => length += rest.chars().nth(1).map_or(0, char::len_utf8),
            _ => {}
        }
        let (taken, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        new.push_str(taken);
        rest = after;
    }
    new
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
            ("a 2>/x &", None),
            ("a 1>/x 2>&1 &", Some("a")),
        ] {
            assert_eq!(without_background(text).as_deref(), command, "{text}");
        }
    }

    #[test]
    fn words_in_quotes() {
        let respell = |text: &str, code| {
            let position = text.find(['*', '[', '$', ',', '.']).unwrap();
            let fault = Fault { code, position };
            respelled(text, fault, Wildcards::Text).map(|(_, new)| new)
        };
        assert_eq!(respell("cut -d* z", Code::Glob).unwrap(), "cut '-d*' z");
        assert_eq!(
            respell("ps -p $(pgrep x) -f", Code::Dollar).unwrap(),
            "ps -p \"$(pgrep x)\" -f"
        );
        assert_eq!(respell("ls /x/*.y z", Code::Glob), None);
        assert_eq!(
            respell("ls /x/{a,b} z", Code::Brace).unwrap(),
            "ls /x/a /x/b z"
        );
        assert_eq!(respell("ls {a,b", Code::Brace), None);
        assert!(quotes_a_pattern_of_files("ls 'x*.y' z"));
        assert!(!quotes_a_pattern_of_files("cut '-d?' -f1"));
    }

    #[test]
    fn braces_are_spelled_out() {
        let spelled = |word: &str| spelled_out(word).map(|words| words.join(" "));
        for (word, words) in [
            ("{1..3}", Some("1 2 3")),
            ("{3..1}", Some("3 2 1")),
            ("/etc/{hosts,fstab}", Some("/etc/hosts /etc/fstab")),
            ("a{b,}c", Some("abc ac")),
            ("{a,b}{1..2}", Some("a1 a2 b1 b2")),
            ("{01..03}", None),
            ("{a..c}", None),
            ("{1..9..2}", None),
            ("{a,{b,c}}", None),
            ("{1..999}", None),
            ("{a}", None),
            ("{,a}", None),
        ] {
            assert_eq!(spelled(word).as_deref(), words, "{word}");
        }
    }

    #[test]
    fn a_port_is_asked_without_bash() {
        for (text, new) in [
            (
                "timeout 3 bash -c '</dev/tcp/10.0.0.5/5432' && echo open",
                Some("nc -z -w 3 10.0.0.5 5432 && echo open"),
            ),
            (
                "timeout 2 bash -c 'cat < /dev/null > /dev/tcp/db1/443'",
                Some("nc -z -w 2 db1 443"),
            ),
            (
                "bash -c \"echo > /dev/tcp/h/80\"; df",
                Some("nc -z -w 5 h 80; df"),
            ),
            ("bash -c 'cat /etc/hosts > /dev/tcp/h/80'", None),
            ("bash -c 'echo > /dev/tcp/h/80; id'", None),
            ("bash -c '</dev/tcp/-x/80'", None),
        ] {
            assert_eq!(without_bash(text).as_deref(), new, "{text}");
        }
    }

    #[test]
    fn values_in_the_place_of_names() {
        for (text, new) in [
            (
                "T=80; df -P | awk -v t=$T '$5 > $T'",
                Some("df -P | awk -v t=80 '$5 > $T'"),
            ),
            (
                "d=/var/log\nls $d \"${d}/x\"",
                Some("ls /var/log \"/var/log/x\""),
            ),
            ("a='x'; b=y; echo $a$b $ab", Some("echo xy $ab")),
            ("a=x; echo \\$a", None),
            ("a=x; echo y", None),
            ("a=x; a=y; echo $a", None),
            ("PGHOST=h; psql $PGHOST", None),
            ("a=$(id); echo $a", None),
            ("a=x echo $a; ls", None),
            ("ls; a=x; echo $a", None),
        ] {
            assert_eq!(with_values(text).as_deref(), new, "{text}");
        }
    }
}
