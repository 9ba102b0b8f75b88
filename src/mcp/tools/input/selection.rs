//! Which hosts a call means: by a tag, an expression of tags, their aliases, or all.
//!
//! Owns the grammar of expressions: tags with `and`, `or`, `not` and brackets; `all` is
//! every host, unless a tag has that name. A tag that no host has is an error that names
//! the nearest, never an empty run. Called by `ssh_run_on_tag` and `ssh_list_hosts`.

use std::collections::BTreeSet;
use std::iter::Peekable;

use crate::config::{Host, Snapshot};
use crate::mcp::call::answer::Answer;
use crate::mcp::tools::answers::tag::Asked;
use crate::mcp::tools::input::arguments::{Args, fault};
use crate::mcp::tools::{nearest, unknown_host};
use crate::model::names::{HostAlias, Tag};

/// Most characters and words of an expression.
const LONGEST: usize = 1_000;
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

/// The hosts that an expression of tags means.
///
/// # Errors
/// It cannot be read, or names a tag that no host has.
pub(crate) fn by_expression(
    args: &Args<'_>,
    snapshot: &Snapshot,
    words: &str,
) -> Result<Vec<HostAlias>, Answer> {
    let pieces = pieces(words);
    let hosts: Vec<&Host> = snapshot.hosts().iter().collect();
    if pieces.len() <= 1 {
        // A tag by itself, whatever it is called.
        let tag = args.accept(Tag::parse(words))?;
        return Ok(aliases(&hosts, &with_tag(snapshot, &hosts, &tag)?));
    }
    if words.len() > LONGEST || pieces.len() > LONGEST / 10 {
        return Err(fault("tag: the expression is too long"));
    }
    let mut reader = Reader {
        args,
        snapshot,
        hosts: &hosts,
        words: pieces.into_iter().peekable(),
    };
    let chosen = reader.either(0)?;
    match reader.words.next() {
        None => Ok(aliases(&hosts, &chosen)),
        Some(_) => Err(unreadable()),
    }
}

fn aliases(hosts: &[&Host], chosen: &BTreeSet<usize>) -> Vec<HostAlias> {
    let chosen = chosen.iter().filter_map(|at| hosts.get(*at));
    chosen.map(|host| host.alias.clone()).collect()
}

/// Words and brackets.
fn pieces(text: &str) -> Vec<String> {
    let spaced = text.replace('(', " ( ").replace(')', " ) ");
    spaced.split_whitespace().map(str::to_owned).collect()
}

fn unreadable() -> Answer {
    fault(
        "tag: cannot be read; write tags with and, or, not and brackets: web and not (canary or old)",
    )
}

/// The places of the hosts with this tag.
fn with_tag(snapshot: &Snapshot, hosts: &[&Host], tag: &Tag) -> Result<BTreeSet<usize>, Answer> {
    let chosen: BTreeSet<usize> = hosts
        .iter()
        .enumerate()
        .filter(|(_, host)| host.tags.contains(tag))
        .map(|(at, _)| at)
        .collect();
    if chosen.is_empty() && tag.as_str() == ALL {
        return Ok((0..hosts.len()).collect());
    }
    if chosen.is_empty() {
        return Err(unknown_tag(snapshot, tag));
    }
    Ok(chosen)
}

fn unknown_tag(snapshot: &Snapshot, tag: &Tag) -> Answer {
    let hosts = snapshot.hosts().iter();
    let tags: BTreeSet<&str> = hosts
        .flat_map(|host| host.tags.iter().map(Tag::as_str))
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

/// Reads an expression by descent: `or` binds least, `not` most.
struct Reader<'a, W: Iterator<Item = String>> {
    args: &'a Args<'a>,
    snapshot: &'a Snapshot,
    hosts: &'a [&'a Host],
    words: Peekable<W>,
}

/// Deepest brackets.
const DEEPEST: usize = 20;

impl<W: Iterator<Item = String>> Reader<'_, W> {
    fn either(&mut self, depth: usize) -> Result<BTreeSet<usize>, Answer> {
        let mut chosen = self.both(depth)?;
        while self.words.next_if(|word| word == "or").is_some() {
            chosen.append(&mut self.both(depth)?);
        }
        Ok(chosen)
    }

    fn both(&mut self, depth: usize) -> Result<BTreeSet<usize>, Answer> {
        let mut chosen = self.one(depth)?;
        while self.words.next_if(|word| word == "and").is_some() {
            let other = self.one(depth)?;
            chosen.retain(|at| other.contains(at));
        }
        Ok(chosen)
    }

    fn one(&mut self, depth: usize) -> Result<BTreeSet<usize>, Answer> {
        if depth > DEEPEST {
            return Err(unreadable());
        }
        match self.words.next().as_deref() {
            Some("not") => {
                let none = self.one(depth + 1)?;
                Ok((0..self.hosts.len())
                    .filter(|at| !none.contains(at))
                    .collect())
            }
            Some("(") => {
                let chosen = self.either(depth + 1)?;
                match self.words.next().as_deref() {
                    Some(")") => Ok(chosen),
                    _ => Err(unreadable()),
                }
            }
            Some(")" | "and" | "or") | None => Err(unreadable()),
            Some(word) => {
                let tag = self.args.accept(Tag::parse(word))?;
                with_tag(self.snapshot, self.hosts, &tag)
            }
        }
    }
}
