//! A server that goes away and comes back. Each of these tests has a server of its own.

use std::time::{Duration, Instant};

use adapter_postgres::{MigrateError, PgSettings, PgStore, migrate};
use domain::ports::{JobQuery, MessageKey, MessageStore, Recorded, StoreError};
use domain::testing::fixture::{inbound, sid};
use futures_util::future::join_all;
use pg_cluster::{Cluster, Durability};

use crate::database::{all_migrations, connect, store};

const TENANT: &str = "+18605550199";

async fn store_of(cluster: &Cluster) -> PgStore {
    let mut settings = PgSettings::new(cluster.url());
    settings.pool_size = 4;
    store(&settings).await
}

/// Uses all connections, so that the pool is full of them.
async fn fill_pool(store: &PgStore) {
    for recorded in join_all(
        (1..=8).map(|number| async move { store.record_inbound(&inbound(number, TENANT)).await }),
    )
    .await
    {
        recorded.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_the_server_costs_no_call() {
    let mut cluster = Cluster::start(Durability::Fast).unwrap();
    let store = store_of(&cluster).await;
    for round in 1..=3 {
        fill_pool(&store).await;
        cluster.stop().unwrap();
        cluster.start_again().unwrap();
        let first = store.record_inbound(&inbound(100 + round, TENANT)).await;
        assert!(matches!(first, Ok(Recorded::New { .. })), "{first:?}");
        fill_pool(&store).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_down_is_unavailable_at_once_and_then_back() {
    let mut cluster = Cluster::start(Durability::Fast).unwrap();
    let store = store_of(&cluster).await;
    fill_pool(&store).await;
    cluster.stop().unwrap();
    let start = Instant::now();
    let refused = store.record_inbound(&inbound(100, TENANT)).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    cluster.start_again().unwrap();
    store.record_inbound(&inbound(100, TENANT)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_crash_of_the_server() {
    let mut cluster = Cluster::start(Durability::Default).unwrap();
    let store = store_of(&cluster).await;
    fill_pool(&store).await;
    cluster.kill().unwrap();
    cluster.start_again().unwrap();
    for number in 1..=8 {
        let kept = store.find_message(&MessageKey::Sid(sid(number))).await.unwrap();
        assert!(kept.is_some(), "{number}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_is_unavailable_in_time_and_then_back() {
    let cluster = Cluster::start(Durability::Fast).unwrap();
    let store = store_of(&cluster).await;
    fill_pool(&store).await;
    cluster.freeze().unwrap();
    for _ in 0..2 {
        let start = Instant::now();
        let texts: Vec<_> = (101..=108).map(|number| inbound(number, TENANT)).collect();
        for refused in join_all(texts.iter().map(|text| store.record_inbound(text))).await {
            assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        }
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    }
    cluster.thaw().unwrap();
    fill_pool(&store).await;
    // What it did of a call that nobody waited for is not known; the call is safe to make again.
    let recorded = store.record_inbound(&inbound(101, TENANT)).await.unwrap();
    assert_eq!(recorded.message(), inbound(101, TENANT).id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_loses_its_server_may_be_tried_again() {
    let mut cluster = Cluster::start(Durability::Fast).unwrap();
    let settings = PgSettings::new(cluster.url());
    let outsider = connect(&cluster.url(), "public").await;
    // The lock that another process would hold while it migrates.
    let turn = "begin; select pg_advisory_xact_lock(5459283, hashtext('public'))";
    outsider.batch_execute(turn).await.unwrap();
    let migrating = tokio::spawn(async move { migrate(&settings).await });
    let waiting = "select count(*) from pg_stat_activity where wait_event = 'advisory'";
    while outsider.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        // pg_stat_activity stays as a transaction first saw it.
        outsider.batch_execute("select pg_stat_clear_snapshot()").await.unwrap();
    }
    cluster.stop().unwrap();
    let failure = migrating.await.unwrap().unwrap_err();
    assert!(matches!(failure, MigrateError::Unreachable(_)), "{failure:?}");
    cluster.start_again().unwrap();
    assert_eq!(migrate(&PgSettings::new(cluster.url())).await.unwrap().len(), all_migrations());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_statement_is_compiled_by_the_server_however_dear_it_seems() {
    let cluster =
        Cluster::builder(Durability::Fast).setting("jit_above_cost", "0").start().unwrap();
    let store = store_of(&cluster).await;
    let plan = store.explain_jobs(&JobQuery { state: None, limit: 10, offset: 0 }).await;
    assert!(plan.pointer("/0/Plan").is_some() && plan.pointer("/0/JIT").is_none(), "{plan}");
}
