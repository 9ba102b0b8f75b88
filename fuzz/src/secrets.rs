//! Secret names and `.env`: a name that is accepted is one path component of letters,
//! digits, `-` and `_`; every value of a file that is accepted stood in it.
//!
//! Input: a name, a zero byte, the file.

use mcp_ssh_orchestrator::testing::config::secrets::env_file::EnvFile;
use mcp_ssh_orchestrator::testing::config::secrets::value::SecretName;

use super::dice::Dice;

pub fn run(data: &[u8]) {
    let mut dice = Dice::new(data);
    let name = String::from_utf8_lossy(dice.field()).into_owned();
    if let Ok(parsed) = SecretName::parse(&name) {
        let text = parsed.as_str();
        assert!((1..=100).contains(&text.len()), "{text:?}");
        assert!(
            text.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'),
            "{text:?}"
        );
        assert!(name.contains(text));
        assert_eq!(parsed.upper(), text.to_ascii_uppercase());
    }
    let bytes = dice.rest();
    let Ok((file, _)) = EnvFile::parse(bytes) else {
        return;
    };
    let whole = String::from_utf8_lossy(bytes);
    for name in file.names() {
        assert!(whole.contains(name), "{name:?} is not in the file");
        // An empty value counts as none.
        let Some(value) = file.value(name) else {
            continue;
        };
        assert!((1..=bytes.len()).contains(&value.expose().len()));
    }
}
