//! What a command within `$(…)` prints, where that is known before it runs.
//!
//! Owns a short table: programs that print numbers (`pgrep`, `id -u`), names (`hostname`,
//! `uname -r`, `docker ps -q`) or dates, with the options that keep it so. All else may print
//! anything. What a program prints when it fails is nothing, so that is always possible.
//! Called by the words.

use crate::policy::syntax::command::{
    Command, List, NAME, NAMES, NUMBER, NUMBERS, OUTPUT, Redirect, Simple, TEXT,
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

/// Of a list whose commands are among these.
pub(super) fn of(list: &List<'_>, commands: &[Simple<'_>]) -> Prints {
    only_command(list, commands).map_or(Prints::Anything, of_command)
}

/// The one command of a list that is nothing else, and whose output is not sent elsewhere.
fn only_command<'c, 't>(list: &List<'t>, commands: &'c [Simple<'t>]) -> Option<&'c Simple<'t>> {
    let [item] = list.items.as_slice() else {
        return None;
    };
    let ([Command::Simple(index)], true, false) = (
        item.first.commands.as_slice(),
        item.rest.is_empty(),
        item.first.negated,
    ) else {
        return None;
    };
    let command = commands.get(*index)?;
    let plain = command.assignments.is_empty()
        && command.words.iter().all(|word| word.is_literal())
        && command
            .redirects
            .iter()
            .all(|each| matches!(each, Redirect::ErrorsToNull));
    plain.then_some(command)
}

fn of_command(command: &Simple<'_>) -> Prints {
    let words: Vec<&str> = command.words.iter().map(|word| &*word.text).collect();
    let (program, rest) = match words.as_slice() {
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
        ("docker" | "podman", ["ps", rest @ ..]) => containers(rest),
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

/// `docker ps -q` prints the names of containers, which are numbers to the base of sixteen.
fn containers(words: &[&str]) -> Prints {
    let mut quiet = false;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--quiet" => quiet = true,
            "--all" | "--latest" | "--no-trunc" => {}
            "-f" | "--filter" | "-n" | "--last" => {
                words.next();
            }
            long if long.starts_with("--filter=") => {}
            flags if flags.starts_with('-') && !flags.starts_with("--") => {
                if !flags.chars().skip(1).all(|flag| "aql".contains(flag)) {
                    return Prints::Anything;
                }
                quiet |= flags.contains('q');
            }
            _ => return Prints::Anything,
        }
    }
    match quiet {
        true => Prints::Names { several: true },
        false => Prints::Anything,
    }
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
            ("docker ps -aqf name=web", Prints::Anything),
            ("docker ps -aq -f name=web", Prints::Names { several: true }),
            ("docker ps", Prints::Anything),
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
