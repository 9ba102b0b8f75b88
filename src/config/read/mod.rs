//! Text → validated types, file by file: servers, credentials, policy.
//!
//! `input` reads the three files, `servers`, `credentials`, `policy` and `rule` turn their
//! nodes into types, `cross_check` asks that they fit each other. Each finding goes on the
//! list; nothing is skipped. Called by [`crate::config::load()`].

pub(crate) mod credentials;
pub(crate) mod cross_check;
pub(crate) mod groups;
pub(crate) mod input;
pub(crate) mod policy;
pub(crate) mod rule;
pub(crate) mod servers;
