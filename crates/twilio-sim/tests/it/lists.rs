//! The list of messages.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::datetime;
use twilio_sim::{Delays, InboundText};

use crate::caller::{ACCOUNT, Caller, OURS, Reply, THEIRS, builder, simulator};

fn bodies(page: &Reply) -> Vec<&str> {
    let messages = page.body["messages"].as_array().unwrap();
    messages.iter().map(|message| message["body"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn pages_go_from_the_newest_to_the_oldest_and_do_not_shift() {
    let simulator = simulator().await;
    let caller = Caller::new(&simulator);
    for body in ["1", "2", "3", "4", "5"] {
        caller.text(THEIRS, body).await;
    }
    let first = caller.get("/Messages.json?PageSize=2").await;
    assert_eq!(bodies(&first), ["5", "4"]);
    assert_eq!((&first.body["page"], &first.body["page_size"]), (&json!(0), &json!(2)));
    assert_eq!((&first.body["start"], &first.body["end"]), (&json!(0), &json!(1)));
    assert_eq!(first.body["previous_page_uri"], Value::Null);

    caller.text(THEIRS, "6").await;
    let second = caller.follow(first.body["next_page_uri"].as_str().unwrap()).await;
    assert_eq!(bodies(&second), ["3", "2"]);
    assert_eq!((&second.body["start"], &second.body["end"]), (&json!(2), &json!(3)));
    let third = caller.follow(second.body["next_page_uri"].as_str().unwrap()).await;
    assert_eq!(bodies(&third), ["1"]);
    assert_eq!(third.body["next_page_uri"], Value::Null);
    let uri = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json?PageSize=2&Page=0");
    assert_eq!(third.body["first_page_uri"], uri);
    assert_eq!(bodies(&caller.get("/Messages.json?PageSize=2&Page=1").await), ["4", "3"]);
}

#[tokio::test]
async fn a_page_begins_behind_a_message_that_is_gone() {
    let simulator = simulator().await;
    let caller = Caller::new(&simulator);
    caller.text(THEIRS, "1").await;
    let gone = caller.text(THEIRS, "2").await;
    simulator.settled().await;
    let first = caller.get("/Messages.json?PageSize=1").await;
    caller.delete(&format!("/Messages/{}.json", gone.sid())).await;
    let second = caller.follow(first.body["next_page_uri"].as_str().unwrap()).await;
    assert_eq!(bodies(&second), ["1"]);
    assert_eq!(caller.get("/Messages.json?PageToken=PASM1").await.code(), 20001);
}

#[tokio::test]
async fn numbers_filter_and_stay_in_the_next_page() {
    let simulator = simulator().await;
    let caller = Caller::new(&simulator);
    let other = "+18605550177";
    for (to, body) in [(THEIRS, "1"), (other, "2"), (THEIRS, "3")] {
        caller.text(to, body).await;
    }
    simulator.receive(&InboundText::new(THEIRS, OURS).body("4"));
    let sent = caller.get("/Messages.json?To=%2B18605550199&PageSize=1").await;
    assert_eq!(bodies(&sent), ["3"]);
    let next = sent.body["next_page_uri"].as_str().unwrap();
    assert!(next.contains("?To=%2B18605550199&PageSize=1&Page=1&PageToken=PA"), "{next}");
    assert_eq!(bodies(&caller.follow(next).await), ["1"]);
    let received = caller.get("/Messages.json?From=%2B18605550199&To=%2B18605550100").await;
    assert_eq!(bodies(&received), ["4"]);
    assert_eq!(received.body["messages"][0]["direction"], "inbound");
    assert_eq!(received.body["messages"][0]["status"], "received");
}

#[tokio::test]
async fn dates_filter_what_was_sent() {
    let start = datetime!(2026-01-01 12:00 UTC);
    let seconds = Arc::new(AtomicI64::new(start.unix_timestamp()));
    let clock = Arc::clone(&seconds);
    let now = move || OffsetDateTime::from_unix_timestamp(clock.load(Ordering::SeqCst)).unwrap();
    let simulator = builder().clock(now).start().await.unwrap();
    let caller = Caller::new(&simulator);
    for body in ["first", "second", "third"] {
        caller.text(THEIRS, body).await;
        simulator.settled().await;
        seconds.fetch_add(24 * 60 * 60, Ordering::SeqCst);
    }
    simulator.set_delays(Delays::each(Duration::from_mins(1)));
    caller.text(THEIRS, "queued").await;

    let check = async |query: &str, expected: &[&str]| {
        assert_eq!(
            bodies(&caller.get(&format!("/Messages.json?{query}")).await),
            expected,
            "{query}"
        );
    };
    check("", &["queued", "third", "second", "first"]).await;
    check("DateSent=2026-01-02", &["second"]).await;
    check("DateSent%3E=2026-01-02", &["third", "second"]).await;
    check("DateSent%3C=2026-01-02", &["second", "first"]).await;
    check("DateSent%3C=2026-01-02T12%3A00%3A00Z", &["second", "first"]).await;
    check("DateSent%3C=2026-01-02T11%3A59%3A59Z", &["first"]).await;
    check("DateSent%3E=2026-01-02T12%3A00%3A01Z", &["third"]).await;
    check("DateSent%3C=2026-02-02&DateSent%3E=2026-01-02", &["third", "second"]).await;
    check("DateSent=2026-01-04", &[]).await;
    let dates = &caller.get("/Messages.json?PageSize=1&Page=1").await.body["messages"][0];
    assert_eq!(dates["date_sent"], "Sat, 03 Jan 2026 12:00:00 +0000");
    assert_eq!(caller.get("/Messages.json?DateSent=soon").await.code(), 20001);
}
