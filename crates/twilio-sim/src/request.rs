//! A webhook request: fields, encoded and signed.

use adapter_twilio::signature::{Key, Payload, sign};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// A request that Twilio makes. Personal data: it has no `Debug`.
#[derive(Clone)]
pub struct WebhookRequest {
    /// Whom it calls.
    pub url: String,
    /// The form, encoded.
    pub body: String,
    /// The value of `X-Twilio-Signature`; `None` where there is no auth token to sign with.
    pub signature: Option<String>,
}

/// What a form leaves as it is, beside letters and digits.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'*');

impl WebhookRequest {
    /// The request that posts `fields` to `url`.
    pub(crate) fn new(url: &str, fields: &[(String, String)], key: Option<&Key>) -> Self {
        let pairs = fields.iter().map(|(name, value)| (name, value));
        let payload = Payload::Form(pairs.collect());
        Self {
            url: url.to_owned(),
            body: encoded(fields),
            signature: key.map(|key| sign(url, &payload, key).to_string()),
        }
    }
}

/// Fields as a form or a query.
pub(crate) fn encoded(fields: &[(String, String)]) -> String {
    let escaped = |text: &str| utf8_percent_encode(text, ESCAPED).to_string().replace("%20", "+");
    let pieces: Vec<_> = fields
        .iter()
        .map(|(name, value)| format!("{}={}", escaped(name), escaped(value)))
        .collect();
    pieces.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_encoded_as_browsers_do() {
        let fields = [
            ("Body".to_owned(), "1+1 = 2 & \u{e9}~*'%20\0\n".to_owned()),
            ("ToCity".to_owned(), String::new()),
        ];
        assert_eq!(encoded(&fields), "Body=1%2B1+%3D+2+%26+%C3%A9%7E*%27%2520%00%0A&ToCity=");
    }

    #[test]
    fn nothing_is_signed_without_a_token() {
        let request = WebhookRequest::new("http://h/in", &[], Key::new(" ").as_ref());
        assert_eq!(request.signature, None);
    }
}
