//! What a caller asks for, and what is wrong with it.

use sha2::{Digest, Sha256};

use crate::conversation::ConversationId;
use crate::error::Invalid;
use crate::idempotency::MAX_KEY;
use crate::message::Media;
use crate::phone::{Address, Region};
use crate::ports::Recipient;
use crate::senders::Senders;
use crate::text::Text;
use crate::workflow;

/// The longest body, in characters: Twilio takes no more.
const MAX_BODY: usize = 1600;
/// The most pictures and files of a message.
const MAX_MEDIA: usize = 10;
/// The longest address of one, in characters.
const MAX_MEDIA_URL: usize = 2000;

/// A text to be sent, as the caller wrote it (wire contracts, section 1). Blank is as good as
/// absent.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SendRequest {
    /// The recipient.
    pub to: Option<String>,
    /// What it says.
    pub body: Option<String>,
    /// The conversation: instead of the recipient, or beside it.
    pub conversation_id: Option<String>,
    /// Which kind of workflow it belongs to.
    pub workflow_type: Option<String>,
    /// Which workflow.
    pub workflow_id: Option<String>,
    /// Pictures and files.
    pub media_urls: Vec<String>,
    /// Which of our numbers it is from.
    pub from: Option<String>,
}

impl std::fmt::Debug for SendRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SendRequest(..)")
    }
}

/// A request that can be done.
pub(super) struct CheckedRequest {
    pub(super) recipient: Recipient,
    pub(super) body: Option<Text>,
    pub(super) media: Vec<Media>,
    pub(super) from: Option<Text>,
    pub(super) workflow_type: Option<String>,
    pub(super) workflow_id: Option<String>,
}

impl SendRequest {
    /// The request as it can be done, or the first thing to change.
    pub(super) fn check(&self, region: Region, ours: &Senders) -> Result<CheckedRequest, Invalid> {
        let recipient = self.recipient(region, ours)?;
        let (body, media) = (self.checked_body()?, self.checked_media()?);
        if body.is_none() && media.is_empty() {
            return wrong("body", "must be given: 1 to 1600 characters, or media_urls");
        }
        Ok(CheckedRequest {
            recipient,
            body,
            media,
            from: self.checked_from(ours)?,
            workflow_type: named("workflow_type", self.workflow_type.as_deref())?,
            workflow_id: named("workflow_id", self.workflow_id.as_deref())?,
        })
    }

    fn recipient(&self, region: Region, ours: &Senders) -> Result<Recipient, Invalid> {
        let address = given(self.to.as_deref()).map(|to| address(to, region, ours)).transpose()?;
        let conversation = match given(self.conversation_id.as_deref()) {
            None => None,
            Some(text) => match ConversationId::parse(text) {
                None => return wrong("conversation_id", "must be a UUID"),
                id => id,
            },
        };
        if address.is_none() && conversation.is_none() {
            return wrong("to", "must be given: a phone number such as +18605550199");
        }
        Ok(Recipient { address, conversation })
    }

    fn checked_body(&self) -> Result<Option<Text>, Invalid> {
        let Some(body) = given(self.body.as_deref()) else {
            return Ok(None);
        };
        let body = Text::new(body);
        let trimmed = body.as_str().trim();
        if trimmed.chars().count() > MAX_BODY {
            return wrong("body", "must have 1 to 1600 characters");
        }
        Ok(Some(Text::new(trimmed)).filter(|text| !text.as_str().is_empty()))
    }

    fn checked_media(&self) -> Result<Vec<Media>, Invalid> {
        if self.media_urls.len() > MAX_MEDIA {
            return wrong("media_urls", "must be at most 10");
        }
        let is_address = |url: &String| {
            let host = url.strip_prefix("https://").unwrap_or_default();
            host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[')
                && !url.chars().any(|c| c.is_whitespace() || c.is_control())
                && url.chars().count() <= MAX_MEDIA_URL
        };
        if !self.media_urls.iter().all(is_address) {
            return wrong("media_urls", "must be https addresses of at most 2000 characters");
        }
        let media = |url: &String| Media { url: url.clone(), content_type: None };
        Ok(self.media_urls.iter().map(media).collect())
    }

    fn checked_from(&self, ours: &Senders) -> Result<Option<Text>, Invalid> {
        let Some(from) = given(self.from.as_deref()).map(Text::new) else {
            return Ok(None);
        };
        let canonical = ours.canonical(&from);
        if canonical.is_none() {
            return wrong("from", "must be one of the numbers of this service, or be left out");
        }
        Ok(canonical)
    }
}

impl CheckedRequest {
    /// The hash of the whole request, hexadecimal: the same for every spelling of the same.
    pub(super) fn hash(&self) -> String {
        let Recipient { address, conversation } = &self.recipient;
        let text = |text: &Option<Text>| text.as_ref().map(|text| text.as_str().to_owned());
        let mut parts = vec![
            address.as_ref().map(|(address, _)| address.canonical()),
            conversation.map(|id| id.to_string()),
            text(&self.body),
            text(&self.from),
            self.workflow_type.clone(),
            self.workflow_id.clone(),
        ];
        parts.extend(self.media.iter().map(|media| Some(media.url.clone())));
        let mut hash = Sha256::new();
        for part in parts {
            // With its length in front, so that no two requests are spelled alike.
            let part = part.map_or_else(|| "-".into(), |part| format!("{}:{part}", part.len()));
            hash.update(part.as_bytes());
        }
        hash.finalize().iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
    }
}

/// A usable `Idempotency-Key`.
pub(super) fn idempotency_key(text: &str) -> Result<String, Invalid> {
    let fits = (1..=MAX_KEY).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    if fits {
        return Ok(text.to_owned());
    }
    wrong("Idempotency-Key", "must be 1 to 255 visible ASCII characters")
}

fn address(to: &str, region: Region, ours: &Senders) -> Result<(Address, Text), Invalid> {
    let original = Text::new(to);
    let address = Address::read(&original, region);
    let can_be_texted = match &address {
        Address::Phone(_) => true,
        Address::Channel { value, .. } => !value.is_empty(),
        _ => false,
    };
    if !can_be_texted {
        return wrong("to", "must be a phone number such as +18605550199");
    }
    // Whoever answers himself never stops.
    if ours.is_ours(&address) {
        return wrong("to", "is a number of this service");
    }
    Ok((address, original))
}

fn named(field: &'static str, text: Option<&str>) -> Result<Option<String>, Invalid> {
    text.map_or(Ok(None), |text| workflow::name(field, text))
}

fn given(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.trim().is_empty())
}

fn wrong<T>(field: &'static str, reason: &'static str) -> Result<T, Invalid> {
    Err(Invalid { field, reason: reason.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::Sender;

    fn check(change: impl FnOnce(&mut SendRequest)) -> Result<CheckedRequest, &'static str> {
        let mut request = SendRequest {
            to: Some("+18605550199".into()),
            body: Some("Hello".into()),
            ..SendRequest::default()
        };
        change(&mut request);
        let ours = Senders::new(vec![Sender::read("+18605550100")], Region::default());
        request.check(Region::default(), &ours).map_err(|invalid| invalid.field)
    }

    fn field(change: impl FnOnce(&mut SendRequest)) -> Option<&'static str> {
        check(change).err()
    }

    #[test]
    fn the_wrong_field_is_named() {
        assert_eq!(field(|_| ()), None);
        assert_eq!(field(|r| r.to = None), Some("to"));
        for to in ["12345", "RENT", "+12345", "nonsense nonsense", "+18605550100", "whatsapp:"] {
            assert_eq!(field(|r| r.to = Some(to.into())), Some("to"), "{to}");
        }
        assert_eq!(field(|r| r.conversation_id = Some("12".into())), Some("conversation_id"));
        for body in ["", " \n ", "\0"] {
            assert_eq!(field(|r| r.body = Some(body.into())), Some("body"), "{body:?}");
        }
        assert_eq!(field(|r| r.body = Some("x".repeat(1601))), Some("body"));
        assert_eq!(field(|r| r.from = Some("+18605550177".into())), Some("from"));
        assert_eq!(field(|r| r.workflow_id = Some("x".repeat(201))), Some("workflow_id"));
        for url in ["http://e.com/1", "https://", "https://e.com/a b", "ftp://e.com", ""] {
            assert_eq!(field(|r| r.media_urls = vec![url.into()]), Some("media_urls"), "{url}");
        }
        let eleven = vec!["https://e.com/1".to_owned(); 11];
        assert_eq!(field(|r| r.media_urls = eleven), Some("media_urls"));
    }

    #[test]
    fn sixteen_hundred_characters_count_after_trimming_and_are_not_bytes() {
        let body = format!("  {}  ", "\u{1F600}".repeat(1600));
        let checked = check(|r| r.body = Some(body)).unwrap();
        assert_eq!(checked.body.unwrap().as_str().chars().count(), 1600);
    }

    #[test]
    fn a_workflow_is_kept_as_a_change_of_it_would_be() {
        let checked = check(|r| r.workflow_type = Some(" collections ".into())).unwrap();
        assert_eq!(checked.workflow_type.as_deref(), Some("collections"));
        for blank in [" ", "\0"] {
            assert_eq!(check(|r| r.workflow_id = Some(blank.into())).unwrap().workflow_id, None);
        }
    }

    #[test]
    fn a_picture_needs_no_words() {
        let picture = vec!["https://e.com/1.png".to_owned()];
        let checked = check(|r| (r.body, r.media_urls) = (Some(" ".into()), picture)).unwrap();
        assert_eq!((checked.body, checked.media.len()), (None, 1));
    }

    #[test]
    fn a_blank_recipient_is_none_where_the_conversation_is_given() {
        let id = "0195f2a0-7c1e-7000-8000-000000000001";
        let checked = check(|r| (r.to, r.conversation_id) = (Some(String::new()), Some(id.into())));
        assert_eq!(checked.unwrap().recipient.address, None);
    }

    #[test]
    fn the_hash_is_of_the_whole_request_however_the_number_is_written() {
        let hash = |change: fn(&mut SendRequest)| check(change).unwrap().hash();
        let first = hash(|_| ());
        assert_eq!(first.len(), 64);
        assert_eq!(first, hash(|r| r.to = Some("(860) 555-0199".into())));
        assert_eq!(first, hash(|r| r.body = Some(" Hello ".into())));
        for other in [
            hash(|r| r.body = Some("hello".into())),
            hash(|r| r.workflow_id = Some("1".into())),
            hash(|r| r.workflow_type = Some("1".into())),
            hash(|r| r.from = Some("+18605550100".into())),
            hash(|r| r.media_urls = vec!["https://e.com/1".into()]),
            hash(|r| r.conversation_id = Some("0195f2a0-7c1e-7000-8000-000000000001".into())),
        ] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn a_key_is_visible_ascii_of_up_to_255_characters() {
        assert!(idempotency_key("a-1").is_ok());
        for odd in ["", " ", "a b", "\u{e9}", &"x".repeat(256)] {
            assert!(idempotency_key(odd).is_err(), "{odd:?}");
        }
    }
}
