//! The address of a page on which the operator answers, with the place of a question's name.
//!
//! Owns which addresses may be given to a client to open: encrypted, or on this machine; no
//! login within; the name of the question behind the host, never in it. What is sent is
//! this text with that name and nothing else: no command, no host. Called by `config` to
//! read it and by `mcp` to fill it in.

use std::net::IpAddr;

/// Where the name of the question goes.
const PLACE: &str = "{id}";
/// Longest address, in characters.
const LONGEST: usize = 1_000;

/// `approval_url:` of `policy.yml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalUrl {
    before: String,
    after: String,
}

impl ApprovalUrl {
    /// Reads `https://HOST/…{id}…`; `http` for this machine alone.
    ///
    /// # Errors
    /// What is wrong with it, in words that follow "found".
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() > LONGEST {
            return Err("an address of more than 1,000 characters");
        }
        // RFC 3986: what no part of a URI may hold, and with the backslash what browsers
        // read otherwise than servers do.
        if !text
            .bytes()
            .all(|c| c.is_ascii_graphic() && !b"\"<>\\^`|".contains(&c))
        {
            return Err("characters that an address cannot hold");
        }
        let Some((before, after)) = text.split_once(PLACE) else {
            return Err("an address without {id}");
        };
        if [before, after].iter().any(|part| part.contains(['{', '}'])) {
            return Err("more braces than those of one {id}");
        }
        let (secure, rest) = match (
            before.strip_prefix("https://"),
            before.strip_prefix("http://"),
        ) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return Err("an address that does not begin with https://"),
        };
        let Some((authority, _)) = rest.split_once('/') else {
            return Err("{id} within the name of the host, or none of a path before it");
        };
        // A query or a fragment would end the host's name before the slash.
        if authority.contains(['@', '?', '#', '%']) {
            return Err("a login or other signs in the place of the host");
        }
        let host = host(authority).ok_or("an address without a host, or with a wrong port")?;
        match secure || is_here(host) {
            true => Ok(Self {
                before: before.to_owned(),
                after: after.to_owned(),
            }),
            false => Err("http to another machine, which anybody between can change"),
        }
    }

    /// The page of the question with this name.
    pub fn of(&self, id: &str) -> String {
        [&self.before, id, &self.after].concat()
    }
}

/// The host of `HOST`, `HOST:PORT`, `[ADDRESS]` or `[ADDRESS]:PORT`.
fn host(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']')?;
            let port = match after {
                "" => None,
                after => Some(after.strip_prefix(':')?),
            };
            address.parse::<IpAddr>().ok().filter(IpAddr::is_ipv6)?;
            (address, port)
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let name = |c: u8| c.is_ascii_alphanumeric() || b"-._:".contains(&c);
    let digits = |port: &str| port.bytes().all(|c| c.is_ascii_digit());
    let good_port = port.is_none_or(|port| digits(port) && port.parse::<u16>().is_ok());
    (!host.is_empty() && host.bytes().all(name) && good_port).then_some(host)
}

fn is_here(host: &str) -> bool {
    host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_question_goes_in_its_place() {
        for (text, of) in [
            (
                "https://ops.example/approvals/{id}",
                "https://ops.example/approvals/42",
            ),
            (
                "https://ops.example:8443/form?request={id}&by=link",
                "https://ops.example:8443/form?request=42&by=link",
            ),
            ("http://localhost:9000/#{id}", "http://localhost:9000/#42"),
            ("http://127.0.0.1/{id}", "http://127.0.0.1/42"),
            ("http://[::1]:80/a/{id}.html", "http://[::1]:80/a/42.html"),
        ] {
            assert_eq!(ApprovalUrl::parse(text).unwrap().of("42"), of);
        }
    }

    #[test]
    fn what_leads_elsewhere_or_unprotected_is_refused() {
        for (text, why) in [
            ("https://ops.example/approvals", "without {id}"),
            ("https://ops.example/{id}/{id}", "braces"),
            ("https://ops.example/{user}/{id}", "braces"),
            ("https://{id}.ops.example/", "within the name"),
            ("https://ops.example{id}", "within the name"),
            ("http://ops.example/{id}", "another machine"),
            ("http://127.0.0.1.ops.example/{id}", "another machine"),
            ("http://localhost@ops.example/{id}", "a login"),
            ("https://operator:secret@ops.example/{id}", "a login"),
            ("https://ops.example?a/{id}", "other signs"),
            ("https:///{id}", "without a host"),
            ("https://ops.example:99999/{id}", "wrong port"),
            ("https://[::1/{id}", "without a host"),
            ("HTTPS://ops.example/{id}", "begin with https"),
            ("javascript:alert({id})", "begin with https"),
            ("file:///{id}", "begin with https"),
            ("https://ops.example/ {id}", "cannot hold"),
            ("https://ops.example\\{id}", "cannot hold"),
            ("https://öps.example/{id}", "cannot hold"),
            ("", "without {id}"),
        ] {
            let found = ApprovalUrl::parse(text).unwrap_err();
            assert!(found.contains(why), "{text}: {found}");
        }
        let long = format!("https://ops.example/{}{{id}}", "a".repeat(1_000));
        assert!(ApprovalUrl::parse(&long).is_err());
    }
}
