//! `audit verify [FILE|DIR]...`: whether chains of records are sound, in words.
//!
//! Owns the report and the exit code. Several files are one chain; a directory holds one for
//! each run of a server. Proves nothing itself: `audit` does. Called by `startup`.

use std::io::{self, BufRead, Write};
use std::path::PathBuf;

use crate::audit::chain::inputs::{self, Group, Input};
use crate::audit::chain::seal::Digest;
use crate::audit::chain::verify::{Broken, Finding, Verified, verify as check};
use crate::cli::Outcome;
use crate::cli::commands::audit::progress::Progress;
use crate::cli::commands::output;
use crate::model::text::visible;

/// Most breaks of a chain that are described one by one.
const DESCRIBED: u64 = 50;

pub(crate) fn run(paths: &[PathBuf], head: Option<&str>) -> Outcome {
    output::print(|out| report(paths, head, &Progress::of(paths), out))
}

/// Writes a report on the files. Says whether all is sound.
///
/// # Errors
/// The report can't be written, or a directory not be listed. A file that can't be read is
/// a finding, not an error.
pub fn verify(paths: &[PathBuf], head: Option<&str>, out: &mut dyn Write) -> io::Result<bool> {
    report(paths, head, &Progress::none(), out)
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
    let Some(head) = wanted(head, out)? else {
        return Ok(false);
    };
    let input = Input::of("input".to_owned(), Box::new(reader))?;
    let verified = chain(vec![input], Vec::new(), head, out)?;
    conclude(&verified, head, out)
}

fn report(
    paths: &[PathBuf],
    head: Option<&str>,
    progress: &Progress,
    out: &mut dyn Write,
) -> io::Result<bool> {
    let Some(head) = wanted(head, out)? else {
        return Ok(false);
    };
    let groups = match inputs::groups(paths) {
        Ok(groups) => groups,
        Err(error) => {
            let line = format!("BROKEN: {error}");
            writeln!(out, "{}\nNOT SOUND: 1 breaks", visible(&line))?;
            return Ok(false);
        }
    };
    if let [Group { name: None, files }] = groups.as_slice() {
        let verified = group(files, head, progress, out)?;
        return conclude(&verified, head, out);
    }
    let (mut sound, mut records, mut found, mut running) = (0_usize, 0_u64, None, 0_usize);
    for Group { name, files } in &groups {
        let verified = group(files, head, progress, out)?;
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
        writeln!(
            out,
            "{name}: {word}, {} records{head}{open}",
            verified.records
        )?;
        sound += usize::from(verified.breaks == 0);
        running += usize::from(!verified.closed);
        records += verified.records;
        found = found.or(verified.head);
    }
    if running > 0 {
        writeln!(
            out,
            "note: a chain that is not closed belongs to a server that runs, or that was killed"
        )?;
    }
    let missing = head.is_some() && found.is_none();
    if let Some(head) = head.filter(|_| missing) {
        missing_head(head, out)?;
    }
    let all = groups.len();
    writeln!(out, "{sound} of {all} chains are sound; {records} records")?;
    Ok(sound == all && !missing)
}

/// The head that was asked for; nothing where it is none.
fn wanted(head: Option<&str>, out: &mut dyn Write) -> io::Result<Option<Option<Digest>>> {
    let Some(head) = head else {
        return Ok(Some(None));
    };
    let digest = Digest::parse(head.trim().to_ascii_lowercase().as_bytes());
    if digest.is_none() {
        writeln!(
            out,
            "BROKEN: --head is not 64 hex digits\nNOT SOUND: 1 breaks"
        )?;
    }
    Ok(digest.map(Some))
}

fn group(
    files: &[PathBuf],
    head: Option<Digest>,
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
    chain(opened, failed, head, out)
}

/// Reads one chain, and describes what is wrong with it.
fn chain(
    inputs: Vec<Input<'_>>,
    failed: Vec<Broken>,
    head: Option<Digest>,
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
    let mut verified = check(inputs, head, &mut tell);
    verified.breaks += unreadable;
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

fn missing_head(head: Digest, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "BROKEN: no record has the head {head}: what was written up to it was cut off or \
         written anew"
    )
}

/// The last lines about one chain.
fn conclude(verified: &Verified, head: Option<Digest>, out: &mut dyn Write) -> io::Result<bool> {
    let mut breaks = verified.breaks;
    match (head, verified.head) {
        (Some(head), None) => {
            breaks += 1;
            missing_head(head, out)?;
        }
        (_, Some((seq, after))) => {
            writeln!(out, "the given head is record {seq}; {after} came after it")?;
        }
        (None, None) => {}
    }
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
