//! Use case: somebody texted us.

use std::sync::Arc;

use crate::conversation::{ConversationId, LookupAges};
use crate::job::JobId;
use crate::language::Detection;
use crate::message::{InboundMessage, MessageId, Source};
use crate::origin::Origin;
use crate::ports::{
    Clock, IdSource, LanguageDetector, MessageStore, NewInbound, Recorded, StoreError,
};
use crate::timestamp::Timestamp;

/// Takes messages in, each exactly once.
#[derive(Clone)]
pub struct Inbox {
    store: Arc<dyn MessageStore>,
    detector: Arc<dyn LanguageDetector>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    lookup_ages: Option<LookupAges>,
    origin: Origin,
}

impl Inbox {
    /// An inbox on these ports. Without ages no tenant is looked up.
    #[must_use]
    pub fn new(
        store: Arc<dyn MessageStore>,
        detector: Arc<dyn LanguageDetector>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        lookup_ages: Option<LookupAges>,
    ) -> Self {
        Self { store, detector, clock, ids, lookup_ages, origin: Origin::default() }
    }

    /// The same inbox, for a request: what it records follows from that.
    #[must_use]
    pub fn caused_by(&self, origin: Origin) -> Self {
        Self { origin, ..self.clone() }
    }

    /// Records `message` and all that must follow from it, in one transaction.
    ///
    /// # Errors
    /// [`StoreError`] where nothing is promised to be recorded: the sender must be told to try again.
    pub async fn receive(&self, message: InboundMessage) -> Result<Recorded, StoreError> {
        let detection = match &message.body {
            Some(body) => self.detector.detect(body.as_str()),
            None => Detection::UNKNOWN,
        };
        let inbound = NewInbound { detection, ..self.plan(message) };
        let recorded = self.store.record_inbound(&inbound).await?;
        audit(&recorded, inbound.detection);
        Ok(recorded)
    }

    /// Records a message that no webhook brought, said at that time. Its text is old: it has no
    /// vote on the language of its conversation.
    ///
    /// # Errors
    /// [`StoreError`] where nothing is promised to be recorded.
    pub async fn receive_missed(
        &self,
        message: InboundMessage,
        sent_at: Timestamp,
    ) -> Result<Recorded, StoreError> {
        let (source, sent_at) = (Source::Backfill, Some(sent_at));
        let inbound = NewInbound { source, sent_at, ..self.plan(message) };
        self.store.record_inbound(&inbound).await
    }

    /// Everything that is to be written, decided before the store is asked.
    fn plan(&self, message: InboundMessage) -> NewInbound {
        NewInbound {
            id: MessageId(self.ids.next()),
            conversation: ConversationId(self.ids.next()),
            lookup_job: JobId(self.ids.next()),
            language_job: JobId(self.ids.next()),
            lookup_ages: self.lookup_ages,
            detection: Detection::UNKNOWN,
            source: Source::Webhook,
            received_at: self.clock.now(),
            sent_at: None,
            origin: self.origin.clone(),
            message,
        }
    }
}

/// One line for each decision about a conversation's language, without its text; confidences are
/// in thousandths.
fn audit(recorded: &Recorded, detected: Detection) {
    let Recorded::New { conversation, before, after, .. } = recorded else {
        return;
    };
    tracing::info!(
        target: "audit::language",
        conversation_id = %conversation,
        previous = before.language.as_str(),
        previous_confidence = before.confidence.thousandths(),
        detected = detected.language.as_str(),
        detected_confidence = detected.confidence.thousandths(),
        chosen = after.language.as_str(),
        chosen_confidence = after.confidence.thousandths(),
        "language decided"
    );
}
