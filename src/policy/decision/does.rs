//! What a command does, in one line for a person: "systemctl restart: changes something (unit
//! nginx)".
//!
//! Owns the words; what is known comes from the descriptions of programs. Says what is known,
//! never what is allowed, and says so where something is not known. Called by plans and by
//! the question that an `ask` rule puts.

use crate::policy::Policy;
use crate::policy::programs::effects::Effects;
use crate::policy::programs::invocation::{Invocation, Level};
use crate::policy::programs::kind::Kind;
use crate::policy::programs::reading::{Reading, Unknown, What};
use crate::policy::syntax::command::{self, Simple, Word};
use crate::policy::syntax::lexer;

/// Most objects that are named one by one.
const NAMED_MAX: usize = 3;
/// Longest line, in characters.
const LINE_MAX: usize = 400;

/// What each effect beside reading is called.
const PHRASES: [(Effects, &str); 5] = [
    (Effects::WRITES, "changes something"),
    (Effects::EXECUTES, "runs code or a program of its own"),
    (Effects::NETWORK, "contacts another host"),
    (Effects::SECRETS, "may show secrets"),
    (Effects::FOLLOWS, "goes on until it is ended"),
];

impl Policy {
    /// What the commands of a text do, each in a few words; `None` if it is not understood.
    pub fn does(&self, text: &str) -> Option<String> {
        let parsed = lexer::parse_through_shells(text, self.options).ok()?;
        Some(of(&parsed.commands))
    }
}

/// What commands do, each in a few words.
pub(in crate::policy::decision) fn of(commands: &[Simple<'_>]) -> String {
    let mut said: Vec<String> = Vec::new();
    // A shell whose text was read does what its commands do.
    let shell = |command: &&Simple<'_>| command.words.last().is_some_and(|word| word.shell);
    for command in commands.iter().filter(|command| !shell(command)) {
        let line = of_command(&command.words);
        if !said.contains(&line) {
            said.push(line);
        }
    }
    let whole = said.join("; ");
    match whole.char_indices().nth(LINE_MAX) {
        Some((end, _)) => format!("{}…", whole.get(..end).unwrap_or_default()),
        None => whole,
    }
}

fn of_command(words: &[Word<'_>]) -> String {
    let words: &[Word<'_>] = &words.iter().map(Word::as_one).collect::<Vec<_>>();
    let invocation = Invocation::of(words);
    let raised = invocation
        .levels
        .iter()
        .filter_map(|level| level.reading.as_ref())
        .any(|reading| reading.description.raises);
    let said = match invocation.innermost() {
        Some(level) => of_level(level, words),
        None => "runs nothing".to_owned(),
    };
    match raised {
        true => format!("as another user, {said}"),
        false => said,
    }
}

fn of_level(level: &Level<'_>, words: &[Word<'_>]) -> String {
    let own = words.get(level.range.clone()).unwrap_or_default();
    let name = own.first().map_or("", |word| &*word.text);
    let Some(reading) = &level.reading else {
        return format!("{name}: nothing is known of what it does");
    };
    let mut title = name.to_owned();
    for role in &reading.roles {
        if let What::Verb(verb) = role.what {
            title.push(' ');
            title.push_str(verb);
        }
    }
    let objects = objects(reading);
    let Some(effects) = reading.effects() else {
        return format!("{title}: not all of its words are known");
    };
    let does = phrases(effects).unwrap_or_else(|| "only reads".to_owned());
    match objects.is_empty() {
        true => format!("{title}: {does}"),
        false => format!("{title}: {does} ({})", objects.join(", ")),
    }
}

/// `None` of what only reads.
fn phrases(effects: Effects) -> Option<String> {
    let phrases: Vec<&str> = PHRASES
        .iter()
        .filter(|(effect, _)| effects.has(*effect))
        .map(|(_, phrase)| *phrase)
        .collect();
    (!phrases.is_empty()).then(|| phrases.join(", "))
}

/// What a known word, or a program with all its words, does beside reading; `None` where the
/// word is not known, or only reads.
pub(in crate::policy::decision) fn beyond_reading(
    words: &[Word<'_>],
    word: usize,
) -> Option<(String, Effects)> {
    let invocation = Invocation::of(words);
    let (level, role) = invocation.role(word);
    let role = role?;
    let level = invocation.levels.get(level)?;
    let reading = level.reading.as_ref()?;
    let effects = match role.what {
        What::Unknown(_) => return None,
        What::Program => reading.effects().unwrap_or(role.effects),
        _ => role.effects,
    };
    phrases(effects).map(|phrases| (phrases, effects))
}

/// Why a word is not known, and for what reason it was left out on purpose, if it was.
pub(in crate::policy::decision) fn not_known(
    words: &[Word<'_>],
    word: usize,
) -> Option<(Unknown, Option<&'static str>)> {
    let invocation = Invocation::of(words);
    let (level, role) = invocation.role(word);
    let reading = invocation.levels.get(level)?.reading.as_ref()?;
    let What::Unknown(why) = role?.what else {
        return None;
    };
    let reason = reading.form.reason_without(&words.get(word)?.text);
    Some((why, reason))
}

/// What one of some kinds is called, what several are, and which kinds.
type NamedKinds = (&'static str, &'static str, fn(&Kind) -> bool);

/// The files, units and hosts that are named: `unit nginx`, `5 files`.
fn objects(reading: &Reading<'_>) -> Vec<String> {
    let kinds: [NamedKinds; 5] = [
        ("writes", "files written", |kind| *kind == Kind::Write),
        ("", "files", |kind| kind.is_read()),
        ("unit", "units", |kind| *kind == Kind::Unit),
        ("object", "objects", |kind| *kind == Kind::Object),
        ("host", "hosts", |kind| {
            matches!(kind, Kind::Host | Kind::Url | Kind::Site)
        }),
    ];
    kinds
        .into_iter()
        .filter_map(|(one, many, is)| {
            let named: Vec<&str> = reading
                .roles
                .iter()
                .filter_map(|role| match role.what {
                    What::Operand { kind, text } if is(kind) => Some(text),
                    What::Value { kind, text, .. } if is(kind) => Some(text),
                    _ => None,
                })
                .collect();
            match named.len() {
                0 => None,
                1..=NAMED_MAX => {
                    let named = format!("{one} {}", named.join(" "));
                    Some(command::shown(named.trim_start()).into_owned())
                }
                count => Some(format!("{count} {many}")),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::policy::Policy;
    use crate::policy::source::PolicySource;

    #[test]
    fn what_commands_do_is_said_in_a_few_words() {
        let policy = Policy::compile(PolicySource::default()).unwrap().policy;
        for (command, said) in [
            ("uptime", "uptime: only reads"),
            (
                "sudo -n systemctl restart nginx",
                "as another user, systemctl restart: changes something (unit nginx)",
            ),
            (
                "tail -n 5 /var/log/a /var/log/b | grep -c x",
                "tail: only reads (/var/log/a /var/log/b); grep: only reads",
            ),
            ("cat /a /b /c /d", "cat: only reads (4 files)"),
            (
                "./reindex.sh --all",
                "./reindex.sh: nothing is known of what it does",
            ),
            ("find / -zzz", "find: not all of its words are known"),
            (
                "sh -c 'journalctl -f -u nginx'",
                "journalctl: goes on until it is ended (unit nginx)",
            ),
            ("df -h; df -h", "df: only reads"),
        ] {
            assert_eq!(policy.does(command).as_deref(), Some(said), "{command}");
        }
        assert_eq!(policy.does("a $(b"), None);
    }
}
