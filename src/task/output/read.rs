//! Reading a kept output: its last lines, a page, lines by number, what holds a text.
//!
//! Owns the bounds of each of these. Works on clean text and keeps none. Called by
//! `ssh_get_task_output`.

/// A piece of an output, whichever way it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Piece {
    /// Lines, or the text of a page as one.
    pub(crate) lines: Vec<String>,
    /// The number of the first line shown, from 1; 0 where there is none.
    pub(crate) from_line: usize,
    /// Where a page begins: at the character that the offset lies in.
    pub(crate) offset: usize,
    /// Where reading by offset goes on.
    pub(crate) next_offset: usize,
    /// Whether what was asked for is there and not shown.
    pub(crate) has_more: bool,
}

/// Lines that hold a text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Found {
    /// `number: line` for what holds it, `number- line` for what is around it, `--` between.
    pub(crate) lines: Vec<String>,
    /// In the whole output.
    pub(crate) matches: usize,
    pub(crate) shown: usize,
}

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Search<'a> {
    pub(crate) text: &'a str,
    pub(crate) ignore_case: bool,
    /// Lines around each.
    pub(crate) context: usize,
}

/// The last `count` lines, of those as many as fit.
pub(crate) fn tail(text: &str, count: usize, chars: usize) -> Piece {
    let all = lines_of(text);
    let mut room = chars;
    let kept = all
        .iter()
        .rev()
        .take(count)
        .take_while(fits(&mut room))
        .count();
    let first = all.len() - kept;
    Piece {
        lines: owned(all.get(first..)),
        from_line: if kept == 0 { 0 } else { first + 1 },
        offset: 0,
        next_offset: text.len(),
        has_more: first > 0,
    }
}

/// Lines from number `from` (1 is the first) on, at most `count`, as many as fit.
pub(crate) fn lines(text: &str, from: usize, count: usize, chars: usize) -> Piece {
    let all = lines_of(text);
    let first = from.saturating_sub(1).min(all.len());
    let rest = all.get(first..).unwrap_or_default();
    let mut room = chars;
    let kept = rest.iter().take(count).take_while(fits(&mut room)).count();
    let shown = rest.get(..kept).unwrap_or_default();
    // A line that is longer than an answer is read by offset.
    let before: usize = all
        .iter()
        .take(first + kept)
        .map(|line| line.len() + 1)
        .sum();
    Piece {
        lines: owned(Some(shown)),
        from_line: if kept == 0 { 0 } else { first + 1 },
        offset: 0,
        next_offset: before.min(text.len()),
        has_more: kept < rest.len(),
    }
}

/// Text from byte `offset` on, at most so many characters, but at least one if there is
/// one. Begins and ends between characters.
pub(crate) fn page(text: &str, offset: usize, chars: usize) -> Piece {
    let begin = text.floor_char_boundary(offset.min(text.len()));
    let rest = text.get(begin..).unwrap_or_default();
    let end = rest
        .char_indices()
        .nth(chars.max(1))
        .map_or(text.len(), |(end, _)| begin + end);
    Piece {
        lines: vec![text.get(begin..end).unwrap_or_default().to_owned()],
        from_line: 0,
        offset: begin,
        next_offset: end,
        has_more: end < text.len(),
    }
}

/// The lines that hold the text, with those around them, as many as fit.
pub(crate) fn find(text: &str, search: Search<'_>, chars: usize) -> Found {
    let wanted = match search.ignore_case {
        true => search.text.to_lowercase(),
        false => search.text.to_owned(),
    };
    let holds = |line: &str| match search.ignore_case {
        true => line.to_lowercase().contains(&wanted),
        false => line.contains(&wanted),
    };
    let all = lines_of(text);
    let hits: Vec<usize> = all
        .iter()
        .enumerate()
        .filter(|(_, line)| holds(line))
        .map(|(number, _)| number)
        .collect();
    let mut found = Found {
        matches: hits.len(),
        ..Found::default()
    };
    let (mut room, mut next) = (chars, 0);
    for hit in &hits {
        let begin = hit.saturating_sub(search.context).max(next);
        let end = (hit + search.context + 1).min(all.len());
        let mut part = Vec::new();
        if begin > next && !found.lines.is_empty() && search.context > 0 {
            part.push("--".to_owned());
        }
        for (at, line) in all.iter().enumerate().take(end).skip(begin) {
            let mark = if holds(line) { ':' } else { '-' };
            part.push(format!("{}{mark} {line}", at + 1));
        }
        let needed: usize = part.iter().map(|line| line.chars().count() + 1).sum();
        if needed > room {
            break;
        }
        room -= needed;
        found.lines.append(&mut part);
        found.shown += 1;
        next = end;
    }
    found
}

/// How many lines there are.
pub(crate) fn count(text: &str) -> usize {
    lines_of(text).len()
}

fn lines_of(text: &str) -> Vec<&str> {
    match text {
        "" => Vec::new(),
        text => text
            .strip_suffix('\n')
            .unwrap_or(text)
            .split('\n')
            .collect(),
    }
}

fn fits<'a>(room: &'a mut usize) -> impl FnMut(&&&str) -> bool + 'a {
    move |line| match room.checked_sub(line.chars().count() + 1) {
        Some(left) => {
            *room = left;
            true
        }
        None => false,
    }
}

fn owned(lines: Option<&[&str]>) -> Vec<String> {
    let lines = lines.unwrap_or_default().iter();
    lines.map(|line| (*line).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "one\ntwo\nThree\nfour\nfive\n";

    #[test]
    fn the_last_lines_are_as_many_as_fit() {
        assert_eq!(tail("", 3, 99), Piece::default());
        let two = tail(TEXT, 2, 99);
        assert_eq!(
            (two.lines.join(","), two.from_line),
            ("four,five".into(), 4)
        );
        assert!(two.has_more && two.next_offset == TEXT.len());
        assert_eq!(tail(TEXT, 9, 6).lines, ["five"]);
        assert!(!tail(TEXT, 9, 99).has_more);
        assert_eq!(tail("1\n\n", 9, 99).lines, ["1", ""]);
    }

    #[test]
    fn lines_by_number_say_where_to_go_on() {
        let piece = lines(TEXT, 2, 2, 99);
        assert_eq!(piece.lines, ["two", "Three"]);
        assert!(piece.has_more);
        assert_eq!(TEXT.get(piece.next_offset..), Some("four\nfive\n"));
        let last = lines(TEXT, 5, 9, 99);
        assert!(last.lines == ["five"] && !last.has_more);
        assert_eq!(last.next_offset, TEXT.len());
        assert!(lines(TEXT, 9, 1, 99).lines.is_empty());
    }

    #[test]
    fn pages_give_everything_once_between_characters() {
        let text = "aé日\n本";
        let (mut offset, mut read) = (0, String::new());
        loop {
            let piece = page(text, offset, 2);
            read.push_str(&piece.lines.concat());
            offset = piece.next_offset;
            if !piece.has_more {
                break;
            }
        }
        assert_eq!(read, text);
        assert_eq!(page(text, 2, 1).lines, ["é"]);
        assert_eq!(page(text, 999, 1).lines, [""]);
    }

    #[test]
    fn what_is_found_has_its_number_and_what_is_around_it() {
        let search = Search {
            text: "t",
            ignore_case: false,
            context: 0,
        };
        let found = find(TEXT, search, 99);
        assert_eq!((found.lines.join("|"), found.matches), ("2: two".into(), 1));
        let any = Search {
            ignore_case: true,
            ..search
        };
        assert_eq!(find(TEXT, any, 99).lines, ["2: two", "3: Three"]);
        let around = Search {
            text: "f",
            context: 1,
            ..search
        };
        assert_eq!(
            find(TEXT, around, 99).lines,
            ["3- Three", "4: four", "5: five"]
        );
        let little = find(TEXT, any, 8);
        assert_eq!((little.shown, little.matches), (1, 2));
    }
}
