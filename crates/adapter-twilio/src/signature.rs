//! Twilio's signature: the HMAC-SHA1, keyed with the account's auth token, of the URL and the
//! form.
//!
//! The signed text is the URL that Twilio called (with its query, without fragment), then for each
//! parameter name in byte order and each of its distinct values in byte order the name and the
//! value, decoded and never trimmed. A body that is no form is signed through its hash: the URL
//! has it as query parameter `bodySHA256`, and the signature covers the URL alone.
//! <https://www.twilio.com/docs/usage/security#validating-requests>

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use base64::prelude::{BASE64_STANDARD, Engine};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Whether `signature` was made for `url` and `payload` with `key`.
///
/// Like the official libraries it accepts the URL with and without a port, because Twilio is not
/// consistent in that: the scheme's own port is added, any port is left out. A `'` in the query
/// may have been signed as `%27`. Each takes the key; time does not depend on where bytes differ.
#[must_use]
pub fn verify(url: &str, payload: &Payload<'_>, signature: &Signature, key: &Key) -> bool {
    let url = SignedUrl::split(url);
    payload.is_named_in(url.query())
        && url.spellings().any(|(port, rest)| {
            let mac = key.mac([url.origin, port, &rest], payload.fields());
            mac.verify_slice(&signature.0).is_ok()
        })
}

/// Whether `signature` was made for `url` as it is spelt here, and no other spelling.
pub(crate) fn verify_exactly(
    url: &str,
    payload: &Payload<'_>,
    signature: &Signature,
    key: &Key,
) -> bool {
    let url = SignedUrl::split(url);
    let mac = key.mac([url.origin, url.port, url.rest], payload.fields());
    payload.is_named_in(url.query()) && mac.verify_slice(&signature.0).is_ok()
}

/// The signature that Twilio sends with `payload` when it calls `url`.
#[must_use]
pub fn sign(url: &str, payload: &Payload<'_>, key: &Key) -> Signature {
    let url = SignedUrl::split(url);
    let mac = key.mac([url.origin, url.port, url.rest], payload.fields());
    Signature(mac.finalize().into_bytes().into())
}

/// What is signed beside the URL.
pub enum Payload<'a> {
    /// The fields of a form.
    Form(Fields<'a>),
    /// Any other body, as it came.
    Body(&'a [u8]),
}

impl<'a> Payload<'a> {
    fn fields(&self) -> &[(&'a [u8], &'a [u8])] {
        match self {
            Self::Form(fields) => &fields.0,
            Self::Body(_) => &[],
        }
    }

    /// Whether a URL with that query stands for this payload: a body must be named by its hash.
    pub(crate) fn is_named_in(&self, query: &str) -> bool {
        let Self::Body(body) = self else {
            return true;
        };
        let mut pieces = query.split('&');
        let Some(named) = pieces.find_map(|piece| piece.strip_prefix("bodySHA256=")) else {
            return false;
        };
        let named = named.to_ascii_lowercase();
        hex_sha256(body).as_bytes().ct_eq(named.as_bytes()).into()
    }
}

fn hex_sha256(body: &[u8]) -> String {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(body) {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// The decoded fields of a form, in the order in which they are signed.
pub struct Fields<'a>(Vec<(&'a [u8], &'a [u8])>);

impl<'a, N, V> FromIterator<(&'a N, &'a V)> for Fields<'a>
where
    N: AsRef<[u8]> + ?Sized,
    V: AsRef<[u8]> + ?Sized,
{
    /// Takes the fields in any order; exact repetitions are signed once.
    fn from_iter<I: IntoIterator<Item = (&'a N, &'a V)>>(fields: I) -> Self {
        let mut fields: Vec<_> =
            fields.into_iter().map(|(name, value)| (name.as_ref(), value.as_ref())).collect();
        fields.sort_unstable();
        fields.dedup();
        Self(fields)
    }
}

/// An auth token, ready to sign with.
#[derive(Clone)]
pub struct Key(Hmac<Sha1>);

impl Key {
    /// The key that `token` is, exactly as it is given; `None` where it is blank: anybody can sign
    /// with an empty key.
    #[must_use]
    pub fn new(token: &str) -> Option<Self> {
        if token.trim().is_empty() {
            return None;
        }
        Hmac::new_from_slice(token.as_bytes()).ok().map(Self)
    }

    fn mac(&self, url: [&str; 3], fields: &[(&[u8], &[u8])]) -> Hmac<Sha1> {
        let mut mac = self.0.clone();
        for part in url {
            mac.update(part.as_bytes());
        }
        for (name, value) in fields {
            mac.update(name);
            mac.update(value);
        }
        mac
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// A signature: 20 bytes, on the wire as base64.
#[derive(Debug, Clone, Copy)]
pub struct Signature([u8; 20]);

/// The text is not the canonical base64 of 20 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the base64 of 20 bytes")]
pub struct InvalidSignature;

/// 20 bytes in base64.
const ENCODED_LENGTH: usize = 28;

impl Signature {
    /// Reads the value of `X-Twilio-Signature`: the standard alphabet, padded, nothing around it.
    ///
    /// # Errors
    /// [`InvalidSignature`] for anything else.
    pub fn parse(header: &[u8]) -> Result<Self, InvalidSignature> {
        if header.len() != ENCODED_LENGTH {
            return Err(InvalidSignature);
        }
        let bytes = BASE64_STANDARD.decode(header).map_err(|_| InvalidSignature)?;
        bytes.try_into().map(Self).map_err(|_| InvalidSignature)
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64_STANDARD.encode(self.0))
    }
}

/// A URL, cut where its spellings differ: `https://host`, `:8443`, `/path?query`.
struct SignedUrl<'a> {
    origin: &'a str,
    /// With its colon; empty where there is none.
    port: &'a str,
    rest: &'a str,
}

impl<'a> SignedUrl<'a> {
    fn split(url: &'a str) -> Self {
        let url = url.split_once('#').map_or(url, |(url, _fragment)| url);
        let authority = url.find("://").map_or(0, |colon| colon + "://".len());
        let (_, behind) = url.split_at(authority);
        let end = behind.find(['/', '?']).unwrap_or(behind.len());
        let (base, rest) = url.split_at(authority + end);
        let (_, host_and_port) = base.split_at(authority);
        let port = port_of(host_and_port);
        let (origin, port) = base.split_at(base.len() - port.len());
        Self { origin, port, rest }
    }

    fn query(&self) -> &'a str {
        self.rest.split_once('?').map_or("", |(_, query)| query)
    }

    /// Port and rest in each way that Twilio may have signed them, the one at hand first.
    fn spellings(&self) -> impl Iterator<Item = (&'a str, Cow<'a, str>)> {
        let ports = [self.port, self.other_port()];
        let rests = std::iter::once(Cow::Borrowed(self.rest));
        let rests = rests.chain(self.rest_with_encoded_quotes().map(Cow::Owned));
        rests.flat_map(move |rest| ports.map(|port| (port, rest.clone())))
    }

    fn other_port(&self) -> &'static str {
        match self.origin.split_once("://") {
            _ if !self.port.is_empty() => "",
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => ":443",
            _ => ":80",
        }
    }

    fn rest_with_encoded_quotes(&self) -> Option<String> {
        let (path, query) = self.rest.split_once('?')?;
        query.contains('\'').then(|| format!("{path}?{}", query.replace('\'', "%27")))
    }
}

/// `:8443` of `user:password@[::1]:8443`; empty where no port is given.
pub(crate) fn port_of(authority: &str) -> &str {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let Some(colon) = host.rfind(':') else {
        return "";
    };
    let (_, port) = host.split_at(colon);
    let digits = port.strip_prefix(':').unwrap_or_default();
    let is_port = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_port { port } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const URL: &str = "https://sms.example.com/webhook/twilio/sms?tenant=42";
    const TOKEN: &str = "local-development-token";

    fn key(token: &str) -> Key {
        Key::new(token).unwrap()
    }

    fn form<'a>(fields: &'a [(&'a str, &'a str)]) -> Payload<'a> {
        Payload::Form(fields.iter().copied().collect())
    }

    fn is_genuine(url: &str, signed_as: &str) -> bool {
        let payload = form(&[("Body", "Hola")]);
        let signature = sign(signed_as, &payload, &key(TOKEN));
        verify(url, &payload, &signature, &key(TOKEN))
    }

    #[test]
    fn a_signature_computed_elsewhere_fits() {
        // Python: base64(hmac.new(token, url + "".join(sorted distinct name + value), sha1)).
        let fields = [
            ("Tag", "b"),
            ("Body", "My sink leaks"),
            ("Tag", "a"),
            ("MessageSid", "SM00000000000000000000000000000001"),
            ("From", "+18605550199"),
            ("Tag", "b"),
        ];
        let signature = Signature::parse(b"Ut7PBOvcPLECsqUKvRTrRihHSX0=").unwrap();
        assert!(verify(URL, &form(&fields), &signature, &key(TOKEN)));
        assert_eq!(
            sign(URL, &form(&fields), &key(TOKEN)).to_string(),
            "Ut7PBOvcPLECsqUKvRTrRihHSX0="
        );
    }

    #[test]
    fn a_body_is_signed_through_its_hash_in_the_url() {
        let hash = "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862";
        let check = |url: &str, body: &[u8], genuine: bool| {
            let signature = sign(url, &Payload::Body(body), &key(TOKEN));
            assert_eq!(
                verify(url, &Payload::Body(body), &signature, &key(TOKEN)),
                genuine,
                "{url}"
            );
        };
        let body = br#"{"a":1}"#;
        let upper = hash.to_ascii_uppercase();
        let base = "https://sms.example.com/webhook/twilio/sms";
        check(&format!("{base}?bodySHA256={hash}"), body, true);
        check(&format!("{base}?a=1&bodySHA256={upper}&b=2"), body, true);
        check(&format!("{base}?bodySHA256={hash}"), b"{}", false);
        check(&format!("{base}?bodySHA256={hash}0"), body, false);
        check(&format!("{base}?bodySHA256="), body, false);
        check(&format!("{base}?xbodySHA256={hash}"), body, false);
        check(base, body, false);
        check(base, b"", false);
    }

    #[test]
    fn the_url_fits_with_and_without_a_port() {
        let check = |url: &str, signed_as: &str, genuine: bool| {
            assert_eq!(is_genuine(url, signed_as), genuine, "{url} as {signed_as}");
        };
        check("https://h/x", "https://h:443/x", true);
        check("http://h/x", "http://h:80/x", true);
        check("HTTPS://h/x", "HTTPS://h:443/x", true);
        check("https://h:8443/x", "https://h/x", true);
        check("https://h:443", "https://h", true);
        check("https://u:1@h/x", "https://u:1@h:443/x", true);
        check("https://u:1@H:9/x", "https://u:1@H/x", true);
        check("http://[::1]:8080/x", "http://[::1]/x", true);
        check("http://[::1]/x", "http://[::1]:80/x", true);
        check("https://h?a=/:1", "https://h:443?a=/:1", true);
        check("https://h/x#rc=3", "https://h/x", true);
        check("https://h/x", "https://h:8443/x", false);
        check("https://h:8443/x", "https://h:443/x", false);
        check("http://h/x", "http://h:443/x", false);
        check("https://h/x", "http://h/x", false);
        check("https://h/x", "https://H/x", false);
    }

    #[test]
    fn a_quote_in_the_query_may_have_been_signed_encoded() {
        assert!(is_genuine("https://h/x?a=it's", "https://h/x?a=it%27s"));
        assert!(!is_genuine("https://h/x?a=it%27s", "https://h/x?a=it's"));
        assert!(!is_genuine("https://h/it's", "https://h/it%27s"));
    }

    #[test]
    fn only_the_canonical_base64_of_twenty_bytes_is_a_signature() {
        assert!(Signature::parse(b"Ut7PBOvcPLECsqUKvRTrRihHSX0=").is_ok());
        for odd in [
            "",
            "FAIL",
            "Ut7PBOvcPLECsqUKvRTrRihHSX0",
            "Ut7PBOvcPLECsqUKvRTrRihHSX0==",
            "Ut7PBOvcPLECsqUKvRTrRihHSX1=",
            "Ut7PBOvcPLECsqUKvRTrRihHSX00",
            "Ut7PBOvcPLECsqUKvRTrRihH-_0=",
            "Ut7PBOvcPLECsqUKvR rRihHSX0=",
            " Ut7PBOvcPLECsqUKvRTrRihHSX0=",
            "Ut7PBOvcPLECsqUKvRTrRihHS===",
        ] {
            let parsed = Signature::parse(odd.as_bytes());
            assert_eq!(parsed.err(), Some(InvalidSignature), "{odd:?}");
        }
    }

    #[test]
    fn a_blank_token_is_no_key() {
        for blank in ["", " ", "\t\n", "\u{a0}"] {
            assert!(Key::new(blank).is_none(), "{blank:?}");
        }
        assert_eq!(format!("{:?}", key(" x ")), "Key(..)");
    }

    #[test]
    fn values_and_tokens_are_never_trimmed() {
        let signature = sign(URL, &form(&[("Body", " a ")]), &key(TOKEN));
        for (value, token) in [("a", TOKEN), (" a ", "local-development-token\n")] {
            let fields = [("Body", value)];
            assert!(!verify(URL, &form(&fields), &signature, &key(token)));
        }
    }

    fn fields() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
        prop::collection::vec((any::<Vec<u8>>(), any::<Vec<u8>>()), 0..12)
    }

    fn payload(fields: &[(Vec<u8>, Vec<u8>)]) -> Payload<'_> {
        Payload::Form(fields.iter().map(|(name, value)| (name, value)).collect())
    }

    proptest! {
        #[test]
        fn what_is_signed_is_verified_in_any_order(
            token in "[!-~]{1,80}",
            path in "/[a-z/]{0,20}([?][a-z=&'%]{0,20})?",
            (fields, shuffled) in fields().prop_flat_map(|fields| {
                (Just(fields.clone()), Just(fields).prop_shuffle())
            }),
        ) {
            let url = format!("https://sms.example.com{path}");
            let signature = sign(&url, &payload(&fields), &key(&token));
            let parsed = Signature::parse(signature.to_string().as_bytes()).unwrap();
            prop_assert!(verify(&url, &payload(&shuffled), &parsed, &key(&token)));
        }

        #[test]
        fn any_changed_byte_breaks_the_signature(
            token in "[a-z]{1,80}",
            path in "[a-z]{1,20}",
            fields in fields(),
            what in 0..4,
            place in any::<prop::sample::Index>(),
            flip in 1..=255_u8,
        ) {
            let url = format!("https://sms.example.com/{path}");
            let signature = sign(&url, &payload(&fields), &key(&token));
            let (mut url, mut token, mut changed) = (url, token, fields.clone());
            match what {
                0 => url = other_letter(&url, "https://sms.example.com/".len(), place),
                1 => token = other_letter(&token, 0, place),
                _ => {
                    let flipped = flip_a_byte(&mut changed, what == 2, place, flip);
                    prop_assume!(flipped && payload(&changed).fields() != payload(&fields).fields());
                }
            }
            prop_assert!(!verify(&url, &payload(&changed), &signature, &key(&token)));
        }

        #[test]
        fn no_url_and_no_header_panics(url in any::<String>(), header in any::<Vec<u8>>()) {
            let signature = sign(&url, &form(&[]), &key(TOKEN));
            prop_assert!(verify(&url, &form(&[]), &signature, &key(TOKEN)));
            let _ = Signature::parse(&header);
        }
    }

    fn other_letter(text: &str, from: usize, place: prop::sample::Index) -> String {
        let at = from + place.index(text.len() - from);
        let other = if text.as_bytes()[at] == b'q' { "r" } else { "q" };
        [&text[..at], other, &text[at + 1..]].concat()
    }

    fn flip_a_byte(
        fields: &mut [(Vec<u8>, Vec<u8>)],
        of_name: bool,
        place: prop::sample::Index,
        flip: u8,
    ) -> bool {
        let bytes = fields.iter_mut();
        let mut bytes: Vec<&mut u8> =
            bytes.flat_map(|(name, value)| if of_name { name } else { value }).collect();
        if bytes.is_empty() {
            return false;
        }
        let at = place.index(bytes.len());
        *bytes[at] ^= flip;
        true
    }
}
