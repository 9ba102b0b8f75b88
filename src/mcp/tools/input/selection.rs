//! Which hosts a call means: by a tag or group, an expression of them, their aliases, or all.
//!
//! Owns what a name in an expression stands for: a group of `servers.yml` or a tag; `all` is
//! every host, unless a tag has that name. A tag that no host has is an error that names
//! the nearest, a group without hosts one too, never an empty run. Called by `ssh_run_on_tag` and `ssh_list_hosts`.

use std::collections::BTreeSet;

use crate::config::Snapshot;
use crate::mcp::call::answer::Answer;
use crate::mcp::tools::answers::tag::Asked;
use crate::mcp::tools::input::arguments::{Args, fault};
use crate::mcp::tools::{nearest, unknown_host};
use crate::model::expression::Expression;
use crate::model::names::{HostAlias, Tag};

/// Most characters of the words in a task's id.
const LONGEST_NAME: usize = 64;
/// Most tags that an error lists.
const LISTED: usize = 50;
/// Stands for every host.
const ALL: &str = "all";

/// The hosts that a call means, in the order of the file.
pub(crate) struct Selection {
    pub(crate) aliases: Vec<HostAlias>,
    words: String,
    by_tag: bool,
}

impl Selection {
    /// # Errors
    /// Neither a tag nor aliases, or both; an expression that cannot be read; a tag or an
    /// alias that no host has.
    pub(crate) fn read(args: &Args<'_>, snapshot: &Snapshot) -> Result<Self, Answer> {
        args.only_one_of(&["tag", "aliases"])?;
        let aliases = args.texts("aliases")?;
        if aliases.is_empty() {
            let words = args.text("tag")?;
            return Ok(Self {
                aliases: by_expression(args, snapshot, words)?,
                words: words.to_owned(),
                by_tag: true,
            });
        }
        let mut wanted = BTreeSet::new();
        for alias in &aliases {
            let alias = args.accept(HostAlias::parse(alias))?;
            if snapshot.host(&alias).is_none() {
                return Err(unknown_host("Error", &alias, snapshot));
            }
            wanted.insert(alias);
        }
        let hosts = snapshot.hosts().iter();
        Ok(Self {
            aliases: hosts
                .map(|host| host.alias.clone())
                .filter(|alias| wanted.contains(alias))
                .collect(),
            words: match aliases.as_slice() {
                [one] => (*one).to_owned(),
                many => format!("{} aliases", many.len()),
            },
            by_tag: false,
        })
    }

    pub(crate) fn asked(&self) -> Asked<'_> {
        Asked {
            member: if self.by_tag { "tag" } else { "selection" },
            words: &self.words,
        }
    }

    pub(crate) fn words(&self) -> &str {
        &self.words
    }

    /// The words as a part of a task's id, which has fewer characters.
    pub(crate) fn name(&self) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let name = self.words.chars().map(|c| if plain(c) { c } else { '-' });
        name.take(LONGEST_NAME).collect()
    }
}

/// The hosts that an expression of tags and groups means.
///
/// # Errors
/// It cannot be read, or names a tag that no host has and that is no group.
pub(crate) fn by_expression(
    args: &Args<'_>,
    snapshot: &Snapshot,
    words: &str,
) -> Result<Vec<HostAlias>, Answer> {
    let hosts = snapshot.hosts();
    let expression = match words {
        // As for any name that is not there.
        "" => return Err(args.accept(Tag::parse(words)).err().unwrap_or_else(none)),
        words => Expression::parse(words).map_err(|error| fault(format!("tag: {error}")))?,
    };
    let mut of = |name: &str| {
        let tag = args.accept(Tag::parse(name))?;
        with_tag(snapshot, &tag)
    };
    let chosen = expression.choose(hosts.len(), &mut of)?;
    let chosen = chosen.iter().filter_map(|at| hosts.get(*at));
    Ok(chosen.map(|host| host.alias.clone()).collect())
}

fn none() -> Answer {
    fault("tag is required")
}

/// The places of the hosts with this tag, or in this group.
fn with_tag(snapshot: &Snapshot, tag: &Tag) -> Result<BTreeSet<usize>, Answer> {
    if let Some(group) = snapshot.groups().iter().find(|group| group.name == *tag) {
        return match group.places.is_empty() {
            true => Err(fault(format!("no host is in the group {tag}"))),
            false => Ok(group.places.clone()),
        };
    }
    let hosts = snapshot.hosts();
    let chosen: BTreeSet<usize> = hosts
        .iter()
        .enumerate()
        .filter(|(_, host)| host.tags.contains(tag))
        .map(|(at, _)| at)
        .collect();
    match chosen.is_empty() {
        true if tag.as_str() == ALL => Ok((0..hosts.len()).collect()),
        true => Err(unknown_tag(snapshot, tag)),
        false => Ok(chosen),
    }
}

fn unknown_tag(snapshot: &Snapshot, tag: &Tag) -> Answer {
    let hosts = snapshot.hosts().iter();
    let groups = snapshot.groups().iter().map(|group| group.name.as_str());
    let tags: BTreeSet<&str> = hosts
        .flat_map(|host| host.tags.iter().map(Tag::as_str))
        .chain(groups)
        .collect();
    let near = match nearest(tag.as_str(), tags.iter().copied()) {
        Some(near) => format!("nearest: {near}; "),
        None => String::new(),
    };
    let listed: Vec<&str> = tags.iter().copied().take(LISTED).collect();
    let more = match tags.len() - listed.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    fault(format!(
        "no host has the tag {tag} ({near}there are: {}{more})",
        listed.join(", ")
    ))
}
