//! Calls that wait share a transaction (group commit).
//!
//! A call that finds a slot free goes at once, however alone. While all slots are taken calls
//! gather, and the next slot takes them together: one commit, and a few statements over arrays,
//! for all of them.
//!
//! What they share must not hurt them. A slot waits for locks for a moment only
//! ([`GroupSettings::lock_wait`]); where that is not enough, or where anything else fails, its
//! calls go on apart: those of one key (whatever they may have to wait for together) at a time,
//! patiently, and at last singly, so that each gets its own answer. While calls of a key are
//! apart, new ones join them there and not strangers. So what waits for somebody's lock takes one
//! connection, and no slot.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use diesel::result::QueryResult;
use diesel_async::AsyncPgConnection;
use domain::ports::StoreError;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use crate::failure::{DeadlinePassed, NoAnswer, classify, is_permanent};
use crate::pool::Pool;
use crate::settings::PgSettings;
use crate::transaction::{Patience, roll_back};

/// What calls of one kind write together.
#[async_trait]
pub(crate) trait GroupWork: Send + Sync + 'static {
    /// What a call wants written.
    type Order: Send + Sync + 'static;
    /// What it is told.
    type Answer: Send + 'static;
    /// What it may have to wait for: calls of one key wait for each other anyway.
    type Key: Clone + Eq + Hash + Send + 'static;

    fn key(order: &Self::Order) -> Self::Key;

    /// Writes all orders in one transaction, as if they came one after the other; gives the answer
    /// of each, in their order. After an error nothing is written, and the transaction may still be
    /// open.
    async fn write(
        conn: &AsyncPgConnection,
        orders: &[Self::Order],
        patience: Patience,
    ) -> QueryResult<Vec<Self::Answer>>;
}

/// How calls are gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupSettings {
    /// How many groups of one kind are under way at once. At least 1.
    pub at_once: usize,
    /// How many calls share a transaction at most. At least 1; 1 turns sharing off.
    pub largest: usize,
    /// How many calls of one kind may be waiting or under way; more are refused as
    /// [`StoreError::Unavailable`]. At least 1.
    pub queue: usize,
    /// How long a group waits for a lock before its calls go on apart.
    pub lock_wait: Duration,
}

impl Default for GroupSettings {
    fn default() -> Self {
        Self { at_once: 2, largest: 128, queue: 4096, lock_wait: Duration::from_millis(100) }
    }
}

/// What the groups of one kind have done since the store was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GroupCounts {
    /// How many transactions were committed.
    pub committed: u64,
    /// How many calls were in them.
    pub calls: u64,
    /// How many calls were in the largest.
    pub largest: u64,
    /// How many groups failed, so that their calls went on apart.
    pub parted: u64,
}

/// Where calls of one kind are handed in.
pub(crate) struct Groups<W: GroupWork> {
    queue: mpsc::UnboundedSender<Call<W>>,
    room: Arc<Semaphore>,
    deadline: Duration,
    counters: Arc<Counters>,
}

impl<W: GroupWork> Groups<W> {
    /// Serves calls on `runtime` until this is dropped.
    pub(crate) fn start(
        pool: &Arc<Pool>,
        settings: &PgSettings,
        turns: &Arc<Turns>,
        runtime: Handle,
    ) -> Self {
        let (queue, calls) = mpsc::unbounded_channel();
        let counters = Arc::<Counters>::default();
        let desk = Desk {
            pool: Arc::clone(pool),
            settings: settings.groups,
            turns: Arc::clone(turns),
            apart: Apart::default(),
            counters: Arc::clone(&counters),
            runtime,
        };
        desk.runtime.clone().spawn(Arc::new(desk).serve_all(calls));
        let room = Arc::new(Semaphore::new(settings.groups.queue));
        Self { queue, room, deadline: settings.deadline, counters }
    }

    /// Writes `order` in a transaction that others may share, all within the deadline.
    ///
    /// # Errors
    /// As if it were alone; [`StoreError::Unavailable`] where too many calls wait already.
    pub(crate) async fn write(&self, order: W::Order) -> Result<W::Answer, StoreError> {
        let place = Arc::clone(&self.room).try_acquire_owned().map_err(|_| NoAnswer::QueueFull)?;
        let (reply, answer) = oneshot::channel();
        let call = Call { order, reply: Reply { to: reply, _place: place } };
        self.queue.send(call).map_err(|_| NoAnswer::Gone)?;
        match timeout(self.deadline, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(NoAnswer::Gone.into()),
            Err(_) => Err(StoreError::Unavailable(DeadlinePassed.into())),
        }
    }

    pub(crate) fn counts(&self) -> GroupCounts {
        self.counters.read()
    }
}

struct Call<W: GroupWork> {
    order: W::Order,
    reply: Reply<W::Answer>,
}

/// Where an answer goes. Dropped without one, it tells the caller that there will be none.
struct Reply<Answer> {
    to: oneshot::Sender<Result<Answer, StoreError>>,
    _place: OwnedSemaphorePermit,
}

impl<Answer> Reply<Answer> {
    fn is_awaited(&self) -> bool {
        !self.to.is_closed()
    }

    /// A caller whose deadline has passed meanwhile is not there to hear it.
    fn send(self, answer: Result<Answer, StoreError>) {
        drop(self.to.send(answer));
    }
}

/// Calls that go together, in the order in which they came.
struct Group<W: GroupWork> {
    orders: Vec<W::Order>,
    replies: Vec<Reply<W::Answer>>,
}

impl<W: GroupWork> Group<W> {
    fn new() -> Self {
        Self { orders: Vec::new(), replies: Vec::new() }
    }

    fn len(&self) -> usize {
        self.orders.len()
    }

    fn push(&mut self, call: Call<W>) {
        self.orders.push(call.order);
        self.replies.push(call.reply);
    }

    fn into_calls(self) -> impl Iterator<Item = Call<W>> {
        self.orders.into_iter().zip(self.replies).map(|(order, reply)| Call { order, reply })
    }

    /// Without those that nobody waits for any more.
    fn awaited(self) -> Self {
        self.into_calls().filter(|call| call.reply.is_awaited()).collect()
    }

    /// One group for each key.
    fn by_key(self) -> HashMap<W::Key, Self> {
        let mut groups = HashMap::new();
        for call in self.into_calls() {
            groups.entry(W::key(&call.order)).or_insert_with(Self::new).push(call);
        }
        groups
    }

    fn answer(self, answers: Vec<W::Answer>) {
        for (reply, answer) in self.replies.into_iter().zip(answers) {
            reply.send(Ok(answer));
        }
    }

    /// Tells all of them the same.
    fn fail(self, error: StoreError) {
        let is_single = self.len() == 1;
        let mut replies = self.replies.into_iter();
        if is_single && let Some(reply) = replies.next() {
            return reply.send(Err(error));
        }
        let cause = Arc::new(error);
        for reply in replies {
            reply.send(Err(NoAnswer::NotCommitted(Arc::clone(&cause)).into()));
        }
    }
}

impl<W: GroupWork> FromIterator<Call<W>> for Group<W> {
    fn from_iter<Calls: IntoIterator<Item = Call<W>>>(calls: Calls) -> Self {
        let mut group = Self::new();
        calls.into_iter().for_each(|call| group.push(call));
        group
    }
}

/// What became of a transaction.
enum Outcome<Answer> {
    /// It is committed.
    Written(Vec<Answer>),
    /// The server answered, but not as we wanted. Nothing is written.
    Refused(diesel::result::Error),
    /// There was no connection, or it is lost.
    Failed(StoreError),
    /// Nobody waits for it any more.
    Abandoned,
}

/// How many groups that are apart are written at once, of all kinds together: the rest of the connections
/// is for those who share, and who read. Who waits for a lock has turns of his own, so that strangers
/// who were in the same group do not wait behind him.
pub(crate) struct Turns {
    quick: Semaphore,
    patient: Semaphore,
}

impl Turns {
    /// For a pool of so many connections.
    pub(crate) fn new(pool_size: usize) -> Self {
        let quarter = || Semaphore::new((pool_size / 4).max(1));
        Self { quick: quarter(), patient: quarter() }
    }
}

/// Takes calls in and serves them.
struct Desk<W: GroupWork> {
    pool: Arc<Pool>,
    settings: GroupSettings,
    turns: Arc<Turns>,
    apart: Apart<W>,
    counters: Arc<Counters>,
    runtime: Handle,
}

impl<W: GroupWork> Desk<W> {
    async fn serve_all(self: Arc<Self>, mut calls: mpsc::UnboundedReceiver<Call<W>>) {
        let slots = Arc::new(Semaphore::new(self.settings.at_once));
        while let Some(first) = calls.recv().await {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
                return;
            };
            let group = self.gather(first, &mut calls);
            if group.len() > 0 {
                self.runtime.spawn(Arc::clone(&self).serve(group, slot));
            }
        }
    }

    /// The first call and those that wait already: nobody waits for company.
    fn gather(&self, first: Call<W>, calls: &mut mpsc::UnboundedReceiver<Call<W>>) -> Group<W> {
        let mut group = Group::new();
        let mut next = Some(first);
        while let Some(call) = next {
            if call.reply.is_awaited()
                && let Some(call) = self.apart.keep(call)
            {
                group.push(call);
            }
            next = if group.len() < self.settings.largest { calls.try_recv().ok() } else { None };
        }
        group
    }

    async fn serve(self: Arc<Self>, mut group: Group<W>, slot: OwnedSemaphorePermit) {
        let outcome = self.write(&mut group, Patience::Short(self.settings.lock_wait)).await;
        drop(slot);
        match outcome {
            Outcome::Written(answers) => group.answer(answers),
            Outcome::Failed(error) => group.fail(error),
            Outcome::Abandoned => {}
            Outcome::Refused(error) if group.len() == 1 && is_permanent(&error) => {
                group.fail(classify(error));
            }
            Outcome::Refused(error) => {
                tracing::debug!(%error, calls = group.len(), "a group goes on apart");
                self.counters.parted.fetch_add(1, Ordering::Relaxed);
                self.part(group);
            }
        }
    }

    /// Lets the calls of each key go on by themselves.
    fn part(self: Arc<Self>, group: Group<W>) {
        for (key, group) in group.by_key() {
            if let Some((key, group)) = self.apart.begin(key, group) {
                self.runtime.spawn(Arc::clone(&self).serve_apart(key, group));
            }
        }
    }

    /// Serves the calls of that key, and those that come while it does.
    async fn serve_apart(self: Arc<Self>, mut key: ApartKey<W>, first: Group<W>) {
        let mut next = Some(first);
        while let Some(group) = next {
            if let Some(refused) = self.serve_quickly(group.awaited()).await {
                let Ok(_turn) = self.turns.patient.acquire().await else {
                    return;
                };
                self.serve_patiently(refused.awaited()).await;
            }
            next = key.next();
        }
    }

    /// Gives those back who would have to wait for a lock.
    async fn serve_quickly(&self, mut group: Group<W>) -> Option<Group<W>> {
        if group.len() == 0 {
            return None;
        }
        let _turn = self.turns.quick.acquire().await.ok()?;
        match self.write(&mut group, Patience::Short(self.settings.lock_wait)).await {
            Outcome::Written(answers) => group.answer(answers),
            Outcome::Failed(error) => group.fail(error),
            Outcome::Abandoned => {}
            Outcome::Refused(_) => return Some(group),
        }
        None
    }

    async fn serve_patiently(&self, mut group: Group<W>) {
        if group.len() == 0 {
            return;
        }
        match self.write(&mut group, Patience::Full).await {
            Outcome::Written(answers) => group.answer(answers),
            Outcome::Failed(error) => group.fail(error),
            Outcome::Abandoned => {}
            Outcome::Refused(error) if group.len() == 1 => group.fail(classify(error)),
            Outcome::Refused(_) => {
                for call in group.into_calls() {
                    let single: Group<W> = std::iter::once(call).collect();
                    // Boxed, because it is this very function; a single is not divided again.
                    Box::pin(self.serve_patiently(single.awaited())).await;
                }
            }
        }
    }

    /// Writes the group, unless all who wait for it go away before that is done: what was begun is
    /// then broken off with its connection.
    async fn write(&self, group: &mut Group<W>, patience: Patience) -> Outcome<W::Answer> {
        let Group { orders, replies } = group;
        let abandoned = async {
            for reply in replies {
                reply.to.closed().await;
            }
        };
        let written = self.pool.lend_to(async |conn| {
            let conn = &*conn;
            match W::write(conn, orders, patience).await {
                Ok(answers) => Ok(Ok(answers)),
                // Who can still roll back has a connection that is as good as before.
                Err(error) => match roll_back(conn).await {
                    Ok(()) => Ok(Err(error)),
                    Err(_) => Err(error),
                },
            }
        });
        let outcome = tokio::select! {
            biased;
            () = abandoned => return Outcome::Abandoned,
            written = written => written,
        };
        match outcome {
            Ok(Ok(answers)) => {
                self.counters.count(orders.len());
                Outcome::Written(answers)
            }
            Ok(Err(error)) => Outcome::Refused(error),
            Err(error) => Outcome::Failed(error),
        }
    }
}

/// The keys whose calls are served apart, each with the calls that came since.
struct Apart<W: GroupWork>(Arc<Mutex<HashMap<W::Key, Group<W>>>>);

impl<W: GroupWork> Default for Apart<W> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<W: GroupWork> Apart<W> {
    /// Puts a call with those of its key, if they are apart; else gives it back.
    fn keep(&self, call: Call<W>) -> Option<Call<W>> {
        let mut apart = self.lock();
        if apart.is_empty() {
            return Some(call);
        }
        match apart.get_mut(&W::key(&call.order)) {
            Some(waiting) => {
                waiting.push(call);
                None
            }
            None => Some(call),
        }
    }

    /// Sets a key apart. Where it is so already, its calls join those that wait.
    fn begin(&self, key: W::Key, group: Group<W>) -> Option<(ApartKey<W>, Group<W>)> {
        let mut apart = self.lock();
        if let Some(waiting) = apart.get_mut(&key) {
            group.into_calls().for_each(|call| waiting.push(call));
            return None;
        }
        apart.insert(key.clone(), Group::new());
        Some((ApartKey { apart: Self(Arc::clone(&self.0)), key: Some(key) }, group))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<W::Key, Group<W>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A key that is apart as long as this lives.
struct ApartKey<W: GroupWork> {
    apart: Apart<W>,
    /// `None` when it is over: somebody else may have set the same key apart again.
    key: Option<W::Key>,
}

impl<W: GroupWork> ApartKey<W> {
    /// The calls that came since; after `None` new ones share again.
    fn next(&mut self) -> Option<Group<W>> {
        let mut apart = self.apart.lock();
        let waiting = apart.get_mut(self.key.as_ref()?)?;
        if waiting.len() > 0 {
            return Some(std::mem::replace(waiting, Group::new()));
        }
        apart.remove(&self.key.take()?);
        None
    }
}

impl<W: GroupWork> Drop for ApartKey<W> {
    fn drop(&mut self) {
        if let Some(key) = &self.key {
            self.apart.lock().remove(key);
        }
    }
}

#[derive(Default)]
struct Counters {
    committed: AtomicU64,
    calls: AtomicU64,
    largest: AtomicU64,
    parted: AtomicU64,
}

impl Counters {
    fn count(&self, calls: usize) {
        let calls = u64::try_from(calls).unwrap_or(u64::MAX);
        self.committed.fetch_add(1, Ordering::Relaxed);
        self.calls.fetch_add(calls, Ordering::Relaxed);
        self.largest.fetch_max(calls, Ordering::Relaxed);
    }

    fn read(&self) -> GroupCounts {
        GroupCounts {
            committed: self.committed.load(Ordering::Relaxed),
            calls: self.calls.load(Ordering::Relaxed),
            largest: self.largest.load(Ordering::Relaxed),
            parted: self.parted.load(Ordering::Relaxed),
        }
    }
}
