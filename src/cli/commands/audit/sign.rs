//! `audit sign [FILE|DIR]... --key KEY`: the heads of chains, signed by a person's SSH key.
//!
//! Owns the refusal to sign what is not sound, and the two files that are written: the
//! statement (`audit::chain::heads`) and, with `.sig` behind its name, its signature. Neither
//! replaces a file that is there. Makes no signature itself: `ssh-keygen` does. Called by
//! `startup`.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::audit::chain::heads::{Head, Heads};
use crate::audit::chain::inputs::{self, Group};
use crate::audit::timestamp::Ts;
use crate::cli::Outcome;
use crate::cli::commands::audit::progress::Progress;
use crate::cli::commands::audit::{ssh_keygen, verify};
use crate::cli::commands::output;
use crate::model::text::visible;

pub(crate) fn run(paths: &[PathBuf], key: &Path, to: Option<&Path>) -> Outcome {
    output::print(|out| sign(paths, key, to, out))
}

fn sign(paths: &[PathBuf], key: &Path, to: Option<&Path>, out: &mut dyn Write) -> io::Result<bool> {
    let now = Ts::now();
    let to = match to {
        Some(to) => to.to_owned(),
        None => beside(paths, now)?,
    };
    let signature = ssh_keygen::file_of(&to);
    for file in [&to, &signature] {
        if fs::symlink_metadata(file).is_ok() {
            let text = format!("{} is there already; --out names another", file.display());
            return Err(io::Error::other(text));
        }
    }
    let progress = Progress::of(paths);
    let (mut heads, mut sound) = (Vec::new(), true);
    for Group { name, files } in inputs::groups(paths)? {
        let named = name.or_else(|| {
            let first = files.first()?.file_name()?;
            Some(first.to_string_lossy().into_owned())
        });
        let named = named.unwrap_or_default();
        match verify::head_of(&files, &progress, out)? {
            Some((seq, seal)) => heads.push(Head::new(seq, seal, &named)),
            None => {
                writeln!(out, "{}: NOT SOUND", visible(&named))?;
                sound = false;
            }
        }
    }
    drop(progress);
    if !sound {
        let line = "nothing was signed: look at it with 'audit verify'; what is evidence can be \
                    moved away, and the rest be signed";
        writeln!(out, "{line}")?;
        return Ok(false);
    }
    let signed = match heads.len() {
        1 => "the head of one chain".to_owned(),
        count => format!("the heads of {count} chains"),
    };
    let statement = Heads { time: now, heads }.to_text();
    out.flush()?;
    let armoured = ssh_keygen::sign(key, statement.as_bytes()).map_err(io::Error::other)?;
    write(&to, statement.as_bytes())?;
    write(&signature, &armoured)?;
    writeln!(
        out,
        "signed {signed}: {} and {}\n\
         keep both where the records are not; to check them:\n  \
         mcp-ssh-orchestrator audit verify --signed {} --allowed-signers FILE [FILE|DIR]...\n  \
         ssh-keygen -Y verify -f FILE -I WHO -n {} -s {} < {}",
        to.display(),
        signature.display(),
        to.display(),
        ssh_keygen::NAMESPACE,
        signature.display(),
        to.display()
    )?;
    Ok(true)
}

/// The place of a statement that nobody named: with the records, under a name that is not one
/// of theirs.
fn beside(paths: &[PathBuf], now: Ts) -> io::Result<PathBuf> {
    let name = format!("heads-{}.txt", now.compact());
    match paths {
        [one] if one.is_dir() => Ok(one.join(name)),
        [first, ..] if first != Path::new("-") => {
            let parent = first.parent().unwrap_or(Path::new(""));
            Ok(parent.join(name))
        }
        _ => Err(io::Error::other("say with --out which file to write")),
    }
}

/// Writes a file that was not there.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let of_path =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = file.map_err(of_path)?;
    file.write_all(bytes).map_err(of_path)?;
    file.sync_all().map_err(of_path)
}
