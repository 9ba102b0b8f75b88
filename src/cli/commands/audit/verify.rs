//! `audit verify [FILE|DIR]...`: whether chains of records are sound, in words.
//!
//! Owns the report and the exit code. Several files are one chain; a directory holds one for
//! each run of a server. Proves nothing itself: `audit` does. Called by `startup`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, Write};
use std::path::PathBuf;

use crate::audit::chain::inputs::{self, Group, Input};
use crate::audit::chain::seal::Digest;
use crate::audit::chain::verify::{Broken, Finding, Reached, Verified, verify as check};
use crate::cli::Outcome;
use crate::cli::commands::audit::progress::Progress;
use crate::cli::commands::audit::signed::{Signed, Trusted};
use crate::cli::commands::output;
use crate::model::text::visible;

/// Most breaks of a chain that are described one by one.
const DESCRIBED: u64 = 50;

pub(crate) fn run(paths: &[PathBuf], head: Option<&str>, signed: Option<&Trusted>) -> Outcome {
    output::print(|out| report(paths, head, signed, &Progress::of(paths), out))
}

/// Writes a report on the files. Says whether all is sound.
///
/// # Errors
/// The report can't be written, or a directory not be listed. A file that can't be read is
/// a finding, not an error.
pub fn verify(paths: &[PathBuf], head: Option<&str>, out: &mut dyn Write) -> io::Result<bool> {
    report(paths, head, None, &Progress::none(), out)
}

/// The same for one file that is open, or for bytes in memory.
///
/// # Errors
/// As [`verify`], and what reading gives.
pub fn verify_reader(
    reader: impl BufRead,
    head: Option<&str>,
    out: &mut dyn Write,
) -> io::Result<bool> {
    let Some(sought) = Sought::of(head, None, out)? else {
        return Ok(false);
    };
    let input = Input::of("input".to_owned(), Box::new(reader))?;
    let verified = chain(vec![input], Vec::new(), &sought.seals(), out)?;
    conclude(&verified, &sought, out)
}

/// What must be among the records.
struct Sought {
    head: Option<Digest>,
    signed: Option<Signed>,
}

impl Sought {
    /// Nothing where what was given cannot be looked for: that is said.
    fn of(
        head: Option<&str>,
        signed: Option<&Trusted>,
        out: &mut dyn Write,
    ) -> io::Result<Option<Self>> {
        let head = head.map(|head| {
            let digest = Digest::parse(head.trim().to_ascii_lowercase().as_bytes());
            digest.ok_or_else(|| "--head is not 64 hex digits".to_owned())
        });
        let read = head
            .transpose()
            .and_then(|head| Ok((head, signed.map(Signed::open).transpose()?)));
        match read {
            Ok((head, signed)) => Ok(Some(Self { head, signed })),
            Err(why) => {
                let line = format!("BROKEN: {why}");
                writeln!(out, "{}\nNOT SOUND: 1 breaks", visible(&line))?;
                Ok(None)
            }
        }
    }

    fn seals(&self) -> BTreeSet<Digest> {
        let signed = self.signed.iter().flat_map(|signed| &signed.heads.heads);
        let signed = signed.map(|head| head.seal);
        signed.chain(self.head).collect()
    }

    /// Says what became of what was looked for. Says how much of it is missing.
    fn compare(&self, found: &BTreeMap<Digest, Reached>, out: &mut dyn Write) -> io::Result<u64> {
        let mut missing = 0;
        match self.head.map(|head| (head, found.get(&head))) {
            Some((head, None)) => {
                missing += 1;
                writeln!(
                    out,
                    "BROKEN: no record has the head {head}: what was written up to it was cut \
                     off or written anew"
                )?;
            }
            Some((_, Some(Reached { seq, after, .. }))) => {
                writeln!(out, "the given head is record {seq}; {after} came after it")?;
            }
            None => {}
        }
        if let Some(signed) = &self.signed {
            missing += signed.compare(found, out)?;
        }
        Ok(missing)
    }
}

fn report(
    paths: &[PathBuf],
    head: Option<&str>,
    signed: Option<&Trusted>,
    progress: &Progress,
    out: &mut dyn Write,
) -> io::Result<bool> {
    let Some(sought) = Sought::of(head, signed, out)? else {
        return Ok(false);
    };
    let seals = sought.seals();
    let groups = match inputs::groups(paths) {
        Ok(groups) => groups,
        Err(error) => {
            let line = format!("BROKEN: {error}");
            writeln!(out, "{}\nNOT SOUND: 1 breaks", visible(&line))?;
            return Ok(false);
        }
    };
    if let [Group { name: None, files }] = groups.as_slice() {
        let verified = group(files, &seals, progress, out)?;
        return conclude(&verified, &sought, out);
    }
    let (mut sound, mut records, mut running) = (0_usize, 0_u64, 0_usize);
    let mut found: BTreeMap<Digest, Reached> = BTreeMap::new();
    for Group { name, files } in &groups {
        let verified = group(files, &seals, progress, out)?;
        let name = visible(name.as_deref().unwrap_or("the files named"));
        let word = match verified.breaks {
            0 => "sound",
            _ => "NOT SOUND",
        };
        let last = verified.last.as_ref();
        let head = last.map_or(String::new(), |(seq, head)| {
            format!(" up to {seq}, head {head}")
        });
        let open = if verified.closed { "" } else { "; not closed" };
        let unsigned = sought.signed.is_some() && verified.heads.is_empty();
        let unsigned = if unsigned { "; not signed" } else { "" };
        writeln!(
            out,
            "{name}: {word}, {} records{head}{open}{unsigned}",
            verified.records
        )?;
        sound += usize::from(verified.breaks == 0);
        running += usize::from(!verified.closed);
        records += verified.records;
        for (seal, reached) in verified.heads {
            // Of two copies of a chain, the better one counts.
            let known = found.entry(seal).or_insert(reached);
            if reached.whole && !known.whole {
                *known = reached;
            }
        }
    }
    if running > 0 {
        writeln!(
            out,
            "note: a chain that is not closed belongs to a server that runs, or that was killed"
        )?;
    }
    let missing = sought.compare(&found, out)?;
    let all = groups.len();
    writeln!(out, "{sound} of {all} chains are sound; {records} records")?;
    if missing > 0 {
        writeln!(
            out,
            "NOT SOUND: {missing} heads are not there, or not whole"
        )?;
    }
    Ok(sound == all && missing == 0)
}

/// The last record of a chain that is sound, and its seal; nothing where it is not, which is
/// said. That a server is just writing its last line is no harm.
pub(crate) fn head_of(
    files: &[PathBuf],
    progress: &Progress,
    out: &mut dyn Write,
) -> io::Result<Option<(u64, Digest)>> {
    let mut said = Vec::new();
    let verified = group(files, &BTreeSet::new(), progress, &mut said)?;
    let sound = verified.breaks == verified.torn && verified.torn <= 1;
    if !sound {
        out.write_all(&said)?;
    }
    Ok(verified.last.filter(|_| sound))
}

fn group(
    files: &[PathBuf],
    seals: &BTreeSet<Digest>,
    progress: &Progress,
    out: &mut dyn Write,
) -> io::Result<Verified> {
    let (mut opened, mut failed) = (Vec::new(), Vec::new());
    for path in files {
        match Input::open(path) {
            Ok(input) => opened.push(progress.watch(input)),
            Err(error) => failed.push(Broken::Unreadable {
                file: path.display().to_string(),
                error,
            }),
        }
    }
    chain(opened, failed, seals, out)
}

/// Reads one chain, and describes what is wrong with it.
fn chain(
    inputs: Vec<Input<'_>>,
    failed: Vec<Broken>,
    seals: &BTreeSet<Digest>,
    out: &mut dyn Write,
) -> io::Result<Verified> {
    let (mut told, mut written) = (0_u64, Ok(()));
    let mut tell = |finding: Finding| {
        let line = match finding {
            Finding::Broken(broken) => {
                told += 1;
                match told {
                    ..=DESCRIBED => format!("BROKEN: {}", words(&broken)),
                    _ => return,
                }
            }
            Finding::Continues { at, head } => {
                format!("note: {at}: continues a file that was not given, whose head is {head}")
            }
        };
        if written.is_ok() {
            written = writeln!(out, "{}", visible(&line));
        }
    };
    let unreadable = u64::try_from(failed.len()).unwrap_or(u64::MAX);
    for broken in failed {
        tell(Finding::Broken(broken));
    }
    let mut verified = check(inputs, seals, &mut tell);
    verified.breaks += unreadable;
    for reached in verified.heads.values_mut() {
        reached.whole &= unreadable == 0;
    }
    written?;
    if told > DESCRIBED {
        writeln!(out, "and {} more", told - DESCRIBED)?;
    }
    Ok(verified)
}

fn words(broken: &Broken) -> String {
    match broken {
        Broken::NoRecords { file } => format!("{file}: holds no records"),
        Broken::Unreadable { file, error } => format!("{file}: cannot read it: {error}"),
        Broken::Torn { at } => format!("{at} is torn: the file ends within a record"),
        Broken::TooLong { at } => format!("{at} is longer than any record"),
        Broken::NoRecord { at } => format!("{at} is not a record"),
        Broken::Changed { at, seq } => {
            format!("{at}: record {seq} was changed: its content does not match its seal")
        }
        Broken::OutOfPlace { at, seq, before } => format!(
            "{at}: record {seq} is out of place: duplicated, or moved from before record {before}"
        ),
        Broken::Missing { at, seq, from, to } => {
            format!("{at}: before record {seq}, records {from} to {to} are missing")
        }
        Broken::Unlinked { at, seq } => format!(
            "{at}: record {seq} does not follow the one before it: one of the two was replaced \
             or comes from another file"
        ),
        Broken::NoBeginning { at, seq } => format!(
            "{at}: record {seq} is not the beginning of a file: what was before it is missing"
        ),
        Broken::AnotherChain { at } => {
            format!("{at}: another chain begins here: nothing ties it to the records before")
        }
    }
}

/// The last lines about one chain.
fn conclude(verified: &Verified, sought: &Sought, out: &mut dyn Write) -> io::Result<bool> {
    let breaks = verified.breaks + sought.compare(&verified.heads, out)?;
    let Verified {
        records,
        started,
        ended,
        interrupted,
        withdrawn,
        startless,
        last,
        closed,
        ..
    } = verified;
    writeln!(
        out,
        "{records} records; {started} commands started, {ended} ended ({interrupted} \
         interrupted), {withdrawn} refused at the start"
    )?;
    if *startless > 0 {
        writeln!(
            out,
            "{startless} more ended without a start on record: cancelled before it, or run \
             with on_audit_failure: warn while the file could not be written"
        )?;
    }
    if breaks > 0 {
        writeln!(out, "NOT SOUND: {breaks} breaks")?;
        return Ok(false);
    }
    if let Some((seq, head)) = last {
        writeln!(out, "sound up to record {seq}, head {head}")?;
    }
    if !closed {
        writeln!(
            out,
            "note: the last record is not a server's end: it is still running, or it was killed"
        )?;
    }
    Ok(true)
}
