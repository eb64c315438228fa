//! A Twilio that answers, drops, hangs, fails and calls back as it likes, three processes, and
//! `kill -9`: no text is sent twice, none is forgotten, and every verdict ends right once Twilio
//! has spoken.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use domain::outbound::SendState;
use domain::testing::Everything;
use serde_json::{Value, json};
use twilio_sim::{Callbacks, Failure, Mix, Outcome, Simulator};

use crate::database::Database;
use crate::proof::scale;
use crate::relay::Relay;
use crate::sending::Stage;
use crate::service::{Service, client};

#[tokio::test(flavor = "multi_thread")]
async fn no_text_is_sent_twice_or_forgotten_by_three_processes_on_postgres() {
    chaos(&Database::postgres(), 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_text_is_sent_twice_or_forgotten_by_one_process_on_sqlite() {
    chaos(&Database::sqlite(), 1).await;
}

async fn chaos(database: &Database, processes: usize) {
    let stage = Stage::set(database).await;
    misbehave(&stage.twilio);
    // Short, so that a small run sees lost leases and verdicts too.
    let settings = stage.settings.clone().with("TWILIO_TIMEOUT", "1s").with("JOB_LEASE", "9s");
    let mut services: Vec<_> = (0..processes).map(|_| Service::start(&settings)).collect();
    lead(&stage.relay, &services);
    let callers = Callers::new(stage.relay.url.clone(), scale("SENDS", 150));
    let asking = tokio::spawn(callers.clone().ask_all());
    let kills = scale("SEND_CRASHES", 2);
    for kill in 1..=kills {
        while callers.begun() < kill * callers.sends / (kills + 1) {
            assert!(!asking.is_finished(), "the callers ended before their time");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let nth = kill % processes;
        services[nth].kill();
        services[nth] = tokio::task::block_in_place(|| Service::start(&settings));
        lead(&stage.relay, &services);
    }
    asking.await.unwrap();
    let open = settle(&services[0]).await;
    assert_eq!(open, 0, "what became of them is still open");
    stage.twilio.settled().await;
    speak(&stage.twilio).await;
    drop(services);
    callers.check(&stage.twilio, &database.everything().await);
}

fn misbehave(twilio: &Simulator) {
    twilio.set_failure(Mix::weighted([
        (Failure::Answer, 50),
        (Failure::AnswerSlowly(Duration::from_millis(300)), 10),
        (Failure::DropAfterAccepting, 8),
        (Failure::DropBeforeAccepting, 5),
        (Failure::Hang { created: true }, 3),
        (Failure::Hang { created: false }, 3),
        (Failure::Error500 { created: true }, 5),
        (Failure::Error500 { created: false }, 5),
        (Failure::TooMany { retry_after: None }, 9),
        (Failure::Error(21610), 2),
    ]));
    twilio.set_callbacks(Mix::weighted([
        (Callbacks::AsItHappens, 40),
        (Callbacks::Early, 15),
        (Callbacks::Late(Duration::from_secs(2)), 10),
        // Later than the quiet period: a verdict that is wrong for a while.
        (Callbacks::Late(Duration::from_secs(8)), 5),
        (Callbacks::Lost, 15),
        (Callbacks::Twice, 8),
        (Callbacks::Reversed, 7),
    ]));
    twilio.set_outcome(Mix::weighted([
        (Outcome::Delivered, 80),
        (Outcome::Undelivered(30003), 10),
        (Outcome::Failed(30008), 5),
        (Outcome::Sent, 5),
    ]));
}

fn lead(relay: &Relay, services: &[Service]) {
    relay.lead_to(services.iter().map(|service| service.url.as_str()));
}

/// Waits until nothing is open, and gives how much is after a minute and a half.
async fn settle(service: &Service) -> usize {
    let patience = Instant::now() + Duration::from_secs(90);
    loop {
        let mut open = 0;
        for status in ["queued", "unknown"] {
            let page = service.get(&format!("/messages?status={status}&limit=100")).await.1;
            for message in page["messages"].as_array().unwrap() {
                // Twilio may say `queued` of a message about which no callback has come.
                open += usize::from(message["twilio_sid"].is_null());
            }
        }
        if open == 0 || Instant::now() > patience {
            return open;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Twilio tells all that it has not told yet.
async fn speak(twilio: &Simulator) {
    let patience = Instant::now() + Duration::from_secs(30);
    while twilio.tell_everything().await.1 > 0 {
        assert!(Instant::now() < patience, "the service does not listen");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Callers that want texts sent, each with a key of its own, and ask again until they are told.
struct Callers {
    url: String,
    sends: usize,
    next: AtomicUsize,
    /// What they were told: the text, the status and the body of the answer.
    told: Mutex<BTreeMap<String, (u16, Value)>>,
}

impl Callers {
    fn new(url: String, sends: usize) -> Arc<Self> {
        let told = Mutex::default();
        Arc::new(Self { url, sends, next: AtomicUsize::new(0), told })
    }

    fn begun(&self) -> usize {
        self.next.load(Ordering::Relaxed).min(self.sends)
    }

    async fn ask_all(self: Arc<Self>) {
        let callers: Vec<_> = (0..16).map(|_| tokio::spawn(self.clone().ask_some())).collect();
        for caller in callers {
            caller.await.unwrap();
        }
    }

    async fn ask_some(self: Arc<Self>) {
        let client = client();
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.sends {
                return;
            }
            let body = format!("text {number}");
            let told = self.ask(&client, number, &body).await;
            self.told.lock().unwrap().insert(body, told);
        }
    }

    async fn ask(&self, client: &reqwest::Client, number: usize, body: &str) -> (u16, Value) {
        let to = format!("+1860557{:04}", number % (self.sends / 3).max(1));
        let patience = Instant::now() + Duration::from_mins(1);
        loop {
            let request = client
                .post(format!("{}/sms/send", self.url))
                .header("Idempotency-Key", format!("key-{number}"))
                .json(&json!({ "to": to, "body": body }));
            if let Ok(answer) = request.send().await {
                let status = answer.status().as_u16();
                if let Ok(body) = answer.json().await
                    && status != 503
                {
                    return (status, body);
                }
            }
            assert!(Instant::now() < patience, "{number} is never answered");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn check(&self, twilio: &Simulator, kept: &Everything) {
        let mut made: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for message in twilio.messages() {
            made.entry(message.body.clone()).or_default().push(message);
        }
        let twice: Vec<_> = made.iter().filter(|(_, of_body)| of_body.len() > 1).collect();
        assert!(twice.is_empty(), "sent more than once: {:?}", twice.len());
        let told = self.told.lock().unwrap();
        assert_eq!(told.len(), self.sends);
        let mut ends = BTreeMap::new();
        for (body, (status, answer)) in told.iter() {
            let of_body = |text: &domain::text::Text| text.as_str() == body;
            let messages: Vec<_> = kept
                .messages
                .iter()
                .filter(|kept| kept.message.content.as_ref().is_some_and(of_body))
                .collect();
            // A key that is free again makes another message, and only where the first was proven
            // never to have been sent.
            assert!(!messages.is_empty(), "{body} is forgotten, and was answered {status}");
            let sent: Vec<_> =
                messages.iter().filter(|kept| kept.message.twilio_sid.is_some()).collect();
            let made = made.get(body).map(|of_body| &of_body[0]);
            let shown = match (&sent[..], made) {
                ([one], Some(made)) => {
                    let sid = one.message.twilio_sid.as_ref().unwrap();
                    assert_eq!(sid.as_str(), made.sid, "{body}");
                    let shown = one.message.shown();
                    assert_eq!(shown.status.as_str(), made.status().as_str(), "{body}");
                    let code = made.error_code().map(|code| code.to_string());
                    assert_eq!(shown.error_code, code, "{body}");
                    shown.status.as_str()
                }
                ([], None) => {
                    for kept in &messages {
                        let state = kept.message.sending.as_ref().unwrap().state;
                        assert!(
                            matches!(state, SendState::Refused | SendState::NotSent),
                            "{body} was not sent, and is {state:?}"
                        );
                    }
                    "failed"
                }
                (sent, made) => panic!(
                    "{body}: we know {} sent, Twilio {}; answered {status} {answer}",
                    sent.len(),
                    usize::from(made.is_some())
                ),
            };
            assert!([202, 422, 502].contains(status), "{body} was answered {status} {answer}");
            *ends.entry((*status, shown)).or_insert(0) += 1;
        }
        println!(
            "{} requests to create, {} messages made, answered and ended: {ends:?}",
            twilio.creates().count(),
            made.len()
        );
        let most = twilio.creates().most_in_flight_per_recipient();
        println!("most in flight to one recipient: {most}");
    }
}
