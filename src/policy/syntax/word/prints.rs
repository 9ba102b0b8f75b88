//! What a command within `$(…)` prints, where that is known before it runs.
//!
//! Owns a short table: programs that print numbers (`pgrep`, `id -u`), names (`hostname`,
//! `uname -r`, `docker ps -q`) or dates, with the options that keep it so, and what a pipe
//! leaves of these, or counts of anything. All else may print anything. What a program prints
//! when it fails is nothing, so that is always possible.
//! Called by the words.

use crate::policy::syntax::command::{
    Command, Connective, List, NAME, NAMES, NUMBER, NUMBERS, OUTPUT, Redirect, Simple, TEXT,
};

/// What may come out of a command on its standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prints {
    Anything,
    /// As [`NUMBER`]; with `several`, perhaps more than one.
    Numbers {
        several: bool,
    },
    /// As [`NAME`].
    Names {
        several: bool,
    },
    /// As [`TEXT`].
    Text,
}

impl Prints {
    /// What stands for it in a word; `None` where it must not stand: without quotes, but for
    /// what makes one word, or such words as make a `whole` one.
    pub(super) fn stand_in(self, quoted: bool, whole: bool) -> Option<char> {
        match self {
            Self::Numbers { several: false } => Some(NUMBER),
            Self::Names { several: false } => Some(NAME),
            Self::Numbers { several: true } if quoted => Some(NUMBER),
            Self::Names { several: true } if quoted => Some(NAME),
            Self::Numbers { several: true } => whole.then_some(NUMBERS),
            Self::Names { several: true } => whole.then_some(NAMES),
            Self::Text => quoted.then_some(TEXT),
            Self::Anything => quoted.then_some(OUTPUT),
        }
    }
}

/// Of a list whose commands are among these. `|| true` behind it prints nothing.
pub(super) fn of(list: &List<'_>, commands: &[Simple<'_>]) -> Prints {
    let [item] = list.items.as_slice() else {
        return Prints::Anything;
    };
    let only = match item.rest.as_slice() {
        [] => true,
        [(Connective::Or, other)] => match other.commands.as_slice() {
            [Command::Simple(at)] => {
                let words = commands.get(*at).and_then(plain);
                words.is_some_and(|words| words == ["true"])
            }
            _ => false,
        },
        _ => false,
    };
    match only && !item.first.negated {
        true => of_pipe(&item.first.commands, commands),
        false => Prints::Anything,
    }
}

/// What the last of these commands prints.
fn of_pipe(parts: &[Command<'_>], commands: &[Simple<'_>]) -> Prints {
    let Some((Command::Simple(last), before)) = parts.split_last() else {
        return Prints::Anything;
    };
    let Some(words) = commands.get(*last).and_then(plain) else {
        return Prints::Anything;
    };
    if before.is_empty() {
        return of_command(&words);
    }
    match words.as_slice() {
        ["wc", "-l" | "-w" | "-c"] => Prints::Numbers { several: false },
        ["grep", flags, pattern] if counts(flags) && !pattern.starts_with('-') => {
            Prints::Numbers { several: false }
        }
        // Lines as they are, fewer of them or in another order.
        ["sort" | "uniq"] | ["sort", "-n" | "-r" | "-u" | "-nr" | "-rn" | "-nu" | "-un"] => {
            of_pipe(before, commands)
        }
        ["head" | "tail"] => of_pipe(before, commands),
        ["head" | "tail", "-n", number] if is_number(number) => of_pipe(before, commands),
        ["head" | "tail", short] => match short.strip_prefix("-n").or(short.strip_prefix('-')) {
            Some(number) if is_number(number) => of_pipe(before, commands),
            _ => Prints::Anything,
        },
        _ => Prints::Anything,
    }
}

/// The words of a command of which all is known, and whose output is what it prints.
fn plain<'c>(command: &'c Simple<'_>) -> Option<Vec<&'c str>> {
    let plain = command.assignments.is_empty()
        && command.words.iter().all(|word| word.is_literal())
        && command
            .redirects
            .iter()
            .all(|each| matches!(each, Redirect::ErrorsToNull));
    plain.then(|| command.words.iter().map(|word| &*word.text).collect())
}

/// Whether `grep` with these flags prints how many lines there are, and nothing else.
fn counts(flags: &str) -> bool {
    let flags = flags.strip_prefix('-').unwrap_or_default();
    flags.contains('c') && flags.chars().all(|flag| "ciEFvwx".contains(flag))
}

fn is_number(text: &str) -> bool {
    (1..=9).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn of_command(words: &[&str]) -> Prints {
    let (program, rest) = match words {
        ["sudo", "-n", program, rest @ ..] | ["sudo", program, rest @ ..] => (*program, rest),
        [program, rest @ ..] => (*program, rest),
        [] => return Prints::Anything,
    };
    match (program, rest) {
        ("pgrep", rest) => pgrep(rest),
        ("pidof", rest) => pidof(rest),
        ("nproc", []) | ("id", ["-u" | "-g"]) => Prints::Numbers { several: false },
        ("id", ["-u" | "-g", user]) if !user.starts_with('-') => Prints::Numbers { several: false },
        ("id", ["-un" | "-nu" | "-gn" | "-ng"])
        | ("whoami", [])
        | ("hostname", [] | ["-s" | "-f" | "--short" | "--fqdn"])
        | ("uname", [] | ["-r" | "-n" | "-m" | "-s"]) => Prints::Names { several: false },
        ("docker" | "podman", ["ps", rest @ ..])
        | ("docker" | "podman", ["container", "ls" | "list" | "ps", rest @ ..]) => containers(rest),
        (
            "docker" | "podman",
            [
                "inspect",
                "-f" | "--format",
                "{{.State.Pid}}" | "{{ .State.Pid }}",
                name,
            ],
        ) if !name.starts_with('-') => Prints::Numbers { several: false },
        ("systemctl", ["show", rest @ ..]) => main_pid(rest),
        ("ps", rest) => ps(rest),
        ("date", rest) => date(rest),
        _ => Prints::Anything,
    }
}

/// `pgrep` prints numbers, but with `-l` and `-a`, or a delimiter other than a comma.
fn pgrep(words: &[&str]) -> Prints {
    let mut several = true;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--oldest" | "--newest" | "--count" => several = false,
            "--full" | "--exact" | "--ignore-case" => {}
            "-d" | "--delimiter" => match words.next() {
                Some(&",") => several = false,
                _ => return Prints::Anything,
            },
            "-d," | "--delimiter=," => several = false,
            "-u" | "-U" | "-g" | "-G" | "-P" | "-s" | "-t" => {
                words.next();
            }
            "--" => break,
            flags if flags.starts_with("--") => return Prints::Anything,
            flags if flags.starts_with('-') => {
                if !flags.chars().skip(1).all(|flag| "cfinox".contains(flag)) {
                    return Prints::Anything;
                }
                several &= !flags.contains(['c', 'n', 'o']);
            }
            _ => {}
        }
    }
    Prints::Numbers { several }
}

fn pidof(words: &[&str]) -> Prints {
    let flags: Vec<&&str> = words.iter().filter(|word| word.starts_with('-')).collect();
    match flags
        .iter()
        .all(|flag| matches!(**flag, "-s" | "-x" | "-c"))
    {
        true => Prints::Numbers {
            several: !flags.contains(&&"-s"),
        },
        false => Prints::Anything,
    }
}

/// `systemctl show -p MainPID --value UNIT` prints the number of a process, or 0.
fn main_pid(words: &[&str]) -> Prints {
    let (mut asked, mut bare, mut units) = (false, false, 0);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "-p" | "--property" => match words.next() {
                Some(&"MainPID") if !asked => asked = true,
                _ => return Prints::Anything,
            },
            "-pMainPID" | "--property=MainPID" if !asked => asked = true,
            "--value" => bare = true,
            option if option.starts_with('-') => return Prints::Anything,
            _ => units += 1,
        }
    }
    match asked && bare && units > 0 {
        true => Prints::Numbers { several: units > 1 },
        false => Prints::Anything,
    }
}

/// `ps` with the numbers of processes as its one column, and no word above it.
fn ps(words: &[&str]) -> Prints {
    let mut columns = 0;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "-o" | "-eo" | "-Ao" => match words.next() {
                Some(&("pid=" | "ppid=")) => columns += 1,
                _ => return Prints::Anything,
            },
            "-e" | "-A" | "--no-headers" => {}
            "-C" | "-u" | "-U" | "-p" | "--ppid" | "--sort" => {
                words.next();
            }
            sorted if sorted.starts_with("--sort=") => {}
            _ => return Prints::Anything,
        }
    }
    match columns {
        1 => Prints::Numbers { several: true },
        _ => Prints::Anything,
    }
}

/// `docker ps -q` prints the names of containers, which are numbers to the base of sixteen, and
/// `--format '{{.Names}}'` those that somebody gave them: one of each, of such characters as
/// stand in a file's name, unless `--no-trunc` shows what else they were called by links.
fn containers(words: &[&str]) -> Prints {
    let (mut quiet, mut names, mut all_names) = (false, false, false);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--quiet" => quiet = true,
            "--no-trunc" => all_names = true,
            "--all" | "--latest" => {}
            "-f" | "--filter" | "-n" | "--last" => {
                words.next();
            }
            "--format" => match words.next() {
                Some(template) if is_of_names(template) && !names => names = true,
                _ => return Prints::Anything,
            },
            long if long.starts_with("--filter=") => {}
            long if long.strip_prefix("--format=").is_some_and(is_of_names) && !names => {
                names = true;
            }
            flags if flags.starts_with('-') && !flags.starts_with("--") => {
                let before = flags.strip_suffix(['f', 'n']);
                let (flags, filters) = (before.unwrap_or(flags), before.is_some());
                if !flags.chars().skip(1).all(|flag| "aql".contains(flag)) {
                    return Prints::Anything;
                }
                quiet |= flags.contains('q');
                if filters {
                    words.next();
                }
            }
            _ => return Prints::Anything,
        }
    }
    match names && !all_names || quiet && !names {
        true => Prints::Names { several: true },
        false => Prints::Anything,
    }
}

fn is_of_names(template: &str) -> bool {
    let field = template
        .strip_prefix("{{")
        .and_then(|rest| rest.strip_suffix("}}"));
    field.is_some_and(|field| [".Names", ".ID"].contains(&field.trim_matches(' ')))
}

/// Whether this is a time not far from now: of one long ago the year, or the number of seconds,
/// has a sign.
fn is_near(time: &str) -> bool {
    time.split(' ').all(|word| {
        let number = word.strip_prefix(['-', '+']).unwrap_or(word);
        let is_number = (1..=3).contains(&number.len());
        match word {
            "now" | "today" | "yesterday" | "tomorrow" | "ago" | "last" | "next" => true,
            _ if is_number && number.bytes().all(|b| b.is_ascii_digit()) => true,
            _ => ["second", "sec", "minute", "min", "hour", "day", "week"]
                .contains(&word.strip_suffix('s').unwrap_or(word)),
        }
    })
}

fn date(words: &[&str]) -> Prints {
    let words = match words {
        ["-u" | "--utc", rest @ ..] => rest,
        all => all,
    };
    let (time, format) = match words {
        [format] => ("now", format),
        ["-d" | "--date", time, format] | [format, "-d" | "--date", time] => (*time, format),
        [date, format] => (date.strip_prefix("--date=").unwrap_or("?"), format),
        _ => return Prints::Anything,
    };
    if !is_near(time) {
        return Prints::Anything;
    }
    let Some(format) = format.strip_prefix('+') else {
        return Prints::Anything;
    };
    // No conversion prints a dot, so that none becomes a pair with another.
    if format.contains("..") {
        return Prints::Anything;
    }
    let mut all = Prints::Numbers { several: false };
    let mut converts = false;
    let mut chars = format.chars();
    let mut first = true;
    while let Some(c) = chars.next() {
        let piece = match c {
            '%' => {
                converts = true;
                match chars.next() {
                    Some('Y' | 'C' | 'y' | 'm' | 'd' | 'j' | 'H' | 'I' | 'M' | 'S' | 's') => 0,
                    Some('u' | 'w' | 'U' | 'V' | 'W' | 'G' | 'g') => 0,
                    Some('F') => 1,
                    Some('T' | 'R' | 'D') => 2,
                    // Names of days and months, in the language of the login.
                    Some('a' | 'A' | 'b' | 'B' | 'h') if !first => 2,
                    Some('b' | 'B' | 'h') => 2,
                    // With a blank in the place of a zero.
                    Some('e' | 'k' | 'l') if !first => 2,
                    _ => return Prints::Anything,
                }
            }
            c if c.is_ascii_alphanumeric() => 1,
            '.' | '_' | '-' | '+' if !first => 1,
            ' ' | ':' | '/' | ',' | '[' | ']' if !first => 2,
            _ => return Prints::Anything,
        };
        first = false;
        all = match (piece, all) {
            (2, _) | (_, Prints::Text) => Prints::Text,
            (1, _) | (_, Prints::Names { .. }) => Prints::Names { several: false },
            (_, other) => other,
        };
    }
    match converts {
        true => all,
        false => Prints::Anything,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::syntax::lexer::{self, Options};

    #[test]
    fn what_is_known_of_an_output() {
        let (one, more) = (
            Prints::Numbers { several: false },
            Prints::Numbers { several: true },
        );
        let name = Prints::Names { several: false };
        for (command, expected) in [
            ("pgrep -o nginx", one),
            ("pgrep -fn indexer.py 2>/dev/null", one),
            ("pgrep -d, nginx", one),
            ("pgrep -d , nginx", one),
            ("pgrep -u www-data nginx", more),
            ("pgrep -l nginx", Prints::Anything),
            ("pgrep -d ' /etc/' nginx", Prints::Anything),
            ("pgrep --list-name nginx", Prints::Anything),
            ("pgrep -V", Prints::Anything),
            ("pidof nginx", more),
            ("pidof -s nginx", one),
            ("pidof -S / nginx", Prints::Anything),
            ("id -u", one),
            ("id -u www-data", one),
            ("id -u -n", Prints::Anything),
            ("id", Prints::Anything),
            ("nproc", one),
            ("hostname -s", name),
            ("hostname -I", Prints::Anything),
            ("uname -r", name),
            ("uname -a", Prints::Anything),
            ("whoami", name),
            ("docker ps -q", Prints::Names { several: true }),
            ("docker inspect -f '{{.State.Pid}}' web", one),
            ("docker inspect -f '{{.State}}' web", Prints::Anything),
            ("docker inspect -f '{{.State.Pid}}' -s", Prints::Anything),
            ("systemctl show -p MainPID --value nginx", one),
            ("systemctl show nginx cron --property=MainPID --value", more),
            ("systemctl show -p MainPID nginx", Prints::Anything),
            (
                "systemctl show -p MainPID -p Description --value nginx",
                Prints::Anything,
            ),
            (
                "systemctl show -p MainPID -p MainPID --value nginx",
                Prints::Anything,
            ),
            ("systemctl show --value nginx", Prints::Anything),
            ("ps -C nginx -o pid=", more),
            ("ps -eo pid= --sort=-%mem | head -n 5", more),
            ("ps -eo pid", Prints::Anything),
            ("ps -eo pid=,comm=", Prints::Anything),
            ("ps -eo pid= -o comm=", Prints::Anything),
            ("ps -f -o pid=", Prints::Anything),
            ("pgrep nginx | head -1", more),
            ("pgrep nginx | sort -rn | tail -n1", more),
            ("pgrep -l nginx | head -1", Prints::Anything),
            ("pgrep nginx | head -c 3", Prints::Anything),
            ("pgrep nginx | head -n 1 /etc/passwd", Prints::Anything),
            ("pgrep nginx | uniq -c", Prints::Anything),
            ("cat /x | wc -l", one),
            ("cat /x | wc -l /y", Prints::Anything),
            ("cat /x | grep -ci y", one),
            ("cat /x | grep -c y /z", Prints::Anything),
            ("cat /x | grep -co y", Prints::Anything),
            ("cat /x 2>&1 | wc -l 2>/dev/null", one),
            ("cat /x | wc -l 2>&1", Prints::Anything),
            ("pgrep nginx 2>&1 | head -1", Prints::Anything),
            ("cat /x | { wc -l; }", Prints::Anything),
            ("docker ps -aqf name=web", Prints::Names { several: true }),
            ("docker ps -aqz name=web", Prints::Anything),
            ("docker ps '-qü'", Prints::Anything),
            ("docker ps -aq -f name=web", Prints::Names { several: true }),
            ("docker ps", Prints::Anything),
            ("docker container ls -q", Prints::Names { several: true }),
            (
                "docker ps -a --format '{{.Names}}'",
                Prints::Names { several: true },
            ),
            (
                "podman ps --format='{{ .Names }}' | head -n 3",
                Prints::Names { several: true },
            ),
            (
                "docker ps --no-trunc --format '{{.Names}}'",
                Prints::Anything,
            ),
            (
                "docker ps -q --no-trunc --format '{{.Names}}'",
                Prints::Anything,
            ),
            ("docker ps --format '{{.Image}}'", Prints::Anything),
            ("docker ps --format '{{.Names}} {{.ID}}'", Prints::Anything),
            ("docker ps --format", Prints::Anything),
            ("docker container rm -q x", Prints::Anything),
            ("pgrep -o nginx || true", one),
            ("pgrep nginx 2>/dev/null || true", more),
            ("pgrep -o nginx || id", Prints::Anything),
            ("pgrep -o nginx && true", Prints::Anything),
            ("pgrep -o nginx || true || cat /x", Prints::Anything),
            ("pgrep -o nginx || true | cat /x", Prints::Anything),
            ("date +%s", one),
            ("date +%Y%m%d", one),
            ("date +%F", name),
            ("date -d yesterday +%Y-%m-%d.log", name),
            ("date -u --date='2 days ago' +%s", one),
            ("date -d '3000 years ago' +%Y", Prints::Anything),
            ("date -d @-99999999999 +%F", Prints::Anything),
            ("date '+%F %T'", Prints::Text),
            ("date +%d/%b/%Y", Prints::Text),
            ("date '+%b %e'", Prints::Text),
            ("date +%e", Prints::Anything),
            ("date +-%d", Prints::Anything),
            ("date +..", Prints::Anything),
            ("date +%Y..", Prints::Anything),
            ("date +shadow", Prints::Anything),
            ("date +%Z", Prints::Anything),
            ("date +/%d", Prints::Anything),
            ("date", Prints::Anything),
            ("pgrep -o nginx; cat /x", Prints::Anything),
            ("pgrep -o nginx | tr 1 /", Prints::Anything),
            ("! pgrep -o nginx", Prints::Anything),
            ("cat /run/nginx.pid", Prints::Anything),
            ("/tmp/pgrep -o nginx", Prints::Anything),
        ] {
            let parsed = lexer::parse(command, Options { globs: true }).expect(command);
            assert_eq!(of(&parsed.tree, &parsed.commands), expected, "{command}");
        }
    }
}
