//! `kill -9` in the middle of the load: nothing that was acknowledged is missing.

use std::time::Duration;

use adapter_sqlite::SqliteStore;
use pg_cluster::{Cluster, Durability};
use tokio::task::JoinHandle;

use crate::database::Database;
use crate::proof::scale;
use crate::proof::traffic::Traffic;
use crate::service::Service;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_the_service_is_killed_on_sqlite() {
    let database = Database::sqlite();
    let Database::Sqlite(folder) = &database else { unreachable!() };
    {
        let store = SqliteStore::open(&folder.path().join("sms.db")).unwrap();
        for pragmas in store.pragmas().await.unwrap() {
            let durable = (pragmas.journal_mode.as_str(), pragmas.synchronous);
            assert_eq!(durable, ("wal", 2), "synchronous 2 is FULL");
        }
    }
    kill_the_service(&database).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_the_service_is_killed_on_postgres() {
    let cluster = Cluster::start(Durability::Default).unwrap();
    assert_durable(&cluster).await;
    kill_the_service(&Database::postgres_at(&cluster.url())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_postgres_is_killed() {
    let mut cluster = Cluster::start(Durability::Default).unwrap();
    assert_durable(&cluster).await;
    let database = Database::postgres_at(&cluster.url());
    let mut service = Service::start(&database.settings());
    let (traffic, crashes) = (Traffic::new(&service.url, messages()), crashes());
    let load = tokio::spawn({
        let traffic = traffic.clone();
        async move { traffic.run(64).await }
    });
    for crash in 1..=crashes {
        reached(&load, &traffic, crash * messages() / (crashes + 1)).await;
        cluster.kill().unwrap();
        cluster.start_again().unwrap();
    }
    load.await.unwrap();
    assert_eq!(service.stop(), Some(0), "the service lived through it");
    println!("acknowledged {}, refused {}", traffic.acknowledged(), traffic.refused());
    traffic.check(&database.everything().await);
}

async fn kill_the_service(database: &Database) {
    let mut service = Service::start(&database.settings());
    let (traffic, crashes) = (Traffic::new(&service.url, messages()), crashes());
    let load = tokio::spawn({
        let traffic = traffic.clone();
        async move { traffic.run(64).await }
    });
    for crash in 1..=crashes {
        reached(&load, &traffic, crash * messages() / (crashes + 1)).await;
        service.kill();
        service = Service::start(&database.settings());
        traffic.service.write().unwrap().clone_from(&service.url);
    }
    load.await.unwrap();
    service.kill();
    println!("acknowledged {}, refused {}", traffic.acknowledged(), traffic.refused());
    traffic.check(&database.everything().await);
}

fn messages() -> usize {
    scale("LOAD_MESSAGES", 1500)
}

fn crashes() -> usize {
    scale("CRASHES", 1)
}

/// Waits until so many texts have been begun.
async fn reached(load: &JoinHandle<()>, traffic: &Traffic, texts: usize) {
    while traffic.begun() < texts {
        assert!(!load.is_finished(), "the load ended before its time");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The server keeps what it has said yes to, also through a power cut.
async fn assert_durable(cluster: &Cluster) {
    let (client, connection) =
        tokio_postgres::connect(&cluster.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
        let row = client.query_one(&format!("show {setting}"), &[]).await.unwrap();
        assert_eq!(row.get::<_, &str>(0), "on", "{setting}");
    }
}
