//! Which file uses which: from `use` lines and from paths in the code, `super::` and
//! `self::` included, and the circles that come of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::sources::Source;

/// For each module (`policy::syntax::lexer`), those it uses.
pub(crate) type Edges = BTreeMap<String, BTreeSet<String>>;

pub(crate) fn edges(sources: &[Source]) -> Edges {
    let modules: BTreeSet<String> = sources.iter().map(Source::module).collect();
    let mut edges = Edges::new();
    for source in sources {
        let module = source.module();
        let used = paths(&source.code)
            .iter()
            .filter_map(|path| resolve(&modules, &module, path))
            .filter(|used| *used != module)
            .collect();
        edges.insert(module, used);
    }
    edges
}

/// The same without the edges between a room's `mod.rs` and what is in the room: it
/// declares its files, and re-exports for its callers what they hold.
pub(crate) fn without_parents(edges: &Edges) -> Edges {
    let above = |one: &str, other: &str| other.starts_with(&format!("{one}::"));
    edges
        .iter()
        .map(|(module, used)| {
            let used = used
                .iter()
                .filter(|used| !above(module, used) && !above(used, module));
            (module.clone(), used.cloned().collect())
        })
        .collect()
}

/// Groups of modules each of which leads to all others of its group.
pub(crate) fn circles(edges: &Edges) -> Vec<BTreeSet<String>> {
    let reached: BTreeMap<&String, BTreeSet<&String>> = edges
        .keys()
        .map(|module| (module, reach(edges, module)))
        .collect();
    let mut found = Vec::new();
    for (module, reachable) in &reached {
        let circle: BTreeSet<String> = reachable
            .iter()
            .filter(|other| {
                reached
                    .get(*other)
                    .is_some_and(|back| back.contains(module))
            })
            .map(|other| (*other).clone())
            .collect();
        if circle.contains(*module) && !found.contains(&circle) {
            found.push(circle);
        }
    }
    found
}

fn reach<'e>(edges: &'e Edges, from: &String) -> BTreeSet<&'e String> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&String> = edges.get(from).into_iter().flatten().collect();
    while let Some(module) = next.pop() {
        if reached.insert(module) {
            next.extend(edges.get(module).into_iter().flatten());
        }
    }
    reached
}

/// Every path that may lead to a module of this crate; groups are spelled out.
fn paths(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut body = String::new();
    let mut rest = code;
    while let Some((before, used)) = split_at_use(rest) {
        body.push_str(before);
        let end = used.find(';').unwrap_or(used.len());
        spell_out("", &used[..end], &mut found);
        rest = &used[end..];
    }
    body.push_str(rest);
    let path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    for word in body.split(|c| !path(c)) {
        if ["crate::", "super::", "self::"]
            .iter()
            .any(|start| word.starts_with(start))
        {
            found.push(word.to_owned());
        }
    }
    found
}

/// The code up to the next `use` and what stands behind it.
fn split_at_use(code: &str) -> Option<(&str, &str)> {
    let name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices("use ")
        .find(|(at, _)| !code[..*at].chars().next_back().is_some_and(name))
        .map(|(at, word)| (&code[..at], &code[at + word.len()..]))
}

/// `a::{b, c::{d, e}}` as `a::b`, `a::c::d`, `a::c::e`.
fn spell_out(prefix: &str, text: &str, into: &mut Vec<String>) {
    let text = text.trim();
    let Some((before, group)) = text.split_once('{') else {
        let path = text.split(" as ").next().unwrap_or("").trim();
        into.push(format!("{prefix}{path}"));
        return;
    };
    let prefix = format!("{prefix}{}", before.trim());
    let group = group.trim_end().trim_end_matches('}');
    let (mut depth, mut start) = (0, 0);
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                spell_out(&prefix, &group[start..at], into);
                start = at + 1;
            }
            _ => {}
        }
    }
    let closing = "}".repeat(usize::try_from(depth.max(0)).unwrap_or(0));
    let last = format!("{}{closing}", &group[start..]);
    if !last.trim().is_empty() {
        spell_out(&prefix, &last, into);
    }
}

/// The module that a path leads into: the longest one that it begins with.
fn resolve(modules: &BTreeSet<String>, from: &str, path: &str) -> Option<String> {
    let mut at: Vec<&str> = from.split("::").filter(|part| *part != "lib").collect();
    let mut parts = path.split("::").filter(|part| !part.is_empty()).peekable();
    match *parts.peek()? {
        "crate" => {
            at.clear();
            parts.next();
        }
        "self" => {
            parts.next();
        }
        "super" => {
            while parts.next_if_eq(&"super").is_some() {
                at.pop();
            }
        }
        first => {
            // A path without a beginning may name a child.
            let child = [at.as_slice(), &[first]].concat().join("::");
            if !modules.contains(&child) {
                return None;
            }
        }
    }
    at.extend(parts);
    (1..=at.len())
        .rev()
        .map(|length| at[..length].join("::"))
        .find(|module| modules.contains(module))
}
