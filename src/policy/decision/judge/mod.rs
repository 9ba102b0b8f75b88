//! The judgement of one text: lexer, then deny list, then rules; the strictest wins.
//!
//! Owns the order of the steps and the sentences of a denial. A refusal of the lexer and
//! a hit of the deny list are absolute; every simple command of the list is decided by
//! itself, and the list gets the strictest of those decisions. Makes the only
//! [`Authorised`] there is. Called through [`crate::policy::Policy`].

pub(crate) mod authorised;
mod detached;
pub(crate) mod file;
mod filled_in;
pub(crate) mod job_text;
mod leash;
pub(crate) mod purpose;
pub(crate) mod sudo;
mod told;

use crate::model::names::CommandHash;
use crate::policy::decision::denial::{Chain, ChainPart, Denial, DenialFault, Trail, quoted};
use crate::policy::decision::does;
use crate::policy::decision::endless;
use crate::policy::decision::judge::authorised::question::NeedsApproval;
use crate::policy::decision::judge::authorised::{Authorised, Form, Judged};
use crate::policy::decision::judge::filled_in::FilledIn;
use crate::policy::decision::judge::leash::Watcher;
use crate::policy::decision::judge::purpose::Start;
use crate::policy::decision::kind::Kind;
use crate::policy::decision::reason::Code;
use crate::policy::decision::remedy;
use crate::policy::decision::subject::{ShellMode, Subject};
use crate::policy::decision::verdict::Verdict;
use crate::policy::deny::hit::Hit;
use crate::policy::identity::PolicyId;
use crate::policy::programs::invocation::Invocation;
use crate::policy::rule::Finding;
use crate::policy::source::{Action, Line};
use crate::policy::syntax::command::{Input, Parsed, Refusal, Simple, Word};
use crate::policy::syntax::{lexer, render, shell_text};
use crate::policy::{Policy, filter};

/// What helps where a rule lets a program read, and not go on for ever.
const FOLLOWS_HINT: &str = "It goes on until it is ended: ask for what there is now (tail -n 50, journalctl -n 50, vmstat 1 5), \
    or ask the operator to allow that (also: [follows] in the rule), then start it with ssh_run_async.";
/// What a person is told of a job that is to be started.
const GOES_ON: &str =
    ", and goes on by itself, without a time limit, until it ends or is cancelled";
/// Longest quotation of what stands at one of several faults.
const FOUND_MAX: usize = 40;

/// Everything a text was found to be, before it becomes a verdict or an explanation.
pub(crate) struct Assessment<'t> {
    pub(crate) parsed: Result<Parsed<'t>, Refusal>,
    /// What the deny list found.
    pub(crate) hit: Option<Hit>,
    /// One for each command, if the text was understood.
    pub(crate) findings: Vec<Finding>,
    /// A deny rule that holds for the text as a whole, though for no command of it.
    pub(crate) denied_whole: Option<Line>,
}

impl Policy {
    /// A text as it is written; then, if it is not allowed so, with what stands behind
    /// `sh -c` in the place of the shell. What denies the one denies the other.
    pub(crate) fn assess<'t>(&self, subject: &Subject<'_>, text: &'t str) -> Assessment<'t> {
        let written = self.assess_parsed(subject, text, lexer::parse(text, self.options));
        let looks_deeper = match &written.parsed {
            Err(_) => false,
            Ok(parsed) => parsed
                .commands
                .iter()
                .map(|command| &command.words)
                .any(|words| {
                    shell_text::is_shell_text(words) || shell_text::behind_wrapper(words).is_some()
                }),
        };
        if !looks_deeper || written.is_denied_by_name() {
            return written;
        }
        let deeper = lexer::parse_through_shells(text, self.options);
        let deeper = self.assess_parsed(subject, text, deeper);
        // A rule that lets the shell through, spelled or trusted, takes nothing from a deny.
        match written.is_let_through() && !deeper.is_denied_by_name() {
            true => written,
            false => deeper,
        }
    }

    fn assess_parsed<'t>(
        &self,
        subject: &Subject<'_>,
        text: &'t str,
        parsed: Result<Parsed<'t>, Refusal>,
    ) -> Assessment<'t> {
        let deny = self.limits.deny_list(subject.alias.as_str(), subject.tags);
        let mut assessment = Assessment {
            hit: None,
            findings: Vec::new(),
            denied_whole: None,
            parsed,
        };
        match &assessment.parsed {
            Err(_) => assessment.hit = deny.in_text(text),
            Ok(parsed) => {
                // Each command is read by its description once, for all that ask of it.
                let filled = FilledIn::of(&parsed.commands);
                let filled = filled.as_ref();
                let commands = filled.map_or(&parsed.commands, |filled| &filled.commands);
                let invocations = Invocation::of_each(commands);
                assessment.hit = deny.find(text, commands, &invocations);
                let each = commands.iter().zip(&invocations);
                let decide = |(command, invocation)| {
                    let found = self.decide(subject, command, invocation);
                    self.decide_input(subject, commands, (command, invocation), found)
                };
                assessment.findings = each.map(decide).collect();
                if let Some(filled) = filled {
                    assessment.hit = assessment.hit.map(|hit| filled.place(hit));
                    let findings = std::mem::take(&mut assessment.findings);
                    assessment.findings = filled.strictest(findings, &invocations);
                }
                filters_need_a_rule_before_them(&parsed.commands, &mut assessment.findings);
                assessment.denied_whole = self.rules.denies_text(subject, text);
            }
        }
        assessment
    }

    /// What the rules say of one command, and of the files that it is fed.
    fn decide(
        &self,
        subject: &Subject<'_>,
        command: &Simple<'_>,
        invocation: &Invocation<'_>,
    ) -> Finding {
        let found = self.rules.decide(subject, command, invocation);
        let mut strictest = found;
        for file in command.read_by_redirect() {
            // Whoever may print it may read it.
            let reading = Simple {
                words: vec![Word::made("cat"), file.clone()],
                directory: command.directory.clone(),
                ..Simple::default()
            };
            let invocation = Invocation::of(&reading.words);
            let read = self.rules.decide(&subject.fed(None), &reading, &invocation);
            strictest = strictest.or_stricter(Finding {
                hazard: None,
                ..read
            });
        }
        strictest
    }

    pub(crate) fn verdict(&self, subject: &Subject<'_>, text: &str) -> Verdict {
        let assessment = self.assess(subject, text);
        let hash = CommandHash::of(text);
        match assessment.denial(hash) {
            Some(denial) if self.only_stdin_is_denied(subject, text) => {
                Verdict::Deny(denial.for_what_it_reads())
            }
            Some(mut denial) => {
                self.remedy(subject, text, &assessment, &mut denial);
                Verdict::Deny(denial)
            }
            None => assessment.permit(self.id, subject, hash, None),
        }
    }

    /// The same without a search for another spelling.
    pub(crate) fn judged(&self, subject: &Subject<'_>, text: &str) -> Verdict {
        let assessment = self.assess(subject, text);
        let hash = CommandHash::of(text);
        match assessment.denial(hash) {
            Some(denial) => Verdict::Deny(denial),
            None => assessment.permit(self.id, subject, hash, None),
        }
    }

    /// Whether the same would not be denied if it were given nothing to read.
    fn only_stdin_is_denied(&self, subject: &Subject<'_>, text: &str) -> bool {
        subject.stdin.is_some() && {
            let without = self.assess(&subject.fed(None), text);
            without.denial(CommandHash::of(text)).is_none()
        }
    }

    /// Whether the rules deny no command of it but such as this holds for.
    fn denies_only(
        assessment: &Assessment<'_>,
        mut holds: impl FnMut(&Simple<'_>) -> bool,
    ) -> bool {
        let Ok(parsed) = &assessment.parsed else {
            return false;
        };
        let each = parsed.commands.iter().zip(&assessment.findings);
        let mut denied = each.filter(|(_, finding)| finding.code == Code::DenyRule);
        assessment.denied_whole.is_none() && denied.all(|(command, _)| holds(command))
    }

    /// What helps: all faults, another spelling, whether the program is known at all.
    fn remedy(
        &self,
        subject: &Subject<'_>,
        text: &str,
        assessment: &Assessment<'_>,
        denial: &mut Denial,
    ) {
        if denial.code == Code::DenyRule {
            let wildcards = |command: &Simple<'_>| self.denies_wildcards_of(subject, command);
            let below = |command: &Simple<'_>| self.rules.denies_only_below(subject, command);
            let helps = if Self::denies_only(assessment, wildcards) {
                Some((Kind::Rewrite, remedy::NAME_THE_FILES))
            } else if Self::denies_only(assessment, below) {
                Some((Kind::Narrow, remedy::GO_FURTHER_DOWN))
            } else {
                None
            };
            if let Some((kind, hint)) = helps {
                denial.details.kind = Some(kind);
                denial.hint = [hint, ". ", kind.advice(), "."].concat().into();
            }
        }
        if denial.kind() == Kind::Stop || assessment.hit.is_some() {
            return;
        }
        match &assessment.parsed {
            Err(refusal) => {
                let attempts = remedy::text::of_faults(text, &refusal.faults);
                denial.details.rewrite = self.rewrite(subject, attempts);
                if refusal.faults.len() > 1 {
                    let found = refusal.faults.iter().map(|fault| DenialFault {
                        code: fault.code,
                        position: fault.position,
                        found: shortened(text.get(fault.position..).unwrap_or_default()),
                    });
                    denial.details.faults = found.collect();
                }
            }
            Ok(parsed) => {
                let denied = parsed.commands.iter().zip(&assessment.findings);
                let denied = denied.filter(|(_, finding)| finding.action == Action::Deny);
                let denied: Vec<_> = denied.collect();
                if let [(command, finding)] = denied.as_slice() {
                    let attempts = remedy::command::of_command(text, parsed, command);
                    denial.details.rewrite = self.rewrite(subject, attempts);
                    if matches!(finding.code, Code::HazardOption | Code::HazardWord)
                        && endless::follows(command)
                    {
                        denial.hint = FOLLOWS_HINT.into();
                    }
                    if finding.code == Code::NoRule {
                        denial.program_known = Some(self.rules.names(subject, &command.words));
                    }
                } else {
                    let faults = denied.iter().map(|(command, finding)| DenialFault {
                        code: finding.code,
                        position: command.start,
                        found: shortened(&command.text),
                    });
                    denial.details.faults = faults.collect();
                    let attempts = remedy::command::behind_cd(text, parsed)
                        .into_iter()
                        .collect();
                    denial.details.rewrite = self.rewrite(subject, attempts);
                }
            }
        }
        if denial.details.faults.len() > 1 {
            let more = denial.details.faults.len() - 1;
            let more = match more {
                1 => "One more thing stands in the way".to_owned(),
                more => format!("{more} more things stand in the way"),
            };
            denial.why = format!("{} {more}: faults lists all.", denial.why).into();
        }
    }
}

/// A filter needs no rule behind a command that has one, and behind another filter of such
/// a command. Behind `echo` alone it would be a program that nobody allowed.
fn filters_need_a_rule_before_them(commands: &[Simple<'_>], findings: &mut [Finding]) {
    for index in 0..findings.len() {
        let fed_by_rule = match commands.get(index).map(|command| &command.input) {
            Some(Input::Pipe(from)) => findings
                .get(from.clone())
                .unwrap_or_default()
                .iter()
                .any(|finding| matches!(finding.code, Code::Rule | Code::Filter)),
            // What a redirection reads was allowed by a rule.
            _ => true,
        };
        if let Some(finding) = findings.get_mut(index)
            && finding.code == Code::Filter
            && !fed_by_rule
        {
            finding.action = Action::Deny;
            finding.code = Code::NoRule;
        }
    }
}

impl Assessment<'_> {
    /// Whether a deny rule or the deny list holds for it.
    fn is_denied_by_name(&self) -> bool {
        let mut findings = self.findings.iter();
        self.hit.is_some()
            || self.denied_whole.is_some()
            || findings.any(|finding| finding.code == Code::DenyRule)
    }

    fn is_let_through(&self) -> bool {
        self.strictest(Action::Deny).is_none() && !self.is_denied_by_name()
    }

    /// The denial, if there is a reason for one.
    pub(crate) fn denial(&self, hash: CommandHash) -> Option<Denial> {
        let parsed = match &self.parsed {
            Ok(parsed) => parsed,
            Err(refusal) => {
                let mut denial = Denial::new(refusal.code, hash, Some(refusal.position));
                denial.trail.bypass = self.hit.as_ref().and_then(|hit| hit.bypass.clone());
                return Some(denial);
            }
        };
        let (mut denial, part) = if let Some(hit) = &self.hit {
            let mut denial = Denial::new(Code::DenySubstring, hash, None);
            denial.entry = Some(hit.entry.as_str().into());
            if hit.built_in {
                let entry = hit.entry.trim();
                denial.why = format!(
                    "The built-in deny list has {entry:?}, and this command is or runs it."
                )
                .into();
            }
            // Found across an operator, it is still good to name a part that no rule allows.
            let named = hit
                .command
                .or_else(|| Some(self.strictest(Action::Deny)?.0));
            (denial, named)
        } else if let Some((index, finding)) = self.strictest(Action::Deny) {
            let mut denial = Denial::new(finding.code, hash, None);
            denial.rule = finding.line;
            if finding.overdone_filter {
                denial.hint = filter::HINT.into();
            }
            (denial, Some(index))
        } else {
            let mut denial = Denial::new(Code::DenyRule, hash, None);
            denial.rule = Some(self.denied_whole?);
            (denial, None)
        };
        *denial.trail = self.trail(part);
        let Some(index) = part else {
            return Some(denial);
        };
        let command = parsed.commands.get(index)?;
        denial.position = Some(command.start);
        if let Some(hazard) = self.findings.get(index).and_then(|found| found.hazard)
            && denial.code == hazard.code
        {
            denial.because_of(&command.words, hazard);
        }
        if parsed.commands.len() > 1 {
            let part = quoted(&command.text);
            denial.why = format!("Policy blocked command in chain: {part}. {}", denial.why).into();
            denial.denied_command = Some((*command.text).into());
        }
        Some(denial)
    }

    /// The permit or the question, if nothing denies.
    fn permit(
        &self,
        policy: PolicyId,
        subject: &Subject<'_>,
        hash: CommandHash,
        start: Option<Start>,
    ) -> Verdict {
        let Ok(parsed) = &self.parsed else {
            return Verdict::Deny(Denial::new(Code::Empty, hash, None));
        };
        let asks = self.strictest(Action::Ask);
        let Some((_, decisive)) = asks.or_else(|| self.strictest(Action::Allow)) else {
            return Verdict::Deny(Denial::new(Code::NoRule, hash, None));
        };
        let canonical = match subject.shell {
            ShellMode::Sh => Ok(render::canonical(parsed)),
            ShellMode::Login => render::plain(parsed).ok_or(Code::PlainLists),
            ShellMode::Direct(quotes) => render::direct(parsed, quotes).ok_or(Code::BareWords),
        };
        let canonical = match canonical {
            Ok(canonical) => canonical,
            Err(code) => return Verdict::Deny(Denial::new(code, hash, None)),
        };
        let goes_on = start.is_some();
        let judged = Judged {
            policy,
            alias: subject.alias.clone(),
            hash,
            canonical,
            stdin: subject.stdin.cloned(),
            file: None,
            sudo: sudo::is_allowed(&parsed.commands, &self.findings),
            shell: subject.shell,
            form: match start {
                Some(start) => Form::Job(start),
                None => match render::alone(parsed) {
                    Some(program) => Form::Alone(Watcher::beside(program)),
                    None => {
                        let names = parsed.commands.iter();
                        let names = names.filter_map(|each| each.words.first());
                        Form::List(Watcher::beside_list(names.map(|name| &*name.text)))
                    }
                },
            },
            code: decisive.code,
            rules: self.findings.iter().filter_map(|each| each.line).collect(),
            trail: self.trail(None),
        };
        match asks {
            Some(_) => {
                let mut does = does::of(&parsed.commands);
                if goes_on {
                    does.push_str(GOES_ON);
                }
                let asking = self.findings.iter();
                let asking = asking.filter(|each| each.action == Action::Ask);
                let asking = asking.flat_map(|each| each.asking.iter().copied());
                // No yes counts on for other bytes to read.
                let stands = subject.stdin.is_none();
                Verdict::Ask(NeedsApproval::new(judged, does, asking.collect(), stands))
            }
            None => Verdict::Allow(Authorised::new(judged)),
        }
    }

    /// The first command with this action.
    fn strictest(&self, action: Action) -> Option<(usize, &Finding)> {
        let mut findings = self.findings.iter().enumerate();
        findings.find(|(_, finding)| finding.action == action)
    }

    fn trail(&self, denied: Option<usize>) -> Trail {
        let parts = match &self.parsed {
            Ok(parsed) if parsed.commands.len() > 1 => parsed.commands.iter().zip(&self.findings),
            _ => [].iter().zip(&[]),
        };
        let parts: Vec<ChainPart> = parts
            .enumerate()
            .map(|(index, (command, finding))| ChainPart {
                hash: CommandHash::of(&command.text),
                position: command.start,
                code: match (&self.hit, denied) {
                    (Some(_), Some(part)) if part == index => Code::DenySubstring,
                    _ => finding.code,
                },
            })
            .collect();
        Trail {
            bypass: self.hit.as_ref().and_then(|hit| hit.bypass.clone()),
            chain: (!parts.is_empty()).then_some(Chain { parts, denied }),
        }
    }
}

/// The beginning of what stands at a fault, up to a blank that is far enough.
fn shortened(text: &str) -> Box<str> {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(FOUND_MAX) {
        None => line.into(),
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()).into(),
    }
}
