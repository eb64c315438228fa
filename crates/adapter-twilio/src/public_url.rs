//! Which URLs Twilio may have called to reach a request target.
//!
//! The scheme and host that this process sees are not the public ones behind a proxy, and the
//! headers that name them can be set by anybody. So the URL is put together from a setting and the
//! target as it came: path and query, not decoded, not tidied.
//!
//! | base URL      | target      | URLs                                | because                      |
//! |---------------|-------------|-------------------------------------|------------------------------|
//! | `https://h`   | `/in`       | `https://h/in`                      |                              |
//! | `https://h/`  | `/in`       | `https://h/in`                      | a base's last `/` is dropped |
//! | `https://h`   | `/in/`      | `https://h/in/`                     | a target's is not            |
//! | `https://h`   | `/in?a=%20` | `https://h/in?a=%20`                | the query belongs to the URL |
//! | `https://h/p` | `/in`       | `https://h/p/in`                    | the proxy dropped the prefix |
//! | `https://h/p` | `/p/in`     | `https://h/p/in`, `https://h/p/p/in` | the proxy kept it, or the route begins like it |
//! | `https://h/p` | `/pin`      | `https://h/p/pin`                   | a prefix is whole segments   |

use std::fmt;
use std::str::FromStr;

use url::{Host, Url};

use crate::signature::port_of;

/// The URLs under which Twilio reaches this service: the setting `PUBLIC_BASE_URL`.
///
/// Several, separated by commas, while the service moves; the first is the canonical one. They are
/// kept as they are written, because Twilio signs what was written in its console.
#[derive(Debug, Clone)]
pub struct PublicUrls {
    canonical: PublicUrl,
    others: Vec<PublicUrl>,
}

impl PublicUrls {
    /// A URL that nobody reaches from outside: it stands in for one that could not be read while the
    /// other settings are looked at.
    #[must_use]
    pub fn nowhere() -> Self {
        let canonical = PublicUrl {
            scheme: "http".to_owned(),
            authority: "localhost".to_owned(),
            prefix: String::new(),
            is_loopback: true,
        };
        Self { canonical, others: Vec::new() }
    }

    /// Every URL that Twilio may have called to reach `target`, the canonical base's first.
    #[must_use]
    pub fn candidates(&self, target: &str) -> Vec<String> {
        self.all().flat_map(|url| url.candidates(target)).collect()
    }

    /// The base of URLs that we hand out, `https://host/prefix`: no slash at its end.
    #[must_use]
    pub fn canonical(&self) -> String {
        self.canonical.with_path("")
    }

    /// The different path prefixes, `/prefix`: for a proxy that keeps them, the routes are mounted
    /// under each of these, as well as at the root.
    #[must_use]
    pub fn prefixes(&self) -> Vec<&str> {
        let mut prefixes: Vec<&str> = Vec::new();
        for prefix in self.all().map(|url| url.prefix.as_str()) {
            if !prefix.is_empty() && !prefixes.contains(&prefix) {
                prefixes.push(prefix);
            }
        }
        prefixes
    }

    /// Whether the canonical URL reaches this machine only, so that Twilio cannot call it.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.canonical.is_loopback
    }

    /// Whether all of them reach this machine only.
    #[must_use]
    pub fn are_all_loopback(&self) -> bool {
        self.all().all(|url| url.is_loopback)
    }

    pub(crate) fn canonical_url(&self) -> &PublicUrl {
        &self.canonical
    }

    fn all(&self) -> impl Iterator<Item = &PublicUrl> {
        std::iter::once(&self.canonical).chain(&self.others)
    }
}

impl FromStr for PublicUrls {
    type Err = InvalidPublicUrl;

    fn from_str(setting: &str) -> Result<Self, Self::Err> {
        let entries = setting.split(',').map(str::trim).zip(1..);
        let mut urls = entries.filter(|(entry, _)| !entry.is_empty()).map(|(entry, position)| {
            let invalid = |fault| InvalidPublicUrl { position, fault };
            PublicUrl::parse(entry).map_err(invalid)
        });
        let missing = InvalidPublicUrl { position: 1, fault: PublicUrlFault::Missing };
        Ok(Self {
            canonical: urls.next().ok_or(missing)??,
            others: urls.collect::<Result<_, _>>()?,
        })
    }
}

/// The setting cannot be used. Its text is not repeated here: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("entry {position} {fault}")]
pub struct InvalidPublicUrl {
    /// Which of the URLs, from 1.
    pub position: usize,
    /// What is wrong with it.
    pub fault: PublicUrlFault,
}

/// What is wrong with a base URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublicUrlFault {
    /// There is none.
    #[error("is missing")]
    Missing,
    /// It is no URL, or one of another scheme.
    #[error("must be a whole URL that begins with http:// or https://")]
    NotHttp,
    /// It has a query.
    #[error("must have no query: it is the base of other URLs")]
    Query,
    /// It has a fragment.
    #[error("must have no fragment: Twilio's #rc=... belongs in its console, and is not signed")]
    Fragment,
}

/// One base URL, in parts.
#[derive(Clone)]
pub(crate) struct PublicUrl {
    scheme: String,
    /// Host and port, and credentials where the URL has them.
    authority: String,
    /// Begins with a slash and ends without; or empty.
    prefix: String,
    is_loopback: bool,
}

impl PublicUrl {
    fn parse(text: &str) -> Result<Self, PublicUrlFault> {
        let odd = |c: char| c.is_whitespace() || c.is_control() || c == '\\';
        let url = Url::parse(text).map_err(|_| PublicUrlFault::NotHttp)?;
        let (scheme, behind) = text.split_once("://").ok_or(PublicUrlFault::NotHttp)?;
        if !matches!(url.scheme(), "http" | "https") || text.contains(odd) {
            return Err(PublicUrlFault::NotHttp);
        }
        if url.fragment().is_some() {
            return Err(PublicUrlFault::Fragment);
        }
        if url.query().is_some() {
            return Err(PublicUrlFault::Query);
        }
        let (authority, prefix) = behind.split_at(behind.find('/').unwrap_or(behind.len()));
        // The URL standard forgives `https:///host`; what would be signed then is anybody's guess.
        if authority.is_empty() {
            return Err(PublicUrlFault::NotHttp);
        }
        Ok(Self {
            scheme: scheme.to_owned(),
            authority: authority.trim_end_matches(':').to_owned(),
            prefix: prefix.trim_end_matches('/').to_owned(),
            is_loopback: url.host().is_some_and(|host| is_loopback(&host)),
        })
    }

    /// The URLs that reach `target` through this base; see the table above.
    pub(crate) fn candidates(&self, target: &str) -> Vec<String> {
        let mut urls = Vec::with_capacity(2);
        if self.without_prefix(target).is_some() {
            urls.push(self.at_root(target));
        }
        urls.push(self.with_path(target));
        urls
    }

    /// What follows the prefix in `target`; `None` where there is no prefix or it is not there.
    pub(crate) fn without_prefix<'t>(&self, target: &'t str) -> Option<&'t str> {
        let rest = target.strip_prefix(self.prefix.as_str())?;
        let whole_segments = rest.is_empty() || rest.starts_with(['/', '?']);
        (whole_segments && !self.prefix.is_empty()).then_some(rest)
    }

    /// The URL of a path on this host, without the prefix.
    pub(crate) fn at_root(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.authority)
    }

    fn with_path(&self, path: &str) -> String {
        let Self { scheme, authority, prefix, .. } = self;
        format!("{scheme}://{authority}{prefix}{path}")
    }

    /// This base with the other scheme.
    pub(crate) fn with_other_scheme(&self) -> Self {
        let https = self.scheme.eq_ignore_ascii_case("https");
        self.with_scheme(if https { "http" } else { "https" })
    }

    pub(crate) fn with_scheme(&self, scheme: &str) -> Self {
        Self { scheme: scheme.to_owned(), ..self.clone() }
    }

    pub(crate) fn with_authority(&self, authority: &str) -> Self {
        Self { authority: authority.to_owned(), ..self.clone() }
    }

    pub(crate) fn without_port(&self) -> Self {
        let port = port_of(&self.authority);
        self.with_authority(self.authority.strip_suffix(port).unwrap_or_default())
    }

    /// Whether `authority` names this host, whatever its port.
    pub(crate) fn is_host_of(&self, authority: &str) -> bool {
        host_of(&self.authority).eq_ignore_ascii_case(host_of(authority))
    }
}

/// A base URL may hold a password.
impl fmt::Debug for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (credentials, host) = match self.authority.rsplit_once('@') {
            Some((_, host)) => ("..@", host),
            None => ("", self.authority.as_str()),
        };
        write!(f, "{}://{credentials}{host}{}", self.scheme, self.prefix)
    }
}

fn host_of(authority: &str) -> &str {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    host.strip_suffix(port_of(authority)).unwrap_or(host)
}

pub(crate) fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(setting: &str) -> PublicUrls {
        setting.parse().unwrap()
    }

    #[test]
    fn a_target_is_reached_through_these_urls() {
        let check = |base: &str, target: &str, expected: &[&str]| {
            assert_eq!(urls(base).candidates(target), expected, "{base} {target}");
        };
        check("https://h", "/in", &["https://h/in"]);
        check("https://h/", "/in", &["https://h/in"]);
        check("https://h", "/in/", &["https://h/in/"]);
        check("https://h", "/in?a=%20", &["https://h/in?a=%20"]);
        check("https://h", "/", &["https://h/"]);
        check("https://h/p", "/in", &["https://h/p/in"]);
        check("https://h/p/", "/in/", &["https://h/p/in/"]);
        check("https://h/p", "/p/in", &["https://h/p/in", "https://h/p/p/in"]);
        check("https://h/p", "/p?a=1", &["https://h/p?a=1", "https://h/p/p?a=1"]);
        check("https://h/p", "/pin", &["https://h/p/pin"]);
        check("https://h/p/q", "/p/in", &["https://h/p/q/p/in"]);
        check("https://h/p", "/in?x=/p/in", &["https://h/p/in?x=/p/in"]);
        check("HTTP://u:P@MyHost:81", "/in", &["HTTP://u:P@MyHost:81/in"]);
        check("https://a, http://b/p", "/in", &["https://a/in", "http://b/p/in"]);
    }

    #[test]
    fn the_first_is_canonical() {
        let check = |setting: &str, canonical: &str, prefixes: &[&str]| {
            let urls = urls(setting);
            assert_eq!(urls.canonical(), canonical, "{setting}");
            assert_eq!(urls.prefixes(), prefixes, "{setting}");
        };
        check("https://h/", "https://h", &[]);
        check(" https://h/p/ ,https://g/p,https://f/q", "https://h/p", &["/p", "/q"]);
        check("https://g,https://h/p,", "https://g", &["/p"]);
    }

    #[test]
    fn a_setting_that_cannot_be_a_base_says_why() {
        let check = |setting: &str, position: usize, fault: PublicUrlFault| {
            let invalid = InvalidPublicUrl { position, fault };
            assert_eq!(setting.parse::<PublicUrls>().err(), Some(invalid), "{setting}");
        };
        check("", 1, PublicUrlFault::Missing);
        check(" , ", 1, PublicUrlFault::Missing);
        for no_url in [
            "h.example.com",
            "/p",
            "ftp://h",
            "https://",
            "https:h",
            "https:///h",
            "https:\\\\h",
            "https://h /p",
            "https://h:port",
            "https://h:99999",
        ] {
            check(no_url, 1, PublicUrlFault::NotHttp);
        }
        check("https://h?", 1, PublicUrlFault::Query);
        check("https://h/p?a=1", 1, PublicUrlFault::Query);
        check("https://h,https://g/#rc=3", 2, PublicUrlFault::Fragment);
        let said = "https://h?a=1".parse::<PublicUrls>().unwrap_err().to_string();
        assert_eq!(said, "entry 1 must have no query: it is the base of other URLs");
    }

    #[test]
    fn loopback_is_this_machine_only() {
        for local in [
            "http://localhost:8080",
            "http://LOCALHOST",
            "http://127.0.0.1",
            "http://127.9.9.9/p",
            "http://[::1]:8080",
        ] {
            assert!(urls(local).is_loopback(), "{local}");
        }
        for public in ["https://h", "http://localhost.h", "http://128.0.0.1", "http://0.0.0.0"] {
            assert!(!urls(public).is_loopback(), "{public}");
        }
        assert!(!urls("https://h,http://localhost").is_loopback());
    }

    #[test]
    fn a_password_in_the_url_is_not_shown() {
        let shown = format!("{:?}", urls("https://user:secret@h:1/p"));
        assert!(shown.contains("https://..@h:1/p") && !shown.contains("secret"), "{shown}");
    }
}
