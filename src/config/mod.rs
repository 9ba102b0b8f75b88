//! Bytes of the three files → validated types, whole or not at all.
//!
//! `load` reads `servers.yml`, `credentials.yml`, `policy.yml`, the secrets they name and
//! the paths they mention, and gives one [`Snapshot`], or every problem with its place.
//! No network, no logging: what was noticed comes back as data. Nothing is skipped and
//! nothing falls open: an unknown key, a wrong type or a name that nothing has is a
//! problem, and a problem means no configuration.

pub(crate) mod files;
pub(crate) mod host;
pub(crate) mod load;
pub(crate) mod read;
pub(crate) mod schema;
pub(crate) mod secrets;
pub(crate) mod snapshot;
pub(crate) mod store;
pub(crate) mod yaml;

pub use crate::config::files::beneath::{FileError, Links};
pub use crate::config::files::directories::{Dirs, FILES, KeyPath, KnownHostsPath};
pub use crate::config::read::policy::{APPROVAL_WAIT, Concurrency};
pub use crate::config::schema::problem::{Fault, Mark, Place, Problem, Warning, WarningKind};
pub use crate::config::secrets::environment::Environment;
pub use crate::config::secrets::value::Secret;
pub(crate) use host::{AnsweredBy, Host, HostAddress, Prompt, Resolve};
pub(crate) use load::reads_again;
pub use load::{LoadError, Loaded, load, load_texts};
pub use snapshot::Snapshot;
pub(crate) use store::Admission;
pub use store::Store;
pub(crate) use store::{Attempt, Reloaded, Trigger};
