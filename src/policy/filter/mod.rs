//! Read-only filters: what may follow a pipe without a rule of its own.
//!
//! Owns the table of filters with the options that neither execute, write nor open a
//! file, and refuses every operand that could be a file. Called by the rules for a
//! command that stands behind `|` and that no rule allowed.

pub(crate) mod awk;
pub(crate) mod bounds;
pub(crate) mod sed;
pub(crate) mod sql;

use crate::policy::hazard::wrappers;
use crate::policy::syntax::command::{NAME, NUMBER};
use crate::policy::syntax::lexer::Word;

/// One filter.
#[derive(Debug)]
pub(crate) struct Filter {
    pub(crate) name: &'static str,
    /// Accepted short options.
    pub(crate) short: &'static str,
    /// Those of them with a value, glued or in the next word.
    pub(crate) valued: &'static str,
    /// Long options whose value may stand in the next word; `2` behind a name: two words.
    pub(crate) valued_long: &'static str,
    /// Operands that are no files.
    pub(crate) operands: usize,
}

#[rustfmt::skip]
pub(crate) const FILTERS: &[Filter] = &[
    filter("base64", "dw", "w", "wrap", 0),
    filter("cat", "AbeEnstTuv", "", "", 0),
    filter("column", "tsxcoN", "scoN", "separator", 0),
    filter("cut", "dfcbsnz", "dfcb", "delimiter fields characters bytes output-delimiter", 0),
    filter("egrep", "ivowxncqmABCa0123456789", "mABC", GREP_LONG, 1),
    filter("expand", "t", "t", "", 0),
    filter("fgrep", "ivowxncqmABCa0123456789", "mABC", GREP_LONG, 1),
    filter("fold", "sw", "w", "", 0),
    filter("grep", "ivEFPowxnchqmABCaHlLse0123456789", "emABC", GREP_LONG, 1),
    filter("head", "ncqvz0123456789", "nc", "lines bytes", 0),
    filter("jq", "rcSeMnsjaC", "", "arg2 argjson2", 1),
    filter("md5sum", "", "", "", 0),
    filter("nl", "bnwsv", "bnwsv", "", 0),
    filter("paste", "sd", "d", "", 0),
    filter("rev", "", "", "", 0),
    filter("sha256sum", "", "", "", 0),
    filter("sort", "nrkufhtbdgiVMscz", "kt", "key field-separator", 0),
    filter("tac", "", "", "", 0),
    filter("tail", "ncqvz0123456789", "nc", "lines bytes", 0),
    filter("tr", "dscCt", "", "", 2),
    filter("uniq", "cduizfsw", "fsw", "", 0),
    filter("wc", "lwcmL", "", "", 0),
];

/// `--context` is not among them: BSD takes its value behind `=` only.
const GREP_LONG: &str = "max-count after-context before-context";

/// Long options of any filter, spelled out whole; a value may follow behind `=`.
pub(crate) const LONG_OPTIONS: &str = "\
    lines bytes ignore-case invert-match count line-number only-matching extended-regexp \
    fixed-strings color colour numeric-sort reverse unique key field-separator \
    human-numeric-sort delimiter fields characters complement output-delimiter words chars \
    max-count context after-context before-context word-regexp text line-buffered perl-regexp \
    raw-output compact-output arg argjson decode wrap delete squeeze-repeats table separator \
    zero-terminated version-sort no-filename quiet silent";

const fn filter(
    name: &'static str,
    short: &'static str,
    valued: &'static str,
    valued_long: &'static str,
    operands: usize,
) -> Filter {
    Filter {
        name,
        short,
        valued,
        valued_long,
        operands,
    }
}

/// What to do about a filter that is more than that.
pub(crate) const HINT: &str = "Behind a pipe this program needs no rule as long as it only filters \
    its input: name no file, and leave out options and scripts that do more, such as tail -f, \
    sed -E or awk's system, getline and output to files. ssh_plan tells whether a form is allowed.";

/// Whether the program is one of the filters, whatever its words.
pub(crate) fn is_named(words: &[Word<'_>]) -> bool {
    words.first().and_then(name).is_some_and(|name| {
        matches!(name, "awk" | "sed") || FILTERS.iter().any(|filter| filter.name == name)
    })
}

/// Whether these words are a filter that reads standard input only.
pub(crate) fn is_filter(words: &[Word<'_>]) -> bool {
    // One number or name that the host puts in is a text like another.
    let plain = |word: &Word<'_>| word.is_literal() || holds_one(word);
    if !words.iter().all(plain) {
        return false;
    }
    let texts: Vec<&str> = words.iter().map(|word| &*word.text).collect();
    let (Some(name), Some((_, arguments))) = (words.first().and_then(name), texts.split_first())
    else {
        return false;
    };
    match name {
        "awk" | "sed" if !words.iter().all(Word::is_literal) => false,
        "awk" => awk::is_filter(&texts),
        "sed" => sed::is_filter(&texts),
        _ => FILTERS
            .iter()
            .find(|filter| filter.name == name)
            .is_some_and(|filter| filter.accepts(arguments)),
    }
}

/// Whether all that the host puts in are numbers and names within one word.
fn holds_one(word: &Word<'_>) -> bool {
    let mut marks = word.globs.iter().map(|at| word.text.get(*at..));
    marks.all(|rest| rest.is_some_and(|rest| rest.starts_with([NUMBER, NAME])))
}

/// The plain name of a program, if its path is one that such a name stands for.
fn name<'w>(program: &'w Word<'_>) -> Option<&'w str> {
    let name = wrappers::base_name(&program.text);
    let plain = program.text == name || wrappers::is_system_path_of(&program.text, name);
    plain.then_some(name)
}

impl Filter {
    fn accepts(&self, arguments: &[&str]) -> bool {
        let mut operands = Vec::new();
        let mut limit = self.operands;
        let mut context_apart = false;
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let values = match self.option(argument) {
                Argument::Operand => {
                    operands.push(*argument);
                    0
                }
                Argument::Option { values } => values,
                Argument::End => {
                    operands.extend(rest.by_ref());
                    0
                }
                Argument::Refused => return false,
            };
            // Where options end at the first operand, what follows is files: harmless only
            // if it can be no file's name. jq looks for options everywhere.
            let behind = !operands.is_empty() && self.name != "jq";
            for _ in 0..values {
                match rest.next() {
                    Some(value) if !behind || is_number(value) => {}
                    _ => return false,
                }
            }
            context_apart |= values == 1 && argument.ends_with('C');
            // With the pattern in an option, every operand is a file.
            if self.name == "grep" && is_pattern_option(argument) {
                limit = 0;
            }
        }
        // OpenBSD's -C has no value: there, the pattern would be a file.
        if context_apart && operands.iter().any(|pattern| pattern.contains('/')) {
            return false;
        }
        // Standard input by name; but uniq's second operand is where it writes.
        let stdin = |operand: &str| operand == "-" && limit == 0 && self.name != "uniq";
        operands.iter().filter(|each| !stdin(each)).count() <= limit
            && (self.name != "jq" || operands.iter().all(|program| is_plain_jq(program)))
    }

    fn option(&self, argument: &str) -> Argument {
        if argument == "--" {
            return Argument::End;
        }
        if let Some(long) = argument.strip_prefix("--") {
            let (name, glued) = match long.split_once('=') {
                Some((name, _)) => (name, true),
                None => (long, false),
            };
            if !LONG_OPTIONS.split(' ').any(|known| known == name) {
                return Argument::Refused;
            }
            let values =
                self.valued_long
                    .split(' ')
                    .find_map(|known| match known.strip_suffix('2') {
                        Some(two) => (two == name).then_some(2),
                        None => (known == name).then_some(usize::from(!glued)),
                    });
            return Argument::Option {
                values: values.unwrap_or(0),
            };
        }
        match argument.strip_prefix('-') {
            None | Some("") => Argument::Operand,
            Some(cluster) => self.cluster(cluster),
        }
    }

    fn cluster(&self, cluster: &str) -> Argument {
        let mut letters = cluster.chars();
        let mut counted = false;
        while let Some(letter) = letters.next() {
            if !self.short.contains(letter) {
                return Argument::Refused;
            }
            counted |= letter.is_ascii_digit();
            if self.valued.contains(letter) {
                // In `head -5c FILE` and `tail -5c FILE` the letter is a unit.
                if counted {
                    return Argument::Refused;
                }
                return Argument::Option {
                    values: usize::from(letters.as_str().is_empty()),
                };
            }
        }
        Argument::Option { values: 0 }
    }
}

enum Argument {
    Operand,
    /// With so many further words as its values.
    Option {
        values: usize,
    },
    End,
    Refused,
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a cluster of grep's options holds `-e`, before any letter with a value.
fn is_pattern_option(argument: &str) -> bool {
    let Some(cluster) = argument.strip_prefix('-') else {
        return false;
    };
    !cluster.starts_with('-')
        && cluster
            .chars()
            .take_while(|c| !"mABC".contains(*c))
            .any(|c| c == 'e')
}

/// A jq program that reads neither modules nor the environment.
pub(crate) fn is_plain_jq(program: &str) -> bool {
    let mut before = ' ';
    // Blanks may stand between a $ and its name.
    let mut variable = false;
    let mut word = String::new();
    for c in program.chars().chain([' ']) {
        if c.is_ascii_alphanumeric() || c == '_' {
            word.push(c);
            continue;
        }
        let outside = match word.as_str() {
            "import" | "include" | "input_filename" | "get_search_list" | "modulemeta" => true,
            "ENV" | "__prog_args" => variable,
            // `.env` is a field; `env` is the environment.
            "env" => before != '.',
            other => before != '.' && bounds::is_endless_in_jq(other),
        };
        if outside {
            return false;
        }
        variable = c == '$' || (variable && word.is_empty() && c == ' ');
        word.clear();
        before = c;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::syntax::lexer;

    fn accepted(command: &str) -> bool {
        let parsed = lexer::parse(command, lexer::Options::default()).unwrap();
        is_filter(&parsed.commands[0].words)
    }

    #[test]
    fn filters() {
        for command in [
            "head -5",
            "head -n 5",
            "tail -n +2",
            "tail --lines=5",
            "head --lines 5",
            "wc -l",
            "sort -k2,2 -t : -rn",
            "sort -hr",
            "uniq -c",
            "cut -d: -f1,7",
            "cut --delimiter=: --fields 1",
            "tr -d '\\n'",
            "tr a-z A-Z",
            "grep -v grep",
            "grep -A 3 -i 'a b'",
            "grep -e x",
            "grep --color=never x",
            "egrep -A 3 x",
            "cat",
            "cat -",
            "jq -r .MESSAGE",
            "jq --arg n v '.env[$n]'",
            "column -t -s :",
            "paste -sd, -",
            "base64 -d",
            "awk '{print $1}'",
            "sed -n 1,5p",
            "/usr/bin/head -5",
            "grep -- -v",
            "grep x -A 3",
            "grep -C 3 x",
            "grep -5 --context=3 x",
            "head -5q",
            "sort - -k 2",
            "jq .x --arg n v",
        ] {
            assert!(accepted(command), "{command}");
        }
        for command in [
            "head /etc/shadow",
            "head -n 5 /etc/shadow",
            "wc --files0-from=/etc/shadow",
            "wc --lines /etc/shadow",
            "sort -o /x",
            "sort --outp=/x",
            "uniq - /x",
            "uniq x",
            "grep x /etc/shadow",
            "grep -e x /etc/shadow",
            "grep -ne x /etc/shadow",
            "grep -f /x y",
            "grep -r x",
            "tail -f",
            "cat /etc/shadow",
            "cat - /etc/shadow",
            "tr a b c",
            "jq . /etc/shadow",
            "jq -n env",
            "jq -n '$ENV'",
            "jq -n '$ ENV'",
            "jq -n '$  ENV.HOME'",
            "jq 'import \"x\" as x; .'",
            "jq --rawfile a /x .",
            "jq -f /x",
            "md5sum -c",
            "tee /x",
            "xxd -r",
            "sort -k",
            "/tmp/head -5",
            "gawk '{print}'",
            "sort --reverse --key 2 /x",
            "cut -d : -f 1 /x",
            "head -99999c /etc/shadow",
            "tail -99999c /etc/shadow",
            "tail -5qc /etc/shadow",
            "cut -d: -f1 - -d /etc/shadow",
            "head - -n /etc/shadow",
            "grep x -A /etc/shadow",
            "grep --context root /etc/shadow",
            "grep -C root /etc/shadow",
            "grep -inC 3 /etc/shadow",
        ] {
            assert!(!accepted(command), "{command}");
        }
    }
}
