//! A client written like the orchestrator's: it knows nothing of us but what its own code says.

use std::time::Duration;

use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use twilio_sim::Failure;

use crate::access::new_key;
use crate::database::Database;
use crate::sending::{NUMBER, Stage};
use crate::service::{Service, client};
use crate::twilio::{Webhook, sid};

const TENANT: &str = "+18605550199";

/// Waits 30 s, raises on everything but 2xx, tries everything three times without a key of its own.
/// The orchestrator waits 4 to 10 s in between.
#[derive(Clone)]
struct Orchestrator {
    http: reqwest::Client,
    base: String,
    key: String,
    entry: String,
}

impl Orchestrator {
    fn new(service: &Service, key: String, entry: String) -> Self {
        // It sees to the TLS provider, too.
        drop(client());
        let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
        Self { http, base: service.url.clone(), key, entry }
    }

    async fn send_sms(&self, payload: Value) -> Result<Value, StatusCode> {
        let url = format!("{}/sms/send", self.base);
        self.tried(|| self.http.post(&url).json(&payload)).await
    }

    async fn conversation(&self, phone_number: &str, limit: u32) -> Result<Value, StatusCode> {
        let url = format!("{}/conversations/{phone_number}", self.base);
        self.tried(|| self.http.get(&url).query(&[("page", 1), ("limit", limit)])).await
    }

    async fn is_healthy(&self) -> bool {
        let url = format!("{}/health", self.base);
        self.http.get(url).send().await.is_ok_and(|answer| answer.status() == 200)
    }

    async fn tried(&self, request: impl Fn() -> RequestBuilder) -> Result<Value, StatusCode> {
        let mut failed = StatusCode::IM_A_TEAPOT;
        for _ in 0..3 {
            match request().bearer_auth(&self.key).send().await {
                Ok(answer) if answer.status().is_success() => {
                    return Ok(answer.json().await.unwrap());
                }
                Ok(answer) => failed = answer.status(),
                Err(_) => failed = StatusCode::GATEWAY_TIMEOUT,
            }
        }
        Err(failed)
    }
}

async fn begin(database: &Database) -> (Stage, Service, Orchestrator) {
    let stage = Stage::set(database).await;
    let (key, entry) = new_key("orchestrator", "read+send");
    let service = Service::start(&stage.settings.clone().with_keys(&entry));
    stage.relay.lead_to([service.url.as_str()]);
    let sid = sid(1);
    let fields = [("MessageSid", sid.as_str()), ("From", TENANT), ("Body", "My sink is leaking")];
    let text = Webhook::signed_at(&stage.relay.url, "/webhook/twilio/sms", &fields);
    assert_eq!(text.post(&client(), &service.url).await, Some(200));
    let orchestrator = Orchestrator::new(&service, key, entry);
    (stage, service, orchestrator)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_reads_a_thread_by_every_spelling_of_the_number_and_answers_without_one() {
    for database in [Database::sqlite(), Database::postgres()] {
        let (stage, _service, orchestrator) = begin(&database).await;
        assert!(orchestrator.is_healthy().await);
        let thread = orchestrator.conversation("%2B18605550199", 20).await.unwrap();
        assert_eq!((&thread["success"], &thread["total"]), (&json!(true), &json!(1)));
        for spelling in ["+18605550199", "(860) 555-0199", "(860)%20555-0199", "%2018605550199"] {
            assert_eq!(
                orchestrator.conversation(spelling, 20).await.as_ref(),
                Ok(&thread),
                "{spelling}"
            );
        }
        let first = &thread["messages"][0];
        assert_eq!(
            (&first["content"], &first["sender"]),
            (&json!("My sink is leaking"), &json!("tenant"))
        );

        let id = thread["conversation_id"].as_str().unwrap();
        let answer = json!({ "to": "", "body": "On our way", "conversation_id": id });
        let sent = orchestrator.send_sms(answer).await.unwrap();
        assert_eq!(sent["conversation_id"], id);
        assert_eq!(sent["id"], sent["message_id"]);
        let made = stage.twilio.messages();
        assert_eq!((made.len(), made[0].to.as_str()), (1, TENANT));
        assert_eq!(
            (&sent["twilio_sid"], made[0].from.as_deref()),
            (&json!(made[0].sid), Some(NUMBER))
        );

        let alias = json!({ "phone_number": "(860) 555-0199", "message": "Anything else?" });
        assert_eq!(orchestrator.send_sms(alias).await.unwrap()["conversation_id"], id);
        let by_id = orchestrator.conversation(id, 100).await.unwrap();
        let newest_first: Vec<_> = by_id["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|message| &message["content"])
            .collect();
        assert_eq!(newest_first, ["Anything else?", "On our way", "My sink is leaking"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_went_wrong_at_twilio_is_no_reason_to_ask_again() {
    for failure in [
        Failure::DropAfterAccepting,
        Failure::Error500 { created: true },
        Failure::TooMany { retry_after: None },
    ] {
        let database = Database::sqlite();
        let (stage, service, orchestrator) = begin(&database).await;
        stage.twilio.fail_next(failure);
        for text in ["Hello", "Hello again"] {
            let sent = orchestrator.send_sms(json!({ "to": TENANT, "body": text })).await;
            assert!(sent.is_ok(), "{failure}: {sent:?}");
        }
        service.wait_for("both texts", || stage.twilio.messages().len() == 2);
        let bodies: Vec<_> = stage.twilio.messages().into_iter().map(|made| made.body).collect();
        assert_eq!(bodies, ["Hello", "Hello again"], "{failure}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_twilio_refuses_is_asked_of_twilio_once_however_often_it_tries() {
    let database = Database::sqlite();
    let (stage, _service, orchestrator) = begin(&database).await;
    stage.twilio.set_failure(Failure::Error(21610));
    let told = orchestrator.send_sms(json!({ "to": TENANT, "body": "Hello" })).await;
    assert_eq!(told, Err(StatusCode::UNPROCESSABLE_ENTITY));
    assert_eq!((stage.twilio.creates().count(), stage.twilio.messages().len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_away_between_its_tries_sends_once() {
    let database = Database::sqlite();
    let (stage, mut service, mut orchestrator) = begin(&database).await;
    let text = json!({ "to": TENANT, "body": "Hello" });
    stage.twilio.set_failure(Failure::AnswerSlowly(Duration::from_millis(500)));
    let first = tokio::spawn({
        let (orchestrator, text) = (orchestrator.clone(), text.clone());
        async move { orchestrator.send_sms(text).await }
    });
    service.wait_for("the text to be on its way", || stage.twilio.creates().count() == 1);
    service.kill();
    assert_eq!(first.await.unwrap(), Err(StatusCode::GATEWAY_TIMEOUT));
    service = Service::start(&stage.settings.clone().with_keys(&orchestrator.entry));
    stage.relay.lead_to([service.url.as_str()]);
    orchestrator.base.clone_from(&service.url);
    assert!(orchestrator.send_sms(text).await.is_ok());
    assert_eq!(stage.twilio.messages().len(), 1);
}
