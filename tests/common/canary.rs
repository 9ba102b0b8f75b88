//! Words that must never come out: each frame and log line is searched for them.

use std::sync::{Arc, Mutex};

/// Planted secrets: passwords, passphrases, the body lines of private keys.
#[derive(Clone, Default)]
pub(crate) struct Canaries(Arc<Mutex<Vec<String>>>);

impl Canaries {
    pub(crate) fn plant(&self, secret: &str) {
        assert!(
            secret.len() >= 6,
            "too short to be told from chance: {secret}"
        );
        self.0.lock().unwrap().push(secret.to_owned());
    }

    /// Plants every line of a private key that is secret enough to be told apart. The
    /// first body lines of OpenSSH's format are the same in all keys (cipher names).
    pub(crate) fn plant_key(&self, pem: &str) {
        let body: Vec<&str> = pem
            .lines()
            .filter(|line| !line.starts_with("-----"))
            .collect();
        for line in body.iter().skip(body.len() / 2) {
            if line.len() >= 24 {
                self.plant(line);
            }
        }
    }

    /// The first planted secret that `text` holds.
    pub(crate) fn found_in(&self, text: &str) -> Option<String> {
        self.0
            .lock()
            .unwrap()
            .iter()
            .find(|secret| text.contains(secret.as_str()))
            .cloned()
    }
}
