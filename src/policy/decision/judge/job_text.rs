//! What is sent to start a job and to look after it: fixed texts for `/bin/sh`, in which only
//! checked names and numbers differ.
//!
//! A job is one directory in the login's home, `.mcp-ssh-orchestrator/HASH.TOKEN`, that only
//! the login can open: `command` (as it is run), `pid` (of its first process, and when it
//! began), `out` (stdout and stderr together), `exit` (status, and when it ended), `cancelled`.
//! The server keeps nothing of it, so that it is found again by whoever has its name.
//!
//! Owns these promises: what the host lacks is said before anything runs; the command's text
//! is the judged one, handed over as one word and read by one `eval`; nothing is signalled but
//! a process that carries the job's mark in its arguments, so that a number that was given
//! away again is left alone; `out` ends at a bound. Measured with dash, bash and busybox.
//! Called by `authorised` and `purpose`.

use crate::model::job::JobId;
use crate::policy::decision::judge::purpose::{Care, Start};
use crate::policy::syntax::render::{GUARD, quote};

/// In the login's home.
const BASE: &str = "b=$HOME/.mcp-ssh-orchestrator; ";

/// Whether the first process of the job in directory `$1` is there: one with the mark `$2`.
/// Leaves its number in `p`, and when it began in `s`.
const ALIVE: &str = r#"alive() { p=; s=; read -r p s 2>/dev/null <"$1"/pid; case $p in ""|*[!0-9]*) return 1; esac; { tr "\0" "\n" <"/proc/$p/cmdline" || ps -o args= -p "$p"; } 2>/dev/null | grep -q -F -e "$2"; }; "#;

/// All that is known of a job, in one line. Whether it lives is asked first: one that ends
/// meanwhile has left its status by then.
const TELL: &str = r#"tell() { a=0; alive "$1" "$2" && a=1; c=; e=; read -r c e <"$1"/exit; k=0; [ -e "$1"/cancelled ] && k=1; set -- $(wc -lc <"$1"/out); echo "alive=$a start=$s exit=$c end=$e cancelled=$k lines=$1 bytes=$2 now=$(date +%s)"; }; "#;

const NAP: &str = "nap() { sleep 0.3 2>/dev/null || sleep 1; }; ";

/// Its first process, in a session of its own: `$0` is the mark, `$1` the directory, `$2` the
/// command, `$3` the login's umask. It outlives TERM, as the one that is waited for: what the
/// command leaves is written down before it goes.
const JOB: &str = r#"trap : TERM; echo "$$ $(date +%s)" >"$1"/pid && echo "$$" || exit 1; exec >/dev/null; { trap : TERM; ( umask "$3"; eval "$2" ); c=$?; echo "$c $(date +%s)" >"$1"/exit.new; mv "$1"/exit.new "$1"/exit; } 2>&1 | { trap "" TERM; ulimit -c 0; WRITER; }"#;

/// The request that starts a job: for whatever shell the login has, as every other one.
pub(super) fn start_line(start: &Start, canonical: &str) -> String {
    let directory = start.job.directory();
    // Blocks of 512 bytes (POSIX); what looks reads a line of its own beside them.
    let blocks = (start.keep_bytes / 512).saturating_sub(1).max(1);
    let writer = match start.discard {
        true => format!(r#"( ulimit -f {blocks}; exec cat >"$1"/out ); exec cat >/dev/null"#),
        false => format!(r#"ulimit -f {blocks}; exec cat >"$1"/out"#),
    };
    let mut job = String::new();
    quote(&JOB.replace("WRITER", &writer), &mut job);
    let text = format!(
        r#"trap "exit 143" TERM; no() {{ echo "cannot $1"; exit 1; }}; u=$(umask); umask 077; case $HOME in /*) ;; *) no home; esac; {BASE}d=$b/{directory}; command -v setsid >/dev/null 2>&1 || no setsid; mkdir -p "$b" 2>/dev/null; [ -d "$b" ] && [ ! -h "$b" ] && chmod 700 "$b" 2>/dev/null || no home; {ALIVE}for o in "$b"/*.*; do [ -d "$o" ] && [ ! -h "$o" ] && [ -n "$(find "$o" -prune -mtime +{KEPT_DAYS})" ] && ! alive "$o" "job.${{o##*.}}" && rm -rf "$o"; done; mkdir "$d" 2>/dev/null || no home; printf "%s\n" "$1" 2>/dev/null >"$d"/command || {{ rm -r "$d"; no home; }}; p=$(setsid /bin/sh -c {job} "$0" "$d" "$1" "$u" </dev/null 2>/dev/null &); case $p in ""|*[!0-9]*) rm -r "$d"; no start; esac; echo "started $p""#
    );
    let mut line = String::with_capacity(text.len() * 2 + canonical.len() * 2);
    line.push_str(GUARD);
    line.push_str("exec /bin/sh -c ");
    quote(&text, &mut line);
    line.push(' ');
    line.push_str(&start.job.mark());
    line.push(' ');
    quote(canonical, &mut line);
    line
}

/// How long an ended job stays on its host; the next start there takes it away.
pub(crate) const KEPT_DAYS: u32 = 7;

/// The text that looks after jobs.
pub(super) fn care(care: &Care) -> String {
    match care {
        Care::Look { job, wait, whole } => {
            let (begin, mark) = (begin(job), job.mark());
            let out = match whole {
                true => r#" cat "$d"/out 2>/dev/null;"#,
                false => "",
            };
            format!(
                r#"{begin}t=$(($(date +%s) + {wait})); while [ ! -s "$d"/exit ] && [ "$(date +%s)" -lt "$t" ] && alive "$d" {mark}; do nap; done; echo "$(tell "$d" {mark} 2>/dev/null)" >&2;{out} exit 0"#
            )
        }
        Care::End(job) => {
            let (begin, mark) = (begin(job), job.mark());
            let until_gone = |seconds: u32| {
                format!(
                    r#"t=$(($(date +%s) + {seconds})); while alive "$d" {mark} && [ "$(date +%s)" -lt "$t" ]; do nap; done"#
                )
            };
            format!(
                r#"{begin}if alive "$d" {mark}; then : >"$d"/cancelled; kill -TERM "-$p"; {}; alive "$d" {mark} && kill -KILL "-$p"; {}; fi; echo "$(tell "$d" {mark} 2>/dev/null)" >&2; exit 0"#,
                until_gone(5),
                until_gone(4)
            )
        }
        Care::List => format!(
            r#"{BASE}{ALIVE}{TELL}n=0; for d in "$b"/*.*; do [ -f "$d"/pid ] || continue; i=${{d##*/}}; echo "$i $(tell "$d" "job.${{i#*.}}" 2>/dev/null)"; head -n 1 "$d"/command | cut -c 1-200; n=$((n + 1)); [ "$n" -lt {LISTED} ] || break; done; exit 0"#
        ),
    }
}

/// Most jobs that a list has.
const LISTED: u32 = 100;

/// The job's directory in `d`, or the word that there is none.
fn begin(job: &JobId) -> String {
    let directory = job.directory();
    format!(
        r#"{BASE}{ALIVE}{TELL}{NAP}d=$b/{directory}; [ -d "$d" ] || {{ echo missing >&2; exit 0; }}; "#
    )
}
