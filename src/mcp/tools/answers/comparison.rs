//! How alike the hosts of a run are, in a few words: `39 equal, 1 differs: web7`.
//!
//! Owns what is compared (what hosts printed and how their commands ended, to the byte) and
//! when it is worth saying. Called by the answer of a run on many hosts.

use crate::mcp::tools::answers::ranges::ranges_within;
use crate::task::{HostResult, SharedOutput, TagOutcome};

/// Fewest hosts that are compared.
const FEWEST: usize = 3;
/// Most characters of the names of those that differ.
const NAMES: usize = 200;

/// Nothing where all are equal, no two are, or there are too few to compare.
pub(crate) fn comparison(outcome: &TagOutcome) -> Option<String> {
    let reached = |place: &&usize| match outcome.results.get(**place) {
        Some(HostResult::Ran(ran)) => ran.facts.unreached().is_none() && !ran.facts.is_denied(),
        _ => false,
    };
    let of = |output: &SharedOutput| -> Vec<usize> {
        output.places.iter().filter(reached).copied().collect()
    };
    let mut alike: Vec<Vec<usize>> = outcome.outputs.iter().map(of).collect();
    alike.retain(|places| !places.is_empty());
    let hosts: usize = alike.iter().map(Vec::len).sum();
    // Of equals, the one of the first host.
    let (at, most) = alike
        .iter()
        .enumerate()
        .rev()
        .max_by_key(|(_, places)| places.len())
        .map(|(at, places)| (at, places.len()))?;
    if hosts < FEWEST || most < 2 || most == hosts {
        return None;
    }
    alike.remove(at);
    let ways = match alike.len() {
        1 => String::new(),
        ways => format!(" in {ways} ways"),
    };
    let mut others = alike.concat();
    others.sort_unstable();
    let names: Vec<&str> = others
        .iter()
        .filter_map(|place| outcome.results.get(*place))
        .map(HostResult::alias)
        .collect();
    let verb = if others.len() == 1 {
        "differs"
    } else {
        "differ"
    };
    Some(format!(
        "{most} equal, {} {verb}{ways}: {}",
        others.len(),
        ranges_within(&names, NAMES).join(", ")
    ))
}
