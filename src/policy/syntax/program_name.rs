//! What may stand where the program belongs.
//!
//! Owns the form of a program's name and refuses the words that a shell would take for
//! its own: keywords of any shell, assignments, and builtins that evaluate operands as
//! code (`printf -v 'a[$(id)]'`, `test -v …`, `read`) or change the shell. They
//! are compared by value, because fish takes a quoted keyword for a keyword. `time` is sent
//! as the program of that name. Called by the lexer once the words are known.

use crate::policy::decision::reason::Code;
use crate::policy::hazard::wrappers;
use crate::policy::syntax::command::Word;

/// Why these words are no command, with the place.
pub(crate) fn refusal(words: &[Word<'_>]) -> Option<(Code, usize)> {
    let program = words.first()?;
    let code = match &*program.text {
        // Sent as the programs of that name; what a builtin would evaluate is refused.
        name @ ("[" | "printf" | "test") if !program.quoted => {
            return evaluated(name, words).map(|word| (Code::EvalBuiltin, word.start));
        }
        "ulimit" if !program.quoted && only_shows_limits(words) => return None,
        "time" if !program.quoted && words.len() > 1 => {
            runs_a_builtin(words).then_some(Code::EvalBuiltin)?
        }
        name => of_program(name, program.quoted)
            .or_else(|| runs_a_builtin(words).then_some(Code::EvalBuiltin))?,
    };
    Some((code, program.start))
}

/// The word that makes `test` or `printf` look into a variable: some shells run the code in
/// its subscript.
fn evaluated<'w, 't>(name: &str, words: &'w [Word<'t>]) -> Option<&'w Word<'t>> {
    let mut operands = words.iter().skip(1);
    match name {
        "printf" => operands.next().filter(|word| word.text.starts_with("-v")),
        _ => operands.find(|word| {
            matches!(&*word.text, "-v" | "-R")
                || (word.text.contains('[') && word.text.contains('$'))
        }),
    }
}

fn of_program(name: &str, quoted: bool) -> Option<Code> {
    if is_assignment(name) {
        Some(Code::Assignment)
    } else if quoted {
        Some(Code::QuotedProgram)
    } else if wrappers::is_reserved_word(name) {
        Some(Code::ReservedWord)
    } else if wrappers::is_evaluating_builtin(name) {
        Some(Code::EvalBuiltin)
    } else if !is_plain_name(name) {
        Some(Code::BadProgram)
    } else {
        None
    }
}

/// `ulimit` with options alone, each with one letter of what to show: ksh evaluates an
/// operand, and bash takes one right behind its letter.
fn only_shows_limits(words: &[Word<'_>]) -> bool {
    words.iter().skip(1).all(|word| {
        let letters = word.text.strip_prefix('-').unwrap_or_default();
        let shown = letters.trim_start_matches(['H', 'S']);
        !letters.is_empty() && shown.len() < 2 && shown.bytes().all(|b| b.is_ascii_lowercase())
    })
}

/// `command` runs builtins too, unless it only asks (`-v`, `-V`); so does `time` where a
/// login shell has it itself.
fn runs_a_builtin(words: &[Word<'_>]) -> bool {
    let through = |text: &str| matches!(text, "command" | "time");
    let mut texts = words.iter().map(|word| &*word.text);
    if !texts.next().is_some_and(through) {
        return false;
    }
    for text in texts {
        match text.strip_prefix('-') {
            Some(letters) if letters.contains(['v', 'V']) => return false,
            Some(_) => {}
            None if through(text) => {}
            None => {
                return wrappers::is_evaluating_builtin(text) || wrappers::is_reserved_word(text);
            }
        }
    }
    false
}

/// `NAME=` or `NAME+=` with whatever follows.
fn is_assignment(name: &str) -> bool {
    let Some((left, _)) = name.split_once('=') else {
        return false;
    };
    let left = left.strip_suffix('+').unwrap_or(left);
    let mut bytes = left.bytes();
    bytes
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// `[A-Za-z0-9_/.][A-Za-z0-9_./+-]*` without empty, `.` or `..` components; a leading
/// `./` is a path like any other, that no rule names by accident.
fn is_plain_name(name: &str) -> bool {
    let components = match name.strip_prefix("./") {
        Some(path) => path,
        None => name.strip_prefix('/').unwrap_or(name),
    };
    !components.starts_with(['+', '-'])
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_./+-".contains(&b))
        && components
            .split('/')
            .all(|component| !matches!(component, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_programs() {
        for name in [
            "ls",
            "/usr/bin/g++",
            "x86_64-linux-gnu-gcc-13",
            "./run.sh",
            "7z",
            ".x",
        ] {
            assert_eq!(of_program(name, false), None, "{name}");
        }
        for name in [
            "a//b", "/a/../b", "/a/./b", "../a", "a/", "/", "-x", "a:b", "a,b", "@", ".//a",
        ] {
            assert_eq!(of_program(name, false), Some(Code::BadProgram), "{name}");
        }
        for name in ["A=b", "_a1+=x", "PATH="] {
            assert_eq!(of_program(name, true), Some(Code::Assignment), "{name}");
        }
        assert_eq!(of_program("1=b", false), Some(Code::BadProgram));
        assert_eq!(of_program("time", false), Some(Code::ReservedWord));
        assert_eq!(of_program(".", false), Some(Code::EvalBuiltin));
        assert_eq!(of_program("/usr/bin/printf", false), None);
    }
}
