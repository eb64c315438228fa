//! What a send costs: one request to Twilio, three transactions, and a hundred a second through one
//! process.

use std::collections::BTreeSet;
use std::fs;
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
    let cluster = Cluster::builder(Durability::Default)
        .setting("log_statement", "all")
        .setting("log_line_prefix", LINE_PREFIX)
        .start()
        .unwrap();
    let database = Database::postgres_at(&cluster.url());
    let mut stage = Stage::set(&database).await;
    stage.twilio.set_callbacks(twilio_sim::Callbacks::Lost);
    stage.settings = stage.settings.clone().with("JOB_POLL_INTERVAL", "1h");
    let service = stage.start();
    let (http, url) = (client(), format!("{}/sms/send", service.url));
    let (begun, before) = (Instant::now(), transactions(&cluster));
    let sends = 200;
    for number in 0..sends {
        let to = format!("+1860557{number:04}");
        let request = json!({ "to": to, "body": "Hello" });
        assert_eq!(http.post(&url).json(&request).send().await.unwrap().status(), 202);
    }
    let (cost, time) = (transactions(&cluster) - before, begun.elapsed());
    println!("{sends} sends: {cost} transactions in {time:?}");
    // Lists that are read and connections that are made cost some, however little is sent.
    let aside = 20 + 3 * usize::try_from(time.as_secs()).unwrap();
    assert!(cost <= 3 * sends + aside, "{cost} transactions for {sends} sends");
    assert_eq!(stage.twilio.creates().count(), sends);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_sends_a_second_go_through_one_process() {
    let database = Database::postgres();
    let stage = Stage::set(&database).await;
    let service = stage.start();
    stage.twilio.set_failure(Failure::AnswerSlowly(Duration::from_millis(150)));
    let (http, url) = (client(), format!("{}/sms/send", service.url));
    let (rate, seconds) = (scale("SEND_RATE", 25), scale("SEND_SECONDS", 3));
    let (begun, used) = (Instant::now(), service.processor_time());
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
    let used = service.processor_time().saturating_sub(used);
    println!("{used:?} of processor time for them and what was reported of them meanwhile");
}

/// The server says with each statement in which transaction it is.
const LINE_PREFIX: &str = "in %v ";

/// How many transactions the server's log tells of. (Its counters come up to ten seconds late.)
fn transactions(cluster: &Cluster) -> usize {
    let log = fs::read_to_string(cluster.log()).unwrap();
    let lines = log.lines().filter_map(|line| line.strip_prefix("in "));
    lines.filter_map(|line| line.split(' ').next()).collect::<BTreeSet<_>>().len()
}
