//! What Twilio answers: messages, lists of them, errors, dates. Every member may be missing or of
//! another type than it should be; only a message without a SID is no message.

use std::time::Duration;

use domain::message::{RawPayload, TwilioSid};
use domain::ports::ProviderMessage;
use domain::text::Text;
use domain::timestamp::Timestamp;
use httpclient::Response;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

/// A message; `None` where there is no usable SID.
pub(crate) fn message(json: Value) -> Option<ProviderMessage> {
    let Value::Object(members) = json else {
        return None;
    };
    let text = |name: &str| members.get(name).and_then(written);
    let date = |name: &str| text(name).as_deref().and_then(date).map(Timestamp::from);
    Some(ProviderMessage {
        sid: TwilioSid::parse(&text("sid")?).ok()?,
        status: text("status").unwrap_or_default(),
        error_code: text("error_code").filter(|code| code != "0"),
        error_message: text("error_message"),
        inbound: text("direction").as_deref() == Some("inbound"),
        from: text("from").map(Text::new),
        to: text("to").map(Text::new),
        body: text("body").map(Text::new),
        num_media: text("num_media").and_then(|count| count.parse().ok()).unwrap_or(0),
        created_at: date("date_created"),
        sent_at: date("date_sent"),
        raw: RawPayload::new(members),
    })
}

/// One page of a list, as Twilio gave it.
pub(crate) struct Page {
    /// Newest first.
    pub(crate) messages: Vec<ProviderMessage>,
    /// `next_page_uri`.
    pub(crate) next: Option<String>,
}

/// A page; `None` where it is no list.
pub(crate) fn page(json: Value) -> Option<Page> {
    let Value::Object(mut members) = json else {
        return None;
    };
    let Some(Value::Array(messages)) = members.remove("messages") else {
        return None;
    };
    Some(Page {
        messages: messages.into_iter().filter_map(message).collect(),
        next: members.get("next_page_uri").and_then(written).filter(|uri| !uri.is_empty()),
    })
}

/// The code of an error: digits, or nothing that could be personal.
pub(crate) fn error_code(response: &Response) -> Option<String> {
    let members: Map<String, Value> = response.json().ok()?;
    let code = members.get("code").and_then(written)?;
    let fits = (1..=9).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_digit());
    fits.then_some(code)
}

/// Whether Twilio itself says that there is no such thing. A bare 404 may be a proxy's.
pub(crate) fn is_unknown(response: &Response) -> bool {
    response.status() == 404 && error_code(response).as_deref() == Some("20404")
}

/// `Retry-After`: seconds, or a date, which counts from the answer's own: no clock is needed.
pub(crate) fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.header("retry-after")?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let wait = date(value)? - date_header(response)?;
    Duration::try_from(wait).ok()
}

/// `Date`: the clock of whoever answered.
pub(crate) fn date_header(response: &Response) -> Option<OffsetDateTime> {
    date(response.header("date")?)
}

/// `Thu, 24 Aug 2023 05:01:45 +0000`.
fn date(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc2822).ok()
}

/// A text, or a number as text.
fn written(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_message_is_read_from_its_members() {
        let message = message(json!({
            "sid": "SM1", "status": "undelivered", "error_code": 30003, "error_message": "x",
            "direction": "outbound-api", "from": "+18605550100", "to": "+18605550199",
            "body": "Hi\0", "num_media": "2", "date_created": "Thu, 24 Aug 2023 05:01:45 +0000",
            "date_sent": null, "price": null, "new_member": [1],
        }))
        .unwrap();
        assert_eq!((message.sid.as_str(), message.status.as_str()), ("SM1", "undelivered"));
        assert_eq!(message.error_code.as_deref(), Some("30003"));
        assert_eq!((message.inbound, message.num_media), (false, 2));
        assert_eq!(message.body, Some(Text::new("Hi")));
        assert_eq!(message.created_at.unwrap().to_string(), "2023-08-24T05:01:45.000000Z");
        assert_eq!(message.sent_at, None);
        assert_eq!(message.raw.members()["new_member"], json!([1]));
    }

    #[test]
    fn only_a_message_without_a_sid_is_no_message() {
        let bare = message(json!({"sid": "SM1"})).unwrap();
        assert_eq!((bare.status.as_str(), bare.inbound, bare.num_media), ("", false, 0));
        let odd = json!({
            "sid": "SM1", "status": {}, "error_code": "0", "direction": 1, "body": 7,
            "num_media": -1, "date_created": "yesterday", "date_sent": 5, "from": [], "to": true,
        });
        let odd = message(odd).unwrap();
        assert_eq!((odd.error_code, odd.created_at, odd.from), (None, None, None));
        assert!(message(json!({"direction": "inbound", "sid": "SM1"})).unwrap().inbound);
        for none in [json!({}), json!({"sid": ""}), json!({"sid": "S M"}), json!([]), json!(null)] {
            assert_eq!(message(none.clone()), None, "{none}");
        }
    }

    #[test]
    fn a_page_has_messages_and_may_have_a_next() {
        let check = |json: Value, expected: Option<(usize, Option<&str>)>| {
            let page = page(json.clone());
            let seen = page.as_ref().map(|page| (page.messages.len(), page.next.as_deref()));
            assert_eq!(seen, expected, "{json}");
        };
        check(json!({"messages": []}), Some((0, None)));
        check(json!({"messages": [{"sid": "SM1"}, 5, {}], "next_page_uri": null}), Some((1, None)));
        check(json!({"messages": [], "next_page_uri": ""}), Some((0, None)));
        check(json!({"messages": [], "next_page_uri": "/x?y"}), Some((0, Some("/x?y"))));
        for none in [json!({}), json!({"messages": {}}), json!([]), json!("")] {
            check(none, None);
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[A-Z][a-z]{2}, [0-9]{1,2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} [+-][0-9]{4}"
                .prop_map(Value::from),
        ];
        let names = prop::sample::select(vec![
            "sid",
            "status",
            "error_code",
            "direction",
            "from",
            "to",
            "body",
            "num_media",
            "date_created",
            "date_sent",
            "messages",
            "next_page_uri",
            "code",
        ]);
        leaf.prop_recursive(4, 64, 8, move |inner| {
            let members = prop::collection::hash_map(names.clone(), inner.clone(), 0..8);
            prop_oneof![
                prop::collection::vec(inner, 0..8).prop_map(Value::from),
                members.prop_map(|members| {
                    let members = members.into_iter();
                    members.map(|(name, value)| (name.to_owned(), value)).collect()
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_answer_panics_and_every_read_message_has_its_sid(json in any_json()) {
            let sid = json.get("sid").and_then(Value::as_str).map(str::to_owned);
            if let Some(message) = message(json.clone()) {
                prop_assert!(sid.is_none_or(|sid| sid == message.sid.as_str()));
            }
            if let Some(page) = page(json.clone()) {
                let listed = json["messages"].as_array().map_or(0, Vec::len);
                prop_assert!(page.messages.len() <= listed);
            }
        }

        #[test]
        fn no_date_panics(text in "\\PC{0,40}", date in "[A-Z][a-z]{2}, [0-9 :A-Za-z+-]{0,40}") {
            let _ = (super::date(&text), super::date(&date));
        }
    }

    mod fuzz {
        use super::*;

        /// Whatever Twilio, or a proxy before it, may answer.
        #[test]
        fn answer() {
            bolero::check!(name = "answer").with_iterations(1000).for_each(|input: &[u8]| {
                let _ = date(&String::from_utf8_lossy(input));
                let Ok(json) = serde_json::from_slice::<Value>(input) else { return };
                let listed = json["messages"].as_array().map_or(0, Vec::len);
                if let Some(page) = page(json.clone()) {
                    assert!(page.messages.len() <= listed);
                }
                if let Some(message) = message(json.clone()) {
                    assert_eq!(written(&json["sid"]).as_deref(), Some(message.sid.as_str()));
                }
            });
        }
    }
}
