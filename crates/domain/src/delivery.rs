//! How far a message got: the nine statuses of the data model, their order, Twilio's words.

use std::fmt;

use crate::message::{Direction, MessageId, RawPayload, TwilioSid};
use crate::text::clip;

/// The delivery status of a message, in the words of the data model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryStatus {
    /// Waiting, here or at Twilio.
    Queued,
    /// On its way from Twilio to the carrier.
    Sending,
    /// The carrier has it.
    Sent,
    /// The handset has it.
    Delivered,
    /// A receipt says that it did not arrive.
    Undelivered,
    /// It was never handed over.
    Failed,
    /// Twilio is still taking in a message to us.
    Receiving,
    /// Twilio has the whole message to us.
    Received,
    /// Nothing is known.
    Unknown,
}

impl DeliveryStatus {
    /// All nine.
    pub const ALL: [Self; 9] = [
        Self::Queued,
        Self::Sending,
        Self::Sent,
        Self::Delivered,
        Self::Undelivered,
        Self::Failed,
        Self::Receiving,
        Self::Received,
        Self::Unknown,
    ];

    /// The word of the data model.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Undelivered => "undelivered",
            Self::Failed => "failed",
            Self::Receiving => "receiving",
            Self::Received => "received",
            Self::Unknown => "unknown",
        }
    }

    /// A word of the data model; `None` for any other.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// Which way messages with that status go; `None` where it can be either.
    #[must_use]
    pub fn direction(self) -> Option<Direction> {
        match self {
            Self::Receiving | Self::Received => Some(Direction::Inbound),
            Self::Unknown => None,
            _ => Some(Direction::Outbound),
        }
    }

    /// Whether nothing further is to be expected of a message from us.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Delivered | Self::Undelivered | Self::Failed)
    }

    /// What one of Twilio's thirteen words means to us; [`Unknown`](Self::Unknown) for any other.
    ///
    /// <https://www.twilio.com/docs/messaging/api/message-resource#message-status-values>
    #[must_use]
    pub fn from_provider(word: &str) -> Self {
        match word {
            // The Messaging Service has it, or it waits for its time: nothing has left.
            "accepted" | "scheduled" => Self::Queued,
            // A read receipt implies the delivery, and we have no later stage.
            "read" => Self::Delivered,
            // Some recipients only: to call it delivered would be untrue.
            "partially_delivered" => Self::Sent,
            "canceled" => Self::Failed,
            ours => Self::from_word(ours).unwrap_or(Self::Unknown),
        }
    }

    /// The status of a message to us. We have it, so a word that says nothing means received.
    #[must_use]
    pub fn of_inbound(word: &str) -> Self {
        match Self::from_provider(word) {
            Self::Receiving => Self::Receiving,
            _ => Self::Received,
        }
    }

    /// Its place in the order of a message's life; `None` where the status does not belong to
    /// messages of that direction. Higher wins, in whatever order reports arrive.
    fn rank(self, direction: Direction) -> Option<u8> {
        match (direction, self) {
            (_, Self::Unknown) => Some(0),
            (Direction::Outbound, Self::Queued) | (Direction::Inbound, Self::Receiving) => Some(1),
            (Direction::Outbound, Self::Sending) | (Direction::Inbound, Self::Received) => Some(2),
            (Direction::Outbound, Self::Sent) => Some(3),
            (Direction::Outbound, Self::Failed) => Some(4),
            (Direction::Outbound, Self::Undelivered) => Some(5),
            (Direction::Outbound, Self::Delivered) => Some(6),
            _ => None,
        }
    }
}

impl fmt::Display for DeliveryStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A message's status with the error that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryState {
    /// How far it got.
    pub status: DeliveryStatus,
    /// Twilio's code for why not further. Never beside `delivered`.
    pub error_code: Option<String>,
    /// Twilio's text for the same.
    pub error_message: Option<String>,
}

impl DeliveryState {
    /// A status without an error.
    #[must_use]
    pub fn of(status: DeliveryStatus) -> Self {
        Self { status, error_code: None, error_message: None }
    }

    /// The state after one more report: upward only, so that any order and repetition of the same
    /// reports ends the same.
    ///
    /// The error belongs to the status that won. A repeat of that status fills it in and never
    /// wipes it; of two different errors the lesser code stays, whichever came first.
    #[must_use]
    pub fn advance(&self, direction: Direction, report: &StatusReport) -> Self {
        let Some(next) = report.status.rank(direction) else {
            return self.clone();
        };
        let now = self.status.rank(direction).unwrap_or(0);
        if next == 0 || next < now {
            return self.clone();
        }
        let reported = Self::reported(report);
        if next > now || reported.explains_better_than(self) { reported } else { self.clone() }
    }

    /// The state of a message to us after the same webhook came again with that status. Only a
    /// message that was not whole yet changes.
    #[must_use]
    pub fn advance_inbound(&self, status: DeliveryStatus) -> Self {
        match (self.status, status) {
            (DeliveryStatus::Receiving, DeliveryStatus::Received) => Self::of(status),
            _ => self.clone(),
        }
    }

    /// For two reports of the same status: which error stays must not depend on which came first.
    fn explains_better_than(&self, other: &Self) -> bool {
        fn place(state: &DeliveryState) -> (bool, Option<&str>, bool, Option<&str>) {
            let (code, message) = (state.error_code.as_deref(), state.error_message.as_deref());
            (code.is_none(), code, message.is_none(), message)
        }
        place(self) < place(other)
    }

    fn reported(report: &StatusReport) -> Self {
        match report.status {
            DeliveryStatus::Delivered => Self::of(DeliveryStatus::Delivered),
            status => Self {
                status,
                error_code: report.error_code.clone(),
                error_message: report.error_message.clone(),
            },
        }
    }
}

/// What Twilio said about a message, once.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusReport {
    /// Of which message.
    pub twilio_sid: TwilioSid,
    /// Our id of the message, where the report carries one: the address that we gave Twilio for
    /// its reports has it in the query.
    pub message: Option<MessageId>,
    /// Twilio's own word, at most 64 characters; may be empty.
    pub provider_status: String,
    /// What the word means to us.
    pub status: DeliveryStatus,
    /// Twilio's error code, at most 32 characters.
    pub error_code: Option<String>,
    /// Twilio's error text, at most 1000 characters.
    pub error_message: Option<String>,
    /// Everything that came.
    pub raw: RawPayload,
}

impl StatusReport {
    /// A report in Twilio's words. Texts too long for their columns are cut; `raw` has them whole.
    #[must_use]
    pub fn new(
        twilio_sid: TwilioSid,
        provider_status: &str,
        error_code: Option<&str>,
        error_message: Option<&str>,
        raw: RawPayload,
    ) -> Self {
        let given = |text: Option<&str>, limit| {
            text.map(|text| clip(text, limit)).filter(|text| !text.is_empty())
        };
        Self {
            twilio_sid,
            message: None,
            provider_status: clip(provider_status, 64),
            status: DeliveryStatus::from_provider(provider_status),
            // Twilio writes "no error" as an absent, an empty or a zero code.
            error_code: given(error_code, 32).filter(|code| code != "0"),
            error_message: given(error_message, 1000),
            raw,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(word: &str, code: Option<&str>) -> StatusReport {
        let sid = TwilioSid::parse("SM1").unwrap();
        StatusReport::new(sid, word, code, None, RawPayload::default())
    }

    fn check(direction: Direction, words: &[(&str, Option<&str>)], ends: (&str, Option<&str>)) {
        let start = match direction {
            Direction::Outbound => DeliveryStatus::Queued,
            Direction::Inbound => DeliveryStatus::Receiving,
        };
        let end = words.iter().fold(DeliveryState::of(start), |state, (word, code)| {
            state.advance(direction, &report(word, *code))
        });
        assert_eq!((end.status.as_str(), end.error_code.as_deref()), ends, "after {words:?}");
    }

    #[test]
    fn reports_only_move_a_status_up() {
        use Direction::{Inbound, Outbound};
        check(Outbound, &[("sent", None), ("delivered", None)], ("delivered", None));
        check(Outbound, &[("delivered", None), ("sent", None)], ("delivered", None));
        check(Outbound, &[("accepted", None), ("scheduled", None)], ("queued", None));
        check(Outbound, &[("read", None), ("undelivered", Some("30003"))], ("delivered", None));
        check(Outbound, &[("undelivered", Some("30003")), ("read", None)], ("delivered", None));
        check(Outbound, &[("partially_delivered", None)], ("sent", None));
        check(Outbound, &[("canceled", None), ("accepted", None)], ("failed", None));
        check(Outbound, &[("carrier_accepted", None), ("", None)], ("queued", None));
        check(Outbound, &[("received", None)], ("queued", None));
        check(Inbound, &[("received", None), ("receiving", None)], ("received", None));
        check(Inbound, &[("delivered", None)], ("receiving", None));
    }

    #[test]
    fn the_error_belongs_to_the_status_that_won() {
        use Direction::Outbound;
        let (early, late) = (("failed", Some("30007")), ("undelivered", Some("30005")));
        check(Outbound, &[early, late], ("undelivered", Some("30005")));
        check(Outbound, &[late, early], ("undelivered", Some("30005")));
        check(Outbound, &[("failed", None), ("failed", Some("30008"))], ("failed", Some("30008")));
        check(Outbound, &[("failed", Some("30008")), ("failed", None)], ("failed", Some("30008")));
        check(Outbound, &[early, ("failed", Some("30008"))], ("failed", Some("30007")));
        check(Outbound, &[("failed", Some("30008")), early], ("failed", Some("30007")));
        check(Outbound, &[("delivered", Some("30008"))], ("delivered", None));
    }

    #[test]
    fn a_repeated_webhook_completes_a_message_and_changes_nothing_else() {
        use DeliveryStatus::{Delivered, Received, Receiving, Unknown};
        for (before, comes, after) in [
            (Receiving, Received, Received),
            (Received, Receiving, Received),
            (Delivered, Received, Delivered),
            (Unknown, Received, Unknown),
        ] {
            assert_eq!(DeliveryState::of(before).advance_inbound(comes).status, after);
        }
    }

    #[test]
    fn a_message_to_us_is_received_whatever_word_comes_with_it() {
        for (word, status) in [
            ("received", "received"),
            ("receiving", "receiving"),
            ("", "received"),
            ("x", "received"),
        ] {
            assert_eq!(DeliveryStatus::of_inbound(word).as_str(), status);
        }
    }
}
