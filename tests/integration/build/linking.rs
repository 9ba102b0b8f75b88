//! Promise: the program is one file that needs no library, and lies where the kernel puts it.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::fs;

/// ELF (gABI, "Object Files" and "Program Loading"): what is position-independent is of the
/// kind DYN, and what needs a loader has a segment INTERP.
#[test]
fn the_program_is_static_and_lies_anywhere() {
    const DYN: usize = 3;
    const INTERP: usize = 3;
    let program = fs::read(env!("CARGO_BIN_EXE_mcp-ssh-orchestrator")).unwrap();
    let number = |at: usize, bytes: usize| -> usize {
        let field = program.get(at..at + bytes).unwrap().iter().rev();
        field.fold(0, |sum, byte| sum << 8 | usize::from(*byte))
    };
    assert_eq!(
        program.get(..6).unwrap(),
        b"\x7fELF\x02\x01",
        "64 bits, little"
    );
    assert_eq!(number(16, 2), DYN, "it lies at a fixed address");
    let (table, entry, entries) = (number(32, 8), number(54, 2), number(56, 2));
    assert!(entries > 3, "{entries}");
    for segment in 0..entries {
        let kind = number(table + segment * entry, 4);
        assert_ne!(kind, INTERP, "it needs a loader");
    }
}
