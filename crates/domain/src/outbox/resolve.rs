//! Finding out whether a message was made whose request had no answer.
//!
//! A status callback that carries our id settles it at once (`receipts`). Until one comes, Twilio's
//! list is read at growing intervals; after the quiet period without a trace the message is given
//! up. A later word of Twilio's overturns that.

use std::time::Duration;

use super::{Outbox, OutboxPorts};
use crate::job::{Backoff, ClaimedJob, Job, JobEnding};
use crate::message::{EventId, MessageId};
use crate::outbound::{AttemptOutcome, Outgoing, SendAttempt, SendState};
use crate::ports::{
    Adopted, NewStatusEvent, ProviderError, ProviderMessage, Sender, Sought, StoreError,
};
use crate::timestamp::Timestamp;

/// So often the list must have been read to its end before a message is given up.
const LOOKS: u32 = 3;
/// So long after an attempt's deadline Twilio may still make the message of it: what waited in its
/// front, and clocks that differ.
const LATE: Duration = Duration::from_mins(2);
/// While Twilio or the store does not answer.
const TROUBLE: Backoff = Backoff { base: Duration::from_secs(2), cap: Duration::from_mins(5) };
/// The longest and the shortest wait between two looks.
const LONGEST_WAIT: Duration = Duration::from_mins(5);
const SHORTEST_WAIT: Duration = Duration::from_millis(100);

/// What a search came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolved {
    /// It had been settled before.
    Settled,
    /// Twilio has it.
    Found {
        /// Whether we had given the message up, and were wrong.
        overturned: bool,
    },
    /// It was given up.
    GivenUp,
    /// It is looked for again later.
    Open,
}

impl Outbox {
    /// Runs a search, and ends its job.
    ///
    /// # Errors
    /// [`StoreError`]: the job's lease runs out, and it comes back.
    pub async fn resolve(
        &self,
        job: &ClaimedJob,
        message: MessageId,
        looks: u32,
    ) -> Result<Resolved, StoreError> {
        let (resolved, ending) = self.search(job, message, looks).await?;
        self.ports.queue.finish_job(job.ticket, &ending, self.ports.clock.now()).await?;
        tracing::info!(message_id = %message, looks, ?resolved, "unanswered message looked for");
        Ok(resolved)
    }

    async fn search(
        &self,
        job: &ClaimedJob,
        message: MessageId,
        looks: u32,
    ) -> Result<(Resolved, JobEnding), StoreError> {
        let OutboxPorts { store, provider, clock, .. } = &self.ports;
        let found = store.find_outgoing(message).await?;
        let open = found.filter(|outgoing| outgoing.state() == SendState::Ambiguous);
        let Some((outgoing, attempt)) = open.as_ref().and_then(with_open_attempt) else {
            return Ok((Resolved::Settled, JobEnding::Done));
        };
        let quiet_until = attempt.deadline.after(self.rules.quiet_period);
        let looked_at = clock.now();
        let candidates = match provider.find_sent(&sought(outgoing, attempt)).await {
            Ok(candidates) => candidates,
            Err(error) => return Ok((Resolved::Open, self.again(job, &error))),
        };
        match self.adopt(message, candidates).await? {
            Adopted::Taken { overturned, .. } => {
                return Ok((Resolved::Found { overturned }, JobEnding::Done));
            }
            Adopted::Wait => {
                let run_at = looked_at.after(SHORTEST_WAIT * 10);
                let job = Job::ResolveSend { message, looks };
                return Ok((Resolved::Open, JobEnding::Continue { job, run_at }));
            }
            Adopted::NotIt => {}
        }
        let looks = looks.saturating_add(1);
        if looks >= LOOKS && looked_at >= quiet_until {
            let given_up = store.conclude_not_sent(message, clock.now()).await?;
            let resolved = if given_up { Resolved::GivenUp } else { Resolved::Settled };
            return Ok((resolved, JobEnding::Done));
        }
        let run_at = next_look(looks, looked_at, quiet_until, self.rules.quiet_period);
        let job = Job::ResolveSend { message, looks };
        Ok((Resolved::Open, JobEnding::Continue { job, run_at }))
    }

    /// The first of the candidates that belongs to nobody else.
    async fn adopt(
        &self,
        message: MessageId,
        candidates: Vec<ProviderMessage>,
    ) -> Result<Adopted, StoreError> {
        for candidate in candidates {
            let event = NewStatusEvent {
                id: EventId(self.ports.ids.next()),
                report: candidate.report(Some(message)),
                received_at: self.ports.clock.now(),
            };
            match self.ports.store.adopt_found(&event).await? {
                Adopted::NotIt => {}
                decided => return Ok(decided),
            }
        }
        Ok(Adopted::NotIt)
    }

    fn again(&self, job: &ClaimedJob, error: &ProviderError) -> JobEnding {
        let asked = match error {
            ProviderError::Unavailable { retry_after, .. } => retry_after.unwrap_or_default(),
            ProviderError::Account(_) | ProviderError::Rejected(_) => Duration::ZERO,
        };
        let failures = job.failures.saturating_add(1);
        let wait = TROUBLE.wait(failures, self.ports.chance.next()).max(asked);
        JobEnding::Retry { run_at: self.ports.clock.now().after(wait), error: error.to_string() }
    }
}

fn with_open_attempt(outgoing: &Outgoing) -> Option<(&Outgoing, &SendAttempt)> {
    let is_open =
        |attempt: &&SendAttempt| matches!(attempt.outcome, None | Some(AttemptOutcome::Ambiguous));
    Some((outgoing, outgoing.attempts.iter().find(is_open)?))
}

fn sought(outgoing: &Outgoing, attempt: &SendAttempt) -> Sought {
    let message = &outgoing.message;
    Sought {
        to: message.to_number.clone(),
        sender: Sender::read(message.from_number.as_str()),
        body: message.content.clone(),
        num_media: u32::try_from(message.media.len()).unwrap_or(u32::MAX),
        not_before: attempt.started_at,
        not_after: attempt.deadline.after(LATE),
    }
}

/// Growing waits; the last look is made when the quiet period ends.
fn next_look(looks: u32, now: Timestamp, quiet_until: Timestamp, quiet: Duration) -> Timestamp {
    let next = now.after(wait_before_look(looks, quiet));
    if now < quiet_until { next.min(quiet_until) } else { next }
}

/// A sixtieth of the quiet period before the first look, then twice as long each time, up to a
/// third of it and at most five minutes.
pub(super) fn wait_before_look(looks: u32, quiet: Duration) -> Duration {
    let first = (quiet / 60).max(SHORTEST_WAIT);
    let doubled = first.saturating_mul(1_u32.checked_shl(looks).unwrap_or(u32::MAX));
    doubled.min((quiet / 3).max(SHORTEST_WAIT)).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_become_rarer_and_the_last_is_at_the_end_of_the_quiet_period() {
        let quiet = Duration::from_mins(15);
        let end = Timestamp::EPOCH.after(quiet);
        let mut now = Timestamp::EPOCH.after(wait_before_look(0, quiet));
        let (mut looks, mut waits) = (0, Vec::new());
        while now < end {
            looks += 1;
            let next = next_look(looks, now, end, quiet);
            waits.push(next.since(now).as_secs());
            now = next;
        }
        assert_eq!(now, end);
        assert_eq!(waits, [30, 60, 120, 240, 300, 135]);
    }

    #[test]
    fn a_short_quiet_period_is_searched_often_enough() {
        let quiet = Duration::from_secs(2);
        let waits: Vec<_> = (0..4).map(|n| wait_before_look(n, quiet).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 666]);
        assert_eq!(wait_before_look(40, quiet).as_millis(), 666);
    }
}
