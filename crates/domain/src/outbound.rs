//! Messages from us: what we believe of them, and the rules by which that changes.
//!
//! What Twilio said ([`DeliveryState`]) and what we believe ([`SendState`]) are two things. The
//! first moves by Twilio's words only; the second says whether the message may still be handed
//! over. Every rule is a pure function of the message with its attempts, called by the stores under
//! the message's lock; it gives a [`Step`]: all that is to be written.

use std::time::Duration;

use crate::delivery::{DeliveryState, DeliveryStatus, StatusReport};
use crate::event::NewEvent;
use crate::job::{Job, JobEnding, JobId, NewJob, Ticket};
use crate::message::{Message, MessageId, StatusEvent, id};
use crate::origin::Origin;
use crate::ports::{ProviderFault, ProviderMessage, SendOutcome};
use crate::timestamp::Timestamp;

id! {
    /// Our own id of an attempt to hand a message over.
    AttemptId
}

/// The error code of a message that left no trace at Twilio within the quiet period.
pub const NOT_SENT: &str = "not_sent";
/// The error code of a message that could not be handed over before it expired.
pub const EXPIRED: &str = "expired";
/// The error code of a message that was tried as often as the setting allows.
pub const EXHAUSTED: &str = "retries_exhausted";
/// The code of an attempt that was not begun, as the process stops.
pub const STOPPED: &str = "shutdown";
/// The code of an attempt that was not begun, as the store did not answer in time.
pub const LEFT: &str = "store";
/// The error code of a message that a caller cancelled.
pub const CANCELED: &str = "canceled";

/// Twilio advises to ask about a message that is not final after so long.
const FIRST_CHECK: Duration = Duration::from_hours(12);
/// And then daily, this many times.
const LATER_CHECKS: u8 = 3;
const BETWEEN_CHECKS: Duration = Duration::from_hours(24);

/// Our own view of a message from us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SendState {
    /// It waits to be handed over.
    Pending,
    /// A request is on its way.
    InFlight,
    /// Twilio has it.
    Accepted,
    /// Twilio will not take it.
    Refused,
    /// A request went out and nobody knows what became of it. Never handed over again.
    Ambiguous,
    /// We gave it up. A later word of Twilio's overturns that.
    NotSent,
}

impl SendState {
    /// All six.
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::InFlight,
        Self::Accepted,
        Self::Refused,
        Self::Ambiguous,
        Self::NotSent,
    ];

    /// The word in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::InFlight => "in_flight",
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Ambiguous => "ambiguous",
            Self::NotSent => "not_sent",
        }
    }

    /// A word in the store; `None` for any other.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether what becomes of it is still open.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::InFlight | Self::Ambiguous)
    }
}

/// What we know of handing a message over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sending {
    /// Our view.
    pub state: SendState,
    /// Why it was refused or given up; only beside `Refused` and `NotSent`.
    pub error: Option<SendError>,
    /// Until then it may be handed over, and no later.
    pub expires_at: Timestamp,
    /// How often Twilio was asked what became of it.
    pub checks: u8,
    /// When to ask (again); `None` where it is final or was asked often enough.
    pub next_check_at: Option<Timestamp>,
}

/// Why a message was refused or given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendError {
    /// Twilio's code, or one of ours.
    pub code: String,
    /// What it means, in plain words. Never repeats a number or a text.
    pub message: Option<String>,
}

impl SendError {
    fn ours(code: &str, message: &str) -> Self {
        Self { code: code.to_owned(), message: Some(message.to_owned()) }
    }

    fn of(fault: &ProviderFault) -> Self {
        let code = fault.code.clone();
        let status = || fault.status.map_or_else(String::new, |status| format!("http_{status}"));
        Self { code: code.unwrap_or_else(status), message: fault.message.clone() }
    }
}

impl Sending {
    /// Waiting, until `expires_at`.
    #[must_use]
    pub fn pending(expires_at: Timestamp) -> Self {
        let (state, error) = (SendState::Pending, None);
        Self { state, error, expires_at, checks: 0, next_check_at: None }
    }

    /// After a check was made at that time.
    #[must_use]
    pub fn checked(&self, at: Timestamp) -> Self {
        let again = self.next_check_at.is_some() && self.checks < LATER_CHECKS;
        Self {
            checks: self.checks.saturating_add(1),
            next_check_at: again.then(|| at.after(BETWEEN_CHECKS)),
            ..self.clone()
        }
    }

    fn with(&self, state: SendState, error: Option<SendError>) -> Self {
        Self { state, error, ..self.clone() }
    }
}

/// One request to hand a message over. Its row is written before the request is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendAttempt {
    /// Its id.
    pub id: AttemptId,
    /// The message.
    pub message: MessageId,
    /// Which attempt of the message it is, from 1.
    pub number: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// When the request surely was over.
    pub deadline: Timestamp,
    /// When its outcome was recorded.
    pub finished_at: Option<Timestamp>,
    /// What became of it; `None` while the request runs, or where the process died in it.
    pub outcome: Option<AttemptOutcome>,
    /// The HTTP status of the answer.
    pub status_code: Option<u16>,
    /// Twilio's error code, or a word of ours such as `timeout`.
    pub error_code: Option<String>,
}

impl SendAttempt {
    /// Whether Twilio was asked, or may have been.
    #[must_use]
    pub fn was_begun(&self) -> bool {
        self.outcome != Some(AttemptOutcome::Unsent) || !is_not_begun(self.error_code.as_deref())
    }
}

/// Whether nobody asked Twilio in an attempt that is unsent with that code.
pub(crate) fn is_not_begun(code: Option<&str>) -> bool {
    matches!(code, Some(STOPPED | LEFT))
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttemptOutcome {
    /// Twilio has the message.
    Accepted,
    /// Twilio refused it for good: no message was made.
    Refused,
    /// No message was made.
    Unsent,
    /// Nobody knows.
    Ambiguous,
}

impl AttemptOutcome {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Accepted, Self::Refused, Self::Unsent, Self::Ambiguous];

    /// The word in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Unsent => "unsent",
            Self::Ambiguous => "ambiguous",
        }
    }

    /// A word in the store; `None` for any other.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == word)
    }
}

/// A message from us with its attempts, oldest first: all that a decision about it needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    /// The message. Its `sending` is set.
    pub message: Message,
    /// Its attempts.
    pub attempts: Vec<SendAttempt>,
}

/// An attempt about to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAttempt {
    /// The id that it gets.
    pub id: AttemptId,
    /// Of which message.
    pub message: MessageId,
    /// The job in whose name it is made.
    pub ticket: Ticket,
    /// Now.
    pub at: Timestamp,
    /// When the request surely will be over. The job's lease must outlive it.
    pub deadline: Timestamp,
    /// The id that the search for the message gets if an earlier attempt turns out to be without
    /// an outcome.
    pub resolve_job: JobId,
    /// When that search begins.
    pub resolve_at: Timestamp,
    /// What the job follows from.
    pub origin: Origin,
}

impl NewAttempt {
    /// The search for the message, where nobody knows what became of a request.
    fn search(&self) -> NewJob {
        NewJob {
            id: self.resolve_job,
            job: Job::ResolveSend { message: self.message, looks: 0 },
            run_at: self.resolve_at,
            origin: self.origin.clone(),
        }
    }
}

/// The end of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptEnd {
    /// The attempt.
    pub attempt: AttemptId,
    /// Of which message.
    pub message: MessageId,
    /// The job in whose name it was made.
    pub ticket: Ticket,
    /// Now.
    pub at: Timestamp,
    /// What became of the request.
    pub outcome: SendOutcome,
    /// What follows where the outcome is [`SendOutcome::Unsent`].
    pub if_unsent: AfterUnsent,
    /// The id that the job gets which follows, if one does: the search for the message where the
    /// outcome is ambiguous, another send where the job was taken for lost and nothing was sent.
    pub resolve_job: JobId,
    /// When that search begins.
    pub resolve_at: Timestamp,
    /// Whether the caller still waits and will be told.
    pub attended: bool,
    /// What the job follows from.
    pub origin: Origin,
}

impl AttemptEnd {
    /// The search for the message, where nobody knows what became of a request.
    fn search(&self) -> NewJob {
        NewJob {
            id: self.resolve_job,
            job: Job::ResolveSend { message: self.message, looks: 0 },
            run_at: self.resolve_at,
            origin: self.origin.clone(),
        }
    }
}

/// What follows an attempt that made no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterUnsent {
    /// Another attempt, then.
    RetryAt(Timestamp),
    /// None: the message is given up with this code ([`EXPIRED`], [`EXHAUSTED`]).
    GiveUp(&'static str),
}

/// How an attempt began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// The request may be made now.
    Go,
    /// There is nothing to send any more.
    Over,
    /// An earlier attempt has no outcome: the message is ambiguous now.
    Doubtful,
    /// Its time is over: it is given up.
    Expired,
}

/// All that is to be written after a rule was applied, in one transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The message and its attempts as they are to be.
    pub after: Outgoing,
    /// Its conversation's `last_message_at` moves forward to this, and its `our_number` is the one
    /// that the message went out from.
    pub sent_at: Option<Timestamp>,
    /// A job to be written.
    pub follow_up: Option<NewJob>,
    /// What becomes of the job in whose name it happened, if that is still the ticket's.
    pub ending: Option<JobEnding>,
    /// Whether a verdict of ours turned out wrong.
    pub overturned: bool,
}

/// A message came to another status than everybody was told before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// Its status now.
    pub to: DeliveryStatus,
    /// When it was taken in.
    pub created_at: Timestamp,
}

impl Moved {
    /// What is to be told of a message that was like that before, if anything.
    #[must_use]
    pub fn between(before: &Message, after: &Message) -> Option<Self> {
        let to = after.shown().status;
        (before.shown().status != to).then_some(Self { to, created_at: after.created_at })
    }
}

impl Message {
    /// How far it got, as everybody is told: `unknown` while nobody knows whether it was sent,
    /// `failed` where it was refused or given up, else Twilio's word.
    #[must_use]
    pub fn shown(&self) -> DeliveryState {
        let Some(sending) = &self.sending else {
            return self.delivery.clone();
        };
        match sending.state {
            SendState::Ambiguous => DeliveryState::of(DeliveryStatus::Unknown),
            SendState::Refused | SendState::NotSent => DeliveryState {
                status: DeliveryStatus::Failed,
                error_code: sending.error.as_ref().map(|error| error.code.clone()),
                error_message: sending.error.as_ref().and_then(|error| error.message.clone()),
            },
            SendState::Pending | SendState::InFlight | SendState::Accepted => self.delivery.clone(),
        }
    }
}

impl Outgoing {
    /// Our view of it.
    #[must_use]
    pub fn state(&self) -> SendState {
        self.message.sending.as_ref().map_or(SendState::Accepted, |sending| sending.state)
    }

    /// Whether it is certain that it was never sent, so that sending it would be the first time.
    #[must_use]
    pub fn is_proven_unsent(&self) -> bool {
        let given_up = matches!(self.state(), SendState::Refused | SendState::NotSent);
        let unsent = |attempt: &SendAttempt| {
            matches!(attempt.outcome, Some(AttemptOutcome::Unsent | AttemptOutcome::Refused))
        };
        given_up && self.attempts.iter().all(unsent)
    }

    /// Whether it may be sent after all, by another message with its key or by an operator: it was never
    /// sent, and nobody has cancelled it, who would see it sent all the same.
    #[must_use]
    pub fn frees_its_key(&self) -> bool {
        self.is_proven_unsent() && self.message.shown().error_code.as_deref() != Some(CANCELED)
    }

    /// The job that sends it.
    #[must_use]
    pub fn send_job(&self) -> Job {
        Job::Send { message: self.message.id, conversation: self.message.conversation }
    }

    /// An attempt is about to begin. The same one may begin again: whoever was not told that it has
    /// begun asks once more.
    #[must_use]
    pub fn begin(&self, new: &NewAttempt) -> (Step, Beginning) {
        let mut step = Step::of(self);
        let beginning = match self.state() {
            SendState::Pending if self.is_expired(new.at) => {
                step.give_up(SendError::ours(EXPIRED, "it could not be sent before it expired"));
                step.ending = Some(JobEnding::Park { error: EXPIRED.into() });
                Beginning::Expired
            }
            SendState::Pending => {
                step.become_state(SendState::InFlight, None);
                step.after.attempts.push(self.next_attempt(new));
                Beginning::Go
            }
            // We began it ourselves and were not told: the request is still to be made.
            SendState::InFlight if self.has_begun(new.id) => Beginning::Go,
            // Whoever made the attempt did not live to tell: it is known to have begun, no more.
            SendState::InFlight => {
                step.end_open_attempts(AttemptOutcome::Ambiguous, Some("interrupted"), new.at);
                step.become_state(SendState::Ambiguous, None);
                step.follow_up = Some(new.search());
                step.ending = Some(JobEnding::Done);
                Beginning::Doubtful
            }
            _ => {
                step.ending = Some(JobEnding::Done);
                Beginning::Over
            }
        };
        step.touch(self, new.at);
        (step, beginning)
    }

    /// An attempt has ended. `parked` are the reports about its SID that came before.
    #[must_use]
    pub fn record(&self, end: &AttemptEnd, parked: &[StatusEvent]) -> Step {
        let mut step = Step::of(self);
        match &end.outcome {
            SendOutcome::Accepted(message) => {
                step.end_attempt(end, AttemptOutcome::Accepted, &ProviderFault::default());
                step.take_over(message, end.at, parked);
            }
            // A report came first: what we thought of our request does not count any more.
            _ if self.state() == SendState::Accepted => {
                step.end_attempt(end, AttemptOutcome::Accepted, &ProviderFault::default());
            }
            // Its end is recorded already, and another may be on its way.
            _ if !self.is_open(end.attempt) => {}
            SendOutcome::Refused(fault) => {
                step.end_attempt(end, AttemptOutcome::Refused, fault);
                if self.state().is_open() {
                    step.become_state(SendState::Refused, Some(SendError::of(fault)));
                }
            }
            SendOutcome::Unsent { fault, .. } => {
                step.end_attempt(end, AttemptOutcome::Unsent, fault);
                step.not_made(end, fault);
            }
            SendOutcome::Ambiguous(fault) => {
                step.end_attempt(end, AttemptOutcome::Ambiguous, fault);
                if self.state() == SendState::InFlight {
                    step.become_state(SendState::Ambiguous, None);
                    step.follow_up = Some(end.search());
                }
            }
        }
        step.ending = Some(step.ending_of_send(end));
        step.touch(self, end.at);
        step
    }

    /// Twilio reported on it, by its SID or, where it has none yet, by our id. `parked` are the
    /// reports about that SID that came before.
    #[must_use]
    pub fn report(&self, report: &StatusReport, at: Timestamp, parked: &[StatusEvent]) -> Step {
        let mut step = Step::of(self);
        step.accept(report, at, parked);
        step.touch(self, at);
        step
    }

    /// The quiet period is over without a trace: it is given up, if it is still ambiguous.
    #[must_use]
    pub fn conclude(&self, at: Timestamp) -> Option<Step> {
        (self.state() == SendState::Ambiguous).then(|| {
            let mut step = Step::of(self);
            let why = "the request to send it had no answer, and Twilio shows no trace of it";
            step.give_up(SendError::ours(NOT_SENT, why));
            step.touch(self, at);
            step
        })
    }

    /// A caller does not want it any more. `None` where it is too late.
    #[must_use]
    pub fn cancel(&self, at: Timestamp) -> Option<Step> {
        (self.state() == SendState::Pending).then(|| {
            let mut step = Step::of(self);
            step.give_up(SendError::ours(CANCELED, "it was cancelled before it was sent"));
            step.touch(self, at);
            step
        })
    }

    /// An operator wants it sent after all. `None` unless it is certain that it never was, and that
    /// nobody has cancelled it.
    #[must_use]
    pub fn revive(&self, at: Timestamp, expires_at: Timestamp) -> Option<Step> {
        // A message that still waits was never sent either: its job was parked for another reason.
        (self.state() == SendState::Pending || self.frees_its_key()).then(|| {
            let mut step = Step::of(self);
            step.after.message.sending = Some(Sending::pending(expires_at));
            step.touch(self, at);
            step
        })
    }

    /// When the request was made that Twilio must have had, if it was one that we made: nobody
    /// knows what became of it, or it has just been accepted.
    fn handed_over_at(&self) -> Option<Timestamp> {
        let unsent = [Some(AttemptOutcome::Refused), Some(AttemptOutcome::Unsent)];
        let had_it = |attempt: &&SendAttempt| !unsent.contains(&attempt.outcome);
        self.attempts.iter().rev().find(had_it).map(|attempt| attempt.started_at)
    }

    /// Whether that attempt runs.
    fn has_begun(&self, attempt: AttemptId) -> bool {
        self.attempts.iter().any(|known| known.id == attempt && known.outcome.is_none())
    }

    /// Whether nobody knows yet what became of that attempt.
    fn is_open(&self, attempt: AttemptId) -> bool {
        let is_open = |known: &SendAttempt| {
            known.id == attempt && matches!(known.outcome, None | Some(AttemptOutcome::Ambiguous))
        };
        self.attempts.iter().any(is_open)
    }

    /// Whether its time to be handed over has passed.
    #[must_use]
    pub fn is_expired(&self, at: Timestamp) -> bool {
        self.message.sending.as_ref().is_some_and(|sending| at >= sending.expires_at)
    }

    fn next_attempt(&self, new: &NewAttempt) -> SendAttempt {
        SendAttempt {
            id: new.id,
            message: new.message,
            number: u32::try_from(self.attempts.len()).unwrap_or(u32::MAX).saturating_add(1),
            started_at: new.at,
            deadline: new.deadline,
            finished_at: None,
            outcome: None,
            status_code: None,
            error_code: None,
        }
    }
}

impl Step {
    /// What others are told of it, where the message was `before`.
    #[must_use]
    pub fn events(&self, before: &Message, at: Timestamp) -> Vec<NewEvent> {
        NewEvent::of_change(before, &self.after.message, self.sent_at.is_some(), at)
    }

    fn of(before: &Outgoing) -> Self {
        let after = before.clone();
        Self { after, sent_at: None, follow_up: None, ending: None, overturned: false }
    }

    fn become_state(&mut self, state: SendState, error: Option<SendError>) {
        let sending = self.after.message.sending.as_ref();
        self.after.message.sending = sending.map(|sending| sending.with(state, error));
    }

    fn give_up(&mut self, error: SendError) {
        self.become_state(SendState::NotSent, Some(error));
    }

    fn send_again(&mut self, end: &AttemptEnd, run_at: Timestamp) {
        let job = self.after.send_job();
        let (id, origin) = (end.resolve_job, end.origin.clone());
        self.follow_up = Some(NewJob { id, job, run_at, origin });
    }

    fn end_attempt(&mut self, end: &AttemptEnd, outcome: AttemptOutcome, fault: &ProviderFault) {
        for attempt in self.after.attempts.iter_mut().filter(|known| known.id == end.attempt) {
            // What is proven stays proven.
            if !matches!(attempt.outcome, None | Some(AttemptOutcome::Ambiguous)) {
                continue;
            }
            attempt.outcome = Some(outcome);
            attempt.finished_at = Some(end.at);
            attempt.status_code = fault.status;
            attempt.error_code.clone_from(&fault.code);
        }
    }

    /// Ends the attempts of which nobody knows.
    fn end_open_attempts(&mut self, outcome: AttemptOutcome, code: Option<&str>, at: Timestamp) {
        for attempt in &mut self.after.attempts {
            if matches!(attempt.outcome, None | Some(AttemptOutcome::Ambiguous)) {
                attempt.outcome = Some(outcome);
                attempt.finished_at = Some(at);
                attempt.error_code = code.map(str::to_owned);
            }
        }
    }

    fn take_over(&mut self, made: &ProviderMessage, at: Timestamp, parked: &[StatusEvent]) {
        if let Some(from) = &made.from {
            self.after.message.from_number = from.clone();
        }
        self.accept(&made.report(Some(self.after.message.id)), at, parked);
    }

    /// Twilio has it: whatever we believed before.
    fn accept(&mut self, report: &StatusReport, at: Timestamp, parked: &[StatusEvent]) {
        let before = self.after.state();
        self.overturned = matches!(before, SendState::Refused | SendState::NotSent);
        let sent_at = self.after.handed_over_at().unwrap_or(at);
        self.end_open_attempts(AttemptOutcome::Accepted, None, at);
        self.become_state(SendState::Accepted, None);
        if before != SendState::Accepted {
            self.sent_at = Some(sent_at);
        }
        let message = &mut self.after.message;
        message.twilio_sid.get_or_insert_with(|| report.twilio_sid.clone());
        let reports = parked.iter().map(StatusEvent::report);
        message.delivery = reports
            .fold(message.delivery.advance(message.direction, report), |delivery, report| {
                delivery.advance(message.direction, &report)
            });
        self.plan_check(before != SendState::Accepted);
    }

    fn plan_check(&mut self, is_news: bool) {
        let message = &mut self.after.message;
        let (is_final, created_at) = (message.delivery.status.is_final(), message.created_at);
        if let Some(sending) = &mut message.sending {
            if is_final {
                sending.next_check_at = None;
            } else if is_news {
                sending.next_check_at = Some(created_at.after(FIRST_CHECK));
            }
        }
    }

    fn not_made(&mut self, end: &AttemptEnd, fault: &ProviderFault) {
        match (self.after.state(), end.if_unsent) {
            (SendState::InFlight, AfterUnsent::RetryAt(_)) => {
                self.become_state(SendState::Pending, None);
            }
            (SendState::InFlight, AfterUnsent::GiveUp(code)) => {
                let message = fault.message.clone();
                self.give_up(SendError { code: code.to_owned(), message });
            }
            // Another worker has taken the job for lost and finished it; now it is proven unsent.
            (SendState::Ambiguous, AfterUnsent::RetryAt(run_at)) => {
                self.become_state(SendState::Pending, None);
                self.send_again(end, run_at);
            }
            (SendState::Ambiguous, AfterUnsent::GiveUp(_)) => self.give_up(SendError::of(fault)),
            _ => {}
        }
    }

    fn ending_of_send(&self, end: &AttemptEnd) -> JobEnding {
        let code = || match &end.outcome {
            SendOutcome::Unsent { fault, .. } => SendError::of(fault).code,
            _ => String::new(),
        };
        match (self.after.state(), end.if_unsent) {
            (SendState::Pending, AfterUnsent::RetryAt(run_at)) => {
                JobEnding::Retry { run_at, error: code() }
            }
            (SendState::NotSent, AfterUnsent::GiveUp(reason)) => {
                JobEnding::Park { error: format!("{reason}: {}", code()) }
            }
            _ => JobEnding::Done,
        }
    }

    fn touch(&mut self, before: &Outgoing, at: Timestamp) {
        if self.after != *before {
            self.after.message.updated_at = before.message.updated_at.max(at);
        }
    }
}
