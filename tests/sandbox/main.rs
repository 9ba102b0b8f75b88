//! Promise: a taken-over process cannot leave the sandbox.
//!
//! A binary of its own: each probe is a forked child that confines itself, and a child has
//! only the thread that forked.

mod child;
mod layers;
mod seccomp_rules;
