//! What a wildcard never grants.
//!
//! Owns the judgement over the words that a rule left free: options and words that make
//! a program execute, write, leak or never end (`find -exec`, `sort -o`), interpreters
//! that were not spelled out whole, and wrappers whose inner program was not. A hazard
//! makes the rule not match; the operator permits one by spelling it. Errs on the side of
//! refusing: letters count anywhere in a cluster, long options with every abbreviation,
//! and nothing is known of which option takes a value. Called by the rules.

pub(crate) mod programs;
pub(crate) mod wrappers;

use crate::policy::decision::reason::Code;
use crate::policy::filter::{self, sed};
use crate::policy::hazard::programs::exceptions;
use crate::policy::hazard::wrappers::Hazards;
use crate::policy::rule::glob::EXPANDED;
use crate::policy::rule::word_pattern::{Freedom, Pattern};
use crate::policy::syntax::lexer::Word;

/// A word that no wildcard grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hazard {
    pub(crate) code: Code,
    /// Index of the word.
    pub(crate) word: usize,
    /// Index of the program it is a hazard of.
    pub(crate) program: usize,
}

/// The first hazard among the words that `freedom` says were not spelled out, or of there
/// being none where the rule is `open` for some.
pub(crate) fn find(
    words: &[Word<'_>],
    open: bool,
    freedom: impl Fn(usize) -> Freedom,
) -> Option<Hazard> {
    let freedoms: Vec<Freedom> = (0..words.len()).map(freedom).collect();
    let first = freedoms.iter().position(|each| *each != Freedom::Spelled);
    let first = first.or(open.then_some(words.len()))?;
    let expanded: Vec<_> = words.iter().map(Word::expanded).collect();
    let texts: Vec<&str> = expanded.iter().map(|text| &**text).collect();
    let judged = Judged {
        texts: &texts,
        freedoms: &freedoms,
        first,
    };
    judged.programs()
}

/// Why a pattern can never match, whatever the words: its program is an interpreter or a
/// wrapper that the wildcard would leave open.
pub(crate) fn of_pattern(pattern: &Pattern) -> Option<Code> {
    if pattern.is_everything() || !pattern.is_wild() {
        return None;
    }
    let mut texts: Vec<&str> = pattern.literal_words().collect();
    // A stand-in for what the wildcard takes.
    texts.push("");
    never(&texts)
}

/// The same for the words of a structured rule that leaves something free behind them.
pub(crate) fn of_prefix(literal: &[&str]) -> Option<Code> {
    let mut texts = literal.to_vec();
    texts.push("");
    never(&texts)
}

fn never(texts: &[&str]) -> Option<Code> {
    let first = texts.len().checked_sub(1)?;
    let mut freedoms = vec![Freedom::Spelled; first];
    freedoms.push(Freedom::Free);
    let judged = Judged {
        texts,
        freedoms: &freedoms,
        first,
    };
    if first == 0 {
        return None;
    }
    judged.chain().err().map(|hazard| hazard.code)
}

struct Judged<'a> {
    texts: &'a [&'a str],
    freedoms: &'a [Freedom],
    /// The first word that was not spelled out.
    first: usize,
}

impl Judged<'_> {
    fn programs(&self) -> Option<Hazard> {
        let wrapped = match self.chain() {
            Ok(wrapped) => wrapped,
            Err(hazard) => return Some(hazard),
        };
        if !wrapped {
            return self.of_program(0).or_else(|| self.behind_verb());
        }
        // Whatever stands behind a wrapper may be a program to somebody.
        (0..self.texts.len()).find_map(|index| self.of_program(index))
    }

    /// Follows wrappers to what they run. Tells whether there was one.
    fn chain(&self) -> Result<bool, Hazard> {
        let mut at = 0;
        let mut wrapped = false;
        loop {
            // One program of the chain: `sudo`, then what it runs, then what that runs.
            let name = wrappers::base_name(self.text(at));
            let hazard = |code| {
                Err(Hazard {
                    code,
                    word: self.first,
                    program: at,
                })
            };
            if wrappers::is_interpreter(name) {
                return hazard(Code::HazardInterpreter);
            }
            let Some(wrapper) = wrappers::wrapper(name) else {
                return Ok(wrapped);
            };
            if name == "command" && matches!(self.text(at + 1), "-v" | "-V") {
                return if self.first > at + 1 && self.options_after(at + 2).is_none() {
                    Ok(wrapped)
                } else {
                    hazard(Code::HazardWrapper)
                };
            }
            // The program that it runs must be spelled: a wildcard there would grant any.
            match inner_program(self.texts, at, wrapper) {
                Some(inner) if inner < self.first => at = inner,
                _ => return hazard(Code::HazardWrapper),
            }
            wrapped = true;
        }
    }

    /// What `docker exec web`, `ip netns exec blue` or `find -exec` starts, where the rule
    /// names it: then it has its own hazards. A rule that leaves it open grants it all.
    fn behind_verb(&self) -> Option<Hazard> {
        let name = wrappers::base_name(self.text(0));
        let verbs = wrappers::inner_program_after(name)?;
        // Only a verb that the rule spells counts: what is free is refused as a word.
        let verb = (1..self.first).find(|index| verbs.contains(self.text(*index)))?;
        let wrapper = wrappers::Wrapper {
            name: "",
            flags: "itdTqP",
            operands: Some(u8::from(!self.text(verb).starts_with('-'))),
        };
        let inner = inner_program(self.texts, verb, wrapper).filter(|inner| *inner < self.first)?;
        let started = wrappers::base_name(self.text(inner));
        let hazard = |code| Hazard {
            code,
            word: self.first,
            program: inner,
        };
        if wrappers::is_interpreter(started) {
            Some(hazard(Code::HazardInterpreter))
        } else if wrappers::wrapper(started).is_some() {
            Some(hazard(Code::HazardWrapper))
        } else {
            self.of_program(inner)
        }
    }

    fn options_after(&self, from: usize) -> Option<usize> {
        (from..self.texts.len()).find(|index| self.text(*index).starts_with('-'))
    }

    fn of_program(&self, program: usize) -> Option<Hazard> {
        let name = wrappers::base_name(self.text(program));
        let found = |(code, word)| Hazard {
            code,
            word,
            program,
        };
        let after = self.texts.get(program..)?;
        if matches!(name, "sed" | "gsed" | "ssed") {
            let free = |index| self.is_free(program + index);
            return sed::hazard(after, free)
                .map(|index| found((Code::HazardSedScript, program + index)));
        }
        let hazards = wrappers::hazards(name)?;
        self.of_words(hazards, program)
            .or_else(|| {
                let behind = program + 1..self.texts.len();
                // `git branch x`: behind some words stand hazards of their own.
                let mut verbs =
                    behind.filter_map(|index| Some((hazards.verbs.get(self.text(index))?, index)));
                verbs.find_map(|(hazards, verb)| self.of_words(hazards, verb))
            })
            .or_else(|| {
                let first = program + 1;
                let is_verb = hazards.first.contains(self.text(first)) && self.is_free(first);
                is_verb.then_some((Code::HazardWord, first))
            })
            .or_else(|| {
                // Without words that tell it what to do, it reads commands from its input.
                let told = is_told(after, hazards.driven?);
                (!told).then_some((Code::HazardInterpreter, program))
            })
            .or_else(|| self.of_jq(name, program))
            .or_else(|| {
                let mut words = (program + 1..self.texts.len()).filter(|_| name == "ps");
                let shows =
                    words.find(|index| self.is_free(*index) && self.is_ps_environment(*index));
                Some((Code::HazardWord, shows?))
            })
            .or_else(|| {
                let remote = |index: &usize| is_remote_archive(self.text(*index));
                let mut free = (program + 1..self.texts.len()).filter(|i| self.is_free(*i));
                let tar = matches!(name, "tar" | "bsdtar");
                Some((
                    Code::HazardOperand,
                    free.find(|index| tar && remote(index))?,
                ))
            })
            .map(found)
    }

    /// Of the words behind a program, or behind a word of its that has a row.
    fn of_words(&self, hazards: &Hazards, program: usize) -> Option<(Code, usize)> {
        (program + 1..self.texts.len())
            .find_map(|index| Some((self.of_word(hazards, index)?, index)))
            .or_else(|| {
                let after = self.texts.get(program..)?;
                let index = program + operand(after, hazards.operand?)?;
                let free = self.freedoms.get(index) == Some(&Freedom::Free);
                free.then_some((Code::HazardOperand, index))
            })
    }

    /// `ps auxe`: without a dash, an `e` shows the environment of every process. The value
    /// of the option before may look the same.
    fn is_ps_environment(&self, index: usize) -> bool {
        let text = self.text(index);
        let is_option = |c| "acefghjklmnoprstuvwxHLNOSTUVXZ".contains(c);
        let before = index.checked_sub(1).map_or("", |before| self.text(before));
        let is_value = match before.strip_prefix('-') {
            Some(option) => {
                option.starts_with('-') || option.ends_with(|c| "CGUugpqstoOkn".contains(c))
            }
            None => before.chars().all(is_option) && before.ends_with(|c| "oOkptUqNn".contains(c)),
        };
        text.contains('e') && text.chars().all(is_option) && !is_value
    }

    /// A jq program that reads the environment or modules. It cannot begin with `/`.
    fn of_jq(&self, name: &str, program: usize) -> Option<(Code, usize)> {
        let reaches_out = |index: &usize| {
            let text = self.text(*index);
            self.is_free(*index) && !text.starts_with(['/', '-']) && !filter::is_plain_jq(text)
        };
        let mut words = (program + 1..self.texts.len()).filter(|_| name == "jq");
        Some((Code::HazardWord, words.find(reaches_out)?))
    }

    fn of_word(&self, hazards: &Hazards, index: usize) -> Option<Code> {
        let text = self.text(index);
        let code = match text.starts_with('-') {
            true => Code::HazardOption,
            false => Code::HazardWord,
        };
        let is_hazard = match self.freedoms.get(index)? {
            Freedom::Spelled => false,
            // The rule spells how it begins, so the table's `every argument` is settled by that.
            Freedom::Begun => is_hazardous(hazards, text),
            Freedom::Free => hazards.everything || is_hazardous(hazards, text),
        };
        if !is_hazard {
            return None;
        }
        // A word such as `-exec` is one whole, unlike an option.
        Some(match hazards.words.contains(text) {
            true => Code::HazardWord,
            false => code,
        })
    }

    fn is_free(&self, index: usize) -> bool {
        self.freedoms
            .get(index)
            .is_some_and(|each| *each != Freedom::Spelled)
    }

    fn text(&self, index: usize) -> &str {
        self.texts.get(index).copied().unwrap_or_default()
    }
}

fn is_hazardous(hazards: &Hazards, text: &str) -> bool {
    let known = |long: &str| {
        !hazards.whole.contains(&long) && hazards.long.iter().any(|name| name.starts_with(long))
    };
    let option = match text.strip_prefix("--") {
        Some("") => false,
        Some(long) => known(long.split('=').next().unwrap_or(long)),
        None => match text.strip_prefix('-') {
            None | Some("") => false,
            Some(letters) => {
                let single = letters.split('=').next().unwrap_or(letters);
                let (leading, valued) = hazards.leading;
                let mut flags = letters.chars().take_while(|c| !valued.contains(*c));
                letters.contains(|c| hazards.short.contains(c))
                    || flags.any(|c| leading.contains(c))
                    || hazards.long.contains(&single)
            }
        },
    };
    let is_word = |word: &str| {
        let begins = |known: &&str| known.starts_with(word);
        hazards.words.contains(word)
            || (hazards.abbreviates && !word.is_empty() && hazards.words.iter().any(begins))
    };
    option
        || is_word(text)
        || hazards.parts.iter().any(|part| text.contains(part))
        || (hazards.joins && text.split([' ', ';']).any(is_word))
}

/// GNU tar takes `host:file` for a file on another host and runs `rsh` to get it; also
/// where it is glued to `-f`.
fn is_remote_archive(text: &str) -> bool {
    let archive = match text.strip_prefix('-') {
        Some(option) => option.split_once('f').map_or("", |(_, glued)| glued),
        None => text,
    };
    archive
        .split('/')
        .next()
        .is_some_and(|host| host.contains(':'))
}

/// Whether these words tell a program what to do that would else read its input for that.
fn is_told(words: &[&str], driven: &exceptions::Driven) -> bool {
    let told = driven.told.first > 0 && operand(words, &driven.told).is_some();
    told || words.iter().skip(1).any(|word| {
        let cluster = word.strip_prefix('-').filter(|text| !text.starts_with('-'));
        driven.unless.contains(word)
            || cluster.is_some_and(|text| text.contains(|c| driven.letters.contains(c)))
    })
}

/// The index of the operand that is a hazard, if there is one.
fn operand(words: &[&str], hazard: &exceptions::Operand) -> Option<usize> {
    let mut operands = 0;
    let mut value = false;
    let mut only_operands = false;
    for (index, text) in words.iter().enumerate().skip(1) {
        if std::mem::take(&mut value) {
            continue;
        }
        if !only_operands && *text == "--" {
            only_operands = true;
        } else if !only_operands && text.len() > 1 && text.starts_with('-') {
            value = match text.strip_prefix("--") {
                Some(long) => hazard.valued_long.contains(&long),
                None => text.ends_with(|c| hazard.valued.contains(c)),
            };
        } else if !hazard.but.is_some_and(|c| text.starts_with(c)) {
            operands += 1;
            // What the shell expands may be any number of them.
            if operands == hazard.first || text.contains(EXPANDED) {
                return Some(index);
            }
        }
    }
    None
}

/// The index of the program that the wrapper at `at` runs. Every option that may take a
/// value is taken to have one, so that a value is never mistaken for the program; but what
/// names an interpreter or a wrapper is the program, unless it may be a user or a group.
fn inner_program(texts: &[&str], at: usize, wrapper: wrappers::Wrapper) -> Option<usize> {
    let mut operands = wrapper.operands?;
    let mut value = false;
    let mut only_operands = false;
    for (index, text) in texts.iter().enumerate().skip(at + 1) {
        if std::mem::take(&mut value) {
            let name = wrappers::base_name(text);
            let runs = wrappers::is_interpreter(name) || wrappers::wrapper(name).is_some();
            let before = texts.get(index - 1).copied().unwrap_or_default();
            if runs && !before.ends_with(['u', 'g']) && !matches!(before, "--user" | "--group") {
                return Some(index);
            }
            continue;
        }
        if only_operands || !text.starts_with('-') {
            if text.contains('=') {
                // An assignment, for env and sudo.
            } else if operands == 0 {
                return Some(index);
            } else {
                operands -= 1;
            }
            continue;
        }
        match text.strip_prefix("--") {
            Some("") => only_operands = true,
            Some(long) => value = !long.contains('='),
            None => {
                let letters = text.strip_prefix('-').unwrap_or_default();
                let valued = letters.find(|c| !wrapper.flags.contains(c));
                // A value may be glued to its letter; only a last letter waits for one.
                value = valued.is_some_and(|first| first + 1 == letters.len());
                if valued.is_none() && letters.is_empty() {
                    return None;
                }
            }
        }
    }
    None
}

/// Where the words of programs begin that this command may run besides its own: behind a
/// wrapper every word may be one. For deny rules, which look through generously.
pub(crate) fn inner_starts(words: &[Word<'_>]) -> std::ops::Range<usize> {
    let Some(program) = words.first() else {
        return 0..0;
    };
    let name = wrappers::base_name(&program.text);
    if wrappers::wrapper(name).is_some() || wrappers::is_interpreter(name) {
        return 1..words.len();
    }
    let Some(inner) = wrappers::inner_program_after(name) else {
        return 0..0;
    };
    match words.iter().position(|word| inner.contains(&*word.text)) {
        Some(index) => index + 1..words.len(),
        None => 0..0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::syntax::lexer;

    fn code(pattern: &str, command: &str) -> Option<Code> {
        let parsed = lexer::parse(command, lexer::Options { globs: true }).unwrap();
        let words = &parsed.commands[0].words;
        let pattern = Pattern::parse(pattern).unwrap();
        assert!(pattern.matches(words), "{command}");
        if let Some(code) = of_pattern(&pattern) {
            return Some(code);
        }
        let freedom = |index| pattern.freedom(index, &words[index]);
        find(words, pattern.is_wild(), freedom).map(|hazard| hazard.code)
    }

    #[test]
    fn a_wildcard_does_not_grant() {
        use Code::{HazardInterpreter, HazardOperand, HazardOption, HazardWord, HazardWrapper};
        for (pattern, command, expected) in [
            ("find /x *", "find /x -exec a", HazardWord),
            ("find /x *", "find /x -name -exec", HazardWord),
            ("sort *", "sort -uo/x y", HazardOption),
            ("sort *", "sort --outp=/x y", HazardOption),
            ("ss -tulpn*", "ss -tulpnK", HazardOption),
            ("systemctl status *", "systemctl status -- -H", HazardOption),
            (
                "sudo systemctl restart *",
                "sudo systemctl restart --host=x a",
                HazardOption,
            ),
            ("ip addr*", "ip addr a 1.2.3.4/8", HazardWord),
            ("docker r*", "docker run x", HazardWord),
            ("docker r* x", "docker run x", HazardWord),
            ("curl *", "curl http://x", HazardWord),
            ("hostname*", "hostname evil", HazardOperand),
            (
                "sudo crontab -l -u *",
                "sudo crontab -l -u x /tmp/y",
                HazardOperand,
            ),
            ("crontab *", "crontab -", HazardOperand),
            ("date*", "date 0101000020", HazardOperand),
            ("date*", "date -u -- 0101000020", HazardOperand),
            ("date*", "date -du 0101000020", HazardOperand),
            (
                "openssl s_client -connect *",
                "openssl s_client -connect x --engine y",
                HazardOption,
            ),
            (
                "openssl s_client -connect *",
                "openssl s_client -connect x -keylogfile=y",
                HazardOption,
            ),
            (
                "kubectl get *",
                "kubectl get pods -As http://x",
                HazardOption,
            ),
            (
                "kubectl version*",
                "kubectl version --client-k=x",
                HazardOption,
            ),
            ("btrfs *", "btrfs sub del /x", HazardWord),
            (
                "nft list *",
                "nft list 'ruleset; flush ruleset'",
                HazardWord,
            ),
            ("virsh list*", "virsh 'list;destroy x'", HazardWord),
            ("du *", "du --exclude-f=x", HazardOption),
            ("sysctl net.*", "sysctl net.a=1", HazardWord),
            ("tar tf *", "tar tf evil:x", HazardOperand),
            ("tar tf *", "tar tf a -Mfevil:/b", HazardOperand),
            ("uniq *", "uniq ./a*", HazardOperand),
            ("python3*", "python3", HazardInterpreter),
            ("python3 /opt/x/*", "python3 /opt/x/y", HazardInterpreter),
            ("* --version", "perl5.36 --version", HazardInterpreter),
            ("sudo *", "sudo ls", HazardWrapper),
            ("sudo -u postgres *", "sudo -u postgres rm", HazardWrapper),
            (
                "sudo --user postgres *",
                "sudo --user postgres rm",
                HazardWrapper,
            ),
            ("timeout 5 *", "timeout 5 rm", HazardWrapper),
            ("env A=b *", "env A=b rm", HazardWrapper),
            ("sudo -i timeout 5 *", "sudo -i timeout 5 rm", HazardWrapper),
            (
                "sudo -H --login bash x *",
                "sudo -H --login bash x y",
                HazardInterpreter,
            ),
            (
                "sudo timeout -k 1 5 *",
                "sudo timeout -k 1 5 rm",
                HazardWrapper,
            ),
            ("su x -c *", "su x -c id", HazardWrapper),
            (
                "sudo -u postgres psql *",
                "sudo -u postgres psql -l",
                HazardInterpreter,
            ),
            ("ssh db1 uptime*", "ssh db1 uptime", HazardWrapper),
            ("command *", "command -v ls", HazardWrapper),
            ("command -v *", "command -v -p ls", HazardWrapper),
            ("busybox find /x *", "busybox find /x -delete", HazardWord),
            ("ethtool *", "ethtool --change eth0 speed 10", HazardOption),
            ("grep * /x", "grep -drecurse /x", HazardOption),
            ("rsync -a *", "rsync -a --delete-after x y", HazardOption),
            ("git *", "git branch x", HazardOperand),
            ("git branch *", "git branch -D x", HazardOption),
            ("git *", "git -C /x remote add y z", HazardWord),
            ("git *", "git merge-index sh -a", HazardWord),
            ("zfs *", "zfs snapshot x@y", HazardWord),
            ("dmsetup ls *", "dmsetup ls --exec id", HazardOption),
            ("unzip -l *", "unzip -l --l x.zip", HazardOption),
            ("xz -l *", "xz -l -d x.xz", HazardOption),
            ("nm *", "nm --plugin /x.so y", HazardOption),
            ("jq *", "jq -n env", HazardWord),
            ("ps *", "ps auxe", HazardWord),
            ("aws *", "aws ec2 stop-instances x", HazardWord),
            (
                "aws ec2 describe-instances *",
                "aws ec2 describe-instances --filters file:///x",
                HazardWord,
            ),
            (
                "smartctl *",
                "smartctl -l scterc,70,70 /dev/sda",
                HazardWord,
            ),
            ("docker compose *", "docker compose down", HazardWord),
            ("openssl *", "openssl base64 -in /x", HazardWord),
            ("ps *", "ps -p 1 eww", HazardWord),
            ("gtar tf *", "gtar tf x -Ix", HazardOption),
            ("gtimeout 5 *", "gtimeout 5 rm", HazardWrapper),
            ("virsh*", "virsh", HazardInterpreter),
            ("virsh *", "virsh -d 0 -q", HazardInterpreter),
            ("chronyc *", "chronyc -h ::1 -n", HazardInterpreter),
            ("parted *", "parted /dev/sda", HazardInterpreter),
            ("parted *", "parted /dev/sda 'mkl gpt'", HazardWord),
            ("fdisk *", "fdisk /dev/sda", HazardInterpreter),
            (
                "k3s kubectl get *",
                "k3s kubectl get --raw=/x",
                HazardOption,
            ),
            (
                "docker exec web find /x *",
                "docker exec web find /x -delete",
                HazardWord,
            ),
            (
                "docker exec -it web sh *",
                "docker exec -it web sh x",
                HazardInterpreter,
            ),
            (
                "kubectl exec -n x web -- sudo *",
                "kubectl exec -n x web -- sudo id",
                HazardWrapper,
            ),
            (
                "ip netns exec x sh *",
                "ip netns exec x sh y",
                HazardInterpreter,
            ),
        ] {
            assert_eq!(
                code(pattern, command),
                Some(expected),
                "{pattern} | {command}"
            );
        }
    }

    #[test]
    fn what_is_spelled_or_harmless_passes() {
        for (pattern, command) in [
            ("find /x * -delete", "find /x a -delete"),
            ("find /x *", "find /x -name '*.log' -printf '%s'"),
            (
                "curl -s http://localhost/*",
                "curl -s http://localhost/health",
            ),
            ("rpm -qi *", "rpm -qi bash"),
            ("command -v *", "command -v docker"),
            ("sudo systemctl restart *", "sudo systemctl restart mysql"),
            ("sudo -n systemctl status *", "sudo -n systemctl status x"),
            ("sudo -u postgres ls *", "sudo -u postgres ls /x"),
            ("sudo -nu node ls *", "sudo -nu node ls /x"),
            ("timeout -k 1 5 df *", "timeout -k 1 5 df /"),
            ("nice -n 10 du *", "nice -n 10 du /"),
            ("sudo crontab -l -u *", "sudo crontab -l -u deploy"),
            ("tar tf *", "tar tf /backup/12:00.tar"),
            ("ip addr*", "ip addr show dev eth0"),
            ("hostname*", "hostname -f"),
            ("nft list *", "nft list table inet 'filter; list ruleset'"),
            ("date*", "date -ud '1 day ago' +%F"),
            ("date*", "date --date yesterday +%F"),
            ("kubectl get *", "kubectl get pods -ojson --output=wide"),
            ("kubectl version*", "kubectl version --client"),
            ("du *", "du -sh --exclude=cache /srv"),
            ("journalctl -u *", "journalctl -u x --cursor=y"),
            ("* --version", "ls --version"),
            ("git *", "git branch -a --contains main"),
            ("git *", "git remote -v"),
            ("git log *", "git log -M --oneline"),
            ("zfs list *", "zfs list -t snapshot"),
            ("ps *", "ps -u postgres -o state"),
            ("ps *", "ps axo user,comm"),
            ("ps *", "ps axo user"),
            ("ps *", "ps --user apache -ef"),
            ("ps *", "ps aux"),
            (
                "aws *",
                "aws cloudwatch get-metric-statistics --start-time 2026-01-01",
            ),
            ("gsort *", "gsort -rn x"),
            ("smartctl *", "smartctl -l scterc /dev/sda"),
            ("ethtool *", "ethtool -S eth0"),
            ("rsync --list-only *", "rsync --list-only -av /srv"),
            ("docker compose *", "docker compose ps"),
            ("openssl *", "openssl x509 -in /x -noout -enddate"),
            ("virsh *", "virsh -q list"),
            ("virsh list*", "virsh list"),
            ("chronyc *", "chronyc -n tracking"),
            ("fdisk -l *", "fdisk -l /dev/sda"),
            ("fdisk *", "fdisk -lu"),
            ("parted *", "parted -s /dev/sda print"),
            ("sfdisk *", "sfdisk --json /dev/sda"),
            ("jq *", "jq .env /srv/import.json"),
            ("unzip -l *", "unzip -l x.zip"),
            ("docker exec web *", "docker exec web ls"),
            ("docker exec mysql ls *", "docker exec mysql ls /x"),
            ("smartctl -l *", "smartctl -l error /dev/sda"),
        ] {
            assert_eq!(code(pattern, command), None, "{pattern} | {command}");
        }
    }
}
