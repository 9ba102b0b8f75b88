//! Signatures over a text, made and checked by the `ssh-keygen` of whoever runs the command.
//!
//! Owns the calls. OpenSSH's own program holds the keys (files with a passphrase, an agent,
//! hardware), reads allowed_signers with all its options, and knows every kind of signature;
//! nothing of that is done a second time here. What was checked is the bytes that it was given
//! on its stdin, and nothing else. Called by `audit sign` and `audit verify`, by a person and
//! never by the server, which can start no program.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::model::text::visible;

/// What a signature is for (`ssh-keygen -n`), so that none made for something else counts.
pub(crate) const NAMESPACE: &str = "audit-heads@mcp-ssh-orchestrator.github.io";

const PROGRAM: &str = "ssh-keygen";

/// What is behind a text's name for its signature, as `ssh-keygen -Y sign` has it.
const SUFFIX: &str = ".sig";

/// The file of a text's signature.
pub(crate) fn file_of(text: &Path) -> PathBuf {
    let mut name = text.as_os_str().to_owned();
    name.push(SUFFIX);
    name.into()
}

/// Signs `text`; the answer is the armoured signature. Whatever the key needs of a person is
/// asked for by `ssh-keygen` itself, on the terminal.
///
/// # Errors
/// There is no `ssh-keygen`, or it did not sign: it has said why on stderr then.
pub(crate) fn sign(key: &Path, text: &[u8]) -> Result<Vec<u8>, String> {
    let arguments = ["-q", "-Y", "sign", "-n", NAMESPACE, "-f"].map(OsStr::new);
    let mut command = Command::new(PROGRAM);
    command.args(arguments).arg(key).stderr(Stdio::inherit());
    let output = run(command, text)?;
    let armoured = output.stdout.starts_with(b"-----BEGIN SSH SIGNATURE-----");
    if !output.status.success() || !armoured {
        return Err(format!("{PROGRAM} did not sign ({})", output.status));
    }
    Ok(output.stdout)
}

/// Who may be meant by a signature: the principals that have its key in `allowed`.
///
/// # Errors
/// There is no `ssh-keygen`, or nobody in `allowed` has the key.
pub(crate) fn principals(signature: &Path, allowed: &Path) -> Result<Vec<String>, String> {
    let mut command = Command::new(PROGRAM);
    command.args(["-Y", "find-principals", "-s"]).arg(signature);
    command.arg("-f").arg(allowed).stderr(Stdio::piped());
    let output = run(command, b"")?;
    if !output.status.success() {
        let (allowed, said) = (allowed.display(), said(&output));
        return Err(format!("{allowed} names no signer with its key: {said}"));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    // Older ones print a line as it is in the file.
    let found = text.split(['\n', ',']).map(str::trim);
    Ok(found.filter(|p| !p.is_empty()).map(str::to_owned).collect())
}

/// Whether `signature` is one over `text`, for our purpose, by a key that `allowed` gives to
/// `principal` now. The answer is what `ssh-keygen` says of it.
///
/// # Errors
/// It is not, or cannot be checked, and why.
pub(crate) fn verify(
    text: &[u8],
    signature: &Path,
    allowed: &Path,
    principal: &str,
) -> Result<String, String> {
    let mut command = Command::new(PROGRAM);
    command.args(["-Y", "verify", "-n", NAMESPACE, "-I", principal]);
    command.arg("-s").arg(signature).arg("-f").arg(allowed);
    command.stderr(Stdio::piped());
    let output = run(command, text)?;
    match output.status.success() {
        true => Ok(said(&output)),
        false => Err(said(&output)),
    }
}

fn run(mut command: Command, stdin: &[u8]) -> Result<Output, String> {
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = spawned.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!(
            "there is no {PROGRAM} here (Debian: openssh-client): run this where there is one"
        ),
        _ => format!("cannot start {PROGRAM}: {error}"),
    })?;
    if let Some(mut to) = child.stdin.take() {
        // One that ends before it has read all says so by its exit code.
        let _ = to.write_all(stdin);
    }
    let output = child.wait_with_output();
    output.map_err(|error| format!("{PROGRAM}: {error}"))
}

/// What it said, on one line.
fn said(output: &Output) -> String {
    let both = [&output.stderr, &output.stdout].map(|bytes| String::from_utf8_lossy(bytes));
    let lines = both.iter().flat_map(|text| text.lines()).map(str::trim);
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    match lines.as_slice() {
        [] => format!("{PROGRAM} ended with {}", output.status),
        lines => visible(&lines.join("; ")),
    }
}
