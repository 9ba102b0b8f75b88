//! How many hosts of a run are begun together: a width, or steps that wait for each other.
//!
//! Owns the reading of a batch (`5`, `25%`), and where a run in steps stands: how many of the
//! step may still begin, whether it is over, and until when the pause behind it lasts. Begins
//! nothing; [`crate::task::tag::fanout`] does.

use std::time::{Duration, Instant};

/// Most hosts of one size, and most steps that are spelled out.
const HOSTS_MAX: usize = 100_000;
pub(crate) const STEPS_MAX: usize = 50;

/// So many hosts, or so many of a hundred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    Hosts(usize),
    Percent(usize),
}

impl Size {
    /// `5` or `25%`; at least 1, at most 100,000 or 100%.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_suffix('%').unwrap_or(text);
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let number: usize = plain.then(|| digits.parse().ok()).flatten()?;
        match text.ends_with('%') {
            true => (1..=100).contains(&number).then_some(Self::Percent(number)),
            false => (1..=HOSTS_MAX)
                .contains(&number)
                .then_some(Self::Hosts(number)),
        }
    }

    /// Of this many hosts, rounded down, and never none.
    pub(crate) fn of(self, total: usize) -> usize {
        match self {
            Self::Hosts(hosts) => hosts,
            Self::Percent(percent) => (total.saturating_mul(percent) / 100).max(1),
        }
    }
}

/// How a run goes about its hosts.
#[derive(Debug, Clone, Default)]
pub enum Batch {
    /// As many at a time as the configuration lets run.
    #[default]
    Unbounded,
    /// So many at a time: one that ends makes room for the next.
    Width(Size),
    /// One step after the other, the last size again and again: each waits for the end of the
    /// one before, and for the pause behind it.
    Steps { sizes: Vec<Size>, pause: Duration },
}

/// Where a run in steps stands.
#[derive(Debug)]
pub(crate) struct Steps {
    sizes: Vec<usize>,
    /// The step that is under way, from 1; 0 before the first.
    pub(crate) number: usize,
    pub(crate) count: usize,
    /// How many hosts of it may still begin.
    left: usize,
    pub(crate) pause: Duration,
    /// The pause behind the last one ends then.
    pub(crate) until: Option<Instant>,
}

impl Steps {
    /// Of a run of so many hosts.
    pub(crate) fn of(sizes: &[Size], pause: Duration, hosts: usize) -> Self {
        let sizes: Vec<usize> = sizes.iter().map(|size| size.of(hosts)).collect();
        let mut steps = Self {
            sizes,
            number: 0,
            count: 0,
            left: 0,
            pause,
            until: None,
        };
        let mut begun = 0_usize;
        while begun < hosts {
            begun = begun.saturating_add(steps.size(steps.count).max(1));
            steps.count += 1;
        }
        steps
    }

    /// How many hosts the step after so many others has.
    fn size(&self, before: usize) -> usize {
        let size = self.sizes.get(before).or(self.sizes.last());
        size.copied().unwrap_or(usize::MAX)
    }

    /// Takes one of the hosts that the step has left.
    pub(crate) fn take(&mut self) -> bool {
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }

    /// Whether all hosts of it have been begun.
    pub(crate) fn is_begun(&self) -> bool {
        self.left == 0
    }

    /// Opens the next one.
    pub(crate) fn next(&mut self) {
        self.left = self.size(self.number);
        self.number += 1;
        self.until = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_number_or_a_part() {
        for (text, size) in [
            ("1", Size::Hosts(1)),
            ("25%", Size::Percent(25)),
            ("100%", Size::Percent(100)),
        ] {
            assert_eq!(Size::parse(text), Some(size), "{text}");
        }
        for bad in [
            "", "0", "0%", "101%", "%", "-1", "+1", "1.5", "5 %", "100001", "x",
        ] {
            assert_eq!(Size::parse(bad), None, "{bad}");
        }
        assert_eq!(Size::Percent(25).of(3), 1);
        assert_eq!(Size::Percent(25).of(41), 10);
    }

    #[test]
    fn the_last_size_goes_on() {
        let sizes = [Size::Hosts(1), Size::Hosts(5), Size::Percent(25)];
        let mut steps = Steps::of(&sizes, Duration::ZERO, 40);
        // 1, 5, 10, 10, 10 and the four that are left.
        assert_eq!(steps.count, 6);
        let mut begun = Vec::new();
        for _ in 0..4 {
            steps.next();
            begun.push(std::iter::from_fn(|| steps.take().then_some(())).count());
            assert!(steps.is_begun());
        }
        assert_eq!(begun, [1, 5, 10, 10]);
    }
}
