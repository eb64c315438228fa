//! What Twilio's error codes mean for us. The table is the whole rule: where Twilio changes the
//! meaning of a code, change its row. The sentences are ours.
//!
//! The codes themselves: <https://www.twilio.com/docs/api/errors>

use self::Kind::{Account, Configuration, Consent, Content, Number, Transient, Wait};

/// What can be done about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The number takes no texts: never again.
    Number,
    /// The recipient opted out: not until they opt back in.
    Consent,
    /// An operator must change something at Twilio or here.
    Configuration,
    /// This text or these media cannot be sent.
    Content,
    /// A limit of hours or days is reached.
    Wait,
    /// The same message may pass a little later.
    Transient,
    /// The account as a whole is refused: nothing can be sent until an operator acts.
    Account,
}

impl Kind {
    /// The word that our API has for it: `permanent` or `transient`.
    #[must_use]
    pub fn category(self) -> &'static str {
        match self {
            Number | Consent | Configuration | Content | Account => "permanent",
            Wait | Transient => "transient",
        }
    }
}

/// What a code means: its kind; `None` for a code that is not in the table.
#[must_use]
pub fn kind(code: &str) -> Option<Kind> {
    find(code).map(|(_, kind, _)| *kind)
}

/// The word that our API has for a code: `permanent`, `transient`, or `unknown` for a code that is
/// not in the table.
#[must_use]
pub fn category(code: &str) -> &'static str {
    kind(code).map_or("unknown", Kind::category)
}

/// One sentence for a person; `None` for a code that is not in the table.
#[must_use]
pub fn explain(code: &str) -> Option<&'static str> {
    find(code).map(|(_, _, sentence)| *sentence)
}

type Row = (&'static str, Kind, &'static str);

fn find(code: &str) -> Option<&'static Row> {
    let place = TABLE.binary_search_by(|(known, _, _)| (*known).cmp(code)).ok()?;
    TABLE.get(place)
}

/// In the order of the codes.
#[rustfmt::skip]
const TABLE: &[Row] = &[
    ("20003", Account, "Twilio does not accept our account SID and auth token."),
    ("20005", Account, "Our Twilio account is suspended or closed."),
    ("20404", Configuration, "Twilio knows no such thing: the account SID or the API address is probably wrong."),
    ("20429", Transient, "We asked Twilio too often; it did nothing and can be asked again."),
    ("21211", Number, "The recipient's number is not a valid telephone number."),
    ("21212", Configuration, "The sending number is not a valid number or sender name."),
    ("21214", Number, "The recipient's number cannot be reached."),
    ("21217", Number, "The recipient's number does not look like a telephone number."),
    ("21401", Number, "The telephone number is not valid."),
    ("21408", Configuration, "Our account may not text the recipient's country: it must be allowed in Twilio's settings."),
    ("21602", Content, "The message has neither text nor media."),
    ("21603", Configuration, "The message has no sending number."),
    ("21604", Number, "The message has no recipient."),
    ("21606", Configuration, "The sending number is not ours, or cannot send texts to this recipient."),
    ("21608", Configuration, "A trial account texts only numbers that were verified with Twilio."),
    ("21609", Configuration, "Twilio does not accept the address that we gave it for delivery reports: check PUBLIC_BASE_URL."),
    ("21610", Consent, "The recipient has opted out of texts from this number."),
    ("21611", Wait, "The sending number has too many texts waiting at Twilio."),
    ("21612", Number, "Twilio has no way from the sending number to the recipient's."),
    ("21614", Number, "The recipient's number is not a mobile number."),
    ("21617", Content, "The text is longer than 1600 characters."),
    ("21620", Content, "The address of a picture or file is not valid."),
    ("21623", Content, "The message has too many pictures or files."),
    ("21635", Number, "The recipient's number is a landline."),
    ("21701", Configuration, "Twilio knows no Messaging Service with that SID."),
    ("21703", Configuration, "The Messaging Service has no number that can send this message."),
    ("21704", Configuration, "The Messaging Service has no numbers."),
    ("21705", Configuration, "The Messaging Service cannot be used."),
    ("30001", Transient, "Too many texts were waiting, and this one was dropped from the queue."),
    ("30002", Configuration, "Our account was suspended while the text was waiting."),
    ("30003", Transient, "The recipient's phone is switched off or out of reach."),
    ("30004", Content, "The recipient or their carrier blocks this message."),
    ("30005", Number, "The recipient's number does not exist, or is not in service."),
    ("30006", Number, "The recipient's number is a landline, or its carrier takes no texts."),
    ("30007", Content, "A carrier or Twilio filtered the message as unwanted."),
    ("30008", Transient, "The message did not arrive, and the carrier gave no reason."),
    ("30010", Configuration, "The message costs more than the highest price that was set."),
    ("30017", Transient, "The carrier's network is congested."),
    ("30019", Content, "The message is larger than the carrier allows."),
    ("30022", Transient, "We sent faster than the carrier allows for our registered campaign."),
    ("30023", Wait, "The carrier's daily limit for our registered brand is reached."),
    ("30027", Wait, "T-Mobile's daily limit for our registered brand is reached."),
    ("30032", Configuration, "The toll-free sending number is not verified for texts."),
    ("30034", Configuration, "The sending number belongs to no registered A2P 10DLC campaign."),
    ("30036", Wait, "The message waited longer than it was allowed to."),
    ("30410", Transient, "The carrier did not answer in time."),
    ("30500", Transient, "The carrier had a failure of its own."),
    ("63016", Content, "Outside the 24 hours after the recipient wrote, this channel takes only approved templates."),
    ("63018", Transient, "The channel takes no more messages for the moment."),
    ("63024", Number, "The recipient cannot be reached on this channel."),
    ("63038", Wait, "Our account's daily limit of messages is reached."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_says_each_code_once() {
        assert!(TABLE.is_sorted_by(|(one, _, _), (next, _, _)| one < next));
        for (code, _, sentence) in TABLE {
            assert!(code.len() == 5 && code.parse::<u32>().is_ok(), "{code}");
            assert!(sentence.ends_with('.') && !sentence.trim_end_matches('.').contains(". "));
        }
    }

    #[test]
    fn each_code_has_its_kind() {
        let check = |kind_of_all: Kind, category: &str, codes: &[&str]| {
            for code in codes {
                assert_eq!(kind(code), Some(kind_of_all), "{code}");
                assert_eq!(super::category(code), category, "{code}");
            }
        };
        check(Number, "permanent", &["21211", "21214", "21217", "21401", "21612", "21614"]);
        check(Number, "permanent", &["30005", "30006"]);
        check(Consent, "permanent", &["21610"]);
        check(Account, "permanent", &["20003", "20005"]);
        check(Configuration, "permanent", &["20404", "21212", "21408", "21603", "21606"]);
        check(Configuration, "permanent", &["21608", "21609", "21701", "21703", "21704", "21705"]);
        check(Configuration, "permanent", &["30002", "30032", "30034"]);
        check(Content, "permanent", &["21602", "21617", "21620", "21623"]);
        check(Content, "permanent", &["30004", "30007", "30019"]);
        check(Wait, "transient", &["21611", "30023", "30027", "63038"]);
        check(Transient, "transient", &["20429", "30001", "30003", "30008", "30017", "30022"]);
        check(Transient, "transient", &["30410", "30500", "63018"]);
    }

    #[test]
    fn an_unknown_code_is_said_to_be_unknown() {
        for odd in ["", "1", "99999", "021211", "21211 ", "timeout"] {
            assert_eq!((kind(odd), category(odd), explain(odd)), (None, "unknown", None), "{odd}");
        }
        assert!(explain("21610").is_some_and(|sentence| sentence.contains("opted out")));
    }
}
