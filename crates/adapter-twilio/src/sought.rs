//! Whether a message at Twilio may be the one of which nobody knows whether it was made.

use std::time::Duration;

use domain::ports::{ProviderMessage, Sender, Sought};
use domain::text::Text;
use domain::timestamp::Timestamp;

/// Twilio's dates are whole seconds, and its clock is not ours, nor the database's: the doctor lets
/// them be so far apart.
const SLACK: Duration = Duration::from_secs(30);

/// What Twilio puts before every text of a trial account.
const TRIAL_PREFIX: &str = "Sent from your Twilio trial account - ";

/// From us, in that time, with that text.
pub(crate) fn may_be(sought: &Sought, message: &ProviderMessage) -> bool {
    !message.inbound
        && message.to.as_ref().is_none_or(|to| *to == sought.to)
        && is_from(&sought.sender, message)
        && message.created_at.is_some_and(|at| is_within(sought, at))
        && says(sought, message)
}

/// Whether so old a message, and with it all behind it in a list, is too old to be sought.
pub(crate) fn is_before(at: Timestamp, since: Timestamp) -> bool {
    at.after(SLACK) < since
}

/// Where a message stands in Twilio's lists, which are in the order of sending: what is sent was
/// made before, so behind a message sent too early there is none that was made in time.
pub(crate) fn place(message: &ProviderMessage) -> Option<Timestamp> {
    message.sent_at.or(message.created_at)
}

/// With a Messaging Service the number is not known beforehand.
fn is_from(sender: &Sender, message: &ProviderMessage) -> bool {
    match sender {
        Sender::Number(number) => message.from.as_ref().is_none_or(|from| from == number),
        Sender::Service(_) => true,
    }
}

fn is_within(sought: &Sought, at: Timestamp) -> bool {
    !is_before(at, sought.not_before) && at <= sought.not_after.after(SLACK)
}

fn says(sought: &Sought, message: &ProviderMessage) -> bool {
    let theirs = message.body.as_ref().map_or("", Text::as_str);
    let ours = sought.body.as_ref().map_or("", Text::as_str);
    let is_ours = |text: &str| ours.split_whitespace().eq(text.split_whitespace());
    let is_same = is_ours(theirs) || theirs.strip_prefix(TRIAL_PREFIX).is_some_and(is_ours);
    is_same && (!ours.trim().is_empty() || message.num_media == sought.num_media)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::message::{RawPayload, TwilioSid};

    fn at(second: u64) -> Timestamp {
        Timestamp::EPOCH.after(Duration::from_secs(second))
    }

    fn sought(body: &str) -> Sought {
        Sought {
            to: Text::new("+18605550199"),
            sender: Sender::Number(Text::new("+18605550100")),
            body: (!body.is_empty()).then(|| Text::new(body)),
            num_media: 1,
            not_before: at(100),
            not_after: at(115),
        }
    }

    fn message(body: &str) -> ProviderMessage {
        ProviderMessage {
            sid: TwilioSid::parse("SM1").unwrap(),
            status: "queued".into(),
            error_code: None,
            error_message: None,
            inbound: false,
            from: Some(Text::new("+18605550100")),
            to: Some(Text::new("+18605550199")),
            body: Some(Text::new(body)),
            num_media: 0,
            created_at: Some(at(105)),
            sent_at: None,
            raw: RawPayload::default(),
        }
    }

    #[test]
    fn the_text_is_the_same_but_for_blanks_and_the_trial_prefix() {
        let check = |ours: &str, theirs: &str, expected: bool| {
            assert_eq!(may_be(&sought(ours), &message(theirs)), expected, "{ours:?} {theirs:?}");
        };
        check("Hi there", "Hi there", true);
        check(" Hi\n there ", "Hi there", true);
        check("Hi", "Sent from your Twilio trial account - Hi", true);
        check("Hi ", "Sent from your Twilio trial account -  Hi", true);
        check(
            "Sent from your Twilio trial account - Hi",
            "Sent from your Twilio trial account - Hi",
            true,
        );
        check("Hi", "Oh Hi", false);
        check("Hi", "hi", false);
        check("Hi", "", false);
        check("Hithere", "Hi there", false);
    }

    #[test]
    fn without_a_text_the_media_are_counted() {
        let check = |ours: &str, theirs: &str, media: u32, expected: bool| {
            let message = ProviderMessage { num_media: media, ..message(theirs) };
            assert_eq!(may_be(&sought(ours), &message), expected, "{ours:?} {theirs:?} {media}");
        };
        check("", "", 1, true);
        check("", "Sent from your Twilio trial account - ", 1, true);
        check("", "", 2, false);
        check("", "Hi", 1, false);
        check("Hi", "Hi", 0, true);
    }

    #[test]
    fn time_direction_and_numbers_must_fit() {
        let check = |change: fn(&mut ProviderMessage), expected: bool| {
            let mut message = message("Hi");
            change(&mut message);
            assert_eq!(may_be(&sought("Hi"), &message), expected, "{message:?}");
        };
        for (second, expected) in [(69, false), (70, true), (145, true), (146, false)] {
            let message = ProviderMessage { created_at: Some(at(second)), ..message("Hi") };
            assert_eq!(may_be(&sought("Hi"), &message), expected, "{second}");
        }
        check(|message| message.created_at = None, false);
        check(|message| message.inbound = true, false);
        check(|message| message.to = Some(Text::new("+18605550198")), false);
        check(|message| message.from = Some(Text::new("+18605550101")), false);
        check(|message| message.from = None, true);
        let any_number = Sought { sender: Sender::Service("MG1".into()), ..sought("Hi") };
        let other = ProviderMessage { from: Some(Text::new("12345")), ..message("Hi") };
        assert!(may_be(&any_number, &other));
    }
}
