//! How much of an output one answer shows: its beginning and its end, by lines.
//!
//! Owns what is left out where an output is longer than its room, and how many outputs
//! share one room. Knows neither tasks nor frames, and puts nothing into words: who shows
//! an excerpt says how the rest is read. Called by [`crate::task::tag::report`] and by the
//! answers of the tools.
//!
//! The share of each is the same, and what one does not use goes to the others: the
//! largest level such that all outputs, cut at that level, fit. More outputs never raise
//! the level, so what is cut while results still come in would have been cut at the end
//! as well.

/// Longest line that is shown whole, in characters.
pub(crate) const LONGEST_LINE: usize = 2_000;

/// What of an output is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Most characters.
    pub chars: usize,
    /// So many lines from the beginning, and from the end; all where neither is said.
    pub head: Option<usize>,
    pub tail: Option<usize>,
}

/// The beginning and the end of an output, and how much is missing between them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Excerpt {
    head: Vec<String>,
    tail: Vec<String>,
    /// Whole lines between head and tail.
    pub lines_left_out: usize,
    /// Their bytes, and those of the lines that were shortened.
    pub bytes_left_out: usize,
}

impl Excerpt {
    /// The text without the end of its last line; blanks stay as they are.
    pub fn of(text: &str, shape: Shape) -> Self {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let mut excerpt = Self::default();
        if text.is_empty() {
            return excerpt;
        }
        let longest = LONGEST_LINE.min(shape.chars.max(1));
        let (begin, end) = edges(text, shape.chars);
        excerpt.head = excerpt.take(text.get(..begin).unwrap_or_default(), longest, 0);
        if let Some(middle) = text.get(begin..end).filter(|middle| !middle.is_empty()) {
            excerpt.lines_left_out = middle.bytes().filter(|byte| *byte == b'\n').count();
            excerpt.bytes_left_out += middle.len();
            excerpt.tail = excerpt.take(text.get(end..).unwrap_or_default(), longest, end);
        }
        if shape.head.is_some() || shape.tail.is_some() {
            let (head, tail) = (shape.head.unwrap_or(0), shape.tail.unwrap_or(0));
            excerpt.split(head, tail);
        }
        excerpt.shrink(shape.chars);
        excerpt
    }

    pub fn is_empty(&self) -> bool {
        self.head.is_empty() && self.tail.is_empty() && self.bytes_left_out == 0
    }

    pub fn is_whole(&self) -> bool {
        self.bytes_left_out == 0 && self.lines_left_out == 0
    }

    /// The first line that is left out, counted from 1.
    pub fn first_left_out(&self) -> usize {
        self.head.len() + 1
    }

    pub fn chars(&self) -> usize {
        self.lines().map(|line| line.chars().count() + 1).sum()
    }

    /// The text, with `gap` in the place of the lines that are left out.
    pub fn text(&self, gap: impl FnOnce(&Self) -> String) -> String {
        let mut lines: Vec<&str> = self.head.iter().map(String::as_str).collect();
        let gap = (self.lines_left_out > 0).then(|| gap(self));
        lines.extend(gap.as_deref());
        lines.extend(self.tail.iter().map(String::as_str));
        lines.join("\n")
    }

    /// Leaves lines out of its middle until it has at most so many characters.
    pub fn shrink(&mut self, most: usize) {
        if self.chars() <= most {
            return;
        }
        if self.lines_left_out == 0 {
            self.head.append(&mut self.tail);
        }
        // A beginning says what this is, an end how it came out: three fifths and two.
        let head = fitting(self.head.iter(), most / 5 * 3);
        let used: usize = chars_of(self.head.iter().take(head));
        let room = most.saturating_sub(used);
        let end = match self.lines_left_out {
            0 => fitting(self.head.iter().skip(head).rev(), room),
            _ => fitting(self.tail.iter().rev(), room),
        };
        if head + end > 0 {
            self.split(head, end);
            return;
        }
        // Not even one line fits: the beginning of the first.
        self.split(1, 0);
        if let Some(first) = self.head.first_mut() {
            let (line, cut) = shortened_again(first, most);
            self.bytes_left_out += cut;
            *first = line;
        }
    }

    /// The lines of a piece that begins at `at`, long ones shortened.
    fn take(&mut self, piece: &str, longest: usize, mut at: usize) -> Vec<String> {
        let piece = piece.strip_suffix('\n').unwrap_or(piece);
        let mut lines = Vec::new();
        for line in piece.split('\n') {
            let (shown, cut) = shortened(line, longest, at);
            at += line_bytes(line);
            self.bytes_left_out += cut;
            lines.push(shown);
        }
        lines
    }

    fn lines(&self) -> impl Iterator<Item = &String> {
        self.head.iter().chain(&self.tail)
    }

    /// Keeps so many lines of the beginning and of the end.
    fn split(&mut self, head: usize, tail: usize) {
        if self.lines_left_out == 0 {
            self.head.append(&mut self.tail);
            let begin = self.head.len().saturating_sub(tail).max(head);
            self.tail = self.head.split_off(begin.min(self.head.len()));
        } else {
            let begin = self.tail.len().saturating_sub(tail);
            let dropped = self.tail.drain(..begin);
            for line in dropped {
                self.lines_left_out += 1;
                self.bytes_left_out += line_bytes(&line);
            }
        }
        for line in self.head.drain(head.min(self.head.len())..) {
            self.lines_left_out += 1;
            self.bytes_left_out += line_bytes(&line);
        }
    }
}

/// Cuts the longest so that all together have at most `budget` characters.
pub(crate) fn share<'a>(excerpts: impl Iterator<Item = &'a mut Excerpt>, budget: usize) {
    let mut excerpts: Vec<_> = excerpts.collect();
    excerpts.sort_by_key(|excerpt| excerpt.chars());
    let mut left = budget;
    let mut others = excerpts.len();
    for excerpt in excerpts {
        excerpt.shrink(left / others.max(1));
        left = left.saturating_sub(excerpt.chars());
        others -= 1;
    }
}

/// Where the beginning ends, and where the end begins, of which anything can be shown: a
/// text may have millions of lines, and most of them are only counted. Both are at the
/// begin of a line; they are one where all of it is looked at.
fn edges(text: &str, chars: usize) -> (usize, usize) {
    let edge = chars.max(LONGEST_LINE).saturating_mul(4);
    if text.len() <= edge.saturating_mul(4) {
        return (text.len(), text.len());
    }
    let bytes = text.as_bytes();
    let first = bytes.iter().skip(edge).position(|byte| *byte == b'\n');
    let head = first.map(|at| edge + at + 1);
    let end = text.len() - edge;
    let last = bytes.iter().take(end).rposition(|byte| *byte == b'\n');
    match (head, last.map(|at| at + 1)) {
        (Some(head), Some(tail)) if head < tail => (head, tail),
        _ => (text.len(), text.len()),
    }
}

/// A line of at most so many characters, and the bytes that are missing from it. `at` is
/// where the line begins: the mark says at which offset the rest is read.
fn shortened(line: &str, most: usize, at: usize) -> (String, usize) {
    let Some((end, _)) = line.char_indices().nth(most) else {
        return (line.to_owned(), 0);
    };
    let cut = line.len() - end;
    let kept = line.get(..end).unwrap_or_default();
    (format!("{kept}[… {cut}{MARK}{}]", at + end), cut)
}

fn line_bytes(line: &str) -> usize {
    line.len() + 1
}

fn chars_of<'a>(lines: impl Iterator<Item = &'a String>) -> usize {
    lines.map(|line| line.chars().count() + 1).sum()
}

/// How many of these lines, from the first on, have together at most so many characters.
fn fitting<'a>(lines: impl Iterator<Item = &'a String>, most: usize) -> usize {
    let mut room = most;
    let fits = |line: &&String| match room.checked_sub(line.chars().count() + 1) {
        Some(left) => {
            room = left;
            true
        }
        None => false,
    };
    lines.take_while(fits).count()
}

/// The same for a first line that may have its mark already, which stays true.
fn shortened_again(line: &str, most: usize) -> (String, usize) {
    let marked = line.rsplit_once("[… ").and_then(|(kept, mark)| {
        let (cut, offset) = mark.strip_suffix(']')?.split_once(MARK)?;
        Some((
            kept,
            cut.parse::<usize>().ok()?,
            offset.parse::<usize>().ok()?,
        ))
    });
    let Some((kept, before, offset)) = marked else {
        return shortened(line, most, 0);
    };
    let Some((end, _)) = kept.char_indices().nth(most) else {
        return (line.to_owned(), 0);
    };
    let cut = kept.len() - end;
    let shown = kept.get(..end).unwrap_or_default();
    let (bytes, offset) = (before + cut, offset.saturating_sub(cut));
    (format!("{shown}[… {bytes}{MARK}{offset}]"), cut)
}

/// Within the mark of a shortened line, between the bytes and the offset of its rest.
const MARK: &str = " bytes more in this line, offset ";

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, chars: usize) -> Excerpt {
        let shape = Shape {
            chars,
            head: None,
            tail: None,
        };
        Excerpt::of(text, shape)
    }

    fn text(excerpt: &Excerpt) -> String {
        excerpt.text(|gap| {
            let (lines, from) = (gap.lines_left_out, gap.first_left_out());
            format!("<{lines} from {from}>")
        })
    }

    fn numbers(to: usize) -> String {
        (1..=to).map(|n| format!("{n:03}\n")).collect()
    }

    #[test]
    fn what_fits_is_shown_as_it_came() {
        let whole = of("  first\n\nlast \n", 100);
        assert_eq!(text(&whole), "  first\n\nlast ");
        assert!(whole.is_whole() && !whole.is_empty());
        assert!(of("", 100).is_empty());
    }

    #[test]
    fn beginning_and_end_are_shown_and_the_rest_is_counted() {
        let excerpt = of(&numbers(100), 40);
        assert_eq!(
            text(&excerpt),
            "001\n002\n003\n004\n005\n006\n<90 from 7>\n097\n098\n099\n100"
        );
        assert_eq!(excerpt.bytes_left_out, 90 * 4);
        let mut twice = of(&numbers(100), 80);
        twice.shrink(40);
        assert_eq!(text(&twice), text(&excerpt));
        assert_eq!(twice.bytes_left_out, excerpt.bytes_left_out);
    }

    #[test]
    fn so_many_lines_as_were_asked_for() {
        let shape = Shape {
            chars: 1000,
            head: Some(2),
            tail: Some(1),
        };
        let excerpt = Excerpt::of(&numbers(10), shape);
        assert_eq!(text(&excerpt), "001\n002\n<7 from 3>\n010");
        let few = Excerpt::of(
            &numbers(3),
            Shape {
                head: Some(9),
                ..shape
            },
        );
        assert_eq!(text(&few), "001\n002\n003");
        let tail = Excerpt::of(
            &numbers(9),
            Shape {
                head: None,
                ..shape
            },
        );
        assert_eq!(text(&tail), "<8 from 1>\n009");
    }

    #[test]
    fn a_long_line_says_where_its_rest_is() {
        let long = format!("ab\n{}\nend", "é".repeat(LONGEST_LINE + 5));
        let excerpt = of(&long, 100_000);
        let shown = text(&excerpt);
        assert!(
            shown.ends_with("[… 10 bytes more in this line, offset 4003]\nend"),
            "{shown}"
        );
        assert_eq!(excerpt.bytes_left_out, 10);
        let tiny = of("0123456789", 4);
        assert!(text(&tiny).starts_with("0123[… 6 bytes more"));
        assert_eq!(tiny.bytes_left_out, 6);
        let mut smaller = of("0123456789", 8);
        smaller.shrink(3);
        assert_eq!(text(&smaller), "012[… 7 bytes more in this line, offset 3]");
        assert_eq!(smaller.bytes_left_out, 7);
    }

    #[test]
    fn of_millions_of_lines_most_are_only_counted() {
        let excerpt = of(&numbers(100_000), 50);
        let all = text(&excerpt);
        assert!(
            all.starts_with("001\n002\n") && all.ends_with("99999\n100000"),
            "{all}"
        );
        let shown = excerpt.lines().count();
        assert_eq!(excerpt.lines_left_out, 100_000 - shown);
        let bytes: usize = excerpt.lines().map(|line| line_bytes(line)).sum();
        assert_eq!(excerpt.bytes_left_out + bytes, numbers(100_000).len());
    }

    #[test]
    fn the_rest_is_shared_equally() {
        let mut all: Vec<Excerpt> = [100, 5, 100]
            .iter()
            .map(|n| of(&numbers(*n), 4000))
            .collect();
        share(all.iter_mut(), 100);
        let lines: Vec<usize> = all.iter().map(|one| one.lines().count()).collect();
        assert_eq!(lines, [10, 5, 10]);
    }
}
