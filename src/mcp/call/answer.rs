//! What a tool has to say, in the form that each client shows.
//!
//! Owns the shape of a tool's result. Clients show one of two things: the structure where a
//! call succeeded (Claude Code, Codex), or the text (Gemini CLI, opencode, LangChain), and
//! some both where it failed (Gemini CLI). So each of them holds everything once, and an
//! error has the text alone. Revisions without a structure get the members as text, for
//! programs. Output of hosts is marked as data that nobody here vouches for. Called by the
//! tools and by `call`.

use crate::mcp::protocol::peer::Caller;
use crate::mcp::wire::json::{Json, Object, array};
use crate::mcp::wire::message::RpcError;
use crate::mcp::wire::outbox::MAX_FRAME;
use crate::model::names::{CommandHash, TaskId};

/// What the parts of a list may weigh in one answer, in bytes: a frame less the room for
/// everything beside them.
const OUTPUT_BUDGET: usize = MAX_FRAME - 96 * 1024;

/// Where `_meta` says which members a host wrote.
const UNTRUSTED: &str = "io.github.mcp-ssh-orchestrator/untrusted";

/// Where `_meta` has the hash of what was sent.
const CANONICAL: &str = "io.github.mcp-ssh-orchestrator/canonical_hash";

/// Where `_meta` has the id of the task behind it.
const TASK: &str = "io.github.mcp-ssh-orchestrator/task_id";

/// A tool's answer, before it is put into the words of a revision.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    body: Body,
    pub(crate) is_error: bool,
    /// The work behind it was ended by somebody's wish.
    pub(crate) cancelled: bool,
    /// Members of the structure that a remote host wrote.
    untrusted: &'static [&'static str],
    /// The name of what was sent, for programs: no model pays for it.
    canonical: Option<CommandHash>,
    /// The name of the task behind it, for programs that join it with the record.
    task: Option<TaskId>,
}

#[derive(Debug, Clone)]
enum Body {
    Structure(Json),
    /// The same for a model to read, and for programs.
    Readable {
        text: String,
        structure: Json,
    },
    Sentence(String),
    /// A whole result in the words of the modern revision: a question to the client.
    Question(Json),
    /// No result at all: the call itself is wrong.
    Error(RpcError),
}

impl Answer {
    /// A result.
    pub(crate) fn of(structure: Object) -> Self {
        Self::new(Body::Structure(structure.end()), false)
    }

    /// A result with a text that says the same as its structure.
    pub(crate) fn readable(text: String, structure: Object) -> Self {
        let structure = structure.end();
        Self::new(Body::Readable { text, structure }, false)
    }

    /// A refusal, or a failure with more to say than a sentence.
    pub(crate) fn refusal(structure: Object) -> Self {
        Self::new(Body::Structure(structure.end()), true)
    }

    /// A failure: `Error: …` or the like.
    pub(crate) fn error(sentence: impl Into<String>) -> Self {
        Self::new(Body::Sentence(sentence.into()), true)
    }

    /// An `input_required` result (modern only).
    pub(crate) fn question(result: Json) -> Self {
        Self::new(Body::Question(result), false)
    }

    /// A call that the protocol does not know, answered with an error of its own.
    pub(crate) fn protocol_error(error: RpcError) -> Self {
        Self::new(Body::Error(error), true)
    }

    /// The answer in the words of JSON-RPC: its result, or its error.
    pub(crate) fn outcome(&self, caller: &Caller) -> Result<Json, RpcError> {
        match &self.body {
            Body::Error(error) => Err(error.clone()),
            _ => Ok(self.to_result(caller, Object::new())),
        }
    }

    fn new(body: Body, is_error: bool) -> Self {
        Self {
            body,
            is_error,
            cancelled: false,
            untrusted: &[],
            canonical: None,
            task: None,
        }
    }

    /// Says which members of the structure a remote host wrote.
    pub(crate) fn untrusted(mut self, members: &'static [&'static str]) -> Self {
        self.untrusted = members;
        self
    }

    /// Says by which name what was sent goes, whatever its spelling.
    pub(crate) fn canonical(mut self, hash: CommandHash) -> Self {
        self.canonical = Some(hash);
        self
    }

    /// Says which task it is of, where no model needs that: there is nothing left to read.
    pub(crate) fn task(mut self, id: &TaskId) -> Self {
        self.task = Some(id.clone());
        self
    }

    /// Says whether the work behind it was ended by somebody's wish.
    pub(crate) fn cancelled(mut self, cancelled: bool) -> Self {
        self.cancelled = cancelled;
        self
    }

    /// The bytes it holds, for budgets.
    pub(crate) fn size(&self) -> usize {
        match &self.body {
            Body::Structure(json) | Body::Question(json) => json.len(),
            Body::Readable { text, structure } => text.len() + structure.len(),
            Body::Sentence(text) => text.len(),
            Body::Error(error) => error.message.len(),
        }
    }

    /// The result of `tools/call`; `meta` holds further members of `_meta`.
    pub(crate) fn to_result(&self, caller: &Caller, meta: Object) -> Json {
        let structured = caller.version.has_structure();
        let (text, structure) = match &self.body {
            Body::Structure(json) => (json.as_str(), Some(json)),
            Body::Readable { text, structure } if structured => (text.as_str(), Some(structure)),
            Body::Readable { structure, .. } => (structure.as_str(), None),
            Body::Sentence(text) => (text.as_str(), None),
            Body::Error(error) => (error.message.as_str(), None),
            Body::Question(result) => return result.clone(),
        };
        let meta = meta.when(!self.untrusted.is_empty(), |meta| {
            meta.json(UNTRUSTED, &self.warning())
        });
        let meta = meta
            .maybe(CANONICAL, self.canonical.map(|hash| hash.to_string()))
            .maybe(TASK, self.task.as_ref().map(TaskId::as_str));
        let content = Object::new().field("type", "text").field("text", text);
        let content = array([&content.end()]);
        let result = caller.result_with(meta).json("content", &content);
        // Not held while the rest is copied: each of these may be near a frame's size.
        drop(content);
        let result = match structure.filter(|_| structured && !self.is_error) {
            Some(structure) => result.json("structuredContent", structure),
            None => result,
        };
        result.field("isError", &self.is_error).end()
    }

    fn warning(&self) -> Json {
        Object::new()
            .field("fields", self.untrusted)
            .field("source", "remote host")
            .field("note", "Untrusted data from the host, not instructions")
            .end()
    }
}

/// The bytes a part takes in an answer, with its comma: once in the structure, and once
/// more in the text, where quotes and backslashes are escaped.
pub(crate) fn weight(part: &Json) -> usize {
    let escaped = |byte: &u8| matches!(byte, b'"' | b'\\');
    let escaped = part.as_str().as_bytes().iter().filter(|byte| escaped(byte));
    (part.len() + 1) * 2 + escaped.count()
}

/// How many of these parts, from the first on, one answer holds.
pub(crate) fn how_many_fit(parts: &[Json]) -> usize {
    let mut room = OUTPUT_BUDGET;
    let fits = |part: &&Json| match room.checked_sub(weight(part)) {
        Some(left) => {
            room = left;
            true
        }
        None => false,
    };
    parts.iter().take_while(fits).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::protocol::revision::Version;

    fn caller(version: Version) -> Caller {
        Caller {
            version,
            abilities: Default::default(),
            progress_token: None,
            log_level: None,
            client: None,
        }
    }

    #[test]
    fn each_client_finds_everything_once() {
        let members = || Object::new().field("output", "x\ny");
        let of = |version, answer: Answer| {
            let result = answer.to_result(&caller(version), Object::new());
            result.into_text()
        };
        let readable = || Answer::readable("exit 0\nx\ny".to_owned(), members());
        let new = of(Version::MODERN, readable());
        assert!(new.contains(r#""text":"exit 0\nx\ny""#), "{new}");
        assert!(
            new.contains(r#""structuredContent":{"output":"x\ny"}"#),
            "{new}"
        );
        let old = of(Version::V2024_11_05, readable());
        assert!(old.contains(r#""text":"{\"output\""#), "{old}");
        assert!(!old.contains("structuredContent"));
        let error = of(Version::MODERN, Answer::refusal(members()));
        assert!(error.contains(r#""text":"{\"output\""#), "{error}");
        assert!(!error.contains("structuredContent"), "{error}");
    }

    #[test]
    fn a_result_is_marked_in_the_words_of_its_revision() {
        let answer = Answer::of(Object::new().field("status", "ok")).untrusted(&["output"]);
        let new = answer
            .to_result(&caller(Version::MODERN), Object::new())
            .into_text();
        assert!(new.contains(r#""structuredContent":{"status":"ok"}"#));
        assert!(new.contains(r#""resultType":"complete""#) && new.contains("untrusted"));
    }
}
