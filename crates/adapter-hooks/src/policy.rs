//! Which URLs and which addresses may be called.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// IPv4 addresses that are not on the public internet (IANA, special-purpose registry).
const SPECIAL_V4: [Ipv4Net; 16] = [
    v4([0, 0, 0, 0], 8),
    v4([10, 0, 0, 0], 8),
    v4([100, 64, 0, 0], 10),
    v4([127, 0, 0, 0], 8),
    v4([169, 254, 0, 0], 16),
    v4([172, 16, 0, 0], 12),
    v4([192, 0, 0, 0], 24),
    v4([192, 0, 2, 0], 24),
    v4([192, 88, 99, 0], 24),
    v4([192, 168, 0, 0], 16),
    v4([198, 18, 0, 0], 15),
    v4([198, 51, 100, 0], 24),
    v4([203, 0, 113, 0], 24),
    v4([224, 0, 0, 0], 4),
    v4([240, 0, 0, 0], 4),
    v4([255, 255, 255, 255], 32),
];

/// All of public IPv6, and what in it is not: tunnels that lead elsewhere, documentation.
const PUBLIC_V6: Ipv6Net = v6([0x2000, 0], 3);
const SPECIAL_V6: [Ipv6Net; 4] =
    [v6([0x2001, 0], 23), v6([0x2001, 0xdb8], 32), v6([0x2002, 0], 16), v6([0x3fff, 0], 20)];

const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6([a, b]: [u16; 2], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), prefix)
}

/// Who may be called: everybody on the public internet over https, and who is named here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// Whether this machine itself may be, also without https: a developer's.
    pub loopback: bool,
    /// Networks that may be though they are private.
    pub networks: Vec<IpNet>,
}

/// The setting names no networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be networks such as 10.1.0.0/16 or fd00::/8, separated by commas")]
pub struct InvalidNetworks;

impl Policy {
    /// Reads networks that are separated by commas.
    ///
    /// # Errors
    /// [`InvalidNetworks`].
    pub fn parse_networks(setting: &str) -> Result<Vec<IpNet>, InvalidNetworks> {
        let entries = setting.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        entries.map(|entry| entry.parse().map_err(|_| InvalidNetworks)).collect()
    }

    /// The URL that `text` is, where it may be called as far as can be seen from it.
    pub(crate) fn read(&self, text: &str) -> Result<Url, &'static str> {
        let url = Url::parse(text)
            .map_err(|_| "must be a whole URL, such as https://hooks.example.com/sms")?;
        if !is_uri(text) {
            return Err("must be written in ASCII: a host in punycode, all else percent-encoded");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must have no user and no password in it");
        }
        if url.fragment().is_some() {
            return Err("must have no fragment (#)");
        }
        let is_local = is_loopback(&url);
        match url.scheme() {
            "https" => {}
            "http" if is_local && self.loopback => {}
            _ => return Err("must begin with https://"),
        }
        match url.host() {
            Some(Host::Ipv4(ip)) if !self.allows(ip.into()) => Err(PRIVATE),
            Some(Host::Ipv6(ip)) if !self.allows(ip.into()) => Err(PRIVATE),
            Some(Host::Domain(_)) if is_local && !self.loopback => Err(PRIVATE),
            None => Err("must name a host"),
            Some(_) => Ok(url),
        }
    }

    /// Whether that address may be connected to.
    pub(crate) fn allows(&self, address: IpAddr) -> bool {
        // An IPv4 address in IPv6 clothes is the IPv4 address.
        let address = address.to_canonical();
        is_public(address)
            || (self.loopback && address.is_loopback())
            || self.networks.iter().any(|network| network.contains(&address))
    }
}

const PRIVATE: &str = "must not lead to a private address: name its network in HOOK_PRIVATE_NETWORKS \
                       if it may be called";

/// Whether it has only what a URI is written with (RFC 3986, section 2). [`Url`] mends the rest,
/// so that another would be called than the one that is shown.
fn is_uri(text: &str) -> bool {
    let mut rest = text.split('%');
    let is_plain = |part: &str| {
        part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=".contains(&b))
    };
    rest.next().is_some_and(is_plain)
        && rest.all(|part| {
            part.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2 && is_plain(part)
        })
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(ip) => !SPECIAL_V4.iter().any(|network| network.contains(&ip)),
        IpAddr::V6(ip) => {
            PUBLIC_V6.contains(&ip) && !SPECIAL_V6.iter().any(|network| network.contains(&ip))
        }
    }
}

/// Looks names up, and gives only addresses that may be connected to.
pub(crate) struct CheckedNames(pub(crate) Arc<Policy>);

/// A name leads nowhere that may be called.
#[derive(Debug, thiserror::Error)]
#[error("the name leads to addresses that may not be called")]
pub(crate) struct AddressRefused;

impl Resolve for CheckedNames {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = Arc::clone(&self.0);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> =
                found.filter(|address| policy.allows(address.ip())).collect();
            if allowed.is_empty() {
                return Err(AddressRefused.into());
            }
            let allowed: Addrs = Box::new(allowed.into_iter());
            Ok(allowed)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strict() -> Policy {
        Policy::default()
    }

    #[test]
    fn only_https_to_the_public_internet_is_allowed_by_itself() {
        for good in
            ["https://hooks.example.com/sms?token=1", "https://8.8.8.8", "https://[2606::1]:8443/"]
        {
            assert!(strict().read(good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("hooks.example.com", "whole URL"),
            ("ftp://hooks.example.com", "https://"),
            ("http://hooks.example.com", "https://"),
            ("http://127.0.0.1", "https://"),
            ("https://127.0.0.1", "private"),
            ("https://localhost", "private"),
            ("https://a.localhost", "private"),
            ("https://10.0.0.1", "private"),
            ("https://169.254.169.254/latest/meta-data", "private"),
            ("https://2130706433", "private"),
            ("https://0x7f.1", "private"),
            ("https://[::1]", "private"),
            ("https://[::ffff:10.0.0.1]", "private"),
            ("https://[fd00::1]", "private"),
            ("https://[64:ff9b::a00:1]", "private"),
            ("https://user:pass@hooks.example.com", "password"),
            ("https://hooks.example.com/#rc=1", "fragment"),
            ("https://h\u{f6}oks.example.com", "punycode"),
            ("https://hooks.example.com/a b", "percent"),
            ("https://hooks.example.com/%4", "percent"),
            (" https://hooks.example.com", "ASCII"),
        ] {
            let refused = strict().read(bad).unwrap_err();
            assert!(refused.contains(why), "{bad}: {refused}");
        }
    }

    #[test]
    fn a_developer_calls_this_machine_and_nothing_else_without_https() {
        let policy = Policy { loopback: true, networks: vec![] };
        for good in [
            "http://127.0.0.1:9000/x",
            "http://localhost:9000",
            "http://[::1]",
            "https://localhost",
        ] {
            assert!(policy.read(good).is_ok(), "{good}");
        }
        for bad in ["http://hooks.example.com", "http://10.0.0.1", "https://10.0.0.1"] {
            assert!(policy.read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_network_that_is_named_may_be_called() {
        let networks = Policy::parse_networks("10.1.0.0/16, fd00::/8").unwrap();
        let policy = Policy { loopback: false, networks };
        for (address, allowed) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("fd12::1", true),
            ("10.2.0.1", false),
            ("127.0.0.1", false),
            ("192.168.0.1", false),
            ("100.64.0.1", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("fe80::1", false),
            ("2001:db8::1", false),
            ("2002:a00:1::", false),
            ("1.1.1.1", true),
            ("2a00:1450::1", true),
        ] {
            assert_eq!(policy.allows(address.parse().unwrap()), allowed, "{address}");
        }
        for wrong in ["10.1.0.0", "10.1.0.0/33", "office"] {
            assert_eq!(Policy::parse_networks(wrong), Err(InvalidNetworks), "{wrong}");
        }
        assert_eq!(Policy::parse_networks(""), Ok(vec![]));
    }

    #[tokio::test]
    async fn of_a_name_only_addresses_that_may_be_called_are_given() {
        let resolve = async |policy: Policy| {
            let name = "localhost".parse().unwrap();
            CheckedNames(Arc::new(policy)).resolve(name).await
        };
        let refused = resolve(strict()).await.err().unwrap();
        assert!(refused.is::<AddressRefused>(), "{refused}");
        let elsewhere = Policy { networks: vec!["10.0.0.0/8".parse().unwrap()], ..strict() };
        assert!(resolve(elsewhere).await.is_err());
        let developer = Policy { loopback: true, networks: vec![] };
        let found: Vec<_> = resolve(developer).await.unwrap().collect();
        assert!(!found.is_empty() && found.iter().all(|address| address.ip().is_loopback()));
        let version_4 = Policy { networks: vec!["127.0.0.0/8".parse().unwrap()], ..strict() };
        let found: Vec<_> = resolve(version_4).await.unwrap().collect();
        assert!(!found.is_empty() && found.iter().all(SocketAddr::is_ipv4), "the rest is left out");
    }
}
