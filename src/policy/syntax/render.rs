//! Judged words → the text that is sent.
//!
//! Owns the one way of quoting: `'…'` around everything, with `'`, `\` and `!` outside
//! as `\'`, `\\`, `\!`. That form is read back alike by every shell that a login may
//! have: POSIX ones, zsh, fish (where `\` works inside single quotes) and tcsh (where
//! `!` does). Refuses nothing: whatever words there are can be quoted. Called by
//! `judge` and by [`crate::policy::decision::verdict::Authorised::exec_line`].

use crate::policy::syntax::lexer::{Parsed, Word};

/// The whole list, every word quoted.
pub(crate) fn canonical(parsed: &Parsed<'_>) -> String {
    let length: usize = parsed.commands.iter().map(|each| each.text.len()).sum();
    let mut out = String::with_capacity(length * 2);
    for command in &parsed.commands {
        out.push_str(command.joint.as_str());
        for (index, word) in command.words.iter().enumerate() {
            if index > 0 {
                out.push(' ');
            }
            quote_word(word, &mut out);
        }
        for redirect in &command.redirects {
            out.push(' ');
            out.push_str(redirect.as_str());
        }
    }
    out
}

/// Appends one word; its wildcards, if the policy lets the shell expand any, stay bare.
fn quote_word(word: &Word<'_>, out: &mut String) {
    let mut rest = &*word.text;
    let mut done = 0;
    for at in &word.globs {
        let (before, wildcard) = rest.split_at_checked(at - done).unwrap_or((rest, ""));
        if !before.is_empty() {
            quote(before, out);
        }
        let after = wildcard.get(1..).unwrap_or_default();
        out.push_str(wildcard.get(..1).unwrap_or_default());
        done = at + 1;
        rest = after;
    }
    if !rest.is_empty() || word.globs.is_empty() {
        quote(rest, out);
    }
}

/// Appends `text` as one word.
pub(crate) fn quote(text: &str, out: &mut String) {
    if text.is_empty() {
        out.push_str("''");
        return;
    }
    let mut open = false;
    for c in text.chars() {
        let outside = matches!(c, '\'' | '\\' | '!');
        if open == outside {
            out.push('\'');
            open = !open;
        }
        if outside {
            out.push('\\');
        }
        out.push(c);
    }
    if open {
        out.push('\'');
    }
}

/// Programs that some /bin/sh has itself and that may not be a file as well. In doubt a
/// name belongs here: it costs one process, and nothing else.
const BUILTINS: &[&str] = &[
    "array", "cat", "cd", "chdir", "command", "echo", "false", "getconf", "help", "kill", "mknod",
    "nohup", "pwd", "realpath", "sleep", "strftime", "true", "type", "umask", "uname", "which",
    "zftp",
];

/// Whether the list is one program that can take the shell's place.
pub(crate) fn is_alone(parsed: &Parsed<'_>) -> bool {
    match parsed.commands.as_slice() {
        [only] => only
            .words
            .first()
            .is_some_and(|program| !BUILTINS.contains(&&*program.text)),
        _ => false,
    }
}

/// The line that hands a canonical command to `/bin/sh`, whatever the login shell is.
///
/// A run is ended by TERM to the session's process group, then KILL. Measured with OpenSSH
/// and dropbear: a dash that waits for a program dies of TERM at once, sshd then forgets
/// the session, and a program that ignores TERM is never reached by KILL. So the process
/// that sshd started must not go before the program does: a single program takes the
/// shell's place, and before anything else the shell gets a trap, which makes it wait for
/// its child and then not go on with the list.
pub(crate) fn exec_line(canonical: &str, alone: bool) -> String {
    let before = if alone {
        "exec "
    } else {
        "trap \"exit 143\" TERM; "
    };
    let mut line = String::with_capacity(canonical.len() * 2 + 48);
    line.push_str("exec /bin/sh -c ");
    quote(&format!("{before}{canonical}"), &mut line);
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(text: &str) -> String {
        let mut out = String::new();
        quote(text, &mut out);
        out
    }

    #[test]
    fn the_three_special_characters_stand_outside() {
        assert_eq!(quoted("uptime"), "'uptime'");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("%s %p\\n"), r"'%s %p'\\'n'");
        assert_eq!(quoted("a!b"), r"'a'\!'b'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted("'"), r"\'");
        assert_eq!(quoted("\\!'"), r"\\\!\'");
    }

    #[test]
    fn the_wrapper_quotes_once_more() {
        let line = exec_line("'id' '-u'", true);
        assert_eq!(line, r"exec /bin/sh -c 'exec '\''id'\'' '\''-u'\'");
        let line = exec_line("'a' ; 'b'", false);
        assert_eq!(
            line,
            r#"exec /bin/sh -c 'trap "exit 143" TERM; '\''a'\'' ; '\''b'\'"#
        );
    }
}
