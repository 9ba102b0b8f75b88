//! The process environment, taken once at start.
//!
//! Owns what is kept of it: the server's own settings, and the values that a secret's
//! name can stand for. Everything else is left where it is, for `startup` to clear. A
//! reload may name a secret that no file named before, so the values are kept for every
//! variable that could be one, wiped when dropped, rather than only for those in use;
//! what the environment held is then in one place that nothing prints, and no longer
//! in the process's environment block. Called by `startup`, the subcommands, and
//! `secret`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::sync::Arc;

use zeroize::{Zeroize, Zeroizing};

use crate::config::schema::problem::nearest;
use crate::config::secrets::value::{NAME_MAX, SECRET_MAX, Secret};

/// Others that are settings: where the agent is, and who types, for the subcommands.
const KEPT: [&str; 4] = ["HOME", "LOGNAME", "SSH_AUTH_SOCK", "USER"];
/// What the names of the server's own settings begin with.
const OWN: &str = "MCP_SSH_";
/// Where a secret's value is looked for after the variable of its own name.
const PREFIX: &str = "MCP_SSH_SECRET_";

/// Variables that tell about the process and never hold a secret: a credential that
/// says `password_secret: user` must not log in with `$USER`.
const NOT_SECRETS: &[&str] = &[
    "CI",
    "COLUMNS",
    "DISPLAY",
    "EDITOR",
    "HOME",
    "HOST",
    "HOSTNAME",
    "HOSTTYPE",
    "IFS",
    "INVOCATION_ID",
    "LANG",
    "LANGUAGE",
    "LINES",
    "LOGNAME",
    "MACHTYPE",
    "MAIL",
    "OLDPWD",
    "OSTYPE",
    "PAGER",
    "PATH",
    "PPID",
    "PS1",
    "PS2",
    "PWD",
    "SHELL",
    "SHLVL",
    "TERM",
    "TMPDIR",
    "TZ",
    "UID",
    "USER",
    "USERNAME",
    "VISUAL",
    "_",
];
/// Families of such variables, and the server's own settings.
const NOT_SECRET_FAMILIES: &[&str] = &[
    "KUBERNETES_",
    "LC_",
    "LD_",
    "MCP_SSH_",
    "SSH_AGENT_",
    "SSH_AUTH_",
    "SSH_CLIENT",
    "SSH_CONNECTION",
    "SSH_TTY",
    "SYSTEMD_",
    "XDG_",
];

/// What is kept of the environment.
#[derive(Default)]
pub struct Environment {
    settings: BTreeMap<String, OsString>,
    secrets: BTreeMap<String, Arc<Secret>>,
    prefixed: BTreeMap<String, Arc<Secret>>,
}

impl Environment {
    /// Takes the process's environment. Call it once, before the environment is cleared.
    pub fn capture() -> Self {
        Self::from_variables(std::env::vars_os())
    }

    pub fn from_variables(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut environment = Self::default();
        for (name, value) in variables {
            if let Ok(name) = name.into_string() {
                environment.take(name, value);
            }
        }
        environment
    }

    fn take(&mut self, name: String, value: OsString) {
        if let Some(secret) = name.strip_prefix(PREFIX) {
            if let Some(value) = secret_value(secret, value) {
                self.prefixed.insert(secret.to_owned(), value);
            }
        } else if name.starts_with(OWN) || KEPT.contains(&name.as_str()) {
            self.settings.insert(name, value);
        } else if !is_not_secret(&name)
            && let Some(value) = secret_value(&name, value)
        {
            self.secrets.insert(name, value);
        }
    }

    /// A setting of the server's own, such as `MCP_SSH_CONFIG_DIR`, or one of [`KEPT`]. An empty one counts
    /// as not set.
    pub fn setting(&self, name: &str) -> Option<&OsStr> {
        self.settings
            .get(name)
            .map(OsString::as_os_str)
            .filter(|value| !value.is_empty())
    }

    /// What is named like a setting of the server's and is none of `known`, each in words.
    pub fn strangers(&self, known: &[&str]) -> Vec<String> {
        let names = self.settings.keys().map(String::as_str);
        let strangers = names.filter(|name| name.starts_with(OWN) && !known.contains(name));
        strangers
            .map(|name| {
                let nearest = nearest(name, known.iter().copied());
                let meant = nearest.map(|known| format!("; did you mean {known}?"));
                let meant = meant.unwrap_or_default();
                format!("the variable {name} means nothing to this server{meant}")
            })
            .collect()
    }

    /// The variable of a secret's own name, in upper case.
    pub(crate) fn secret(&self, upper: &str) -> Option<Arc<Secret>> {
        self.secrets.get(upper).cloned()
    }

    /// `MCP_SSH_SECRET_<NAME>`.
    pub(crate) fn prefixed_secret(&self, upper: &str) -> Option<Arc<Secret>> {
        self.prefixed.get(upper).cloned()
    }
}

/// The value, if the name can be a secret's in upper case, and the value isn't empty.
fn secret_value(name: &str, value: OsString) -> Option<Arc<Secret>> {
    let accept = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    let mut value = value.into_vec();
    let fits = u64::try_from(value.len()).is_ok_and(|length| length <= SECRET_MAX);
    let named = !name.is_empty() && name.len() <= NAME_MAX && name.chars().all(accept);
    if !named || value.is_empty() || !fits {
        value.zeroize();
        return None;
    }
    Some(Arc::new(Secret::new(Zeroizing::new(value))))
}

fn is_not_secret(name: &str) -> bool {
    NOT_SECRETS.contains(&name)
        || NOT_SECRET_FAMILIES
            .iter()
            .any(|family| name.starts_with(family))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_could_be_a_secret_is_kept() {
        let variables = [
            ("PATH", "/bin"),
            ("USER", "root"),
            ("LD_PRELOAD", "x"),
            ("DB_PASSWORD", "a"),
            ("lower", "b"),
            ("EMPTY", ""),
            ("MCP_SSH_CONFIG_DIR", "/etc/x"),
            ("MCP_SSH_KEYS_DIR", ""),
            ("MCP_SSH_SECRET_PATH", "c"),
        ];
        let environment = Environment::from_variables(
            variables.map(|(name, value)| (OsString::from(name), OsString::from(value))),
        );
        let secrets: Vec<&String> = environment.secrets.keys().collect();
        assert_eq!(secrets, ["DB_PASSWORD"]);
        assert!(environment.prefixed_secret("PATH").is_some());
        assert_eq!(
            environment.setting("MCP_SSH_CONFIG_DIR"),
            Some(OsStr::new("/etc/x"))
        );
        assert_eq!(environment.setting("MCP_SSH_KEYS_DIR"), None);
        assert!(environment.secret("MCP_SSH_CONFIG_DIR").is_none());
        let strangers = environment.strangers(&["MCP_SSH_KEYS_DIR", "MCP_SSH_CONFIG_FILE"]);
        assert_eq!(strangers.len(), 1);
        assert!(strangers[0].contains("did you mean MCP_SSH_CONFIG_FILE?"));
    }
}
