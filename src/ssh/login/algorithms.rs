//! Which algorithms a session may use, best first.
//!
//! Owns the lists. Refuses SHA-1 in signatures, groups and MACs, CBC, and small groups unless
//! the host says `legacy_algorithms: true`, which adds them behind the others: what is older
//! is agreed on only where the host has nothing newer. libssh2 has them compiled in
//! (`.cargo/config.toml`), and would sign a login by an RSA key with SHA-1 where a host does
//! not say what it takes, so the signature of each login is named here, too.
//! Called by [`crate::ssh::login`].

use std::ffi::CString;

use crate::model::names::HostAlias;
use crate::ssh::host_keys::certificate::ALGORITHMS;
use crate::ssh::libssh2::{Fault, Method, Session};
use crate::ssh::run_report::Negotiated;

/// Hybrid post-quantum first (draft-ietf-sshm-mlkem-hybrid-kex), then elliptic curves, then
/// groups of 3072 bits or what the server offers.
const KEX: &str = "mlkem768x25519-sha256,mlkem768nistp256-sha256,mlkem1024nistp384-sha384,\
    curve25519-sha256,curve25519-sha256@libssh.org,\
    ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,\
    diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,\
    diffie-hellman-group-exchange-sha256,diffie-hellman-group14-sha256";
/// Groups of 2048 and 1024 bits, hashed with SHA-1 (RFC 4253 section 8).
const LEGACY_KEX: &str = "diffie-hellman-group14-sha1,diffie-hellman-group1-sha1";

const CIPHERS: &str = "chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com,\
    aes256-ctr,aes192-ctr,aes128-ctr";
const LEGACY_CIPHERS: &str = "aes256-cbc,aes192-cbc,aes128-cbc,3des-cbc";

const MACS: &str =
    "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha2-256,hmac-sha2-512";
const LEGACY_MACS: &str = "hmac-sha1";

/// Signature algorithms of host keys with the key type that each needs.
const HOST_KEYS: [(&str, &str); 6] = [
    ("ssh-ed25519", "ssh-ed25519"),
    ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"),
    ("ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384"),
    ("ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521"),
    ("rsa-sha2-512", "ssh-rsa"),
    ("rsa-sha2-256", "ssh-rsa"),
];

/// RSA with SHA-1 (RFC 4253 section 6.6), which has the name of the key's type.
const LEGACY_HOST_KEY: (&str, &str) = ("ssh-rsa", "ssh-rsa");

/// Signatures that an RSA key may make in a login, best first, where the host says which ones
/// it takes (RFC 8308 section 3.1).
const RSA_SIGNATURES: &str = "rsa-sha2-512,rsa-sha2-256";
const LEGACY_RSA_SIGNATURES: &str = "rsa-sha2-512,rsa-sha2-256,ssh-rsa";

/// What a session may negotiate, for each part the names, best first.
pub(crate) struct Offer {
    kex: String,
    host_keys: String,
    ciphers: String,
    macs: String,
    legacy: bool,
}

impl Offer {
    /// The host is asked first for the key types that are on record for it, so that a second
    /// key of another type raises no alarm.
    pub(crate) fn new(known_kinds: &[&str], legacy: bool) -> Self {
        let with = |safe: &str, old: &str| match legacy {
            true => format!("{safe},{old}"),
            false => safe.to_owned(),
        };
        Self {
            kex: with(KEX, LEGACY_KEX),
            host_keys: host_keys(known_kinds, legacy),
            ciphers: with(CIPHERS, LEGACY_CIPHERS),
            macs: with(MACS, LEGACY_MACS),
            legacy,
        }
    }

    /// Asks for a certificate first, of any type.
    pub(crate) fn with_certificates(mut self) -> Self {
        self.host_keys = format!("{},{}", ALGORITHMS.join(","), self.host_keys);
        self
    }

    /// In the order of the parts in a key exchange's first packet (RFC 4253 section 7.1).
    pub(crate) fn parts(&self) -> [(&'static str, &str); 6] {
        [
            ("key exchange", &self.kex),
            ("host key type", &self.host_keys),
            ("cipher", &self.ciphers),
            ("cipher", &self.ciphers),
            ("MAC", &self.macs),
            ("MAC", &self.macs),
        ]
    }

    /// Tells a new session.
    ///
    /// # Errors
    /// libssh2 knows none of a list; cannot happen with the library this is built with.
    pub(crate) fn apply(&self, session: &mut Session) -> Result<(), Fault> {
        let methods = [
            Method::Kex,
            Method::HostKey,
            Method::CipherOut,
            Method::CipherIn,
            Method::MacOut,
            Method::MacIn,
        ];
        for (method, (_, names)) in methods.into_iter().zip(self.parts()) {
            // None of the lists has a NUL.
            session.prefer(method, &CString::new(names).unwrap_or_default())?;
        }
        let signatures = match self.legacy {
            true => LEGACY_RSA_SIGNATURES,
            false => RSA_SIGNATURES,
        };
        prefer_signatures(session, signatures)
    }

    /// Narrows the offer to host keys of one type.
    pub(crate) fn only(mut self, kind: &str) -> Self {
        let of_kind = known_host_keys(self.legacy).filter(|(_, other)| *other == kind);
        self.host_keys = of_kind.map(|(name, _)| name).collect::<Vec<_>>().join(",");
        self
    }
}

/// One way to sign a login.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Signing {
    /// The line of the public key or certificate. Its first word names the signature; where
    /// that is the plain name of RSA, libssh2 takes the first of `among` that the host says it
    /// takes, and SHA-1 where it says nothing.
    pub(crate) line: String,
    pub(crate) among: &'static str,
}

/// The ways to sign that a key may be tried with, in this order. A line with RSA's plain name
/// is for a host with `legacy_algorithms` alone. `rsa-sha2-256` is the signature that every
/// host has that knows better than SHA-1 (RFC 8332 section 3).
pub(crate) fn signings(line: &str, legacy: bool) -> Vec<Signing> {
    let signing = |line: String, among| Signing { line, among };
    let plain = |among| signing(line.to_owned(), among);
    let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
    let suffix = match kind {
        "ssh-rsa" => "",
        "ssh-rsa-cert-v01@openssh.com" => "-cert-v01@openssh.com",
        _ => return vec![plain(RSA_SIGNATURES)],
    };
    if legacy {
        // sshd names what it knows, not what it is configured to take.
        return vec![plain(LEGACY_RSA_SIGNATURES), plain(LEGACY_HOST_KEY.0)];
    }
    let named = |name: &str| signing(format!("{name}{suffix} {rest}"), RSA_SIGNATURES);
    vec![named("rsa-sha2-256"), named("rsa-sha2-512")]
}

/// Names what an RSA key may sign with, where libssh2 chooses.
///
/// # Errors
/// Out of memory.
pub(crate) fn prefer_signatures(session: &mut Session, names: &str) -> Result<(), Fault> {
    let names = CString::new(names).unwrap_or_default();
    session.prefer(Method::Signature, &names)
}

fn known_host_keys(legacy: bool) -> impl Iterator<Item = (&'static str, &'static str)> {
    let old = legacy.then_some(LEGACY_HOST_KEY);
    HOST_KEYS.iter().copied().chain(old)
}

/// What is older stays last, whatever is on record.
fn host_keys(known_kinds: &[&str], legacy: bool) -> String {
    let is_known = |kind: &str| known_kinds.contains(&kind);
    let known = HOST_KEYS.iter().filter(|(_, kind)| is_known(kind));
    let others = HOST_KEYS.iter().filter(|(_, kind)| !is_known(kind));
    let old = legacy.then_some(&LEGACY_HOST_KEY);
    let names: Vec<&str> = known
        .chain(others)
        .chain(old)
        .map(|(name, _)| *name)
        .collect();
    names.join(",")
}

/// The key types that a host has of those that are known here, by the algorithms that it
/// offers; all of them, where these were not heard. For `trust`, which asks for each.
pub(crate) fn host_key_kinds(offered: Option<&[String]>, legacy: bool) -> Vec<&'static str> {
    let is_offered = |name: &str| match offered {
        Some(offered) => offered.iter().any(|other| other == name),
        None => true,
    };
    let mut kinds: Vec<&str> = known_host_keys(legacy)
        .filter(|(name, _)| is_offered(name))
        .map(|(_, kind)| kind)
        .collect();
    kinds.dedup();
    kinds
}

/// What a session agreed on, for the log.
pub(crate) fn negotiated(session: &Session, alias: &HostAlias, legacy: bool) -> Negotiated {
    let of = |method| session.negotiated(method).unwrap_or_else(|| "-".into());
    // These ciphers authenticate what they encrypt; a MAC is named for them and not used.
    let mac = |cipher: &str, method| {
        if cipher.contains("poly1305") || cipher.contains("-gcm@") {
            "implicit".into()
        } else {
            of(method)
        }
    };
    let (cipher_out, cipher_in) = (of(Method::CipherOut), of(Method::CipherIn));
    Negotiated {
        alias: alias.clone(),
        legacy_algorithms: legacy,
        kex: of(Method::Kex),
        host_key: of(Method::HostKey),
        mac_out: mac(&cipher_out, Method::MacOut),
        mac_in: mac(&cipher_in, Method::MacIn),
        cipher_out,
        cipher_in,
        server: session.peer_version().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_types_come_first() {
        let known = host_keys(&["ssh-rsa"], false);
        assert!(known.starts_with("rsa-sha2-512,rsa-sha2-256,ssh-ed25519,"));
        assert!(host_keys(&[], false).starts_with("ssh-ed25519,"));
        assert!(host_keys(&["ssh-rsa"], true).ends_with(",ssh-rsa"));
    }

    #[test]
    fn sha1_signs_where_it_is_allowed_alone() {
        let lines = |kind: &str, legacy| {
            let signings = signings(&format!("{kind} AAAA"), legacy);
            let shown = signings.iter();
            shown
                .map(|signing| format!("{} {}", signing.line, signing.among))
                .collect::<Vec<_>>()
        };
        let sha2 = "rsa-sha2-512,rsa-sha2-256";
        assert_eq!(
            lines("ssh-ed25519", true),
            [format!("ssh-ed25519 AAAA {sha2}")]
        );
        assert_eq!(
            lines("ssh-rsa", false),
            [
                format!("rsa-sha2-256 AAAA {sha2}"),
                format!("rsa-sha2-512 AAAA {sha2}")
            ]
        );
        assert_eq!(
            lines("ssh-rsa", true),
            [
                format!("ssh-rsa AAAA {sha2},ssh-rsa"),
                "ssh-rsa AAAA ssh-rsa".to_owned()
            ]
        );
        assert_eq!(
            lines("ssh-rsa-cert-v01@openssh.com", false),
            [
                format!("rsa-sha2-256-cert-v01@openssh.com AAAA {sha2}"),
                format!("rsa-sha2-512-cert-v01@openssh.com AAAA {sha2}")
            ]
        );
    }

    #[test]
    fn libssh2_knows_every_name() {
        let mut session = Session::new().unwrap();
        let lists = [
            (Method::Kex, KEX),
            (Method::Kex, LEGACY_KEX),
            (Method::CipherIn, CIPHERS),
            (Method::CipherIn, LEGACY_CIPHERS),
            (Method::MacIn, MACS),
            (Method::MacIn, LEGACY_MACS),
        ];
        for (method, list) in lists {
            for name in list.split(',') {
                session
                    .prefer(method, &CString::new(name).unwrap())
                    .unwrap_or_else(|e| panic!("{name}: {e:?}"));
            }
        }
        for (name, _) in known_host_keys(true) {
            session
                .prefer(Method::HostKey, &CString::new(name).unwrap())
                .unwrap();
        }
    }
}
