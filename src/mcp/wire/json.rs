//! Text that is known to be JSON, and objects written in the order they are read in.
//!
//! Owns how results are put together: each part is serialised once, and wrapping it into
//! an answer copies text instead of building trees. Refuses to hold anything that is not
//! one complete JSON value. Called by everything in `mcp` that sends something.

use std::fmt;

use serde::Serialize;

/// One JSON value as text, without line breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Json(String);

impl Json {
    /// The value as JSON. Every type passed here serialises without failing (maps have
    /// string keys); should one ever fail, it stands as `null`.
    pub(crate) fn of<T: Serialize + ?Sized>(value: &T) -> Self {
        Self(serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned()))
    }

    pub(crate) fn empty_object() -> Self {
        Self("{}".to_owned())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }

    /// Bytes of the text.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An object under construction; members keep their order.
#[derive(Debug)]
pub(crate) struct Object(String);

impl Object {
    pub(crate) fn new() -> Self {
        Self("{".to_owned())
    }

    pub(crate) fn field<T: Serialize + ?Sized>(self, key: &str, value: &T) -> Self {
        self.json(key, &Json::of(value))
    }

    pub(crate) fn json(mut self, key: &str, value: &Json) -> Self {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push_str(Json::of(key).as_str());
        self.0.push(':');
        self.0.push_str(value.as_str());
        self
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

    pub(crate) fn end(mut self) -> Json {
        self.0.push('}');
        Json(self.0)
    }
}

/// An array of values that are JSON already.
pub(crate) fn array<'a>(values: impl IntoIterator<Item = &'a Json>) -> Json {
    let mut text = "[".to_owned();
    for value in values {
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(value.as_str());
    }
    text.push(']');
    Json(text)
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
    }
}
