//! What a policy file says, as plain data: shape checked, meaning not yet.
//!
//! The loader in `config` makes these from `policy.yml` (types, ranges and unknown keys
//! are its business); [`crate::policy::Policy::compile`] turns them into something that judges.
//! Every part keeps its line, so that a problem found at compile time can be cited.

use std::sync::Arc;

use ipnet::IpNet;

/// A line of `policy.yml`, counted from 1.
pub(crate) type Line = usize;

/// The whole of `policy.yml` as far as it decides anything.
#[derive(Debug, Clone, Default)]
pub struct PolicySource {
    pub limits: LimitsSource,
    pub network: NetworkSource,
    pub rules: Vec<RuleSource>,
    pub files: Vec<FileRuleSource>,
    pub alias_overrides: Vec<(String, LimitsSource)>,
    pub tag_overrides: Vec<(String, LimitsSource)>,
    pub shell: ShellSource,
}

/// `limits:` or one entry of `overrides:`. `None` means 'not said here'.
#[derive(Debug, Clone, Default)]
pub struct LimitsSource {
    /// Seconds a command may take, 1 to 86,400.
    pub max_seconds: Option<u32>,
    /// Seconds a command may take that is not waited for, 1 to 86,400.
    pub max_async_seconds: Option<u32>,
    /// Characters of one answer, 1,000 to 100,000.
    pub answer_chars: Option<u32>,
    /// Bytes kept of stdout and stderr together, 1 to 64 MiB.
    pub max_output_bytes: Option<u64>,
    /// What happens at that many bytes.
    pub on_output_cap: Option<OutputCap>,
    /// Bytes of a file that is transferred, 1 to 1 TiB.
    pub max_transfer_bytes: Option<u64>,
    /// Seconds a finished result is kept, 1 to 86,400.
    pub task_result_ttl: Option<u32>,
    /// Seconds between progress notifications, 1 to 3,600.
    pub task_progress_interval: Option<u32>,
    /// Seconds an idle session is kept, 0 (off) to 3,600.
    pub session_idle_seconds: Option<u32>,
    /// Whether what looks like a credential is taken out of outputs.
    pub redact: Option<bool>,
    /// Replaces the built-in list, as a whole.
    pub deny_substrings: Option<Arc<[String]>>,
}

/// `on_output_cap:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputCap {
    /// End the command.
    Stop,
    /// Let it run on and throw the rest of its output away.
    Discard,
}

/// `network:`. An empty pair of allow lists means 'any address that is not blocked'.
#[derive(Debug, Clone, Default)]
pub struct NetworkSource {
    pub allow: Vec<IpNet>,
    pub block: Vec<IpNet>,
}

/// `shell:`.
#[derive(Debug, Clone, Copy)]
pub struct ShellSource {
    /// Accept unquoted `*` and `?` in absolute or `./` operands.
    pub globs: bool,
    /// Let the read-only filters follow a pipe without a rule.
    pub filters: bool,
}

impl Default for ShellSource {
    fn default() -> Self {
        Self {
            globs: false,
            filters: true,
        }
    }
}

/// What a rule does when it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Allow,
    Ask,
    Deny,
}

/// One entry of `files:`.
#[derive(Debug, Clone)]
pub struct FileRuleSource {
    pub line: Line,
    pub action: Action,
    /// Globs on the alias; empty means any.
    pub aliases: Vec<String>,
    /// Tags of which the host must have one (globs too); empty means any.
    pub tags: Vec<String>,
    /// Globs on the files that may be read.
    pub read: Vec<(Line, String)>,
    /// Globs on the files that may be written.
    pub write: Vec<(Line, String)>,
    /// `sudo: true`: as root too.
    pub sudo: bool,
}

/// One entry of `rules:`.
#[derive(Debug, Clone)]
pub struct RuleSource {
    pub line: Line,
    pub action: Action,
    /// Globs on the alias; empty means any.
    pub aliases: Vec<String>,
    /// Tags of which the host must have one (globs too); empty means any.
    pub tags: Vec<String>,
    pub form: RuleForm,
    /// `sudo: true`: what it allows, it allows behind `sudo` and `sudo -n` too.
    pub sudo: bool,
    /// `stdin: true`: what it allows may be given something to read by the call.
    pub stdin: bool,
    /// `trust_arguments: true`: a wildcard grants every word that no list calls a danger.
    pub trust_arguments: bool,
    /// `detach: true`: what it allows may be started as a job that outlives the client.
    pub detach: bool,
    pub examples_allow: Vec<(Line, String)>,
    pub examples_deny: Vec<(Line, String)>,
}

/// The two forms of a rule, and the escape hatch of the first.
#[derive(Debug, Clone)]
pub enum RuleForm {
    /// `commands:`; with `legacy_glob: true`, fnmatch on the joined words.
    Commands {
        patterns: Vec<(Line, String)>,
        legacy_glob: bool,
    },
    /// `reads:` with `paths:`, `also:` and `hosts:`.
    Reads(ReadsSource),
    /// A deny rule with `paths:` and no program: the files that nothing may touch.
    Paths(Vec<(Line, String)>),
    /// `simple_binaries:` and `simple_max_args:`.
    Simple {
        binaries: Vec<String>,
        max_args: Option<usize>,
    },
    /// `binary:` with its restrictions.
    Structured {
        binary: String,
        arg_prefix: Vec<String>,
        allow_extra_args: bool,
        path_args: Option<PathArgs>,
    },
}

/// What a `reads:` rule says. Every list has its lines.
#[derive(Debug, Clone, Default)]
pub struct ReadsSource {
    /// Names of ready-made sets.
    pub sets: Vec<(Line, String)>,
    /// Globs on the files that may be read; none means no file.
    pub paths: Vec<(Line, String)>,
    /// Effects beside reading.
    pub also: Vec<(Line, String)>,
    /// Globs on the hosts that may be contacted.
    pub hosts: Vec<(Line, String)>,
    /// Users as whom it may be run behind `sudo -u`.
    pub sudo_users: Vec<String>,
}

/// `path_args:`; index 0 is the program.
#[derive(Debug, Clone)]
pub struct PathArgs {
    pub indices: Vec<usize>,
    pub patterns: Vec<String>,
}
