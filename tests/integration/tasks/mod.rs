//! One thread a task: limits, queues, output, tag runs, the end of everything.

mod answers;
mod canary_runs;
mod concurrency;
mod expiry;
mod groups;
mod in_background;
mod jobs;
mod judged_anew;
mod many_hosts;
pub(crate) mod operator_approvals;
mod operator_page;
mod output;
mod output_cleaning;
mod shutdown;
mod stdin;
mod tag_runs;
