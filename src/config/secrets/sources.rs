//! Where the value of a secret is looked up, and in which order.
//!
//! Owns the four sources: the variable of the secret's own name, `MCP_SSH_SECRET_<NAME>`,
//! `secrets/.env`, and the file `secrets/<name>`. A [`SecretName`] was validated before,
//! so no source is asked for a name that could be a path. Called by `read::credentials`
//! at each load.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::config::files::beneath::RelativePath;
use crate::config::files::directories::Dirs;
use crate::config::files::error::FileError;
use crate::config::secrets::env_file::EnvFile;
use crate::config::secrets::environment::Environment;
use crate::config::secrets::value::{SECRET_MAX, Secret, SecretName};
use crate::model::security_event::SecurityEvent;

/// Why a secret has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SecretError {
    /// None of the four sources has it, or only an empty value.
    #[error("no source has a value for it")]
    Absent,
    /// Its file is there and can't be taken.
    #[error("its file can't be taken: {0}")]
    File(FileError),
    /// Not UTF-8, or with a NUL: neither can be sent as a password.
    #[error("its value isn't text (UTF-8 without NUL)")]
    NotText,
}

/// The four sources of one load. The `.env` file is read once.
pub(crate) struct Sources<'a> {
    environment: &'a Environment,
    dirs: &'a Dirs,
    env_file: &'a EnvFile,
}

/// A value and, if it came from a file of its own, how open that file is.
pub(crate) struct Resolved {
    pub(crate) secret: Arc<Secret>,
    pub(crate) mode: Option<u32>,
}

impl<'a> Sources<'a> {
    pub(crate) fn new(environment: &'a Environment, dirs: &'a Dirs, env_file: &'a EnvFile) -> Self {
        Self {
            environment,
            dirs,
            env_file,
        }
    }

    /// Asks the sources in order; an empty value counts as none.
    pub(crate) fn resolve(
        &self,
        name: &SecretName,
        events: &mut Vec<SecurityEvent>,
    ) -> Result<Resolved, SecretError> {
        let upper = name.upper();
        let found = self
            .environment
            .secret(&upper)
            .or_else(|| self.environment.prefixed_secret(&upper))
            .or_else(|| self.env_file.value(name.as_str()))
            .or_else(|| self.env_file.value(&upper));
        let resolved = match found {
            Some(secret) => Resolved { secret, mode: None },
            None => self.of_its_own_file(name, events)?,
        };
        let bytes = resolved.secret.expose();
        if std::str::from_utf8(bytes).is_err() || bytes.contains(&0) {
            return Err(SecretError::NotText);
        }
        Ok(resolved)
    }

    fn of_its_own_file(
        &self,
        name: &SecretName,
        events: &mut Vec<SecurityEvent>,
    ) -> Result<Resolved, SecretError> {
        // A valid name has no slash and no dot, so it is a plain file name.
        let path = RelativePath::new(name.as_str()).ok_or(SecretError::Absent)?;
        let directory = self.dirs.secrets();
        let content = directory.read(&path, SECRET_MAX).map_err(|error| {
            match error {
                FileError::TooLarge { size, max } => {
                    events.push(directory.too_large(&path, "secret_file_too_large", size, max));
                }
                _ => events.extend(directory.refusal(name.as_str(), &path, error)),
            }
            match error {
                FileError::Missing => SecretError::Absent,
                other => SecretError::File(other),
            }
        })?;
        let trimmed = content.bytes.trim_ascii();
        if trimmed.is_empty() {
            return Err(SecretError::Absent);
        }
        Ok(Resolved {
            secret: Arc::new(Secret::new(Zeroizing::new(trimmed.to_vec()))),
            mode: content.is_open_to_others().then_some(content.mode),
        })
    }
}
