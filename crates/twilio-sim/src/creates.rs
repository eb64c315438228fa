//! The requests to create a message, as they came.

use std::collections::HashMap;
use std::time::Duration;

use crate::failure::Failure;

/// A request to create a message. Personal data: it has no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct CreateRequest {
    /// The recipient as it was given; empty where none was.
    pub to: String,
    /// When it had come, since the simulator started.
    pub came_at: Duration,
    /// When and how it was over; `None` while it is not.
    pub end: Option<(Duration, End)>,
    /// The message that it made.
    pub sid: Option<String>,
    /// What was to become of it.
    pub failure: Failure,
}

/// How a request was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Answered, with that HTTP status.
    Answered(u16),
    /// The simulator cut the connection.
    Cut,
    /// The caller went away.
    CallerLeft,
}

/// All requests to create a message until now, in the order in which they came.
#[derive(Clone, Default)]
pub struct Creates(Vec<CreateRequest>);

/// How much later than the caller we may notice that it has gone away.
const NOTICED_LATE: Duration = Duration::from_millis(100);

impl Creates {
    /// The requests.
    pub fn iter(&self) -> impl Iterator<Item = &CreateRequest> {
        self.0.iter()
    }

    /// How many there were, refused and unanswered ones included.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The largest number of requests to one recipient that were in flight at the same time.
    ///
    /// Where the caller went away the request counts as over 100 ms before that was noticed, so
    /// that a caller who gave up and asks again is not counted twice.
    #[must_use]
    pub fn most_in_flight_per_recipient(&self) -> usize {
        let mut by_recipient: HashMap<&str, Vec<&CreateRequest>> = HashMap::new();
        for request in &self.0 {
            by_recipient.entry(&request.to).or_default().push(request);
        }
        by_recipient.into_values().map(most_in_flight).max().unwrap_or_default()
    }

    /// The largest number of requests to `recipient` that were in flight at the same time.
    #[must_use]
    pub fn most_in_flight_to(&self, recipient: &str) -> usize {
        most_in_flight(self.iter().filter(|request| request.to == recipient))
    }

    /// The largest number of requests in flight at the same time.
    #[must_use]
    pub fn most_in_flight(&self) -> usize {
        most_in_flight(self)
    }

    /// How many came in each second, from the first request to the last.
    #[must_use]
    pub fn per_second(&self) -> Vec<usize> {
        let Some(first) = self.0.first() else {
            return Vec::new();
        };
        let mut counts = Vec::new();
        for request in &self.0 {
            let second = request.came_at.saturating_sub(first.came_at).as_secs();
            let second = usize::try_from(second).unwrap_or(usize::MAX);
            // Requests are in order, so this is the last second or one behind it.
            while counts.len() <= second {
                counts.push(0);
            }
            if let Some(count) = counts.last_mut() {
                *count += 1;
            }
        }
        counts
    }

    pub(crate) fn begin(&mut self, request: CreateRequest) -> usize {
        self.0.push(request);
        self.0.len() - 1
    }

    pub(crate) fn get_mut(&mut self, number: usize) -> Option<&mut CreateRequest> {
        self.0.get_mut(number)
    }
}

impl<'a> IntoIterator for &'a Creates {
    type Item = &'a CreateRequest;
    type IntoIter = std::slice::Iter<'a, CreateRequest>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

fn most_in_flight<'a>(requests: impl IntoIterator<Item = &'a CreateRequest>) -> usize {
    let mut moments = Vec::new();
    for request in requests {
        // What ends in the moment in which another begins is over before: `false` sorts first.
        moments.push((request.came_at, true));
        moments.extend(over_at(request).map(|at| (at, false)));
    }
    moments.sort_unstable();
    let (mut now, mut most) = (0_usize, 0);
    for (_, begins) in moments {
        now = if begins { now + 1 } else { now.saturating_sub(1) };
        most = most.max(now);
    }
    most
}

fn over_at(request: &CreateRequest) -> Option<Duration> {
    let (at, end) = request.end?;
    Some(match end {
        End::Answered(_) | End::Cut => at,
        // Never before it began, or another one would be taken off in its place.
        End::CallerLeft => at.saturating_sub(NOTICED_LATE).max(request.came_at + MOMENT),
    })
}

const MOMENT: Duration = Duration::from_nanos(1);

#[cfg(test)]
mod tests {
    use super::*;

    /// Recipient, when it came, and when and how it was over.
    type Request = (&'static str, u64, Option<(u64, End)>);

    fn creates(requests: &[Request]) -> Creates {
        let millis = Duration::from_millis;
        let request = |(to, came_at, end): &Request| CreateRequest {
            to: (*to).to_owned(),
            came_at: millis(*came_at),
            end: end.map(|(at, end)| (millis(at), end)),
            sid: None,
            failure: Failure::Answer,
        };
        Creates(requests.iter().map(request).collect())
    }

    #[test]
    fn requests_in_flight_are_counted_per_recipient() {
        let answered = |at| Some((at, End::Answered(201)));
        let creates = creates(&[
            ("a", 0, answered(10)),
            ("b", 5, answered(30)),
            ("a", 10, answered(20)),
            ("b", 15, Some((16, End::Cut))),
            ("b", 20, None),
        ]);
        assert_eq!(creates.most_in_flight_to("a"), 1);
        assert_eq!(creates.most_in_flight_to("b"), 2);
        assert_eq!(creates.most_in_flight_to("c"), 0);
        assert_eq!(creates.most_in_flight_per_recipient(), 2);
        assert_eq!(creates.most_in_flight(), 3);
        assert_eq!(Creates::default().most_in_flight_per_recipient(), 0);
    }

    #[test]
    fn a_caller_who_left_may_ask_again() {
        let left = |at| Some((at, End::CallerLeft));
        let check = |requests: &[Request], most| {
            assert_eq!(creates(requests).most_in_flight_to("a"), most);
        };
        check(&[("a", 0, left(1_000)), ("a", 950, None)], 1);
        check(&[("a", 0, left(1_000)), ("a", 850, None)], 2);
        check(&[("a", 0, left(1)), ("a", 0, None), ("a", 2, None)], 2);
    }

    #[test]
    fn requests_are_counted_by_the_second() {
        let creates = creates(&[("a", 500, None), ("a", 1_400, None), ("a", 3_500, None)]);
        assert_eq!(creates.per_second(), [2, 0, 0, 1]);
        assert_eq!(creates.count(), 3);
        assert!(Creates::default().per_second().is_empty());
    }
}
