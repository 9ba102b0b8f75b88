//! What loads but surprises: rules that can never take effect, rules that allow more than
//! they seem to, lists that cancel each other.
//!
//! Owns the warnings of `check`; none of them changes a decision. Looks at the rules as
//! they are written beside the compiled ones. Called at the end of compilation.

use crate::policy::compile::{shadowed, unknown_programs};
use crate::policy::deny::built_in::BUILT_IN_DENY_SUBSTRINGS;
use crate::policy::hazard::wrappers;
use crate::policy::rule::What;
use crate::policy::rule::glob::Token;
use crate::policy::rule::word_pattern::{self, Pattern};
use crate::policy::source::{Action, Line, RuleForm, RuleSource};
use crate::policy::syntax::lexer::Word;
use crate::policy::syntax::program_name;
use crate::policy::{Policy, Warning};

/// Most patterns that are tried for every command without a warning.
const OPEN_MAX: usize = 250;

pub(crate) fn warnings(
    policy: &Policy,
    rules: &[RuleSource],
    deny_substrings: Option<&[String]>,
) -> Vec<Warning> {
    let mut lint = Lint {
        policy,
        warnings: Vec::new(),
    };
    for (index, rule) in rules.iter().enumerate() {
        lint.rule(index, rule);
    }
    lint.network();
    lint.open_patterns();
    if let Some(list) = deny_substrings {
        lint.deny_substrings(list);
    }
    lint.warnings
}

struct Lint<'a> {
    policy: &'a Policy,
    warnings: Vec<Warning>,
}

impl Lint<'_> {
    fn rule(&mut self, index: usize, rule: &RuleSource) {
        for grant in &self.policy.rules.grants {
            if grant.rule == index
                && let (What::Structured(_), Some(code)) = (&grant.what, grant.never)
            {
                let key = format!("rules[{index}]");
                self.warn(grant.line, key, format!("can never match: {}", code.why()));
            }
        }
        if rule.action == Action::Deny {
            return;
        }
        let of_rule = unknown_programs::of_rule(rule).into_iter();
        for message in of_rule.chain(shadowed::sets(self.policy, index)) {
            self.warn(rule.line, format!("rules[{index}]"), message);
        }
        let RuleForm::Commands {
            patterns,
            legacy_glob,
        } = &rule.form
        else {
            return;
        };
        for (number, (line, text)) in patterns.iter().enumerate() {
            let key = format!("rules[{index}].commands[{number}]");
            let Ok(words) = word_pattern::split(text) else {
                continue;
            };
            let gravest = self
                .pattern(index, text, &words, *legacy_glob)
                .or_else(|| unknown_programs::of_pattern(&words, rule.trust_arguments));
            if let Some(message) = gravest {
                self.warn(*line, key, message);
            }
        }
    }

    /// The gravest thing to say of a pattern.
    fn pattern(
        &self,
        rule: usize,
        text: &str,
        words: &[Vec<Token>],
        legacy: bool,
    ) -> Option<String> {
        if words == [vec![Token::Star]] {
            return Some(
                "* alone is full trust: any program with any words; name the programs instead"
                    .to_owned(),
            );
        }
        if let Some(message) = never(text, words, legacy) {
            return Some(message);
        }
        shadowed::pattern(self.policy, rule, words).or_else(|| surprise(text, words))
    }

    fn network(&mut self) {
        let network = &self.policy.network;
        let key = "network.block_cidrs".to_owned();
        if network.blocks_everything_allowed() {
            self.warnings.push(Warning {
                line: None,
                key,
                message: "the blocks hold every allowed address, and blocks are checked first: \
                          no host can be connected to; remove the wide block, since an allow \
                          list already refuses everything else"
                    .to_owned(),
            });
            return;
        }
        for net in network.swallowed() {
            self.warnings.push(Warning {
                line: None,
                key: key.clone(),
                message: format!("a block holds all of the allowed {net}, which has no effect"),
            });
        }
    }

    fn deny_substrings(&mut self, list: &[String]) {
        let gone: Vec<String> = BUILT_IN_DENY_SUBSTRINGS
            .iter()
            .filter(|built_in| !list.iter().any(|entry| entry == *built_in))
            .map(|built_in| format!("{built_in:?}"))
            .collect();
        if !gone.is_empty() {
            self.warnings.push(Warning {
                line: None,
                key: "limits.deny_substrings".to_owned(),
                message: format!(
                    "replaces the built-in list, of which these entries no longer hold: {}",
                    gone.join(", ")
                ),
            });
        }
    }

    /// Patterns without any text, for hosts that are not spelled out either, have no index.
    fn open_patterns(&mut self) {
        let tried = self.policy.rules.tried_always();
        if tried > OPEN_MAX {
            self.warnings.push(Warning {
                line: None,
                key: "rules".to_owned(),
                message: format!(
                    "{tried} patterns are wildcards alone, in rules whose hosts are wildcards too: \
                     each decision tries them all; spell out aliases or tags, or put the patterns \
                     into one rule"
                ),
            });
        }
    }

    fn warn(&mut self, line: Line, key: String, message: String) {
        self.warnings.push(Warning {
            line: Some(line),
            key,
            message,
        });
    }
}

/// Why a pattern can match nothing.
fn never(text: &str, words: &[Vec<Token>], legacy: bool) -> Option<String> {
    if !legacy && let Ok(pattern) = Pattern::parse(text) {
        if let Some(code) = crate::policy::hazard::of_pattern(&pattern) {
            return Some(format!("can never match: {}", code.why()));
        }
        if let Some(name) = pattern.literal(0) {
            let (code, _) = program_name::refusal(&[Word::made(name)])?;
            return Some(format!("can never match: {}. {}", code.why(), code.hint()));
        }
    }
    let starts_with_wildcard = words
        .first()
        .is_some_and(|word| !matches!(word.first(), Some(Token::Text(_))));
    starts_with_wildcard.then(|| "names no program: it allows any that fits".to_owned())
}

/// What a pattern allows beyond what it seems to.
fn surprise(text: &str, words: &[Vec<Token>]) -> Option<String> {
    let literal: Vec<String> = words
        .iter()
        .map_while(|w| crate::policy::rule::glob::literal(w))
        .collect();
    let name = |index: usize| literal.get(index).map_or("", String::as_str);
    let wild = literal.len() < words.len();
    let ends_wild = words.last().is_some_and(|word| *word == [Token::Star]);
    let program = wrappers::base_name(name(0));
    let message = match (program, name(1)) {
        ("kubectl", "get" | "describe") if wild => {
            "includes secrets; spell the kinds, such as kubectl get pods*"
        }
        ("docker" | "podman", "inspect") if wild => {
            "shows the environment of containers, where secrets often are"
        }
        ("docker" | "podman" | "nerdctl" | "kubectl", "exec") if wild => {
            "allows any program inside of containers"
        }
        _ if wild && starts_another(program, &literal) => {
            "starts another program, which the wildcard may name"
        }
        ("find", _) if ends_wild => {
            "accepts further directories to start from, so that all names of files can be read"
        }
        ("cat" | "head" | "tail" | "grep" | "sed" | "less" | "zcat" | "sort", _) if ends_wild => {
            "reads any file; end it with a directory, such as /var/log/*"
        }
        ("xargs" | "parallel", _) => "hands the program words from its input, which nobody judges",
        _ if text.contains("://") && wild && words.iter().any(|word| is_open_url(word)) => {
            "the name of the host is left open; write a / behind it"
        }
        _ => return None,
    };
    Some(message.to_owned())
}

/// Whether the words spelled out have the program start another one: `ip netns exec blue *`.
fn starts_another(program: &str, literal: &[String]) -> bool {
    wrappers::inner_program_after(program)
        .is_some_and(|inner| literal.iter().any(|word| inner.contains(word.as_str())))
}

/// `http://localhost*`: more can follow in the host's name.
fn is_open_url(word: &[Token]) -> bool {
    let text: String = word
        .iter()
        .map_while(|token| match token {
            Token::Text(c) => Some(*c),
            _ => None,
        })
        .collect();
    text.len() < word.len()
        && text
            .split_once("://")
            .is_some_and(|(_, rest)| !rest.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::source::{LimitsSource, NetworkSource, PolicySource};

    fn rule(action: Action, commands: &[&str]) -> RuleSource {
        RuleSource {
            line: 1,
            action,
            aliases: Vec::new(),
            tags: Vec::new(),
            form: RuleForm::Commands {
                patterns: commands.iter().map(|c| (1, c.to_string())).collect(),
                legacy_glob: false,
            },
            sudo: false,
            stdin: false,
            trust_arguments: false,
            detach: false,
            examples_allow: Vec::new(),
            examples_deny: Vec::new(),
        }
    }

    fn warned(source: PolicySource) -> Vec<String> {
        let compiled = Policy::compile(source).unwrap();
        let warnings = compiled.warnings.into_iter();
        warnings.map(|warning| warning.message).collect()
    }

    /// With the built-in list's entries, but for programs of these tests, as a list of its
    /// own.
    fn allowing(command: &str, denied: &[&str]) -> Vec<String> {
        let kept = |entry: &&str| !["curl ", "kubectl "].contains(entry);
        let list: Vec<String> = BUILT_IN_DENY_SUBSTRINGS
            .into_iter()
            .filter(kept)
            .map(String::from)
            .collect();
        let limits = LimitsSource {
            deny_substrings: Some(list.into()),
            ..LimitsSource::default()
        };
        let mut said = warned(PolicySource {
            rules: vec![rule(Action::Allow, &[command]), rule(Action::Deny, denied)],
            limits,
            ..PolicySource::default()
        });
        said.retain(|warning| !warning.starts_with("replaces the built-in list"));
        said
    }

    #[test]
    fn patterns_that_surprise() {
        for (command, said) in [
            ("*", "full trust"),
            ("kubectl get *", "secrets"),
            ("find /var/log *", "start from"),
            ("cat *", "any file"),
            ("python3 *", "never match"),
            ("sudo *", "never match"),
            ("read *", "never match"),
            ("A=b ls", "never match"),
            ("curl -s http://localhost*", "left open"),
            ("* --version", "names no program"),
            ("ip netns exec blue *", "another program"),
            ("find /srv -exec *", "another program"),
        ] {
            let warnings = allowing(command, &["nothing"]);
            assert!(
                warnings.iter().any(|warning| warning.contains(said)),
                "{command}: {warnings:?}"
            );
        }
        for command in [
            "uptime*",
            "cat /var/log/*",
            "find /var/log -name x",
            "curl http://h/*",
        ] {
            assert_eq!(allowing(command, &["nothing"]), [""; 0], "{command}");
        }
    }

    #[test]
    fn rules_without_effect() {
        for (command, denied) in [
            ("rm -rf *", "rm *"),
            ("systemctl restart nginx", "systemctl restart*"),
            ("sudo rm x", "rm *"),
            ("df -h*", "df *"),
            ("uptime*", "uptime*"),
        ] {
            let warnings = allowing(command, &[denied]);
            assert!(warnings[0].contains("never takes effect"), "{command}");
        }
        assert_eq!(
            allowing("systemctl status *", &["systemctl status x"]),
            [""; 0]
        );
        assert_eq!(allowing("uptime*", &["uptime -p*"]), [""; 0]);
    }

    #[test]
    fn lists_that_cancel() {
        let nets = |list: &[&str]| list.iter().map(|net| net.parse().unwrap()).collect();
        let network = NetworkSource {
            allow: nets(&["10.0.0.0/8"]),
            block: nets(&["0.0.0.0/0"]),
        };
        let limits = LimitsSource {
            deny_substrings: Some(["x".to_owned()].into()),
            ..LimitsSource::default()
        };
        let said = warned(PolicySource {
            network,
            limits,
            ..PolicySource::default()
        });
        assert!(said[0].contains("no host can be connected to"));
        assert!(said[1].contains("\"mkfs \""));
    }
}
