//! A JSON Schema validator for what MCP's schemas use, and which part of them a frame
//! must match.
//!
//! Written here because the alternatives bring some fifty crates into the test build. It
//! refuses a keyword it does not know, so that nothing goes unchecked in silence.

use std::sync::OnceLock;

use serde_json::{Map, Value, json};

/// A revision of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Era {
    V2024_11_05,
    V2025_03_26,
    V2025_06_18,
    V2025_11_25,
    V2026_07_28,
}

impl Era {
    pub(crate) const ALL: [Era; 5] = [
        Era::V2024_11_05,
        Era::V2025_03_26,
        Era::V2025_06_18,
        Era::V2025_11_25,
        Era::V2026_07_28,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Era::V2024_11_05 => "2024-11-05",
            Era::V2025_03_26 => "2025-03-26",
            Era::V2025_06_18 => "2025-06-18",
            Era::V2025_11_25 => "2025-11-25",
            Era::V2026_07_28 => "2026-07-28",
        }
    }

    /// Without a handshake: each request says what it speaks.
    pub(crate) fn is_modern(self) -> bool {
        self >= Era::V2026_07_28
    }

    fn schema(self) -> &'static Value {
        static SCHEMAS: [OnceLock<Value>; 5] = [const { OnceLock::new() }; 5];
        SCHEMAS[self as usize].get_or_init(|| {
            let file = format!(
                "{}/tests/data/mcp/schema-{}.json",
                env!("CARGO_MANIFEST_DIR"),
                self.name()
            );
            let text = std::fs::read(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
            serde_json::from_slice(&text).unwrap()
        })
    }

    /// What is wrong with `value` as the named type of this revision's schema.
    pub(crate) fn check(self, type_name: &str, value: &Value) -> Vec<String> {
        let schema = self.schema();
        let key = if schema.get("$defs").is_some() {
            "$defs"
        } else {
            "definitions"
        };
        assert!(
            schema[key].get(type_name).is_some(),
            "{} has no type {type_name}",
            self.name()
        );
        let mut found = Vec::new();
        Walk { root: schema }.check(
            &json!({ "$ref": format!("#/{key}/{type_name}") }),
            value,
            type_name,
            &mut found,
        );
        found
    }

    fn has(self, type_name: &str) -> bool {
        let schema = self.schema();
        schema
            .get("$defs")
            .or_else(|| schema.get("definitions"))
            .is_some_and(|defs| defs.get(type_name).is_some())
    }

    /// The type of the result of a request, where this revision's schema has one.
    pub(crate) fn result_type(
        self,
        method: &str,
        params: &Value,
        result: &Value,
    ) -> Option<&'static str> {
        let name = match method {
            "initialize" => "InitializeResult",
            "ping" | "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe" => {
                "EmptyResult"
            }
            "tools/list" => "ListToolsResult",
            "tools/call" if !params["task"].is_null() && !self.is_modern() => "CreateTaskResult",
            "tools/call" => match result.get("resultType").and_then(Value::as_str) {
                Some("input_required") => "InputRequiredResult",
                // The tasks extension has no schema of its own here.
                Some("task") => return None,
                _ => "CallToolResult",
            },
            "resources/list" => "ListResourcesResult",
            "resources/templates/list" => "ListResourceTemplatesResult",
            "resources/read" => "ReadResourceResult",
            "prompts/list" => "ListPromptsResult",
            "prompts/get" => "GetPromptResult",
            "completion/complete" => "CompleteResult",
            "server/discover" => "DiscoverResult",
            "subscriptions/listen" => "SubscriptionsListenResult",
            "tasks/get" => "GetTaskResult",
            "tasks/list" => "ListTasksResult",
            "tasks/cancel" => "CancelTaskResult",
            _ => return None,
        };
        self.has(name).then_some(name)
    }
}

/// What is wrong with `value` under a free-standing schema, such as a tool's output schema.
pub(crate) fn violations(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    Walk { root: schema }.check(schema, value, "$", &mut found);
    found
}

struct Walk<'a> {
    root: &'a Value,
}

impl Walk<'_> {
    fn check(&self, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
        let schema = match schema {
            Value::Bool(true) => return,
            Value::Bool(false) => return found.push(format!("{at}: nothing is allowed here")),
            Value::Object(map) => map,
            other => panic!("not a schema: {other}"),
        };
        for (keyword, rule) in schema {
            self.keyword(schema, keyword, rule, value, at, found);
        }
    }

    fn keyword(
        &self,
        schema: &Map<String, Value>,
        keyword: &str,
        rule: &Value,
        value: &Value,
        at: &str,
        found: &mut Vec<String>,
    ) {
        let mut complain = |what: String| found.push(format!("{at}: {what}"));
        match keyword {
            // Annotations. `format` is one as well in both drafts, unless asked for.
            "$schema" | "$id" | "$defs" | "definitions" | "$comment" | "title" | "description"
            | "default" | "examples" | "format" | "deprecated" | "readOnly" => {}
            "$ref" => {
                let pointer = rule
                    .as_str()
                    .unwrap()
                    .strip_prefix('#')
                    .expect("only references within the schema");
                let target = self
                    .root
                    .pointer(pointer)
                    .unwrap_or_else(|| panic!("no {rule} in the schema"));
                self.check(target, value, at, found);
            }
            "type" => {
                let any = |name: &Value| has_type(name.as_str().unwrap(), value);
                let fits = rule
                    .as_array()
                    .map_or_else(|| any(rule), |names| names.iter().any(any));
                if !fits {
                    complain(format!("is not of type {rule}: {value}"));
                }
            }
            "const" if rule != value => complain(format!("is {value}, not {rule}")),
            "enum" if !rule.as_array().unwrap().contains(value) => {
                complain(format!("{value} is none of {rule}"))
            }
            "const" | "enum" => {}
            "required" => {
                let Some(object) = value.as_object() else {
                    return;
                };
                for name in rule.as_array().unwrap() {
                    if !object.contains_key(name.as_str().unwrap()) {
                        complain(format!("lacks {name}"));
                    }
                }
            }
            "properties" => {
                for (name, schema) in rule.as_object().unwrap() {
                    if let Some(inner) = value.get(name) {
                        self.check(schema, inner, &format!("{at}.{name}"), found);
                    }
                }
            }
            "additionalProperties" => {
                let known = schema.get("properties").and_then(Value::as_object);
                for (name, inner) in value.as_object().into_iter().flatten() {
                    if known.is_none_or(|known| !known.contains_key(name)) {
                        self.check(rule, inner, &format!("{at}.{name}"), found);
                    }
                }
            }
            "items" => {
                for (index, inner) in value.as_array().into_iter().flatten().enumerate() {
                    self.check(rule, inner, &format!("{at}[{index}]"), found);
                }
            }
            "allOf" => rule
                .as_array()
                .unwrap()
                .iter()
                .for_each(|part| self.check(part, value, at, found)),
            "anyOf" | "oneOf" => {
                let results: Vec<Vec<String>> = rule
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|part| self.trial(part, value, at))
                    .collect();
                let fitting = results.iter().filter(|result| result.is_empty()).count();
                if fitting == 0 || (keyword == "oneOf" && fitting > 1) {
                    let reasons: Vec<String> = results.concat();
                    complain(format!(
                        "fits {fitting} of the {} alternatives ({})",
                        results.len(),
                        reasons.join("; ")
                    ));
                }
            }
            "not" if self.trial(rule, value, at).is_empty() => {
                complain("is what it must not be".to_owned())
            }
            "not" => {}
            "minimum" if value.as_f64() < rule.as_f64() && value.is_number() => {
                complain(format!("{value} is under {rule}"))
            }
            "maximum" if value.as_f64() > rule.as_f64() && value.is_number() => {
                complain(format!("{value} is over {rule}"))
            }
            "minLength" | "maxLength" | "minItems" | "maxItems" => {
                let counts_items = keyword.ends_with("Items");
                let size = match value {
                    Value::String(text) if !counts_items => text.chars().count() as u64,
                    Value::Array(items) if counts_items => items.len() as u64,
                    _ => return,
                };
                let bound = rule.as_u64().unwrap();
                if keyword.starts_with("min") && size < bound
                    || keyword.starts_with("max") && size > bound
                {
                    complain(format!("has size {size}, {keyword} is {bound}"));
                }
            }
            "minimum" | "maximum" => {}
            unknown => {
                panic!("tests/common/schema.rs does not know the keyword {unknown:?}: add it")
            }
        }
    }

    fn trial(&self, schema: &Value, value: &Value, at: &str) -> Vec<String> {
        let mut found = Vec::new();
        self.check(schema, value, at, &mut found);
        found
    }
}

fn has_type(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0)
        }
        other => panic!("no type {other} in JSON Schema"),
    }
}
