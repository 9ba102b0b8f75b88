//! Promise: what was judged is what the shell sees. For thousands of generated commands
//! and every one of the corpora, programs that record their arguments are run by twelve
//! shells, and the words they saw are compared with the words that were judged:
//!
//! - P1: the canonical form, in every shell;
//! - P2: the text as it came in, in the POSIX shells;
//! - P3: the line that is sent, in every shell, to hosts with `shell: login` too.
//!
//! `POLICY_SHELLS_COMMANDS` sets how many commands are generated, `POLICY_SHELLS_SEED`
//! where the generator starts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a failed step is a failed test"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::policy::evaluate;
use crate::policy::generate::{self, Random};
use crate::policy::support::{Host, cases, load};
use mcp_ssh_orchestrator::testing::model::job::JobId;
use mcp_ssh_orchestrator::testing::model::names::CommandText;
use mcp_ssh_orchestrator::testing::policy::syntax::command::{
    AndOr, Command as Part, Connective, Parsed, Pipeline, Simple,
};
use mcp_ssh_orchestrator::testing::policy::syntax::lexer;
use mcp_ssh_orchestrator::testing::policy::{Care, Policy, Purpose, ShellMode, Subject, Verdict};

/// Programs of the corpora that a shell has itself.
const BUILTINS: &[&str] = &[
    "cd", "command", "echo", "false", "kill", "pwd", "true", "type", "ulimit",
];

/// Commands that one process of a shell runs: an argument may have 128 KiB.
const BATCH: usize = 50;

struct Shell {
    name: &'static str,
    package: &'static str,
    argv: &'static [&'static str],
    /// How it sets a variable of the environment, with `%` for the value.
    setenv: &'static str,
    /// Whether P2 is promised.
    posix: bool,
}

const SHELLS: &[Shell] = &[
    posix("dash", "dash", &["dash"]),
    posix("bash", "bash", &["bash"]),
    posix("bash --posix", "bash", &["bash", "--posix"]),
    posix("busybox ash", "busybox", &["busybox", "ash"]),
    posix("zsh", "zsh", &["zsh"]),
    posix("ksh93", "ksh93u+m", &["ksh93"]),
    posix("mksh", "mksh", &["mksh"]),
    posix("yash", "yash", &["yash"]),
    posix("posh", "posh", &["posh"]),
    Shell {
        name: "fish",
        package: "fish",
        argv: &["fish"],
        setenv: "set -x RECORD_ID %",
        posix: false,
    },
    Shell {
        name: "tcsh",
        package: "tcsh",
        argv: &["tcsh", "-f"],
        setenv: "setenv RECORD_ID %",
        posix: false,
    },
    Shell {
        name: "csh",
        package: "csh",
        argv: &["bsd-csh", "-f"],
        setenv: "setenv RECORD_ID %",
        posix: false,
    },
];

const fn posix(name: &'static str, package: &'static str, argv: &'static [&'static str]) -> Shell {
    Shell {
        name,
        package,
        argv,
        setenv: "RECORD_ID=%; export RECORD_ID",
        posix: true,
    }
}

/// Writes its arguments to a file, in one piece, and succeeds unless its name begins
/// with f.
const STUB: &str = r#"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv) {
    static char buffer[1 << 18];
    size_t used = 0;
    const char *id = getenv("RECORD_ID");
    const char *zone = getenv("TZ");
    used += (size_t)snprintf(buffer, 64, "%s\n%d\n", id ? id : "?", argc + (zone != NULL));
    if (zone) used += (size_t)snprintf(buffer + used, 256, "%zu\nTZ=%s", strlen(zone) + 3, zone);
    for (int i = 0; i < argc; i++) {
        size_t length = strlen(argv[i]);
        if (used + length + 32 > sizeof buffer) return 9;
        used += (size_t)snprintf(buffer + used, 32, "%zu\n", length);
        memcpy(buffer + used, argv[i], length);
        used += length;
    }
    int file = open(getenv("RECORD_FILE"), O_WRONLY | O_APPEND);
    if (file < 0 || write(file, buffer, used) != (ssize_t)used) return 9;
    /* A reader that has gone already must not decide what a pipeline gives. */
    signal(SIGPIPE, SIG_IGN);
    puts("o u*t");
    const char *slash = strrchr(argv[0], '/');
    return (slash ? slash + 1 : argv[0])[0] == 'f';
}
"#;

/// A place with stubs on the search path and nothing else.
struct Stage {
    root: PathBuf,
    programs: Vec<String>,
}

impl Stage {
    fn new(name: &str) -> Self {
        let root = format!("policy-shells-{name}-{}", std::process::id());
        let root = std::env::temp_dir().join(root);
        let bin = root.join("bin");
        fs::create_dir_all(&bin).unwrap();
        fs::write(root.join("stub.c"), STUB).unwrap();
        let compiled = Command::new("cc")
            .args(["-O1", "-o"])
            .arg(bin.join("s1"))
            .arg(root.join("stub.c"))
            .status()
            .unwrap_or_else(|error| {
                panic!("cc: {error}; install it: apt-get install gcc libc6-dev")
            });
        assert!(compiled.success(), "the stub does not compile");
        for name in ["f1", "s-2.x", "s_3+", "7s"] {
            fs::hard_link(bin.join("s1"), bin.join(name)).unwrap();
        }
        let mut programs: Vec<String> = ["s1", "s1", "f1", "s-2.x", "s_3+", "7s", "./bin/s1"]
            .map(String::from)
            .to_vec();
        programs.push(bin.join("s1").to_str().unwrap().to_owned());
        Self { root, programs }
    }

    fn add(&mut self, program: &str) {
        let link = self.root.join("bin").join(program);
        if !link.exists() {
            fs::hard_link(self.root.join("bin/s1"), link).unwrap();
            self.programs.push(program.to_owned());
        }
    }

    /// Runs scripts in one process of a shell; the arguments of every stub, by number.
    fn run(&self, shell: &Shell, locale: &str, lines: &[String]) -> Vec<Vec<Vec<String>>> {
        let records = self.root.join("records");
        fs::write(&records, "").unwrap();
        let mut script = String::new();
        for (index, line) in lines.iter().enumerate() {
            script.push_str(&shell.setenv.replace('%', &index.to_string()));
            script.push('\n');
            script.push_str(line);
            script.push('\n');
        }
        // Its output ends when the last process has gone that a pipeline left behind.
        Command::new(find(shell.argv[0]).unwrap())
            .args(&shell.argv[1..])
            .args(["-c", &script])
            .env_clear()
            .env("PATH", self.root.join("bin"))
            .env("HOME", &self.root)
            .env("LC_ALL", locale)
            .env("RECORD_FILE", &records)
            .current_dir(&self.root)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let mut found = vec![Vec::new(); lines.len()];
        for (id, argv) in read(&fs::read(&records).unwrap()) {
            found[id].push(argv);
        }
        found.iter_mut().for_each(|argvs| argvs.sort());
        found
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

fn read(mut bytes: &[u8]) -> Vec<(usize, Vec<String>)> {
    fn number(bytes: &mut &[u8]) -> usize {
        let end = bytes.iter().position(|b| *b == b'\n').unwrap();
        let text = std::str::from_utf8(&bytes[..end]).unwrap();
        *bytes = &bytes[end + 1..];
        text.parse().unwrap()
    }
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let id = number(&mut bytes);
        let count = number(&mut bytes);
        let argv = (0..count)
            .map(|_| {
                let length = number(&mut bytes);
                let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
                bytes = &bytes[length..];
                text
            })
            .collect();
        records.push((id, argv));
    }
    records
}

/// What the stubs must see, in any order.
fn expected(stage: &Stage, parsed: &Parsed<'_>) -> Vec<Vec<String>> {
    let home = stage.root.to_str().unwrap();
    evaluate::runs(parsed, home, |program| !program.starts_with('f'))
}

/// One accepted text with its three forms.
struct Trial {
    raw: String,
    canonical: String,
    wrapped: String,
    /// What a host with `shell: login` gets, if it takes this.
    login: Option<String>,
    expected: Vec<Vec<String>>,
    /// Whether a C shell reads the list as others do.
    in_csh: bool,
    /// Whether fish does.
    in_fish: bool,
}

/// `None` for a text that is refused, or that names a program which is no stub.
fn trial(stage: &Stage, policy: &Policy, host: &Host, raw: &str) -> Option<Trial> {
    let parsed = lexer::parse(raw, lexer::Options::default()).ok()?;
    let known = |program: &str| stage.programs.iter().any(|stub| stub == program);
    if !parsed
        .commands
        .iter()
        .all(|command| known(&command.words[0].text))
    {
        return None;
    }
    let Verdict::Allow(authorised) = policy.judge_text(&host.subject(), raw) else {
        panic!("an understood command under full trust is not allowed: {raw}");
    };
    let to_login = Subject {
        shell: ShellMode::Login,
        ..host.subject()
    };
    let login = match policy.judge_text(&to_login, raw) {
        Verdict::Allow(authorised) => Some(authorised.exec_line(60)),
        _ => None,
    };
    Some(Trial {
        raw: raw.to_owned(),
        login,
        canonical: authorised.canonical().to_owned(),
        wrapped: authorised.exec_line(60),
        expected: expected(stage, &parsed),
        in_csh: is_csh(&parsed),
        in_fish: is_fish(&parsed),
    })
}

/// fish has neither groups nor subshells in their POSIX form, and splits no output.
fn is_fish(parsed: &Parsed<'_>) -> bool {
    let plain = |pipeline: &Pipeline<'_>| {
        let simple = |command: &Part<'_>| matches!(command, Part::Simple(_));
        !pipeline.negated && pipeline.commands.iter().all(simple)
    };
    let item = |item: &AndOr<'_>| {
        plain(&item.first) && item.rest.iter().all(|(_, pipeline)| plain(pipeline))
    };
    let simple = |command: &Simple<'_>| {
        command.assignments.is_empty() && command.words.iter().all(|word| word.outputs.is_empty())
    };
    parsed.tree.items.iter().all(item) && parsed.commands.iter().all(simple)
}

/// csh has no `2>`, takes `> x | y` for ambiguous, binds && tighter than ||, and knows
/// neither groups nor assignments before a command.
fn is_csh(parsed: &Parsed<'_>) -> bool {
    let plain = |pipeline: &Pipeline<'_>| {
        let simple = |command: &Part<'_>| matches!(command, Part::Simple(_));
        !pipeline.negated && pipeline.commands.iter().all(simple)
    };
    let item = |item: &AndOr<'_>| {
        let has = |wanted| {
            item.rest
                .iter()
                .any(|(connective, _)| *connective == wanted)
        };
        !(has(Connective::And) && has(Connective::Or))
            && plain(&item.first)
            && item.rest.iter().all(|(_, pipeline)| plain(pipeline))
    };
    let simple = |command: &Simple<'_>| {
        command.redirects.is_empty()
            && command.assignments.is_empty()
            && command.words.iter().all(|word| word.outputs.is_empty())
    };
    parsed.tree.items.iter().all(item) && parsed.commands.iter().all(simple)
}

fn full_trust() -> mcp_ssh_orchestrator::testing::config::Snapshot {
    load("{limits: {deny_substrings: []}, rules: [{action: allow, commands: ['*']}]}").unwrap()
}

fn installed() {
    let missing: Vec<&str> = SHELLS
        .iter()
        .filter(|shell| find(shell.argv[0]).is_none())
        .map(|shell| shell.package)
        .collect();
    assert!(
        missing.is_empty(),
        "shells are missing; install them: apt-get install {}",
        missing.join(" ")
    );
}

/// A program on the search path of this process.
fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|file| file.is_file())
}

#[derive(Clone, Copy, PartialEq)]
enum Form {
    Canonical,
    Raw,
    Wrapped,
    /// What is sent with `shell: login`.
    Login,
}

/// Runs every trial in every shell in the forms promised for it.
fn compare(stage: &Stage, trials: &[Trial], forms: &[Form]) {
    let mut wrong: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut compared = 0;
    for (number, batch) in trials.chunks(BATCH).enumerate() {
        for shell in SHELLS {
            // In the C locale yash reads no text beyond ASCII, and then runs nothing.
            let locale = match shell.name {
                "yash" => "C.UTF-8",
                _ => ["C.UTF-8", "C"][number % 2],
            };
            for form in forms.iter().copied() {
                let chosen: Vec<&Trial> =
                    batch.iter().filter(|t| promised(shell, form, t)).collect();
                let lines: Vec<String> = chosen.iter().map(|trial| line(form, trial)).collect();
                let found = stage.run(shell, locale, &lines);
                for ((trial, line), found) in chosen.iter().zip(&lines).zip(found) {
                    compared += 1;
                    if found != trial.expected {
                        wrong.entry(shell.name.to_owned()).or_default().push(format!(
                            "{} ({locale}):\n  raw      {}\n  given    {line}\n  expected {:?}\n  found    {found:?}",
                            shell.name, trial.raw, trial.expected
                        ));
                    }
                }
            }
        }
    }
    let report: Vec<String> = wrong
        .values()
        .flat_map(|each| each.iter().take(5).cloned())
        .collect();
    let counts: Vec<String> = wrong
        .iter()
        .map(|(name, all)| format!("{name}: {}", all.len()))
        .collect();
    assert!(
        wrong.is_empty(),
        "{}\n{} of {compared} differ",
        report.join("\n"),
        counts.join(", ")
    );
    eprintln!("{compared} command lines compared");
}

/// P1 and P3 hold in every shell, except that what a C shell or fish reads otherwise is only
/// sent wrapped to it. P2 holds in the POSIX shells.
fn promised(shell: &Shell, form: Form, trial: &Trial) -> bool {
    // In the last part of a pipeline ksh93 (u+m 1.0.4) runs the commands of a `$(…)` at the
    // same time and loses some of their output, as it is written and as it is rendered.
    let is_racing = shell.name == "ksh93" && trial.raw.contains("$(") && trial.raw.contains('|');
    match form {
        Form::Canonical | Form::Raw if is_racing => false,
        Form::Canonical if shell.name == "fish" => trial.in_fish,
        Form::Canonical => shell.posix || trial.in_csh,
        // A quote in a comment within `"$(…)"` is open to posh, which then runs nothing of
        // the whole batch. What is sent has no comments.
        Form::Raw if shell.name == "posh" => {
            !(trial.raw.contains("$(") && trial.raw.contains("# a comment"))
        }
        Form::Raw => shell.posix,
        Form::Wrapped => true,
        Form::Login => trial.login.is_some(),
    }
}

fn line(form: Form, trial: &Trial) -> String {
    match form {
        Form::Canonical => trial.canonical.clone(),
        Form::Raw => trial.raw.clone(),
        Form::Login => trial.login.clone().unwrap_or_default(),
        // The batch goes on: `exec` would take its place.
        Form::Wrapped => trial.wrapped.replacen("exec ", "", 1),
    }
}

fn setting(name: &str, default: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.map_or(default, |value| value.parse().expect("a number"))
}

/// Shells that read quotes in another way: they may run nothing at all of a line.
const OTHERS: &[(&str, &str, &[&str])] = &[
    ("rc", "rc", &["rc"]),
    ("rc of Plan 9", "9base", &["/usr/lib/plan9/bin/rc"]),
    ("elvish", "elvish", &["elvish"]),
    ("xonsh", "xonsh", &["xonsh", "--no-rc"]),
    // Puts variables in the place of `$(…)`, in quotes too.
    ("sash", "sash", &["sash"]),
];

/// Texts that such a shell takes apart: what stands inside quotes here stands outside there.
const TAKEN_APART: &[&str] = &[
    "| s1 |",
    "| s1 #",
    "; s1 ;",
    "; s1 #",
    ") ; s1 ; (",
    "(s1)",
    "' ; s1 '",
    "' ; s1 #",
    "$(s1)",
    "$(RECORD_ID)",
    "$(",
    "`{s1}",
    "{s1}",
    "&& s1",
    "\"; s1; \"",
    "\"; s1 #",
    "$[s1]",
    "![s1]",
    "@$(s1)",
    "__import__('os').system('s1')",
    "\\) ; s1 ; \\(",
    "\\' ; s1 #",
    "& s1 &",
    "x' ; s1 ; 'x",
    "!; s1 #",
    "\\; s1 #",
    "' #",
    "') ; s1 #",
];

/// With such a login shell nothing of a command runs, neither what was judged nor what a
/// quoted word would be to it. The line without its guard does run, so that this can fail.
#[test]
fn a_login_shell_that_reads_otherwise_runs_nothing() {
    let stage = Stage::new("others");
    let snapshot = full_trust();
    let host = Host::new("host", []);
    let mut ran_unguarded = 0;
    for (name, package, argv) in OTHERS {
        let program =
            find(argv[0]).or_else(|| Some(PathBuf::from(argv[0])).filter(|f| f.is_file()));
        let program = program
            .unwrap_or_else(|| panic!("{name} is missing; install it: apt-get install {package}"));
        for text in TAKEN_APART {
            let quoted = text.replace('\'', "'\\''");
            let raw = format!("s1 '{quoted}'");
            let Verdict::Allow(authorised) = snapshot.policy().judge_text(&host.subject(), &raw)
            else {
                panic!("{raw} is not allowed");
            };
            let sent = authorised.exec_line(60);
            let unguarded = sent.split_once(" ; ").unwrap().1;
            let slow = *name == "xonsh";
            for (line, guarded) in [(&*sent, true), (unguarded, false)] {
                // xonsh takes a second to start, and refuses this quoting anyway.
                if slow && (!guarded || text.len() > 6) {
                    continue;
                }
                let records = stage.root.join("records");
                fs::write(&records, "").unwrap();
                Command::new(&program)
                    .args(&argv[1..])
                    .args(["-c", line])
                    .env_clear()
                    .env(
                        "PATH",
                        format!("{}:/usr/bin:/bin", stage.root.join("bin").display()),
                    )
                    .env("HOME", &stage.root)
                    .env("RECORD_ID", "0")
                    .env("RECORD_FILE", &records)
                    .current_dir(&stage.root)
                    .stdin(Stdio::null())
                    .output()
                    .unwrap();
                let ran = !fs::read(&records).unwrap().is_empty();
                match guarded {
                    true => assert!(!ran, "{name} ran something of {line}"),
                    false => ran_unguarded += usize::from(ran),
                }
            }
        }
    }
    assert!(
        ran_unguarded > 5,
        "without the guard only {ran_unguarded} lines ran"
    );
}

/// Lists, groups, subshells, `if`, `for`, outputs: generated, and each accepted text changed
/// by one character in turn. Whatever is still accepted runs what was judged of it.
#[test]
fn generated_trees_and_their_neighbours() {
    installed();
    let stage = Stage::new("trees");
    let snapshot = full_trust();
    let host = Host::new("host", []);
    let mut random = Random::new(setting("POLICY_SHELLS_SEED", 1) + 100);
    let wanted = setting("POLICY_SHELLS_COMMANDS", 200) as usize / 2;
    let mut trials = Vec::new();
    while trials.len() < wanted {
        let raw = generate::list(&mut random, &stage.programs, 2);
        trials.extend(trial(&stage, snapshot.policy(), &host, &raw));
    }
    compare(
        &stage,
        &trials,
        &[Form::Canonical, Form::Raw, Form::Wrapped],
    );
    let mut neighbours = Vec::new();
    for trial_of in &trials {
        let raw = &trial_of.raw;
        for _ in 0..12 {
            let at = random.below(raw.chars().count());
            let mut chars: Vec<char> = raw.chars().collect();
            match random.below(3) {
                0 => chars.insert(at, random.char_of(" ;|&(){}'\"\\$!#~\n")),
                1 => drop(chars.remove(at)),
                _ => chars[at] = random.char_of(" ;|&(){}'\"\\$!#~\n"),
            }
            let raw: String = chars.into_iter().collect();
            neighbours.extend(trial(&stage, snapshot.policy(), &host, &raw));
        }
    }
    assert!(
        neighbours.len() > wanted,
        "only {} are accepted",
        neighbours.len()
    );
    compare(&stage, &neighbours, &[Form::Wrapped]);
}

#[test]
fn generated_commands() {
    installed();
    let stage = Stage::new("generated");
    let snapshot = full_trust();
    let host = Host::new("host", []);
    let mut random = Random::new(setting("POLICY_SHELLS_SEED", 1));
    let wanted = setting("POLICY_SHELLS_COMMANDS", 200) as usize;
    let mut trials = Vec::with_capacity(wanted);
    while trials.len() < wanted {
        let raw = generate::command(&mut random, &stage.programs);
        trials.extend(trial(&stage, snapshot.policy(), &host, &raw));
    }
    let to_login = trials.iter().filter(|trial| trial.login.is_some()).count();
    assert!(
        to_login * 5 > trials.len(),
        "only {to_login} for a login shell"
    );
    let forms = [Form::Canonical, Form::Raw, Form::Wrapped, Form::Login];
    compare(&stage, &trials, &forms);
}

/// What the corpora accept, with every program a stub: only what is sent, because fish has
/// functions for some of their names.
#[test]
fn accepted_commands_of_the_corpora() {
    installed();
    let mut stage = Stage::new("corpora");
    let snapshot = full_trust();
    let host = Host::new("host", []);
    let mut trials = Vec::new();
    for case in cases("bypass.jsonl").iter().chain(&cases("benign.jsonl")) {
        let Some(raw) = case["command"].as_str() else {
            continue;
        };
        let Ok(parsed) = lexer::parse(raw, lexer::Options::default()) else {
            continue;
        };
        let programs = parsed
            .commands
            .iter()
            .map(|command| command.words[0].text.to_string());
        let programs: Vec<String> = programs.collect();
        if programs
            .iter()
            .any(|name| name.contains('/') || BUILTINS.contains(&&**name))
        {
            continue;
        }
        programs.iter().for_each(|name| stage.add(name));
        trials.extend(trial(&stage, snapshot.policy(), &host, raw));
    }
    assert!(trials.len() > 150, "only {} commands", trials.len());
    // No stub of theirs fails, whatever its name.
    trials.retain(|trial| !trial.raw.starts_with('f') && !trial.raw.contains("||"));
    compare(&stage, &trials, &[Form::Wrapped]);
}

/// A job is started alike behind every login shell, and its command is the judged one; what
/// looks after it finds its end there.
#[test]
fn a_job_goes_its_way_behind_every_login_shell() {
    installed();
    let stage = Stage::new("jobs");
    let snapshot = load(
        "rules: [{action: allow, commands: ['/usr/bin/printf *'], trust_arguments: true, detach: true}]",
    )
    .unwrap();
    let host = Host::new("host", []);
    let text = r#"/usr/bin/printf '%s|' "a b" "it's" '$x' '!x' 'back\slash' '`id`' '' '~' '*'"#;
    let command = CommandText::parse(text).unwrap();
    let line = |purpose: &Purpose| {
        let verdict = snapshot
            .policy()
            .judge_for(&host.subject(), &command, purpose);
        let Verdict::Allow(authorised) = verdict else {
            panic!("{purpose:?}: {verdict:?}");
        };
        authorised.exec_line(60)
    };
    for shell in SHELLS {
        let home = stage.root.join(shell.name.replace(' ', "-"));
        fs::create_dir(&home).unwrap();
        let say = |line: &str| {
            let output = Command::new(find(shell.argv[0]).unwrap())
                .args(&shell.argv[1..])
                .args(["-c", line])
                .env_clear()
                .env("PATH", "/usr/bin:/bin")
                .env("HOME", &home)
                .current_dir(&home)
                .stdin(Stdio::null())
                .output()
                .unwrap();
            let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
            (text(output.stdout), text(output.stderr))
        };
        let job = JobId::new(command.hash(), "T-0_k").unwrap();
        let (started, said) = say(&line(&Purpose::Start(job.clone())));
        assert!(
            started.starts_with("started "),
            "{}: {started}{said}",
            shell.name
        );
        let look = Care::Look {
            job: job.clone(),
            wait: 30,
            whole: true,
        };
        let (out, told) = say(&line(&Purpose::Care(look)));
        assert_eq!(
            out, "a b|it's|$x|!x|back\\slash|`id`||~|*|",
            "{}",
            shell.name
        );
        assert!(told.contains(" exit=0 "), "{}: {told}", shell.name);
        let (list, _) = say(&line(&Purpose::Care(Care::List)));
        assert!(list.starts_with(&job.directory()), "{}: {list}", shell.name);
        let gone = JobId::new(command.hash(), "other").unwrap();
        let (_, told) = say(&line(&Purpose::Care(Care::End(gone))));
        assert_eq!(told.trim(), "missing", "{}", shell.name);
    }
}
