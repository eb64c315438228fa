//! What pages cost in a full database. `FULL=1` fills it with as much as a large service has.

use std::env;
use std::time::Duration;

use adapter_postgres::PgStore;
use domain::conversation::{Conversation, ConversationId};
use domain::delivery::DeliveryStatus;
use domain::event::EventCursor;
use domain::hook::HookState;
use domain::job::{JobId, JobState};
use domain::language::Language;
use domain::message::{Direction, MessageId};
use domain::ports::{
    ConversationCursor, ConversationQuery, ConversationStore, Cursor, EventStore, Hands, HookClaim,
    HookQuery, JobQuery, MessageQuery, MessageStore, Order, Reconciliation, Start, ThreadQuery,
};
use domain::tenant::TenantId;
use domain::testing::event_promises::subscription;
use domain::testing::fixture::uuid;
use domain::timestamp::Timestamp;
use serde_json::Value;
use tokio_postgres::Client;

use crate::database::{Schema, fresh_store, scans, until_sessions};

/// How many there are of each.
struct Size {
    conversations: u32,
    messages: u32,
    /// Messages of the longest thread.
    longest: u32,
}

#[expect(clippy::disallowed_methods, reason = "whoever runs the tests says how large they are")]
fn size() -> Size {
    match env::var("FULL").as_deref() {
        Ok("1") => Size { conversations: 50_000, messages: 1_000_000, longest: 20_000 },
        _ => Size { conversations: 4_000, messages: 40_000, longest: 4_000 },
    }
}

const PAGE: u32 = 20;

/// Conversations of one large tenant, of many small ones and of nobody, in three languages of which
/// one is rare, some with workflows. The order of their activity is not that of their rows.
async fn fill_conversations(outsider: &Client, size: &Size) {
    let all = size.conversations;
    let fill = format!(
        "insert into sms_conversations (id, phone_number_canonical, phone_number_original,
             tenant_id, workflow_type, workflow_id, language_detected, language_confidence,
             language_evidence, last_message_at, tenant_checked_at, created_at, updated_at)
         select md5('conversation' || n)::uuid, '+1' || 2000000000 + n, '+1' || 2000000000 + n,
             case when n % 10 = 0 then 'T_large'
                 when n % 10 < 7 then 'T_' || (n * 31 / 10) % ({all} / 20) end,
             case when n % 7 < 2 then 'collections' when n % 7 < 3 then 'leasing' end,
             case when n % 9 = 0 then 'w_large' when n % 9 < 5 then 'w_' || n / 9 end,
             case when n % 200 = 0 then 'pt' when n % 11 < 3 then 'es'
                 when n % 11 = 3 then 'unknown' else 'en' end,
             0.9, '{{\"en\": 0, \"es\": 0, \"pt\": 0, \"votes\": 0}}',
             'epoch'::timestamptz + (n::bigint * 7919 % {all}) * interval '1 minute',
             'epoch'::timestamptz + (n::bigint * 104729 % {all}) * interval '1 minute',
             'epoch', 'epoch'
         from generate_series(1, {all}) n;
         vacuum analyze sms_conversations"
    );
    for statement in fill.split_inclusive(';') {
        outsider.batch_execute(statement).await.unwrap();
    }
}

/// Messages of all conversations in turn, and more of the first one.
async fn fill_messages(outsider: &Client, size: &Size) {
    let Size { conversations, messages, longest } = size;
    let every = messages / longest;
    let fill = format!(
        "insert into sms_messages (id, conversation_id, direction, twilio_sid, from_number,
             to_number, message_content, delivery_status, send_state, send_expires_at,
             source, created_at, updated_at)
         select md5('message' || n)::uuid,
             md5('conversation' || case when n % {every} = 0 then 1
                 else 1 + n % {conversations} end)::uuid,
             case when n % 5 < 3 then 'outbound' else 'inbound' end, 'SM' || md5('sid' || n),
             '+18605550100', '+18605550199', 'We will come by at four',
             case when n % 5 >= 3 then 'received' when n % 500 = 0 then 'failed'
                 when n % 50 = 1 then 'undelivered' else 'delivered' end,
             case when n % 5 >= 3 then null when n % 2000 = 2 then 'ambiguous'
                 else 'accepted' end,
             'epoch', 'api', 'epoch'::timestamptz + n * interval '1 second', 'epoch'
         from generate_series(1, {messages}) n;
         vacuum analyze sms_messages"
    );
    for statement in fill.split_inclusive(';') {
        outsider.batch_execute(statement).await.unwrap();
    }
}

/// A store on a full database.
async fn full_store(size: &Size) -> (PgStore, Schema) {
    let (store, schema) = fresh_store().await;
    fill_conversations(&schema.outsider().await, size).await;
    (store, schema)
}

/// What the server did for a page.
#[derive(Debug)]
struct Cost {
    /// The parts of the plan, the outer ones first.
    nodes: Vec<String>,
    /// Blocks of 8 KiB that it looked at.
    blocks: u64,
    /// The most rows that were sorted.
    sorted: u64,
}

impl Cost {
    fn of(explained: &Value) -> Self {
        let plan = explained.pointer("/0/Plan").unwrap();
        let blocks = number(plan, "Shared Hit Blocks") + number(plan, "Shared Read Blocks");
        let mut cost = Self { nodes: Vec::new(), blocks, sorted: 0 };
        cost.add(plan);
        cost
    }

    fn add(&mut self, node: &Value) {
        let text = |name: &str| node[name].as_str().unwrap_or_default();
        self.nodes.push(format!("{} {}", text("Node Type"), text("Index Name")));
        for inner in node["Plans"].as_array().into_iter().flatten() {
            if text("Node Type").contains("Sort") {
                self.sorted = self.sorted.max(number(inner, "Actual Rows"));
            }
            self.add(inner);
        }
    }

    /// The table was neither read from end to end nor sorted: a few rows may be, where that is less
    /// than to go through an index that has the order.
    fn expect_an_index(&self, what: &str, rows: u32) {
        let scans = self.nodes.iter().any(|node| node.contains("Seq Scan"));
        assert!(!scans && self.sorted <= u64::from(rows) / 8, "{what}: {self:?}");
    }
}

fn number(node: &Value, name: &str) -> u64 {
    node[name].as_u64().unwrap()
}

/// A list of that many has a page that is far down.
const FAR_DOWN: usize = 100;

/// Expects a page far down a list of that length to cost no more than twice what the first costs.
/// A shorter list, of those that fit three conditions at once, is gathered as a whole and sorted.
fn compare(what: &str, length: usize, rows: u32, first: &Value, far: &Value) {
    let (first, far) = (Cost::of(first), Cost::of(far));
    first.expect_an_index(what, rows);
    far.expect_an_index(what, rows);
    assert!(length < FAR_DOWN || far.blocks <= first.blocks * 2, "{what}: {first:?}, {far:?}");
}

fn minute(number: u32) -> Timestamp {
    Timestamp::EPOCH.after(Duration::from_mins(number.into()))
}

fn moment(second: u32) -> Timestamp {
    Timestamp::EPOCH.after(Duration::from_secs(second.into()))
}

/// The place of a message in the order of all.
fn message_at(second: u32) -> Cursor {
    Cursor { created_at: moment(second), id: MessageId(uuid(0)) }
}

fn conversation_queries(size: &Size) -> Vec<ConversationQuery> {
    let text = |text: Option<&str>| text.map(str::to_owned);
    let tenant = |id: Option<&str>| id.map(|id| TenantId::parse(id).unwrap());
    let quarter = minute(size.conversations / 4);
    let languages = [Language::English, Language::Portuguese, Language::Unknown];
    let mut queries = vec![ConversationQuery { limit: PAGE, ..ConversationQuery::default() }];
    let mut vary = |vary: &dyn Fn(&ConversationQuery) -> Vec<ConversationQuery>| {
        let varied: Vec<_> = queries.iter().flat_map(vary).collect();
        queries.extend(varied);
    };
    vary(&|query| {
        let tenants = [Some("T_large"), Some("T_7")].map(tenant);
        tenants.map(|tenant| ConversationQuery { tenant, ..query.clone() }).to_vec()
    });
    vary(&|query| {
        vec![ConversationQuery { workflow_type: text(Some("leasing")), ..query.clone() }]
    });
    vary(&|query| {
        let ids = [Some("w_large"), Some("w_7")].map(text);
        ids.map(|workflow_id| ConversationQuery { workflow_id, ..query.clone() }).to_vec()
    });
    vary(&|query| {
        languages
            .map(|language| ConversationQuery { language: Some(language), ..query.clone() })
            .to_vec()
    });
    vary(&|query| vec![ConversationQuery { since: Some(quarter), ..query.clone() }]);
    queries
}

#[tokio::test]
async fn a_page_of_conversations_costs_the_same_wherever_it_begins() {
    let size = size();
    let (store, schema) = full_store(&size).await;
    let queries = conversation_queries(&size);
    assert_eq!(queries.len(), 3 * 2 * 3 * 4 * 2);
    for first in queries {
        let (length, far, expected) = far_page(&store, &first, &size).await;
        compare(
            &format!("{first:?}"),
            length,
            size.conversations,
            &store.explain_conversations(&first).await,
            &store.explain_conversations(&far).await,
        );
        assert_eq!(store.list_conversations(&far).await.unwrap().conversations, expected);
    }
    drop(schema);
}

/// How long the list is, the question for its last tenth, and what must be answered to that.
async fn far_page(
    store: &PgStore,
    first: &ConversationQuery,
    size: &Size,
) -> (usize, ConversationQuery, Vec<Conversation>) {
    let all = ConversationQuery { limit: size.conversations, ..first.clone() };
    let all = store.list_conversations(&all).await.unwrap().conversations;
    let place = all.len() * 9 / 10;
    let behind = all
        .get(place)
        .map(|last| ConversationCursor { last_activity_at: last.last_activity_at(), id: last.id });
    let expected = all.iter().skip(place + 1).take(PAGE.try_into().unwrap()).cloned().collect();
    (all.len(), ConversationQuery { behind, ..first.clone() }, expected)
}

/// The server may take one plan for all values once it has made a few for some.
#[tokio::test]
async fn a_page_that_is_read_often_is_still_read_through_an_index() {
    let size = size();
    let (store, schema) = full_store(&size).await;
    let outsider = schema.outsider().await;
    let before = scans(&outsider, "sms_conversations").await;
    for query in conversation_queries(&size) {
        for minutes in 1..=8 {
            let behind = ConversationCursor {
                last_activity_at: minute(size.conversations / minutes),
                id: ConversationId(uuid(0)),
            };
            let query = ConversationQuery { behind: Some(behind), ..query.clone() };
            store.list_conversations(&query).await.unwrap();
        }
    }
    drop(store);
    // A session that ends has told all its numbers.
    until_sessions(&outsider, &schema, "query not like '%pg_stat_activity%'", 0).await;
    outsider.batch_execute("select pg_stat_clear_snapshot()").await.unwrap();
    assert_eq!(scans(&outsider, "sms_conversations").await, before);
}

#[tokio::test]
async fn a_page_of_messages_costs_the_same_wherever_it_begins() {
    use DeliveryStatus::{Delivered, Failed, Received, Sending, Unknown};
    let size = size();
    let (store, schema) = full_store(&size).await;
    fill_messages(&schema.outsider().await, &size).await;
    let (outbound, inbound) = (Some(Direction::Outbound), Some(Direction::Inbound));
    let mut filters = vec![(None, None), (None, outbound), (None, inbound)];
    filters.extend([Received, Delivered, Failed, Unknown, Sending].map(|word| (Some(word), None)));
    filters.extend([Delivered, Failed, Unknown, Sending].map(|word| (Some(word), outbound)));
    filters.push((Some(Received), inbound));
    for (status, direction) in filters {
        for since in [None, Some(moment(size.messages / 20))] {
            let first = MessageQuery { status, direction, since, behind: None, limit: PAGE };
            let far = MessageQuery { behind: Some(message_at(size.messages / 10)), ..first };
            let what = format!("{first:?}");
            let (first, far) =
                (store.explain_messages(&first).await, store.explain_messages(&far).await);
            compare(&what, FAR_DOWN, size.messages, &first, &far);
        }
    }
}

#[tokio::test]
async fn a_page_of_a_thread_costs_the_same_wherever_it_begins() {
    let size = size();
    let (store, schema) = full_store(&size).await;
    let outsider = schema.outsider().await;
    fill_messages(&outsider, &size).await;
    let longest = "select md5('conversation1')::uuid::text";
    let longest: String = outsider.query_one(longest, &[]).await.unwrap().get(0);
    let longest = ConversationId::parse(&longest).unwrap();
    let tenth = size.messages / 10;
    for (order, far) in [(Order::NewestFirst, tenth), (Order::OldestFirst, size.messages - tenth)] {
        let first = ThreadQuery { order, start: Start::Offset(0), limit: PAGE };
        let far = ThreadQuery { start: Start::Behind(message_at(far)), ..first };
        let page = store.read_thread(longest, &far).await.unwrap();
        assert_eq!(page.messages.len(), usize::try_from(PAGE).unwrap());
        assert!(page.total >= u64::from(size.longest));
        let (first, far) = (
            store.explain_thread(longest, &first).await,
            store.explain_thread(longest, &far).await,
        );
        compare(&format!("{order:?}"), FAR_DOWN, size.messages, &first, &far);
    }
}

#[tokio::test]
async fn the_conversations_that_a_worker_looks_for_are_found_through_an_index() {
    let size = size();
    let (store, schema) = full_store(&size).await;
    let outsider = schema.outsider().await;
    // Some are being looked up already, and many have been.
    let jobs = "insert into jobs
            (id, kind, unique_key, payload, state, run_at, created_at, updated_at)
        select gen_random_uuid(), 'tenant_lookup', 'tenant_lookup:' || id, '{}',
            case when ascii(id::text) % 3 = 0 then 'queued' else 'done' end,
            'epoch', 'epoch', 'epoch'
        from sms_conversations;
        analyze jobs";
    outsider.batch_execute(jobs).await.unwrap();
    let due = Reconciliation {
        at: Timestamp::EPOCH,
        looked_up_before: minute(size.conversations),
        jobs: (0..PAGE).map(|number| JobId(uuid(number))).collect(),
    };
    let cost = Cost::of(&store.explain_reconciliation(&due).await);
    cost.expect_an_index("reconciliation", size.conversations);
    assert!(cost.blocks < u64::from(PAGE) * 30, "{cost:?}");
    assert_eq!(store.reconcile_lookups(&due).await.unwrap(), u64::from(PAGE));

    let small = "select id::text from sms_conversations where tenant_id = 'T_7' limit 1";
    let small: String = outsider.query_one(small, &[]).await.unwrap().get(0);
    let small = ConversationId::parse(&small).unwrap();
    let cost = Cost::of(&store.explain_carrying(small).await);
    cost.expect_an_index("carrying", size.conversations);
    assert!(cost.blocks < 300, "{cost:?}");
}

#[tokio::test]
async fn a_page_of_jobs_is_read_through_an_index_whatever_their_state() {
    let rows = size().messages / 4;
    let (store, schema) = fresh_store().await;
    // Nearly all are done; the order of their changes is not that of their rows.
    let fill = format!(
        "insert into jobs (id, kind, unique_key, payload, state, run_at, created_at, updated_at)
         select md5('job' || n)::uuid, 'send', 'send:' || n, '{{}}',
             case when n % 50 > 2 then 'done'
                 else (array['queued', 'running', 'parked'])[1 + n % 50] end,
             'epoch', 'epoch',
             'epoch'::timestamptz + (n::bigint * 7919 % {rows}) * interval '1 second'
         from generate_series(1, {rows}) n;
         analyze jobs"
    );
    schema.outsider().await.batch_execute(&fill).await.unwrap();
    for state in [None].into_iter().chain(JobState::ALL.map(Some)) {
        let query = JobQuery { state, limit: PAGE, offset: 0 };
        let cost = Cost::of(&store.explain_jobs(&query).await);
        cost.expect_an_index(&format!("{query:?}"), rows);
        assert!(cost.blocks < u64::from(PAGE) * 10, "{query:?}: {cost:?}");
    }
}

/// A subscriber that was told of nearly everything that happened, in all conversations in turn.
async fn fill_events(store: &PgStore, outsider: &Client, size: &Size) {
    store.create_subscription(&subscription(1)).await.unwrap();
    let (conversations, rows) = (size.conversations, size.messages / 4);
    let fill = format!(
        "insert into sms_events (transaction, place, id, type, conversation_id, is_passing,
             language_detected, created_at) overriding system value
         select n / 10, n, md5('event' || n)::uuid, 'conversation.identified',
             md5('conversation' || 1 + n % {conversations})::uuid, false, 'en',
             'epoch'::timestamptz + n * interval '1 second'
         from generate_series(1, {rows}) n;
         insert into sms_event_deliveries (subscription_id, transaction, place, conversation_id,
             state, since, run_at, lease_expires_at, finished_at)
         select (select id from sms_subscriptions), transaction, place, conversation_id,
             case when place % 50 > 4 then 'delivered' else (array['queued', 'running',
                 'waiting', 'skipped', 'parked'])[1 + place % 50] end,
             created_at, created_at, created_at, created_at
         from sms_events;
         vacuum analyze sms_events;
         vacuum analyze sms_event_deliveries"
    );
    for statement in fill.split_inclusive(';') {
        outsider.batch_execute(statement).await.unwrap();
    }
}

#[tokio::test]
async fn what_subscribers_are_told_is_read_and_claimed_through_indexes() {
    let size = size();
    let (store, schema) = full_store(&size).await;
    fill_events(&store, &schema.outsider().await, &size).await;
    let subscription = subscription(1).id;
    let rows = size.messages / 4;
    for state in [None].into_iter().chain(HookState::ALL.map(Some)) {
        for before in [None, Some(i64::from(rows) / 2)] {
            let query = HookQuery { subscription, state, before, limit: PAGE };
            let cost = Cost::of(&store.explain_hooks(&query).await);
            cost.expect_an_index(&format!("{query:?}"), rows);
            assert!(cost.blocks < u64::from(PAGE) * 30, "{query:?}: {cost:?}");
        }
    }
    let (at, free) = (moment(rows * 2), PAGE);
    let hands = Hands { subscription, free, lease_until: at };
    let claim = HookClaim { hands: vec![hands], at };
    let [queued, abandoned] = store.explain_hook_claims(&claim).await;
    let (queued, abandoned) = (Cost::of(&queued), Cost::of(&abandoned));
    queued.expect_an_index("a claim", rows);
    assert!(queued.blocks < u64::from(PAGE) * 30, "{queued:?}");
    // All that were abandoned are looked at: never more than there are hands.
    abandoned.expect_an_index("a claim of what was abandoned", rows);
}

#[tokio::test]
async fn the_stream_is_read_through_an_index_from_wherever_somebody_goes_on() {
    let size = size();
    let (store, schema) = full_store(&size).await;
    fill_events(&store, &schema.outsider().await, &size).await;
    for place in [0, 1, size.messages / 8] {
        let place = i64::from(place);
        let behind = EventCursor { transaction: place / 10, place };
        let cost = Cost::of(&store.explain_events(behind, PAGE).await);
        cost.expect_an_index("the stream", size.messages / 4);
        assert!(cost.blocks < u64::from(PAGE) * 10, "{behind}: {cost:?}");
    }
}
