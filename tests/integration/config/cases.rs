//! The Python project's configuration cases, replayed whole: secrets and their order,
//! `.env`, key paths, files, YAML, hosts, credentials, directories, events.
//!
//! Each case either gives what it expects, or is on the list of differences with the
//! decision that makes it differ; a listed case that agrees after all fails too.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a failed step is a failed test"
)]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::common::Scratch;
use mcp_ssh_orchestrator::testing::audit::Record;
use mcp_ssh_orchestrator::testing::cli;
use mcp_ssh_orchestrator::testing::config::secrets::env_file::EnvFile;
use mcp_ssh_orchestrator::testing::config::yaml::node::{Node, Value as Yaml, parse};
use mcp_ssh_orchestrator::testing::config::yaml::scalar::Meaning;
use mcp_ssh_orchestrator::testing::config::{
    Dirs, Environment, Links, LoadError, Loaded, Secret, load, load_texts,
};
use mcp_ssh_orchestrator::testing::model::security_event::{EventValue, SecurityEvent};
use serde_json::{Value, json};

/// Case, and the decision that makes it differ.
const DIFFERENCES: &[(&str, &str)] = &[
    (
        "cfg-secret-087",
        "a secret that isn't text is refused at load, with its reason, instead of counting as empty",
    ),
    (
        "cfg-dotenv-013",
        "a reload reads secrets again; nothing of .env is kept from the load before",
    ),
    (
        "cfg-dotenv-021",
        "a line that can't name a secret is left out, with a warning that says so",
    ),
    (
        "cfg-yaml-005",
        "a broken file is an error with its place, not an empty configuration",
    ),
    (
        "cfg-yaml-007",
        "a broken file is an error with its place, not an empty configuration",
    ),
    (
        "cfg-hosts-008",
        "nothing is skipped: a host without an alias, or without credentials, is an error",
    ),
    (
        "cfg-hosts-010",
        "nothing is skipped: a text where a list belongs is an error, so no tag matches by chance",
    ),
    (
        "cfg-credentials-013",
        "a refused key path refuses the credential; it doesn't turn into a password login",
    ),
];

#[test]
fn every_case_is_as_expected_or_differs_by_decision() {
    let text = include_str!("../../data/cases/config.jsonl");
    let mut differences: BTreeMap<&str, &str> = DIFFERENCES.iter().copied().collect();
    let mut seen = 0;
    let mut wrong = Vec::new();
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let id = case["id"].as_str().unwrap().to_owned();
        seen += 1;
        match (replay(&case), differences.remove(id.as_str())) {
            (Ok(()), None) | (Err(_), Some(_)) => {}
            (Ok(()), Some(_)) => wrong.push(format!("{id} is listed, but agrees")),
            (Err(why), None) => wrong.push(format!("{id}: {why}\n    {line}")),
        }
    }
    assert!(seen > 100, "the corpus is empty or cut off: {seen} cases");
    wrong.extend(
        differences
            .keys()
            .map(|id| format!("{id} is listed, but isn't a case")),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn replay(case: &Value) -> Result<(), String> {
    match case["kind"].as_str().unwrap() {
        "secret" => secret(case),
        "dotenv" => dotenv(case),
        "keypath" => keypath(case),
        "filecheck" => filecheck(case),
        "yaml" => yaml(case),
        "hosts" => hosts(case),
        "credentials" => credentials(case),
        "readiness" => readiness(case),
        "dirs" => dirs(case),
        "event" => event(case),
        other => Err(format!("unknown kind {other}")),
    }
}

fn secret(case: &Value) -> Result<(), String> {
    let root = Root::of(case);
    let entry = json!({
        "name": "c", "username": "u", "key_path": "k", "password_secret": case["secret_name"],
    });
    let result = root.load_entry(entry);
    let expect = &case["expect"];
    if expect["rejected"] == true {
        expect_eq("rejected", &result.is_err(), &true)?;
    } else {
        let value = result.as_ref().map_err(LoadError::for_operator)?;
        let value = text(value.snapshot.hosts()[0].login.password.as_ref());
        expect_eq("value", &value.as_str(), &expect["value"].as_str().unwrap())?;
    }
    events(case, &result)
}

fn dotenv(case: &Value) -> Result<(), String> {
    let root = Root::of(case);
    let expect = &case["expect"];
    if case["setup"]["steps"].is_array() {
        let read = || {
            let entry = json!({"name": "c", "username": "u", "password_secret": "KEY1"});
            text(
                root.load_entry(entry).unwrap().snapshot.hosts()[0]
                    .login
                    .password
                    .as_ref(),
            )
        };
        root.write("secrets/.env", b"KEY1=value1\n");
        let first = read();
        root.write("secrets/.env", b"KEY1=modified_value\n");
        expect_eq(
            "first",
            &first.as_str(),
            &expect["first"]["KEY1"].as_str().unwrap(),
        )?;
        return expect_eq(
            "second",
            &read().as_str(),
            &expect["second"]["KEY1"].as_str().unwrap(),
        );
    }
    let result = root.load_entry(json!({"name": "c", "username": "u", "key_path": "k"}));
    let map = match &result {
        Ok(_) => {
            let bytes = fs::read(root.path.join("secrets/.env")).unwrap_or_default();
            let (file, _) = EnvFile::parse(&bytes).unwrap();
            let value = |name: &str| (name.to_owned(), text(file.value(name).as_ref()));
            file.names().map(value).collect()
        }
        Err(_) => BTreeMap::new(),
    };
    if let Some(key) = expect["map_has_key"].as_str() {
        expect_eq("has key", &map.contains_key(key), &true)?;
    } else {
        expect_eq("map", &json!(map), &expect["map"])?;
    }
    events(case, &result)
}

fn keypath(case: &Value) -> Result<(), String> {
    let root = Root::of(case);
    let path = case["key_path"]
        .as_str()
        .unwrap()
        .replace("<abs>", &root.abs());
    let result = root.load_entry(json!({"name": "c", "username": "u", "key_path": path}));
    let expect = &case["expect"];
    if expect["rejected"] == true {
        expect_eq("rejected", &result.is_err(), &true)?;
    } else {
        let loaded = result.as_ref().map_err(LoadError::for_operator)?;
        let login = &loaded.snapshot.hosts()[0].login;
        let key = login.key_path.as_ref().unwrap();
        let shown = root
            .keys
            .join(key.relative().as_path())
            .display()
            .to_string();
        let expected = expect["path"]
            .as_str()
            .unwrap()
            .replace("<abs>", &root.abs());
        expect_eq("path", &shown, &expected)?;
        let read = loaded
            .snapshot
            .dirs()
            .read_key(key)
            .map_err(|error| error.to_string())?;
        expect_eq(
            "bytes",
            &read.expose(),
            &fs::read(expected).unwrap().as_slice(),
        )?;
    }
    events(case, &result)
}

fn filecheck(case: &Value) -> Result<(), String> {
    let root = Root::of(case);
    let file = case["file_path"].as_str().unwrap();
    // A file of the base directory is named as a user would; one outside is reached by a
    // link, the one way that is left.
    let name = match file.strip_prefix("keys/") {
        Some(name) => name.to_owned(),
        None => {
            symlink(root.path.join(file), root.path.join("keys/way")).unwrap();
            "way".to_owned()
        }
    };
    let dirs = Arc::new(Dirs::open(
        &root.config,
        &root.keys,
        &root.secrets,
        Links::Beneath,
    ));
    let result = root.load_with(
        &dirs,
        json!({"name": "c", "username": "u", "key_path": name}),
    );
    expect_eq(
        "valid",
        &result.is_ok(),
        &case["expect"]["valid"].as_bool().unwrap(),
    )?;
    events(case, &result)
}

fn yaml(case: &Value) -> Result<(), String> {
    let expect = &case["expect"];
    if expect["network"] == "closed" {
        let root = Root::of(case);
        root.write("config/servers.yml", b"hosts: []\n");
        root.write("config/credentials.yml", b"entries: []\n");
        let result = load(&root.dirs(), &Environment::default());
        return expect_eq("without policy.yml", &result.is_err(), &true);
    }
    let root = Root::of(case);
    let (file, bytes) = root.only_file("config");
    if expect["clear_config_error"] == true {
        let mut texts: [&[u8]; 3] = [b"hosts: []", b"entries: []", b"rules: []"];
        let index = ["servers.yml", "credentials.yml", "policy.yml"]
            .iter()
            .position(|name| *name == file)
            .unwrap();
        texts[index] = &bytes;
        let result = load_texts(texts, &root.dirs(), &Environment::default());
        let error = result.err().ok_or("no error")?;
        let problem = &error.problems[0];
        expect_eq("file", &problem.place.file, &file.as_str())?;
        expect_eq("line", &problem.place.at.is_some(), &true)?;
        return expect_eq("says what it found", &problem.found.is_empty(), &false);
    }
    let data = match parse(&bytes) {
        Ok(document) => plain(&document.root),
        Err(fault) => return Err(format!("{fault:?}")),
    };
    if let Some(key) = expect["has_key"].as_str() {
        return expect_eq("has key", &data.get(key).is_some(), &true);
    }
    expect_eq("data", &data, &expect["data"])
}

fn hosts(case: &Value) -> Result<(), String> {
    let root = Root::of(case);
    let expect = &case["expect"];
    if !root.path.join("config/credentials.yml").exists() {
        root.write("config/credentials.yml", b"entries: []\n");
    }
    root.write("config/policy.yml", b"rules: []\n");
    if case["setup"]["steps"].is_array() {
        let entry = json!({"entries": [{"name": "c", "username": "u", "agent": true}]});
        root.write("config/credentials.yml", entry.to_string().as_bytes());
        root.write(
            "config/servers.yml",
            b"hosts: [{alias: old, host: 10.0.0.1, credentials: c}]\n",
        );
        let first = load(&root.dirs(), &Environment::default())
            .unwrap()
            .snapshot;
        let admit = Box::new(|_: &_| Ok(()));
        let store =
            mcp_ssh_orchestrator::testing::config::Store::new(Environment::default(), first, admit);
        root.write(
            "config/servers.yml",
            b"hosts: [{alias: newhost, host: 10.0.0.3, credentials: c}]\n",
        );
        store.reload().map_err(|error| error.for_operator())?;
        let current = store.current();
        let host = &current.hosts()[0];
        expect_eq("alias", &host.alias.as_str(), &"newhost")?;
        let address = expect["host"]["host"].as_str().unwrap();
        return expect_eq("host", &host.address.to_string().as_str(), &address);
    }
    let snapshot = load(&root.dirs(), &Environment::default())
        .map_err(|error| error.for_operator())?
        .snapshot;
    let query = case["query"].as_str().unwrap();
    if let Some(alias) = query.strip_prefix("describe ") {
        let alias = mcp_ssh_orchestrator::testing::model::names::HostAlias::parse(alias).unwrap();
        // The tool's text for it is a test of the tools.
        return expect_eq("unknown", &snapshot.host(&alias).is_none(), &true);
    }
    let aliases: Vec<&str> = match query.strip_prefix("by tag ") {
        Some(tag) => {
            let tag = mcp_ssh_orchestrator::testing::model::names::Tag::parse(tag).unwrap();
            snapshot
                .hosts_with_tag(&tag)
                .map(|host| host.alias.as_str())
                .collect()
        }
        None => snapshot
            .hosts()
            .iter()
            .map(|host| host.alias.as_str())
            .collect(),
    };
    expect_eq("hosts", &json!(aliases), &expect["hosts"])
}

fn credentials(case: &Value) -> Result<(), String> {
    let root = Root::of(case);
    let expect = &case["expect"];
    let loaded = if let Some(name) = case["name"].as_str() {
        root.write("config/policy.yml", b"rules: []\n");
        let loaded = load(&root.dirs(), &Environment::default());
        let loaded = loaded.map_err(|error| error.for_operator())?;
        expect_eq(
            "name",
            &loaded.snapshot.hosts()[0].login.name.as_str(),
            &name,
        )?;
        loaded
    } else {
        root.load_entry(case["entry"].clone())
            .map_err(|error| error.for_operator())?
    };
    let login = &loaded.snapshot.hosts()[0].login;
    if let Some(username) = expect["username"].as_str() {
        expect_eq("username", &login.username.as_str(), &username)?;
    }
    if let Some(path) = expect["key_path"].as_str() {
        let key = login.key_path.as_ref();
        let shown = key.map_or_else(String::new, |key| {
            root.keys
                .join(key.relative().as_path())
                .display()
                .to_string()
        });
        expect_eq("key_path", &shown, &path.replace("<abs>", &root.abs()))?;
    }
    for (name, secret) in [
        ("password", &login.password),
        ("passphrase", &login.passphrase),
    ] {
        if let Some(expected) = expect[name].as_str() {
            expect_eq(name, &text(secret.as_ref()).as_str(), &expected)?;
        }
    }
    Ok(())
}

fn readiness(case: &Value) -> Result<(), String> {
    let root = Root::of(case);
    let servers = json!({"hosts": [case["host"]]}).to_string();
    let entries: Vec<&Value> = Some(&case["entry"])
        .into_iter()
        .filter(|e| !e.is_null())
        .collect();
    let entries = json!({"entries": entries}).to_string();
    let texts: [&[u8]; 3] = [servers.as_bytes(), entries.as_bytes(), b"rules: []"];
    let result = load_texts(texts, &root.dirs(), &Environment::default());
    let expect = &case["expect"];
    if let Some(port) = expect["port"].as_u64() {
        let loaded = result.map_err(|error| error.for_operator())?;
        return expect_eq(
            "port",
            &u64::from(loaded.snapshot.hosts()[0].port.get()),
            &port,
        );
    }
    let error = result.err().ok_or("no error")?.for_operator();
    let wanted = expect["error_contains"].as_str().unwrap();
    if error.contains(wanted) {
        Ok(())
    } else {
        Err(format!("'{wanted}' isn't in '{error}'"))
    }
}

fn dirs(case: &Value) -> Result<(), String> {
    let env = case["env"].as_object().unwrap().clone();
    let options = cli::parse([OsString::from("server")], |name| {
        env.get(name).map(|value| value.as_str().unwrap().into())
    });
    let settings = options.unwrap().settings;
    let dir = match case["variable"].as_str().unwrap() {
        "MCP_SSH_CONFIG_DIR" => settings.config_dir,
        "MCP_SSH_KEYS_DIR" => settings.keys_dir,
        _ => settings.secrets_dir,
    };
    expect_eq(
        "dir",
        &dir.to_str().unwrap(),
        &case["expect"]["dir"].as_str().unwrap(),
    )
}

fn event(case: &Value) -> Result<(), String> {
    let event = SecurityEvent {
        event_type: "invalid_secret_name",
        ..SecurityEvent::default()
    };
    let record: Value = serde_json::from_str(&Record::security(event).to_json()).unwrap();
    let has = |key: &Value| record.get(key.as_str().unwrap()).is_some();
    for key in case["expect"]["present"].as_array().unwrap() {
        expect_eq(&key.to_string(), &has(key), &true)?;
    }
    for key in case["expect"]["absent"].as_array().unwrap() {
        expect_eq(&key.to_string(), &has(key), &false)?;
    }
    Ok(())
}

/// The security event that the case expects, with every field it names; none if it
/// expects none.
fn events(case: &Value, result: &Result<Loaded, LoadError>) -> Result<(), String> {
    let events = match result {
        Ok(loaded) => &loaded.events,
        Err(error) => &error.events,
    };
    let expected = &case["security_event"];
    let Some(expected) = expected.as_object() else {
        return expect_eq("events", &format!("{events:?}").as_str(), &"[]");
    };
    let event = events.first().ok_or("no security event")?;
    for (key, value) in expected {
        let actual = match key.as_str() {
            "event_type" => json!(event.event_type),
            "reason" => json!(event.reason),
            other => match event.extra.iter().find(|(name, _)| *name == other) {
                Some((_, EventValue::Text(text))) => json!(text),
                Some((_, EventValue::Number(number))) => json!(number),
                None => Value::Null,
            },
        };
        expect_eq(key, &actual, value)?;
    }
    Ok(())
}

fn expect_eq<T: PartialEq + std::fmt::Debug>(
    what: &str,
    actual: &T,
    expected: &T,
) -> Result<(), String> {
    if actual == expected {
        Ok(())
    } else {
        Err(format!("{what}: {actual:?}, expected {expected:?}"))
    }
}

fn text(secret: Option<&Arc<Secret>>) -> String {
    secret.map_or_else(String::new, |secret| {
        String::from_utf8(secret.expose().to_vec()).unwrap()
    })
}

/// A node as JSON, far enough for the cases.
fn plain(node: &Node) -> Value {
    match &node.value {
        Yaml::List(items) => items.iter().map(|item| plain(item)).collect(),
        Yaml::Map(entries) => entries
            .iter()
            .map(|entry| (entry.key.to_string(), plain(&entry.value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Yaml::Scalar(scalar) => match scalar.meaning() {
            Meaning::Null => Value::Null,
            Meaning::Boolean(value) => value.into(),
            Meaning::Number(number) => serde_json::from_str(number).unwrap(),
            Meaning::Text(text) => text.into(),
        },
    }
}

/// A case's directories and files.
struct Root {
    path: PathBuf,
    config: PathBuf,
    keys: PathBuf,
    secrets: PathBuf,
    environment: Vec<(OsString, OsString)>,
    _scratch: Scratch,
}

impl Root {
    fn of(case: &Value) -> Self {
        let setup = &case["setup"];
        let scratch = Scratch::new("case");
        let path = scratch.path().to_owned();
        let dir = |key: &str, default: &str| {
            let dir = path.join(setup[key].as_str().unwrap_or(default));
            fs::create_dir_all(&dir).unwrap();
            dir
        };
        let root = Self {
            config: dir("config_dir", "config"),
            keys: dir("keys_dir", "keys"),
            secrets: dir("secrets_dir", "secrets"),
            environment: setup["env"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, value)| (name.into(), value.as_str().unwrap().into()))
                .collect(),
            path,
            _scratch: scratch,
        };
        for dir in setup["dirs"].as_array().into_iter().flatten() {
            fs::create_dir_all(root.path.join(dir.as_str().unwrap())).unwrap();
        }
        for file in setup["files"].as_array().into_iter().flatten() {
            root.write(file["path"].as_str().unwrap(), &content(file));
        }
        for link in setup["symlinks"].as_array().into_iter().flatten() {
            let target = link["target"].as_str().unwrap();
            let target = if target.starts_with('/') {
                PathBuf::from(target)
            } else {
                root.path.join(target)
            };
            symlink(target, root.path.join(link["path"].as_str().unwrap())).unwrap();
        }
        for (file, mode) in setup["modes"].as_object().into_iter().flatten() {
            let mode = u32::from_str_radix(mode.as_str().unwrap(), 8).unwrap();
            fs::set_permissions(root.path.join(file), fs::Permissions::from_mode(mode)).unwrap();
        }
        root
    }

    fn abs(&self) -> String {
        self.path.display().to_string()
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn only_file(&self, dir: &str) -> (String, Vec<u8>) {
        let files: Vec<PathBuf> = fs::read_dir(self.path.join(dir))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        let [file] = files.as_slice() else {
            panic!("{files:?}")
        };
        (name_of(file), fs::read(file).unwrap())
    }

    fn dirs(&self) -> Arc<Dirs> {
        Arc::new(Dirs::open(
            &self.config,
            &self.keys,
            &self.secrets,
            Links::Refused,
        ))
    }

    /// Loads one host that logs in with this entry.
    fn load_entry(&self, entry: Value) -> Result<Loaded, LoadError> {
        self.load_with(&self.dirs(), entry)
    }

    fn load_with(&self, dirs: &Arc<Dirs>, entry: Value) -> Result<Loaded, LoadError> {
        let host = json!({"alias": "h", "host": "10.0.0.1", "credentials": entry["name"]});
        let servers = json!({"hosts": [host]}).to_string();
        let entries = json!({"entries": [entry]}).to_string();
        let environment = Environment::from_variables(self.environment.clone());
        let texts: [&[u8]; 3] = [servers.as_bytes(), entries.as_bytes(), b"rules: []"];
        load_texts(texts, dirs, &environment)
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

fn content(file: &Value) -> Vec<u8> {
    if let Some(content) = file["content"].as_str() {
        return content.into();
    }
    if let Some(hex) = file["hex"].as_str() {
        let digits: Vec<u32> = hex.chars().map(|c| c.to_digit(16).unwrap()).collect();
        return digits
            .chunks(2)
            .map(|pair| (pair[0] * 16 + pair[1]) as u8)
            .collect();
    }
    let repeated = file["repeat"].as_str().unwrap();
    let count = usize::try_from(file["count"].as_u64().unwrap()).unwrap();
    let prefix = file["prefix"].as_str().unwrap_or_default();
    format!("{prefix}{}", repeated.repeat(count)).into_bytes()
}
