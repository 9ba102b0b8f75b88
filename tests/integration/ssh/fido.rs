//! Keys that an agent holds: which of them is offered, and those that live in a FIDO device,
//! whose signatures carry flags and a counter. The host that checks them is a real sshd; the
//! device is this file's own, with a private key that it knows (PROTOCOL.u2f).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step is a failed test"
)]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use openssl::bn::BigNumContext;
use openssl::ec::{EcGroup, EcKey, PointConversionForm};
use openssl::ecdsa::EcdsaSig;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::sha::sha256;
use openssl::sign::Signer;

use crate::common::{Agent, Fleet, HostSpec, Scratch, login, run, run_cli};
use crate::direct::Direct;
use mcp_ssh_orchestrator::testing::ssh::SshError;
use mcp_ssh_orchestrator::testing::ssh::error::KeyProblem;

const APPLICATION: &[u8] = b"ssh:";
/// Somebody touched it.
const PRESENT: u8 = 1;

fn put(into: &mut Vec<u8>, bytes: &[u8]) {
    into.extend_from_slice(&u32::try_from(bytes.len()).unwrap().to_be_bytes());
    into.extend_from_slice(bytes);
}

fn take<'b>(from: &mut &'b [u8]) -> &'b [u8] {
    let length = u32::from_be_bytes(from[..4].try_into().unwrap()) as usize;
    let taken = &from[4..4 + length];
    *from = &from[4 + length..];
    taken
}

/// A key in a device.
enum Device {
    Ed25519(PKey<Private>),
    Ecdsa(EcKey<Private>),
}

impl Device {
    fn new(kind: &str) -> Self {
        match kind {
            "ed25519" => Device::Ed25519(PKey::generate_ed25519().unwrap()),
            _ => {
                let curve = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
                Device::Ecdsa(EcKey::generate(&curve).unwrap())
            }
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Device::Ed25519(_) => "sk-ssh-ed25519@openssh.com",
            Device::Ecdsa(_) => "sk-ecdsa-sha2-nistp256@openssh.com",
        }
    }

    fn blob(&self) -> Vec<u8> {
        let mut blob = Vec::new();
        put(&mut blob, self.kind().as_bytes());
        match self {
            Device::Ed25519(key) => put(&mut blob, &key.raw_public_key().unwrap()),
            Device::Ecdsa(key) => {
                let mut context = BigNumContext::new().unwrap();
                let form = PointConversionForm::UNCOMPRESSED;
                let point = key.public_key().to_bytes(key.group(), form, &mut context);
                put(&mut blob, b"nistp256");
                put(&mut blob, &point.unwrap());
            }
        }
        put(&mut blob, APPLICATION);
        blob
    }

    fn line(&self) -> String {
        let base64 = openssl::base64::encode_block(&self.blob());
        format!("{} {base64} device\n", self.kind())
    }

    /// The signature as an agent gives it.
    fn sign(&self, data: &[u8], counter: u32) -> Vec<u8> {
        let counter = counter.to_be_bytes();
        let signed = [
            &sha256(APPLICATION)[..],
            &[PRESENT],
            &counter,
            &sha256(data)[..],
        ]
        .concat();
        let mut signature = Vec::new();
        put(&mut signature, self.kind().as_bytes());
        match self {
            Device::Ed25519(key) => {
                let mut signer = Signer::new_without_digest(key).unwrap();
                put(
                    &mut signature,
                    &signer.sign_oneshot_to_vec(&signed).unwrap(),
                );
            }
            Device::Ecdsa(key) => {
                let made = EcdsaSig::sign(&sha256(&signed), key).unwrap();
                let mut parts = Vec::new();
                for number in [made.r(), made.s()] {
                    // An mpint of a number above zero (RFC 4251 section 5).
                    let mut bytes = number.to_vec();
                    if bytes[0] >= 0x80 {
                        bytes.insert(0, 0);
                    }
                    put(&mut parts, &bytes);
                }
                put(&mut signature, &parts);
            }
        }
        signature.push(PRESENT);
        signature.extend_from_slice(&counter);
        signature
    }
}

/// An agent that has one key, in a device.
struct DeviceAgent {
    socket: PathBuf,
    /// Nobody touches the device.
    refuses: Arc<AtomicBool>,
    signed: Arc<AtomicUsize>,
    _dir: Scratch,
}

impl DeviceAgent {
    fn start(device: Device) -> Self {
        let dir = Scratch::new("device");
        let socket = dir.path().join("socket");
        let listener = UnixListener::bind(&socket).unwrap();
        let (refuses, signed) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let agent = DeviceAgent {
            socket,
            refuses: Arc::clone(&refuses),
            signed: Arc::clone(&signed),
            _dir: dir,
        };
        std::thread::spawn(move || {
            for mut client in listener.incoming().map_while(Result::ok) {
                while answer(&mut client, &device, &refuses, &signed).is_some() {}
            }
        });
        agent
    }
}

fn answer(
    client: &mut UnixStream,
    device: &Device,
    refuses: &AtomicBool,
    signed: &AtomicUsize,
) -> Option<()> {
    let mut length = [0; 4];
    client.read_exact(&mut length).ok()?;
    let mut request = vec![0; u32::from_be_bytes(length) as usize];
    client.read_exact(&mut request).ok()?;
    let mut said = Vec::new();
    match request[0] {
        11 => {
            said.extend_from_slice(&[12, 0, 0, 0, 1]);
            put(&mut said, &device.blob());
            put(&mut said, b"device");
        }
        13 if !refuses.load(Ordering::SeqCst) => {
            let mut rest = &request[1..];
            assert_eq!(take(&mut rest), device.blob());
            let count = signed.fetch_add(1, Ordering::SeqCst);
            said.push(14);
            put(
                &mut said,
                &device.sign(take(&mut rest), 7 + u32::try_from(count).unwrap()),
            );
        }
        _ => said.push(5),
    }
    let mut framed = Vec::new();
    put(&mut framed, &said);
    client.write_all(&framed).ok()
}

/// Lets this key in at the only host of a fleet, whose own directory is found by its log.
fn hosts_with(line: &str) -> (Fleet, PathBuf) {
    let file = PathBuf::from(format!(
        "/run/mcp-ssh-orchestrator-test/device-{}-{}",
        std::process::id(),
        line.len()
    ));
    login().password();
    fs::write(&file, line).unwrap();
    let spec = HostSpec::new("web1").sshd(&format!("AuthorizedKeysFile {}", file.display()));
    (Fleet::with(vec![spec]), file)
}

#[test]
fn a_key_in_a_device_signs() {
    for kind in ["ed25519", "ecdsa"] {
        let device = Device::new(kind);
        let (fleet, file) = hosts_with(&device.line());
        let named = device.kind();
        fleet.setup.key("device.pub", &device.line());
        let agent = DeviceAgent::start(device);
        for lines in [
            &["agent: true"][..],
            &["agent: true", "identity: device.pub"],
        ] {
            fleet.log_in_with(lines);
            let direct = Direct::with_agent(&fleet.setup, Some(agent.socket.clone()));
            let ran = direct.run("web1", "echo hello");
            assert!(
                ran.report.error.is_none(),
                "{kind}: {:?}\n{}",
                ran.report.error,
                fleet.host("web1").log().join("\n")
            );
            assert_eq!(ran.out(), "hello\n");
        }
        assert_eq!(agent.signed.load(Ordering::SeqCst), 2);
        let short = if kind == "ed25519" {
            "ED25519-SK"
        } else {
            "ECDSA-SK"
        };
        fleet
            .host("web1")
            .wait_log(&format!("Accepted publickey for {} from", login().name));
        assert!(
            fleet.host("web1").log().join("\n").contains(short),
            "{named}"
        );
        // Nobody touches it: that is said, and is no wrong key.
        agent.refuses.store(true, Ordering::SeqCst);
        let direct = Direct::with_agent(&fleet.setup, Some(agent.socket.clone()));
        let ran = direct.run("web1", "echo hello");
        assert!(
            matches!(ran.error(), SshError::Key(KeyProblem::Agent { .. })),
            "{:?}",
            ran.report
        );
        fs::remove_file(file).unwrap();
    }
}

/// A real agent with more keys than a host has patience for.
#[test]
fn identity_names_the_one_key_that_is_offered() {
    let fleet = Fleet::with(vec![HostSpec::new("web1").sshd("MaxAuthTries 3")]);
    let agent = Agent::start();
    for number in 0..8 {
        let file = fleet.setup.keys.join(format!("other-{number}"));
        run(
            "ssh-keygen",
            &[
                "-q",
                "-t",
                "ed25519",
                "-N",
                "",
                "-f",
                file.to_str().unwrap(),
            ],
        );
        agent.add(&file);
    }
    let public = fleet.new_key("mine", &["-t", "ed25519", "-N", ""]);
    let mine = fleet.setup.keys.join("mine");
    agent.add(&mine);
    fs::remove_file(mine).unwrap();
    fleet.setup.key("mine.pub", &public);
    let direct = || Direct::with_agent(&fleet.setup, Some(agent.socket.clone()));
    fleet.log_in_with(&["agent: true"]);
    let ran = direct().run("web1", "echo hello");
    assert!(
        matches!(ran.error(), SshError::Denied { .. }),
        "{:?}",
        ran.report
    );
    let refusals = || {
        fleet
            .host("web1")
            .log()
            .join("\n")
            .matches("Failed publickey")
            .count()
    };
    let before = refusals();
    fleet.log_in_with(&["agent: true", "identity: mine.pub"]);
    assert_eq!(direct().run("web1", "echo hello").ok().out(), "hello\n");
    assert_eq!(refusals(), before);
    // One that the agent does not hold: no other is offered in its place.
    let absent = fleet.setup.keys.join("absent");
    run(
        "ssh-keygen",
        &[
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-f",
            absent.to_str().unwrap(),
        ],
    );
    fleet.log_in_with(&["agent: true", "identity: absent.pub"]);
    let ran = direct().run("web1", "echo hello");
    assert!(
        matches!(ran.error(), SshError::Key(KeyProblem::Identity { .. })),
        "{:?}",
        ran.report
    );
    assert_eq!(refusals(), before);
    // What is no public key is told by check, and so is one without an agent.
    fleet
        .setup
        .env("SSH_AUTH_SOCK", agent.socket.to_str().unwrap());
    fleet.log_in_with(&["agent: true", "identity: id_fleet"]);
    let check = run_cli(&fleet.setup, &["check"]);
    let text = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(text.contains("identity names a .pub file"), "{text}");
    fleet.log_in_with(&["key_path: id_fleet", "identity: mine.pub"]);
    let check = run_cli(&fleet.setup, &["check"]);
    let text = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(text.contains("identity beside agent: true"), "{text}");
}
