//! How much room a disk is to have left, as an operator says it.
//!
//! Owns the two ways to say it: bytes, and a part of the disk. Read by `config`, kept to by
//! `audit`.

/// Free room below which something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    Bytes(u64),
    /// Hundredths of the file system, 0 to 100.
    Percent(u8),
}

impl Room {
    /// Whole percent: `5%`.
    pub fn percent(text: &str) -> Option<Self> {
        let digits = text.strip_suffix('%')?;
        let plain = digits.bytes().all(|b| b.is_ascii_digit());
        let percent = digits.parse().ok().filter(|percent| *percent <= 100);
        percent.filter(|_| plain).map(Self::Percent)
    }

    /// In bytes, on a file system of `total` bytes.
    pub fn of(self, total: u64) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes,
            // In this order nothing overflows; what is lost is less than 100 bytes.
            Self::Percent(percent) => (total / 100).saturating_mul(percent.into()),
        }
    }

    /// Nothing is less than none.
    pub fn is_none(self) -> bool {
        matches!(self, Self::Bytes(0) | Self::Percent(0))
    }
}

/// `audit_space:` of `policy.yml`: what low space on the audit file's disk means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditSpace {
    /// With less, it is said.
    pub warn_below: Room,
    /// With less, no command begins.
    pub refuse_below: Room,
}

impl Default for AuditSpace {
    fn default() -> Self {
        Self {
            warn_below: Room::Percent(1),
            refuse_below: Room::Bytes(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_percent() {
        assert_eq!(Room::percent("5%"), Some(Room::Percent(5)));
        assert_eq!(Room::percent("100%"), Some(Room::Percent(100)));
        for wrong in ["", "%", "5", "101%", "-1%", "+1%", "5 %", "0.5%", "999%"] {
            assert_eq!(Room::percent(wrong), None, "{wrong}");
        }
        assert_eq!(Room::Percent(5).of(1_000), 50);
        assert_eq!(Room::Percent(100).of(u64::MAX), u64::MAX / 100 * 100);
        assert_eq!(Room::Bytes(7).of(1_000), 7);
    }
}
