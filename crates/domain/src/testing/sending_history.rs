//! Random histories of messages from us, of tenants, conversations and jobs: every store that lives
//! through the same one must answer the same and end in the same state.

#![expect(clippy::unwrap_used, reason = "this is the body of a test: to panic is to fail")]

use proptest::collection::vec;
use proptest::prelude::{Strategy, any};

use super::event_contract::event_promises;
use super::fixture::{
    accepted, ambiguous, at, attempt, attempt_end, detection, inbound, new_outbound, origin,
    refused, status, unsent, uuid,
};
use super::inspect::Inspect;
use super::memory::InMemoryStore;
use crate::conversation::ConversationId;
use crate::delivery::DeliveryStatus;
use crate::idempotency::IdempotencyKey;
use crate::job::{ClaimedJob, Job, JobEnding, JobId, JobState, Ticket};
use crate::language::{Detection, Language};
use crate::message::{Direction, MessageId};
use crate::outbound::{AfterUnsent, Beginning, EXHAUSTED};
use crate::phone::{Address, Region};
use crate::ports::{
    Acceptance, Annotation, Begun, ConversationKey, ConversationQuery, ConversationStore,
    EventStore, Housekeeping, JobClaim, JobQuery, JobQueue, JobRetry, LookupResult, MessageKey,
    MessageQuery, MessageStore, NewOutbound, NewStatusEvent, OutboundStore, Reconciliation,
    Recorded, SendOutcome,
};
use crate::tenant::TenantId;
use crate::text::Text;
use crate::timestamp::Timestamp;

const NUMBERS: [&str; 5] =
    ["+18605550101", "+18605550102", "+18605550103", "+18605550104", "whatsapp:+18605550101"];

const LANGUAGES: [Language; 4] =
    [Language::English, Language::Spanish, Language::Portuguese, Language::Unknown];

/// What happens next, and four choices about it.
pub type Choice = (u8, [u8; 4]);

/// Histories of up to `length` steps.
pub fn histories(length: usize) -> impl Strategy<Value = Vec<Choice>> {
    vec(any::<Choice>(), 1..=length)
}

/// Lives through `history` with `store`, which is empty, and with a store in memory.
///
/// Every step makes ids of its own.
///
/// # Panics
/// Where they differ.
pub async fn agrees_with_memory(store: &impl Inspect, history: &[Choice]) {
    let mut twins = Twins::of(store);
    twins.subscribe().await;
    for (number, choice) in (1..).zip(history) {
        twins.live(number, *choice).await;
    }
    twins.compare().await;
    event_promises::the_same_was_told(twins.ours, &twins.memory).await;
}

/// Two stores that live through the same.
struct Twins<'a, Store> {
    ours: &'a Store,
    memory: InMemoryStore,
    /// Every job that was ever claimed.
    claimed: Vec<ClaimedJob>,
    /// Every attempt that was ever made, by its number.
    begun: Vec<(u32, ClaimedJob)>,
    /// Every message that was ever taken in, by its number.
    taken: Vec<(u32, MessageId)>,
    /// Every conversation that was ever opened.
    opened: Vec<ConversationId>,
}

/// Asks both the same; the answers must be the same.
macro_rules! both {
    ($twins:ident.$method:ident($($argument:expr),*)) => {{
        let ours = $twins.ours.$method($($argument),*).await.unwrap();
        assert_eq!(ours, $twins.memory.$method($($argument),*).await.unwrap());
        ours
    }};
}

impl<'a, Store: Inspect> Twins<'a, Store> {
    fn of(ours: &'a Store) -> Self {
        let memory = InMemoryStore::default();
        let (claimed, begun) = (Vec::new(), Vec::new());
        Self { ours, memory, claimed, begun, taken: Vec::new(), opened: Vec::new() }
    }

    async fn live(&mut self, number: u32, (what, choices): Choice) {
        match what % 32 {
            0..=2 => self.accept(number, choices).await,
            3 | 4 => self.claim(number, choices).await,
            5 | 6 => self.begin(number, choices).await,
            7..=9 => self.end(number, choices).await,
            10..=13 => self.hand_over(number, choices).await,
            14 => self.report(number, choices).await,
            15 => self.adopt(number, choices).await,
            16 => self.give_up(number, choices).await,
            17 => self.check(number, choices).await,
            18 => self.finish(number, choices).await,
            19 => self.retry(number, choices).await,
            20 => self.sweep(number, choices).await,
            21..=23 => self.receive(number, choices).await,
            24..=26 => self.look_up(number, choices).await,
            27 => self.annotate(number, choices).await,
            28 => self.carry_or_tell(number, choices).await,
            29 => self.reconcile(number, choices).await,
            _ => self.work_off(number).await,
        }
        // To read all of it each time would take longer than the rest.
        if number.is_multiple_of(16) {
            self.compare().await;
        }
        self.list(choices).await;
        self.list_conversations(choices).await;
    }

    /// Somebody is told of everything.
    async fn subscribe(&self) {
        let everything = event_promises::subscription(1);
        assert!(both!(self.create_subscription(&everything)));
    }

    async fn compare(&self) {
        assert_eq!(self.ours.everything().await, self.memory.everything().await);
    }

    async fn accept(&mut self, number: u32, [to, key, caller, workflow]: [u8; 4]) {
        let mut new =
            NewOutbound { accepted_at: now(number), ..new_outbound(number, pick(&NUMBERS, to)) };
        new.expires_at = at(number * 10 + 400);
        new.lease_until = at(number * 10 + 60);
        new.workflow_id = (workflow % 2 == 0).then(|| a_workflow(workflow));
        new.idempotency.caller = format!("caller {}", caller % 2);
        new.idempotency.request_hash = format!("hash {}", caller % 3);
        if key % 2 == 0 {
            new.idempotency.key = IdempotencyKey::Given(format!("key {}", key % 6));
        }
        if let Acceptance::New { message, job } = both!(self.accept_outbound(&new)) {
            self.taken.push((number, message.id));
            self.know(message.conversation);
            self.claimed.extend(job);
        }
    }

    async fn claim(&mut self, number: u32, [limit, late, kind, _]: [u8; 4]) {
        let kinds = match kind % 3 {
            0 => vec!["send"],
            1 => vec!["send", "resolve_send", "tenant_lookup", "tell_language"],
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
        let sends: Vec<_> = self.claimed.iter().filter(|job| is_send(job)).cloned().collect();
        let Some(job) = latest(&sends, which) else { return };
        let mut new = attempt(number, &job);
        new.at = at(number * 10 + u32::from(late) % 40);
        new.deadline = at(number * 10 + u32::from(late) % 40 + 15);
        if let Begun::As(Beginning::Go, _) = both!(self.begin_attempt(&new)) {
            self.begun.push((number, job));
        }
    }

    async fn end(&mut self, number: u32, [which, outcome, then, attended]: [u8; 4]) {
        let Some((begun, job)) = latest(&self.begun, which) else { return };
        let Job::Send { message, .. } = job.job else { return };
        let mut end = attempt_end(begun, &job, self.outcome(outcome, message));
        end.at = now(number);
        end.resolve_job = JobId(uuid(85_000_000 + number));
        end.attended = attended % 2 == 0;
        if then % 3 == 0 {
            end.if_unsent = AfterUnsent::GiveUp(EXHAUSTED);
        }
        both!(self.record_attempt(&end));
    }

    /// What a worker does with the next message that is due.
    async fn hand_over(&mut self, number: u32, [outcome, then, attended, _]: [u8; 4]) {
        let (at, lease_until) = (now(number), at(number * 10 + 60));
        let claim = JobClaim { kinds: vec!["send"], at, lease_until, limit: 1 };
        let claimed = both!(self.claim_jobs(&claim));
        if !claimed.is_empty() {
            self.claimed.extend(claimed);
            self.begin(number, [0; 4]).await;
            self.end(number, [0, outcome, then, attended]).await;
        }
    }

    /// A worker has done what there is to do beside sending.
    async fn work_off(&mut self, number: u32) {
        let claim = JobClaim {
            kinds: vec!["tenant_lookup", "tell_language"],
            at: at(number * 10 + 86_400 * 40),
            lease_until: at(number * 10 + 86_400 * 41),
            limit: 10,
        };
        let (ours, theirs) = (self.ours.claim_jobs(&claim), self.memory.claim_jobs(&claim));
        // Lookups that are written at once are due at once: which comes first is the store's choice.
        let sorted = |mut jobs: Vec<ClaimedJob>| {
            jobs.sort_unstable_by_key(|job| job.ticket.id);
            jobs
        };
        let ours = sorted(ours.await.unwrap());
        assert_eq!(ours, sorted(theirs.await.unwrap()));
        for job in ours {
            both!(self.finish_job(job.ticket, &JobEnding::Done, now(number)));
        }
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

    async fn sweep(&mut self, number: u32, [age, parked, keys, _]: [u8; 4]) {
        let before = |age: u8| at(number * 10 - number.min(u32::from(age)));
        both!(self.housekeep(&Housekeeping {
            done_jobs: before(age),
            parked_jobs: before(parked),
            idempotency_keys: before(keys),
            parked_events: before(age),
            raw_payloads: Some(before(parked)),
            limit: 1000,
        }));
    }

    async fn receive(&mut self, number: u32, [from, language, sure, late]: [u8; 4]) {
        let mut new = inbound(1000 + number, pick(&NUMBERS, from));
        // Days later what a lookup said is no longer believed.
        new.received_at = at(number * 10 + 86_400 * u32::from(late % 40));
        new.detection = match pick(&LANGUAGES, language) {
            Language::Unknown => Detection::UNKNOWN,
            language => detection(language, 200 + u16::from(sure) * 3),
        };
        if let Recorded::New { conversation, .. } = both!(self.record_inbound(&new)) {
            self.know(conversation);
        }
    }

    async fn look_up(&mut self, number: u32, [which, tenant, late, _]: [u8; 4]) {
        let conversation = self.conversation(which);
        let at = at(number * 10 + 86_400 * u32::from(late % 4));
        let language_job = JobId(uuid(95_000_000 + number));
        let tenant = a_tenant(tenant);
        let is_ambiguous = tenant.is_none() && late % 2 == 0;
        let origin = origin(number);
        let found = LookupResult { conversation, tenant, is_ambiguous, at, language_job, origin };
        both!(self.record_lookup(&found));
    }

    async fn annotate(&mut self, number: u32, [which, kind, id, version]: [u8; 4]) {
        let key = if version % 2 == 0 {
            ConversationKey::Id(self.conversation(which))
        } else {
            let number = Text::new(pick(&NUMBERS, which));
            ConversationKey::Address(Address::read(&number, Region::default()))
        };
        let change = Annotation {
            key,
            workflow_type: pick(&[None, Some(None), Some(Some(a_workflow(kind)))], kind),
            workflow_id: pick(&[None, Some(None), Some(Some(a_workflow(id)))], id),
            if_versions: (version % 3 == 0).then(|| vec![u32::from(version) % 4, 99]),
            at: now(number),
        };
        both!(self.annotate_conversation(&change));
    }

    async fn carry_or_tell(&mut self, number: u32, [which, how, language, _]: [u8; 4]) {
        let conversation = self.conversation(which);
        match pick(&LANGUAGES, language) {
            // Nobody is told that.
            Language::Unknown => drop(both!(self.carry_language(conversation, now(number)))),
            _ if how % 2 == 0 => drop(both!(self.carry_language(conversation, now(number)))),
            language => {
                let Ok(tenant) = TenantId::parse(pick(&["T_1", "T_2"], how)) else { return };
                let _ = both!(self.mark_language_told(conversation, &tenant, language));
            }
        }
    }

    async fn reconcile(&mut self, number: u32, [days, how_many, ..]: [u8; 4]) {
        let ids = (0..u32::from(how_many % 4)).map(|nth| 96_000_000 + number * 4 + nth);
        let due = Reconciliation {
            at: now(number),
            looked_up_before: at(number * 10 + 86_400 * u32::from(days % 4)),
            jobs: ids.map(|id| JobId(uuid(id))).collect(),
        };
        both!(self.reconcile_lookups(&due));
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

    async fn list_conversations(&self, [by, which, limit, since]: [u8; 4]) {
        let given = |bit: u8| by & (1 << bit) != 0;
        let mut query = ConversationQuery {
            tenant: a_tenant(which).filter(|_| given(0)),
            workflow_type: given(1).then(|| a_workflow(which)),
            workflow_id: given(2).then(|| a_workflow(since)),
            language: given(3).then(|| pick(&LANGUAGES, which)),
            since: given(4).then(|| at(u32::from(since))),
            behind: None,
            limit: u32::from(limit % 4) + 1,
        };
        query.behind = both!(self.list_conversations(&query)).next;
        both!(self.list_conversations(&query));
    }

    fn know(&mut self, conversation: ConversationId) {
        if !self.opened.contains(&conversation) {
            self.opened.push(conversation);
        }
    }

    /// One that was opened, or now and then one that is not there.
    fn conversation(&self, which: u8) -> ConversationId {
        let known = latest(&self.opened, which).filter(|_| !which.is_multiple_of(16));
        known.unwrap_or(ConversationId(uuid(0)))
    }
}

fn a_tenant(choice: u8) -> Option<TenantId> {
    pick(&[None, Some("T_1"), Some("T_1"), Some("T_2")], choice)
        .and_then(|tenant| TenantId::parse(tenant).ok())
}

fn a_workflow(choice: u8) -> String {
    format!("workflow {}", choice % 6)
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

fn pick<T: Clone>(all: &[T], choice: u8) -> T {
    all.iter().cycle().nth(choice.into()).unwrap().clone()
}

/// One of the last four.
fn latest<T: Clone>(all: &[T], choice: u8) -> Option<T> {
    all.iter().rev().take(4).nth(usize::from(choice) % all.len().clamp(1, 4)).cloned()
}
