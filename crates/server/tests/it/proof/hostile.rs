//! Webhooks that nobody at Twilio would send, signed all the same: none is a 5xx, none stops the
//! service, none makes it grow.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::{Rng, RngExt};
use proptest::test_runner::{RngAlgorithm, TestRng};

use crate::database::Database;
use crate::proof::scale;
use crate::service::{Service, client};
use crate::twilio::{Webhook, sid};

#[tokio::test(flavor = "multi_thread")]
async fn no_mutated_webhook_is_a_5xx_on_sqlite() {
    check(&Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_mutated_webhook_is_a_5xx_on_postgres() {
    check(&Database::postgres()).await;
}

async fn check(database: &Database) {
    let mut service = Service::start(&database.settings());
    let flood = Arc::new(Flood::new(scale("HOSTILE_REQUESTS", 2000), &service.url));
    flood.run(flood.requests / 10).await;
    let warm = service.resident_kib();
    flood.run(flood.requests).await;
    let grown = service.resident_kib().saturating_sub(warm);
    let [stored, refused, forged] = flood.answers();
    println!("stored {stored}, refused {refused}, forged {forged}, grown by {grown} KiB");
    assert!(stored * 2 >= flood.requests, "at least half reach the store");
    assert!(forged > 0 && refused > 0);
    assert!(grown < 16 * 1024, "memory grew by {grown} KiB");
    assert!(!service.log().iter().any(|line| line.contains("panicked")));
    assert_eq!(service.stop(), Some(0));
    let kept = database.everything().await;
    assert!(!kept.messages.is_empty() && !kept.parked_events.is_empty());
}

/// Mutated requests over sixteen connections.
struct Flood {
    requests: usize,
    service: String,
    next: AtomicUsize,
    stored: AtomicUsize,
    refused: AtomicUsize,
    forged: AtomicUsize,
}

impl Flood {
    fn new(requests: usize, service: &str) -> Self {
        let none = || AtomicUsize::new(0);
        let service = service.to_owned();
        Self { requests, service, next: none(), stored: none(), refused: none(), forged: none() }
    }

    /// Goes on until so many requests have been made since the beginning.
    async fn run(self: &Arc<Self>, until: usize) {
        let client = client();
        let workers: Vec<_> =
            (0..16).map(|_| tokio::spawn(self.clone().work(client.clone(), until))).collect();
        for worker in workers {
            worker.await.unwrap();
        }
    }

    async fn work(self: Arc<Self>, client: reqwest::Client, until: usize) {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= until {
                // Each worker took one number too many: give it back to the next run.
                self.next.fetch_sub(1, Ordering::Relaxed);
                return;
            }
            let mut mutation = Mutation::of(number);
            let webhook = mutation.webhook(number);
            let status = webhook.post(&client, &self.service).await;
            let counter = match status {
                Some(200 | 204) => &self.stored,
                Some(403) if mutation.forged => &self.forged,
                Some(400 | 413 | 415) => &self.refused,
                _ => panic!("request {number} was answered {status:?}"),
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn answers(&self) -> [usize; 3] {
        [&self.stored, &self.refused, &self.forged].map(|count| count.load(Ordering::Relaxed))
    }
}

/// What is done to one request; the same number is always done the same to.
struct Mutation {
    rng: TestRng,
    forged: bool,
}

impl Mutation {
    fn of(number: usize) -> Self {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&u64::try_from(number).unwrap().to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        Self { rng, forged: number.is_multiple_of(10) }
    }

    fn webhook(&mut self, number: usize) -> Webhook {
        let (route, original) = if self.rng.random_ratio(1, 3) {
            ("status", status_callback(number))
        } else {
            ("sms", text_to_us(number))
        };
        let mut body = original.into_bytes();
        for _ in 0..self.rng.random_range(1..5) {
            self.mutate(&mut body);
        }
        let query = self.query();
        let mut webhook = Webhook::signed_body(&format!("/webhook/twilio/{route}{query}"), body);
        if self.forged {
            webhook.body.push(b'x');
        }
        webhook
    }

    fn mutate(&mut self, body: &mut Vec<u8>) {
        let at = self.rng.random_range(0..=body.len());
        match self.rng.random_range(0..10) {
            0 => body.extend_from_slice(b"&From=%2B1860%00555&Body=%FF%FE%00"),
            1 => body.extend_from_slice(b"&Body=again&Body=&=&&=x&%00=%00&_percent_encoded=1"),
            2 => drop(body.splice(at..at, self.bytes(8))),
            3 => drop(body.splice(at..at, b"%F0%9F%98%80%ED%A0%80%C0%AF".iter().copied())),
            4 => body.truncate(at.max(64)),
            5 => body.extend("&x".repeat(self.rng.random_range(1..2000)).into_bytes()),
            6 => body.extend(format!("&From={}", "7".repeat(5000)).into_bytes()),
            7 => body.extend_from_slice(b"&MessageStatus=%22%27;--&ErrorCode=99999999999999999999"),
            8 => body.extend(format!("&Field{at}={}", "%E2%80%AE".repeat(200)).into_bytes()),
            _ => {
                if let Some(byte) = body.get_mut(at) {
                    *byte ^= 1 << self.rng.random_range(0..8);
                }
            }
        }
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let mut bytes = vec![0; self.rng.random_range(1..=most)];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    fn query(&mut self) -> &'static str {
        let queries = ["", "", "?a=%00&b=%FF", "?MessageSid=SM1&To=x", "?", "?%&&=", "?q=a+b%20c"];
        queries[self.rng.random_range(0..queries.len())]
    }
}

fn text_to_us(number: usize) -> String {
    let sender = number % 50;
    format!(
        "MessageSid={}&Body=Hello+there&To=%2B18605550100&From=%2B186055502{sender:02}&NumMedia=1\
         &MediaUrl0=https%3A%2F%2Fm&MediaContentType0=image%2Fjpeg&SmsStatus=received",
        sid(number)
    )
}

fn status_callback(number: usize) -> String {
    format!("MessageSid={}&MessageStatus=sent&To=%2B18605550199&ErrorCode=", sid(number / 2))
}
