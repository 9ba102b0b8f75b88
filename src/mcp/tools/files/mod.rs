//! Files of hosts: read and written through the client, compared, or transferred past it.

pub(crate) mod diff;
pub(crate) mod text;
pub(crate) mod transfer;
