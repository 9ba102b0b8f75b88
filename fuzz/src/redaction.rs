//! Redaction: no planted secret is let through however the text is cut into pieces, and
//! what is no secret stays, byte for byte (against a naive one that sees it whole).
//!
//! Input: lengths and letters of secrets, then the text in pieces. The letters are few,
//! so that secrets overlap each other and the text, and none of them occurs in what
//! stands in a secret's place.

use mcp_ssh_orchestrator::testing::audit::{Patterns, REDACTED, Redactor, SHORTEST};

use super::dice::Dice;

const LETTERS: [&str; 4] = ["0", "1", "ä", "\n"];

pub fn run(data: &[u8]) {
    let mut dice = Dice::new(data);
    let secrets: Vec<String> = (0..dice.below(5)).map(|_| word(&mut dice, 10)).collect();
    let pieces: Vec<String> =
        std::iter::from_fn(|| (!dice.is_empty()).then(|| word(&mut dice, 24)))
            .take(64)
            .collect();
    let whole = pieces.concat();

    let patterns = Patterns::new(secrets.iter().map(String::as_bytes));
    let mut redactor = Redactor::new(&patterns);
    let mut out = String::new();
    for piece in &pieces {
        redactor.push(piece, &mut out);
    }
    redactor.finish(&mut out);

    let sought: Vec<&str> = secrets
        .iter()
        .flat_map(|secret| [secret.as_str(), secret.trim()])
        .filter(|secret| secret.len() >= SHORTEST)
        .collect();
    for secret in &sought {
        assert!(!out.contains(secret), "{secret:?} came through: {out:?}");
    }
    assert_eq!(
        out,
        naive(&whole, &sought),
        "secrets {sought:?} in pieces {pieces:?}"
    );
    let mut raw = Vec::new();
    for piece in &pieces {
        redactor.push_bytes(piece.as_bytes(), &mut raw);
    }
    redactor.finish_bytes(&mut raw);
    assert_eq!(raw, out.as_bytes(), "text and bytes differ");
    assert_eq!(
        patterns.redact(&whole).unwrap_or(whole),
        out,
        "the whole and the pieces differ"
    );
}

fn word(dice: &mut Dice<'_>, max: usize) -> String {
    (0..dice.below(max)).map(|_| *dice.pick(&LETTERS)).collect()
}

/// Every byte that some secret covers goes; a run of secrets that overlap is one place.
fn naive(text: &str, secrets: &[&str]) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for at in 0..text.len() {
        let here = secrets
            .iter()
            .filter(|secret| text.as_bytes()[at..].starts_with(secret.as_bytes()));
        let Some(longest) = here.map(|secret| secret.len()).max() else {
            continue;
        };
        match ranges.last_mut() {
            Some((_, end)) if at < *end => *end = (*end).max(at + longest),
            _ => ranges.push((at, at + longest)),
        }
    }
    let mut out = String::new();
    let mut from = 0;
    for (start, end) in ranges {
        out += &text[from..start];
        out += REDACTED;
        from = end;
    }
    out + &text[from..]
}
