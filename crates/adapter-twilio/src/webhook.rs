//! What the fields of a verified form mean.

use std::borrow::Cow;

use domain::delivery::{DeliveryStatus, StatusReport};
use domain::message::{InboundMessage, Media, MessageId, TwilioSid};
use domain::phone::{Address, Region};
use domain::ports::{Refusal, StatusDelivery};
use domain::text::Text;

use crate::form::Form;
use crate::payload::raw_payload;

/// The parameter of a callback's URL that holds our id of the message.
pub(crate) const MESSAGE_ID: &str = "message_id";

/// A message to us. Only its SID must be usable; a missing sender, body or anything else is kept
/// as missing, because a message that is refused is lost.
pub(crate) fn inbound(form: &Form<'_>, region: Region) -> Result<InboundMessage, Refusal> {
    let from_number = Text::new(form.text("From").unwrap_or_default());
    Ok(InboundMessage {
        twilio_sid: message_sid(form)?,
        from: Address::read(&from_number, region),
        from_number,
        to_number: Text::new(form.text("To").unwrap_or_default()),
        body: form.text("Body").map(Text::new),
        media: media(form),
        status: DeliveryStatus::of_inbound(&first_given(form, ["SmsStatus", "MessageStatus"])),
        raw: raw_payload(form),
    })
}

/// A status report, unless it is about another account's message. `target` is what was called.
pub(crate) fn status(
    form: &Form<'_>,
    target: &str,
    our_account: Option<&str>,
) -> Result<StatusDelivery, Refusal> {
    let account = first_given(form, ["AccountSid"]);
    if our_account.is_some_and(|ours| !account.is_empty() && account != ours) {
        return Ok(StatusDelivery::OtherAccount);
    }
    let mut report = StatusReport::new(
        message_sid(form)?,
        &first_given(form, ["MessageStatus", "SmsStatus"]),
        form.text("ErrorCode").as_deref(),
        form.text("ErrorMessage").as_deref(),
        raw_payload(form),
    );
    report.message = message_id(target);
    Ok(StatusDelivery::Ours(report))
}

/// Our id, where the query has exactly one.
fn message_id(target: &str) -> Option<MessageId> {
    let (_, query) = target.split_once('?')?;
    let query = Form::parse(query.as_bytes());
    let mut ids = query.fields().iter().filter(|field| *field.name == *MESSAGE_ID.as_bytes());
    let id = ids.next().filter(|_| ids.next().is_none())?;
    MessageId::parse(std::str::from_utf8(&id.value).ok()?)
}

/// `SmsSid` is no substitute: uniqueness of `MessageSid` is the only guard against a replay.
fn message_sid(form: &Form<'_>) -> Result<TwilioSid, Refusal> {
    let sid = form.text("MessageSid").unwrap_or_default();
    TwilioSid::parse(&sid).map_err(|_| Refusal::NoMessageSid)
}

/// The first of these fields that is there and not empty; else empty.
fn first_given<'f, const N: usize>(form: &'f Form<'_>, names: [&str; N]) -> Cow<'f, str> {
    let mut values = names.into_iter().filter_map(|name| form.text(name));
    values.find(|value| !value.is_empty()).unwrap_or_default()
}

/// `MediaUrl0`, `MediaUrl1`, ... in the order of their numbers, whatever `NumMedia` says.
fn media(form: &Form<'_>) -> Vec<Media> {
    let types = numbered(form, b"MediaContentType");
    let with_type = |(number, url)| {
        let behind = types.partition_point(|(known, _)| *known < number);
        let content_type = types.get(behind).filter(|(known, _)| *known == number);
        Media { url, content_type: content_type.map(|(_, name)| name.clone()) }
    };
    numbered(form, b"MediaUrl").into_iter().map(with_type).collect()
}

/// The values of the fields whose name is `prefix` and a number, by number; the first of repeated
/// ones, none that is empty.
fn numbered(form: &Form<'_>, prefix: &[u8]) -> Vec<(u32, String)> {
    let number = |name: &[u8]| -> Option<u32> {
        let digits = std::str::from_utf8(name.strip_prefix(prefix)?).ok()?;
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse().ok().filter(|_| plain)
    };
    let mut values: Vec<_> = form
        .fields()
        .iter()
        .filter_map(|field| Some((number(&field.name)?, &*field.value)))
        .collect();
    values.sort_by_key(|(number, _)| *number);
    values.dedup_by_key(|(number, _)| *number);
    let text = |value| Text::new(String::from_utf8_lossy(value)).as_str().to_owned();
    values
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(number, value)| (number, text(value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SID: &str = "MessageSid=SM00000000000000000000000000000001";

    fn read(fields: &str) -> InboundMessage {
        let body = format!("{SID}&{fields}");
        inbound(&Form::parse(body.as_bytes()), Region::default()).unwrap()
    }

    fn reported(fields: &str) -> StatusReport {
        let body = format!("{SID}&{fields}");
        match status(&Form::parse(body.as_bytes()), "/", Some("AC1")).unwrap() {
            StatusDelivery::Ours(report) => report,
            StatusDelivery::OtherAccount => panic!("another account"),
        }
    }

    #[test]
    fn a_message_is_read_from_its_fields() {
        let message = read("From=%2B18605550199&To=%2B18605550100&Body=Hola%00+a+todos&X=y");
        assert_eq!(message.twilio_sid.as_str(), "SM00000000000000000000000000000001");
        assert_eq!(message.from.canonical(), "+18605550199");
        assert_eq!(message.from_number.as_str(), "+18605550199");
        assert_eq!(message.to_number.as_str(), "+18605550100");
        assert_eq!(message.body, Some(Text::new("Hola a todos")));
        assert_eq!(message.raw.members()["X"], "y");
    }

    #[test]
    fn a_missing_body_is_told_from_an_empty_one() {
        assert_eq!(read("From=1").body, None);
        assert_eq!(read("Body=").body, Some(Text::default()));
        assert_eq!(read("Body=+a+").body, Some(Text::new(" a ")));
    }

    #[test]
    fn a_message_without_sender_or_recipient_is_kept() {
        for fields in ["", "From=&To="] {
            let message = read(fields);
            assert_eq!(message.from, Address::Withheld);
            assert_eq!(message.to_number, Text::default());
        }
    }

    #[test]
    fn a_message_needs_a_usable_message_sid() {
        for fields in [
            "Body=x",
            "SmsSid=SM1&SmsMessageSid=SM1",
            "MessageSid=",
            "MessageSid=SM+1",
            "MessageSid=SM%00",
            "MessageSid=SM%FF",
            &format!("MessageSid={}", "S".repeat(65)),
        ] {
            let form = Form::parse(fields.as_bytes());
            assert_eq!(inbound(&form, Region::default()), Err(Refusal::NoMessageSid), "{fields}");
            assert_eq!(status(&form, "/", None), Err(Refusal::NoMessageSid), "{fields}");
        }
    }

    #[test]
    fn media_are_in_the_order_of_their_numbers() {
        let check = |fields: &str, expected: &[(&str, Option<&str>)]| {
            let expected: Vec<_> = expected
                .iter()
                .map(|(url, content_type)| Media {
                    url: (*url).into(),
                    content_type: content_type.map(Into::into),
                })
                .collect();
            assert_eq!(read(fields).media, expected, "{fields}");
        };
        check("NumMedia=3", &[]);
        check(
            "NumMedia=1&MediaUrl10=k&MediaUrl2=c&MediaUrl0=a&MediaContentType2=image/png",
            &[("a", None), ("c", Some("image/png")), ("k", None)],
        );
        check("MediaUrl0=a&MediaUrl0=b&MediaContentType0=", &[("a", None)]);
        check("MediaUrl0=&MediaUrl1=b%00", &[("b", None)]);
        check("MediaUrl=a&MediaUrl%2B1=b&MediaUrlx=c&MediaUrl99999999999=d", &[]);
    }

    #[test]
    fn a_message_is_received_unless_twilio_is_still_receiving_it() {
        let check = |fields: &str, status: &str| {
            assert_eq!(read(fields).status.as_str(), status, "{fields}");
        };
        check("", "received");
        check("SmsStatus=receiving", "receiving");
        check("MessageStatus=receiving", "receiving");
        check("SmsStatus=&MessageStatus=receiving", "receiving");
        check("SmsStatus=received&MessageStatus=receiving", "received");
        check("SmsStatus=delivered", "received");
    }

    #[test]
    fn a_report_is_in_twilios_words() {
        let check = |fields: &str, word: &str, code: Option<&str>| {
            let report = reported(fields);
            assert_eq!(report.provider_status, word, "{fields}");
            assert_eq!(report.error_code.as_deref(), code, "{fields}");
        };
        check("MessageStatus=sent&SmsStatus=queued", "sent", None);
        check("MessageStatus=&SmsStatus=queued", "queued", None);
        check("SmsStatus=failed&ErrorCode=30007", "failed", Some("30007"));
        check("", "", None);
        let report = reported("MessageStatus=undelivered&ErrorCode=30003&ErrorMessage=Unreachable");
        assert_eq!(report.status, DeliveryStatus::Undelivered);
        assert_eq!(report.error_message.as_deref(), Some("Unreachable"));
    }

    #[test]
    fn a_report_carries_our_id_where_the_url_has_exactly_one() {
        let id = "0190d3a5-7c4e-7b1f-8a2d-3f5e6c7b8a9d";
        let check = |query: &str, expected: bool| {
            let target = format!("/webhook/twilio/status{query}");
            let form = format!("{SID}&message_id={id}");
            let form = Form::parse(form.as_bytes());
            let StatusDelivery::Ours(report) = status(&form, &target, None).unwrap() else {
                panic!("another account");
            };
            assert_eq!(report.message, MessageId::parse(id).filter(|_| expected), "{query}");
        };
        check(&format!("?message_id={id}"), true);
        check(&format!("?tenant=42&message%5Fid={id}&x"), true);
        check("", false);
        check("?", false);
        check("?message_id=", false);
        check(&format!("?message_id={id}1"), false);
        check(&format!("?message_id=+{id}"), false);
        check(&format!("?message_id={id}&message_id={id}"), false);
        check(&format!("?Message_Id={id}"), false);
        check(&format!("?message_id=%FF{id}"), false);
    }

    #[test]
    fn a_report_about_another_account_is_not_ours() {
        let check = |fields: &str, account: Option<&str>, ours: bool| {
            let body = format!("{SID}&{fields}");
            let delivery = status(&Form::parse(body.as_bytes()), "/", account).unwrap();
            assert_eq!(matches!(delivery, StatusDelivery::Ours(_)), ours, "{fields}");
        };
        check("AccountSid=AC1", Some("AC1"), true);
        check("AccountSid=AC2", Some("AC1"), false);
        check("AccountSid=AC2", None, true);
        check("AccountSid=", Some("AC1"), true);
        check("", Some("AC1"), true);
    }
}
