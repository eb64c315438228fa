//! Use case: somebody texted us.

use std::sync::Arc;

use crate::conversation::{ConversationId, LookupAges};
use crate::job::JobId;
use crate::language::Detection;
use crate::message::{InboundMessage, MessageId, Source};
use crate::ports::{
    Clock, IdSource, LanguageDetector, MessageStore, NewInbound, Recorded, StoreError,
};

/// Takes messages in, each exactly once.
#[derive(Clone)]
pub struct Inbox {
    store: Arc<dyn MessageStore>,
    detector: Arc<dyn LanguageDetector>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    lookup_ages: Option<LookupAges>,
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
        Self { store, detector, clock, ids, lookup_ages }
    }

    /// Records `message` and all that must follow from it, in one transaction.
    ///
    /// # Errors
    /// [`StoreError`] where nothing is promised to be recorded: the sender must be told to try again.
    pub async fn receive(&self, message: InboundMessage) -> Result<Recorded, StoreError> {
        let inbound = self.plan(message);
        let recorded = self.store.record_inbound(&inbound).await?;
        audit(&recorded, inbound.detection);
        Ok(recorded)
    }

    /// Everything that is to be written, decided before the store is asked.
    fn plan(&self, message: InboundMessage) -> NewInbound {
        let detection = match &message.body {
            Some(body) => self.detector.detect(body.as_str()),
            None => Detection::UNKNOWN,
        };
        NewInbound {
            id: MessageId(self.ids.next()),
            conversation: ConversationId(self.ids.next()),
            lookup_job: JobId(self.ids.next()),
            language_job: JobId(self.ids.next()),
            lookup_ages: self.lookup_ages,
            detection,
            source: Source::Webhook,
            received_at: self.clock.now(),
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
