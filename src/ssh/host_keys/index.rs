//! The lines of a `known_hosts` file, found by name without reading all of them again.
//!
//! Owns the file's bytes and, for the lines whose names are plain, an index of eight bytes a
//! name. Lines whose names are patterns or hashed, and those that revoke, can be anybody's:
//! they are tried one by one for a name that is asked for the first time, and what was found
//! is remembered. A line is read anew whenever it is used, so that one meaning of a line is
//! all there is ([`crate::ssh::host_keys::line`]). Called by [`crate::ssh::host_keys`].

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError};

use crate::ssh::host_keys::line::{self, Entry};

/// Names whose lines are remembered, at most; then the memory begins anew.
const REMEMBERED: usize = 4096;

#[derive(Debug, Default)]
pub(crate) struct LineIndex {
    bytes: Vec<u8>,
    hasher: RandomState,
    /// Hash of a name and where its line begins, sorted.
    by_name: Vec<(u32, u32)>,
    /// Where the lines begin that have to be tried for every name.
    others: Vec<usize>,
    found: Mutex<HashMap<String, Arc<[usize]>>>,
}

impl LineIndex {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        let mut index = Self::default();
        let mut start = 0;
        for text in bytes.split(|&byte| byte == b'\n') {
            index.take_in(text, start);
            start = start.saturating_add(text.len()).saturating_add(1);
        }
        index.by_name.sort_unstable();
        index.by_name.shrink_to_fit();
        index.others.shrink_to_fit();
        index.bytes = bytes;
        index
    }

    /// Bytes that the file and its index take.
    #[cfg(test)]
    pub(crate) fn size(&self) -> usize {
        let named = self.by_name.capacity() * size_of::<(u32, u32)>();
        self.bytes.capacity() + named + self.others.capacity() * size_of::<usize>()
    }

    fn take_in(&mut self, text: &[u8], start: usize) {
        let Some(entry) = line::parse(&readable(text), start) else {
            return;
        };
        match (entry.plain_names(), u32::try_from(start)) {
            (Some(names), Ok(place)) => {
                for name in names {
                    self.by_name.push((self.hash(name), place));
                }
            }
            // Also a line beyond what eight bytes can say: slower, and not passed over.
            _ => self.others.push(start),
        }
    }

    /// The lines that are about this name, in the order of the file.
    pub(crate) fn entries(&self, name: &str) -> impl Iterator<Item = Entry> {
        let places = self.places(name);
        (0..places.len()).filter_map(move |at| self.entry(*places.get(at)?))
    }

    /// Whether a line that grants names this host in so many words. For a look at all hosts:
    /// nothing is remembered of it.
    pub(crate) fn has_plain(&self, name: &str) -> bool {
        self.named(name).any(|place| self.is_named(place, name))
    }

    /// The same of one line, which was read before: the names are its first field.
    fn is_named(&self, start: usize, name: &str) -> bool {
        let rest = self.bytes.get(start..).unwrap_or_default();
        let mut fields = rest.split(|byte| matches!(byte, b' ' | b'\t'));
        let names = fields.find(|field| !field.is_empty()).unwrap_or_default();
        let mut names = names.split(|byte| *byte == b',');
        names.any(|other| other.eq_ignore_ascii_case(name.as_bytes()))
    }

    /// Where the lines begin that have a name with this one's hash.
    fn named(&self, name: &str) -> impl Iterator<Item = usize> {
        let hash = self.hash(name);
        let first = self.by_name.partition_point(|(other, _)| *other < hash);
        let same = self.by_name.get(first..).unwrap_or_default();
        let same = same.iter().take_while(move |(other, _)| *other == hash);
        same.filter_map(|(_, place)| usize::try_from(*place).ok())
    }

    /// The number of the line that begins there, from 1.
    pub(crate) fn number(&self, start: usize) -> usize {
        let before = self.bytes.get(..start).unwrap_or_default();
        let breaks = before.iter().filter(|&&byte| byte == b'\n').count();
        breaks.saturating_add(1)
    }

    fn places(&self, name: &str) -> Arc<[usize]> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(places) = found.get(name) {
            return Arc::clone(places);
        }
        let mut places: Vec<usize> = self
            .named(name)
            .chain(self.others.iter().copied())
            .collect();
        places.sort_unstable();
        places.dedup();
        // Two names can have one hash, and the others may be anybody's.
        places.retain(|&place| self.entry(place).is_some_and(|e| e.names.matches(name)));
        let places: Arc<[usize]> = places.into();
        if found.len() >= REMEMBERED {
            found.clear();
        }
        found.insert(name.to_owned(), Arc::clone(&places));
        places
    }

    fn entry(&self, start: usize) -> Option<Entry> {
        let rest = self.bytes.get(start..)?;
        let end = rest.iter().position(|&byte| byte == b'\n');
        let text = rest.get(..end.unwrap_or(rest.len()))?;
        line::parse(&readable(text), start)
    }

    fn hash(&self, name: &str) -> u32 {
        // The lower half is as good as the whole: names are compared afterwards.
        u32::try_from(self.hasher.hash_one(name) & u64::from(u32::MAX)).unwrap_or_default()
    }
}

/// A comment in another encoding must not take its line out.
fn readable(line: &[u8]) -> Cow<'_, str> {
    // What is text as a whole is seen to be so many times faster than piece by piece.
    std::str::from_utf8(line).map_or_else(|_| String::from_utf8_lossy(line), Cow::Borrowed)
}
