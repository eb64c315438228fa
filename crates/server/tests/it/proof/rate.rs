//! What a send costs: one request to Twilio, three transactions, and a hundred a second through one
//! process.

use std::time::{Duration, Instant};

use pg_cluster::{Cluster, Durability};
use serde_json::json;
use twilio_sim::Failure;

use crate::database::Database;
use crate::proof::scale;
use crate::sending::Stage;
use crate::service::client;

#[tokio::test(flavor = "multi_thread")]
async fn a_send_costs_one_request_to_twilio_and_three_transactions() {
    // A vacuum that begins by itself is a transaction too.
    let cluster =
        Cluster::builder(Durability::Default).setting("autovacuum", "off").start().unwrap();
    let database = Database::postgres_at(&cluster.url());
    let mut stage = Stage::set(&database).await;
    stage.twilio.set_callbacks(twilio_sim::Callbacks::Lost);
    stage.settings = stage.settings.clone().with("JOB_POLL_INTERVAL", "1h");
    let service = stage.start();
    let (http, url) = (client(), format!("{}/sms/send", service.url));
    let before = transactions(&cluster).await;
    let sends = 300;
    for number in 0..sends {
        let to = format!("+1860557{number:04}");
        let request = json!({ "to": to, "body": "Hello" });
        assert_eq!(http.post(&url).json(&request).send().await.unwrap().status(), 202);
    }
    let cost = transactions(&cluster).await - before;
    println!("{sends} sends: {cost} transactions");
    // Connections that are opened, health, lists that are read: they cost some, however little is
    // sent. One transaction more for a send would be as many more as there are sends.
    assert!(cost < 3 * sends + sends / 2, "{cost} transactions for {sends} sends");
    assert_eq!(stage.twilio.creates().count(), usize::try_from(sends).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_sends_a_second_go_through_one_process() {
    let database = Database::postgres();
    let stage = Stage::set(&database).await;
    let service = stage.start();
    stage.twilio.set_failure(Failure::AnswerSlowly(Duration::from_millis(150)));
    let (http, url) = (client(), format!("{}/sms/send", service.url));
    let (rate, seconds) = (scale("SEND_RATE", 25), scale("SEND_SECONDS", 3));
    let begun = Instant::now();
    let mut sends = Vec::new();
    for number in 0..rate * seconds {
        let due = Duration::from_micros(u64::try_from(number * 1_000_000 / rate).unwrap());
        tokio::time::sleep(due.saturating_sub(begun.elapsed())).await;
        let request = json!({ "to": format!("+1860{:07}", 5_570_000 + number), "body": "Hello" });
        let post = http.post(&url).json(&request).send();
        sends.push(tokio::spawn(async move {
            let (asked, answer) = (Instant::now(), post.await.unwrap());
            (answer.status().as_u16(), asked.elapsed(), answer.text().await.unwrap())
        }));
    }
    let offered = begun.elapsed();
    let (mut waits, mut with_sid) = (Vec::new(), 0);
    for sent in sends {
        let (status, wait, body) = sent.await.unwrap();
        assert_eq!(status, 202);
        with_sid += usize::from(body.contains("\"SM"));
        waits.push(wait);
    }
    waits.sort_unstable();
    let (median, slowest) = (waits[waits.len() / 2], waits[waits.len() - 1]);
    let behind = begun.elapsed().saturating_sub(offered);
    println!(
        "{rate}/s for {seconds} s: {with_sid} of {} answered with their SID, median {median:?}, \
         slowest {slowest:?}, behind {behind:?}",
        waits.len()
    );
    if rate >= 100 {
        assert!(behind < Duration::from_secs(2), "a backlog grows: {behind:?} behind");
    }
    // On a machine that is busy with other tests some answers come before Twilio's.
    let patience = Instant::now() + Duration::from_secs(20);
    while stage.twilio.messages().len() < rate * seconds {
        assert!(Instant::now() < patience, "a backlog is left");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(stage.twilio.messages().len(), rate * seconds);
}

/// How many transactions the server has ended, once its counters are written down: each connection
/// reports once a second at most, and later where the machine is busy.
async fn transactions(cluster: &Cluster) -> i64 {
    let (client, connection) =
        tokio_postgres::connect(&cluster.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let sum = "select sum(xact_commit + xact_rollback)::bigint from pg_stat_database";
    let mut seen = i64::MIN;
    loop {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let now: i64 = client.query_one(sum, &[]).await.unwrap().get(0);
        // What is left then is what goes on however little is sent.
        if now.saturating_sub(seen) <= 8 {
            return now;
        }
        seen = now;
    }
}
