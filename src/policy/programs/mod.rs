//! What programs do: descriptions, and the reading of an invocation by them.
//!
//! `data/*.txt` are the descriptions, one fact a line, made to be reviewed; `description`
//! says how they are written; `catalogue` finds the one of a program; `reading` says of each
//! word of an invocation what it is and what it does. What no description lists is unknown,
//! and unknown is never granted by a wildcard or a set: rather refused than guessed. No I/O.
//! Called by the rules, the deny rules and `policy explain`.

pub(crate) mod catalogue;
pub(crate) mod description;
pub(crate) mod effects;
pub(crate) mod invocation;
pub(crate) mod kind;
mod operands;
pub(crate) mod parse;
pub(crate) mod probe;
pub(crate) mod reading;
mod values;
pub(crate) mod walk;

#[cfg(test)]
mod tests {
    use super::reading::Argument;
    use super::walk::read;
    use crate::policy::syntax::lexer::{self, Options};

    /// The cases of `tests/data/programs`, a file for each family.
    #[test]
    fn invocations_are_read_as_the_cases_say() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/programs");
        let mut cases = 0;
        let mut wrong = Vec::new();
        let mut paths = vec![std::path::PathBuf::from(folder)];
        while let Some(path) = paths.pop() {
            if path.is_dir() {
                paths.extend(path.read_dir().unwrap().map(|file| file.unwrap().path()));
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for line in text
                .lines()
                .filter(|line| !line.is_empty() && !line.starts_with('#'))
            {
                let (expected, command) = line.split_once(" | ").expect(line);
                let parsed = lexer::parse(command, Options { globs: true });
                let Ok(parsed) = parsed else {
                    wrong.push(format!("{command}: {parsed:?}"));
                    continue;
                };
                let words: Vec<Argument<'_>> = parsed.commands[0]
                    .words
                    .iter()
                    .map(|word| Argument {
                        text: &word.text,
                        spreads: !word.globs.is_empty(),
                        wild: !word.globs.is_empty(),
                        open: false,
                    })
                    .collect();
                let reading = read(&words).unwrap_or_else(|| panic!("not described: {command}"));
                let found = reading
                    .effects()
                    .map_or("unknown".to_owned(), |set| set.to_string());
                if found != expected {
                    wrong.push(format!(
                        "{command}: {found}, not {expected}: {:?}",
                        reading.roles
                    ));
                }
                cases += 1;
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(cases > 10, "{cases}");
    }
}
