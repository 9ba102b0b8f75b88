//! Which allow rules never take effect, because a deny rule or the deny list comes first.
//!
//! Owns the examples that stand for all that a pattern takes, and the programs that stand
//! for a set; says which line or which entry takes them away. Changes no decision. Called by
//! the lints.

use crate::policy::Policy;
use crate::policy::programs::catalogue;
use crate::policy::programs::description::Description;
use crate::policy::programs::effects::Effects;
use crate::policy::programs::invocation::Invocation;
use crate::policy::rule::Rule;
use crate::policy::rule::glob::{Glob, Token};
use crate::policy::rule::reads::Reads;
use crate::policy::source::Line;
use crate::policy::syntax::command::{Simple, Word};

/// Stands for whatever a wildcard takes; no command may contain it.
const ANYTHING: char = '\u{E000}';

/// What takes a command away, wherever a rule allows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Denier {
    Rule(Line),
    /// An entry of the deny list; whether it is the built-in one.
    List(String, bool),
}

impl std::fmt::Display for Denier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rule(line) => write!(f, "the deny rule in line {line}"),
            Self::List(entry, true) => write!(f, "{entry:?} of the built-in deny list"),
            Self::List(entry, false) => write!(f, "{entry:?} of limits.deny_substrings"),
        }
    }
}

impl Denier {
    /// What it stands in, which several may share.
    fn source(&self) -> String {
        match self {
            Self::Rule(_) => self.to_string(),
            Self::List(_, true) => "the built-in deny list".to_owned(),
            Self::List(_, false) => "limits.deny_substrings".to_owned(),
        }
    }

    fn is_like(&self, other: &Self) -> bool {
        self.source() == other.source()
    }

    fn remedy(&self) -> &'static str {
        match self {
            Self::Rule(_) => "deny always wins; narrow that rule, or remove this",
            Self::List(_, true) => {
                "set limits.deny_substrings to the entries that you want (`policy tables` prints \
                 the built-in ones), for all hosts or in overrides, or remove this"
            }
            Self::List(_, false) => "deny always wins; remove that entry, or this",
        }
    }
}

/// Why nothing that a pattern of this rule takes can ever run.
pub(crate) fn pattern(policy: &Policy, rule: usize, words: &[Vec<Token>]) -> Option<String> {
    let allowed = policy.rules.rules.get(rule)?;
    let instances = instances(words);
    let deniers: Option<Vec<Denier>> = instances
        .iter()
        .map(|words| denier(policy, allowed, words))
        .collect();
    let first = deniers?.into_iter().next()?;
    Some(format!(
        "never takes effect: {first} holds for all it matches; {}",
        first.remedy()
    ))
}

/// The programs of a rule's sets that can never run, though the rule would grant them.
pub(crate) fn sets(policy: &Policy, rule: usize) -> Vec<String> {
    let Some(allowed) = policy.rules.rules.get(rule) else {
        return Vec::new();
    };
    let grants = policy.rules.reads.iter().filter(|grant| grant.rule == rule);
    let mut found: Vec<(Denier, &str)> = grants
        .flat_map(|grant| {
            catalogue::of_sets(&grant.reads.sets).filter(|each| grants_some(&grant.reads, each))
        })
        .flat_map(|description| &description.names)
        .filter_map(|name| {
            let words = [Word::made(*name), Word::made(ANYTHING.to_string())];
            denier(policy, allowed, words.get(..1)?)?;
            Some((denier(policy, allowed, &words)?, *name))
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    let same = |one: &(Denier, &str), other: &(Denier, &str)| one.0.is_like(&other.0);
    let said = |group: &[(Denier, &str)]| {
        let names: Vec<&str> = group.iter().map(|(_, name)| *name).collect();
        let (denier, _) = group.first()?;
        Some(format!(
            "does not let {} run: {} comes first; {}",
            names.join(", "),
            denier.source(),
            denier.remedy()
        ))
    };
    found.chunk_by(same).filter_map(said).collect()
}

/// Whether a rule of sets grants a program of theirs in its plainest forms.
fn grants_some(reads: &Reads, description: &Description) -> bool {
    let also = match reads.hosts.is_empty() {
        true => reads.also,
        false => reads.also.and(Effects::NETWORK),
    };
    let operands = &description.form.operands;
    let mut of_operands = operands
        .iter()
        .map(|operand| operand.effects.and(operand.kind.effects()));
    description.form.effects.within(also) && of_operands.all(|effects| effects.within(also))
}

/// What denies these words on every host that the rule is for.
fn denier(policy: &Policy, allowed: &Rule, words: &[Word<'_>]) -> Option<Denier> {
    let rules = &policy.rules;
    let covers = |id: usize| {
        let denied = rules.denials.get(id);
        let rule = denied.and_then(|denied| rules.rules.get(denied.rule));
        rule.is_some_and(|rule| covers(rule, allowed))
    };
    let invocation = Invocation::of(words);
    let by_rule = rules
        .deny
        .of_command(words, covers)
        .or_else(|| rules.deny.of_meaning(words, &invocation, covers));
    if let Some(denied) = by_rule.and_then(|id| rules.denials.get(id)) {
        return Some(Denier::Rule(denied.line));
    }
    let texts: Vec<&str> = words.iter().map(|word| &*word.text).collect();
    let text = texts.join(" ");
    let command = Simple {
        words: words.to_vec(),
        text: text.as_str().into(),
        ..Simple::default()
    };
    let (list, built_in) = policy.limits.deny_list_everywhere()?;
    let hit = list.find(&text, &[command], &[invocation])?;
    Some(Denier::List(hit.entry, built_in))
}

/// Whether a rule is for every host that another one is for.
fn covers(outer: &Rule, inner: &Rule) -> bool {
    let wider = |outer: &[Glob], inner: &[Glob]| {
        outer.is_empty() || (!inner.is_empty() && inner.iter().all(|glob| outer.contains(glob)))
    };
    let all_aliases = outer.aliases.iter().any(Glob::is_everything);
    (all_aliases || wider(&outer.aliases, &inner.aliases)) && wider(&outer.tags, &inner.tags)
}

/// The shortest and a longer list of words that a pattern takes.
fn instances(words: &[Vec<Token>]) -> Vec<Vec<Word<'static>>> {
    let instance = |tokens: &Vec<Token>| {
        let text = tokens.iter().map(|token| match token {
            Token::Text(c) => *c,
            _ => ANYTHING,
        });
        Word::made(text.collect::<String>())
    };
    let whole: Vec<Word<'static>> = words.iter().map(instance).collect();
    let open = words
        .last()
        .is_some_and(|last| last.last() == Some(&Token::Star));
    if !open {
        return vec![whole];
    }
    // `uptime*` and `df -h*` take the word as it is; a bare star takes at least one.
    let mut short: Vec<Word<'static>> = words.iter().map(instance).collect();
    if let Some(last) = short.last_mut()
        && last.text.chars().count() > 1
    {
        let mut text = last.text.to_string();
        text.pop();
        last.text = text.into();
    }
    let mut long: Vec<Word<'static>> = short.clone();
    long.push(instance(&vec![Token::Star]));
    vec![short, long]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::source::{
        Action, LimitsSource, PolicySource, ReadsSource, RuleForm, RuleSource,
    };

    fn rule(action: Action, form: RuleForm) -> RuleSource {
        RuleSource {
            line: 7,
            action,
            aliases: Vec::new(),
            tags: Vec::new(),
            form,
            sudo: false,
            stdin: false,
            trust_arguments: false,
            detach: false,
            examples_allow: Vec::new(),
            examples_deny: Vec::new(),
        }
    }

    fn commands(list: &[&str]) -> RuleForm {
        RuleForm::Commands {
            patterns: list.iter().map(|text| (3, (*text).to_owned())).collect(),
            legacy_glob: false,
        }
    }

    fn sets(list: &[&str], also: &[&str]) -> RuleForm {
        let lines = |list: &[&str]| list.iter().map(|text| (1, (*text).to_owned())).collect();
        RuleForm::Reads(ReadsSource {
            sets: lines(list),
            also: lines(also),
            ..ReadsSource::default()
        })
    }

    fn warned(rules: Vec<RuleSource>, deny: Option<&[&str]>) -> String {
        let source = PolicySource {
            rules,
            limits: LimitsSource {
                deny_substrings: deny.map(|list| list.iter().map(|e| (*e).to_owned()).collect()),
                ..LimitsSource::default()
            },
            ..PolicySource::default()
        };
        let warnings = Policy::compile(source).unwrap().warnings.into_iter();
        let messages: Vec<String> = warnings.map(|warning| warning.message).collect();
        messages.join("\n")
    }

    #[test]
    fn patterns_that_the_deny_list_takes_away_are_named_with_the_entry() {
        for (command, entry) in [
            ("curl -sI http://localhost/*", "\"curl \""),
            ("kubectl get pods", "\"kubectl \""),
            ("reboot", "\"reboot\""),
            ("sudo -n shutdown -h now", "\"shutdown -h\""),
        ] {
            let said = warned(vec![rule(Action::Allow, commands(&[command]))], None);
            assert!(said.contains("never takes effect"), "{command}: {said}");
            assert!(said.contains(entry), "{command}: {said}");
            assert!(said.contains("built-in deny list"), "{command}: {said}");
            let said = warned(vec![rule(Action::Allow, commands(&[command]))], Some(&[]));
            assert!(!said.contains("never takes effect"), "{command}: {said}");
        }
        let said = warned(vec![rule(Action::Allow, commands(&["last reboot"]))], None);
        assert_eq!(said, "");
    }

    #[test]
    fn a_deny_rule_is_named_by_its_line() {
        let said = warned(
            vec![
                rule(
                    Action::Allow,
                    commands(&["sudo -n systemctl -q restart sshd"]),
                ),
                rule(Action::Deny, commands(&["systemctl restart ssh*"])),
            ],
            None,
        );
        assert!(said.contains("the deny rule in line 3 holds"), "{said}");
    }

    #[test]
    fn members_of_sets_that_are_denied_are_named() {
        let said = warned(
            vec![
                rule(Action::Allow, sets(&["kubernetes", "text"], &[])),
                rule(Action::Deny, commands(&["cat*"])),
            ],
            None,
        );
        assert!(
            said.contains("let kubectl, microk8s.kubectl run: the built-in deny list"),
            "{said}"
        );
        assert!(said.contains("cat run: the deny rule in line 3"), "{said}");
        // Not granted without `also: [network]`: nothing is taken away.
        let said = warned(vec![rule(Action::Allow, sets(&["network"], &[]))], None);
        assert_eq!(said, "");
        let said = warned(
            vec![rule(Action::Allow, sets(&["network"], &["network"]))],
            None,
        );
        assert!(said.contains("let curl, "), "{said}");
    }
}
