//! The queue under many workers and many rows.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::Duration;

use adapter_postgres::PgStore;
use domain::job::{ClaimedJob, Job, JobEnding};
use domain::message::MessageId;
use domain::ports::{Acceptance, JobClaim, JobQueue, OutboundStore};
use domain::testing::Inspect;
use domain::testing::fixture::{at, new_outbound};
use futures_util::future::join_all;
use tokio::runtime::Handle;
use uuid::Uuid;

use crate::database::{Schema, fresh_store, scans, until_sessions};

fn sends(seconds: u32, limit: u32) -> JobClaim {
    let now = at(seconds);
    let lease_until = now.after(Duration::from_mins(1));
    JobClaim { kinds: vec!["send"], at: now, lease_until, limit }
}

fn lane_of(job: &ClaimedJob) -> Uuid {
    job.job.lane().unwrap()
}

fn message_of(job: &ClaimedJob) -> MessageId {
    let Job::Send { message, .. } = job.job else { panic!("{job:?}") };
    message
}

/// Accepts `each` messages to each of `lanes` numbers; those of one number in the order of their
/// ids. The leases that come with the first of each are over at once.
async fn fill(store: &PgStore, lanes: u32, each: u32) -> usize {
    for round in 0..each {
        let news: Vec<_> = (0..lanes)
            .map(|lane| {
                let number = round * lanes + lane;
                let mut new = new_outbound(number, &format!("+1860555{lane:04}"));
                new.lease_until = new.accepted_at;
                new
            })
            .collect();
        for answer in join_all(news.iter().map(|new| store.accept_outbound(new))).await {
            assert!(matches!(answer.unwrap(), Acceptance::New { .. }));
        }
    }
    usize::try_from(lanes * each).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_workers_at_once_keep_the_order_of_every_lane() {
    let (first, schema) = fresh_store().await;
    let all = fill(&first, 50, 10).await;
    let second = PgStore::new(&schema.settings(), Handle::current()).unwrap();
    let stores = [first, second];
    let claim = sends(10_000, 7);
    let mut order: HashMap<Uuid, Vec<MessageId>> = HashMap::new();
    let mut count = 0;
    while count < all {
        // All claims of a round come before any end of it: what they share would be seen.
        let claims = (0..8).map(|nth| stores[nth % 2].claim_jobs(&claim));
        let claimed: Vec<_> =
            join_all(claims).await.into_iter().flat_map(|claimed| claimed.unwrap()).collect();
        assert!(!claimed.is_empty(), "{count} of {all}");
        let lanes: HashSet<_> = claimed.iter().map(lane_of).collect();
        assert_eq!(lanes.len(), claimed.len(), "two unfinished jobs of one lane");
        count += claimed.len();
        for job in &claimed {
            order.entry(lane_of(job)).or_default().push(message_of(job));
        }
        let ends = claimed
            .iter()
            .enumerate()
            .map(|(nth, job)| stores[nth % 2].finish_job(job.ticket, &JobEnding::Done, claim.at));
        assert!(join_all(ends).await.into_iter().all(|ended| ended.unwrap()));
    }
    assert_eq!(order.len(), 50);
    for lane in order.values() {
        assert_eq!(lane.len(), 10);
        assert!(lane.is_sorted(), "{lane:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_that_never_wait_for_each_other_keep_the_order_too() {
    let (store, _schema) = fresh_store().await;
    let all = fill(&store, 10, 10).await;
    let claim = sends(10_000, 3);
    let busy: Mutex<HashSet<Uuid>> = Mutex::default();
    let order: Mutex<HashMap<Uuid, Vec<MessageId>>> = Mutex::default();
    let work = async |job: &ClaimedJob| {
        assert!(busy.lock().unwrap().insert(lane_of(job)), "two unfinished jobs of one lane");
        order.lock().unwrap().entry(lane_of(job)).or_default().push(message_of(job));
        tokio::task::yield_now().await;
        busy.lock().unwrap().remove(&lane_of(job));
        assert!(store.finish_job(job.ticket, &JobEnding::Done, claim.at).await.unwrap());
    };
    let worker = async || {
        while order.lock().unwrap().values().map(Vec::len).sum::<usize>() < all {
            for job in store.claim_jobs(&claim).await.unwrap() {
                work(&job).await;
            }
        }
    };
    join_all((0..8).map(|_| worker())).await;
    for lane in order.into_inner().unwrap().values() {
        assert_eq!(lane.len(), 10);
        assert!(lane.is_sorted(), "{lane:?}");
    }
}

#[tokio::test]
async fn a_job_that_this_version_cannot_read_is_left_alone() {
    let (store, schema) = fresh_store().await;
    let outsider = schema.outsider().await;
    let strange = "insert into jobs
            (id, kind, unique_key, payload, state, run_at, created_at, updated_at)
        select gen_random_uuid(), (array['send', 'brew_coffee'])[n % 2 + 1], 'strange:' || n,
            '{\"message_id\": 7}', 'queued', 'epoch', 'epoch', 'epoch'
        from generate_series(1, 20) n";
    outsider.batch_execute(strange).await.unwrap();
    let before = store.everything().await;
    fill(&store, 1, 1).await;
    // They come first, and there are more of them than are claimed at once.
    let mut claim = sends(10_000, 3);
    claim.kinds.push("brew_coffee");
    let claimed = store.claim_jobs(&claim).await.unwrap();
    assert_eq!(claimed.len(), 1);
    assert_eq!(store.claim_jobs(&claim).await.unwrap(), []);
    let mut after = store.everything().await.jobs;
    after.retain(|job| job.unique_key.starts_with("strange"));
    assert_eq!(after, before.jobs);
}

#[tokio::test]
async fn a_claim_reads_no_more_of_a_full_table_than_it_takes() {
    let (store, schema) = fresh_store().await;
    let outsider = schema.outsider().await;
    fill_table(&schema).await;
    let (done, queued) = (scans(&outsider, "jobs").await, entries(&outsider, "jobs_due").await);
    for _ in 0..10 {
        assert_eq!(store.claim_jobs(&sends(10_000, 10)).await.unwrap().len(), 10);
    }
    drop(store);
    // A session that ends has told all its numbers.
    until_sessions(&outsider, &schema, "query not like '%pg_stat_activity%'", 0).await;
    outsider.batch_execute("select pg_stat_clear_snapshot()").await.unwrap();
    assert_eq!(scans(&outsider, "jobs").await, done, "the table was read from end to end");
    let read = entries(&outsider, "jobs_due").await - queued;
    assert!((100..2000).contains(&read), "{read} entries of the index were read");
}

/// 50,000 jobs that are done and 5,000 that are due, each in a lane of its own; and as many of
/// another kind, due before them, which nobody asks for.
async fn fill_table(schema: &Schema) {
    let fill = "insert into jobs
            (id, kind, unique_key, payload, state, lane, run_at, created_at, updated_at)
        select id, 'send', 'send:' || id,
            jsonb_build_object('message_id', id, 'conversation_id', id),
            case when n <= 50000 then 'done' else 'queued' end, id,
            'epoch'::timestamptz + n * interval '1 second', 'epoch', 'epoch'
        from (select n, gen_random_uuid() id from generate_series(1, 55000) n) rows;
        insert into jobs (id, kind, unique_key, payload, state, run_at, created_at, updated_at)
        select id, 'tenant_lookup', 'tenant_lookup:' || id,
            jsonb_build_object('conversation_id', id), 'queued', 'epoch', 'epoch', 'epoch'
        from (select gen_random_uuid() id from generate_series(1, 50000) n) rows;
        analyze jobs";
    schema.outsider().await.batch_execute(fill).await.unwrap();
}

async fn entries(outsider: &tokio_postgres::Client, index: &str) -> i64 {
    let count = "select idx_tup_read from pg_stat_user_indexes
        where indexrelname = $1 and schemaname = current_schema()";
    outsider.query_one(count, &[&index]).await.unwrap().get(0)
}
