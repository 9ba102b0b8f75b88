//! Promise: a hostile server gets no memory of this process, no hang, no false success.
//!
//! A binary of its own: it measures its own memory while a server floods it.

#[path = "../common/mod.rs"]
mod common;
#[path = "../direct/mod.rs"]
mod direct;

mod attacks;
mod hostile;
mod several;
