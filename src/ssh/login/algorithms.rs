//! Which algorithms a session may use, best first.
//!
//! Owns the lists. Refuses SHA-1 in signatures and MACs, CBC, and small or SHA-1 groups
//! unless the host says `legacy_algorithms: true`, which adds what this build of libssh2
//! still knows of them: AES in CBC mode. Nothing with SHA-1 in it is compiled in at all.
//! Called by [`crate::ssh::login`].

use std::ffi::CString;

use crate::model::names::HostAlias;
use crate::ssh::libssh2::{Fault, Method, Session};
use crate::ssh::run_report::Negotiated;

/// Hybrid post-quantum first (draft-ietf-sshm-mlkem-hybrid-kex), then elliptic curves, then
/// groups of 3072 bits or what the server offers.
const KEX: &str = "mlkem768x25519-sha256,mlkem768nistp256-sha256,mlkem1024nistp384-sha384,\
    curve25519-sha256,curve25519-sha256@libssh.org,\
    ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,\
    diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,\
    diffie-hellman-group-exchange-sha256,diffie-hellman-group14-sha256";

const CIPHERS: &str = "chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com,\
    aes256-ctr,aes192-ctr,aes128-ctr";
const LEGACY_CIPHERS: &str = "aes256-cbc,aes192-cbc,aes128-cbc";

const MACS: &str =
    "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha2-256,hmac-sha2-512";

/// Signature algorithms of host keys with the key type that each needs.
const HOST_KEYS: [(&str, &str); 6] = [
    ("ssh-ed25519", "ssh-ed25519"),
    ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"),
    ("ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384"),
    ("ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521"),
    ("rsa-sha2-512", "ssh-rsa"),
    ("rsa-sha2-256", "ssh-rsa"),
];

/// What a session may negotiate, for each part the names, best first.
pub(crate) struct Offer {
    host_keys: String,
    ciphers: String,
}

impl Offer {
    /// The host is asked first for the key types that are on record for it, so that a second
    /// key of another type raises no alarm.
    pub(crate) fn new(known_kinds: &[&str], legacy: bool) -> Self {
        Self {
            host_keys: host_keys(known_kinds),
            ciphers: if legacy {
                format!("{CIPHERS},{LEGACY_CIPHERS}")
            } else {
                CIPHERS.to_owned()
            },
        }
    }

    /// In the order of the parts in a key exchange's first packet (RFC 4253 section 7.1).
    pub(crate) fn parts(&self) -> [(&'static str, &str); 6] {
        [
            ("key exchange", KEX),
            ("host key type", &self.host_keys),
            ("cipher", &self.ciphers),
            ("cipher", &self.ciphers),
            ("MAC", MACS),
            ("MAC", MACS),
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
        Ok(())
    }
}

/// Narrows the offer to host keys of one type.
///
/// # Errors
/// libssh2 does not know the type.
pub(crate) fn offer_only(session: &mut Session, kind: &str) -> Result<(), Fault> {
    let of_kind = HOST_KEYS.iter().filter(|(_, other)| *other == kind);
    let names: Vec<&str> = of_kind.map(|(name, _)| *name).collect();
    session.prefer(
        Method::HostKey,
        &CString::new(names.join(",")).unwrap_or_default(),
    )
}

fn host_keys(known_kinds: &[&str]) -> String {
    let is_known = |kind: &str| known_kinds.contains(&kind);
    let known = HOST_KEYS.iter().filter(|(_, kind)| is_known(kind));
    let others = HOST_KEYS.iter().filter(|(_, kind)| !is_known(kind));
    let names: Vec<&str> = known.chain(others).map(|(name, _)| *name).collect();
    names.join(",")
}

/// The key types that a host has of those that are known here, by the algorithms that it
/// offers; all of them, where these were not heard. For `trust`, which asks for each.
pub(crate) fn host_key_kinds(offered: Option<&[String]>) -> Vec<&'static str> {
    let is_offered = |name: &str| match offered {
        Some(offered) => offered.iter().any(|other| other == name),
        None => true,
    };
    let mut kinds: Vec<&str> = HOST_KEYS
        .iter()
        .filter(|(name, _)| is_offered(name))
        .map(|(_, kind)| *kind)
        .collect();
    kinds.dedup();
    kinds
}

/// What a session agreed on, for the log.
pub(crate) fn negotiated(session: &Session, alias: &HostAlias) -> Negotiated {
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
        assert!(host_keys(&["ssh-rsa"]).starts_with("rsa-sha2-512,rsa-sha2-256,ssh-ed25519,"));
        assert!(host_keys(&[]).starts_with("ssh-ed25519,"));
    }

    #[test]
    fn libssh2_knows_every_name() {
        let mut session = Session::new().unwrap();
        let lists = [
            (Method::Kex, KEX),
            (Method::CipherIn, CIPHERS),
            (Method::CipherIn, LEGACY_CIPHERS),
            (Method::MacIn, MACS),
        ];
        for (method, list) in lists {
            for name in list.split(',') {
                session
                    .prefer(method, &CString::new(name).unwrap())
                    .unwrap_or_else(|e| panic!("{name}: {e:?}"));
            }
        }
        for (name, _) in HOST_KEYS {
            session
                .prefer(Method::HostKey, &CString::new(name).unwrap())
                .unwrap();
        }
    }
}
