//! An inventory as it is written: hosts in groups, groups in groups, variables of both.
//!
//! Owns which groups a host is in, which variables hold for it, and the ranges of names.
//! Filled by `ini` and `yaml`, read by `inventory`.

use std::collections::{BTreeMap, BTreeSet};

use crate::cli::commands::import::fleet::HOSTS_MAX;

/// Variables, by name; of each the value as text.
pub(crate) type Variables = BTreeMap<String, String>;

/// An inventory as it is written.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    /// In order, each once, with its own variables.
    pub(crate) hosts: Vec<(String, Variables)>,
    pub(crate) groups: BTreeMap<String, Group>,
}

/// A group with what is directly in it.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) hosts: BTreeSet<String>,
    pub(crate) children: BTreeSet<String>,
    pub(crate) variables: Variables,
}

impl Inventory {
    /// Adds a host to a group, with more variables of its own.
    pub(crate) fn host(&mut self, group: &str, name: &str, variables: Variables) {
        let group = self.groups.entry(group.to_owned()).or_default();
        group.hosts.insert(name.to_owned());
        match self.hosts.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => known.extend(variables),
            None => self.hosts.push((name.to_owned(), variables)),
        }
    }

    /// The groups that a host is in, the nearest last: child after parent, `all` first.
    pub(crate) fn groups_of(&self, name: &str) -> Vec<&str> {
        let direct = self
            .groups
            .iter()
            .filter(|(_, group)| group.hosts.contains(name));
        let mut depth: BTreeMap<&str, usize> = BTreeMap::new();
        for (group, _) in direct {
            self.climb(group, 0, &mut depth);
        }
        let mut groups: Vec<(&str, usize)> = depth.into_iter().collect();
        groups.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        groups.into_iter().map(|(group, _)| group).collect()
    }

    /// Notes a group and its parents, each with its distance; a circle ends by itself.
    fn climb<'a>(&'a self, group: &'a str, distance: usize, depth: &mut BTreeMap<&'a str, usize>) {
        if depth.get(group).is_some_and(|known| *known >= distance) || distance > self.groups.len()
        {
            return;
        }
        depth.insert(group, distance);
        for (parent, _) in self
            .groups
            .iter()
            .filter(|(_, each)| each.children.contains(group))
        {
            self.climb(parent, distance + 1, depth);
        }
    }

    /// Those of `all`, of the groups from far to near, and its own.
    pub(crate) fn variables(&self, groups: &[&str], own: &Variables) -> Variables {
        let mut variables = Variables::new();
        let all = self.groups.get("all").into_iter();
        let of_groups = groups
            .iter()
            .filter(|group| **group != "all")
            .filter_map(|g| self.groups.get(*g));
        for group in all.chain(of_groups) {
            variables.extend(group.variables.clone());
        }
        variables.extend(own.clone());
        variables
    }
}

/// `web[01:50].example.com`, `db-[a:c]`: each name that it stands for; the text alone where
/// it holds no range.
pub(crate) fn ranges(pattern: &str) -> Result<Vec<String>, String> {
    let range = pattern.split_once('[').and_then(|(before, rest)| {
        let (inside, after) = rest.split_once(']')?;
        Some((before, inside, after))
    });
    let Some((before, inside, after)) = range.filter(|(_, inside, _)| inside.contains(':')) else {
        return Ok(vec![pattern.to_owned()]);
    };
    let wrong = || format!("{pattern:?} is no range such as [01:50], [a:f] or [0:10:2]");
    let parts: Vec<&str> = inside.split(':').collect();
    let (first, last, step) = match parts.as_slice() {
        [first, last] => (*first, *last, 1),
        [first, last, step] => (*first, *last, step.parse::<u32>().map_err(|_| wrong())?),
        _ => return Err(wrong()),
    };
    let step = usize::try_from(step).unwrap_or(0);
    if step == 0 {
        return Err(wrong());
    }
    let names: Vec<String> = match (first.parse::<u32>(), last.parse::<u32>()) {
        (Ok(from), Ok(to)) if from <= to => {
            let width = if first.starts_with('0') {
                first.len()
            } else {
                0
            };
            (from..=to)
                .step_by(step)
                .take(HOSTS_MAX)
                .map(|n| format!("{n:0width$}"))
                .collect()
        }
        _ => {
            let letter = |text: &str| {
                let mut letters = text.chars();
                letters
                    .next()
                    .filter(|c| c.is_ascii_alphabetic() && letters.next().is_none())
            };
            let (from, to) = letter(first).zip(letter(last)).ok_or_else(wrong)?;
            (from..=to).step_by(step).map(String::from).collect()
        }
    };
    let mut all = Vec::new();
    for name in names {
        all.extend(ranges(&format!("{before}{name}{after}"))?);
        if all.len() > HOSTS_MAX {
            return Err(format!(
                "{pattern:?} stands for more than {HOSTS_MAX} hosts"
            ));
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_counted_out() {
        assert_eq!(
            ranges("web[08:10].x").unwrap(),
            ["web08.x", "web09.x", "web10.x"]
        );
        assert_eq!(ranges("[a:c]-[1:5:4]").unwrap().len(), 6);
        assert_eq!(ranges("fe80::1").unwrap(), ["fe80::1"]);
        for wrong in ["a[1:2:0]", "a[2:1]", "a[1:x]", "[0:9][0:9][0:9][0:9][0:9]"] {
            assert!(ranges(wrong).is_err(), "{wrong}");
        }
    }
}
