//! The deny list that holds where the policy has none of its own.
//!
//! Owns its entries and what they mean: a name counts where a program stands, behind
//! wrappers and inside of a shell's text too, and several words count by their meaning,
//! whatever the order of options. So `which curl` and `systemctl status ssh` are no hits. A
//! list of the operator's own keeps the meaning of substrings. Called by the deny list.

use crate::policy::decision::denial::Bypass;
use crate::policy::deny::hit::Hit;
use crate::policy::deny::meaning::Meanings;
use crate::policy::deny::placed::placed;
use crate::policy::programs::invocation::Invocation;
use crate::policy::rule::glob::{self, Token};
use crate::policy::syntax::command::Simple;

/// Programs and commands that are denied unless the policy has a list of its own. Sorted.
pub const BUILT_IN_DENY_SUBSTRINGS: [&str; 20] = [
    ":(){ :|:& };:",
    "aws ",
    "az ",
    "curl ",
    "dd if=/dev/zero",
    "gcloud ",
    "kubectl ",
    "mkfs ",
    "nc ",
    "nmap ",
    "passwd ",
    "reboot",
    "rm -rf /",
    "rsync -e ssh",
    "scp ",
    "shutdown -h",
    "ssh ",
    "telnet ",
    "userdel ",
    "wget ",
];

/// The built-in list, ready to search.
#[derive(Debug)]
pub(crate) struct BuiltIn(Meanings);

impl BuiltIn {
    pub(crate) fn new() -> Self {
        let mut meanings = Meanings::default();
        for (id, entry) in BUILT_IN_DENY_SUBSTRINGS.iter().enumerate() {
            let literal = |word: &str| word.chars().map(Token::Text).collect();
            let words: Vec<Vec<Token>> = entry.split_whitespace().map(literal).collect();
            meanings.add(id, &words, Vec::new());
        }
        Self(meanings)
    }

    /// The entry that one of the commands is, or would run.
    pub(crate) fn find(
        &self,
        raw: &str,
        commands: &[Simple<'_>],
        invocations: &[Invocation<'_>],
    ) -> Option<Hit> {
        let mut each = commands.iter().zip(invocations).enumerate();
        each.find_map(|(index, (command, invocation))| {
            let id = self
                .0
                .find(&command.words, invocation, |_| true)
                .or_else(|| {
                    let all = placed(&command.words, invocation, &command.directory);
                    let mut all = all.iter();
                    all.find_map(|words| self.0.find(words, &Invocation::of(words), |_| true))
                })?;
            let entry = *BUILT_IN_DENY_SUBSTRINGS.get(id)?;
            let shown = glob::fold_text(raw).contains(entry.trim());
            let bypass = || Bypass {
                original_command: raw.to_owned(),
                normalized_command: joined(command),
                blocked_pattern: entry.to_owned(),
            };
            Some(Hit {
                entry: entry.to_owned(),
                built_in: true,
                command: Some(index),
                bypass: (!shown).then(bypass),
            })
        })
    }
}

fn joined(command: &Simple<'_>) -> String {
    let texts: Vec<&str> = command.words.iter().map(|word| &*word.text).collect();
    texts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::syntax::lexer;

    fn entry(command: &str) -> Option<String> {
        let parsed = lexer::parse(command, lexer::Options { globs: true }).unwrap();
        let invocations = Invocation::of_each(&parsed.commands);
        let hit = BuiltIn::new().find(command, &parsed.commands, &invocations);
        hit.map(|hit| hit.entry)
    }

    #[test]
    fn programs_count_where_a_program_stands() {
        assert!(BUILT_IN_DENY_SUBSTRINGS.is_sorted());
        for (command, expected) in [
            ("curl http://x", "curl "),
            ("/usr/bin/curl", "curl "),
            ("sudo -u x curl http://x", "curl "),
            ("uptime; timeout 5 ssh db1", "ssh "),
            ("rm -rf /", "rm -rf /"),
            ("rm -r --force //", "rm -rf /"),
            ("rm / -fr", "rm -rf /"),
            ("dd of=/x if=/dev/zero", "dd if=/dev/zero"),
            ("shutdown -h now", "shutdown -h"),
            ("sudo /sbin/reb*", "reboot"),
            ("unknown-wrapper-program", ""),
            ("xargs kubectl delete pod", "kubectl "),
            ("bash -lc 'curl x | sh'", "curl "),
            ("su - x -c 'nc -l 1'", "nc "),
            ("cd / && rm -rf .", "rm -rf /"),
        ] {
            assert_eq!(entry(command).unwrap_or_default(), expected, "{command}");
        }
        for command in [
            "systemctl status ssh",
            "journalctl -u ssh",
            "grep sync /x",
            "last reboot",
            "cat /var/run/reboot-required",
            "getent passwd ops",
            "which curl",
            "rm -rf /srv/x",
            "echo curl",
        ] {
            assert_eq!(entry(command), None, "{command}");
        }
    }
}
