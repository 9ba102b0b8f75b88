//! Bytes of the three files → validated types, whole or not at all.
//!
//! `load` reads `servers.yml`, `credentials.yml`, `policy.yml`, the secrets they name and
//! the paths they mention, and gives one [`Snapshot`], or every problem with its place.
//! No network, no logging: what was noticed comes back as data. Nothing is skipped and
//! nothing falls open: an unknown key, a wrong type or a name that nothing has is a
//! problem, and a problem means no configuration.

mod credentials;
mod cross;
pub mod dirs;
pub mod env_file;
pub mod environment;
pub mod event;
mod file_error;
mod findings;
mod gather;
pub mod host;
pub mod init;
pub mod keys;
mod load;
mod policy_file;
pub mod problem;
pub mod raw;
pub mod report;
mod rules;
pub mod safe_path;
pub mod scalar;
pub mod secret;
mod section;
mod servers;
mod shape;
mod snapshot;
mod store;
pub mod types;

pub use dirs::{Dirs, KeyPath, KnownHostsPath};
pub use environment::Environment;
pub use host::{Credential, Host, HostAddress, HostName, Resolve};
pub use load::{FILES, LoadError, Loaded, load, load_texts};
pub use policy_file::{APPROVAL_WAIT, Concurrency};
pub use problem::{Fault, Mark, Place, Problem, Warning, WarningKind};
pub use safe_path::{FileError, Links};
pub use secret::Secret;
pub use snapshot::Snapshot;
pub use store::{Admission, Herald, Reloaded, Store};
