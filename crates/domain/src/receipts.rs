//! Use case: Twilio reports how far a message got.

use std::sync::Arc;

use crate::delivery::StatusReport;
use crate::message::EventId;
use crate::ports::{Clock, IdSource, MessageStore, NewStatusEvent, StatusRecorded, StoreError};

/// Takes delivery reports in, in whatever order they come.
#[derive(Clone)]
pub struct Receipts {
    store: Arc<dyn MessageStore>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
}

impl Receipts {
    /// Receipts on these ports.
    #[must_use]
    pub fn new(
        store: Arc<dyn MessageStore>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
    ) -> Self {
        Self { store, clock, ids }
    }

    /// Keeps `report` and moves its message's status upward.
    ///
    /// # Errors
    /// [`StoreError`] where nothing is promised to be kept: the sender must be told to try again.
    pub async fn receive(&self, report: StatusReport) -> Result<StatusRecorded, StoreError> {
        let id = EventId(self.ids.next());
        let event = NewStatusEvent { id, report, received_at: self.clock.now() };
        self.store.record_status(&event).await
    }
}
