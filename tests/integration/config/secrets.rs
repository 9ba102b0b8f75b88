//! Secrets come from four sources in one order, their names are validated before any of
//! them is asked, and nothing that is said of them says their value.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use crate::common::{Setup, run_cli};
use mcp_ssh_orchestrator::testing::config::{
    Dirs, Environment, Links, LoadError, Loaded, Secret, Store, WarningKind, load,
};
use mcp_ssh_orchestrator::testing::model::security_event::{EventValue, SecurityEvent};

/// What `Secret` must not be able to do: be printed, copied, compared or sent.
macro_rules! is_not {
    ($type:ty: $($forbidden:path),+) => {
        $(const _: fn() = || {
            trait Ambiguous<A> { fn here() {} }
            impl<T: ?Sized> Ambiguous<()> for T {}
            struct Forbidden;
            impl<T: ?Sized + $forbidden> Ambiguous<Forbidden> for T {}
            // Two implementations apply, and this line doesn't compile, if it is.
            let _ = <$type as Ambiguous<_>>::here;
        };)+
    };
}
is_not!(Secret: std::fmt::Debug, std::fmt::Display, Clone, PartialEq, serde::Serialize, AsRef<[u8]>, std::ops::Deref);
is_not!(Environment: std::fmt::Debug, Clone, serde::Serialize);

const NAMED: &str =
    "entries: [{name: ops, username: u, agent: true, password_secret: Db-Pass_1}]\n";

/// A source, and what puts a value there.
type Source<'a> = (&'a str, &'a dyn Fn(&mut Vec<(OsString, OsString)>));

#[test]
fn the_sources_are_asked_in_order() {
    let setup = setup(NAMED);
    let sources: &[Source<'_>] = &[
        ("", &|_| {}),
        ("of a file", &|_| {
            write(&setup, "Db-Pass_1", " \n of a file\n", 0o600);
        }),
        ("of .env", &|_| {
            write(&setup, ".env", "DB-PASS_1=of .env\n", 0o600);
        }),
        ("of .env, exact name", &|_| {
            let text = "DB-PASS_1=of .env\nDb-Pass_1=of .env, exact name\n";
            write(&setup, ".env", text, 0o600);
        }),
        ("prefixed", &|env| {
            set(env, "MCP_SSH_SECRET_DB-PASS_1", "prefixed")
        }),
        ("direct", &|env| set(env, "DB-PASS_1", "direct")),
    ];
    let mut environment = Vec::new();
    for (expected, add) in sources {
        add(&mut environment);
        assert_eq!(
            password(&load_with(&setup, &environment).unwrap()),
            *expected
        );
    }
    // An empty value is none, from whatever source.
    for name in ["DB-PASS_1", "MCP_SSH_SECRET_DB-PASS_1"] {
        environment.retain(|(known, _)| *known != *name);
        set(&mut environment, name, "");
    }
    write(&setup, ".env", "Db-Pass_1=\nDB-PASS_1=''\n", 0o600);
    assert_eq!(
        password(&load_with(&setup, &environment).unwrap()),
        "of a file"
    );
    write(&setup, "Db-Pass_1", " \n", 0o600);
    let loaded = load_with(&setup, &environment).unwrap();
    assert_eq!(password(&loaded), "");
    let warning = &loaded.snapshot.warnings()[0];
    assert_eq!(warning.kind, WarningKind::Absent);
}

#[test]
fn a_name_is_validated_before_any_source_is_asked() {
    for (name, event_type, reason) in [
        ("a.b", "invalid_secret_name", "contains_invalid_characters"),
        ("../a", "invalid_secret_name", "contains_invalid_characters"),
        (
            "/etc/passwd",
            "invalid_secret_name",
            "contains_invalid_characters",
        ),
        (
            "sécret",
            "invalid_secret_name",
            "contains_invalid_characters",
        ),
        (
            &"n".repeat(101),
            "input_length_limit_exceeded",
            "secret_name_too_long",
        ),
    ] {
        let entry = format!(
            "entries: [{{name: ops, username: u, agent: true, password_secret: {name}}}]\n"
        );
        let setup = setup(&entry);
        write(&setup, ".env", &format!("{name}=hunter2\n"), 0o600);
        let mut environment = Vec::new();
        set(&mut environment, &name.to_uppercase(), "hunter2");
        set(
            &mut environment,
            &format!("MCP_SSH_SECRET_{}", name.to_uppercase()),
            "hunter2",
        );
        let error = load_with(&setup, &environment).err().unwrap();
        let [event] = error.events.as_slice() else {
            panic!("{:?}", error.events)
        };
        assert_eq!(
            (event.event_type, event.reason),
            (event_type, Some(reason)),
            "{name}"
        );
        assert_eq!(event.attempted_path.as_deref(), Some(name));
        assert_eq!(event.resolved_path, None);
        if event_type == "input_length_limit_exceeded" {
            let expected = [
                ("field", EventValue::Text("secret_name".into())),
                ("length", EventValue::Number(101)),
                ("max_length", EventValue::Number(100)),
            ];
            assert_eq!(event.extra, expected);
        }
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}

#[test]
fn variables_of_the_process_are_no_secrets() {
    for name in [
        "path",
        "user",
        "home",
        "hostname",
        "pwd",
        "mcp_ssh_config_dir",
        "lc_all",
        "_",
    ] {
        let entry = format!(
            "entries: [{{name: ops, username: u, agent: true, password_secret: {name}}}]\n"
        );
        let setup = setup(&entry);
        let mut environment = Vec::new();
        set(&mut environment, &name.to_uppercase(), "telling");
        let loaded = load_with(&setup, &environment).unwrap();
        assert_eq!(password(&loaded), "", "{name}");
        // By the prefixed name it is a secret like any other.
        set(
            &mut environment,
            &format!("MCP_SSH_SECRET_{}", name.to_uppercase()),
            "meant",
        );
        assert_eq!(
            password(&load_with(&setup, &environment).unwrap()),
            "meant",
            "{name}"
        );
    }
}

/// The records by which log pipelines know these two.
#[test]
fn an_env_file_and_known_hosts_that_cannot_be_read_have_their_records() {
    let setup = setup("entries: [{name: ops, username: u, agent: true}]\n");
    let logged = |wanted: &str| {
        let log = String::from_utf8(run_cli(&setup, &["serve"]).stderr).unwrap();
        assert!(log.lines().any(|line| line.starts_with(wanted)), "{log}");
    };
    logged(r#"{"level":"warn","msg":"load_host_keys_failed","path":"known_hosts","error":""#);
    fs::write(setup.secrets.join(".env"), b"A=1\nB=\xff\n").unwrap();
    logged(r#"{"level":"error","kind":"env_file_parse_error","path":".env","error":".env:2: "#);
}

#[test]
fn an_env_file_is_bounded_plain_and_noticed_when_open() {
    let setup = setup(NAMED);
    let path = setup.secrets.join(".env");
    let full = path.display().to_string();

    // A file of one's own has no group to share it with.
    for mode in [0o644, 0o640] {
        write(&setup, ".env", "DB-PASS_1=loose\n", mode);
        let loaded = load_with(&setup, &[]).unwrap();
        assert_eq!(password(&loaded), "loose");
        let expected = SecurityEvent {
            event_type: "insecure_file_permissions",
            attempted_path: Some(full.clone()),
            resolved_path: Some(full.clone()),
            reason: Some("env_file_permissions_too_permissive"),
            extra: vec![("mode", EventValue::Text(format!("0o{mode:o}")))],
        };
        assert_eq!(loaded.events, [expected]);
    }

    write(&setup, ".env", &format!("A={}", "x".repeat(102_399)), 0o600);
    let error = load_with(&setup, &[]).err().unwrap();
    let expected = SecurityEvent {
        event_type: "file_size_limit_exceeded",
        attempted_path: Some(full.clone()),
        resolved_path: Some(full.clone()),
        reason: Some("env_file_too_large"),
        extra: vec![
            ("file_size", EventValue::Number(102_401)),
            ("max_size", EventValue::Number(102_400)),
        ],
    };
    assert_eq!(error.events[0], expected);

    write(
        &setup,
        ".env",
        "not a line\nexport DB-PASS_1=x\nDB-PASS_1=a=b # c\n",
        0o600,
    );
    let loaded = load_with(&setup, &[]).unwrap();
    assert_eq!(password(&loaded), "a=b # c");
    let lines: Vec<String> = loaded
        .snapshot
        .warnings()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(
        lines[0].starts_with(".env:1: ") && lines[1].starts_with(".env:2: "),
        "{lines:?}"
    );
    assert!(!lines.concat().contains("not a line"), "{lines:?}");

    fs::write(&path, b"A=1\nB=\xff\n").unwrap();
    let error = load_with(&setup, &[]).err().unwrap();
    assert!(error.for_operator().starts_with(".env:2: "), "{error}");

    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("Db-Pass_1", &path).unwrap();
    let error = load_with(&setup, &[]).err().unwrap();
    assert_eq!(error.events[0].reason, Some("path_is_symlink"));
}

#[test]
fn a_secret_file_is_text_of_bounded_size() {
    let setup = setup(NAMED);
    for (content, part) in [
        (b"\xff\xfe".as_slice(), "isn't text"),
        (b"a\0b".as_slice(), "isn't text"),
        (&[b'x'; 65_537], "65536"),
    ] {
        fs::write(setup.secrets.join("Db-Pass_1"), content).unwrap();
        let error = load_with(&setup, &[]).err().unwrap();
        assert!(error.for_operator().contains(part), "{error}");
    }
    let environment = [("DB-PASS_1".into(), OsString::from_vec(vec![0xff]))];
    let error = load_with(&setup, &environment).err().unwrap();
    assert!(error.for_operator().contains("isn't text"), "{error}");

    write(&setup, "Db-Pass_1", "x", 0o640);
    let loaded = load_with(&setup, &[]).unwrap();
    assert_eq!(loaded.snapshot.warnings()[0].kind, WarningKind::Permissions);
}

#[test]
fn a_reload_reads_secrets_again_and_can_name_new_ones() {
    let setup = setup(NAMED);
    write(&setup, "Db-Pass_1", "first", 0o600);
    let mut environment = Vec::new();
    set(&mut environment, "LATER", "of the environment");
    let dirs = Arc::new(dirs(&setup));
    let environment = Environment::from_variables(environment);
    let first = load(&dirs, &environment).unwrap().snapshot;
    let store = Store::new(environment, first, Box::new(|_| Ok(())));
    let before = store.current();
    write(&setup, "Db-Pass_1", "second", 0o600);
    store.reload().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(value(&before), "first");
    assert_eq!(value(&store.current()), "second");
    setup.write("credentials.yml", &NAMED.replace("Db-Pass_1", "later"));
    store.reload().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(value(&store.current()), "of the environment");
    assert_eq!(store.current().secrets().len(), 1);
}

/// A reference hides a password in the file, an empty one doesn't, and one that resolves
/// to nothing doesn't fall back to it.
#[test]
fn a_reference_wins_over_a_password_in_the_file() {
    let entry = |reference: &str| {
        format!(
            "entries: [{{name: ops, username: u, password: in the file, password_secret: {reference}}}]\n"
        )
    };
    let setup = setup(&entry("Db-Pass_1"));
    let loaded = load_with(&setup, &[]).unwrap();
    assert_eq!(password(&loaded), "");
    write(&setup, "Db-Pass_1", "referred", 0o600);
    assert_eq!(password(&load_with(&setup, &[]).unwrap()), "referred");
    setup.write("credentials.yml", &entry("''"));
    assert_eq!(password(&load_with(&setup, &[]).unwrap()), "in the file");
}

fn setup(credentials: &str) -> Setup {
    let setup = Setup::new();
    setup.write(
        "servers.yml",
        "hosts: [{alias: a, host: 10.0.0.1, credentials: ops}]\n",
    );
    setup.write("credentials.yml", credentials);
    setup.write(
        "policy.yml",
        "rules: [{action: allow, commands: [uptime]}]\n",
    );
    setup
}

fn write(setup: &Setup, name: &str, text: &str, mode: u32) {
    let path = setup.secrets.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn set(environment: &mut Vec<(OsString, OsString)>, name: &str, value: &str) {
    environment.push((name.into(), value.into()));
}

fn dirs(setup: &Setup) -> Dirs {
    Dirs::open(&setup.config, &setup.keys, &setup.secrets, Links::Refused)
}

fn load_with(setup: &Setup, environment: &[(OsString, OsString)]) -> Result<Loaded, LoadError> {
    let environment = Environment::from_variables(environment.iter().cloned());
    load(&Arc::new(dirs(setup)), &environment)
}

fn password(loaded: &Loaded) -> String {
    value(&loaded.snapshot)
}

fn value(snapshot: &mcp_ssh_orchestrator::testing::config::Snapshot) -> String {
    let password = snapshot.hosts()[0].login.password.as_ref();
    password.map_or_else(String::new, |secret| {
        String::from_utf8(secret.expose().to_vec()).unwrap()
    })
}
