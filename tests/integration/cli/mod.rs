//! What a person calls: options, `check`, `init`, `policy`.

mod check_and_init;
mod commands;
mod from_the_record;
mod import;
mod policy_cli;
mod servers;
