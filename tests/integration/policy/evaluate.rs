//! What a shell would run of a parsed text, by the rules of POSIX and nothing else: which
//! programs start, with which words, given which of them succeed.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use mcp_ssh_orchestrator::testing::policy::syntax::command::{
    AndOr, Command, Compound, Connective, List, OUTPUTS, Parsed, Pipeline, Redirect, STATUS, Simple,
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
        heard: true,
        printed: 0,
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
    /// What is printed now reaches the `$(…)` around it: no pipe and no `/dev/null` takes it.
    heard: bool,
    /// How many programs were heard.
    printed: usize,
}

fn is_silenced(redirects: &[Redirect<'_>]) -> bool {
    redirects.iter().any(|each| {
        matches!(
            each,
            Redirect::OutputToNull | Redirect::FirstToNull | Redirect::BothToNull
        )
    })
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
        let heard = self.heard;
        let last = pipeline.commands.len() - 1;
        for (index, command) in pipeline.commands.iter().enumerate() {
            // In a pipeline each command sees what was there before it.
            self.status = before;
            self.heard = heard && index == last;
            status = self.command(command);
        }
        self.heard = heard;
        self.status = status != pipeline.negated;
        self.status
    }

    fn command(&mut self, command: &Command<'_>) -> bool {
        let (compound, redirects) = match command {
            Command::Simple(index) => return self.simple(*index),
            Command::Compound(compound, redirects) => (compound, redirects),
        };
        let heard = self.heard;
        self.heard &= !is_silenced(redirects);
        let status = self.compound(compound);
        self.heard = heard;
        status
    }

    fn compound(&mut self, compound: &Compound<'_>) -> bool {
        match compound {
            Compound::Group(list) | Compound::Subshell(list) => self.list(list),
            Compound::For(_) => panic!("what only a host knows: no text here has that"),
            Compound::If(branches, otherwise) => {
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
            let mut text = word.text.to_string();
            for list in &word.outputs {
                self.status = before;
                let around = (self.heard, self.printed);
                (self.heard, self.printed) = (true, 0);
                self.list(list);
                let output = vec![PRINTED; self.printed].join("\n");
                (self.heard, self.printed) = around;
                text = text.replacen(OUTPUTS, &output, 1);
            }
            let status = if before { "0" } else { "1" };
            let text = text.replace(STATUS, status);
            argv.push(match text.strip_prefix('~') {
                Some(rest) if word.is_below_home() => format!("{}{rest}", self.home),
                _ => text,
            });
        }
        self.ran.push(argv);
        self.printed += usize::from(self.heard && !is_silenced(&simple.redirects));
        let program = &simple.words[0].text;
        (self.succeeds)(program.rsplit('/').next().unwrap())
    }
}
