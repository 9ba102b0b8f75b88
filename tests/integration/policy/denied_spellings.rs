//! Promise: what is denied in one spelling is denied in every spelling, and an allow never
//! takes anything from a deny.
//!
//! The spellings come from a generator of its own, which knows the programs' manual pages and
//! nothing of the policy: options in any place and under any name, further operands, `--`,
//! paths of programs and of files, wildcards, abbreviations, wrappers, lists, `sh -c`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use crate::policy::generate::Random;
use crate::policy::support::{Host, load};
use mcp_ssh_orchestrator::testing::config::Snapshot;
use mcp_ssh_orchestrator::testing::policy::Verdict;

/// Something that a deny rule names, and how else it can be said.
struct Deed {
    /// The deny rule, and one that allows it otherwise.
    deny: &'static str,
    allow: &'static str,
    program: &'static str,
    /// Before the verb, any number of them.
    general: &'static [&'static str],
    /// One of these.
    verbs: &'static [&'static str],
    /// Behind the verb, any number, among the operands.
    options: &'static [&'static str],
    /// One of each group, among the options.
    required: &'static [&'static [&'static str]],
    /// One of these is among the operands.
    targets: &'static [&'static str],
    others: &'static [&'static str],
    /// Whether `--` ends the options.
    ends: bool,
}

const DEEDS: &[Deed] = &[
    Deed {
        deny: "commands: ['systemctl restart sshd*']",
        allow: "systemctl restart *",
        program: "systemctl",
        general: &["-q", "--quiet", "--no-pager", "--no-ask-password"],
        verbs: &[
            "restart",
            "restart",
            "try-restart",
            "reload-or-restart",
            "try-reload-or-restart",
            "condrestart",
        ],
        options: &["--no-block", "-q", "--job-mode=replace"],
        required: &[],
        targets: &["sshd", "sshd.service", "'sshd*'", "'ssh?'", "sshd.socket"],
        others: &["nginx", "cron.service"],
        ends: true,
    },
    Deed {
        deny: "commands: ['docker rm db*']",
        allow: "docker rm *', 'docker container rm *",
        program: "docker",
        general: &[],
        verbs: &["rm", "container rm"],
        options: &["-f", "--force", "-v", "--volumes"],
        required: &[],
        targets: &["db", "db1"],
        others: &["web", "cache"],
        ends: true,
    },
    Deed {
        deny: "commands: ['kubectl delete * -n kube-system']",
        allow: "kubectl delete *",
        program: "kubectl",
        general: &[],
        verbs: &["delete"],
        options: &["--wait=false", "--now"],
        required: &[&[
            "-n kube-system",
            "-nkube-system",
            "--namespace=kube-system",
            "--namespace kube-system",
        ]],
        targets: &["pod x", "pod/x", "pods x"],
        others: &[],
        ends: false,
    },
    Deed {
        deny: "commands: ['kubectl delete pod *']",
        allow: "kubectl delete *",
        program: "kubectl",
        general: &[],
        verbs: &["delete"],
        options: &["--wait=false", "--now", "-n x", "--namespace=x"],
        required: &[],
        targets: &["pod x", "pods x", "po x", "pod/x", "pods/x", "po/x"],
        others: &[],
        ends: false,
    },
    Deed {
        deny: "commands: ['rm *']",
        allow: "rm *",
        program: "rm",
        general: &[],
        verbs: &[""],
        options: &["-r", "-f", "-v", "--one-file-system", "-rf"],
        required: &[],
        targets: &["/srv/data", "'/srv/data'", "/srv//data", "x"],
        others: &["y", "/tmp/z"],
        ends: true,
    },
    Deed {
        deny: "commands: ['rm -rf /srv/*']",
        allow: "rm *",
        program: "rm",
        general: &[],
        verbs: &[""],
        options: &["-v", "--one-file-system"],
        required: &[&[
            "-r -f",
            "-rf",
            "-fr",
            "-Rf",
            "--recursive --force",
            "-f -R",
            "--force -vr",
        ]],
        targets: &["/srv/data", "/srv//data", "/srv/./data", "/tmp/../srv/data"],
        others: &["/tmp/z"],
        ends: true,
    },
    Deed {
        deny: "commands: ['cat /etc/shadow']",
        allow: "cat *",
        program: "cat",
        general: &[],
        verbs: &[""],
        options: &["-n", "-A", "--number", "--show-all"],
        required: &[],
        targets: &[
            "/etc/shadow",
            "/etc//shadow",
            "/etc/./shadow",
            "/etc/ssl/../shadow",
            "/etc/sha'dow'",
            "\"/etc/shadow\"",
            "/etc/shado?",
            "/etc/sh*",
            "/???/shadow",
        ],
        others: &["/etc/hostname", "/etc/hosts"],
        ends: true,
    },
    Deed {
        deny: "paths: ['/etc/shadow*']",
        allow: "head *', 'grep *', 'cat *",
        program: "head",
        general: &[],
        verbs: &[""],
        options: &["-n 5", "-n5", "--lines=5", "-q", "-v"],
        required: &[],
        targets: &[
            "/etc/shadow",
            "/etc//shadow-",
            "/etc/../etc/shadow",
            "/etc/sha*",
            "/?tc/shadow",
        ],
        others: &["/etc/hostname"],
        ends: true,
    },
    Deed {
        deny: "commands: ['ip link set *']",
        allow: "ip link set *",
        program: "ip",
        general: &["-4", "-br", "-d", "-details", "-o"],
        verbs: &["link set", "l set", "li set", "link s", "l se"],
        options: &[],
        required: &[],
        targets: &["eth0 down", "dev eth0 up"],
        others: &[],
        ends: false,
    },
    Deed {
        deny: "commands: ['apt-get install *']",
        allow: "apt-get install *",
        program: "apt-get",
        general: &["-y", "-q", "--no-install-recommends", "-qq"],
        verbs: &["install"],
        options: &["-y", "--yes", "-q"],
        required: &[],
        targets: &["nginx", "nginx=1.22"],
        others: &["curl"],
        ends: false,
    },
    Deed {
        deny: "commands: ['git push*']",
        allow: "git push *', 'git push",
        program: "git",
        general: &["--no-pager", "-C /srv/app"],
        verbs: &["push"],
        options: &["-q", "--quiet", "-v"],
        required: &[],
        targets: &["origin", "origin main"],
        others: &[],
        ends: false,
    },
    Deed {
        deny: "binary: ufw, arg_prefix: [disable]",
        allow: "ufw *', 'ufw disable",
        program: "ufw",
        general: &[],
        verbs: &["disable"],
        options: &[],
        required: &[],
        targets: &[""],
        others: &[],
        ends: false,
    },
];

const PATHS: &[&str] = &["", "", "/usr/bin/", "/bin/", "/usr/sbin/", "/usr//bin/"];

const WRAPPERS: &[&str] = &[
    "",
    "",
    "",
    "sudo ",
    "sudo -n ",
    "sudo -n -u root ",
    "timeout 5 ",
    "timeout -k 1 5 ",
    "nice -n 5 ",
    "ionice -c 3 ",
    "env LANG=C ",
    "LC_ALL=C ",
    "command ",
    "stdbuf -oL ",
    "nohup ",
    "setsid ",
    "sudo -n timeout 5 nice ",
];

const CONTEXTS: &[&str] = &[
    "@",
    "@",
    "@",
    "true; @",
    "true && @",
    "@ | cat",
    "( @ )",
    "{ @; }",
    "if true; then @; fi",
    "! @",
    "for x in 1 2; do @; done",
    "for x in $(nproc); do @; done",
    "for x in /proc/*; do @; done",
    "@ 2>&1",
    "@ > /dev/null",
    "sh -c \"@\"",
    "bash -c \"cd /tmp && @\"",
];

impl Deed {
    fn spelling(&self, random: &mut Random) -> String {
        let mut words: Vec<&str> = Vec::new();
        let some = |random: &mut Random, from: &'static [&'static str]| {
            from.iter()
                .filter(|_| random.chance(3))
                .copied()
                .collect::<Vec<_>>()
        };
        words.extend(some(random, self.general));
        words.push(*random.pick(self.verbs));
        let mut options: Vec<&str> = some(random, self.options);
        options.extend(self.required.iter().map(|group| *random.pick(group)));
        let mut operands = some(random, self.others);
        let at = random.below(operands.len() + 1);
        operands.insert(at, *random.pick(self.targets));
        if self.ends && random.chance(3) {
            options.push("--");
            words.extend(options);
            words.extend(operands);
        } else {
            for option in options {
                let at = random.below(operands.len() + 1);
                operands.insert(at, option);
            }
            words.extend(operands);
        }
        let mut text = format!(
            "{}{}{}",
            random.pick(WRAPPERS),
            random.pick(PATHS),
            self.program
        );
        for word in words.into_iter().filter(|word| !word.is_empty()) {
            text.push_str(random.pick::<&str>(&[" ", " ", " ", "  "]));
            text.push_str(word);
        }
        let context = *random.pick(CONTEXTS);
        let text = match context.contains('"') {
            true => text.replace('"', ""),
            false => text,
        };
        context.replace('@', &text)
    }
}

/// A policy of allows, with a deny where one is given. More allows change nothing for it.
fn policy(allow: &str, deny: Option<&str>, more: &str) -> Snapshot {
    let deny = deny.map(|deny| format!(", {{action: deny, {deny}}}"));
    let text = format!(
        "{{limits: {{deny_substrings: []}}, shell: {{globs: true}}, rules: [{{action: allow, \
         sudo: true, commands: ['{allow}']}}{more}{}]}}",
        deny.unwrap_or_default()
    );
    load(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

const MORE: &str = ", {action: allow, trust_arguments: true, sudo: true, commands: ['*']}, {action: allow, \
    sudo: true, reads: [linux, text, systemd, docker, kubernetes, network, packages, git], \
    also: [follows, network, secrets, writes], paths: ['/**', '~/**']}";

fn passes(snapshot: &Snapshot, text: &str) -> bool {
    let host = Host::new("h", ["web"]);
    let verdict = snapshot.policy().judge_text(&host.subject(), text);
    !matches!(verdict, Verdict::Deny(_))
}

#[test]
fn what_is_denied_in_one_spelling_is_denied_in_all() {
    let mut random = Random::new(16);
    let mut through = Vec::new();
    for deed in DEEDS {
        let open = policy(deed.allow, None, MORE);
        let denied = policy(deed.allow, Some(deed.deny), "");
        let wider = policy(deed.allow, Some(deed.deny), MORE);
        let mut allowed = 0;
        for _ in 0..600 {
            let text = deed.spelling(&mut random);
            allowed += usize::from(passes(&open, &text));
            for snapshot in [&denied, &wider] {
                if passes(snapshot, &text) {
                    through.push(format!("{} | {text}", deed.deny));
                }
            }
        }
        // Else the denials say nothing.
        assert!(
            allowed > 100,
            "{}: {allowed} of 600 pass without the deny",
            deed.allow
        );
    }
    through.sort();
    through.dedup();
    assert!(
        through.is_empty(),
        "{}:\n{}",
        through.len(),
        through.join("\n")
    );
}
