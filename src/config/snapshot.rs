//! One configuration, whole and valid, that never changes.
//!
//! Owns nothing but the view: whoever holds the `Arc` sees one consistent state while a
//! reload swaps in another. Made by `load` alone; read by everything that runs a command.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::config::files::beneath::{FileError, RelativePath};
use crate::config::files::directories::{Dirs, FILES, FileStates, KnownHostsPath};
use crate::config::host::{AnsweredBy, Credential, Group, Host, HostAddress, Resolve};
use crate::config::read::policy::Concurrency;
use crate::config::schema::problem::Warning;
use crate::config::secrets::value::Secret;
use crate::model::approval_url::ApprovalUrl;
use crate::model::names::{
    ApprovalWay, HostAlias, OnAuditFailure, OnRevoke, Port, RecordCommands, Tag,
};
use crate::model::room::AuditSpace;
use crate::model::text::hex;
use crate::policy::Policy;
use crate::policy::rule::asking::{Asking, AskingRule};

/// What the three files said, with the secrets they named.
pub struct Snapshot {
    dirs: Arc<Dirs>,
    hosts: Vec<Host>,
    groups: Vec<Group>,
    by_alias: HashMap<HostAlias, usize>,
    policy: Policy,
    rules: usize,
    known_hosts: KnownHostsPath,
    concurrency: Concurrency,
    approval_wait: Duration,
    approval_reuse: Duration,
    on_audit_failure: OnAuditFailure,
    audit_space: AuditSpace,
    on_revoke: OnRevoke,
    record_commands: RecordCommands,
    approval: ApprovalWay,
    approval_url: Option<ApprovalUrl>,
    ways: Vec<Option<ApprovalWay>>,
    pub(crate) files: FileStates,
    hash: [u8; 32],
    pub(crate) warnings: Vec<Warning>,
}

/// What `policy.yml` says beside the policy.
pub(crate) struct Settings {
    pub(crate) known_hosts: KnownHostsPath,
    pub(crate) concurrency: Concurrency,
    pub(crate) approval_wait: Duration,
    pub(crate) approval_reuse: Duration,
    pub(crate) on_audit_failure: OnAuditFailure,
    pub(crate) audit_space: AuditSpace,
    pub(crate) on_revoke: OnRevoke,
    pub(crate) record_commands: RecordCommands,
    pub(crate) approval: ApprovalWay,
    pub(crate) approval_url: Option<ApprovalUrl>,
    /// Who approves what each rule asks about, in the order of `rules:`.
    pub(crate) ways: Vec<Option<ApprovalWay>>,
    /// How many rules there are.
    pub(crate) rules: usize,
}

impl Snapshot {
    pub(crate) fn new(
        dirs: Arc<Dirs>,
        hosts: Vec<Host>,
        groups: Vec<Group>,
        policy: Policy,
        settings: Settings,
        hash: [u8; 32],
    ) -> Self {
        let by_alias = hosts
            .iter()
            .enumerate()
            .map(|(index, host)| (host.alias.clone(), index))
            .collect();
        let Settings {
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
            rules,
        } = settings;
        Self {
            dirs,
            hosts,
            groups,
            by_alias,
            policy,
            rules,
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
            files: FileStates::default(),
            hash,
            warnings: Vec::new(),
        }
    }

    /// In the file's order.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    pub fn host(&self, alias: &HostAlias) -> Option<&Host> {
        self.hosts.get(*self.by_alias.get(alias)?)
    }

    /// In the file's order; the tag is compared as a whole. A group counts as one: no tag
    /// has its name.
    pub fn hosts_with_tag(&self, tag: &Tag) -> impl Iterator<Item = &Host> {
        let group = self.groups.iter().find(|group| group.name == *tag);
        let chosen = move |(at, host): &(usize, &Host)| {
            host.has_tag(tag) || group.is_some_and(|group| group.places.contains(at))
        };
        let hosts = self.hosts.iter().enumerate().filter(chosen);
        hosts.map(|(_, host)| host)
    }

    /// In the file's order.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The hosts on the way to one, the first to connect to first, the target last.
    /// Empty if there is no such host.
    pub fn route(&self, alias: &HostAlias) -> Vec<&Host> {
        let mut route: Vec<&Host> =
            std::iter::successors(self.host(alias), |host| self.host(host.jump.as_ref()?))
                // Loops are refused at load; the bound makes that this function's own promise.
                .take(crate::config::host::JUMPS_MAX + 1)
                .collect();
        route.reverse();
        route
    }

    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// How many rules the policy has.
    pub fn rules(&self) -> usize {
        self.rules
    }

    pub fn concurrency(&self) -> Concurrency {
        self.concurrency
    }

    /// How long a person has to approve a command that a rule asks about: 1 s to 1 h.
    pub fn approval_wait(&self) -> Duration {
        self.approval_wait
    }

    /// How long a yes may stand for the rules that asked, if the person wants that: 0 (never)
    /// to 1 h.
    pub fn approval_reuse(&self) -> Duration {
        self.approval_reuse
    }

    pub fn on_audit_failure(&self) -> OnAuditFailure {
        self.on_audit_failure
    }

    /// What low space on the audit file's disk means.
    pub fn audit_space(&self) -> AuditSpace {
        self.audit_space
    }

    /// The operator's page, to which a client can point a person.
    pub fn approval_url(&self) -> Option<&ApprovalUrl> {
        self.approval_url.as_ref()
    }

    /// Who has to approve what these entries ask about: the strongest of their rules.
    pub fn approval_way<'a>(&self, asking: impl IntoIterator<Item = &'a Asking>) -> ApprovalWay {
        let of_rule = |asking: &Asking| match asking.rule {
            AskingRule::Rule(rule) => match self.ways.get(rule) {
                Some(way) => way.unwrap_or(self.approval),
                // No rule of this policy: nobody but the operator can mean it.
                None => ApprovalWay::Operator,
            },
            // These say nothing of it: as the policy does.
            AskingRule::File => self.approval,
        };
        let ways = asking.into_iter().map(of_rule);
        ways.max().unwrap_or(self.approval)
    }

    /// Which commands the audit file holds in words.
    pub fn record_commands(&self) -> RecordCommands {
        self.record_commands
    }

    /// What becomes of a running command that this configuration denies.
    pub fn on_revoke(&self) -> OnRevoke {
        self.on_revoke
    }

    /// The files that it was read from.
    pub(crate) fn file_states(&self) -> FileStates {
        self.files
    }

    /// The directories, for what is read at each login and connection.
    pub fn dirs(&self) -> &Arc<Dirs> {
        &self.dirs
    }

    pub fn known_hosts(&self) -> &KnownHostsPath {
        &self.known_hosts
    }

    /// SHA-256 of the three files' bytes, as 64 hex digits. Says that the files of two
    /// configurations are the same; who has it can confirm a guess at their whole content,
    /// and learns nothing else.
    pub fn hash(&self) -> String {
        hex(&self.hash)
    }

    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Every port that a command may connect to.
    pub fn ports(&self) -> BTreeSet<Port> {
        self.hosts.iter().map(|host| host.port).collect()
    }

    /// Whether names are looked up when commands run.
    pub fn resolves_names(&self) -> bool {
        self.hosts.iter().any(|host| {
            host.resolve == Resolve::Dns && matches!(host.address, HostAddress::Name(_))
        })
    }

    /// Whether a login asks an agent for its keys.
    pub fn needs_agent(&self) -> bool {
        self.hosts.iter().any(|host| host.login.agent)
    }

    /// Whether a login asks the operator for something.
    pub fn asks_operator(&self) -> bool {
        let mut prompts = self.hosts.iter().flat_map(|host| &host.login.prompts);
        prompts.any(|prompt| matches!(prompt.by, AnsweredBy::Operator))
    }

    /// Every secret value in use, each once, for the redaction of what is shown.
    pub fn secrets(&self) -> Vec<Arc<Secret>> {
        let mut secrets: Vec<Arc<Secret>> = Vec::new();
        for login in self.logins() {
            let of_login = [&login.passphrase, &login.password, &login.sudo];
            let of_prompts = login.prompts.iter().filter_map(|prompt| match &prompt.by {
                AnsweredBy::Secret(secret) => Some(secret),
                AnsweredBy::Operator => None,
            });
            for secret in of_login.into_iter().flatten().chain(of_prompts) {
                if !secrets.iter().any(|known| Arc::ptr_eq(known, secret)) {
                    secrets.push(Arc::clone(secret));
                }
            }
        }
        secrets
    }

    /// The files that this process, as the user it is now, can't read though they are
    /// there: the three files, keys, certificates, known_hosts. For a change of user at
    /// start.
    pub fn unreadable(&self) -> Vec<PathBuf> {
        let (config, keys) = (self.dirs.config(), self.dirs.keys());
        let mut paths = Vec::new();
        for path in FILES.into_iter().filter_map(RelativePath::new) {
            if config.state(&path) == Err(FileError::NotPermitted) {
                paths.push(config.path().join(path.as_path()));
            }
        }
        for login in self.logins() {
            let of_login = [&login.key_path, &login.cert_path, &login.identity];
            for path in of_login.into_iter().flatten() {
                if keys.state(path.relative()) == Err(FileError::NotPermitted) {
                    paths.push(keys.path().join(path.relative().as_path()));
                }
            }
        }
        if self.dirs.try_known_hosts(&self.known_hosts) == Err(FileError::NotPermitted) {
            paths.push(self.dirs.known_hosts_file(&self.known_hosts));
        }
        paths
    }

    /// The credentials in use, each once, by name.
    pub(crate) fn logins(&self) -> impl Iterator<Item = &Credential> {
        // Neighbours have mostly the same.
        let runs = self.hosts.chunk_by(|a, b| Arc::ptr_eq(&a.login, &b.login));
        let logins: BTreeMap<&str, &Credential> = runs
            .filter_map(<[Host]>::first)
            .map(|host| (host.login.name.as_str(), &*host.login))
            .collect();
        logins.into_values()
    }
}
