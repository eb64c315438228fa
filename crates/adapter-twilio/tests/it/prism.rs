//! Every call against a mock made from Twilio's own description: `.ci/conformance/prism` starts
//! one. It answers fixed examples, and refuses what the description does not allow.

use std::time::Duration;

use adapter_twilio::TwilioClient;
use domain::message::{Direction, MessageId, TwilioSid};
use domain::ports::{Archive, MessageList, Provider, SendOrder, SendOutcome, Sender, Sought};
use domain::text::Text;
use domain::timestamp::Timestamp;
use uuid::Uuid;

use crate::stub::settings;

/// The mock; without it there is nothing to do, which is a failure where it should be there.
#[expect(clippy::disallowed_methods, reason = "where the mock is is a setting of the test run")]
fn mock() -> Option<TwilioClient> {
    let url = std::env::var("PRISM_URL").ok();
    if url.is_none() {
        assert_ne!(std::env::var("CONFORMANCE").as_deref(), Ok("1"), "PRISM_URL is not set");
        println!("skipped: PRISM_URL says where the mock is");
    }
    url.map(|url| TwilioClient::new(&settings(&url)).unwrap())
}

/// Later than all the examples.
fn now() -> Timestamp {
    Timestamp::parse("2026-01-02T10:20:30.000000Z").unwrap()
}

#[tokio::test]
async fn prism_accepts_every_kind_of_message() {
    let Some(client) = mock() else { return };
    let number = |text| Sender::Number(Text::new(text));
    let service = Sender::Service("MGaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".to_owned());
    // Prism looks at the last of repeated values only, and takes no `+` for a blank in that.
    let media = vec!["https://h/1 b.png".to_owned(), "https://h/2.png?x=1&y".to_owned()];
    for (to, sender, body, media) in [
        ("+14155552345", number("+18605550100"), Some("Olá, tudo bem? 👍 a+b&c=d%"), vec![]),
        ("+14155552345", service, Some("Hi"), vec![]),
        ("+14155552345", number("12345"), None, media),
        ("whatsapp:+14155552345", number("whatsapp:+14155238886"), Some("oi"), vec![]),
    ] {
        let order = SendOrder {
            message: MessageId(Uuid::from_u128(1)),
            to: Text::new(to),
            sender,
            body: body.map(Text::new),
            media,
            validity: Duration::from_hours(4),
        };
        let outcome = client.send(&order).await;
        let SendOutcome::Accepted(message) = outcome else { panic!("{outcome:?}") };
        assert!(message.sid.as_str().starts_with("SM") && message.created_at.is_some());
    }
}

#[tokio::test]
async fn prism_answers_every_question() {
    let Some(client) = mock() else { return };
    client.check().await.unwrap();
    let sid = TwilioSid::parse("SMaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa").unwrap();
    let message = client.fetch(&sid).await.unwrap().unwrap();
    assert_eq!(message.error_code.as_deref(), Some("30007"));
    let number = Text::new("+18182008801");
    let to = MessageList { direction: Direction::Inbound, number };
    let page = client.list(&to, Timestamp::EPOCH, None).await.unwrap();
    assert!(!page.messages.is_empty() && page.next.is_some());
    let behind = client.list(&to, Timestamp::EPOCH, page.next).await.unwrap();
    assert!(!behind.messages.is_empty());
    assert_eq!(client.list(&to, now(), None).await.unwrap().next, None);
}

#[tokio::test]
async fn prisms_lists_without_end_are_read_back_to_a_time() {
    let Some(client) = mock() else { return };
    let sought = |from: Timestamp| Sought {
        to: Text::new("+18182008801"),
        sender: Sender::Number(Text::new("+12019235161")),
        body: Some(Text::new("testing")),
        num_media: 0,
        not_before: from,
        not_after: from.after(Duration::from_secs(15)),
    };
    assert_eq!(client.find_sent(&sought(now())).await.unwrap(), []);
    // The last text of the page was sent at 17:44:49, the clocks may be half a minute apart, and
    // Prism says of each that another is behind it.
    let too_late = Timestamp::parse("2019-05-24T17:45:20.000000Z").unwrap();
    assert_eq!(client.find_sent(&sought(too_late)).await.unwrap(), []);
    let in_time = Timestamp::parse("2019-05-24T17:45:19.000000Z").unwrap();
    assert!(
        client.find_sent(&sought(in_time)).await.is_err(),
        "a list without an end was believed"
    );
}
