//! `config/README.md` says what the code does: every key with its type, default and
//! bounds, no key that isn't one, and examples that load.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::common::Scratch;
use mcp_ssh_orchestrator::testing::config::schema::keys::{self, Kind, Need, Table};
use mcp_ssh_orchestrator::testing::config::{
    APPROVAL_WAIT, Concurrency, Dirs, Environment, FILES, Links, load_texts,
};
use mcp_ssh_orchestrator::testing::policy::Policy;
use mcp_ssh_orchestrator::testing::policy::source::PolicySource;

const README: &str = include_str!("../../../config/README.md");

/// Type, default and accepted values of a key, as the README has them.
type Row = (String, String, String);

#[test]
fn the_tables_are_those_of_the_code() {
    let documented = tables();
    let mut wrong = Vec::new();
    for table in keys::ALL {
        let Some(rows) = documented.get(table.name) else {
            wrong.push(format!("there is no section `{}`", table.name));
            continue;
        };
        let expected: Vec<(String, Row)> = table.keys.iter().map(row).collect();
        for (name, row) in &expected {
            match rows.iter().find(|(key, _)| key == name) {
                Some((_, documented)) if documented == row => {}
                Some((_, documented)) => wrong.push(format!(
                    "{}: {name}\n  documented {documented:?}\n  is         {row:?}",
                    table.name
                )),
                None => wrong.push(format!("{}: {name} isn't documented", table.name)),
            }
        }
        for (name, _) in rows {
            if table.key(name).is_none() {
                wrong.push(format!(
                    "{}: {name} is documented, but isn't a key",
                    table.name
                ));
            }
        }
    }
    for name in documented.keys() {
        if !keys::ALL.iter().any(|table| table.name == name) {
            wrong.push(format!("`{name}` is documented, but isn't a mapping"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_table_can_be_reached_from_a_file() {
    fn reach(table: &'static Table, reached: &mut BTreeSet<&'static str>) {
        reached.insert(table.name);
        for key in table.keys {
            if let Kind::Section(next) | Kind::Sections(next) | Kind::Named(next) = key.kind {
                reach(next, reached);
            }
        }
    }
    let mut reached = BTreeSet::new();
    for table in [&keys::SERVERS, &keys::CREDENTIALS, &keys::POLICY] {
        reach(table, &mut reached);
    }
    let all: BTreeSet<&str> = keys::ALL.iter().map(|table| table.name).collect();
    assert_eq!(reached, all);
}

#[test]
fn every_example_loads_and_every_key_has_one() {
    let scratch = Scratch::new("readme");
    let nowhere = scratch.path().join("none");
    // The examples name the directories of the container.
    let keys_dir = std::path::Path::new("/app/keys");
    let dirs = Arc::new(Dirs::open(&nowhere, keys_dir, &nowhere, Links::Refused));
    let mut bases = [
        examples("servers.yml"),
        examples("credentials.yml"),
        examples("policy.yml"),
    ]
    .map(|all| all.into_iter().next().unwrap());
    let mut count = 0;
    for (index, file) in FILES.into_iter().enumerate() {
        for example in examples(file) {
            count += 1;
            let base = std::mem::replace(&mut bases[index], example.clone());
            let texts = bases.each_ref().map(|text| text.as_bytes());
            if let Err(error) = load_texts(texts, &dirs, &Environment::default()) {
                panic!("an example of {file} does not load:\n{error}\n{example}");
            }
            bases[index] = base;
        }
    }
    assert!(count > 5, "the examples were not found");
    for table in keys::ALL {
        let file = table.name.split(':').next().unwrap();
        let all = examples(file).concat();
        for key in table.keys {
            assert!(
                all.contains(&format!("{}:", key.name)),
                "{}: {} has no example",
                table.name,
                key.name
            );
        }
    }
}

/// The defaults that the README and the table give are those that take effect.
#[test]
fn the_defaults_are_the_ones_in_effect() {
    let number = |table: &'static Table, name: &str| -> u64 {
        match table.key(name).unwrap().need {
            Need::Default(text) => text.parse().unwrap(),
            other => panic!("{name}: {other:?}"),
        }
    };
    let limits = Policy::compile(PolicySource::default())
        .unwrap()
        .policy
        .limits("any", &[]);
    let of = |name| number(&keys::LIMITS, name);
    assert_eq!(u64::from(limits.max_seconds), of("max_seconds"));
    assert_eq!(u64::from(limits.max_async_seconds), of("max_async_seconds"));
    assert_eq!(u64::from(limits.answer_chars), of("answer_chars"));
    assert_eq!(limits.max_output_bytes, of("max_output_bytes"));
    assert_eq!(limits.max_transfer_bytes, of("max_transfer_bytes"));
    assert_eq!(u64::from(limits.task_result_ttl), of("task_result_ttl"));
    assert_eq!(
        u64::from(limits.task_progress_interval),
        of("task_progress_interval")
    );
    assert_eq!(
        u64::from(limits.session_idle_seconds),
        of("session_idle_seconds")
    );
    let wait = number(&keys::POLICY, "approval_seconds");
    assert_eq!(APPROVAL_WAIT.as_secs(), wait);
    let concurrency = Concurrency::default();
    let of = |name| number(&keys::CONCURRENCY, name);
    assert_eq!(u64::from(concurrency.max_tasks), of("max_tasks"));
    assert_eq!(u64::from(concurrency.max_per_host), of("max_per_host"));
    assert_eq!(u64::from(concurrency.fan_out), of("fan_out"));
}

fn row(key: &keys::Key) -> (String, Row) {
    let default = match key.need {
        Need::Required(_) => "required",
        Need::Default(text) => text,
        Need::Optional => "–",
    };
    let row = (
        key.kind.name().to_owned(),
        default.to_owned(),
        key.accepted(),
    );
    (key.name.to_owned(), row)
}

/// The tables under a heading that is the name of a mapping.
fn tables() -> BTreeMap<String, Vec<(String, Row)>> {
    let mut tables: BTreeMap<String, Vec<(String, Row)>> = BTreeMap::new();
    let mut section = None;
    for line in README.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            section = heading
                .strip_prefix('`')
                .and_then(|rest| rest.strip_suffix('`'))
                .map(str::to_owned);
        } else if line.starts_with("## ") {
            section = None;
        }
        let (Some(section), Some(row)) = (&section, line.strip_prefix("| `")) else {
            continue;
        };
        let cells: Vec<&str> = row
            .trim_end_matches('|')
            .split('|')
            .map(str::trim)
            .collect();
        let [name, kind, default, accepted, meaning] = cells.as_slice() else {
            panic!("a row without five cells: {line}");
        };
        assert!(!meaning.is_empty(), "{line}");
        let row = ((*kind).into(), (*default).into(), (*accepted).into());
        let name = name.trim_end_matches('`').to_owned();
        tables.entry(section.clone()).or_default().push((name, row));
    }
    tables
}

/// The YAML blocks that begin with `# file`.
fn examples(file: &str) -> Vec<String> {
    README
        .split("```yaml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .filter(|block| block.starts_with(&format!("# {file}\n")))
        .map(str::to_owned)
        .collect()
}
