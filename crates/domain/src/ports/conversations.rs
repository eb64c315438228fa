//! Conversations: found, annotated, and linked to tenants.

use async_trait::async_trait;

use super::{ConversationKey, StoreError};
use crate::conversation::{Conversation, ConversationId};
use crate::job::JobId;
use crate::language::{Language, LanguagePreference};
use crate::origin::Origin;
use crate::tenant::TenantId;
use crate::timestamp::Timestamp;

/// What is known about conversations beside their messages.
///
/// One method is one transaction. Every implementation runs
/// [`conversation_store_contract!`](crate::conversation_store_contract).
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait ConversationStore: Send + Sync {
    /// A page of conversations, the one with the latest activity
    /// ([`Conversation::last_activity_at`]) first, then by id downwards. Pages that follow each
    /// other's [`ConversationPage::next`] MUST give each conversation that rests meanwhile exactly
    /// once.
    async fn list_conversations(
        &self,
        query: &ConversationQuery,
    ) -> Result<ConversationPage, StoreError>;

    /// The conversation that had this id in the program that it was imported from
    /// ([`HistoryStore`](super::HistoryStore)).
    async fn imported_conversation(
        &self,
        old_id: i64,
    ) -> Result<Option<ConversationId>, StoreError>;

    /// Changes what the callers run in a conversation, as [`Conversation::annotated`] says.
    async fn annotate_conversation(&self, change: &Annotation) -> Result<Annotated, StoreError>;

    /// Keeps what a lookup said, as [`Conversation::looked_up`] says, under the conversation's
    /// lock; `None` where there is no such conversation.
    ///
    /// Where the tenant is new to it, [`Conversation::joined`] MUST be applied with that one of the
    /// other conversations of the tenant whose language is known that was active last, if there is
    /// one. The [`Conversation::language_news`] that follow MUST be written.
    async fn record_lookup(&self, found: &LookupResult) -> Result<Option<LookupKept>, StoreError>;

    /// Writes a lookup for conversations without a tenant whose last lookup is older than
    /// [`Reconciliation::looked_up_before`] (or which never had one and are as old), the longest
    /// waiting first, as many as there are ids; where an unfinished one exists it is passed over.
    /// Gives how many were written.
    async fn reconcile_lookups(&self, due: &Reconciliation) -> Result<u64, StoreError>;

    /// Carries the conversation's language to the others of its tenant, as
    /// [`Conversation::beside`] says of each; `None` where there is no such conversation.
    async fn carry_language(
        &self,
        conversation: ConversationId,
        at: Timestamp,
    ) -> Result<Option<Carried>, StoreError>;

    /// Remembers in all conversations of the tenant that its profile was told this language; gives
    /// the conversation for which it was, as it is then. `None` where that is another tenant's by
    /// now, in which case nothing MUST change.
    async fn mark_language_told(
        &self,
        conversation: ConversationId,
        tenant: &TenantId,
        language: Language,
    ) -> Result<Option<Conversation>, StoreError>;
}

/// Which conversations.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConversationQuery {
    /// Of this tenant.
    pub tenant: Option<TenantId>,
    /// With this kind of workflow.
    pub workflow_type: Option<String>,
    /// With this workflow.
    pub workflow_id: Option<String>,
    /// Whose preferred language is this.
    pub language: Option<Language>,
    /// Active at this time or later.
    pub since: Option<Timestamp>,
    /// Right behind this one.
    pub behind: Option<ConversationCursor>,
    /// How many at most.
    pub limit: u32,
}

/// A place between two conversations of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConversationCursor {
    /// The last activity of the conversation before it.
    pub last_activity_at: Timestamp,
    /// That conversation.
    pub id: ConversationId,
}

/// A page of conversations.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConversationPage {
    /// The latest active first.
    pub conversations: Vec<Conversation>,
    /// Where the next page begins; `None` where this one is the last.
    pub next: Option<ConversationCursor>,
}

/// A change of what the callers run in a conversation. An outer `None` leaves a field as it is, an
/// inner one empties it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// Which conversation.
    pub key: ConversationKey,
    /// The kind of workflow.
    pub workflow_type: Option<Option<String>>,
    /// The workflow.
    pub workflow_id: Option<Option<String>>,
    /// Only if [`Conversation::workflow_version`] is one of these.
    pub if_versions: Option<Vec<u32>>,
    /// Now.
    pub at: Timestamp,
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq)]
pub enum Annotated {
    /// The conversation as it is now.
    Done(Box<Conversation>),
    /// Somebody else changed it first; as it is now.
    Outdated(Box<Conversation>),
    /// There is no such conversation.
    NotFound,
}

/// What a lookup said about a conversation's number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupResult {
    /// Whose number.
    pub conversation: ConversationId,
    /// The tenant; `None` where nobody, or several, were named.
    pub tenant: Option<TenantId>,
    /// Whether several were named.
    pub is_ambiguous: bool,
    /// When it was asked.
    pub at: Timestamp,
    /// The id that the job gets which tells the tenant's profile of the language.
    pub language_job: JobId,
    /// What the lookup follows from.
    pub origin: Origin,
}

/// What a lookup changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupKept {
    /// The tenant before.
    pub before: Option<TenantId>,
    /// The tenant now.
    pub after: Option<TenantId>,
    /// The language that it took over from the tenant's other conversations.
    pub taken: Option<LanguageTaken>,
}

/// A conversation's language was carried to the others of its tenant.
#[derive(Debug, Clone, PartialEq)]
pub struct Carried {
    /// The conversation as it is.
    pub conversation: Conversation,
    /// The others that took it over.
    pub taken: Vec<LanguageTaken>,
}

/// A conversation took over a language from another of its tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LanguageTaken {
    /// Which conversation.
    pub conversation: ConversationId,
    /// Its preference before.
    pub before: LanguagePreference,
    /// Its preference now.
    pub after: LanguagePreference,
}

impl LanguageTaken {
    /// What a conversation took over that was `before`; `None` where it kept its language.
    #[must_use]
    pub fn between(before: &Conversation, after: &Conversation) -> Option<Self> {
        let taken = Self { conversation: after.id, before: before.language, after: after.language };
        (taken.before != taken.after).then_some(taken)
    }
}

/// Lookups that are due again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconciliation {
    /// Now.
    pub at: Timestamp,
    /// Conversations whose last lookup is older than this.
    pub looked_up_before: Timestamp,
    /// The ids of the jobs: as many as may be written.
    pub jobs: Vec<JobId>,
}
