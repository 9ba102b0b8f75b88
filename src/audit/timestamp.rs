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

    pub const fn from_micros(micros: u64) -> Self {
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

    /// Reads `2025-11-02`, `2025-11-02T14:36` or `2025-11-02T14:36:07` in UTC, with a
    /// space for the `T` and `Z` or `+0000` at the end if liked. Years 1970 to 9999.
    pub(crate) fn parse_iso(text: &str) -> Option<Self> {
        let text = text.strip_suffix("+0000").unwrap_or(text);
        let text = text.strip_suffix('Z').unwrap_or(text);
        let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00"));
        let mut date = date.splitn(3, '-').map(number);
        let mut time = time.splitn(3, ':').map(number);
        let civil = Civil {
            year: date.next()??,
            month: date.next()??,
            day: date.next()??,
            hour: time.next()??,
            minute: time.next()??,
            second: time.next().unwrap_or(Some(0))?,
        };
        let seconds = civil.seconds()?;
        // A day that does not exist, such as 30 February, counts as another one.
        let written = Civil::of(seconds).to_string() == civil.to_string();
        written.then_some(Self(seconds * 1_000_000))
    }

    /// Reads what [`fmt::Display`] writes, or any decimal number of seconds.
    pub(crate) fn parse_seconds(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let micros = number(format!("{fraction:0<6}").get(..6)?)?;
        let whole = number(whole)?.checked_mul(1_000_000)?;
        whole.checked_add(micros).map(Self)
    }

    /// A form fit for a file name, to the second: `20251102T143607Z`.
    pub(crate) fn compact(self) -> String {
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

impl Civil {
    /// Seconds since the Unix epoch, if the year is one of 1970 to 9999.
    fn seconds(&self) -> Option<u64> {
        let in_range = (1_970..=9_999).contains(&self.year)
            && (1..=12).contains(&self.month)
            && (1..=31).contains(&self.day)
            && self.hour < 24
            && self.minute < 60
            && self.second < 60;
        if !in_range {
            return None;
        }
        let early = self.month <= 2;
        let year = self.year - u64::from(early);
        let shifted = if early {
            self.month + 9
        } else {
            self.month - 3
        };
        let (era, year_of_era) = (year / 400, year % 400);
        let day_of_year = (153 * shifted + 2) / 5 + self.day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = era * 146_097 + day_of_era - 719_468;
        Some(days * 86_400 + self.hour * 3_600 + self.minute * 60 + self.second)
    }
}

/// Decimal digits and nothing else.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
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
