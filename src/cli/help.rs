//! The page that `--help` prints.
//!
//! Owns its words alone; `cli::args` has the tables that they describe, and a test below
//! holds the two together. Shown by `startup`.

/// The page that `--help` prints.
pub(crate) const HELP: &str = "\
mcp-ssh-orchestrator: an MCP server that runs policy-checked commands over SSH

Usage: mcp-ssh-orchestrator [COMMAND] [OPTIONS]

Commands:
  serve                       speak MCP on stdin and stdout, log on stderr (the default;
                              the word 'stdio' means the same)
  check [--json]              say whether the configuration and this machine would do
  init DIR                    write a commented starting configuration into DIR
  import ssh-config [FILE]    print servers.yml from an ssh_config (~/.ssh/config)
  import ansible [FILE]       print servers.yml from an inventory (/etc/ansible/hosts)
  plan [--json] ALIAS COMMAND...
                              judge a command as the server would, with the deciding rule
  trust ALIAS... | --tag TAG | --all
                              fetch hosts' keys, show them, add them to known_hosts
  reload                      have the running servers read everything again, and say what
                              each did
  status                      ask the running servers how they do
  policy explain COMMAND...   say what each word of a command is, and what it does
  policy sets                 list the ready-made sets of programs
  policy suggest [FILE|DIR]...
                              propose rules for what the record says was denied
  policy test FILE            compare the policy with a file of expectations
  policy tables               print the built-in tables of programs and hazards
  audit verify [FILE|DIR]...  prove that no record was changed, removed or reordered
  audit sign [FILE|DIR]... --key KEY
                              have the heads of the records signed with an SSH key
  audit show [FILE|DIR]...    print the records for people, or with --json or --csv
  audit report [FILE|DIR]... --html PATH
                              write a page for a browser or for paper
  approvals [--watch]         list the commands that wait for the operator's approval
  approve ID                  show a command that waits, and approve it
  deny ID                     refuse a command that waits
  completions SHELL           print completions for bash, zsh or fish
  manual                      print the manual page, for man(1)
  help [COMMAND]              print this page, or that of a command with all its options
  version                     print the versions of the program and its C libraries

Options of the server (those of the others: help COMMAND):
  --config-dir DIR       servers.yml, credentials.yml, policy.yml (/app/config)
  --keys-dir DIR         private keys and known_hosts (/app/keys)
  --secrets-dir DIR      .env and secret files (/app/secrets)
  --allow-links-beneath  follow links that stay beneath the directory they are in
  --audit-file PATH      also keep a tamper-evident record in PATH
  --audit-dir DIR        the same in DIR, a chain for each run
  --audit-keep-bytes SIZE, --audit-keep-days DAYS
                         of DIR, remove the oldest beyond this (0: keep all)
  --log-file PATH        also write the log to PATH
  --log-syslog FACILITY[:SOCKET]
                         also send the log to syslog or journald (/dev/log)
  --metrics-file PATH    figures for Prometheus (node_exporter's textfile collector)
  --transfer-dir DIR     let files be transferred between hosts and DIR
  --approvals-dir DIR    where the operator approves (approval: operator)
  --audit-rotate-bytes SIZE
                         begin a new file at this size (64M; 0: never)
  --runtime-dir DIR      where reload and status find the server
                         (/run/user/UID, /dev/shm or /tmp)
  --sandbox LEVEL        strict, required (default), degraded or off
  --sandbox-floor NAME,...
                         do not start without these: seccomp, files, truncate, tcp,
                         ioctl, scopes
  --user USER[:GROUP]    become this user when started as root
                         (default: 10001, if it can read the files)
  -h, --help             print this page, or that of the command
  -V, --version          print the versions of the program and its C libraries

Environment, where the flag is absent:
  MCP_SSH_CONFIG_DIR  MCP_SSH_KEYS_DIR  MCP_SSH_SECRETS_DIR
  MCP_SSH_ALLOW_LINKS_BENEATH=1  MCP_SSH_SANDBOX  MCP_SSH_SANDBOX_FLOOR
  MCP_SSH_AUDIT_FILE  MCP_SSH_AUDIT_DIR  MCP_SSH_AUDIT_ROTATE_BYTES
  MCP_SSH_AUDIT_KEEP_BYTES  MCP_SSH_AUDIT_KEEP_DAYS  MCP_SSH_LOG_FILE
  MCP_SSH_LOG_SYSLOG  MCP_SSH_APPROVALS_DIR  MCP_SSH_METRICS_FILE  MCP_SSH_RUNTIME_DIR
  MCP_SSH_TRANSFER_DIR
  MCP_SSH_DEBUG=1: the log also says what each SSH session agreed on
  MCP_SSH_SECRET_<NAME>, <NAME>: values of secrets

Exit codes: 0 done, 1 problems found or the server could not start, 2 usage.
";

#[cfg(test)]
mod tests {
    use crate::cli::VARIABLES;
    use crate::cli::args::{COMMANDS, FLAGS, Name};
    use crate::cli::help::HELP;

    #[test]
    fn the_page_names_every_word() {
        for (first, second, ..) in COMMANDS {
            assert!(
                HELP.contains(format!("{first} {second}").trim()),
                "{first} {second}"
            );
        }
        for flag in FLAGS
            .iter()
            .filter(|flag| flag.commands.contains(&Name::Serve))
        {
            assert!(
                HELP.contains(&format!("--{}", flag.name)),
                "--{}",
                flag.name
            );
        }
        assert!(VARIABLES.iter().all(|name| HELP.contains(name)));
        assert!(HELP.lines().all(|line| line.len() <= 90));
    }
}
