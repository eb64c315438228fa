//! The gate: the order of the checks, and which headers count.

use domain::message::InboundMessage;
use domain::phone::Region;
use domain::ports::{RawWebhook, Refusal, SignatureMistake, StatusDelivery, WebhookGate};
use secrecy::{ExposeSecret, SecretString};

use crate::diagnosis::Suspect;
use crate::form::Form;
use crate::public_url::PublicUrls;
use crate::signature::{Fields, Key, Payload, Signature, verify};
use crate::webhook;

/// Lets in what Twilio signed with our auth token, and nothing else.
pub struct TwilioGate {
    /// The primary token's first. Without any, everything is forged.
    keys: Vec<Key>,
    account_sid: Option<String>,
    public_urls: PublicUrls,
    region: Region,
}

/// What a gate needs to know. A blank text is as good as none.
#[derive(Debug, Clone)]
pub struct GateSettings {
    /// The account's auth token, used exactly as it is given.
    pub auth_token: SecretString,
    /// A second token that counts as well, while one replaces the other.
    pub auth_token_secondary: Option<SecretString>,
    /// Our account: reports about another one's messages are set apart.
    pub account_sid: Option<String>,
    /// Where Twilio reaches us.
    pub public_urls: PublicUrls,
    /// The country of senders without `+`.
    pub region: Region,
}

impl TwilioGate {
    /// A gate with these settings.
    #[must_use]
    pub fn new(settings: GateSettings) -> Self {
        let tokens = [Some(settings.auth_token), settings.auth_token_secondary];
        let tokens = tokens.into_iter().flatten();
        Self {
            keys: tokens.filter_map(|token| Key::new(token.expose_secret())).collect(),
            account_sid: settings.account_sid.filter(|sid| !sid.trim().is_empty()),
            public_urls: settings.public_urls,
            region: settings.region,
        }
    }

    /// The form of a request that is proven to come from Twilio.
    fn verified_form<'a>(&self, request: &RawWebhook<'a>) -> Result<Form<'a>, Refusal> {
        let signature = signature_of(request).map_err(Refusal::Forged)?;
        let urls = self.public_urls.candidates(request.target);
        let body_kind = BodyKind::of(request);
        if body_kind != BodyKind::Form {
            let body = Payload::Body(request.body);
            if self.fits(&urls, &body, &signature) {
                return Err(Refusal::NotAForm);
            }
            if body_kind == BodyKind::Other {
                return Err(Refusal::Forged(self.mistake(request, &body, None, signature)));
            }
        }
        let form = Form::parse(request.body);
        let fields = Payload::Form(exact(&form));
        if self.fits(&urls, &fields, &signature) || self.fits_replaced(&urls, &form, &signature) {
            return Ok(form);
        }
        let mistake = self.mistake(request, &fields, Some(&form), signature);
        Err(Refusal::Forged(mistake))
    }

    fn fits(&self, urls: &[String], payload: &Payload<'_>, signature: &Signature) -> bool {
        let mut keyed = urls.iter().flat_map(|url| self.keys.iter().map(move |key| (url, key)));
        keyed.any(|(url, key)| verify(url, payload, signature, key))
    }

    /// Where the bytes are no UTF-8, what signed them may have seen U+FFFD in their place.
    fn fits_replaced(&self, urls: &[String], form: &Form<'_>, signature: &Signature) -> bool {
        form.replaced().is_some_and(|fields| {
            let fields = fields.iter().map(|(name, value)| (&**name, &**value));
            self.fits(urls, &Payload::Form(fields.collect()), signature)
        })
    }

    fn mistake(
        &self,
        request: &RawWebhook<'_>,
        payload: &Payload<'_>,
        form: Option<&Form<'_>>,
        signature: Signature,
    ) -> SignatureMistake {
        let query = request.target.split_once('?').map_or("", |(_, query)| query);
        if !payload.is_named_in(query) {
            return SignatureMistake::BodyHash;
        }
        let suspect = Suspect {
            request,
            payload,
            form,
            signature,
            keys: &self.keys,
            public_urls: &self.public_urls,
        };
        suspect.likely_mistake()
    }
}

impl WebhookGate for TwilioGate {
    fn open_inbound(&self, request: &RawWebhook<'_>) -> Result<InboundMessage, Refusal> {
        let form = self.verified_form(request)?;
        webhook::inbound(&form, self.region)
    }

    fn open_status(&self, request: &RawWebhook<'_>) -> Result<StatusDelivery, Refusal> {
        let form = self.verified_form(request)?;
        webhook::status(&form, request.target, self.account_sid.as_deref())
    }

    fn names_our_account(&self, request: &RawWebhook<'_>) -> bool {
        let form = Form::parse(request.body);
        let named = form.text("AccountSid");
        self.account_sid.as_deref().is_some_and(|ours| named.as_deref() == Some(ours))
    }
}

fn exact<'a>(form: &'a Form<'_>) -> Fields<'a> {
    let fields = form.fields().iter();
    fields.map(|field| (&*field.name, &*field.value)).collect()
}

/// Twilio sends one signature. To read the first of two would let anybody add one.
fn signature_of(request: &RawWebhook<'_>) -> Result<Signature, SignatureMistake> {
    let mut values = header(request, "x-twilio-signature");
    let value = values.next().ok_or(SignatureMistake::Missing)?;
    if values.next().is_some() {
        return Err(SignatureMistake::Repeated);
    }
    Signature::parse(value).map_err(|_| SignatureMistake::Malformed)
}

/// The values of a header, without the blanks around them, which are no part of a value.
pub(crate) fn header<'a>(request: &RawWebhook<'a>, name: &str) -> impl Iterator<Item = &'a [u8]> {
    let named = request.headers.iter().filter(move |(known, _)| *known == name);
    named.map(|(_, value)| value.trim_ascii())
}

/// What a request says that its body is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum BodyKind {
    Form,
    Other,
    Unsaid,
}

impl BodyKind {
    fn of(request: &RawWebhook<'_>) -> Self {
        let content_type = header(request, "content-type").next().unwrap_or_default();
        let media_type = content_type.split(|byte| *byte == b';').next();
        match media_type.unwrap_or_default().trim_ascii() {
            b"" => Self::Unsaid,
            name if name.eq_ignore_ascii_case(b"application/x-www-form-urlencoded") => Self::Form,
            _ => Self::Other,
        }
    }
}
