//! Messages and the account, as a client sees them.

use std::time::Duration;

use serde_json::{Value, json};
use twilio_sim::{Delays, Status};

use crate::caller::{ACCOUNT, Caller, OURS, SERVICE_SID, THEIRS, TOKEN, builder, simulator};

const SLOW: Delays = Delays::each(Duration::from_mins(1));

#[tokio::test]
async fn a_message_is_made_and_shown_with_all_of_twilios_fields() {
    let simulator = builder().delays(SLOW).start().await.unwrap();
    let made = Caller::new(&simulator).text(THEIRS, "Hola, \u{bf}qu\u{e9} tal?").await;
    assert_eq!(made.status, 201);
    let sid = made.sid();
    let uri = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages/{sid}");
    let created = made.body["date_created"].as_str().unwrap();
    assert!(created.ends_with(" +0000") && created.len() == 31, "{created}");
    let expected = json!({
        "account_sid": ACCOUNT,
        "api_version": "2010-04-01",
        "body": "Hola, \u{bf}qu\u{e9} tal?",
        "date_created": created,
        "date_sent": null,
        "date_updated": created,
        "direction": "outbound-api",
        "error_code": null,
        "error_message": null,
        "from": OURS,
        "messaging_service_sid": null,
        "num_media": "0",
        "num_segments": "1",
        "price": null,
        "price_unit": "USD",
        "sid": sid,
        "status": "queued",
        "subresource_uris": { "media": format!("{uri}/Media.json") },
        "to": THEIRS,
        "uri": format!("{uri}.json"),
    });
    assert_eq!(made.body, expected);
}

#[tokio::test]
async fn a_message_is_fetched_as_it_is_now() {
    let simulator = simulator().await;
    let caller = Caller::new(&simulator);
    let made = caller.text(THEIRS, "Hola").await;
    simulator.settled().await;
    let fetched = caller.get(&format!("/Messages/{}.json", made.sid())).await;
    assert_eq!((fetched.status, &fetched.body["status"]), (200, &json!("delivered")));
    assert_ne!(fetched.body["date_sent"], Value::Null);
    let unknown = caller.get("/Messages/SM00000000000000000000000000000000.json").await;
    assert_eq!((unknown.status, unknown.code()), (404, 20404));
}

#[tokio::test]
async fn media_make_a_message_of_another_kind() {
    let simulator = simulator().await;
    let urls = ["https://e.com/a b.png", "https://e.com/2.png?x=1&y=2"];
    let media = [("MediaUrl", urls[0]), ("MediaUrl", urls[1])];
    let form = [&[("To", THEIRS), ("From", OURS)][..], &media].concat();
    let made = Caller::new(&simulator).create(&form).await;
    assert!(made.sid().starts_with("MM"));
    assert_eq!(made.body["num_media"], "2");
    assert_eq!(simulator.messages()[0].media, urls);
}

#[tokio::test]
async fn a_messaging_service_chooses_the_sender_later() {
    let simulator = builder().number(OURS).start().await.unwrap();
    let caller = Caller::new(&simulator);
    let form = [("To", THEIRS), ("MessagingServiceSid", SERVICE_SID), ("Body", "Hola")];
    let made = caller.create(&form).await;
    assert_eq!(made.body["status"], "accepted");
    assert_eq!(made.body["from"], Value::Null);
    assert_eq!(made.body["num_segments"], "0");
    assert_eq!(made.body["messaging_service_sid"], SERVICE_SID);
    simulator.settled().await;
    let fetched = caller.get(&format!("/Messages/{}.json", made.sid())).await;
    assert_eq!(fetched.body["from"], OURS);
    assert_eq!(fetched.body["num_segments"], "1");
}

#[tokio::test]
async fn only_a_message_that_waits_for_its_time_can_be_cancelled() {
    let simulator = simulator().await;
    let caller = Caller::new(&simulator);
    let form = [
        ("To", THEIRS),
        ("MessagingServiceSid", SERVICE_SID),
        ("Body", "later"),
        ("ScheduleType", "fixed"),
        ("SendAt", "2999-12-24T10:30:00Z"),
    ];
    let made = caller.create(&form).await;
    assert_eq!(made.body["status"], "scheduled");
    let path = format!("/Messages/{}.json", made.sid());
    let cancelled = caller.post(&path, &[("Status", "canceled")]).await;
    assert_eq!((cancelled.status, &cancelled.body["status"]), (200, &json!("canceled")));
    assert_eq!(cancelled.body["from"], Value::Null);
    let again = caller.post(&path, &[("Status", "canceled")]).await;
    assert_eq!((again.status, again.code()), (400, 30409));
    let queued = caller.text(THEIRS, "now").await;
    let path = format!("/Messages/{}.json", queued.sid());
    assert_eq!(caller.post(&path, &[("Status", "canceled")]).await.code(), 30409);
}

#[tokio::test]
async fn a_message_loses_its_words_or_goes_once_it_has_ended() {
    let simulator = builder().delays(SLOW).start().await.unwrap();
    let caller = Caller::new(&simulator);
    let busy = caller.text(THEIRS, "Hola").await;
    let path = format!("/Messages/{}.json", busy.sid());
    assert_eq!(
        (caller.delete(&path).await.status, caller.delete(&path).await.code()),
        (409, 20009)
    );
    assert_eq!(caller.post(&path, &[("Body", "")]).await.code(), 20009);

    simulator.set_delays(Delays::each(Duration::ZERO));
    let made = caller.text(THEIRS, "Hola").await;
    let path = format!("/Messages/{}.json", made.sid());
    while simulator.messages()[1].status() != Status::Delivered {
        tokio::task::yield_now().await;
    }
    assert_eq!(caller.post(&path, &[("Body", "")]).await.body["body"], "");
    assert_eq!(caller.post(&path, &[("Body", "else")]).await.code(), 20001);
    assert_eq!(caller.delete(&path).await.status, 204);
    assert_eq!(caller.get(&path).await.status, 404);
    assert_eq!(simulator.messages().len(), 1);
}

#[tokio::test]
async fn the_account_is_shown() {
    let simulator = simulator().await;
    let account = Caller::new(&simulator).get(".json").await;
    assert_eq!(account.status, 200);
    for (name, value) in [("sid", ACCOUNT), ("status", "active"), ("type", "Full")] {
        assert_eq!(account.body[name], value);
    }
}

#[tokio::test]
async fn strangers_are_turned_away() {
    let simulator = simulator().await;
    let caller = Caller::new(&simulator);
    for (name, token) in [(ACCOUNT, "wrong"), ("ACb", TOKEN), ("", "")] {
        let reply = caller.get_as(name, token).await;
        let expected = json!({
            "code": 20003,
            "message": "Authenticate",
            "more_info": "https://www.twilio.com/docs/errors/20003",
            "status": 401,
        });
        assert_eq!((reply.status, reply.body), (401, expected));
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let simulator = simulator().await;
    let caller = Caller::new(&simulator);
    assert_eq!(caller.get("/Calls.json").await.code(), 20404);
    assert_eq!(caller.follow("/2010-04-01/Accounts/ACb.json").await.code(), 20404);
    assert_eq!(caller.follow("/else").await.code(), 20404);
    assert_eq!(caller.delete(".json").await.status, 405);
}

#[tokio::test]
async fn a_trial_account_puts_words_before_each_text() {
    let simulator = builder().trial().start().await.unwrap();
    let caller = Caller::new(&simulator);
    let made = caller.text(THEIRS, "Hola").await;
    assert_eq!(made.body["body"], "Sent from your Twilio trial account - Hola");
    assert_eq!(caller.get(".json").await.body["type"], "Trial");
}
