//! Commands made from a grammar by a small generator of numbers: the same seed gives the
//! same commands on every machine.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

/// xorshift64*, seeded; good enough to wander through a grammar.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    pub(crate) fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }

    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    pub(crate) fn char_of(&mut self, chars: &str) -> char {
        let count = chars.chars().count();
        chars.chars().nth(self.below(count)).unwrap()
    }
}

const BARE: &str = "abcXYZ019_./:,+@%=-";
const PUNCTUATION: &str = " !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
const WIDE: &str = "éß中о→😀";

/// A list that may hold groups, subshells, `if`, `for`, `!`, assignments, line breaks and
/// the output of a command.
pub(crate) fn list(random: &mut Random, programs: &[String], depth: usize) -> String {
    let mut text = String::new();
    for index in 0..1 + random.below(3) {
        if index > 0 {
            text.push_str(random.pick::<&str>(&[" ; ", "\n", " && ", " || ", "; ", " \\\n&& "]));
        }
        if random.chance(8) {
            text.push_str("! ");
        }
        text.push_str(&part(random, programs, depth));
        if random.chance(6) {
            text.push_str(" | ");
            text.push_str(&part(random, programs, depth));
        }
        if random.chance(10) {
            text.push_str(" # a comment; 'of any");
            text.push('\n');
            text.push_str(&part(random, programs, 0));
        }
    }
    text
}

fn part(random: &mut Random, programs: &[String], depth: usize) -> String {
    let inner = |random: &mut Random| list(random, programs, depth - 1);
    match random.below(if depth == 0 { 4 } else { 9 }) {
        0 => format!("TZ=UTC {}", one(random, programs)),
        1 if depth > 0 => format!("s1 \"x$({})\"", inner(random)),
        4 => format!("{{ {}\n}}", inner(random)),
        5 => format!("( {} )", inner(random)),
        6 => {
            let (test, then) = (inner(random), inner(random));
            let otherwise = match random.below(3) {
                0 => format!("else {}\n", inner(random)),
                1 => format!("elif {}\nthen {}\n", inner(random), inner(random)),
                _ => String::new(),
            };
            format!("if {test}\nthen {then}\n{otherwise}fi")
        }
        7 => format!(
            "for v in a -b 'c d'\ndo s1 \"$v\" x\"$v\"\n{}\ndone",
            inner(random)
        ),
        _ => one(random, programs),
    }
}

/// One simple command.
fn one(random: &mut Random, programs: &[String]) -> String {
    let mut text = random.pick(programs).clone();
    for _ in 0..random.below(3) {
        text.push(' ');
        match random.below(6) {
            0 => text.push_str(random.pick::<&str>(&["{}", "%y", "x^y", "HEAD~1", "a#b", "{x}"])),
            _ => word(random, &mut text),
        }
    }
    text
}

/// A list over these programs. Most are accepted; some are not, which is for the lexer
/// to say.
pub(crate) fn command(random: &mut Random, programs: &[String]) -> String {
    let mut text = String::new();
    for index in 0..1 + random.below(4) * random.below(2) {
        if index > 0 {
            let blank = |random: &mut Random| " ".repeat(random.below(3));
            text.push_str(&blank(random));
            text.push_str(random.pick::<&str>(&[";", "&&", "||", "|"]));
            text.push_str(&blank(random));
        }
        text.push_str(random.pick(programs).as_str());
        for _ in 0..random.below(5) {
            text.push_str(&" ".repeat(1 + random.below(2) * random.below(2)));
            word(random, &mut text);
        }
        if random.chance(5) {
            text.push(' ');
            text.push_str(random.pick::<&str>(&[
                "2>&1",
                "2>/dev/null",
                "2> /dev/null",
                ">/dev/null",
                "> /dev/null",
                "</dev/null",
                "< /dev/null",
                "1>/dev/null",
                "> /dev/null 2>&1",
            ]));
        }
    }
    if random.chance(12) {
        disturb(random, &mut text);
    }
    text
}

/// One word of any mixture of quotes.
pub(crate) fn word(random: &mut Random, text: &mut String) {
    if random.chance(40) {
        text.push('!');
        return;
    }
    for _ in 0..1 + random.below(3) {
        match random.below(5) {
            0 | 1 => {
                for _ in 0..1 + random.below(4) {
                    text.push(random.char_of(BARE));
                }
            }
            2 => {
                text.push('\'');
                inside(random, text, "'");
                text.push('\'');
            }
            3 => {
                text.push('"');
                double_quoted(random, text);
                text.push('"');
            }
            _ => {
                text.push('\\');
                text.push(random.char_of(PUNCTUATION));
            }
        }
    }
}

fn double_quoted(random: &mut Random, text: &mut String) {
    for _ in 0..random.below(4) {
        match random.below(4) {
            0 => text.push_str(
                random.pick::<&str>(&["\\\"", "\\\\", "\\$", "\\a", "\\'", "\\!", "\\n"]),
            ),
            _ => inside(random, text, "\"$`\\"),
        }
    }
}

fn inside(random: &mut Random, text: &mut String, but: &str) {
    for _ in 0..random.below(5) {
        let c = match random.below(6) {
            0 | 1 => random.char_of(BARE),
            2..5 => random.char_of(PUNCTUATION),
            _ => random.char_of(WIDE),
        };
        if !but.contains(c) {
            text.push(c);
        }
    }
}

/// Puts in, takes out or doubles a character somewhere.
fn disturb(random: &mut Random, text: &mut String) {
    let at = random.below(text.chars().count() + 1);
    let mut chars: Vec<char> = text.chars().collect();
    match random.below(3) {
        0 => chars.insert(at, random.char_of(PUNCTUATION)),
        1 if at < chars.len() => {
            chars.remove(at);
        }
        _ if at < chars.len() => chars.insert(at, chars[at]),
        _ => {}
    }
    *text = chars.into_iter().collect();
}
