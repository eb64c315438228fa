//! Messages as they come and move on.

use std::sync::Arc;

use async_trait::async_trait;
use domain::conversation::{Conversation, ConversationId};
use domain::delivery::DeliveryStatus;
use domain::message::{Direction, MessageDetail, MessageId, TwilioSid};
use domain::outbound::{AttemptEnd, Beginning, Moved, NewAttempt, Outgoing};
use domain::ports::{
    Acceptance, Adopted, AttemptRecorded, Begun, Canceled, Clock, ConversationKey, MessageKey,
    MessagePage, MessageQuery, MessageStore, NewInbound, NewOutbound, NewStatusEvent,
    OutboundStore, Recorded, StatusRecorded, StoreError, ThreadPage, ThreadQuery,
};
use domain::timestamp::Timestamp;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram};

use super::{meter, seconds};

/// From the second in which a carrier takes a text to the hours in which it may wait.
const DELIVERY: [f64; 12] =
    [0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 43_200.0];

/// A store that counts what becomes of messages.
pub(crate) struct MeteredStore {
    messages: Arc<dyn MessageStore>,
    outbound: Arc<dyn OutboundStore>,
    clock: Arc<dyn Clock>,
    came: Counter<u64>,
    took: Histogram<f64>,
    languages: Counter<u64>,
}

impl MeteredStore {
    pub(crate) fn new(
        messages: Arc<dyn MessageStore>,
        outbound: Arc<dyn OutboundStore>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let counter = |name: &'static str, about: &'static str| {
            meter().u64_counter(name).with_description(about).build()
        };
        let took = "From taking a text in to Twilio's report of that status";
        Self {
            messages,
            outbound,
            clock,
            came: counter("sms_messages", "Messages that came to a status"),
            took: seconds("sms_message_duration", took, &DELIVERY),
            languages: counter("sms_detected_languages", "Texts to us by detected language"),
        }
    }

    fn came_to(&self, direction: Direction, status: DeliveryStatus) {
        let labels = [
            KeyValue::new("direction", direction.as_str()),
            KeyValue::new("status", status.as_str()),
        ];
        self.came.add(1, &labels);
    }

    /// A message from us moved on.
    fn moved(&self, moved: Option<Moved>) {
        let Some(Moved { to, created_at }) = moved else { return };
        self.came_to(Direction::Outbound, to);
        if matches!(to, DeliveryStatus::Sent | DeliveryStatus::Delivered) {
            let took = self.clock.now().since(created_at).as_secs_f64();
            self.took.record(took, &[KeyValue::new("status", to.as_str())]);
        }
    }
}

#[async_trait]
impl MessageStore for MeteredStore {
    async fn record_inbound(&self, inbound: &NewInbound) -> Result<Recorded, StoreError> {
        let recorded = self.messages.record_inbound(inbound).await?;
        if matches!(recorded, Recorded::New { .. }) {
            self.came_to(Direction::Inbound, inbound.message.status);
            let language = inbound.detection.language.as_str();
            self.languages.add(1, &[KeyValue::new("language", language)]);
        }
        Ok(recorded)
    }

    async fn record_status(&self, event: &NewStatusEvent) -> Result<StatusRecorded, StoreError> {
        let recorded = self.messages.record_status(event).await?;
        if let StatusRecorded::Applied { moved, .. } = &recorded {
            self.moved(*moved);
        }
        Ok(recorded)
    }

    async fn find_conversation(
        &self,
        key: &ConversationKey,
    ) -> Result<Option<Conversation>, StoreError> {
        self.messages.find_conversation(key).await
    }

    async fn read_thread(
        &self,
        conversation: ConversationId,
        query: &ThreadQuery,
    ) -> Result<ThreadPage, StoreError> {
        self.messages.read_thread(conversation, query).await
    }

    async fn find_message(&self, key: &MessageKey) -> Result<Option<MessageDetail>, StoreError> {
        self.messages.find_message(key).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.messages.check().await
    }
}

#[async_trait]
impl OutboundStore for MeteredStore {
    async fn accept_outbound(&self, new: &NewOutbound) -> Result<Acceptance, StoreError> {
        let accepted = self.outbound.accept_outbound(new).await?;
        if let Acceptance::New { message, .. } = &accepted {
            self.came_to(Direction::Outbound, message.shown().status);
        }
        Ok(accepted)
    }

    async fn mark_answered(&self, message: MessageId, at: Timestamp) -> Result<(), StoreError> {
        self.outbound.mark_answered(message, at).await
    }

    async fn find_outgoing(&self, message: MessageId) -> Result<Option<Outgoing>, StoreError> {
        self.outbound.find_outgoing(message).await
    }

    async fn begin_attempt(&self, new: &NewAttempt) -> Result<Begun, StoreError> {
        let begun = self.outbound.begin_attempt(new).await?;
        if let Begun::As(Beginning::Expired | Beginning::Doubtful, now) = &begun {
            self.came_to(Direction::Outbound, now.message.shown().status);
        }
        Ok(begun)
    }

    async fn record_attempt(
        &self,
        end: &AttemptEnd,
    ) -> Result<Option<AttemptRecorded>, StoreError> {
        let recorded = self.outbound.record_attempt(end).await?;
        self.moved(recorded.as_ref().and_then(|recorded| recorded.moved));
        Ok(recorded)
    }

    async fn adopt_found(&self, event: &NewStatusEvent) -> Result<Adopted, StoreError> {
        let adopted = self.outbound.adopt_found(event).await?;
        if let Adopted::Taken { moved, .. } = adopted {
            self.moved(moved);
        }
        Ok(adopted)
    }

    async fn conclude_not_sent(
        &self,
        message: MessageId,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let given_up = self.outbound.conclude_not_sent(message, at).await?;
        if given_up {
            self.came_to(Direction::Outbound, DeliveryStatus::Failed);
        }
        Ok(given_up)
    }

    async fn cancel_outbound(
        &self,
        key: &MessageKey,
        at: Timestamp,
    ) -> Result<Canceled, StoreError> {
        let canceled = self.outbound.cancel_outbound(key, at).await?;
        if let Canceled::Done(message) = &canceled {
            self.came_to(Direction::Outbound, message.shown().status);
        }
        Ok(canceled)
    }

    async fn list_messages(&self, query: &MessageQuery) -> Result<MessagePage, StoreError> {
        self.outbound.list_messages(query).await
    }

    async fn claim_status_checks(
        &self,
        at: Timestamp,
        again_at: Timestamp,
        limit: u32,
    ) -> Result<Vec<(MessageId, TwilioSid)>, StoreError> {
        self.outbound.claim_status_checks(at, again_at, limit).await
    }

    async fn finish_status_check(
        &self,
        message: MessageId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.outbound.finish_status_check(message, at).await
    }
}
