//! Use case: which tenant does a number belong to, and what language does that tenant write?

use std::sync::Arc;
use std::time::Duration;

use crate::conversation::{Conversation, ConversationId};
use crate::job::{Backoff, ClaimedJob, JobEnding, JobId};
use crate::origin::Origin;
use crate::phone::{Region, lookup_variants, masked};
use crate::ports::{
    Chance, Clock, ConversationKey, ConversationStore, DirectoryError, IdSource, JobQueue,
    LanguageTaken, LookupResult, MessageStore, Reconciliation, StoreError, TenantDirectory,
    TenantMatch, TenantProfiles,
};
use crate::tenant::TenantId;
use crate::text::Text;

/// While the directory is away: minutes, then hours.
const DIRECTORY_BACKOFF: Backoff =
    Backoff { base: Duration::from_mins(1), cap: Duration::from_hours(2) };
/// The most lookups that one reconciliation writes.
const RECONCILED: u32 = 200;

/// Links conversations to tenants.
#[derive(Clone)]
pub struct Identify {
    ports: IdentifyPorts,
    rules: LookupRules,
}

/// What [`Identify`] needs from outside.
#[derive(Clone)]
pub struct IdentifyPorts {
    /// Where conversations are found.
    pub messages: Arc<dyn MessageStore>,
    /// Where what is known about them is kept.
    pub conversations: Arc<dyn ConversationStore>,
    /// Where the jobs are.
    pub queue: Arc<dyn JobQueue>,
    /// Who knows the tenants; `None`: lookups wait until it is configured.
    pub directory: Option<Arc<dyn TenantDirectory>>,
    /// Who keeps what is known of them; `None`: nobody is told.
    pub profiles: Option<Arc<dyn TenantProfiles>>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Makes ids.
    pub ids: Arc<dyn IdSource>,
    /// Makes random numbers.
    pub chance: Arc<dyn Chance>,
}

/// The settings of lookups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookupRules {
    /// The country whose national form numbers without `+` are in.
    pub region: Region,
    /// For so long nobody is asked again about a number that nobody knew.
    pub unknown_for: Duration,
}

/// What a lookup came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identified {
    /// A tenant was named.
    Found,
    /// Nobody knows the number.
    Nobody,
    /// Several tenants were named: none is set.
    Ambiguous,
    /// The directory did not answer: it is asked again later.
    Later,
    /// The conversation is not there any more.
    Gone,
}

impl Identified {
    /// The word for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Nobody => "nobody",
            Self::Ambiguous => "ambiguous",
            Self::Later => "later",
            Self::Gone => "gone",
        }
    }
}

/// What became of telling a tenant's profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// It was told, or there is no such profile.
    Done,
    /// There was nothing to tell.
    Nothing,
    /// It did not answer: it is told later.
    Later,
}

impl Identify {
    /// On these ports.
    #[must_use]
    pub fn new(ports: IdentifyPorts, rules: LookupRules) -> Self {
        Self { ports, rules }
    }

    /// Whether there is anybody to ask.
    #[must_use]
    pub fn has_directory(&self) -> bool {
        self.ports.directory.is_some()
    }

    /// Whether the directory answers now; it does where there is none.
    ///
    /// # Errors
    /// [`DirectoryError`].
    pub async fn check_directory(&self) -> Result<(), DirectoryError> {
        match &self.ports.directory {
            Some(directory) => directory.check().await,
            None => Ok(()),
        }
    }

    /// Runs a lookup, and ends its job.
    ///
    /// # Errors
    /// [`StoreError`]: the job's lease runs out, and it comes back.
    pub async fn look_up(
        &self,
        job: &ClaimedJob,
        conversation: ConversationId,
    ) -> Result<Identified, StoreError> {
        let (identified, ending) = match self.find(conversation).await? {
            Some(found) => self.ask(job, &found).await?,
            None => (Identified::Gone, JobEnding::Done),
        };
        self.ports.queue.finish_job(job.ticket, &ending, self.ports.clock.now()).await?;
        tracing::info!(
            conversation_id = %conversation,
            result = identified.as_str(),
            "tenant looked up"
        );
        Ok(identified)
    }

    /// Tells a tenant's profile which language it is now, and the tenant's other conversations.
    ///
    /// # Errors
    /// [`StoreError`]: the job's lease runs out, and it comes back.
    pub async fn tell_language(
        &self,
        job: &ClaimedJob,
        conversation: ConversationId,
    ) -> Result<Told, StoreError> {
        let now = self.ports.clock.now();
        let carried = self.ports.conversations.carry_language(conversation, now).await?;
        let (told, ending) = match carried {
            Some(carried) => {
                carried.taken.iter().for_each(|taken| audit(taken, Some(conversation)));
                self.tell(job, &carried.conversation).await?
            }
            None => (Told::Nothing, JobEnding::Done),
        };
        self.ports.queue.finish_job(job.ticket, &ending, self.ports.clock.now()).await?;
        Ok(told)
    }

    /// Writes lookups for conversations that nobody knew long ago; gives how many.
    ///
    /// # Errors
    /// [`StoreError`]: try again later.
    pub async fn reconcile(&self) -> Result<u64, StoreError> {
        let now = self.ports.clock.now();
        let jobs = (0..RECONCILED).map(|_| JobId(self.ports.ids.next())).collect();
        let looked_up_before = now.before(self.rules.unknown_for);
        let due = Reconciliation { at: now, looked_up_before, jobs };
        self.ports.conversations.reconcile_lookups(&due).await
    }

    async fn find(&self, id: ConversationId) -> Result<Option<Conversation>, StoreError> {
        self.ports.messages.find_conversation(&ConversationKey::Id(id)).await
    }

    /// Asks for one spelling of the number after the other until a tenant is named.
    async fn ask(
        &self,
        job: &ClaimedJob,
        conversation: &Conversation,
    ) -> Result<(Identified, JobEnding), StoreError> {
        let Some(directory) = &self.ports.directory else {
            return Ok((Identified::Later, self.again(job, "there is no directory", None)));
        };
        let span = tracing::Span::current();
        span.record("phone", masked(conversation.phone_number_canonical.as_str()));
        let mut named = TenantMatch::Nobody;
        for spelling in lookup_variants(&conversation.phone_number_original, self.rules.region) {
            match directory.look_up(&Text::new(spelling)).await {
                Ok(TenantMatch::Nobody) => {}
                Ok(answer) => {
                    named = answer;
                    break;
                }
                Err(error) => return Ok((Identified::Later, self.trouble(job, &error))),
            }
        }
        let identified = match named {
            TenantMatch::Tenant(ref tenant) => {
                span.record("tenant_id", tenant.as_str());
                Identified::Found
            }
            TenantMatch::Nobody => Identified::Nobody,
            TenantMatch::Ambiguous => {
                tracing::warn!(conversation_id = %conversation.id, "several tenants for one number");
                Identified::Ambiguous
            }
        };
        self.keep(job, conversation.id, named).await?;
        Ok((identified, JobEnding::Done))
    }

    async fn keep(
        &self,
        job: &ClaimedJob,
        conversation: ConversationId,
        named: TenantMatch,
    ) -> Result<(), StoreError> {
        let is_ambiguous = named == TenantMatch::Ambiguous;
        let tenant = match named {
            TenantMatch::Tenant(tenant) => Some(tenant),
            TenantMatch::Nobody | TenantMatch::Ambiguous => None,
        };
        let at = self.ports.clock.now();
        let language_job = JobId(self.ports.ids.next());
        let origin = job.origin.clone();
        let found = LookupResult { conversation, tenant, is_ambiguous, at, language_job, origin };
        let Some(kept) = self.ports.conversations.record_lookup(&found).await? else {
            return Ok(());
        };
        if let Some(taken) = &kept.taken {
            audit(taken, None);
        }
        if kept.before.is_some() && kept.before != kept.after {
            tracing::warn!(
                conversation_id = %conversation,
                previous_tenant_id = kept.before.as_ref().map(TenantId::as_str),
                tenant_id = kept.after.as_ref().map(TenantId::as_str),
                "the number belongs to another tenant now"
            );
        }
        Ok(())
    }

    async fn tell(
        &self,
        job: &ClaimedJob,
        conversation: &Conversation,
    ) -> Result<(Told, JobEnding), StoreError> {
        let language = conversation.language.language;
        let Some(tenant) = conversation.tenant_id.as_ref().filter(|_| self.is_news(conversation))
        else {
            return Ok((Told::Nothing, JobEnding::Done));
        };
        // Where there are no profiles it counts as told: the others of the tenant were, and no
        // further text needs to say it again.
        if let Some(profiles) = &self.ports.profiles {
            match profiles.set_language(tenant, language).await {
                Ok(answer) => {
                    tracing::info!(conversation_id = %conversation.id, ?answer, "language told");
                }
                Err(error) => return Ok((Told::Later, self.trouble(job, &error))),
            }
        }
        let conversations = &self.ports.conversations;
        let told = conversations.mark_language_told(conversation.id, tenant, language).await?;
        if told.is_some_and(|told| !self.is_news(&told)) {
            return Ok((Told::Done, JobEnding::Done));
        }
        // It is another tenant's by now, who was told nothing yet; or somebody wrote in another
        // language while the profile was told, when that was not news.
        let run_at = self.ports.clock.now();
        Ok((Told::Later, JobEnding::Continue { job: job.job, run_at }))
    }

    /// Whether the language that a conversation has now is worth telling.
    fn is_news(&self, conversation: &Conversation) -> bool {
        let (id, now) = (JobId(self.ports.ids.next()), self.ports.clock.now());
        conversation.language_news(id, now, &Origin::default()).is_some()
    }

    fn trouble(&self, job: &ClaimedJob, error: &DirectoryError) -> JobEnding {
        let retry_after = match error {
            DirectoryError::Unavailable { retry_after, source } => {
                let error: &(dyn std::error::Error + 'static) = source.as_ref();
                tracing::warn!(error, "no answer");
                *retry_after
            }
            // An operator must act; until then it is asked again now and then.
            DirectoryError::Rejected(source) => {
                let error: &(dyn std::error::Error + 'static) = source.as_ref();
                tracing::error!(error, "the question is refused");
                None
            }
        };
        self.again(job, &error.to_string(), retry_after)
    }

    fn again(&self, job: &ClaimedJob, error: &str, retry_after: Option<Duration>) -> JobEnding {
        let failures = job.failures.saturating_add(1);
        let wait = DIRECTORY_BACKOFF.wait(failures, self.ports.chance.next());
        let wait = wait.max(retry_after.unwrap_or_default());
        JobEnding::Retry { run_at: self.ports.clock.now().after(wait), error: error.to_owned() }
    }
}

/// One line for each language that a conversation took over from the others of its tenant;
/// confidences are in thousandths. `from` is the conversation that it was carried from.
fn audit(taken: &LanguageTaken, from: Option<ConversationId>) {
    tracing::info!(
        target: "audit::language",
        conversation_id = %taken.conversation,
        from_conversation_id = from.map(tracing::field::display),
        previous = taken.before.language.as_str(),
        previous_confidence = taken.before.confidence.thousandths(),
        chosen = taken.after.language.as_str(),
        chosen_confidence = taken.after.confidence.thousandths(),
        "language taken over from the tenant"
    );
}
