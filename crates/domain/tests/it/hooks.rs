//! Telling subscribers: what follows from each answer, and the use cases on the store in memory.

use std::sync::Arc;
use std::time::Duration;

use domain::error::Error;
use domain::event::EventKind;
use domain::hook::{ClaimedHook, HookEnding, HookRules, HookState, Pulse};
use domain::job::Backoff;
use domain::message::Direction;
use domain::notify::{Draft, Edit, HookPorts, Hooks, Subscriptions};
use domain::ports::{
    EventStore, HookOutcome, HookQuery, MessageStore, MockEventStore, SubscriptionChange,
};
use domain::subscription::{
    Format, HookUrl, SigningSecret, Subscription, TenantWanted, Wants, WantsEdit,
};
use domain::testing::fixture::{at, inbound};
use domain::testing::{CountingIds, FixedChance, FixedHooks, InMemoryStore, SteppingClock};

const RULES: HookRules = HookRules {
    backoff: Backoff { base: Duration::from_secs(10), cap: Duration::from_mins(30) },
    retry_for: Duration::from_hours(24),
    hands: 8,
};

use crate::at_once;

struct Stage {
    store: Arc<InMemoryStore>,
    clock: Arc<SteppingClock>,
    subscriptions: Subscriptions,
}

impl Stage {
    fn set() -> Self {
        let (store, clock) =
            (Arc::new(InMemoryStore::default()), Arc::new(SteppingClock::standing(at(0))));
        let sender = Arc::new(FixedHooks(HookOutcome::Accepted { status: 204 }));
        let ids = Arc::new(CountingIds::default());
        let subscriptions = Subscriptions::new(store.clone(), sender, clock.clone(), ids);
        Self { store, clock, subscriptions }
    }

    fn hooks(&self, outcome: HookOutcome) -> Hooks {
        let ports = HookPorts {
            store: self.store.clone(),
            sender: Arc::new(FixedHooks(outcome)),
            clock: self.clock.clone(),
            chance: Arc::new(FixedChance::default()),
        };
        Hooks::new(ports, RULES)
    }

    async fn subscribe(&self, format: Format) -> Subscription {
        let made = self.subscriptions.create(draft("dashboard", format)).await.unwrap();
        made.subscription
    }

    async fn claim(&self, hooks: &Hooks, of: &Subscription) -> Vec<ClaimedHook> {
        hooks.claim(vec![hooks.hands(of, 0).unwrap()]).await.unwrap()
    }

    async fn states(&self, of: &Subscription) -> Vec<HookState> {
        let query = HookQuery { subscription: of.id, state: None, before: None, limit: 100 };
        let told = self.store.list_hooks(&query).await.unwrap();
        told.into_iter().map(|told| told.state).collect()
    }
}

fn draft(name: &str, format: Format) -> Draft {
    Draft {
        name: name.to_owned(),
        url: HookUrl::new("https://hooks.example.com/sms?token=hunter2"),
        wants: Wants { kinds: vec![EventKind::Received], ..Wants::default() },
        format,
        secret: Some(SigningSecret::new("whsec_given")),
    }
}

/// What follows from that outcome of a call after so many failures, tried since so many hours.
async fn after(
    format: Format,
    outcome: HookOutcome,
    failures: u32,
    hours: u64,
) -> (HookEnding, Pulse) {
    let stage = Stage::set();
    let subscriber = stage.subscribe(format).await;
    stage.store.record_inbound(&inbound(0, "+18605550199")).await.unwrap();
    let hooks = stage.hooks(outcome);
    let mut hook = stage.claim(&hooks, &subscriber).await.remove(0);
    hook.failures = failures;
    let now = at(0).after(Duration::from_hours(hours));
    RULES.after(&hook, format, &outcome, now, now, 0)
}

async fn check(format: Format, outcome: HookOutcome, expected: &str) {
    let (ending, _) = after(format, outcome, 0, 0).await;
    let said = match ending {
        HookEnding::Retry { error, .. } => format!("retry {error}"),
        HookEnding::Park { error } => format!("park {error}"),
        HookEnding::Skip { reason } => format!("skip {reason}"),
        other => format!("{other:?}"),
    };
    assert_eq!(said, expected, "{format:?} {outcome:?}");
}

const fn refused(status: u16) -> HookOutcome {
    HookOutcome::Refused { status, retry_after: None }
}

#[futures_test::test]
async fn who_can_tell_a_repetition_is_told_again_whatever_went_wrong() {
    let standard = Format::Standard;
    check(standard, HookOutcome::Accepted { status: 204 }, "Delivered").await;
    for (outcome, expected) in [
        (refused(302), "retry http_302"),
        (refused(400), "retry http_400"),
        (refused(500), "retry http_500"),
        (refused(410), "park http_410"),
        (HookOutcome::NotMade("connect"), "retry connect"),
        (HookOutcome::NoAnswer("timeout"), "retry timeout"),
        (HookOutcome::Unfit("no_tenant"), "skip no_tenant"),
    ] {
        check(standard, outcome, expected).await;
    }
}

#[futures_test::test]
async fn who_cannot_is_told_again_only_where_it_surely_has_not_begun() {
    for (outcome, expected) in [
        (HookOutcome::Accepted { status: 202 }, "Delivered"),
        (HookOutcome::NotMade("connect"), "retry connect"),
        (refused(429), "retry http_429"),
        (refused(503), "retry http_503"),
        (refused(500), "park http_500"),
        (refused(422), "park http_422"),
        (HookOutcome::NoAnswer("timeout"), "park timeout"),
    ] {
        check(Format::Orchestrator, outcome, expected).await;
    }
}

#[futures_test::test]
async fn waits_grow_follow_the_subscriber_and_end_after_a_day() {
    let run_at =
        async |outcome, failures, hours| match after(Format::Standard, outcome, failures, hours)
            .await
        {
            (HookEnding::Retry { run_at, .. }, _) => Some(run_at.since(at(0)).as_secs()),
            _ => None,
        };
    assert_eq!(run_at(refused(500), 0, 0).await, Some(5));
    assert_eq!(run_at(refused(500), 3, 0).await, Some(40));
    assert_eq!(run_at(refused(500), 99, 0).await, Some(15 * 60));
    let patient = |seconds| HookOutcome::Refused {
        status: 503,
        retry_after: Some(Duration::from_secs(seconds)),
    };
    assert_eq!(run_at(patient(120), 0, 0).await, Some(120));
    assert_eq!(run_at(patient(1_000_000), 0, 0).await, Some(3600));
    assert_eq!(run_at(refused(500), 99, 24).await, None);
    let (_, pulse) = after(Format::Standard, refused(410), 0, 0).await;
    assert_eq!(pulse, Pulse::Gone);
}

#[futures_test::test]
async fn a_call_that_was_interrupted_is_made_again_only_for_who_can_tell() {
    for (format, state) in
        [(Format::Standard, HookState::Delivered), (Format::Orchestrator, HookState::Parked)]
    {
        let stage = Stage::set();
        let subscriber = stage.subscribe(format).await;
        stage.store.record_inbound(&inbound(0, "+18605550199")).await.unwrap();
        let hooks = stage.hooks(HookOutcome::Accepted { status: 200 });
        assert_eq!(stage.claim(&hooks, &subscriber).await.len(), 1);
        stage.clock.advance(Duration::from_mins(5));
        let again = stage.claim(&hooks, &subscriber).await.remove(0);
        assert!(again.interrupted);
        assert_eq!(hooks.deliver(&subscriber, &again).await.unwrap(), state, "{format:?}");
    }
}

#[futures_test::test]
async fn the_orchestrator_waits_for_a_lookup_and_then_is_told_or_not() {
    let stage = Stage::set();
    let subscriber = stage.subscribe(Format::Orchestrator).await;
    stage.store.record_inbound(&inbound(0, "+18605550199")).await.unwrap();
    let hooks = stage.hooks(HookOutcome::Accepted { status: 202 });
    let hook = stage.claim(&hooks, &subscriber).await.remove(0);
    assert_eq!(hooks.deliver(&subscriber, &hook).await.unwrap(), HookState::Waiting);
    let looked_up = ClaimedHook { was_looked_up: true, ..hook.clone() };
    let skip = HookEnding::Skip { reason: "no_tenant".into() };
    assert_eq!(looked_up.without_call(Format::Orchestrator, false), Some(skip));
    assert_eq!(
        looked_up.without_call(Format::Orchestrator, true),
        Some(HookEnding::Wait { looked_up: true })
    );
    assert_eq!(looked_up.without_call(Format::Standard, false), None);
}

#[futures_test::test]
async fn a_subscriber_that_fails_on_and_on_gets_no_hands_for_a_while() {
    let stage = Stage::set();
    let subscriber = stage.subscribe(Format::Standard).await;
    for number in 0..12 {
        let from = format!("+18605550{number:03}");
        let mut new = inbound(number, &from);
        new.received_at = at(0);
        stage.store.record_inbound(&new).await.unwrap();
    }
    let hooks = stage.hooks(HookOutcome::NoAnswer("timeout"));
    let claimed = stage.claim(&hooks, &subscriber).await;
    assert_eq!(claimed.len(), 8, "no more than it has hands for");
    for hook in &claimed {
        hooks.deliver(&subscriber, hook).await.unwrap();
    }
    for hook in stage.claim(&hooks, &subscriber).await {
        hooks.deliver(&subscriber, &hook).await.unwrap();
    }
    let paused = hooks.subscribers().await.unwrap().remove(0);
    assert_eq!(hooks.hands(&paused, 0), None, "{:?}", paused.health);
    stage.clock.advance(Duration::from_mins(6));
    assert_eq!(hooks.hands(&paused, 0).unwrap().free, 1, "one call finds out");
    assert_eq!(hooks.hands(&paused, 1), None);
    stage.clock.advance(RULES.retry_for);
    assert_eq!(hooks.park_overdue(Duration::from_hours(240)).await.unwrap(), 12);
    assert!(stage.states(&paused).await.iter().all(|state| *state == HookState::Parked));
}

#[futures_test::test]
async fn what_waits_for_a_tenant_is_given_up_while_it_can_still_be_seen() {
    let stage = Stage::set();
    let subscriber = stage.subscribe(Format::Orchestrator).await;
    stage.store.record_inbound(&inbound(1, "+18605550199")).await.unwrap();
    stage.clock.advance(Duration::from_secs(10));
    let hooks = stage.hooks(HookOutcome::Accepted { status: 200 });
    let claimed = stage.claim(&hooks, &subscriber).await;
    assert_eq!(hooks.deliver(&subscriber, &claimed[0]).await.unwrap(), HookState::Waiting);
    let (keep, day) = (Duration::from_hours(10 * 24), Duration::from_hours(24));
    stage.clock.advance(8 * day);
    assert_eq!(hooks.park_overdue(keep).await.unwrap(), 0);
    stage.clock.advance(day);
    assert_eq!(hooks.park_overdue(keep).await.unwrap(), 1);
    hooks.sweep(keep, keep).await.unwrap();
    assert_eq!(stage.states(&subscriber).await, [HookState::Parked]);
}

/// A store in which somebody else is faster once.
fn store_where_another_is_faster(store: Arc<InMemoryStore>, other: Edit) -> MockEventStore {
    let mut mock = MockEventStore::new();
    let all = store.clone();
    mock.expect_list_subscriptions().returning(move || at_once(all.list_subscriptions()));
    let mut other = Some(other);
    mock.expect_change_subscription().times(2).returning(move |id, change| {
        if let Some(other) = other.take() {
            let ids = Arc::new(CountingIds::default());
            let sender = Arc::new(FixedHooks(HookOutcome::Accepted { status: 204 }));
            let clock = Arc::new(SteppingClock::standing(at(0)));
            let theirs = Subscriptions::new(store.clone(), sender, clock, ids);
            at_once(theirs.change(id, other)).unwrap();
        }
        at_once(store.change_subscription(id, change))
    });
    mock
}

#[futures_test::test]
async fn two_who_change_one_subscription_at_once_lose_nothing() {
    let mut stage = Stage::set();
    let subscriber = stage.subscribe(Format::Standard).await;
    let wants = WantsEdit { all_statuses: Some(true), ..WantsEdit::default() };
    let theirs = Edit { wants, ..Edit::default() };
    let store = store_where_another_is_faster(stage.store.clone(), theirs);
    let (sender, ids) = (
        Arc::new(FixedHooks(HookOutcome::Accepted { status: 204 })),
        Arc::new(CountingIds::default()),
    );
    stage.subscriptions = Subscriptions::new(Arc::new(store), sender, stage.clock.clone(), ids);
    let wants = WantsEdit { direction: Some(Some(Direction::Inbound)), ..WantsEdit::default() };
    let ours = Edit { wants, ..Edit::default() };
    let after = stage.subscriptions.change(subscriber.id, ours).await.unwrap().subscription;
    let expected =
        Wants { all_statuses: true, direction: Some(Direction::Inbound), ..subscriber.wants };
    assert_eq!(after.wants, expected);
}

#[futures_test::test]
async fn there_are_at_most_a_hundred_subscriptions() {
    let subscriptions = Stage::set().subscriptions;
    let called = |number: usize| draft(&format!("subscriber {number}"), Format::Standard);
    let mut made = Vec::new();
    for number in 0..100 {
        made.push(subscriptions.create(called(number)).await.unwrap().subscription.id);
    }
    let refused = subscriptions.create(called(100)).await;
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
    subscriptions.delete(made[0]).await.unwrap();
    subscriptions.create(called(100)).await.unwrap();
}

#[futures_test::test]
async fn what_is_known_of_a_subscriber_shows_neither_its_address_nor_its_secret() {
    let draft = draft("dashboard", Format::Standard);
    let (url, secret) = (Some(draft.url.clone()), draft.secret.clone());
    let edit = Edit { url: url.clone(), secret: secret.clone(), ..Edit::default() };
    let change = SubscriptionChange { url, secret, ..SubscriptionChange::none(at(0)) };
    let made = Stage::set().subscriptions.create(draft.clone()).await.unwrap();
    let shown = format!("{draft:?} {edit:?} {change:?} {made:?}");
    for hidden in ["hunter2", "hooks.example.com", "whsec_"] {
        assert!(!shown.contains(hidden), "{hidden}: {shown}");
    }
}

#[futures_test::test]
async fn the_configuration_makes_changes_and_forgets_its_own_subscriptions_only() {
    let stage = Stage::set();
    stage.subscribe(Format::Standard).await;
    let names = async || {
        let all = stage.subscriptions.list().await.unwrap();
        all.into_iter().map(|known| (known.name, known.configured)).collect::<Vec<_>>()
    };
    let called = |name: &str| draft(name, Format::Standard);
    stage.subscriptions.reconcile(vec![called("one"), called("two")]).await.unwrap();
    let known = |name: &str, configured| (name.to_owned(), configured);
    assert_eq!(names().await, [known("dashboard", false), known("one", true), known("two", true)]);
    let before = stage.subscriptions.list().await.unwrap();
    stage.subscriptions.reconcile(vec![called("one"), called("two")]).await.unwrap();
    assert_eq!(stage.subscriptions.list().await.unwrap(), before, "the same again changes nothing");
    stage.subscriptions.reconcile(vec![called("dashboard"), called("two")]).await.unwrap();
    assert_eq!(names().await, [known("dashboard", true), known("two", true)]);
    let refused = stage.subscriptions.change(before[2].id, Edit::default()).await;
    assert!(matches!(refused, Err(Error::Refused(_))));
    let wrong = Draft { url: HookUrl::new("http://hooks.example.com"), ..called("three") };
    let sender = FixedHooks(HookOutcome::Accepted { status: 204 });
    assert_eq!(Subscriptions::check(&called("three"), &sender), Ok(()));
    assert_eq!(Subscriptions::check(&wrong, &sender).unwrap_err().field, "url");
}

#[futures_test::test]
async fn a_filter_is_kept_as_what_it_is_compared_with() {
    let kept = async |workflow: &str, format| {
        let mut draft = draft("one", format);
        draft.wants.workflow_type = Some(workflow.to_owned());
        draft.wants.tenant = Some(TenantWanted::Known);
        Stage::set().subscriptions.create(draft).await.unwrap().subscription.wants
    };
    let repair = kept(" re\0pair ", Format::Standard).await;
    assert_eq!(repair.workflow_type.as_deref(), Some("repair"));
    assert_eq!(repair.tenant, Some(TenantWanted::Known));
    assert_eq!(kept(" ", Format::Standard).await.workflow_type, None);
    // It is told of known tenants only, and waits for the lookup, which comes after the text.
    assert_eq!(kept("", Format::Orchestrator).await.tenant, None);
}

#[futures_test::test]
async fn who_is_disabled_is_not_told_again() {
    let stage = Stage::set();
    let subscriber = stage.subscribe(Format::Standard).await;
    let off = Edit { enabled: Some(false), ..Edit::default() };
    stage.subscriptions.change(subscriber.id, off).await.unwrap();
    let refused = stage.subscriptions.redeliver(subscriber.id, at(0)).await;
    assert!(matches!(refused, Err(Error::Refused(_))));
}
