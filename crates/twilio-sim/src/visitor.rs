//! Who may use what needs no credentials: programs and pages of this machine.
//!
//! A page of another site that is open in the same browser can reach a loopback port: directly, and
//! then it says where it comes from; or under a name of its own that leads here, and then that name
//! is the `Host`.

use hyper::header::{HOST, HeaderMap, HeaderValue, ORIGIN};
use url::{Host, Url};

/// Whether a request with these headers comes from here.
pub(crate) fn is_from_here(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).map(|host| [b"http://", host.as_bytes()].concat());
    let origin = headers.get(ORIGIN).map(HeaderValue::as_bytes);
    host.is_none_or(|host| is_here(&host)) && origin.is_none_or(is_here)
}

/// Whether a URL is one of this machine.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn is_here(url: &[u8]) -> bool {
    let url = std::str::from_utf8(url).ok().and_then(|url| Url::parse(url).ok());
    url.is_some_and(|url| is_loopback(&url))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderName;

    fn check(name: HeaderName, value: &str, expected: bool) {
        let headers = HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())]);
        assert_eq!(is_from_here(&headers), expected, "{headers:?}");
    }

    #[test]
    fn this_machine_may_ask() {
        assert!(is_from_here(&HeaderMap::new()));
        for host in ["127.0.0.1:4010", "localhost:4010", "localhost", "[::1]:4010"] {
            check(HOST, host, true);
            check(ORIGIN, &format!("http://{host}"), true);
        }
    }

    #[test]
    fn pages_of_others_and_names_that_lead_here_may_not() {
        for host in ["example.com", "localhost.example.com", "192.168.1.2:4010", ""] {
            check(HOST, host, false);
        }
        for origin in ["https://example.com", "null", "http://127.0.0.1.example.com", "file://"] {
            check(ORIGIN, origin, false);
        }
    }
}
