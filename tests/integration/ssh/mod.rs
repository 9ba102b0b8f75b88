//! Connections to real servers: keys, login, names, jumps, pooling, how a command ends.

mod auth;
mod bastion;
mod before_the_login;
mod debug_log;
mod ending;
mod fido;
mod host_certificates;
mod host_keys;
mod jump;
mod legacy;
mod names;
mod operator_answers;
mod pool;
mod questions;
mod reliability;
mod sharing;
mod spare;
mod sudo;
mod unreached;
