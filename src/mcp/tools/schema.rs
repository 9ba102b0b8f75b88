//! What a client is told about the tools: `tools/list`, by the revision that it speaks.
//!
//! Owns the JSON schemas of arguments and results and the annotations, made of the table in
//! `definitions`. Only words that every vendor's converter of schemas takes. Called by `dispatch`.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::mcp::protocol::revision::Version;
use crate::mcp::tools::definitions::{Id, Kind, Param, TOOLS, Tool};
use crate::mcp::wire::json::{Json, Object, array};

/// The `tools` of a `tools/list` answer; those for transfers where the server has a directory
/// for them.
///
/// Made once for each revision that is spoken: it never changes, and clients ask often.
pub(crate) fn list(version: Version, transfers: bool) -> Json {
    static LISTS: Mutex<BTreeMap<(Version, bool), Json>> = Mutex::new(BTreeMap::new());
    let mut lists = LISTS.lock().unwrap_or_else(PoisonError::into_inner);
    let list = lists.entry((version, transfers)).or_insert_with(|| {
        let tools = TOOLS.iter().filter(|tool| transfers || !tool.transfers());
        let tools: Vec<Json> = tools.map(|tool| tool.to_json(version)).collect();
        array(&tools)
    });
    list.clone()
}

impl Tool {
    /// Whether it needs the server's directory for transfers.
    fn transfers(&self) -> bool {
        matches!(self.id, Id::FetchFile | Id::SendFile)
    }

    /// Whether blanks around this argument mean something.
    pub(crate) fn takes_verbatim(&self, name: &str) -> bool {
        let mut params = self.params.iter().filter(|param| param.name == name);
        params.any(|param| matches!(param.kind, Kind::Verbatim))
    }

    fn to_json(&self, version: Version) -> Json {
        Object::new()
            .field("name", self.name)
            .when(version.has_structure(), |tool| {
                tool.field("title", self.title)
            })
            .field("description", self.description)
            .json("inputSchema", &self.input_schema())
            .when(version.has_structure(), |tool| {
                tool.json("outputSchema", &self.output_schema())
            })
            .when(version.has_annotations(), |tool| {
                tool.json("annotations", &self.annotations(version))
            })
            .when(version.has_core_tasks() && self.as_task, |tool| {
                tool.json(
                    "execution",
                    &Object::new().field("taskSupport", "optional").end(),
                )
            })
            .end()
    }

    fn input_schema(&self) -> Json {
        let properties = self.params.iter().fold(Object::new(), |object, param| {
            object.json(param.name, &param.schema())
        });
        let required = self.params.iter().filter(|param| param.required);
        let required: Vec<&str> = required.map(|param| param.name).collect();
        // Only words that every vendor's converter takes: no additionalProperties, no
        // default of an empty text. Unknown arguments are refused all the same.
        Object::new()
            .field("type", "object")
            .json("properties", &properties.end())
            .when(!required.is_empty(), |schema| {
                schema.field("required", &required)
            })
            .end()
    }

    fn output_schema(&self) -> Json {
        let mut properties = Object::new();
        let mut required = Vec::new();
        for member in self.output.split(',') {
            let (name, kind) = member.split_once(':').unwrap_or((member, "s"));
            if !kind.ends_with('?') {
                required.push(name);
            }
            let kind = match kind.trim_end_matches('?') {
                "i" => "integer",
                "b" => "boolean",
                "o" => "object",
                "a" => "array",
                _ => "string",
            };
            properties = properties.json(name, &Object::new().field("type", kind).end());
        }
        Object::new()
            .field("type", "object")
            .json("properties", &properties.end())
            .field("required", &required)
            .end()
    }

    /// The hints of a read-only tool beyond that one mean nothing and are left out.
    fn annotations(&self, version: Version) -> Json {
        let hints = &self.hints;
        Object::new()
            .when(!version.has_structure(), |hint| {
                hint.field("title", self.title)
            })
            .field("readOnlyHint", &hints.read_only)
            .when(!hints.read_only, |hint| {
                hint.field("destructiveHint", &hints.destructive)
                    .field("idempotentHint", &hints.idempotent)
            })
            .field("openWorldHint", &hints.open_world)
            .end()
    }
}

impl Param {
    fn schema(&self) -> Json {
        let schema = Object::new();
        match self.kind {
            Kind::Text | Kind::Verbatim => schema.field("type", "string"),
            Kind::Texts => schema
                .field("type", "array")
                .json("items", &Object::new().field("type", "string").end()),
            Kind::Flag => schema.field("type", "boolean"),
            Kind::Integer { min, max, default } => schema
                .field("type", "integer")
                .field("minimum", &min)
                .field("maximum", &max)
                .maybe("default", default),
        }
        .field("description", self.description)
        .end()
    }

    /// The bounds of an integer argument and its default.
    pub(crate) fn bounds(&self) -> Option<(u64, u64, Option<u64>)> {
        match self.kind {
            Kind::Integer { min, max, default } => Some((min, max, default)),
            Kind::Text | Kind::Verbatim | Kind::Texts | Kind::Flag => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_list_is_short_and_its_texts_are_bounded() {
        for version in [Version::V2025_11_25, Version::V2026_07_28] {
            for (transfers, most) in [(false, 20_500), (true, 23_500)] {
                let list = list(version, transfers);
                assert!(list.len() < most, "{} bytes", list.len());
            }
        }
        for tool in &TOOLS {
            assert!(
                tool.description.len() < 2048 && !tool.description.contains("  "),
                "{}",
                tool.name
            );
        }
    }

    #[test]
    fn fields_appear_with_the_revision_that_brought_them() {
        let members = |version| {
            let list: Vec<Value> = serde_json::from_str(list(version, false).as_str()).unwrap();
            let run = list.iter().find(|tool| tool["name"] == "ssh_run").unwrap();
            run.as_object().unwrap().keys().cloned().collect::<Vec<_>>()
        };
        let first = ["description", "inputSchema", "name"];
        assert_eq!(members(Version::V2024_11_05), first);
        assert!(members(Version::V2025_03_26).contains(&"annotations".to_owned()));
        assert!(!members(Version::V2025_03_26).contains(&"outputSchema".to_owned()));
        assert!(!members(Version::V2025_06_18).contains(&"execution".to_owned()));
        assert!(members(Version::V2025_11_25).contains(&"execution".to_owned()));
        assert!(!members(Version::V2026_07_28).contains(&"execution".to_owned()));
    }

    #[test]
    fn schemas_have_only_what_every_converter_takes() {
        let list: Vec<Value> = serde_json::from_str(list(Version::MODERN, true).as_str()).unwrap();
        assert_eq!(list.len(), 19);
        for tool in &list {
            assert_eq!(tool["inputSchema"]["type"], "object");
            let schema = tool["inputSchema"].as_object().unwrap();
            let known = ["properties", "required", "type"];
            assert!(
                schema.keys().all(|key| known.contains(&key.as_str())),
                "{schema:?}"
            );
            for (name, property) in schema["properties"].as_object().unwrap() {
                let property = property.as_object().unwrap();
                let known = [
                    "default",
                    "description",
                    "items",
                    "maximum",
                    "minimum",
                    "type",
                ];
                assert!(
                    property.keys().all(|key| known.contains(&key.as_str())),
                    "{name}"
                );
                assert!(property.get("default").is_none_or(Value::is_u64), "{name}");
                assert_eq!(property["type"] == "array", property.contains_key("items"));
            }
            let must = schema.get("required").and_then(Value::as_array);
            let must = must.map(Vec::as_slice).unwrap_or_default();
            let has = |name: &str| schema["properties"].get(name).is_some();
            // A list of what there is may be of one host or of none.
            let names = match tool["name"] == "ssh_list_tasks" {
                true => &[][..],
                false => &["alias", "command", "task_id"],
            };
            for name in names {
                let name = *name;
                assert_eq!(has(name), must.iter().any(|one| one == name), "{name}");
            }
            assert_eq!(tool["outputSchema"]["type"], "object");
        }
    }
}
