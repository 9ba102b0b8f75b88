//! Judged words → the text that is sent.
//!
//! Owns the one way of quoting: `'…'` around everything, with `'`, `\` and `!` outside
//! as `\'`, `\\`, `\!`. That form is read back alike by every shell that a login may
//! have: POSIX ones, zsh, fish (where `\` works inside single quotes) and tcsh (where
//! `!` does). Refuses nothing: whatever words there are can be quoted. Called by
//! `judge` and by [`crate::policy::Authorised::exec_line`].

use crate::policy::decision::subject::Quotes;
use crate::policy::syntax::command::{
    Command, Compound, Connective, List, NAMES, NUMBERS, OUTPUTS, Parsed, Pipeline, Redirect,
    STATUS, Simple, Variable, Word,
};

/// The whole tree, every word quoted.
pub(crate) fn canonical(parsed: &Parsed<'_>) -> String {
    let length: usize = parsed.commands.iter().map(|each| each.text.len()).sum();
    let mut out = String::with_capacity(length * 2);
    let renderer = Renderer {
        commands: &parsed.commands,
        quotes: None,
    };
    renderer.list(&parsed.tree, &mut out);
    out
}

struct Renderer<'r, 't> {
    commands: &'r [Simple<'t>],
    /// For what is no shell: words stand bare where they can, else in these.
    quotes: Option<Quotes>,
}

impl Renderer<'_, '_> {
    fn list(&self, list: &List<'_>, out: &mut String) {
        for (index, item) in list.items.iter().enumerate() {
            if index > 0 {
                out.push_str(" ; ");
            }
            self.pipeline(&item.first, out);
            for (connective, pipeline) in &item.rest {
                out.push_str(match connective {
                    Connective::And => " && ",
                    Connective::Or => " || ",
                });
                self.pipeline(pipeline, out);
            }
        }
    }

    fn pipeline(&self, pipeline: &Pipeline<'_>, out: &mut String) {
        if pipeline.negated {
            out.push_str("! ");
        }
        for (index, command) in pipeline.commands.iter().enumerate() {
            if index > 0 {
                out.push_str(" | ");
            }
            match command {
                Command::Simple(index) => {
                    if let Some(simple) = self.commands.get(*index) {
                        self.simple(simple, out);
                    }
                }
                Command::Compound(compound, redirects) => {
                    self.compound(compound, out);
                    self.redirects(redirects, out);
                }
            }
        }
    }

    fn compound(&self, compound: &Compound<'_>, out: &mut String) {
        let mut part = |before: &str, list: &List<'_>, after: &str| {
            out.push_str(before);
            self.list(list, out);
            out.push_str(after);
        };
        match compound {
            Compound::Group(list) => part("{ ", list, " ; }"),
            Compound::Subshell(list) => part("( ", list, " )"),
            Compound::If(branches, otherwise) => {
                for (index, (condition, consequence)) in branches.iter().enumerate() {
                    part(if index == 0 { "if " } else { "elif " }, condition, " ; ");
                    part("then ", consequence, " ; ");
                }
                if let Some(list) = otherwise {
                    part("else ", list, " ; ");
                }
                out.push_str("fi");
            }
            Compound::For(each) => {
                out.extend(["for ", &Variable::on_host(&each.name), " in "]);
                self.word(&each.values, out);
                out.push_str(" ; do ");
                self.list(&each.body, out);
                out.push_str(" ; done");
            }
        }
    }

    fn simple(&self, simple: &Simple<'_>, out: &mut String) {
        for assignment in &simple.assignments {
            out.push_str(&assignment.name);
            out.push('=');
            self.word(&assignment.value, out);
            out.push(' ');
        }
        for (index, word) in simple.words.iter().enumerate() {
            if index > 0 {
                out.push(' ');
            }
            self.word(word, out);
        }
        self.redirects(&simple.redirects, out);
    }

    fn redirects(&self, redirects: &[Redirect<'_>], out: &mut String) {
        for redirect in redirects {
            out.push(' ');
            match (redirect, redirect.as_str()) {
                (Redirect::InputFrom(file), _) => {
                    out.push('<');
                    self.word(file, out);
                }
                (_, text) => out.push_str(text.unwrap_or_default()),
            }
        }
    }

    /// One word. What the host fills in stays bare, or stands in double quotes of its own,
    /// so that it can make no other words than it may.
    fn word(&self, word: &Word<'_>, out: &mut String) {
        if let Some(quotes) = self.quotes {
            let quote = match quotes {
                _ if is_bare(&word.text) => "",
                Quotes::None => "",
                Quotes::Single => "'",
                Quotes::Double => "\"",
            };
            return out.extend([quote, &word.text, quote]);
        }
        let mut outputs = word.outputs.iter();
        if word.shell {
            let mut text = String::new();
            self.list(outputs.next().unwrap_or(&List::default()), &mut text);
            return quote(&text, out);
        }
        let mut rest = &*word.text;
        let mut done = 0;
        let mut variables = word.variables.iter().peekable();
        for at in &word.globs {
            if *at < done {
                // Of a variable, for which all of it stood.
                continue;
            }
            if let Some(variable) = variables.next_if(|each| each.at <= *at) {
                let (before, held) = rest
                    .split_at_checked(variable.at - done)
                    .unwrap_or((rest, ""));
                if !before.is_empty() {
                    quote(before, out);
                }
                out.extend(["\"$", &Variable::on_host(&variable.name), "\""]);
                rest = held.get(variable.length..).unwrap_or_default();
                done = variable.at + variable.length;
                continue;
            }
            let (before, marked) = rest.split_at_checked(at - done).unwrap_or((rest, ""));
            if !before.is_empty() {
                quote(before, out);
            }
            let mark = marked.chars().next();
            let mut length = mark.map_or(0, char::len_utf8);
            match mark {
                Some(mark) if OUTPUTS.contains(&mark) => {
                    let quote = if [NUMBERS, NAMES].contains(&mark) {
                        ""
                    } else {
                        "\""
                    };
                    out.push_str(quote);
                    out.push_str("$( ");
                    self.list(outputs.next().unwrap_or(&List::default()), out);
                    out.push_str(" )");
                    out.push_str(quote);
                }
                Some(STATUS) => out.push_str("\"$?\""),
                // Only up to a bare / is a ~ the home.
                Some('~') if marked.starts_with("~/") => {
                    out.push_str("~/");
                    length = 2;
                }
                Some(wildcard) => out.push(wildcard),
                None => {}
            }
            rest = marked.get(length..).unwrap_or_default();
            done = at + length;
        }
        if !rest.is_empty() || word.globs.is_empty() {
            quote(rest, out);
        }
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

/// The tree for a login shell that may be no POSIX one: simple commands in a list, or
/// nothing. To a C shell `2>&1` is a word and a file, `&&` binds tighter than `||`, and a
/// redirection within a pipeline is an error.
pub(crate) fn plain(parsed: &Parsed<'_>) -> Option<String> {
    let simple = |command: &Command<'_>| match command {
        Command::Simple(index) => parsed.commands.get(*index),
        Command::Compound(..) => None,
    };
    let null =
        |each: &Redirect<'_>| matches!(each, Redirect::OutputToNull | Redirect::InputFromNull);
    let pipeline = |each: &Pipeline<'_>| {
        let alone = each.commands.len() == 1;
        !each.negated
            && each.commands.iter().all(|command| {
                simple(command).is_some_and(|simple| {
                    simple.redirects.is_empty() || alone && simple.redirects.iter().all(null)
                })
            })
    };
    let lists = parsed.tree.items.iter().all(|item| {
        let first = item.rest.first().map(|(connective, _)| *connective);
        pipeline(&item.first)
            && item
                .rest
                .iter()
                .all(|(connective, each)| Some(*connective) == first && pipeline(each))
    });
    let words = parsed.commands.iter().all(|command| {
        let literal = |word: &Word<'_>| word.outputs.is_empty() && !word.text.contains(STATUS);
        command.assignments.is_empty() && command.words.iter().all(literal)
    });
    (lists && words).then(|| canonical(parsed))
}

/// The same for what is no shell: words as they are, and such as need quotes in those that
/// the host reads. `None` where a word has no such form: what a device makes of a backslash,
/// or of its own kind of quote, within quotes, nobody can tell.
pub(crate) fn direct(parsed: &Parsed<'_>, quotes: Quotes) -> Option<String> {
    plain(parsed)?;
    let can_be_sent = |word: &Word<'_>| {
        word.is_literal()
            && (is_bare(&word.text)
                || match quotes {
                    Quotes::None => false,
                    Quotes::Single => is_quotable(&word.text, "'\\!"),
                    Quotes::Double => is_quotable(&word.text, "\"\\!$`%"),
                })
    };
    let all = parsed.commands.iter().all(|command| {
        let mut words = command.words.iter();
        // A device's command is a word of its own.
        command.redirects.is_empty()
            && words.next().is_some_and(|name| is_bare(&name.text))
            && command.words.iter().all(can_be_sent)
    });
    all.then(|| {
        let renderer = Renderer {
            commands: &parsed.commands,
            quotes: Some(quotes),
        };
        let mut out = String::new();
        renderer.list(&parsed.tree, &mut out);
        out
    })
}

/// A word that no host reads otherwise.
fn is_bare(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:,+@=-".contains(c);
    !text.is_empty() && !text.starts_with('=') && text.chars().all(plain)
}

fn is_quotable(text: &str, special: &str) -> bool {
    text.chars()
        .all(|c| (c.is_ascii_graphic() || c == ' ') && !special.contains(c))
}

/// Stands before every line that is sent to a shell. To a supported one it is nothing. Any
/// other finds a fault in it before it has read anything of the command, and refuses the
/// whole line, so that what it would have taken for operators never runs:
///
/// - `\)`, to shells in which a backslash is a letter (rc, Plan 9's rc, elvish, xonsh,
///   nushell, all measured; PowerShell), is a parenthesis that was never opened;
/// - `'$('`: sash puts the value of a variable in the place of all up to the next `)`, in
///   quotes too, before it hands the line to /bin/sh. With that the quotes no longer pair;
/// - `'& exit & & &'`, to a shell without single quotes, ends it (cmd.exe; measured with
///   wine's) or is an operator with nothing on either side (/bin/sh behind sash).
pub(crate) const GUARD: &str = r"true '$(' \) '& exit & & &' ; ";

/// The line that hands a canonical command to the login shell.
pub(crate) fn login_line(canonical: &str) -> String {
    format!("{GUARD}{canonical}")
}

/// Programs that some /bin/sh has itself and that may not be a file as well. In doubt a
/// name belongs here: it costs one process, and nothing else.
const BUILTINS: &[&str] = &[
    "array", "cat", "cd", "chdir", "command", "echo", "false", "getconf", "help", "kill", "mknod",
    "nohup", "pwd", "realpath", "sleep", "strftime", "true", "type", "ulimit", "umask", "uname",
    "which", "zftp",
];

/// The program's name, if the list is one that can take the shell's place. With an assignment
/// it cannot: that belongs before `exec`.
pub(crate) fn alone<'p>(parsed: &'p Parsed<'_>) -> Option<&'p str> {
    let [item] = parsed.tree.items.as_slice() else {
        return None;
    };
    let [Command::Simple(index)] = item.first.commands.as_slice() else {
        return None;
    };
    let simple = parsed.commands.get(*index)?;
    let name = simple.words.first().map_or("", |word| &*word.text);
    let is_alone = item.rest.is_empty()
        && !item.first.negated
        && simple.assignments.is_empty()
        && !BUILTINS.contains(&name);
    is_alone.then_some(name)
}

/// The line that hands a canonical command to `/bin/sh`, whatever the login shell is, with
/// the text of its leash before it.
///
/// A run is ended by TERM to the session's process group, then KILL. Measured with OpenSSH
/// and dropbear: a dash that waits for a program dies of TERM at once, sshd then forgets
/// the session, and a program that ignores TERM is never reached by KILL. So the process
/// that sshd started must not go before the program does: a single program takes the
/// shell's place, and before anything else the shell gets a trap, which makes it wait for
/// its child and then not go on with the list.
pub(crate) fn exec_line(leash: &str, canonical: &str, alone: bool) -> String {
    let (trap, exec) = match alone {
        true => ("", "exec "),
        false => ("trap \"exit 143\" TERM; ", ""),
    };
    let mut line = String::with_capacity((leash.len() + canonical.len()) * 2 + 48);
    line.push_str(GUARD);
    line.push_str("exec /bin/sh -c ");
    quote(&format!("{trap}{leash}{exec}{canonical}"), &mut line);
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
        let line = exec_line("", "'id' '-u'", true);
        assert_eq!(
            line,
            r"true '$(' \) '& exit & & &' ; exec /bin/sh -c 'exec '\''id'\'' '\''-u'\'"
        );
        let line = exec_line("L; ", "'a' ; 'b'", false);
        assert_eq!(
            line,
            r#"true '$(' \) '& exit & & &' ; exec /bin/sh -c 'trap "exit 143" TERM; L; '\''a'\'' ; '\''b'\'"#
        );
    }
}
