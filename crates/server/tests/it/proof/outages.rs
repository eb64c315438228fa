//! The database away, frozen or full: 503 in time, never 200, and normal by itself afterwards.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pg_cluster::{Cluster, Durability};
use tokio_postgres::NoTls;

use crate::database::Database;
use crate::proof::scale;
use crate::service::{Service, client};
use crate::twilio::{Webhook, sid};

/// No answer may take longer.
const PATIENCE: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_database_is_503_until_it_is_back() {
    let mut cluster = Cluster::start(Durability::Default).unwrap();
    let posts = Posts::to(&cluster);
    posts.all_are_taken(1).await;
    cluster.stop().unwrap();
    posts.all_are_refused_for(outage()).await;
    assert_eq!(posts.service.get("/health").await.0, 503);
    assert_eq!(posts.service.get("/health/live").await.0, 200);
    cluster.start_again().unwrap();
    posts.all_are_taken(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_database_is_503_until_it_is_back() {
    let cluster = Cluster::start(Durability::Default).unwrap();
    let posts = Posts::to(&cluster);
    posts.all_are_taken(1).await;
    cluster.freeze().unwrap();
    posts.all_are_refused_for(outage()).await;
    cluster.thaw().unwrap();
    posts.all_are_taken(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_free_connections_is_503_until_there_are_some() {
    let few = Cluster::builder(Durability::Fast).setting("max_connections", "13").start().unwrap();
    let database = Database::postgres_at(&few.url());
    assert!(database.settings().run(&["migrate"]).status.success());
    let mut taken = Vec::new();
    while let Ok((client, connection)) = tokio_postgres::connect(&few.url(), NoTls).await {
        tokio::spawn(connection);
        taken.push(client);
    }
    assert!(!taken.is_empty());
    let settings = database.settings().with("MIGRATE_ON_START", "off");
    let posts = Posts::through(Service::start_unready(&settings), database);
    posts.all_are_refused_for(Duration::from_secs(1)).await;
    drop(taken);
    posts.all_are_taken(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_starts_before_its_database_waits_for_it() {
    let mut cluster = Cluster::start(Durability::Fast).unwrap();
    let database = Database::postgres_at(&cluster.url());
    cluster.stop().unwrap();
    let posts = Posts::through(Service::start_unready(&database.settings()), database);
    assert_eq!(posts.service.get("/health/ready").await.0, 503);
    posts.all_are_refused_for(Duration::from_secs(1)).await;
    cluster.start_again().unwrap();
    posts.all_are_taken(1).await;
    assert_eq!(posts.service.get("/health/ready").await.0, 200);
}

fn outage() -> Duration {
    Duration::from_secs(u64::try_from(scale("OUTAGE_SECONDS", 3)).unwrap())
}

/// Texts for a service, each with a SID of its own.
struct Posts {
    service: Service,
    database: Database,
    client: reqwest::Client,
}

impl Posts {
    fn to(cluster: &Cluster) -> Self {
        let database = Database::postgres_at(&cluster.url());
        Self::through(Service::start(&database.settings()), database)
    }

    fn through(service: Service, database: Database) -> Self {
        Self { service, database, client: client() }
    }

    /// Ten at a time, again and again: each is answered 503, and in time.
    async fn all_are_refused_for(&self, outage: Duration) {
        let end = Instant::now() + outage;
        let mut round = 0;
        while Instant::now() < end {
            round += 1;
            for (status, took) in self.ten(1_000_000 + round * 10).await {
                assert_eq!(status, Some(503), "after {took:?} in round {round}");
                assert!(took < PATIENCE, "503 took {took:?}");
            }
        }
    }

    /// The service recovers by itself within seconds; from the first text that is taken on, each
    /// one is, and all of them are there.
    async fn all_are_taken(&self, phase: usize) {
        let first = phase * 10_000;
        let patience = Instant::now() + Duration::from_secs(15);
        let text = Webhook::text(&sid(first), "+18605550199", "are you back?");
        while text.post(&self.client, &self.service.url).await != Some(200) {
            assert!(Instant::now() < patience, "it does not recover: {:?}", self.service.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        for round in 0..20 {
            for (status, took) in self.ten(first + 1 + round * 10).await {
                assert_eq!(status, Some(200), "after {took:?}: {:?}", self.service.log().last());
            }
        }
        let kept = self.database.everything().await.messages;
        let of_phase = |number: usize| {
            kept.iter()
                .any(|kept| kept.message.twilio_sid.as_ref().unwrap().as_str() == sid(number))
        };
        assert!((first..=first + 200).all(of_phase), "an acknowledged text is missing");
    }

    /// Ten at once.
    async fn ten(&self, first: usize) -> Vec<(Option<u16>, Duration)> {
        let (client, url) = (Arc::new(self.client.clone()), self.service.url.clone());
        let posts = (first..first + 10).map(|number| {
            let (client, url) = (client.clone(), url.clone());
            tokio::spawn(async move {
                let from = format!("+1860555{:04}", number % 10_000);
                let text = Webhook::text(&sid(number), &from, "is anybody there?");
                let begun = Instant::now();
                (text.post(&client, &url).await, begun.elapsed())
            })
        });
        let mut answers = Vec::new();
        for post in posts.collect::<Vec<_>>() {
            answers.push(post.await.unwrap());
        }
        answers
    }
}
