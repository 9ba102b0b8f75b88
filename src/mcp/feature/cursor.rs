//! Cursors: where a long list goes on, in a form that only this process can make.
//!
//! Owns paging of lists. A cursor carries its list and position with a tag under a key
//! that serves cursors alone, so that a made-up one is told from a real one. Called by
//! `dispatch`, `feature/resources` and `feature/tasks`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Mac as _;
use serde_json::Value;

use crate::mcp::wire::message::{Params, RpcError};
use crate::model::keys::TagKey;

/// Entries of one page.
pub(crate) const PAGE: usize = 100;

/// Makes and reads the cursors of this process.
pub(crate) struct Pager {
    key: TagKey,
}

impl Pager {
    pub(crate) fn new(key: TagKey) -> Self {
        Self { key }
    }

    /// The entries of the page that `params.cursor` asks for, and the cursor of the next.
    ///
    /// # Errors
    /// A cursor that is not text, or that was not made for this list by this process.
    pub(crate) fn page<T>(
        &self,
        list: &str,
        params: &Params,
        entries: Vec<T>,
    ) -> Result<(Vec<T>, Option<String>), RpcError> {
        let start = match params.get("cursor") {
            None | Some(Value::Null) => 0,
            Some(cursor) => cursor
                .as_str()
                .and_then(|cursor| self.read(list, cursor))
                .ok_or_else(|| RpcError::invalid_params("Invalid cursor"))?,
        };
        let end = start.saturating_add(PAGE);
        let next = (entries.len() > end).then(|| self.cursor(list, end));
        Ok((entries.into_iter().skip(start).take(PAGE).collect(), next))
    }

    fn cursor(&self, list: &str, position: usize) -> String {
        let position = (position as u64).to_be_bytes();
        let mut bytes = position.to_vec();
        bytes.extend(self.tag(list, &position));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn read(&self, list: &str, cursor: &str) -> Option<usize> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (position, tag) = bytes.split_at_checked(8)?;
        if tag != self.tag(list, position) {
            return None;
        }
        usize::try_from(u64::from_be_bytes(position.try_into().ok()?)).ok()
    }

    fn tag(&self, list: &str, position: &[u8]) -> Vec<u8> {
        let mut mac = self.key.mac();
        mac.update(list.as_bytes());
        mac.update(position);
        mac.finalize()
            .into_bytes()
            .iter()
            .take(8)
            .copied()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn params(cursor: &str) -> Params {
        json!({ "cursor": cursor }).as_object().unwrap().clone()
    }

    #[test]
    fn pages_follow_each_other_and_made_up_cursors_are_refused() {
        let pager = Pager::new(TagKey::derive(&[7; 64], "cursor"));
        let all: Vec<usize> = (0..250).collect();
        let (mut seen, mut next) = pager.page("a", &Params::new(), all.clone()).unwrap();
        while let Some(cursor) = next {
            assert!(pager.page("b", &params(&cursor), all.clone()).is_err());
            let (page, following) = pager.page("a", &params(&cursor), all.clone()).unwrap();
            seen.extend(page);
            next = following;
        }
        assert_eq!(seen, all);
        for cursor in ["", "bogus\u{2603}", "AAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
            assert!(pager.page("a", &params(cursor), all.clone()).is_err());
        }
        let number = json!({ "cursor": 7 }).as_object().unwrap().clone();
        assert!(pager.page("a", &number, all).is_err());
    }
}
