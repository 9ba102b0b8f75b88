//! Bytes of the three files → validated types, whole or not at all.

pub mod event;
pub mod types;
