//! Files of hosts: read and written by the server's own script, only where a rule says so.

mod hostile_paths;
mod read_and_write;
