//! Random histories of messages from us, and of jobs, end as they do in memory.

use std::time::Duration;

use adapter_sqlite::Limits;
use domain::delivery::DeliveryStatus;
use domain::idempotency::IdempotencyKey;
use domain::job::{ClaimedJob, Job, JobEnding, JobState, Ticket};
use domain::message::{Direction, MessageId};
use domain::outbound::{AfterUnsent, Beginning, EXHAUSTED};
use domain::ports::{
    Acceptance, Begun, Housekeeping, JobClaim, JobQuery, JobQueue, JobRetry, MessageKey,
    MessageQuery, MessageStore, NewOutbound, NewStatusEvent, OutboundStore, SendOutcome,
};
use domain::testing::fixture::{
    accepted, ambiguous, at, attempt, attempt_end, inbound, new_outbound, refused, status, unsent,
};
use domain::testing::{InMemoryStore, Inspect};
use domain::timestamp::Timestamp;
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, proptest};

const TENANTS: [&str; 3] = ["+18605550101", "+18605550102", "whatsapp:+18605550101"];

/// What happens next, and four choices about it.
type Choice = (u8, [u8; 4]);

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_history_of_sending_ends_as_in_memory(
        history in vec(any::<Choice>(), 1..80)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            // What a busy disk makes of a deadline is not the question here.
            let limits = Limits { deadline: Duration::from_mins(1), ..Limits::default() };
            let (store, _folder) = crate::store_with(limits).await;
            let mut twins = Twins::of(store);
            for (number, choice) in (1..).zip(history) {
                twins.live(number, choice).await;
            }
            twins.compare().await;
        });
    }
}

/// Two stores that live through the same.
struct Twins<Store> {
    ours: Store,
    memory: InMemoryStore,
    /// Every job that was ever claimed.
    claimed: Vec<ClaimedJob>,
    /// The latest attempt of each message, by its number.
    begun: Vec<(u32, ClaimedJob)>,
    /// Every message that was ever taken in, by its number.
    taken: Vec<(u32, MessageId)>,
}

/// Asks both the same; the answers must be the same.
macro_rules! both {
    ($twins:ident.$method:ident($($argument:expr),*)) => {{
        let ours = $twins.ours.$method($($argument),*).await.unwrap();
        assert_eq!(ours, $twins.memory.$method($($argument),*).await.unwrap());
        ours
    }};
}

impl<Store: Inspect> Twins<Store> {
    fn of(ours: Store) -> Self {
        let memory = InMemoryStore::default();
        Self { ours, memory, claimed: Vec::new(), begun: Vec::new(), taken: Vec::new() }
    }

    async fn live(&mut self, number: u32, (what, choices): Choice) {
        match what % 19 {
            0..=3 => self.accept(number, choices).await,
            4 | 5 => self.claim(number, choices).await,
            6..=8 => self.begin(number, choices).await,
            9..=11 => self.end(number, choices).await,
            12 => self.report(number, choices).await,
            13 => self.adopt(number, choices).await,
            14 => self.give_up(number, choices).await,
            15 => self.check(number, choices).await,
            16 => self.finish(number, choices).await,
            17 => self.retry(number, choices).await,
            _ => self.sweep_or_receive(number, choices).await,
        }
        // To read all of it each time would take longer than the rest.
        if number.is_multiple_of(16) {
            self.compare().await;
        }
        self.list(choices).await;
    }

    async fn compare(&self) {
        assert_eq!(self.ours.everything().await, self.memory.everything().await);
    }

    async fn accept(&mut self, number: u32, [to, key, caller, workflow]: [u8; 4]) {
        let mut new =
            NewOutbound { accepted_at: now(number), ..new_outbound(number, pick(&TENANTS, to)) };
        new.expires_at = at(number * 10 + 400);
        new.lease_until = at(number * 10 + 60);
        new.workflow_id = (workflow % 2 == 0).then(|| format!("workflow {workflow}"));
        new.idempotency.caller = format!("caller {}", caller % 2);
        new.idempotency.request_hash = format!("hash {}", caller % 3);
        if key % 2 == 0 {
            new.idempotency.key = IdempotencyKey::Given(format!("key {}", key % 6));
        }
        if let Acceptance::New { message, job } = both!(self.accept_outbound(&new)) {
            self.taken.push((number, message.id));
            self.claimed.extend(job);
        }
    }

    async fn claim(&mut self, number: u32, [limit, late, kind, _]: [u8; 4]) {
        let kinds = match kind % 3 {
            0 => vec!["send"],
            1 => vec!["send", "resolve_send", "tenant_lookup"],
            _ => vec!["resolve_send"],
        };
        let claim = JobClaim {
            kinds,
            at: at(number * 10 + u32::from(late)),
            lease_until: at(number * 10 + u32::from(late) + 60),
            limit: u32::from(limit % 4),
        };
        self.claimed.extend(both!(self.claim_jobs(&claim)));
    }

    async fn begin(&mut self, number: u32, [which, late, ..]: [u8; 4]) {
        let sends: Vec<_> = self.claimed.iter().filter(|job| is_send(job)).copied().collect();
        let Some(job) = latest(&sends, which) else { return };
        let mut new = attempt(number, &job);
        new.at = at(number * 10 + u32::from(late) % 40);
        new.deadline = at(number * 10 + u32::from(late) % 40 + 15);
        if let Begun::As(Beginning::Go, _) = both!(self.begin_attempt(&new)) {
            self.begun.retain(|(_, earlier)| earlier.job != job.job);
            self.begun.push((number, job));
        }
    }

    async fn end(&mut self, number: u32, [which, outcome, then, attended]: [u8; 4]) {
        let Some((begun, job)) = latest(&self.begun, which) else { return };
        let Job::Send { message, .. } = job.job else { return };
        let mut end = attempt_end(begun, &job, self.outcome(outcome, message));
        end.at = now(number);
        end.resolve_job = attempt(number, &job).resolve_job;
        end.attended = attended % 2 == 0;
        if then % 3 == 0 {
            end.if_unsent = AfterUnsent::GiveUp(EXHAUSTED);
        }
        both!(self.record_attempt(&end));
    }

    /// A message has one SID, whoever tells.
    fn outcome(&self, outcome: u8, message: MessageId) -> SendOutcome {
        let of = self.taken.iter().find(|(_, id)| *id == message).unwrap().0;
        match outcome % 8 {
            0 | 1 => accepted(of),
            2 => refused("21211"),
            3..=5 => unsent(),
            _ => ambiguous(),
        }
    }

    fn event(&self, number: u32, [which, word, named, _]: [u8; 4]) -> Option<NewStatusEvent> {
        let (of, message) = latest(&self.taken, which)?;
        let word = pick(&["queued", "sent", "delivered", "failed", "undelivered"], word);
        let mut event = status(number, of, word, None);
        event.received_at = now(number);
        event.report.message = (named % 3 != 0).then_some(message);
        Some(event)
    }

    async fn report(&mut self, number: u32, choices: [u8; 4]) {
        if let Some(event) = self.event(number, choices) {
            both!(self.record_status(&event));
        }
    }

    async fn adopt(&mut self, number: u32, choices: [u8; 4]) {
        if let Some(event) = self.event(number, choices) {
            both!(self.adopt_found(&event));
        }
    }

    async fn give_up(&mut self, number: u32, [which, how, ..]: [u8; 4]) {
        let Some((_, message)) = latest(&self.taken, which) else { return };
        match how % 3 {
            0 => both!(self.mark_answered(message, now(number))),
            1 => drop(both!(self.conclude_not_sent(message, now(number)))),
            _ => drop(both!(self.cancel_outbound(&MessageKey::Id(message), now(number)))),
        }
    }

    async fn check(&mut self, number: u32, [which, how, days, limit]: [u8; 4]) {
        let later = at(number * 10 + 86_400 * u32::from(days % 6));
        if how % 2 == 0 {
            let (again, limit) = (at(number * 10 + 700_000), u32::from(limit % 3));
            both!(self.claim_status_checks(later, again, limit));
        } else if let Some((_, message)) = latest(&self.taken, which) {
            both!(self.finish_status_check(message, later));
        }
    }

    async fn finish(&mut self, number: u32, [which, how, stale, _]: [u8; 4]) {
        let Some(job) = latest(&self.claimed, which) else { return };
        let (run_at, error) = (at(number * 10 + 5), "why".to_owned());
        let ending = match how % 5 {
            0 => JobEnding::Done,
            1 => JobEnding::Continue { job: further(job.job), run_at },
            2 => JobEnding::Retry { run_at, error },
            3 => JobEnding::Park { error },
            _ => JobEnding::Release { run_at },
        };
        let attempt = job.ticket.attempt + u32::from(stale % 8 == 0);
        both!(self.finish_job(Ticket { attempt, ..job.ticket }, &ending, now(number)));
    }

    async fn retry(&mut self, number: u32, [which, ..]: [u8; 4]) {
        let Some(job) = latest(&self.claimed, which) else { return };
        let expires_at = at(number * 10 + 400);
        both!(self.retry_job(&JobRetry { id: job.ticket.id, at: now(number), expires_at }));
    }

    async fn sweep_or_receive(&mut self, number: u32, [how, done, parked, keys]: [u8; 4]) {
        if how % 4 == 0 {
            let before = |age: u8| at(number * 10 - number.min(u32::from(age)));
            both!(self.housekeep(&Housekeeping {
                done_jobs: before(done),
                parked_jobs: before(parked),
                idempotency_keys: before(keys),
                parked_events: before(done),
                limit: 1000,
            }));
        } else {
            let new = inbound(1000 + number, pick(&TENANTS, how));
            both!(self.record_inbound(&new));
        }
    }

    async fn list(&self, [status, direction, limit, since]: [u8; 4]) {
        let job_query = JobQuery {
            state: JobState::ALL.get(usize::from(status) % 5).copied(),
            limit: u32::from(limit % 5),
            offset: u32::from(since % 3),
        };
        both!(self.list_jobs(&job_query));
        let directions = [Some(Direction::Outbound), Some(Direction::Inbound), None];
        let mut query = MessageQuery {
            status: DeliveryStatus::ALL.get(usize::from(status) % 12).copied(),
            direction: pick(&directions, direction),
            since: (since % 2 == 0).then(|| at(u32::from(since))),
            behind: None,
            limit: u32::from(limit % 4) + 1,
        };
        query.behind = both!(self.list_messages(&query)).next;
        both!(self.list_messages(&query));
    }
}

fn now(number: u32) -> Timestamp {
    at(number * 10)
}

fn is_send(job: &ClaimedJob) -> bool {
    matches!(job.job, Job::Send { .. })
}

fn further(job: Job) -> Job {
    match job {
        Job::ResolveSend { message, looks } => Job::ResolveSend { message, looks: looks + 1 },
        other => other,
    }
}

fn pick<T: Copy>(all: &[T], choice: u8) -> T {
    *all.iter().cycle().nth(choice.into()).unwrap()
}

/// One of the last four.
fn latest<T: Copy>(all: &[T], choice: u8) -> Option<T> {
    all.iter().rev().take(4).nth(usize::from(choice) % all.len().clamp(1, 4)).copied()
}
