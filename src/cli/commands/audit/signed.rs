//! `audit verify --signed`: whether what was signed is still what the records are.
//!
//! Owns the reading of a statement with its signature, and what is said about each head in it.
//! A statement counts only where `ssh-keygen` takes its signature for one by a signer that the
//! operator named. What it proves: every record up to a head is as it was when it was signed.
//! What it does not: anything about what came after, or when it was signed. Called by `verify`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::audit::chain::heads::{Head, Heads};
use crate::audit::chain::seal::Digest;
use crate::audit::chain::verify::Reached;
use crate::cli::commands::audit::ssh_keygen;
use crate::model::text::visible;

/// Longest statement, in bytes: some 100,000 chains.
const MOST: u64 = 16 * 1_048_576;

/// What is asked of `--signed` and the options that go with it.
#[derive(Debug, PartialEq, Eq)]
pub struct Trusted {
    /// The statement; its signature is beside it.
    pub statement: PathBuf,
    /// In the form of ssh-keygen(1), ALLOWED SIGNERS.
    pub allowed: PathBuf,
    /// Who must have signed; nothing is whoever is allowed to.
    pub signer: Option<String>,
}

/// A statement whose signature is good.
#[derive(Debug)]
pub(crate) struct Signed {
    pub(crate) heads: Heads,
    /// What `ssh-keygen` says of the signature.
    said: String,
    shown: String,
}

impl Signed {
    /// # Errors
    /// It cannot be read, is no statement, or is not signed by one who may; in words.
    pub(crate) fn open(trusted: &Trusted) -> Result<Self, String> {
        let shown = trusted.statement.display().to_string();
        let of_it = |why: String| format!("{shown}: {why}");
        let text = read(&trusted.statement).map_err(|error| of_it(error.to_string()))?;
        let signature = ssh_keygen::file_of(&trusted.statement);
        File::open(&signature).map_err(|error| format!("{}: {error}", signature.display()))?;
        File::open(&trusted.allowed)
            .map_err(|error| format!("{}: {error}", trusted.allowed.display()))?;
        let said = good(trusted, &signature, &text)
            .map_err(|why| of_it(format!("its signature does not count: {why}")))?;
        // Nothing of it is read before somebody stands for it.
        let heads = Heads::parse(&text).map_err(of_it)?;
        Ok(Self { heads, said, shown })
    }

    /// Says of each head whether it is there. Says how many are not.
    ///
    /// # Errors
    /// The report cannot be written.
    pub(crate) fn compare(
        &self,
        found: &BTreeMap<Digest, Reached>,
        out: &mut dyn Write,
    ) -> io::Result<u64> {
        let (shown, said) = (visible(&self.shown), &self.said);
        writeln!(out, "{shown}, of {}: {said}", self.heads.time.iso())?;
        let mut missing = 0;
        for Head { seq, seal, name } in &self.heads.heads {
            match found.get(seal) {
                Some(reached) if reached.whole && reached.seq == *seq => writeln!(
                    out,
                    "signed: {name}: nothing up to record {seq} was changed or removed; {} came \
                     after it",
                    reached.after
                )?,
                Some(_) => {
                    missing += 1;
                    writeln!(
                        out,
                        "BROKEN: {name}: the signed head of record {seq} is there, but what is \
                         before it is not whole"
                    )?;
                }
                None => {
                    missing += 1;
                    writeln!(
                        out,
                        "BROKEN: {name}: no record has the signed head of record {seq}, {seal}: \
                         what was written up to it was cut off, removed or written anew"
                    )?;
                }
            }
        }
        Ok(missing)
    }
}

/// What `ssh-keygen` says of a good signature.
fn good(trusted: &Trusted, signature: &Path, text: &[u8]) -> Result<String, String> {
    let allowed = &trusted.allowed;
    let signers = match &trusted.signer {
        Some(signer) => vec![signer.clone()],
        None => ssh_keygen::principals(signature, allowed)?,
    };
    let mut why = "nobody may sign".to_owned();
    for signer in signers {
        match ssh_keygen::verify(text, signature, allowed, &signer) {
            Ok(said) => return Ok(said),
            Err(error) => why = error,
        }
    }
    Err(why)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let count = File::open(path)?.take(MOST + 1).read_to_end(&mut text)?;
    match count as u64 > MOST {
        true => Err(io::Error::other("it is longer than any statement")),
        false => Ok(text),
    }
}
