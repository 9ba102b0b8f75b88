//! Invocations made up from a description: every option at least once, pairs of them, odd
//! values, files of every sort. Which of them are run, the reader of the crate decides.

use std::collections::{BTreeMap, BTreeSet};

use mcp_ssh_orchestrator::testing::policy::programs::probe;

use crate::families::{Choice, Form, Need, Program, Value};

/// A generator of numbers that begins anew at every run.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound.max(1)
    }

    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len()))
    }
}

/// Files that the cell has, of every sort, and some that it has not.
const FILES: &[&str] = &[
    "/probe/text",
    "/probe/empty",
    "/probe/binary",
    "/probe/huge",
    "/probe/link",
    "/probe/dangling",
    "/probe/dirlink",
    "/probe/dir",
    "/probe/missing",
    "/probe/list",
    "/probe/script",
    "/probe/evil.so",
    "/probe/data.json",
    "/probe/data.yaml",
    "/probe/x.tar",
    "/probe/x.tgz",
    "/probe/x.tar.xz",
    "/probe/text.gz",
    "/probe/text.bz2",
    "/probe/text.xz",
    "/probe/text.zst",
    "/probe/x.zip",
    "/probe/x.a",
    "/probe/x.cpio",
    "/probe/two words",
    "/probe/dir/nested",
    "/dev/null",
    "/etc/passwd",
    "/usr/bin/true",
    "/proc/self/status",
    "text",
    "./dir",
    "-",
    ".",
    "/probe/fs.img",
    // Commands and files to write, to Perl's two-argument open.
    "touch /probe/hit|",
    ">/probe/hit",
];

/// Texts that would show themselves if they were more than texts.
const TEXTS: &[&str] = &[
    "",
    "a",
    "0",
    "1",
    "-1",
    "+2",
    "10",
    "1k",
    "1M",
    "3.5",
    "007",
    "99999",
    "1,2",
    "1-3",
    "a,b",
    "A:b",
    "x=y",
    "a@b",
    "all",
    "none",
    "root",
    "%s",
    "%p\\n",
    "%d %s",
    "+%F",
    "*.txt",
    "[a-z]*",
    "a b",
    "x/y",
    "|touch /probe/hit",
    "$(touch /probe/hit)",
    "`touch /probe/hit`",
    ";touch /probe/hit",
    "!touch /probe/hit",
    "-o",
    "-exec",
    "--output=/probe/out",
    "w /probe/out",
    "e touch /probe/hit",
    "/probe/out",
    "/probe/evil.so",
    "/probe/script",
    "@/probe/list",
    "exec:/probe/script",
    "file:///probe/out",
    "localhost:/probe/out",
    "\n",
    "\u{e9}",
    "\u{1}",
    "now",
    "yesterday",
    "1 day ago",
    "2024-01-01",
    "10:00:00",
    "json",
    "UTF-8",
    "sda",
    "lo",
    "eth0",
    "pid,comm",
    "NAME,SIZE",
    "ssh",
    "cron.service",
    "http://127.0.0.1:1/x",
    "127.0.0.1",
    "localhost",
    "true",
    "ls",
    "/usr/bin/id",
    "LC_ALL=C",
    "TZ=UTC",
    "n=5",
    "ext4",
    "proc",
    "text",
    "1,$p",
    "/a/p",
    "$p",
    "5q",
    "s/a/b/g",
    "s|a|b|",
    "1d",
    "{print $1}",
    "/a/ {n++} END {print n}",
    "BEGIN {print 1}",
    "{print length($0)}",
    ".",
    ".a",
    ".a[0]",
    ".[] | length",
    "keys",
    "tcp",
    "{}",
    "name",
    "ALL",
    "DEV",
    "%Y-%m-%d",
    "size",
    "always",
    "-mem",
    "a*",
    "PATH",
    "/etc/*",
    "probe.example:80:127.0.0.1",
    "query=up == 0",
    "select 1; select 'a;b'",
];

/// Commands for programs that run one.
const COMMANDS: &[&[&str]] = &[&["true"], &["ls", "/probe/dir"], &["cat", "/probe/text"]];

/// How much is made of each form.
#[derive(Clone, Copy)]
pub(crate) struct Amount {
    pub(crate) values: usize,
    pub(crate) pairs: usize,
    pub(crate) more: usize,
}

pub(crate) struct Maker {
    dice: Dice,
    amount: Amount,
    taken: BTreeMap<&'static str, Vec<String>>,
}

impl Maker {
    pub(crate) fn new(amount: Amount) -> Self {
        Self {
            dice: Dice::new(0x5eed_0016),
            amount,
            taken: BTreeMap::new(),
        }
    }

    /// Invocations of the program under this name, all different.
    pub(crate) fn invocations(&mut self, program: &Program, name: &str) -> Vec<Vec<String>> {
        let mut made = BTreeSet::new();
        self.of_form(&[name.to_owned()], &[], &program.form, &mut made);
        made.into_iter().collect()
    }

    fn of_form(
        &mut self,
        prefix: &[String],
        outer: &[Choice],
        form: &Form,
        made: &mut BTreeSet<Vec<String>>,
    ) {
        for (names, sub) in &form.subs {
            let mut options = outer.to_vec();
            options.extend(form.options.iter().cloned());
            for name in names {
                let prefix = [prefix, &[(*name).to_owned()]].concat();
                self.of_form(&prefix, &options, sub, made);
            }
        }
        self.alone(prefix, form, made);
        for choice in form.options.iter().chain(&form.words) {
            for _ in 0..self.values_for(choice) {
                let spelled = self.spell(choice);
                self.finish(prefix, spelled, form, made);
            }
        }
        for (key, kind) in &form.keys {
            for _ in 0..self.amount.values {
                let value = self.value(kind);
                self.finish(prefix, vec![format!("{key}={value}")], form, made);
            }
        }
        let all: Vec<Choice> = [outer, &form.options, &form.words].concat();
        // A subcommand of few options has few pairs of them.
        let pairs = self.amount.pairs.min(all.len());
        for round in 0..pairs + self.amount.more.min(all.len()) {
            let mut words = Vec::new();
            for _ in 0..if round < pairs { 2 } else { 4 } {
                if let Some(choice) = self.dice.pick(&all).cloned() {
                    words.extend(self.spell(&choice));
                }
            }
            self.finish(prefix, words, form, made);
        }
        self.without_dashes(prefix, form, made);
    }

    /// Without options: with each sort of file, and with other operands.
    fn alone(&mut self, prefix: &[String], form: &Form, made: &mut BTreeSet<Vec<String>>) {
        made.insert(prefix.to_vec());
        for _ in 0..self.amount.values {
            self.finish(prefix, Vec::new(), form, made);
        }
        let files = form
            .operands
            .iter()
            .any(|(kind, _)| matches!(*kind, "path" | "tree" | "place" | "local"));
        if files {
            let count = FILES.len().min(self.amount.values * 12);
            for _ in 0..count {
                let file = FILES[self.dice.below(FILES.len())];
                made.insert([prefix, &[file.to_owned()]].concat());
            }
        }
    }

    /// `ps aux`, `tar tf`, `head -5`, `tail +5`.
    fn without_dashes(&mut self, prefix: &[String], form: &Form, made: &mut BTreeSet<Vec<String>>) {
        if !form.letters.is_empty() {
            for _ in 0..self.amount.pairs {
                let count = 1 + self.dice.below(4);
                let mut letters = String::new();
                for _ in 0..count {
                    letters.push_str(self.dice.pick(&form.letters).map_or("", String::as_str));
                }
                made.insert([prefix, &[letters.clone()]].concat());
                if let Some(file) = self.dice.pick(FILES) {
                    letters.push('f');
                    made.insert([prefix, &[letters, (*file).to_owned()]].concat());
                }
            }
        }
        if form.digits {
            self.finish(prefix, vec!["-5".to_owned()], form, made);
        }
        if let Some(kind) = form.plus {
            let value = self.value(kind);
            self.finish(prefix, vec![format!("+{value}")], form, made);
        }
    }

    fn values_for(&self, choice: &Choice) -> usize {
        match choice.value {
            Value::None => 1,
            _ => self.amount.values,
        }
    }

    /// An option with its value, in one of the ways to write it.
    fn spell(&mut self, choice: &Choice) -> Vec<String> {
        let name = choice.name.split('[').next().unwrap_or_default().to_owned();
        let values: Vec<String> = choice.kinds.iter().map(|kind| self.value(kind)).collect();
        let long = name.starts_with("--");
        let glue = if long { "=" } else { "" };
        match (choice.value, values.first()) {
            (Value::None, _) | (_, None) => vec![name],
            (Value::Glued, Some(value)) => vec![format!("{name}{glue}{value}")],
            (Value::Either, Some(value)) if self.dice.below(2) == 0 => {
                vec![format!("{name}{glue}{value}")]
            }
            _ if choice.kinds.iter().any(|kind| kind.starts_with("program")) => ["cat", "{}", ";"]
                .iter()
                .fold(vec![name], |mut words, word| {
                    words.push((*word).to_owned());
                    words
                }),
            _ => [vec![name], values].concat(),
        }
    }

    fn value(&mut self, kind: &'static str) -> String {
        if !self.taken.contains_key(kind) {
            let listed = kind
                .strip_prefix('{')
                .and_then(|kind| kind.strip_suffix('}'));
            let pool: Vec<String> = match listed {
                Some(list) => list.split(',').map(|one| one.replace('*', "x")).collect(),
                None => FILES
                    .iter()
                    .chain(TEXTS)
                    .filter(|text| probe::takes(kind, text) == Some(true))
                    .map(|text| (*text).to_owned())
                    .collect(),
            };
            self.taken.insert(kind, pool);
        }
        let pool = &self.taken[kind];
        // Files rather than texts, where either will do.
        let files = matches!(kind, "path" | "tree" | "place" | "local");
        let bound = if files {
            FILES.len().min(pool.len())
        } else {
            pool.len()
        };
        pool.get(self.dice.below(bound))
            .cloned()
            .unwrap_or_default()
    }

    /// The words with operands behind them, or before.
    fn finish(
        &mut self,
        prefix: &[String],
        options: Vec<String>,
        form: &Form,
        made: &mut BTreeSet<Vec<String>>,
    ) {
        let mut operands = Vec::new();
        for (kind, need) in &form.operands {
            let count = match need {
                Need::Maybe => self.dice.below(2),
                Need::One => 1,
                Need::Any => self.dice.below(3),
                Need::Some => 1 + self.dice.below(2),
            };
            for _ in 0..count {
                if kind.starts_with("program") {
                    let command = self.dice.pick(COMMANDS).copied().unwrap_or_default();
                    operands.extend(command.iter().map(|word| (*word).to_owned()));
                    break;
                }
                operands.push(self.value(kind));
            }
        }
        let words = match self.dice.below(8) {
            0 => [prefix, &operands, &options].concat(),
            1 => [prefix, &options, &["--".to_owned()], &operands].concat(),
            _ => [prefix, &options, &operands].concat(),
        };
        made.insert(words);
    }
}
