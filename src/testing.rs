//! What tests, benchmarks and fuzz targets use of this crate, and nothing else: the rooms
//! themselves are closed, so that the compiler sees what is dead.
//!
//! Mirrors the tree of the rooms. No promise is made to anybody outside this repository;
//! `main` does not use it.

pub mod audit {
    pub use crate::audit::{
        Approval, ApprovalOutcome, Archive, Asked, Audit, AuditEnd, AuditError, Decision, End,
        Given, Grounds, Hop, Keep, Kept, Linked, LogFile, Looked, Patterns, Phase, Place, REDACTED,
        ROTATE_BYTES, Record, Redactor, Reload, SHORTEST, Sandbox, ServerStart, Started, Ts,
        install_panic_hook,
    };
    pub use crate::cli::commands::audit::verify::{verify, verify_reader};
}
pub mod cli {
    pub use crate::cli::parse;
    pub mod commands {
        pub mod audit_show {
            pub use crate::cli::commands::audit::show::{Filter, Since, show};
        }
    }
}
pub mod config {
    pub use crate::config::{
        APPROVAL_WAIT, Concurrency, Dirs, Environment, FILES, Fault, FileError, KeyPath,
        KnownHostsPath, Links, LoadError, Loaded, Mark, Place, Problem, Secret, Snapshot, Store,
        Warning, WarningKind, load, load_texts,
    };
    pub mod files {
        pub mod beneath {
            pub use crate::config::files::beneath::{Directory, RelativePath};
        }
        pub mod directories {
            pub use crate::config::files::directories::{KEY_MAX, KEY_PATH_MAX};
        }
    }
    pub mod schema {
        pub mod keys {
            pub use crate::config::schema::keys::{
                ALL, CONCURRENCY, CREDENTIALS, Key, Kind, LIMITS, Need, POLICY, SERVERS, Table,
            };
        }
    }
    pub mod secrets {
        pub mod env_file {
            pub use crate::config::secrets::env_file::EnvFile;
        }
        pub mod value {
            pub use crate::config::secrets::value::SecretName;
        }
    }
    pub mod yaml {
        pub mod node {
            pub use crate::config::yaml::node::parse;
            pub use crate::config::yaml::tree::{Node, Value};
        }
        pub mod scalar {
            pub use crate::config::yaml::scalar::Meaning;
        }
    }
}
pub mod mcp {
    pub use crate::mcp::{Frame, LineReader, MAX_LINE, Outbox, Server, Session, handle_line};
}
pub mod model {
    pub mod memory {
        pub use crate::model::memory::{Account, Held, Resources};
    }
    pub mod invisible {
        pub use crate::model::invisible::{BLANK_LOOKING, is_invisible};
    }
    pub mod job {
        pub use crate::model::job::JobId;
    }
    pub mod names {
        pub use crate::model::names::{
            CommandHash, CommandText, HostAlias, InputError, MaxLines, OnAuditFailure, Port, Tag,
            TaskId,
        };
    }
    pub mod room {
        pub use crate::model::room::{AuditSpace, Room};
    }
    pub mod security_event {
        pub use crate::model::security_event::{EventValue, SecurityEvent};
    }
    pub mod threads {
        pub use crate::model::threads::Maker;
    }
}
pub mod policy {
    pub use crate::policy::identity::PolicyId;
    pub use crate::policy::network::{NetworkPolicy, PinnedAddress};
    pub use crate::policy::{
        Approval, Authorised, Care, Code, Denial, NeedsApproval, Policy, Purpose, Quotes,
        ShellMode, Shown, Subject, Verdict,
    };
    pub mod decision {
        pub mod denial {
            pub use crate::policy::decision::denial::{Bypass, Chain, ChainPart, Trail};
        }
    }
    pub mod deny {
        pub mod substrings {
            pub use crate::policy::deny::substrings::normalised;
        }
    }
    pub mod limits {
        pub use crate::policy::deny::built_in::BUILT_IN_DENY_SUBSTRINGS;
    }
    pub mod programs {
        pub mod probe {
            pub use crate::policy::programs::probe::{Look, families, look, takes};
        }
    }
    pub mod rule {
        pub mod asking {
            pub use crate::policy::rule::asking::Asking;
        }
        pub mod word_pattern {
            pub use crate::policy::rule::word_pattern::Pattern;
        }
    }
    pub mod source {
        pub use crate::policy::source::{
            Action, FileRuleSource, LimitsSource, PathArgs, PolicySource, ReadsSource, RuleForm,
            RuleSource, ShellSource,
        };
    }
    pub mod syntax {
        pub mod command {
            pub use crate::policy::syntax::command::{
                AndOr, Command, Compound, Connective, Directory, Fault, For, Input, List, NAME,
                NAMES, NUMBER, NUMBERS, OUTPUTS, Parsed, Pipeline, Redirect, Refusal, STATUS,
                Simple, Word,
            };
        }
        pub mod lexer {
            pub use crate::policy::syntax::lexer::{
                MAX_BYTES, MAX_COMMANDS, MAX_WORDS, Options, parse, parse_bytes,
                parse_through_shells,
            };
        }
    }
}
pub mod ssh {
    pub use crate::ssh::Clearance;
    pub use crate::ssh::{
        Cancel, Client, Control, Deadline, Ended, Exit, Flow, Job, Phase, RunReport, Sink,
        SshError, Stage, Terminated, warm_up,
    };
    pub mod error {
        pub use crate::ssh::error::{HostKeyProblem, KeyProblem, ResolveFailure, SudoProblem};
    }
    pub mod host_keys {
        pub use crate::ssh::host_keys::{KnownHosts, PublicKey, RecordName, Standing};
    }
}
pub mod sys {
    pub mod landlock {
        pub use crate::sys::landlock::{Grants, RESOLVER_FILES, probe, restrict};
    }
    pub mod privileges {
        pub use crate::sys::privileges::become_user;
    }
    pub mod process {
        pub use crate::sys::process::forbid_new_privileges;
    }
    pub mod seccomp {
        pub use crate::sys::seccomp::{Last, Needs, is_active, restrict, restrict_but_last};
    }
    pub mod syscalls {
        pub use crate::sys::syscalls::{
            AGENT_SOCKET, BEYOND_RESOLVERS, CALLS, Call, Otherwise, Test, Value, Verdict,
        };
    }
}
pub mod task {
    pub use crate::task::{Cleaner, Tasks, clean};
}
