//! One entry of `rules:` → the plain data of a rule.
//!
//! Owns which keys of a rule go together: exactly one form, and no key of another.
//! Whether a rule makes sense is the compiler's business. Called by `policy_file`.

use crate::config::schema::findings::Findings;
use crate::config::schema::problem::Fault;
use crate::config::schema::section::{Section, Text};
use crate::policy::source::{Action, FileRuleSource, PathArgs, ReadsSource, RuleForm, RuleSource};

pub(crate) fn rule(section: &Section<'_>, findings: &mut Findings) -> Option<RuleSource> {
    let action = action(section, findings);
    let aliases = owned(findings.texts(section, "aliases"));
    let tags = owned(findings.texts(section, "tags"));
    let form = form(section, findings);
    let sudo = findings.boolean(section, "sudo");
    let stdin = findings.boolean(section, "stdin");
    let trust_arguments = findings.boolean(section, "trust_arguments");
    let detach = findings.boolean(section, "detach");
    let mut examples_allow = Vec::new();
    let mut examples_deny = Vec::new();
    if let Some(examples) = findings.subsection(section, "examples") {
        examples_allow = lined(findings.texts(&examples, "allow"));
        examples_deny = lined(findings.texts(&examples, "deny"));
    }
    Some(RuleSource {
        line: section.at.line,
        action: action?,
        aliases,
        tags,
        form: form?,
        sudo: sudo.is_some_and(|(value, _)| value),
        stdin: stdin.is_some_and(|(value, _)| value),
        trust_arguments: trust_arguments.is_some_and(|(value, _)| value),
        detach: detach.is_some_and(|(value, _)| value),
        examples_allow,
        examples_deny,
    })
}

/// One entry of `files:`.
pub(crate) fn file_rule(section: &Section<'_>, findings: &mut Findings) -> Option<FileRuleSource> {
    let action = action(section, findings);
    let aliases = owned(findings.texts(section, "aliases"));
    let tags = owned(findings.texts(section, "tags"));
    let read = lined(findings.texts(section, "read"));
    let write = lined(findings.texts(section, "write"));
    let sudo = findings.boolean(section, "sudo");
    Some(FileRuleSource {
        line: section.at.line,
        action: action?,
        aliases,
        tags,
        read,
        write,
        sudo: sudo.is_some_and(|(value, _)| value),
    })
}

fn action(section: &Section<'_>, findings: &mut Findings) -> Option<Action> {
    Some(match findings.one_of(section, "action")? {
        "allow" => Action::Allow,
        "ask" => Action::Ask,
        _ => Action::Deny,
    })
}

/// The keys that make each form of a rule; the first of each says which form it is.
const FORMS: [&[&str]; 5] = [
    &["reads", "paths", "also", "hosts", "sudo_users"],
    &["commands", "legacy_glob"],
    &["simple_binaries", "simple_max_args"],
    &["binary", "arg_prefix", "allow_extra_args", "path_args"],
    // In a deny rule, where there is no program.
    &["paths"],
];

fn form(section: &Section<'_>, findings: &mut Findings) -> Option<RuleForm> {
    let commands = findings.texts(section, "commands");
    let legacy_glob = findings.boolean(section, "legacy_glob");
    let binaries = findings.texts(section, "simple_binaries");
    let max_args = findings.number(section, "simple_max_args");
    let binary = findings.text(section, "binary");
    let arg_prefix = findings.texts(section, "arg_prefix");
    let extra = findings.boolean(section, "allow_extra_args");
    let path_args = path_args(section, findings);
    let reads = findings.texts(section, "reads");
    let paths = findings.texts(section, "paths");
    let also = findings.texts(section, "also");
    let hosts = findings.texts(section, "hosts");
    let sudo_users = findings.texts(section, "sudo_users");
    let which = which_form(section, findings)?;
    match which {
        "reads" => Some(RuleForm::Reads(ReadsSource {
            sets: lined(Some(not_empty(section, findings, which, reads?)?)),
            // A list that is there must hold something: an empty one is a slip.
            paths: match section.has("paths") {
                true => lined(Some(not_empty(section, findings, "paths", paths?)?)),
                false => Vec::new(),
            },
            also: lined(also),
            hosts: lined(hosts),
            sudo_users: owned(sudo_users),
        })),
        "paths" => Some(RuleForm::Paths(lined(Some(not_empty(
            section, findings, which, paths?,
        )?)))),
        "commands" => Some(RuleForm::Commands {
            patterns: lined(Some(not_empty(section, findings, which, commands?)?)),
            legacy_glob: legacy_glob.is_some_and(|(value, _)| value),
        }),
        "simple_binaries" => Some(RuleForm::Simple {
            binaries: owned(Some(not_empty(section, findings, which, binaries?)?)),
            max_args: max_args.and_then(|number| usize::try_from(number).ok()),
        }),
        // A restriction that is wrong is not the same as none.
        _ if section.has("path_args") && path_args.is_none() => None,
        _ if section.has("arg_prefix") && arg_prefix.is_none() => None,
        _ => Some(RuleForm::Structured {
            binary: binary?.value.to_owned(),
            arg_prefix: owned(arg_prefix),
            allow_extra_args: extra.is_none_or(|(value, _)| value),
            path_args,
        }),
    }
}

/// Which form the rule has: exactly one, and no key of another.
fn which_form(section: &Section<'_>, findings: &mut Findings) -> Option<&'static str> {
    let present: Vec<&'static str> = FORMS
        .iter()
        .filter_map(|keys| keys.first().copied())
        .filter(|key| section.has(key))
        // Beside `reads`, `paths` belongs to that form.
        .filter(|key| *key != "paths" || !section.has("reads"))
        .collect();
    let [which] = present.as_slice() else {
        let none = present.is_empty();
        findings.problem(
            section.at,
            section.path.clone(),
            if none {
                Fault::Missing
            } else {
                Fault::BadValue
            },
            if none {
                "found a rule that can match nothing"
            } else {
                "found more than one form of rule"
            },
            "exactly one of reads, commands, simple_binaries, binary (or, to deny, paths)",
        );
        return None;
    };
    let own = FORMS.iter().find(|keys| keys.first() == Some(which));
    for key in FORMS.iter().copied().flatten() {
        if own.is_some_and(|own| own.contains(key)) || !section.has(key) {
            continue;
        }
        let mut beside = FORMS.iter().filter(|keys| keys.contains(key));
        let first = beside.next().and_then(|keys| keys.first()).unwrap_or(&"");
        findings.problem(
            section.place(key),
            section.key(key),
            Fault::BadValue,
            format!("found {key} in a rule that has {which}"),
            format!("{key} beside {first}"),
        );
    }
    Some(which)
}

fn not_empty<'n>(
    section: &Section<'n>,
    findings: &mut Findings,
    name: &str,
    texts: Vec<Text<'n>>,
) -> Option<Vec<Text<'n>>> {
    if !texts.is_empty() {
        return Some(texts);
    }
    findings.problem(
        section.place(name),
        section.key(name),
        Fault::Missing,
        "found an empty list: the rule can match nothing",
        "at least one entry",
    );
    None
}

fn path_args(section: &Section<'_>, findings: &mut Findings) -> Option<PathArgs> {
    let args = findings.subsection(section, "path_args")?;
    let indices = findings.numbers(&args, "indices");
    let patterns = findings.texts(&args, "patterns");
    let (indices, patterns) = (indices?, patterns?);
    if indices.is_empty() {
        findings.problem(
            args.place("indices"),
            args.key("indices"),
            Fault::Missing,
            "found an empty list",
            "at least one index",
        );
    }
    let patterns = not_empty(&args, findings, "patterns", patterns)?;
    Some(PathArgs {
        indices: indices
            .into_iter()
            .filter_map(|index| usize::try_from(index).ok())
            .collect(),
        patterns: owned(Some(patterns)),
    })
}

fn owned(texts: Option<Vec<Text<'_>>>) -> Vec<String> {
    texts
        .unwrap_or_default()
        .iter()
        .map(|text| text.value.to_owned())
        .collect()
}

fn lined(texts: Option<Vec<Text<'_>>>) -> Vec<(usize, String)> {
    texts
        .unwrap_or_default()
        .iter()
        .map(|text| (text.at.line, text.value.to_owned()))
        .collect()
}
