//! In which directory each command starts, as far as the text tells.
//!
//! Owns the walk that follows `cd` through a tree: behind `cd /x &&` a command starts in
//! `/x`, behind `cd /x ;` in one of two directories. Refuses nothing.
//! Called by the lexer at the end.

use crate::policy::syntax::command::{
    AndOr, Command, Compound, Connective, Directory, List, Parsed, Pipeline, Simple, Word,
};

/// Most directories that a command is said to start in one of.
const ALTERNATIVES_MAX: usize = 4;

/// The directory behind a command that succeeded, and behind one that failed.
#[derive(Clone)]
struct After {
    success: Directory,
    failure: Directory,
}

/// Notes the directory of every command.
pub(crate) fn place(parsed: &mut Parsed<'_>) {
    // Without any of these, each starts where it is made to: at home.
    if !parsed.commands.iter().any(|command| moves(&command.words)) {
        return;
    }
    let mut walk = Walk {
        commands: &mut parsed.commands,
    };
    walk.list(&parsed.tree, &Directory::Home);
}

struct Walk<'w, 't> {
    commands: &'w mut Vec<Simple<'t>>,
}

impl Walk<'_, '_> {
    fn list(&mut self, list: &List<'_>, start: &Directory) -> After {
        let mut after = After::same(start);
        for item in &list.items {
            let here = after.either();
            after = self.and_or(item, &here);
        }
        after
    }

    fn and_or(&mut self, item: &AndOr<'_>, start: &Directory) -> After {
        let mut after = self.pipeline(&item.first, start);
        for (connective, pipeline) in &item.rest {
            after = match connective {
                Connective::And => {
                    let next = self.pipeline(pipeline, &after.success);
                    After {
                        failure: either(&after.failure, &next.failure),
                        success: next.success,
                    }
                }
                Connective::Or => {
                    let next = self.pipeline(pipeline, &after.failure);
                    After {
                        success: either(&after.success, &next.success),
                        failure: next.failure,
                    }
                }
            };
        }
        after
    }

    fn pipeline(&mut self, pipeline: &Pipeline<'_>, start: &Directory) -> After {
        let mut after = After::same(start);
        let alone = pipeline.commands.len() == 1;
        for command in &pipeline.commands {
            let last = self.command(command, start);
            // Some shells run the last part of a pipeline themselves, others do not.
            after = match alone {
                true => last,
                false => After::same(&either(start, &last.either())),
            };
        }
        match pipeline.negated {
            true => After {
                success: after.failure,
                failure: after.success,
            },
            false => after,
        }
    }

    fn command(&mut self, command: &Command<'_>, start: &Directory) -> After {
        match command {
            Command::Simple(index) => self.simple(*index, start),
            Command::Compound(Compound::Group(list), _) => self.list(list, start),
            Command::Compound(Compound::Subshell(list), _) => {
                self.list(list, start);
                After::same(start)
            }
            Command::Compound(Compound::If(branches, otherwise), _) => {
                let mut here = start.clone();
                let mut ends: Option<Directory> = None;
                let mut end = |after: After| {
                    let after = after.either();
                    ends = Some(match &ends {
                        None => after,
                        Some(known) => either(known, &after),
                    });
                };
                for (condition, consequence) in branches {
                    let tested = self.list(condition, &here);
                    end(self.list(consequence, &tested.success));
                    here = tested.failure;
                }
                match otherwise {
                    Some(list) => end(self.list(list, &here)),
                    None => end(After::same(&here)),
                }
                After::same(&ends.unwrap_or_default())
            }
            Command::Compound(Compound::For(each), _) => {
                for list in &each.values.outputs {
                    self.list(list, start);
                }
                let round = self.list(&each.body, start).either();
                if round == *start {
                    return After::same(start);
                }
                // The next round starts where this one ended, and so on.
                self.list(&each.body, &Directory::Unknown);
                After::same(&Directory::Unknown)
            }
        }
    }

    fn simple(&mut self, index: usize, start: &Directory) -> After {
        let Some(command) = self.commands.get_mut(index) else {
            return After::same(start);
        };
        command.directory = start.clone();
        let words = command.words.iter();
        let outputs: Vec<List<'_>> = words.flat_map(|word| word.outputs.clone()).collect();
        let after = match command.words.as_slice() {
            [program, operand] if program.text == "cd" => After {
                success: target(operand.is_literal().then_some(&operand.text)),
                failure: start.clone(),
            },
            words if moves(words) => After::same(&Directory::Unknown),
            _ => After::same(start),
        };
        for list in &outputs {
            self.list(list, start);
        }
        after
    }
}

/// Whether a command may change the directory that the next one starts in.
fn moves(words: &[Word<'_>]) -> bool {
    let program = words.first().map_or("", |word| &*word.text);
    matches!(program, "cd" | "chdir" | "command")
}

/// Where `cd` leads: only an absolute path that holds no `..` is told from here (`CDPATH`
/// and links are the host's).
fn target(operand: Option<&std::borrow::Cow<'_, str>>) -> Directory {
    match operand {
        Some(path) if path.starts_with('/') && !path.split('/').any(|part| part == "..") => {
            match path.trim_end_matches('/') {
                "" => Directory::Known("/".to_owned()),
                path => Directory::Known(path.to_owned()),
            }
        }
        _ => Directory::Unknown,
    }
}

fn either(one: &Directory, other: &Directory) -> Directory {
    let mut several = one.alternatives().to_vec();
    for directory in other.alternatives() {
        if !several.contains(directory) {
            several.push(directory.clone());
        }
    }
    match several.len() {
        1 => one.clone(),
        2..=ALTERNATIVES_MAX if !several.contains(&Directory::Unknown) => Directory::OneOf(several),
        _ => Directory::Unknown,
    }
}

impl After {
    fn same(directory: &Directory) -> Self {
        Self {
            success: directory.clone(),
            failure: directory.clone(),
        }
    }

    fn either(&self) -> Directory {
        either(&self.success, &self.failure)
    }
}
