//! The leash: constant text before a judged command, by which the host itself ends it when
//! this server has gone without a word (killed, out of memory, its machine lost).
//!
//! A watcher is started beside the command, in its session and its process group. The channel's
//! stdin is its own (the command gets /dev/null, at whose end it is at once, as at that of an
//! empty stdin). When the connection dies, sshd closes that pipe, and the watcher ends the
//! group: TERM, then KILL. Without a word of the network it does so at a time limit. It holds
//! neither output of the command, ignores TERM, is nobody's child but init's, so that no
//! program waits for it, and goes with the channel.
//!
//! Refuses to guess: the end of a stdin on which nothing came first (one line is sent behind
//! the request) may be a forced command's doing and not the connection's end, so then only the
//! time limit counts. A command with a `stdin` of its own has the time limit alone. Where the
//! first process of the host does not take in orphans there is no watcher, or each command
//! would leave an entry in the table of processes. Measured as /bin/sh: dash, bash, busybox, zsh
//! and ksh93 notice both, the channel's end and the time; mksh the time alone; yash the channel
//! alone; posh neither. Called by `authorised`.

use crate::policy::syntax::render::quote;

/// What the leash is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leash {
    /// After which the command is ended in any case.
    pub(super) seconds: u32,
    /// The channel's stdin is the command's, so that the watcher cannot read it.
    pub(super) has_stdin: bool,
    /// The command looks for processes by their arguments: the watcher's are to be its own
    /// before it starts, or it would find its own text there.
    pub(super) is_looking: bool,
}

/// Programs that leave themselves out when they look for a text in the arguments of others.
const LOOKING: &[&str] = &["pgrep", "pkill"];

/// Whether a single program of this name is such a one.
pub(super) fn is_looking(program: &str) -> bool {
    LOOKING.contains(&program.rsplit('/').next().unwrap_or(program))
}

/// First processes that take in no orphans: what keeps a container open.
const ADOPTS: &str = "c=; read -r c </proc/1/comm; case $c in (cat|sleep|tail) exit; esac; ";

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
            true => ("", "</dev/null", ""),
            false => ("exec 3<&0 </dev/null; ", "<&3 3<&-", "exec 3<&-; "),
        };
        let watcher = match self.is_looking {
            // The output of `$(…)` ends when the watcher closes it, as the program that it
            // is by then. The shells left out wait for its end instead.
            true => {
                let mut script = String::new();
                quote(
                    &format!("exec >/dev/null; p=$1 n=$2; {WATCHER}"),
                    &mut script,
                );
                format!(
                    r#": "$( {{ {ADOPTS}[ "$KSH_VERSION$YASH_VERSION$POSH_VERSION" ] || exec /bin/sh -c {script} mcp-ssh-leash "$$" {seconds} {stdin} & }} 2>/dev/null )"; "#
                )
            }
            false => format!(
                "( {ADOPTS}p=$$ n={seconds}; {{ {WATCHER}; }} {stdin} >/dev/null & ) 2>/dev/null; "
            ),
        };
        // Without /dev/null all stays as it is.
        format!("if [ -c /dev/null ]; then {before}{watcher}{after}fi; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_leave_themselves_out_are_known_by_path_too() {
        assert!(is_looking("pgrep") && is_looking("/usr/bin/pkill"));
        assert!(!is_looking("ps") && !is_looking("pgrep/x"));
    }

    #[test]
    fn the_stdin_of_a_command_is_left_to_it() {
        let text = |has_stdin| {
            let leash = Leash {
                seconds: 60,
                has_stdin,
                is_looking: false,
            };
            leash.text()
        };
        assert!(text(false).contains("exec 3<&0 </dev/null; ( "));
        assert!(text(false).ends_with("exec 3<&-; fi; "));
        assert!(!text(true).contains("3<&"));
    }
}
