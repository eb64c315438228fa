//! People who text and callers who send, until they are told to stop; what they were told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::service::client_that_waits;
use crate::twilio::{Webhook, sid};

/// How many people text and how many programs send at once.
const TEXTERS: usize = 2;
const CALLERS: usize = 2;

/// What each send that was answered in the end was told: its text, the status and the body.
pub(crate) type Answers = BTreeMap<String, (u16, Value)>;

/// What a text that was taken is answered with.
pub(crate) const TAKEN: Option<u16> = Some(200);

/// What was asked of a service, and what it said.
pub(crate) struct Load {
    /// Where the service is, and under which URL Twilio knows it.
    url: String,
    public: String,
    client: reqwest::Client,
    over: AtomicBool,
    texts: AtomicUsize,
    sends: AtomicUsize,
    refused: AtomicUsize,
    /// The SIDs of the texts that were answered 200.
    acknowledged: Mutex<BTreeSet<String>>,
    answered: Mutex<Answers>,
}

impl Load {
    pub(crate) fn on(url: &str, public: &str) -> Arc<Self> {
        // What is not answered by then counts as refused.
        let client = client_that_waits(Duration::from_secs(4));
        Arc::new(Self {
            url: url.to_owned(),
            public: public.to_owned(),
            client,
            over: AtomicBool::new(false),
            texts: AtomicUsize::new(0),
            sends: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            acknowledged: Mutex::default(),
            answered: Mutex::default(),
        })
    }

    /// Texts and sends until [`Load::end`].
    pub(crate) async fn run(self: Arc<Self>) {
        let texters = (0..TEXTERS).map(|_| tokio::spawn(self.clone().text_on()));
        let callers = (0..CALLERS).map(|_| tokio::spawn(self.clone().send_on()));
        for worker in texters.chain(callers).collect::<Vec<_>>() {
            worker.await.unwrap();
        }
    }

    /// Waits until so much was asked and answered that a fault has something to break.
    pub(crate) async fn is_under_way(&self, what: &str) {
        let begun = Instant::now();
        while self.acknowledged().len() <= 20 || self.answered().len() <= 4 {
            assert!(begun.elapsed() < Duration::from_secs(40), "{what}: no load");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    async fn text_on(self: Arc<Self>) {
        while !self.over.load(Ordering::Relaxed) {
            let number = self.texts.fetch_add(1, Ordering::Relaxed);
            // Told once more where it was refused: it may be there all the same.
            if !self.text(number).await {
                self.text(number).await;
            }
            tokio::time::sleep(Duration::from_millis(80)).await;
        }
    }

    /// Somebody texts; whether that was taken.
    pub(crate) async fn text_next(&self) -> bool {
        self.status_of_next().await == TAKEN
    }

    /// Somebody texts: what that is answered with; `None` where it is not.
    pub(crate) async fn status_of_next(&self) -> Option<u16> {
        self.status_of(self.texts.fetch_add(1, Ordering::Relaxed)).await
    }

    async fn text(&self, number: usize) -> bool {
        self.status_of(number).await == TAKEN
    }

    async fn status_of(&self, number: usize) -> Option<u16> {
        // Every tenth is somebody new, who is looked up.
        let person = if number.is_multiple_of(10) { number } else { number % 10 };
        let from = format!("+1860555{:04}", person % 10_000);
        let text = Webhook::text_at(&self.public, &sid(number), &from, "My sink is leaking again");
        let status = text.post(&self.client, &self.url).await;
        if status == TAKEN {
            self.acknowledged.lock().unwrap().insert(sid(number));
        } else {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        status
    }

    async fn send_on(self: Arc<Self>) {
        while !self.over.load(Ordering::Relaxed) {
            let number = self.sends.fetch_add(1, Ordering::Relaxed);
            let body = format!("text {number}");
            let told = self.send(number, &body).await;
            self.answered.lock().unwrap().insert(body, told);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Asks with the same key until it is told.
    async fn send(&self, number: usize, body: &str) -> (u16, Value) {
        let wish = json!({ "to": format!("+1860557{:04}", number % 40), "body": body });
        let patience = Instant::now() + Duration::from_mins(1);
        loop {
            let post = self.client.post(format!("{}/sms/send", self.url));
            let post = post.header("Idempotency-Key", format!("key-{number}")).json(&wish);
            if let Ok(answer) = post.send().await {
                let status = answer.status().as_u16();
                if let (true, Ok(body)) = (status != 503, answer.json().await) {
                    return (status, body);
                }
            }
            assert!(Instant::now() < patience, "send {number} is never answered");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// How long it takes until ten texts in a row are taken, each within a second.
    pub(crate) async fn recovered(&self, what: &str) -> Duration {
        let (mended, mut begun, mut row) = (Instant::now(), Instant::now(), 0);
        while row < 10 {
            let asked = Instant::now();
            if row == 0 {
                begun = asked;
            }
            let taken = self.text_next().await;
            row = if taken && asked.elapsed() < Duration::from_secs(1) { row + 1 } else { 0 };
            assert!(mended.elapsed() < Duration::from_secs(40), "{what}: it does not recover");
        }
        begun - mended
    }

    /// How many texts were not taken so far.
    pub(crate) fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }

    pub(crate) fn acknowledged(&self) -> BTreeSet<String> {
        self.acknowledged.lock().unwrap().clone()
    }

    pub(crate) fn answered(&self) -> Answers {
        self.answered.lock().unwrap().clone()
    }
}
