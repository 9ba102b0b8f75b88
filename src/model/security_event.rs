//! Security events as data: what reading a file, a name or an argument noticed.
//!
//! `config` writes no log. It returns these beside its result, and the caller hands
//! them to `audit`, which gives them their place on the record. Field names and reasons
//! are those of the log contract.

/// One noticed event. Empty fields are left out of the record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SecurityEvent {
    /// `event_type` of the record, such as `path_traversal_attempt`.
    pub event_type: &'static str,
    /// What was asked for, as it came in.
    pub attempted_path: Option<String>,
    /// What it stood for in the file system.
    pub resolved_path: Option<String>,
    /// A stable word from the log contract, such as `path_is_symlink`.
    pub reason: Option<&'static str>,
    /// Further fields of this event, flattened into the record in this order.
    pub extra: Vec<(&'static str, EventValue)>,
}

/// A value of an extra field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventValue {
    Text(String),
    Number(u64),
}

impl EventValue {
    /// A length or a count.
    pub fn count(number: usize) -> Self {
        Self::Number(u64::try_from(number).unwrap_or(u64::MAX))
    }
}
