//! The YAML form of an inventory: `hosts`, `children` and `vars` below each group.
//!
//! Owns the shape; the document is read by the configuration's own reader, with its bounds.
//! Called by `inventory`.

use crate::cli::commands::import::groups::{Inventory, Variables, ranges};
use crate::config::yaml::node::{self, RawFaultKind};
use crate::config::yaml::tree::{Node, Value};

/// # Errors
/// It is no YAML, or not of the shape of an inventory; with the line.
pub(crate) fn read(text: &str) -> Result<Inventory, String> {
    let document = node::parse(text.as_bytes()).map_err(|fault| {
        let problem = match fault.kind {
            RawFaultKind::Syntax(problem) => problem,
            RawFaultKind::DuplicateKey { key, .. } => format!("{key:?} a second time"),
            RawFaultKind::Merge => "<< takes a mapping".to_owned(),
        };
        format!("line {}: {problem}", fault.at.line)
    })?;
    let mut inventory = Inventory::default();
    for (name, group) in entries(&document.root)? {
        add(&mut inventory, name, group)?;
    }
    Ok(inventory)
}

fn add(inventory: &mut Inventory, name: &str, group: &Node<'_>) -> Result<(), String> {
    inventory.groups.entry(name.to_owned()).or_default();
    for (key, value) in entries(group)? {
        match key {
            "hosts" => {
                for (pattern, own) in entries(value)? {
                    let variables = variables(own)?;
                    let names = ranges(pattern).map_err(|problem| at(own, &problem))?;
                    for host in names {
                        inventory.host(name, &host, variables.clone());
                    }
                }
            }
            "children" => {
                for (child, below) in entries(value)? {
                    let group = inventory.groups.entry(name.to_owned()).or_default();
                    group.children.insert(child.to_owned());
                    add(inventory, child, below)?;
                }
            }
            "vars" => {
                let variables = variables(value)?;
                let group = inventory.groups.entry(name.to_owned()).or_default();
                group.variables.extend(variables);
            }
            other => {
                return Err(at(
                    value,
                    &format!("{other:?}: a group has hosts, children and vars"),
                ));
            }
        }
    }
    Ok(())
}

/// Scalars as they are written; what is a list or a mapping says nothing of a login.
fn variables(node: &Node<'_>) -> Result<Variables, String> {
    let pairs = entries(node)?.into_iter();
    Ok(pairs
        .filter_map(|(name, value)| match &value.value {
            Value::Scalar(scalar) => Some((name.to_owned(), scalar.text().to_owned())),
            _ => None,
        })
        .collect())
}

/// The entries of a mapping; none where nothing stands.
fn entries<'n>(node: &'n Node<'n>) -> Result<Vec<(&'n str, &'n Node<'n>)>, String> {
    match &node.value {
        Value::Map(entries) => Ok(entries
            .iter()
            .map(|entry| (&*entry.key, &*entry.value))
            .collect()),
        Value::Scalar(scalar) if matches!(scalar.text(), "" | "~" | "null") => Ok(Vec::new()),
        _ => Err(at(node, "a mapping belongs here")),
    }
}

fn at(node: &Node<'_>, problem: &str) -> String {
    format!("line {}: {problem}", node.at.line)
}
