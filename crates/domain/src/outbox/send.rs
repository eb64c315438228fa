//! One send job: claim and commit, call Twilio, record and commit.

use std::time::Duration;

use super::pace::Turn;
use super::{Outbox, OutboxPorts, resolve};
use crate::error::causes;
use crate::job::{Backoff, ClaimedJob, JobEnding, JobId};
use crate::message::MessageId;
use crate::outbound::{
    self, AfterUnsent, AttemptEnd, AttemptId, Beginning, EXHAUSTED, EXPIRED, LEFT, NewAttempt,
    Outgoing, SendAttempt, SendState,
};
use crate::phone::masked;
use crate::ports::{
    AttemptRecorded, Attended, Begun, ProviderError, ProviderFault, SendOrder, SendOutcome, Sender,
    StoreError, UnsentReason,
};
use crate::timestamp::Timestamp;

/// While a number's queue is full or its window closed.
const WINDOW_BACKOFF: Backoff =
    Backoff { base: Duration::from_mins(1), cap: Duration::from_mins(30) };
/// A message whose turn comes within this time is waited for.
const SHORT_WAIT: Duration = Duration::from_secs(1);
/// How long to wait between two tries to record what Twilio answered, and how often.
const RECORD_BACKOFF: Backoff =
    Backoff { base: Duration::from_millis(50), cap: Duration::from_secs(2) };
const RECORD_TRIES: u32 = 60;
/// How long an attempt may take to begin where the store is slow to say so, and how often it is
/// asked. The lease outlives both, and the call: the settings see to it.
const BEGIN_PATIENCE: Duration = Duration::from_secs(3);
const BEGIN_TRIES: u32 = 2;

/// What became of a send job.
#[derive(Debug, Clone, PartialEq)]
pub enum Performed {
    /// A request was made and its end recorded.
    Attempted {
        /// The message as it is now.
        outgoing: Box<Outgoing>,
        /// `accepted`, `refused`, `busy`, `window`, `account` or `ambiguous`.
        outcome: &'static str,
        /// Twilio's error code, or a word of ours.
        code: Option<String>,
        /// Whether we had given the message up, and were wrong.
        overturned: bool,
    },
    /// A request was made, and its end could not be recorded: the search will find it.
    Unrecorded,
    /// Nothing was to be done, or could be; the message as it is now.
    Settled(Box<Outgoing>),
    /// It waits for its turn.
    Postponed,
    /// The job is no longer ours.
    Lost,
}

impl Performed {
    /// The message as it is now, where that is known.
    #[must_use]
    pub fn into_outgoing(self) -> Option<Outgoing> {
        match self {
            Self::Attempted { outgoing, .. } | Self::Settled(outgoing) => Some(*outgoing),
            Self::Unrecorded | Self::Postponed | Self::Lost => None,
        }
    }
}

impl Outbox {
    /// Runs a send job. `attended` tells whether the caller still waits for the answer.
    ///
    /// # Errors
    /// [`StoreError`] where the job could not be begun: its lease runs out, and it comes back.
    pub async fn perform(
        &self,
        job: &ClaimedJob,
        message: MessageId,
        attended: &Attended,
    ) -> Result<Performed, StoreError> {
        if let Turn::Later(run_at) = self.turn(message).await?
            && !self.has_expired(message).await?
        {
            return self.postpone(job, run_at).await;
        }
        self.pace.forget(message);
        let attempt = self.new_attempt(job, message);
        match self.begin(&attempt).await {
            Ok(Begun::As(Beginning::Go, outgoing)) => {
                Ok(self.attempt(&attempt, &outgoing, attended).await)
            }
            Ok(Begun::As(_, outgoing)) => Ok(Performed::Settled(outgoing)),
            Ok(Begun::Lost) => {
                // The lease may have become too short while it waited: others may have it now.
                let run_at = self.ports.clock.now();
                self.postpone(job, run_at).await?;
                Ok(Performed::Lost)
            }
            Err(StoreError::Unavailable(_)) => Ok(self.leave(&attempt, attended).await),
            Err(error) => Err(error),
        }
    }

    /// Begins the attempt. A store that did not say in time whether it has begun is asked again:
    /// the same attempt begins once.
    async fn begin(&self, attempt: &NewAttempt) -> Result<Begun, StoreError> {
        let OutboxPorts { store, timer, chance, .. } = &self.ports;
        let mut tries = 1;
        loop {
            match store.begin_attempt(attempt).await {
                Err(StoreError::Unavailable(_)) if tries < BEGIN_TRIES => {
                    timer.sleep(RECORD_BACKOFF.wait(tries, chance.next())).await;
                    tries += 1;
                }
                begun => return begun,
            }
        }
    }

    /// Leaves an attempt that may have begun, without the request: nothing was sent, and that is
    /// recorded once the store answers.
    async fn leave(&self, attempt: &NewAttempt, attended: &Attended) -> Performed {
        let now = self.ports.clock.now();
        let fault = ProviderFault {
            status: None,
            code: Some(LEFT.into()),
            message: Some("The store did not answer in time; nothing was sent.".into()),
        };
        let reason = UnsentReason::Busy;
        let mut end = AttemptEnd {
            outcome: SendOutcome::Unsent { reason, fault, retry_after: None },
            if_unsent: AfterUnsent::RetryAt(now),
            ..self.end_of(attempt, now)
        };
        match self.record(&mut end, attended).await {
            Some(recorded) => report(&end, recorded),
            None => Performed::Unrecorded,
        }
    }

    /// Whether it waits although its time is over: then it is given up, whatever holds it up.
    async fn has_expired(&self, message: MessageId) -> Result<bool, StoreError> {
        let now = self.ports.clock.now();
        let known = self.ports.store.find_outgoing(message).await?;
        let waits_in_vain =
            |known: Outgoing| known.state() == SendState::Pending && known.is_expired(now);
        Ok(known.is_some_and(waits_in_vain))
    }

    /// Makes the request and records what came of it.
    async fn attempt(
        &self,
        attempt: &NewAttempt,
        outgoing: &Outgoing,
        attended: &Attended,
    ) -> Performed {
        let to = outgoing.message.to_number.as_str();
        tracing::Span::current().record("phone", masked(to));
        let outcome = self.ports.provider.send(&self.order(outgoing)).await;
        let now = self.ports.clock.now();
        if let SendOutcome::Unsent { reason: UnsentReason::Account, fault, .. } = &outcome {
            self.pause.begin(now);
            tracing::error!(code = fault.code, "Twilio refuses our account: sending pauses");
        }
        let mut end = AttemptEnd {
            if_unsent: self.after_unsent(outgoing, &outcome, now),
            outcome,
            ..self.end_of(attempt, now)
        };
        match self.record(&mut end, attended).await {
            Some(recorded) => report(&end, recorded),
            None => Performed::Unrecorded,
        }
    }

    /// Tries for minutes: what Twilio answered must not be forgotten.
    async fn record(&self, end: &mut AttemptEnd, attended: &Attended) -> Option<AttemptRecorded> {
        for tries in 1..=RECORD_TRIES {
            end.attended = attended();
            match self.ports.store.record_attempt(end).await {
                Ok(recorded) => return recorded,
                Err(error) => {
                    let error = causes(&error);
                    tracing::error!(message_id = %end.message, tries, error, "not recorded yet");
                }
            }
            self.ports.timer.sleep(RECORD_BACKOFF.wait(tries, self.ports.chance.next())).await;
        }
        None
    }

    /// Whether the message may be sent now: the account is good, and its sender's turn has come.
    async fn turn(&self, message: MessageId) -> Result<Turn, StoreError> {
        let OutboxPorts { clock, provider, store, timer, .. } = &self.ports;
        match self.pause.turn(clock.now()) {
            Turn::Now => {}
            Turn::Later(run_at) => return Ok(Turn::Later(run_at)),
            Turn::Probe => {
                // Without an answer nobody knows; where it says something else it takes us.
                if let Err(ProviderError::Account(_) | ProviderError::Unavailable { .. }) =
                    provider.check().await
                {
                    return Ok(Turn::Later(self.pause.begin(clock.now())));
                }
                self.pause.end();
                tracing::info!("Twilio takes our account again: sending goes on");
            }
        }
        if !self.pace.is_on() {
            return Ok(Turn::Now);
        }
        let Some(outgoing) = store.find_outgoing(message).await? else {
            return Ok(Turn::Now);
        };
        let now = clock.now();
        let slot = self.pace.slot(outgoing.message.from_number.as_str(), message, now);
        if slot > now.after(SHORT_WAIT) {
            return Ok(Turn::Later(slot));
        }
        timer.sleep(slot.since(now)).await;
        Ok(Turn::Now)
    }

    async fn postpone(&self, job: &ClaimedJob, run_at: Timestamp) -> Result<Performed, StoreError> {
        let ending = JobEnding::Release { run_at };
        self.ports.queue.finish_job(job.ticket, &ending, self.ports.clock.now()).await?;
        Ok(Performed::Postponed)
    }

    fn new_attempt(&self, job: &ClaimedJob, message: MessageId) -> NewAttempt {
        let OutboxPorts { clock, ids, provider, .. } = &self.ports;
        let at = clock.now();
        NewAttempt {
            id: AttemptId(ids.next()),
            message,
            ticket: job.ticket,
            at,
            deadline: at.after(provider.call_timeout() + BEGIN_PATIENCE),
            resolve_job: JobId(ids.next()),
            resolve_at: at,
            origin: job.origin.clone(),
        }
    }

    /// An attempt that ends now, for all that is known without its outcome.
    fn end_of(&self, attempt: &NewAttempt, now: Timestamp) -> AttemptEnd {
        AttemptEnd {
            attempt: attempt.id,
            message: attempt.message,
            ticket: attempt.ticket,
            at: now,
            outcome: SendOutcome::Ambiguous(ProviderFault::default()),
            if_unsent: AfterUnsent::RetryAt(now),
            resolve_job: attempt.resolve_job,
            resolve_at: now.after(self.first_look()),
            attended: false,
            origin: attempt.origin.clone(),
        }
    }

    fn order(&self, outgoing: &Outgoing) -> SendOrder {
        let message = &outgoing.message;
        let expires_at = message.sending.as_ref().map(|sending| sending.expires_at);
        let now = self.ports.clock.now();
        SendOrder {
            message: message.id,
            to: message.to_number.clone(),
            sender: Sender::read(message.from_number.as_str()),
            body: message.content.clone(),
            media: message.media.iter().map(|media| media.url.clone()).collect(),
            validity: expires_at.map_or(self.rules.expiry, |expires_at| expires_at.since(now)),
        }
    }

    /// What follows if no message was made: another attempt while there is time and leave.
    fn after_unsent(
        &self,
        outgoing: &Outgoing,
        outcome: &SendOutcome,
        now: Timestamp,
    ) -> AfterUnsent {
        let SendOutcome::Unsent { reason, fault, retry_after } = outcome else {
            return AfterUnsent::RetryAt(now);
        };
        if outbound::is_not_begun(fault.code.as_deref()) {
            return AfterUnsent::RetryAt(now);
        }
        let tries = self.tries(outgoing);
        let chance = self.ports.chance.next();
        let wait = match reason {
            UnsentReason::Busy => self.rules.backoff.wait(tries, chance),
            UnsentReason::Window => WINDOW_BACKOFF.wait(tries, chance),
            UnsentReason::Account => Duration::ZERO,
        };
        let again = now.after(wait.max(retry_after.unwrap_or_default()));
        let expires_at = outgoing.message.sending.as_ref().map(|sending| sending.expires_at);
        let may_retry = self.rules.max_retries.is_none_or(|most| tries <= most);
        if expires_at.is_some_and(|expires_at| again >= expires_at) {
            AfterUnsent::GiveUp(EXPIRED)
        } else if *reason == UnsentReason::Busy && !may_retry {
            AfterUnsent::GiveUp(EXHAUSTED)
        } else {
            AfterUnsent::RetryAt(again)
        }
    }

    /// How often it was tried, with the attempt that has just been made: since it was taken in or
    /// revived, without those that were refused for our account, or not begun.
    fn tries(&self, outgoing: &Outgoing) -> u32 {
        let expires_at = outgoing.message.sending.as_ref().map(|sending| sending.expires_at);
        let counts = |attempt: &&SendAttempt| {
            let latest = attempt.started_at.after(self.rules.expiry);
            attempt.was_begun()
                && !matches!(attempt.status_code, Some(401 | 403))
                && expires_at.is_none_or(|expires_at| latest >= expires_at)
        };
        let tries = outgoing.attempts.iter().filter(counts).count();
        u32::try_from(tries).unwrap_or(u32::MAX).max(1)
    }

    fn first_look(&self) -> Duration {
        resolve::wait_before_look(0, self.rules.quiet_period)
    }
}

fn report(end: &AttemptEnd, recorded: AttemptRecorded) -> Performed {
    let (outcome, fault) = match &end.outcome {
        SendOutcome::Accepted(_) => ("accepted", None),
        SendOutcome::Refused(fault) => ("refused", Some(fault)),
        SendOutcome::Unsent { reason, fault, .. } => (reason.as_str(), Some(fault)),
        SendOutcome::Ambiguous(fault) => ("ambiguous", Some(fault)),
    };
    let code = fault.and_then(|fault| fault.code.clone());
    let message = &recorded.outgoing.message;
    tracing::info!(
        message_id = %message.id,
        conversation_id = %message.conversation,
        twilio_sid = message.twilio_sid.as_ref().map(tracing::field::display),
        outcome,
        code,
        http_status = fault.and_then(|fault| fault.status),
        "send attempted"
    );
    if let SendOutcome::Accepted(made) = &end.outcome
        && message.twilio_sid.as_ref() != Some(&made.sid)
    {
        tracing::error!(
            message_id = %message.id,
            twilio_sid = %made.sid,
            "Twilio has this message under two SIDs"
        );
    }
    let (outgoing, overturned) = (Box::new(recorded.outgoing), recorded.overturned);
    Performed::Attempted { outgoing, outcome, code, overturned }
}
