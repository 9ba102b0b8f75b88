//! The answer to a run on a tag: an entry for every host, as much as a frame holds.
//!
//! Owns what is left out where there are very many hosts, in this order: outputs and
//! explanations, then the entries of the last hosts, which are still named by how they
//! ended; and that what is left out is said, with how to get it. Called by
//! [`crate::mcp::tools::run_on_tag`].

use std::collections::BTreeMap;

use crate::mcp::call::answer::{Answer, OUTPUT_BUDGET, weight};
use crate::mcp::tools::answers::refusal::network_hint;
use crate::mcp::tools::answers::run::result_fields;
use crate::mcp::wire::json::{Json, Object, array};
use crate::model::names::{CommandHash, Tag};
use crate::policy::Denial;
use crate::task::{Group, HostResult, NotRun, Ran, TagOutcome};

/// What all parts of an answer may weigh together.
const ROOM: usize = OUTPUT_BUDGET;

const SHORT: &str = "So many hosts: the entries are short. ssh_get_task_result has the rest of each that has a task_id; \
    ssh_plan says why one was denied.";

/// The answer for a tag that no host has.
pub(crate) fn nobody(tag: &Tag, hash: CommandHash) -> Answer {
    let outcome = TagOutcome {
        hash,
        results: Vec::new(),
        summary: Default::default(),
        groups: Vec::new(),
    };
    let answer = Parts::full(&outcome).put_together(tag, &outcome);
    Answer::of(answer.field("note", "No hosts matched."))
}

/// The answer: in full, or with short entries, or with as many of those as fit and the
/// names of the others.
pub(crate) fn answer(tag: &Tag, outcome: &TagOutcome) -> Answer {
    let mut parts = Parts::full(outcome);
    if parts.weight() > ROOM {
        parts = Parts::short(outcome);
    }
    if parts.weight() > ROOM {
        parts.name_the_last(outcome);
    }
    let answer = parts.put_together(tag, outcome);
    let all_denied = outcome.summary.denied == outcome.summary.total;
    match first_denial(outcome).filter(|_| all_denied) {
        Some((reason, code, hint)) => Answer::refusal(
            answer
                .field("status", "denied")
                .field("reason", reason)
                .field("code", code)
                .field("hint", hint),
        ),
        None => Answer::of(answer).untrusted(&["results[].output", "groups[].output"]),
    }
}

/// How much an entry says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Detail {
    Full,
    Short,
}

/// What of an answer grows with the number of hosts.
struct Parts {
    entries: Vec<Json>,
    groups: Vec<Json>,
    /// Hosts without an entry, by how they ended.
    rest: Option<Json>,
    notes: Vec<String>,
}

impl Parts {
    fn full(outcome: &TagOutcome) -> Self {
        Self::with(outcome, Detail::Full)
    }

    fn short(outcome: &TagOutcome) -> Self {
        let mut parts = Self::with(outcome, Detail::Short);
        parts.notes.push(SHORT.to_owned());
        parts
    }

    fn with(outcome: &TagOutcome, detail: Detail) -> Self {
        let entry = |result| entry(result, outcome.hash, detail);
        let groups = outcome.groups.iter();
        Self {
            entries: outcome.results.iter().map(entry).collect(),
            groups: groups.map(|one| group(one, detail)).collect(),
            rest: None,
            notes: Vec::new(),
        }
    }

    fn weight(&self) -> usize {
        let parts = self.entries.iter().chain(&self.groups).chain(&self.rest);
        parts.map(weight).sum()
    }

    /// Names the last hosts in place of their entries: as few of them as need be.
    fn name_the_last(&mut self, outcome: &TagOutcome) {
        let mut room = ROOM.saturating_sub(self.groups.iter().map(weight).sum());
        let hosts = || outcome.results.iter().map(host);
        let mut needed: usize = hosts().map(|(alias, _)| weight_of_name(alias)).sum();
        let fits = |(entry, (alias, _)): &(&Json, (&str, &str))| {
            needed = (needed + weight(entry)).saturating_sub(weight_of_name(alias));
            needed <= room
        };
        let fitting = self.entries.iter().zip(hosts()).take_while(fits).count();
        self.entries.truncate(fitting);
        room = room.saturating_sub(self.entries.iter().map(weight).sum());
        let mut named: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut unnamed = 0;
        for (alias, end) in hosts().skip(fitting) {
            let needed = weight_of_name(alias);
            if needed <= room {
                named.entry(end).or_default().push(alias);
                room -= needed;
            } else {
                unnamed += 1;
            }
        }
        self.rest = Some(Json::of(&named));
        let missing = outcome.results.len() - fitting;
        self.notes.push(format!(
            "{missing} hosts at the end have no entry here: rest names them by how they ended. Narrower tags show more."
        ));
        if unnamed > 0 {
            let text =
                format!("{unnamed} of them are too many to be named; the summary counts them.");
            self.notes.push(text);
        }
    }

    fn put_together(&self, tag: &Tag, outcome: &TagOutcome) -> Object {
        let answer = Object::new()
            .field("tag", tag.as_str())
            .field("hash", &outcome.hash.to_string())
            .json("results", &array(&self.entries))
            .json("summary", &summary(outcome));
        let answer = match &self.rest {
            Some(rest) => answer.json("rest", rest),
            None => answer,
        };
        answer
            .when(!self.groups.is_empty(), |answer| {
                answer.json("groups", &array(&self.groups))
            })
            .when(!self.notes.is_empty(), |answer| {
                answer.field("notes", &self.notes)
            })
    }
}

/// [`weight`] of a host's name in a list; there is nothing to escape in one.
fn weight_of_name(alias: &str) -> usize {
    (alias.len() + 3) * 2 + 2
}

/// A host, and in a word how it ended.
fn host(result: &HostResult) -> (&str, &str) {
    match result {
        HostResult::Ran(ran) if ran.facts.is_denied() => (ran.facts.alias.as_str(), "denied"),
        HostResult::Ran(ran) => (ran.facts.alias.as_str(), ran.facts.state.as_str()),
        HostResult::Denied { alias, .. } => (alias.as_str(), "denied"),
        HostResult::NotRun { alias, .. } => (alias.as_str(), "not_run"),
    }
}

fn first_denial(outcome: &TagOutcome) -> Option<(&str, &str, &str)> {
    let denial = match outcome.results.first()? {
        HostResult::Denied { denial, .. } => denial,
        HostResult::Ran(ran) => match &ran.facts.overruled {
            Some(overruled) => &overruled.denial,
            None => {
                let hint = network_hint(ran.facts.network_denial()?);
                return Some(("network", "network", hint));
            }
        },
        HostResult::NotRun { .. } => return None,
    };
    Some(("policy", denial.code().as_str(), denial.hint()))
}

fn entry(result: &HostResult, hash: CommandHash, detail: Detail) -> Json {
    let head = |alias: &str| {
        Object::new()
            .field("alias", alias)
            .field("hash", &hash.to_string())
    };
    match result {
        HostResult::Ran(ran) => entry_of_run(ran, head(ran.facts.alias.as_str()), detail),
        HostResult::Denied { alias, denial } => denied(head(alias.as_str()), denial, detail),
        HostResult::NotRun { alias, why } => {
            let why = match why {
                NotRun::Cancelled => "cancelled before its turn".to_owned(),
                NotRun::TooManyFailures => "max_failures was reached before its turn".to_owned(),
                NotRun::Refused(refused) => refused.to_string(),
            };
            head(alias.as_str())
                .field("task_id", "")
                .field("exit_code", &-1)
                .field("not_run", &true)
                .field("output", &why)
                .end()
        }
    }
}

fn denied(head: Object, denial: &Denial, detail: Detail) -> Json {
    head.field("denied", &true)
        .field("reason", "policy")
        .field("code", denial.code().as_str())
        .when(detail == Detail::Full, |entry| {
            entry
                .field("why", denial.why())
                .maybe("denied_command", denial.denied_command())
                .field("hint", denial.hint())
        })
        .end()
}

fn entry_of_run(ran: &Ran, head: Object, detail: Detail) -> Json {
    let facts = &ran.facts;
    let head = head.field("task_id", facts.id.as_str());
    if let Some(cause) = facts.network_denial() {
        return head
            .field("denied", &true)
            .field("reason", &format!("network: {cause}"))
            .field("detail", cause)
            .when(detail == Detail::Full, |entry| {
                entry.field("hint", network_hint(cause))
            })
            .end();
    }
    if let Some(overruled) = &facts.overruled {
        return denied(head, &overruled.denial, detail);
    }
    if detail == Detail::Short {
        return head
            .field("exit_code", &facts.exit_code)
            .field("status", facts.state.as_str())
            .maybe("group", ran.group)
            .end();
    }
    result_fields(head, facts, &ran.output, ran.left_out)
        .maybe("group", ran.group)
        .end()
}

fn group(group: &Group, detail: Detail) -> Json {
    let aliases: Vec<&str> = group.aliases.iter().map(|alias| alias.as_str()).collect();
    let head = match detail {
        Detail::Full => Object::new().field("aliases", &aliases),
        // The entries name their group.
        Detail::Short => Object::new().field("hosts", &aliases.len()),
    };
    head.field("exit_code", &group.exit_code)
        .field("output", &group.output)
        .when(group.left_out > 0, |entry| {
            entry.field("omitted_bytes", &group.left_out)
        })
        .end()
}

fn summary(outcome: &TagOutcome) -> Json {
    let summary = &outcome.summary;
    Object::new()
        .field("total", &summary.total)
        .field("succeeded", &summary.succeeded)
        .field("failed", &summary.failed)
        .field("denied", &summary.denied)
        .field("cancelled", &summary.cancelled)
        .field("timed_out", &summary.timed_out)
        .field("not_run", &summary.not_run)
        .end()
}
