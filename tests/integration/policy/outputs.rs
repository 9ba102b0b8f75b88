//! Promise: what another command prints may stand in a word where it is known to be a number, a
//! date or a name; the whole is then judged as all that it may become, and the host makes of it
//! what was judged.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed step is a failed test"
)]

use super::support::{load, named};
use crate::common::{Fleet, run_cli};
use crate::direct::Direct;

const POLICY: &str = "
limits: {deny_substrings: []}
shell: {globs: true}
rules:
  - {action: allow, reads: [linux, systemd, docker], paths: ['/proc/**']}
  - {action: allow, reads: [text], paths: ['/var/log/**', '/proc/**', '/srv/*/log/**']}
  - {action: allow, commands: ['rotate /srv/tmp/*', 'service-ctl *']}
  - {action: deny, paths: ['/proc/*/environ', '**/.env']}
  - {action: deny, commands: ['service-ctl stop*']}
";

fn verdict(command: &str) -> (&'static str, &'static str) {
    named(&load(POLICY).unwrap(), command)
}

#[test]
fn what_assistants_write() {
    for command in [
        "ps -p $(pgrep nginx)",
        "ps -o pid,ppid,%cpu,etime,cmd -p $(pgrep -f indexer.py)",
        "ps -p \"$(pgrep -d, nginx)\" -o pid,rss",
        "pwdx $(pgrep nginx)",
        "cat /proc/$(pidof -s nginx)/limits | grep 'open files'",
        "ls /proc/$(pgrep -o java)/fd | wc -l",
        "tail -n 20 \"/var/log/app-$(date +%F).log\"",
        "grep \"$(date +%d/%b/%Y)\" /var/log/nginx/access.log | wc -l",
        "zgrep -c x /var/log/app.$(date -d yesterday +%Y%m%d).gz",
        "journalctl -u nginx --since \"$(date -d '1 hour ago' '+%F %T')\"",
        "journalctl --since=\"$(date +%F)\" -n 20",
        "cat /var/log/$(hostname -s)/syslog",
        "docker stats --no-stream $(docker ps -q)",
        "docker port \"$(docker ps -q -f name=web)\"",
        "rotate /srv/tmp/$(date +%s)",
    ] {
        let (found, code) = verdict(command);
        assert_eq!(found, "allow", "{command}: {code}");
    }
}

#[test]
fn all_that_it_may_become_is_judged() {
    for command in [
        // What prints anything.
        "ps -p $(cat /proc/1/stat)",
        "cat /proc/\"$(cat /var/log/x)\"/limits",
        "ps -p $(pgrep -l nginx)",
        "cat /var/log/$(date +..)/x",
        "cat /var/log/$(date +%Y/..)/x",
        "cat $(date +/etc/shadow%Y)",
        "cat /var/log/$(pgrep -d / nginx)",
        // What prints it is not allowed.
        "cat /var/log/$(whoami; cat /etc/shadow)",
        // Nothing, in its place: another file, an option, what stands here.
        "cat /srv/$(hostname)/log/x",
        "cat /var/log/.$(date +%Y)./x",
        "cat $(hostname)-n",
        "cat \"$(hostname)\"",
        "ls $(pgrep nginx)",
        "ps -p $(pgrep nginx) -o pid",
        "head -$(nproc) /var/log/syslog",
        "tail -n 5 $(date +-f%Y) /var/log/syslog",
        // Several, in its place.
        "tail /proc/$(pgrep nginx)/limits",
        "lsof $(pgrep nginx) $(pgrep java)",
        // The program, a subcommand, a script.
        "$(hostname) -x",
        "sudo $(hostname)",
        "systemctl $(hostname)",
        "docker $(hostname) web",
        "awk \"$(hostname)\" /var/log/syslog",
        // Denied in one of its readings.
        "cat /proc/$(pgrep -o nginx)/environ",
        "cat /var/log/$(date +%Y)/.env",
        "cat /var/log/.env$(hostname)",
        "service-ctl stop$(hostname)",
        "service-ctl $(hostname)",
    ] {
        let (found, code) = verdict(command);
        assert_eq!(found, "deny", "{command}: {code}");
    }
}

/// The words that the host's shell makes are those that were judged.
#[test]
fn the_host_makes_of_it_what_was_judged() {
    let fleet = Fleet::with(vec![crate::common::HostSpec::new("web1")]);
    let policy = format!("network: {{allow_cidrs: [127.0.0.0/8]}}{POLICY}");
    fleet.setup.write("policy.yml", &policy);
    let script = "#!/bin/sh\nfor word; do printf '<%s>' \"$word\"; done\n";
    let host = fleet.host("web1");
    for name in ["pwdx", "rotate"] {
        host.stub(name, script);
    }
    let pids = |pids: &str| {
        let script = format!("#!/bin/sh\nprintf '{pids}'\n");
        host.stub("pgrep", &script);
    };
    let direct = Direct::of(&fleet.setup);
    let out = |command: &str| direct.run("web1", command).ok().out();
    for (printed, one, several) in [
        ("", "</srv/tmp/>", ""),
        ("41\\n", "</srv/tmp/41>", "<41>"),
        ("41\\n7\\n", "</srv/tmp/41\n7>", "<41><7>"),
    ] {
        pids(printed);
        assert_eq!(out("rotate /srv/tmp/$(pgrep -o x)"), one, "{printed}");
        assert_eq!(out("pwdx $(pgrep x)"), several, "{printed}");
    }
}

/// What stands for an output is for the policy alone: a person reads `$(…)`.
#[test]
fn it_is_explained_as_it_is_judged() {
    let fleet = Fleet::of(&["web1"]);
    let policy = format!("network: {{allow_cidrs: [127.0.0.0/8]}}{POLICY}");
    fleet.setup.write("policy.yml", &policy);
    for command in [
        "ps -p $(pgrep nginx)",
        "tail \"/var/log/app-$(date +%F).log\"",
    ] {
        for words in [&["policy", "explain"][..], &["plan", "web1"]] {
            let page = run_cli(&fleet.setup, &[words, &[command]].concat());
            let said = String::from_utf8(page.stdout).unwrap();
            assert!(page.status.success(), "{words:?} {command}: {said}");
            assert!(said.contains("$("), "{said}");
            let private = said.contains(|c| ('\u{E000}'..='\u{F8FF}').contains(&c));
            assert!(!private && !said.contains("UNKNOWN"), "{said:?}");
        }
    }
}
