//! The answer to a tag run: what came of each host, counted and made to fit.
//!
//! Owns the order of the results, the summary, and the excerpts of the outputs while they
//! come in: never more than twice of what will be shown is held. Starts nothing. Called
//! by [`crate::task::tag::fanout`], read by the tools.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::model::names::{CommandHash, HostAlias};
use crate::policy::Denial;
use crate::task::outcome::{Facts, Outcome, State};
use crate::task::output::fit::{Excerpt, fit};
use crate::task::registry::Refused;
use crate::task::tag::plan::TagOptions;

/// What came of a tag run.
#[derive(Debug, Clone)]
pub struct TagOutcome {
    pub hash: CommandHash,
    /// In the order of the hosts in the file, one for each.
    pub results: Vec<HostResult>,
    pub summary: Summary,
    /// With `group_identical`: every output once, in the order of their first hosts.
    pub groups: Vec<Group>,
}

/// What came of one host.
#[derive(Debug, Clone)]
pub enum HostResult {
    Ran(Ran),
    Denied {
        alias: HostAlias,
        denial: Box<Denial>,
    },
    NotRun {
        alias: HostAlias,
        why: NotRun,
    },
}

/// A host that was begun.
#[derive(Debug, Clone)]
pub struct Ran {
    pub facts: Arc<Facts>,
    /// Its output or the beginning of it; empty with `group_identical`.
    pub output: String,
    /// Bytes of clean output that are not shown here for want of room. The task still has
    /// them, until it expires.
    pub left_out: usize,
    /// Its place in `groups`, with `group_identical`.
    pub group: Option<usize>,
}

/// Why a host was not begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotRun {
    /// The run was cancelled before its turn.
    Cancelled,
    /// `max_failures` was reached before its turn.
    TooManyFailures,
    Refused(Refused),
}

/// Equal outputs with equal exit codes.
#[derive(Debug, Clone)]
pub struct Group {
    /// In the order of the file.
    pub aliases: Vec<HostAlias>,
    pub exit_code: i64,
    pub output: String,
    /// As in [`Ran`].
    pub left_out: usize,
}

/// How many hosts came to what. The others add up to `total`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    pub total: usize,
    /// Exit status 0.
    pub succeeded: usize,
    /// Another exit status, or no run to the end.
    pub failed: usize,
    /// By the rules, before or at its turn, for want of approval, or by the network policy.
    pub denied: usize,
    /// While it ran or before its turn.
    pub cancelled: usize,
    pub timed_out: usize,
    /// Not begun because of failures elsewhere, or refused.
    pub not_run: usize,
}

/// The answer while it comes together.
pub(crate) struct Collected {
    hash: CommandHash,
    options: TagOptions,
    results: Vec<Option<HostResult>>,
    shown: Vec<Shown>,
}

/// An output that is shown once.
struct Shown {
    digest: [u8; 32],
    exit_code: i64,
    /// Whose it is, by their places.
    places: Vec<usize>,
    excerpt: Excerpt,
}

impl Collected {
    pub(crate) fn new(hash: CommandHash, hosts: usize, options: TagOptions) -> Self {
        Self {
            hash,
            options,
            results: std::iter::repeat_with(|| None).take(hosts).collect(),
            shown: Vec::new(),
        }
    }

    /// Whether this host's result is there.
    pub(crate) fn has(&self, place: usize) -> bool {
        self.results.get(place).is_some_and(Option::is_some)
    }

    pub(crate) fn denied(&mut self, place: usize, alias: HostAlias, denial: Denial) {
        let denial = Box::new(denial);
        self.put(place, HostResult::Denied { alias, denial });
    }

    pub(crate) fn not_run(&mut self, place: usize, alias: HostAlias, why: NotRun) {
        self.put(place, HostResult::NotRun { alias, why });
    }

    pub(crate) fn ran(&mut self, place: usize, outcome: &Outcome, output: String) {
        let facts = Arc::clone(outcome.facts());
        let digest: [u8; 32] = Sha256::digest(output.as_bytes()).into();
        let same =
            |shown: &&mut Shown| shown.digest == digest && shown.exit_code == facts.exit_code;
        let known = match self.options.group_identical {
            true => self.shown.iter_mut().find(same),
            false => None,
        };
        match known {
            Some(shown) => shown.places.push(place),
            None => self.shown.push(Shown {
                digest,
                exit_code: facts.exit_code,
                places: vec![place],
                excerpt: Excerpt::whole(output, self.options.cost),
            }),
        }
        let ran = Ran {
            facts,
            output: String::new(),
            left_out: 0,
            group: None,
        };
        self.put(place, HostResult::Ran(ran));
        let held: usize = self.shown.iter().map(|shown| shown.excerpt.cost()).sum();
        if held > self.options.output_budget.saturating_mul(2) {
            self.fit();
        }
    }

    /// The whole answer. To be called once, when every host has a result.
    pub(crate) fn finish(&mut self) -> TagOutcome {
        self.fit();
        let mut results: Vec<_> = std::mem::take(&mut self.results);
        let mut shown = std::mem::take(&mut self.shown);
        for one in &mut shown {
            one.places.sort_unstable();
        }
        shown.sort_by(|a, b| a.places.cmp(&b.places));
        let mut groups = Vec::new();
        for one in shown {
            let mut aliases = Vec::new();
            let grouped = self.options.group_identical.then_some(groups.len());
            let (mut text, left_out) = (one.excerpt.text, one.excerpt.left_out);
            for place in one.places {
                if let Some(Some(HostResult::Ran(ran))) = results.get_mut(place) {
                    aliases.push(ran.facts.alias.clone());
                    ran.group = grouped;
                    ran.left_out = left_out;
                    if grouped.is_none() {
                        ran.output = std::mem::take(&mut text);
                    }
                }
            }
            if grouped.is_some() {
                groups.push(Group {
                    aliases,
                    exit_code: one.exit_code,
                    output: text,
                    left_out,
                });
            }
        }
        let results: Vec<_> = results.into_iter().flatten().collect();
        TagOutcome {
            hash: self.hash,
            summary: Summary::of(&results),
            results,
            groups,
        }
    }

    fn put(&mut self, place: usize, result: HostResult) {
        if let Some(slot) = self.results.get_mut(place) {
            *slot = Some(result);
        }
    }

    fn fit(&mut self) {
        let excerpts = self.shown.iter_mut().map(|shown| &mut shown.excerpt);
        fit(excerpts, self.options.output_budget, self.options.cost);
    }
}

impl Summary {
    fn of(results: &[HostResult]) -> Self {
        let mut summary = Self {
            total: results.len(),
            ..Self::default()
        };
        for result in results {
            let count = match result {
                HostResult::Denied { .. } => &mut summary.denied,
                HostResult::NotRun {
                    why: NotRun::Cancelled,
                    ..
                } => &mut summary.cancelled,
                HostResult::NotRun { .. } => &mut summary.not_run,
                HostResult::Ran(ran) if ran.facts.is_denied() => &mut summary.denied,
                HostResult::Ran(ran) => match ran.facts.state {
                    State::Completed => &mut summary.succeeded,
                    State::Cancelled => &mut summary.cancelled,
                    State::Timeout => &mut summary.timed_out,
                    // The others are not how a task ends.
                    State::Failed | State::Pending | State::Running => &mut summary.failed,
                },
            };
            *count += 1;
        }
        summary
    }
}
