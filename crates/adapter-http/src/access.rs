//! Who may call the API (wire contracts, section 6: `API_KEYS`).

use std::fmt;

use actix_web::HttpRequest;
use actix_web::http::header;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::ApiError;

/// Who may call the API.
#[derive(Debug, Clone)]
pub enum Access {
    /// Everybody who can reach it: on the developer's own machine, or by `API_AUTH=off`.
    Open,
    /// Whoever holds a key with the scope that the endpoint needs.
    Keys(ApiKeys),
}

impl Access {
    /// Lets a request through, or says why not.
    ///
    /// # Errors
    /// [`ApiError::Unauthorized`] without a known key, [`ApiError::Forbidden`] beyond its scope.
    pub fn check(&self, request: &HttpRequest, needed: Scope) -> Result<(), ApiError> {
        let Self::Keys(keys) = self else {
            return Ok(());
        };
        let given = bearer(request).ok_or(ApiError::Unauthorized)?;
        let key = keys.find(given).ok_or(ApiError::Unauthorized)?;
        if key.scopes.contains(&needed) {
            tracing::debug!(api_key = key.name, "allowed");
            return Ok(());
        }
        Err(ApiError::Forbidden(needed.as_str()))
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

impl ApiKeys {
    /// Reads `name:scopes:sha256-hex` entries separated by commas; scopes are joined by `+`, `*`
    /// is all of them.
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
    let scopes = match scopes {
        "*" => Some(Scope::ALL.to_vec()),
        listed => listed.split('+').map(parse_scope).collect(),
    };
    let scopes = scopes.ok_or("scopes are send, read, write, operate joined by +, or *")?;
    Ok(Key { name: name.to_owned(), scopes, sha256 })
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

    fn check(scopes: &str, authorization: Option<&str>, needed: Scope) -> Result<(), String> {
        let access = Access::Keys(ApiKeys::parse(&format!("dashboard:{scopes}:{SECRET}")).unwrap());
        let mut request = TestRequest::default();
        if let Some(value) = authorization {
            request = request.insert_header((header::AUTHORIZATION, value));
        }
        access.check(&request.to_http_request(), needed).map_err(|error| error.code().to_owned())
    }

    #[test]
    fn a_key_opens_what_its_scopes_say() {
        assert_eq!(check("read+send", Some("Bearer secret"), Scope::Read), Ok(()));
        assert_eq!(check("*", Some("bearer secret"), Scope::Operate), Ok(()));
        let forbidden = Err("sms.forbidden".to_owned());
        assert_eq!(check("send", Some("Bearer secret"), Scope::Read), forbidden);
    }

    #[test]
    fn without_a_known_key_nothing_opens() {
        for authorization in [None, Some("Bearer wrong"), Some("Basic secret"), Some("secret")] {
            let answer = check("*", authorization, Scope::Read);
            assert_eq!(answer, Err("sms.unauthorized".to_owned()), "{authorization:?}");
        }
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
