//! What a shell would run of a parsed text, by the rules of POSIX and nothing else: which
//! programs start, with which words, given which of them succeed.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use mcp_ssh_orchestrator::testing::policy::syntax::command::{
    AndOr, Command, Compound, Connective, List, OUTPUT, Parsed, Pipeline, STATUS, Simple,
};

/// What every program of the stage prints: blanks and a wildcard, which must stay within
/// one word.
pub(crate) const PRINTED: &str = "o u*t";

/// The words of every program that starts, sorted; each behind the `TZ` that is set for it.
pub(crate) fn runs(
    parsed: &Parsed<'_>,
    home: &str,
    succeeds: impl Fn(&str) -> bool,
) -> Vec<Vec<String>> {
    let mut run = Run {
        home,
        commands: &parsed.commands,
        succeeds: &succeeds,
        ran: Vec::new(),
        status: true,
    };
    run.list(&parsed.tree);
    run.ran.sort();
    run.ran
}

struct Run<'r, 't> {
    home: &'r str,
    commands: &'r [Simple<'t>],
    succeeds: &'r dyn Fn(&str) -> bool,
    ran: Vec<Vec<String>>,
    /// Of the last pipeline: `$?`.
    status: bool,
}

impl Run<'_, '_> {
    fn list(&mut self, list: &List<'_>) -> bool {
        for item in &list.items {
            self.status = self.and_or(item);
        }
        self.status
    }

    fn and_or(&mut self, item: &AndOr<'_>) -> bool {
        let mut status = self.pipeline(&item.first);
        for (connective, pipeline) in &item.rest {
            if status == (*connective == Connective::And) {
                status = self.pipeline(pipeline);
            }
        }
        status
    }

    fn pipeline(&mut self, pipeline: &Pipeline<'_>) -> bool {
        let before = self.status;
        let mut status = true;
        for command in &pipeline.commands {
            // In a pipeline each command sees what was there before it.
            self.status = before;
            status = self.command(command);
        }
        self.status = status != pipeline.negated;
        self.status
    }

    fn command(&mut self, command: &Command<'_>) -> bool {
        match command {
            Command::Simple(index) => self.simple(*index),
            Command::Compound(Compound::Group(list) | Compound::Subshell(list), _) => {
                self.list(list)
            }
            Command::Compound(Compound::If(branches, otherwise), _) => {
                for (condition, consequence) in branches {
                    if self.list(condition) {
                        return self.list(consequence);
                    }
                }
                match otherwise {
                    Some(list) => self.list(list),
                    // XCU 2.9.4.4: zero, if no condition held.
                    None => true,
                }
            }
        }
    }

    fn simple(&mut self, index: usize) -> bool {
        let simple = &self.commands[index];
        let before = self.status;
        let mut argv = Vec::new();
        let zone = simple.assignments.iter().find(|each| each.name == "TZ");
        argv.extend(zone.map(|zone| format!("TZ={}", zone.value.text)));
        for word in &simple.words {
            for list in &word.outputs {
                self.status = before;
                self.list(list);
            }
            let status = if before { "0" } else { "1" };
            let text = word.text.replace(OUTPUT, PRINTED).replace(STATUS, status);
            argv.push(match text.strip_prefix('~') {
                Some(rest) if word.is_below_home() => format!("{}{rest}", self.home),
                _ => text,
            });
        }
        self.ran.push(argv);
        let program = &simple.words[0].text;
        (self.succeeds)(program.rsplit('/').next().unwrap())
    }
}
