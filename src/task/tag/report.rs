//! What came of a tag run: each host, counted, and as much of the outputs as is shown.
//!
//! Owns the order of the results, the summary, which outputs are the same, and the excerpts
//! of the outputs while they come in: never more than twice of what will be shown is held.
//! Starts nothing. Called by [`crate::task::tag::fanout`], read by the tools.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::model::names::{CommandHash, HostAlias};
use crate::policy::Denial;
use crate::task::outcome::{Facts, Outcome, State};
use crate::task::output::excerpt::{Excerpt, share};
use crate::task::registry::Refused;
use crate::task::tag::expected::Unmet;
use crate::task::tag::plan::TagOptions;

/// What came of a tag run.
#[derive(Debug, Clone)]
pub struct TagOutcome {
    pub hash: CommandHash,
    /// In the order of the hosts in the file, one for each.
    pub results: Vec<HostResult>,
    pub summary: Summary,
    /// Every output once, in the order of their first hosts.
    pub outputs: Vec<SharedOutput>,
}

/// An output that one host had, or several alike, to the byte and to the exit code.
#[derive(Debug, Clone, Default)]
pub struct SharedOutput {
    /// Whose it is, by their places in the results.
    pub places: Vec<usize>,
    pub stdout: Excerpt,
    pub stderr: Excerpt,
    digest: [u8; 32],
}

/// What came of one host.
#[derive(Debug, Clone)]
pub enum HostResult {
    Ran(Ran),
    Denied {
        alias: HostAlias,
        /// Shared among those denied alike.
        denial: Arc<Denial>,
    },
    NotRun {
        alias: HostAlias,
        why: NotRun,
    },
}

impl HostResult {
    /// Whose it is.
    pub fn alias(&self) -> &str {
        match self {
            Self::Ran(ran) => ran.facts.alias.as_str(),
            Self::Denied { alias, .. } | Self::NotRun { alias, .. } => alias.as_str(),
        }
    }
}

/// A host that was begun.
#[derive(Debug, Clone)]
pub struct Ran {
    pub facts: Arc<Facts>,
    /// How it counts: its own state, or what was expected of it makes it another.
    pub state: State,
    /// What was expected of it and did not happen.
    pub unmet: Option<Unmet>,
}

/// Why a host was not begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotRun {
    /// The run was cancelled before its turn.
    Cancelled,
    /// `max_failures` was reached before its turn.
    TooManyFailures,
    /// The time of the whole run was too short for it.
    NoTime,
    Refused(Refused),
}

/// How many hosts ended how. The others add up to `total`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    pub total: usize,
    /// Exit status 0, or what else was expected.
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
    outputs: Vec<SharedOutput>,
    last_denial: Option<Arc<Denial>>,
}

impl Collected {
    pub(crate) fn new(hash: CommandHash, hosts: usize, options: TagOptions) -> Self {
        Self {
            hash,
            options,
            results: std::iter::repeat_with(|| None).take(hosts).collect(),
            outputs: Vec::new(),
            last_denial: None,
        }
    }

    /// Whether this host's result is there.
    pub(crate) fn has(&self, place: usize) -> bool {
        self.results.get(place).is_some_and(Option::is_some)
    }

    pub(crate) fn denied(&mut self, place: usize, alias: HostAlias, denial: Denial) {
        let denial = match &self.last_denial {
            Some(last) if **last == denial => Arc::clone(last),
            _ => Arc::new(denial),
        };
        self.last_denial = Some(Arc::clone(&denial));
        self.put(place, HostResult::Denied { alias, denial });
    }

    pub(crate) fn not_run(&mut self, place: usize, alias: HostAlias, why: NotRun) {
        self.put(place, HostResult::NotRun { alias, why });
    }

    /// Says how it counts.
    pub(crate) fn ran(&mut self, place: usize, outcome: &Outcome, streams: [String; 2]) -> State {
        let facts = Arc::clone(outcome.facts());
        let (state, unmet) = self.options.expected.judge(&facts, &streams);
        let digest = digest(&facts, &streams);
        match self.outputs.iter_mut().find(|one| one.digest == digest) {
            Some(known) => known.places.push(place),
            None => {
                let [stdout, stderr] = streams.map(|text| Excerpt::of(&text, self.options.shape));
                self.outputs.push(SharedOutput {
                    places: vec![place],
                    stdout,
                    stderr,
                    digest,
                });
            }
        }
        let ran = Ran {
            facts,
            state,
            unmet,
        };
        self.put(place, HostResult::Ran(ran));
        let held: usize = self
            .outputs
            .iter()
            .map(|one| one.stdout.chars() + one.stderr.chars())
            .sum();
        if held > self.options.shape.chars.saturating_mul(2) {
            share_room(&mut self.outputs, self.options.shape.chars);
        }
        state
    }

    /// The whole answer. To be called once, when every host has a result.
    pub(crate) fn finish(&mut self) -> TagOutcome {
        let mut outputs = std::mem::take(&mut self.outputs);
        for one in &mut outputs {
            one.places.sort_unstable();
        }
        outputs.sort_by(|a, b| a.places.cmp(&b.places));
        let results: Vec<_> = std::mem::take(&mut self.results)
            .into_iter()
            .flatten()
            .collect();
        TagOutcome {
            hash: self.hash,
            summary: Summary::of(&results),
            results,
            outputs,
        }
    }

    fn put(&mut self, place: usize, result: HostResult) {
        if let Some(slot) = self.results.get_mut(place) {
            *slot = Some(result);
        }
    }
}

/// Cuts the outputs so that all together have at most so many characters.
pub(crate) fn share_room(outputs: &mut [SharedOutput], chars: usize) {
    let excerpts = outputs
        .iter_mut()
        .flat_map(|one| [&mut one.stdout, &mut one.stderr]);
    share(excerpts, chars);
}

/// What has to be the same for two hosts to count as alike: all that is said of them but
/// their names, their addresses and how long it took.
fn digest(facts: &Facts, streams: &[String; 2]) -> [u8; 32] {
    let [stdout, stderr] = streams;
    let end = format!(
        "{:?} {} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        facts.state,
        facts.exit_code,
        facts.exit_signal,
        facts.timeout_phase,
        facts.truncated,
        facts.terminated,
        (facts.left_running, facts.redacted),
        facts.error,
        facts.overruled.as_ref().map(|overruled| &overruled.denial),
    );
    Sha256::new()
        .chain_update(end)
        .chain_update(b"\0")
        .chain_update(stdout)
        .chain_update(b"\0")
        .chain_update(stderr)
        .finalize()
        .into()
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
                HostResult::Ran(ran) => match ran.state {
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
