//! Commands that go on until somebody ends them: `tail -f`, `journalctl -f`, `vmstat 1`.
//!
//! Owns the denial that a call gets which would wait for the end of such a command, with the
//! call that does not. Says nothing of whether the command is allowed. Called by whoever
//! runs a command and waits, and by plans.

use crate::model::names::CommandHash;
use crate::policy::Policy;
use crate::policy::decision::denial::Denial;
use crate::policy::decision::kind::Rewrite;
use crate::policy::decision::reason::Code;
use crate::policy::programs::effects::Effects;
use crate::policy::programs::invocation::Invocation;
use crate::policy::syntax::command::{Input, Simple, Word};
use crate::policy::syntax::lexer;

impl Policy {
    /// The denial, to a call that waits; `None` for what ends by itself, and for what is
    /// not understood.
    pub fn endless(&self, text: &str) -> Option<Denial> {
        let parsed = lexer::parse_through_shells(text, self.options).ok()?;
        let at = first(&parsed.commands)?;
        let position = parsed.commands.get(at).map(|command| command.start);
        let mut denial = Denial::new(Code::Follows, CommandHash::of(text), position);
        // The way out is another call, not another text.
        denial.hint = format!("{}.", Code::Follows.hint()).into();
        denial.details.rewrite = Some(Rewrite {
            tool: Some("ssh_run_async"),
            command: text.to_owned(),
        });
        Some(denial)
    }
}

/// The first that nothing ends: no `timeout` before it, no `head` behind it.
fn first(commands: &[Simple<'_>]) -> Option<usize> {
    let ends = |from: usize| {
        let mut behind = commands.iter().skip(from + 1);
        behind.any(|each| {
            matches!(each.input, Input::Pipe(_))
                && each.words.first().is_some_and(|word| word.text == "head")
        })
    };
    // The commands of a text behind `timeout SECONDS sh -c` stand where the text does.
    let limited = |from: usize, inner: &Simple<'_>| {
        let mut behind = commands.iter().skip(from + 1);
        behind.any(|each| {
            each.words
                .last()
                .is_some_and(|word| word.shell && word.start == inner.start)
                && has_time_limit(&each.words)
        })
    };
    let mut all = commands.iter().enumerate();
    let found = all.find(|(at, command)| follows(command) && !ends(*at) && !limited(*at, command));
    found.map(|(at, _)| at)
}

/// Whether a command does not end by itself, as far as its program is described.
pub(crate) fn follows(command: &Simple<'_>) -> bool {
    let invocation = Invocation::of(&command.words);
    let effects = invocation
        .innermost()
        .and_then(|level| level.reading.as_ref()?.effects());
    !has_time_limit(&command.words) && effects.is_some_and(|effects| effects.has(Effects::FOLLOWS))
}

fn has_time_limit(words: &[Word<'_>]) -> bool {
    if !words.iter().any(|word| word.text == "timeout") {
        return false;
    }
    let invocation = Invocation::of(words);
    invocation.levels.iter().any(|level| {
        let name = words.get(level.range.start);
        name.is_some_and(|word| word.text == "timeout")
    })
}

#[cfg(test)]
mod tests {
    use crate::policy::Policy;
    use crate::policy::source::PolicySource;

    #[test]
    fn what_ends_by_itself_and_what_does_not() {
        let policy = Policy::compile(PolicySource::default()).unwrap().policy;
        for text in [
            "tail -f /var/log/x",
            "df; sudo -n journalctl -f -u nginx",
            "tail -f /var/log/x | grep -i error",
            "sh -c 'tail -f /x'",
            "nice sh -c 'tail -f /x'",
        ] {
            let denial = policy.endless(text).unwrap();
            let rewrite = denial.rewrite().unwrap();
            assert_eq!(rewrite.tool, Some("ssh_run_async"));
            assert_eq!(rewrite.command, text);
        }
        for text in [
            "tail -n 5 /var/log/x",
            "timeout 5 tail -f /var/log/x",
            "tail -f /var/log/x | head -5",
            "vmstat 1 5",
            "tail -f $x",
            "timeout 5 sh -c 'tail -f /var/log/x | grep y'",
        ] {
            assert_eq!(policy.endless(text), None, "{text}");
        }
    }
}
