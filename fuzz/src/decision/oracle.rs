//! What a policy says, read once more from its documentation and written as plainly as
//! it goes: who a rule is for, what it takes, what an override changes.

use mcp_ssh_orchestrator::testing::policy::limits::BUILT_IN_DENY_SUBSTRINGS;
use mcp_ssh_orchestrator::testing::policy::rule::word_pattern::Pattern;
use mcp_ssh_orchestrator::testing::policy::source::{
    LimitsSource, PathArgs, PolicySource, RuleForm, RuleSource,
};
use mcp_ssh_orchestrator::testing::policy::syntax::command::{Simple, Word};

use super::scene::Scene;

/// Words that make a program do what reading does not, and are never granted by a
/// wildcard: only where a rule spells them, or is `*` alone.
const NEVER_BY_WILDCARD: &[(&str, &[&str])] = &[("find", &["-delete", "-exec"]), ("sort", &["-o"])];

/// What may follow a pipe without a rule.
const FILTERS: &[&str] = &[
    "awk",
    "base64",
    "cat",
    "column",
    "cut",
    "egrep",
    "expand",
    "fgrep",
    "fold",
    "grep",
    "head",
    "jq",
    "md5sum",
    "nl",
    "paste",
    "rev",
    "sed",
    "sha256sum",
    "sort",
    "tac",
    "tail",
    "tr",
    "uniq",
    "wc",
];

pub fn is_for(rule: &RuleSource, scene: &Scene) -> bool {
    let any = |globs: &[String], text: &str| globs.iter().any(|glob| fits(glob, text));
    let tagged = |tag: &str| any(&rule.tags, tag);
    (rule.aliases.is_empty() || any(&rule.aliases, scene.alias.as_str()))
        && (rule.tags.is_empty() || scene.tags.iter().any(|tag| tagged(tag.as_str())))
}

/// Whether a rule takes these words, and spells what must be spelled.
pub fn takes(rule: &RuleSource, words: &[Word<'_>]) -> bool {
    match &rule.form {
        // The scenes have no rules of these forms: `tests/` holds what they say.
        RuleForm::Reads(_) | RuleForm::Paths(_) => false,
        RuleForm::Commands {
            patterns,
            legacy_glob,
        } => patterns.iter().any(|(_, pattern)| {
            let spelled: Vec<&str> = pattern.split_whitespace().collect();
            let taken = match legacy_glob {
                true => legacy(pattern, words),
                false => Pattern::parse(pattern).is_ok_and(|pattern| pattern.matches(words)),
            };
            taken && (pattern.trim() == "*" || none_unspelled(&spelled, words))
        }),
        RuleForm::Simple { binaries, max_args } => {
            binaries.iter().any(|binary| *binary == words[0].text)
                && max_args.is_none_or(|most| words.len() - 1 <= most)
                && none_unspelled(&[], words)
        }
        RuleForm::Structured {
            binary,
            arg_prefix,
            allow_extra_args,
            path_args,
        } => {
            let none = PathArgs {
                indices: Vec::new(),
                patterns: Vec::new(),
            };
            let paths = path_args.as_ref().unwrap_or(&none);
            let prefix = arg_prefix.iter().enumerate();
            let named = |index| index <= arg_prefix.len() || paths.indices.contains(&index);
            let mut spelled: Vec<&str> = arg_prefix.iter().map(String::as_str).collect();
            spelled.extend(paths.patterns.iter().map(String::as_str));
            words[0].text == *binary
                && prefix.into_iter().all(|(index, expected)| {
                    words
                        .get(index + 1)
                        .is_some_and(|word| word.text == *expected)
                })
                && (0..paths.indices.len()).all(|position| is_path(paths, position, words))
                && (*allow_extra_args || (1..words.len()).all(named))
                && none_unspelled(&spelled, words)
        }
    }
}

fn is_path(paths: &PathArgs, position: usize, words: &[Word<'_>]) -> bool {
    let Some(word) = words.get(paths.indices[position]) else {
        return false;
    };
    // One pattern for each index, or any for all.
    let patterns = match paths.patterns.len() == paths.indices.len() {
        true => &paths.patterns[position..=position],
        false => &paths.patterns[..],
    };
    let climbs = word.text.split('/').any(|part| part == "..");
    !climbs
        && patterns.iter().any(|pattern| {
            (pattern.starts_with('-') || !word.text.starts_with('-'))
                && (!word.globs.is_empty() || fits(pattern, &word.text))
        })
}

fn legacy(pattern: &str, words: &[Word<'_>]) -> bool {
    let texts: Vec<&str> = words.iter().map(|word| &*word.text).collect();
    let pattern: Vec<&str> = pattern.split_whitespace().collect();
    words.iter().any(|word| !word.globs.is_empty()) || fits(&pattern.join(" "), &texts.join(" "))
}

fn none_unspelled(spelled: &[&str], words: &[Word<'_>]) -> bool {
    let program = words[0].text.rsplit('/').next().unwrap_or_default();
    let dangers = NEVER_BY_WILDCARD.iter().find(|(name, _)| *name == program);
    let dangerous = |word: &&Word<'_>| dangers.is_some_and(|(_, all)| all.contains(&&*word.text));
    words[1..]
        .iter()
        .filter(dangerous)
        .all(|word| spelled.contains(&&*word.text))
}

/// Whether a command may follow a pipe without a rule: a filter that names no file.
pub fn is_filter(command: &Simple<'_>) -> bool {
    let name = command.words[0].text.rsplit('/').next().unwrap_or_default();
    let scripted = matches!(
        name,
        "awk" | "sed" | "grep" | "egrep" | "fgrep" | "jq" | "tr"
    );
    let files = command.words[1..]
        .iter()
        .filter(|word| word.text.starts_with('/'));
    FILTERS.contains(&name)
        && none_unspelled(&[], &command.words)
        && (scripted || files.count() == 0 || name == "cut" || name == "paste")
}

pub fn is_free(command: &Simple<'_>) -> bool {
    let name = command.words[0].text.rsplit('/').next().unwrap_or_default();
    matches!(name, "echo" | "true" | "false" | "printf")
}

/// What holds for the host: its alias, then its last tag that says something, then all.
pub fn effective<T>(
    source: &PolicySource,
    scene: &Scene,
    key: impl Fn(&LimitsSource) -> Option<T>,
) -> Option<T> {
    let of = |overrides: &[(String, LimitsSource)], name: &str| {
        let mut named = overrides.iter().filter(|(other, _)| other == name);
        named.next().and_then(|(_, limits)| key(limits))
    };
    of(&source.alias_overrides, scene.alias.as_str())
        .or_else(|| {
            let mut tags = scene.tags.iter().rev();
            tags.find_map(|tag| of(&source.tag_overrides, tag.as_str()))
        })
        .or_else(|| key(&source.limits))
}

pub fn tripwires(source: &PolicySource, scene: &Scene) -> Vec<String> {
    effective(source, scene, |limits| limits.deny_substrings.clone()).map_or_else(
        || BUILT_IN_DENY_SUBSTRINGS.map(str::to_owned).to_vec(),
        |entries| entries.to_vec(),
    )
}

/// fnmatch without classes: a pattern that has one is taken to match.
fn fits(glob: &str, text: &str) -> bool {
    if glob.contains('[') {
        return true;
    }
    let text: Vec<char> = text.chars().collect();
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for sign in glob.chars() {
        let before = reached.clone();
        for end in 0..=text.len() {
            reached[end] = match sign {
                '*' => before[..=end].contains(&true),
                '?' => end > 0 && before[end - 1],
                sign => end > 0 && before[end - 1] && text[end - 1] == sign,
            };
        }
    }
    reached[text.len()]
}
