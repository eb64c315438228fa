//! Requests as a test writes them.

use adapter_twilio::form::Form;
use adapter_twilio::signature::{self, Key, Payload};
use adapter_twilio::{GateSettings, TwilioGate};
use domain::message::InboundMessage;
use domain::phone::Region;
use domain::ports::{RawWebhook, Refusal, StatusDelivery, WebhookGate};

pub(crate) const TOKEN: &str = "local-development-token";
pub(crate) const BASE: &str = "https://sms.example.com";
pub(crate) const TARGET: &str = "/webhook/twilio/sms";
pub(crate) const BODY: &str = "Body=Hola+%C3%A9&MessageSid=SM1&From=%2B18605550199&Body=2";
const FORM: &str = "application/x-www-form-urlencoded";

pub(crate) struct Request {
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// A form as Twilio posts it, not yet signed.
    pub(crate) fn form(body: &str) -> Self {
        let request =
            Self { target: TARGET.to_owned(), headers: Vec::new(), body: body.as_bytes().to_vec() };
        request.with("content-type", FORM)
    }

    pub(crate) fn at(mut self, target: &str) -> Self {
        target.clone_into(&mut self.target);
        self
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self
    }

    /// Signed as if Twilio had called that URL with this form.
    pub(crate) fn signed(self, url: &str) -> Self {
        self.signed_with(url, TOKEN)
    }

    pub(crate) fn signed_with(self, url: &str, token: &str) -> Self {
        let form = Form::parse(&self.body);
        let fields = form.fields().iter();
        let fields = fields.map(|field| (&*field.name, &*field.value)).collect();
        let signature = signature::sign(url, &Payload::Form(fields), &Key::new(token).unwrap());
        self.with("x-twilio-signature", &signature.to_string())
    }

    pub(crate) fn inbound(&self, gate: &TwilioGate) -> Result<InboundMessage, Refusal> {
        let headers = self.borrowed_headers();
        gate.open_inbound(&self.raw(&headers))
    }

    pub(crate) fn status(&self, gate: &TwilioGate) -> Result<StatusDelivery, Refusal> {
        let headers = self.borrowed_headers();
        gate.open_status(&self.raw(&headers))
    }

    pub(crate) fn names_the_account_of(&self, gate: &TwilioGate) -> bool {
        let headers = self.borrowed_headers();
        gate.names_our_account(&self.raw(&headers))
    }

    fn borrowed_headers(&self) -> Vec<(&str, &[u8])> {
        let headers = self.headers.iter();
        headers.map(|(name, value)| (name.as_str(), value.as_slice())).collect()
    }

    fn raw<'a>(&'a self, headers: &'a [(&'a str, &'a [u8])]) -> RawWebhook<'a> {
        RawWebhook { target: &self.target, headers, body: &self.body }
    }
}

pub(crate) fn settings(public_urls: &str) -> GateSettings {
    GateSettings {
        auth_token: TOKEN.into(),
        auth_token_secondary: None,
        account_sid: None,
        public_urls: public_urls.parse().unwrap(),
        region: Region::default(),
    }
}

pub(crate) fn gate(public_urls: &str) -> TwilioGate {
    TwilioGate::new(settings(public_urls))
}
