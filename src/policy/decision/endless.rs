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
use crate::policy::programs::invocation::{Invocation, Level};
use crate::policy::programs::reading::What;
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
                // All but the last 5 are known at the end only.
                && !leaves_the_end(&each.words)
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

/// Whether it prints all but the last (`head -n -5`), which only the end of its input tells.
fn leaves_the_end(words: &[Word<'_>]) -> bool {
    let invocation = Invocation::of(words);
    let reading = invocation
        .innermost()
        .and_then(|level| level.reading.as_ref());
    reading.is_some_and(|reading| {
        reading.roles.iter().any(|role| match role.what {
            What::Value { text, .. } => text.starts_with('-'),
            _ => false,
        })
    })
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
        name.is_some_and(|word| word.text == "timeout") && is_limit(level)
    })
}

/// Whether this `timeout` ends what it runs: none of 0 seconds does (coreutils, timeout(1)), and
/// a signal of the caller's choice may be one that ends nothing.
fn is_limit(level: &Level<'_>) -> bool {
    let Some(reading) = &level.reading else {
        return false;
    };
    let mut signals = reading.roles.iter().filter_map(|role| match role.what {
        What::Value {
            option: "-s", text, ..
        } => Some(text),
        _ => None,
    });
    let ends = |signal: &str| {
        let signal = signal.to_ascii_uppercase();
        let name = signal.strip_prefix("SIG").unwrap_or(&signal);
        matches!(
            name,
            "HUP" | "INT" | "KILL" | "TERM" | "1" | "2" | "9" | "15"
        )
    };
    let mut amounts = reading.roles.iter().filter_map(|role| match role.what {
        What::Operand { text, .. } => Some(text),
        _ => None,
    });
    signals.all(ends)
        && amounts
            .next()
            .is_some_and(|text| text.contains(|c| matches!(c, '1'..='9')))
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
            "tail -f /var/log/x | head -n -5",
            "tail -f /var/log/x | head --bytes=-5",
            "timeout 0 tail -f /var/log/x",
            "timeout 0.0s tail -f /var/log/x",
            "timeout -s CONT 5 tail -f /var/log/x",
            "timeout --signal=18 5 tail -f /var/log/x",
            "ping -c 0 h",
            "ping -c 5 -w 0 h",
            "redis-cli -r -1 ping",
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
            "timeout -s KILL 5 tail -f /var/log/x",
            "timeout -k 1 --signal=sigint 0.5 tail -f /var/log/x",
            "tail -f /var/log/x | head -n 5",
            "ping -c 10 h",
            "ping -w 5 h",
            "redis-cli -r 5 ping",
            "tail -f /var/log/x | head -5",
            "vmstat 1 5",
            "tail -f $x",
            "timeout 5 sh -c 'tail -f /var/log/x | grep y'",
        ] {
            assert_eq!(policy.endless(text), None, "{text}");
        }
    }
}
