//! Random histories of messages from us: the store in memory is the measure.

use std::time::Duration;

use domain::delivery::DeliveryStatus;
use domain::idempotency::IdempotencyKey;
use domain::job::{ClaimedJob, Job, JobEnding, JobId};
use domain::message::{Direction, MessageId};
use domain::outbound::{AfterUnsent, EXHAUSTED};
use domain::ports::{
    Acceptance, Begun, Housekeeping, JobClaim, JobQuery, JobQueue, JobRetry, MessageKey,
    MessageQuery, MessageStore, NewStatusEvent, OutboundStore, SendOutcome,
};
use domain::testing::fixture::{
    accepted, ambiguous, at, attempt, attempt_end, inbound, new_outbound, refused, sid, status,
    to_conversation, unsent,
};
use domain::testing::{InMemoryStore, Inspect};
use domain::timestamp::Timestamp;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};

use crate::database::fresh_store;

/// Something that happens. An [`Index`] picks one of what is there.
#[derive(Debug, Clone)]
enum Act {
    Accept(Request),
    Inbound { tenant: u32, of: u32 },
    Begin(Index),
    End { nth: Index, outcome: u8, gives_up: bool, attended: bool },
    Report { nth: Index, second_sid: bool, by_id: bool, word: &'static str },
    Adopt { nth: Index, sid_of: Index },
    Conclude(Index),
    Cancel(Index),
    Answered(Index),
    Claim(u32),
    Finish { nth: Index, ending: u8 },
    Retry(Index),
    Checks { hours: u32 },
    Checked(Index),
    Sweep,
}

/// Somebody asks for a text.
#[derive(Debug, Clone)]
struct Request {
    tenant: u32,
    key: Option<u32>,
    hash: u32,
    by_id: bool,
    leased: bool,
}

fn act() -> impl Strategy<Value = Act> {
    let accept =
        (0..3_u32, option::of(0..4_u32), 0..6_u32, any::<bool>(), proptest::bool::weighted(0.8));
    let end = (any::<Index>(), 0..4_u8, any::<bool>(), any::<bool>());
    let words = select(vec!["queued", "sent", "delivered", "undelivered", "failed", "odd"]);
    let report = (any::<Index>(), any::<bool>(), any::<bool>(), words);
    prop_oneof![
        6 => accept.prop_map(|(tenant, key, hash, by_id, leased)| {
            Act::Accept(Request { tenant, key, hash, by_id, leased })
        }),
        1 => (0..3_u32, 0..60_u32).prop_map(|(tenant, of)| Act::Inbound { tenant, of }),
        6 => any::<Index>().prop_map(Act::Begin),
        6 => end.prop_map(|(nth, outcome, gives_up, attended)| {
            Act::End { nth, outcome, gives_up, attended }
        }),
        4 => report.prop_map(|(nth, second_sid, by_id, word)| {
            Act::Report { nth, second_sid, by_id, word }
        }),
        2 => any::<(Index, Index)>().prop_map(|(nth, sid_of)| Act::Adopt { nth, sid_of }),
        2 => any::<Index>().prop_map(Act::Conclude),
        2 => any::<Index>().prop_map(Act::Cancel),
        1 => any::<Index>().prop_map(Act::Answered),
        4 => (1..4_u32).prop_map(Act::Claim),
        3 => (any::<Index>(), 0..5_u8).prop_map(|(nth, ending)| Act::Finish { nth, ending }),
        2 => any::<Index>().prop_map(Act::Retry),
        1 => (0..60_u32).prop_map(|hours| Act::Checks { hours }),
        1 => any::<Index>().prop_map(Act::Checked),
        1 => Just(Act::Sweep),
    ]
}

/// Calls the method of both stores and expects the same answer, which is given.
macro_rules! both {
    ($world:expr, $method:ident($($argument:expr),*)) => {{
        let ours = $world.store.$method($($argument),*).await.unwrap();
        let theirs = $world.memory.$method($($argument),*).await.unwrap();
        assert_eq!(ours, theirs, "{}", stringify!($method));
        theirs
    }};
}

/// What has happened so far.
struct World<'a, S> {
    store: &'a S,
    memory: InMemoryStore,
    /// The messages from us, each with the number of its first SID.
    messages: Vec<(MessageId, u32)>,
    jobs: Vec<ClaimedJob>,
    /// The attempts that began, by number.
    attempts: Vec<(u32, ClaimedJob)>,
}

impl<S: Inspect> World<'_, S> {
    async fn happens(&mut self, number: u32, act: &Act) {
        // Leases of a minute, and everything else that ends, end within a history.
        let second = number * 4;
        let now = at(second);
        match act {
            Act::Accept(request) => self.accept(second, request).await,
            Act::Inbound { tenant, of } => {
                let mut new = inbound(second, &tenant_number(*tenant));
                new.message.twilio_sid = sid(*of);
                // Clocks of different processes differ: what comes later may be from before.
                new.received_at = at(second + 30);
                both!(self, record_inbound(&new));
            }
            Act::Begin(nth) => self.begin(second, *nth).await,
            Act::End { nth, outcome, gives_up, attended } => {
                self.end(now, *nth, *outcome, *gives_up, *attended).await;
            }
            Act::Report { nth, second_sid, by_id, word } => {
                let Some((id, of)) = pick(*nth, &self.messages).copied() else { return };
                let of = if *second_sid { of + 100_000 } else { of };
                let mut event = status(second, of, word, None);
                event.report.message = by_id.then_some(id);
                both!(self, record_status(&event));
            }
            Act::Adopt { nth, sid_of } => {
                let Some((id, _)) = pick(*nth, &self.messages).copied() else { return };
                let Some((owner, of)) = pick(*sid_of, &self.messages).copied() else { return };
                let mut event: NewStatusEvent = status(second, of, "sent", None);
                event.report.message = Some(id);
                // A SID that its own message has yet to get stays free for it.
                if owner == id || self.has_sid(of).await {
                    both!(self, adopt_found(&event));
                }
            }
            Act::Conclude(nth) => {
                let Some((id, _)) = pick(*nth, &self.messages).copied() else { return };
                both!(self, conclude_not_sent(id, now));
            }
            Act::Cancel(nth) => {
                let Some((id, of)) = pick(*nth, &self.messages).copied() else { return };
                both!(self, cancel_outbound(&MessageKey::Id(id), now));
                both!(self, cancel_outbound(&MessageKey::Sid(sid(of)), now));
            }
            Act::Answered(nth) => {
                let Some((id, _)) = pick(*nth, &self.messages).copied() else { return };
                both!(self, mark_answered(id, now));
            }
            Act::Claim(limit) => self.claim(now, *limit).await,
            Act::Finish { nth, ending } => {
                let Some(job) = pick(*nth, &self.jobs).copied() else { return };
                both!(self, finish_job(job.ticket, &ending_of(*ending, &job, now), now));
            }
            Act::Retry(nth) => {
                let jobs: Vec<JobId> =
                    self.memory.everything().await.jobs.iter().map(|job| job.id).collect();
                let Some(id) = pick(*nth, &jobs).copied() else { return };
                let expires_at = now.after(Duration::from_mins(5));
                both!(self, retry_job(&JobRetry { id, at: now, expires_at }));
            }
            Act::Checks { hours } => {
                let later = now.after(Duration::from_hours(u64::from(*hours)));
                let again = later.after(Duration::from_mins(15));
                both!(self, claim_status_checks(later, again, 2));
            }
            Act::Checked(nth) => {
                let Some((id, _)) = pick(*nth, &self.messages).copied() else { return };
                both!(self, finish_status_check(id, now));
            }
            Act::Sweep => self.sweep(now.before(Duration::from_mins(2))).await,
        }
    }

    async fn accept(&mut self, second: u32, request: &Request) {
        let mut new = new_outbound(second, &tenant_number(request.tenant));
        let lease = Duration::from_secs(if request.leased { 60 } else { 0 });
        new.lease_until = new.accepted_at.after(lease);
        new.expires_at = new.accepted_at.after(Duration::from_mins(3));
        new.idempotency.keep = Duration::from_mins(2);
        new.idempotency.request_hash = format!("hash {}", request.hash);
        if let Some(key) = request.key {
            new.idempotency.key = IdempotencyKey::Given(format!("key {key}"));
        }
        let there = self.memory.everything().await.conversations;
        if let (true, Some(first)) = (request.by_id, there.first()) {
            new = to_conversation(new, first.id);
        }
        if let Acceptance::New { message, job } = both!(self, accept_outbound(&new)) {
            self.messages.push((message.id, 100_000 + second));
            self.jobs.extend(job);
        }
    }

    async fn begin(&mut self, second: u32, nth: Index) {
        let is_send = |job: &&ClaimedJob| matches!(job.job, Job::Send { .. });
        let sends: Vec<_> = self.jobs.iter().filter(is_send).copied().collect();
        let Some(job) = pick(nth, &sends).copied() else { return };
        let begun = both!(self, begin_attempt(&attempt(second, &job)));
        if matches!(begun, Begun::As(..)) {
            self.attempts.push((second, job));
        }
    }

    async fn claim(&mut self, now: Timestamp, limit: u32) {
        let kinds = vec!["send", "resolve_send", "tenant_lookup"];
        let lease_until = now.after(Duration::from_mins(1));
        let claim = JobClaim { kinds, at: now, lease_until, limit };
        let claimed = both!(self, claim_jobs(&claim));
        self.jobs.extend(claimed);
    }

    async fn end(&self, now: Timestamp, nth: Index, outcome: u8, gives_up: bool, attended: bool) {
        let Some((number, job)) = pick(nth, &self.attempts).copied() else { return };
        let Job::Send { message, .. } = job.job else { return };
        let of = self.messages.iter().find(|(id, _)| *id == message).map_or(0, |(_, of)| *of);
        let mut end = attempt_end(number, &job, outcome_of(outcome, of));
        (end.at, end.attended) = (now, attended);
        end.if_unsent =
            if gives_up { AfterUnsent::GiveUp(EXHAUSTED) } else { AfterUnsent::RetryAt(now) };
        both!(self, record_attempt(&end));
    }

    async fn has_sid(&self, of: u32) -> bool {
        self.memory.find_message(&MessageKey::Sid(sid(of))).await.unwrap().is_some()
    }

    async fn sweep(&self, before: Timestamp) {
        let what = Housekeeping {
            done_jobs: before,
            parked_jobs: before,
            idempotency_keys: before,
            parked_events: before,
            limit: 1000,
        };
        both!(self, housekeep(&what));
    }

    /// Everything that can be asked is answered the same.
    async fn compare(&self) {
        for status in DeliveryStatus::ALL.map(Some).into_iter().chain([None]) {
            for direction in [None, Some(Direction::Outbound), Some(Direction::Inbound)] {
                let (since, behind, limit) = (Some(at(60)), None, 3);
                let query = MessageQuery { status, direction, since, behind, limit };
                let page = both!(self, list_messages(&query));
                both!(self, list_messages(&MessageQuery { behind: page.next, ..query }));
            }
        }
        both!(self, list_jobs(&JobQuery { state: None, limit: 10, offset: 2 }));
        for (id, _) in &self.messages {
            both!(self, find_outgoing(*id));
        }
        assert_eq!(self.store.everything().await, self.memory.everything().await);
    }
}

fn pick<T>(nth: Index, of: &[T]) -> Option<&T> {
    (!of.is_empty()).then(|| nth.get(of))
}

fn tenant_number(tenant: u32) -> String {
    format!("+1860555019{tenant}")
}

fn outcome_of(choice: u8, sid: u32) -> SendOutcome {
    match choice {
        0 => accepted(sid),
        1 => refused("21610"),
        2 => unsent(),
        _ => ambiguous(),
    }
}

fn ending_of(choice: u8, job: &ClaimedJob, now: Timestamp) -> JobEnding {
    let error = "why".to_owned();
    match (choice, job.job) {
        (0, _) => JobEnding::Done,
        (1, Job::ResolveSend { message, looks }) => {
            JobEnding::Continue { job: Job::ResolveSend { message, looks: looks + 1 }, run_at: now }
        }
        (1 | 2, _) => JobEnding::Retry { run_at: now.after(Duration::from_secs(30)), error },
        (3, _) => JobEnding::Park { error },
        _ => JobEnding::Release { run_at: now },
    }
}

#[test]
fn every_history_of_sending_ends_as_it_does_in_memory() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (store, schema) = runtime.block_on(fresh_store());
    let outsider = runtime.block_on(schema.outsider());
    let config = Config { cases: 48, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&vec(act(), 10..90), |acts| {
            runtime.block_on(async {
                outsider.batch_execute(crate::agreement::EMPTY).await.unwrap();
                let memory = InMemoryStore::default();
                let (messages, jobs, attempts) = (Vec::new(), Vec::new(), Vec::new());
                let mut world = World { store: &store, memory, messages, jobs, attempts };
                for (number, act) in (1..).zip(&acts) {
                    world.happens(number, act).await;
                }
                world.compare().await;
            });
            Ok(())
        })
        .unwrap();
}
