//! Sixty-four connections, a tenth of the texts told twice: each is kept exactly once.

use crate::database::Database;
use crate::proof::scale;
use crate::proof::traffic::Traffic;
use crate::service::Service;

#[tokio::test(flavor = "multi_thread")]
async fn every_text_is_kept_exactly_once_under_load_on_sqlite() {
    check(&Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_text_is_kept_exactly_once_under_load_on_postgres() {
    check(&Database::postgres()).await;
}

async fn check(database: &Database) {
    let messages = scale("LOAD_MESSAGES", 1500);
    let mut service = Service::start(&database.settings());
    let traffic = Traffic::new(&service.url, messages);
    traffic.run(64).await;
    // On a busy machine a text may be refused (503) and is then told once more.
    println!("refused {}: {:?}", traffic.refused(), service.log().last());
    assert_eq!(traffic.acknowledged(), messages);
    assert_eq!(service.stop(), Some(0));
    let kept = database.everything().await;
    assert_eq!(kept.messages.len(), messages);
    traffic.check(&kept);
}
