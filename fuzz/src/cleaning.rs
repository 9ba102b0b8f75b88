//! Output cleaning: what comes out is the same however the stream was cut into reads,
//! cannot move a cursor or turn text around, and is bounded; and redaction behind it lets
//! no secret through that the cleaned text would show.
//!
//! Input: a secret, a zero byte, two bytes that say where the stream is cut, the stream.

use mcp_ssh_orchestrator::testing::audit::{Patterns, Redactor, SHORTEST};
use mcp_ssh_orchestrator::testing::task::{Cleaner, clean};

use super::dice::Dice;

pub fn run(data: &[u8]) {
    let mut dice = Dice::new(data);
    let secret = dice.field();
    let (first, second) = (usize::from(dice.byte()), usize::from(dice.byte()));
    let stream = dice.rest();
    let whole = clean(stream);

    assert!(
        whole.len() <= 9 * stream.len().max(1),
        "{} bytes of {}",
        whole.len(),
        stream.len()
    );
    for c in whole.chars() {
        assert!(
            !c.is_control() || c == '\t' || c == '\n',
            "{c:?} came through"
        );
        assert!(!is_hidden(c), "{c:?} came through");
    }

    let one = first.min(stream.len());
    let two = (one + second).min(stream.len());
    let pieces = [&stream[..one], &stream[one..two], &stream[two..]];
    let mut cleaner = Cleaner::default();
    let mut cut = String::new();
    pieces
        .iter()
        .for_each(|piece| cleaner.push(piece, &mut cut));
    cleaner.finish(&mut cut);
    assert_eq!(cut, whole, "what comes out depends on how it came in");

    redacted(secret, &pieces);
}

/// The two as they stand behind each other in a task.
fn redacted(secret: &[u8], pieces: &[&[u8]]) {
    let Ok(secret) = std::str::from_utf8(secret) else {
        return;
    };
    let visible = |c: char| !c.is_control() && !is_hidden(c) && !"[redact]".contains(c);
    if secret.len() < SHORTEST || !secret.chars().all(visible) {
        return;
    }
    let patterns = Patterns::new([secret.as_bytes()]);
    let (mut cleaner, mut redactor) = (Cleaner::default(), Redactor::new(&patterns));
    let (mut shown, mut out) = (String::new(), String::new());
    for piece in pieces {
        cleaner.push(piece, &mut shown);
        redactor.push(&std::mem::take(&mut shown), &mut out);
    }
    cleaner.finish(&mut shown);
    redactor.push(&shown, &mut out);
    redactor.finish(&mut out);
    assert!(!out.contains(secret), "{secret:?} came through: {out:?}");
}

/// Characters that turn the direction of text or show nothing (Unicode 16, UAX 9 and the
/// format characters that browsers and terminals hide).
fn is_hidden(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}
