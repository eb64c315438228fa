//! A message as Twilio keeps it.

use std::fmt;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use crate::api::error;
use crate::inbound::media_type;

/// A message. Personal data: `Debug` shows only its SID and status.
#[derive(Clone)]
pub struct Message {
    /// Its id, `SM...` or `MM...`.
    pub sid: String,
    /// Whether somebody sent it to us.
    pub inbound: bool,
    /// The recipient.
    pub to: String,
    /// The sender; `None` until a Messaging Service has chosen one.
    pub from: Option<String>,
    /// The Messaging Service that it was given to.
    pub messaging_service_sid: Option<String>,
    /// What it says.
    pub body: String,
    /// The addresses of its pictures and files.
    pub media: Vec<String>,
    /// Who is told of its status.
    pub status_callback: Option<String>,
    /// `ValidityPeriod`, in seconds.
    pub validity_period: Option<u32>,
    /// When it was made, exactly; Twilio tells whole seconds.
    pub created_at: OffsetDateTime,
    /// What has happened to it, oldest first. The first one is its initial status.
    pub changes: Vec<Change>,
}

/// Something that happened to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its status since then.
    pub status: Status,
    /// Why, where it went wrong.
    pub error_code: Option<u32>,
    /// When.
    pub at: OffsetDateTime,
    /// Whether the service knows.
    pub told: Told,
}

/// Whether the service was told of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// Not yet, or without success.
    No,
    /// The callback is on its way.
    Underway,
    /// It answered the callback with a 2xx.
    Yes,
    /// Nobody is ever told: it is the initial status, or there is no `StatusCallback`.
    Never,
}

/// Twilio's words for where a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words are Twilio's own")]
pub enum Status {
    Accepted,
    Scheduled,
    Queued,
    Sending,
    Sent,
    Delivered,
    Undelivered,
    Failed,
    Canceled,
    Received,
}

impl Status {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Scheduled => "scheduled",
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Undelivered => "undelivered",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Received => "received",
        }
    }

    /// Whether nothing more can happen.
    #[must_use]
    pub fn is_final(self) -> bool {
        match self {
            Self::Accepted | Self::Scheduled | Self::Queued | Self::Sending | Self::Sent => false,
            Self::Delivered
            | Self::Undelivered
            | Self::Failed
            | Self::Canceled
            | Self::Received => true,
        }
    }
}

impl Message {
    /// Where it is now.
    #[must_use]
    pub fn status(&self) -> Status {
        self.changes.last().map_or(Status::Queued, |change| change.status)
    }

    /// What went wrong.
    #[must_use]
    pub fn error_code(&self) -> Option<u32> {
        self.changes.last().and_then(|change| change.error_code)
    }

    /// When it was sent or received; `None` while it is queued.
    #[must_use]
    pub fn sent_at(&self) -> Option<OffsetDateTime> {
        let gone = |change: &&Change| matches!(change.status, Status::Sent | Status::Received);
        self.changes.iter().find(gone).map(|change| change.at)
    }

    /// As Twilio's API shows it.
    pub(crate) fn json(&self, account_sid: &str) -> Value {
        let uri = format!("/2010-04-01/Accounts/{account_sid}/Messages/{}", self.sid);
        let updated_at = self.changes.last().map_or(self.created_at, |change| change.at);
        let sent = self.sent_at().is_some();
        let error_code = self.error_code();
        json!({
            "account_sid": account_sid,
            "api_version": "2010-04-01",
            "body": self.body,
            "date_created": rfc2822(self.created_at),
            "date_sent": self.sent_at().map(rfc2822),
            "date_updated": rfc2822(updated_at),
            "direction": if self.inbound { "inbound" } else { "outbound-api" },
            "error_code": error_code,
            "error_message": error_code.map(error::short_text),
            "from": self.from,
            "messaging_service_sid": self.messaging_service_sid,
            "num_media": self.media.len().to_string(),
            "num_segments": self.num_segments().to_string(),
            "price": sent.then_some("-0.00790"),
            "price_unit": "USD",
            "sid": self.sid,
            "status": self.status().as_str(),
            "subresource_uris": { "media": format!("{uri}/Media.json") },
            "to": self.to,
            "uri": format!("{uri}.json"),
        })
    }

    /// `Media.json`: what it has of pictures and files. Twilio gives each a number of its own; here
    /// its place is enough.
    pub(crate) fn media_json(&self, account_sid: &str) -> Value {
        let uri = format!("/2010-04-01/Accounts/{account_sid}/Messages/{}/Media", self.sid);
        let shown = self.media.iter().enumerate().map(|(nth, url)| {
            json!({
                "sid": format!("ME{nth:032}"),
                "parent_sid": self.sid,
                "content_type": media_type(url),
                "uri": format!("{uri}/ME{nth:032}.json"),
            })
        });
        json!({ "media_list": shown.collect::<Vec<_>>(), "next_page_uri": null })
    }

    /// The fields of the callback about its `nth` change, in Twilio's order.
    pub(crate) fn callback_fields(&self, nth: usize, account_sid: &str) -> Vec<(String, String)> {
        let Some(change) = self.changes.get(nth) else {
            return Vec::new();
        };
        let status = change.status.as_str();
        let code = change.error_code.map(|code| code.to_string());
        let done = change.status.is_final().then(|| dlr_date(change.at));
        let fields = [
            ("ErrorCode", code.as_deref()),
            ("RawDlrDoneDate", done.as_deref()),
            ("SmsSid", Some(&self.sid)),
            ("SmsStatus", Some(status)),
            ("MessageStatus", Some(status)),
            ("To", Some(&self.to)),
            ("MessagingServiceSid", self.messaging_service_sid.as_deref()),
            ("MessageSid", Some(&self.sid)),
            ("AccountSid", Some(account_sid)),
            ("From", self.from.as_deref()),
            ("ApiVersion", Some("2010-04-01")),
        ];
        let given =
            |(name, value): (&str, Option<&str>)| Some((name.to_owned(), value?.to_owned()));
        fields.into_iter().filter_map(given).collect()
    }

    /// A Messaging Service counts segments only after it has chosen a sender.
    fn num_segments(&self) -> usize {
        let waits = matches!(self.status(), Status::Accepted | Status::Scheduled);
        if waits { 0 } else { segments(&self.body) }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({} {})", self.sid, self.status().as_str())
    }
}

/// Roughly what a carrier would count: ASCII as the 7-bit alphabet, everything else as UCS-2.
pub(crate) fn segments(body: &str) -> usize {
    let (units, single, each) = if body.is_ascii() {
        (body.len(), 160, 153)
    } else {
        (body.encode_utf16().count(), 70, 67)
    };
    if units <= single { 1 } else { units.div_ceil(each) }
}

fn rfc2822(at: OffsetDateTime) -> String {
    // Only a year before 1900 cannot be written.
    at.format(&Rfc2822).unwrap_or_default()
}

/// `RawDlrDoneDate`: to the minute, without a time zone.
fn dlr_date(at: OffsetDateTime) -> String {
    let format =
        time::macros::format_description!("[year repr:last_two][month][day][hour][minute]");
    at.format(format).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    fn message(changes: &[(Status, Option<u32>)]) -> Message {
        let created_at = datetime!(2023-08-24 05:01:45.6 UTC);
        let change = |(status, error_code): &(Status, Option<u32>)| Change {
            status: *status,
            error_code: *error_code,
            at: created_at + time::Duration::seconds(61),
            told: Told::No,
        };
        Message {
            sid: "SM1".into(),
            inbound: false,
            to: "+18605550199".into(),
            from: None,
            messaging_service_sid: Some("MG1".into()),
            body: "Hola".into(),
            media: vec!["https://h/a".into()],
            status_callback: None,
            validity_period: None,
            created_at,
            changes: changes.iter().map(change).collect(),
        }
    }

    #[test]
    fn dates_are_whole_seconds_and_unknown_until_something_was_sent() {
        let waiting = message(&[(Status::Accepted, None)]).json("AC1");
        assert_eq!(waiting["date_created"], "Thu, 24 Aug 2023 05:01:45 +0000");
        assert_eq!(waiting["date_sent"], Value::Null);
        assert_eq!(waiting["num_segments"], "0");
        assert_eq!(waiting["price"], Value::Null);
        let sent = message(&[(Status::Queued, None), (Status::Sent, None)]).json("AC1");
        assert_eq!(sent["date_sent"], "Thu, 24 Aug 2023 05:02:46 +0000");
        assert_eq!(sent["num_segments"], "1");
        assert_eq!(sent["num_media"], "1");
        let media = "/2010-04-01/Accounts/AC1/Messages/SM1/Media.json";
        assert_eq!(sent["subresource_uris"]["media"], media);
    }

    #[test]
    fn a_callback_says_what_twilios_say() {
        let message = message(&[(Status::Sent, None), (Status::Undelivered, Some(30003))]);
        let fields = message.callback_fields(1, "AC1");
        let names: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
        let expected = [
            "ErrorCode",
            "RawDlrDoneDate",
            "SmsSid",
            "SmsStatus",
            "MessageStatus",
            "To",
            "MessagingServiceSid",
            "MessageSid",
            "AccountSid",
            "ApiVersion",
        ];
        assert_eq!(names, expected);
        assert_eq!(fields[0].1, "30003");
        assert_eq!(fields[1].1, "2308240502");
        assert_eq!(message.callback_fields(2, "AC1"), []);
    }

    #[test]
    fn segments_are_counted_by_alphabet() {
        let check = |body: &str, count: usize| assert_eq!(segments(body), count, "{body}");
        check("", 1);
        check(&"a".repeat(160), 1);
        check(&"a".repeat(161), 2);
        check(&"\u{e9}".repeat(70), 1);
        check(&"\u{1F600}".repeat(36), 2);
    }

    #[test]
    fn debug_shows_no_personal_data() {
        let shown = format!("{:?}", message(&[(Status::Sent, None)]));
        assert_eq!(shown, "Message(SM1 sent)");
    }
}
