//! What was built and from what, and that the harness and the corpora work.

mod corpus_replay;
mod harness;
mod invisible_characters;
mod linking;
mod openssl;
mod vendored_fixes;
