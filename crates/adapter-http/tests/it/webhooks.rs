//! Twilio's two webhooks.

use std::sync::Arc;
use std::time::Duration;

use actix_web::test::TestRequest;
use adapter_http::Services;
use domain::backfill::{Backfill, BackfillPorts, BackfillRules};
use domain::outbound::{NOT_SENT, SendError, SendState};
use domain::phone::Region;
use domain::ports::{
    BackfillStore, MessageKey, MessageStore, MockArchive, MockBackfillStore, MockMessageStore,
    Refusal, StatusDelivery, StoreError,
};
use domain::testing::{FixedChance, InMemoryStore, Inspect, NoTimer, fixture};

use crate::service::{ask, ask_of, gate, genuine, get, services};
use crate::worker::TestWorker;

const SMS: &str = "/webhook/twilio/sms";
const STATUS: &str = "/webhook/twilio/status";

#[actix_web::test]
async fn a_genuine_text_is_stored_and_answered_with_empty_twiml() {
    let store = Arc::new(InMemoryStore::default());
    let answer = ask_of(&services(store.clone(), gate()), genuine(SMS)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers.get("content-type").unwrap(), "text/xml");
    assert_eq!(answer.body, "<Response></Response>");
    assert_eq!(store.everything().await.messages.len(), 1);
}

#[actix_web::test]
async fn a_repeat_gets_the_same_answer() {
    let store = Arc::new(InMemoryStore::default());
    let services = services(store.clone(), gate());
    let first = ask_of(&services, genuine(SMS)).await;
    let again = ask_of(&services, genuine(SMS)).await;
    assert_eq!((first.status, first.body), (again.status, again.body));
    assert_eq!(store.everything().await.messages.len(), 1);
}

#[actix_web::test]
async fn what_follows_from_a_new_text_is_begun_at_once() {
    let worker = Arc::new(TestWorker::idle());
    let services = services(Arc::new(InMemoryStore::default()), gate());
    let services = Services { dispatcher: worker.clone(), ..services };
    for _ in 0..2 {
        assert_eq!(ask_of(&services, genuine(SMS)).await.status, 200);
        assert_eq!(worker.woken(), 1, "nothing follows from a repeat");
    }
}

#[actix_web::test]
async fn webhooks_answer_with_a_trailing_slash_and_under_the_prefix_of_the_public_url() {
    for path in ["/webhook/twilio/sms/", "/sms/webhook/twilio/sms", "/sms/webhook/twilio/sms/"] {
        assert_eq!(ask(genuine(path)).await.status, 200, "{path}");
    }
    assert_eq!(ask(genuine("/other/webhook/twilio/sms")).await.status, 404);
}

#[actix_web::test]
async fn a_forged_webhook_never_reaches_the_store() {
    // A mock without expectations panics when it is called.
    let services = services(Arc::new(MockMessageStore::new()), gate());
    for path in [SMS, STATUS] {
        let answer = ask_of(&services, TestRequest::post().uri(path).set_payload("forged")).await;
        assert_eq!(answer.status, 403);
        assert_eq!(answer.json()["error"]["code"], "sms.forbidden");
    }
}

#[actix_web::test]
async fn a_signed_webhook_that_cannot_be_used_is_told_why() {
    for (refusal, status) in [(Refusal::NotAForm, 415), (Refusal::NoMessageSid, 400)] {
        let mut gate = gate();
        gate.inbound = Err(refusal.clone());
        let services = services(Arc::new(MockMessageStore::new()), gate);
        let answer = ask_of(&services, genuine(SMS)).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.json()["error"]["code"], "sms.validation_error");
        assert_eq!(answer.json()["error"]["message"], refusal.to_string());
    }
}

#[actix_web::test]
async fn a_body_that_is_too_large_or_compressed_is_refused() {
    let large = vec![b'a'; adapter_http::MAX_BODY_BYTES + 1];
    let answer = ask(TestRequest::post().uri(SMS).set_payload(large)).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["error"]["code"]),
        (413, &"sms.validation_error".into())
    );
    let compressed = genuine(SMS).insert_header(("content-encoding", "gzip"));
    assert_eq!(ask(compressed).await.status, 415);
    let plain = genuine(SMS).insert_header(("content-encoding", "identity"));
    assert_eq!(ask(plain).await.status, 200);
}

#[actix_web::test]
async fn a_store_that_is_away_is_503_and_never_200() {
    let mut store = MockMessageStore::new();
    store
        .expect_record_inbound()
        .returning(|_| Err(StoreError::Unavailable("connection refused".into())));
    store
        .expect_record_status()
        .returning(|_| Err(StoreError::Unavailable("connection refused".into())));
    let services = services(Arc::new(store), gate());
    for path in [SMS, STATUS] {
        let answer = ask_of(&services, genuine(path)).await;
        assert_eq!(answer.status, 503);
        assert_eq!(answer.json()["error"]["code"], "sms.unavailable");
        assert!(answer.headers.contains_key("retry-after"));
        assert!(!answer.body.contains("connection refused"), "the cause is for the log");
    }
}

#[actix_web::test]
async fn a_report_is_kept_and_applied() {
    let store = Arc::new(InMemoryStore::default());
    let conversation = fixture::inbound(7, "+18605550199");
    store.record_inbound(&conversation).await.unwrap();
    let sent = fixture::outbound(1, conversation.conversation);
    store.plant_message(&sent).await;
    let answer = ask_of(&services(store.clone(), gate()), genuine(STATUS)).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (204, ""));
    let kept = store.find_message(&MessageKey::Id(sent.id)).await.unwrap().unwrap();
    assert_eq!(kept.message.delivery.status.as_str(), "delivered");
    assert_eq!(kept.events.len(), 1);
}

#[actix_web::test]
async fn a_report_of_a_message_that_was_given_up_overturns_the_verdict() {
    let store = Arc::new(InMemoryStore::default());
    let conversation = fixture::inbound(7, "+18605550199");
    store.record_inbound(&conversation).await.unwrap();
    let mut message = fixture::outbound(1, conversation.conversation);
    let sending = message.sending.as_mut().unwrap();
    sending.state = SendState::NotSent;
    sending.error = Some(SendError { code: NOT_SENT.into(), message: None });
    store.plant_message(&message).await;
    let services = services(store, gate());
    let path = format!("/messages/{}", message.id);
    let told = async || {
        let answer = ask_of(&services, get(&path)).await.json();
        ["delivery_status", "error_code"].map(|name| answer[name].as_str().map(str::to_owned))
    };
    assert_eq!(told().await, [Some("failed".into()), Some("not_sent".into())]);
    assert_eq!(ask_of(&services, genuine(STATUS)).await.status, 204);
    assert_eq!(told().await, [Some("delivered".into()), None]);
}

#[actix_web::test]
async fn a_report_of_an_unknown_message_is_parked() {
    let store = Arc::new(InMemoryStore::default());
    let answer = ask_of(&services(store.clone(), gate()), genuine(STATUS)).await;
    assert_eq!(answer.status, 204);
    assert_eq!(store.everything().await.parked_events.len(), 1);
}

#[actix_web::test]
async fn a_report_of_another_account_is_ignored() {
    let mut gate = gate();
    gate.status = Ok(StatusDelivery::OtherAccount);
    let services = services(Arc::new(MockMessageStore::new()), gate);
    assert_eq!(ask_of(&services, genuine(STATUS)).await.status, 204);
}

#[actix_web::test]
async fn only_post_is_answered() {
    for path in [SMS, STATUS] {
        let answer = ask(TestRequest::get().uri(path)).await;
        assert_eq!(answer.status, 405);
        assert_eq!(answer.headers.get("allow").unwrap(), "POST");
        assert_eq!(answer.json()["error"]["code"], "sms.validation_error");
    }
}

#[actix_web::test]
async fn a_burst_of_refused_webhooks_that_name_our_account_lets_twilios_lists_be_read_early() {
    for (body, expected) in [("ours, badly signed", 1), ("somebody's", 0)] {
        let mut lists = MockBackfillStore::new();
        lists.expect_hasten_lists().times(expected).returning(|_| Ok(()));
        let store = Arc::new(InMemoryStore::default());
        let services = services(store.clone(), gate());
        let backfill = Some(backfill(store, Arc::new(lists), &services));
        let services = Services { backfill, ..services };
        for path in [SMS, STATUS, SMS, SMS] {
            let forged = TestRequest::post().uri(path).set_payload(body);
            assert_eq!(ask_of(&services, forged).await.status, 403);
        }
    }
}

fn backfill(
    store: Arc<InMemoryStore>,
    lists: Arc<dyn BackfillStore>,
    services: &Services,
) -> Backfill {
    let ports = BackfillPorts {
        store: lists,
        history: store,
        archive: Arc::new(MockArchive::new()),
        inbox: services.inbox.clone(),
        receipts: services.receipts.clone(),
        clock: services.clock.clone(),
        timer: Arc::new(NoTimer),
        ids: services.ids.clone(),
        chance: Arc::new(FixedChance::default()),
    };
    let rules = BackfillRules {
        interval: Duration::from_mins(5),
        overlap: Duration::from_mins(10),
        grace: Duration::from_mins(1),
        region: Region::default(),
    };
    Backfill::new(ports, rules, Vec::new())
}
