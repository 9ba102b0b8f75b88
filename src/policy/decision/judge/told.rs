//! What a program passes on to another host out of its input.
//!
//! Owns which programs do so, and whether somebody has seen what they are given: a text that
//! `echo` prints stands in the command, what another program prints is known to nobody before it
//! is sent. Called by the judge.

use crate::model::stdin::Stdin;
use crate::policy::Policy;
use crate::policy::decision::reason::Code;
use crate::policy::decision::subject::Subject;
use crate::policy::hazard::wrappers::{ALWAYS_ALLOWED, base_name};
use crate::policy::programs::invocation::Invocation;
use crate::policy::programs::reading::What;
use crate::policy::rule::Finding;
use crate::policy::source::Action;
use crate::policy::syntax::command::{Input, OUTPUT, Simple, TEXT, Word};

/// A program, and the subcommand that sends what it reads.
const SENDERS: &[(&str, &str)] = &[("openssl", "s_client")];

impl Policy {
    /// What was found of a command, or its denial if it would send what nobody has seen: that
    /// needs a rule that lets it be given something.
    pub(super) fn decide_input(
        &self,
        subject: &Subject<'_>,
        commands: &[Simple<'_>],
        (command, invocation): (&Simple<'_>, &Invocation<'_>),
        found: Finding,
    ) -> Finding {
        let unseen = sends(invocation) && reads_unseen(commands, command);
        if found.action == Action::Deny || !unseen {
            return found;
        }
        let given = Stdin::parse("").ok();
        let reading = Simple {
            input: Input::Login,
            redirects: Vec::new(),
            ..command.clone()
        };
        let fed = subject.fed(given.as_ref());
        let read = self.rules.decide(&fed, &reading, invocation);
        if given.is_some() && read.action != Action::Deny {
            return found.or_stricter(read);
        }
        Finding {
            action: Action::Deny,
            code: Code::Stdin,
            hazard: None,
            ..found
        }
    }
}

fn sends(invocation: &Invocation<'_>) -> bool {
    let reading = invocation
        .innermost()
        .and_then(|level| level.reading.as_ref());
    reading.is_some_and(|reading| {
        SENDERS.iter().any(|(program, verb)| {
            let mut roles = reading.roles.iter();
            reading.description.names.contains(program)
                && roles.any(|role| role.what == What::Verb(verb))
        })
    })
}

fn reads_unseen(commands: &[Simple<'_>], command: &Simple<'_>) -> bool {
    let from = match &command.input {
        Input::Pipe(from) => from.clone(),
        Input::Login => 0..0,
    };
    let mut before = commands.get(from).unwrap_or_default().iter();
    let reads_file = command.read_by_redirect().next().is_some();
    command.is_fed() && (reads_file || !before.all(prints_its_words))
}

fn prints_its_words(command: &Simple<'_>) -> bool {
    let program = command.words.first().map_or("", |word| &*word.text);
    let names_files = |word: &Word<'_>| word.globs.iter().any(|at| word.is_wildcard(*at));
    let known = command
        .words
        .iter()
        .all(|word| !word.text.contains([OUTPUT, TEXT]) && !names_files(word));
    ALWAYS_ALLOWED.contains(&base_name(program)) && known
}
