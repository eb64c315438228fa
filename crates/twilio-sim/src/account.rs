//! The account: its messages, and what is to happen to the next ones.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream;
use secrecy::SecretString;
use time::OffsetDateTime;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::InboundText;
use crate::api::error::ApiError;
use crate::api::numbers::{MessagingService, NumberSettings};
use crate::api::order::Order;
use crate::creates::{CreateRequest, Creates, End};
use crate::failure::Failure;
use crate::inbound::new_sid;
use crate::lifecycle::{Callbacks, Delays, Life, Outcome};
use crate::local_twilio::{Answer, DeliveryError, LocalTwilio};
use crate::message::{Change, Message, Status, Told};
use crate::mix::{Dial, Dice};
use crate::relay::Service;

/// How many callbacks [`Account::tell_everything`] makes at the same time.
const AT_ONCE: usize = 16;

/// What stands before each text of a trial account.
const TRIAL_PREFIX: &str = "Sent from your Twilio trial account - ";

/// What time it is.
pub(crate) type Clock = Arc<dyn Fn() -> OffsetDateTime + Send + Sync>;

pub(crate) struct Account {
    pub(crate) sid: String,
    pub(crate) auth_token: SecretString,
    /// The numbers that it owns; where there are none it owns every number.
    pub(crate) numbers: Vec<String>,
    pub(crate) trial: bool,
    pub(crate) opened_at: OffsetDateTime,
    pub(crate) twilio: LocalTwilio,
    pub(crate) clock: Clock,
    pub(crate) started: Instant,
    /// Stops the server and all lives.
    pub(crate) stop: CancellationToken,
    /// How many messages something will still happen to.
    pub(crate) lives: watch::Sender<usize>,
    /// Counts what has changed.
    pub(crate) changes: watch::Sender<u64>,
    /// Whom texts to the account's numbers are told to.
    pub(crate) service: Option<Service>,
    pub(crate) ledger: Mutex<Ledger>,
}

pub(crate) struct Ledger {
    messages: Vec<Entry>,
    by_sid: HashMap<String, usize>,
    pub(crate) creates: Creates,
    pub(crate) opted_out: HashSet<String>,
    pub(crate) number_settings: HashMap<String, NumberSettings>,
    pub(crate) services: Vec<MessagingService>,
    pub(crate) failures: Dial<Failure>,
    pub(crate) outcomes: Dial<Outcome>,
    pub(crate) callbacks: Dial<Callbacks>,
    pub(crate) delays: Delays,
    pub(crate) dice: Dice,
}

/// A deleted message keeps its place, so that a page can begin behind it.
struct Entry {
    message: Message,
    deleted: bool,
}

/// A message was made.
pub(crate) struct Made {
    /// As it was then.
    pub(crate) message: Message,
    /// Heard of once its first change was told, or cannot be.
    pub(crate) first_told: oneshot::Receiver<()>,
    /// Whether that must come before the answer.
    pub(crate) early: bool,
}

impl Account {
    pub(crate) fn now(&self) -> OffsetDateTime {
        (self.clock)()
    }

    /// The number that people text, where they do not say which.
    pub(crate) fn number(&self) -> &str {
        self.numbers.first().map_or(SOME_NUMBER, String::as_str)
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // Whoever panicked while it held the lock is a test that has failed already.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the message and lets its life begin.
    pub(crate) fn make(self: &Arc<Self>, order: Order) -> Result<Made, ApiError> {
        order.check(self)?;
        let now = self.now();
        let initial = order.initial_status();
        let waiting = order.send_at.map_or(Duration::ZERO, |at| until(now, at));
        let (message, life) = {
            let mut ledger = self.ledger();
            if ledger.opted_out.contains(&order.to) {
                return Err(ApiError::of(21610, &order.to));
            }
            let message = self.message(order, initial, now);
            let life = ledger.life(&message.to, initial, waiting);
            ledger.add(message.clone());
            (message, life)
        };
        self.changed();
        let early = life.callbacks == Callbacks::Early && message.status_callback.is_some();
        let (tell_first, first_told) = oneshot::channel();
        self.spawn_life(life.run(Arc::clone(self), message.sid.clone(), tell_first));
        Ok(Made { message, first_told, early })
    }

    fn message(&self, order: Order, initial: Status, now: OffsetDateTime) -> Message {
        let body = order.body.unwrap_or_default();
        Message {
            sid: new_sid(if order.media.is_empty() { "SM" } else { "MM" }),
            inbound: false,
            to: order.to,
            from: order.from,
            messaging_service_sid: order.messaging_service_sid,
            body: if self.trial { format!("{TRIAL_PREFIX}{body}") } else { body },
            media: order.media,
            status_callback: order.status_callback,
            validity_period: order.validity_period,
            created_at: now,
            changes: vec![Change { status: initial, error_code: None, at: now, told: Told::Never }],
        }
    }

    /// Keeps a text to one of our numbers, and heeds the words with which people opt out and in.
    pub(crate) fn receive(&self, text: &InboundText) {
        let now = self.now();
        let (status, told) = (Status::Received, Told::Never);
        let message = text.message(Change { status, error_code: None, at: now, told });
        self.ledger().take_in(message);
        self.changed();
    }

    /// Tells the service of a text that was received.
    pub(crate) async fn deliver(
        &self,
        text: &InboundText,
        webhook: &str,
    ) -> Result<Answer, DeliveryError> {
        self.mark_told(text.message_sid(), 0, Told::Underway);
        let request = self.twilio.request(webhook, &text.fields());
        let answer = self.twilio.deliver(&request).await;
        let heard = answer.as_ref().is_ok_and(Answer::is_success);
        self.mark_told(text.message_sid(), 0, if heard { Told::Yes } else { Told::No });
        answer
    }

    /// Lets something happen to a message: the number of that change. `None` where nothing can
    /// happen any more.
    pub(crate) fn change(
        &self,
        sid: &str,
        status: Status,
        error_code: Option<u32>,
    ) -> Option<usize> {
        let at = self.now();
        let sender = self.numbers.first().map_or(SERVICE_NUMBER, String::as_str);
        let mut ledger = self.ledger();
        let message = ledger.message_mut(sid)?;
        if message.status().is_final() {
            return None;
        }
        if message.from.is_none() && status != Status::Canceled {
            message.from = Some(sender.to_owned());
        }
        let told = if message.status_callback.is_some() { Told::No } else { Told::Never };
        message.changes.push(Change { status, error_code, at, told });
        let nth = message.changes.len() - 1;
        drop(ledger);
        self.changed();
        Some(nth)
    }

    /// Cancels a message that waits for its time, and tells of it.
    pub(crate) fn cancel(self: &Arc<Self>, sid: &str) -> Result<Message, ApiError> {
        let message = self.find(sid)?;
        let waits = message.status() == Status::Scheduled;
        let change = waits.then(|| self.change(sid, Status::Canceled, None)).flatten();
        let nth = change.ok_or_else(|| ApiError::of(30409, sid))?;
        let (account, told) = (Arc::clone(self), sid.to_owned());
        self.spawn_life(async move { account.tell(&told, nth, 1).await });
        self.find(sid)
    }

    /// Takes the words out of a message.
    pub(crate) fn redact(&self, sid: &str) -> Result<Message, ApiError> {
        let mut ledger = self.ledger();
        let message = ledger.ended(sid)?;
        message.body.clear();
        Ok(message.clone())
    }

    pub(crate) fn delete(&self, sid: &str) -> Result<(), ApiError> {
        let mut ledger = self.ledger();
        ledger.ended(sid)?;
        if let Some(entry) = ledger.entry_mut(sid) {
            entry.deleted = true;
        }
        Ok(())
    }

    pub(crate) fn find(&self, sid: &str) -> Result<Message, ApiError> {
        self.ledger().message(sid).cloned().ok_or_else(|| ApiError::of(20404, sid))
    }

    /// Tells each change of a message that nobody was told of, oldest first.
    pub(crate) async fn tell_all(&self, sid: &str) {
        for nth in self.untold(sid) {
            self.tell(sid, nth, 1).await;
        }
    }

    /// The same, newest first.
    pub(crate) async fn tell_last_first(&self, sid: &str) {
        for nth in self.untold(sid).into_iter().rev() {
            self.tell(sid, nth, 1).await;
        }
    }

    /// Tells everything that nobody was told of; how much of it was heard, and how much not.
    pub(crate) async fn tell_everything(&self) -> (usize, usize) {
        let sids: Vec<_> = self.ledger().messages().map(|message| message.sid.clone()).collect();
        let told = stream::iter(sids).map(|sid| async move {
            let untold = self.untold(&sid);
            self.tell_all(&sid).await;
            let unheard = self.untold(&sid).len();
            (untold.len().saturating_sub(unheard), unheard)
        });
        let add = |sum: (usize, usize), told: (usize, usize)| (sum.0 + told.0, sum.1 + told.1);
        told.buffer_unordered(AT_ONCE).fold((0, 0), async |sum, told| add(sum, told)).await
    }

    fn untold(&self, sid: &str) -> Vec<usize> {
        let ledger = self.ledger();
        // A text to us that the service did not take is nobody's status.
        let told = ledger.message(sid).filter(|message| !message.inbound);
        let changes = told.into_iter().flat_map(|message| &message.changes);
        let changes = changes.enumerate();
        changes.filter(|(_, change)| change.told == Told::No).map(|(nth, _)| nth).collect()
    }

    /// Tells one change that often, unless it was told or is being told.
    pub(crate) async fn tell(&self, sid: &str, nth: usize, times: usize) {
        let Some((url, fields)) = self.claim(sid, nth) else {
            return;
        };
        let request = self.twilio.request(&url, &fields);
        let mut heard = false;
        for _ in 0..times {
            let answer = self.twilio.deliver(&request).await;
            heard |= answer.is_ok_and(|answer| answer.is_success());
        }
        self.mark_told(sid, nth, if heard { Told::Yes } else { Told::No });
    }

    fn mark_told(&self, sid: &str, nth: usize, told: Told) {
        let mut ledger = self.ledger();
        let message = ledger.message_mut(sid);
        if let Some(change) = message.and_then(|message| message.changes.get_mut(nth)) {
            change.told = told;
        }
        drop(ledger);
        self.changed();
    }

    fn changed(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// The callback about a change; `None` where another task tells it.
    fn claim(&self, sid: &str, nth: usize) -> Option<(String, Vec<(String, String)>)> {
        let mut ledger = self.ledger();
        let message = ledger.message_mut(sid)?;
        let url = message.status_callback.clone()?;
        let fields = message.callback_fields(nth, &self.sid);
        let change = message.changes.get_mut(nth)?;
        if change.told != Told::No {
            return None;
        }
        change.told = Told::Underway;
        Some((url, fields))
    }

    /// Something that must be over before the account is settled.
    fn spawn_life(self: &Arc<Self>, life: impl Future<Output = ()> + Send + 'static) {
        self.lives.send_modify(|lives| *lives += 1);
        let ends = LifeEnds(Arc::clone(self));
        let stop = self.stop.clone();
        tokio::spawn(async move {
            let _ends = ends;
            stop.run_until_cancelled(life).await;
        });
    }

    /// A request to create a message has come.
    pub(crate) fn begin_create(self: &Arc<Self>, to: &str) -> CreateInFlight {
        let came_at = self.started.elapsed();
        let mut ledger = self.ledger();
        let Ledger { failures, dice, .. } = &mut *ledger;
        let failure = failures.draw(to, dice);
        let request = CreateRequest { to: to.to_owned(), came_at, end: None, sid: None, failure };
        let number = ledger.creates.begin(request);
        CreateInFlight { account: Arc::clone(self), number, failure, end: End::CallerLeft }
    }
}

/// What a Messaging Service sends from where the account has no number of its own.
const SERVICE_NUMBER: &str = "+15005550006";

/// What people text where the account owns every number.
const SOME_NUMBER: &str = "+18605550100";

/// With one of these words alone somebody opts out, or in again.
const STOP_WORDS: [&str; 8] =
    ["STOP", "STOPALL", "UNSUBSCRIBE", "END", "QUIT", "CANCEL", "REVOKE", "OPTOUT"];
const START_WORDS: [&str; 3] = ["START", "UNSTOP", "YES"];

impl Ledger {
    pub(crate) fn new(delays: Delays, seed: u64) -> Self {
        Self {
            messages: Vec::new(),
            by_sid: HashMap::new(),
            creates: Creates::default(),
            opted_out: HashSet::new(),
            number_settings: HashMap::new(),
            services: Vec::new(),
            failures: Dial::default(),
            outcomes: Dial::default(),
            callbacks: Dial::default(),
            delays,
            dice: Dice::new(seed),
        }
    }

    /// All that were not deleted, oldest first.
    pub(crate) fn messages(&self) -> impl DoubleEndedIterator<Item = &Message> {
        self.messages.iter().filter(|entry| !entry.deleted).map(|entry| &entry.message)
    }

    /// Those older than the message with that SID, oldest first; `None` where there is no such.
    pub(crate) fn before(&self, sid: &str) -> Option<impl DoubleEndedIterator<Item = &Message>> {
        let older = self.messages.get(..*self.by_sid.get(sid)?)?;
        Some(older.iter().filter(|entry| !entry.deleted).map(|entry| &entry.message))
    }

    fn take_in(&mut self, message: Message) {
        let word = message.body.trim().to_ascii_uppercase();
        let sender = message.from.clone().unwrap_or_default();
        if STOP_WORDS.contains(&word.as_str()) {
            self.opted_out.insert(sender);
        } else if START_WORDS.contains(&word.as_str()) {
            self.opted_out.remove(&sender);
        }
        self.add(message);
    }

    fn add(&mut self, message: Message) {
        self.by_sid.insert(message.sid.clone(), self.messages.len());
        self.messages.push(Entry { message, deleted: false });
    }

    fn life(&mut self, to: &str, initial: Status, waiting: Duration) -> Life {
        let outcome = self.outcomes.draw(to, &mut self.dice);
        let callbacks = self.callbacks.draw(to, &mut self.dice);
        Life::new(initial, waiting, self.delays, outcome, callbacks)
    }

    fn entry_mut(&mut self, sid: &str) -> Option<&mut Entry> {
        let entry = self.messages.get_mut(*self.by_sid.get(sid)?)?;
        (!entry.deleted).then_some(entry)
    }

    fn message(&self, sid: &str) -> Option<&Message> {
        let entry = self.messages.get(*self.by_sid.get(sid)?)?;
        (!entry.deleted).then_some(&entry.message)
    }

    fn message_mut(&mut self, sid: &str) -> Option<&mut Message> {
        self.entry_mut(sid).map(|entry| &mut entry.message)
    }

    /// A message to which nothing more can happen.
    fn ended(&mut self, sid: &str) -> Result<&mut Message, ApiError> {
        let message = self.message_mut(sid).ok_or_else(|| ApiError::of(20404, sid))?;
        if message.status().is_final() { Ok(message) } else { Err(ApiError::of(20009, sid)) }
    }
}

/// Counts a life as over when it is, also where it was stopped.
struct LifeEnds(Arc<Account>);

impl Drop for LifeEnds {
    fn drop(&mut self) {
        self.0.lives.send_modify(|lives| *lives = lives.saturating_sub(1));
    }
}

/// A request to create a message that is not over. Dropped without an end, the caller has left.
pub(crate) struct CreateInFlight {
    account: Arc<Account>,
    number: usize,
    pub(crate) failure: Failure,
    end: End,
}

impl CreateInFlight {
    pub(crate) fn made(&self, sid: &str) {
        if let Some(request) = self.account.ledger().creates.get_mut(self.number) {
            request.sid = Some(sid.to_owned());
        }
    }

    pub(crate) fn end(mut self, end: End) {
        self.end = end;
    }
}

impl Drop for CreateInFlight {
    fn drop(&mut self) {
        let at = self.account.started.elapsed();
        if let Some(request) = self.account.ledger().creates.get_mut(self.number) {
            request.end = Some((at, self.end));
        }
    }
}

fn until(now: OffsetDateTime, at: OffsetDateTime) -> Duration {
    Duration::try_from(at - now).unwrap_or_default()
}
