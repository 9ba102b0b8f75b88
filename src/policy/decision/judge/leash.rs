//! The leash: constant text before a judged command, by which the host itself ends it when
//! this server has gone without a word (killed, out of memory, its machine lost).
//!
//! A watcher is started beside the command, in its session and its process group. The channel's
//! stdin is its own (the command gets /dev/null, at whose end it is at once, as at that of an
//! empty stdin). When the connection dies, sshd closes that pipe, and the watcher ends the
//! group: TERM, then KILL. Without a word of the network it does so at a time limit. It holds
//! neither output of the command, ignores TERM, and goes with the channel.
//!
//! Refuses to guess: the end of a stdin on which nothing came first (one line is sent behind
//! the request) may be a forced command's doing and not the connection's end, so then only the
//! time limit counts. A command with a `stdin` of its own has the time limit alone. Where the
//! first process of the host does not take in orphans there is no watcher, or each command
//! would leave an entry in the table of processes. Measured as /bin/sh: dash, bash, busybox, zsh
//! and ksh93 notice both, the channel's end and the time; mksh the time alone; yash the channel
//! alone; posh neither. Called by `authorised`.

use crate::policy::hazard::wrappers;
use crate::policy::programs::catalogue;
use crate::policy::syntax::render::quote;

/// What the leash is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leash {
    /// After which the command is ended in any case.
    pub(super) seconds: u32,
    /// The channel's stdin is the command's, so that the watcher cannot read it.
    pub(super) has_stdin: bool,
    pub(super) watcher: Watcher,
}

/// How the watcher is made, from cheap to dear: what can be told of the command decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Watcher {
    /// A child of the command's first process.
    Child,
    /// Init's child. The command may be a program that waits until it has no children.
    Orphan,
    /// As that, and a program of its own before the command starts, which looks for processes
    /// by their arguments and would find its own text in the watcher's.
    Program,
}

/// Programs that leave themselves out when they look for a text in the arguments of others.
const LOOKING: &[&str] = &["pgrep", "pkill"];

impl Watcher {
    /// For a single program, which takes the shell's place. What is described waits for no
    /// child that it has not made; what it starts in its place may.
    pub(super) fn beside(program: &str) -> Self {
        let starts_others =
            wrappers::wrapper(program).is_some() || wrappers::is_interpreter(program);
        match catalogue::find(program) {
            _ if LOOKING.contains(&wrappers::base_name(program)) => Self::Program,
            Some(_) if !starts_others => Self::Child,
            _ => Self::Orphan,
        }
    }

    /// For a list, in which the shell stays. `names` are its programs.
    pub(super) fn beside_list<'n>(mut names: impl Iterator<Item = &'n str>) -> Self {
        match names.any(|name| name == "wait") {
            true => Self::Orphan,
            false => Self::Child,
        }
    }
}

/// First processes that take in no orphans: what keeps a container open.
const ADOPTS_NONE: &str = "cat|sleep|tail";

/// csh leaves copies of both outputs to what takes its place (4 and 5). With one of them open
/// the watcher would hold the command's output, and with it the channel.
const LEAKED: &str = "4>&- 5>&- 6>&- 7>&- 8>&- 9>&-";

/// The watcher: `$p` is the command's first process, `$n` the time limit. `read -t` is not
/// POSIX: where it is missing (dash), a `sleep` ends the wait; one that somebody else ended
/// does not. After the end of the wait the command is ended if it is still there: its group
/// where it leads one, as it does unless a forced command started it.
const WATCHER: &str = r#"trap "" HUP INT TERM; d=; s=; t="-t $n"; read -r -t 1 l </proc/1/comm || { t=; trap "d=1" CHLD; sleep "$n" & s=$!; }; r() { while :; do d=; read -r $t l && return 0; [ "$d" ] || return 1; wait "$s" && return 1; s=; done; }; if r; then r; else i=0; while kill -0 "$p" && [ "$i" -lt "$n" ]; do sleep 1 || exit; i=$((i + 1)); done; fi; [ "$s" ] && kill -KILL "$s"; kill -0 "$p" || exit; kill -0 "-$p" && p=-$p; kill -TERM "$p"; sleep 2; kill -KILL "$p""#;

impl Leash {
    /// What stands before the command.
    pub(super) fn text(self) -> String {
        let seconds = self.seconds;
        let (before, stdin, after) = match self.has_stdin {
            true => ("", format!("</dev/null {LEAKED}"), ""),
            false => (
                "exec 3<&0 </dev/null; ",
                format!("<&3 3<&- {LEAKED}"),
                "exec 3<&-; ",
            ),
        };
        // The name of a variable that no host has in its environment.
        let first = "mcp_ssh_leash=; { read -r mcp_ssh_leash </proc/1/comm; } 2>/dev/null; ";
        let started = match self.watcher {
            Watcher::Child => {
                format!("{{ p=$$ n={seconds}; {WATCHER}; }} {stdin} >/dev/null 2>&1 &")
            }
            Watcher::Orphan => {
                format!("( {{ p=$$ n={seconds}; {WATCHER}; }} {stdin} >/dev/null 2>&1 & );")
            }
            // The output of `$(…)` ends when the watcher closes it, as the program that it
            // is by then. The shells left out wait for its end instead.
            Watcher::Program => {
                let mut script = String::new();
                quote(
                    &format!("exec >/dev/null; p=$1 n=$2; {WATCHER}"),
                    &mut script,
                );
                format!(
                    r#": "$( [ "$KSH_VERSION$YASH_VERSION$POSH_VERSION" ] || exec /bin/sh -c {script} mcp-ssh-leash "$$" {seconds} {stdin} 2>/dev/null & )";"#
                )
            }
        };
        let watcher = format!(
            "{first}case $mcp_ssh_leash in ({ADOPTS_NONE}) ;; (*) {started} esac; unset mcp_ssh_leash; "
        );
        // Without /dev/null all stays as it is.
        format!("if [ -c /dev/null ]; then {before}{watcher}{after}fi; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_wait_for_strangers_gets_none_for_a_child() {
        assert_eq!(Watcher::beside("df"), Watcher::Child);
        assert_eq!(Watcher::beside("/usr/bin/pkill"), Watcher::Program);
        for name in ["sudo", "xargs", "perl", "nobody-knows", "/tmp/df"] {
            assert_eq!(Watcher::beside(name), Watcher::Orphan, "{name}");
        }
        let list = |names: &[&'static str]| Watcher::beside_list(names.iter().copied());
        assert_eq!(list(&["df", "true"]), Watcher::Child);
        assert_eq!(list(&["df", "wait"]), Watcher::Orphan);
    }

    #[test]
    fn the_stdin_of_a_command_is_left_to_it() {
        let text = |has_stdin| {
            let leash = Leash {
                seconds: 60,
                has_stdin,
                watcher: Watcher::Child,
            };
            leash.text()
        };
        assert!(text(false).contains("exec 3<&0 </dev/null; "));
        assert!(text(false).ends_with("exec 3<&-; fi; "));
        assert!(!text(true).contains("3<&"));
    }
}
