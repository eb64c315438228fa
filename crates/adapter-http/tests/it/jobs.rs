//! What an operator sees of the work behind.

use std::sync::Arc;

use adapter_http::Services;
use domain::job::{JobEnding, JobId};
use domain::ports::{JobClaim, JobQueue, MessageStore};
use domain::testing::{InMemoryStore, fixture};

use crate::provider::{FakeProvider, accept};
use crate::service::{ask_of, get, key, post, sending, with_key};
use crate::worker::TestWorker;

/// Two lookups: one waits, one was given up.
async fn queue() -> (Arc<InMemoryStore>, JobId) {
    let store = Arc::new(InMemoryStore::default());
    store.record_inbound(&fixture::inbound(1, "+18605550199")).await.unwrap();
    store.record_inbound(&fixture::inbound(2, "+18605550111")).await.unwrap();
    let claim = JobClaim {
        kinds: vec!["tenant_lookup"],
        at: fixture::at(60),
        lease_until: fixture::at(120),
        limit: 1,
    };
    let job = store.claim_jobs(&claim).await.unwrap().remove(0);
    let park = JobEnding::Park { error: "http_500".into() };
    assert!(store.finish_job(job.ticket, &park, fixture::at(61)).await.unwrap());
    (store, job.ticket.id)
}

fn services(store: &Arc<InMemoryStore>) -> Services {
    sending(store, Arc::new(FakeProvider::answering(accept)))
}

#[actix_web::test]
async fn jobs_are_listed_by_state() {
    let (store, _) = queue().await;
    let services = services(&store);
    let all = ask_of(&services, get("/jobs?state=parked")).await;
    assert_eq!(all.status, 200);
    insta::assert_json_snapshot!("jobs", all.json());
    for (parameters, count) in
        [("", 2), ("?state=queued", 1), ("?state=done", 0), ("?limit=1", 1), ("?offset=2", 0)]
    {
        let answer = ask_of(&services, get(&format!("/jobs{parameters}"))).await;
        assert_eq!(answer.json()["jobs"].as_array().unwrap().len(), count, "{parameters}");
    }
    for (parameters, field) in
        [("state=lost", "state"), ("limit=101", "limit"), ("offset=-1", "offset")]
    {
        let answer = ask_of(&services, get(&format!("/jobs?{parameters}"))).await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.json()["error"]["details"]["field"], field);
    }
}

#[actix_web::test]
async fn a_parked_job_is_queued_again_and_the_worker_woken() {
    let (store, id) = queue().await;
    let worker = Arc::new(TestWorker::idle());
    let services = Services { dispatcher: worker.clone(), ..services(&store) };
    let path = format!("/jobs/{id}/retry");
    let answer = ask_of(&services, post(&path)).await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.json(), serde_json::json!({ "id": id.to_string(), "state": "queued" }));
    assert_eq!(worker.woken(), 1);
    let again = ask_of(&services, post(&path)).await;
    assert_eq!(again.status, 409);
    assert_eq!(again.json()["error"]["code"], "sms.validation_error");
    assert_eq!(again.json()["error"]["message"], "only a parked job can be retried");
}

#[actix_web::test]
async fn a_job_that_is_not_there_is_404_and_an_impossible_id_is_400() {
    let (store, _) = queue().await;
    let services = services(&store);
    let missing = format!("/jobs/{}/retry", fixture::uuid(404));
    assert_eq!(ask_of(&services, post(&missing)).await.status, 404);
    let answer = ask_of(&services, post("/jobs/7/retry")).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["error"]["details"]["field"], "id");
}

#[actix_web::test]
async fn jobs_are_for_operators() {
    let (store, id) = queue().await;
    let mut services = services(&store);
    services.access = key("a", "send+read+write");
    for request in [get("/jobs"), post(&format!("/jobs/{id}/retry"))] {
        assert_eq!(ask_of(&services, with_key(request)).await.status, 403);
    }
    assert_eq!(ask_of(&services, get("/jobs")).await.status, 401);
}
