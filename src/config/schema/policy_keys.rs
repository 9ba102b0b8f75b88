//! The keys of `policy.yml`.
//!
//! Owns their types, bounds and defaults; the meaning of a rule is `policy`'s. Part of
//! the one table of keys, see the parent module.

use crate::config::schema::table::{Kind, Need, Table, key};

pub(crate) const APPROVAL_URL: &str =
    "https://HOST/… with {id} where the name of the question goes; http for this machine alone";

pub const POLICY: Table = Table {
    name: "policy.yml",
    extra: true,
    keys: &[
        key(
            "known_hosts_path",
            Kind::Guarded,
            Need::Default("known_hosts"),
            "a path within the keys directory or the config directory, without '..'",
        ),
        key(
            "limits",
            Kind::Section(&LIMITS),
            Need::Optional,
            "a mapping",
        ),
        key(
            "network",
            Kind::Section(&NETWORK),
            Need::Optional,
            "a mapping",
        ),
        key(
            "rules",
            Kind::Sections(&RULE),
            Need::Default("[]"),
            "a list of rules",
        ),
        key(
            "files",
            Kind::Sections(&FILE_RULE),
            Need::Default("[]"),
            "a list of rules on files",
        ),
        key(
            "overrides",
            Kind::Section(&OVERRIDES),
            Need::Optional,
            "a mapping",
        ),
        key("shell", Kind::Section(&SHELL), Need::Optional, "a mapping"),
        key(
            "concurrency",
            Kind::Section(&CONCURRENCY),
            Need::Optional,
            "a mapping",
        ),
        key(
            "approval_seconds",
            Kind::Number { min: 1, max: 3_600 },
            Need::Default("300"),
            "",
        ),
        key(
            "approval_reuse_seconds",
            Kind::Number { min: 0, max: 3_600 },
            Need::Default("0"),
            "",
        ),
        key(
            "on_audit_failure",
            Kind::OneOf(&["refuse", "warn"]),
            Need::Default("refuse"),
            "",
        ),
        key(
            "audit_space",
            Kind::Section(&AUDIT_SPACE),
            Need::Optional,
            "a mapping",
        ),
        key(
            "on_revoke",
            Kind::OneOf(&["keep", "end"]),
            Need::Default("keep"),
            "",
        ),
        key(
            "approval",
            Kind::OneOf(&["elicitation", "operator", "either"]),
            Need::Default("elicitation"),
            "",
        ),
        key("approval_url", Kind::Text, Need::Optional, APPROVAL_URL),
        key(
            "record_commands",
            Kind::OneOf(&["off", "denied", "all"]),
            Need::Default("off"),
            "",
        ),
    ],
};

pub const LIMITS: Table = Table {
    name: "policy.yml: limits",
    extra: false,
    keys: &[
        key(
            "max_seconds",
            Kind::Number {
                min: 1,
                max: 86_400,
            },
            Need::Default("50"),
            "",
        ),
        key(
            "max_async_seconds",
            Kind::Number {
                min: 1,
                max: 86_400,
            },
            Need::Default("3600"),
            "",
        ),
        key(
            "max_output_bytes",
            Kind::Number {
                min: 1,
                max: 67_108_864,
            },
            Need::Default("1048576"),
            "",
        ),
        key(
            "on_output_cap",
            Kind::OneOf(&["stop", "discard"]),
            Need::Default("stop"),
            "",
        ),
        key(
            "max_transfer_bytes",
            Kind::Number {
                min: 1,
                max: 1_099_511_627_776,
            },
            Need::Default("1073741824"),
            "",
        ),
        key(
            "task_result_ttl",
            Kind::Number {
                min: 1,
                max: 86_400,
            },
            Need::Default("3600"),
            "",
        ),
        key(
            "answer_chars",
            Kind::Number {
                min: 1_000,
                max: 100_000,
            },
            Need::Default("16000"),
            "",
        ),
        key(
            "task_progress_interval",
            Kind::Number { min: 1, max: 3_600 },
            Need::Default("5"),
            "",
        ),
        key(
            "session_idle_seconds",
            Kind::Number { min: 0, max: 3_600 },
            Need::Default("60"),
            "",
        ),
        key(
            "redact",
            Kind::Texts,
            Need::Default("[builtin]"),
            "builtin, or an empty list for none",
        ),
        key(
            "deny_substrings",
            Kind::Texts,
            Need::Default("the built-in list"),
            "texts of at most 1,000 characters; an empty list switches the built-in one off",
        ),
        key(
            "host_key_auto_add",
            Kind::Boolean,
            Need::Default("false"),
            "",
        ),
        key(
            "require_known_host",
            Kind::Boolean,
            Need::Default("true"),
            "",
        ),
    ],
};

pub(crate) const NETWORK: Table = Table {
    name: "policy.yml: network",
    extra: false,
    keys: &[
        key(
            "allow_ips",
            Kind::Texts,
            Need::Default("[]"),
            "IPv4 or IPv6 addresses",
        ),
        key(
            "allow_cidrs",
            Kind::Texts,
            Need::Default("[]"),
            "IPv4 or IPv6 networks such as 10.0.0.0/8, or addresses",
        ),
        key(
            "block_ips",
            Kind::Texts,
            Need::Default("[]"),
            "IPv4 or IPv6 addresses, or networks",
        ),
        key(
            "block_cidrs",
            Kind::Texts,
            Need::Default("[]"),
            "IPv4 or IPv6 networks such as 10.0.0.0/8, or addresses",
        ),
        key(
            "require_known_host",
            Kind::Boolean,
            Need::Default("true"),
            "",
        ),
    ],
};

pub(crate) const RULE: Table = Table {
    name: "policy.yml: rules[]",
    extra: false,
    keys: &[
        key(
            "action",
            Kind::OneOf(&["allow", "ask", "deny"]),
            Need::Required("no action"),
            "",
        ),
        key(
            "approval",
            Kind::OneOf(&["elicitation", "operator", "either"]),
            Need::Optional,
            "",
        ),
        key(
            "aliases",
            Kind::Texts,
            Need::Default("[]"),
            "globs on aliases; none means any host",
        ),
        key(
            "tags",
            Kind::Texts,
            Need::Default("[]"),
            "globs on tags, of which the host has at least one; none means any host",
        ),
        key(
            "commands",
            Kind::Texts,
            Need::Optional,
            "at least one pattern",
        ),
        key("legacy_glob", Kind::Boolean, Need::Default("false"), ""),
        key(
            "simple_binaries",
            Kind::Texts,
            Need::Optional,
            "at least one program",
        ),
        key(
            "simple_max_args",
            Kind::Number { min: 0, max: 256 },
            Need::Optional,
            "",
        ),
        key("binary", Kind::Text, Need::Optional, "a program"),
        key(
            "reads",
            Kind::Texts,
            Need::Optional,
            "at least one ready-made set: see `mcp-ssh-orchestrator policy sets`",
        ),
        key(
            "paths",
            Kind::Texts,
            Need::Optional,
            "globs such as /var/log/**; beside reads, or alone in a deny rule",
        ),
        key(
            "also",
            Kind::Texts,
            Need::Default("[]"),
            "beside reads: follows, network, secrets, writes",
        ),
        key(
            "hosts",
            Kind::Texts,
            Need::Default("[]"),
            "beside reads: globs on the hosts that may be contacted",
        ),
        key(
            "sudo_users",
            Kind::Texts,
            Need::Default("[]"),
            "beside reads: names of users",
        ),
        key("sudo", Kind::Boolean, Need::Default("false"), ""),
        key("detach", Kind::Boolean, Need::Default("false"), ""),
        key("stdin", Kind::Boolean, Need::Default("false"), ""),
        key("trust_arguments", Kind::Boolean, Need::Default("false"), ""),
        key(
            "arg_prefix",
            Kind::Texts,
            Need::Default("[]"),
            "the first arguments, word by word",
        ),
        key("allow_extra_args", Kind::Boolean, Need::Default("true"), ""),
        key(
            "path_args",
            Kind::Section(&PATH_ARGS),
            Need::Optional,
            "a mapping",
        ),
        key(
            "examples",
            Kind::Section(&EXAMPLES),
            Need::Optional,
            "a mapping",
        ),
    ],
};

pub(crate) const PATH_ARGS: Table = Table {
    name: "policy.yml: rules[].path_args",
    extra: false,
    keys: &[
        key(
            "indices",
            Kind::Numbers { min: 0, max: 256 },
            Need::Required("no indices"),
            "",
        ),
        key(
            "patterns",
            Kind::Texts,
            Need::Required("no patterns"),
            "at least one glob on a path",
        ),
    ],
};

pub(crate) const EXAMPLES: Table = Table {
    name: "policy.yml: rules[].examples",
    extra: false,
    keys: &[
        key(
            "allow",
            Kind::Texts,
            Need::Default("[]"),
            "commands that the policy allows",
        ),
        key(
            "deny",
            Kind::Texts,
            Need::Default("[]"),
            "commands that the policy denies",
        ),
    ],
};

pub(crate) const FILE_RULE: Table = Table {
    name: "policy.yml: files[]",
    extra: false,
    keys: &[
        key(
            "action",
            Kind::OneOf(&["allow", "ask", "deny"]),
            Need::Required("no action"),
            "",
        ),
        key(
            "aliases",
            Kind::Texts,
            Need::Default("[]"),
            "globs on aliases; none means any host",
        ),
        key(
            "tags",
            Kind::Texts,
            Need::Default("[]"),
            "globs on tags, of which the host has at least one; none means any host",
        ),
        key(
            "read",
            Kind::Texts,
            Need::Default("[]"),
            "globs such as /etc/nginx/**",
        ),
        key(
            "write",
            Kind::Texts,
            Need::Default("[]"),
            "globs such as /etc/nginx/conf.d/*.conf",
        ),
        key("sudo", Kind::Boolean, Need::Default("false"), ""),
    ],
};

pub(crate) const SHELL: Table = Table {
    name: "policy.yml: shell",
    extra: false,
    keys: &[
        key("globs", Kind::Boolean, Need::Default("false"), ""),
        key("filters", Kind::Boolean, Need::Default("true"), ""),
    ],
};

pub(crate) const OVERRIDES: Table = Table {
    name: "policy.yml: overrides",
    extra: false,
    keys: &[
        key(
            "aliases",
            Kind::Named(&LIMITS),
            Need::Optional,
            "a mapping from aliases, exact, to keys of `limits`",
        ),
        key(
            "tags",
            Kind::Named(&LIMITS),
            Need::Optional,
            "a mapping from tags, exact, to keys of `limits`",
        ),
    ],
};

pub(crate) const AUDIT_SPACE: Table = Table {
    name: "policy.yml: audit_space",
    extra: false,
    keys: &[
        key("warn_below", Kind::Room, Need::Default("1%"), ""),
        key("refuse_below", Kind::Room, Need::Default("0"), ""),
    ],
};

pub const CONCURRENCY: Table = Table {
    name: "policy.yml: concurrency",
    extra: false,
    keys: &[
        key(
            "max_tasks",
            Kind::Number { min: 1, max: 4_096 },
            Need::Default("512"),
            "",
        ),
        key(
            "max_per_host",
            Kind::Number { min: 1, max: 256 },
            Need::Default("8"),
            "",
        ),
        key(
            "fan_out",
            Kind::Number { min: 1, max: 1_024 },
            Need::Default("64"),
            "",
        ),
    ],
};
