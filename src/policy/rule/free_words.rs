//! What a wildcard grants: the words of a match that no rule spelled out.
//!
//! Owns the rule that a wildcard over a described program grants what the description says
//! only reads, beside what the rule spells; and that over a program of which nothing is
//! known it grants nothing that could be an option, a path, an assignment or an address.
//! With `trust_arguments: true` the lists of dangers in [`crate::policy::hazard`] are all
//! that is asked. Called by the rules for every match that leaves words free.

use crate::policy::decision::reason::Code;
use crate::policy::hazard::{self, Hazard};
use crate::policy::programs::effects::Effects;
use crate::policy::programs::invocation::{Invocation, Level};
use crate::policy::programs::kind::Kind;
use crate::policy::programs::reading::{Role, Unknown, What};
use crate::policy::rule::path_pattern;
use crate::policy::rule::word_pattern::Freedom;
use crate::policy::syntax::command::Word;

/// The first free word that is not granted, if any; `open` says that the rule takes further
/// words, of which there may be none.
pub(crate) fn find(
    words: &[Word<'_>],
    invocation: &Invocation<'_>,
    open: bool,
    freedom: impl Fn(usize) -> Freedom,
) -> Option<Hazard> {
    if let Some(hazard) = fed(invocation) {
        return Some(hazard);
    }
    let freedoms: Vec<Freedom> = (0..words.len()).map(&freedom).collect();
    if !open && freedoms.iter().all(|each| *each == Freedom::Spelled) {
        return None;
    }
    let judged = Judged {
        words,
        invocation,
        spelled: spelled_effects(invocation, &freedoms),
        says_files: freedoms.iter().enumerate().any(|(at, freedom)| {
            let word = words.get(at);
            *freedom == Freedom::Begun && word.is_some_and(|word| word.text.starts_with(['/', '~']))
        }),
    };
    if let Some(hazard) = judged.by_name() {
        return Some(hazard);
    }
    let in_words = freedoms.iter().enumerate().find_map(|(word, freedom)| {
        let code = judged.refusal(word, *freedom)?;
        Some(judged.hazard(code, word))
    });
    in_words
        .or_else(|| judged.nothing_to_do())
        .or_else(|| judged.together())
        .or_else(|| judged.undescribed(open, freedom))
}

/// Words of the input that nobody judges, where the program could take them for more than
/// names.
fn fed(invocation: &Invocation<'_>) -> Option<Hazard> {
    let level = invocation.innermost()?;
    let reading = level.reading.as_ref()?;
    let harmful = reading
        .roles
        .iter()
        .skip(level.range.len())
        .any(|role| matches!(role.what, What::Unknown(_)));
    harmful.then_some(Hazard {
        code: Code::HazardWrapper,
        word: level.range.start,
        program: level.range.start,
    })
}

/// What the rule itself spells: `systemctl restart *` means units that are restarted.
fn spelled_effects(invocation: &Invocation<'_>, freedoms: &[Freedom]) -> Effects {
    let mut effects = Effects::READS;
    for (word, freedom) in freedoms.iter().enumerate() {
        if let (Freedom::Spelled, (level, Some(role))) = (freedom, invocation.role(word)) {
            // A program's name says what it always does, not what the free words make of it.
            let reading = invocation
                .levels
                .get(level)
                .and_then(|level| level.reading.as_ref());
            effects = effects.and(match (role.what, reading) {
                (What::Program, Some(reading)) => {
                    reading.description.form.effects.without(Effects::EXECUTES)
                }
                _ => role.effects,
            });
        }
    }
    effects
}

struct Judged<'a, 'w> {
    words: &'a [Word<'w>],
    invocation: &'a Invocation<'w>,
    spelled: Effects,
    /// Some word of the rule is the beginning of a path.
    says_files: bool,
}

impl Judged<'_, '_> {
    /// Why this word is not granted.
    fn refusal(&self, word: usize, freedom: Freedom) -> Option<Code> {
        if freedom == Freedom::Spelled {
            return None;
        }
        let text = &*self.words.get(word)?.text;
        let (level, role) = self.invocation.role(word);
        // `cat /proc/*` does not mean `/proc/1/root/etc/shadow`.
        let led_away = freedom == Freedom::Begun
            && path_pattern::is_led_away(&path_pattern::text_of(self.words.get(word)?));
        let Some(role) = role else {
            let more = freedom == Freedom::Free && says_more(text);
            return (more || led_away).then_some(Code::HazardUndescribed);
        };
        match role.what {
            What::Value { kind, .. } | What::Operand { kind, .. } if led_away && kind.is_read() => {
                Some(Code::HazardPath)
            }
            // What another program runs is named by the rule, never by a wildcard.
            What::Program if level > 0 => Some(Code::HazardWrapper),
            What::Program => None,
            What::Unknown(why) => Some(code_of_unknown(why, &role, text, self.name(level))),
            // Where a URL leads is for the rule to say.
            What::Value { kind, .. } | What::Operand { kind, .. }
                if matches!(kind, Kind::Url | Kind::Site) && freedom == Freedom::Free =>
            {
                Some(code_of_effect(&role, text))
            }
            _ if freedom == Freedom::Begun => None,
            // Where the rule says which files, it means all of them.
            What::Value { kind, .. } | What::Operand { kind, .. }
                if kind.is_read() && self.says_files && role.effects.within(self.spelled) =>
            {
                Some(code_of_effect(&role, text))
            }
            // Whom a program asks is what its operand is for; an option that leads it
            // elsewhere is another thing.
            What::Operand { kind, .. }
                if !matches!(kind, Kind::Url | Kind::Site)
                    && role.effects.within(self.spelled.and(Effects::NETWORK)) =>
            {
                None
            }
            _ if role.effects.within(self.spelled) => None,
            _ => Some(code_of_effect(&role, text)),
        }
    }

    /// A program that runs code or commands, whatever its words: no wildcard grants it.
    fn by_name(&self) -> Option<Hazard> {
        let level = self.invocation.levels.first()?;
        let form = &level.reading.as_ref()?.description.form;
        form.effects.has(Effects::EXECUTES).then_some(Hazard {
            code: Code::HazardInterpreter,
            word: 0,
            program: 0,
        })
    }

    /// A program that was given nothing to do may read it from its input.
    fn nothing_to_do(&self) -> Option<Hazard> {
        let level = self.invocation.innermost()?;
        let reading = level.reading.as_ref()?;
        (!reading.complete).then_some(Hazard {
            code: Code::HazardInterpreter,
            word: level.range.start,
            program: level.range.start,
        })
    }

    /// What the words do together and none of them alone: `xz FILE` without `-c`.
    fn together(&self) -> Option<Hazard> {
        let level = self.invocation.innermost()?;
        let reading = level.reading.as_ref()?;
        (!reading.together.within(self.spelled)).then_some(Hazard {
            code: Code::HazardWord,
            word: level.range.start,
            program: level.range.start,
        })
    }

    /// The lists of dangers, for what no description covers.
    fn undescribed(&self, open: bool, freedom: impl Fn(usize) -> Freedom) -> Option<Hazard> {
        let level = self.invocation.innermost()?;
        if level.reading.is_some() {
            return None;
        }
        let start = level.range.start;
        let words = self.words.get(start..)?;
        let found = hazard::find(words, open, |word| freedom(start + word))?;
        Some(Hazard {
            word: found.word + start,
            program: found.program + start,
            ..found
        })
    }

    fn hazard(&self, code: Code, word: usize) -> Hazard {
        let (level, _) = self.invocation.role(word);
        let program = self.level(level).map_or(0, |level| level.range.start);
        Hazard {
            code,
            word,
            program,
        }
    }

    fn level(&self, level: usize) -> Option<&Level<'_>> {
        self.invocation.levels.get(level)
    }

    fn name(&self, level: usize) -> &str {
        let names = self
            .level(level)
            .and_then(|level| level.reading.as_ref())
            .map(|reading| reading.description.names.as_slice());
        names.and_then(<[_]>::first).copied().unwrap_or_default()
    }
}

/// Whether a word could be more than a plain name to a program that nobody described.
fn says_more(text: &str) -> bool {
    text.starts_with('-') || text.contains(['/', '=', ':', '@'])
}

/// The code for a word that is not known.
pub(crate) fn code_of_unknown(why: Unknown, role: &Role<'_>, text: &str, program: &str) -> Code {
    match why {
        _ if program == "sed" => Code::HazardSedScript,
        // Its options are words, each whole: `-exec`.
        _ if program == "find" => Code::HazardWord,
        Unknown::Script | Unknown::Verb => Code::HazardWord,
        Unknown::Option | Unknown::Value => Code::HazardOption,
        Unknown::Operand => Code::HazardOperand,
        Unknown::Form => code_of_effect(role, text),
    }
}

/// The code for a word whose effect nobody granted.
pub(crate) fn code_of_effect(role: &Role<'_>, text: &str) -> Code {
    match role.what {
        _ if text.starts_with('-') => Code::HazardOption,
        What::Operand { .. } => Code::HazardOperand,
        _ => Code::HazardWord,
    }
}
