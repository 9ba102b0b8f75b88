//! What is read before anything is parsed: the directories, the three files, `.env`.
//!
//! Owns what each of them may not be, and the security events of those that aren't taken.
//! Called by `load`.

use zeroize::Zeroizing;

use crate::config::files::beneath::{Directory, FileContent, FileError, RelativePath};
use crate::config::files::directories::FILES;
use crate::config::files::directories::{Dirs, YAML_MAX};
use crate::config::schema::problem::{Fault, Mark, Place, Problem, Warning, WarningKind, quote};
use crate::config::secrets::env_file::{self, ENV_FILE_MAX, EnvFile};
use crate::model::security_event::{EventValue, SecurityEvent};

/// What was noticed on the way.
#[derive(Default)]
pub(crate) struct Noticed {
    pub(crate) problems: Vec<Problem>,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) events: Vec<SecurityEvent>,
}

impl Noticed {
    fn problem(&mut self, place: Place, fault: Fault, found: String, accepted: &str) {
        self.problems.push(Problem {
            place,
            key: String::new(),
            fault,
            found,
            accepted: accepted.to_owned(),
            nearest: None,
        });
    }

    fn warning(&mut self, place: Place, kind: WarningKind, text: String) {
        self.warnings.push(Warning {
            place,
            key: String::new(),
            kind,
            text,
        });
    }

    /// A file that is refused is an event; the absence of a file of the configuration
    /// isn't, that is the problem itself.
    fn refused(
        &mut self,
        directory: &Directory,
        attempted: &str,
        path: &RelativePath,
        error: FileError,
        too_large: &'static str,
    ) {
        match error {
            FileError::Missing => {}
            FileError::TooLarge { size, max } => {
                self.events
                    .push(directory.too_large(path, too_large, size, max));
            }
            _ => self
                .events
                .extend(directory.refusal(attempted, path, error)),
        }
    }
}

/// Whether the three directories can be used. Without the config directory there is no
/// configuration; without the others there are no keys or no secrets, which may be so.
pub(crate) fn directories(dirs: &Dirs, noticed: &mut Noticed) {
    let all = [
        ("config directory", "config", dirs.config(), true),
        ("keys directory", "keys", dirs.keys(), false),
        ("secrets directory", "secrets", dirs.secrets(), false),
    ];
    for (name, word, directory, needed) in all {
        let variable = word.to_ascii_uppercase();
        let named = format!("--{word}-dir or MCP_SSH_{variable}_DIR names another");
        let place = Place::file(name);
        let shown = quote(&directory.path().display().to_string());
        match directory.available() {
            Err(error) if needed || !error.may_pass() => noticed.problem(
                place,
                Fault::Unreadable,
                format!("{shown} can't be opened: {error}"),
                &format!("a directory that the server's user may search; {named}"),
            ),
            Err(error) => noticed.warning(
                place,
                WarningKind::Absent,
                format!("{shown} can't be opened ({error}), so nothing is read there; {named}"),
            ),
            Ok(()) if directory.was_replaced() => noticed.problem(
                place,
                Fault::NeedsRestart,
                format!("{shown} was replaced by another directory since the start"),
                "files replaced within it, or a restart",
            ),
            Ok(()) if directory.is_open_to_all() => noticed.warning(
                place,
                WarningKind::Permissions,
                format!("anybody can replace the files in {shown}; use mode 0700 or 0755"),
            ),
            Ok(()) => {}
        }
    }
}

/// The bytes of the three files, all of one moment: where one of them changed while the
/// others were read (an edit, a swap of the whole mount), they are read again.
pub(crate) fn files(dirs: &Dirs, noticed: &mut Noticed) -> [Option<Zeroizing<Vec<u8>>>; 3] {
    const TRIES: usize = 8;
    let directory = dirs.config();
    // Reported as a whole, not once a file.
    if directory.available().is_err() {
        return [None, None, None];
    }
    for _ in 0..TRIES {
        let contents = FILES.map(|name| (name, yaml(directory, name)));
        let unchanged = contents.iter().all(|(name, content)| match content {
            Ok(content) => RelativePath::new(name)
                .and_then(|path| directory.state(&path).ok())
                .is_some_and(|now| now == content.state),
            Err(_) => true,
        });
        if unchanged {
            return contents.map(|(name, content)| taken(directory, name, content, noticed));
        }
    }
    noticed.problem(
        Place::file("config directory"),
        Fault::Unreadable,
        "the files changed again and again while they were read".to_owned(),
        "files that rest for a moment",
    );
    [None, None, None]
}

fn yaml(directory: &Directory, name: &str) -> Result<FileContent, FileError> {
    let path = RelativePath::new(name).ok_or(FileError::Missing)?;
    directory.read(&path, YAML_MAX)
}

/// The bytes, or the problem and the event of a file that wasn't taken.
fn taken(
    directory: &Directory,
    name: &'static str,
    content: Result<FileContent, FileError>,
    noticed: &mut Noticed,
) -> Option<Zeroizing<Vec<u8>>> {
    let error = match content {
        Ok(content) => {
            if content.mode & 0o002 != 0 {
                let text = format!(
                    "the file has mode {:04o}, so anybody can change it",
                    content.mode
                );
                noticed.warning(Place::file(name), WarningKind::Permissions, text);
            }
            return Some(content.bytes);
        }
        Err(error) => error,
    };
    let full = directory.path().join(name).display().to_string();
    let path = RelativePath::new(name)?;
    noticed.refused(directory, &full, &path, error, "yaml_file_too_large");
    noticed.problem(
        Place::file(name),
        Fault::Unreadable,
        format!("the file can't be read: {error}"),
        match error {
            FileError::Missing => "the three files (`init DIR` writes a first set)",
            other => other.remedy(),
        },
    );
    None
}

/// The values of `.env`, which need not be there.
pub(crate) fn env_file(dirs: &Dirs, noticed: &mut Noticed) -> EnvFile {
    let directory = dirs.secrets();
    let Some(path) = RelativePath::new(env_file::NAME) else {
        return EnvFile::default();
    };
    let full = directory.path().join(env_file::NAME).display().to_string();
    let content = match directory.read(&path, ENV_FILE_MAX) {
        Ok(content) => content,
        Err(FileError::Missing) => return EnvFile::default(),
        Err(error) => {
            noticed.refused(directory, &full, &path, error, "env_file_too_large");
            noticed.problem(
                Place::file(env_file::NAME),
                Fault::Unreadable,
                format!("the file can't be read: {error}"),
                error.remedy(),
            );
            return EnvFile::default();
        }
    };
    if content.is_open_to_others() {
        noticed.events.push(SecurityEvent {
            event_type: "insecure_file_permissions",
            attempted_path: Some(full.clone()),
            resolved_path: Some(full),
            reason: Some("env_file_permissions_too_permissive"),
            extra: vec![("mode", EventValue::Text(format!("0o{:o}", content.mode)))],
        });
        noticed.warning(
            Place::file(env_file::NAME),
            WarningKind::Permissions,
            format!(
                "the file has mode {:04o}, so others can read or change it; use 0400 or 0600",
                content.mode
            ),
        );
    }
    env_lines(&content.bytes, noticed)
}

fn env_lines(bytes: &[u8], noticed: &mut Noticed) -> EnvFile {
    let place = |line| Place::at(env_file::NAME, Mark { line, column: 0 });
    match EnvFile::parse(bytes) {
        Ok((file, faults)) => {
            for (line, fault) in faults {
                let text = format!("the line {}", fault.text());
                noticed.warning(place(line), WarningKind::NoEffect, text);
            }
            file
        }
        Err(line) => {
            noticed.problem(
                place(line),
                Fault::Syntax,
                "found bytes that aren't UTF-8".to_owned(),
                "a line `NAME=value` in UTF-8",
            );
            EnvFile::default()
        }
    }
}
