//! Signs in: certificate, key, agent, password, in this order, with what the host's entry
//! has of them.
//!
//! Only called once the host's key was verified. All material comes as bytes and is held
//! by the caller for the time of the login alone; no path is given to libssh2. The host is
//! asked which methods it takes only before a password is sent, never before a key, which
//! is its own question. Called by [`crate::ssh::login`].

use std::path::Path;
use std::task::Poll;
use std::time::Duration;

use crate::config::Prompt;
use crate::ssh::answers::{Answers, Asking};
use crate::ssh::deadline::Watch;
use crate::ssh::error::{KeyProblem, SshError};
use crate::ssh::host_keys::PublicKey;
use crate::ssh::libssh2::{Fault, FaultKind, SecretCString};
use crate::ssh::login::algorithms::{Signing, prefer_signatures, signings};
use crate::ssh::login::unlocked::Unlocked;
use crate::ssh::login::{agent, private_key};
use crate::ssh::said;
use crate::ssh::transport::link::{Link, explain};

/// What a login may use. Never printed.
pub(crate) struct Credentials<'a> {
    pub(crate) user: &'a str,
    /// An RSA key may sign with SHA-1, if the host takes nothing better.
    pub(crate) legacy_algorithms: bool,
    /// A private key file.
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) passphrase: Option<&'a [u8]>,
    /// Encrypted keys that were unlocked a short while ago, and how long this one may stay.
    pub(crate) unlocked: (&'a Unlocked, Duration),
    /// A certificate file for that key.
    pub(crate) certificate: Option<&'a [u8]>,
    pub(crate) password: Option<&'a [u8]>,
    /// Answers to the host's questions, each for its own.
    pub(crate) prompts: &'a [Prompt],
    /// Who types those that are nowhere.
    pub(crate) asking: &'a dyn Fn() -> Asking,
    /// The agent's socket.
    pub(crate) agent: Option<&'a Path>,
    /// The one of the agent's keys that is offered; without it, the first few.
    pub(crate) identity: Option<&'a PublicKey>,
}

/// What became of one method.
enum Tried {
    In,
    /// Not this way: the next method may do.
    Refused,
    /// The host wants no signature of this kind by this key.
    Unasked,
}

/// # Errors
/// Nothing the entry has is accepted, or its key cannot be used (said only if nothing else
/// gets in); the link fails.
pub(crate) fn sign_in(
    link: &mut Link,
    with: &Credentials<'_>,
    watch: &Watch<'_>,
) -> Result<(), SshError> {
    let mut refused = Vec::new();
    match try_all(link, with, &mut refused, watch) {
        // sshd says no more than that when it has said no often enough (`MaxAuthTries`), which
        // may be with the first one.
        Err(SshError::LinkLost { cause, .. }) if !refused.is_empty() || said::is_a_no(&cause) => {
            if refused.is_empty() {
                refused.push(match (with.key, with.agent) {
                    (Some(_), _) => "publickey",
                    (None, Some(_)) => "agent",
                    (None, None) => "password",
                });
            }
            Err(SshError::Denied {
                methods: refused.join(", "),
                farewell: Some(cause),
            })
        }
        result => result,
    }
}

fn try_all(
    link: &mut Link,
    with: &Credentials<'_>,
    refused: &mut Vec<&'static str>,
    watch: &Watch<'_>,
) -> Result<(), SshError> {
    let mut tried: Vec<&'static str> = Vec::new();
    // Why what we have could not be used; said only if nothing gets in.
    let mut trouble = None;
    // Without asking: a host that does not want a key now says no to it as quickly.
    if let Tried::In = by_public_key(link, with, &mut tried, &mut trouble, refused, watch)? {
        return Ok(());
    }
    let mut used = Vec::new();
    let mut before: Option<String> = None;
    while with.password.is_some() || !with.prompts.is_empty() {
        let methods = link.drive(watch, |session| session.login_methods(with.user))?;
        let Some(offered) = methods else {
            return Ok(());
        };
        if before.is_none() && offers(&offered, Way::Key.name()) {
            used.push(Way::Key);
        }
        // What is offered changes with each one that the host took and found not enough
        // (RFC 4252 section 5.1, partial success), and with nothing else.
        let went_on = before.as_ref().is_some_and(|before| *before != offered);
        before = Some(offered);
        let Some(way) = next(with, before.as_deref().unwrap_or(""), &used, went_on) else {
            break;
        };
        used.push(way);
        let result = match way {
            Way::Key => by_public_key(link, with, &mut tried, &mut trouble, refused, watch)?,
            Way::Password => {
                tried.push(way.name());
                by_password(link, with, watch)?
            }
            Way::Questions => {
                tried.push(way.name());
                by_questions(link, with, &mut trouble, watch)?
            }
        };
        match result {
            Tried::In => return Ok(()),
            Tried::Refused | Tried::Unasked if way != Way::Key => refused.push(way.name()),
            Tried::Refused | Tried::Unasked => {}
        }
    }
    if let Some(trouble) = trouble {
        return Err(trouble);
    }
    if tried.is_empty() && with.password.is_none() && with.prompts.is_empty() {
        return Err(SshError::NoCredentials);
    }
    explain_refusal(link, with.user, &tried, before, watch)
}

/// A method of RFC 4252 or 4256.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Key,
    Password,
    Questions,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Key => "publickey",
            Self::Password => "password",
            Self::Questions => "keyboard-interactive",
        }
    }
}

/// What to try next, of what the host offers and was not tried. A password that was refused is
/// not given once more as the answer to a question.
fn next(with: &Credentials<'_>, offered: &str, used: &[Way], went_on: bool) -> Option<Way> {
    let ways = [Way::Key, Way::Password, Way::Questions];
    let mut open = ways
        .into_iter()
        .filter(|way| !used.contains(way) && offers(offered, way.name()));
    open.find(|way| match way {
        Way::Key => with.key.is_some() || with.agent.is_some(),
        Way::Password => with.password.is_some(),
        Way::Questions => !with.prompts.is_empty() || went_on || !used.contains(&Way::Password),
    })
}

/// The key file, then the agent.
fn by_public_key(
    link: &mut Link,
    with: &Credentials<'_>,
    tried: &mut Vec<&'static str>,
    trouble: &mut Option<SshError>,
    refused: &mut Vec<&'static str>,
    watch: &Watch<'_>,
) -> Result<Tried, SshError> {
    let mut note = |method, result: Result<Tried, SshError>| match result {
        Ok(Tried::In) => Ok(Tried::In),
        Ok(Tried::Refused | Tried::Unasked) => {
            refused.push(method);
            Ok(Tried::Refused)
        }
        Err(error @ SshError::Key(_)) => {
            trouble.get_or_insert(error);
            Ok(Tried::Refused)
        }
        Err(other) => Err(other),
    };
    if with.key.is_some() {
        tried.push(Way::Key.name());
        if let Tried::In = note(Way::Key.name(), by_key(link, with, watch))? {
            return Ok(Tried::In);
        }
    }
    if let Some(socket) = with.agent {
        tried.push("agent");
        let result = agent::sign_in(link, with.user, socket, with.identity, watch);
        let result = result.map(|is_in| match is_in {
            true => Tried::In,
            false => Tried::Refused,
        });
        return note("agent", result);
    }
    Ok(Tried::Refused)
}

/// Nothing got in: was what we have not believed, or not wanted at all? A host may take
/// other methods only, or want another one after ours (RFC 4252 §5.1, partial success).
fn explain_refusal(
    link: &mut Link,
    user: &str,
    tried: &[&'static str],
    known: Option<String>,
    watch: &Watch<'_>,
) -> Result<(), SshError> {
    let methods = tried.join(", ");
    let asked = match known {
        Some(offered) => Ok(Some(offered)),
        None => link.drive(watch, |session| session.login_methods(user)),
    };
    let offered = match asked {
        Ok(Some(offered)) => offered,
        Ok(None) => return Ok(()),
        Err(error @ (SshError::Cancelled(_) | SshError::Timeout { .. })) => return Err(error),
        // It hung up: it had said no already.
        Err(SshError::LinkLost { cause, .. }) => {
            return Err(SshError::Denied {
                methods,
                farewell: Some(cause),
            });
        }
        Err(_) => {
            return Err(SshError::Denied {
                methods,
                farewell: None,
            });
        }
    };
    let wanted = |method: &&str| match *method {
        "agent" => offers(&offered, "publickey"),
        method => offers(&offered, method),
    };
    if tried.iter().any(wanted) {
        Err(SshError::Denied {
            methods,
            farewell: None,
        })
    } else {
        Err(SshError::NotTaken { methods, offered })
    }
}

fn offers(methods: &str, method: &str) -> bool {
    methods.split(',').any(|offered| offered == method)
}

fn by_key(link: &mut Link, with: &Credentials<'_>, watch: &Watch<'_>) -> Result<Tried, SshError> {
    let Some(file) = with.key else {
        return Ok(Tried::Refused);
    };
    let face = private_key::inspect(file).map_err(SshError::Key)?;
    if face.encrypted && with.passphrase.is_none() {
        return Err(SshError::Key(KeyProblem::Passphrase { given: false }));
    }
    let wrong = SshError::Key(KeyProblem::Passphrase { given: true });
    let passphrase = with.passphrase.unwrap_or_default();
    let (unlocked, keep) = with.unlocked;
    let plain = match face.encrypted && face.public.is_some() {
        true => match unlocked.key(file, passphrase, keep) {
            Some(plain) => Some(plain),
            None => return Err(wrong),
        },
        false => None,
    };
    let passphrase = match plain {
        Some(_) => SecretCString::new(b""),
        None => SecretCString::new(passphrase),
    };
    let attempt = Attempt {
        user: with.user,
        file: plain.as_deref().map_or(file, |plain| plain),
        encrypted: face.encrypted,
        passphrase: passphrase.ok_or(wrong)?,
        legacy: with.legacy_algorithms,
    };
    if let Some(certificate) = with.certificate {
        let (_, line) = private_key::certificate_line(certificate).map_err(SshError::Key)?;
        if let Tried::In = attempt.sign(link, &line, watch)? {
            return Ok(Tried::In);
        }
    }
    let line = match face.public {
        Some(public) => public.to_line(),
        None => attempt.public_line(link)?,
    };
    attempt.sign(link, &line, watch)
}

fn prefer(link: &mut Link, signing: &Signing, watch: &Watch<'_>) -> Result<(), SshError> {
    prefer_signatures(link.session(), signing.among).map_err(|fault| explain(watch.phase, &fault))
}

struct Attempt<'a> {
    user: &'a str,
    file: &'a [u8],
    encrypted: bool,
    passphrase: SecretCString,
    legacy: bool,
}

impl Attempt<'_> {
    /// The line of the public half, where the file has it behind the passphrase.
    fn public_line(&self, link: &mut Link) -> Result<String, SshError> {
        let passphrase = self.passphrase.as_c_str();
        let blob = link.session().public_half(self.file, passphrase);
        let blob = blob.map_err(|fault| self.bad_key(fault))?;
        let unknown = || KeyProblem::Format {
            cause: "a kind of key that SSH has no name for".into(),
        };
        let public = PublicKey::from_blob(blob).ok_or_else(|| SshError::Key(unknown()))?;
        Ok(public.to_line())
    }

    /// Tries the signatures that the key may make, until the host takes one.
    fn sign(&self, link: &mut Link, line: &str, watch: &Watch<'_>) -> Result<Tried, SshError> {
        let signings = signings(line, self.legacy);
        let mut result = Ok(Tried::Refused);
        for signing in &signings {
            prefer(link, signing, watch)?;
            result = self.run(link, &signing.line, watch);
            match &result {
                // A host may say that it takes none of the signatures that this line stands for.
                Ok(Tried::Unasked) | Err(SshError::Key(KeyProblem::Format { .. })) => {}
                _ => break,
            }
        }
        if let [first, _, ..] = signings.as_slice() {
            // As it was for what is tried next.
            prefer(link, first, watch)?;
        }
        result
    }

    fn bad_key(&self, fault: Fault) -> SshError {
        SshError::Key(match self.encrypted {
            true => KeyProblem::Passphrase { given: true },
            false => KeyProblem::Format { cause: fault.text },
        })
    }

    /// `public` is the line of a public key or certificate, or empty.
    fn run(&self, link: &mut Link, public: &str, watch: &Watch<'_>) -> Result<Tried, SshError> {
        let login = link.drive_faults(watch, |session, _| {
            session.login_key(
                self.user,
                public.as_bytes(),
                self.file,
                self.passphrase.as_c_str(),
            )
        })?;
        match login {
            Ok(()) => Ok(Tried::In),
            Err(fault) if fault.is_unasked() => Ok(Tried::Unasked),
            Err(fault) if fault.kind == FaultKind::Denied => Ok(Tried::Refused),
            Err(fault) if fault.kind == FaultKind::Key => Err(self.bad_key(fault)),
            Err(fault) => Err(explain(watch.phase, &fault)),
        }
    }
}

fn by_password(
    link: &mut Link,
    with: &Credentials<'_>,
    watch: &Watch<'_>,
) -> Result<Tried, SshError> {
    let password = with.password.unwrap_or_default();
    let result = link.drive_faults(watch, |session, _| {
        session.login_password(with.user, password)
    })?;
    outcome(result, watch)
}

/// What the host asks, and what is named for it.
fn by_questions(
    link: &mut Link,
    with: &Credentials<'_>,
    trouble: &mut Option<SshError>,
    watch: &Watch<'_>,
) -> Result<Tried, SshError> {
    let answers = Answers::new(with.password, with.prompts, Some((with.asking)()));
    link.session().wire().set_answers(Some(answers));
    let result = link.drive(watch, |session| {
        let step = session.login_interactive(with.user);
        match step.is_pending() && session.wire().gave_up() {
            // What the host says to empty answers, after its usual pause, is known.
            true => Poll::Ready(Ok(None)),
            false => step.map(|result| Ok(Some(result))),
        }
    });
    let answers = link.session().wire().set_answers(None);
    let unanswered = answers.and_then(|mut answers| answers.unanswered());
    let prompt = unanswered.map(|(question, why)| SshError::Prompt { question, why });
    let Some(result) = result? else {
        return Err(prompt.unwrap_or(SshError::NoCredentials));
    };
    let result = outcome(result, watch)?;
    if let Tried::Refused = result
        && prompt.is_some()
    {
        *trouble = prompt;
    }
    Ok(result)
}

fn outcome(result: Result<(), Fault>, watch: &Watch<'_>) -> Result<Tried, SshError> {
    match result {
        Ok(()) => Ok(Tried::In),
        Err(fault) if fault.kind == FaultKind::Denied => Ok(Tried::Refused),
        Err(fault) => Err(explain(watch.phase, &fault)),
    }
}
