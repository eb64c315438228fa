//! Many people texting at once, some texts told twice, and a check of what became of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use domain::testing::Everything;

use crate::service::client;
use crate::twilio::{Webhook, sid};

/// How many people text.
const SENDERS: usize = 400;
/// Every so manieth text is told twice.
const REPEATED: usize = 10;

/// Traffic that goes on while services come and go.
pub(crate) struct Traffic {
    /// Where the service is now.
    pub(crate) service: RwLock<String>,
    next: AtomicUsize,
    messages: usize,
    acknowledged: Mutex<BTreeSet<String>>,
    refused: AtomicUsize,
}

impl Traffic {
    pub(crate) fn new(service: &str, messages: usize) -> Arc<Self> {
        Arc::new(Self {
            service: RwLock::new(service.to_owned()),
            next: AtomicUsize::new(0),
            messages,
            acknowledged: Mutex::new(BTreeSet::new()),
            refused: AtomicUsize::new(0),
        })
    }

    /// Posts every text over so many connections. A text without a 200 is posted once more, as
    /// Twilio does, and then given up.
    pub(crate) async fn run(self: &Arc<Self>, connections: usize) {
        let client = client();
        let workers: Vec<_> =
            (0..connections).map(|_| tokio::spawn(self.clone().work(client.clone()))).collect();
        for worker in workers {
            worker.await.unwrap();
        }
    }

    async fn work(self: Arc<Self>, client: reqwest::Client) {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.messages {
                return;
            }
            let body = "Hello, my sink is leaking again, can someone come by today?";
            let text = Webhook::text(&sid(number), &sender(number), body);
            let told_twice = number.is_multiple_of(REPEATED);
            let first = self.post(&client, number, &text).await;
            if told_twice || !first {
                self.post(&client, number, &text).await;
            }
        }
    }

    async fn post(&self, client: &reqwest::Client, number: usize, text: &Webhook) -> bool {
        let service = self.service.read().unwrap().clone();
        let status = text.post(client, &service).await;
        assert!(matches!(status, None | Some(200 | 503)), "answered {status:?}");
        if status == Some(200) {
            self.acknowledged.lock().unwrap().insert(sid(number));
        } else {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        status == Some(200)
    }

    /// How many texts have been begun.
    pub(crate) fn begun(&self) -> usize {
        self.next.load(Ordering::Relaxed).min(self.messages)
    }

    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    pub(crate) fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }

    /// Every acknowledged text is there exactly once, and there are as many conversations and votes
    /// as the texts call for.
    pub(crate) fn check(&self, kept: &Everything) {
        let sids: Vec<_> =
            kept.messages.iter().map(|kept| kept.message.twilio_sid.clone().unwrap()).collect();
        let distinct: BTreeSet<_> = sids.iter().map(|sid| sid.as_str().to_owned()).collect();
        assert_eq!(sids.len(), distinct.len(), "a text is there twice");
        let acknowledged = self.acknowledged.lock().unwrap();
        let lost: Vec<_> = acknowledged.difference(&distinct).collect();
        assert!(lost.is_empty(), "{} acknowledged texts are missing: {lost:?}", lost.len());

        let mut of_conversation = BTreeMap::new();
        for kept in &kept.messages {
            *of_conversation.entry(kept.message.conversation).or_insert(0) += 1;
        }
        assert_eq!(of_conversation.len(), kept.conversations.len());
        for conversation in &kept.conversations {
            let votes = conversation.language.evidence.votes;
            assert_eq!(Some(&votes), of_conversation.get(&conversation.id), "one vote a text");
        }
        assert_eq!(kept.jobs.len(), 0, "no Monitor is configured: no lookup waits for one");
    }
}

fn sender(number: usize) -> String {
    format!("+1860555{:04}", number % SENDERS)
}
