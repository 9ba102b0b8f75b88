//! What a program is given in the text itself, given in a form that is understood.
//!
//! Owns `echo WORD | PROGRAM` for `PROGRAM <<< WORD`, the statement of a here-document as an
//! operand, and scripts in one line. Refuses where the lines could mean something else then.
//! Called for texts that were not understood.

/// `PROGRAM <<< WORD`, whose `<` stands at `position`: `echo WORD | PROGRAM`, and where that
/// begins.
pub(crate) fn by_echo(text: &str, position: usize) -> Option<(usize, String)> {
    let start = command_start(text, position);
    let (before, command) = (text.get(..start)?, text.get(start..position)?.trim_end());
    let rest = text.get(position + 3..)?.trim_start_matches(' ');
    let (word, after) = rest.split_at_checked(word_end(rest)?)?;
    let fed = before.trim_end().ends_with('|') && !before.trim_end().ends_with("||");
    // To some shells an echo reads options and escapes.
    let plain = !word.contains('\\') && !word.trim_start_matches(['"', '\'']).starts_with('-');
    (!command.is_empty() && !word.is_empty() && !fed && plain)
        .then(|| (start, format!("{before}echo {word} | {command}{after}")))
}

/// `psql <<'END'` with its lines: `psql -c 'STATEMENT'`, and where that begins.
pub(crate) fn as_statement(text: &str, position: usize) -> Option<(usize, String)> {
    let start = command_start(text, position);
    let (before, command) = (text.get(..start)?, text.get(start..position)?.trim_end());
    let mut words = command.split(' ');
    let option = match words.find(|word| ["psql", "mysql", "mariadb"].contains(word))? {
        "psql" => "-c",
        _ => "-e",
    };
    let rest = text.get(position + 2..)?.trim_start_matches(' ');
    let (word, rest) = rest.split_at_checked(word_end(rest)?)?;
    let end = word.trim_matches(['\'', '"']);
    let expands = end == word;
    let (line, rest) = rest.split_once('\n')?;
    let mut lines = rest.lines();
    let body: Vec<&str> = lines.by_ref().take_while(|line| *line != end).collect();
    let body = one_line("psql", &body.join("\n"))?;
    if end.is_empty() || end.starts_with('-') || (expands && body.contains(['$', '`', '\\'])) {
        return None;
    }
    let more: String = lines.map(|line| format!("\n{line}")).collect();
    let body = body.replace('\'', "'\\''");
    let new = format!("{before}{command} {option} '{body}'{line}{more}");
    (!words.any(|word| [option, "-f"].contains(&word))).then_some((start, new))
}

/// A script between quotes around `position`, in one line, and where its quotes begin.
pub(crate) fn in_one_line(text: &str, position: usize) -> Option<(usize, String)> {
    let open = quote_around(text, position)?;
    let quote = text.get(open..)?.chars().next()?;
    let inside = text.get(open + 1..)?;
    let close = inside.find(quote)?;
    let (script, after) = inside.split_at_checked(close)?;
    let command = text.get(command_start(text, open)..open)?;
    let mut words = command.split(' ').filter(|word| !word.is_empty());
    let mut program = words.next()?;
    while ["sudo", "-n"].contains(&program) {
        program = words.next()?;
    }
    if program == "-u" {
        program = words.nth(1)?;
    }
    if quote == '"' && script.contains('\\') {
        return None;
    }
    let script = one_line(program, script)?;
    let before = text.get(..open)?;
    Some((open, format!("{before}{quote}{script}{after}")))
}

/// A script of this program without its line breaks, if it means the same so.
fn one_line(program: &str, script: &str) -> Option<String> {
    let lines: Vec<&str> = script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    match program {
        // A comment would go on to the end, and a line break within quotes is part of the text.
        "psql" | "mysql" | "mariadb" => {
            let more = script.contains("--") || script.contains('#') || script.contains('\\');
            (!more && lines.iter().all(|line| closes_quotes(line))).then(|| lines.join(" "))
        }
        "jq" => {
            let plain = !script.contains('#') && lines.iter().all(|line| closes_quotes(line));
            plain.then(|| lines.join(" "))
        }
        "awk" | "gawk" | "mawk" | "nawk" => awk_line(&lines),
        _ => None,
    }
}

/// Whether no quotes are open at the end of a line.
fn closes_quotes(line: &str) -> bool {
    let quotes = ['\'', '"', '`'].into_iter();
    quotes
        .map(|quote| line.matches(quote).count())
        .all(|count| count % 2 == 0)
}

/// In awk a line break ends a statement, but behind some characters.
fn awk_line(lines: &[&str]) -> Option<String> {
    let mut all = String::new();
    for line in lines {
        // A comment, a text or a line that goes on.
        if line.contains('#') || line.ends_with('\\') || line.matches('"').count() % 2 == 1 {
            return None;
        }
        let glue = match all.as_str() {
            "" => "",
            before => between(before, line)?,
        };
        all.push_str(glue);
        all.push_str(line);
    }
    Some(all)
}

/// What stands for the line break between two lines of awk.
fn between(before: &str, line: &str) -> Option<&'static str> {
    let words = |text: &str, word: &str| {
        let mut words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        words.any(|each| each == word)
    };
    let last = before
        .rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .next();
    let goes_on =
        before.ends_with(['{', ',', ';']) || before.ends_with("&&") || before.ends_with("||");
    if goes_on || line.starts_with('}') || matches!(last, Some("do" | "else")) {
        return Some(" ");
    }
    if line.starts_with("else") {
        return before.ends_with('}').then_some(" ").or(Some("; "));
    }
    // `if (x)` goes on in the next line, `f(x)` does not.
    if before.ends_with(')')
        && ["if", "for", "while"]
            .iter()
            .any(|word| words(before, word))
    {
        return None;
    }
    Some("; ")
}

/// Where the simple command begins in which `position` stands.
fn command_start(text: &str, position: usize) -> usize {
    let mut start = 0;
    let mut quote = None;
    let mut before = ' ';
    let head = text.get(..position).unwrap_or(text);
    for (at, c) in head.char_indices() {
        match (quote, c) {
            (Some(open), c) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '&') if before == '>' => {}
            (None, ';' | '|' | '&' | '\n' | '(') => start = at + 1,
            _ => {}
        }
        before = c;
    }
    loop {
        let rest = head.get(start..).unwrap_or_default();
        let word = rest.trim_start_matches(' ');
        start += rest.len() - word.len();
        let keywords = ["do ", "then ", "else ", "elif ", "if ", "! ", "{ "];
        match keywords.iter().find(|keyword| word.starts_with(**keyword)) {
            Some(keyword) => start += keyword.len(),
            None => return start,
        }
    }
}

/// Where the quotes open that `position` stands in.
fn quote_around(text: &str, position: usize) -> Option<usize> {
    let mut open: Option<(usize, char)> = None;
    let mut escaped = false;
    for (at, c) in text.get(..position)?.char_indices() {
        match (open, c) {
            _ if escaped => escaped = false,
            (Some((_, '\'')), '\'') => open = None,
            (Some((_, '\'')), _) => {}
            (_, '\\') => escaped = true,
            (Some((_, quote)), c) if c == quote => open = None,
            (None, '\'' | '"') => open = Some((at, c)),
            _ => {}
        }
    }
    open.map(|(at, _)| at)
}

/// How long the word is that begins here.
fn word_end(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, ' ' | '\n' | ';' | '|' | '&' | ')' | '<' | '>') => return Some(at),
            _ => {}
        }
    }
    quote.is_none().then_some(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_to_read() {
        for (text, new) in [
            ("base64 -d <<< \"YQ==\"", Some("echo \"YQ==\" | base64 -d")),
            ("df; wc -c <<<abc; id", Some("df; echo abc | wc -c; id")),
            (
                "if grep x <<< 'a b'; then id; fi",
                Some("if echo 'a b' | grep x; then id; fi"),
            ),
            ("a 2>&1 <<< x", Some("echo x | a 2>&1")),
            ("a | b <<< x", None),
            ("a <<< -n", None),
            ("a <<< 'x\\n'", None),
            ("<<< x", None),
            ("a <<< 'x", None),
        ] {
            let position = text.find("<<<").unwrap();
            let found = by_echo(text, position).map(|(_, new)| new);
            assert_eq!(found.as_deref(), new, "{text}");
        }
    }

    #[test]
    fn a_statement_of_several_lines() {
        for (text, new) in [
            (
                "sudo -u postgres psql -d x <<'SQL' | head\nselect 'a'\nfrom t;\nSQL\ndf",
                Some("sudo -u postgres psql -d x -c 'select '\\''a'\\'' from t;' | head\ndf"),
            ),
            ("mysql <<END\nselect 1\nEND", Some("mysql -e 'select 1'")),
            ("psql <<END\nselect $x\nEND", None),
            ("psql <<'END'\nselect 1 -- all\nfrom x\nEND", None),
            ("psql -f /x <<END\nselect 1\nEND", None),
            ("cat <<END\nx\nEND", None),
            ("psql <<-END\nselect 1\nEND", None),
        ] {
            let position = text.find("<<").unwrap();
            let found = as_statement(text, position).map(|(_, new)| new);
            assert_eq!(found.as_deref(), new, "{text}");
        }
    }

    #[test]
    fn scripts_in_one_line() {
        for (text, new) in [
            (
                "awk '\n  /x/ { e[$5]++ }\n  END { for (k in e) print k }\n' /x",
                Some("awk '/x/ { e[$5]++ }; END { for (k in e) print k }' /x"),
            ),
            (
                "df | awk '{\n if ($5 > 1) {\n print $1\n }\n else\n print $2\n}'",
                Some("df | awk '{ if ($5 > 1) { print $1 } else print $2 }'"),
            ),
            ("awk '{ if (x)\n print }' /x", None),
            (
                "awk '{ f(x)\n print }' /x",
                Some("awk '{ f(x); print }' /x"),
            ),
            ("awk '/x/\n{ print }' /x", Some("awk '/x/; { print }' /x")),
            ("awk '{ print } # x\n' /x", None),
            ("jq '.a\n| .b' /x", Some("jq '.a | .b' /x")),
            (
                "sudo -u postgres psql -c \"select 1\n from x\"",
                Some("sudo -u postgres psql -c \"select 1 from x\""),
            ),
            ("echo 'a\nb'", None),
        ] {
            let position = text.find('\n').unwrap();
            let found = in_one_line(text, position).map(|(_, new)| new);
            assert_eq!(found.as_deref(), new, "{text}");
        }
    }
}
