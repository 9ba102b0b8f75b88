//! Directories of a test run, and the janitor that takes everything back.
//!
//! Owns one directory a process and, below it, one for each use. What a test made is
//! removed when its handle is dropped; whatever an aborted or killed test binary leaves
//! (processes, files, the login user) the janitor removes: a small shell that waits for
//! the end of its standard input, which comes with the end of the test process.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

/// A directory of its own, removed with everything in it on drop. Others may pass through
/// it but not list it: the login user reads its authorised keys inside.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(label: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = process_root().join(format!("{label}-{number}"));
        make_dir(&path, 0o711);
        Scratch(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn make_dir(path: &Path, mode: u32) {
    fs::create_dir_all(path).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Tells the janitor of this process to do `what` at its end (`login`: remove the login
/// user, unless another test process still uses it).
pub(crate) fn at_end(what: &str) {
    process_root();
    let mut janitor = JANITOR.lock().unwrap();
    let input = janitor.as_mut().and_then(|janitor| janitor.stdin.as_mut());
    writeln!(input.unwrap(), "{what}").unwrap();
}

/// Never waited for: it ends after this process, that is its purpose.
static JANITOR: Mutex<Option<Child>> = Mutex::new(None);

fn process_root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        let root =
            std::env::temp_dir().join(format!("mcp-ssh-orchestrator-test.{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        make_dir(&root, 0o711);
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", CLEAN_UP, "janitor"])
            .arg(&root)
            .arg(super::login::STATE)
            .arg(super::login::NAME);
        // A group of its own: the interrupt that ends a test run must not end it.
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        *JANITOR.lock().unwrap() = Some(command.current_dir("/").spawn().unwrap());
        root
    })
}

const CLEAN_UP: &str = r#"
root=$1 state=$2 user=$3 login=
while read -r what; do [ "$what" = login ] && login=1; done
tree() {
    for child in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do tree "$child"; done
    kill -9 "$1" 2>/dev/null
}
for file in $(grep -lsaF -e "$root/" /proc/[0-9]*/cmdline /proc/[0-9]*/environ); do
    pid=${file#/proc/} pid=${pid%%/*}
    [ "$pid" = $$ ] || tree "$pid"
done
rm -rf "$root"
[ -n "$login" ] || exit 0
# Whoever still holds the lock shared uses the user, and its own janitor will see to it.
exec 9>>"$state.lock"
flock -x -w 2 9 || exit 0
# The file that was waited for may be gone with the janitor that held it, and another be
# in its place: then the user is somebody else's.
[ "$(stat -L -c %i /proc/$$/fd/9)" = "$(stat -c %i "$state.lock" 2>/dev/null)" ] || exit 0
if [ -d "$state" ]; then
    userdel -f "$user"
    rm -f "/etc/sudoers.d/$user"
    [ -e "$state/made-run-sshd" ] && rmdir /run/sshd
    rm -rf "$state"
fi
rm -f "$state.lock"
"#;
