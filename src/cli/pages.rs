//! The page of one subcommand: how it is written, what it does, its options, its exit codes.
//!
//! Owns what is said beyond the one line of the table; words and options come from the
//! tables that the command line itself is read with. Called by `commands::about`.

use std::fmt::Write as _;

use crate::cli::args::{COMMANDS, FLAGS, Name, about};

/// The pages of some subcommands, one after the other.
pub(crate) fn pages(names: &[Name]) -> String {
    let pages: Vec<String> = names.iter().map(|name| page(*name)).collect();
    pages.join("\n")
}

fn page(name: Name) -> String {
    let mut out = String::new();
    for (first, second, _, operands) in COMMANDS.iter().filter(|row| row.2 == name) {
        let words = format!("{first} {second}");
        let line = format!(
            "Usage: mcp-ssh-orchestrator {} [OPTIONS] {operands}",
            words.trim()
        );
        let _ = writeln!(out, "{}", line.trim_end());
    }
    let _ = writeln!(out, "\n{}", wrapped(&sentence(about(name)), ""));
    for paragraph in details(name) {
        let _ = writeln!(out, "\n{paragraph}");
    }
    let options: Vec<_> = FLAGS
        .iter()
        .filter(|flag| flag.commands.contains(&name))
        .collect();
    if !options.is_empty() {
        out.push_str("\nOptions:\n");
    }
    for flag in options {
        let head = format!("  --{} {}", flag.name, flag.value);
        let _ = writeln!(out, "{}", head.trim_end());
        let _ = writeln!(out, "      {}", wrapped(flag.about, "      "));
    }
    out
}

/// What a line of the table cannot say. Written to fit 80 columns.
fn details(name: Name) -> &'static [&'static str] {
    match name {
        Name::Serve => &[
            "A client starts it; what it says on stdout is the protocol. It ends when stdin\n\
             does, or with SIGTERM. SIGHUP has it read everything again, SIGUSR1 has it leave a\n\
             report for 'status'.",
        ],
        Name::Check => {
            &["Does everything that a start does but serve: 0 if it would start, else 1."]
        }
        Name::Approvals | Name::Approve | Name::Deny => &[
            "DIR (--approvals-dir, or MCP_SSH_APPROVALS_DIR) holds two directories: 'requests',\n\
             which the server's user can write, and 'grants', which the operator's alone can:\n\
             \x20 install -d -o 10001 DIR/requests; install -d -o OPERATOR DIR/grants\n\
             Run these as that operator. The word is bound to host, exact command, policy and\n\
             time, and counts for one question.",
        ],
        Name::Plan => &[
            "COMMAND is one quoted argument, or words: 'plan web1 df -h' judges df -h. What looks\n\
             like an option behind ALIAS belongs to the command; options go before.",
            "Ends with 0 where the command would run or a person would be asked, with 1 where it\n\
             is denied.",
        ],
        Name::PolicyTest => &["Each line of FILE is an expectation:\n\n\
             \x20 allow web1 uptime -p\n\
             \x20 ask web1 systemctl restart nginx\n\
             \x20 deny web1 rm -rf /srv\n\
             \x20 deny:no-rule db1 reboot\n\n\
             The first word is the verdict, with ':CODE' (as 'plan' prints it) the reason too;\n\
             then an alias of servers.yml, then the command to the end of the line. Blank lines\n\
             and lines that begin with # are left out. 0 if all hold, else 1, and each that does\n\
             not is named."],
        Name::PolicySuggest => &[
            "Reads the record (--audit-file or --audit-dir, with record_commands: denied in\n\
             policy.yml) and prints the rules that would have allowed the most of it: sets of\n\
             programs that only read, with the directories of the files, else exactly the\n\
             command. Each says what else it would allow. What a deny, a person or the lexer\n\
             refused is left out. Changes nothing.",
        ],
        Name::PolicyExplain => {
            &["COMMAND is one quoted argument, or words: 'policy explain tar -tf x.tar'."]
        }
        Name::Trust => &[
            "Shows the keys that hosts present, to be compared with what 'ssh-keygen -l' says on\n\
             them, and adds those to known_hosts that a person confirms. Hosts whose keys are on\n\
             record already need nothing. Never replaces a key.",
        ],
        Name::Reload => &[
            "Finds the servers of this user in the runtime directory, has each read configuration,\n\
             keys and secrets again (as SIGHUP does), and prints what it did. 0 if there is one\n\
             and all took the files in; 1 if one refused or did not answer, or there is none. One\n\
             that refuses keeps what it has.",
        ],
        Name::Status => &[
            "Finds the servers of this user in the runtime directory and asks each. 0 if there is\n\
             one, all answer, and all can write their records; else 1. Files that do not load are\n\
             told and no failure: the server goes on with what it has.",
        ],
        Name::AuditVerify => &[
            "0 if the chain is whole; else 1, and every break is named. A head that was kept\n\
             elsewhere (audit_head in the log) shows that nothing was cut off at the end.\n\
             Without FILE and DIR, here and in 'audit sign', 'show' and 'report' and in 'policy\n\
             suggest', the records are those of MCP_SSH_AUDIT_DIR or MCP_SSH_AUDIT_FILE.",
            "--signed with --allowed-signers does the same with heads that were signed, and shows it\n\
             to somebody who does not trust this machine. Keep what was signed elsewhere: whoever\n\
             writes the records anew can remove it too. The signature is checked by ssh-keygen,\n\
             against the keys as they are allowed now.",
        ],
        Name::AuditSign => &[
            "Reads the records, and refuses to sign what is not sound. Writes two files: how far\n\
             each chain has come (number and seal of its last record), and the signature, as\n\
             'ssh-keygen -Y sign' makes it. ssh-keygen asks for what the key needs: a passphrase,\n\
             an agent, a touch. The namespace is audit-heads@mcp-ssh-orchestrator.github.io.",
            "It proves that nothing up to there was changed or removed since, not when it was\n\
             signed, and nothing of what the server did not record.",
        ],
        Name::AuditShow => &[
            "Records that do not match their seal are shown whatever is filtered, with '!!'. 1 if\n\
             there are any.",
        ],
        Name::AuditReport => &[
            "One page without scripts, and with nothing from elsewhere: commands and denials over\n\
             time, by host and by rule, the slowest, failures, security events, approvals.",
        ],
        Name::Init
        | Name::ImportSshConfig
        | Name::ImportAnsible
        | Name::PolicySets
        | Name::PolicyTables
        | Name::Completions
        | Name::Manual
        | Name::Help
        | Name::Version => &[],
    }
}

fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    let first = first.map(String::from).unwrap_or_default();
    format!("{first}{}.", characters.as_str())
}

fn wrapped(text: &str, margin: &str) -> String {
    let (mut lines, mut line) = (Vec::new(), String::new());
    for word in text.split_whitespace() {
        if !line.is_empty() && margin.len() + line.len() + 1 + word.len() > 80 {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines.join(&format!("\n{margin}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subcommand_has_a_page_with_its_options() {
        for (first, second, name, operands) in COMMANDS {
            let page = page(*name);
            assert!(page.contains(format!("{first} {second}").trim()), "{page}");
            assert!(page.contains(operands), "{page}");
            for flag in FLAGS.iter().filter(|flag| flag.commands.contains(name)) {
                assert!(page.contains(&format!("--{}", flag.name)), "{page}");
            }
            assert!(page.lines().all(|line| line.len() <= 90), "{page}");
        }
    }
}
