//! The guidance of the prompts as skills: files that an assistant loads by itself when it
//! needs them (the extension `io.modelcontextprotocol/skills`, SEP-2640).
//!
//! Owns their addresses, their front matter and their digests. A skill is one `SKILL.md`,
//! has no scripts, and asks for no tools. Its text is the prompt's without host or command,
//! so that its digest holds as long as the program does. Called by `dispatch` for the two
//! methods, and by `resources` for the files.

use std::sync::LazyLock;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::mcp::feature::cursor::Pager;
use crate::mcp::feature::prompts::{self, Prompt};
use crate::mcp::protocol::handshake::STATIC_MS;
use crate::mcp::protocol::peer::Caller;
use crate::mcp::wire::json::{Json, Object, array};
use crate::mcp::wire::message::{Params, RpcError};
use crate::model::text::hex;

/// Type of the one file of a skill.
pub(crate) const MIME: &str = "text/markdown";

/// One skill, whole.
pub(crate) struct Skill {
    /// Of its `SKILL.md`.
    pub(crate) uri: String,
    /// Lower case and hyphens, as the format wants it; the last directory of the address.
    pub(crate) name: String,
    pub(crate) title: &'static str,
    pub(crate) description: &'static str,
    /// The file.
    pub(crate) text: String,
    /// `sha256:` and 64 hex digits.
    digest: String,
}

static SKILLS: LazyLock<Vec<Skill>> =
    LazyLock::new(|| prompts::PROMPTS.iter().map(Skill::of).collect());

/// All of them, in the order of the prompts.
pub(crate) fn all() -> &'static [Skill] {
    &SKILLS
}

/// The skill whose `SKILL.md` this is the address of.
pub(crate) fn find(uri: &str) -> Option<&'static Skill> {
    all().iter().find(|skill| skill.uri == uri)
}

/// `skills/list`.
pub(crate) fn list(pager: &Pager, caller: &Caller, params: &Params) -> Result<Json, RpcError> {
    let (page, next) = pager.page("skills", params, all().iter().collect())?;
    let entries: Vec<Json> = page.into_iter().map(Skill::entry).collect();
    let result = caller
        .result()
        .json("skills", &array(&entries))
        .maybe("nextCursor", next);
    Ok(caller.keep_for(STATIC_MS, result).end())
}

/// `skills/get`.
///
/// # Errors
/// No address, or one where no skill is.
pub(crate) fn entry(caller: &Caller, params: &Params) -> Result<Json, RpcError> {
    let uri = params.get("uri").and_then(Value::as_str);
    let uri = uri.ok_or_else(|| RpcError::invalid_params("skills/get needs a uri"))?;
    let skill = find(uri).ok_or_else(|| {
        let shown: String = uri.chars().take(1000).collect();
        RpcError::invalid_params("No skill is at this uri: skills/list names those that there are")
            .with_data(Object::new().field("uri", &shown).end())
    })?;
    let result = caller.result().json("skill", &skill.entry());
    Ok(caller.keep_for(STATIC_MS, result).end())
}

impl Skill {
    fn of(prompt: &Prompt) -> Self {
        let name = prompt.name.replace('_', "-");
        // JSON's texts are YAML's in double quotes: nothing in them is taken for YAML.
        let description = Json::of(prompt.description);
        let text = format!(
            "---\nname: {name}\ndescription: {description}\n---\n\n# {}\n\n{}\n",
            prompt.title, prompt.text
        );
        Self {
            uri: format!("skill://{name}/SKILL.md"),
            name,
            title: prompt.title,
            description: prompt.description,
            digest: format!("sha256:{}", hex(&Sha256::digest(&text))),
            text,
        }
    }

    /// What a client needs to know before it reads the file, and to check it afterwards.
    fn entry(&self) -> Json {
        let front_matter = Object::new()
            .field("name", &self.name)
            .field("description", self.description)
            .end();
        let file = Object::new()
            .field("uri", &self.uri)
            .field("digest", &self.digest)
            .field("size", &self.text.len())
            .end();
        Object::new()
            .field("uri", &self.uri)
            .json("frontmatter", &front_matter)
            .json("resources", &array([&file]))
            .end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_descriptions_are_as_the_format_wants_them() {
        assert_eq!(all().len(), prompts::PROMPTS.len());
        for skill in all() {
            let name = &skill.name;
            let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(name.len() <= 64 && name.chars().all(allowed), "{name}");
            assert!(!name.contains("--") && !name.starts_with('-') && !name.ends_with('-'));
            let length = skill.description.chars().count();
            assert!((1..=1024).contains(&length), "{name}");
        }
    }
}
