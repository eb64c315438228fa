//! The signature of the Standard Webhooks specification, version 1.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::error::BoxError;
use domain::subscription::{Secrets, SigningSecret};
use domain::timestamp::Timestamp;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use standardwebhooks::{
    HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook,
};

/// What stands in front of a secret.
const PREFIX: &str = "whsec_";
/// How many bytes a secret of ours has; the specification allows 24 to 64.
const LENGTH: usize = 32;

/// The headers that prove a call to be ours: signed with each secret that is in use.
pub(crate) fn headers(
    id: &str,
    at: Timestamp,
    body: &str,
    secrets: &Secrets,
) -> Result<HeaderMap, BoxError> {
    let seconds = at.as_micros().div_euclid(1_000_000);
    let signatures = secrets.in_use(at).map(|secret| {
        Webhook::new(secret.expose()).and_then(|key| key.sign(id, seconds, body.as_bytes()))
    });
    let signatures = signatures.collect::<Result<Vec<_>, _>>()?;
    let header = |name, value: String| {
        Ok::<_, BoxError>((HeaderName::from_static(name), HeaderValue::try_from(value)?))
    };
    [
        header(HEADER_WEBHOOK_ID, id.to_owned()),
        header(HEADER_WEBHOOK_TIMESTAMP, seconds.to_string()),
        header(HEADER_WEBHOOK_SIGNATURE, signatures.join(" ")),
    ]
    .into_iter()
    .collect()
}

/// Whether that is a secret of the specification.
pub(crate) fn check(secret: &SigningSecret) -> Result<(), &'static str> {
    let bytes = secret.expose().strip_prefix(PREFIX).and_then(|text| STANDARD.decode(text).ok());
    let fits = bytes.is_some_and(|bytes| (24..=64).contains(&bytes.len()));
    fits.then_some(()).ok_or("must be whsec_ and the base64 of 24 to 64 bytes")
}

/// A secret that nobody knows yet.
pub(crate) fn new_secret() -> Result<SigningSecret, BoxError> {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes)?;
    Ok(SigningSecret::new(format!("{PREFIX}{}", STANDARD.encode(bytes))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000).unwrap()
    }

    /// The example that every implementation of the specification is tested with.
    #[test]
    fn a_call_is_signed_as_the_specification_says() {
        let secrets = Secrets::of(SigningSecret::new("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"));
        let body = r#"{"email":"test@example.com","username":"test_user"}"#;
        let id = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";
        let headers = headers(id, at(1_649_367_553), body, &secrets).unwrap();
        assert_eq!(headers.get("webhook-id").unwrap(), id);
        assert_eq!(headers.get("webhook-timestamp").unwrap(), "1649367553");
        assert_eq!(
            headers.get("webhook-signature").unwrap(),
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="
        );
    }

    #[test]
    fn while_a_secret_is_renewed_both_sign() {
        let [old, new] = [(); 2].map(|()| new_secret().unwrap());
        let secrets = Secrets::of(old).renewed(new, at(0));
        let count = |seconds| {
            let headers = headers("id", at(seconds), "{}", &secrets).unwrap();
            let signatures = headers.get("webhook-signature").unwrap().to_str().unwrap();
            signatures.split(' ').filter(|signature| signature.starts_with("v1,")).count()
        };
        assert_eq!((count(1), count(24 * 60 * 60)), (2, 1));
    }

    #[test]
    fn a_secret_has_the_form_of_the_specification() {
        assert_eq!(check(&new_secret().unwrap()), Ok(()));
        assert_ne!(new_secret().unwrap(), new_secret().unwrap());
        let long = format!("whsec_{}", STANDARD.encode([7; 65]));
        for wrong in
            ["", "whsec_", "secret", "whsec_!!!!", "C2FVsBQIhrscChlQIMV+b5sSYspob7oD", &long]
        {
            assert!(check(&SigningSecret::new(wrong)).is_err(), "{wrong}");
        }
    }
}
