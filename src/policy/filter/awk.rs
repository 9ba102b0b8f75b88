//! The awk programs that may follow a pipe without a rule.
//!
//! Owns a scan that can tell code from strings and regular expressions for certain, and
//! refuses a program where it cannot: what one awk takes for a division another may take
//! for the start of a regex, and a pipe could hide behind that. In the code it refuses
//! `getline`, `system`, pipes, output to files, `ENVIRON`, `ARGV`, `@` and what reaches
//! them. Called by the filters.

use crate::policy::filter::sed;

/// Whether a program can only compute and print.
pub(crate) fn is_plain(program: &str) -> bool {
    let mut scan = Scan {
        rest: program,
        last: Last::Start,
        parens: Vec::new(),
        printing: false,
    };
    while let Some(c) = scan.rest.chars().next() {
        if scan.token(c).is_none() {
            return false;
        }
    }
    true
}

/// Names that reach outside of the program.
const OUTSIDE: &[&str] = &[
    "ARGC",
    "ARGIND",
    "ARGV",
    "BINMODE",
    "ENVIRON",
    "FUNCTAB",
    "PROCINFO",
    "SYMTAB",
    "bindtextdomain",
    "close",
    "dcgettext",
    "dcngettext",
    "extension",
    "fflush",
    "getline",
    "nextfile",
    "system",
];

/// Words behind which a `/` starts an expression or could.
const KEYWORDS: &[&str] = &[
    "BEGIN",
    "BEGINFILE",
    "END",
    "ENDFILE",
    "break",
    "case",
    "continue",
    "default",
    "delete",
    "do",
    "else",
    "exit",
    "for",
    "func",
    "function",
    "if",
    "in",
    "length",
    "next",
    "print",
    "printf",
    "return",
    "switch",
    "while",
];

/// What stood before, as far as it says what a `/` means.
#[derive(Clone, Copy, PartialEq)]
enum Last {
    Start,
    /// `(`, `,`, an operator: a regex follows.
    Open,
    /// A value: a division follows.
    Value,
    /// A keyword of control flow: a `(` that follows may be followed by a regex.
    Control,
    /// Anything may follow.
    Unclear,
}

struct Scan<'p> {
    rest: &'p str,
    last: Last,
    /// For each open parenthesis, whether a `/` behind it is clearly a division.
    parens: Vec<bool>,
    /// Within a `print` or `printf` statement, where `>` writes a file.
    printing: bool,
}

impl Scan<'_> {
    /// Takes one token; `None` refuses the program.
    fn token(&mut self, c: char) -> Option<()> {
        let next = self.rest.chars().nth(1);
        match c {
            ' ' => self.skip(1),
            '"' => {
                self.rest = behind_string(self.rest.get(1..)?)?;
                self.last = Last::Unclear;
            }
            '/' => match self.last {
                Last::Value => self.operator(),
                Last::Start | Last::Open => {
                    self.rest = behind_regex(self.rest.get(1..)?)?;
                    self.last = Last::Unclear;
                }
                Last::Control | Last::Unclear => return None,
            },
            c if c.is_ascii_alphabetic() || c == '_' => self.name()?,
            c if c.is_ascii_digit() || c == '.' => {
                self.rest = behind_number(self.rest)?;
                self.last = Last::Value;
            }
            '|' if next == Some('|') => {
                self.skip(1);
                self.operator();
            }
            '|' | '@' | '#' | '`' | '\'' => return None,
            '>' if self.printing && self.parens.is_empty() => return None,
            '(' => {
                self.parens.push(self.last != Last::Control);
                self.operator();
            }
            ')' => {
                let value = self.parens.pop()?;
                self.skip(1);
                self.last = if value { Last::Value } else { Last::Open };
            }
            ']' => {
                self.skip(1);
                self.last = Last::Value;
            }
            ';' | '{' | '}' => {
                if !self.parens.is_empty() && c != ';' {
                    return None;
                }
                self.printing &= !self.parens.is_empty();
                self.skip(1);
                self.last = Last::Start;
            }
            '+' | '-' if next == Some(c) => {
                self.skip(2);
                self.last = Last::Unclear;
            }
            '$' | '!' | '~' | '<' | '>' | '=' | '+' | '-' | '*' | '%' | '^' | '&' | '?' | ':'
            | ',' | '[' => self.operator(),
            _ => return None,
        }
        Some(())
    }

    fn name(&mut self) -> Option<()> {
        let end = self
            .rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .unwrap_or(self.rest.len());
        let name = self.rest.get(..end)?;
        if OUTSIDE.contains(&name) {
            return None;
        }
        self.last = match name {
            // Where `for (;; print > "x")` is accepted, it writes.
            "print" | "printf" if !self.parens.is_empty() => return None,
            "print" | "printf" => {
                self.printing = true;
                Last::Open
            }
            "if" | "while" | "for" | "switch" => Last::Control,
            "return" => Last::Open,
            keyword if KEYWORDS.contains(&keyword) => Last::Unclear,
            _ => Last::Value,
        };
        self.skip(end);
        Some(())
    }

    fn operator(&mut self) {
        self.skip(1);
        self.last = Last::Open;
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }
}

/// What follows a string, from behind its first quote.
fn behind_string(text: &str) -> Option<&str> {
    let mut rest = text.chars();
    loop {
        match rest.next()? {
            '\\' => {
                rest.next()?;
            }
            '"' => return Some(rest.as_str()),
            _ => {}
        }
    }
}

/// What follows a regex, from behind its first `/`. Where awks do not agree on what ends
/// a `[…]`, they do not agree on which `/` ends the regex: then it is refused.
fn behind_regex(text: &str) -> Option<&str> {
    let mut rest = text.chars();
    let mut brackets = false;
    loop {
        match (rest.next()?, brackets) {
            ('\\', _) => {
                rest.next()?;
            }
            ('/', true) => return None,
            ('/', false) => return Some(rest.as_str()),
            ('[', true) => rest = sed::behind_class(rest.as_str())?.chars(),
            ('[', false) => {
                let inside = rest.as_str();
                let members = inside.strip_prefix('^').unwrap_or(inside);
                if members.starts_with(']') {
                    return None;
                }
                rest = members.chars();
                brackets = true;
            }
            (']', _) => brackets = false,
            _ => {}
        }
    }
}

/// What follows a number. No name may be glued to it: `1system("id")` is a number and a
/// call to every awk.
fn behind_number(text: &str) -> Option<&str> {
    let whole = behind_digits(text);
    let fraction = match whole.strip_prefix('.') {
        Some(digits) => behind_digits(digits),
        None => whole,
    };
    let exponent = fraction.strip_prefix(['e', 'E']).and_then(|digits| {
        let digits = digits.strip_prefix(['+', '-']).unwrap_or(digits);
        Some(behind_digits(digits)).filter(|after| after.len() < digits.len())
    });
    let after = exponent.unwrap_or(fraction);
    let glued = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let alone = text.len() - after.len() == 1 && text.starts_with('.');
    (!alone && !after.starts_with(glued)).then_some(after)
}

fn behind_digits(text: &str) -> &str {
    text.trim_start_matches(|c: char| c.is_ascii_digit())
}

/// Whether these words are a plain awk on standard input: options `-F` and `-v`, one
/// program, no files. `words` begins with the program.
pub(crate) fn is_filter(words: &[&str]) -> bool {
    let mut rest = words.iter().skip(1);
    while let Some(word) = rest.next() {
        match *word {
            "-F" => {
                if rest.next().is_none() {
                    return false;
                }
            }
            "-v" => match rest.next() {
                Some(assignment) if is_assignment(assignment) => {}
                _ => return false,
            },
            option if option.len() > 2 && option.starts_with("-F") => {}
            option if option.starts_with('-') => return false,
            program => return rest.next().is_none() && is_plain(program),
        }
    }
    false
}

pub(crate) fn is_assignment(text: &str) -> bool {
    text.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty()
            && !OUTSIDE.contains(&name)
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && !name.starts_with(|c: char| c.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_programs() {
        for program in [
            "{print $1}",
            "NR>1 && $3 > 50 {print $2, $3, $11}",
            "$5+0 > 80 {print $6, $5}",
            "/error|fail/ {n++} END {print n}",
            "{ if ($3>50) print $1; else if ($2 > 1) print \"|\" }",
            "{print ($2-$3)/$2*100}",
            "{s+=$1} END {print s/NR}",
            "!seen[$0]++",
            "$1 ~ /a|b/ || $2 == \"x\"",
            "BEGIN {FS=\":\"} {printf \"%s\\n\", $1}",
            "{a[$1]++} END {for (k in a) print k, a[k]}",
            "/systemd/ {print $2}",
            "{print length($0)}",
            "{print (a > b)}",
            "$0 ~ \"system\"",
            "$1 > 1.5e+3 || $2 < .5 || $3 == 1E6 {print $1/2, NR/3., 1024*1024}",
            "/^[[:space:]]*#/ {next} /[^a-z\\/]/ {print}",
            "/[[:alpha:]_][[:alnum:]_]*=/",
            "{gsub(/[[:space:]]+$/, \"\"); print}",
        ] {
            assert!(is_plain(program), "{program}");
        }
    }

    #[test]
    fn programs_that_reach_outside_or_are_unclear() {
        for program in [
            "BEGIN{system(\"id\")}",
            "{print > \"/etc/x\"}",
            "{print $1 >> \"x\"}",
            "{print | \"sh\"}",
            "BEGIN{\"id\"|getline x}",
            "BEGIN{while((\"id\"|getline l)>0)print l}",
            "BEGIN{getline x < \"/etc/shadow\"}",
            "BEGIN{ARGV[1]=\"/etc/shadow\";ARGC=2}",
            "BEGIN{print ENVIRON[\"HOME\"]}",
            "@load \"x\"",
            "BEGIN{f=\"system\";@f(\"id\")}",
            "BEGIN{print PROCINFO[\"pid\"]}",
            "BEGIN{bindtextdomain(\"/tmp\"); print _\"x\"}",
            "{print /\"/ | \"id\" /\"/}",
            "{x = 1; x++ /\"/ }",
            "{if (x) /\"/ ; print | \"id\" /\"/}",
            "{print length /\"/ | \"id\" /\"/}",
            "/[/]/ {print}",
            "{print} # x",
            "{print \"a}",
            "{print a, b > c}",
            "{printf(\"x\") > \"y\"}",
            "{(print) > \"y\"}",
            "{for (i = 0; i < 1; print > \"y\") i++}",
            "{for (printf(\"x\") > \"y\"; i < 1;) i++}",
            "{1system(\"id\")}",
            "{.5system(\"id\")}",
            "{x=1e5getline<\"/etc/shadow\"}",
            "{x=1_y}",
            "{x=0x1F}",
            "{x=1ENVIRON[\"HOME\"]}",
            "{print . 5}",
            "{print /[]/]/ / 1 | \"id #\" 1 /1/ 1}",
            "{print /[^]/]/ / 1 | \"id #\" 1 /1/ 1}",
            "{print /[[:alpha:]/]/ / 1 | \"id #\" 1 /1/ 1}",
            "{print /[a[]/ / 1 | \"id #\" 1 /1/ 1}",
            "{print /a/ / (/ | \"id\" /)}",
            "{print \"a\" / 2}",
            "/[[.x.]]/",
            "/[[:x]/",
        ] {
            assert!(!is_plain(program), "{program}");
        }
    }

    #[test]
    fn words_of_awk() {
        assert!(is_filter(&["awk", "{print $1}"]));
        assert!(is_filter(&["awk", "-F:", "-v", "x=1", "{print x}"]));
        assert!(is_filter(&["awk", "-F", ",", "{print $2}"]));
        assert!(!is_filter(&["awk", "-f", "/tmp/x"]));
        assert!(!is_filter(&["awk", "{print}", "/etc/shadow"]));
        assert!(!is_filter(&["awk", "{print}", "x=1"]));
        assert!(!is_filter(&["awk"]));
        assert!(!is_filter(&["awk", "-v", "x", "{print}"]));
        assert!(!is_filter(&["awk", "--source", "{print}"]));
    }
}
