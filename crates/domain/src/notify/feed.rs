//! The stream of everything that happens.

use std::sync::Arc;

use crate::event::{Event, EventCursor};
use crate::ports::{EventStore, StoreError};

/// Reads the stream.
#[derive(Clone)]
pub struct Feed {
    store: Arc<dyn EventStore>,
}

impl Feed {
    /// Of that store.
    #[must_use]
    pub fn new(store: Arc<dyn EventStore>) -> Self {
        Self { store }
    }

    /// Where the stream is now.
    ///
    /// # Errors
    /// [`StoreError`]: ask again.
    pub async fn end(&self) -> Result<EventCursor, StoreError> {
        self.store.events_end().await
    }

    /// What is behind that place, as much as `limit`.
    ///
    /// # Errors
    /// [`StoreError`]: ask again.
    pub async fn read(&self, behind: EventCursor, limit: u32) -> Result<Vec<Event>, StoreError> {
        self.store.read_events(behind, limit).await
    }
}
