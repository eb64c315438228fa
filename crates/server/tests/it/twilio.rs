//! Webhooks as Twilio makes them.

use adapter_twilio::signature::{Fields, Key, Payload, sign};
use url::form_urlencoded::Serializer;

use crate::service::{PUBLIC, TOKEN};

/// A webhook, ready to post.
#[derive(Clone)]
pub(crate) struct Webhook {
    /// Path and query.
    pub(crate) target: String,
    pub(crate) signature: String,
    pub(crate) body: Vec<u8>,
}

impl Webhook {
    /// Fields, signed for a path of the public URL.
    pub(crate) fn signed(target: &str, fields: &[(&str, &str)]) -> Self {
        Self::signed_at(PUBLIC, target, fields)
    }

    /// The same for a service that Twilio knows under another URL.
    pub(crate) fn signed_at(public: &str, target: &str, fields: &[(&str, &str)]) -> Self {
        let key = Key::new(TOKEN).unwrap();
        let payload = Payload::Form(fields.iter().copied().collect::<Fields<'_>>());
        let signature = sign(&format!("{public}{target}"), &payload, &key).to_string();
        let body = Serializer::new(String::new()).extend_pairs(fields).finish().into_bytes();
        Self { target: target.to_owned(), signature, body }
    }

    /// A form as it stands, signed over what an independent parser reads in it.
    pub(crate) fn signed_body(target: &str, body: Vec<u8>) -> Self {
        let fields: Vec<_> = url::form_urlencoded::parse(&body).collect();
        let fields = fields.iter().map(|(name, value)| (&**name, &**value));
        let payload = Payload::Form(fields.collect::<Fields<'_>>());
        let key = Key::new(TOKEN).unwrap();
        let signature = sign(&format!("{PUBLIC}{target}"), &payload, &key).to_string();
        Self { target: target.to_owned(), signature, body }
    }

    /// A text to us.
    pub(crate) fn text(sid: &str, from: &str, body: &str) -> Self {
        Self::text_at(PUBLIC, sid, from, body)
    }

    /// The same for a service that Twilio knows under another URL.
    pub(crate) fn text_at(public: &str, sid: &str, from: &str, body: &str) -> Self {
        let fields = [
            ("ToCountry", "US"),
            ("SmsMessageSid", sid),
            ("NumMedia", "0"),
            ("SmsStatus", "received"),
            ("Body", body),
            ("To", "+18605550100"),
            ("MessageSid", sid),
            ("AccountSid", "AC5d41402abc4b2a76b9719d911017c592"),
            ("From", from),
            ("ApiVersion", "2010-04-01"),
        ];
        Self::signed_at(public, "/webhook/twilio/sms", &fields)
    }

    /// Posts it and gives the status; `None` where there was no answer.
    pub(crate) async fn post(&self, client: &reqwest::Client, service: &str) -> Option<u16> {
        let request = client
            .post(format!("{service}{}", self.target))
            .header("content-type", "application/x-www-form-urlencoded; charset=UTF-8")
            .header("x-twilio-signature", &self.signature)
            .body(self.body.clone());
        request.send().await.ok().map(|answer| answer.status().as_u16())
    }
}

/// A SID of Twilio's form.
pub(crate) fn sid(number: usize) -> String {
    format!("SM{number:032x}")
}
