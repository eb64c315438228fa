//! `twilio-sim load`, with the real service behind it.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use twilio_sim::{Load, verify};

use crate::access::new_key;
use crate::database::Database;
use crate::sending::{ACCOUNT, NUMBER, Stage};
use crate::service::{Service, TOKEN};

#[tokio::test(flavor = "multi_thread")]
async fn each_acknowledged_text_of_a_load_is_there_through_the_api() {
    let database = Database::sqlite();
    let stage = Stage::set(&database).await;
    let (key, entry) = new_key("load", "read");
    let service = Service::start(&stage.settings.clone().with_keys(&entry));
    stage.relay.lead_to([service.url.as_str()]);
    let load = Load {
        base_url: stage.relay.url.clone(),
        auth_token: TOKEN.into(),
        account_sid: ACCOUNT.to_owned(),
        to: NUMBER.to_owned(),
        rate: Some(100),
        connections: 8,
        duration: Duration::from_secs(2),
    };
    let report = load.run(CancellationToken::new()).await.unwrap();
    println!("{:.0} a second, median {:?}", report.throughput(), report.latencies.permille(500));
    let found = verify(&service.url, Some(&key.into()), &report).await.unwrap();
    assert!(!report.acknowledged.is_empty() && found.is_clean(), "{found:?}");
    assert_eq!(found.kept, u64::try_from(report.acknowledged.len()).unwrap());
}
