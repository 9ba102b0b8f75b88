//! The awk programs that may follow a pipe without a rule.
//!
//! Owns a scan that can tell code from strings and regular expressions for certain, and
//! refuses a program where it cannot: what one awk takes for a division another may take
//! for the start of a regex, and a pipe could hide behind that. In the code it refuses
//! `getline`, `system`, pipes, output to files, `ENVIRON`, `ARGV`, `@` and what reaches
//! them. Called by the filters.

use crate::policy::filter::{bounds, sed};

/// Whether a program can only compute and print.
pub(crate) fn is_plain(program: &str) -> bool {
    // In an encoding such as GBK or Shift-JIS, awk takes the last byte of a character
    // together with the backslash or quote behind it.
    if !program.is_ascii() {
        return false;
    }
    let mut scan = Scan {
        rest: program,
        last: Last::Start,
        parens: Vec::new(),
        printing: false,
        counters: Vec::new(),
        before: ' ',
        behind_value: false,
        sum: None,
        steps: 0,
    };
    while let Some(c) = scan.rest.chars().next() {
        if scan.token(c).is_none() {
            return false;
        }
    }
    scan.statement().is_some() && scan.counters_are_left_alone(program)
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
    // Loops whose rounds cannot be told, and what may call itself.
    "do",
    "extension",
    "fflush",
    "func",
    "function",
    "getline",
    "nextfile",
    "sprintf",
    "system",
    "while",
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
    /// Variables that count the rounds of loops.
    counters: Vec<String>,
    /// The last character that was no blank.
    before: char,
    /// The token before ended a value: another one is joined to it.
    behind_value: bool,
    /// What stands to the right of an assignment in this statement.
    sum: Option<Sum>,
    /// How many loops count.
    steps: usize,
}

/// The values of an assignment: a text that is joined of two variables may double.
#[derive(Default)]
struct Sum {
    variables: usize,
    joined: bool,
}

impl Scan<'_> {
    /// Takes one token; `None` refuses the program.
    fn token(&mut self, c: char) -> Option<()> {
        let next = self.rest.chars().nth(1);
        let begins = c.is_ascii_alphanumeric() || matches!(c, '_' | '"' | '$' | '(');
        if begins && self.behind_value && !self.rest.starts_with("in ") {
            self.sum.iter_mut().for_each(|sum| sum.joined = true);
        }
        if c != ' ' {
            self.behind_value = false;
        }
        let assigns = c == '='
            && next != Some('=')
            && self.last != Last::Start
            && !matches!(self.before, '=' | '<' | '>' | '!');
        if assigns {
            self.sum.get_or_insert_default();
        }
        if c != ' ' {
            self.before = c;
        }
        match c {
            ' ' => self.skip(1),
            '"' => {
                let text = self.rest.get(1..)?;
                self.rest = behind_string(text)?;
                let length = text.len() - self.rest.len();
                if bounds::is_wide_format(text.get(..length)?) {
                    return None;
                }
                self.last = Last::Unclear;
                self.behind_value = true;
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
                self.behind_value = true;
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
                self.behind_value = value;
                self.last = if value { Last::Value } else { Last::Open };
            }
            ']' => {
                self.skip(1);
                self.last = Last::Value;
                self.behind_value = true;
            }
            ';' | '{' | '}' => {
                self.statement()?;
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
        // In a counted loop a text may double in each round.
        if matches!(name, "gsub" | "sub" | "gensub") && self.steps > 0 {
            return None;
        }
        if name == "for"
            && let Some(counter) = bounds::rounds_of_awk(self.rest.get(end..)?)?
        {
            self.counters.push(counter.to_owned());
            self.steps += 1;
        }
        if !KEYWORDS.contains(&name) {
            self.behind_value = true;
            if let Some(sum) = &mut self.sum {
                sum.variables += 1;
            }
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

    /// The end of a statement: what was assigned in it must not double.
    fn statement(&mut self) -> Option<()> {
        let sum = self.sum.take().unwrap_or_default();
        self.behind_value = false;
        let many = sum.variables > 1 || (self.steps > 0 && sum.variables > 0);
        (!(sum.joined && many)).then_some(())
    }

    /// Whether no statement sets a variable that counts rounds: each may stand in the
    /// headers, and be read.
    fn counters_are_left_alone(&self, program: &str) -> bool {
        self.counters.iter().all(|counter| {
            let mut sets = 0;
            for (at, _) in program.match_indices(counter.as_str()) {
                let before = program.get(..at).unwrap_or_default().trim_end_matches(' ');
                let after = program.get(at + counter.len()..).unwrap_or_default();
                let after = after.trim_start_matches(' ');
                let assigned = after.starts_with('=') && !after.starts_with("==");
                let stepped = after.starts_with("++") || after.starts_with("--");
                let changed = after
                    .strip_prefix(['+', '-', '*', '/', '%', '^'])
                    .is_some_and(|rest| rest.starts_with('='));
                let first = before.ends_with("++") || before.ends_with("--");
                sets += usize::from(assigned || stepped || changed || first);
            }
            // Each header of its own sets it twice: at first, and with each step.
            let headers = self
                .counters
                .iter()
                .filter(|other| *other == counter)
                .count();
            sets <= 2 * headers
        })
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
            option if !option.is_ascii() => return false,
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
            && text.is_ascii()
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
            "{for(i=11;i<=NF;i++) printf \"%s \", $i; print \"\"}",
            "{for(i=NF;i>0;i--) printf \"%s \", $i; print \"\"}",
            "{s = s $0; n = n + 1} END {print s, n}",
            "{x = a + b; y = $1 \" \" $2}",
            "/ERROR/{c=12} c-->0",
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
            "BEGIN{while(1){}}",
            "BEGIN{for(;;){}}",
            "{do x++; while (1)}",
            "function f() {f()} {f()}",
            "BEGIN{s=\"x\";for(i=0;i<40;i++)s=s s}",
            "{s=s s}",
            "{a = b \",\" b; b = a a}",
            "BEGIN{for(i=0;i<9;i++)i=0}",
            "BEGIN{for(i=0;i<9;i++){i--}}",
            "{for(i=0;i<40;i++)gsub(/./,\"&&\")}",
            "{printf \"%999999999d\", 1}",
            "{x=sprintf(\"%s%s\",x,x)}",
            "{print \"中\\\" | \"touch X\"} # \"}",
            "/é/",
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
