//! Many names in few words: `web[1-40]` for forty hosts.
//!
//! Owns which names are put together: those that differ in one number alone, counted
//! without a gap and written alike. Brackets are in no alias, so a range is never taken for
//! one. Called by the answers that name many hosts.

use std::collections::BTreeMap;

/// Names that differ in a number alone: what stands before it, what behind, its digits; then
/// each number with the place of its name.
type Families<'a> = BTreeMap<(&'a str, &'a str, usize), Vec<(u64, usize)>>;

/// Fewest names that become a range.
const FEWEST: usize = 3;

/// These names, as short as they can be told apart, in at most about so many characters:
/// how many more there are stands at the end. Ranges stand where their first name stood.
pub(crate) fn ranges_within(names: &[&str], chars: usize) -> Vec<String> {
    let mut room = chars;
    let mut left = names.len();
    let mut shown = Vec::new();
    for (name, count) in counted(names) {
        // What JSON takes beside the name itself.
        match room.checked_sub(name.chars().count() + 4) {
            Some(rest) => room = rest,
            None => break,
        }
        left -= count.min(left);
        shown.push(name);
    }
    if left > 0 {
        shown.push(format!("and {left} more"));
    }
    shown
}

/// Ranges, each with the number of its names.
fn counted(names: &[&str]) -> Vec<(String, usize)> {
    // By what is around the number and how wide it is written: the numbers, with places.
    let mut families: Families<'_> = BTreeMap::new();
    let mut placed: BTreeMap<usize, (String, usize)> = BTreeMap::new();
    for (place, name) in names.iter().enumerate() {
        match split(name) {
            Some((before, number, after)) => {
                // Without a leading zero any width goes on to the next.
                let width = if number.starts_with('0') {
                    number.len()
                } else {
                    0
                };
                match number.parse() {
                    Ok(number) => families
                        .entry((before, after, width))
                        .or_default()
                        .push((number, place)),
                    Err(_) => drop(placed.insert(place, ((*name).to_owned(), 1))),
                }
            }
            None => drop(placed.insert(place, ((*name).to_owned(), 1))),
        }
    }
    merge_padded(&mut families);
    for ((before, after, width), mut numbers) in families {
        numbers.sort_unstable();
        let follows = |a: &(u64, usize), b: &(u64, usize)| a.0.checked_add(1) == Some(b.0);
        for run in numbers.chunk_by(follows) {
            let (Some(first), Some(last)) = (run.first(), run.last()) else {
                continue;
            };
            if run.len() < FEWEST {
                for (number, place) in run {
                    let name = format!("{before}{number:0width$}{after}");
                    placed.insert(*place, (name, 1));
                }
                continue;
            }
            let place = run
                .iter()
                .map(|(_, place)| *place)
                .min()
                .unwrap_or_default();
            let (first, last) = (first.0, last.0);
            let range = format!("{before}[{first:0width$}-{last:0width$}]{after}");
            placed.insert(place, (range, run.len()));
        }
    }
    placed.into_values().collect()
}

/// `web09` and `web10` are written alike: what has no leading zero, but the width of those
/// that have one, goes with them.
fn merge_padded(families: &mut Families<'_>) {
    let padded: Vec<_> = families.keys().filter(|key| key.2 > 0).copied().collect();
    for (before, after, width) in padded {
        let wide = |number: &u64| number.to_string().len() == width;
        let Some(plain) = families.get_mut(&(before, after, 0)) else {
            continue;
        };
        let alike: Vec<_> = plain.extract_if(.., |(number, _)| wide(number)).collect();
        if let Some(family) = families.get_mut(&(before, after, width)) {
            family.extend(alike);
        }
    }
}

/// A name around its last number.
fn split(name: &str) -> Option<(&str, &str, &str)> {
    let end = name.rfind(|c: char| c.is_ascii_digit())? + 1;
    let head = name.get(..end)?;
    let begin = head
        .rfind(|c: char| !c.is_ascii_digit())
        .map_or(0, |at| at + 1);
    Some((name.get(..begin)?, name.get(begin..end)?, name.get(end..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(names: &[&str]) -> Vec<String> {
        ranges_within(names, 10_000)
    }

    #[test]
    fn names_that_count_up_are_one_range() {
        assert_eq!(ranges(&["web1", "web2", "web3", "db"]), ["web[1-3]", "db"]);
        assert_eq!(ranges(&["web1", "web2"]), ["web1", "web2"]);
        assert_eq!(ranges(&["w3", "w1", "w2", "w9"]), ["w[1-3]", "w9"]);
        let padded = ["n08", "n09", "n10", "n11"];
        assert_eq!(ranges(&padded), ["n[08-11]"]);
        assert_eq!(
            ranges(&["a1.eu", "a2.eu", "a3.eu", "a3.us"]),
            ["a[1-3].eu", "a3.us"]
        );
        assert_eq!(ranges(&["1", "2", "3"]), ["[1-3]"]);
        assert_eq!(ranges(&["h9", "h10", "h11"]), ["h[9-11]"]);
        let none: [&str; 0] = [];
        assert_eq!(ranges(&[]), none);
    }

    #[test]
    fn too_many_names_are_counted() {
        let names = ["a1", "a2", "a3", "b", "c", "d"];
        assert_eq!(ranges_within(&names, 100), ["a[1-3]", "b", "c", "d"]);
        assert_eq!(ranges_within(&names, 15), ["a[1-3]", "b", "and 2 more"]);
        assert_eq!(ranges_within(&names, 0), ["and 6 more"]);
    }

    #[test]
    fn no_name_is_lost_or_changed() {
        let names = ["x01", "x1", "x2", "x002", "x99999999999999999999999", "x"];
        let mut all = ranges(&names);
        all.sort();
        let mut expected = names.map(str::to_owned);
        expected.sort();
        assert_eq!(all, expected);
    }
}
