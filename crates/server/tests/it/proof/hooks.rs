//! Everything that happens reaches who is told of it: through `kill -9` of the service, beside
//! subscribers that fail and hang, and over a stream that breaks off again and again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use domain::event::{EventCursor, EventKind};
use serde_json::json;

use crate::database::Database;
use crate::hooks::{quick, subscribe};
use crate::proof::scale;
use crate::service::{Service, client};
use crate::subscriber::{Call, Subscriber, told};
use crate::twilio::{Webhook, sid};

/// How many people text, and how many webhooks are on their way at once.
const SENDERS: usize = 200;
const CONNECTIONS: usize = 16;

/// Texts that are posted until each is acknowledged, however often the service goes away.
struct Load {
    service: RwLock<String>,
    begun: AtomicUsize,
    texts: usize,
}

impl Load {
    fn new(service: &str, texts: usize) -> Arc<Self> {
        Arc::new(Self {
            service: RwLock::new(service.to_owned()),
            begun: AtomicUsize::new(0),
            texts,
        })
    }

    /// How long each acknowledged webhook took.
    async fn run(self: Arc<Self>) -> Vec<Duration> {
        let client = client();
        let workers = (0..CONNECTIONS).map(|_| tokio::spawn(self.clone().work(client.clone())));
        let mut took = Vec::new();
        for worker in workers.collect::<Vec<_>>() {
            took.extend(worker.await.unwrap());
        }
        took.sort_unstable();
        took
    }

    async fn work(self: Arc<Self>, client: reqwest::Client) -> Vec<Duration> {
        let mut took = Vec::new();
        loop {
            let number = self.begun.fetch_add(1, Ordering::Relaxed);
            if number >= self.texts {
                return took;
            }
            let from = format!("+1860555{:04}", number % SENDERS);
            let text = Webhook::text(&sid(number), &from, "My sink is leaking again");
            loop {
                let service = self.service.read().unwrap().clone();
                let begun = Instant::now();
                if text.post(&client, &service).await == Some(200) {
                    took.push(begun.elapsed());
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    async fn reached(&self, texts: usize) {
        while self.begun.load(Ordering::Relaxed) < texts {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// What of a sorted list is at that part of it, in milliseconds.
fn percentile(took: &[Duration], percent: usize) -> f64 {
    took[(took.len() - 1) * percent / 100].as_secs_f64() * 1000.0
}

#[tokio::test(flavor = "multi_thread")]
async fn every_subscriber_that_lives_is_told_everything_in_order_through_kills() {
    let (texts, kills) = (scale("HOOK_MESSAGES", 300), scale("HOOK_KILLS", 1));
    let database = Database::postgres();
    let settings = quick(database.settings()).with("HOOK_CONCURRENCY", "16");
    let mut service = Service::start(&settings);
    let well = Subscriber::answering(200).await;
    let failing =
        Subscriber::start(Box::new(|nth, _| Some(if nth % 2 == 0 { 500 } else { 200 }))).await;
    let hanging = Subscriber::start(Box::new(|_, _| None)).await;
    let wish = json!({ "events": ["message.received"] });
    for (name, subscriber) in [("well", &well), ("failing", &failing), ("hanging", &hanging)] {
        subscribe(&service, name, &subscriber.url, wish.clone()).await;
    }
    let load = Load::new(&service.url, texts);
    let posting = tokio::spawn(load.clone().run());
    for kill in 1..=kills {
        load.reached(kill * texts / (kills + 1)).await;
        service.kill();
        service = Service::start(&settings);
        load.service.write().unwrap().clone_from(&service.url);
    }
    let took = posting.await.unwrap();
    let posted = Instant::now();
    let events = received(&database, texts).await;
    for (name, subscriber) in [("well", &well), ("failing", &failing)] {
        until_all(subscriber, &events, name).await;
        println!("{name}: told of all {texts} {:?} after the last text", posted.elapsed());
        check(&subscriber.calls(), &events, name);
    }
    println!(
        "webhooks beside all this: p50 {:.1} ms, p99 {:.1} ms",
        percentile(&took, 50),
        percentile(&took, 99)
    );
    let (_, all) = service.get("/subscriptions").await;
    let of = |name: &str| {
        let all = all["subscriptions"].as_array().unwrap();
        all.iter().find(|known| known["name"] == name).unwrap().clone()
    };
    println!("hanging: {}", of("hanging"));
    assert_eq!(of("hanging")["last_error"], "timeout", "{all}");
    assert!(of("hanging")["failures"].as_u64().unwrap() > 0, "{all}");
    let path =
        format!("/subscriptions/{}/deliveries?limit=100", of("hanging")["id"].as_str().unwrap());
    let (_, waiting) = service.get(&path).await;
    let waiting = waiting["deliveries"].as_array().unwrap();
    assert!(waiting.iter().all(|told| told["finished_at"].is_null()), "it is told of nothing");
    assert!(hanging.calls().len() < texts, "a subscriber that hangs is left alone");
}

/// The events of that many texts by conversation, in their order: `(conversation, event)`.
async fn received(database: &Database, texts: usize) -> Vec<(String, String)> {
    let store = database.open();
    let mut behind = EventCursor::default();
    let mut events = Vec::new();
    for _ in 0..3000 {
        let page = store.read_events(behind, 1000).await.unwrap();
        let Some(last) = page.last() else {
            if events.len() >= texts {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        behind = last.cursor;
        events.extend(page.into_iter().filter(|event| event.kind == EventKind::Received));
    }
    assert_eq!(events.len(), texts, "one event a text");
    // Of one conversation the place says the order.
    events.sort_by_key(|event| event.cursor.place);
    events.iter().map(|event| (event.conversation.to_string(), event.id.to_string())).collect()
}

async fn until_all(subscriber: &Subscriber, events: &[(String, String)], name: &str) {
    let patience =
        Instant::now() + Duration::from_secs(60 + u64::try_from(events.len()).unwrap() / 20);
    loop {
        let told =
            told(&subscriber.calls()).map(|call| call.id().to_owned()).collect::<BTreeSet<_>>();
        if told.len() >= events.len() {
            return;
        }
        assert!(Instant::now() < patience, "{name}: told of {} of {}", told.len(), events.len());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Every event came, those of a conversation in order; what came twice has one id and one message.
fn check(calls: &[Call], events: &[(String, String)], name: &str) {
    let mut expected: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (conversation, event) in events {
        expected.entry(conversation).or_default().push(event);
    }
    let mut came: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut message_of: BTreeMap<&str, &str> = BTreeMap::new();
    let mut twice = 0;
    for call in told(calls) {
        let of = came.entry(call.data("conversation_id")).or_default();
        if of.last() == Some(&call.id()) {
            twice += 1;
        } else {
            of.push(call.id());
        }
        assert_eq!(*message_of.entry(call.id()).or_insert(call.message()), call.message());
    }
    println!("{name}: {} calls, {twice} told twice", calls.len());
    for (conversation, order) in expected {
        assert_eq!(came.get(conversation), Some(&order), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_off_again_and_again_misses_nothing_and_repeats_nothing() {
    for database in [Database::postgres(), Database::sqlite()] {
        let (texts, breaks) = (scale("STREAM_MESSAGES", 300), scale("STREAM_BREAKS", 20));
        let service = Service::start(&quick(database.settings()));
        let address = format!("{}/events?types=message.received", service.url);
        let load = Load::new(&service.url, texts);
        let mut listener = Listener { address, last: None, seen: Vec::new(), reconnects: 0 };
        listener.listen(0, Duration::from_millis(1)).await;
        let posting = tokio::spawn(load.clone().run());
        let mut enough = 0;
        while listener.reconnects <= breaks || !posting.is_finished() {
            enough += texts / (breaks + 1);
            listener.listen(enough.min(texts), Duration::from_millis(200)).await;
        }
        posting.await.unwrap();
        let patience = Instant::now() + Duration::from_mins(1);
        while listener.seen.len() < texts {
            assert!(Instant::now() < patience, "{} of {texts}", listener.seen.len());
            listener.listen(texts, Duration::from_millis(500)).await;
        }
        // Nothing more comes.
        listener.listen(texts + 1, Duration::from_millis(300)).await;
        let distinct: BTreeSet<_> = listener.seen.iter().collect();
        assert_eq!((listener.seen.len(), distinct.len()), (texts, texts));
        println!("{texts} events over {} connections, each once", listener.reconnects);
        assert!(listener.reconnects > breaks);
    }
}

/// Somebody who listens, is cut off, and comes back.
struct Listener {
    address: String,
    last: Option<String>,
    /// The ids of the events.
    seen: Vec<String>,
    reconnects: usize,
}

impl Listener {
    /// Listens until so many events were seen in all, or nothing came for so long, and breaks off.
    async fn listen(&mut self, enough: usize, patience: Duration) {
        self.reconnects += 1;
        let mut request = client().get(&self.address);
        if let Some(last) = &self.last {
            request = request.header("Last-Event-ID", last);
        }
        let mut answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let mut text = String::new();
        loop {
            let piece = tokio::time::timeout(patience, answer.chunk()).await;
            let Ok(Ok(Some(piece))) = piece else { return };
            text.push_str(std::str::from_utf8(&piece).unwrap());
            while let Some((frame, rest)) = text.split_once("\n\n") {
                self.take(frame);
                text = rest.to_owned();
                if self.seen.len() >= enough && enough > 0 {
                    return;
                }
            }
        }
    }

    fn take(&mut self, frame: &str) {
        for line in frame.lines() {
            if let Some(id) = line.strip_prefix("id: ") {
                self.last = Some(id.to_owned());
            }
            if let Some(data) = line.strip_prefix("data: ") {
                let event: serde_json::Value = serde_json::from_str(data).unwrap();
                assert_eq!(event["type"], "message.received");
                self.seen.push(event["id"].as_str().unwrap().to_owned());
            }
        }
    }
}
