//! The whole decision, over made-up policies with rules of every form, for hosts with
//! tags and overrides.
//!
//! - The same policy and command give the same verdict, each time (P4).
//! - A deny rule more, an entry of `deny_substrings` more, or a stricter action in a
//!   rule's place never allows more (P5). The order of the rules does not matter, nor do
//!   rules, overrides and entries that are for other hosts.
//! - What is allowed was matched: each of its commands by a rule for this host that
//!   allows, and spells what no wildcard grants, or it is one that needs no rule; and no
//!   entry that holds here stands in it.
//! - Limits are those of the alias, else the last tag that says something, else all.

mod oracle;
mod scene;

use mcp_ssh_orchestrator::testing::policy::source::{Action, LimitsSource, PolicySource};
use mcp_ssh_orchestrator::testing::policy::syntax::lexer::{self, Options};
use mcp_ssh_orchestrator::testing::policy::{Policy, ShellMode, Subject, Verdict};

use super::dice::Dice;
use scene::Scene;

pub fn run(data: &[u8]) {
    let mut dice = Dice::new(data);
    let scene = Scene::new(&mut dice);
    let Some(policy) = compile(scene.source.clone()) else {
        return;
    };
    let verdict = judge(&policy, &scene);
    it_is_one_decision(&scene, &policy, &verdict);
    nothing_stricter_allows_more(&scene, &mut dice, rank(&verdict));
    nothing_else_matters(&scene, rank(&verdict));
    limits_are_the_nearest(&scene, &policy);
    match &verdict {
        Verdict::Allow(authorised) => {
            each_was_matched(&scene, &[Action::Allow]);
            if matches!(scene.shell, ShellMode::Direct(_)) {
                assert_eq!(authorised.exec_line(60), authorised.canonical());
            }
        }
        Verdict::Ask(_) => each_was_matched(&scene, &[Action::Allow, Action::Ask]),
        Verdict::Deny(denial) => {
            assert!(!denial.why().is_empty() && !denial.hint().is_empty());
            let position = denial.position().unwrap_or_default();
            assert!(
                scene.command.is_char_boundary(position),
                "{position} in {:?}",
                scene.command
            );
        }
    }
}

fn compile(source: PolicySource) -> Option<Policy> {
    match Policy::compile(source) {
        Ok(compiled) => Some(compiled.policy),
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a reason");
            None
        }
    }
}

fn judge(policy: &Policy, scene: &Scene) -> Verdict {
    policy.judge_text(&subject(scene), &scene.command)
}

fn subject(scene: &Scene) -> Subject<'_> {
    Subject {
        alias: &scene.alias,
        tags: &scene.tags,
        shell: scene.shell,
        detached: false,
        stdin: None,
    }
}

fn rank(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Deny(_) => 0,
        Verdict::Ask(_) => 1,
        Verdict::Allow(_) => 2,
    }
}

/// How another policy decides the scene's command, if it is one.
fn other(scene: &Scene, source: PolicySource) -> Option<u8> {
    compile(source).map(|policy| rank(&judge(&policy, scene)))
}

fn it_is_one_decision(scene: &Scene, policy: &Policy, verdict: &Verdict) {
    let whole = |verdict: &Verdict| {
        let text = match verdict {
            Verdict::Allow(authorised) => authorised.exec_line(60),
            Verdict::Ask(question) => question.show().0,
            Verdict::Deny(denial) => format!("{} {}", denial.why(), denial.hint()),
        };
        (rank(verdict), verdict.code(), text)
    };
    let again = compile(scene.source.clone()).expect("it compiled before");
    for policy in [policy, &again] {
        let other = judge(policy, scene);
        assert_eq!(whole(&other), whole(verdict), "{:?}", scene.command);
    }
    let explained = policy.explain(&subject(scene), &scene.command);
    assert_eq!(whole(&explained.verdict), whole(verdict));
    let strictest = explained.commands.iter().map(|each| each.verdict);
    if rank(verdict) == 2 {
        assert!(strictest.into_iter().all(|each| each == "allow"));
    }
}

fn nothing_stricter_allows_more(scene: &Scene, dice: &mut Dice<'_>, rank: u8) {
    let mut stricter = Vec::new();
    let mut with_rule = scene.source.clone();
    let at = dice.below(with_rule.rules.len() + 1);
    let rule = scene::rule(dice, 100, Action::Deny);
    with_rule.rules.insert(at, rule);
    stricter.push(with_rule);

    let entry = scene::entry(dice);
    let mut with_entry = scene.source.clone();
    let more = |limits: &mut LimitsSource| {
        if let Some(entries) = &mut limits.deny_substrings {
            *entries = entries.iter().cloned().chain([entry.clone()]).collect();
        }
    };
    with_entry
        .limits
        .deny_substrings
        .get_or_insert_with(|| built_in().into());
    more(&mut with_entry.limits);
    let overrides = with_entry.alias_overrides.iter_mut();
    for (_, limits) in overrides.chain(&mut with_entry.tag_overrides) {
        more(limits);
    }
    stricter.push(with_entry);

    let mut with_action = scene.source.clone();
    let at = dice.below(with_action.rules.len());
    with_action.rules[at].action = match with_action.rules[at].action {
        Action::Allow => Action::Ask,
        Action::Ask | Action::Deny => Action::Deny,
    };
    stricter.push(with_action);

    for source in stricter {
        if let Some(other) = other(scene, source.clone()) {
            assert!(
                other <= rank,
                "stricter, and allows more of {:?}: {source:#?}",
                scene.command
            );
        }
    }
}

fn built_in() -> Vec<String> {
    use mcp_ssh_orchestrator::testing::policy::limits::BUILT_IN_DENY_SUBSTRINGS;
    BUILT_IN_DENY_SUBSTRINGS.map(str::to_owned).to_vec()
}

fn nothing_else_matters(scene: &Scene, rank: u8) {
    let mut reversed = scene.source.clone();
    reversed.rules.reverse();
    let mut alone = scene.source.clone();
    let unsure = |glob: &String| glob.contains('[');
    alone.rules.retain(|rule| {
        oracle::is_for(rule, scene) || rule.aliases.iter().chain(&rule.tags).any(unsure)
    });
    let mine = |(name, _): &(String, LimitsSource)| *name == scene.alias.as_str();
    alone.alias_overrides.retain(mine);
    let mine = |name: &str| scene.tags.iter().any(|tag| tag.as_str() == name);
    alone.tag_overrides.retain(|(name, _)| mine(name));
    for source in [reversed, alone] {
        assert_eq!(
            other(scene, source.clone()),
            Some(rank),
            "what should not matter does, for {:?}: {source:#?}",
            scene.command
        );
    }
}

fn limits_are_the_nearest(scene: &Scene, policy: &Policy) {
    let limits = policy.limits(scene.alias.as_str(), &scene.tags);
    let seconds = oracle::effective(&scene.source, scene, |limits| limits.max_seconds);
    assert_eq!(limits.max_seconds, seconds.unwrap_or(50));
    let entries = oracle::tripwires(&scene.source, scene);
    assert_eq!(*limits.deny_substrings, *entries);
}

fn each_was_matched(scene: &Scene, actions: &[Action]) {
    let source = &scene.source;
    for entry in oracle::tripwires(source, scene) {
        assert!(
            entry.trim().is_empty() || !scene.command.contains(&entry),
            "{entry:?} stands in {:?}",
            scene.command
        );
    }
    let options = Options {
        globs: source.shell.globs,
    };
    let parsed = lexer::parse(&scene.command, options).expect("what runs was understood");
    let granting = |action| actions.contains(&action);
    let rules: Vec<_> = source
        .rules
        .iter()
        .filter(|rule| granting(rule.action) && oracle::is_for(rule, scene))
        .collect();
    for command in &parsed.commands {
        let filter = source.shell.filters && command.is_fed() && oracle::is_filter(command);
        let ruled = rules.iter().any(|rule| oracle::takes(rule, &command.words));
        assert!(
            ruled || filter || oracle::is_free(command),
            "nothing allows {:?} of {:?}",
            command.text,
            scene.command
        );
    }
}
