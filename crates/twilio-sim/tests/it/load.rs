//! Loads, and what is read back of them.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use adapter_twilio::form::Form;
use tokio_util::sync::CancellationToken;
use twilio_sim::{Load, LoadReport, Texts, VerifyError, verify};

use crate::caller::{ACCOUNT, OURS, TOKEN};
use crate::service::Service;
use crate::stub::{Asked, Stub, json};

fn load(base_url: &str) -> Load {
    Load {
        base_url: base_url.to_owned(),
        auth_token: TOKEN.into(),
        account_sid: ACCOUNT.to_owned(),
        to: OURS.to_owned(),
        rate: Some(100),
        connections: 4,
        duration: Duration::from_secs(1),
    }
}

async fn run(load: Load) -> LoadReport {
    load.run(CancellationToken::new()).await.unwrap()
}

#[tokio::test]
async fn every_planned_text_is_posted_once_and_is_another() {
    let service = Service::start().await;
    let began = Instant::now();
    let report = run(load(&service.base_url)).await;
    assert!(began.elapsed() >= Duration::from_millis(900), "it keeps to its rate");
    assert_eq!((report.planned, report.posted), (Some(100), 100));
    assert!(report.is_clean());
    let heard = service.heard();
    let distinct =
        |name| heard.iter().map(|heard| heard.field(name)).collect::<BTreeSet<_>>().len();
    for name in ["MessageSid", "Body"] {
        assert_eq!(distinct(name), 100, "{name}");
    }
    assert!(heard.iter().all(|heard| heard.signature.len() == 28));
    let longest = report.latencies.permille(1_000).unwrap();
    assert!(report.latencies.permille(500).unwrap() <= longest);
}

#[tokio::test]
async fn a_service_that_refuses_is_no_success() {
    let service = Service::start().await;
    service.answer(503);
    let report = run(load(&service.base_url)).await;
    assert_eq!(report.failures.get("503"), Some(&100));
    assert!(!report.is_clean() && report.acknowledged.is_empty());
    assert_eq!(report.latencies.permille(500), None);
}

#[tokio::test]
async fn a_service_that_is_too_slow_is_not_waited_for() {
    let slow = Stub::start(|_| {
        std::thread::sleep(Duration::from_millis(100));
        json("200 OK", "{}")
    })
    .await;
    let report = run(Load { connections: 1, ..load(&slow.base_url) }).await;
    assert!(report.posted < 40, "{}", report.posted);
    assert_eq!(report.left_out(), 100 - report.posted);
    assert!(!report.is_clean());
    // Each waited longer than the one before, although each was answered as fast.
    assert!(report.latencies.permille(1_000).unwrap() > Duration::from_millis(500));
}

#[tokio::test]
async fn a_load_that_is_told_to_stop_begins_no_more() {
    let service = Service::start().await;
    let stop = CancellationToken::new();
    stop.cancel();
    let report = load(&service.base_url).run(stop).await.unwrap();
    assert!(report.posted <= 4, "{}", report.posted);
}

/// An API that has the first `count` texts of a load, each page three of them, as `change` leaves
/// them.
async fn api(report: &LoadReport, change: fn(&mut Vec<(String, String)>)) -> Stub {
    let acknowledged = report.acknowledged.iter();
    let mut kept: Vec<_> =
        acknowledged.map(|number| (report.texts.sid(*number), Texts::body(*number))).collect();
    kept.push(("SM0000000000000000000000000000abcd".to_owned(), "Somebody else's".to_owned()));
    change(&mut kept);
    let refused = AtomicU64::new(0);
    Stub::start(move |asked: &Asked| {
        if refused.fetch_add(1, Ordering::SeqCst) == 1 {
            return "429 x\r\nretry-after: 0\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                .into();
        }
        let target = asked.line.split(' ').nth(1).unwrap();
        let form = Form::parse(target.split_once('?').unwrap().1.as_bytes());
        let from = form.text("cursor").map_or(0, |cursor| cursor.parse().unwrap());
        let page: Vec<_> = kept.iter().skip(from).take(30).collect();
        let messages = page
            .iter()
            .map(|(sid, body)| serde_json::json!({ "twilio_sid": sid, "message_content": body }));
        let next = (from + 30 < kept.len()).then(|| (from + 30).to_string());
        let page =
            serde_json::json!({ "messages": messages.collect::<Vec<_>>(), "next_cursor": next });
        json("200 OK", &page.to_string())
    })
    .await
}

#[tokio::test]
async fn what_is_there_is_told_from_what_is_lost_doubled_or_changed() {
    let service = Service::start().await;
    let report = run(load(&service.base_url)).await;
    let read = async |change| {
        let api = api(&report, change).await;
        let found = verify(&api.base_url, Some(&"smsf_key".into()), &report).await.unwrap();
        assert!(api.asked().iter().all(|asked| {
            asked.header("authorization") == Some("Bearer smsf_key")
                && asked.line.contains("direction=inbound&since=20")
        }));
        found
    };
    let all = read(|_| {}).await;
    assert!(all.is_clean());
    assert_eq!((all.kept, all.unacknowledged), (100, 0));
    let lost = read(|kept| _ = kept.remove(7)).await;
    assert_eq!((lost.kept, lost.lost.len()), (99, 1));
    let doubled = read(|kept| kept.push(kept[7].clone())).await;
    assert_eq!((doubled.kept, doubled.doubled.len()), (99, 1));
    let changed = read(|kept| kept[7].1.push('!')).await;
    assert_eq!((changed.kept, changed.changed.len()), (99, 1));
    for found in [lost, doubled, changed] {
        assert!(!found.is_clean());
    }
}

#[tokio::test]
async fn an_api_that_wants_a_key_is_named() {
    let service = Service::start().await;
    let report = run(load(&service.base_url)).await;
    let closed = Stub::start(|_| json("401 x", "{}")).await;
    let error = verify(&closed.base_url, None, &report).await.unwrap_err();
    assert!(matches!(error, VerifyError::Refused(401)) && error.to_string().contains("--api-key"));
    let broken = Stub::start(|_| json("500 x", "{}")).await;
    let error = verify(&broken.base_url, None, &report).await.unwrap_err();
    assert!(matches!(error, VerifyError::Unexpected(500)));
}
