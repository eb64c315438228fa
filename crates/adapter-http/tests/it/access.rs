//! Who may ask, and how often.

use std::sync::Arc;

use actix_web::test::TestRequest;
use adapter_http::{Access, Services};
use domain::testing::InMemoryStore;

use crate::service::{Answer, ask_of, gate, genuine, get, key, limits, post, services, with_key};

fn closed(access: Access) -> Services {
    let mut services = services(Arc::new(InMemoryStore::default()), gate());
    services.access = access;
    // A stream that lets its caller in would not end.
    services.events.close();
    services
}

fn from(address: &str, request: TestRequest) -> TestRequest {
    request.peer_addr(format!("{address}:4711").parse().unwrap())
}

/// Asks until it is too much; gives how often it was not. The clock goes on meanwhile and allows one
/// more each second: how many there were exactly is the machine's affair.
async fn until_too_many(services: &Services, ask: impl Fn() -> TestRequest, status: u16) -> u32 {
    let mut count = 0;
    loop {
        let answer = ask_of(services, ask()).await;
        if is_too_many(&answer) {
            return count;
        }
        assert_eq!(answer.status, status);
        count += 1;
        assert!(count < 100, "asked a hundred times");
    }
}

fn is_too_many(answer: &Answer) -> bool {
    if answer.status != 429 {
        return false;
    }
    let wait = answer.headers.get("retry-after").unwrap().to_str().unwrap();
    assert!((1..=2).contains(&wait.parse::<u64>().unwrap()), "{wait}");
    assert_eq!(answer.json()["error"]["code"], "sms.unavailable");
    true
}

#[actix_web::test]
async fn every_endpoint_needs_the_scope_that_its_description_names() {
    let document = ask_of(&closed(Access::Loopback), get("/openapi.json")).await.json();
    let mut checked = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            // Mounted by the program.
            if operation["security"][0]["key"].is_null() || path == "/metrics" {
                continue;
            }
            let path = path.replace("{number_or_id}", "+18605550199").replace("{id}", "x");
            let path = path.replace("{id_or_sid}", "x");
            let described = operation["description"].as_str().unwrap();
            for scope in ["send", "read", "write", "operate"] {
                let method = method.to_uppercase().parse().unwrap();
                let request = with_key(TestRequest::default().method(method).uri(&path));
                let answer = ask_of(&closed(key("dashboard", scope)), request).await;
                let needed = described.contains(&format!("Scope: `{scope}`"));
                assert_eq!(answer.status != 403, needed, "{path} {scope}: {}", answer.body);
                checked += 1;
            }
        }
    }
    assert_eq!(checked, 4 * 18);
}

#[actix_web::test]
async fn a_developers_service_answers_its_own_machine_only() {
    let here = get("/messages");
    let services = closed(Access::Loopback);
    assert_eq!(ask_of(&services, here).await.status, 200);
    let tunnel = get("/messages").insert_header(("x-forwarded-for", "203.0.113.7"));
    let answer = ask_of(&services, tunnel).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.headers.get("www-authenticate").unwrap(), "Bearer");
    assert!(answer.body.contains("sms-foundation key new"), "{}", answer.body);
    let network = from("192.0.2.1", get("/messages"));
    assert_eq!(ask_of(&services, network).await.status, 401);
    let rebound = get("/messages").insert_header(("host", "evil.example.com"));
    assert_eq!(ask_of(&services, rebound).await.status, 401);
    assert_eq!(ask_of(&closed(Access::Closed), get("/messages")).await.status, 401);
}

#[actix_web::test]
async fn health_and_webhooks_and_the_documentation_need_no_key() {
    let services = closed(key("dashboard", "read"));
    for path in ["/health", "/health/live", "/health/ready", "/openapi.json", "/docs"] {
        assert_eq!(ask_of(&services, get(path)).await.status, 200, "{path}");
    }
    assert_eq!(ask_of(&services, genuine("/webhook/twilio/sms")).await.status, 200);
}

#[actix_web::test]
async fn health_says_that_everybody_is_let_in() {
    let health = ask_of(&closed(Access::Open), get("/health")).await;
    assert_eq!((health.status.as_u16(), &health.json()["ok"]), (200, &true.into()));
    assert_eq!(health.json()["checks"]["config"], "degraded");
}

#[actix_web::test]
async fn a_key_that_asks_too_often_waits_and_others_do_not() {
    let mut services = closed(key("dashboard", "read"));
    services.limits = limits(3, 0);
    assert!(until_too_many(&services, || with_key(get("/messages")), 200).await >= 3);
    services.access = key("orchestrator", "read");
    assert_eq!(ask_of(&services, with_key(get("/messages"))).await.status, 200);
    assert_eq!(ask_of(&services, genuine("/webhook/twilio/sms")).await.status, 200);
    assert_eq!(ask_of(&services, get("/health")).await.status, 200);
}

#[actix_web::test]
async fn an_address_that_guesses_keys_waits_and_a_good_key_still_opens() {
    let mut services = closed(key("dashboard", "read"));
    services.limits = limits(20, 0);
    let guess = |address| from(address, get("/messages"));
    let guesses = until_too_many(&services, || guess("203.0.113.7"), 401).await;
    assert!(guesses >= 20, "as many at once as with a key: {guesses}");
    assert_eq!(ask_of(&services, guess("203.0.113.8")).await.status, 401);
    let good = with_key(guess("203.0.113.7"));
    assert_eq!(ask_of(&services, good).await.status, 200);
}

#[actix_web::test]
async fn behind_a_trusted_proxy_each_client_is_counted_for_itself() {
    let mut services = closed(key("dashboard", "read"));
    services.limits = limits(10, 1);
    let guess = |client| {
        let forwarded = format!("198.51.100.1, {client}");
        from("192.0.2.1", get("/messages")).insert_header(("x-forwarded-for", forwarded))
    };
    assert!(until_too_many(&services, || guess("203.0.113.7"), 401).await >= 10);
    assert_eq!(ask_of(&services, guess("203.0.113.8")).await.status, 401);
}

#[actix_web::test]
async fn webhooks_are_never_limited() {
    let mut services = closed(key("dashboard", "read"));
    services.limits = limits(1, 0);
    for _ in 0..20 {
        let forged = from("203.0.113.7", post("/webhook/twilio/sms").set_payload("forged"));
        assert_eq!(ask_of(&services, forged).await.status, 403);
        assert_eq!(ask_of(&services, genuine("/webhook/twilio/sms")).await.status, 200);
    }
}
