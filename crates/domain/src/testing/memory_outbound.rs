//! The part of the store that forgets which keeps messages from us, and jobs.

use async_trait::async_trait;
use uuid::Uuid;

use super::inspect::JobRecord;
use super::memory::{InMemoryStore, Tables};
use crate::conversation::Conversation;
use crate::idempotency::{Decision, Earlier};
use crate::job::{ClaimedJob, Job, JobEnding, JobState, NewJob, Ticket};
use crate::message::{Direction, Message, MessageId, RawPayload, StatusEvent, TwilioSid};
use crate::outbound::{AttemptEnd, Moved, NewAttempt, Outgoing, SendAttempt, SendState, Step};
use crate::ports::{
    Acceptance, Adopted, AttemptRecorded, Begun, Canceled, Cursor, Housekeeping, JobClaim,
    JobQuery, JobQueue, JobRetried, JobRetry, JobView, MessageKey, MessagePage, MessageQuery,
    NewOutbound, NewStatusEvent, OutboundStore, SendOutcome, StatusRecorded, StoreError, Swept,
};
use crate::timestamp::Timestamp;

/// A row of `jobs`.
#[derive(Debug, Clone)]
pub(super) struct JobRow {
    pub(super) record: JobRecord,
    pub(super) lane: Option<Uuid>,
    pub(super) place: u64,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    pub(super) finished_at: Option<Timestamp>,
}

/// A row of `idempotency_keys`.
#[derive(Debug, Clone)]
pub(super) struct KeyRow {
    request_hash: String,
    message: MessageId,
    created_at: Timestamp,
    answered: bool,
}

impl JobRow {
    fn is_called(&self, unique_key: &str) -> bool {
        self.record.unique_key == unique_key && !self.is(JobState::Done)
    }

    pub(super) fn is(&self, state: JobState) -> bool {
        self.record.state == state.as_str()
    }

    fn is_unfinished(&self) -> bool {
        self.is(JobState::Queued) || self.is(JobState::Running)
    }

    fn holds(&self, ticket: Ticket) -> bool {
        self.record.id == ticket.id
            && self.record.attempts == ticket.attempt
            && self.is(JobState::Running)
    }

    fn is_due(&self, claim: &JobClaim) -> bool {
        let lease_over = self.record.lease_expires_at.is_some_and(|until| until <= claim.at);
        let due = (self.is(JobState::Queued) && self.record.run_at <= claim.at)
            || (self.is(JobState::Running) && lease_over);
        due && claim.kinds.contains(&self.record.kind.as_str())
    }

    fn become_state(&mut self, state: JobState, at: Timestamp) {
        state.as_str().clone_into(&mut self.record.state);
        self.record.lease_expires_at = None;
        self.updated_at = at;
        self.finished_at = matches!(state, JobState::Done | JobState::Parked).then_some(at);
    }

    fn end(&mut self, ending: &JobEnding, at: Timestamp) {
        match ending {
            JobEnding::Done => self.become_state(JobState::Done, at),
            JobEnding::Park { error } => {
                self.become_state(JobState::Parked, at);
                self.record.last_error = Some(error.clone());
            }
            JobEnding::Continue { job, run_at } => {
                self.become_state(JobState::Queued, at);
                (self.record.run_at, self.record.failures) = (*run_at, 0);
                self.record.payload = job.payload();
            }
            JobEnding::Retry { run_at, error } => {
                self.become_state(JobState::Queued, at);
                self.record.run_at = *run_at;
                self.record.failures += 1;
                self.record.last_error = Some(error.clone());
            }
            JobEnding::Release { run_at } => {
                self.become_state(JobState::Queued, at);
                self.record.run_at = *run_at;
            }
        }
    }
}

#[async_trait]
impl OutboundStore for InMemoryStore {
    async fn accept_outbound(&self, new: &NewOutbound) -> Result<Acceptance, StoreError> {
        Ok(self.tables().accept(new))
    }

    async fn mark_answered(&self, message: MessageId, _: Timestamp) -> Result<(), StoreError> {
        self.tables().answered(message);
        Ok(())
    }

    async fn find_outgoing(&self, message: MessageId) -> Result<Option<Outgoing>, StoreError> {
        Ok(self.tables().outbound(message))
    }

    async fn begin_attempt(&self, new: &NewAttempt) -> Result<Begun, StoreError> {
        Ok(self.tables().begin(new))
    }

    async fn record_attempt(
        &self,
        end: &AttemptEnd,
    ) -> Result<Option<AttemptRecorded>, StoreError> {
        Ok(self.tables().record_attempt(end))
    }

    async fn adopt_found(&self, event: &NewStatusEvent) -> Result<Adopted, StoreError> {
        Ok(self.tables().adopt(event))
    }

    async fn conclude_not_sent(
        &self,
        message: MessageId,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut tables = self.tables();
        let step = tables.outbound(message).and_then(|outgoing| outgoing.conclude(at));
        Ok(step.map(|step| tables.write(step, None, at)).is_some())
    }

    async fn cancel_outbound(
        &self,
        key: &MessageKey,
        at: Timestamp,
    ) -> Result<Canceled, StoreError> {
        Ok(self.tables().cancel(key, at))
    }

    async fn list_messages(&self, query: &MessageQuery) -> Result<MessagePage, StoreError> {
        Ok(self.tables().list_messages(query))
    }

    async fn claim_status_checks(
        &self,
        at: Timestamp,
        again_at: Timestamp,
        limit: u32,
    ) -> Result<Vec<(MessageId, TwilioSid)>, StoreError> {
        Ok(self.tables().claim_checks(at, again_at, limit))
    }

    async fn finish_status_check(
        &self,
        message: MessageId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        if let Some((stored, _)) = self.tables().messages.get_mut(&message) {
            stored.sending = stored.sending.as_ref().map(|sending| sending.checked(at));
        }
        Ok(())
    }
}

#[async_trait]
impl JobQueue for InMemoryStore {
    async fn claim_jobs(&self, claim: &JobClaim) -> Result<Vec<ClaimedJob>, StoreError> {
        Ok(self.tables().claim(claim))
    }

    async fn finish_job(
        &self,
        ticket: Ticket,
        ending: &JobEnding,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        Ok(self.tables().finish(ticket, ending, at))
    }

    async fn list_jobs(&self, query: &JobQuery) -> Result<Vec<JobView>, StoreError> {
        Ok(self.tables().list_jobs(query))
    }

    async fn retry_job(&self, retry: &JobRetry) -> Result<JobRetried, StoreError> {
        Ok(self.tables().retry(retry))
    }

    async fn housekeep(&self, what: &Housekeeping) -> Result<Swept, StoreError> {
        Ok(self.tables().housekeep(what))
    }
}

impl Tables {
    /// Whether a job with that key is not done yet.
    pub(super) fn is_unfinished(&self, unique_key: &str) -> bool {
        self.jobs.values().any(|row| row.is_called(unique_key))
    }

    /// The message with its attempts.
    pub(super) fn outgoing(&self, message: &Message) -> Outgoing {
        Outgoing { message: message.clone(), attempts: self.attempts_of(message.id) }
    }

    pub(super) fn attempts_of(&self, message: MessageId) -> Vec<SendAttempt> {
        let of_message = |attempt: &&SendAttempt| attempt.message == message;
        let mut attempts: Vec<_> = self.attempts.values().filter(of_message).cloned().collect();
        attempts.sort_by_key(|attempt| attempt.number);
        attempts
    }

    /// Gives the message the reports that waited for its SID.
    pub(super) fn attach(&mut self, sid: &TwilioSid, message: MessageId) -> Vec<StatusEvent> {
        let mut attached = Vec::new();
        for event in self.events.values_mut() {
            if event.twilio_sid == *sid && event.message.is_none() {
                event.message = Some(message);
                attached.push(event.clone());
            }
        }
        attached
    }

    /// Writes all that a rule has led to.
    pub(super) fn write(&mut self, step: Step, ticket: Option<Ticket>, at: Timestamp) {
        let before = self.messages.get(&step.after.message.id).map(|(message, _)| message.clone());
        let events = before.map(|before| step.events(&before, at)).unwrap_or_default();
        let Outgoing { message, attempts } = step.after;
        for attempt in attempts {
            self.attempts.insert(attempt.id, attempt);
        }
        if let (Some(sent_at), Some(conversation)) =
            (step.sent_at, self.conversations.get_mut(&message.conversation))
        {
            conversation.last_message_at = conversation.last_message_at.max(Some(sent_at));
            conversation.updated_at = conversation.updated_at.max(sent_at);
            conversation.our_number = Some(message.from_number.clone());
        }
        if let Some((stored, _)) = self.messages.get_mut(&message.id) {
            *stored = message;
        }
        self.note(events);
        if let Some(job) = step.follow_up {
            self.enqueue(&job);
        }
        if let (Some(ticket), Some(ending)) = (ticket, step.ending) {
            self.finish(ticket, &ending, at);
        }
    }

    fn accept(&mut self, new: &NewOutbound) -> Acceptance {
        let key = (new.idempotency.caller.clone(), new.idempotency.stored_key());
        if let Some(answer) = self.earlier(new, &key) {
            return answer;
        }
        let known = match (new.recipient.conversation, &new.recipient.address) {
            (Some(id), _) => self.conversations.get(&id).cloned(),
            (None, Some((address, _))) => self.conversation_of(&address.canonical()),
            (None, None) => None,
        };
        let before: Conversation = match new.open(known) {
            Ok(before) => before,
            Err(refusal) => return refusal,
        };
        let message = new.stored_in(&before);
        let after = before.with_outbound(new, &message.from_number);
        for job in after.follow_ups(&new.follow_ups()) {
            self.enqueue(&job);
        }
        let job = self.enqueue_send(new, &after);
        self.keys.insert(
            key,
            KeyRow {
                request_hash: new.idempotency.request_hash.clone(),
                message: new.id,
                created_at: new.accepted_at,
                answered: false,
            },
        );
        self.messages.insert(new.id, (message.clone(), RawPayload::default()));
        self.conversations.insert(after.id, after);
        Acceptance::New { message: Box::new(message), job }
    }

    /// What the earlier request with that key decides, if it decides.
    fn earlier(&mut self, new: &NewOutbound, key: &(String, String)) -> Option<Acceptance> {
        let row = self.keys.get(key)?.clone();
        let outgoing = self.outbound(row.message)?;
        let earlier = Earlier {
            request_hash: row.request_hash.clone(),
            created_at: row.created_at,
            answered: row.answered,
            state: outgoing.state(),
            frees_its_key: outgoing.frees_its_key(),
        };
        match new.idempotency.decide(&earlier, new.accepted_at) {
            Decision::Join => Some(Acceptance::Joined(Box::new(outgoing))),
            Decision::Conflict => Some(Acceptance::Conflict { existing: row.message }),
            Decision::Replace => {
                if outgoing.is_proven_unsent() {
                    self.call_off(&outgoing, JobState::Parked, new.accepted_at);
                }
                None
            }
        }
    }

    /// Nobody needs the job that sends that message any more, where it stands so.
    fn call_off(&mut self, outgoing: &Outgoing, state: JobState, at: Timestamp) {
        let unique_key = outgoing.send_job().unique_key();
        for row in self.jobs.values_mut() {
            if row.record.unique_key == unique_key && row.is(state) {
                row.become_state(JobState::Done, at);
            }
        }
    }

    fn enqueue_send(&mut self, new: &NewOutbound, to: &Conversation) -> Option<ClaimedJob> {
        let job = new.job(to.id);
        let is_taken = |row: &JobRow| row.lane == job.lane() && row.is_unfinished();
        let waits = self.jobs.values().any(is_taken);
        let (id, run_at, origin) = (new.send_job, new.accepted_at, new.origin.clone());
        self.enqueue(&NewJob { id, job, run_at, origin });
        if waits {
            return None;
        }
        let row = self.jobs.get_mut(&new.send_job)?;
        JobState::Running.as_str().clone_into(&mut row.record.state);
        row.record.attempts = 1;
        row.record.lease_expires_at = Some(new.lease_until);
        Some(new.claimed(to.id))
    }

    fn answered(&mut self, message: MessageId) {
        for row in self.keys.values_mut().filter(|row| row.message == message) {
            row.answered = true;
        }
    }

    fn outbound(&self, id: MessageId) -> Option<Outgoing> {
        let (message, _) = self.messages.get(&id)?;
        (message.direction == Direction::Outbound).then(|| self.outgoing(message))
    }

    fn begin(&mut self, new: &NewAttempt) -> Begun {
        let outlives = |row: &JobRow| {
            row.holds(new.ticket) && row.record.lease_expires_at >= Some(new.deadline)
        };
        let holds = self.jobs.get(&new.ticket.id).is_some_and(outlives);
        let Some(outgoing) = self.outbound(new.message).filter(|_| holds) else {
            return Begun::Lost;
        };
        let (step, beginning) = outgoing.begin(new);
        let after = Box::new(step.after.clone());
        self.write(step, Some(new.ticket), new.at);
        Begun::As(beginning, after)
    }

    fn record_attempt(&mut self, end: &AttemptEnd) -> Option<AttemptRecorded> {
        let outgoing = self.outbound(end.message)?;
        let parked = match &end.outcome {
            SendOutcome::Accepted(made) => self.attach(&made.sid, end.message),
            _ => Vec::new(),
        };
        let step = outgoing.record(end, &parked);
        let moved = Moved::between(&outgoing.message, &step.after.message);
        let (outgoing, overturned) = (step.after.clone(), step.overturned);
        self.write(step, Some(end.ticket), end.at);
        if end.attended && !matches!(outgoing.state(), SendState::Refused | SendState::NotSent) {
            self.answered(end.message);
        }
        Some(AttemptRecorded { outgoing, overturned, moved })
    }

    fn adopt(&mut self, event: &NewStatusEvent) -> Adopted {
        let report = &event.report;
        let Some(id) = self.nameless(report.message) else {
            return Adopted::NotIt;
        };
        if self.message_of(&report.twilio_sid).is_some() {
            return Adopted::NotIt;
        }
        let conversation = self.messages.get(&id).map(|(message, _)| message.conversation);
        let is_rival = |(message, _): &(Message, RawPayload)| {
            let sending = message.sending.as_ref();
            message.id != id
                && Some(message.conversation) == conversation
                && sending.is_some_and(|sending| sending.state == SendState::InFlight)
        };
        if self.messages.values().any(is_rival) {
            return Adopted::Wait;
        }
        match self.record_status(event) {
            StatusRecorded::Applied { overturned, moved, .. } => {
                Adopted::Taken { overturned, moved }
            }
            StatusRecorded::Parked => Adopted::NotIt,
        }
    }

    fn cancel(&mut self, key: &MessageKey, at: Timestamp) -> Canceled {
        let id = match key {
            MessageKey::Id(id) => Some(*id),
            MessageKey::Sid(sid) => self.message_of(sid),
        };
        let Some(outgoing) = id.and_then(|id| self.outbound(id)) else {
            return Canceled::NotFound;
        };
        let Some(step) = outgoing.cancel(at) else {
            return Canceled::TooLate(Box::new(outgoing.message));
        };
        for state in [JobState::Queued, JobState::Running, JobState::Parked] {
            self.call_off(&outgoing, state, at);
        }
        let message = step.after.message.clone();
        self.write(step, None, at);
        Canceled::Done(Box::new(message))
    }

    fn list_messages(&self, query: &MessageQuery) -> MessagePage {
        let fits = |message: &&Message| {
            let place = (message.created_at, message.id);
            query.status.is_none_or(|status| message.shown().status == status)
                && query.direction.is_none_or(|direction| message.direction == direction)
                && query.since.is_none_or(|since| message.created_at >= since)
                && query.behind.is_none_or(|cursor| place < (cursor.created_at, cursor.id))
        };
        let mut found: Vec<&Message> =
            self.messages.values().map(|(message, _)| message).filter(fits).collect();
        found.sort_by_key(|message| std::cmp::Reverse((message.created_at, message.id)));
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let more = found.len() > limit;
        found.truncate(limit);
        let last = found.last().map(|last| Cursor { created_at: last.created_at, id: last.id });
        let messages = found.into_iter().cloned().collect();
        MessagePage { messages, next: last.filter(|_| more) }
    }

    fn claim_checks(
        &mut self,
        at: Timestamp,
        again_at: Timestamp,
        limit: u32,
    ) -> Vec<(MessageId, TwilioSid)> {
        let mut due: Vec<_> = self
            .messages
            .values_mut()
            .filter_map(|(message, _)| {
                let sending = message.sending.as_mut()?;
                let due_at = sending.next_check_at.filter(|due| *due <= at)?;
                Some((due_at, message.id, message.twilio_sid.clone()?, sending))
            })
            .collect();
        due.sort_by_key(|(due_at, id, ..)| (*due_at, *id));
        due.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let claimed = due.into_iter().map(|(_, id, sid, sending)| {
            sending.next_check_at = Some(again_at);
            (id, sid)
        });
        claimed.collect()
    }

    fn claim(&mut self, claim: &JobClaim) -> Vec<ClaimedJob> {
        let is_first = |row: &JobRow| {
            row.lane.is_none()
                || !self.jobs.values().any(|other| {
                    other.lane == row.lane && other.is_unfinished() && other.place < row.place
                })
        };
        let mut due: Vec<_> = self
            .jobs
            .values()
            .filter(|row| row.is_due(claim) && is_first(row))
            .map(|row| (row.record.run_at, row.place, row.record.id))
            .collect();
        due.sort_unstable();
        due.truncate(usize::try_from(claim.limit).unwrap_or(usize::MAX));
        let mut claimed = Vec::new();
        for (_, _, id) in due {
            claimed.extend(self.jobs.get_mut(&id).and_then(|row| take(row, claim)));
        }
        claimed
    }

    fn finish(&mut self, ticket: Ticket, ending: &JobEnding, at: Timestamp) -> bool {
        let row = self.jobs.get_mut(&ticket.id).filter(|row| row.holds(ticket));
        row.map(|row| row.end(ending, at)).is_some()
    }

    fn list_jobs(&self, query: &JobQuery) -> Vec<JobView> {
        let mut rows: Vec<_> = self
            .jobs
            .values()
            .filter(|row| query.state.is_none_or(|state| row.is(state)))
            .collect();
        rows.sort_by_key(|row| std::cmp::Reverse((row.updated_at, row.record.id)));
        let count = |number| usize::try_from(number).unwrap_or(usize::MAX);
        rows.into_iter().skip(count(query.offset)).take(count(query.limit)).map(view).collect()
    }

    fn retry(&mut self, retry: &JobRetry) -> JobRetried {
        let Some(row) = self.jobs.get(&retry.id).cloned() else {
            return JobRetried::NotFound;
        };
        let key = &row.record.unique_key;
        let again = |other: &JobRow| other.is_unfinished() && other.record.unique_key == *key;
        if !row.is(JobState::Parked) || self.jobs.values().any(again) {
            return JobRetried::NotParked;
        }
        if let Some(Job::Send { message, .. }) = job_of(&row) {
            let outgoing = self.outbound(message);
            let step = outgoing.and_then(|known| known.revive(retry.at, retry.expires_at));
            let Some(step) = step else {
                return JobRetried::MaybeSent;
            };
            self.write(step, None, retry.at);
        }
        let place = self.jobs.values().map(|row| row.place).max().unwrap_or(0) + 1;
        if let Some(row) = self.jobs.get_mut(&retry.id) {
            row.become_state(JobState::Queued, retry.at);
            row.place = place;
            (row.record.run_at, row.record.failures) = (retry.at, 0);
        }
        JobRetried::Queued
    }

    fn housekeep(&mut self, what: &Housekeeping) -> Swept {
        let limit = usize::try_from(what.limit).unwrap_or(usize::MAX);
        let old = |row: &JobRow| {
            let before = |limit| row.finished_at.is_some_and(|at| at < limit);
            (row.is(JobState::Done) && before(what.done_jobs))
                || (row.is(JobState::Parked) && before(what.parked_jobs))
        };
        let jobs: Vec<_> = self
            .jobs
            .values()
            .filter(|row| old(row))
            .map(|row| row.record.id)
            .take(limit)
            .collect();
        self.jobs.retain(|id, _| !jobs.contains(id));
        let old = |row: &KeyRow| row.created_at < what.idempotency_keys;
        let keys = self.keys.iter().filter(|(_, row)| old(row)).take(limit);
        let keys: Vec<_> = keys.map(|(key, _)| key.clone()).collect();
        self.keys.retain(|key, _| !keys.contains(key));
        let old =
            |event: &StatusEvent| event.message.is_none() && event.created_at < what.parked_events;
        let events = self.events.values().filter(|event| old(event)).map(|event| event.id);
        let events: Vec<_> = events.take(limit).collect();
        self.events.retain(|id, _| !events.contains(id));
        let count = |rows: usize| u64::try_from(rows).unwrap_or(u64::MAX);
        Swept {
            jobs: count(jobs.len()),
            idempotency_keys: count(keys.len()),
            parked_events: count(events.len()),
            raw_payloads: what.raw_payloads.map_or(0, |before| self.drop_payloads(before, limit)),
        }
    }

    /// Of each kind the oldest first; gives how many.
    fn drop_payloads(&mut self, before: Timestamp, limit: usize) -> u64 {
        let messages = self.messages.values_mut();
        let of_messages = messages.map(|(message, raw)| (message.created_at, raw));
        let events = self.events.values_mut();
        let of_events = events.map(|event| (event.created_at, &mut event.raw));
        drop_oldest(of_messages.collect(), before, limit)
            + drop_oldest(of_events.collect(), before, limit)
    }
}

fn drop_oldest(
    mut payloads: Vec<(Timestamp, &mut RawPayload)>,
    before: Timestamp,
    limit: usize,
) -> u64 {
    payloads.retain(|(at, raw)| *at < before && **raw != RawPayload::default());
    payloads.sort_by_key(|(at, _)| *at);
    let oldest = payloads.into_iter().take(limit);
    oldest.map(|(_, raw)| *raw = RawPayload::default()).map(|()| 1).sum()
}

fn job_of(row: &JobRow) -> Option<Job> {
    Job::from_stored(&row.record.kind, &row.record.payload)
}

fn take(row: &mut JobRow, claim: &JobClaim) -> Option<ClaimedJob> {
    let job = job_of(row)?;
    JobState::Running.as_str().clone_into(&mut row.record.state);
    row.record.attempts += 1;
    row.record.lease_expires_at = Some(claim.lease_until);
    row.updated_at = claim.at;
    Some(ClaimedJob {
        ticket: Ticket { id: row.record.id, attempt: row.record.attempts },
        job,
        failures: row.record.failures,
        lease_until: claim.lease_until,
        origin: row.record.origin.clone(),
    })
}

fn view(row: &JobRow) -> JobView {
    let record = &row.record;
    JobView {
        id: record.id,
        kind: record.kind.clone(),
        payload: record.payload.clone(),
        state: JobState::from_word(&record.state).unwrap_or(JobState::Parked),
        attempts: record.attempts,
        failures: record.failures,
        last_error: record.last_error.clone(),
        run_at: record.run_at,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}
