//! Use case: somebody wants a text sent. At most one SMS for a request, followed to its end.
//!
//! Sending is three steps: claim and commit, call Twilio, record and commit. A request without an
//! answer is a state of its own, and is never repeated.

mod checks;
mod pace;
mod request;
mod resolve;
mod send;

use std::sync::Arc;
use std::time::Duration;

use crate::conversation::{ConversationId, LookupAges};
use crate::error::{Error, Invalid, Thing};
use crate::idempotency::{IdempotencyClaim, IdempotencyKey};
use crate::job::{Backoff, ClaimedJob, JobId};
use crate::message::{Message, MessageId};
use crate::origin::Origin;
use crate::outbound::Outgoing;
use crate::phone::Region;
use crate::ports::{
    Acceptance, Canceled, Chance, Clock, IdSource, JobQueue, MessageKey, NewOutbound,
    OutboundStore, Provider, ProviderError, Timer,
};
use crate::senders::Senders;

use pace::{AccountPause, Pace};

pub use request::SendRequest;
pub use resolve::Resolved;
pub use send::Performed;

/// Takes messages in to be sent, sends them, and finds out what became of them.
#[derive(Clone)]
pub struct Outbox {
    ports: OutboxPorts,
    rules: SendRules,
    senders: Senders,
    pause: Arc<AccountPause>,
    pace: Arc<Pace>,
    origin: Origin,
}

/// What an [`Outbox`] needs from outside.
#[derive(Clone)]
pub struct OutboxPorts {
    /// Where messages are kept.
    pub store: Arc<dyn OutboundStore>,
    /// Where the jobs are.
    pub queue: Arc<dyn JobQueue>,
    /// Who carries the messages.
    pub provider: Arc<dyn Provider>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Lets time pass.
    pub timer: Arc<dyn Timer>,
    /// Makes ids.
    pub ids: Arc<dyn IdSource>,
    /// Makes random numbers.
    pub chance: Arc<dyn Chance>,
}

/// The settings of sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendRules {
    /// The country whose national form numbers without `+` are in.
    pub region: Region,
    /// A message that could not be handed over for so long is given up.
    pub expiry: Duration,
    /// For so long past an attempt's deadline an unanswered message is searched for.
    pub quiet_period: Duration,
    /// Between attempts that made no message.
    pub backoff: Backoff,
    /// How many attempts may follow the first; `None`: until the message expires.
    pub max_retries: Option<u32>,
    /// For so long a process has a send job to itself. Must outlive the provider's call timeout.
    pub lease: Duration,
    /// For so long an idempotency key is kept.
    pub keep_keys: Duration,
    /// How long what a tenant lookup said is believed.
    pub lookup_ages: Option<LookupAges>,
    /// The least time between two messages of one sender; `None`: as fast as it goes.
    pub pacing: Option<Duration>,
}

/// A message that was taken in, now or by an earlier request.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    /// The message as it stands.
    pub message: Message,
    /// Whether an earlier request made it.
    pub joined: bool,
    /// The job to be run at once.
    pub job: Option<ClaimedJob>,
}

impl Outbox {
    /// An outbox that sends from `senders`.
    #[must_use]
    pub fn new(ports: OutboxPorts, rules: SendRules, senders: Senders) -> Self {
        let pace = Arc::new(Pace::new(rules.pacing));
        let (pause, origin) = (Arc::new(AccountPause::default()), Origin::default());
        Self { ports, rules, senders, pause, pace, origin }
    }

    /// The same outbox, for a request: what it takes in follows from that.
    #[must_use]
    pub fn caused_by(&self, origin: Origin) -> Self {
        Self { origin, ..self.clone() }
    }

    /// Takes a message in, durably, or finds the one that an earlier request made. `caller` is the
    /// name of the API key, `key` the header `Idempotency-Key`.
    ///
    /// # Errors
    /// [`Error::Validation`], [`Error::IdempotentDuplicate`] where the key belongs to another
    /// request, and [`Error::External`] where the store does not answer: nothing is promised then.
    pub async fn accept(
        &self,
        caller: &str,
        key: Option<&str>,
        request: &SendRequest,
    ) -> Result<Taken, Error> {
        let new = self.plan(caller, key, request)?;
        match self.ports.store.accept_outbound(&new).await? {
            Acceptance::New { message, job } => {
                tracing::info!(
                    message_id = %message.id,
                    conversation_id = %message.conversation,
                    caller,
                    "message taken in to be sent"
                );
                Ok(Taken { message: *message, joined: false, job })
            }
            Acceptance::Joined(outgoing) => {
                tracing::info!(message_id = %outgoing.message.id, "request repeats an earlier one");
                Ok(Taken { message: outgoing.message, joined: true, job: None })
            }
            Acceptance::Conflict { existing } => Err(Error::IdempotentDuplicate { existing }),
            Acceptance::NoConversation => {
                Err(invalid("conversation_id", "there is no such conversation"))
            }
            Acceptance::CannotBeTexted => Err(invalid(
                "conversation_id",
                "is a conversation with nobody who can be texted: one of our own numbers, a short \
                 code, or a sender without a number",
            )),
            Acceptance::OtherNumber => {
                Err(invalid("to", "is not the number of conversation_id: leave one of them out"))
            }
        }
    }

    /// Remembers that the caller is being told 2xx about the message: a later request that says
    /// the same is a text of its own.
    ///
    /// # Errors
    /// [`Error::External`] where the store does not answer.
    pub async fn answered(&self, message: MessageId) -> Result<(), Error> {
        Ok(self.ports.store.mark_answered(message, self.ports.clock.now()).await?)
    }

    /// The message as it stands.
    ///
    /// # Errors
    /// [`Error::NotFound`], and [`Error::External`] where the store does not answer.
    pub async fn find(&self, message: MessageId) -> Result<Outgoing, Error> {
        let found = self.ports.store.find_outgoing(message).await?;
        found.ok_or(Error::NotFound(Thing::Message))
    }

    /// Cancels a message that nobody has begun to send.
    ///
    /// # Errors
    /// [`Error::NotFound`], and [`Error::External`] where the store does not answer.
    pub async fn cancel(&self, message: MessageId) -> Result<Canceled, Error> {
        let key = MessageKey::Id(message);
        let canceled = self.ports.store.cancel_outbound(&key, self.ports.clock.now()).await?;
        if let Canceled::Done(message) = &canceled {
            tracing::info!(message_id = %message.id, "message cancelled");
        }
        Ok(canceled)
    }

    /// What a provider's error code means, in plain words.
    #[must_use]
    pub fn explain(&self, code: &str) -> Option<&'static str> {
        self.ports.provider.explain(code)
    }

    /// Whether the provider takes our account now.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn check_provider(&self) -> Result<(), ProviderError> {
        self.ports.provider.check().await
    }

    /// Whether sending is paused because the provider refuses our account.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.pause.is_on()
    }

    /// Everything that is to be written, decided before the store is asked.
    fn plan(
        &self,
        caller: &str,
        key: Option<&str>,
        request: &SendRequest,
    ) -> Result<NewOutbound, Invalid> {
        let checked = request.check(self.rules.region, &self.senders)?;
        let key = key.map(request::idempotency_key).transpose()?;
        let OutboxPorts { ids, clock, .. } = &self.ports;
        let now = clock.now();
        Ok(NewOutbound {
            id: MessageId(ids.next()),
            conversation: ConversationId(ids.next()),
            send_job: JobId(ids.next()),
            lookup_job: JobId(ids.next()),
            language_job: JobId(ids.next()),
            lookup_ages: self.rules.lookup_ages,
            idempotency: IdempotencyClaim {
                caller: caller.to_owned(),
                key: key.map_or(IdempotencyKey::Guessed, IdempotencyKey::Given),
                request_hash: checked.hash(),
                keep: self.rules.keep_keys,
            },
            recipient: checked.recipient,
            body: checked.body,
            media: checked.media,
            from: checked.from,
            senders: self.senders.clone(),
            workflow_type: checked.workflow_type,
            workflow_id: checked.workflow_id,
            accepted_at: now,
            expires_at: now.after(self.rules.expiry),
            lease_until: now.after(self.rules.lease),
            origin: self.origin.clone(),
        })
    }
}

fn invalid(field: &'static str, reason: &'static str) -> Error {
    Error::Validation(Invalid { field, reason: reason.into() })
}
