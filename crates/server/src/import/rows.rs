//! Rows of the Python original, as they are taken over.
//!
//! Its ids are whole numbers, its times are UTC without saying so, and its `delivery_status` has a
//! word of its own: `pending`, before Twilio answered.

use std::time::Duration;

use domain::conversation::ConversationId;
use domain::delivery::{DeliveryState, DeliveryStatus, StatusReport};
use domain::history::{HistoricConversation, HistoricMessage};
use domain::language::{Confidence, Detection, Language, LanguagePreference};
use domain::message::{Direction, Media, Message, MessageId, RawPayload, Source, TwilioSid};
use domain::outbound::{SendError, SendState, Sending};
use domain::phone::{Address, Region};
use domain::tenant::TenantId;
use domain::text::Text;
use domain::timestamp::Timestamp;
use serde_json::{Map, Value, json};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, PrimitiveDateTime};
use uuid::Uuid;

/// The ids that messages get here, up to the number that they had: the same row is the same
/// message, however often it is imported, and rows of one instant stay in their order.
const IMPORTED_MESSAGES: u128 = 0x6f72_6967_696e_8000_8000_0000_0000_0000;
/// Twilio does not change a message any more that is so old.
const SURELY_OVER: Duration = Duration::from_hours(4 * 24);

/// How rows are read.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    /// The country whose national form numbers without `+` are in.
    pub(super) region: Region,
    /// What the original sent from.
    pub(super) our_number: Text,
    /// Now.
    pub(super) now: Timestamp,
}

/// Why a row cannot be taken over. Names a column, never what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("its {0} cannot be read")]
pub(super) struct Unreadable(&'static str);

/// A whole row. Half a character, as Python writes it and PostgreSQL's `json` keeps it, becomes `U+FFFD`.
pub(super) fn parse(json: &str) -> Result<Value, Unreadable> {
    let read = serde_json::from_str(json).or_else(|_| serde_json::from_str(&mended(json)));
    read.map_err(|_| Unreadable("JSON"))
}

fn id(row: &Value) -> Option<i64> {
    row.get("id")?.as_i64()
}

/// Every escaped half of a character without its other half, replaced.
fn mended(json: &str) -> String {
    let mut whole = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        whole.push_str(before);
        let length = match (half(escape), escape.get(6..).and_then(half)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => 12,
            (Some(0xD800..=0xDFFF), _) => {
                whole.push_str("\\ufffd");
                rest = escape.get(6..).unwrap_or_default();
                continue;
            }
            // `\\` too: what comes behind it is no escape.
            _ => 2,
        };
        let (kept, behind) = escape.split_at_checked(length).unwrap_or((escape, ""));
        whole.push_str(kept);
        rest = behind;
    }
    whole + rest
}

/// The number of an escape at the beginning: `\u` and four hexadecimal digits.
fn half(text: &str) -> Option<u16> {
    u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

/// A row of `sms_message_status_events`; `None` where its message has no SID.
pub(super) fn report(row: &Value) -> Result<Option<(StatusReport, Timestamp)>, Unreadable> {
    let created_at = time(row, "created_at")?.ok_or(Unreadable("created_at"))?;
    let raw = raw(row);
    let told = |name: &str| raw.members().get(name).and_then(Value::as_str);
    let word = told("MessageStatus").or_else(|| text(row, "event_status")).unwrap_or_default();
    let sid = text(row, "twilio_sid").and_then(|text| TwilioSid::parse(text).ok());
    let (code, message) = (text(row, "error_code"), told("ErrorMessage"));
    let report = sid.map(|sid| StatusReport::new(sid, word, code, message, raw.clone()));
    Ok(report.map(|report| (report, created_at)))
}

impl Reading {
    /// A row of `sms_conversations`.
    pub(super) fn conversation(
        &self,
        row: &Value,
        new_id: Uuid,
    ) -> Result<HistoricConversation, Unreadable> {
        let (address, original) = self.conversation_address(row);
        let created_at = time(row, "created_at")?.ok_or(Unreadable("created_at"))?;
        Ok(HistoricConversation {
            id: ConversationId(new_id),
            old_id: id(row).ok_or(Unreadable("id"))?,
            address,
            original,
            tenant: text(row, "tenant_id").and_then(|tenant| TenantId::parse(tenant).ok()),
            language: language(row),
            last_message_at: time(row, "last_message_at")?,
            created_at,
            updated_at: time(row, "updated_at")?.unwrap_or(created_at),
        })
    }

    /// A row of `sms_messages`.
    pub(super) fn message(&self, row: &Value, new_id: Uuid) -> Result<HistoricMessage, Unreadable> {
        let old_id = id(row).and_then(|id| u128::try_from(id).ok()).ok_or(Unreadable("id"))?;
        let direction = match text(row, "direction") {
            Some("outbound") => Direction::Outbound,
            _ => Direction::Inbound,
        };
        let created_at = time(row, "created_at")?.ok_or(Unreadable("created_at"))?;
        let number = |name| text(row, name).map(Text::new);
        let (from, to) = (number("from_number"), number("to_number"));
        let theirs = match direction {
            Direction::Inbound => &from,
            Direction::Outbound => &to,
        };
        let (address, original) = match theirs {
            Some(theirs) => (Address::read(theirs, self.region), theirs.clone()),
            None => self.conversation_address(row),
        };
        let raw = raw(row);
        let twilio_sid = text(row, "twilio_sid").and_then(|sid| TwilioSid::parse(sid).ok());
        let (delivery, sending) = match direction {
            Direction::Inbound => (DeliveryState::of(DeliveryStatus::Received), None),
            Direction::Outbound => {
                let (delivery, sending) = self.sent(row, twilio_sid.is_some(), created_at);
                (delivery, Some(sending))
            }
        };
        let our_number = || match direction {
            Direction::Inbound => Text::default(),
            Direction::Outbound => self.our_number.clone(),
        };
        Ok(HistoricMessage {
            message: Message {
                id: MessageId(Uuid::from_u128(IMPORTED_MESSAGES | old_id)),
                conversation: ConversationId(new_id),
                direction,
                twilio_sid,
                from_number: from.unwrap_or_else(our_number),
                to_number: to.unwrap_or_default(),
                content: text(row, "message_content").map(Text::new),
                media: media(raw.members()),
                delivery,
                sending,
                source: Source::Database,
                created_at,
                updated_at: time(row, "updated_at")?.unwrap_or(created_at),
            },
            raw,
            address,
            original,
        })
    }

    /// The original made `+12345` of a short code: what it first came as says more.
    fn conversation_address(&self, row: &Value) -> (Address, Text) {
        let canonical = Text::new(text(row, "phone_number_canonical").unwrap_or_default());
        let original = text(row, "phone_number_original").map(Text::new);
        let address = match Address::read(&canonical, self.region) {
            phone @ Address::Phone(_) => phone,
            other => {
                original.as_ref().map_or(other, |original| Address::read(original, self.region))
            }
        };
        (address, original.unwrap_or(canonical))
    }

    /// How far a message from us got, and what is known of handing it over.
    fn sent(&self, row: &Value, has_sid: bool, at: Timestamp) -> (DeliveryState, Sending) {
        let word = text(row, "delivery_status").unwrap_or_default();
        let pending = Sending::pending(at);
        if has_sid {
            let status = DeliveryStatus::from_provider(word);
            let is_open = !status.is_final() && at.after(SURELY_OVER) > self.now;
            let next_check_at = is_open.then_some(self.now);
            let sending = Sending { state: SendState::Accepted, next_check_at, ..pending };
            return (DeliveryState::of(status), sending);
        }
        let queued = DeliveryState::of(DeliveryStatus::Queued);
        if word == "failed" {
            let error = Some(SendError {
                code: "imported".into(),
                message: Some("it failed before it was imported".into()),
            });
            return (queued, Sending { state: SendState::Refused, error, ..pending });
        }
        // It kept no answer of Twilio's: nobody knows.
        (queued, Sending { state: SendState::Ambiguous, ..pending })
    }
}

/// A text that is not empty.
fn text<'a>(row: &'a Value, name: &str) -> Option<&'a str> {
    row.get(name)?.as_str().filter(|text| !text.is_empty())
}

fn time(row: &Value, name: &'static str) -> Result<Option<Timestamp>, Unreadable> {
    let Some(text) = text(row, name) else {
        return Ok(None);
    };
    let with_zone = OffsetDateTime::parse(text, &Rfc3339);
    let at = with_zone.or_else(|_| {
        // The same without a zone.
        let utc = PrimitiveDateTime::parse(&format!("{text}Z"), &Rfc3339);
        utc.map(PrimitiveDateTime::assume_utc)
    });
    at.map(|at| Some(Timestamp::from(at))).map_err(|_| Unreadable(name))
}

fn language(row: &Value) -> LanguagePreference {
    let word = text(row, "language_detected").and_then(Language::from_word);
    let confidence = row.get("language_confidence").and_then(Value::as_f64).unwrap_or(0.0);
    let detection = Detection {
        language: word.unwrap_or(Language::Unknown),
        confidence: Confidence::from_thousandths(thousandths(confidence)),
    };
    LanguagePreference::UNKNOWN.fold(detection)
}

#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a whole number between 0 and 1000 fits"
)]
fn thousandths(fraction: f64) -> u16 {
    (fraction * 1000.0).round().clamp(0.0, 1000.0) as u16
}

fn raw(row: &Value) -> RawPayload {
    match row.get("raw_webhook_data") {
        Some(Value::Object(members)) => RawPayload::new(members.clone()),
        // A way here over another kind of database makes a text of it.
        Some(Value::String(text)) if let Ok(members) = serde_json::from_str(text) => {
            RawPayload::new(members)
        }
        None | Some(Value::Null) => RawPayload::default(),
        Some(other) => {
            let members = Map::from_iter([("imported".to_owned(), json!(other))]);
            RawPayload::new(members)
        }
    }
}

/// `MediaUrl0`, `MediaUrl1`, ... of the webhook.
fn media(raw: &Map<String, Value>) -> Vec<Media> {
    let said = |name: String| raw.get(&name).and_then(Value::as_str).map(str::to_owned);
    let nth = |nth: u32| {
        let content_type = said(format!("MediaContentType{nth}"));
        said(format!("MediaUrl{nth}")).map(|url| Media { url, content_type })
    };
    (0..10).filter_map(nth).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_characters_are_mended_and_all_else_is_kept() {
        for (json, expected) in [
            (r#"{"a":"cut \ud83d"}"#, Some("cut \u{fffd}")),
            (r#"{"a":"\ude00\ud83d\ud83d\ude00!"}"#, Some("\u{fffd}\u{fffd}\u{1f600}!")),
            (r#"{"a":"\\ud83d \n\u0041\ud83"}"#, None),
            (r#"{"a":"\\ud83d \ud83d\n\u0041é"}"#, Some("\\ud83d \u{fffd}\nAé")),
            (r#"{"a":1e400}"#, None),
        ] {
            let read = parse(json).ok();
            assert_eq!(read.as_ref().and_then(|row| row["a"].as_str()), expected, "{json}");
        }
    }

    fn reading() -> Reading {
        Reading {
            region: Region::default(),
            our_number: Text::new("+18605550100"),
            now: Timestamp::parse("2026-11-25T00:00:00.000000Z").unwrap(),
        }
    }

    fn message(members: &Value) -> HistoricMessage {
        let mut row = json!({
            "id": 7, "created_at": "2026-01-02T03:04:05.123456", "direction": "inbound",
            "from_number": "+18605550199", "to_number": "+18605550100", "message_content": "Hi",
            "phone_number_canonical": "+18605550199", "twilio_sid": "SM1",
        });
        for (name, value) in members.as_object().unwrap() {
            row[name] = value.clone();
        }
        reading().message(&row, Uuid::nil()).unwrap()
    }

    #[test]
    fn a_message_is_read_from_its_row() {
        let raw = json!({ "MediaUrl0": "https://h/a", "MediaContentType0": "image/png" });
        let old = message(&json!({ "raw_webhook_data": raw }));
        assert_eq!(old.message.created_at.to_string(), "2026-01-02T03:04:05.123456Z");
        assert_eq!(old.message.id.to_string(), "6f726967-696e-8000-8000-000000000007");
        assert_eq!(old.message.media[0].url, "https://h/a");
        assert_eq!(old.message.delivery.status, DeliveryStatus::Received);
        assert_eq!(old.raw.into_json(), raw);
        let whatsapp = message(&json!({ "from_number": "whatsapp:+18605550199" }));
        assert_eq!(whatsapp.address.canonical(), "whatsapp:+18605550199");
        let nameless = message(&json!({ "from_number": null, "raw_webhook_data": ["odd"] }));
        assert_eq!(nameless.address.canonical(), "+18605550199");
        assert_eq!(nameless.raw.into_json(), json!({ "imported": ["odd"] }));
        let text = message(&json!({ "raw_webhook_data": r#"{"MediaUrl0": "https://h/a"}"# }));
        assert_eq!(text.message.media.len(), 1);
        let odd = message(&json!({ "raw_webhook_data": "odd" }));
        assert_eq!(odd.raw.into_json(), json!({ "imported": "odd" }));
    }

    #[test]
    fn what_became_of_a_message_from_us_is_told_as_far_as_it_is_known() {
        let check = |sid: Option<&str>, word: Option<&str>, shown: &str, is_asked: bool| {
            let old = message(&json!({
                "direction": "outbound", "twilio_sid": sid, "delivery_status": word,
                "from_number": null, "to_number": "+18605550199",
            }));
            assert_eq!(old.message.shown().status.as_str(), shown, "{sid:?} {word:?}");
            assert_eq!(old.message.from_number.as_str(), "+18605550100");
            let sending = old.message.sending.unwrap();
            assert_eq!(sending.next_check_at.is_some(), is_asked);
        };
        check(Some("SM1"), Some("delivered"), "delivered", false);
        check(Some("SM1"), Some("queued"), "queued", false);
        check(Some("SM1"), None, "unknown", false);
        check(None, Some("pending"), "unknown", false);
        check(None, Some("failed"), "failed", false);
        let young = message(&json!({
            "direction": "outbound", "delivery_status": "sent", "created_at": "2026-11-24T00:00:00",
        }));
        assert!(young.message.sending.unwrap().next_check_at.is_some());
    }

    #[test]
    fn a_conversation_is_read_from_its_row() {
        let read = |canonical: &str, original: Option<&str>| {
            let row = json!({
                "id": 17, "phone_number_canonical": canonical, "phone_number_original": original,
                "tenant_id": "T_1", "language_detected": "es", "language_confidence": 0.8,
                "created_at": "2026-01-02T03:04:05+00:00", "last_message_at": null,
            });
            reading().conversation(&row, Uuid::nil()).unwrap()
        };
        let old = read("+18605550199", Some("(860) 555-0199"));
        assert_eq!((old.old_id, old.address.canonical().as_str()), (17, "+18605550199"));
        assert_eq!(old.language.language, Language::Spanish);
        assert_eq!(old.language.confidence.thousandths(), 800);
        assert_eq!(old.updated_at, old.created_at);
        assert_eq!(read("+12345", Some("12345")).address.canonical(), "12345");
        assert_eq!(read("+12345", None).address.canonical(), "+12345");
    }

    #[test]
    fn an_unreadable_row_names_its_column() {
        let row = json!({ "id": 1, "created_at": "yesterday" });
        let why = reading().conversation(&row, Uuid::nil()).unwrap_err();
        assert_eq!(why.to_string(), "its created_at cannot be read");
        let none = report(&json!({ "created_at": "2026-01-02T03:04:05" }));
        assert_eq!(none, Ok(None));
    }
}
