//! Who may call the API (wire contracts, section 6: `API_KEYS`).

use std::fmt;
use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::uri::Authority;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::ApiError;

/// Who may call the API.
#[derive(Debug, Clone)]
pub enum Access {
    /// Whoever holds a key with the scope that the endpoint needs.
    Keys(ApiKeys),
    /// Everybody on this machine: a developer's, without keys.
    Loopback,
    /// Nobody: a developer's machine that others can reach, without keys.
    Closed,
    /// Everybody who can reach it: `API_AUTH=off`.
    Open,
}

/// What a proxy or a tunnel adds to the requests that it forwards, besides `X-Forwarded-...`.
const FORWARDING: [&str; 10] = [
    "forwarded",
    "via",
    "x-real-ip",
    "x-original-host",
    "x-client-ip",
    "x-cluster-client-ip",
    "cf-connecting-ip",
    "true-client-ip",
    "fly-client-ip",
    "ngrok-trace-id",
];

impl Access {
    /// Who makes the request.
    ///
    /// # Errors
    /// [`ApiError::Unauthorized`] without a known key, [`ApiError::Closed`] where none is known.
    pub fn identify(&self, request: &HttpRequest) -> Result<Caller<'_>, ApiError> {
        match self {
            Self::Open => Ok(Caller(None)),
            Self::Loopback if is_from_here(request) => Ok(Caller(None)),
            Self::Loopback | Self::Closed => Err(ApiError::Closed),
            Self::Keys(keys) => {
                let given = bearer(request).ok_or(ApiError::Unauthorized)?;
                keys.find(given).map(|key| Caller(Some(key))).ok_or(ApiError::Unauthorized)
            }
        }
    }
}

/// Whether it was made on this machine, to this machine: whoever sent it is a loopback address
/// (whatever `HOST` listens on), nobody has forwarded it, and a page of another site that asks in
/// the developer's browser is not from here either. Such a page may give its own name the address
/// of this machine (DNS rebinding), so the name that was asked for counts too.
fn is_from_here(request: &HttpRequest) -> bool {
    let is_loopback = |ip: IpAddr| ip.to_canonical().is_loopback();
    request.peer_addr().is_some_and(|peer| is_loopback(peer.ip()))
        && !request.headers().keys().any(|name| is_forwarding(name.as_str()))
        && is_asked_for_here(request)
        && !is_asked_from_elsewhere(request)
}

/// Whether a browser says that a page of another site asks. For an image or a script it names none.
fn is_asked_from_elsewhere(request: &HttpRequest) -> bool {
    let mut origins = request.headers().get_all(header::ORIGIN).peekable();
    let crosses = request.headers().get("sec-fetch-site").is_some_and(|site| site == "cross-site");
    let is_here = |origin: &HeaderValue| {
        origin.to_str().ok().and_then(site).is_some_and(is_loopback_authority)
    };
    (crosses && origins.peek().is_none()) || !origins.all(is_here)
}

/// Header names are in lower case.
fn is_forwarding(header: &str) -> bool {
    header.starts_with("x-forwarded") || FORWARDING.contains(&header)
}

/// Whether each host that the request names is this machine, and it names one.
fn is_asked_for_here(request: &HttpRequest) -> bool {
    let named = request.headers().get_all(header::HOST).map(|host| host.to_str().ok());
    let named: Vec<_> =
        named.chain(request.uri().authority().map(|host| Some(host.as_str()))).collect();
    !named.is_empty() && named.into_iter().all(|host| host.is_some_and(is_loopback_authority))
}

/// Host and port of an `Origin`.
fn site(origin: &str) -> Option<&str> {
    origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"))
}

fn is_loopback_authority(text: &str) -> bool {
    let Ok(authority) = text.parse::<Authority>() else {
        return false;
    };
    let host = authority.host();
    // `user@host` is no way to name a host.
    !text.contains('@')
        && (host.eq_ignore_ascii_case("localhost")
            || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()))
}

/// Who was let through.
#[derive(Clone, Copy)]
pub struct Caller<'a>(Option<&'a Key>);

impl<'a> Caller<'a> {
    /// The name of the key; `anonymous` where none was needed.
    #[must_use]
    pub fn name(self) -> &'a str {
        self.0.map_or("anonymous", |key| &key.name)
    }

    /// The name of the key, where one was needed.
    pub(crate) fn key_name(self) -> Option<&'a str> {
        self.0.map(|key| key.name.as_str())
    }

    /// Whether it may do that.
    #[must_use]
    pub fn may(self, scope: Scope) -> bool {
        self.0.is_none_or(|key| key.scopes.contains(&scope))
    }
}

impl fmt::Debug for Caller<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Caller").field(&self.name()).finish()
    }
}

fn bearer(request: &HttpRequest) -> Option<&str> {
    let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// What a key opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Sending.
    Send,
    /// Reading conversations and messages.
    Read,
    /// Changing conversations.
    Write,
    /// Raw payloads, jobs, metrics.
    Operate,
}

impl Scope {
    const ALL: [Self; 4] = [Self::Send, Self::Read, Self::Write, Self::Operate];

    /// Its word in the setting.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Read => "read",
            Self::Write => "write",
            Self::Operate => "operate",
        }
    }
}

/// The known keys. Only their SHA-256 is known; the keys themselves are not kept.
#[derive(Clone)]
pub struct ApiKeys(Vec<Key>);

#[derive(Clone)]
struct Key {
    name: String,
    scopes: Vec<Scope>,
    sha256: [u8; 32],
}

/// The setting cannot be read. The entry is named by its place, as it may hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry {entry}: {reason}")]
pub struct InvalidApiKeys {
    /// Which entry, from 1.
    pub entry: usize,
    /// What to change.
    pub reason: &'static str,
}

/// A key that nobody has yet. Has no `Debug`: the key is shown once, to whoever made it.
pub struct NewKey {
    /// What the caller sends.
    pub key: String,
    /// Its entry in the setting.
    pub entry: String,
}

impl NewKey {
    /// Makes a key of that name and those scopes out of 256 random bits. The prefix lets scanners
    /// of repositories and logs find keys that were left there.
    ///
    /// # Errors
    /// What is wrong with the name or the scopes.
    pub fn make(name: &str, scopes: &str, secret: [u8; 32]) -> Result<Self, &'static str> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if !(1..=64).contains(&name.len()) || !name.bytes().all(allowed) {
            return Err("a name is 1 to 64 letters, digits, '.', '_' and '-'");
        }
        parse_scopes(scopes)?;
        let key = format!("smsf_{}", hex(&secret));
        let entry = format!("{name}:{scopes}:{}", hex(&Sha256::digest(key.as_bytes())));
        Ok(Self { key, entry })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

impl ApiKeys {
    /// Reads `name:scopes:sha256-hex` entries separated by commas; scopes are joined by `+`, `*`
    /// is all of them. While a key is replaced, both stand there under one name.
    ///
    /// # Errors
    /// [`InvalidApiKeys`] for the first entry of another form.
    pub fn parse(setting: &str) -> Result<Self, InvalidApiKeys> {
        let entries = setting.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let key = |(nth, entry): (usize, &str)| {
            parse_key(entry).map_err(|reason| InvalidApiKeys { entry: nth + 1, reason })
        };
        entries.enumerate().map(key).collect::<Result<_, _>>().map(Self)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key with that text. Compares with every one, so that time tells nothing.
    fn find(&self, given: &str) -> Option<&Key> {
        let given: [u8; 32] = Sha256::digest(given.as_bytes()).into();
        let mut found = None;
        for key in &self.0 {
            if bool::from(key.sha256.ct_eq(&given)) {
                found = Some(key);
            }
        }
        found
    }
}

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| &key.name)).finish()
    }
}

fn parse_key(entry: &str) -> Result<Key, &'static str> {
    let [name, scopes, hash] = entry.split(':').collect::<Vec<_>>()[..] else {
        return Err("must be name:scopes:sha256-hex");
    };
    if name.is_empty() {
        return Err("the name is empty");
    }
    let sha256 = parse_hash(hash).ok_or("the hash must be 64 hexadecimal digits")?;
    let scopes = parse_scopes(scopes)?;
    Ok(Key { name: name.to_owned(), scopes, sha256 })
}

fn parse_scopes(scopes: &str) -> Result<Vec<Scope>, &'static str> {
    let scopes = match scopes {
        "*" => Some(Scope::ALL.to_vec()),
        listed => listed.split('+').map(parse_scope).collect(),
    };
    scopes.ok_or("scopes are send, read, write, operate joined by +, or *")
}

fn parse_scope(word: &str) -> Option<Scope> {
    Scope::ALL.into_iter().find(|scope| scope.as_str() == word)
}

fn parse_hash(hex: &str) -> Option<[u8; 32]> {
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, digits) in hash.iter_mut().zip(hex.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    /// `printf secret | sha256sum`
    const SECRET: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

    fn request(headers: &[(&str, &str)]) -> HttpRequest {
        let request = TestRequest::default();
        headers
            .iter()
            .fold(request, |request, header| request.insert_header(*header))
            .to_http_request()
    }

    fn check(scopes: &str, authorization: Option<&str>, needed: Scope) -> Result<bool, String> {
        let access = Access::Keys(ApiKeys::parse(&format!("dashboard:{scopes}:{SECRET}")).unwrap());
        let headers: Vec<_> =
            authorization.map(|value| ("authorization", value)).into_iter().collect();
        let identified = access.identify(&request(&headers)).map(|caller| caller.may(needed));
        identified.map_err(|error| error.code().to_owned())
    }

    #[test]
    fn a_key_opens_what_its_scopes_say() {
        assert_eq!(check("read+send", Some("Bearer secret"), Scope::Read), Ok(true));
        assert_eq!(check("*", Some("bearer secret"), Scope::Operate), Ok(true));
        assert_eq!(check("send", Some("Bearer secret"), Scope::Read), Ok(false));
    }

    #[test]
    fn a_caller_has_the_name_and_the_scopes_of_its_key() {
        let keys = ApiKeys::parse(&format!("dashboard:read:{SECRET}")).unwrap();
        let with_key = request(&[("authorization", "Bearer secret")]);
        let access = Access::Keys(keys);
        let caller = access.identify(&with_key).unwrap();
        assert_eq!((caller.name(), caller.may(Scope::Operate)), ("dashboard", false));
        let anybody = Access::Open.identify(&with_key).unwrap();
        assert_eq!((anybody.name(), anybody.may(Scope::Operate)), ("anonymous", true));
    }

    #[test]
    fn without_a_known_key_nothing_opens() {
        for authorization in [None, Some("Bearer wrong"), Some("Basic secret"), Some("secret")] {
            let answer = check("*", authorization, Scope::Read);
            assert_eq!(answer, Err("sms.unauthorized".to_owned()), "{authorization:?}");
        }
    }

    #[test]
    fn two_keys_of_one_name_both_open_while_one_replaces_the_other() {
        let new = NewKey::make("dashboard", "read", [7; 32]).unwrap();
        let keys = ApiKeys::parse(&format!("dashboard:read:{SECRET},{}", new.entry)).unwrap();
        let access = Access::Keys(keys);
        for key in ["secret", &new.key] {
            let request = request(&[("authorization", &format!("Bearer {key}"))]);
            assert_eq!(access.identify(&request).unwrap().name(), "dashboard");
        }
    }

    #[test]
    fn a_new_key_is_prefixed_and_its_entry_does_not_hold_it() {
        let NewKey { key, entry } = NewKey::make("night-shift", "read+send", [0xab; 32]).unwrap();
        assert_eq!(key, format!("smsf_{}", "ab".repeat(32)));
        assert!(entry.starts_with("night-shift:read+send:") && !entry.contains(&key[5..]));
        for (name, scopes) in [("", "read"), ("a:b", "read"), ("a,b", "*"), ("a", ""), ("a", "all")]
        {
            assert!(NewKey::make(name, scopes, [0; 32]).is_err(), "{name} {scopes}");
        }
    }

    /// What a program on this machine sends, with these headers besides.
    fn local(peer: &str, headers: &[(&str, &str)]) -> HttpRequest {
        let request = TestRequest::default().insert_header(("host", "127.0.0.1:8080"));
        let request = request.peer_addr(peer.parse().unwrap());
        headers
            .iter()
            .fold(request, |request, header| request.insert_header(*header))
            .to_http_request()
    }

    const HERE: &str = "127.0.0.1:4711";

    #[test]
    fn without_keys_only_this_machine_is_let_in() {
        for (peer, headers) in [
            (HERE, vec![]),
            ("[::1]:4711", vec![("host", "localhost")]),
            ("[::ffff:127.0.0.1]:4711", vec![("host", "[::1]:8080")]),
            (HERE, vec![("origin", "http://localhost:3000")]),
            (HERE, vec![("origin", "http://[::1]")]),
            (HERE, vec![("origin", "https://127.0.0.1:8443")]),
            (HERE, vec![("sec-fetch-site", "same-origin")]),
            (HERE, vec![("sec-fetch-site", "cross-site"), ("origin", "http://127.0.0.1:4010")]),
        ] {
            let request = local(peer, &headers);
            assert!(Access::Loopback.identify(&request).is_ok(), "{peer} {headers:?}");
            assert!(Access::Closed.identify(&request).is_err(), "{peer} {headers:?}");
        }
    }

    fn check_stranger(request: &HttpRequest) {
        let refused = Access::Loopback.identify(request).unwrap_err();
        assert_eq!(refused.code(), "sms.unauthorized", "{request:?}");
        assert!(refused.to_string().contains("API_KEYS"));
        assert!(Access::Open.identify(request).is_ok());
    }

    #[test]
    fn whoever_reaches_a_developers_service_over_the_network_is_not_let_in() {
        check_stranger(&local("192.0.2.1:4711", &[]));
        check_stranger(&local("[2001:db8::1]:4711", &[]));
        // Nobody knows from where.
        let nowhere = TestRequest::default().insert_header(("host", "localhost"));
        check_stranger(&nowhere.to_http_request());
    }

    #[test]
    fn what_was_forwarded_is_not_from_here() {
        let more = ["x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded"];
        for name in FORWARDING.into_iter().chain(more) {
            check_stranger(&local(HERE, &[(name, "203.0.113.7")]));
        }
    }

    #[test]
    fn a_page_of_another_site_is_not_from_here() {
        for origin in
            ["https://example.com", "null", "http://localhost.example.com", "http://::1x", ""]
        {
            check_stranger(&local(HERE, &[("origin", origin)]));
        }
        // A script or an image of a page has no origin.
        check_stranger(&local(HERE, &[("sec-fetch-site", "cross-site")]));
    }

    #[test]
    fn a_name_that_only_resolves_to_this_machine_is_not_this_machine() {
        for host in ["evil.example.com", "evil.example.com:8080", "localhost@evil.example.com", ""]
        {
            check_stranger(&local(HERE, &[("host", host)]));
        }
        let absolute = local(HERE, &[]);
        assert!(Access::Loopback.identify(&absolute).is_ok());
        let absolute = TestRequest::with_uri("http://evil.example.com/jobs")
            .insert_header(("host", "localhost"))
            .peer_addr(HERE.parse().unwrap());
        check_stranger(&absolute.to_http_request());
        let nameless = TestRequest::default().peer_addr(HERE.parse().unwrap());
        check_stranger(&nameless.to_http_request());
    }

    #[test]
    fn a_wrong_entry_is_named_by_its_place() {
        let good = format!("a:*:{SECRET}");
        for wrong in ["b:read", "b:read:12", "b:all:00", ":*:00"] {
            let error = ApiKeys::parse(&format!("{good},{wrong}")).unwrap_err();
            assert_eq!(error.entry, 2, "{wrong}");
            assert!(!error.to_string().contains(SECRET));
        }
        assert!(ApiKeys::parse(" , ").unwrap().is_empty());
    }
}
