//! Nodes → values of the types that the table of keys says, collecting every problem.
//!
//! A reader gives `None` both for a key that isn't there and for one that is wrong: a
//! wrong one has left a problem, and a load with a problem gives nothing at all, so
//! neither can be mistaken for the other. Called by `servers`, `credentials` and
//! `policy_file`.

use crate::config::schema::findings::Findings;
use crate::config::schema::keys::{Key, Kind, Need, Table};
use crate::config::schema::problem::{Fault, Mark, nearest, quote};
use crate::config::schema::section::{Path, Section, Text, found, list, plain};
use crate::config::yaml::scalar::{Meaning, decimal};
use crate::config::yaml::tree::{Entry, Node, Value};
use crate::model::room::Room;

/// Longest text of any key, in characters; the keys' own bounds are tighter.
const TEXT_MAX: usize = 10_000;

impl Findings {
    /// Opens the whole file, as [`Self::section`] does a mapping in it.
    pub(crate) fn document_section<'n>(
        &mut self,
        root: &'n Node<'n>,
        table: &'static Table,
    ) -> Option<Section<'n>> {
        self.section(root, table, Path::new(""))
    }

    /// Opens a mapping: reports another type, keys that aren't in the table, and
    /// required keys that aren't there.
    fn section<'n>(
        &mut self,
        node: &'n Node<'n>,
        table: &'static Table,
        path: Path,
    ) -> Option<Section<'n>> {
        let Value::Map(entries) = &node.value else {
            let accepted = format!("a mapping with {}", list(table));
            self.problem(
                node.at,
                path,
                Fault::WrongType,
                found(node, Kind::Section(table)),
                accepted,
            );
            return None;
        };
        let section = Section {
            entries,
            table,
            path,
            at: node.at,
        };
        for entry in entries {
            let extra = table.extra && entry.key.starts_with("x-");
            if !extra && table.key(&entry.key).is_none() {
                self.unknown(&section, entry);
            }
        }
        for key in table.keys {
            if let Need::Required(missing) = key.need
                && section.entry(key.name).is_none()
            {
                self.problem(
                    section.at,
                    section.key(key.name),
                    Fault::Missing,
                    format!("found {missing}"),
                    key.accepted(),
                );
            }
        }
        Some(section)
    }

    fn unknown(&mut self, section: &Section<'_>, entry: &Entry<'_>) {
        let extra = if section.table.extra {
            ", and keys that begin with x-"
        } else {
            ""
        };
        self.near(
            entry.key_at,
            section.path.clone(),
            Fault::UnknownKey,
            format!("found the unknown key {}", quote(&entry.key)),
            format!("{}{extra}", list(section.table)),
            || nearest(&entry.key, section.table.names()).map(str::to_owned),
        );
    }

    /// A value of the wrong type.
    fn wrong(&mut self, section: &Section<'_>, key: &Key, node: &Node<'_>) {
        let found = found(node, key.kind);
        self.problem(
            node.at,
            section.key(key.name),
            Fault::WrongType,
            found,
            key.accepted(),
        );
    }

    /// A text. Empty and absent are the same, as they were for the Python loader, except
    /// for a required key.
    pub(crate) fn text<'n>(&mut self, section: &Section<'n>, name: &str) -> Option<Text<'n>> {
        let (key, node) = section.value(name)?;
        let required = matches!(key.need, Need::Required(_));
        let Value::Scalar(scalar) = &node.value else {
            self.wrong(section, key, node);
            return None;
        };
        let value = match scalar.meaning() {
            Meaning::Text(text) if !text.trim().is_empty() => text,
            Meaning::Text(_) | Meaning::Null if !required => return None,
            Meaning::Text(_) | Meaning::Null => {
                self.problem(
                    node.at,
                    section.key(name),
                    Fault::Missing,
                    match key.need {
                        Need::Required(missing) => format!("found {missing}"),
                        _ => "found nothing".to_owned(),
                    },
                    key.accepted(),
                );
                return None;
            }
            Meaning::Number(_) | Meaning::Boolean(_) => {
                self.wrong(section, key, node);
                return None;
            }
        };
        let text = Text { value, at: node.at };
        self.bounded(text, || section.key(name), key)
            .then_some(text)
    }

    /// No control characters, not longer than any key accepts.
    fn bounded(&mut self, text: Text<'_>, path: impl FnOnce() -> String, key: &Key) -> bool {
        if matches!(key.kind, Kind::Guarded) {
            return true;
        }
        let secret = matches!(key.kind, Kind::SecretText);
        let found = if text.value.len() > TEXT_MAX && text.value.chars().nth(TEXT_MAX).is_some() {
            format!("found a text of more than {TEXT_MAX} characters")
        } else if let Some(control) = text.value.chars().find(|c| c.is_control()) {
            if secret {
                "found a control character".to_owned()
            } else {
                format!("found the control character U+{:04X}", u32::from(control))
            }
        } else {
            return true;
        };
        self.problem(text.at, path(), Fault::BadValue, found, key.accepted());
        false
    }

    /// A whole number within the key's bounds. A number in quotes is accepted, as the
    /// Python loader did for ports.
    pub(crate) fn number(&mut self, section: &Section<'_>, name: &str) -> Option<u64> {
        let (key, node) = section.value(name)?;
        let Kind::Number { min, max } = key.kind else {
            return None;
        };
        self.number_of(section, key, node, min, max)
    }

    fn number_of(
        &mut self,
        section: &Section<'_>,
        key: &Key,
        node: &Node<'_>,
        min: u64,
        max: u64,
    ) -> Option<u64> {
        let digits = match &node.value {
            Value::Scalar(scalar) => match scalar.meaning() {
                Meaning::Number(digits) | Meaning::Text(digits) => digits,
                Meaning::Null | Meaning::Boolean(_) => {
                    self.wrong(section, key, node);
                    return None;
                }
            },
            Value::List(_) | Value::Map(_) => {
                self.wrong(section, key, node);
                return None;
            }
        };
        match decimal(digits) {
            Some(number) if (min..=max).contains(&number) => Some(number),
            Some(_) => {
                self.problem(
                    node.at,
                    section.key(key.name),
                    Fault::BadValue,
                    found(node, key.kind),
                    key.accepted(),
                );
                None
            }
            None => {
                self.wrong(section, key, node);
                None
            }
        }
    }

    /// Bytes, or percent of a disk.
    pub(crate) fn room(&mut self, section: &Section<'_>, name: &str) -> Option<Room> {
        let (key, node) = section.value(name)?;
        let text = match &node.value {
            Value::Scalar(scalar) => match scalar.meaning() {
                Meaning::Number(_) | Meaning::Text(_) => scalar.text(),
                Meaning::Null | Meaning::Boolean(_) => {
                    self.wrong(section, key, node);
                    return None;
                }
            },
            Value::List(_) | Value::Map(_) => {
                self.wrong(section, key, node);
                return None;
            }
        };
        let room = match decimal(text) {
            Some(bytes) => Some(Room::Bytes(bytes)),
            None => Room::percent(text),
        };
        if room.is_none() {
            self.problem(
                node.at,
                section.key(name),
                Fault::BadValue,
                found(node, key.kind),
                key.accepted(),
            );
        }
        room
    }

    pub(crate) fn numbers(&mut self, section: &Section<'_>, name: &str) -> Option<Vec<u64>> {
        let (key, node) = section.value(name)?;
        let Kind::Numbers { min, max } = key.kind else {
            return None;
        };
        let Value::List(items) = &node.value else {
            self.wrong(section, key, node);
            return None;
        };
        items
            .iter()
            .map(|item| self.number_of(section, key, item, min, max))
            .collect()
    }

    pub(crate) fn boolean(&mut self, section: &Section<'_>, name: &str) -> Option<(bool, Mark)> {
        let (key, node) = section.value(name)?;
        if let Value::Scalar(scalar) = &node.value
            && let Meaning::Boolean(value) = scalar.meaning()
        {
            return Some((value, node.at));
        }
        self.wrong(section, key, node);
        None
    }

    /// As [`Self::boolean`], for a key that not every table of its kind has.
    pub(crate) fn boolean_if_known(
        &mut self,
        section: &Section<'_>,
        name: &str,
    ) -> Option<(bool, Mark)> {
        section.table.key(name)?;
        self.boolean(section, name)
    }

    /// One of the key's words. A boolean's word counts as the word it was written as,
    /// since YAML 1.1 has more of those than people expect.
    pub(crate) fn one_of(&mut self, section: &Section<'_>, name: &str) -> Option<&'static str> {
        let (key, node) = section.value(name)?;
        let Kind::OneOf(words) = key.kind else {
            return None;
        };
        let Value::Scalar(scalar) = &node.value else {
            self.wrong(section, key, node);
            return None;
        };
        let found_word = words.iter().find(|word| **word == scalar.text()).copied();
        if found_word.is_none() {
            self.near(
                node.at,
                section.key(name),
                Fault::BadValue,
                found(node, key.kind),
                key.accepted(),
                || nearest(scalar.text(), words.iter().copied()).map(str::to_owned),
            );
        }
        found_word
    }

    /// A list of texts, none of them empty; with one that isn't a text, no list.
    pub(crate) fn texts<'n>(&mut self, section: &Section<'n>, name: &str) -> Option<Vec<Text<'n>>> {
        let (key, node) = section.value(name)?;
        let Value::List(items) = &node.value else {
            self.problem(
                node.at,
                section.key(name),
                Fault::WrongType,
                format!("{}, not a list", found(node, Kind::Boolean)),
                format!("a list: {}", key.accepted()),
            );
            return None;
        };
        let before = self.count();
        let mut texts = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let path = || format!("{}[{index}]", section.key(name));
            let meaning = match &item.value {
                Value::Scalar(scalar) => Some(scalar.meaning()),
                Value::List(_) | Value::Map(_) => None,
            };
            match meaning {
                Some(Meaning::Text(value)) if !value.trim().is_empty() => {
                    let text = Text { value, at: item.at };
                    if self.bounded(text, path, key) {
                        texts.push(text);
                    }
                }
                _ => self.problem(
                    item.at,
                    path(),
                    Fault::WrongType,
                    found(item, key.kind),
                    "a text; one that YAML takes for something else in quotes",
                ),
            }
        }
        (self.count() == before).then_some(texts)
    }

    /// The mapping under a key.
    pub(crate) fn subsection<'n>(
        &mut self,
        section: &Section<'n>,
        name: &str,
    ) -> Option<Section<'n>> {
        let (key, node) = section.value(name)?;
        match key.kind {
            Kind::Section(table) => self.section(node, table, Path::new(section.key(name))),
            _ => None,
        }
    }

    /// The list of mappings under a key.
    pub(crate) fn subsections<'n>(
        &mut self,
        section: &Section<'n>,
        name: &str,
    ) -> Option<Vec<Section<'n>>> {
        let (key, node) = section.value(name)?;
        let Kind::Sections(table) = key.kind else {
            return None;
        };
        let Value::List(items) = &node.value else {
            self.wrong(section, key, node);
            return None;
        };
        let list = Path::new(section.key(name));
        let sections = items.iter().enumerate();
        let sections =
            sections.filter_map(|(index, item)| self.section(item, table, list.item(index)));
        Some(sections.collect())
    }

    /// The mappings under names that the author chose.
    pub(crate) fn named<'n>(
        &mut self,
        section: &Section<'n>,
        name: &str,
    ) -> Option<Vec<(Text<'n>, Section<'n>)>> {
        let (key, node) = section.value(name)?;
        let Kind::Named(table) = key.kind else {
            return None;
        };
        let Value::Map(entries) = &node.value else {
            self.wrong(section, key, node);
            return None;
        };
        let sections = entries.iter().filter_map(|entry| {
            let path = format!("{}.{}", section.key(name), plain(&entry.key));
            let text = Text {
                value: &entry.key,
                at: entry.key_at,
            };
            Some((text, self.section(&entry.value, table, Path::new(path))?))
        });
        Some(sections.collect())
    }
}
