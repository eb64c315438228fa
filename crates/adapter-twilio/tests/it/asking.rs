//! What Twilio knows of our messages: found, fetched, listed, and the account itself.

use std::time::Duration;

use adapter_twilio::TwilioClient;
use domain::message::{Direction, Media, TwilioSid};
use domain::ports::{Archive, MessageList, PageToken, Provider, ProviderError, Sender, Sought};
use domain::text::Text;
use domain::timestamp::Timestamp;
use serde_json::{Value, json};

use crate::stub::{ACCOUNT, Reply, Stub, settings};

const TO: &str = "+18605550199";

/// The 21st of October 2026, so many seconds after noon.
fn at(second: u64) -> Timestamp {
    let noon = Timestamp::parse("2026-10-21T12:00:00.000000Z").unwrap();
    noon.after(Duration::from_secs(second))
}

/// The same as Twilio writes it.
fn written(second: u64) -> String {
    format!("Wed, 21 Oct 2026 12:{:02}:{:02} +0000", second / 60, second % 60)
}

fn listed(sid: &str, second: u64, body: &str) -> Value {
    json!({
        "sid": sid, "status": "queued", "direction": "outbound-api", "to": TO, "body": body,
        "from": "+18605550100", "num_media": "0", "date_created": written(second),
        "date_sent": null,
    })
}

fn page(messages: &[Value], next: Option<&str>) -> Reply {
    let next = next.map(|query| format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json?{query}"));
    Reply::json(200, &json!({"messages": messages, "next_page_uri": next}))
}

fn sought() -> Sought {
    Sought {
        to: Text::new(TO),
        sender: Sender::Number(Text::new("+18605550100")),
        body: Some(Text::new("Hi")),
        num_media: 0,
        not_before: at(600),
        not_after: at(615),
    }
}

/// What is found, in order, and how often was asked.
async fn check(replies: Vec<Reply>, found: &[&str], asked: usize) {
    let stub = Stub::start(replies).await;
    let messages = stub.client().find_sent(&sought()).await.unwrap();
    let sids: Vec<_> = messages.iter().map(|message| message.sid.as_str()).collect();
    assert_eq!((sids.as_slice(), stub.asked().len()), (found, asked));
}

#[tokio::test]
async fn a_message_is_found_by_its_text_and_time_oldest_first() {
    let messages = [
        listed("SM5", 700, "Hi"),
        listed("SM4", 612, "Hi"),
        listed("SM3", 611, "Ho"),
        listed("SM2", 599, "Hi"),
        listed("SM1", 500, "Hi"),
    ];
    check(vec![page(&messages, Some("Page=1"))], &["SM2", "SM4"], 1).await;
    check(vec![page(&[], None)], &[], 1).await;
}

#[tokio::test]
async fn the_list_is_read_back_to_the_time_of_the_request() {
    let first = || page(&[listed("SM9", 900, "Hi"), listed("SM8", 800, "Hi")], Some("Page=1"));
    let second = || page(&[listed("SM7", 610, "Hi"), listed("SM6", 605, "x")], Some("Page=2"));
    let third = || page(&[listed("SM5", 601, "Hi"), listed("SM4", 300, "Hi")], Some("Page=3"));
    check(vec![first(), second(), third()], &["SM5", "SM7"], 3).await;
    check(vec![first(), page(&[], Some("Page=2")), page(&[], None)], &[], 3).await;
}

#[tokio::test]
async fn a_message_that_waited_long_does_not_end_the_reading() {
    let mut waited = listed("SM8", 100, "Ho");
    waited["date_sent"] = written(800).into();
    let first = page(&[listed("SM9", 900, "Ho"), waited], Some("Page=1"));
    check(vec![first, page(&[listed("SM7", 602, "Hi")], None)], &["SM7"], 2).await;
}

#[tokio::test]
async fn the_filter_is_the_number_alone() {
    let stub =
        Stub::start([page(&[], Some("PageSize=100&Page=1&PageToken=PAx")), page(&[], None)]).await;
    stub.client().find_sent(&sought()).await.unwrap();
    let targets: Vec<_> = stub.asked().into_iter().map(|asked| asked.target).collect();
    let path = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json");
    assert_eq!(targets[0], format!("{path}?PageSize=100&To=%2B18605550199"));
    assert_eq!(targets[1], format!("{path}?PageSize=100&Page=1&PageToken=PAx"));
}

#[tokio::test]
async fn a_page_elsewhere_is_never_followed() {
    for elsewhere in [
        "https://evil.example/2010-04-01/Accounts/x/Messages.json?Page=1",
        "//evil.example/x?Page=1",
        "@evil.example/?Page=1",
        "/2010-04-01/Accounts/ACbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb/Messages.json?Page=1",
        "Page=1",
    ] {
        let list = json!({"messages": [], "next_page_uri": elsewhere});
        let stub = Stub::start([Reply::json(200, &list)]).await;
        let refused = stub.client().find_sent(&sought()).await;
        assert!(matches!(refused, Err(ProviderError::Rejected(_))), "{elsewhere}");
        assert_eq!(stub.asked().len(), 1);
    }
}

#[tokio::test]
async fn a_list_without_end_is_given_up() {
    let endless = page(&[listed("SM1", 900, "Hi")], Some("Page=1"));
    let stub = Stub::start(vec![endless; 100]).await;
    assert!(matches!(stub.client().find_sent(&sought()).await, Err(ProviderError::Rejected(_))));
    assert!(stub.asked().len() <= 51);
}

#[tokio::test]
async fn a_message_is_fetched_by_its_sid() {
    let stub =
        Stub::start([Reply::json(200, &listed("SM1", 5, "Hi")), Reply::error(404, 20404)]).await;
    let client = stub.client();
    let sid = TwilioSid::parse("SM1").unwrap();
    let message = client.fetch(&sid).await.unwrap().unwrap();
    assert_eq!((message.created_at, message.body), (Some(at(5)), Some(Text::new("Hi"))));
    assert_eq!(message.raw.members()["direction"], "outbound-api");
    assert_eq!(client.fetch(&sid).await.unwrap(), None);
    let target = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages/SM1.json");
    assert!(stub.asked().iter().all(|asked| asked.target == target && asked.method == "GET"));
}

#[tokio::test]
async fn a_sid_that_would_be_another_path_is_not_asked_for() {
    let stub = Stub::start([]).await;
    for odd in ["..", "SM1/../../x", "SM1?x", "SM1#", "%2e%2e"] {
        let sid = TwilioSid::parse(odd).unwrap();
        assert_eq!(stub.client().fetch(&sid).await.unwrap(), None, "{odd}");
    }
    assert!(stub.asked().is_empty());
}

#[tokio::test]
async fn messages_are_listed_page_by_page_back_to_a_time() {
    let first = page(
        &[listed("SM3", 900, "c"), listed("SM2", 800, "b")],
        Some(
            "To=%2B18605550199&DateSent%3E=2026-10-21T00%3A00%3A00Z&PageSize=100&Page=1&PageToken=PAx",
        ),
    );
    let second = page(&[listed("SM1", 500, "a")], Some("To=x&Page=2"));
    let stub = Stub::start([first, second]).await;
    let (client, to) = (stub.client(), inbound_to(TO));
    let page = client.list(&to, at(600), None).await.unwrap();
    assert_eq!(page.messages.len(), 2);
    let token = page.next.unwrap();
    assert!(!token.0.contains("8605550199"), "{token:?}");
    let older = client.list(&to, at(600), Some(token)).await.unwrap();
    assert_eq!((older.messages[0].sid.as_str(), older.next), ("SM1", None));
    let targets: Vec<_> = stub.asked().into_iter().map(|asked| asked.target).collect();
    let list = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json?To=%2B18605550199");
    let filter = "DateSent%3E=2026-10-21T00%3A00%3A00Z&PageSize=100";
    assert_eq!(targets[0], format!("{list}&{filter}"));
    assert_eq!(targets[1], format!("{list}&{filter}&Page=1&PageToken=PAx"));
}

#[tokio::test]
async fn what_was_sent_is_listed_whether_or_not_it_has_a_date() {
    let stub = Stub::start([page(&[], Some("From=x&PageSize=100&Page=1&PageToken=PAx"))]).await;
    let list = MessageList { direction: Direction::Outbound, number: Text::new("+18605550100") };
    let page = stub.client().list(&list, at(600), None).await.unwrap();
    assert_eq!(page.next, Some(PageToken("PageSize=100&Page=1&PageToken=PAx".into())));
    let list = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json?From=%2B18605550100");
    assert_eq!(stub.asked()[0].target, format!("{list}&PageSize=100"));
}

#[tokio::test]
async fn media_are_shown_as_webhooks_show_them() {
    let uri = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages/MM1/Media/ME1");
    let list = json!({"media_list": [
        {"sid": "ME1", "content_type": "image/png", "uri": format!("{uri}.json")}, {}, 5,
    ]});
    let stub = Stub::start([Reply::json(200, &list), Reply::json(200, &json!({}))]).await;
    let sid = TwilioSid::parse("MM1").unwrap();
    let expected =
        Media { url: format!("{}{uri}", stub.url), content_type: Some("image/png".into()) };
    assert_eq!(stub.client().media_of(&sid).await.unwrap(), [expected]);
    assert!(matches!(stub.client().media_of(&sid).await, Err(ProviderError::Rejected(_))));
}

#[tokio::test]
async fn all_numbers_of_a_messaging_service_are_read_and_nobody_else_is_asked() {
    let page = |number: &str, next: Option<&str>| {
        Reply::json(
            200,
            &json!({
                "phone_numbers": [{"phone_number": number}, {}], "meta": {"next_page_url": next},
            }),
        )
    };
    let next = "https://evil.example/v1/Services/MG1/PhoneNumbers?PageSize=100&Page=1";
    let stub = Stub::start([page("+18605550100", Some(next)), page("+18605550101", None)]).await;
    let numbers = stub.client().numbers_of("MG1").await.unwrap();
    assert_eq!(numbers, ["+18605550100", "+18605550101"].map(Text::new));
    let targets: Vec<_> = stub.asked().into_iter().map(|asked| asked.target).collect();
    let path = "/v1/Services/MG1/PhoneNumbers?PageSize=100";
    assert_eq!(targets, [path.to_owned(), format!("{path}&Page=1")]);
}

#[tokio::test]
async fn a_number_shows_where_its_texts_go() {
    let number = |number: &str| {
        json!({
            "phone_number": number, "capabilities": {"sms": true}, "sms_url": "https://h/x",
            "sms_method": "POST", "sms_fallback_url": null, "sms_application_sid": "AP1",
        })
    };
    let found =
        json!({"incoming_phone_numbers": [number("+186055501000"), number("+18605550100")]});
    let none = json!({"incoming_phone_numbers": []});
    let stub = Stub::start([Reply::json(200, &found), Reply::json(200, &none)]).await;
    let client = stub.client();
    let settings = client.number_settings("+18605550100").await.unwrap().unwrap();
    assert_eq!((settings.number.as_str(), settings.takes_texts), ("+18605550100", true));
    assert_eq!(
        (settings.sms_url.as_str(), settings.sms_fallback_url.as_str()),
        ("https://h/x", "")
    );
    assert_eq!(client.number_settings("+18605550100").await.unwrap(), None);
    let path = format!("/2010-04-01/Accounts/{ACCOUNT}/IncomingPhoneNumbers.json");
    assert_eq!(stub.asked()[0].target, format!("{path}?PhoneNumber=%2B18605550100"));
}

#[tokio::test]
async fn the_account_tells_twilios_time() {
    let body = json!({"status": "active", "type": "Trial"}).to_string();
    let headers = "date: Thu, 24 Aug 2023 05:01:45 GMT\r\n";
    let stub = Stub::start([Reply::Answer { status: 200, headers, body }]).await;
    let account = stub.client().account_state().await.unwrap();
    assert_eq!((account.status.as_str(), account.kind.as_str()), ("active", "Trial"));
    assert_eq!(account.clock.unwrap().to_string(), "2023-08-24T05:01:45.000000Z");
}

#[tokio::test]
async fn a_token_cannot_lead_elsewhere() {
    let stub = Stub::start([page(&[], None)]).await;
    let token = PageToken("@evil.example/#\r\nhost: evil".to_owned());
    stub.client().list(&inbound_to(TO), at(0), Some(token)).await.unwrap();
    assert!(stub.asked()[0].target.starts_with("/2010-04-01/Accounts/AC"));
}

#[tokio::test]
async fn the_account_is_usable_only_while_it_is_active() {
    let account = |status: &str| Reply::json(200, &json!({"sid": ACCOUNT, "status": status}));
    let stub = Stub::start([account("active"), account("suspended"), account("closed")]).await;
    let client = stub.client();
    client.check().await.unwrap();
    for _ in 0..2 {
        assert!(matches!(client.check().await, Err(ProviderError::Account(_))));
    }
    assert_eq!(stub.asked()[0].target, format!("/2010-04-01/Accounts/{ACCOUNT}.json"));
}

#[tokio::test]
async fn an_error_says_whether_to_ask_again() {
    let kind = |error: ProviderError| match error {
        ProviderError::Unavailable { retry_after, .. } => {
            format!("unavailable {:?}", retry_after.map(|wait| wait.as_secs()))
        }
        ProviderError::Account(_) => "account".to_owned(),
        ProviderError::Rejected(_) => "rejected".to_owned(),
    };
    let answer = |status, headers| Reply::Answer { status, headers, body: String::new() };
    for (reply, expected) in [
        (Reply::error(429, 20429), "unavailable None"),
        (answer(429, "retry-after: 9\r\n"), "unavailable Some(9)"),
        (answer(503, "retry-after: 9\r\n"), "unavailable Some(9)"),
        (answer(302, "location: https://evil.example/\r\n"), "unavailable None"),
        (answer(408, ""), "unavailable None"),
        (answer(200, ""), "unavailable None"),
        (Reply::Cut, "unavailable None"),
        (Reply::CutWithin, "unavailable None"),
        (Reply::error(401, 20003), "account"),
        (Reply::error(403, 20005), "account"),
        (answer(401, ""), "account"),
        (Reply::error(400, 20001), "rejected"),
        (answer(404, ""), "rejected"),
    ] {
        let stub = Stub::start(vec![reply.clone(); 4]).await;
        let (client, sid) = (stub.client(), TwilioSid::parse("SM1").unwrap());
        let errors = [
            client.check().await.unwrap_err(),
            client.fetch(&sid).await.unwrap_err(),
            client.find_sent(&sought()).await.unwrap_err(),
            client.list(&inbound_to(TO), at(0), None).await.unwrap_err(),
        ];
        for error in errors {
            assert!(!format!("{error:?}").contains("860555"), "{error:?}");
            assert_eq!(kind(error), expected, "{reply:?}");
        }
        assert_eq!(stub.asked().len(), 4, "nothing is repeated after {reply:?}");
    }
}

#[tokio::test]
async fn an_error_shows_no_url_and_no_number() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let nobody = TwilioClient::new(&settings(&url)).unwrap();
    let error = nobody.find_sent(&sought()).await.unwrap_err();
    let shown = format!("{error:?}");
    assert!(!shown.contains("860555") && !shown.contains("Messages.json"), "{shown}");
}

fn inbound_to(number: &str) -> MessageList {
    MessageList { direction: Direction::Inbound, number: Text::new(number) }
}
