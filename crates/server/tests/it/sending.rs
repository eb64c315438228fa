//! Sending: the program, a local Twilio, real HTTP, both stores.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use twilio_sim::{Callbacks, Delays, Failure, Simulator};

use crate::contract;
use crate::database::Database;
use crate::relay::Relay;
use crate::scripted_twilio::ScriptedTwilio;
use crate::service::{Service, Settings, TOKEN, client};
use crate::twilio::Webhook;

/// The account and the number of the tests.
pub(crate) const ACCOUNT: &str = "AC5d41402abc4b2a76b9719d911017c592";
pub(crate) const NUMBER: &str = "+18605550100";
const TENANT: &str = "+18605550199";

/// A local Twilio, an address for its callbacks, and the settings of a service between them.
pub(crate) struct Stage {
    pub(crate) twilio: Simulator,
    pub(crate) relay: Relay,
    pub(crate) settings: Settings,
}

impl Stage {
    pub(crate) async fn set(database: &Database) -> Self {
        let twilio = Simulator::builder(ACCOUNT, TOKEN).start().await.unwrap();
        let relay = Relay::start().await;
        let settings = database
            .settings()
            .with("PUBLIC_BASE_URL", &relay.url)
            .with("TWILIO_ACCOUNT_SID", ACCOUNT)
            .with("TWILIO_PHONE_NUMBER", NUMBER)
            .with("TWILIO_API_BASE_URL", &twilio.base_url())
            .with("TWILIO_CONNECT_TIMEOUT", "500ms")
            .with("TWILIO_TIMEOUT", "2s")
            .with("JOB_LEASE", "10s")
            .with("SEND_QUIET_PERIOD", "3s")
            .with("TWILIO_SEND_BASE_BACKOFF_MS", "50")
            .with("TWILIO_SEND_BACKOFF_CAP_MS", "400")
            .with("JOB_POLL_INTERVAL", "100ms");
        Self { twilio, relay, settings }
    }

    pub(crate) fn start(&self) -> Service {
        let service = Service::start(&self.settings);
        self.relay.lead_to([service.url.as_str()]);
        service
    }
}

/// Asks for a text to be sent; the status and the body of the answer.
pub(crate) async fn send(service: &Service, request: &Value) -> (u16, Value) {
    let post = client().post(format!("{}/sms/send", service.url)).json(request);
    let answer = post.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap())
}

/// The message once it shows that status.
async fn shows(service: &Service, id: &str, status: &str) -> Value {
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        let (_, message) = service.get(&format!("/messages/{id}")).await;
        if message["delivery_status"] == status {
            return message;
        }
        assert!(Instant::now() < patience, "waited in vain for {status}: {message}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn text(body: &str) -> Value {
    json!({ "to": TENANT, "body": body })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_sent_once_and_followed_until_it_is_delivered() {
    for database in [Database::sqlite(), Database::postgres()] {
        let stage = Stage::set(&database).await;
        let service = stage.start();
        let (status, sent) = send(&service, &text("We will come by at four")).await;
        assert_eq!(status, 202, "{sent}");
        let id = sent["id"].as_str().unwrap();
        let made = stage.twilio.messages();
        assert_eq!((made.len(), stage.twilio.creates().count()), (1, 1));
        assert_eq!(sent["twilio_sid"], made[0].sid);
        assert_eq!((made[0].to.as_str(), made[0].from.as_deref()), (TENANT, Some(NUMBER)));
        let message = shows(&service, id, "delivered").await;
        assert_eq!(message["attempts"][0]["outcome"], "accepted");
        assert!(message["status_events"].as_array().unwrap().len() >= 2, "{message}");
        let (_, thread) = service.get("/conversations/%2B18605550199").await;
        assert_eq!(thread["messages"][0]["id"], id);
        assert_ne!(thread["last_message_at"], Value::Null);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_twilio_refuses_is_told_at_once_and_kept() {
    let database = Database::sqlite();
    let stage = Stage::set(&database).await;
    let service = stage.start();
    stage.twilio.opt_out(TENANT);
    let (status, refused) = send(&service, &text("Hello")).await;
    assert_eq!(status, 422, "{refused}");
    assert_eq!(refused["error"]["details"]["provider_code"], "21610");
    let (_, failed) = service.get("/messages?status=failed").await;
    assert_eq!(failed["messages"][0]["error_code"], "21610", "{failed}");
    stage.twilio.opt_in(TENANT);
    let (status, _) = send(&service, &text("Hello again")).await;
    assert_eq!(status, 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_twilio_had_no_time_for_is_sent_later_and_only_once() {
    let database = Database::sqlite();
    let stage = Stage::set(&database).await;
    let service = stage.start();
    for _ in 0..3 {
        stage.twilio.fail_next(Failure::TooMany { retry_after: None });
    }
    let (status, sent) = send(&service, &text("Hello")).await;
    assert_eq!((status, &sent["status"]), (202, &json!("queued")), "{sent}");
    let message = shows(&service, sent["id"].as_str().unwrap(), "delivered").await;
    assert_eq!(message["attempts"].as_array().unwrap().len(), 4);
    assert_eq!(stage.twilio.messages().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unanswered_text_is_unknown_and_then_found_or_given_up_but_never_sent_again() {
    for (failure, callbacks, end, created) in [
        (Failure::DropAfterAccepting, Callbacks::AsItHappens, "delivered", 1),
        (Failure::DropAfterAccepting, Callbacks::Lost, "delivered", 1),
        (Failure::Error500 { created: true }, Callbacks::Lost, "delivered", 1),
        (Failure::Error500 { created: false }, Callbacks::AsItHappens, "failed", 0),
        (Failure::Hang { created: false }, Callbacks::AsItHappens, "failed", 0),
    ] {
        let database = Database::sqlite();
        let stage = Stage::set(&database).await;
        let service = stage.start();
        stage.twilio.set_callbacks(callbacks);
        stage.twilio.set_delays(Delays::each(Duration::from_millis(5)));
        stage.twilio.fail_next(failure);
        let (status, sent) = send(&service, &text("Hello")).await;
        assert_eq!(status, 202, "{failure}: {sent}");
        let message = shows(&service, sent["id"].as_str().unwrap(), end).await;
        assert_eq!(message["attempts"].as_array().unwrap().len(), 1, "{failure}");
        assert_eq!(stage.twilio.messages().len(), created, "{failure}");
        assert_eq!(
            stage.twilio.creates().count(),
            1,
            "{failure}: one request, whatever came of it"
        );
        if created == 0 {
            assert_eq!(message["error_code"], "not_sent");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_that_was_wrong_ends_right_once_twilio_speaks() {
    let database = Database::sqlite();
    let stage = Stage::set(&database).await;
    let service = stage.start();
    stage.twilio.fail_next(Failure::Error500 { created: false });
    let (_, sent) = send(&service, &text("Hello")).await;
    let id = sent["id"].as_str().unwrap();
    shows(&service, id, "failed").await;
    let late = format!("SM{:032x}", 77);
    let fields = [("MessageSid", late.as_str()), ("MessageStatus", "delivered")];
    let target = format!("/webhook/twilio/status?message_id={id}");
    let report = Webhook::signed_at(&stage.relay.url, &target, &fields);
    assert_eq!(report.post(&client(), &service.url).await, Some(204));
    let message = shows(&service, id, "delivered").await;
    assert_eq!((&message["twilio_sid"], &message["error_code"]), (&json!(late), &Value::Null));
    let (_, metrics) = service.get("/metrics").await;
    let counted =
        |line: &str| line.starts_with("sms_verdicts_overturned_total") && line.ends_with(" 1");
    assert!(metrics.as_str().unwrap().lines().any(counted), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_to_one_person_leave_in_order_one_at_a_time() {
    let database = Database::postgres();
    let stage = Stage::set(&database).await;
    let service = stage.start();
    stage.twilio.set_failure(Failure::AnswerSlowly(Duration::from_millis(60)));
    stage.twilio.fail_next(Failure::TooMany { retry_after: None });
    for number in 0..8 {
        let (status, _) = send(&service, &text(&format!("text {number}"))).await;
        assert_eq!(status, 202);
    }
    let patience = Instant::now() + Duration::from_secs(30);
    while stage.twilio.messages().len() < 8 {
        assert!(Instant::now() < patience, "only {} were sent", stage.twilio.messages().len());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let bodies: Vec<_> = stage.twilio.messages().into_iter().map(|made| made.body).collect();
    let expected: Vec<_> = (0..8).map(|number| format!("text {number}")).collect();
    assert_eq!(bodies, expected);
    assert_eq!(stage.twilio.creates().most_in_flight_per_recipient(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_makes_one_message_and_two_honest_ones_make_two() {
    let database = Database::postgres();
    let stage = Stage::set(&database).await;
    let service = stage.start();
    let http = client();
    let post = |key: Option<&str>, body: &str| {
        let mut post = http.post(format!("{}/sms/send", service.url)).json(&text(body));
        if let Some(key) = key {
            post = post.header("Idempotency-Key", key);
        }
        async move { post.send().await.unwrap() }
    };
    let answers = join_all((0..6).map(|_| post(Some("k1"), "once"))).await;
    let mut ids = Vec::new();
    for answer in answers {
        assert_eq!(answer.status(), 202);
        ids.push(answer.json::<Value>().await.unwrap()["id"].clone());
    }
    ids.dedup();
    assert_eq!((ids.len(), stage.twilio.messages().len()), (1, 1));
    assert_eq!(post(Some("k1"), "something else").await.status(), 409);
    for _ in 0..2 {
        assert_eq!(post(None, "OK").await.status(), 202);
    }
    assert_eq!(stage.twilio.messages().len(), 3, "two honest texts both go out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_gave_up_and_asks_again_gets_one_message() {
    let database = Database::sqlite();
    let stage = Stage::set(&database).await;
    let service = stage.start();
    stage.twilio.set_failure(Failure::AnswerSlowly(Duration::from_millis(800)));
    let hasty = reqwest::Client::builder().timeout(Duration::from_millis(200)).build().unwrap();
    let url = format!("{}/sms/send", service.url);
    assert!(hasty.post(&url).json(&text("Hello")).send().await.is_err());
    // Once Twilio has answered, nobody is there to be told.
    let patience = Instant::now() + Duration::from_secs(10);
    while service.get("/messages?status=delivered").await.1["messages"] == json!([]) {
        assert!(Instant::now() < patience, "the text was not delivered");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (status, again) = send(&service, &text("Hello")).await;
    assert_eq!(status, 202);
    assert_eq!(again["twilio_sid"], stage.twilio.messages()[0].sid);
    assert_eq!(stage.twilio.messages().len(), 1);
    assert_eq!(send(&service, &text("Hello")).await.0, 202);
    assert_eq!(stage.twilio.messages().len(), 2, "the first was answered: this is another");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_waits_can_be_cancelled_and_is_not_sent() {
    let database = Database::sqlite();
    let stage = Stage::set(&database).await;
    let settings = stage.settings.clone().with("TWILIO_SEND_BASE_BACKOFF_MS", "60000");
    let settings = settings.with("TWILIO_SEND_BACKOFF_CAP_MS", "60000");
    let service = Service::start(&settings);
    stage.twilio.fail_next(Failure::TooMany { retry_after: None });
    let (_, waiting) = send(&service, &text("Hello")).await;
    let cancel = format!("{}/messages/{}/cancel", service.url, waiting["id"].as_str().unwrap());
    let done = client().post(&cancel).send().await.unwrap();
    assert_eq!(done.status(), 200);
    assert_eq!(done.json::<Value>().await.unwrap()["delivery_status"], "failed");
    let again = client().post(&cancel).send().await.unwrap();
    assert_eq!(again.status(), 200, "it is cancelled, as was asked");
    let (status, sent) = send(&service, &text("Another")).await;
    assert_eq!(status, 202);
    let late = format!("{}/messages/{}/cancel", service.url, sent["id"].as_str().unwrap());
    assert_eq!(client().post(&late).send().await.unwrap().status(), 409);
    let bodies: Vec<_> = stage.twilio.messages().into_iter().map(|made| made.body).collect();
    assert_eq!(bodies, ["Another"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_account_pauses_sending_and_fails_nothing() {
    let database = Database::sqlite();
    let stage = Stage::set(&database).await;
    let service = stage.start();
    stage.twilio.fail_next(Failure::Error(20003));
    let (status, sent) = send(&service, &text("Hello")).await;
    assert_eq!((status, &sent["status"]), (202, &json!("queued")), "{sent}");
    let (_, metrics) = service.get("/metrics").await;
    let paused = |line: &str| line.starts_with("sms_sending_paused") && line.ends_with(" 1");
    assert!(metrics.as_str().unwrap().lines().any(paused), "{metrics}");
    assert_eq!(stage.twilio.messages().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_slow_sends_are_all_recorded_when_the_service_is_told_to_stop() {
    for database in [Database::sqlite(), Database::postgres()] {
        let mut stage = Stage::set(&database).await;
        stage.settings = stage.settings.clone().with("TWILIO_TIMEOUT", "15s");
        stage.settings =
            stage.settings.clone().with("JOB_LEASE", "25s").with("SHUTDOWN_GRACE", "4s");
        let mut service = stage.start();
        stage.twilio.set_callbacks(Callbacks::Lost);
        stage.twilio.set_failure(Failure::AnswerSlowly(Duration::from_secs(30)));
        let (http, url) = (client(), format!("{}/sms/send", service.url));
        let sends: Vec<_> = (0..50)
            .map(|number| {
                let to = format!("+1860555{:04}", 1000 + number);
                let request = json!({ "to": to, "body": format!("slow {number}") });
                tokio::spawn(http.post(&url).json(&request).send())
            })
            .collect();
        service
            .wait_for("all requests to be on their way", || stage.twilio.creates().count() == 50);
        let told = Instant::now();
        assert_eq!(tokio::task::block_in_place(|| service.stop()), Some(0));
        assert!(told.elapsed() < Duration::from_secs(6), "{:?}", told.elapsed());
        for sent in sends {
            let answer = sent.await.unwrap().unwrap();
            assert_eq!(answer.status(), 202);
        }
        let kept = database.everything().await.messages;
        assert_eq!(kept.len(), 50);
        for kept in kept {
            let ended: Vec<_> = kept.attempts.iter().map(|attempt| attempt.outcome).collect();
            assert!(ended.len() == 1 && ended[0].is_some(), "every outcome is recorded: {ended:?}");
        }
        let service = stage.start();
        let patience = Instant::now() + Duration::from_mins(1);
        while service.get("/messages?status=unknown").await.1["messages"] != json!([]) {
            assert!(Instant::now() < patience, "the searches do not end");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(stage.twilio.messages().len(), 50, "nothing was sent twice");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn status_sequences_end_as_the_contract_says_on_sqlite() {
    status_sequences(&Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn status_sequences_end_as_the_contract_says_on_postgres() {
    status_sequences(&Database::postgres()).await;
}

async fn status_sequences(database: &Database) {
    let Some(file) = contract::json("status_sequences.dev.json") else { return };
    let stage = Stage::set(database).await;
    let twilio = ScriptedTwilio::start().await;
    let service = Service::start(&stage.settings.clone().with("TWILIO_API_BASE_URL", &twilio.url));
    for (number, sequence) in (1..).zip(file["sequences"].as_array().unwrap()) {
        Sequence { public: &stage.relay.url, twilio: &twilio, service: &service, number }
            .play(sequence)
            .await;
    }
}

/// A sequence of the contract's data, played against the service.
struct Sequence<'a> {
    public: &'a str,
    twilio: &'a ScriptedTwilio,
    service: &'a Service,
    number: u32,
}

impl Sequence<'_> {
    async fn play(&self, sequence: &Value) {
        let id = sequence["id"].as_str().unwrap();
        let mut sent = None;
        for (nth, step) in (1..).zip(sequence["steps"].as_array().unwrap()) {
            match step["event"].as_str().unwrap() {
                // Callbacks can come before our own send answers: the message is asked for when
                // its answer is due.
                "send_response" if step["sid"] == "A" => sent = Some(self.send(step).await),
                "send_response" => {}
                "callback" => self.post("/webhook/twilio/status", step, id).await,
                "inbound" => self.post("/webhook/twilio/sms", step, id).await,
                other => panic!("{id} step {nth}: {other}"),
            }
        }
        let key = match &sent {
            Some(message) => message.clone(),
            None => self.sid(if sequence["group"] == "inbound" { "I" } else { "X" }),
        };
        let (status, message) = self.service.get(&format!("/messages/{key}")).await;
        if sequence["expected_status"].is_null() {
            assert_eq!(status, 404, "{id}: {message}");
            return;
        }
        assert_eq!(message["delivery_status"], sequence["expected_status"], "{id}: {message}");
        assert_eq!(message["error_code"], sequence["expected_error_code"], "{id}: {message}");
    }

    fn sid(&self, name: &str) -> String {
        let letter = name.bytes().next().unwrap();
        format!("SM{:030x}{letter:02x}", self.number)
    }

    /// A message whose request is answered with that SID and that word.
    async fn send(&self, step: &Value) -> String {
        let sid = self.sid("A");
        self.twilio.answers(&sid, step["status"].as_str().unwrap());
        let to = format!("+1860556{:04}", self.number);
        let (status, sent) = send(self.service, &json!({ "to": to, "body": "Hello" })).await;
        assert_eq!((status, &sent["twilio_sid"]), (202, &json!(sid)), "{sent}");
        sent["id"].as_str().unwrap().to_owned()
    }

    async fn post(&self, target: &str, step: &Value, id: &str) {
        let mut fields = vec![("AccountSid", ACCOUNT.to_owned())];
        if let Some(name) = step["sid"].as_str() {
            fields.push(("MessageSid", self.sid(name)));
        }
        for name in ["MessageStatus", "SmsStatus", "ErrorCode"] {
            if let Some(value) = step[name].as_str() {
                fields.push((name, value.to_owned()));
            }
        }
        if target.ends_with("sms") {
            fields.extend([("From", TENANT.to_owned()), ("Body", "Hello".to_owned())]);
        }
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let report = Webhook::signed_at(self.public, target, &fields);
        let status = report.post(&client(), &self.service.url).await.unwrap();
        let expected = if step["sid"].is_null() { 400..500 } else { 200..300 };
        assert!(expected.contains(&status), "{id}: {status}");
    }
}
