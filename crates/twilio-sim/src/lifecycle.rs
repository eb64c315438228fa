//! What happens to a message after it was made, and how it is told.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::account::Account;
use crate::message::Status;
use crate::mix::InvalidSetting;

/// How long a message stays in one status before it reaches the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delays {
    /// From the beginning to `sending`.
    pub sending: Duration,
    /// From there to `sent`.
    pub sent: Duration,
    /// From there to the end: `delivered`, `undelivered`; or from `sending` to `failed`.
    pub end: Duration,
}

impl Delays {
    /// The same for each step.
    #[must_use]
    pub const fn each(delay: Duration) -> Self {
        Self { sending: delay, sent: delay, end: delay }
    }
}

/// Written `200ms` for all steps, or `200ms,500ms,2s` for each.
impl FromStr for Delays {
    type Err = InvalidSetting;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let delay = |text: &str| humantime::parse_duration(text.trim()).ok();
        let delays: Option<Vec<_>> = text.split(',').map(delay).collect();
        match delays.as_deref() {
            Some([each]) => Ok(Self::each(*each)),
            Some([sending, sent, end]) => Ok(Self { sending: *sending, sent: *sent, end: *end }),
            _ => Err(InvalidSetting { text: text.to_owned(), expected: "200ms, 200ms,500ms,2s" }),
        }
    }
}

impl fmt::Display for Delays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [sending, sent, end] =
            [self.sending, self.sent, self.end].map(humantime::format_duration);
        if self.sending == self.sent && self.sent == self.end {
            return write!(f, "{sending}");
        }
        write!(f, "{sending},{sent},{end}")
    }
}

/// How a message ends. `Display` and `FromStr` use the words given here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Outcome {
    /// `delivered`.
    #[default]
    Delivered,
    /// `undelivered:30003`: the carrier says no, with that code.
    Undelivered(u32),
    /// `failed:30008`: it was never handed to a carrier, with that code.
    Failed(u32),
    /// `sent`: nobody ever says whether it was delivered.
    Sent,
}

impl FromStr for Outcome {
    type Err = InvalidSetting;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || match text.split_once(':') {
            None if text == "delivered" => Some(Self::Delivered),
            None if text == "sent" => Some(Self::Sent),
            Some(("undelivered", code)) => code.parse().ok().map(Self::Undelivered),
            Some(("failed", code)) => code.parse().ok().map(Self::Failed),
            _ => None,
        };
        let expected = "delivered, undelivered:30003, failed:30008, sent";
        read().ok_or_else(|| InvalidSetting { text: text.to_owned(), expected })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delivered => f.write_str("delivered"),
            Self::Undelivered(code) => write!(f, "undelivered:{code}"),
            Self::Failed(code) => write!(f, "failed:{code}"),
            Self::Sent => f.write_str("sent"),
        }
    }
}

/// How status callbacks reach the service. `Display` and `FromStr` use the words given here.
///
/// The initial status is never told, and nothing is where no `StatusCallback` was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Callbacks {
    /// `as-it-happens`: each change when it happens, once, in order.
    #[default]
    AsItHappens,
    /// `early`: the first change happens at once and is told before the create is answered.
    Early,
    /// `late:2s`: all of them in order, that long after the message has ended.
    Late(Duration),
    /// `lost`: none, until [`Simulator::tell_everything`](crate::Simulator::tell_everything).
    Lost,
    /// `twice`: each change two times.
    Twice,
    /// `reversed`: all of them after the message has ended, the last one first.
    Reversed,
}

impl FromStr for Callbacks {
    type Err = InvalidSetting;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || match text.split_once(':') {
            Some(("late", wait)) => humantime::parse_duration(wait).ok().map(Self::Late),
            Some(_) => None,
            None => match text {
                "as-it-happens" => Some(Self::AsItHappens),
                "early" => Some(Self::Early),
                "lost" => Some(Self::Lost),
                "twice" => Some(Self::Twice),
                "reversed" => Some(Self::Reversed),
                _ => None,
            },
        };
        let expected = "as-it-happens, early, late:2s, lost, twice, reversed";
        read().ok_or_else(|| InvalidSetting { text: text.to_owned(), expected })
    }
}

impl fmt::Display for Callbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AsItHappens => f.write_str("as-it-happens"),
            Self::Early => f.write_str("early"),
            Self::Late(wait) => write!(f, "late:{}", humantime::format_duration(*wait)),
            Self::Lost => f.write_str("lost"),
            Self::Twice => f.write_str("twice"),
            Self::Reversed => f.write_str("reversed"),
        }
    }
}

/// What is going to happen to one message.
pub(crate) struct Life {
    pub(crate) steps: Vec<Step>,
    pub(crate) callbacks: Callbacks,
}

pub(crate) struct Step {
    pub(crate) after: Duration,
    pub(crate) status: Status,
    pub(crate) error_code: Option<u32>,
}

impl Life {
    /// `waiting` is how long the message waits for its time before anything happens.
    pub(crate) fn new(
        initial: Status,
        waiting: Duration,
        delays: Delays,
        outcome: Outcome,
        callbacks: Callbacks,
    ) -> Self {
        let step = |after, status, error_code| Step { after, status, error_code };
        let mut steps = Vec::with_capacity(4);
        if initial != Status::Queued {
            steps.push(step(waiting, Status::Queued, None));
        }
        steps.push(step(delays.sending, Status::Sending, None));
        if let Outcome::Failed(code) = outcome {
            steps.push(step(delays.end, Status::Failed, Some(code)));
        } else {
            steps.push(step(delays.sent, Status::Sent, None));
        }
        match outcome {
            Outcome::Delivered => steps.push(step(delays.end, Status::Delivered, None)),
            Outcome::Undelivered(code) => {
                steps.push(step(delays.end, Status::Undelivered, Some(code)));
            }
            Outcome::Failed(_) | Outcome::Sent => {}
        }
        if let (Callbacks::Early, Some(first)) = (callbacks, steps.first_mut()) {
            first.after = Duration::ZERO;
        }
        Self { steps, callbacks }
    }

    /// Lets it happen. `first_told` is heard of once the first change was told, or cannot be.
    pub(crate) async fn run(
        self,
        account: Arc<Account>,
        sid: String,
        first_told: oneshot::Sender<()>,
    ) {
        let mut first_told = Some(first_told);
        for step in self.steps {
            sleep(step.after).await;
            let Some(nth) = account.change(&sid, step.status, step.error_code) else {
                break;
            };
            match self.callbacks {
                Callbacks::AsItHappens | Callbacks::Early => account.tell(&sid, nth, 1).await,
                Callbacks::Twice => account.tell(&sid, nth, 2).await,
                Callbacks::Late(_) | Callbacks::Lost | Callbacks::Reversed => {}
            }
            if let Some(first_told) = first_told.take() {
                // Whoever made the message may have left.
                let _ = first_told.send(());
            }
        }
        match self.callbacks {
            Callbacks::Late(wait) => {
                sleep(wait).await;
                account.tell_all(&sid).await;
            }
            Callbacks::Reversed => account.tell_last_first(&sid).await,
            Callbacks::AsItHappens | Callbacks::Early | Callbacks::Lost | Callbacks::Twice => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statuses(initial: Status, outcome: Outcome) -> Vec<&'static str> {
        let delays = Delays::each(Duration::from_secs(1));
        let life = Life::new(initial, Duration::ZERO, delays, outcome, Callbacks::Early);
        assert_eq!(life.steps[0].after, Duration::ZERO);
        life.steps.iter().map(|step| step.status.as_str()).collect()
    }

    #[test]
    fn a_life_ends_as_it_is_meant_to() {
        let queued = |outcome| statuses(Status::Queued, outcome);
        assert_eq!(queued(Outcome::Delivered), ["sending", "sent", "delivered"]);
        assert_eq!(queued(Outcome::Undelivered(30003)), ["sending", "sent", "undelivered"]);
        assert_eq!(queued(Outcome::Failed(30008)), ["sending", "failed"]);
        assert_eq!(queued(Outcome::Sent), ["sending", "sent"]);
        let accepted = statuses(Status::Accepted, Outcome::Delivered);
        assert_eq!(accepted, ["queued", "sending", "sent", "delivered"]);
    }

    #[test]
    fn settings_are_written_as_they_are_read() {
        for text in ["delivered", "undelivered:30003", "failed:30008", "sent"] {
            assert_eq!(text.parse::<Outcome>().unwrap().to_string(), text);
        }
        for text in ["as-it-happens", "early", "late:2s", "lost", "twice", "reversed"] {
            assert_eq!(text.parse::<Callbacks>().unwrap().to_string(), text);
        }
        assert!("delivered:1".parse::<Outcome>().is_err());
        assert!("late".parse::<Callbacks>().is_err());
    }

    #[test]
    fn delays_are_given_for_all_steps_or_for_each() {
        let seconds = Duration::from_secs;
        assert_eq!("2s".parse(), Ok(Delays::each(seconds(2))));
        let each = Delays { sending: seconds(1), sent: seconds(2), end: seconds(3) };
        assert_eq!("1s, 2s,3s".parse(), Ok(each));
        assert!("1s,2s".parse::<Delays>().is_err());
        for text in ["300ms", "1s,2s,3s"] {
            assert_eq!(text.parse::<Delays>().unwrap().to_string(), text);
        }
    }
}
