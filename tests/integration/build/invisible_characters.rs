//! Promise: a character that shows nothing, or that turns the text around it, is known as
//! one, whatever alphabet it comes from.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed step is a failed test"
)]

use std::path::Path;
use std::process::Command;

use mcp_ssh_orchestrator::testing::model::invisible::{BLANK_LOOKING, is_invisible};
use mcp_ssh_orchestrator::testing::task::clean;

/// The ranges that the machine's Unicode data give for a word.
fn ranges(word: &str) -> Vec<(u32, u32)> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/invisible-characters");
    let output = Command::new(&script).output().unwrap_or_else(|error| {
        panic!(
            "{}: {error}; install perl (apt-get install perl)",
            script.display()
        )
    });
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let hex = |text: &str| u32::from_str_radix(text, 16).unwrap();
    text.lines()
        .filter_map(|line| line.strip_prefix(word)?.strip_prefix(' ')?.split_once(' '))
        .map(|(first, last)| (hex(first), hex(last)))
        .collect()
}

fn within(ranges: &[(u32, u32)], c: char) -> bool {
    let code = u32::from(c);
    ranges
        .iter()
        .any(|(first, last)| (*first..=*last).contains(&code))
}

/// In both directions: nothing hidden is missing, and nothing that shows is called hidden.
#[test]
fn the_table_is_what_unicode_says() {
    let (hidden, unassigned) = (ranges("hidden"), ranges("unassigned"));
    assert!(hidden.len() > 20 && unassigned.len() > 500);
    for c in ('\u{80}'..=char::MAX).filter(|c| within(&hidden, *c)) {
        assert!(is_invisible(c), "U+{:04X} is missing", u32::from(c));
    }
    for c in ('\u{80}'..=char::MAX).filter(|c| is_invisible(*c)) {
        let known = within(&hidden, c) || within(BLANK_LOOKING, c) || within(&unassigned, c);
        assert!(known, "U+{:04X} has no such property", u32::from(c));
    }
}

#[test]
fn output_shows_each_of_them() {
    for c in ('\u{80}'..=char::MAX).filter(|c| is_invisible(*c)) {
        let shown = format!("a\\u{{{:x}}}b", u32::from(c));
        assert_eq!(clean(format!("a{c}b").as_bytes()), shown);
    }
}
