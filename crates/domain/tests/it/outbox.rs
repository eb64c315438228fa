//! Sending as a whole, on the store in memory and a provider that does as it is told.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use domain::error::Error;
use domain::job::{Backoff, ClaimedJob, Job};
use domain::message::{MessageId, TwilioSid};
use domain::outbound::{STOPPED, SendState};
use domain::outbox::{Outbox, OutboxPorts, Performed, Resolved, SendRequest, SendRules};
use domain::phone::Region;
use domain::ports::{
    Attended, Clock, JobClaim, JobQueue, MockOutboundStore, OutboundStore, Provider, ProviderError,
    ProviderFault, ProviderMessage, SendOrder, SendOutcome, Sender, Sought, StoreError,
    UnsentReason,
};
use domain::senders::Senders;
use domain::testing::fixture::{accepted, ambiguous, at, lookup_ages, sid, unsent};
use domain::testing::{CountingIds, FixedChance, InMemoryStore, Inspect, NoTimer, SteppingClock};
use domain::text::Text;

use crate::at_once;

/// Answers with what stands in its script, then accepts.
#[derive(Default)]
struct Script {
    outcomes: Mutex<VecDeque<SendOutcome>>,
    orders: Mutex<Vec<SendOrder>>,
    listed: Mutex<Vec<ProviderMessage>>,
    refuses_account: Mutex<bool>,
    is_away: Mutex<bool>,
}

#[async_trait]
impl Provider for Script {
    async fn send(&self, order: &SendOrder) -> SendOutcome {
        self.orders.lock().unwrap().push(order.clone());
        let number = u32::try_from(self.orders.lock().unwrap().len()).unwrap();
        self.outcomes.lock().unwrap().pop_front().unwrap_or_else(|| accepted(number))
    }

    fn call_timeout(&self) -> Duration {
        Duration::from_secs(15)
    }

    async fn find_sent(&self, _: &Sought) -> Result<Vec<ProviderMessage>, ProviderError> {
        Ok(self.listed.lock().unwrap().clone())
    }

    async fn fetch(&self, sid: &TwilioSid) -> Result<Option<ProviderMessage>, ProviderError> {
        let listed = self.listed.lock().unwrap();
        Ok(listed.iter().find(|listed| listed.sid == *sid).cloned())
    }

    async fn check(&self) -> Result<(), ProviderError> {
        if *self.is_away.lock().unwrap() {
            return Err(ProviderError::Unavailable { retry_after: None, source: "away".into() });
        }
        if *self.refuses_account.lock().unwrap() {
            return Err(ProviderError::Account("refused".into()));
        }
        Ok(())
    }

    fn explain(&self, _: &str) -> Option<&'static str> {
        None
    }
}

struct World {
    store: Arc<InMemoryStore>,
    script: Arc<Script>,
    clock: Arc<SteppingClock>,
    outbox: Outbox,
}

const QUIET: Duration = Duration::from_mins(15);
const EXPIRY: Duration = Duration::from_hours(4);

fn world(change: impl FnOnce(&mut SendRules)) -> World {
    let store = Arc::new(InMemoryStore::default());
    world_with(&store, store.clone(), change)
}

/// A world whose outbox works on `outbound` instead of the store itself.
fn world_with(
    store: &Arc<InMemoryStore>,
    outbound: Arc<dyn OutboundStore>,
    change: impl FnOnce(&mut SendRules),
) -> World {
    let store = store.clone();
    let (script, clock) = (Arc::new(Script::default()), SteppingClock::standing(at(0)));
    let clock = Arc::new(clock);
    let ports = OutboxPorts {
        store: outbound,
        queue: store.clone(),
        provider: script.clone(),
        clock: clock.clone(),
        timer: Arc::new(NoTimer),
        ids: Arc::new(CountingIds::default()),
        chance: Arc::new(FixedChance(u64::MAX)),
    };
    let mut rules = SendRules {
        region: Region::default(),
        expiry: EXPIRY,
        quiet_period: QUIET,
        backoff: Backoff { base: Duration::from_secs(1), cap: Duration::from_mins(1) },
        max_retries: None,
        lease: Duration::from_secs(45),
        keep_keys: Duration::from_hours(24),
        lookup_ages: Some(lookup_ages()),
        pacing: None,
    };
    change(&mut rules);
    let senders = Senders::new(vec![Sender::read("+18605550100")], Region::default());
    let outbox = Outbox::new(ports, rules, senders);
    World { store, script, clock, outbox }
}

impl World {
    async fn accept(&self, to: &str, body: &str) -> (MessageId, Option<ClaimedJob>) {
        let request = SendRequest {
            to: Some(to.to_owned()),
            body: Some(body.to_owned()),
            ..SendRequest::default()
        };
        let taken = self.outbox.accept("tests", None, &request).await.unwrap();
        (taken.message.id, taken.job)
    }

    async fn perform(&self, job: &ClaimedJob) -> Performed {
        let Job::Send { message, .. } = job.job else { panic!("{job:?}") };
        let nobody: Attended = Arc::new(|| false);
        self.outbox.perform(job, message, &nobody).await.unwrap()
    }

    /// The next job of that kind that is due.
    async fn next(&self, kind: &'static str) -> Option<ClaimedJob> {
        let now = self.clock.now();
        let lease_until = now.after(Duration::from_secs(45));
        let claim = JobClaim { kinds: vec![kind], at: now, lease_until, limit: 1 };
        self.store.claim_jobs(&claim).await.unwrap().pop()
    }

    async fn state(&self, message: MessageId) -> SendState {
        self.store.find_outgoing(message).await.unwrap().unwrap().state()
    }

    async fn error(&self, message: MessageId) -> Option<String> {
        let outgoing = self.store.find_outgoing(message).await.unwrap().unwrap();
        outgoing.message.shown().error_code
    }

    fn will(&self, outcomes: impl IntoIterator<Item = SendOutcome>) {
        self.script.outcomes.lock().unwrap().extend(outcomes);
    }

    fn requests(&self) -> usize {
        self.script.orders.lock().unwrap().len()
    }
}

fn account() -> SendOutcome {
    let fault = ProviderFault { status: Some(401), code: Some("20003".into()), message: None };
    SendOutcome::Unsent { reason: UnsentReason::Account, fault, retry_after: None }
}

fn not_begun() -> SendOutcome {
    let fault = ProviderFault { status: None, code: Some(STOPPED.into()), message: None };
    SendOutcome::Unsent { reason: UnsentReason::Busy, fault, retry_after: None }
}

const TENANT: &str = "+18605550199";

#[futures_test::test]
async fn a_text_is_ordered_as_it_was_asked_for_with_what_is_left_of_its_time() {
    let world = world(|_| ());
    let (message, job) = world.accept("(860) 555-0199", " We will come by ").await;
    world.clock.advance(Duration::from_secs(10));
    world.perform(&job.unwrap()).await;
    let order = world.script.orders.lock().unwrap()[0].clone();
    assert_eq!((order.message, order.to.as_str()), (message, TENANT));
    assert_eq!(order.sender, Sender::Number(Text::new("+18605550100")));
    assert_eq!(order.body, Some(Text::new("We will come by")));
    assert_eq!(order.validity, EXPIRY.saturating_sub(Duration::from_secs(10)));
    assert_eq!(world.state(message).await, SendState::Accepted);
}

#[futures_test::test]
async fn a_busy_twilio_is_asked_again_ever_more_slowly_until_the_text_expires() {
    let world = world(|rules| rules.expiry = Duration::from_secs(20));
    world.will((0..9).map(|_| unsent()));
    let (message, job) = world.accept(TENANT, "Hello").await;
    let mut job = job.unwrap();
    let mut waits = Vec::new();
    while let Performed::Attempted { outgoing, .. } = world.perform(&job).await {
        if outgoing.state() != SendState::Pending {
            break;
        }
        let mut waited = 0_u64;
        job = loop {
            if let Some(job) = world.next("send").await {
                break job;
            }
            world.clock.advance(Duration::from_millis(500));
            waited += 1;
        };
        waits.push(waited);
    }
    // Half seconds: doubling, and a random part between a half and all of it.
    assert!(waits.windows(2).all(|pair| pair[1] >= pair[0]), "{waits:?}");
    assert!(waits.len() >= 3 && waits[0] <= 2, "{waits:?}");
    assert_eq!(world.error(message).await.as_deref(), Some("expired"));
    let before = world.requests();
    world.clock.advance(EXPIRY);
    assert_eq!(world.next("send").await, None, "its job is parked");
    assert_eq!(world.requests(), before);
}

#[futures_test::test]
async fn the_retry_limit_gives_a_text_up_that_was_never_taken() {
    let world = world(|rules| rules.max_retries = Some(1));
    world.will([unsent(), unsent(), unsent()]);
    let (message, job) = world.accept(TENANT, "Hello").await;
    world.perform(&job.unwrap()).await;
    world.clock.advance(Duration::from_secs(5));
    let job = world.next("send").await.unwrap();
    world.perform(&job).await;
    assert_eq!(world.error(message).await.as_deref(), Some("retries_exhausted"));
    assert_eq!(world.requests(), 2, "the first and one more");
}

#[futures_test::test]
async fn what_twilio_asks_to_wait_is_waited() {
    let world = world(|_| ());
    let SendOutcome::Unsent { reason, fault, .. } = unsent() else { panic!() };
    let retry_after = Some(Duration::from_mins(10));
    world.will([SendOutcome::Unsent { reason, fault, retry_after }]);
    let (message, job) = world.accept(TENANT, "Hello").await;
    world.perform(&job.unwrap()).await;
    world.clock.advance(Duration::from_secs(599));
    assert_eq!(world.next("send").await, None);
    world.clock.advance(Duration::from_secs(1));
    let job = world.next("send").await.unwrap();
    world.perform(&job).await;
    assert_eq!(world.state(message).await, SendState::Accepted);
}

#[futures_test::test]
async fn while_the_account_is_refused_texts_wait_and_one_probe_is_made() {
    let world = world(|_| ());
    world.will([account()]);
    *world.script.refuses_account.lock().unwrap() = true;
    let (first, job) = world.accept(TENANT, "Hello").await;
    world.perform(&job.unwrap()).await;
    assert!(world.outbox.is_paused());
    let (second, job) = world.accept("+18605550177", "Hello").await;
    assert_eq!(world.perform(&job.unwrap()).await, Performed::Postponed);
    world.clock.advance(Duration::from_mins(1));
    let job = world.next("send").await.unwrap();
    assert_eq!(world.perform(&job).await, Performed::Postponed, "the probe was refused");
    assert_eq!(world.requests(), 1);
    *world.script.refuses_account.lock().unwrap() = false;
    world.clock.advance(Duration::from_mins(1));
    while let Some(job) = world.next("send").await {
        world.perform(&job).await;
    }
    assert!(!world.outbox.is_paused());
    for message in [first, second] {
        assert_eq!(world.state(message).await, SendState::Accepted);
    }
}

#[futures_test::test]
async fn a_probe_without_an_answer_says_nothing_good_of_the_account() {
    let world = world(|_| ());
    world.will([account()]);
    *world.script.is_away.lock().unwrap() = true;
    let (message, job) = world.accept(TENANT, "Hello").await;
    world.perform(&job.unwrap()).await;
    world.clock.advance(Duration::from_mins(1));
    let job = world.next("send").await.unwrap();
    assert_eq!(world.perform(&job).await, Performed::Postponed);
    assert!(world.outbox.is_paused());
    assert_eq!((world.requests(), world.state(message).await), (1, SendState::Pending));
}

#[futures_test::test]
async fn a_text_expires_also_while_the_account_is_refused() {
    let world = world(|_| ());
    world.will([account()]);
    *world.script.refuses_account.lock().unwrap() = true;
    let (message, job) = world.accept(TENANT, "Hello").await;
    world.perform(&job.unwrap()).await;
    world.clock.advance(EXPIRY);
    while let Some(job) = world.next("send").await {
        world.perform(&job).await;
    }
    assert_eq!(world.error(message).await.as_deref(), Some("expired"));
    assert_eq!(world.requests(), 1);
}

#[futures_test::test]
async fn refusals_of_the_account_are_no_tries_of_a_text() {
    let world = world(|rules| rules.max_retries = Some(1));
    world.will([account(), account(), unsent()]);
    let (message, job) = world.accept(TENANT, "Hello").await;
    let mut job = job.unwrap();
    for _ in 0..3 {
        world.perform(&job).await;
        world.clock.advance(Duration::from_mins(1));
        job = world.next("send").await.unwrap();
    }
    world.perform(&job).await;
    assert_eq!(world.state(message).await, SendState::Accepted);
}

#[futures_test::test]
async fn what_a_process_that_stops_does_not_begin_is_no_try_of_a_text() {
    let world = world(|rules| rules.max_retries = Some(0));
    world.will([not_begun(), not_begun()]);
    let (message, job) = world.accept(TENANT, "Hello").await;
    let mut job = job.unwrap();
    for _ in 0..2 {
        world.perform(&job).await;
        job = world.next("send").await.unwrap();
    }
    world.perform(&job).await;
    assert_eq!(world.state(message).await, SendState::Accepted);
}

/// The store, but for beginnings: the first `lost` of them are written and nobody is told.
fn forgetful(store: &Arc<InMemoryStore>, lost: usize) -> MockOutboundStore {
    let mut mock = MockOutboundStore::new();
    let inner = store.clone();
    mock.expect_accept_outbound().returning(move |new| at_once(inner.accept_outbound(new)));
    let (inner, begun) = (store.clone(), AtomicUsize::new(0));
    mock.expect_begin_attempt().returning(move |new| {
        let told = at_once(inner.begin_attempt(new));
        if begun.fetch_add(1, Ordering::SeqCst) < lost {
            return Err(StoreError::Unavailable("too late".into()));
        }
        told
    });
    let inner = store.clone();
    mock.expect_record_attempt().returning(move |end| at_once(inner.record_attempt(end)));
    mock
}

#[futures_test::test]
async fn a_begin_that_nobody_was_told_of_is_asked_for_once_more() {
    let store = Arc::new(InMemoryStore::default());
    let world = world_with(&store, Arc::new(forgetful(&store, 1)), |_| ());
    let (message, job) = world.accept(TENANT, "Hello").await;
    world.perform(&job.unwrap()).await;
    assert_eq!((world.state(message).await, world.requests()), (SendState::Accepted, 1));
}

#[futures_test::test]
async fn a_text_whose_begin_is_never_told_waits_unsent_and_goes_out_later() {
    let store = Arc::new(InMemoryStore::default());
    let world = world_with(&store, Arc::new(forgetful(&store, 2)), |_| ());
    let (message, job) = world.accept(TENANT, "Hello").await;
    world.perform(&job.unwrap()).await;
    assert_eq!((world.state(message).await, world.requests()), (SendState::Pending, 0));
    let job = world.next("send").await.unwrap();
    world.perform(&job).await;
    assert_eq!((world.state(message).await, world.requests()), (SendState::Accepted, 1));
}

#[futures_test::test]
async fn texts_of_one_sender_keep_their_distance() {
    let world = world(|rules| rules.pacing = Some(Duration::from_secs(10)));
    let (_, one) = world.accept(TENANT, "Hello").await;
    let (second, two) = world.accept("+18605550177", "Hello").await;
    world.perform(&one.unwrap()).await;
    assert_eq!(world.perform(&two.unwrap()).await, Performed::Postponed);
    assert_eq!(world.next("send").await, None);
    world.clock.advance(Duration::from_secs(10));
    let two = world.next("send").await.unwrap();
    world.perform(&two).await;
    assert_eq!(world.state(second).await, SendState::Accepted);
}

#[futures_test::test]
async fn an_unanswered_text_is_looked_for_until_the_quiet_period_is_over() {
    let world = world(|_| ());
    world.will([ambiguous()]);
    let (message, job) = world.accept(TENANT, "Hello").await;
    world.perform(&job.unwrap()).await;
    let mut looks = 0;
    let begun = world.clock.now();
    while world.state(message).await == SendState::Ambiguous {
        match world.next("resolve_send").await {
            Some(job) => {
                let Job::ResolveSend { message, looks: before } = job.job else { panic!() };
                assert_eq!(before, looks);
                let resolved = world.outbox.resolve(&job, message, before).await.unwrap();
                assert!(matches!(resolved, Resolved::Open | Resolved::GivenUp));
                looks += 1;
            }
            None => world.clock.advance(Duration::from_secs(1)),
        }
    }
    let waited = world.clock.now().since(begun);
    assert!(waited >= QUIET && waited < QUIET + Duration::from_mins(1), "{waited:?}");
    assert!(looks >= 3, "{looks} looks");
    assert_eq!(world.error(message).await.as_deref(), Some("not_sent"));
    assert_eq!(world.requests(), 1, "it is never sent again");
}

#[futures_test::test]
async fn an_unanswered_text_is_found_in_twilios_list() {
    let world = world(|_| ());
    world.will([ambiguous()]);
    let (message, job) = world.accept(TENANT, "Hello").await;
    world.perform(&job.unwrap()).await;
    let SendOutcome::Accepted(mut made) = accepted(7) else { panic!() };
    made.status = "delivered".into();
    world.script.listed.lock().unwrap().push(*made);
    world.clock.advance(QUIET);
    let job = world.next("resolve_send").await.unwrap();
    let resolved = world.outbox.resolve(&job, message, 0).await.unwrap();
    assert_eq!(resolved, Resolved::Found { overturned: false });
    let outgoing = world.store.find_outgoing(message).await.unwrap().unwrap();
    assert_eq!(outgoing.message.twilio_sid, Some(sid(7)));
    assert_eq!(outgoing.message.shown().status.as_str(), "delivered");
}

#[futures_test::test]
async fn a_text_whose_end_nobody_reported_is_asked_about() {
    let world = world(|_| ());
    let (message, job) = world.accept(TENANT, "Hello").await;
    world.perform(&job.unwrap()).await;
    let SendOutcome::Accepted(mut made) = accepted(1) else { panic!() };
    made.status = "undelivered".into();
    made.error_code = Some("30003".into());
    world.script.listed.lock().unwrap().push(*made);
    let check = async || world.outbox.check_statuses(world.store.as_ref()).await.unwrap();
    world.clock.advance(Duration::from_hours(11));
    assert_eq!(check().await, 0);
    world.clock.advance(Duration::from_hours(1));
    assert_eq!(check().await, 1);
    assert_eq!(world.error(message).await.as_deref(), Some("30003"));
    world.clock.advance(Duration::from_hours(48));
    assert_eq!(check().await, 0, "it is final");
}

#[futures_test::test]
async fn wrong_requests_leave_nothing_behind() {
    let world = world(|_| ());
    for request in [
        SendRequest::default(),
        SendRequest {
            to: Some("+18605550100".into()),
            body: Some("x".into()),
            ..SendRequest::default()
        },
        SendRequest { to: Some(TENANT.into()), ..SendRequest::default() },
    ] {
        let refused = world.outbox.accept("tests", None, &request).await;
        assert!(matches!(refused, Err(Error::Validation(_))), "{refused:?}");
    }
    let everything = world.store.everything().await;
    assert_eq!((everything.messages.len(), everything.jobs.len()), (0, 0));
}
