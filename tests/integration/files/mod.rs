//! Files of hosts: read and written by the server's own script, only where a rule says so.

mod diff;
mod hostile_paths;
mod other_hosts;
mod read_and_write;
mod transfer;
