//! Calls that wait share a transaction and nothing else.

use std::error::Error;
use std::time::{Duration, Instant};

use adapter_postgres::{GroupSettings, PgStore};
use domain::ports::{MessageStore, NewInbound, Recorded, StatusRecorded, StoreError};
use domain::testing::Inspect;
use domain::testing::fixture::{inbound, sid, status};
use domain::testing::history;
use futures_util::FutureExt;
use futures_util::future::{join, join_all};
use tokio::runtime::Handle;
use tokio_postgres::Client;

use crate::agreement::{EMPTY, live_through};
use crate::database::{Schema, sessions, store};

/// One group at a time, so that the first call goes alone and all others wait for it together.
const ONE_AT_A_TIME: GroupSettings =
    GroupSettings { at_once: 1, largest: 128, queue: 1000, lock_wait: Duration::from_millis(100) };

async fn store_with(groups: GroupSettings) -> (PgStore, Schema) {
    let schema = Schema::unused();
    let mut settings = schema.settings();
    settings.groups = groups;
    (store(&settings).await, schema)
}

async fn one_at_a_time() -> (PgStore, Schema) {
    store_with(ONE_AT_A_TIME).await
}

async fn never_together() -> (PgStore, Schema) {
    store_with(GroupSettings { at_once: 4, largest: 1, ..ONE_AT_A_TIME }).await
}

mod of_one {
    domain::message_store_contract!(super::never_together, crate::wait);
}

mod of_many {
    domain::message_store_contract!(super::one_at_a_time, crate::wait);
}

fn texts(numbers: impl IntoIterator<Item = u32>) -> Vec<NewInbound> {
    let text = |number| inbound(number, &format!("+186055501{number:02}"));
    numbers.into_iter().map(text).collect()
}

async fn record_together(
    store: &PgStore,
    texts: &[NewInbound],
) -> Vec<Result<Recorded, StoreError>> {
    join_all(texts.iter().map(|text| store.record_inbound(text))).await
}

fn reason(error: &StoreError) -> String {
    error.source().unwrap().to_string()
}

#[test]
fn histories_that_happen_at_once_end_as_they_do_in_memory() {
    let (runtime, settings) = (tokio::runtime::Runtime::new().unwrap(), ONE_AT_A_TIME);
    let (store, schema) = runtime.block_on(store_with(settings));
    let outsider = runtime.block_on(schema.outsider());
    live_through(&history::histories(60), |history| {
        runtime.block_on(async {
            outsider.batch_execute(EMPTY).await.unwrap();
            history::agrees_with_memory_at_once(&store, &history, 20).await;
        });
    });
    assert!(store.message_groups().largest > 2, "{:?}", store.message_groups());
    assert!(store.report_groups().largest > 2, "{:?}", store.report_groups());
}

#[tokio::test]
async fn a_lone_call_waits_for_nobody() {
    let (store, _schema) = one_at_a_time().await;
    for text in texts(1..=3) {
        store.record_inbound(&text).await.unwrap();
    }
    let counts = store.message_groups();
    assert_eq!((counts.committed, counts.calls, counts.largest, counts.parted), (3, 3, 1, 0));
}

#[tokio::test]
async fn calls_that_wait_share_a_transaction_and_get_their_own_answers() {
    let (store, _schema) = one_at_a_time().await;
    let texts = texts(1..=64);
    for (text, recorded) in texts.iter().zip(record_together(&store, &texts).await) {
        let Recorded::New { message, conversation, .. } = recorded.unwrap() else {
            panic!("a message of its own is no duplicate")
        };
        assert_eq!((message, conversation), (text.id, text.conversation));
    }
    let counts = store.message_groups();
    // The first may have gone before the others came.
    assert!(counts.committed <= 2, "{counts:?}");
    assert_eq!((counts.calls, counts.parted), (64, 0), "{counts:?}");

    let reports: Vec<_> =
        (1..=64).map(|number| status(number, 100 + number, "sent", None)).collect();
    for recorded in join_all(reports.iter().map(|report| store.record_status(report))).await {
        assert_eq!(recorded.unwrap(), StatusRecorded::Parked);
    }
    let counts = store.report_groups();
    assert!(counts.committed <= 2 && counts.calls == 64, "{counts:?}");
    let all = store.everything().await;
    assert_eq!((all.messages.len(), all.parked_events.len()), (64, 64));
}

#[tokio::test]
async fn repeats_inside_a_group_are_one_message() {
    let (store, _schema) = one_at_a_time().await;
    let mut texts = texts(1..=40);
    for text in &mut texts[20..] {
        text.message.twilio_sid = sid(7);
    }
    let recorded = record_together(&store, &texts).await;
    let new = recorded.iter().filter(|one| matches!(one, Ok(Recorded::New { .. }))).count();
    assert_eq!(new, 20);
    for one in &recorded[20..] {
        assert!(matches!(one, Ok(Recorded::Duplicate { message }) if *message == texts[6].id));
    }
    let all = store.everything().await;
    assert_eq!((all.conversations.len(), all.messages.len(), all.jobs.len()), (20, 20, 20));
}

#[tokio::test]
async fn a_call_that_fails_does_not_fail_its_neighbours() {
    let (store, schema) = one_at_a_time().await;
    let bar = "alter table sms_messages
               add constraint silence check (message_content <> 'poison') not valid";
    schema.outsider().await.batch_execute(bar).await.unwrap();
    let mut texts = texts(1..=16);
    texts[8].message.body = Some(domain::text::Text::new("poison"));
    // One of its own conversation is a neighbour too.
    texts[9].message.from = texts[8].message.from.clone();
    for (nth, recorded) in record_together(&store, &texts).await.iter().enumerate() {
        match recorded {
            Ok(Recorded::New { .. }) => assert_ne!(nth, 8),
            Err(StoreError::Rejected(_)) => assert_eq!(nth, 8),
            other => panic!("{other:?}"),
        }
    }
    let all = store.everything().await;
    let rows = (all.conversations.len(), all.messages.len(), all.jobs.len());
    assert_eq!(rows, (15, 15, 15), "nothing of the failed call is left");
    assert!(store.message_groups().parted >= 1);
}

/// The commit is sent together with what it commits, and must stay behind it also where that
/// statement has to be prepared first. Were it in front, what is written would be written outside
/// of the transaction that holds the SIDs.
#[tokio::test]
async fn what_is_written_is_written_while_the_sids_are_held() {
    let (first, schema) = one_at_a_time().await;
    first.record_inbound(&inbound(1, "+18605550199")).await.unwrap();
    let outsider = schema.outsider().await;
    let note = "create table held (locks bigint);
                create function note() returns trigger language plpgsql as $$ begin
                    insert into held select count(*) from pg_locks
                        where locktype = 'advisory' and pid = pg_backend_pid();
                    return null;
                end $$;
                create trigger note after insert on sms_messages for each statement
                    execute function note()";
    outsider.batch_execute(note).await.unwrap();
    // Its connection has prepared nothing yet.
    let other = PgStore::new(&schema.settings(), Handle::current()).unwrap();
    for number in 2..=4 {
        let mut text = inbound(number, "+18605550199");
        text.lookup_ages = None;
        let Recorded::New { has_jobs: false, .. } = other.record_inbound(&text).await.unwrap()
        else {
            panic!("it is new, and nothing follows from it");
        };
    }
    let held = outsider.query("select locks from held", &[]).await.unwrap();
    let held: Vec<i64> = held.iter().map(|row| row.get(0)).collect();
    assert_eq!(held, [1, 1, 1]);
    let open = "state = 'idle in transaction'";
    assert_eq!(sessions(&outsider, &schema, open).await, 0, "every transaction has ended");
}

/// Holds a conversation as a transaction that never ends would.
async fn hold(outsider: &Client, text: &NewInbound) {
    outsider.batch_execute("begin").await.unwrap();
    let hold = "select 1 from sms_conversations where phone_number_canonical = $1 for update";
    let rows = outsider.execute(hold, &[&text.message.from.canonical()]).await.unwrap();
    assert_eq!(rows, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_conversation_holds_no_stranger_up() {
    let hasty = GroupSettings { lock_wait: Duration::from_millis(100), ..ONE_AT_A_TIME };
    let (store, schema) = store_with(hasty).await;
    // No other test has these SIDs.
    let text = |number: u32| inbound(700_000 + number, &format!("+186055501{number:02}"));
    let (outsider, known) = (schema.outsider().await, text(1));
    store.record_inbound(&known).await.unwrap();
    hold(&outsider, &known).await;

    // Many for the one that is locked, over and over, and strangers between them.
    let to_locked: Vec<_> =
        (101..=140).map(|number| inbound(700_000 + number, "+18605550101")).collect();
    let strangers = async {
        let start = Instant::now();
        for number in 2..=40 {
            store.record_inbound(&text(number)).await.unwrap();
        }
        let took = start.elapsed();
        outsider.batch_execute("rollback").await.unwrap();
        took
    };
    let (waited, took) = join(record_together(&store, &to_locked), strangers).await;
    // With 20 s for each call, one wait for the lock would take them all.
    assert!(took < Duration::from_secs(10), "{took:?}");
    for recorded in waited {
        assert!(matches!(recorded, Ok(Recorded::New { .. })), "{recorded:?}");
    }
    let all = store.everything().await;
    assert_eq!((all.conversations.len(), all.messages.len()), (40, 80));
    let counts = store.message_groups();
    assert!(counts.parted <= 2, "what is apart is not tried again with strangers: {counts:?}");
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let (store, schema) = store_with(GroupSettings { queue: 3, ..ONE_AT_A_TIME }).await;
    let (outsider, known) = (schema.outsider().await, texts([1]));
    store.record_inbound(&known[0]).await.unwrap();
    hold(&outsider, &known[0]).await;
    let texts: Vec<_> = (2..=8).map(|number| inbound(number, "+18605550101")).collect();
    let mut calls: Vec<_> = texts.iter().map(|text| Box::pin(store.record_inbound(text))).collect();
    let answers: Vec<_> = calls.iter_mut().map(FutureExt::now_or_never).collect();
    assert!(answers[..3].iter().all(Option::is_none), "{answers:?}");
    for refused in &answers[3..] {
        let Some(Err(error @ StoreError::Unavailable(_))) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(reason(error), "too many calls are waiting");
    }
    outsider.batch_execute("rollback").await.unwrap();
    let waited = calls.into_iter().zip(answers).filter(|(_, answer)| answer.is_none());
    for recorded in join_all(waited.map(|(call, _)| call)).await {
        assert!(matches!(recorded, Ok(Recorded::New { .. })), "{recorded:?}");
    }
    store.record_inbound(&texts[6]).await.unwrap();
}

#[tokio::test]
async fn a_call_whose_caller_has_gone_is_not_run() {
    let (store, schema) = one_at_a_time().await;
    let (outsider, known) = (schema.outsider().await, texts([1, 2]));
    store.record_inbound(&known[0]).await.unwrap();
    hold(&outsider, &known[0]).await;
    let gone = inbound(3, "+18605550101");
    assert!(store.record_inbound(&gone).now_or_never().is_none());
    outsider.batch_execute("rollback").await.unwrap();
    store.record_inbound(&known[1]).await.unwrap();
    let ids: Vec<_> =
        store.everything().await.messages.iter().map(|kept| kept.message.id).collect();
    assert_eq!(ids, [known[0].id, known[1].id]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn groups_of_two_processes_never_wait_for_each_other_in_a_circle() {
    // Patient enough for the server to see a circle, if there is one, and end it with an error.
    let (one, schema) = one_at_a_time().await;
    let mut settings = schema.settings();
    settings.groups = ONE_AT_A_TIME;
    let other = PgStore::new(&settings, Handle::current()).unwrap();
    // The same conversations, all of them new, and the same SIDs, in opposite orders.
    for round in 0..5 {
        let numbers = || (1..=40).map(move |number| round * 100 + number);
        let text = |number: u32| inbound(number, &format!("+18605{number:06}"));
        let forth: Vec<_> = numbers().map(text).collect();
        let back: Vec<_> = numbers()
            .rev()
            .map(|number| {
                let mut text = text(number);
                let ids = inbound(1000 + number, "");
                (text.id, text.conversation) = (ids.id, ids.conversation);
                (text.lookup_job, text.language_job) = (ids.lookup_job, ids.language_job);
                if number % 2 == 0 {
                    text.message.twilio_sid = sid(1000 + number);
                }
                text
            })
            .collect();
        let (forth, back) =
            tokio::join!(record_together(&one, &forth), record_together(&other, &back));
        let all = forth.into_iter().chain(back).map(Result::unwrap);
        let new = all.filter(|recorded| matches!(recorded, Recorded::New { .. })).count();
        assert_eq!(new, 60);
    }
    let parted = one.message_groups().parted + other.message_groups().parted;
    assert_eq!(parted, 0, "no circle was broken");
    let all = one.everything().await;
    assert_eq!((all.conversations.len(), all.messages.len(), all.jobs.len()), (200, 300, 200));
}
