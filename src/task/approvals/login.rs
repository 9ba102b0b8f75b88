//! What a host asks at a login, typed by the operator while the login waits.
//!
//! Owns the two forms, which lie where those of approvals do, and the server's side. The answer
//! is encrypted for a key that is made for this one question and dies with it (HPKE), bound to
//! host, user and question: what lies in `grants` for a moment is of use to nobody else, also
//! later. Whose it is proves who typed it, as for approvals. Refuses an answer for another
//! question, and keeps none. Asked by [`crate::ssh`] during a login; answered by
//! [`crate::task::approvals::counter`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::audit::{Audit, Record, Ts};
use crate::model::security_event::{EventValue, SecurityEvent};
use crate::model::text::hex;
use crate::ssh::hpke::{Opener, seal};
use crate::ssh::{Operator, Question, Unanswered};
use crate::task::approvals::desk::Desk;
use crate::task::approvals::{Forgery, SKEW};

/// What the names of both kinds of files end with.
pub(crate) const SUFFIX: &str = ".login";
/// What the encryption is for (RFC 9180 section 5.1, info).
const INFO: &[u8] = b"mcp-ssh-orchestrator: an answer at a login, 1";
/// How often the answer is looked for.
const LOOK: Duration = Duration::from_millis(200);
/// Bytes of the key that make the name of a question.
const ID: usize = 8;

/// A question, as the server puts it. Nothing in it is believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoginQuestion {
    pub(crate) id: String,
    /// Moments in microseconds.
    pub(crate) asked: u64,
    pub(crate) until: u64,
    pub(crate) alias: String,
    pub(crate) user: String,
    /// In the host's words.
    pub(crate) question: String,
    /// The host wants the answer not to be shown.
    pub(crate) hidden: bool,
    /// What the answer is encrypted for, in base64.
    pub(crate) key: String,
    /// Who started the server.
    pub(crate) os_user: String,
}

/// The operator's answer to one question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Typed {
    pub(crate) id: String,
    /// When it was written, and until when it counts, in microseconds.
    pub(crate) at: u64,
    pub(crate) until: u64,
    /// In base64. None: the operator will not say.
    pub(crate) sealed: Option<String>,
}

impl LoginQuestion {
    fn new(question: &Question<'_>, key: &[u8], os_user: Option<String>) -> Self {
        let asked = Ts::now().micros();
        let wait = u64::try_from(question.wait.as_micros()).unwrap_or(u64::MAX);
        Self {
            id: hex(key.get(..ID).unwrap_or(key)),
            asked,
            until: asked.saturating_add(wait),
            alias: question.alias.to_string(),
            user: question.user.to_owned(),
            question: question.text.to_owned(),
            hidden: question.hidden,
            key: STANDARD.encode(key),
            os_user: os_user.unwrap_or_default(),
        }
    }

    /// What an answer is bound to, each part with its length before it.
    fn bound(&self) -> Vec<u8> {
        let parts = [&self.id, &self.alias, &self.user, &self.question, &self.key];
        parts.iter().fold(Vec::new(), |mut all, part| {
            all.extend_from_slice(format!("{}:{part}", part.len()).as_bytes());
            all
        })
    }

    /// The operator's answer to what this shows; none: they will not say. `None` if it cannot
    /// be encrypted: the key is none, or the text is empty or too long.
    pub(crate) fn answered(&self, text: Option<&[u8]>) -> Option<Typed> {
        let sealed = match text {
            None => None,
            Some(text) => {
                let key = STANDARD.decode(&self.key).ok()?;
                Some(STANDARD.encode(seal(&key, text, INFO, &self.bound())?))
            }
        };
        Some(Typed {
            id: self.id.clone(),
            at: Ts::now().micros(),
            until: self.until,
            sealed,
        })
    }

    /// What was typed, if it is the answer to this very question.
    fn open(&self, typed: &Typed, with: &Opener) -> Result<Zeroizing<Vec<u8>>, Unanswered> {
        let forged = |forgery: Forgery| Unanswered::Unusable(forgery.as_str().to_owned());
        let now = Ts::now().micros();
        if typed.id != self.id || typed.at < self.asked {
            return Err(forged(Forgery::Replayed));
        }
        if now > self.until || typed.at > now.saturating_add(SKEW) {
            return Err(forged(Forgery::Expired));
        }
        let sealed = typed.sealed.as_ref().ok_or(Unanswered::Declined)?;
        let sealed = STANDARD.decode(sealed).unwrap_or_default();
        let opened = with.open(&sealed, INFO, &self.bound());
        opened.ok_or_else(|| forged(Forgery::Replayed))
    }
}

/// Asks at the desk of approvals.
pub(crate) struct AtDesk {
    pub(crate) desk: Arc<Desk>,
    pub(crate) audit: Audit,
}

impl Operator for AtDesk {
    fn ask(
        &self,
        question: &Question<'_>,
        given_up: &dyn Fn() -> bool,
    ) -> Result<Zeroizing<Vec<u8>>, Unanswered> {
        let begun = Instant::now();
        let answer = self.wait(question, given_up);
        let outcome = match &answer {
            Ok(_) => "answered",
            Err(Unanswered::Declined) => "declined",
            Err(Unanswered::Silent(_)) if given_up() => "cancelled",
            Err(Unanswered::Silent(_)) => "timeout",
            Err(_) => "unusable",
        };
        let text = |text: &str| EventValue::Text(text.to_owned());
        let elapsed = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.audit.emit(Record::security(SecurityEvent {
            event_type: "login_question",
            extra: vec![
                ("alias", text(question.alias.as_str())),
                ("outcome", text(outcome)),
                ("elapsed_ms", EventValue::Number(elapsed)),
            ],
            ..SecurityEvent::default()
        }));
        answer
    }
}

impl AtDesk {
    fn wait(
        &self,
        question: &Question<'_>,
        given_up: &dyn Fn() -> bool,
    ) -> Result<Zeroizing<Vec<u8>>, Unanswered> {
        let unusable = |why: &str| Unanswered::Unusable(why.to_owned());
        self.desk.trusted().map_err(Unanswered::Unusable)?;
        let opener = Opener::new().ok_or_else(|| unusable("OpenSSL makes no key"))?;
        let form = LoginQuestion::new(question, opener.public(), self.audit.os_user());
        let bytes =
            serde_json::to_vec_pretty(&form).map_err(|error| unusable(&error.to_string()))?;
        let name = format!("{}{SUFFIX}", form.id);
        // Taken away when this returns, however it does.
        let _there = self.desk.put(&name, &bytes).map_err(Unanswered::Unusable)?;
        let until = Instant::now() + question.wait;
        loop {
            let granted = self.desk.granted(&name);
            if let Some((bytes, _)) = granted.map_err(|forgery| unusable(forgery.as_str()))? {
                let typed = serde_json::from_slice(&bytes);
                let typed = typed.map_err(|_| unusable(Forgery::Malformed.as_str()))?;
                return form.open(&typed, &opener);
            }
            if given_up() || Instant::now() >= until {
                return Err(Unanswered::Silent(question.wait.as_secs()));
            }
            std::thread::sleep(LOOK);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::names::HostAlias;

    #[test]
    fn an_answer_is_good_for_its_own_question_alone() {
        let opener = Opener::new().unwrap();
        let ask = |alias: &str, text: &str| {
            let question = Question {
                alias: &HostAlias::parse(alias).unwrap(),
                user: "ops",
                text,
                hidden: true,
                wait: Duration::from_secs(60),
            };
            LoginQuestion::new(&question, opener.public(), None)
        };
        let asked = ask("web1", "Code: ");
        let typed = asked.answered(Some(b"123456")).unwrap();
        let opened = asked.open(&typed, &opener).unwrap();
        assert_eq!(&**opened, b"123456");
        let shown = serde_json::to_string(&typed).unwrap();
        assert!(!shown.contains("123456") && !shown.contains(&STANDARD.encode("123456")));
        for other in [ask("web2", "Code: "), ask("web1", "Password: ")] {
            let mut typed = typed.clone();
            typed.at = u64::MAX / 2;
            assert!(other.open(&typed, &opener).is_err());
            typed.at = Ts::now().micros();
            assert!(matches!(
                other.open(&typed, &opener),
                Err(Unanswered::Unusable(_))
            ));
        }
        let another = Opener::new().unwrap();
        assert!(asked.open(&typed, &another).is_err());
        let declined = asked.answered(None).unwrap();
        let opened = asked.open(&declined, &opener);
        assert!(matches!(opened, Err(Unanswered::Declined)));
        let mut late = asked.clone();
        late.until = 7;
        assert!(late.open(&typed, &opener).is_err());
        assert!(asked.answered(Some(b"")).is_none());
    }
}
