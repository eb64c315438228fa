//! One named test for each promise of [`EventStore`](crate::ports::EventStore).

/// Runs every promise of [`EventStore`](crate::ports::EventStore) against a store.
///
/// `$new` is as for [`message_store_contract!`](crate::message_store_contract).
#[macro_export]
macro_rules! event_store_contract {
    ($new:path, $wait:path) => {
        $crate::event_store_contract!(@each $new, $wait:
            a_new_message_is_an_event_and_so_is_the_language_that_it_brings,
            a_repeated_webhook_is_no_event,
            a_text_is_told_of_step_by_step,
            what_is_refused_is_told_once,
            a_named_tenant_is_an_event_and_the_same_again_is_none,
            an_event_keeps_what_was_true_then,
            events_are_read_on_from_any_of_them,
            a_stream_begins_at_its_end,
            each_subscriber_gets_what_it_wants,
            a_name_is_given_once,
            what_is_configured_is_changed_there_only,
            of_changes_to_what_was_seen_one_is_made,
            a_subscription_that_is_deleted_leaves_nothing,
            of_a_conversation_only_the_first_is_given,
            each_subscriber_is_given_as_much_as_it_has_hands_for,
            a_lease_that_is_over_is_given_again_and_says_so,
            a_retry_keeps_the_later_ones_back,
            an_old_ticket_changes_nothing,
            failures_are_counted_and_a_success_forgets_them,
            who_is_gone_is_disabled,
            what_waits_for_a_tenant_goes_on_when_somebody_looked,
            what_would_wait_for_a_lookup_that_ended_meanwhile_does_not,
            everything_since_a_time_is_told_again,
            who_cannot_tell_a_repetition_is_told_none,
            what_is_overdue_is_parked,
            what_waits_for_a_tenant_for_too_long_is_parked,
            what_is_old_is_swept,
            concurrent_claims_share_nothing,
        );
    };
    (@each $new:path, $wait:path: $($promise:ident),+ $(,)?) => {$(
        #[test]
        fn $promise() {
            $wait(async {
            let (store, _guard) = $new().await;
            $crate::testing::event_promises::$promise(&store).await;
            });
        }
    )+};
}

/// The promises, one function each; they panic where a store does not keep one.
#[expect(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "these are the bodies of tests: to panic is to fail, and their names are sentences"
)]
pub mod event_promises {
    use std::collections::BTreeSet;
    use std::time::{Duration, Instant};

    use futures_util::future::join_all;

    use crate::conversation::ConversationId;
    use crate::delivery::DeliveryStatus;
    use crate::event::{Event, EventCursor, EventKind};
    use crate::hook::{ClaimedHook, HookEnding, HookState, Pulse};
    use crate::job::JobId;
    use crate::language::Language;
    use crate::message::Direction;
    use crate::origin::Origin;
    use crate::ports::{
        Acceptance, Changed, EventSweep, Hands, HookClaim, HookEnd, HookQuery, HookView,
        LookupResult, Overdue, Recorded, Redelivery, SubscriptionChange,
    };
    use crate::subscription::{
        Format, Health, HookUrl, Secrets, SigningSecret, Subscription, SubscriptionId,
        TenantWanted, Wants,
    };
    use crate::tenant::TenantId;
    use crate::testing::Inspect;
    use crate::testing::fixture::{
        accepted, at, attempt, attempt_end, detection, inbound, new_outbound, refused, status, uuid,
    };

    const TENANT: &str = "+18605550199";
    const OTHER: &str = "+18605550111";

    /// A subscription to everything.
    #[must_use]
    pub fn subscription(number: u32) -> Subscription {
        Subscription {
            id: SubscriptionId(uuid(number)),
            name: format!("subscriber {number:03}"),
            url: HookUrl::new(format!("https://{number}.example.com/hooks")),
            wants: Wants { all_statuses: true, ..Wants::default() },
            format: Format::Standard,
            secrets: Secrets::of(SigningSecret::new(format!("whsec_{number}"))),
            enabled: true,
            configured: false,
            health: Health::default(),
            created_at: at(0),
            updated_at: at(0),
        }
    }

    /// All events, once so many can be seen: a store with many writers shows one only when none
    /// before it can come any more.
    pub async fn events(store: &impl Inspect, count: usize) -> Vec<Event> {
        let patience = Instant::now() + Duration::from_secs(30);
        loop {
            let seen = store.read_events(EventCursor::default(), 10_000).await.unwrap();
            assert!(seen.len() <= count, "{seen:?}");
            if seen.len() == count {
                return seen;
            }
            assert!(Instant::now() < patience, "{} of {count} events", seen.len());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn kinds(events: &[Event]) -> Vec<&'static str> {
        events.iter().map(|event| event.kind.as_str()).collect()
    }

    async fn subscribe(store: &impl Inspect, subscription: &Subscription) {
        assert!(store.create_subscription(subscription).await.unwrap());
    }

    /// Takes in texts whose language nobody knows: one event each.
    async fn receive(store: &impl Inspect, numbers: std::ops::RangeInclusive<u32>, from: &str) {
        for number in numbers {
            let mut new = inbound(number, from);
            new.detection = crate::language::Detection::UNKNOWN;
            assert!(matches!(store.record_inbound(&new).await.unwrap(), Recorded::New { .. }));
        }
    }

    fn hands(subscription: &Subscription, free: u32, second: u32) -> HookClaim {
        let hands = Hands { subscription: subscription.id, free, lease_until: at(second + 60) };
        HookClaim { hands: vec![hands], at: at(second) }
    }

    async fn claim(
        store: &impl Inspect,
        subscription: &Subscription,
        second: u32,
    ) -> Vec<ClaimedHook> {
        store.claim_hooks(&hands(subscription, 100, second)).await.unwrap()
    }

    fn end(hook: &ClaimedHook, ending: HookEnding, second: u32) -> HookEnd {
        HookEnd {
            ticket: hook.ticket,
            conversation: hook.event.conversation,
            ending,
            status_code: Some(200),
            pulse: Pulse::Alive,
            at: at(second),
        }
    }

    async fn all_hooks(store: &impl Inspect, subscription: &Subscription) -> Vec<HookView> {
        let query =
            HookQuery { subscription: subscription.id, state: None, before: None, limit: 1000 };
        store.list_hooks(&query).await.unwrap()
    }

    async fn health(store: &impl Inspect) -> Health {
        store.list_subscriptions().await.unwrap()[0].health.clone()
    }

    async fn look_up(store: &impl Inspect, conversation: ConversationId, tenant: Option<&str>) {
        let found = LookupResult {
            is_ambiguous: false,
            origin: Origin::default(),
            conversation,
            tenant: tenant.map(|tenant| TenantId::parse(tenant).unwrap()),
            at: at(50),
            language_job: JobId(uuid(1)),
        };
        assert!(store.record_lookup(&found).await.unwrap().is_some());
    }

    pub async fn a_new_message_is_an_event_and_so_is_the_language_that_it_brings(
        store: &impl Inspect,
    ) {
        let mut new = inbound(1, TENANT);
        new.detection = detection(Language::Spanish, 950);
        store.record_inbound(&new).await.unwrap();
        store
            .record_inbound(&{
                let mut new = inbound(2, TENANT);
                new.detection = detection(Language::Spanish, 950);
                new
            })
            .await
            .unwrap();
        let events = events(store, 3).await;
        assert_eq!(
            kinds(&events),
            ["message.received", "conversation.language_changed", "message.received"]
        );
        let received = &events[0];
        assert_eq!((received.conversation, received.at), (new.conversation, at(1)));
        assert_eq!(received.phone_number_canonical.as_str(), TENANT);
        assert_eq!(received.language, Language::Spanish);
        let message = received.message.as_ref().unwrap();
        assert_eq!((message.id, message.direction), (new.id, Direction::Inbound));
        assert_eq!(message.status, DeliveryStatus::Received);
        assert_eq!(received.content.as_ref().unwrap().content, new.message.body);
        assert_eq!(events[1].previous.as_deref(), Some("unknown"));
        assert_eq!((&events[1].message, &events[1].content), (&None, &None));
        assert!(events.iter().map(|event| event.cursor).is_sorted());
    }

    pub async fn a_repeated_webhook_is_no_event(store: &impl Inspect) {
        let subscriber = subscription(1);
        subscribe(store, &subscriber).await;
        receive(store, 1..=1, TENANT).await;
        let again = store.record_inbound(&inbound(1, TENANT)).await.unwrap();
        assert!(matches!(again, Recorded::Duplicate { .. }));
        assert_eq!(kinds(&events(store, 1).await), ["message.received"]);
        assert_eq!(all_hooks(store, &subscriber).await.len(), 1);
    }

    pub async fn a_text_is_told_of_step_by_step(store: &impl Inspect) {
        let new = new_outbound(1, TENANT);
        let Acceptance::New { job: Some(job), .. } = store.accept_outbound(&new).await.unwrap()
        else {
            panic!("it waits for nobody")
        };
        store.begin_attempt(&attempt(2, &job)).await.unwrap();
        store.record_attempt(&attempt_end(2, &job, accepted(1))).await.unwrap();
        for (number, word) in [(5, "sent"), (6, "delivered"), (7, "sending"), (8, "delivered")] {
            store.record_status(&status(number, 1, word, None)).await.unwrap();
        }
        let events = events(store, 3).await;
        assert_eq!(kinds(&events), ["message.sent", "message.status", "message.status"]);
        let told = |event: &Event| {
            let message = event.message.clone().unwrap();
            (message.id, message.status.as_str(), event.is_passing(), event.at)
        };
        assert_eq!(told(&events[0]), (new.id, "queued", false, at(3)));
        assert_eq!(told(&events[1]), (new.id, "sent", true, at(5)));
        assert_eq!(told(&events[2]), (new.id, "delivered", false, at(6)));
        assert_eq!(events[0].workflow_type.as_deref(), Some("collections"));
        assert_eq!(events[0].direction(), Some(Direction::Outbound));
    }

    pub async fn what_is_refused_is_told_once(store: &impl Inspect) {
        let new = new_outbound(1, TENANT);
        let Acceptance::New { job: Some(job), .. } = store.accept_outbound(&new).await.unwrap()
        else {
            panic!("it waits for nobody")
        };
        store.begin_attempt(&attempt(2, &job)).await.unwrap();
        for _ in 0..2 {
            store.record_attempt(&attempt_end(2, &job, refused("21610"))).await.unwrap();
        }
        let events = events(store, 1).await;
        let message = events[0].message.clone().unwrap();
        assert_eq!(kinds(&events), ["message.status"]);
        assert_eq!(message.status, DeliveryStatus::Failed);
        assert_eq!(message.error_code.as_deref(), Some("21610"));
    }

    pub async fn a_named_tenant_is_an_event_and_the_same_again_is_none(store: &impl Inspect) {
        receive(store, 1..=1, TENANT).await;
        let conversation = inbound(1, TENANT).conversation;
        for tenant in [None, Some("T_1"), Some("T_1"), None, Some("T_2")] {
            look_up(store, conversation, tenant).await;
        }
        let events = events(store, 3).await;
        assert_eq!(kinds(&events[1..]), ["conversation.identified"; 2]);
        let told = |event: &Event| {
            (event.previous.clone(), event.tenant_id.as_ref().map(ToString::to_string))
        };
        assert_eq!(told(&events[1]), (None, Some("T_1".into())));
        assert_eq!(told(&events[2]), (Some("T_1".into()), Some("T_2".into())));
    }

    pub async fn an_event_keeps_what_was_true_then(store: &impl Inspect) {
        receive(store, 1..=1, TENANT).await;
        look_up(store, inbound(1, TENANT).conversation, Some("T_1")).await;
        receive(store, 2..=2, TENANT).await;
        let events = events(store, 3).await;
        let tenants: Vec<_> = events.iter().map(|event| event.tenant_id.is_some()).collect();
        assert_eq!(tenants, [false, true, true]);
    }

    pub async fn events_are_read_on_from_any_of_them(store: &impl Inspect) {
        receive(store, 1..=7, TENANT).await;
        let all = events(store, 7).await;
        let mut behind = EventCursor::default();
        let mut read = Vec::new();
        loop {
            let page = store.read_events(behind, 3).await.unwrap();
            let Some(last) = page.last() else { break };
            behind = last.cursor;
            read.extend(page);
        }
        assert_eq!(read, all);
        assert_eq!(store.read_events(all[3].cursor, 100).await.unwrap(), all[4..]);
    }

    pub async fn a_stream_begins_at_its_end(store: &impl Inspect) {
        receive(store, 1..=2, TENANT).await;
        let before = events(store, 2).await;
        let end = store.events_end().await.unwrap();
        assert_eq!(store.read_events(end, 100).await.unwrap(), []);
        assert!(end >= before[1].cursor);
        receive(store, 3..=3, TENANT).await;
        let all = events(store, 3).await;
        assert_eq!(store.read_events(end, 100).await.unwrap(), all[2..]);
    }

    /// Every combination of wishes, against [`Subscription::wants`] as the store in memory asks it.
    pub async fn each_subscriber_gets_what_it_wants(store: &impl Inspect) {
        let memory = crate::testing::InMemoryStore::default();
        let subscribers = wishes();
        for subscriber in &subscribers {
            subscribe(store, subscriber).await;
            subscribe(&memory, subscriber).await;
        }
        live_a_little(store).await;
        live_a_little(&memory).await;
        let mut matched = BTreeSet::new();
        for subscriber in &subscribers {
            let told = |hooks: Vec<HookView>| {
                let mut told: Vec<_> =
                    hooks.into_iter().map(|hook| (hook.event, hook.kind, hook.state)).collect();
                told.sort_unstable_by_key(|(event, ..)| *event);
                told
            };
            let (ours, theirs) =
                (all_hooks(store, subscriber).await, all_hooks(&memory, subscriber).await);
            matched.insert(ours.len());
            assert_eq!(told(ours), told(theirs), "{:?}", subscriber.wants);
        }
        assert!(matched.len() > 5, "the wishes differ in what they get: {matched:?}");
    }

    fn wishes() -> Vec<Subscription> {
        let mut wishes = vec![Subscription { enabled: false, ..subscription(999) }];
        for choice in 0..96_u32 {
            let mut subscriber = subscription(choice + 1);
            subscriber.wants = Wants {
                kinds: match choice % 4 {
                    0 => EventKind::ALL.to_vec(),
                    1 => vec![EventKind::Received],
                    2 => vec![EventKind::Sent, EventKind::Status],
                    _ => vec![EventKind::Identified, EventKind::LanguageChanged],
                },
                all_statuses: choice / 4 % 2 == 0,
                workflow_type: (choice / 8 % 2 == 1).then(|| "collections".to_owned()),
                tenant: [None, Some(TenantWanted::Known), Some(TenantWanted::Unknown)]
                    [usize::try_from(choice / 16 % 3).unwrap()],
                direction: [None, Some(Direction::Inbound)][usize::try_from(choice / 48).unwrap()],
                when_identified: false,
            };
            wishes.push(subscriber);
        }
        wishes
    }

    /// Something of every kind: with and without tenant and workflow, in both directions.
    async fn live_a_little(store: &impl Inspect) {
        store.record_inbound(&inbound(1, TENANT)).await.unwrap();
        receive(store, 2..=2, OTHER).await;
        look_up(store, inbound(1, TENANT).conversation, Some("T_1")).await;
        receive(store, 3..=3, TENANT).await;
        for (number, to) in [(4, TENANT), (5, OTHER)] {
            let accepted_as = new_outbound(number, to);
            let Acceptance::New { job: Some(job), .. } =
                store.accept_outbound(&accepted_as).await.unwrap()
            else {
                panic!("it waits for nobody")
            };
            store.begin_attempt(&attempt(number, &job)).await.unwrap();
            store.record_attempt(&attempt_end(number, &job, accepted(number))).await.unwrap();
            store.record_status(&status(number, number, "sent", None)).await.unwrap();
            store.record_status(&status(number + 10, number, "delivered", None)).await.unwrap();
        }
        receive(store, 6..=6, OTHER).await;
    }

    pub async fn a_name_is_given_once(store: &impl Inspect) {
        let (one, mut two) = (subscription(1), subscription(2));
        subscribe(store, &one).await;
        two.name.clone_from(&one.name);
        assert!(!store.create_subscription(&two).await.unwrap());
        subscribe(store, &subscription(2)).await;
        let rename = SubscriptionChange { name: Some(one.name), ..SubscriptionChange::none(at(9)) };
        let changed = store.change_subscription(two.id, &rename).await.unwrap();
        assert_eq!(changed, Changed::NameTaken);
        let all = store.list_subscriptions().await.unwrap();
        assert_eq!(all, [subscription(1), subscription(2)]);
    }

    pub async fn what_is_configured_is_changed_there_only(store: &impl Inspect) {
        let known = Subscription { configured: true, ..subscription(1) };
        subscribe(store, &known).await;
        let change = SubscriptionChange {
            url: Some(HookUrl::new("https://elsewhere.example.com")),
            secret: Some(SigningSecret::new("whsec_new")),
            wants: Some(Wants { kinds: vec![EventKind::Sent], ..Wants::default() }),
            format: Some(Format::Orchestrator),
            ..SubscriptionChange::none(at(9))
        };
        let refused = store.change_subscription(known.id, &change).await.unwrap();
        assert_eq!(refused, Changed::Configured);
        assert_eq!(store.list_subscriptions().await.unwrap(), std::slice::from_ref(&known));
        let change = SubscriptionChange { configured: Some(false), ..change };
        let Changed::Done(changed) = store.change_subscription(known.id, &change).await.unwrap()
        else {
            panic!("it is allowed")
        };
        assert_eq!(*changed, change.applied(&known));
        assert_eq!(changed.secrets.in_use(at(10)).count(), 2);
        assert_eq!(store.list_subscriptions().await.unwrap(), [*changed]);
        let nobody = store.change_subscription(SubscriptionId(uuid(404)), &change).await.unwrap();
        assert_eq!(nobody, Changed::NotFound);
    }

    pub async fn of_changes_to_what_was_seen_one_is_made(store: &impl Inspect) {
        let known = subscription(1);
        subscribe(store, &known).await;
        // At the instant of its making: the clock alone does not tell them apart.
        let seen = SubscriptionChange { seen: Some(at(0)), ..SubscriptionChange::none(at(0)) };
        let wishes: Vec<_> = (0..8)
            .map(|n| SubscriptionChange { name: Some(format!("name {n}")), ..seen.clone() })
            .collect();
        let answers =
            join_all(wishes.iter().map(|change| store.change_subscription(known.id, change)));
        let answers: Vec<_> = answers.await.into_iter().map(Result::unwrap).collect();
        let now = store.list_subscriptions().await.unwrap().remove(0);
        let done = Changed::Done(Box::new(now.clone()));
        assert_eq!(answers.iter().filter(|answer| **answer == done).count(), 1);
        assert_eq!(answers.iter().filter(|answer| **answer == Changed::Outdated).count(), 7);
        let again = SubscriptionChange { seen: Some(now.updated_at), enabled: Some(false), ..seen };
        let again = store.change_subscription(known.id, &again).await.unwrap();
        let expected = store.list_subscriptions().await.unwrap().remove(0);
        assert_eq!(again, Changed::Done(Box::new(expected)));
    }

    pub async fn a_subscription_that_is_deleted_leaves_nothing(store: &impl Inspect) {
        let subscriber = subscription(1);
        subscribe(store, &subscriber).await;
        receive(store, 1..=2, TENANT).await;
        assert!(store.delete_subscription(subscriber.id).await.unwrap());
        assert!(!store.delete_subscription(subscriber.id).await.unwrap());
        assert_eq!(claim(store, &subscriber, 60).await, []);
        assert_eq!(all_hooks(store, &subscriber).await, []);
        receive(store, 3..=3, TENANT).await;
        assert_eq!(events(store, 3).await.len(), 3);
    }

    pub async fn of_a_conversation_only_the_first_is_given(store: &impl Inspect) {
        let (one, two) = (subscription(1), subscription(2));
        subscribe(store, &one).await;
        subscribe(store, &two).await;
        receive(store, 1..=3, TENANT).await;
        receive(store, 4..=4, OTHER).await;
        for number in [1, 2, 3] {
            let mut given = claim(store, &one, 60).await;
            given.retain(|hook| hook.event.phone_number_canonical.as_str() == TENANT);
            assert_eq!(given[0].event.message.as_ref().unwrap().id, inbound(number, "").id);
            assert_eq!(given.len(), 1);
            assert!(store.finish_hook(&end(&given[0], HookEnding::Delivered, 61)).await.unwrap());
        }
        assert_eq!(claim(store, &two, 60).await.len(), 2, "nobody waits for another's");
        let told = all_hooks(store, &one).await;
        let states: Vec<_> = told.iter().map(|hook| hook.state).collect();
        let delivered = HookState::Delivered;
        assert_eq!(states, [HookState::Running, delivered, delivered, delivered]);
        assert_eq!((told[1].attempts, told[1].status_code), (1, Some(200)));
        assert_eq!(told[1].finished_at, Some(at(61)));
    }

    pub async fn each_subscriber_is_given_as_much_as_it_has_hands_for(store: &impl Inspect) {
        let (one, two) = (subscription(1), subscription(2));
        subscribe(store, &one).await;
        subscribe(store, &two).await;
        for number in 1..=5 {
            receive(store, number..=number, &format!("+1860555011{number}")).await;
        }
        let wanted = [(&one, 2), (&two, 4)].map(|(subscription, free)| Hands {
            subscription: subscription.id,
            free,
            lease_until: at(120),
        });
        let claim = HookClaim { hands: wanted.to_vec(), at: at(60) };
        let given = store.claim_hooks(&claim).await.unwrap();
        let of = |subscription: &Subscription| {
            given.iter().filter(|hook| hook.ticket.subscription == subscription.id).count()
        };
        assert_eq!((of(&one), of(&two), given.len()), (2, 4, 6));
        let none = HookClaim { hands: Vec::new(), at: at(60) };
        assert_eq!(store.claim_hooks(&none).await.unwrap(), []);
        // Not before its time.
        assert_eq!(store.claim_hooks(&hands(&one, 9, 0)).await.unwrap(), []);
    }

    pub async fn a_lease_that_is_over_is_given_again_and_says_so(store: &impl Inspect) {
        let subscriber = subscription(1);
        subscribe(store, &subscriber).await;
        receive(store, 1..=1, TENANT).await;
        let first = claim(store, &subscriber, 60).await;
        assert_eq!((first[0].ticket.attempt, first[0].interrupted), (1, false));
        assert_eq!(claim(store, &subscriber, 119).await, []);
        let again = claim(store, &subscriber, 120).await;
        assert_eq!((again[0].ticket.attempt, again[0].interrupted), (2, true));
        assert_eq!(again[0].event, first[0].event);
    }

    pub async fn a_retry_keeps_the_later_ones_back(store: &impl Inspect) {
        let subscriber = subscription(1);
        subscribe(store, &subscriber).await;
        receive(store, 1..=3, TENANT).await;
        let hook = claim(store, &subscriber, 60).await.remove(0);
        let retry = HookEnding::Retry { run_at: at(90), error: "http_500".into() };
        assert!(store.finish_hook(&end(&hook, retry, 61)).await.unwrap());
        assert_eq!(claim(store, &subscriber, 89).await, []);
        assert!(all_hooks(store, &subscriber).await.iter().all(|hook| hook.run_at == at(90)));
        let again = claim(store, &subscriber, 90).await;
        assert_eq!((again.len(), again[0].failures, again[0].interrupted), (1, 1, false));
        assert_eq!((again[0].event.id, again[0].since), (hook.event.id, at(1)));
        let park = HookEnding::Park { error: "http_500".into() };
        assert!(store.finish_hook(&end(&again[0], park, 91)).await.unwrap());
        let next = claim(store, &subscriber, 91).await;
        assert_ne!(next[0].event.id, hook.event.id);
        let parked = HookQuery {
            subscription: subscriber.id,
            state: Some(HookState::Parked),
            before: None,
            limit: 9,
        };
        let parked = store.list_hooks(&parked).await.unwrap();
        assert_eq!((parked.len(), parked[0].last_error.as_deref()), (1, Some("http_500")));
    }

    pub async fn an_old_ticket_changes_nothing(store: &impl Inspect) {
        let subscriber = subscription(1);
        subscribe(store, &subscriber).await;
        receive(store, 1..=1, TENANT).await;
        let first = claim(store, &subscriber, 60).await.remove(0);
        let second = claim(store, &subscriber, 120).await.remove(0);
        let before = all_hooks(store, &subscriber).await;
        assert!(!store.finish_hook(&end(&first, HookEnding::Delivered, 121)).await.unwrap());
        assert_eq!(all_hooks(store, &subscriber).await, before);
        assert!(store.finish_hook(&end(&second, HookEnding::Release, 121)).await.unwrap());
        assert!(!store.finish_hook(&end(&second, HookEnding::Delivered, 121)).await.unwrap());
        assert_eq!(claim(store, &subscriber, 121).await[0].ticket.attempt, 3);
    }

    pub async fn failures_are_counted_and_a_success_forgets_them(store: &impl Inspect) {
        let subscriber = subscription(1);
        subscribe(store, &subscriber).await;
        receive(store, 1..=1, TENANT).await;
        let mut expected = Health::default();
        for nth in 0..12 {
            let hook = claim(store, &subscriber, 1000 + nth * 100).await.remove(0);
            let second = 1001 + nth * 100;
            let retry = HookEnding::Retry { run_at: at(second), error: "timeout".into() };
            let begun = at(1000 + nth * 100);
            let pulse = Pulse::Failed { error: "timeout".into(), begun, chance: 7 };
            let end = HookEnd { pulse, ..end(&hook, retry, second) };
            assert!(store.finish_hook(&end).await.unwrap());
            expected = expected.failed("timeout", begun, at(second), 7);
            assert_eq!(health(store).await, expected);
            // Once it is paused, what was begun before makes it no longer.
            let late = HookEnd { at: at(second + 1), ..end };
            assert!(!store.finish_hook(&late).await.unwrap());
            expected = expected.failed("timeout", begun, at(second + 1), 7);
            assert_eq!(health(store).await, expected);
        }
        assert!(expected.is_paused());
        let hook = claim(store, &subscriber, 9000).await.remove(0);
        assert!(store.finish_hook(&end(&hook, HookEnding::Delivered, 9001)).await.unwrap());
        assert_eq!(health(store).await, Health::default());
    }

    pub async fn who_is_gone_is_disabled(store: &impl Inspect) {
        let subscriber = subscription(1);
        subscribe(store, &subscriber).await;
        receive(store, 1..=1, TENANT).await;
        let hook = claim(store, &subscriber, 60).await.remove(0);
        let park = HookEnding::Park { error: "http_410".into() };
        let gone = HookEnd { pulse: Pulse::Gone, ..end(&hook, park, 61) };
        assert!(store.finish_hook(&gone).await.unwrap());
        receive(store, 2..=2, TENANT).await;
        assert!(!store.list_subscriptions().await.unwrap()[0].enabled);
        assert_eq!(health(store).await.last_error.as_deref(), Some("http_410"));
        assert_eq!(all_hooks(store, &subscriber).await.len(), 1);
    }

    pub async fn what_waits_for_a_tenant_goes_on_when_somebody_looked(store: &impl Inspect) {
        let subscriber = subscription(1);
        subscribe(store, &subscriber).await;
        receive(store, 1..=2, TENANT).await;
        receive(store, 3..=3, OTHER).await;
        for _ in 0..2 {
            for hook in claim(store, &subscriber, 20).await {
                assert_eq!((&hook.tenant, hook.was_looked_up), (&None, false));
                assert!(
                    store
                        .finish_hook(&end(&hook, HookEnding::Wait { looked_up: false }, 21))
                        .await
                        .unwrap()
                );
            }
        }
        assert_eq!(claim(store, &subscriber, 40).await, []);
        look_up(store, inbound(1, "").conversation, Some("T_1")).await;
        let mut given = claim(store, &subscriber, 60).await;
        // The identification itself is an event too, behind both.
        assert_eq!(given.len(), 1);
        let hook = given.remove(0);
        assert_eq!(hook.event.message.as_ref().unwrap().id, inbound(1, "").id);
        assert_eq!(hook.tenant, Some(TenantId::parse("T_1").unwrap()));
        assert_eq!((hook.was_looked_up, hook.since), (true, at(50)));
        let waiting = all_hooks(store, &subscriber).await;
        let waiting = waiting.iter().filter(|hook| hook.state == HookState::Waiting);
        assert_eq!(waiting.count(), 1);
    }

    pub async fn what_would_wait_for_a_lookup_that_ended_meanwhile_does_not(store: &impl Inspect) {
        let subscriber = subscription(1);
        subscribe(store, &subscriber).await;
        receive(store, 1..=1, TENANT).await;
        for looked_up in [false, true] {
            let hook = claim(store, &subscriber, 60).await.remove(0);
            assert_eq!(hook.was_looked_up, looked_up);
            if !looked_up {
                look_up(store, inbound(1, "").conversation, None).await;
            }
            let wait = HookEnding::Wait { looked_up };
            assert!(store.finish_hook(&end(&hook, wait, 61)).await.unwrap());
        }
        assert_eq!(claim(store, &subscriber, 62).await, [], "there was no lookup since");
        assert_eq!(all_hooks(store, &subscriber).await[0].state, HookState::Waiting);
    }

    pub async fn everything_since_a_time_is_told_again(store: &impl Inspect) {
        let subscriber = subscription(1);
        receive(store, 1..=2, TENANT).await;
        subscribe(store, &subscriber).await;
        receive(store, 3..=5, TENANT).await;
        let hook = claim(store, &subscriber, 60).await.remove(0);
        assert!(store.finish_hook(&end(&hook, HookEnding::Delivered, 61)).await.unwrap());
        let running = claim(store, &subscriber, 62).await.remove(0);
        events(store, 5).await;
        let mut wish = Redelivery {
            subscription: subscriber.id,
            since: at(2),
            behind: EventCursor::default(),
            limit: 2,
            at: at(70),
        };
        let (mut queued, mut steps) = (0, 0);
        loop {
            let step = store.redeliver(&wish).await.unwrap();
            (queued, steps) = (queued + step.queued, steps + 1);
            let Some(next) = step.next else { break };
            wish.behind = next;
        }
        // The second text, from before there was a subscription, and the third, which it was told.
        assert_eq!((queued, steps), (2, 3));
        let states: Vec<_> =
            all_hooks(store, &subscriber).await.iter().map(|hook| hook.state).collect();
        let again = HookState::Queued;
        assert_eq!(states, [HookState::Queued, HookState::Running, again, again]);
        assert!(store.finish_hook(&end(&running, HookEnding::Delivered, 71)).await.unwrap());
        let first = claim(store, &subscriber, 72).await.remove(0);
        assert_eq!(first.event.message.as_ref().unwrap().id, inbound(2, "").id);
        let nobody = Redelivery { subscription: SubscriptionId(uuid(404)), ..wish };
        assert_eq!(store.redeliver(&nobody).await.unwrap().queued, 0);
    }

    pub async fn who_cannot_tell_a_repetition_is_told_none(store: &impl Inspect) {
        let subscriber = Subscription { format: Format::Orchestrator, ..subscription(1) };
        subscribe(store, &subscriber).await;
        receive(store, 1..=3, TENANT).await;
        let parked = HookEnding::Park { error: "interrupted".into() };
        for ending in [HookEnding::Delivered, parked, HookEnding::Delivered] {
            let hook = claim(store, &subscriber, 60).await.remove(0);
            assert!(store.finish_hook(&end(&hook, ending, 61)).await.unwrap());
        }
        let (since, behind) = (at(0), EventCursor::default());
        let wish = Redelivery { subscription: subscriber.id, since, behind, limit: 10, at: at(70) };
        assert_eq!(store.redeliver(&wish).await.unwrap().queued, 1);
        let told = claim(store, &subscriber, 70).await;
        let texts: Vec<_> =
            told.iter().map(|hook| hook.event.message.as_ref().unwrap().id).collect();
        assert_eq!(texts, [inbound(2, "").id]);
    }

    pub async fn what_is_overdue_is_parked(store: &impl Inspect) {
        let overdue = |limit| Overdue { queued: at(4), waiting: at(0), limit, at: at(70) };
        let subscriber = subscription(1);
        subscribe(store, &subscriber).await;
        receive(store, 1..=5, TENANT).await;
        let running = claim(store, &subscriber, 60).await.remove(0);
        assert_eq!(store.park_overdue(&overdue(1)).await.unwrap(), 1);
        assert_eq!(store.park_overdue(&overdue(100)).await.unwrap(), 1);
        assert_eq!(store.park_overdue(&overdue(100)).await.unwrap(), 0);
        let told = all_hooks(store, &subscriber).await;
        let states: Vec<_> = told.iter().map(|hook| hook.state.as_str()).collect();
        assert_eq!(states, ["queued", "queued", "parked", "parked", "running"]);
        assert_eq!(told[2].last_error.as_deref(), Some("overdue"));
        assert!(store.finish_hook(&end(&running, HookEnding::Delivered, 71)).await.unwrap());
        assert_eq!(claim(store, &subscriber, 72).await.len(), 1);
    }

    pub async fn what_waits_for_a_tenant_for_too_long_is_parked(store: &impl Inspect) {
        let subscriber = subscription(1);
        subscribe(store, &subscriber).await;
        receive(store, 1..=4, TENANT).await;
        for _ in 1..=3 {
            let hook = claim(store, &subscriber, 60).await.remove(0);
            let wait = HookEnding::Wait { looked_up: false };
            assert!(store.finish_hook(&end(&hook, wait, 61)).await.unwrap());
        }
        let overdue = |limit| Overdue { queued: at(0), waiting: at(3), limit, at: at(70) };
        assert_eq!(store.park_overdue(&overdue(1)).await.unwrap(), 1);
        assert_eq!(store.park_overdue(&overdue(100)).await.unwrap(), 1);
        assert_eq!(store.park_overdue(&overdue(100)).await.unwrap(), 0);
        let told = all_hooks(store, &subscriber).await;
        let states: Vec<_> = told.iter().map(|hook| hook.state.as_str()).collect();
        assert_eq!(states, ["queued", "waiting", "parked", "parked"]);
        for parked in &told[2..] {
            assert_eq!(parked.last_error.as_deref(), Some("no_tenant"));
            assert_eq!(parked.finished_at, Some(at(70)));
        }
        look_up(store, inbound(1, "").conversation, Some("T_1")).await;
        let given = claim(store, &subscriber, 71).await.remove(0);
        assert_eq!(given.event.message.as_ref().unwrap().id, inbound(3, "").id);
    }

    pub async fn what_is_old_is_swept(store: &impl Inspect) {
        let subscriber = subscription(1);
        subscribe(store, &subscriber).await;
        receive(store, 1..=4, TENANT).await;
        for _ in 0..2 {
            let hook = claim(store, &subscriber, 60).await.remove(0);
            assert!(store.finish_hook(&end(&hook, HookEnding::Delivered, 61)).await.unwrap());
        }
        let sweep = |events, delivered| EventSweep {
            events: at(events),
            delivered: at(delivered),
            limit: 100,
        };
        store.sweep_events(&sweep(0, 61)).await.unwrap();
        assert_eq!(all_hooks(store, &subscriber).await.len(), 4);
        store.sweep_events(&sweep(0, 62)).await.unwrap();
        assert_eq!(all_hooks(store, &subscriber).await.len(), 2);
        events(store, 4).await;
        store.sweep_events(&sweep(4, 62)).await.unwrap();
        let kept = events(store, 1).await;
        assert_eq!(kept[0].at, at(4));
        store.sweep_events(&sweep(5, 62)).await.unwrap();
        assert_eq!(events(store, 0).await, []);
        assert_eq!(claim(store, &subscriber, 70).await, []);
    }

    pub async fn concurrent_claims_share_nothing(store: &impl Inspect) {
        let subscriber = subscription(1);
        subscribe(store, &subscriber).await;
        for number in 1..=12 {
            receive(store, number..=number, &format!("+18605550{number:03}")).await;
        }
        let claim = hands(&subscriber, 3, 60);
        let mut given = Vec::new();
        while given.len() < 12 {
            let claims = (0..6).map(|_| store.claim_hooks(&claim));
            let claimed: Vec<_> =
                join_all(claims).await.into_iter().flat_map(Result::unwrap).collect();
            assert!(!claimed.is_empty());
            given.extend(claimed);
        }
        let distinct: BTreeSet<_> = given.iter().map(|hook| hook.event.id).collect();
        assert_eq!((given.len(), distinct.len()), (12, 12));
    }

    /// Both stores hold the same events, and the same that subscribers are to be told. Where they
    /// stand in the stream is each store's own.
    pub async fn the_same_was_told(ours: &impl Inspect, memory: &impl Inspect) {
        the_same_but_for(|_| {}, ours, memory).await;
    }

    /// The same, of calls that share a transaction: reports that waited for one of its texts show
    /// the language that the conversation has at its end.
    pub async fn the_same_was_told_at_once(ours: &impl Inspect, memory: &impl Inspect) {
        let forget_language = |event: &mut Event| {
            if event.kind == EventKind::Status {
                event.language = Language::Unknown;
            }
        };
        the_same_but_for(forget_language, ours, memory).await;
    }

    async fn the_same_but_for(
        forget: impl Fn(&mut Event),
        ours: &impl Inspect,
        memory: &impl Inspect,
    ) {
        let count = memory.read_events(EventCursor::default(), 10_000).await.unwrap().len();
        let sorted = |mut events: Vec<Event>| {
            events.sort_by_key(|event| event.id);
            for event in &mut events {
                event.cursor = EventCursor::default();
                forget(event);
            }
            events
        };
        assert_eq!(sorted(events(ours, count).await), sorted(events(memory, count).await));
        for subscriber in memory.list_subscriptions().await.unwrap() {
            let sorted = |mut hooks: Vec<HookView>| {
                hooks.sort_by_key(|hook| hook.event);
                for hook in &mut hooks {
                    hook.cursor = EventCursor::default();
                }
                hooks
            };
            assert_eq!(
                sorted(all_hooks(ours, &subscriber).await),
                sorted(all_hooks(memory, &subscriber).await)
            );
        }
    }
}
