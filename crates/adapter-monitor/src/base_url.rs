//! Where a service is: the settings `MONITOR_API_URL` and `TENANT_PROFILE_API_URL`.

use std::str::FromStr;

use url::{Host, Origin, Url};

/// The base of a service's URLs, `https://monitor.example/api`: scheme, host, port and perhaps a
/// path that all others begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    text: String,
    origin: Origin,
    is_loopback: bool,
}

impl BaseUrl {
    /// The URL, without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether both are one service to a credential: scheme, host and port are the same.
    #[must_use]
    pub fn is_same_origin(&self, other: &Self) -> bool {
        self.origin == other.origin
    }

    pub(crate) fn is_https(&self) -> bool {
        matches!(&self.origin, Origin::Tuple(scheme, ..) if scheme == "https")
    }

    pub(crate) fn is_loopback(&self) -> bool {
        self.is_loopback
    }
}

impl FromStr for BaseUrl {
    type Err = InvalidBaseUrl;

    fn from_str(setting: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(setting.trim()).map_err(|_| InvalidBaseUrl::NotHttp)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(InvalidBaseUrl::NotHttp);
        }
        let has_user = !url.username().is_empty() || url.password().is_some();
        if has_user || url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidBaseUrl::NotABase);
        }
        Ok(Self {
            text: url.as_str().trim_end_matches('/').to_owned(),
            origin: url.origin(),
            is_loopback: url.host().is_some_and(|host| is_loopback(&host)),
        })
    }
}

/// The setting cannot be used. Its text is not repeated here: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBaseUrl {
    /// It is no URL, or another kind of one.
    #[error("must be a whole URL, such as https://monitor.example/api")]
    NotHttp,
    /// It has more than a base has.
    #[error("must end after the host, port and path: no query, fragment, user or password")]
    NotABase,
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_may_have_a_path_and_loses_its_last_slash() {
        let check = |setting: &str, text: &str, (is_https, is_loopback): (bool, bool)| {
            let base: BaseUrl = setting.parse().unwrap();
            let read = (base.as_str(), base.is_https(), base.is_loopback());
            assert_eq!(read, (text, is_https, is_loopback), "{setting}");
        };
        check("https://monitor.example", "https://monitor.example", (true, false));
        check(
            " HTTPS://Monitor.Example:443/api/v1/ ",
            "https://monitor.example/api/v1",
            (true, false),
        );
        check("http://monitor:8000/", "http://monitor:8000", (false, false));
        check("http://127.0.0.1:8000", "http://127.0.0.1:8000", (false, true));
        check("http://localhost", "http://localhost", (false, true));
        check("https://[::1]:1/", "https://[::1]:1", (true, true));
    }

    #[test]
    fn a_credential_is_for_one_scheme_host_and_port() {
        let base = |setting: &str| setting.parse::<BaseUrl>().unwrap();
        let monitor = base("https://monitor.example/api");
        assert!(monitor.is_same_origin(&base("https://Monitor.Example:443/profiles")));
        for other in [
            "http://monitor.example",
            "https://monitor.example:8443",
            "https://profiles.example",
            "https://monitor.example.evil.example",
        ] {
            assert!(!monitor.is_same_origin(&base(other)), "{other}");
        }
    }

    #[test]
    fn any_other_setting_says_what_to_change() {
        let check = |setting: &str, fault: InvalidBaseUrl| {
            assert_eq!(setting.parse::<BaseUrl>(), Err(fault), "{setting}");
        };
        for no_url in ["", "monitor:8000", "//monitor", "ftp://monitor", "https://", "http://h:x"] {
            check(no_url, InvalidBaseUrl::NotHttp);
        }
        for no_base in ["http://h/?", "http://h/p?q=1", "http://h#", "http://u@h", "http://u:p@h"] {
            check(no_base, InvalidBaseUrl::NotABase);
        }
    }
}
