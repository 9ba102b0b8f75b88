//! `credentials.yml` → credentials whose paths were accepted and whose secrets were
//! looked up.
//!
//! Owns what makes an entry usable: a user and at least one way to log in. A refused
//! path or name is a problem, so that it can't quietly turn into another way of logging
//! in; a secret or key that isn't there yet is a warning. Called by `load`.

use std::collections::BTreeMap;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::config::files::beneath::FileError;
use crate::config::files::directories::{Dirs, KEY_MAX, KeyPath};
use crate::config::host::{AnsweredBy, Credential, Prompt};
use crate::config::schema::findings::Findings;
use crate::config::schema::keys::{CREDENTIALS, Key};
use crate::config::schema::problem::{Fault, Mark, WarningKind, quote};
use crate::config::schema::section::{Section, Text};
use crate::config::secrets::sources::{SecretError, Sources};
use crate::config::secrets::value::{Secret, SecretName};
use crate::config::yaml::tree::Node;
use crate::model::security_event::SecurityEvent;
use crate::policy::rule::glob::Glob;

const NAME_MAX: usize = 100;
const USERNAME_MAX: usize = 100;

/// The entries that could be read, by name, and where each one stands.
#[derive(Default)]
pub(crate) struct Credentials {
    pub(crate) by_name: BTreeMap<String, Arc<Credential>>,
    /// Every name that was given, also of entries that could not be read: a host that
    /// refers to one of those isn't a second mistake.
    pub(crate) names: BTreeMap<String, Mark>,
}

/// `None` where there is no list of entries at all: then no reference to one is a mistake.
pub(crate) fn read(
    root: &Node<'_>,
    findings: &mut Findings,
    dirs: &Dirs,
    sources: &Sources<'_>,
    events: &mut Vec<SecurityEvent>,
) -> Option<Credentials> {
    let mut credentials = Credentials::default();
    let file = findings.document_section(root, &CREDENTIALS)?;
    for entry in findings.subsections(&file, "entries")? {
        let mut reader = Reader {
            findings,
            entry,
            dirs,
            sources,
            events,
        };
        let Some(name) = reader.name(&mut credentials.names) else {
            continue;
        };
        if let Some(credential) = reader.credential(name.clone()) {
            credentials.by_name.insert(name, Arc::new(credential));
        }
    }
    Some(credentials)
}

struct Reader<'a, 'n> {
    findings: &'a mut Findings,
    entry: Section<'n>,
    dirs: &'a Dirs,
    sources: &'a Sources<'a>,
    events: &'a mut Vec<SecurityEvent>,
}

impl Reader<'_, '_> {
    fn name(&mut self, names: &mut BTreeMap<String, Mark>) -> Option<String> {
        let text = self.findings.text(&self.entry, "name")?;
        let accept = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if text.value.chars().count() > NAME_MAX || !text.value.chars().all(accept) {
            self.refuse(
                text,
                "name",
                Fault::BadValue,
                format!("found {}", quote(text.value)),
            );
            return None;
        }
        if let Some(first) = names.get(text.value) {
            let found = format!(
                "found the name {} a second time (first at line {})",
                quote(text.value),
                first.line
            );
            let key = self.entry.key("name");
            self.findings
                .problem(text.at, key, Fault::Duplicate, found, "each name once");
            return None;
        }
        names.insert(text.value.to_owned(), text.at);
        Some(text.value.to_owned())
    }

    fn credential(&mut self, name: String) -> Option<Credential> {
        let username = self.username();
        let key_path = self.path("key_path");
        let cert_path = self.path("cert_path");
        let passphrase = self.secret("key_passphrase_secret");
        let password = self.password();
        let agent = self.findings.boolean(&self.entry, "agent");
        let identity = self.path("identity");
        let prompts = self.prompts();
        let sudo = self.sudo();
        // One that was given and refused has its problem already.
        let named = ["key_path", "password_secret", "password", "prompts"]
            .iter()
            .any(|way| self.entry.is_filled(way));
        let agent_wrong = agent.is_none() && self.entry.has("agent");
        let agent = agent.is_some_and(|(agent, _)| agent);
        if !named && !agent && !agent_wrong {
            let key = self.entry.path.clone();
            self.findings.problem(
                self.entry.at,
                key,
                Fault::Missing,
                "found no way of authentication",
                "at least one of key_path, password_secret, prompts, agent: true",
            );
            return None;
        }
        if cert_path.is_some() && !self.entry.is_filled("key_path") {
            let (at, key) = (self.entry.place("cert_path"), self.entry.key("cert_path"));
            self.findings.problem(
                at,
                key,
                Fault::Missing,
                "found a certificate without its key",
                "cert_path beside key_path",
            );
        }
        if identity.is_some() && !agent {
            let (at, key) = (self.entry.place("identity"), self.entry.key("identity"));
            self.findings.problem(
                at,
                key,
                Fault::Missing,
                "found an agent's key without the agent",
                "identity beside agent: true",
            );
        }
        Some(Credential {
            name,
            username: username?,
            key_path,
            passphrase,
            password,
            cert_path,
            agent,
            identity,
            prompts,
            sudo,
        })
    }

    fn username(&mut self) -> Option<String> {
        let text = self.findings.text(&self.entry, "username")?;
        if text.value.chars().count() > USERNAME_MAX {
            let found = format!("found {}", quote(text.value));
            self.refuse(text, "username", Fault::BadValue, found);
            return None;
        }
        Some(text.value.to_owned())
    }

    /// A key's or certificate's path. It is opened now to tell what is wrong with it,
    /// and again at each login.
    fn path(&mut self, name: &str) -> Option<KeyPath> {
        let text = self.findings.text(&self.entry, name)?;
        let path = match KeyPath::parse(text.value, self.dirs) {
            Ok(path) => path,
            Err(refusal) => {
                self.events
                    .push(refusal.event(text.value, self.dirs.keys()));
                self.refuse(text, name, Fault::Refused, refusal.to_string());
                return None;
            }
        };
        let directory = self.dirs.keys();
        match directory.read(path.relative(), KEY_MAX) {
            Ok(content) if content.is_open_to_others() && name == "key_path" => {
                let warning = format!(
                    "the key file has mode {:04o}, so others can read or change it; use 0400 or 0600",
                    content.mode
                );
                self.warn(text, name, WarningKind::Permissions, warning);
            }
            Ok(_) => {}
            Err(error) if error.may_pass() => {
                let file = directory.path().join(path.relative().as_path());
                let warning = format!(
                    "{}: {error}: logins with it fail; {}",
                    file.display(),
                    error.remedy()
                );
                self.warn(text, name, WarningKind::Absent, warning);
            }
            Err(error) => {
                match error {
                    FileError::TooLarge { size, max } => self.events.push(directory.too_large(
                        path.relative(),
                        "key_file_too_large",
                        size,
                        max,
                    )),
                    _ => self
                        .events
                        .extend(directory.refusal(text.value, path.relative(), error)),
                }
                let found = format!("found a file that is refused: {error}");
                let key = self.entry.key(name);
                self.findings
                    .problem(text.at, key, Fault::Refused, found, error.remedy());
                return None;
            }
        }
        Some(path)
    }

    fn secret(&mut self, name: &str) -> Option<Arc<Secret>> {
        let text = self.findings.text(&self.entry, name)?;
        let secret = match SecretName::parse(text.value) {
            Ok(secret) => secret,
            Err(error) => {
                self.events.push(error.event(text.value));
                self.refuse(text, name, Fault::Refused, error.to_string());
                return None;
            }
        };
        match self.sources.resolve(&secret, self.events) {
            Ok(resolved) => {
                if let Some(mode) = resolved.mode {
                    let warning = format!(
                        "the secret's file has mode {mode:04o}, so others can read or change it; \
                         use 0400 or 0600"
                    );
                    self.warn(text, name, WarningKind::Permissions, warning);
                }
                Some(resolved.secret)
            }
            Err(error) if error == SecretError::Absent || may_pass(error) => {
                let warning = format!(
                    "{error} ({upper} or MCP_SSH_SECRET_{upper} in the environment, .env, or a \
                     file of that name in the secrets directory): logins with it fail",
                    upper = secret.upper()
                );
                self.warn(text, name, WarningKind::Absent, warning);
                None
            }
            Err(error) => {
                let key = self.entry.key(name);
                let remedy = match error {
                    SecretError::File(error) => error.remedy(),
                    _ => "a text",
                };
                self.findings.problem(
                    text.at,
                    key,
                    Fault::Refused,
                    format!("found a secret that is refused: {error}"),
                    remedy,
                );
                None
            }
        }
    }

    /// A reference hides a password in the file; an empty one doesn't.
    fn password(&mut self) -> Option<Arc<Secret>> {
        let inline = self.findings.text(&self.entry, "password");
        if let Some(inline) = inline {
            let warning = "a password in a file that is often shared; keep it in a secret and name \
                           that in password_secret";
            self.warn(
                inline,
                "password",
                WarningKind::InlinePassword,
                warning.to_owned(),
            );
        }
        let referred = self.secret("password_secret");
        let refers = self.entry.is_filled("password_secret");
        match inline {
            Some(inline) if !refers => {
                let bytes = Zeroizing::new(inline.value.as_bytes().to_vec());
                Some(Arc::new(Secret::new(bytes)))
            }
            _ => referred,
        }
    }

    fn prompts(&mut self) -> Vec<Prompt> {
        let sections = self.findings.subsections(&self.entry, "prompts");
        let prompts = sections.unwrap_or_default().into_iter().map(|section| {
            let login = std::mem::replace(&mut self.entry, section);
            let prompt = self.prompt();
            self.entry = login;
            prompt
        });
        prompts.flatten().collect()
    }

    fn prompt(&mut self) -> Option<Prompt> {
        let text = self.findings.text(&self.entry, "text");
        let by = self.answer();
        let text = text?;
        match Glob::parse(text.value) {
            Ok(glob) => Some(Prompt {
                text: glob,
                by: by?,
            }),
            Err(_) => {
                let key = self.entry.key("text");
                let found = format!("found {}", quote(text.value));
                self.findings
                    .problem(text.at, key, Fault::BadValue, found, "a shorter glob");
                None
            }
        }
    }

    /// Exactly one of the two.
    fn answer(&mut self) -> Option<AnsweredBy> {
        let asks = self.findings.one_of(&self.entry, "ask").is_some();
        let found = match (asks, self.entry.is_filled("secret")) {
            (true, false) => return Some(AnsweredBy::Operator),
            (false, true) => return self.secret("secret").map(AnsweredBy::Secret),
            // One that was given and refused has its problem already.
            (false, false) if self.entry.has("ask") => return None,
            (false, false) => "found no secret",
            (true, true) => "found a secret and a person to ask",
        };
        let (at, key) = (self.entry.at, self.entry.path.clone());
        let accepted = "one of secret: NAME, ask: operator";
        self.findings
            .problem(at, key, Fault::Missing, found, accepted);
        None
    }

    /// The password of `sudo`. It is read as a line, so that it has to be one.
    fn sudo(&mut self) -> Option<Arc<Secret>> {
        let section = self.findings.subsection(&self.entry, "sudo")?;
        let login = std::mem::replace(&mut self.entry, section);
        let secret = self.secret("password_secret");
        let section = std::mem::replace(&mut self.entry, login);
        let secret = secret?;
        if secret
            .expose()
            .iter()
            .any(|byte| matches!(byte, b'\n' | b'\r'))
        {
            self.findings.problem(
                section.place("password_secret"),
                section.key("password_secret"),
                Fault::Refused,
                "found a password with a line break, which sudo cannot be given",
                "a secret of one line",
            );
            return None;
        }
        Some(secret)
    }

    fn refuse(&mut self, text: Text<'_>, name: &str, fault: Fault, found: String) {
        let key = self.entry.table.key(name);
        let accepted = key.map(Key::accepted).unwrap_or_default();
        let key = self.entry.key(name);
        self.findings.problem(text.at, key, fault, found, accepted);
    }

    fn warn(&mut self, text: Text<'_>, name: &str, kind: WarningKind, warning: String) {
        let key = self.entry.key(name);
        self.findings.warning(text.at, key, kind, warning);
    }
}

fn may_pass(error: SecretError) -> bool {
    matches!(error, SecretError::File(error) if error.may_pass())
}
