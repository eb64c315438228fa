//! Fakes of the small ports.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use crate::error::BoxError;
use crate::language::Detection;
use crate::message::InboundMessage;
use crate::ports::{
    Chance, Clock, HookCall, HookOutcome, HookSender, IdSource, LanguageDetector, RawWebhook,
    Refusal, SignatureMistake, StatusDelivery, Timer, WebhookGate,
};
use crate::subscription::{Format, SigningSecret};
use crate::timestamp::Timestamp;

/// A clock that moves on by a fixed step each time it is read.
#[derive(Debug)]
pub struct SteppingClock {
    micros: AtomicI64,
    step: i64,
}

impl SteppingClock {
    /// A clock that shows `start` first and then a second more at each look.
    #[must_use]
    pub fn from(start: Timestamp) -> Self {
        Self { micros: AtomicI64::new(start.as_micros()), step: 1_000_000 }
    }

    /// A clock that stands until it is moved.
    #[must_use]
    pub fn standing(at: Timestamp) -> Self {
        Self { micros: AtomicI64::new(at.as_micros()), step: 0 }
    }

    /// Moves it.
    pub fn advance(&self, by: Duration) {
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Sets it, also back.
    pub fn set(&self, at: Timestamp) {
        self.micros.store(at.as_micros(), Ordering::Relaxed);
    }
}

impl Default for SteppingClock {
    fn default() -> Self {
        Self::from(super::fixture::at(0))
    }
}

impl Clock for SteppingClock {
    fn now(&self) -> Timestamp {
        let micros = self.micros.fetch_add(self.step, Ordering::Relaxed);
        Timestamp::from_micros(micros).unwrap_or(Timestamp::EPOCH)
    }
}

/// Ids 1, 2, 3, ...
#[derive(Debug, Default)]
pub struct CountingIds(AtomicU64);

impl IdSource for CountingIds {
    fn next(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.0.fetch_add(1, Ordering::Relaxed)) + 1)
    }
}

/// A detector that says the same of every text.
#[derive(Debug)]
pub struct FixedDetector(pub Detection);

impl LanguageDetector for FixedDetector {
    fn detect(&self, _: &str) -> Detection {
        self.0
    }
}

/// A gate that lets requests in whose body is `genuine` and gives them what it was made with.
#[derive(Debug)]
pub struct FakeGate {
    /// What a genuine request to the inbound route carries.
    pub inbound: Result<InboundMessage, Refusal>,
    /// What a genuine request to the status route carries.
    pub status: Result<StatusDelivery, Refusal>,
}

impl FakeGate {
    fn verify(request: &RawWebhook<'_>) -> Result<(), Refusal> {
        match request.body {
            b"genuine" => Ok(()),
            _ => Err(Refusal::Forged(SignatureMistake::Unexplained)),
        }
    }
}

impl WebhookGate for FakeGate {
    fn open_inbound(&self, request: &RawWebhook<'_>) -> Result<InboundMessage, Refusal> {
        Self::verify(request)?;
        self.inbound.clone()
    }

    fn open_status(&self, request: &RawWebhook<'_>) -> Result<StatusDelivery, Refusal> {
        Self::verify(request)?;
        self.status.clone()
    }

    fn names_our_account(&self, request: &RawWebhook<'_>) -> bool {
        request.body == b"ours, badly signed"
    }
}

/// A timer for which no time ever passes: it comes back at once.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoTimer;

#[async_trait]
impl Timer for NoTimer {
    async fn sleep(&self, _: Duration) {}
}

/// Always the same number.
#[derive(Debug, Clone, Copy, Default)]
pub struct FixedChance(pub u64);

impl Chance for FixedChance {
    fn next(&self) -> u64 {
        self.0
    }
}

/// A caller of subscribers for whom every call ends alike. It takes URLs that begin with `https://`
/// and secrets that begin with `whsec_`, and always makes the same.
#[derive(Debug, Clone, Copy)]
pub struct FixedHooks(pub HookOutcome);

#[async_trait]
impl HookSender for FixedHooks {
    async fn send(&self, _: &HookCall<'_>) -> HookOutcome {
        self.0
    }

    fn call_timeout(&self, format: Format) -> Duration {
        match format {
            Format::Standard => Duration::from_secs(15),
            Format::Orchestrator => Duration::from_secs(75),
        }
    }

    fn check_url(&self, url: &str) -> Result<(), &'static str> {
        url.starts_with("https://").then_some(()).ok_or("must begin with https://")
    }

    fn check_secret(&self, secret: &SigningSecret) -> Result<(), &'static str> {
        secret.expose().starts_with("whsec_").then_some(()).ok_or("must begin with whsec_")
    }

    fn new_secret(&self) -> Result<SigningSecret, BoxError> {
        Ok(SigningSecret::new("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"))
    }
}
