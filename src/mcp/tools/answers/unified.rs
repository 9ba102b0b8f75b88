//! The differences of two texts in unified form (POSIX `diff -u`), within bounds.
//!
//! Owns the comparison by lines (Myers, 1986) and its form: a minimal one where few lines
//! differ, else one that takes the whole middle away and puts the other in its place, which is
//! as right and longer. Reads nothing. Called by the answer of `ssh_diff_file`.

use std::collections::HashMap;
use std::ops::Range;

/// Lines around a difference.
const CONTEXT: usize = 3;
/// Most lines that differ in a minimal comparison: the work and the memory grow with it.
const DIFFERENT_MAX: usize = 600;
/// Most lines of a text: each is held by some 40 bytes.
pub(crate) const LINES_MAX: usize = 50_000;
/// Longest line that is shown whole, in characters.
const LINE_MAX: usize = 2_000;

/// Two texts compared.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unified {
    /// Hunks, each line with its end.
    pub(crate) text: String,
    pub(crate) added: usize,
    pub(crate) removed: usize,
    /// Lines of the hunks that found no room.
    pub(crate) omitted: usize,
}

/// Lines that are one's alone and those of the other in their place.
struct Change {
    from: Range<usize>,
    to: Range<usize>,
}

/// The differences in at most about so many characters.
pub(crate) fn unified(from: &str, to: &str, chars: usize) -> Unified {
    let from: Vec<&str> = from.split_inclusive('\n').collect();
    let to: Vec<&str> = to.split_inclusive('\n').collect();
    let changes = changes(&from, &to);
    let mut diff = Unified {
        text: String::new(),
        added: changes.iter().map(|change| change.to.len()).sum(),
        removed: changes.iter().map(|change| change.from.len()).sum(),
        omitted: 0,
    };
    let mut room = chars;
    let mut say = |mark: &str, line: &str| {
        let (line, ended) = match line.strip_suffix('\n') {
            Some(line) => (line, true),
            None => (line, false),
        };
        let length = line.chars().count();
        let mut said = match length > LINE_MAX {
            true => {
                let head: String = line.chars().take(LINE_MAX).collect();
                format!("{mark}{head}[… {} characters]\n", length - LINE_MAX)
            }
            false => format!("{mark}{line}\n"),
        };
        if !ended && mark != "@@" {
            said.push_str("\\ No newline at end of file\n");
        }
        // From the first that does not fit on, nothing: no hole is taken for a whole.
        match room
            .checked_sub(said.chars().count())
            .filter(|_| diff.omitted == 0)
        {
            Some(left) => {
                room = left;
                diff.text.push_str(&said);
            }
            None => diff.omitted += 1,
        }
    };
    for hunk in hunks(&changes) {
        let (Some(first), Some(last)) = (hunk.first(), hunk.last()) else {
            continue;
        };
        let lead = first.from.start.min(CONTEXT).min(first.to.start);
        let start = (first.from.start - lead, first.to.start - lead);
        let end = (
            from.len().min(last.from.end.saturating_add(CONTEXT)),
            to.len().min(last.to.end.saturating_add(CONTEXT)),
        );
        let place = |start: usize, end: usize| match end - start {
            0 => format!("{start},0"),
            1 => format!("{}", start + 1),
            count => format!("{},{count}", start + 1),
        };
        let head = format!(" -{} +{} @@", place(start.0, end.0), place(start.1, end.1));
        say("@@", &head);
        let mut at = start.0;
        for change in hunk {
            let kept = from.get(at..change.from.start).unwrap_or_default();
            kept.iter().for_each(|line| say(" ", line));
            let gone = from.get(change.from.clone()).unwrap_or_default();
            gone.iter().for_each(|line| say("-", line));
            let new = to.get(change.to.clone()).unwrap_or_default();
            new.iter().for_each(|line| say("+", line));
            at = change.from.end;
        }
        let kept = from.get(at..end.0).unwrap_or_default();
        kept.iter().for_each(|line| say(" ", line));
    }
    diff
}

/// Changes that share lines around them stand together.
fn hunks(changes: &[Change]) -> impl Iterator<Item = &[Change]> {
    changes.chunk_by(|one, next| next.from.start - one.from.end <= 2 * CONTEXT)
}

/// What differs, in order.
fn changes<'a>(from: &[&'a str], to: &[&'a str]) -> Vec<Change> {
    // Equal lines get equal numbers: they are compared often.
    let mut numbers: HashMap<&'a str, usize> = HashMap::new();
    let mut numbered = |lines: &[&'a str]| -> Vec<usize> {
        let number = |line: &&'a str| {
            let next = numbers.len();
            *numbers.entry(line).or_insert(next)
        };
        lines.iter().map(number).collect()
    };
    let (a, b) = (numbered(from), numbered(to));
    let same = |pair: &(&usize, &usize)| pair.0 == pair.1;
    let head = a.iter().zip(&b).take_while(same).count();
    let rest = a.len().min(b.len()) - head;
    let ends = a.iter().rev().zip(b.iter().rev());
    let tail = ends.take(rest).take_while(same).count();
    let middle = (head..a.len() - tail, head..b.len() - tail);
    let (mine, other) = (
        a.get(middle.0.clone()).unwrap_or_default(),
        b.get(middle.1.clone()).unwrap_or_default(),
    );
    if mine.is_empty() && other.is_empty() {
        return Vec::new();
    }
    let Some(kept) = kept(mine, other) else {
        return vec![Change {
            from: middle.0,
            to: middle.1,
        }];
    };
    // What lies between two lines that both have.
    let mut changes = Vec::new();
    let mut at = (0, 0);
    for (x, y) in kept.into_iter().chain([(mine.len(), other.len())]) {
        if (x, y) != at {
            changes.push(Change {
                from: head + at.0..head + x,
                to: head + at.1..head + y,
            });
        }
        at = (x + 1, y + 1);
    }
    changes
}

/// Pairs of places of the lines that both keep, in order; nothing where too many differ.
fn kept(a: &[usize], b: &[usize]) -> Option<Vec<(usize, usize)>> {
    let most = (a.len() + b.len()).min(DIFFERENT_MAX);
    // For each number of differences the farthest place in `a` on each diagonal, -d to d.
    let mut reached: Vec<Vec<usize>> = Vec::new();
    for d in 0..=most {
        let mut row = vec![0; 2 * d + 1];
        for step in 0..=d {
            // The diagonal is 2 * step - d; its place in the row is 2 * step.
            let start = match reached.last() {
                None => 0,
                Some(last) => {
                    // In the row before, places are one less: its diagonals are -d+1 to d-1.
                    let below = last.get((2 * step).wrapping_sub(2)).map(|x| x + 1);
                    let above = last.get(2 * step).copied();
                    // A removal first, as `diff` has it, where both reach as far.
                    match (below, above) {
                        (Some(below), Some(above)) => below.max(above),
                        (one, other) => one.or(other).unwrap_or_default(),
                    }
                }
            };
            let mut x = start;
            while let Some(y) = (x + d).checked_sub(2 * step) {
                match (a.get(x), b.get(y)) {
                    (Some(one), Some(other)) if one == other => x += 1,
                    _ => break,
                }
            }
            if let Some(place) = row.get_mut(2 * step) {
                *place = x;
            }
            if x >= a.len() && (x + d).checked_sub(2 * step).is_some_and(|y| y >= b.len()) {
                reached.push(row);
                return Some(back(&reached, d, step, a.len()));
            }
        }
        reached.push(row);
    }
    None
}

/// The way back from the end: the places that were kept.
fn back(
    reached: &[Vec<usize>],
    mut d: usize,
    mut step: usize,
    mut x: usize,
) -> Vec<(usize, usize)> {
    let mut kept = Vec::new();
    loop {
        let last = d.checked_sub(1).and_then(|before| reached.get(before));
        let below = last.and_then(|row| row.get((2 * step).wrapping_sub(2)));
        let above = last.and_then(|row| row.get(2 * step)).copied();
        let (start, removal) = match (below.map(|x| x + 1), above) {
            (Some(below), Some(above)) => (below.max(above), below >= above),
            (Some(below), None) => (below, true),
            (None, above) => (above.unwrap_or_default(), false),
        };
        while x > start {
            x -= 1;
            kept.push((x, (x + d).saturating_sub(2 * step)));
        }
        if d == 0 {
            break;
        }
        if removal {
            x = x.saturating_sub(1);
            step = step.saturating_sub(1);
        }
        d -= 1;
    }
    kept.reverse();
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(from: &str, to: &str) -> Unified {
        unified(from, to, usize::MAX)
    }

    /// As `patch` would: what the hunks make of `from`.
    fn patched(from: &str, diff: &str) -> String {
        let lines: Vec<&str> = from.split_inclusive('\n').collect();
        let (mut out, mut at) = (String::new(), 0);
        let mut said = diff.split_inclusive('\n').peekable();
        while let Some(line) = said.next() {
            if let Some(head) = line.strip_prefix("@@ -") {
                let place = head.split([' ', ',']).next().unwrap();
                let zero = head.split(' ').next().unwrap().ends_with(",0");
                let start = place.parse::<usize>().unwrap() - usize::from(!zero);
                out.push_str(&lines[at..start].concat());
                at = start;
                continue;
            }
            let (mark, text) = line.split_at(1);
            let bare = said.next_if(|next| next.starts_with('\\')).is_some();
            let text = if bare {
                text.trim_end_matches('\n')
            } else {
                text
            };
            if mark != "+" {
                assert_eq!(lines[at], text);
                at += 1;
            }
            if mark != "-" {
                out.push_str(text);
            }
        }
        out + &lines[at..].concat()
    }

    #[test]
    fn the_form_is_that_of_diff_u() {
        let diff = whole("a\nb\nc\nd\ne\nf\n", "a\nb\nc\nX\ne\nf");
        assert_eq!(
            diff.text,
            "@@ -1,6 +1,6 @@\n a\n b\n c\n-d\n+X\n e\n-f\n+f\n\\ No newline at end of file\n"
        );
        assert_eq!((diff.added, diff.removed, diff.omitted), (2, 2, 0));
        assert_eq!(whole("", "a\n").text, "@@ -0,0 +1 @@\n+a\n");
        assert_eq!(whole("a\n", "").text, "@@ -1 +0,0 @@\n-a\n");
        assert_eq!(whole("same\n", "same\n").text, "");
    }

    #[test]
    fn what_it_says_makes_one_of_the_other() {
        // A fixed sequence (Knuth's MMIX generator): every run has the same texts.
        let mut state = 7_u64;
        let mut next = move |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for round in 0..400 {
            let mut text = |lines: u64| -> String {
                let mut text: String = (0..next(lines)).map(|_| format!("{}\n", next(4))).collect();
                if next(3) == 0 {
                    text.pop();
                }
                text
            };
            let most = if round < 300 { 12 } else { 900 };
            let (from, to) = (text(most), text(most));
            let diff = whole(&from, &to);
            assert_eq!(
                patched(&from, &diff.text),
                to,
                "{from:?} {to:?}\n{}",
                diff.text
            );
            assert_eq!(diff.text.is_empty(), from == to);
        }
    }

    #[test]
    fn it_is_minimal_where_little_differs_and_cut_at_its_bound() {
        let from: String = (0..5_000).map(|n| format!("{n}\n")).collect();
        let to = from
            .replace("\n100\n", "\n")
            .replace("\n4000\n", "\nx\n4000\n");
        let diff = whole(&from, &to);
        assert_eq!((diff.added, diff.removed), (1, 1));
        let cut = unified(&from, &to, 30);
        assert!(cut.text.chars().count() <= 30 && cut.omitted > 0, "{cut:?}");
        // Too much differs for a minimal one: still right.
        let other: String = (0..5_000).map(|n| format!("y{n}\n")).collect();
        let diff = whole(&from, &other);
        assert_eq!((diff.added, diff.removed), (5_000, 5_000));
        assert_eq!(patched(&from, &diff.text), other);
    }
}
