//! Files of records as they are kept: plain, compressed, from a pipe, in a directory.
//!
//! Owns the opening of each exactly once, and which files of a directory are one chain:
//! those whose names agree up to `.jsonl`. Reads no more than a first line; judges nothing.
//! Called by the subcommands that read the record back.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use crate::audit::chain::gunzip::Gunzip;
use crate::audit::chain::seal::{LINE_MAX, Sealed};

/// What the name of a file of records holds.
const SUFFIX: &str = ".jsonl";

/// One file, from its beginning.
pub(crate) struct Input<'r> {
    /// As the operator knows it.
    pub(crate) shown: String,
    pub(crate) reader: Box<dyn BufRead + 'r>,
    /// The number and the moment of its first record, if that is one.
    pub(crate) first: Option<(u64, f64)>,
}

/// The files of one chain, or those that were named together.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// What they have in common; nothing where files were named.
    pub(crate) name: Option<String>,
    pub(crate) files: Vec<PathBuf>,
}

impl<'r> Input<'r> {
    /// Opens a file; `-` is standard input.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        if path == Path::new("-") {
            return Self::of("standard input".to_owned(), Box::new(io::stdin()));
        }
        Self::of(path.display().to_string(), Box::new(File::open(path)?))
    }

    /// # Errors
    /// It cannot be read.
    pub(crate) fn of(shown: String, from: Box<dyn Read + 'r>) -> io::Result<Self> {
        let mut plain = BufReader::with_capacity(1 << 16, from);
        let reader: Box<dyn BufRead + 'r> = match plain.fill_buf()? {
            [0x1f, 0x8b, ..] => Box::new(BufReader::new(Gunzip::new(plain))),
            _ => Box::new(plain),
        };
        Self::started(shown, reader)
    }

    fn started(shown: String, mut reader: Box<dyn BufRead + 'r>) -> io::Result<Self> {
        let mut line = Vec::new();
        let most = u64::try_from(LINE_MAX).unwrap_or(u64::MAX);
        (&mut reader).take(most).read_until(b'\n', &mut line)?;
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let first = Sealed::parse(text).map(|sealed| (sealed.fields.seq, sealed.fields.ts));
        Ok(Self {
            shown,
            reader: Box::new(Cursor::new(line).chain(reader)),
            first,
        })
    }
}

/// What is named, as chains: a directory holds several, files that are named are one.
///
/// # Errors
/// A directory cannot be listed.
pub(crate) fn groups(paths: &[PathBuf]) -> io::Result<Vec<Group>> {
    let mut groups = Vec::new();
    let mut named = Vec::new();
    for path in paths {
        if path.is_dir() {
            groups.extend(in_directory(path)?);
        } else {
            named.push(path.clone());
        }
    }
    if !named.is_empty() {
        groups.push(Group {
            name: None,
            files: named,
        });
    }
    Ok(groups)
}

fn in_directory(path: &Path) -> io::Result<Vec<Group>> {
    let of_path =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let mut found: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for entry in std::fs::read_dir(path).map_err(of_path)? {
        let entry = entry.map_err(of_path)?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        // One in the making is no part of a chain yet.
        let Some(at) = name.find(SUFFIX).filter(|_| !name.ends_with(".next")) else {
            continue;
        };
        if entry.file_type().map_err(of_path)?.is_file() {
            let chain = name.get(..at + SUFFIX.len()).unwrap_or(&name);
            found
                .entry(chain.to_owned())
                .or_default()
                .push(entry.path());
        }
    }
    if found.is_empty() {
        let text = "there is no file of records (*.jsonl) in it";
        return Err(of_path(io::Error::other(text)));
    }
    let group = |(name, mut files): (String, Vec<PathBuf>)| {
        files.sort();
        Group {
            name: Some(name),
            files,
        }
    };
    Ok(found.into_iter().map(group).collect())
}
