//! The call that goes round when something happened here: whoever tells others looks at once.

use std::sync::Arc;

use adapter_http::EventTail;
use tokio::sync::Notify;

/// Rings for those who tell others. Clones ring for the same.
#[derive(Clone)]
pub(crate) struct News {
    tail: EventTail,
    hooks: Arc<Notify>,
}

impl News {
    /// Rings for those who follow `tail`, and for the worker that calls subscribers.
    pub(crate) fn new(tail: EventTail) -> Self {
        Self { tail, hooks: Arc::default() }
    }

    /// Something happened.
    pub(crate) fn ring(&self) {
        self.tail.wake();
        self.hooks.notify_one();
    }

    /// Until it rings for the worker.
    pub(super) async fn heard(&self) {
        self.hooks.notified().await;
    }
}
