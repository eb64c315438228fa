//! Asking Twilio about messages whose end nobody reported: after twelve hours, then daily for
//! three days (Twilio's advice: callbacks can be lost).

use std::time::Duration;

use super::{Outbox, OutboxPorts};
use crate::error::causes;
use crate::message::{EventId, MessageId, TwilioSid};
use crate::ports::{MessageStore, NewStatusEvent, ProviderError, StoreError};

/// Whoever has claimed a check and dies loses it after this time.
const CLAIM: Duration = Duration::from_mins(15);
/// How many are claimed at once.
const BATCH: u32 = 50;

impl Outbox {
    /// Makes the checks that are due and gives their number. `receipts` takes what Twilio says.
    ///
    /// # Errors
    /// [`StoreError`]: those that were claimed come back later.
    pub async fn check_statuses(&self, receipts: &dyn MessageStore) -> Result<usize, StoreError> {
        let mut checked = 0;
        loop {
            let batch = self.check_batch(receipts).await?;
            checked += batch;
            if u32::try_from(batch).unwrap_or(u32::MAX) < BATCH {
                return Ok(checked);
            }
        }
    }

    async fn check_batch(&self, receipts: &dyn MessageStore) -> Result<usize, StoreError> {
        let OutboxPorts { store, clock, .. } = &self.ports;
        let now = clock.now();
        let due = store.claim_status_checks(now, now.after(CLAIM), BATCH).await?;
        for (message, sid) in &due {
            self.check_status(receipts, *message, sid).await?;
        }
        Ok(due.len())
    }

    async fn check_status(
        &self,
        receipts: &dyn MessageStore,
        message: MessageId,
        sid: &TwilioSid,
    ) -> Result<(), StoreError> {
        let OutboxPorts { store, clock, ids, provider, .. } = &self.ports;
        match provider.fetch(sid).await {
            Ok(Some(found)) => {
                let event = NewStatusEvent {
                    id: EventId(ids.next()),
                    report: found.report(Some(message)),
                    received_at: clock.now(),
                };
                receipts.record_status(&event).await?;
            }
            Ok(None) => tracing::warn!(message_id = %message, "Twilio does not know it any more"),
            // The same question would have the same answer: it waits for its next turn.
            Err(error @ ProviderError::Rejected(_)) => {
                not_fetched(message, &error);
            }
            // It comes back when the claim is over.
            Err(error) => {
                not_fetched(message, &error);
                return Ok(());
            }
        }
        store.finish_status_check(message, clock.now()).await
    }
}

fn not_fetched(message: MessageId, error: &ProviderError) {
    tracing::warn!(message_id = %message, error = causes(error), "status not fetched");
}
