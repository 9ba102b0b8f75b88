//! Answers to what a host asks at a login (RFC 4256), each for the question it was named for.
//!
//! Owns which answer goes to which question: a named one to a question that its glob takes,
//! once; the password to a hidden question that asks for a password by its words; to any other
//! question nothing. What was left unanswered is kept for the operator. Called by
//! [`crate::ssh::login::auth`], and during the login by [`crate::ssh::libssh2`].

use zeroize::Zeroizing;

use crate::config::Prompt;

/// Longest question that is looked at, in bytes: what a host says is bounded here.
const QUESTION_MAX: usize = 1024;

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

/// What may be answered at one login. Wiped when dropped.
#[derive(Default)]
pub(crate) struct Answers {
    password: Option<Zeroizing<Vec<u8>>>,
    named: Vec<Named>,
    unanswered: Option<String>,
}

struct Named {
    prompt: Prompt,
    given: bool,
}

impl Answers {
    pub(crate) fn new(password: Option<&[u8]>, prompts: &[Prompt]) -> Self {
        let named = prompts.iter().map(|prompt| Named {
            prompt: prompt.clone(),
            given: false,
        });
        Self {
            password: password.map(|password| Zeroizing::new(password.to_vec())),
            named: named.collect(),
            unanswered: None,
        }
    }

    /// The answer to this question; none if nothing was named for it, or was given before.
    pub(crate) fn answer(&mut self, question: &[u8], hidden: bool) -> Option<Zeroizing<Vec<u8>>> {
        let bounded = question.get(..QUESTION_MAX).unwrap_or(question);
        let text = String::from_utf8_lossy(bounded);
        let text = text.trim();
        let found = self
            .named
            .iter_mut()
            .find(|named| !named.given && named.prompt.text.matches(text));
        if let Some(named) = found {
            named.given = true;
            return Some(Zeroizing::new(named.prompt.secret.expose().to_vec()));
        }
        if hidden
            && asks_for_password(text)
            && let Some(password) = self.password.take()
        {
            return Some(password);
        }
        self.unanswered.get_or_insert_with(|| text.to_owned());
        None
    }

    /// The first question that had no answer.
    pub(crate) fn unanswered(&mut self) -> Option<String> {
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
    use std::sync::Arc;

    use super::*;
    use crate::config::Secret;
    use crate::policy::rule::glob::Glob;

    fn prompt(text: &str, secret: &str) -> Prompt {
        Prompt {
            text: Glob::parse(text).unwrap(),
            secret: Arc::new(Secret::new(Zeroizing::new(secret.as_bytes().to_vec()))),
        }
    }

    #[test]
    fn each_answer_goes_to_its_question_once() {
        let prompts = [prompt("*code*", "123456"), prompt("Token for ?", "tok")];
        let mut answers = Answers::new(Some(b"word"), &prompts);
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
        assert_eq!(answers.unanswered().as_deref(), Some("Favourite colour:"));
    }
}
