//! Conversations: everything that was said with one address.

use std::time::Duration;

use uuid::Uuid;

use crate::job::{Job, JobId, NewJob};
use crate::language::{Language, LanguagePreference};
use crate::message::id;
use crate::origin::Origin;
use crate::phone::Address;
use crate::ports::{Annotation, LookupResult, NewInbound, NewOutbound};
use crate::tenant::TenantId;
use crate::text::Text;
use crate::timestamp::Timestamp;

id! {
    /// Our own id of a conversation.
    ConversationId
}

impl ConversationId {
    /// The id that `text` spells.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }
}

/// Everything that was said with one address, and what we know of whom it belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversation {
    /// Our id.
    pub id: ConversationId,
    /// The one spelling of the address; no two conversations share it.
    pub phone_number_canonical: Text,
    /// The address as it first came.
    pub phone_number_original: Text,
    /// The tenant, once the Collections Monitor has named one.
    pub tenant_id: Option<TenantId>,
    /// Which kind of workflow the callers run in it.
    pub workflow_type: Option<String>,
    /// Which workflow.
    pub workflow_id: Option<String>,
    /// Counts the changes of the workflow, for `If-Match`.
    pub workflow_version: u32,
    /// When the Collections Monitor was last asked.
    pub tenant_checked_at: Option<Timestamp>,
    /// The language that its texts are in.
    pub language: LanguagePreference,
    /// The language that the tenant's profile was last told, if there are profiles: the same for
    /// all conversations of a tenant.
    pub told_language: Option<Language>,
    /// Our number as it was last used in it, in either direction.
    pub our_number: Option<Text>,
    /// When something was last said.
    pub last_message_at: Option<Timestamp>,
    /// When it began.
    pub created_at: Timestamp,
    /// When anything of it last changed.
    pub updated_at: Timestamp,
}

/// From this confidence on a language is worth telling others, in thousandths: a clear text
/// reaches it at once, also against another language; a doubtful word does not.
const WORTH_TELLING: u16 = 700;

impl Conversation {
    /// The conversation that a first message opens, before that message is taken in.
    #[must_use]
    pub fn opened_by(inbound: &NewInbound) -> Self {
        let original = inbound.message.from_number.clone();
        Self::new(inbound.conversation, &inbound.message.from, original, inbound.said_at())
    }

    /// A conversation in which nothing was said yet.
    #[must_use]
    pub fn new(id: ConversationId, address: &Address, original: Text, at: Timestamp) -> Self {
        Self {
            id,
            phone_number_canonical: Text::new(address.canonical()),
            phone_number_original: original,
            tenant_id: None,
            workflow_type: None,
            workflow_id: None,
            workflow_version: 0,
            tenant_checked_at: None,
            language: LanguagePreference::UNKNOWN,
            told_language: None,
            our_number: None,
            last_message_at: None,
            created_at: at,
            updated_at: at,
        }
    }

    /// The conversation after a message that was not there before.
    ///
    /// Times only move forward, whatever order messages are recorded in.
    #[must_use]
    pub fn with(&self, inbound: &NewInbound) -> Self {
        let said_at = inbound.said_at();
        // A message that we learn of late does not say which number is used now.
        let is_old = inbound.sent_at.is_some() && self.last_message_at > Some(said_at);
        let to = Some(inbound.message.to_number.clone())
            .filter(|to| !to.as_str().is_empty())
            .filter(|_| !is_old || self.our_number.is_none());
        Self {
            language: self.language.fold(inbound.detection),
            our_number: to.or_else(|| self.our_number.clone()),
            last_message_at: self.last_message_at.max(Some(said_at)),
            updated_at: self.updated_at.max(inbound.received_at),
            ..self.clone()
        }
    }

    /// The conversation after a message from us was taken in to be sent. `last_message_at` moves,
    /// and our number is the one to be used again, when Twilio has it: it may refuse that number.
    #[must_use]
    pub fn with_outbound(&self, outbound: &NewOutbound, sender: &Text) -> Self {
        let given = |text: &Option<String>| text.clone().map(Some);
        let (workflow_type, workflow_id) =
            (given(&outbound.workflow_type), given(&outbound.workflow_id));
        Self {
            our_number: self.our_number.clone().or_else(|| Some(sender.clone())),
            updated_at: self.updated_at.max(outbound.accepted_at),
            ..self.with_workflow(workflow_type, workflow_id)
        }
    }

    /// When something last happened in it: what was said, or its beginning.
    #[must_use]
    pub fn last_activity_at(&self) -> Timestamp {
        self.last_message_at.unwrap_or(self.created_at)
    }

    /// The conversation with another workflow. `None` where somebody else changed it first.
    #[must_use]
    pub fn annotated(&self, change: &Annotation) -> Option<Self> {
        let seen = change.if_versions.as_ref();
        if seen.is_some_and(|versions| !versions.contains(&self.workflow_version)) {
            return None;
        }
        let changed = self.with_workflow(change.workflow_type.clone(), change.workflow_id.clone());
        let updated_at = if changed == *self { self.updated_at } else { change.at };
        Some(Self { updated_at: self.updated_at.max(updated_at), ..changed })
    }

    /// The conversation after the Collections Monitor was asked. A tenant that was known once is
    /// kept where nobody is named now: the Monitor may have forgotten, the texts have not. Where
    /// several are named it is not: somebody else's texts may be among them by now, and a wrong
    /// tenant is worse than none (wire contracts, section 4).
    #[must_use]
    pub fn looked_up(&self, found: &LookupResult) -> Self {
        let kept = self.tenant_id.clone().filter(|_| !found.is_ambiguous);
        let tenant_id = found.tenant.clone().or(kept);
        let is_new = tenant_id != self.tenant_id;
        Self {
            // Another tenant's profile was told nothing yet.
            told_language: self.told_language.filter(|_| !is_new),
            tenant_id,
            tenant_checked_at: self.tenant_checked_at.max(Some(found.at)),
            updated_at: if is_new { self.updated_at.max(found.at) } else { self.updated_at },
            ..self.clone()
        }
    }

    /// The conversation when it has joined the tenant of another, whose language is known: beside
    /// that one, and with what the tenant's profile was told.
    #[must_use]
    pub fn joined(&self, other: &Self, at: Timestamp) -> Self {
        Self { told_language: other.told_language, ..self.beside(other, at) }
    }

    /// The conversation beside another of its tenant: it takes that one's language where its own is
    /// unknown or rests on less.
    #[must_use]
    pub fn beside(&self, other: &Self, at: Timestamp) -> Self {
        let (ours, theirs) = (&self.language, &other.language);
        let is_better = theirs.language != Language::Unknown
            && theirs.language != ours.language
            && (ours.language == Language::Unknown || theirs.confidence > ours.confidence);
        if !is_better {
            return self.clone();
        }
        Self { language: *theirs, updated_at: self.updated_at.max(at), ..self.clone() }
    }

    /// What must follow from a message that was not there before: a lookup where it is due, and
    /// the [`language_news`](Self::language_news) if the text speaks for them: what another
    /// conversation of the tenant made of the language stays until somebody writes otherwise. A
    /// store writes a job only where no unfinished one has its key.
    #[must_use]
    pub fn follow_ups(&self, plan: &FollowUps) -> Vec<NewJob> {
        let lookup = self.is_lookup_due(plan).then_some(NewJob {
            id: plan.lookup_job,
            job: Job::TenantLookup { conversation: self.id },
            run_at: plan.at,
            origin: plan.origin.clone(),
        });
        let news = self.language_news(plan.language_job, plan.at, &plan.origin);
        let news = news.filter(|_| plan.heard == self.language.language);
        lookup.into_iter().chain(news).collect()
    }

    /// The job that tells the tenant's profile, and the tenant's other conversations, of the
    /// language: where it is known for sure and they were told another one or none.
    #[must_use]
    pub fn language_news(&self, id: JobId, at: Timestamp, origin: &Origin) -> Option<NewJob> {
        let language = self.language.language;
        let is_news = language != Language::Unknown
            && self.language.confidence.thousandths() >= WORTH_TELLING
            && self.told_language != Some(language);
        let (tenant, conversation) = (self.tenant_id.as_ref()?, self.id);
        let job = Job::TellLanguage { conversation, language, lane: tenant.lane() };
        is_news.then(|| NewJob { id, job, run_at: at, origin: origin.clone() })
    }

    fn is_lookup_due(&self, plan: &FollowUps) -> bool {
        // Where nobody can be asked no job waits for that: whoever has no tenant by then is found
        // by the reconciliation.
        let Some(LookupAges { tenant, nobody }) = plan.lookup_ages else {
            return false;
        };
        match (&self.tenant_id, self.tenant_checked_at) {
            (None, None) => true,
            (None, Some(checked)) => plan.at >= checked.after(nobody),
            // Somebody else has named the tenant.
            (Some(_), None) => false,
            (Some(_), Some(checked)) => plan.at >= checked.after(tenant),
        }
    }

    #[expect(clippy::option_option, reason = "to leave a field is not to empty it")]
    fn with_workflow(
        &self,
        workflow_type: Option<Option<String>>,
        workflow_id: Option<Option<String>>,
    ) -> Self {
        let workflow_type = workflow_type.unwrap_or_else(|| self.workflow_type.clone());
        let workflow_id = workflow_id.unwrap_or_else(|| self.workflow_id.clone());
        let is_same = workflow_type == self.workflow_type && workflow_id == self.workflow_id;
        let step = u32::from(!is_same);
        Self {
            workflow_version: self.workflow_version.saturating_add(step),
            workflow_type,
            workflow_id,
            ..self.clone()
        }
    }
}

/// How long what a lookup said is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookupAges {
    /// Where a tenant was named.
    pub tenant: Duration,
    /// Where nobody, or several, were.
    pub nobody: Duration,
}

/// What the jobs get that follow from a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowUps {
    /// The id of the tenant lookup.
    pub lookup_job: JobId,
    /// The id of the job that tells the tenant's profile of the language.
    pub language_job: JobId,
    /// The language that the text is in; unknown for a text from us.
    pub heard: Language,
    /// How long what a lookup said is believed; `None` where nobody can be asked.
    pub lookup_ages: Option<LookupAges>,
    /// Now.
    pub at: Timestamp,
    /// What the message follows from.
    pub origin: Origin,
}
