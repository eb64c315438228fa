//! When sending must wait: the account is refused, or a sender would go too fast.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::message::MessageId;
use crate::timestamp::Timestamp;

/// Sending pauses while the provider refuses our account: the messages wait instead of failing.
#[derive(Debug, Default)]
pub(super) struct AccountPause(Mutex<Option<Timestamp>>);

/// For so long it pauses before the account is probed again.
const PAUSE: Duration = Duration::from_secs(30);

/// A place that nobody has come for is kept for so long.
const FORGOTTEN: Duration = Duration::from_hours(1);

/// Whether a message may be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Yes.
    Now,
    /// Not before this time.
    Later(Timestamp),
    /// The account was refused a while ago: whoever gets this finds out whether it still is.
    Probe,
}

impl AccountPause {
    /// Begins, or goes on.
    pub(super) fn begin(&self, now: Timestamp) -> Timestamp {
        let until = now.after(PAUSE);
        *locked(&self.0) = Some(until);
        until
    }

    /// The account is good again.
    pub(super) fn end(&self) {
        *locked(&self.0) = None;
    }

    /// Whether it pauses.
    pub(super) fn is_on(&self) -> bool {
        locked(&self.0).is_some()
    }

    /// Whose turn it is. Only one is told to probe at a time.
    pub(super) fn turn(&self, now: Timestamp) -> Turn {
        let mut until = locked(&self.0);
        match *until {
            None => Turn::Now,
            Some(end) if now < end => Turn::Later(end),
            Some(_) => {
                *until = Some(now.after(PAUSE));
                Turn::Probe
            }
        }
    }
}

/// Gives each message of a sender a place in time.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Option<Duration>,
    slots: Mutex<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    /// When the sender's next message may go.
    next: HashMap<String, Timestamp>,
    /// The places given to messages that were told to come back.
    given: HashMap<MessageId, Timestamp>,
}

impl Pace {
    pub(super) fn new(interval: Option<Duration>) -> Self {
        Self { interval: interval.filter(|each| !each.is_zero()), slots: Mutex::default() }
    }

    /// Whether there is one.
    pub(super) fn is_on(&self) -> bool {
        self.interval.is_some()
    }

    /// When this message of that sender may go. It keeps its place when it asks again.
    pub(super) fn slot(&self, sender: &str, message: MessageId, now: Timestamp) -> Timestamp {
        let Some(interval) = self.interval else {
            return now;
        };
        let mut slots = locked(&self.slots);
        if let Some(given) = slots.given.get(&message).copied() {
            if given <= now {
                slots.given.remove(&message);
            }
            return given.max(now);
        }
        let slot = slots.next.get(sender).copied().unwrap_or(now).max(now);
        slots.next.insert(sender.to_owned(), slot.after(interval));
        if slot > now {
            // Places of messages that another process has sent meanwhile.
            slots.given.retain(|_, given| given.after(FORGOTTEN) > now);
            slots.given.insert(message, slot);
        }
        slot
    }

    /// The message does not need its place any more.
    pub(super) fn forget(&self, message: MessageId) {
        if self.is_on() {
            locked(&self.slots).given.remove(&message);
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn at(millis: u64) -> Timestamp {
        Timestamp::EPOCH.after(Duration::from_millis(millis))
    }

    #[test]
    fn messages_of_one_sender_go_one_after_the_other() {
        let pace = Pace::new(Some(Duration::from_millis(100)));
        let message = |number| MessageId(Uuid::from_u128(number));
        assert_eq!(pace.slot("a", message(1), at(0)), at(0));
        assert_eq!(pace.slot("a", message(2), at(0)), at(100));
        assert_eq!(pace.slot("b", message(3), at(0)), at(0));
        assert_eq!(pace.slot("a", message(4), at(0)), at(200));
        assert_eq!(pace.slot("a", message(2), at(100)), at(100), "it keeps its place");
        assert_eq!(pace.slot("a", message(5), at(1000)), at(1000));
    }

    #[test]
    fn while_the_account_is_refused_one_at_a_time_probes() {
        let pause = AccountPause::default();
        assert_eq!(pause.turn(at(0)), Turn::Now);
        let until = pause.begin(at(0));
        assert_eq!(pause.turn(at(1)), Turn::Later(until));
        assert_eq!(pause.turn(until), Turn::Probe);
        assert_eq!(pause.turn(until), Turn::Later(until.after(PAUSE)));
        pause.end();
        assert_eq!(pause.turn(until), Turn::Now);
    }
}
