//! Promise: what was not judged can't be run, an address that was not checked can't be
//! connected to, and nobody approves but a person who was shown the command. The compiler
//! keeps these doors shut; here it is asked to.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed step is a failed test"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What every attempt begins with.
const HEAD: &str = "
use mcp_ssh_orchestrator::testing as t;
use t::policy::{Authorised, Policy, Verdict};
";

/// The error that rustc must give, and a function body that is a way around a door.
const SHUT: &[(&str, &str)] = &[
    // Authorised: no constructor, no fields, no copy.
    ("E0624", "fn f() { let _ = Authorised::new(todo!()); }"),
    ("E0616", "fn f(a: Authorised) { let _ = a.what; }"),
    ("E0616", "fn f(mut a: Authorised) { a.approved = true; }"),
    (
        "E0451",
        "fn f(a: Authorised) -> Authorised { Authorised { approved: true, ..a } }",
    ),
    ("E0308", "fn f(a: &Authorised) -> Authorised { a.clone() }"),
    ("E0599", "fn f() -> Authorised { Authorised::default() }"),
    // A question is no permit until it is approved, and an approval is made from what was
    // shown.
    (
        "E0616",
        "fn f(v: Verdict) -> Authorised { match v { Verdict::Ask(q) => q.permit, _ => todo!() } }",
    ),
    ("E0423", "fn f() { let _ = t::policy::Approval([0; 32]); }"),
    (
        "E0382",
        "fn f(s: t::policy::Shown) { let _ = (s.accepted(), s.accepted()); }",
    ),
    (
        "E0382",
        "fn f(a: t::policy::NeedsApproval, b: t::policy::NeedsApproval, yes: t::policy::Approval) \
         { let _ = (a.approve(yes), b.approve(yes)); }",
    ),
    (
        "E0451",
        "fn f() { let _ = t::policy::Shown { digest: [0; 32], standing: todo!() }; }",
    ),
    // The identity of a policy can't be chosen.
    ("E0423", "fn f() { let _ = t::policy::PolicyId(7); }"),
    ("E0624", "fn f() { let _ = t::policy::PolicyId::fresh(); }"),
    // PinnedAddress and the policy that makes it.
    (
        "E0423",
        "fn f(a: std::net::SocketAddr) { let _ = t::policy::PinnedAddress(a); }",
    ),
    (
        "E0599",
        "fn f() { let _ = t::policy::NetworkPolicy::default(); }",
    ),
    ("E0599", "fn f() -> Policy { Policy::default() }"),
    // Secrets are not printed, copied or sent.
    (
        "E0277",
        "fn f(s: t::config::Secret) { let _ = format!(\"{s:?}\"); }",
    ),
    (
        "E0308",
        "fn f(s: &t::config::Secret) -> t::config::Secret { s.clone() }",
    ),
    (
        "E0277",
        "fn f(s: &t::config::Secret) { let _ = format!(\"{s}\"); }",
    ),
];

/// What does compile: the way through the doors.
const OPEN: &str = "
fn permit(policy: &Policy, subject: &t::policy::Subject<'_>, text: &str) -> Option<Authorised> {
    match policy.judge_text(subject, text) {
        Verdict::Allow(authorised) => Some(authorised),
        Verdict::Ask(question) => {
            let (_shown, yes) = question.show();
            question.approve(yes.accepted()).ok()
        }
        Verdict::Deny(_) => None,
    }
}
fn address(policy: &Policy) -> Option<t::policy::PinnedAddress> {
    policy.network().pin([10, 0, 0, 1].into(), t::model::names::Port::SSH).ok()
}
fn secret(secret: &t::config::Secret) -> usize { secret.expose().len() }
";

#[test]
fn there_is_a_way_through_each_door() {
    let outcome = compile("open", OPEN);
    assert!(outcome.is_ok(), "{}", outcome.unwrap_err());
}

#[test]
fn there_is_no_way_around_them() {
    for (index, (code, attempt)) in SHUT.iter().enumerate() {
        match compile(&format!("shut{index}"), attempt) {
            Ok(()) => panic!("this compiles: {attempt}"),
            Err(text) => assert!(
                text.contains(&format!("error[{code}]")),
                "not for the reason {code}: {attempt}\n{text}"
            ),
        }
    }
}

/// Within the crate a private field is private to its module; these are the modules.
#[test]
fn the_doors_are_where_they_are_said_to_be() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let read = |file: &str| fs::read_to_string(root.join(file)).unwrap();
    let parts = ["mod.rs", "question.rs"];
    let authorised = parts
        .map(|part| read(&format!("policy/decision/judge/authorised/{part}")))
        .concat();
    for promise in [
        "pub(super) fn new(judged: Judged) -> Self",
        "pub(in crate::policy::decision::judge) fn new(\n        judged: Judged,",
        "pub struct Standing {\n    policy: PolicyId,\n",
        "pub(super) struct Judged",
        "pub struct NeedsApproval {\n    permit: Authorised,\n",
        "pub struct Approval([u8; 32]);",
    ] {
        assert!(authorised.contains(promise), "{promise}");
    }
    let open = authorised.matches("pub(crate)").count();
    assert_eq!(
        open, 1,
        "nothing there but the module is for the whole crate"
    );
    let network = read("policy/network.rs");
    assert!(network.contains("pub struct PinnedAddress(SocketAddr);"));
    let made = network.matches("PinnedAddress(SocketAddr::new(").count();
    assert_eq!(
        made, 1,
        "`pin` alone makes an address that can be connected to"
    );
}

/// Type-checks a file against the library as it was just built.
fn compile(name: &str, body: &str) -> Result<(), String> {
    let deps = std::env::current_exe()
        .unwrap()
        .parent()
        .unwrap()
        .to_owned();
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("doors");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join(format!("{name}.rs"));
    fs::write(&file, format!("{HEAD}{body}")).unwrap();
    let output = Command::new(std::env::var_os("RUSTC").unwrap_or("rustc".into()))
        .args(["--edition=2024", "--crate-type=lib", "--emit=metadata"])
        .args(["-A", "warnings", "--cap-lints=allow"])
        .arg("-o")
        .arg(folder.join(format!("{name}.rmeta")))
        .arg("--extern")
        .arg(format!("mcp_ssh_orchestrator={}", library(&deps).display()))
        .arg("-L")
        .arg(format!("dependency={}", deps.display()))
        // Procedural macros are built for the building machine, beside the target's folder.
        .arg("-L")
        .arg(format!(
            "dependency={}",
            deps.join("../../../debug/deps").display()
        ))
        .arg(&file)
        .output()
        .expect("rustc, which built this test, is there");
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// The library that this test was linked with: the one that was built last.
fn library(deps: &Path) -> PathBuf {
    let is_it = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("libmcp_ssh_orchestrator-") && name.ends_with(".rlib")
    };
    fs::read_dir(deps)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(is_it)
        .max_by_key(|path| path.metadata().and_then(|file| file.modified()).ok())
        .expect("cargo built the library before its tests")
}
