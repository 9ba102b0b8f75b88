//! Logins of two steps, as sshd and PAM ask for them, in whatever order: each question gets
//! the answer that was named for it, and any other question none.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::fs;
use std::path::PathBuf;

use crate::common::{Fleet, HostSpec, Server, login, run, run_cli};
use crate::direct::{Direct, Ran};
use mcp_ssh_orchestrator::testing::ssh::SshError;

/// The key of the counter-based one-time passwords (RFC 4226), in hexadecimal.
const OATH_KEY: &str = "3132333435363738393031323334353637383930";

/// A one-time password by its counter.
pub(super) fn code(counter: u32) -> String {
    let counter = counter.to_string();
    run("oathtool", &["-d", "8", "-c", &counter, OATH_KEY])
        .trim()
        .to_owned()
}

/// A host that asks for the password, then for a one-time password; where it keeps count.
pub(super) struct Asking {
    stack: String,
    count: PathBuf,
}

impl Asking {
    pub(super) fn new(name: &str, password: bool) -> Self {
        login().password();
        tools();
        let count = PathBuf::from(format!(
            "/run/mcp-ssh-orchestrator-test/oath-{}-{name}",
            std::process::id()
        ));
        let line = format!("HOTP {} - {OATH_KEY}\n", login().name);
        fs::write(&count, line).unwrap();
        run("chmod", &["600", count.to_str().unwrap()]);
        let first = if password {
            "auth requisite pam_unix.so\n"
        } else {
            ""
        };
        let stack = format!(
            "{first}auth requisite pam_oath.so usersfile={} window=5 digits=8\n\
             account required pam_permit.so\nsession required pam_permit.so\n",
            count.display()
        );
        Asking { stack, count }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.count);
    }
}

fn tools() {
    let module = [
        "/lib/x86_64-linux-gnu",
        "/lib/aarch64-linux-gnu",
        "/lib64",
        "/usr/lib64",
    ]
    .iter()
    .any(|dir| fs::exists(format!("{dir}/security/pam_oath.so")).unwrap());
    assert!(
        module,
        "pam_oath.so is not installed: apt-get install libpam-oath"
    );
}

fn hello(fleet: &Fleet) -> Ran {
    Direct::of(&fleet.setup).run("web1", "echo hello")
}

const CODE: &str = "prompts: [{text: \"*One-time password (OATH)*\", secret: code}]";
const PASSWORD: &str = "password_secret: login";
pub(super) const KEY: &str = "key_path: id_fleet";

pub(super) fn fleet(asking: &Asking, methods: &str) -> Fleet {
    let spec = HostSpec::new("web1")
        .pam(&asking.stack)
        .sshd("PasswordAuthentication yes")
        .sshd(&format!("AuthenticationMethods {methods}"));
    let fleet = Fleet::with(vec![spec]);
    fleet.setup.secret("login", login().password());
    fleet.setup.secret("code", &code(0));
    fleet
}

#[test]
fn a_named_answer_goes_to_its_question() {
    let asking = Asking::new("both", true);
    let fleet = fleet(&asking, "keyboard-interactive");
    fleet.log_in_with(&[PASSWORD, CODE]);
    assert_eq!(hello(&fleet).ok().out(), "hello\n");
    fleet.host("web1").wait_log("Accepted keyboard-interactive");
    // The same code does not count twice, and is given once a login.
    let ran = hello(&fleet);
    assert!(
        matches!(ran.error(), SshError::Denied { .. }),
        "{:?}",
        ran.report
    );
    fleet.setup.secret("code", &code(1));
    assert_eq!(hello(&fleet).ok().out(), "hello\n");
    // Every question can be named.
    fleet.setup.secret("code", &code(2));
    fleet.log_in_with(&[
        "prompts: [{text: \"*OATH*\", secret: code}, {text: \"*Password:\", secret: login}]",
    ]);
    assert_eq!(hello(&fleet).ok().out(), "hello\n");
}

#[test]
fn a_key_first_then_questions() {
    let asking = Asking::new("key", false);
    let fleet = fleet(&asking, "publickey,keyboard-interactive");
    fleet.log_in_with(&[KEY, CODE]);
    assert_eq!(hello(&fleet).ok().out(), "hello\n");
    let log = fleet.host("web1").log().join("\n");
    assert!(log.contains("Partial publickey"), "{log}");
    fleet.setup.secret("code", &code(1));
    fleet.setup.secret("wrong", "00000000");
    fleet.log_in_with(&[KEY, "prompts: [{text: \"*OATH*\", secret: wrong}]"]);
    let ran = hello(&fleet);
    assert!(
        matches!(ran.error(), SshError::Denied { .. }),
        "{:?}",
        ran.report
    );
}

/// The password is no answer to a question for something else.
#[test]
fn a_question_that_nothing_is_named_for_is_not_answered() {
    let asking = Asking::new("unknown", false);
    let fleet = fleet(&asking, "publickey,keyboard-interactive");
    // If it were given, it would be the right one.
    fleet.setup.secret("login", &code(0));
    for lines in [
        &[KEY, PASSWORD][..],
        &[KEY, "prompts: [{text: \"*Verification*\", secret: code}]"],
    ] {
        fleet.log_in_with(lines);
        let ran = hello(&fleet);
        let SshError::Prompt { question, .. } = ran.error() else {
            panic!("{:?}", ran.report)
        };
        assert!(question.contains("One-time password (OATH)"), "{question}");
    }
    let server = Server::start(&fleet.setup);
    let ran = server.run("web1", "echo hello");
    assert_eq!(ran["code"], "login:prompt", "{ran}");
    let record = server.wait_type("error_details");
    assert!(record.to_string().contains("One-time password"), "{record}");
}

#[test]
fn what_the_host_wants_first_comes_first() {
    for methods in [
        "password,publickey",
        "publickey,password",
        "password,keyboard-interactive",
        "publickey,password,keyboard-interactive",
    ] {
        let asks = methods.contains("keyboard");
        // sshd checks a password by the same stack, where only one word can be given.
        let asking = Asking::new(&methods.replace(',', "-"), false);
        let fleet = fleet(&asking, methods);
        let word = code(0);
        fleet.setup.secret("login", &word);
        fleet.setup.secret("code", &code(1));
        let mut lines = vec![PASSWORD];
        if methods.contains("publickey") {
            lines.push(KEY);
        }
        if asks {
            lines.push(CODE);
        }
        fleet.log_in_with(&lines);
        let ran = hello(&fleet);
        assert!(
            ran.report.error.is_none(),
            "{methods}: {:?}\n{}",
            ran.report.error,
            fleet.host("web1").log().join("\n")
        );
    }
}

#[test]
fn a_refused_password_is_no_answer_to_a_question() {
    let asking = Asking::new("refused", true);
    let fleet = fleet(&asking, "any");
    fleet.setup.secret("login", "not-the-word");
    fleet.log_in_with(&[PASSWORD]);
    let ran = hello(&fleet);
    assert!(
        matches!(ran.error(), SshError::Denied { .. }),
        "{:?}",
        ran.report
    );
    let log = fleet.host("web1").log().join("\n");
    assert!(!log.contains("keyboard-interactive/pam for"), "{log}");
}

#[test]
fn prompts_are_checked_at_load() {
    let fleet = Fleet::of(&["web1"]);
    for (wrong, said) in [
        ("prompts: [{text: \"x\"}]", "no secret"),
        ("prompts: [{secret: code}]", "no question"),
        ("prompts: {text: x}", "a list"),
        ("prompts: [{text: x, secret: ../code}]", "1 to 100"),
    ] {
        fleet.log_in_with(&[KEY, wrong]);
        let check = run_cli(&fleet.setup, &["check"]);
        let text = String::from_utf8_lossy(&check.stdout).into_owned();
        assert!(
            !check.status.success() && text.contains(said),
            "{wrong}: {text}"
        );
    }
}
