//! What a YAML file holds: values that know their place.
//!
//! Owns the shape, and what each value weighs against the bound of the whole. A value with an
//! anchor is held once for all of its places. Made by `node`; read by the readers of the files.

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::Arc;

use crate::config::schema::problem::Mark;
use crate::config::yaml::scalar::Scalar;

/// Bytes of a text, keys included, that count as one node more.
pub(crate) const TEXT_PER_NODE: usize = 64;

/// One value of the file.
#[derive(Debug, Clone)]
pub struct Node<'t> {
    pub at: Mark,
    pub value: Value<'t>,
    /// How many nodes this one is, itself included.
    pub(crate) weight: usize,
}

#[derive(Debug, Clone)]
pub enum Value<'t> {
    Scalar(Scalar<'t>),
    List(Vec<Held<'t>>),
    /// In the file's order; merged entries (`<<`) after the explicit ones.
    Map(Vec<Entry<'t>>),
}

/// A node in its one place, or one with an anchor, which may have several.
#[derive(Debug, Clone)]
pub enum Held<'t> {
    Own(Node<'t>),
    Shared(Arc<Node<'t>>),
}

impl<'t> Deref for Held<'t> {
    type Target = Node<'t>;

    fn deref(&self) -> &Node<'t> {
        match self {
            Self::Own(node) => node,
            Self::Shared(node) => node,
        }
    }
}

/// A key of a mapping and its value.
#[derive(Debug, Clone)]
pub struct Entry<'t> {
    pub key: Cow<'t, str>,
    pub key_at: Mark,
    pub value: Held<'t>,
}

impl<'t> Node<'t> {
    pub(crate) fn scalar(scalar: Scalar<'t>, at: Mark) -> Self {
        Self {
            at,
            weight: text_weight(scalar.text()),
            value: Value::Scalar(scalar),
        }
    }
}

pub(crate) fn text_weight(text: &str) -> usize {
    1 + text.len() / TEXT_PER_NODE
}
