//! Many texts to the service, and a check that each acknowledged one is there.

mod latency;
mod verify;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use secrecy::SecretString;
use time::OffsetDateTime;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use latency::Latencies;
pub use verify::{Verification, VerifyError, verify};

use crate::inbound::new_sid;
use crate::local_twilio::{DeliveryError, LocalTwilio};
use crate::simulator::wall_clock;
use crate::{INBOUND_PATH, InboundText};

/// The most texts that one load may have.
pub const MOST_TEXTS: u64 = 2_000_000;

/// How many people text.
const SENDERS: u64 = 400;

/// A load: so many texts a second, over so many connections, for so long.
///
/// Texts are posted when they are due, whether or not the earlier ones were answered, as long as a
/// connection is free. What could not be begun [`LATENESS`] after the end is left out; so a load is
/// over [`LATENESS`] and [`LONGEST_ANSWER`] later at the latest, however slow the service is.
#[derive(Debug, Clone)]
pub struct Load {
    /// Where the service is, `http://127.0.0.1:8080`.
    pub base_url: String,
    /// What texts are signed with.
    pub auth_token: SecretString,
    /// The account that is texted.
    pub account_sid: String,
    /// Its number.
    pub to: String,
    /// Texts a second; `None` for as many as the connections bring through.
    pub rate: Option<u32>,
    /// How many requests are in flight at the same time, at most.
    pub connections: usize,
    /// For how long texts are begun.
    pub duration: Duration,
}

/// How long Twilio waits for an answer.
pub const LONGEST_ANSWER: Duration = Duration::from_secs(15);

/// For so long after the end texts are begun that were due before.
pub const LATENESS: Duration = Duration::from_secs(1);

/// What became of a load.
#[derive(Debug)]
pub struct LoadReport {
    /// The texts that were planned and begun.
    pub texts: Texts,
    /// How many were to be posted; `None` where no rate was given.
    pub planned: Option<u64>,
    /// How many were posted.
    pub posted: u64,
    /// The numbers of those that were answered with a 2xx.
    pub acknowledged: Vec<u64>,
    /// How often each other thing happened: `503`, `no answer came in time`.
    pub failures: BTreeMap<String, u64>,
    /// How long acknowledged texts took, from when they were due.
    pub latencies: Latencies,
    /// From the first text to the last answer.
    pub took: Duration,
    /// When it began.
    pub began_at: OffsetDateTime,
}

impl LoadReport {
    /// Acknowledged texts a second.
    #[must_use]
    pub fn throughput(&self) -> f64 {
        let acknowledged = u32::try_from(self.acknowledged.len()).unwrap_or(u32::MAX);
        f64::from(acknowledged) / self.took.as_secs_f64().max(f64::EPSILON)
    }

    /// How many were due and never posted, as no connection was free.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.planned.map_or(0, |planned| planned.saturating_sub(self.posted))
    }

    /// Whether everything that was planned was acknowledged.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.failures.is_empty() && self.left_out() == 0 && !self.acknowledged.is_empty()
    }
}

/// The texts of one load. Each has a number, which its SID and its words are made of.
#[derive(Debug, Clone)]
pub struct Texts {
    /// What all their SIDs begin with.
    prefix: String,
}

impl Texts {
    /// Texts that nobody has sent before.
    fn new() -> Self {
        let random = new_sid("SM");
        Self { prefix: random.chars().take(22).collect() }
    }

    /// The SID of the text with that number.
    #[must_use]
    pub fn sid(&self, number: u64) -> String {
        format!("{}{number:012x}", self.prefix)
    }

    /// The number of the text with that SID; `None` where it is none of these.
    #[must_use]
    pub fn number(&self, sid: &str) -> Option<u64> {
        u64::from_str_radix(sid.strip_prefix(&self.prefix)?, 16).ok()
    }

    /// What it says.
    #[must_use]
    pub fn body(number: u64) -> String {
        format!("My sink has been leaking since this morning, ticket {number}. Can you come?")
    }

    fn text(&self, number: u64, load: &Load) -> InboundText {
        let from = format!("+1860555{:04}", number % SENDERS);
        InboundText::new(from, &load.to)
            .body(Self::body(number))
            .sid(self.sid(number))
            .account_sid(&load.account_sid)
    }
}

impl Load {
    /// How many texts are to be posted; `None` where no rate is given.
    #[must_use]
    pub fn planned(&self) -> Option<u64> {
        self.rate.map(|rate| u64::from(rate) * self.duration.as_secs())
    }

    /// Posts the texts. Begins no more once `stop` is cancelled.
    ///
    /// # Errors
    /// [`DeliveryError`] where no HTTP client can be made. What the service answers is no error.
    pub async fn run(self, stop: CancellationToken) -> Result<LoadReport, DeliveryError> {
        let run = Arc::new(Run::new(self, stop)?);
        let began_at = wall_clock();
        let mut connections = JoinSet::new();
        for _ in 0..run.load.connections {
            connections.spawn(Arc::clone(&run).connection());
        }
        connections.join_all().await;
        let took = run.began.elapsed();
        let so_far = std::mem::take(&mut *run.so_far());
        Ok(LoadReport {
            texts: run.texts.clone(),
            planned: run.load.planned(),
            posted: so_far.posted,
            acknowledged: so_far.acknowledged,
            failures: so_far.failures,
            latencies: Latencies::of(so_far.latencies),
            took,
            began_at,
        })
    }
}

/// A load that is being posted.
struct Run {
    load: Load,
    texts: Texts,
    twilio: LocalTwilio,
    url: String,
    began: Instant,
    stop: CancellationToken,
    next: AtomicU64,
    so_far: Mutex<SoFar>,
}

#[derive(Default)]
struct SoFar {
    posted: u64,
    acknowledged: Vec<u64>,
    failures: BTreeMap<String, u64>,
    latencies: Vec<Duration>,
}

impl Run {
    fn new(load: Load, stop: CancellationToken) -> Result<Self, DeliveryError> {
        let token = load.auth_token.clone();
        Ok(Self {
            texts: Texts::new(),
            twilio: LocalTwilio::builder(token).timeout(LONGEST_ANSWER).build()?,
            url: format!("{}{INBOUND_PATH}", load.base_url.trim_end_matches('/')),
            began: Instant::now(),
            stop,
            next: AtomicU64::new(0),
            so_far: Mutex::default(),
            load,
        })
    }

    fn so_far(&self) -> std::sync::MutexGuard<'_, SoFar> {
        self.so_far.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Posts one text after the other until the load is over.
    async fn connection(self: Arc<Self>) {
        while let Some((number, due)) = self.next_text().await {
            let request =
                self.twilio.request(&self.url, &self.texts.text(number, &self.load).fields());
            let answer = self.twilio.deliver(&request).await;
            let took = due.elapsed();
            let mut so_far = self.so_far();
            so_far.posted += 1;
            match answer {
                Ok(answer) if answer.is_success() => {
                    so_far.acknowledged.push(number);
                    so_far.latencies.push(took);
                }
                Ok(answer) => so_far.fail(answer.status.to_string()),
                Err(error) => so_far.fail(error.reason()),
            }
        }
    }

    /// The next text, once it is due; `None` where no more is to be begun.
    async fn next_text(&self) -> Option<(u64, Instant)> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let due = match self.load.rate {
            Some(rate) => self.began + Duration::from_secs_f64(fraction(number, rate)),
            None => Instant::now(),
        };
        let end = self.began + self.load.duration;
        if due >= end || number >= MOST_TEXTS {
            return None;
        }
        self.stop.run_until_cancelled(tokio::time::sleep_until(due)).await?;
        // Where every connection was busy it may have become too late.
        (Instant::now() < end + LATENESS).then_some((number, due))
    }
}

impl SoFar {
    fn fail(&mut self, how: String) {
        *self.failures.entry(how).or_default() += 1;
    }
}

/// When a text is due, in seconds. Exact for as many texts as there can be.
fn fraction(number: u64, rate: u32) -> f64 {
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    f64::from(number) / f64::from(rate.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_known_by_its_sid() {
        let texts = Texts::new();
        let sid = texts.sid(1_234_567);
        assert_eq!(sid.len(), 34);
        assert_eq!(texts.number(&sid), Some(1_234_567));
        assert_eq!(Texts::new().number(&sid), None);
        assert_eq!(texts.number("SM1"), None);
    }

    #[test]
    fn texts_are_due_evenly() {
        assert!(fraction(0, 50) < f64::EPSILON);
        assert!((fraction(75, 50) - 1.5).abs() < f64::EPSILON);
    }
}
