//! Our requests beside those of Twilio's Python library.

use std::time::Duration;

use adapter_twilio::TwilioClient;
use adapter_twilio::form::Form;
use base64::prelude::{BASE64_STANDARD, Engine};
use domain::message::{Direction, MessageId, TwilioSid};
use domain::ports::{Archive, MessageList, Provider, SendOrder, Sender};
use domain::text::Text;
use domain::timestamp::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::contract_data;
use crate::request::TOKEN;
use crate::stub::{ACCOUNT, Asked, Reply, Stub};

#[derive(Deserialize)]
struct Row {
    id: String,
    method: String,
    url: String,
    content_type: Option<String>,
    accept: Option<String>,
    raw_body: Option<String>,
}

impl Row {
    fn target(&self) -> &str {
        self.url.strip_prefix("https://api.twilio.com").unwrap()
    }

    fn path(&self) -> &str {
        self.target().split('?').next().unwrap()
    }

    fn query(&self) -> Vec<&str> {
        let query = self.target().split_once('?').map_or("", |(_, query)| query);
        query.split('&').collect()
    }

    /// Whether it is a create, with fields that we have too.
    fn is_create(&self) -> bool {
        self.path().ends_with("/Messages.json") && self.method == "POST" && {
            let body = self.raw_body.as_deref().unwrap();
            !body.contains("SendAt=")
        }
    }

    fn order(&self) -> SendOrder {
        let body = self.raw_body.as_deref().unwrap();
        let form = Form::parse(body.as_bytes());
        let value = |name| form.text(name).map(|text| Text::new(text.into_owned()));
        let sender = value("From").or_else(|| value("MessagingServiceSid")).unwrap();
        let media = form.fields().iter().filter(|field| *field.name == *b"MediaUrl");
        SendOrder {
            message: MessageId(Uuid::from_u128(1)),
            to: value("To").unwrap(),
            sender: Sender::read(sender.as_str()),
            body: value("Body"),
            media: media.map(|field| String::from_utf8(field.value.to_vec()).unwrap()).collect(),
            validity: Duration::from_mins(10),
        }
    }
}

fn rows() -> Option<Vec<Row>> {
    let text = contract_data::read("sdk_outbound_requests.jsonl")?;
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// What was asked, and for all questions the same: who asks, and for what.
async fn asked<T>(reply: Value, question: impl AsyncFnOnce(&TwilioClient) -> T) -> Asked {
    let stub = Stub::start([Reply::json(200, &reply)]).await;
    question(&stub.client()).await;
    let asked = stub.asked().remove(0);
    let credentials = BASE64_STANDARD.encode(format!("{ACCOUNT}:{TOKEN}"));
    assert_eq!(asked.header("authorization"), Some(&*format!("Basic {credentials}")));
    asked
}

fn assert_same_kind(row: &Row, asked: &Asked) {
    assert_eq!(asked.method, row.method, "{}", row.id);
    assert_eq!(asked.target.split('?').next(), Some(row.path()), "{}", row.id);
    assert_eq!(asked.header("accept"), row.accept.as_deref(), "{}", row.id);
    // The library names a type even where it sends no body.
    if row.raw_body.is_some() {
        assert_eq!(asked.header("content-type"), row.content_type.as_deref(), "{}", row.id);
    }
}

#[tokio::test]
async fn a_message_is_created_with_the_same_bytes() {
    let Some(rows) = rows() else { return };
    let creates: Vec<_> = rows.iter().filter(|row| row.is_create()).collect();
    assert!(creates.len() > 10);
    for row in creates {
        let order = row.order();
        let asked = asked(json!({"sid": "SM1"}), async |client| client.send(&order).await).await;
        assert_same_kind(row, &asked);
        let theirs_only =
            ["ProvideFeedback", "Attempt", "ContentRetention", "AddressRetention", "SmartEncoded"];
        let all_ours = ["StatusCallback", "ValidityPeriod"];
        let rest = |body: &str, without: &[&str]| {
            let pieces = body.split('&').map(str::to_owned);
            let named = |piece: &String| without.contains(&piece.split('=').next().unwrap());
            pieces.filter(|piece| !named(piece)).collect::<Vec<_>>().join("&")
        };
        let theirs = row.raw_body.as_deref().unwrap();
        let theirs = rest(&rest(theirs, &theirs_only), &all_ours);
        assert_eq!(rest(&asked.body, &all_ours), theirs, "{}", row.id);
    }
}

#[tokio::test]
async fn callback_and_validity_are_written_as_the_library_does() {
    let Some(rows) = rows() else { return };
    let row = |id: &str| rows.iter().find(|row| row.id == id).unwrap();
    let order = row("so10").order();
    let asked = asked(json!({}), async |client| client.send(&order).await).await;
    let callback = "StatusCallback=https%3A%2F%2Fsms.example.com%2Fwebhook%2Ftwilio%2Fstatus%3F";
    let validity = "ValidityPeriod=600";
    assert!(row("so10").raw_body.as_deref().unwrap().contains(callback));
    assert!(row("so17").raw_body.as_deref().unwrap().contains(validity));
    assert!(asked.body.contains(&format!("&{callback}message_id%3D")), "{}", asked.body);
    assert!(asked.body.contains(&format!("&{validity}&")), "{}", asked.body);
}

#[tokio::test]
async fn messages_are_listed_with_the_same_filters() {
    let Some(rows) = rows() else { return };
    let row = |id: &str| rows.iter().find(|row| row.id == id).unwrap();
    let since = Timestamp::parse("2026-01-02T10:20:30.000000Z").unwrap();
    let to = inbound_to("+15558675310");
    let list = json!({"messages": []});
    let asked = asked(list, async |client| client.list(&to, since, None).await).await;
    assert_same_kind(row("so20"), &asked);
    let ours: Vec<_> = asked.target.split_once('?').unwrap().1.split('&').collect();
    assert_eq!(ours, [row("so20").query()[0], row("so22").query()[1], "PageSize=100"]);
    assert!(row("so18").query()[0].starts_with("PageSize="));
}

#[tokio::test]
async fn the_page_behind_is_asked_for_with_the_same_parameters() {
    let Some(rows) = rows() else { return };
    let row = rows.iter().find(|row| row.id == "so19").unwrap();
    let to = inbound_to("+123456789");
    let first = json!({"messages": [], "next_page_uri": row.target()});
    let stub =
        Stub::start([Reply::json(200, &first), Reply::json(200, &json!({"messages": []}))]).await;
    let (client, since) = (stub.client(), Timestamp::EPOCH);
    let next = client.list(&to, since, None).await.unwrap().next;
    client.list(&to, since, next).await.unwrap();
    let asked = &stub.asked()[1];
    assert_same_kind(row, asked);
    assert_eq!(asked.target, row.target());
}

#[tokio::test]
async fn a_message_and_the_account_are_fetched_alike() {
    let Some(rows) = rows() else { return };
    let row = |id: &str| rows.iter().find(|row| row.id == id).unwrap();
    let sid = TwilioSid::parse("SMcccccccccccccccccccccccccccccccc").unwrap();
    let fetched = asked(json!({}), async |client| client.fetch(&sid).await).await;
    assert_same_kind(row("so23"), &fetched);
    let account = asked(json!({}), async |client| client.check().await).await;
    assert_same_kind(row("so27"), &account);
}

fn inbound_to(number: &str) -> MessageList {
    MessageList { direction: Direction::Inbound, number: Text::new(number) }
}
