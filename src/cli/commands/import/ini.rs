//! The INI form of an inventory: sections, hosts with variables, `:children`, `:vars`.
//!
//! Owns the lines; what they mean together is `inventory`'s. Called by it.

use crate::cli::commands::import::fleet::HOSTS_MAX;
use crate::cli::commands::import::groups::{Inventory, Variables, ranges};

/// What the lines below a heading are.
enum Section {
    Hosts(String),
    Children(String),
    Variables(String),
}

/// # Errors
/// A line that is none of an inventory, with its number.
pub(crate) fn read(text: &str) -> Result<Inventory, String> {
    let mut inventory = Inventory::default();
    let mut section = Section::Hosts("ungrouped".to_owned());
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        let at = |problem: &str| format!("line {}: {problem}", index + 1);
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(heading) = line.strip_prefix('[').and_then(|rest| rest.split_once(']'))
            && !heading.0.contains(|c: char| c.is_whitespace())
            && (heading.1.trim().is_empty() || heading.1.trim_start().starts_with('#'))
        {
            section = match heading.0.split_once(':') {
                None => Section::Hosts(heading.0.to_owned()),
                Some((group, "children")) => Section::Children(group.to_owned()),
                Some((group, "vars")) => Section::Variables(group.to_owned()),
                // `[web:vars]` and `[web:children]` are all there is; `[a:b]` alone is a range.
                Some(_) => {
                    return Err(at("a heading is [GROUP], [GROUP:children] or [GROUP:vars]"));
                }
            };
            if let Section::Hosts(group) = &section {
                inventory.groups.entry(group.clone()).or_default();
            }
            continue;
        }
        match &section {
            Section::Hosts(group) => {
                let words = words(line).map_err(|problem| at(&problem))?;
                let Some((pattern, rest)) = words.split_first() else {
                    continue;
                };
                let variables: Option<Variables> = rest
                    .iter()
                    .map(|word| word.split_once('='))
                    .map(|pair| pair.map(|(name, value)| (name.to_owned(), value.to_owned())))
                    .collect();
                let variables = variables.ok_or_else(|| {
                    at("behind a host stand NAME=VALUE; values with blanks in quotes")
                })?;
                for name in ranges(pattern).map_err(|problem| at(&problem))? {
                    inventory.host(group, &name, variables.clone());
                }
                if inventory.hosts.len() > HOSTS_MAX {
                    return Err(at(&format!("more than {HOSTS_MAX} hosts")));
                }
            }
            Section::Children(group) => {
                let child = line.split('#').next().unwrap_or_default().trim();
                let group = inventory.groups.entry(group.clone()).or_default();
                group.children.insert(child.to_owned());
            }
            Section::Variables(group) => {
                let (name, value) = line
                    .split_once('=')
                    .ok_or_else(|| at("variables are NAME=VALUE"))?;
                let value = value.trim();
                let value = match value.starts_with(['"', '\'']) {
                    true => value.trim_matches(['"', '\'']),
                    false => value.split(" #").next().unwrap_or(value).trim_end(),
                };
                let group = inventory.groups.entry(group.clone()).or_default();
                group
                    .variables
                    .insert(name.trim().to_owned(), value.to_owned());
            }
        }
    }
    Ok(inventory)
}

/// Words with quotes taken away, up to a comment.
fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed".to_owned());
    }
    words.extend(word);
    Ok(words)
}
