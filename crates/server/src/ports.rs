//! The real world behind the small ports.

use std::time::Duration;

use async_trait::async_trait;
use domain::ports::{Chance, Clock, IdSource, Timer};
use domain::timestamp::Timestamp;
use uuid::Uuid;

/// The machine's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where time comes in")]
    fn now(&self) -> Timestamp {
        Timestamp::from(time::OffsetDateTime::now_utc())
    }
}

/// UUIDs of version 7: later ones sort behind earlier ones, also in an index.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UuidV7;

impl IdSource for UuidV7 {
    #[expect(clippy::disallowed_methods, reason = "this is where ids come from")]
    fn next(&self) -> Uuid {
        Uuid::now_v7()
    }
}

/// The runtime's timer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokioTimer;

#[async_trait]
impl Timer for TokioTimer {
    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// Random numbers that are good enough to spread things in time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dice;

impl Chance for Dice {
    fn next(&self) -> u64 {
        fastrand::u64(..)
    }
}
