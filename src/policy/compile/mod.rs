//! Policy source → compiled policy: every problem and every warning, not the first only.
//!
//! Owns what makes a rule meaningless (a pattern that does not parse, a `binary` without a
//! restriction, an example that is decided otherwise) and refuses such a policy whole.
//! Ranges, types and unknown keys were the loader's business. Called by
//! [`crate::policy::Policy::compile`].

pub(crate) mod examples;
pub(crate) mod files;
pub(crate) mod lint;
pub(crate) mod sets;
pub(crate) mod shadowed;
pub(crate) mod unknown_programs;

use crate::policy::identity::PolicyId;
use crate::policy::network::NetworkPolicy;
use crate::policy::rule::glob::{self, Glob, TooLong};
use crate::policy::rule::legacy_glob::Legacy;
use crate::policy::rule::structured::Structured;
use crate::policy::rule::word_pattern::{Pattern, PatternError};
use crate::policy::rule::{Denied, Rule, Rules, What};
use crate::policy::source::{Action, Line, PathArgs, PolicySource, RuleForm, RuleSource};
use crate::policy::syntax::lexer;
use crate::policy::{Compiled, Policy, Problem, limits};

/// Compiles, then checks the examples against the whole.
pub(crate) fn compile(source: PolicySource) -> Result<Compiled, Vec<Problem>> {
    let mut compiler = Compiler::default();
    compiler.rules.filters = source.shell.filters;
    for (index, rule) in source.rules.iter().enumerate() {
        compiler.rule(index, rule);
    }
    let files = files::compile(&source.files, &mut compiler.problems);
    let limits =
        limits::Limits::compile(&source.limits, source.alias_overrides, source.tag_overrides);
    let policy = Policy {
        id: PolicyId::fresh(),
        limits,
        network: NetworkPolicy::compile(source.network),
        rules: compiler.rules,
        files,
        options: lexer::Options {
            globs: source.shell.globs,
        },
    };
    let mut problems = compiler.problems;
    if problems.is_empty() {
        problems = examples::check(&policy, &source.rules);
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let warnings = lint::warnings(
        &policy,
        &source.rules,
        source.limits.deny_substrings.as_deref(),
    );
    Ok(Compiled { policy, warnings })
}

#[derive(Default)]
struct Compiler {
    rules: Rules,
    problems: Vec<Problem>,
}

impl Compiler {
    fn rule(&mut self, index: usize, source: &RuleSource) {
        let aliases = self.globs(index, source.line, "aliases", &source.aliases);
        let tags = self.globs(index, source.line, "tags", &source.tags);
        self.rules.rules.push(Rule {
            action: source.action,
            aliases,
            tags,
            sudo: source.sudo,
            stdin: source.stdin,
            trusting: source.trust_arguments,
            detach: source.detach,
        });
        let key = format!("rules[{index}]");
        if source.detach && source.action == Action::Deny {
            let accepted = "detach in a rule that allows or asks";
            self.problem(
                source.line,
                format!("{key}.detach"),
                "a deny rule with detach",
                accepted,
            );
        }
        match &source.form {
            RuleForm::Reads(reads) if source.action == Action::Deny => {
                let line = reads.sets.first().map_or(source.line, |(line, _)| *line);
                self.problem(
                    line,
                    format!("{key}.reads"),
                    "a deny rule with sets",
                    "commands or paths in a deny rule; what no rule allows is denied anyway",
                );
            }
            RuleForm::Reads(reads) => {
                let reads = sets::reads(&key, reads, source.sudo, &mut self.problems);
                self.rules.add_reads(index, source.line, reads);
            }
            RuleForm::Paths(paths) if source.action == Action::Deny => {
                let patterns = sets::paths(&key, paths, &mut self.problems);
                self.rules.add_denied_paths(index, source.line, patterns);
            }
            RuleForm::Paths(paths) => {
                let line = paths.first().map_or(source.line, |(line, _)| *line);
                self.problem(
                    line,
                    format!("{key}.paths"),
                    "paths without a program",
                    "paths beside reads, or alone in a deny rule",
                );
            }
            RuleForm::Commands {
                patterns,
                legacy_glob,
            } => self.commands(index, source, patterns, *legacy_glob),
            RuleForm::Simple { binaries, max_args } => {
                self.simple(index, source, binaries, *max_args);
            }
            RuleForm::Structured {
                binary,
                arg_prefix,
                allow_extra_args,
                path_args,
            } => {
                let paths = path_args.as_ref();
                self.structured(index, source, binary, arg_prefix, *allow_extra_args, paths);
            }
        }
    }

    fn commands(
        &mut self,
        index: usize,
        source: &RuleSource,
        patterns: &[(Line, String)],
        legacy: bool,
    ) {
        if patterns.is_empty() {
            let key = format!("rules[{index}].commands");
            self.problem(source.line, key, "an empty list", "at least one pattern");
        }
        for (number, (line, text)) in patterns.iter().enumerate() {
            let added = match (source.action, legacy) {
                (Action::Deny, _) => self.deny_pattern(index, *line, text),
                (_, true) => Legacy::parse(text)
                    .map(|legacy| self.rules.add_grant(index, *line, What::Legacy(legacy))),
                (_, false) => Pattern::parse(text)
                    .map(|pattern| self.rules.add_grant(index, *line, What::Pattern(pattern))),
            };
            if let Err(error) = added {
                let key = format!("rules[{index}].commands[{number}]");
                let accepted = "one program with its words, with *, ? and [...] as wildcards";
                self.problem(*line, key, &error.to_string(), accepted);
            }
        }
    }

    fn deny_pattern(&mut self, rule: usize, line: Line, text: &str) -> Result<(), PatternError> {
        let id = self.rules.denials.len();
        self.rules.denials.push(Denied { rule, line });
        self.rules.deny.add_pattern(id, text)
    }

    fn simple(
        &mut self,
        index: usize,
        source: &RuleSource,
        binaries: &[String],
        max_args: Option<usize>,
    ) {
        let key = || format!("rules[{index}].simple_binaries");
        if binaries.is_empty() {
            self.problem(source.line, key(), "an empty list", "at least one program");
        }
        for binary in binaries {
            if binary.is_empty() || binary.contains(' ') {
                let found = format!("{binary:?}");
                self.problem(source.line, key(), &found, "the name or path of a program");
            }
            self.add_structured(index, source, Structured::simple(binary, max_args));
        }
    }

    fn structured(
        &mut self,
        index: usize,
        source: &RuleSource,
        binary: &str,
        prefix: &[String],
        extra: bool,
        paths: Option<&PathArgs>,
    ) {
        let key = |name: &str| format!("rules[{index}].{name}");
        if binary.is_empty() || binary.contains(' ') {
            let found = format!("{binary:?}");
            self.problem(
                source.line,
                key("binary"),
                &found,
                "the name or path of a program",
            );
        }
        if prefix.is_empty() && extra && paths.is_none() {
            self.problem(
                source.line,
                key("binary"),
                "a program without any restriction",
                "arg_prefix, path_args or allow_extra_args: false beside it; or simple_binaries",
            );
        }
        if let Some(paths) = paths
            && (paths.indices.is_empty() || paths.patterns.is_empty())
        {
            self.problem(
                source.line,
                key("path_args"),
                "indices or patterns without an entry",
                "at least one index and one pattern",
            );
        }
        match Structured::new(binary, prefix, extra, paths) {
            Ok(structured) => self.add_structured(index, source, structured),
            Err(TooLong) => self.long_piece(source.line, key("path_args.patterns")),
        }
    }

    fn add_structured(&mut self, rule: usize, source: &RuleSource, structured: Structured) {
        if source.action == Action::Deny {
            let id = self.rules.denials.len();
            let line = source.line;
            self.rules.denials.push(Denied { rule, line });
            self.rules.deny.add_structured(id, structured);
        } else {
            self.rules
                .add_grant(rule, source.line, What::Structured(structured));
        }
    }

    fn globs(&mut self, index: usize, line: Line, name: &str, texts: &[String]) -> Vec<Glob> {
        let mut globs = Vec::with_capacity(texts.len());
        for text in texts {
            match Glob::parse(text) {
                Ok(glob) => globs.push(glob),
                Err(TooLong) => self.long_piece(line, format!("rules[{index}].{name}")),
            }
        }
        globs
    }

    fn long_piece(&mut self, line: Line, key: String) {
        let found = PatternError::LongPiece.to_string();
        let accepted = format!("at most {} characters between two *", glob::MIXED_MAX);
        self.problem(line, key, &found, &accepted);
    }

    fn problem(&mut self, line: Line, key: String, found: &str, accepted: &str) {
        self.problems.push(Problem {
            line: Some(line),
            key,
            found: found.to_owned(),
            accepted: accepted.to_owned(),
        });
    }
}
