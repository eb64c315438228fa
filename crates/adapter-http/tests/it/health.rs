//! How the service says it is.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::Method;
use actix_web::test::TestRequest;
use adapter_http::Health;
use domain::ports::{MessageStore, MockMessageStore, StoreError};
use domain::testing::{SteppingClock, fixture};

use crate::service::{ask, ask_of, gate, get, services};

#[actix_web::test]
async fn a_healthy_service_says_so() {
    let answer = ask(get("/health")).await;
    assert_eq!(answer.status, 200);
    insta::assert_json_snapshot!("health", answer.json());
    assert_eq!(ask(get("/health/live")).await.status, 200);
    assert_eq!(ask(get("/health/ready")).await.status, 200);
}

#[actix_web::test]
async fn a_probe_may_ask_for_the_head_only() {
    for path in ["/health", "/health/live", "/health/ready"] {
        let head = || TestRequest::default().method(Method::HEAD).uri(path);
        assert_eq!(ask(head()).await.status, 200, "{path}");
        let other = ask(TestRequest::post().uri(path)).await;
        assert_eq!(other.status, 405);
        assert_eq!(other.headers.get("allow").unwrap(), "GET, HEAD");
    }
}

#[actix_web::test]
async fn a_store_that_is_away_is_down_but_alive() {
    let mut store = MockMessageStore::new();
    store.expect_check().returning(|| Err(StoreError::Unavailable("refused".into())));
    let services = services(Arc::new(store), gate());
    let answer = ask_of(&services, get("/health")).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["ok"]), (503, &false.into()));
    assert_eq!(answer.json()["checks"]["db"], "down");
    assert_eq!(ask_of(&services, get("/health/ready")).await.status, 503);
    assert_eq!(ask_of(&services, get("/health/live")).await.status, 200);
}

#[actix_web::test]
async fn the_store_is_asked_at_most_once_a_second() {
    let mut store = MockMessageStore::new();
    store.expect_check().times(2).returning(|| Ok(()));
    let store: Arc<dyn MessageStore> = Arc::new(store);
    let clock = Arc::new(SteppingClock::standing(fixture::at(0)));
    let mut services = services(store.clone(), gate());
    services.health = Health::new("1.10".into(), store, clock.clone());
    for second in 0..2 {
        for _ in 0..3 {
            assert_eq!(ask_of(&services, get("/health")).await.status, 200, "second {second}");
        }
        clock.advance(Duration::from_secs(1));
    }
}

#[actix_web::test]
async fn a_service_that_is_not_ready_says_so_while_it_lives() {
    let mut store = MockMessageStore::new();
    store.expect_check().returning(|| Ok(()));
    let services = services(Arc::new(store), gate());
    services.health.set_ready(false);
    assert_eq!(ask_of(&services, get("/health/ready")).await.status, 503);
    assert_eq!(ask_of(&services, get("/health")).await.status, 200);
}
