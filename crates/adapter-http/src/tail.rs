//! The end of the stream of events, as this process follows it for all who listen here: one reads
//! the store, however many listen. Who is further behind than the end reads the store for itself.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::error::causes;
use domain::event::{Event, EventCursor};
use domain::notify::Feed;
use domain::ports::StoreError;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

/// So many events of the end are kept.
const KEPT: usize = 1024;
/// So many are read at once.
const PAGE: u32 = 256;
/// Between two looks, however often there is a call.
const BREATH: Duration = Duration::from_millis(20);
/// While the store does not answer.
const TROUBLE: Duration = Duration::from_secs(1);
/// So many may listen to one process.
const LISTENERS: usize = 1000;

/// The end of the stream. Clones are the same.
#[derive(Clone)]
pub struct EventTail(Arc<Inner>);

struct Inner {
    feed: Feed,
    poll: Duration,
    end: Mutex<End>,
    changed: watch::Sender<()>,
    called: Notify,
    listeners: AtomicUsize,
    closed: AtomicBool,
}

/// The last events; `None` while nobody follows.
#[derive(Default)]
struct End {
    /// Right behind this everything is here.
    start: Option<EventCursor>,
    events: VecDeque<Arc<Event>>,
}

impl EventTail {
    /// Follows `feed`; looks for what other processes wrote every `poll`.
    #[must_use]
    pub fn new(feed: Feed, poll: Duration) -> Self {
        Self(Arc::new(Inner {
            feed,
            poll,
            end: Mutex::default(),
            changed: watch::Sender::new(()),
            called: Notify::new(),
            listeners: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        }))
    }

    /// Follows the stream while somebody listens. Comes back when it is closed.
    pub async fn run(&self) {
        while !self.is_closed() {
            if self.0.listeners.load(Ordering::Acquire) == 0 {
                self.end().start = None;
                self.0.called.notified().await;
                continue;
            }
            match self.look().await {
                Ok(true) => {}
                Ok(false) => self.rest().await,
                Err(error) => {
                    tracing::warn!(error = causes(&error), "events cannot be read");
                    sleep(TROUBLE).await;
                }
            }
        }
    }

    /// Says that there may be something new.
    pub fn wake(&self) {
        if self.0.listeners.load(Ordering::Acquire) > 0 {
            self.0.called.notify_one();
        }
    }

    /// Sends everybody away, and lets nobody in any more.
    pub fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
        self.0.called.notify_one();
        self.0.changed.send_replace(());
    }

    /// Somebody begins to listen; `None` where too many do, or it is closed.
    pub(crate) fn listen(&self) -> Option<Listener> {
        let before = self.0.listeners.fetch_add(1, Ordering::AcqRel);
        let listener = Listener { tail: self.clone(), changed: self.0.changed.subscribe() };
        self.0.called.notify_one();
        (before < LISTENERS && !self.is_closed()).then_some(listener)
    }

    /// Where the stream is now.
    pub(crate) async fn now(&self) -> Result<EventCursor, StoreError> {
        self.0.feed.end().await
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.closed.load(Ordering::Acquire)
    }

    /// Whether there may be more.
    async fn look(&self) -> Result<bool, StoreError> {
        let behind = { self.end().last() };
        let Some(behind) = behind else {
            let now = self.0.feed.end().await?;
            *self.end() = End { start: Some(now), events: VecDeque::new() };
            self.0.changed.send_replace(());
            return Ok(true);
        };
        let new = self.0.feed.read(behind, PAGE).await?;
        let is_full = u32::try_from(new.len()).is_ok_and(|count| count >= PAGE);
        if !new.is_empty() {
            self.end().extend(new);
            self.0.changed.send_replace(());
        }
        Ok(is_full)
    }

    async fn rest(&self) {
        sleep(BREATH).await;
        tokio::select! {
            () = self.0.called.notified() => {}
            () = sleep(self.0.poll) => {}
        }
    }

    fn end(&self) -> MutexGuard<'_, End> {
        self.0.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl End {
    /// The last that is here.
    fn last(&self) -> Option<EventCursor> {
        let start = self.start?;
        Some(self.events.back().map_or(start, |event| event.cursor))
    }

    fn extend(&mut self, new: Vec<Event>) {
        self.events.extend(new.into_iter().map(Arc::new));
        let surplus = self.events.len().saturating_sub(KEPT);
        if let Some(dropped) = self.events.drain(..surplus).next_back() {
            self.start = Some(dropped.cursor);
        }
    }

    /// What is behind a cursor, at most `limit`; `None` where that may be more than is here.
    fn behind(&self, cursor: EventCursor, limit: usize) -> Option<Vec<Arc<Event>>> {
        if cursor < self.start? {
            return None;
        }
        let from = self.events.partition_point(|event| event.cursor <= cursor);
        Some(self.events.iter().skip(from).take(limit).cloned().collect())
    }
}

/// Somebody who listens, until it is dropped.
pub(crate) struct Listener {
    tail: EventTail,
    changed: watch::Receiver<()>,
}

impl Listener {
    /// What is behind a cursor, at most `limit`; empty where there is nothing yet.
    pub(crate) async fn behind(
        &mut self,
        cursor: EventCursor,
        limit: u32,
    ) -> Result<Vec<Arc<Event>>, StoreError> {
        // Before looking: what comes in between is noticed.
        self.changed.mark_unchanged();
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let known = { self.tail.end().behind(cursor, most) };
        if let Some(known) = known {
            return Ok(known);
        }
        let read = self.tail.0.feed.read(cursor, limit).await?;
        Ok(read.into_iter().map(Arc::new).collect())
    }

    /// Until there may be something new, at most so long; whether there is.
    pub(crate) async fn wait(&mut self, longest: Duration) -> bool {
        tokio::time::timeout(longest, self.changed.changed()).await.is_ok()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.tail.is_closed()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.tail.0.listeners.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use domain::testing::InMemoryStore;

    use super::*;

    #[test]
    fn who_comes_when_enough_listen_is_let_in_once_somebody_leaves() {
        let feed = Feed::new(Arc::new(InMemoryStore::default()));
        let tail = EventTail::new(feed, Duration::from_secs(1));
        let mut listeners: Vec<_> = (0..LISTENERS).filter_map(|_| tail.listen()).collect();
        assert_eq!(listeners.len(), LISTENERS);
        for _ in 0..3 {
            assert!(tail.listen().is_none());
        }
        listeners.pop();
        let last = tail.listen();
        assert!(last.is_some() && tail.listen().is_none());
        tail.close();
        drop(listeners);
        assert!(tail.listen().is_none(), "nobody any more");
    }
}
