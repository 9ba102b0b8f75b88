//! What may run: cases, the reviewed corpus, properties, and what real shells read.

mod cases;
mod corpus;
mod denied_spellings;
mod doors;
mod escapes;
mod evaluate;
mod generate;
mod knowledge;
mod limits_and_network;
mod loops;
mod outputs;
mod properties;
mod remote;
mod rewrites;
mod sets;
mod shells;
mod support;
