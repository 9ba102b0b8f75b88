//! Answers to what a host asks at a login (RFC 4256), each for the question it was named for.
//!
//! Owns which answer goes to which question: a named one to a question that its glob takes,
//! once; the password to a hidden question that asks for a password by its words; to any other
//! question nothing. One that a person is to type is asked of them while the host waits. What
//! was left unanswered is kept for the operator. Called by [`crate::ssh::login::auth`], and
//! during the login by [`crate::ssh::libssh2`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::config::{AnsweredBy, Prompt};
use crate::model::names::HostAlias;
use crate::ssh::unanswered::Unanswered;

/// Longest question that is looked at, in bytes: what a host says is bounded here.
const QUESTION_MAX: usize = 1024;

/// How long a person is waited for, at most.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// What is left of a run's time when nobody is waited for any more, so that the end says why.
const SPARE: Duration = Duration::from_secs(1);

/// How a question for the password names it, in small letters.
const PASSWORD: &[&str] = &[
    "password",
    "passwort",
    "mot de passe",
    "contraseña",
    "senha",
    "wachtwoord",
    "hasło",
    "lösenord",
    "пароль",
    "密码",
    "密碼",
    "パスワード",
    "암호",
];

/// What a question for something else says beside it.
const OTHER: &[&str] = &[
    "one-time", "one time", "otp", "oath", "code", "token", "new ",
];

/// Whoever can ask a person.
pub(crate) trait Operator: Send + Sync {
    /// What the person typed. Waits, until `given_up` says so.
    ///
    /// # Errors
    /// Nobody could be asked, or they would not say.
    fn ask(
        &self,
        question: &Question<'_>,
        given_up: &dyn Fn() -> bool,
    ) -> Result<Zeroizing<Vec<u8>>, Unanswered>;
}

/// What a person is asked.
pub(crate) struct Question<'a> {
    pub(crate) alias: &'a HostAlias,
    pub(crate) user: &'a str,
    /// In the host's words, bounded.
    pub(crate) text: &'a str,
    /// The host wants the answer not to be shown.
    pub(crate) hidden: bool,
    /// How long it is waited for.
    pub(crate) wait: Duration,
}

/// How a person is asked at this login.
pub(crate) struct Asking {
    /// None where the server has no way to.
    pub(crate) operator: Option<Arc<dyn Operator>>,
    pub(crate) alias: HostAlias,
    pub(crate) user: String,
    /// When the run's time is up, if ever.
    pub(crate) until: Option<Instant>,
    /// Whether nobody waits for the login any more.
    pub(crate) given_up: Box<dyn Fn() -> bool + Send>,
}

impl Asking {
    fn ask(&self, text: &str, hidden: bool) -> Result<Zeroizing<Vec<u8>>, Unanswered> {
        let operator = self.operator.as_ref().ok_or(Unanswered::NoDesk)?;
        let left = self.until.map_or(PATIENCE, |until| {
            until.saturating_duration_since(Instant::now())
        });
        let question = Question {
            alias: &self.alias,
            user: &self.user,
            text,
            hidden,
            wait: left.saturating_sub(SPARE).min(PATIENCE),
        };
        operator.ask(&question, &*self.given_up)
    }
}

/// What may be answered at one login. Wiped when dropped.
#[derive(Default)]
pub(crate) struct Answers {
    password: Option<Zeroizing<Vec<u8>>>,
    named: Vec<Named>,
    asking: Option<Asking>,
    unanswered: Option<(String, Unanswered)>,
}

struct Named {
    prompt: Prompt,
    given: bool,
}

impl Answers {
    pub(crate) fn new(password: Option<&[u8]>, prompts: &[Prompt], asking: Option<Asking>) -> Self {
        let named = prompts.iter().map(|prompt| Named {
            prompt: prompt.clone(),
            given: false,
        });
        Self {
            password: password.map(|password| Zeroizing::new(password.to_vec())),
            named: named.collect(),
            asking,
            unanswered: None,
        }
    }

    /// The answer to this question; none if nothing was named for it, or was given before. May
    /// wait for a person.
    pub(crate) fn answer(&mut self, question: &[u8], hidden: bool) -> Option<Zeroizing<Vec<u8>>> {
        let bounded = question.get(..QUESTION_MAX).unwrap_or(question);
        let text = String::from_utf8_lossy(bounded);
        let text = text.trim();
        // Who was not answered once is not kept waiting for more.
        if self.gave_up() {
            return None;
        }
        let found = self
            .named
            .iter_mut()
            .find(|named| !named.given && named.prompt.text.matches(text));
        if let Some(named) = found {
            named.given = true;
            let asked = match (&named.prompt.by, &self.asking) {
                (AnsweredBy::Secret(secret), _) => {
                    return Some(Zeroizing::new(secret.expose().to_vec()));
                }
                (AnsweredBy::Operator, Some(asking)) => asking.ask(text, hidden),
                (AnsweredBy::Operator, None) => Err(Unanswered::NoDesk),
            };
            return asked
                .inspect_err(|why| self.unanswered = Some((text.to_owned(), why.clone())))
                .ok();
        }
        if hidden
            && asks_for_password(text)
            && let Some(password) = self.password.take()
        {
            return Some(password);
        }
        self.unanswered
            .get_or_insert_with(|| (text.to_owned(), Unanswered::NoEntry));
        None
    }

    /// Whether a person was asked, and did not answer: the login cannot succeed.
    pub(crate) fn gave_up(&self) -> bool {
        matches!(&self.unanswered, Some((_, why)) if *why != Unanswered::NoEntry)
    }

    /// The first question that had no answer, and why.
    pub(crate) fn unanswered(&mut self) -> Option<(String, Unanswered)> {
        self.unanswered.take()
    }
}

fn asks_for_password(text: &str) -> bool {
    let text = text.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    says(PASSWORD) && !says(OTHER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;
    use crate::policy::rule::glob::Glob;

    fn prompt(text: &str, secret: &str) -> Prompt {
        Prompt {
            text: Glob::parse(text).unwrap(),
            by: AnsweredBy::Secret(Arc::new(Secret::new(Zeroizing::new(
                secret.as_bytes().to_vec(),
            )))),
        }
    }

    #[test]
    fn each_answer_goes_to_its_question_once() {
        let prompts = [prompt("*code*", "123456"), prompt("Token for ?", "tok")];
        let mut answers = Answers::new(Some(b"word"), &prompts, None);
        let mut ask = |question: &str, hidden| {
            let answer = answers.answer(question.as_bytes(), hidden);
            answer.map(|answer| String::from_utf8(answer.to_vec()).unwrap())
        };
        assert_eq!(ask("Favourite colour: ", true), None);
        assert_eq!(ask("One-time password (OATH) for `ops': ", true), None);
        assert_eq!(ask("New password: ", true), None);
        assert_eq!(ask("Password: ", false), None);
        assert_eq!(ask("(ops@web1) Password: ", true).as_deref(), Some("word"));
        assert_eq!(ask("Password: ", true), None);
        assert_eq!(ask("Verification code: ", true).as_deref(), Some("123456"));
        assert_eq!(ask("Verification code: ", true), None);
        assert_eq!(ask("Token for a", false).as_deref(), Some("tok"));
        let (question, why) = answers.unanswered().unwrap();
        assert_eq!(
            (&*question, why),
            ("Favourite colour:", Unanswered::NoEntry)
        );
    }
}
