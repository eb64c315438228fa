//! The way in for other processes.

use serde_json::{Value, json};
use twilio_sim::{Callbacks, Outcome};

use crate::caller::{Caller, OURS, THEIRS, simulator};
use crate::service::Service;

#[tokio::test]
async fn modes_are_set_in_the_words_of_the_command_line() {
    let simulator = simulator().await;
    let caller = Caller::new(&simulator);
    let set = async |what: &str, body: Value| {
        let reply = caller.control(what, Some(body)).await;
        (reply.status, reply.body["message"].as_str().map(str::to_owned))
    };
    assert_eq!(set("/failure", json!({ "mode": "error:21611" })).await, (204, None));
    assert_eq!(set("/failure", json!({ "mode": "answer=1", "to": THEIRS })).await, (204, None));
    assert_eq!(set("/outcome", json!({ "mode": "undelivered:30003" })).await, (204, None));
    assert_eq!(set("/callbacks", json!({ "mode": "lost" })).await, (204, None));
    assert_eq!(set("/delays", json!({ "mode": "1ms" })).await, (204, None));
    assert_eq!(caller.text("+18605550177", "Hola").await.code(), 21611);
    assert_eq!(caller.text(THEIRS, "Hola").await.status, 201);
    simulator.settled().await;
    assert_eq!(simulator.messages()[0].error_code(), Some(30003));

    let (status, message) = set("/failure", json!({ "mode": "sometimes" })).await;
    assert_eq!(status, 400);
    assert!(message.unwrap().starts_with("`sometimes` is none of answer, "));
    assert_eq!(set("/failure", json!({})).await.0, 400);
    assert_eq!(caller.control("/else", None).await.status, 404);
}

#[tokio::test]
async fn what_was_sent_can_be_looked_at() {
    let (simulator, service) = (simulator().await, Service::start().await);
    simulator.set_callbacks(Callbacks::Lost);
    simulator.set_outcome(Outcome::Sent);
    let caller = Caller::new(&simulator);
    let callback = service.callback();
    let form = [("To", THEIRS), ("From", OURS), ("Body", "Hola"), ("StatusCallback", &callback)];
    let made = caller.create(&form).await;
    simulator.settled().await;

    let shown = caller.control("/messages", None).await;
    let message = &shown.body["messages"][0];
    assert_eq!(message["sid"], made.sid());
    assert_eq!(message["body"], "Hola");
    assert_eq!(message["status_callback"], callback.as_str());
    assert_eq!(message["changes"][2]["told"], "no");
    let creates = caller.control("/creates", None).await;
    assert_eq!(creates.body["creates"][0]["end"], "201");
    assert_eq!(creates.body["creates"][0]["sid"], made.sid());
    let summary = caller.control("", None).await.body;
    assert_eq!((&summary["messages"], &summary["creates"]), (&json!(1), &json!(1)));
    assert_eq!(summary["most_in_flight_per_recipient"], 1);
    assert_eq!(summary["unsettled"], 0);

    let told = caller.control("/tell-everything", Some(json!({}))).await;
    assert_eq!(told.body, json!({ "heard": 2, "unheard": 0 }));
    assert_eq!(service.statuses(), ["sending", "sent"]);
}
