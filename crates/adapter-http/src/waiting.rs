//! A caller that waits to hear what became of its text.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::HttpRequest;
use domain::ports::Attended;

use crate::connection::Peer;

/// A waiting caller. Dropped, nobody waits any more: at the end of the wait, and when the server
/// drops the handler.
pub(crate) struct Waiting {
    peer: Option<Arc<Peer>>,
    counted_on: AtomicBool,
}

impl Waiting {
    /// Whoever made the request.
    pub(crate) fn new(request: &HttpRequest) -> Arc<Self> {
        Arc::new(Self { peer: Peer::of(request), counted_on: AtomicBool::new(false) })
    }

    /// Whether it is still there.
    pub(crate) fn is_there(&self) -> bool {
        self.peer.as_ref().is_none_or(|peer| peer.is_there())
    }

    /// The question that the worker asks just before it records an outcome.
    pub(crate) fn attended(self: &Arc<Self>) -> Attended {
        let waiting = Arc::downgrade(self);
        Arc::new(move || waiting.upgrade().is_some_and(|waiting| waiting.count_on()))
    }

    /// Whether the last answer to that question was yes.
    pub(crate) fn is_counted_on(&self) -> bool {
        self.counted_on.load(Ordering::Acquire)
    }

    fn count_on(&self) -> bool {
        let there = self.is_there();
        self.counted_on.store(there, Ordering::Release);
        there
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn a_caller_is_attended_until_the_wait_ends() {
        let waiting = Waiting::new(&TestRequest::default().to_http_request());
        let attended = waiting.attended();
        assert!(!waiting.is_counted_on());
        assert!(attended());
        assert!(waiting.is_counted_on());
        drop(waiting);
        assert!(!attended());
    }
}
