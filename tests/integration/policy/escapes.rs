//! A public collection of ways out of programs (GTFOBins): none that ends in a shell, a
//! written file, an upload or more rights passes a wildcard over its program.
//!
//! The texts belong to others and stay out of the repository; the table of verdicts is kept.
//! `scripts/gtfobins CHECKOUT` judges a checkout and writes the table anew.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::collections::BTreeMap;
use std::path::Path;

use mcp_ssh_orchestrator::testing::config::Snapshot;
use mcp_ssh_orchestrator::testing::config::yaml::node::{Node, Value, parse};
use mcp_ssh_orchestrator::testing::policy::Verdict;

use crate::policy::support::{Host, load};

/// What must never pass, of the functions that the collection knows.
const NEVER: &[&str] = &[
    "bind-shell",
    "command",
    "file-write",
    "library-load",
    "privilege-escalation",
    "reverse-shell",
    "shell",
    "upload",
];

/// What passes because it is none here, with the reason.
const NONE_HERE: &[(&str, &str)] = &[(
    "loginctl/shell/1",
    "the pager that it would type into starts on a terminal only, and there is none",
)];

const TABLE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/data/gtfobins/results.tsv"
);

/// The table as it is kept: enough entries of each function, and none passed.
#[test]
fn no_escape_of_the_kept_table_passed() {
    let table = std::fs::read_to_string(TABLE).unwrap();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let [id, binary, function, wildcard, simple, sudo] =
            line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        assert!(id.starts_with(binary), "{line}");
        *counts.entry(function).or_default() += 1;
        if NEVER.contains(&function) && !NONE_HERE.iter().any(|(known, _)| *known == id) {
            assert_eq!([wildcard, simple, sudo], ["denied"; 3], "{line}");
        }
    }
    for function in NEVER {
        assert!(
            counts.get(function).is_some_and(|n| *n >= 5),
            "{function}: {counts:?}"
        );
    }
    assert!(counts.values().sum::<usize>() > 800, "{counts:?}");
}

/// Judges the checkout that `GTFOBINS` names, and compares with the table or writes it.
#[test]
#[ignore = "needs a checkout of the collection: scripts/gtfobins runs it"]
fn no_escape_of_the_checkout_passes() {
    let checkout = std::env::var("GTFOBINS").expect("GTFOBINS names no checkout");
    let collection = collection(&Path::new(&checkout).join("_gtfobins"));
    assert!(collection.len() > 400, "{} programs", collection.len());
    let (mut lines, mut passed) = (Vec::new(), Vec::new());
    for (binary, escapes) in &collection {
        let rules = Rules::of(binary);
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for escape in escapes {
            let number = seen.entry(&escape.function).or_default();
            *number += 1;
            let verdicts = rules.judge(binary, &escape.code);
            let words = verdicts.map(|allowed| if allowed { "allowed" } else { "denied" });
            let line = format!(
                "{binary}/{}/{number}\t{binary}\t{}\t{}",
                escape.function,
                escape.function,
                words.join("\t")
            );
            let none_here = NONE_HERE
                .iter()
                .any(|(id, _)| line.starts_with(&format!("{id}\t")));
            let never = NEVER.contains(&escape.function.as_str()) && !none_here;
            if never && verdicts.contains(&true) {
                passed.push(format!("{line}\t{}", escape.code));
            }
            lines.push(line);
        }
    }
    let head = "# GTFOBins, judged by scripts/gtfobins: id, program, function, then the verdicts\n\
                # under `PROGRAM *`, under `simple_binaries`, and under `sudo PROGRAM *`.\n";
    let table = format!("{head}{}\n", lines.join("\n"));
    if std::env::var("GTFOBINS_WRITE").is_ok() {
        std::fs::write(TABLE, &table).unwrap();
    }
    assert!(
        passed.is_empty(),
        "{} pass:\n{}",
        passed.len(),
        passed.join("\n")
    );
    let kept = std::fs::read_to_string(TABLE).unwrap();
    assert!(
        kept == table,
        "the table is not of this checkout: write it anew"
    );
}

struct Escape {
    function: String,
    code: String,
}

/// Every program of the collection with its escapes; one that is another under a second
/// name has those of the other.
fn collection(folder: &Path) -> BTreeMap<String, Vec<Escape>> {
    let mut nodes = BTreeMap::new();
    for file in folder.read_dir().unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        // Its nodes are parts of it, until the process ends.
        let text: &'static str = std::fs::read_to_string(file.path()).unwrap().leak();
        let text = text.trim_start_matches("---\n").trim_end();
        let text = text.trim_end_matches("...").trim_end_matches("---");
        let parsed = parse(text.as_bytes());
        let document = parsed.unwrap_or_else(|fault| panic!("{name}: {fault:?}"));
        nodes.insert(name, document.root);
    }
    let mut collection = BTreeMap::new();
    for (name, node) in &nodes {
        let target = text_of(node, "alias").unwrap_or(name);
        let Some(functions) = nodes.get(target).and_then(|node| entry(node, "functions")) else {
            continue;
        };
        let mut all = Vec::new();
        for (function, list) in entries(functions) {
            for one in items(list) {
                let mut codes: Vec<&str> = text_of(one, "code").into_iter().collect();
                for (_, context) in entry(one, "contexts").map(entries).into_iter().flatten() {
                    codes.extend(text_of(context, "code"));
                }
                codes.dedup();
                for code in codes {
                    let code = match target == name {
                        true => code.to_owned(),
                        false => renamed(code, target, name),
                    };
                    all.push(Escape {
                        function: function.to_owned(),
                        code,
                    });
                }
            }
        }
        collection.insert(name.clone(), all);
    }
    collection
}

fn renamed(code: &str, from: &str, to: &str) -> String {
    let lines = code.lines().map(|line| match line.strip_prefix(from) {
        Some(rest) if rest.is_empty() || rest.starts_with(' ') => format!("{to}{rest}"),
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn entries<'n>(node: &'n Node<'n>) -> impl Iterator<Item = (&'n str, &'n Node<'n>)> {
    let list = match &node.value {
        Value::Map(entries) => entries.as_slice(),
        _ => &[],
    };
    list.iter().map(|entry| (&*entry.key, &*entry.value))
}

fn entry<'n>(node: &'n Node<'n>, key: &str) -> Option<&'n Node<'n>> {
    entries(node)
        .find(|(known, _)| *known == key)
        .map(|(_, node)| node)
}

fn items<'n>(node: &'n Node<'n>) -> impl Iterator<Item = &'n Node<'n>> {
    let list = match &node.value {
        Value::List(list) => list.as_slice(),
        _ => &[],
    };
    list.iter().map(|node| &**node)
}

fn text_of<'n>(node: &'n Node, key: &str) -> Option<&'n str> {
    match &entry(node, key)?.value {
        Value::Scalar(scalar) => Some(scalar.text()),
        _ => None,
    }
}

/// The three rules under which a program's escapes are judged.
struct Rules([(Snapshot, &'static str); 3]);

impl Rules {
    fn of(binary: &str) -> Self {
        let quoted = serde_json::to_string(binary).unwrap();
        let quoted = quoted.trim_matches('"');
        let policy = |rule: String| {
            let text = format!(
                "{{\"limits\": {{\"deny_substrings\": []}}, \"rules\": [{{\"action\": \"allow\", {rule}}}]}}"
            );
            load(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
        };
        Self([
            (policy(format!("\"commands\": [\"{quoted} *\"]")), ""),
            (policy(format!("\"simple_binaries\": [\"{quoted}\"]")), ""),
            (
                policy(format!("\"commands\": [\"sudo {quoted} *\"]")),
                "sudo ",
            ),
        ])
    }

    fn judge(&self, binary: &str, code: &str) -> [bool; 3] {
        let host = Host::new("web1", []);
        [0, 1, 2].map(|at| {
            let (policy, before) = &self.0[at];
            let allows = |text: &str| {
                matches!(
                    policy.policy().judge_text(&host.subject(), text),
                    Verdict::Allow(_)
                )
            };
            passes(&allows, before, binary, code)
        })
    }
}

/// Whether an escape passes: as it stands, or each line of it that runs the program, with
/// what stands below the first of them as its input. What other programs prepare is given.
fn passes(allows: &dyn Fn(&str) -> bool, before: &str, binary: &str, code: &str) -> bool {
    let runs = |line: &&str| {
        line.strip_prefix(binary)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    if allows(&format!("{before}{code}")) {
        return true;
    }
    let lines: Vec<&str> = code.lines().collect();
    let own: Vec<&str> = lines.iter().copied().filter(|line| runs(line)).collect();
    let Some(first) = lines.iter().position(&runs) else {
        return false;
    };
    if !own.iter().all(|line| allows(&format!("{before}{line}"))) {
        return false;
    }
    let input: Vec<&str> = lines[first..]
        .iter()
        .copied()
        .filter(|line| !runs(line))
        .collect();
    input.is_empty() || {
        let quoted = input.join("\n").replace('\'', "'\\''");
        allows(&format!("echo '{quoted}' | {before}{}", lines[first]))
    }
}
