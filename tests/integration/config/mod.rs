//! The configuration: what is accepted, what is refused and how, where it is read from.

mod bad_input;
mod cases;
mod errors;
mod kubernetes_secrets;
mod readme;
mod reload;
mod safe_paths;
mod secrets;
