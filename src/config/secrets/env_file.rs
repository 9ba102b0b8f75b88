//! `secrets/.env`: one secret a line, `NAME=value`.
//!
//! Owns its grammar, which is the Python loader's: blank lines and lines that begin with
//! `#` are comments, everything after the first `=` is the value, blanks around name and
//! value are cut off, a pair of quotes around the whole value too. No escapes, no
//! variables, no `export`. A line that can't name a secret is reported by its number;
//! no message repeats any of it. Called by `load`.

use std::collections::BTreeMap;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::config::secrets::value::{Secret, SecretName};

/// The file's name in the secrets directory.
pub(crate) const NAME: &str = ".env";
/// Largest accepted file, in bytes.
pub(crate) const ENV_FILE_MAX: u64 = 100 * 1024;

/// The values of the file; wiped when dropped.
#[derive(Default)]
pub struct EnvFile {
    values: BTreeMap<String, Arc<Secret>>,
}

/// What is odd about a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineFault {
    NoEquals,
    /// The name is none that a secret can have.
    Name,
    /// The name was there before; this line counts.
    Again,
}

impl LineFault {
    pub fn text(self) -> &'static str {
        match self {
            Self::NoEquals => "has no '=', so it is skipped",
            Self::Name => "names what no secret can be called (A-Z a-z 0-9 - _, no 'export')",
            Self::Again => "gives a name a second value, and the last one counts",
        }
    }
}

impl EnvFile {
    /// Reads the file's lines; with each odd line its number, counted from 1.
    ///
    /// # Errors
    /// The number of the first line that isn't UTF-8.
    pub fn parse(bytes: &[u8]) -> Result<(Self, Vec<(usize, LineFault)>), usize> {
        let mut file = Self::default();
        let mut faults = Vec::new();
        // What editors of other systems put before the first line.
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let number = index + 1;
            let line = std::str::from_utf8(line).map_err(|_| number)?.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((name, value)) = line.split_once('=') else {
                faults.push((number, LineFault::NoEquals));
                continue;
            };
            let name = name.trim();
            if SecretName::parse(name).is_err() {
                faults.push((number, LineFault::Name));
                continue;
            }
            let value = unquoted(value.trim()).as_bytes().to_vec();
            let secret = Arc::new(Secret::new(Zeroizing::new(value)));
            if file.values.insert(name.to_owned(), secret).is_some() {
                faults.push((number, LineFault::Again));
            }
        }
        Ok((file, faults))
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// The value of exactly this name; an empty one counts as none.
    pub fn value(&self, name: &str) -> Option<Arc<Secret>> {
        let value = self.values.get(name)?;
        (!value.expose().is_empty()).then(|| Arc::clone(value))
    }
}

fn unquoted(value: &str) -> &str {
    ['"', '\'']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_the_python_loader_did() {
        let text = b"\xef\xbb\xbfZ=0\n# note\n\nA=1\nB=\"two words\"\n C = 'x=y' \nD=\"\nE=\r\nF\nexport G=1\nA=2\n";
        let (file, faults) = EnvFile::parse(text).unwrap();
        let text = |name| {
            file.value(name)
                .map(|secret| String::from_utf8(secret.expose().to_vec()).unwrap())
        };
        assert_eq!(text("Z").unwrap(), "0");
        assert_eq!(text("A").unwrap(), "2");
        assert_eq!(text("B").unwrap(), "two words");
        assert_eq!(text("C").unwrap(), "x=y");
        assert_eq!(text("D").unwrap(), "\"");
        assert_eq!(text("E"), None);
        assert_eq!(
            file.names().collect::<Vec<_>>(),
            ["A", "B", "C", "D", "E", "Z"]
        );
        assert_eq!(
            faults,
            [
                (9, LineFault::NoEquals),
                (10, LineFault::Name),
                (11, LineFault::Again)
            ]
        );
        assert_eq!(EnvFile::parse(b"A=1\nB=\xff\n").err(), Some(2));
    }
}
