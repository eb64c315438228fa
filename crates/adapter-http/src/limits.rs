//! How often the API may be asked. Webhooks are not counted: Twilio would lose texts.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header;
use governor::clock::Clock;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::access::{Caller, Scope};
use crate::envelope::RequestSpan;
use crate::{ApiError, Services};

/// So many addresses with failures are remembered before those that have calmed down are forgotten.
const MANY_ADDRESSES: usize = 10_000;

/// How often a key may be used, and how often an address may come with a wrong one.
#[derive(Clone)]
pub struct Limits(Arc<Inner>);

struct Inner {
    keys: DefaultKeyedRateLimiter<String>,
    failures: DefaultKeyedRateLimiter<IpAddr>,
    trusted_hops: usize,
}

/// The settings of [`Limits`].
#[derive(Debug, Clone, Copy)]
pub struct LimitSettings {
    /// Requests a second, for each name of a key. Each address may fail a tenth as often.
    pub per_second: NonZeroU32,
    /// How many may come at once, of a key and without one.
    pub burst: NonZeroU32,
    /// How many proxies of ours stand in front: each appends to `X-Forwarded-For` who asked it.
    pub trusted_hops: usize,
}

impl Limits {
    /// Nobody has asked yet.
    #[must_use]
    pub fn new(settings: LimitSettings) -> Self {
        let LimitSettings { per_second, burst, trusted_hops } = settings;
        let tenth = per_second.div_ceil(NonZeroU32::MIN.saturating_add(9));
        let keys = Quota::per_second(per_second).allow_burst(burst);
        // As many at once: behind one address may be a whole office whose key was just changed.
        let failures = Quota::per_second(tenth).allow_burst(burst);
        let (keys, failures) = (RateLimiter::keyed(keys), RateLimiter::keyed(failures));
        Self(Arc::new(Inner { keys, failures, trusted_hops }))
    }

    /// Counts a request with a good key.
    fn count(&self, key: &str) -> Result<(), ApiError> {
        count(&self.0.keys, &key.to_owned())
    }

    /// Counts a request without one. A good key opens whatever others at its address have tried:
    /// behind a proxy that we do not know of, they all share one.
    fn count_failure(&self, request: &HttpRequest) -> Result<(), ApiError> {
        if self.0.failures.len() > MANY_ADDRESSES {
            self.0.failures.retain_recent();
        }
        match client(request, self.0.trusted_hops) {
            Some(address) => count(&self.0.failures, &network(address)),
            None => Ok(()),
        }
    }
}

fn count<K: Clone + Eq + Hash>(
    limiter: &DefaultKeyedRateLimiter<K>,
    key: &K,
) -> Result<(), ApiError> {
    limiter.check_key(key).map_err(|until| {
        let wait = until.wait_time_from(limiter.clock().now());
        ApiError::TooManyRequests { wait: wait.max(Duration::from_millis(1)) }
    })
}

impl Services {
    /// Lets a request through, or says why not.
    ///
    /// # Errors
    /// [`ApiError::Unauthorized`] without a known key, [`ApiError::Forbidden`] beyond its scope,
    /// [`ApiError::TooManyRequests`] for more than the settings allow.
    pub fn allow(&self, request: &HttpRequest, needed: Scope) -> Result<Caller<'_>, ApiError> {
        let identified = self.access.identify(request);
        let name = identified.as_ref().ok().map(|caller| caller.name());
        let allowed = self.decide(request, identified, needed);
        log(request, name, needed, allowed.as_ref().err());
        allowed
    }

    fn decide<'a>(
        &self,
        request: &HttpRequest,
        caller: Result<Caller<'a>, ApiError>,
        needed: Scope,
    ) -> Result<Caller<'a>, ApiError> {
        let caller = caller.or_else(|refusal| {
            self.limits.count_failure(request)?;
            Err(refusal)
        })?;
        if let Some(name) = caller.key_name() {
            RequestSpan::record(request, "api_key", name);
            self.limits.count(name)?;
        }
        if caller.may(needed) { Ok(caller) } else { Err(ApiError::Forbidden(needed.as_str())) }
    }
}

/// One line for each request of the API: who asked, for what, and whether it was let in. A key that
/// is refused is worth a look; that there was none is not.
fn log(request: &HttpRequest, name: Option<&str>, needed: Scope, refusal: Option<&ApiError>) {
    let scope = needed.as_str();
    let route = request.match_pattern().unwrap_or_default();
    let outcome = match refusal {
        None => "allowed",
        Some(ApiError::TooManyRequests { .. }) => "too many requests",
        Some(ApiError::Forbidden(_)) => "beyond its scope",
        Some(ApiError::Unauthorized) if has_credentials(request) => "unknown key",
        Some(_) => "no key",
    };
    let method = request.method().as_str();
    if matches!(outcome, "allowed" | "no key") {
        tracing::info!(api_key = name, scope, outcome, method, route, "API request");
    } else {
        tracing::warn!(api_key = name, scope, outcome, method, route, "API request refused");
    }
}

/// Whose request it is: the peer's, or what the outermost of our proxies has written down of its
/// own peer. What stands further left anybody can write.
fn client(request: &HttpRequest, trusted_hops: usize) -> Option<IpAddr> {
    let peer = || request.peer_addr().map(|address| address.ip());
    let Some(nth) = trusted_hops.checked_sub(1) else {
        return peer();
    };
    let headers = request.headers().get_all("x-forwarded-for");
    let chain: Vec<_> = headers.filter_map(|value| value.to_str().ok()).collect();
    let chain = chain.join(",");
    chain.rsplit(',').nth(nth).and_then(|entry| read_address(entry.trim())).or_else(peer)
}

/// An address as proxies write it: bare, in brackets, with a port.
fn read_address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_matches(['[', ']']).parse().ok();
    bare.or_else(|| text.parse::<std::net::SocketAddr>().ok().map(|address| address.ip()))
}

fn has_credentials(request: &HttpRequest) -> bool {
    request.headers().contains_key(header::AUTHORIZATION)
}

/// One subscriber has a whole /64 of version 6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn check(hops: usize, forwarded: &[&str], expected: &str) {
        let mut request = TestRequest::default().peer_addr("192.0.2.1:4711".parse().unwrap());
        for value in forwarded {
            request = request.append_header(("x-forwarded-for", *value));
        }
        let client = client(&request.to_http_request(), hops).unwrap();
        assert_eq!(client.to_string(), expected, "{hops} {forwarded:?}");
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let chain = ["203.0.113.1, 203.0.113.2", "203.0.113.3"];
        check(0, &chain, "192.0.2.1");
        check(1, &chain, "203.0.113.3");
        check(2, &chain, "203.0.113.2");
        check(3, &chain, "203.0.113.1");
        for hops in [1, 4] {
            check(hops, &[], "192.0.2.1");
        }
        check(1, &["unknown"], "192.0.2.1");
        check(1, &["[2001:db8::1]:4711"], "2001:db8::1");
        check(1, &["203.0.113.9:4711"], "203.0.113.9");
    }

    #[test]
    fn a_subscriber_of_version_6_is_one_network() {
        let of = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("::ffff:203.0.113.9"), "203.0.113.9");
        assert_eq!(of("203.0.113.9"), "203.0.113.9");
    }
}
