//! The answer to a run on many hosts: how it came out, then hosts that are alike together,
//! then those that stand alone.
//!
//! Owns which hosts are shown together, the two forms of each entry, and what is left out
//! where there is too much: parts of outputs, then the entries of the last hosts, which are
//! still named by how they ended. Called by [`crate::mcp::tools::run_on_tag`].

use std::collections::BTreeMap;

use crate::mcp::call::answer::Answer;
use crate::mcp::tools::answers::comparison::comparison;
use crate::mcp::tools::answers::counts::{counts, summary};
use crate::mcp::tools::answers::ran::{notes_of, ran_entry, ran_in_words};
use crate::mcp::tools::answers::ranges::ranges_within;
use crate::mcp::tools::answers::refusal::{
    network_hint, remedied, unreached_members, why_unreached,
};
use crate::mcp::wire::json::{Json, Object, array};
use crate::policy::Denial;
use crate::task::{
    Facts, HostResult, NotRun, Ran, SharedOutput, State, TagOutcome, Unreached, share_room,
};

/// What an entry takes beside its output, in characters, about.
const ENTRY: usize = 40;
/// So many hosts that did not do what was expected have an entry each; more are put together
/// where they are alike.
const LONE: usize = 10;
/// Characters of the names of hosts that have no entry of their own.
const NAMES: usize = 2_000;

/// Hosts of which the same is said.
struct Part<'a> {
    /// Their places in the results, in order.
    places: Vec<usize>,
    aliases: Vec<&'a str>,
    /// The aliases as they are shown.
    names: Vec<String>,
    end: End<'a>,
}

/// How they ended.
enum End<'a> {
    Ran(&'a Ran, SharedOutput),
    Unreached(&'a Facts, Unreached),
    Denied(&'a Denial),
    Network(&'static str),
    NotRun(String),
}

/// How the hosts were asked for: the member of that name, and its words.
pub(crate) struct Asked<'a> {
    pub(crate) member: &'static str,
    pub(crate) words: &'a str,
}

/// The answer of at most so many characters of output. `together` shows hosts that are
/// alike once.
pub(crate) fn answer(
    asked: &Asked<'_>,
    outcome: &TagOutcome,
    together: bool,
    chars: usize,
) -> Answer {
    let alike = parts(outcome, true);
    if let [only] = alike.as_slice()
        && let Some(refusal) = refused_everywhere(asked, outcome, only)
    {
        return refusal;
    }
    let total = outcome.results.len();
    let mut parts = match together {
        true => alike,
        false => parts(outcome, false),
    };
    for part in &mut parts {
        part.names = ranges_within(&part.aliases, chars / 4);
    }
    let rest = leave_out(&mut parts, outcome, chars);
    let shown: usize = parts.iter().map(Part::chars).sum();
    let room = chars.saturating_sub(shown).max(chars / 5);
    share_among(&mut parts, room);
    let failed = outcome.summary.succeeded == 0 && total > 0 && outcome.summary.cancelled == 0;
    let head = Object::new().maybe("status", failed.then_some("failed"));
    let members = members(head, asked, outcome, &parts, rest.as_ref());
    if failed {
        return Answer::refusal(members);
    }
    let text = in_words(asked, outcome, &parts, rest.as_ref());
    Answer::readable(text, members).untrusted(&[
        "results[].output",
        "results[].stderr",
        "groups[].output",
        "groups[].stderr",
    ])
}

impl Part<'_> {
    fn is_group(&self) -> bool {
        self.places.len() > 1
    }

    /// Characters of its entry, without what the hosts printed.
    fn chars(&self) -> usize {
        let names = self.names.iter();
        let names: usize = names.map(|name| name.chars().count() + 4).sum();
        let words = match &self.end {
            End::Ran(ran, _) => notes_of(ran).iter().map(String::len).sum(),
            End::Unreached(facts, why) => why.hint.len() + why_unreached(facts).len() + ENTRY,
            End::Denied(denial) => denial.why().len() + denial.hint().len() + ENTRY,
            End::Network(cause) => cause.len() + network_hint(cause).len() + ENTRY,
            End::NotRun(why) => why.len(),
        };
        ENTRY + names + words
    }

    /// In a word.
    fn state(&self) -> &'static str {
        match &self.end {
            End::Ran(ran, _) => ran.state.as_str(),
            End::Unreached(facts, _) => facts.state.as_str(),
            End::Denied(_) | End::Network(_) => "denied",
            End::NotRun(_) => "not_run",
        }
    }
}

/// The hosts in parts, in the order of their first host.
fn parts(outcome: &TagOutcome, together: bool) -> Vec<Part<'_>> {
    let mut parts: Vec<Part<'_>> = Vec::new();
    let mut said: BTreeMap<String, usize> = BTreeMap::new();
    let printed: BTreeMap<usize, usize> = (outcome.outputs.iter().enumerate())
        .flat_map(|(at, output)| output.places.iter().map(move |place| (*place, at)))
        .collect();
    let unmet = outcome.results.iter().filter(|result| {
        let ran = match result {
            HostResult::Ran(ran) => Some(ran),
            HostResult::Denied { .. } | HostResult::NotRun { .. } => None,
        };
        ran.is_some_and(|ran| ran.unmet.is_some())
    });
    let lone = unmet.count() <= LONE;
    for (place, result) in outcome.results.iter().enumerate() {
        let (alias, key, end) = part_of(outcome, printed.get(&place).copied(), result, lone);
        let known = said.get(&key).copied().filter(|_| together);
        match known.and_then(|at| parts.get_mut(at)) {
            Some(part) => {
                part.places.push(place);
                part.aliases.push(alias);
            }
            None => {
                said.insert(key, parts.len());
                parts.push(Part {
                    places: vec![place],
                    aliases: vec![alias],
                    names: Vec::new(),
                    end,
                });
            }
        }
    }
    parts
}

/// A host's alias, a key that is the same for what is said in the same words, and its end.
fn part_of<'a>(
    outcome: &'a TagOutcome,
    printed: Option<usize>,
    result: &'a HostResult,
    lone: bool,
) -> (&'a str, String, End<'a>) {
    match result {
        HostResult::Denied { alias, denial } => {
            (alias.as_str(), denial_key(denial), End::Denied(denial))
        }
        HostResult::NotRun { alias, why } => {
            let why = match why {
                NotRun::Cancelled => "cancelled before its turn".to_owned(),
                NotRun::TooManyFailures => {
                    "not started: too many hosts failed before its turn".to_owned()
                }
                NotRun::NoTime => {
                    "the time of this call was over before its turn; run it there in \
                    another call (aliases)"
                        .to_owned()
                }
                NotRun::Refused(refused) => refused.to_string(),
            };
            (alias.as_str(), format!("not run {why}"), End::NotRun(why))
        }
        HostResult::Ran(ran) => {
            let facts = ran.facts.as_ref();
            let alias = facts.alias.as_str();
            if let Some(cause) = facts.network_denial() {
                return (alias, format!("network {cause}"), End::Network(cause));
            }
            if let Some(overruled) = facts.overruled.as_deref() {
                let denial = &overruled.denial;
                return (alias, denial_key(denial), End::Denied(denial));
            }
            if let Some(why) = facts.unreached() {
                let key = format!("unreached {} {}", why.code, why_unreached(facts));
                return (alias, key, End::Unreached(facts, why));
            }
            let output = printed.and_then(|at| outcome.outputs.get(at));
            let output = output.cloned().unwrap_or_default();
            let key = match ran.unmet {
                // It is what is looked for: it stands alone.
                Some(_) if lone => format!("unmet {alias}"),
                _ => format!("output {printed:?}"),
            };
            (alias, key, End::Ran(ran, output))
        }
    }
}

fn denial_key(denial: &Denial) -> String {
    format!(
        "denied {} {} {:?}",
        denial.code().as_str(),
        denial.why(),
        denial.denied_command()
    )
}

/// A refusal that holds for all hosts, said once.
fn refused_everywhere(asked: &Asked<'_>, outcome: &TagOutcome, part: &Part<'_>) -> Option<Answer> {
    let head = Object::new().field("status", "denied");
    let members = match &part.end {
        End::Denied(denial) => remedied(
            head.field("reason", "policy")
                .field("code", denial.code().as_str())
                .field("why", denial.why())
                .maybe("denied_command", denial.denied_command())
                .field("hint", denial.hint()),
            denial,
        ),
        End::Network(cause) => head
            .field("reason", "network")
            .field("code", "network")
            .field("detail", cause)
            .field("hint", network_hint(cause)),
        End::Ran(..) | End::Unreached(..) | End::NotRun(_) => return None,
    };
    Some(Answer::refusal(
        members
            .field(asked.member, asked.words)
            .field("hash", &outcome.hash.to_string())
            .json("summary", &summary(outcome))
            .field("aliases", &ranges_within(&part.aliases, NAMES)),
    ))
}

/// Takes out the entries that are too many, what matters least first; they are named by how
/// they ended.
fn leave_out(parts: &mut Vec<Part<'_>>, outcome: &TagOutcome, chars: usize) -> Option<Json> {
    let rank = |part: &Part<'_>| match part.is_group() {
        true => 0,
        false if part.state() != State::Completed.as_str() => 1,
        false => 2,
    };
    // A fifth is for what the hosts printed.
    let mut room = chars / 5 * 4;
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|at| parts.get(*at).map_or(3, rank));
    let mut kept = vec![false; parts.len()];
    for at in order {
        let needed = parts.get(at).map_or(0, Part::chars);
        let Some(left) = room.checked_sub(needed) else {
            break;
        };
        room = left;
        if let Some(kept) = kept.get_mut(at) {
            *kept = true;
        }
    }
    let mut named: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (part, kept) in parts.iter().zip(&kept) {
        if !kept {
            named.entry(part.state()).or_default().extend(&part.places);
        }
    }
    if named.is_empty() {
        return None;
    }
    let rest: BTreeMap<&str, Vec<String>> = named
        .into_iter()
        .map(|(state, mut places)| {
            places.sort_unstable();
            let aliases: Vec<&str> = places
                .iter()
                .filter_map(|place| outcome.results.get(*place))
                .map(HostResult::alias)
                .collect();
            (state, ranges_within(&aliases, NAMES))
        })
        .collect();
    let mut kept = kept.into_iter();
    parts.retain(|_| kept.next().unwrap_or(true));
    Some(Json::of(&rest))
}

fn share_among(parts: &mut [Part<'_>], chars: usize) {
    let mut outputs: Vec<SharedOutput> = parts
        .iter()
        .filter_map(|part| match &part.end {
            End::Ran(_, output) => Some(output.clone()),
            _ => None,
        })
        .collect();
    share_room(&mut outputs, chars);
    let mut outputs = outputs.into_iter();
    for part in parts {
        if let End::Ran(_, output) = &mut part.end
            && let Some(cut) = outputs.next()
        {
            *output = cut;
        }
    }
}

/// For programs.
fn members(
    head: Object,
    asked: &Asked<'_>,
    outcome: &TagOutcome,
    parts: &[Part<'_>],
    rest: Option<&Json>,
) -> Object {
    let groups: Vec<Json> = parts
        .iter()
        .filter(|part| part.is_group())
        .map(|part| {
            let head = Object::new()
                .field("hosts", &part.places.len())
                .field("aliases", &part.names);
            entry(head, &part.end, true).end()
        })
        .collect();
    let results: Vec<Json> = parts
        .iter()
        .filter(|part| !part.is_group())
        .map(|part| {
            let alias = part.aliases.first().copied().unwrap_or_default();
            let few = outcome.results.len() < FEW;
            entry(Object::new().field("alias", alias), &part.end, !few).end()
        })
        .collect();
    let members = head
        .field(asked.member, asked.words)
        .json("summary", &summary(outcome))
        .maybe("comparison", comparison(outcome))
        .when(!groups.is_empty(), |answer| {
            answer.json("groups", &array(&groups))
        });
    let members = match rest {
        Some(rest) => members.field("notes", &[REST]).json("rest", rest),
        None => members,
    };
    members
        .json("results", &array(&results))
        .field("hash", &outcome.hash.to_string())
}

/// From so many hosts on, hosts that are alike are shown together, and entries are short.
pub(crate) const FEW: usize = 4;

const REST: &str = "Too many hosts for one answer: rest names the others by how they ended. Fewer hosts show more.";

/// One entry.
fn entry(head: Object, end: &End<'_>, short: bool) -> Object {
    match end {
        End::Ran(ran, output) => ran_entry(head, ran, output, short),
        End::Unreached(facts, why) => unreached_members(head, facts, *why).field("exit_code", &-1),
        End::Denied(denial) => head
            .field("denied", &true)
            .field("reason", "policy")
            .field("code", denial.code().as_str())
            .field("why", denial.why())
            .maybe("denied_command", denial.denied_command())
            .field("hint", denial.hint()),
        End::Network(cause) => head
            .field("denied", &true)
            .field("reason", &format!("network: {cause}"))
            .field("detail", cause)
            .field("hint", network_hint(cause)),
        End::NotRun(why) => head
            .field("not_run", &true)
            .field("exit_code", &-1)
            .field("why", why),
    }
}

/// For a model. What a host printed in more than one line is indented: nothing of it can
/// pass for the entry of another host.
fn in_words(
    asked: &Asked<'_>,
    outcome: &TagOutcome,
    parts: &[Part<'_>],
    rest: Option<&Json>,
) -> String {
    let compared = comparison(outcome).map(|compared| format!("; {compared}"));
    let mut lines = vec![format!(
        "{}: {}{}",
        asked.words,
        counts(outcome),
        compared.unwrap_or_default()
    )];
    let groups = parts.iter().filter(|part| part.is_group());
    let alone = parts.iter().filter(|part| !part.is_group());
    for part in groups.chain(alone) {
        let names = part.names.join(", ");
        let names = match part.is_group() {
            true => format!("{names} ({} hosts)", part.places.len()),
            false => names,
        };
        match &part.end {
            End::Ran(ran, output) => lines.push(ran_in_words(&names, ran, output)),
            End::Unreached(facts, why) => lines.push(format!(
                "{names}: not reached ({}): {}. {}",
                why.code,
                why_unreached(facts),
                why.hint
            )),
            End::Denied(denial) => lines.push(format!(
                "{names}: denied ({}): {} {}",
                denial.code().as_str(),
                denial.why(),
                denial.hint()
            )),
            End::Network(cause) => {
                let hint = network_hint(cause);
                lines.push(format!("{names}: denied (network): {cause}. {hint}"));
            }
            End::NotRun(why) => lines.push(format!("{names}: not run: {why}")),
        }
    }
    if let Some(rest) = rest {
        lines.push(format!("{REST}\nrest: {rest}"));
    }
    lines.join("\n")
}
