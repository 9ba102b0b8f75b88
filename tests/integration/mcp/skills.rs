//! The guidance as skills (SEP-2640): declared, listed, fetched one by one, and each file
//! is what its entry says, to the byte.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use crate::common::{Era, Fleet, Launch, Server};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const EXTENSION: &str = "io.modelcontextprotocol/skills";

fn server(fleet: &Fleet) -> Server {
    Launch::era(Era::V2026_07_28).start(&fleet.setup)
}

/// What YAML makes of the lines between the two fences.
fn front_matter(file: &str) -> Value {
    let (matter, _) = file
        .strip_prefix("---\n")
        .unwrap()
        .split_once("\n---\n")
        .unwrap();
    let members = matter.lines().map(|line| {
        let (key, value) = line.split_once(": ").unwrap();
        // A text in double quotes is the same in JSON; a plain one stands for itself.
        let value = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
        (key.to_owned(), value)
    });
    Value::Object(members.collect())
}

#[test]
fn each_skill_is_what_its_entry_says() {
    let fleet = Fleet::of(&["one"]);
    let server = server(&fleet);
    let discovered = server.request("server/discover", json!({}));
    assert_eq!(
        discovered["capabilities"]["extensions"][EXTENSION],
        json!({})
    );
    let list = server.request("skills/list", json!({}));
    assert_eq!(list["resultType"], "complete");
    assert!(list["ttlMs"].is_u64() && list["cacheScope"].is_string());
    let resources = server.request("resources/list", json!({}))["resources"].clone();
    let prompts = server.request("prompts/list", json!({}))["prompts"].clone();
    let (skills, prompts) = (
        list["skills"].as_array().unwrap(),
        prompts.as_array().unwrap(),
    );
    assert_eq!(skills.len(), prompts.len());
    for (skill, prompt) in skills.iter().zip(prompts) {
        let uri = skill["uri"].as_str().unwrap();
        let name = skill["frontmatter"]["name"].as_str().unwrap();
        assert_eq!(uri, format!("skill://{name}/SKILL.md"));
        let alone = server.request("skills/get", json!({"uri": uri}));
        assert_eq!(&alone["skill"], skill);
        assert_eq!(alone["resultType"], "complete");

        let read = server.request("resources/read", json!({"uri": uri}));
        assert_eq!(read["contents"][0]["mimeType"], "text/markdown");
        let text = read["contents"][0]["text"].as_str().unwrap();
        assert_eq!(
            skill["resources"],
            json!([{
                "uri": uri,
                "digest": format!("sha256:{}", hex(&Sha256::digest(text))),
                "size": text.len()
            }])
        );
        assert_eq!(front_matter(text), skill["frontmatter"]);
        // It teaches what the prompt teaches.
        let asked = server.request("prompts/get", json!({"name": prompt["name"]}));
        let taught = asked["messages"][0]["content"]["text"].as_str().unwrap();
        assert!(text.contains(taught));
        let listed = resources.as_array().unwrap();
        let listed = listed.iter().find(|entry| entry["uri"] == uri).unwrap();
        assert_eq!(
            (&listed["name"], &listed["description"], &listed["mimeType"]),
            (
                &json!(name),
                &skill["frontmatter"]["description"],
                &json!("text/markdown")
            )
        );
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn what_is_no_skill_is_told_apart() {
    let fleet = Fleet::of(&["one"]);
    let server = server(&fleet);
    let first = server.request("skills/list", json!({}))["skills"][0]["uri"].clone();
    let root = first.as_str().unwrap().trim_end_matches("/SKILL.md");
    for uri in ["skill://none/SKILL.md", "ssh://hosts", "", root] {
        let answer = server.ask("skills/get", json!({"uri": uri}));
        assert_eq!(answer["error"]["code"], -32602, "{uri}");
        assert_eq!(answer["error"]["data"]["uri"], uri);
    }
    for wrong in [json!({}), json!({"uri": 7})] {
        assert_eq!(server.error_code("skills/get", wrong), -32602);
    }
    for uri in ["skill://none/SKILL.md", root] {
        assert_eq!(
            server.error_code("resources/read", json!({"uri": uri})),
            -32602
        );
    }
    assert_eq!(
        server.error_code("skills/list", json!({"cursor": "bogus"})),
        -32602
    );
    // Not declared, so not there.
    assert_eq!(
        server.error_code("resources/directory/read", json!({"uri": root})),
        -32601
    );
}

/// Revisions before it have the prompts; the files can be read all the same.
#[test]
fn older_revisions_have_no_such_methods() {
    let fleet = Fleet::of(&["one"]);
    let server = Launch::era(Era::V2025_11_25).start(&fleet.setup);
    assert_eq!(server.error_code("skills/list", json!({})), -32601);
    let uri = json!({"uri": "skill://ssh-orchestrator-usage/SKILL.md"});
    let read = server.request("resources/read", uri);
    assert!(
        read["contents"][0]["text"]
            .as_str()
            .unwrap()
            .contains("ssh_list_hosts")
    );
    let listed = server.request("resources/list", json!({}));
    assert_eq!(listed["resources"].as_array().unwrap().len(), 2);
}
