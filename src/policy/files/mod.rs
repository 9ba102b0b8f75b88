//! Files of a host that a call may read or write, and the rules that say which.
//!
//! `work` is what is asked, checked by itself; `rules` is `files:` of the policy; `script` is
//! the one text that is sent for it, the server's own, in which nothing of a client stands
//! but quoted words. Judged in [`crate::policy::decision::judge`].

pub(crate) mod rules;
pub(crate) mod script;
pub(crate) mod work;
