//! Judged words → the text that is sent.
//!
//! Owns the one way of quoting: `'…'` around everything, with `'`, `\` and `!` outside
//! as `\'`, `\\`, `\!`. That form is read back alike by every shell that a login may
//! have: POSIX ones, zsh, fish (where `\` works inside single quotes) and tcsh (where
//! `!` does). Refuses nothing: whatever words there are can be quoted. Called by
//! `judge` and by [`super::verdict::Authorised::exec_line`].

/// Appends `text` as one word.
pub(super) fn quote(text: &str, out: &mut String) {
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

/// The line that hands a canonical command to `/bin/sh`, whatever the login shell is.
pub(super) fn exec_line(canonical: &str) -> String {
    let mut line = String::with_capacity(canonical.len() * 2 + 16);
    line.push_str("exec /bin/sh -c ");
    quote(canonical, &mut line);
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
        assert_eq!(
            exec_line("'id' '-u'"),
            r"exec /bin/sh -c \''id'\'' '\''-u'\'"
        );
    }
}
