//! The faults. Those of a test happen at once, each to services and a database of their own: most of
//! the time is waiting.

use std::sync::atomic::Ordering;
use std::time::Duration;

use adapter_monitor::testing::Reply;
use pg_cluster::{Cluster, Durability};
use tokio::task::{JoinHandle, block_in_place};
use tokio::time::sleep;
use tokio_postgres::NoTls;
use twilio_sim::{Failure, Mix};

use crate::chaos::bent::BentWorld;
use crate::chaos::is_full;
use crate::chaos::link::{Link, Way};
use crate::chaos::scene::Scene;
use crate::chaos::table::Line;
use crate::database::{Database, shared_server};
use crate::proof::scale;
use crate::service::Service;

/// How long what can last lasts.
const LASTS: Duration = Duration::from_secs(3);
/// Longer than the leases of the scenes.
const PAST_LEASES: Duration = Duration::from_millis(9500);
/// Far longer than any lease, in seconds.
const HOUR: i64 = 3600;

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn a_process_that_is_killed_or_stopped_loses_and_doubles_nothing() {
    all([
        tried_in_full("service killed, SQLite", killed_on_sqlite),
        tried("service killed, PostgreSQL", killed_on_postgres),
        tried_in_full("one of three processes killed", one_of_three_killed),
        tried("one of three processes stopped past its leases", one_of_three_stopped),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn a_database_that_goes_away_or_drags_loses_and_doubles_nothing() {
    all([
        tried("PostgreSQL killed", postgres_killed),
        tried_in_full("PostgreSQL frozen", postgres_frozen),
        tried("network to PostgreSQL cut", |fault| network(fault, Way::Cut)),
        tried_in_full("network to PostgreSQL stalled", |fault| network(fault, Way::Stalled)),
        tried_in_full("network to PostgreSQL slowed", slowed),
        tried("pool exhausted", pool_exhausted),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn others_that_hang_lose_and_double_nothing() {
    all([
        tried("Twilio hangs", twilio_hangs),
        tried("Monitor hangs", monitor_hangs),
        tried("subscriber hangs", subscriber_hangs),
    ])
    .await;
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn a_clock_that_steps_and_a_full_disk_lose_and_double_nothing() {
    all([
        tried("disk full, SQLite", disk_full),
        tried("clock of one of two an hour ahead, then right", |fault| clock_steps(fault, HOUR)),
        tried_in_full("clock of one of two an hour behind, then right", |fault| {
            clock_steps(fault, -HOUR)
        }),
    ])
    .await;
}

/// Tries a fault, as often as `make chaos` says, and puts what was found into the table.
fn tried<F>(fault: &'static str, once: fn(&'static str) -> F) -> JoinHandle<()>
where
    F: Future<Output = Line> + Send + 'static,
{
    tokio::spawn(async move {
        let mut line = Line::default();
        if only().is_some_and(|only| !fault.contains(&only)) {
            return;
        }
        for _ in 0..scale("CHAOS_TIMES", 1) {
            line.add(&once(fault).await);
        }
        line.write(fault);
    })
}

/// The same, for a fault that the ordinary tests leave to `make chaos`.
fn tried_in_full<F>(fault: &'static str, once: fn(&'static str) -> F) -> JoinHandle<()>
where
    F: Future<Output = Line> + Send + 'static,
{
    if is_full() { tried(fault, once) } else { tokio::spawn(async {}) }
}

/// Only faults with this in their name: `CHAOS_ONLY`.
#[expect(clippy::disallowed_methods, reason = "who looks for the cause of one says which")]
fn only() -> Option<String> {
    std::env::var("CHAOS_ONLY").ok()
}

async fn all<const N: usize>(tries: [JoinHandle<()>; N]) {
    for tried in tries {
        tried.await.unwrap();
    }
}

async fn killed_on_sqlite(fault: &'static str) -> Line {
    killed(Scene::set(fault, Database::sqlite(), 1).await).await
}

async fn killed_on_postgres(fault: &'static str) -> Line {
    killed(Scene::set(fault, Database::postgres(), 1).await).await
}

async fn killed(mut scene: Scene) -> Line {
    scene.begin().await;
    scene.kill(0);
    scene.start_again(0);
    scene.end().await
}

/// The others do what it had begun, once its leases are over.
async fn one_of_three_killed(fault: &'static str) -> Line {
    let mut scene = Scene::set(fault, Database::postgres(), 3).await;
    scene.begin().await;
    scene.kill(2);
    scene.lead_to(0..2);
    let line = scene.load.clone();
    assert!(line.recovered(fault).await < Duration::from_secs(5));
    scene.services.truncate(2);
    scene.end().await
}

/// It wakes up in the middle of work that others have done meanwhile.
async fn one_of_three_stopped(fault: &'static str) -> Line {
    let mut scene = Scene::set(fault, Database::postgres(), 3).await;
    // So slow that there are texts on their way at any time.
    scene.stage.twilio.set_failure(Failure::AnswerSlowly(Duration::from_millis(300)));
    scene.begin().await;
    scene.services[0].signal("STOP");
    scene.lead_to(1..3);
    sleep(PAST_LEASES).await;
    scene.services[0].signal("CONT");
    scene.lead_to(0..3);
    scene.end().await
}

async fn postgres_killed(fault: &'static str) -> Line {
    let mut cluster = block_in_place(|| Cluster::start(Durability::Default)).unwrap();
    let mut scene = Scene::set(fault, Database::postgres_at(&cluster.url()), 1).await;
    scene.begin().await;
    block_in_place(|| cluster.kill()).unwrap();
    scene.bites_for(Duration::from_secs(1)).await;
    block_in_place(|| cluster.start_again()).unwrap();
    scene.end().await
}

async fn postgres_frozen(fault: &'static str) -> Line {
    let cluster = block_in_place(|| Cluster::start(Durability::Default)).unwrap();
    let mut scene = Scene::set(fault, Database::postgres_at(&cluster.url()), 1).await;
    scene.begin().await;
    cluster.freeze().unwrap();
    scene.bites_for(LASTS).await;
    cluster.thaw().unwrap();
    scene.end().await
}

async fn network(fault: &'static str, way: Way) -> Line {
    let link = Link::to(&shared_server()).await;
    let mut scene = Scene::set(fault, Database::postgres_at(&link.url), 1).await;
    scene.begin().await;
    link.set(way);
    scene.bites_for(LASTS).await;
    link.set(Way::Open);
    scene.end().await
}

async fn slowed(fault: &'static str) -> Line {
    let link = Link::to(&shared_server()).await;
    let mut scene = Scene::set(fault, Database::postgres_at(&link.url), 1).await;
    scene.begin().await;
    link.set(Way::Slow(Duration::from_millis(400)));
    scene.bites_for(LASTS).await;
    link.set(Way::Open);
    scene.end().await
}

/// Every connection waits for a lock that somebody else holds.
async fn pool_exhausted(fault: &'static str) -> Line {
    let url = shared_server();
    let database = Database::postgres_at(&url);
    let Database::Postgres { schema, .. } = &database else { unreachable!() };
    let lock = format!("begin; lock table {schema}.sms_conversations");
    let mut scene = Scene::set(fault, database, 1).await;
    let (outsider, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    scene.begin().await;
    outsider.batch_execute(&lock).await.unwrap();
    scene.bites_for(LASTS).await;
    outsider.batch_execute("rollback").await.unwrap();
    scene.end().await
}

/// Half of what it does not answer it has sent.
async fn twilio_hangs(fault: &'static str) -> Line {
    let mut scene = Scene::set(fault, Database::postgres(), 1).await;
    scene.begin().await;
    let hangs = [true, false].map(|created| (Failure::Hang { created }, 1));
    let before = scene.stage.twilio.creates().count();
    scene.stage.twilio.set_failure(Mix::weighted(hangs));
    sleep(LASTS).await;
    assert!(scene.stage.twilio.creates().count() > before, "{fault}: it was not asked");
    scene.stage.twilio.set_failure(Failure::Answer);
    scene.end().await
}

async fn monitor_hangs(fault: &'static str) -> Line {
    let mut scene = Scene::set(fault, Database::postgres(), 1).await;
    scene.begin().await;
    scene.monitor.set_outage(Some(Reply::hang()));
    let before = scene.monitor.asked().len();
    sleep(LASTS).await;
    assert!(scene.monitor.asked().len() > before, "{fault}: it was not asked");
    scene.monitor.set_outage(None);
    scene.end().await
}

async fn subscriber_hangs(fault: &'static str) -> Line {
    let mut scene = Scene::set(fault, Database::postgres(), 1).await;
    scene.begin().await;
    scene.hangs.store(true, Ordering::Relaxed);
    sleep(LASTS).await;
    scene.hangs.store(false, Ordering::Relaxed);
    scene.end().await
}

async fn disk_full(fault: &'static str) -> Line {
    let world = BentWorld::new();
    let around = |settings| world.around(settings);
    let mut scene = Scene::set_with(fault, Database::sqlite(), 1, around).await;
    scene.begin().await;
    world.disk_full(true);
    scene.bites_for(LASTS).await;
    world.disk_full(false);
    scene.end().await
}

/// It is wrong when the process starts, right for a while, wrong again, and right.
async fn clock_steps(fault: &'static str, ahead: i64) -> Line {
    let world = BentWorld::new();
    world.clock_ahead(ahead);
    let mut scene = Scene::set(fault, Database::postgres(), 1).await;
    let other = world.around(scene.settings.clone());
    scene.services.push(block_in_place(|| Service::start(&other)));
    scene.lead_to(0..2);
    scene.begin().await;
    for now in [0, ahead] {
        sleep(LASTS / 2).await;
        world.clock_ahead(now);
    }
    sleep(LASTS / 2).await;
    world.clock_ahead(0);
    scene.end().await
}
