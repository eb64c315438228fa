//! Use case: what Twilio's webhooks did not bring is found in Twilio's lists.
//!
//! Twilio does not resend an SMS webhook that failed. So each of our numbers has two lists, of what
//! was sent to it and from it, which are read now and then from a watermark on; the first becomes
//! messages, the second the statuses of messages that we know. The watermark moves only after all
//! before it is stored, so that a run that dies is made again. To read a part twice changes nothing:
//! a SID is one message.

mod burst;
mod manual;
mod take_in;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::causes;
use crate::inbox::Inbox;
use crate::job::Backoff;
use crate::message::Direction;
use crate::phone::{Address, Region};
use crate::ports::{
    Archive, BackfillStore, Chance, Clock, HistoryStore, IdSource, ListClaim, ListMark,
    ListProgress, ListRun, MessageList, PageToken, ProviderError, ProviderMessage, Sender,
    StoreError, Timer, Unfinished,
};
use crate::receipts::Receipts;
use crate::text::Text;
use crate::timestamp::Timestamp;

use burst::Burst;

pub use manual::{ByHand, Progress, Stopped};
pub use take_in::Tally;

/// So many pages of a list are read in one run; what is behind them is read in the next.
const PAGES: usize = 20;
/// For so long a run has a list to itself without a sign of life; whoever dies in it is followed
/// after that.
const LEASE: Duration = Duration::from_secs(90);
/// After a failure, unless the provider asks for more.
const TROUBLE: Backoff = Backoff { base: Duration::from_secs(15), cap: Duration::from_mins(5) };
/// No provider makes us wait for longer.
const LONGEST_WAIT: Duration = Duration::from_hours(1);
/// Where nobody listened for a while, what went out is read again from so much earlier: a receipt can come
/// long after its message was sent. What was sent before that is asked about one by one
/// ([`check_statuses`](crate::outbox::Outbox::check_statuses)).
const LATE_RECEIPTS: Duration = Duration::from_hours(12);
/// A picture of a message may be had later where Twilio does not answer; a text waits for it so long.
const MEDIA_PATIENCE: Duration = Duration::from_hours(1);
/// For so long the numbers of a Messaging Service are believed.
const NUMBERS_BELIEVED_FOR: Duration = Duration::from_hours(1);

/// Reads Twilio's lists and takes in what is missing.
#[derive(Clone)]
pub struct Backfill {
    ports: BackfillPorts,
    rules: BackfillRules,
    senders: Vec<Sender>,
    burst: Arc<Burst>,
    /// Of each Messaging Service.
    pools: Arc<Mutex<HashMap<String, Pool>>>,
    /// The list that is being read.
    reading: Arc<Mutex<Option<ListRun>>>,
}

/// The numbers of a Messaging Service, as they were last heard of.
#[derive(Clone)]
struct Pool {
    numbers: Vec<Text>,
    /// Then they are asked for again.
    ask_at: Timestamp,
}

/// What a [`Backfill`] needs from outside.
#[derive(Clone)]
pub struct BackfillPorts {
    /// Where it is kept how far the lists were read.
    pub store: Arc<dyn BackfillStore>,
    /// Takes over what other programs sent.
    pub history: Arc<dyn HistoryStore>,
    /// The lists.
    pub archive: Arc<dyn Archive>,
    /// Takes messages in.
    pub inbox: Inbox,
    /// Takes statuses in.
    pub receipts: Receipts,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Lets time pass.
    pub timer: Arc<dyn Timer>,
    /// Makes ids.
    pub ids: Arc<dyn IdSource>,
    /// Makes random numbers.
    pub chance: Arc<dyn Chance>,
}

/// The settings of a [`Backfill`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackfillRules {
    /// How often each list is read.
    pub interval: Duration,
    /// How far before the watermark reading begins: Twilio's lists may be late, and its clock is
    /// not ours.
    pub overlap: Duration,
    /// What is younger is left to its webhook.
    pub grace: Duration,
    /// The country whose national form numbers without `+` are in.
    pub region: Region,
}

/// Why a run did not get to its end.
enum Trouble {
    Store(StoreError),
    Provider(ProviderError),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<ProviderError> for Trouble {
    fn from(error: ProviderError) -> Self {
        Self::Provider(error)
    }
}

impl Backfill {
    /// A backfill of the lists of our numbers.
    #[must_use]
    pub fn new(ports: BackfillPorts, rules: BackfillRules, senders: Vec<Sender>) -> Self {
        let (burst, pools, reading) = (Arc::default(), Arc::default(), Arc::default());
        Self { ports, rules, senders, burst, pools, reading }
    }

    /// Reads every list that is due and that no other process reads; `found` counts what is taken
    /// in, also where it fails.
    ///
    /// # Errors
    /// [`StoreError`]: what is missing still will be found by a later run.
    pub async fn run_due(&self, found: &mut Tally) -> Result<(), StoreError> {
        for list in self.lists().await {
            let at = self.ports.clock.now();
            let claim = ListClaim { list, at, lease_until: at.after(LEASE) };
            if let Some(run) = self.ports.store.claim_list(&claim).await? {
                *locked(&self.reading) = Some(run.clone());
                self.run(&run, found).await?;
                *locked(&self.reading) = None;
            }
        }
        Ok(())
    }

    /// Gives back the list in whose reading [`run_due`](Self::run_due) was dropped or failed, so that
    /// nobody has to wait for the lease.
    ///
    /// # Errors
    /// [`StoreError`]: it is read when the lease is over.
    pub async fn give_back(&self) -> Result<(), StoreError> {
        let Some(run) = locked(&self.reading).take() else {
            return Ok(());
        };
        self.end(&run, run.mark.clone(), Duration::ZERO).await
    }

    /// Lets all lists be read now, at the start of a process.
    ///
    /// # Errors
    /// [`StoreError`]: they are read at their own time.
    pub async fn begin(&self) -> Result<(), StoreError> {
        self.ports.store.hasten_lists(self.ports.clock.now()).await
    }

    /// Lets them be read once more when the grace of what just came is over: while a process starts
    /// its webhooks may have failed.
    ///
    /// # Errors
    /// As above.
    pub async fn look_again(&self) -> Result<(), StoreError> {
        let due_at = self.ports.clock.now().after(self.rules.grace);
        self.ports.store.hasten_lists(due_at).await
    }

    /// A webhook was refused that names our account. Where several were, Twilio's may be among
    /// them, refused by a mistake of ours: the lists are read early, once the grace of the refused
    /// ones is over. `true` where this begins that.
    ///
    /// # Errors
    /// [`StoreError`]: they are read at their own time.
    pub async fn webhook_refused(&self) -> Result<bool, StoreError> {
        if !self.burst.refused(self.ports.clock.now()) {
            return Ok(false);
        }
        self.look_again().await?;
        Ok(true)
    }

    /// Reads one list as far as one run goes, and keeps how far that is.
    async fn run(&self, run: &ListRun, found: &mut Tally) -> Result<(), StoreError> {
        let now = self.ports.clock.now();
        let unfinished = run.mark.unfinished.as_ref();
        let until = unfinished.map_or(now.before(self.rules.grace), |part| part.until);
        let since = self.since(run, now);
        if until < since {
            return self.end(run, run.mark.clone(), self.rules.interval).await;
        }
        let part = self.read_part(run, since, until).await?;
        match self.take_part_in(run, &part, found).await {
            Ok(()) => {
                let (mark, wait) = self.progress(run, until, part);
                self.end(run, mark, wait).await
            }
            // What was taken in is kept; the rest is read again.
            Err(Trouble::Provider(error)) => {
                self.end(run, run.mark.clone(), self.wait_after(&error)).await
            }
            Err(Trouble::Store(error)) => {
                let wait = TROUBLE.wait(1, self.ports.chance.next());
                // It may not answer to this; then the lease runs out.
                let _ = self.end(run, run.mark.clone(), wait).await;
                Err(error)
            }
        }
    }

    /// Where reading begins: not before the list was first claimed, because what came then was
    /// another program's. Times that are still to come were written by a clock that was ahead. Twilio's
    /// times are whole seconds.
    fn since(&self, run: &ListRun, now: Timestamp) -> Timestamp {
        let read_until = run.mark.watermark.min(now.before(self.rules.grace));
        let was_away = read_until.after(2 * self.rules.interval + self.rules.grace) < now;
        let overlap = match run.list.direction {
            Direction::Outbound if was_away => self.rules.overlap.max(LATE_RECEIPTS),
            _ => self.rules.overlap,
        };
        let since = read_until.before(overlap);
        let since = if run.first_at <= now { since.max(run.first_at) } else { since };
        since.whole_second()
    }

    /// Reads pages until there are no more, or enough, or the provider does not answer.
    async fn read_part(
        &self,
        run: &ListRun,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Part, StoreError> {
        let mut part = Part {
            messages: Vec::new(),
            next: run.mark.unfinished.as_ref().map(|part| part.page.clone()),
            trouble: None,
        };
        for _ in 0..PAGES {
            match self.ports.archive.list(&run.list, since, part.next.clone()).await {
                Ok(page) => {
                    let wanted = |one: &ProviderMessage| is_wanted(one, &run.list, since, until);
                    part.messages.extend(page.messages.into_iter().filter(wanted));
                    part.next = page.next;
                }
                Err(error) => {
                    part.trouble = Some(error);
                    break;
                }
            }
            if part.next.is_none() || !self.go_on(run).await? {
                break;
            }
        }
        // As it was said. What is of one second stays in the list's order.
        part.messages.reverse();
        part.messages.sort_by_key(said_at);
        Ok(part)
    }

    async fn take_part_in(
        &self,
        run: &ListRun,
        part: &Part,
        found: &mut Tally,
    ) -> Result<(), Trouble> {
        for some in part.messages.chunks(take_in::BATCH) {
            if !self.go_on(run).await? {
                // Another run has the list: it finds what is left.
                tracing::warn!("another process reads this list: leaving it the rest");
                break;
            }
            let sorted = self.sort(&run.list, some).await?;
            self.settle(&sorted, found).await?;
        }
        Ok(())
    }

    /// What is to be kept of a part that was taken in, and when to go on.
    fn progress(&self, run: &ListRun, until: Timestamp, part: Part) -> (ListMark, Duration) {
        let watermark = run.mark.watermark;
        match (part.trouble, part.next) {
            (None, None) => (ListMark { watermark: until, unfinished: None }, self.rules.interval),
            (None, Some(page)) => {
                let unfinished = Some(Unfinished { until, page });
                (ListMark { watermark, unfinished }, Duration::ZERO)
            }
            // A place in a list may be forgotten after a while: the part begins anew.
            (Some(ProviderError::Rejected(error)), _) => {
                let error = ProviderError::Rejected(error);
                (ListMark { watermark, unfinished: None }, self.wait_after(&error))
            }
            (Some(error), next) => {
                let unfinished = next.map(|page| Unfinished { until, page });
                (ListMark { watermark, unfinished }, self.wait_after(&error))
            }
        }
    }

    fn wait_after(&self, error: &ProviderError) -> Duration {
        tracing::warn!(error = causes(error), "a list of Twilio's could not be read to its end");
        self.pause_after(error)
    }

    fn pause_after(&self, error: &ProviderError) -> Duration {
        let asked = match error {
            ProviderError::Unavailable { retry_after, .. } => retry_after.unwrap_or_default(),
            // An operator has to act.
            ProviderError::Account(_) | ProviderError::Rejected(_) => self.rules.interval,
        };
        TROUBLE.wait(1, self.ports.chance.next()).max(asked.min(LONGEST_WAIT))
    }

    /// Says that the run is alive; `false` where the list is another's by now.
    async fn go_on(&self, run: &ListRun) -> Result<bool, StoreError> {
        let at = self.ports.clock.now();
        let (mark, lease_until) = (run.mark.clone(), Some(at.after(LEASE)));
        let progress = ListProgress { mark, due_at: at, lease_until, at };
        self.ports.store.save_list(run, &progress).await
    }

    async fn end(&self, run: &ListRun, mark: ListMark, wait: Duration) -> Result<(), StoreError> {
        let at = self.ports.clock.now();
        let progress = ListProgress { mark, due_at: at.after(wait), lease_until: None, at };
        self.ports.store.save_list(run, &progress).await?;
        let direction = run.list.direction.as_str();
        tracing::debug!(direction, wait = wait.as_secs(), "a list was read");
        Ok(())
    }

    /// The lists of all our numbers: what comes in before what went out.
    async fn lists(&self) -> Vec<MessageList> {
        let mut numbers = Vec::new();
        for sender in &self.senders {
            numbers.extend(match sender {
                Sender::Number(number) => vec![self.written(number)],
                Sender::Service(service) => self.pool(service).await,
            });
        }
        lists_of(numbers)
    }

    /// A number of ours as Twilio writes it.
    fn written(&self, number: &Text) -> Text {
        match Address::read(number, self.rules.region) {
            address @ (Address::Phone(_) | Address::Channel { .. }) => {
                Text::new(address.canonical())
            }
            _ => number.clone(),
        }
    }

    /// The numbers of a Messaging Service, asked for now and then. While it does not answer those known
    /// before are as good as any.
    async fn pool(&self, service: &str) -> Vec<Text> {
        let now = self.ports.clock.now();
        let known = locked(&self.pools).get(service).cloned();
        let known = known.unwrap_or(Pool { numbers: Vec::new(), ask_at: Timestamp::EPOCH });
        if now < known.ask_at {
            return known.numbers;
        }
        let pool = match self.ports.archive.numbers_of(service).await {
            Ok(numbers) => Pool { numbers, ask_at: now.after(NUMBERS_BELIEVED_FOR) },
            Err(error) => {
                tracing::warn!(service, error = causes(&error), "its numbers are not known");
                Pool { ask_at: now.after(self.pause_after(&error)), ..known }
            }
        };
        locked(&self.pools).insert(service.to_owned(), pool.clone());
        pool.numbers
    }
}

/// Both lists of each number, which is named once.
fn lists_of(mut numbers: Vec<Text>) -> Vec<MessageList> {
    let mut seen = HashSet::new();
    numbers.retain(|number| seen.insert(number.as_str().to_owned()));
    let lists = |direction| {
        numbers.iter().map(move |number| MessageList { direction, number: number.clone() })
    };
    lists(Direction::Inbound).chain(lists(Direction::Outbound)).collect()
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What one run has read of a list.
struct Part {
    /// The oldest first.
    messages: Vec<ProviderMessage>,
    /// Where to go on; `None` at the end.
    next: Option<PageToken>,
    /// Why it was not read further.
    trouble: Option<ProviderError>,
}

/// Whether a message of the list is of that direction and time.
fn is_wanted(
    message: &ProviderMessage,
    list: &MessageList,
    since: Timestamp,
    until: Timestamp,
) -> bool {
    message.inbound == (list.direction == Direction::Inbound)
        && said_at(message).is_some_and(|at| (since..=until).contains(&at))
}

/// When it was received or sent, or else made.
fn said_at(message: &ProviderMessage) -> Option<Timestamp> {
    message.sent_at.or(message.created_at)
}
