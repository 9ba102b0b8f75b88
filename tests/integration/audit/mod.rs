//! The record: its form, its chain, what a crash leaves, what is mended after one.

mod chain;
mod crash;
mod directory;
mod joined;
mod records;
mod recovery;
mod signed;
mod syslog;
