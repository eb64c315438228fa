//! Taking over what another program has stored.

use async_trait::async_trait;

use super::StoreError;
use crate::history::{HistoricConversation, HistoricMessage};

/// Takes over conversations and messages that were made elsewhere. Nothing follows from them: no
/// job, no vote on a language.
///
/// One method is one transaction, and MUST be safe to call again with the same. Every
/// implementation runs [`backfill_store_contract!`](crate::backfill_store_contract).
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait HistoryStore: Send + Sync {
    /// Writes a conversation, or completes the one with its address as
    /// [`Conversation::with_history`](crate::conversation::Conversation::with_history) says; its
    /// old id MUST lead to it from then on, unless that leads elsewhere already.
    async fn import_conversation(
        &self,
        conversation: &HistoricConversation,
    ) -> Result<Imported, StoreError>;

    /// Writes a message into the conversation of its address, which is opened where there is none
    /// and then is as
    /// [`Conversation::with_historic`](crate::conversation::Conversation::with_historic) says.
    /// Reports that wait for its SID MUST be attached.
    ///
    /// Where its SID or its id is stored already, that message MUST be brought forward as
    /// [`HistoricMessage::brings_forward`] says, a status that moves be told, and the reports that
    /// waited for a SID that it gets be attached: [`Imported::Completed`]. Where that says nothing
    /// new, nothing MUST change: [`Imported::Known`].
    async fn import_message(&self, message: &HistoricMessage) -> Result<Imported, StoreError>;
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Imported {
    /// It was not there before.
    New,
    /// It was there already.
    Known,
    /// It was there already, and more is known of it now.
    Completed,
    /// Its old id is another's already: two databases were imported into one.
    Taken,
}
