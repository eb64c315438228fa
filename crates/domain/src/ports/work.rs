//! What use cases need from whoever runs them: waiting, chance, other hands.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::job::ClaimedJob;
use crate::outbound::Outgoing;

/// Lets time pass.
#[async_trait]
pub trait Timer: Send + Sync {
    /// Comes back after that time.
    async fn sleep(&self, time: Duration);
}

/// Makes random numbers. Not for secrets.
pub trait Chance: Send + Sync {
    /// The next one.
    fn next(&self) -> u64;
}

/// Whether somebody still waits for what is being done.
pub type Attended = Arc<dyn Fn() -> bool + Send + Sync>;

/// The worker, as those see it who give it work.
pub trait Dispatcher: Send + Sync {
    /// Runs a claimed job at once, in the background. The future gives the message as it is then;
    /// `None` where the job could not be run: it will be, later. To drop the future stops nothing.
    fn dispatch(&self, job: ClaimedJob, attended: Attended) -> Dispatched;

    /// Says that there is new work in the queue.
    fn wake(&self);

    /// Says that something happened that others may have to be told of.
    fn happened(&self);
}

/// What a dispatched send ends in.
pub type Dispatched = Pin<Box<dyn Future<Output = Option<Outgoing>> + Send>>;
