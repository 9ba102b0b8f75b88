//! What a private key file is, as far as it can be told without its passphrase.
//!
//! Owns the reading of the clear part of both forms (PROTOCOL.key of OpenSSH; RFC 1421
//! headers), so that a missing passphrase is said before a login is tried, and so that
//! libssh2 need not derive the public half, which would cost the key's whole slow
//! derivation a second time. Decrypts nothing. Called by [`crate::ssh::login::auth`].

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::ssh::encoding::{put_string, take_string};
use crate::ssh::error::KeyProblem;
use crate::ssh::host_keys::PublicKey;

const OPENSSH_BEGIN: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";
const OPENSSH_END: &str = "-----END OPENSSH PRIVATE KEY-----";
const OPENSSH_MAGIC: &[u8] = b"openssh-key-v1\0";

/// The clear part of a private key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct KeyFace {
    pub(crate) encrypted: bool,
    /// Known for the OpenSSH form alone; PEM hides it behind the passphrase.
    pub(crate) public: Option<PublicKey>,
}

/// # Errors
/// Neither form, or not whole.
pub(crate) fn inspect(file: &[u8]) -> Result<KeyFace, KeyProblem> {
    let text = std::str::from_utf8(file).map_err(|_| format("not a text file"))?;
    if let Some(oddity) = oddity(text) {
        return Err(format(oddity));
    }
    if let Some((_, rest)) = text.split_once(OPENSSH_BEGIN) {
        let (body, _) = rest
            .split_once(OPENSSH_END)
            .ok_or_else(|| format("the end line is missing"))?;
        return inspect_openssh(body);
    }
    let Some((_, rest)) = text.split_once("-----BEGIN ") else {
        return Err(format("no BEGIN line"));
    };
    let (label, _) = rest.split_once("-----").unwrap_or_default();
    if !label.ends_with("PRIVATE KEY") {
        return Err(format("not a private key"));
    }
    if !rest.contains("-----END ") {
        return Err(format("the end line is missing"));
    }
    let encrypted = label == "ENCRYPTED PRIVATE KEY" || rest.contains("Proc-Type: 4,ENCRYPTED");
    Ok(KeyFace {
        encrypted,
        public: None,
    })
}

/// What is often wrong with a file that was meant to be a private key, and what helps.
fn oddity(text: &str) -> Option<&'static str> {
    let first = text.lines().find(|line| !line.trim().is_empty())?;
    if text.starts_with('\u{feff}') {
        return Some("it begins with a byte order mark: save it as plain text, without one");
    }
    if first.starts_with("ssh-") || first.starts_with("ecdsa-") || first.starts_with("sk-") {
        return Some("it is a public key: key_path names the private one, not the .pub");
    }
    if first.starts_with("PuTTY-User-Key-File") {
        return Some("it is PuTTY's: convert it with puttygen FILE -O private-openssh -o NEW");
    }
    if first.contains("SSH2 PUBLIC KEY") || first.contains("BEGIN PUBLIC KEY") {
        return Some("it is a public key: key_path names the private one");
    }
    if text.contains("-----BEGIN DSA PRIVATE KEY-----") {
        return Some("it is a DSA key, which no server takes any more: make one of Ed25519");
    }
    let is_blank_ended = |line: &str| line.starts_with("-----") && line.ends_with([' ', '\t']);
    // The lines' ends may be those of Windows.
    if text
        .split('\n')
        .any(|line| is_blank_ended(line.trim_end_matches('\r')))
    {
        return Some("its BEGIN or END line ends in blanks: take them out");
    }
    None
}

fn inspect_openssh(body: &str) -> Result<KeyFace, KeyProblem> {
    let mut base64 = Zeroizing::new(String::with_capacity(body.len()));
    base64.extend(body.chars().filter(|c| !c.is_ascii_whitespace()));
    let bytes = STANDARD
        .decode(base64.as_bytes())
        .map_err(|_| format("not base64"))?;
    let bytes = Zeroizing::new(bytes);
    let is_dsa = |face: &KeyFace| matches!(&face.public, Some(key) if key.kind() == "ssh-dss");
    let face = || -> Option<KeyFace> {
        let rest = bytes.strip_prefix(OPENSSH_MAGIC)?;
        let (cipher, rest) = take_string(rest)?;
        let (_kdf, rest) = take_string(rest)?;
        let (_options, rest) = take_string(rest)?;
        let (_count, rest) = rest.split_first_chunk::<4>()?;
        let (public, _) = take_string(rest)?;
        Some(KeyFace {
            encrypted: cipher != b"none",
            public: Some(PublicKey::from_blob(public.to_vec())?),
        })
    };
    let face = face().ok_or_else(|| format("not a whole key"))?;
    if is_dsa(&face) {
        return Err(format(
            "it is a DSA key, which no server takes any more: make one of Ed25519",
        ));
    }
    Ok(face)
}

/// A key file of OpenSSH's form without a passphrase, of a public key and the private part
/// that belongs to it.
pub(crate) fn plain_file(public: &PublicKey, private: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let room = OPENSSH_MAGIC
        .len()
        .checked_add(public.blob().len())?
        .checked_add(private.len())?
        .checked_add(64)?;
    // Made as large as they get: what grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    bytes.extend_from_slice(OPENSSH_MAGIC);
    for name in [&b"none"[..], b"none", b""] {
        put_string(&mut bytes, name)?;
    }
    bytes.extend_from_slice(&1_u32.to_be_bytes());
    put_string(&mut bytes, public.blob())?;
    put_string(&mut bytes, private)?;
    let mut base64 = Zeroizing::new(vec![0; base64::encoded_len(bytes.len(), true)?]);
    STANDARD.encode_slice(&*bytes, &mut base64).ok()?;
    let mut file = Zeroizing::new(Vec::with_capacity(base64.len().checked_mul(2)?.max(1024)));
    file.extend_from_slice(OPENSSH_BEGIN.as_bytes());
    for line in base64.chunks(64) {
        file.push(b'\n');
        file.extend_from_slice(line);
    }
    file.push(b'\n');
    file.extend_from_slice(OPENSSH_END.as_bytes());
    file.push(b'\n');
    Some(file)
}

/// The line of a certificate file, without comment: type and base64.
///
/// # Errors
/// Not an OpenSSH user certificate.
pub(crate) fn certificate_line(file: &[u8]) -> Result<(PublicKey, String), KeyProblem> {
    let bad = |cause: &str| KeyProblem::Certificate {
        cause: cause.into(),
    };
    let text = std::str::from_utf8(file).map_err(|_| bad("not a text file"))?;
    let mut words = text.split_ascii_whitespace();
    let (Some(kind), Some(blob)) = (words.next(), words.next()) else {
        return Err(bad("not one line of type and key"));
    };
    let blob = STANDARD.decode(blob).map_err(|_| bad("not base64"))?;
    let key = PublicKey::from_blob(blob).ok_or_else(|| bad("not a key"))?;
    if key.kind() != kind || !kind.ends_with("-cert-v01@openssh.com") {
        return Err(bad("not an OpenSSH certificate"));
    }
    let line = key.to_line();
    Ok((key, line))
}

/// The key of a public key file: one line of type, base64 and perhaps a comment.
///
/// # Errors
/// Another file, in words.
pub(crate) fn public_line(file: &[u8]) -> Result<PublicKey, &'static str> {
    const WRONG: &str = "it is no public key: identity names a .pub file, as ssh-add -L prints it";
    let text = std::str::from_utf8(file).map_err(|_| WRONG)?;
    let mut words = text.split_ascii_whitespace();
    let (Some(kind), Some(blob)) = (words.next(), words.next()) else {
        return Err(WRONG);
    };
    let blob = STANDARD.decode(blob).map_err(|_| WRONG)?;
    let key = PublicKey::from_blob(blob).ok_or(WRONG)?;
    match key.kind() == kind {
        true => Ok(key),
        false => Err(WRONG),
    }
}

fn format(cause: &str) -> KeyProblem {
    KeyProblem::Format {
        cause: cause.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_key_says_so() {
        for file in [
            &b""[..],
            b"hello",
            b"\xff\xfe",
            b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
            b"-----BEGIN RSA PRIVATE KEY-----\nMII",
            b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n",
            b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
        ] {
            assert!(
                matches!(inspect(file), Err(KeyProblem::Format { .. })),
                "{file:?}"
            );
        }
    }

    #[test]
    fn what_is_often_wrong_says_what_helps() {
        let clear = "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n";
        assert!(inspect(clear.replace('\n', "\r\n").as_bytes()).is_ok());
        for (file, says) in [
            (format!("\u{feff}{clear}"), "byte order mark"),
            ("ssh-ed25519 AAAA me@here\n".into(), "not the .pub"),
            ("PuTTY-User-Key-File-3: ssh-ed25519\n".into(), "puttygen"),
            (clear.replace("-\nAA", "- \nAA"), "blanks"),
            (clear.replace("PRIVATE", "DSA PRIVATE"), "DSA"),
            (clear.replace("PRIVATE", "PUBLIC"), "public key"),
        ] {
            let Err(KeyProblem::Format { cause }) = inspect(file.as_bytes()) else {
                panic!("{file}");
            };
            assert!(cause.contains(says), "{cause}");
        }
    }

    #[test]
    fn encrypted_pem_is_told_by_its_headers() {
        let old = b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAA==\n-----END RSA PRIVATE KEY-----\n";
        let new =
            b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----\n";
        let clear = b"-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n";
        assert!(inspect(old).unwrap().encrypted);
        assert!(inspect(new).unwrap().encrypted);
        assert!(!inspect(clear).unwrap().encrypted);
    }
}
