//! A text to one of our numbers, as Twilio describes it.

use uuid::Uuid;

use crate::message::{Change, Message, segments};

/// A text that somebody sends us.
///
/// Its SID is made up when the text is: the same `InboundText` is the same message, however often
/// it is delivered. Personal data: it has no `Debug`.
#[derive(Clone)]
pub struct InboundText {
    from: String,
    to: String,
    body: String,
    media: Vec<String>,
    sid: String,
    account_sid: String,
}

/// The account that texts are sent to unless another is named: nobody's.
pub(crate) const NOBODYS_ACCOUNT: &str = "AC00000000000000000000000000000000";

impl InboundText {
    /// An empty text. Addresses are sent as they are given here.
    #[must_use]
    pub fn new(from: impl Into<String>, to: impl Into<String>) -> Self {
        Self {
            from: from.into(),
            to: to.into(),
            body: String::new(),
            media: Vec::new(),
            sid: new_sid("SM"),
            account_sid: NOBODYS_ACCOUNT.to_owned(),
        }
    }

    /// With these words.
    #[must_use]
    pub fn body(mut self, body: impl Into<String>) -> Self {
        self.body = body.into();
        self
    }

    /// With one more picture or file, at that URL.
    #[must_use]
    pub fn media(mut self, url: impl Into<String>) -> Self {
        self.media.push(url.into());
        self
    }

    /// With that `MessageSid` instead of its own: to repeat a message, or to send an odd one.
    #[must_use]
    pub fn sid(mut self, sid: impl Into<String>) -> Self {
        self.sid = sid.into();
        self
    }

    /// To a number of that account.
    #[must_use]
    pub fn account_sid(mut self, account_sid: impl Into<String>) -> Self {
        self.account_sid = account_sid.into();
        self
    }

    /// The `MessageSid`.
    #[must_use]
    pub fn message_sid(&self) -> &str {
        &self.sid
    }

    /// The form fields, in Twilio's order.
    #[must_use]
    pub fn fields(&self) -> Vec<(String, String)> {
        let count = self.media.len().to_string();
        let segments = segments(&self.body).to_string();
        let mut fields = Fields(Vec::new());
        fields.add("ToCountry", "US").add("ToState", "CT");
        fields.add("SmsMessageSid", &self.sid);
        fields.add("NumMedia", &count).add("ToCity", "");
        fields.add("FromZip", "").add("SmsSid", &self.sid);
        fields.add("FromState", "CT").add("SmsStatus", "received");
        fields.add("FromCity", "").add("Body", &self.body);
        fields.add("FromCountry", "US").add("To", &self.to);
        fields.add("ToZip", "").add("NumSegments", &segments);
        fields.add("MessageSid", &self.sid);
        fields.add("AccountSid", &self.account_sid);
        for (nth, url) in self.media.iter().enumerate() {
            fields.add(&format!("MediaContentType{nth}"), media_type(url));
            fields.add(&format!("MediaUrl{nth}"), url);
        }
        fields.add("From", &self.from);
        fields.add("ApiVersion", "2010-04-01");
        fields.0
    }

    /// The text that such a message of that account was.
    pub(crate) fn of(message: &Message, account_sid: &str) -> Self {
        Self {
            from: message.from.clone().unwrap_or_default(),
            to: message.to.clone(),
            body: message.body.clone(),
            media: message.media.clone(),
            sid: message.sid.clone(),
            account_sid: account_sid.to_owned(),
        }
    }

    /// The same as a message of the account.
    pub(crate) fn message(&self, received: Change) -> Message {
        Message {
            sid: self.sid.clone(),
            inbound: true,
            to: self.to.clone(),
            from: Some(self.from.clone()),
            messaging_service_sid: None,
            body: self.body.clone(),
            media: self.media.clone(),
            status_callback: None,
            validity_period: None,
            created_at: received.at,
            changes: vec![received],
        }
    }
}

struct Fields(Vec<(String, String)>);

impl Fields {
    fn add(&mut self, name: &str, value: &str) -> &mut Self {
        self.0.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A SID that nothing else has, `SM...` for a text and `MM...` for one with media.
#[expect(clippy::disallowed_methods, reason = "Twilio's ids are random, and ours to make up here")]
pub(crate) fn new_sid(kind: &str) -> String {
    format!("{kind}{}", Uuid::new_v4().simple())
}

pub(crate) fn media_type(url: &str) -> &'static str {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "gif" => "image/gif",
        "mp4" => "video/mp4",
        "mp3" => "audio/mpeg",
        "pdf" => "application/pdf",
        "vcf" => "text/vcard",
        _ => "image/jpeg",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(text: &InboundText, name: &str) -> Option<String> {
        let mut fields = text.fields().into_iter();
        fields.find(|(known, _)| known == name).map(|(_, value)| value)
    }

    #[test]
    fn a_text_has_a_sid_of_twilios_form_and_keeps_it() {
        let text = InboundText::new("+18605550199", "+18605550100");
        let sid = text.message_sid();
        let digits = sid.strip_prefix("SM").unwrap();
        assert!(digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        for name in ["MessageSid", "SmsSid", "SmsMessageSid"] {
            assert_eq!(field(&text, name).as_deref(), Some(sid));
        }
        let other = InboundText::new("+18605550199", "+18605550100");
        assert_ne!(other.message_sid(), sid);
    }

    #[test]
    fn media_are_numbered() {
        let text = InboundText::new("1", "2").media("https://h/a.PNG?x=.gif").media("https://h/b");
        assert_eq!(field(&text, "NumMedia").as_deref(), Some("2"));
        assert_eq!(field(&text, "MediaContentType0").as_deref(), Some("image/png"));
        assert_eq!(field(&text, "MediaUrl1").as_deref(), Some("https://h/b"));
        assert_eq!(field(&text, "MediaContentType1").as_deref(), Some("image/jpeg"));
    }
}
