//! The protocol: its frames, its revisions, real clients, hostile ones.

mod approval_reuse;
pub(crate) mod clients;
mod elicitation;
mod end_to_end;
mod frames;
mod input_cases;
mod lifecycle;
mod progress_cancel;
mod resources_prompts;
mod robustness;
mod sanitize_cases;
mod skills;
mod tasks;
