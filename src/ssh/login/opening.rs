//! What a host said in the clear when no session came of it: why, in its words or by the
//! algorithms that it has.
//!
//! Reads the first bytes of a connection, up to the host's offer of algorithms (RFC 4253
//! sections 4.2 and 7.1), which are not encrypted. libssh2 reports neither. Believes nothing
//! of it: it only makes an error say more. Called by [`crate::ssh::login`].

use crate::ssh::encoding::take_string;
use crate::ssh::error::SshError;
use crate::ssh::login::algorithms::Offer;
use crate::ssh::phase::Phase;
use crate::ssh::said::IT_SAID;

/// `SSH_MSG_KEXINIT`
const KEXINIT: u8 = 20;
/// Bytes of a message that are quoted.
const QUOTE_MAX: usize = 200;

/// The algorithms of host keys in the host's offer; `None` if it was not heard whole.
pub(crate) fn offered_key_types(opening: &[u8]) -> Option<Vec<String>> {
    let lists = host_offer(after_version(opening)?)?;
    Some(lists.get(1)?.split(',').map(str::to_owned).collect())
}

/// The error with what the host said, where that says more.
pub(crate) fn explain_opening(error: SshError, opening: &[u8], ours: &Offer) -> SshError {
    let is_silent_end = matches!(
        error,
        SshError::LinkLost {
            phase: Phase::Handshake,
            ..
        } | SshError::Protocol {
            phase: Phase::Handshake,
            ..
        }
    );
    if !is_silent_end {
        return error;
    }
    let Some(packets) = after_version(opening) else {
        return explain_message(error, opening);
    };
    host_offer(packets)
        .and_then(|lists| no_common(&lists, ours))
        .unwrap_or(error)
}

/// sshd says a line and hangs up, without a version, when it will not have us.
fn explain_message(error: SshError, opening: &[u8]) -> SshError {
    let message = opening.get(..QUOTE_MAX).unwrap_or(opening);
    let message = String::from_utf8_lossy(message).trim().to_owned();
    match error {
        error if message.is_empty() => error,
        _ if message.contains("Not allowed at this time") => SshError::TurnedAway { said: message },
        SshError::LinkLost { phase, cause } => SshError::LinkLost {
            phase,
            cause: format!("{cause}{IT_SAID}{}", message.escape_debug()),
        },
        error => error,
    }
}

/// What follows the version line; other lines may come before it.
fn after_version(opening: &[u8]) -> Option<&[u8]> {
    let mut rest = opening;
    loop {
        let end = rest.iter().position(|&byte| byte == b'\n')?;
        let (line, after) = rest.split_at_checked(end.checked_add(1)?)?;
        if line.starts_with(b"SSH-") {
            return Some(after);
        }
        rest = after;
    }
}

/// The name-lists of the host's offer, in their order.
fn host_offer(packets: &[u8]) -> Option<Vec<String>> {
    // Length, length of the padding, message, cookie of 16 bytes, lists.
    let (length, rest) = packets.split_first_chunk::<4>()?;
    let packet = rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    let [_, KEXINIT, rest @ ..] = packet else {
        return None;
    };
    let mut rest = rest.get(16..)?;
    let mut lists = Vec::new();
    for _ in 0..6 {
        let (list, after) = take_string(rest)?;
        lists.push(String::from_utf8_lossy(list).into_owned());
        rest = after;
    }
    Some(lists)
}

/// The first part of the negotiation in which no name of ours is one of the host's.
fn no_common(lists: &[String], ours: &Offer) -> Option<SshError> {
    let mut is_authenticated_cipher = false;
    for (host, (part, own)) in lists.iter().zip(ours.parts()) {
        let common = own
            .split(',')
            .find(|name| host.split(',').any(|other| other == *name));
        // These ciphers need no MAC, so none has to be in common.
        if part == "MAC" && is_authenticated_cipher {
            continue;
        }
        match common {
            Some(name) => {
                is_authenticated_cipher = name.contains("poly1305") || name.contains("-gcm@")
            }
            None => {
                return Some(SshError::NoCommon {
                    part,
                    host: host.chars().take(QUOTE_MAX.saturating_mul(4)).collect(),
                    ours: own.to_owned(),
                });
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ssh::encoding::put_string;

    fn lost() -> SshError {
        SshError::LinkLost {
            phase: Phase::Handshake,
            cause: "closed".into(),
        }
    }

    fn offer(lists: [&str; 6]) -> Vec<u8> {
        let mut payload = vec![4, KEXINIT];
        payload.extend([0; 16]);
        for list in lists {
            put_string(&mut payload, list.as_bytes()).unwrap();
        }
        let mut opening = b"a notice\r\nSSH-2.0-x\r\n".to_vec();
        put_string(&mut opening, &payload).unwrap();
        opening
    }

    #[test]
    fn the_part_without_a_common_name_is_told() {
        let ours = Offer::new(&[], false);
        let (aes, mac) = ("aes256-ctr", "hmac-sha2-256");
        let explained = |lists| explain_opening(lost(), &offer(lists), &ours);
        let part = |error| match error {
            SshError::NoCommon { part, host, .. } => (part, host),
            other => ("", other.to_string()),
        };
        let kex = "curve25519-sha256";
        assert_eq!(
            part(explained([
                "diffie-hellman-group1-sha1",
                "ssh-ed25519",
                aes,
                aes,
                mac,
                mac
            ])),
            ("key exchange", "diffie-hellman-group1-sha1".to_owned())
        );
        assert_eq!(
            part(explained([kex, "ssh-dss", aes, aes, mac, mac])),
            ("host key type", "ssh-dss".to_owned())
        );
        assert_eq!(
            part(explained([kex, "ssh-ed25519", aes, "3des-cbc", mac, mac])),
            ("cipher", "3des-cbc".to_owned())
        );
        assert_eq!(
            part(explained([kex, "ssh-ed25519", aes, aes, mac, "hmac-md5"])),
            ("MAC", "hmac-md5".to_owned())
        );
        let gcm = "aes256-gcm@openssh.com";
        assert_eq!(
            explained([kex, "ssh-ed25519", gcm, gcm, "none", "none"]),
            lost()
        );
        for cut in 0..60 {
            let whole = offer([kex, "ssh-ed25519", gcm, gcm, "", ""]);
            explain_opening(lost(), &whole[..cut], &ours);
        }
    }

    #[test]
    fn a_host_that_turns_us_away_is_heard() {
        let ours = Offer::new(&[], false);
        let said = explain_opening(lost(), b"Not allowed at this time\r\n", &ours);
        assert!(matches!(said, SshError::TurnedAway { .. }), "{said:?}");
        let said = explain_opening(lost(), b"Exceeded MaxStartups\r\n", &ours).to_string();
        assert!(
            said.ends_with("closed; it said: Exceeded MaxStartups"),
            "{said}"
        );
        assert_eq!(explain_opening(lost(), b"", &ours), lost());
    }
}
