//! Which addresses may be connected to.
//!
//! Owns [`PinnedAddress`], the only thing that `ssh` connects to: only [`NetworkPolicy::pin`]
//! makes one. Blocks are checked first, then the allow lists if there are any; an IPv4
//! address is the same whether it is written plainly or mapped into IPv6 (RFC 4291
//! section 2.5.5.2). Resolves nothing. Called by `ssh` for each address a name has, and
//! by `mcp` and the reports for literal ones.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::{IpNet, Ipv4Net};

use crate::model::names::Port;
use crate::policy::source::NetworkSource;

/// The compiled `network:` section.
/// No `Default`: a policy that nobody wrote would allow every address.
#[derive(Debug, Clone)]
pub struct NetworkPolicy {
    allow: Vec<IpNet>,
    block: Vec<IpNet>,
}

/// An address that the policy allows, with its port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PinnedAddress(SocketAddr);

impl PinnedAddress {
    pub fn socket_addr(self) -> SocketAddr {
        self.0
    }
}

/// Why an address may not be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A block list holds it.
    #[error("blocked by policy.network")]
    Blocked,
    /// There are allow lists, and none holds it.
    #[error("not in the allow lists of policy.network")]
    NotAllowed,
}

impl NetworkPolicy {
    pub(crate) fn compile(source: NetworkSource) -> Self {
        Self {
            allow: source.allow.into_iter().map(unmap).collect(),
            block: source.block.into_iter().map(unmap).collect(),
        }
    }

    /// The permit to connect to `address`, in its plain form if it was a mapped one.
    ///
    /// # Errors
    /// [`Refused`] if a block holds it, or allow lists exist and none does.
    pub fn pin(&self, address: IpAddr, port: Port) -> Result<PinnedAddress, Refused> {
        let address = address.to_canonical();
        let reached = [Some(address), reaches(address)];
        if reached
            .into_iter()
            .flatten()
            .any(|address| contains(&self.block, address))
        {
            return Err(Refused::Blocked);
        }
        if !self.allow.is_empty() && !contains(&self.allow, address) {
            return Err(Refused::NotAllowed);
        }
        Ok(PinnedAddress(SocketAddr::new(address, port.get())))
    }

    pub fn allowlist_enabled(&self) -> bool {
        !self.allow.is_empty()
    }

    pub fn blocklist_enabled(&self) -> bool {
        !self.block.is_empty()
    }

    /// Whether the blocks leave nothing of the allow lists.
    pub(crate) fn blocks_everything_allowed(&self) -> bool {
        let block = IpNet::aggregate(&self.block);
        let swallowed = |net: &IpNet| block.iter().any(|outer| outer.contains(net));
        !self.allow.is_empty() && self.allow.iter().all(swallowed)
    }

    /// The allowed ranges that a block swallows whole.
    pub(crate) fn swallowed(&self) -> impl Iterator<Item = &IpNet> {
        let block = IpNet::aggregate(&self.block);
        self.allow
            .iter()
            .filter(move |net| block.iter().any(|outer| outer.contains(*net)))
    }
}

fn contains(list: &[IpNet], address: IpAddr) -> bool {
    list.iter().any(|net| net.contains(&address))
}

/// A mapped range as the IPv4 range it stands for.
fn unmap(net: IpNet) -> IpNet {
    let IpNet::V6(v6) = net else { return net };
    match v6.network().to_ipv4_mapped() {
        Some(v4) if v6.prefix_len() >= 96 => {
            Ipv4Net::new(v4, v6.prefix_len() - 96).map_or(net, IpNet::V4)
        }
        _ => net,
    }
}

/// Where a connection to this address ends up, if somewhere else: the unspecified
/// address is the own host (Linux connects it to loopback), and three kinds of IPv6
/// addresses carry an IPv4 one that a gateway unpacks (NAT64, RFC 6052; 6to4, RFC 3056;
/// compatible, RFC 4291 section 2.5.5.1). A block on what is inside holds for them too.
fn reaches(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Some(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Some(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V4(_) | IpAddr::V6(Ipv6Addr::LOCALHOST) => None,
        IpAddr::V6(v6) => {
            let last = |a: u16, b: u16| {
                let ([a, b], [c, d]) = (a.to_be_bytes(), b.to_be_bytes());
                Some(Ipv4Addr::new(a, b, c, d).into())
            };
            match v6.segments() {
                [0x64, 0xff9b, 0, 0, 0, 0, a, b] => last(a, b),
                [0, 0, 0, 0, 0, 0, a, b] => last(a, b),
                [0x2002, a, b, ..] => last(a, b),
                _ => None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(allow: &[&str], block: &[&str]) -> NetworkPolicy {
        let nets = |list: &[&str]| list.iter().map(|net| net.parse().unwrap()).collect();
        NetworkPolicy::compile(NetworkSource {
            allow: nets(allow),
            block: nets(block),
        })
    }

    fn pin(policy: &NetworkPolicy, address: &str) -> Result<PinnedAddress, Refused> {
        policy.pin(address.parse().unwrap(), Port::SSH)
    }

    #[test]
    fn blocks_come_first() {
        let policy = policy(&["10.0.0.0/8"], &["10.1.0.0/16"]);
        assert!(pin(&policy, "10.2.0.1").is_ok());
        assert_eq!(pin(&policy, "10.1.0.1"), Err(Refused::Blocked));
        assert_eq!(pin(&policy, "192.168.0.1"), Err(Refused::NotAllowed));
    }

    #[test]
    fn mapped_addresses_and_ranges_are_ipv4() {
        let open = policy(&[], &["10.0.0.0/8"]);
        assert_eq!(pin(&open, "::ffff:10.1.1.1"), Err(Refused::Blocked));
        let mapped = policy(&["::ffff:10.0.0.0/104"], &[]);
        let pinned = pin(&mapped, "10.9.9.9").unwrap();
        assert_eq!(pinned.socket_addr().to_string(), "10.9.9.9:22");
        let pinned = pin(&mapped, "::ffff:10.9.9.9").unwrap();
        assert_eq!(pinned.socket_addr().to_string(), "10.9.9.9:22");
    }

    #[test]
    fn a_block_holds_for_what_an_address_carries() {
        let policy = policy(&[], &["10.0.0.0/8", "127.0.0.0/8", "::1/128"]);
        for carrier in [
            "64:ff9b::a01:101",
            "2002:a01:101::1",
            "::10.1.1.1",
            "0.0.0.0",
            "::",
        ] {
            assert_eq!(pin(&policy, carrier), Err(Refused::Blocked), "{carrier}");
        }
        assert!(pin(&policy, "64:ff9b::808:808").is_ok());
    }

    #[test]
    fn swallowing_is_noticed_across_adjacent_blocks() {
        let policy = policy(&["10.0.0.0/8"], &["10.0.0.0/9", "10.128.0.0/9"]);
        assert!(policy.blocks_everything_allowed());
    }
}
