//! YAML text → a tree of nodes that know their place; the only user of the YAML parser.
//!
//! Owns the bounds of what is read at all: UTF-8, one document, at most [`DEPTH_MAX`]
//! levels and [`NODES_MAX`] nodes (an alias counts as everything it stands for, and a long
//! text as several nodes, so that a few lines can't stand for more than memory holds), no
//! tags but `!!str`. Knows nothing of the files' keys. A text that stands in the file as it
//! is read is the file's own, and no copy. What is one is wiped when dropped; the parser's own
//! buffers aren't, which is one more reason for a password not to stand in a file. Called by
//! `load` for the three files, and by the fuzz targets.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};

use crate::config::schema::problem::{Mark, quote};
use crate::config::yaml::input::FileText;
use crate::config::yaml::scalar::Scalar;
use crate::config::yaml::tree::{Entry, Held, Node, TEXT_PER_NODE, Value, text_weight};

/// Deepest nesting that is read. The files need seven levels.
pub(crate) const DEPTH_MAX: usize = 64;
/// Most nodes of one file, aliases counted as what they stand for.
pub(crate) const NODES_MAX: usize = 1_000_000;
/// Keys of a mapping that are compared with one another instead of looked up.
const FEW: usize = 16;

/// The tree, and what is wrong with it without making it unreadable.
#[derive(Debug)]
pub struct Document<'t> {
    pub root: Held<'t>,
    pub faults: Vec<RawFault>,
}

/// A place and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawFault {
    pub at: Mark,
    pub kind: RawFaultKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RawFaultKind {
    /// The file can't be read as YAML; in words.
    Syntax(String),
    /// The same key a second time in one mapping.
    DuplicateKey { key: String, first: Mark },
    /// `<<` with something else than a mapping or a list of them.
    Merge,
}

/// Reads one YAML document. An empty file is a document that holds nothing (null).
///
/// # Errors
/// The first place where the text can't be read, or where a bound is passed.
pub fn parse(bytes: &[u8]) -> Result<Document<'_>, RawFault> {
    let file = std::str::from_utf8(bytes).map_err(|error| not_utf8(bytes, error.valid_up_to()))?;
    let source = Source::new(file);
    let mut parser = Parser::new(FileText::new(file));
    let mut builder = Builder::default();
    let mut documents = 0;
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| scan_fault(&error))?;
        let at = mark(&span.start);
        match event {
            Event::DocumentStart(_) => {
                documents += 1;
                if documents > 1 {
                    return Err(syntax(at, "a second document ('---'); one a file is read"));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                check_tag(tag.as_deref(), at)?;
                let text = source.own(text, span.start.index(), style);
                if anchor == 0 && builder.awaits_key() {
                    builder.key(text, at, plain)?;
                    continue;
                }
                builder.add(Node::scalar(Scalar::new(text, plain), at), anchor)?;
            }
            Event::SequenceStart(anchor, tag) => {
                check_tag(tag.as_deref(), at)?;
                builder.open(Open::List(Vec::new()), at, anchor)?;
            }
            Event::MappingStart(anchor, tag) => {
                check_tag(tag.as_deref(), at)?;
                builder.open(Open::Map(OpenMap::default()), at, anchor)?;
            }
            Event::SequenceEnd | Event::MappingEnd => builder.close()?,
            Event::Alias(anchor) => builder.alias(anchor, at)?,
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
    }
    let nothing = Scalar::new(Cow::Borrowed(""), true);
    let root = builder
        .root
        .unwrap_or_else(|| Held::Own(Node::scalar(nothing, Mark { line: 1, column: 1 })));
    Ok(Document {
        root,
        faults: builder.faults,
    })
}

/// The file's text, for what stands in it as it is read.
struct Source<'t> {
    text: &'t str,
    /// Only then a place in characters, which is what the parser tells, is one in bytes.
    ascii: bool,
}

impl<'t> Source<'t> {
    fn new(text: &'t str) -> Self {
        let ascii = text.is_ascii();
        Self { text, ascii }
    }

    /// The text of a scalar that begins at a character, the file's own if it is there.
    fn own(&self, text: Cow<'t, str>, start: usize, style: ScalarStyle) -> Cow<'t, str> {
        let quotes = match style {
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => 1,
            _ => 0,
        };
        let place = start.saturating_add(quotes);
        let place = place..place.saturating_add(text.len());
        match self.text.get(place) {
            Some(same) if self.ascii && *same == *text => Cow::Borrowed(same),
            _ => text,
        }
    }
}

/// The tree as far as it has been read.
#[derive(Default)]
struct Builder<'t> {
    stack: Vec<(Open<'t>, Mark, usize)>,
    anchors: HashMap<usize, Arc<Node<'t>>>,
    nodes: usize,
    root: Option<Held<'t>>,
    faults: Vec<RawFault>,
}

enum Open<'t> {
    List(Vec<Held<'t>>),
    Map(OpenMap<'t>),
}

#[derive(Default)]
struct OpenMap<'t> {
    entries: Vec<Entry<'t>>,
    /// A key that waits for its value: text, place, and whether it was written plain.
    key: Option<(Cow<'t, str>, Mark, bool)>,
    merges: Vec<Held<'t>>,
}

impl<'t> Builder<'t> {
    fn open(&mut self, open: Open<'t>, at: Mark, anchor: usize) -> Result<(), RawFault> {
        if self.stack.len() >= DEPTH_MAX {
            return Err(syntax(at, format!("nested deeper than {DEPTH_MAX} levels")));
        }
        self.stack.push((open, at, anchor));
        Ok(())
    }

    fn close(&mut self) -> Result<(), RawFault> {
        let Some((open, at, anchor)) = self.stack.pop() else {
            return Ok(());
        };
        let value = match open {
            Open::List(items) => Value::List(items),
            Open::Map(map) => Value::Map(self.finish_map(map)),
        };
        let weight = 1 + match &value {
            Value::Scalar(_) => 0,
            Value::List(items) => items.iter().map(|item| item.weight).sum(),
            Value::Map(entries) => entries
                .iter()
                .map(|entry| text_weight(&entry.key) + entry.value.weight)
                .sum(),
        };
        self.add(Node { at, value, weight }, anchor)
    }

    fn awaits_key(&self) -> bool {
        let open = self.stack.last();
        matches!(open, Some((Open::Map(map), ..)) if map.key.is_none())
    }

    /// Takes a key in that nothing else stands for: it needs no node.
    fn key(&mut self, text: Cow<'t, str>, at: Mark, plain: bool) -> Result<(), RawFault> {
        self.count(text_weight(&text), at)?;
        if let Some((Open::Map(map), ..)) = self.stack.last_mut() {
            map.key = Some((text, at, plain));
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, at: Mark) -> Result<(), RawFault> {
        // An anchor whose node is still open is not in the map yet: it would hold itself.
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            return Err(syntax(at, "an alias of something that contains it"));
        };
        self.count(node.weight, at)?;
        self.place(Held::Shared(node), at, true)
    }

    fn add(&mut self, node: Node<'t>, anchor: usize) -> Result<(), RawFault> {
        let at = node.at;
        // What is in a collection has been counted one by one.
        let (own, plain) = match &node.value {
            Value::Scalar(scalar) => (node.weight, scalar.is_plain()),
            Value::List(_) | Value::Map(_) => (1, false),
        };
        self.count(own, at)?;
        let node = if anchor == 0 {
            Held::Own(node)
        } else {
            let node = Arc::new(node);
            self.anchors.insert(anchor, Arc::clone(&node));
            Held::Shared(node)
        };
        self.place(node, at, plain)
    }

    fn count(&mut self, weight: usize, at: Mark) -> Result<(), RawFault> {
        self.nodes = self.nodes.saturating_add(weight);
        if self.nodes > NODES_MAX {
            return Err(syntax(
                at,
                format!(
                    "stands for more than {NODES_MAX} values, aliases counted in full and a \
                     text as one for each {TEXT_PER_NODE} bytes"
                ),
            ));
        }
        Ok(())
    }

    /// Puts a finished node where the open collection expects it.
    fn place(&mut self, node: Held<'t>, at: Mark, plain: bool) -> Result<(), RawFault> {
        match self.stack.last_mut() {
            None => self.root = Some(node),
            Some((Open::List(items), ..)) => items.push(node),
            Some((Open::Map(map), ..)) => match map.key.take() {
                None => {
                    let Value::Scalar(scalar) = &node.value else {
                        return Err(syntax(at, "a key that is a list or a mapping"));
                    };
                    map.key = Some((Cow::Owned(scalar.text().to_owned()), at, plain));
                }
                Some((key, _, true)) if key == "<<" => map.merges.push(node),
                Some((key, key_at, _)) => map.entries.push(Entry {
                    key,
                    key_at,
                    value: node,
                }),
            },
        }
        Ok(())
    }

    /// Reports keys that are there twice, and adds what `<<` brings: an explicit key
    /// wins over a merged one, an earlier merge over a later.
    fn finish_map(&mut self, map: OpenMap<'t>) -> Vec<Entry<'t>> {
        let OpenMap {
            mut entries,
            merges,
            ..
        } = map;
        // A host's few keys, ten thousand times: compared one by one they take no table.
        if merges.is_empty() && entries.len() <= FEW {
            for (at, entry) in entries.iter().enumerate() {
                let mut earlier = entries.iter().take(at);
                if let Some(first) = earlier.find(|earlier| earlier.key == entry.key) {
                    self.faults.push(duplicate(entry, first.key_at));
                }
            }
            return entries;
        }
        let mut seen: HashMap<Cow<'t, str>, Mark> = HashMap::with_capacity(entries.len());
        for entry in &entries {
            match seen.get(&entry.key) {
                Some(first) => self.faults.push(duplicate(entry, *first)),
                None => {
                    seen.insert(entry.key.clone(), entry.key_at);
                }
            }
        }
        for merge in merges {
            let sources = match &merge.value {
                Value::Map(_) => std::slice::from_ref(&merge),
                Value::List(list) => list,
                Value::Scalar(_) => &[],
            };
            if sources.is_empty() {
                self.faults.push(RawFault {
                    at: merge.at,
                    kind: RawFaultKind::Merge,
                });
            }
            for source in sources {
                let Value::Map(more) = &source.value else {
                    self.faults.push(RawFault {
                        at: source.at,
                        kind: RawFaultKind::Merge,
                    });
                    continue;
                };
                for entry in more {
                    if seen.contains_key(&entry.key) {
                        continue;
                    }
                    seen.insert(entry.key.clone(), entry.key_at);
                    // A copy of what was counted where the alias stands.
                    entries.push(entry.clone());
                }
            }
        }
        entries
    }
}

fn duplicate(entry: &Entry<'_>, first: Mark) -> RawFault {
    RawFault {
        at: entry.key_at,
        kind: RawFaultKind::DuplicateKey {
            key: entry.key.to_string(),
            first,
        },
    }
}

/// `!!str` keeps a scalar a text; any other tag asks for a type that isn't known here.
fn check_tag(tag: Option<&Tag>, at: Mark) -> Result<(), RawFault> {
    match tag {
        None => Ok(()),
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => Ok(()),
        Some(tag) => Err(syntax(
            at,
            format!(
                "the tag {}; none but !!str is read",
                quote(&tag.to_string())
            ),
        )),
    }
}

fn mark(marker: &Marker) -> Mark {
    Mark {
        line: marker.line(),
        column: marker.col() + 1,
    }
}

fn syntax(at: Mark, text: impl Into<String>) -> RawFault {
    RawFault {
        at,
        kind: RawFaultKind::Syntax(text.into()),
    }
}

fn scan_fault(error: &ScanError) -> RawFault {
    syntax(mark(error.marker()), error.info())
}

fn not_utf8(bytes: &[u8], valid: usize) -> RawFault {
    let before = bytes.get(..valid).unwrap_or_default();
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = before
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |newline| newline + 1);
    let column = String::from_utf8_lossy(before.get(start..).unwrap_or_default())
        .chars()
        .count()
        + 1;
    syntax(Mark { line, column }, "not UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bombs_are_refused_by_budget_and_not_by_memory() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 1..30 {
            let previous = format!("*a{}, ", i - 1).repeat(10);
            text.push_str(&format!("a{i}: &a{i} [{previous}]\n"));
        }
        let fault = parse(text.as_bytes()).unwrap_err();
        assert!(matches!(&fault.kind, RawFaultKind::Syntax(text) if text.contains("1000000")));

        // One long text: as a value, as a key, and as a key that is merged.
        let text = "x".repeat(10_000);
        for (kept, each) in [
            ("", "- *k\n"),
            ("", "- {? *k : 1}\n"),
            ("m: &m {? *k : 1}\n", "- {<<: *m}\n"),
        ] {
            let file = format!("k: &k {text}\n{kept}b:\n{}", each.repeat(10_000));
            let fault = parse(file.as_bytes()).unwrap_err();
            assert!(
                matches!(&fault.kind, RawFaultKind::Syntax(text) if text.contains("1000000")),
                "{each}"
            );
        }

        let deep = "[".repeat(200);
        let fault = parse(deep.as_bytes()).unwrap_err();
        assert!(matches!(&fault.kind, RawFaultKind::Syntax(text) if text.contains("deeper")));
        let deep = "- ".repeat(100_000);
        assert!(parse(deep.as_bytes()).is_err());

        assert!(parse(b"a: &a [*a]").is_err());
        assert!(parse(b"a: 1\n---\nb: 2\n").is_err());
        assert!(parse(b"a: !!python/object:os.system x\n").is_err());
        assert!(parse(b"a: !x b\n").is_err());
        assert!(parse(b"? [a]\n: b\n").is_err());
        assert!(parse(b"a: \xff\n").is_err());
    }

    #[test]
    fn merges_keep_explicit_keys() {
        let document =
            parse(b"base: &b {port: 1, tags: [a]}\nhost:\n  <<: *b\n  port: 2\n").unwrap();
        let Value::Map(top) = &document.root.value else {
            panic!("a mapping")
        };
        let Value::Map(host) = &top[1].value.value else {
            panic!("a mapping")
        };
        let keys: Vec<&str> = host.iter().map(|entry| &*entry.key).collect();
        assert_eq!(keys, ["port", "tags"]);
        assert!(matches!(&host[0].value.value, Value::Scalar(scalar) if scalar.text() == "2"));
    }

    #[test]
    fn keys_that_come_twice_are_faults_with_both_places() {
        let document = parse(b"a: 1\nb: 2\na: 3\n").unwrap();
        assert_eq!(
            document.faults,
            [RawFault {
                at: Mark { line: 3, column: 1 },
                kind: RawFaultKind::DuplicateKey {
                    key: "a".into(),
                    first: Mark { line: 1, column: 1 }
                },
            }]
        );
    }
}
