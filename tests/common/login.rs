//! The user that tests log in as.
//!
//! Run by root, the harness makes one of its own: `/bin/sh`, an empty home, a random
//! password that only root can read; the test processes of the machine share it, and the
//! last one removes it. Run by anybody else, tests log in as oneself, and what needs
//! root (a password, dropbear) fails saying so.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::scratch::{at_end, make_dir};
use super::tools::{run, tool};

pub(crate) const NAME: &str = "mcp-ssh-test";
/// Holds the home and the password; `STATE.lock` is held shared by each user of it.
pub(crate) const STATE: &str = "/run/mcp-ssh-orchestrator-test";

pub(crate) struct Login {
    pub(crate) name: String,
    pub(crate) home: PathBuf,
    password: Option<String>,
    _in_use: Option<File>,
}

impl Login {
    /// # Panics
    /// When the tests are not run by root: only root can give a user a password.
    pub(crate) fn password(&self) -> &str {
        self.password
            .as_deref()
            .expect("password logins can only be tested as root")
    }

    /// Lets it use `sudo` with its password, and run `id` without.
    pub(crate) fn make_sudoer(&self) {
        self.password();
        static MADE: OnceLock<()> = OnceLock::new();
        MADE.get_or_init(|| {
            tool("sudo");
            let file = format!("/etc/sudoers.d/{}", self.name);
            // sudo passes over names with a dot.
            let new = format!("{file}.{}", std::process::id());
            let text = format!("{} ALL=(ALL) ALL, NOPASSWD: /usr/bin/id\n", self.name);
            fs::write(&new, text).unwrap();
            run("chmod", &["440", &new]);
            // Whole before it is there: other tests' `sudo` may read it just now.
            fs::rename(new, file).unwrap();
        });
    }

    /// Lets `public_key` log in where the server reads the user's own file (dropbear).
    pub(crate) fn authorise_in_home(&self, public_key: &str) {
        assert!(
            self.password.is_some(),
            "dropbear and tinysshd can only be tested as root: they read ~/.ssh/authorized_keys"
        );
        let lock = File::open(STATE).unwrap();
        lock.lock().unwrap();
        let dir = self.home.join(".ssh");
        make_dir(&dir, 0o700);
        let file = dir.join("authorized_keys");
        let before = fs::read_to_string(&file).unwrap_or_default();
        // Complete before it is there: another test's server may read it just now.
        let new = dir.join("authorized_keys.new");
        fs::write(&new, format!("{before}{}\n", public_key.trim())).unwrap();
        let owner = format!("{NAME}:");
        run("chmod", &["600", new.to_str().unwrap()]);
        run("chown", &["-R", &owner, dir.to_str().unwrap()]);
        fs::rename(new, file).unwrap();
    }
}

/// The login of this test process, made on first use.
pub(crate) fn login() -> &'static Login {
    static LOGIN: OnceLock<Login> = OnceLock::new();
    LOGIN.get_or_init(|| {
        if nix::unistd::geteuid().is_root() {
            shared()
        } else {
            oneself()
        }
    })
}

fn oneself() -> Login {
    let name = run("id", &["-un"]).trim().to_owned();
    let home = std::env::var("HOME").unwrap_or_else(|_| "/".into());
    Login {
        name,
        home: home.into(),
        password: None,
        _in_use: None,
    }
}

fn shared() -> Login {
    at_end("login");
    let password_file = Path::new(STATE).join("password");
    loop {
        let lock = open_lock();
        lock.lock_shared().unwrap();
        if let (true, Ok(password)) = (still_there(&lock), fs::read_to_string(&password_file)) {
            let home = Path::new(STATE).join("home");
            return Login {
                name: NAME.into(),
                home,
                password: Some(password),
                _in_use: Some(lock),
            };
        }
        // Exclusive only to make the user: whoever has it must not wait for those who use it.
        lock.unlock().unwrap();
        lock.lock().unwrap();
        if still_there(&lock) && !password_file.exists() {
            make_user(&password_file);
        }
    }
}

fn open_lock() -> File {
    File::options()
        .create(true)
        .append(true)
        .open(format!("{STATE}.lock"))
        .unwrap()
}

/// Whether the locked file is still the one at its path (the last user removes it).
fn still_there(lock: &File) -> bool {
    fs::metadata(format!("{STATE}.lock"))
        .is_ok_and(|now| now.ino() == lock.metadata().unwrap().ino())
}

fn make_user(password_file: &Path) {
    make_dir(Path::new(STATE), 0o711);
    let home = Path::new(STATE).join("home");
    make_dir(&home, 0o700);
    if !Path::new("/run/sshd").exists() {
        make_dir(Path::new("/run/sshd"), 0o755);
        fs::write(Path::new(STATE).join("made-run-sshd"), "").unwrap();
    }
    let password = random_word();
    let settings = [
        "--home",
        home.to_str().unwrap(),
        "--shell",
        "/bin/sh",
        "--password",
        &hash(&password),
        NAME,
    ];
    // Read here and not by getpwnam: a static binary must not load the machine's NSS.
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    if passwd
        .lines()
        .any(|line| line.starts_with(&format!("{NAME}:")))
    {
        run("usermod", &settings);
    } else {
        run("useradd", &[&["--no-create-home"][..], &settings].concat());
    }
    run(
        "chown",
        &["-R", &format!("{NAME}:"), home.to_str().unwrap()],
    );
    // Last: its presence says that the user is complete.
    fs::write(password_file, &password).unwrap();
    run("chmod", &["600", password_file.to_str().unwrap()]);
}

fn random_word() -> String {
    let mut bytes = [0u8; 12];
    File::open("/dev/urandom")
        .unwrap()
        .read_exact(&mut bytes)
        .unwrap();
    bytes
        .iter()
        .fold("pw-".to_owned(), |word, byte| format!("{word}{byte:02x}"))
}

/// The password as `/etc/shadow` wants it, by the machine's `openssl` (standard input, so
/// that no process list shows it).
fn hash(password: &str) -> String {
    use std::io::Write;
    let mut child = Command::new(tool("openssl"))
        .args(["passwd", "-5", "-stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(password.as_bytes())
        .unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout)
        .unwrap()
        .trim()
        .to_owned()
}
