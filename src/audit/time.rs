//! The two written forms of a moment: `ts` and `timestamp`.
//!
//! Owns their exact shape on every record. Does no arithmetic for anyone else; called by
//! the records and by `audit show`.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// A moment of the system clock, in microseconds since the Unix epoch.
///
/// Serialises as the log contract's `ts`: a JSON number of seconds with exactly six
/// decimals (`1761489054.143300`), written digit by digit, because a binary float would
/// drop trailing zeros and, some day, microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ts(u64);

impl Ts {
    /// Now. A clock set before 1970 reads as zero.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let micros = since.map_or(0, |elapsed| elapsed.as_micros());
        Self(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    pub fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    pub fn micros(self) -> u64 {
        self.0
    }

    /// ISO 8601 in UTC, to the second: `2025-11-02T14:36:07+0000`.
    pub fn iso(self) -> String {
        let civil = Civil::of(self.0 / 1_000_000);
        format!("{civil}+0000")
    }

    /// A form fit for a file name, to the second: `20251102T143607Z`.
    pub(super) fn compact(self) -> String {
        let c = Civil::of(self.0 / 1_000_000);
        format!(
            "{:04}{:02}{:02}T{:02}{:02}{:02}Z",
            c.year, c.month, c.day, c.hour, c.minute, c.second
        )
    }
}

impl fmt::Display for Ts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

impl Serialize for Ts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.to_string())
            .map_err(S::Error::custom)?
            .serialize(serializer)
    }
}

/// A date and time of day in the proleptic Gregorian calendar, UTC.
struct Civil {
    year: u64,
    month: u64,
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
}

impl Civil {
    /// Counts in eras of 400 years that begin on 1 March, so that the leap day is the
    /// last day of its year (Hinnant, 'chrono-compatible low-level date algorithms').
    fn of(seconds: u64) -> Self {
        let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let month = if shifted < 10 {
            shifted + 3
        } else {
            shifted - 9
        };
        Self {
            year: era * 400 + year_of_era + u64::from(month <= 2),
            month,
            day: day_of_year - (153 * shifted + 2) / 5 + 1,
            hour: rest / 3_600,
            minute: rest % 3_600 / 60,
            second: rest % 60,
        }
    }
}

impl fmt::Display for Civil {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            self.year, self.month, self.day, self.hour, self.minute, self.second
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ts_has_six_decimals_always() {
        let json = |micros| serde_json::to_string(&Ts::from_micros(micros)).unwrap();
        assert_eq!(json(1_761_489_054_143_455), "1761489054.143455");
        assert_eq!(json(1_761_489_054_200_000), "1761489054.200000");
        assert_eq!(json(7), "0.000007");
    }

    #[test]
    fn iso_agrees_with_known_dates() {
        let iso = |seconds: u64| Ts::from_micros(seconds * 1_000_000).iso();
        assert_eq!(iso(0), "1970-01-01T00:00:00+0000");
        assert_eq!(iso(951_782_400), "2000-02-29T00:00:00+0000");
        assert_eq!(iso(1_762_094_167), "2025-11-02T14:36:07+0000");
        assert_eq!(iso(1_709_251_199), "2024-02-29T23:59:59+0000");
        assert_eq!(iso(4_107_542_400), "2100-03-01T00:00:00+0000");
    }

    #[test]
    fn now_is_after_this_was_written() {
        assert!(Ts::now() > Ts::from_micros(1_760_000_000_000_000));
    }
}
