//! `policy.yml` → the plain data that the policy compiler takes, and the settings of the
//! server that stand beside it.
//!
//! Owns types, ranges and addresses; the rules are read by `rules`. Called by `load`.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};

use crate::config::files::directories::{Dirs, KnownHostsPath};
use crate::config::read::rule;
use crate::config::schema::findings::Findings;
use crate::config::schema::keys::POLICY;
use crate::config::schema::policy_keys::APPROVAL_URL;
use crate::config::schema::problem::{Fault, Mark, WarningKind, quote};
use crate::config::schema::section::Section;
use crate::config::yaml::tree::Node;
use crate::model::approval_url::ApprovalUrl;
use crate::model::names::{ApprovalWay, OnAuditFailure, OnRevoke, RecordCommands};
use crate::model::room::AuditSpace;
use crate::model::security_event::SecurityEvent;
use crate::policy::source::{LimitsSource, NetworkSource, OutputCap, PolicySource, ShellSource};

/// Longest entry of `deny_substrings`, in characters.
const DENY_SUBSTRING_MAX: usize = 1_000;

/// How much may go on at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Concurrency {
    /// Tasks that run at once, 1 to 4,096.
    pub max_tasks: u32,
    /// Of those, on one host, 1 to 256.
    pub max_per_host: u32,
    /// Of those, of one run on a tag, 1 to 1,024.
    pub fan_out: u32,
}

impl Default for Concurrency {
    fn default() -> Self {
        Self {
            max_tasks: 512,
            max_per_host: 8,
            fan_out: 64,
        }
    }
}

/// How long a person has to approve a command where the file does not say.
pub const APPROVAL_WAIT: Duration = Duration::from_secs(300);

/// What the file says.
pub(crate) struct PolicyFile {
    pub(crate) source: PolicySource,
    pub(crate) known_hosts: Option<KnownHostsPath>,
    pub(crate) concurrency: Concurrency,
    pub(crate) approval_wait: Duration,
    pub(crate) approval_reuse: Duration,
    pub(crate) on_audit_failure: OnAuditFailure,
    pub(crate) audit_space: AuditSpace,
    pub(crate) on_revoke: OnRevoke,
    pub(crate) record_commands: RecordCommands,
    pub(crate) approval: ApprovalWay,
    pub(crate) approval_url: Option<ApprovalUrl>,
    /// What each rule says of approvals itself, in the order of `rules:`.
    pub(crate) ways: Vec<Option<ApprovalWay>>,
    /// Where each rule begins, also one that could not be read.
    pub(crate) rule_lines: Vec<usize>,
    /// Where each override stands, for warnings about names that nothing has.
    pub(crate) override_places: Vec<(OverrideOf, String, Mark)>,
}

/// Whose limits an override changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OverrideOf {
    Alias,
    Tag,
}

pub(crate) fn read(
    root: &Node<'_>,
    findings: &mut Findings,
    dirs: &Dirs,
    events: &mut Vec<SecurityEvent>,
) -> Option<PolicyFile> {
    let file = findings.document_section(root, &POLICY)?;
    let known_hosts = known_hosts(&file, findings, dirs, events);
    let mut source = PolicySource::default();
    if let Some(section) = findings.subsection(&file, "limits") {
        source.limits = limits(&section, findings, None);
    }
    if let Some(section) = findings.subsection(&file, "network") {
        source.network = network(&section, findings);
        host_key_policy(&section, findings, None);
    }
    if let Some(section) = findings.subsection(&file, "shell") {
        let default = ShellSource::default();
        let mut get = |name, default| {
            findings
                .boolean(&section, name)
                .map_or(default, |(value, _)| value)
        };
        source.shell = ShellSource {
            globs: get("globs", default.globs),
            filters: get("filters", default.filters),
        };
    }
    let mut rule_lines = Vec::new();
    let mut ways = Vec::new();
    for section in findings.subsections(&file, "rules").unwrap_or_default() {
        let way = approval(&section, findings);
        rule_lines.push(section.at.line);
        if way.is_some()
            && findings
                .one_of(&section, "action")
                .is_some_and(|it| it != "ask")
        {
            findings.problem(
                section.at,
                section.key("approval"),
                Fault::BadValue,
                "found approval in a rule that asks nobody".to_owned(),
                "approval beside action: ask".to_owned(),
            );
        }
        let rule = rule::rule(&section, findings);
        // One for each rule of the policy, so that its place leads to it.
        ways.extend(rule.as_ref().map(|_| way));
        source.rules.extend(rule);
    }
    for section in findings.subsections(&file, "files").unwrap_or_default() {
        source.files.extend(rule::file_rule(&section, findings));
    }
    let mut override_places = Vec::new();
    if let Some(section) = findings.subsection(&file, "overrides") {
        source.alias_overrides =
            overrides(&section, findings, OverrideOf::Alias, &mut override_places);
        source.tag_overrides = overrides(&section, findings, OverrideOf::Tag, &mut override_places);
    }
    let concurrency = concurrency(&file, findings);
    let approval_wait = findings.number(&file, "approval_seconds");
    let approval_wait = approval_wait.map_or(APPROVAL_WAIT, Duration::from_secs);
    let approval_reuse = findings.number(&file, "approval_reuse_seconds");
    let approval_reuse = approval_reuse.map_or(Duration::ZERO, Duration::from_secs);
    let on_audit_failure = match findings.one_of(&file, "on_audit_failure") {
        Some("warn") => OnAuditFailure::Warn,
        _ => OnAuditFailure::Refuse,
    };
    let audit_space = audit_space(&file, findings);
    let on_revoke = match findings.one_of(&file, "on_revoke") {
        Some("end") => OnRevoke::End,
        _ => OnRevoke::Keep,
    };
    let record_commands = match findings.one_of(&file, "record_commands") {
        Some("denied") => RecordCommands::Denied,
        Some("all") => RecordCommands::All,
        _ => RecordCommands::Off,
    };
    let approval = approval(&file, findings).unwrap_or_default();
    let approval_url = approval_url(&file, findings);
    Some(PolicyFile {
        source,
        known_hosts,
        concurrency,
        approval_wait,
        approval_reuse,
        on_audit_failure,
        audit_space,
        on_revoke,
        record_commands,
        approval,
        approval_url,
        ways,
        rule_lines,
        override_places,
    })
}

fn approval(section: &Section<'_>, findings: &mut Findings) -> Option<ApprovalWay> {
    Some(match findings.one_of(section, "approval")? {
        "operator" => ApprovalWay::Operator,
        "either" => ApprovalWay::Either,
        _ => ApprovalWay::Elicitation,
    })
}

fn approval_url(file: &Section<'_>, findings: &mut Findings) -> Option<ApprovalUrl> {
    let text = findings.text(file, "approval_url")?;
    ApprovalUrl::parse(text.value)
        .map_err(|wrong| {
            findings.problem(
                text.at,
                "approval_url",
                Fault::BadValue,
                format!("found {wrong}: {}", quote(text.value)),
                APPROVAL_URL,
            );
        })
        .ok()
}

fn known_hosts(
    file: &Section<'_>,
    findings: &mut Findings,
    dirs: &Dirs,
    events: &mut Vec<SecurityEvent>,
) -> Option<KnownHostsPath> {
    let Some(text) = findings.text(file, "known_hosts_path") else {
        return KnownHostsPath::parse("known_hosts", dirs).ok();
    };
    KnownHostsPath::parse(text.value, dirs)
        .map_err(|refusal| {
            events.push(refusal.event(text.value, dirs.keys()));
            findings.problem(
                text.at,
                "known_hosts_path",
                Fault::Refused,
                refusal.to_string(),
                "a path within the keys directory or the config directory, without '..'",
            );
        })
        .ok()
}

fn limits(section: &Section<'_>, findings: &mut Findings, alias: Option<&str>) -> LimitsSource {
    host_key_policy(section, findings, alias);
    let mut small = |name| {
        findings
            .number(section, name)
            .and_then(|number| u32::try_from(number).ok())
    };
    LimitsSource {
        max_seconds: small("max_seconds"),
        max_async_seconds: small("max_async_seconds"),
        answer_chars: small("answer_chars"),
        task_result_ttl: small("task_result_ttl"),
        task_progress_interval: small("task_progress_interval"),
        session_idle_seconds: small("session_idle_seconds"),
        max_output_bytes: findings.number(section, "max_output_bytes"),
        max_transfer_bytes: findings.number(section, "max_transfer_bytes"),
        on_output_cap: match findings.one_of(section, "on_output_cap") {
            Some("stop") => Some(OutputCap::Stop),
            Some(_) => Some(OutputCap::Discard),
            None => None,
        },
        redact: redact(section, findings),
        deny_substrings: deny_substrings(section, findings),
    }
}

/// Whether what looks like a credential is taken out of outputs.
fn redact(section: &Section<'_>, findings: &mut Findings) -> Option<bool> {
    let texts = findings.texts(section, "redact")?;
    for text in texts.iter().filter(|text| text.value != "builtin") {
        findings.problem(
            text.at,
            section.key("redact"),
            Fault::BadValue,
            format!("found the text '{}'", text.value),
            "builtin, or an empty list for none",
        );
    }
    Some(!texts.is_empty())
}

fn deny_substrings(section: &Section<'_>, findings: &mut Findings) -> Option<Arc<[String]>> {
    let texts = findings.texts(section, "deny_substrings")?;
    for text in &texts {
        if text.value.chars().count() > DENY_SUBSTRING_MAX {
            findings.problem(
                text.at,
                section.key("deny_substrings"),
                Fault::BadValue,
                format!("found {} characters", text.value.chars().count()),
                format!("texts of at most {DENY_SUBSTRING_MAX} characters"),
            );
        }
    }
    Some(texts.iter().map(|text| text.value.to_owned()).collect())
}

/// Host keys are verified whatever these keys say; saying otherwise is told.
fn host_key_policy(section: &Section<'_>, findings: &mut Findings, alias: Option<&str>) {
    let whose = alias.map_or_else(String::new, |alias| format!(" for {alias}"));
    for (name, ignored) in [("host_key_auto_add", true), ("require_known_host", false)] {
        if let Some((value, at)) = findings.boolean_if_known(section, name)
            && value == ignored
        {
            findings.warning(
                at,
                section.key(name),
                WarningKind::HostKeyPolicy,
                format!(
                    "{name}: {value} is ignored{whose}: host keys are always verified, before \
                     anything is sent; add unknown ones to known_hosts (see `trust`)"
                ),
            );
        }
    }
}

fn network(section: &Section<'_>, findings: &mut Findings) -> NetworkSource {
    let mut allow = nets(section, findings, "allow_ips", Form::Address);
    allow.extend(nets(section, findings, "allow_cidrs", Form::Network));
    let mut block = nets(section, findings, "block_ips", Form::Network);
    block.extend(nets(section, findings, "block_cidrs", Form::Network));
    NetworkSource { allow, block }
}

#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// Addresses alone.
    Address,
    /// Networks, or addresses.
    Network,
}

fn nets(section: &Section<'_>, findings: &mut Findings, name: &str, form: Form) -> Vec<IpNet> {
    let mut nets = Vec::new();
    let texts = findings.texts(section, name).unwrap_or_default();
    for (index, text) in texts.into_iter().enumerate() {
        let key = section.key(&format!("{name}[{index}]"));
        match net(text.value) {
            Some(net) if form == Form::Address && text.value.contains('/') => findings.problem(
                text.at,
                key,
                Fault::BadValue,
                format!("found the network {net} in a list of addresses"),
                "an address here, a network in allow_cidrs",
            ),
            Some(net) => {
                if net.trunc() != net {
                    let taken = net.trunc();
                    findings.warning(
                        text.at,
                        key,
                        WarningKind::NoEffect,
                        format!(
                            "{net} is taken as {taken}: the last bits of the address don't count"
                        ),
                    );
                }
                nets.push(net.trunc());
            }
            None => findings.problem(
                text.at,
                key,
                Fault::BadValue,
                format!("found {}", quote(text.value)),
                match form {
                    Form::Address => "an IPv4 or IPv6 address",
                    Form::Network => "an IPv4 or IPv6 network such as 10.0.0.0/8, or an address",
                },
            ),
        }
    }
    nets
}

/// A network or an address. Those of IPv4 written as IPv6 (`::ffff:10.0.0.0/104`) become
/// what they mean, since addresses are compared in that form.
fn net(text: &str) -> Option<IpNet> {
    let net = text
        .parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .ok()?;
    if let IpNet::V6(v6) = net
        && let Some(mapped) = v6.addr().to_ipv4_mapped()
        && let Some(prefix) = v6.prefix_len().checked_sub(96)
    {
        return Ipv4Net::new(mapped, prefix).ok().map(IpNet::V4);
    }
    Some(net)
}

fn overrides(
    section: &Section<'_>,
    findings: &mut Findings,
    of: OverrideOf,
    places: &mut Vec<(OverrideOf, String, Mark)>,
) -> Vec<(String, LimitsSource)> {
    let name = match of {
        OverrideOf::Alias => "aliases",
        OverrideOf::Tag => "tags",
    };
    let mut limits_of = Vec::new();
    for (text, section) in findings.named(section, name).unwrap_or_default() {
        places.push((of, text.value.to_owned(), text.at));
        let alias = (of == OverrideOf::Alias).then_some(text.value);
        limits_of.push((text.value.to_owned(), limits(&section, findings, alias)));
    }
    limits_of
}

fn audit_space(file: &Section<'_>, findings: &mut Findings) -> AuditSpace {
    let default = AuditSpace::default();
    let Some(section) = findings.subsection(file, "audit_space") else {
        return default;
    };
    let mut get = |name, default| findings.room(&section, name).unwrap_or(default);
    AuditSpace {
        warn_below: get("warn_below", default.warn_below),
        refuse_below: get("refuse_below", default.refuse_below),
    }
}

fn concurrency(file: &Section<'_>, findings: &mut Findings) -> Concurrency {
    let default = Concurrency::default();
    let Some(section) = findings.subsection(file, "concurrency") else {
        return default;
    };
    let mut get = |name, default| {
        findings
            .number(&section, name)
            .and_then(|number| u32::try_from(number).ok())
            .unwrap_or(default)
    };
    Concurrency {
        max_tasks: get("max_tasks", default.max_tasks),
        max_per_host: get("max_per_host", default.max_per_host),
        fan_out: get("fan_out", default.fan_out),
    }
}
