//! What a group of reports leads to: the rules of the domain, applied to each as it came.

use std::collections::HashMap;

use domain::conversation::ConversationId;
use domain::delivery::DeliveryState;
use domain::event::NewEvent;
use domain::message::{Direction, Message, MessageId, StatusEvent, TwilioSid};
use domain::outbound::{Moved, Outgoing, SendAttempt, Step};
use domain::ports::{NewStatusEvent, StatusRecorded};

/// All that is to be written, and what each report is answered.
pub(super) struct Ledger {
    /// Messages from us that were reported on, each once: as it was, and what has become of it.
    pub(super) steps: Vec<(Outgoing, Step)>,
    /// The reports, with their messages where these are known.
    pub(super) events: Vec<StatusEvent>,
    /// What happened.
    pub(super) happened: Vec<NewEvent>,
    /// Reports that waited for that message.
    pub(super) attached: Vec<(MessageId, Vec<StatusEvent>)>,
    /// In the order of the reports.
    pub(super) answers: Vec<StatusRecorded>,
}

/// What a group finds, under its locks.
pub(super) struct Found {
    /// The messages with one of the group's SIDs, and those that its reports name.
    pub(super) messages: Vec<Message>,
    /// The attempts to hand these over, oldest first.
    pub(super) attempts: Vec<SendAttempt>,
    /// The reports that wait for one of the group's SIDs.
    pub(super) parked: Vec<StatusEvent>,
}

impl Ledger {
    /// Takes in one report after the other.
    pub(super) fn of(reports: &[NewStatusEvent], found: Found) -> Self {
        let mut draft = Draft::of(found);
        let answers = reports.iter().map(|report| draft.take_in(report)).collect();
        let changed = draft.outgoing.into_iter();
        Self {
            steps: changed.filter_map(|Track { before, step }| Some((before, step?))).collect(),
            events: draft.events,
            happened: draft.happened,
            attached: draft.attached,
            answers,
        }
    }

    /// The conversations in which something was said, by what the reports prove.
    pub(super) fn touched(&self) -> Vec<ConversationId> {
        let said = self.steps.iter().filter(|(_, step)| step.sent_at.is_some());
        said.map(|(before, _)| before.message.conversation).collect()
    }
}

struct Draft {
    /// Messages to us: no report makes them more or less so.
    inbound: HashMap<TwilioSid, (MessageId, DeliveryState)>,
    outgoing: Vec<Track>,
    by_id: HashMap<MessageId, usize>,
    by_sid: HashMap<TwilioSid, usize>,
    parked: HashMap<TwilioSid, Vec<StatusEvent>>,
    events: Vec<StatusEvent>,
    happened: Vec<NewEvent>,
    attached: Vec<(MessageId, Vec<StatusEvent>)>,
}

/// A message from us, and what has become of it so far.
struct Track {
    before: Outgoing,
    step: Option<Step>,
}

impl Draft {
    fn of(found: Found) -> Self {
        let mut draft = Self {
            inbound: HashMap::new(),
            outgoing: Vec::new(),
            by_id: HashMap::new(),
            by_sid: HashMap::new(),
            parked: HashMap::new(),
            events: Vec::new(),
            happened: Vec::new(),
            attached: Vec::new(),
        };
        for event in found.parked {
            draft.parked.entry(event.twilio_sid.clone()).or_default().push(event);
        }
        let mut attempts: HashMap<MessageId, Vec<SendAttempt>> = HashMap::new();
        for attempt in found.attempts {
            attempts.entry(attempt.message).or_default().push(attempt);
        }
        for message in found.messages {
            let attempts = attempts.remove(&message.id).unwrap_or_default();
            draft.find(message, attempts);
        }
        draft
    }

    fn find(&mut self, message: Message, attempts: Vec<SendAttempt>) {
        if message.direction == Direction::Inbound {
            if let Some(sid) = message.twilio_sid {
                self.inbound.insert(sid, (message.id, message.delivery));
            }
            return;
        }
        let place = self.outgoing.len();
        self.by_id.insert(message.id, place);
        if let Some(sid) = &message.twilio_sid {
            self.by_sid.insert(sid.clone(), place);
        }
        self.outgoing.push(Track { before: Outgoing { message, attempts }, step: None });
    }

    fn take_in(&mut self, new: &NewStatusEvent) -> StatusRecorded {
        if let Some((message, delivery)) = self.inbound.get(&new.report.twilio_sid).cloned() {
            self.events.push(new.stored_for(Some(message)));
            let (overturned, moved) = (false, None);
            return StatusRecorded::Applied { message, delivery, overturned, moved };
        }
        self.apply(new).unwrap_or_else(|| self.park(new))
    }

    /// Moves the message with the report's SID or, where there is none, the one that it names and
    /// that has no SID yet. `None` where there is neither.
    fn apply(&mut self, new: &NewStatusEvent) -> Option<StatusRecorded> {
        let sid = &new.report.twilio_sid;
        let place = self.by_sid.get(sid).copied().or_else(|| self.nameless(new.report.message))?;
        let track = self.outgoing.get_mut(place)?;
        let parked = self.parked.remove(sid).unwrap_or_default();
        let before = &track.now().message;
        let step = track.now().report(&new.report, new.received_at, &parked);
        self.happened.extend(step.events(before, new.received_at));
        let moved = Moved::between(before, &step.after.message);
        let (message, delivery) = (step.after.message.id, step.after.message.delivery.clone());
        let overturned = step.overturned;
        track.go_on(step);
        self.by_sid.insert(sid.clone(), place);
        self.attach(message, parked);
        self.events.push(new.stored_for(Some(message)));
        Some(StatusRecorded::Applied { message, delivery, overturned, moved })
    }

    fn nameless(&self, message: Option<MessageId>) -> Option<usize> {
        let place = *self.by_id.get(&message?)?;
        let is_nameless = self.outgoing.get(place)?.now().message.twilio_sid.is_none();
        is_nameless.then_some(place)
    }

    fn attach(&mut self, message: MessageId, parked: Vec<StatusEvent>) {
        if parked.is_empty() {
            return;
        }
        // Some of them may have come with this very group.
        for event in &mut self.events {
            if parked.iter().any(|parked| parked.id == event.id) {
                event.message = Some(message);
            }
        }
        self.attached.push((message, parked));
    }

    fn park(&mut self, new: &NewStatusEvent) -> StatusRecorded {
        let event = new.stored_for(None);
        self.parked.entry(event.twilio_sid.clone()).or_default().push(event.clone());
        self.events.push(event);
        StatusRecorded::Parked
    }
}

impl Track {
    fn now(&self) -> &Outgoing {
        self.step.as_ref().map_or(&self.before, |step| &step.after)
    }

    /// One more step: both are written as one.
    fn go_on(&mut self, next: Step) {
        let (sent_at, follow_up) =
            self.step.take().map_or((None, None), |step| (step.sent_at, step.follow_up));
        self.step = Some(Step {
            sent_at: next.sent_at.max(sent_at),
            follow_up: follow_up.or(next.follow_up),
            ..next
        });
    }
}
