//! Text that is known to be JSON, and objects written in the order they are read in.
//!
//! Owns how results are put together: each part is serialised once, and wrapping it into
//! an answer copies text instead of building trees. Writes no JSON by hand: `serde_json`
//! does, so a value here is one complete JSON value. Called by everything in `mcp` that
//! sends something.

use std::fmt;

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

/// One JSON value as text, without line breaks.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub(crate) struct Json(Box<RawValue>);

impl Json {
    /// The value as JSON. Every type passed here serialises without failing (maps have
    /// string keys); should one ever fail, it stands as `null`.
    pub(crate) fn of<T: Serialize + ?Sized>(value: &T) -> Self {
        Self(to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned()))
    }

    pub(crate) fn empty_object() -> Self {
        Object::new().end()
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.get()
    }

    pub(crate) fn into_text(self) -> String {
        Box::<str>::from(self.0).into()
    }

    /// Bytes of the text.
    pub(crate) fn len(&self) -> usize {
        self.as_str().len()
    }
}

impl Eq for Json {}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An object under construction; members keep their order.
#[derive(Debug, Default)]
pub(crate) struct Object(Vec<(String, Json)>);

impl Object {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn field<T: Serialize + ?Sized>(self, key: &str, value: &T) -> Self {
        self.member(key, Json::of(value))
    }

    pub(crate) fn json(self, key: &str, value: &Json) -> Self {
        self.member(key, value.clone())
    }

    /// Adds the member only where there is a value.
    pub(crate) fn maybe<T: Serialize>(self, key: &str, value: Option<T>) -> Self {
        match value {
            Some(value) => self.field(key, &value),
            None => self,
        }
    }

    /// Adds what `more` adds, only where `condition` holds.
    pub(crate) fn when(self, condition: bool, more: impl FnOnce(Self) -> Self) -> Self {
        if condition { more(self) } else { self }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn end(self) -> Json {
        Json::of(&self)
    }

    fn member(mut self, key: &str, value: Json) -> Self {
        self.0.push((key.to_owned(), value));
        self
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// An array of values that are JSON already.
pub(crate) fn array<'a>(values: impl IntoIterator<Item = &'a Json>) -> Json {
    Json::of(&values.into_iter().collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_order_and_are_escaped() {
        let inner = array(&[Json::of(&1), Json::of("a\"b")]);
        let object = Object::new()
            .field("z", "\n")
            .json("a", &inner)
            .maybe("none", None::<u8>)
            .end();
        assert_eq!(object.as_str(), r#"{"z":"\n","a":[1,"a\"b"]}"#);
        assert_eq!(Json::empty_object().as_str(), "{}");
    }
}
