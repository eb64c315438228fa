//! What browsers are told.

use actix_web::http::Method;
use actix_web::test::TestRequest;
use adapter_http::Cors;
use domain::testing::InMemoryStore;

use crate::service::{Answer, ask, ask_of, get, reading};

const SITE: &str = "https://dashboard.example.com";

async fn asked_by(site: &str, cors: Cors, request: TestRequest) -> Answer {
    let mut services = reading(&InMemoryStore::default().into());
    services.cors = cors;
    ask_of(&services, request.insert_header(("origin", site))).await
}

fn preflight() -> TestRequest {
    TestRequest::default()
        .method(Method::OPTIONS)
        .uri("/sms/send")
        .insert_header(("access-control-request-method", "POST"))
}

fn allowed(answer: &Answer) -> Option<&str> {
    answer.headers.get("access-control-allow-origin").map(|origin| origin.to_str().unwrap())
}

#[actix_web::test]
async fn every_answer_says_what_browsers_and_caches_must_not_do() {
    for path in ["/health", "/messages", "/nothing", "/docs"] {
        let answer = ask(get(path)).await;
        let header = |name| answer.headers.get(name).unwrap().to_str().unwrap();
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert_eq!(header("cache-control"), "no-store");
        assert!(header("content-security-policy").contains("frame-ancestors 'none'"));
        assert!(header("content-security-policy").contains("default-src 'none'"));
    }
}

#[actix_web::test]
async fn pages_of_other_sites_may_not_call_unless_it_is_configured() {
    let off = asked_by(SITE, Cors::Off, preflight()).await;
    assert_eq!((off.status.as_u16(), allowed(&off)), (405, None));
    assert_eq!(allowed(&asked_by(SITE, Cors::Off, get("/health")).await), None);

    let known = Cors::Origins(vec![SITE.to_owned()]);
    let asked = asked_by(SITE, known.clone(), preflight()).await;
    assert_eq!((asked.status.as_u16(), allowed(&asked)), (204, Some(SITE)));
    let headers = asked.headers.get("access-control-allow-headers").unwrap().to_str().unwrap();
    for header in ["authorization", "content-type", "idempotency-key", "if-match"] {
        assert!(headers.contains(header), "{header}");
    }
    let answer = asked_by(SITE, known.clone(), get("/health")).await;
    assert_eq!(
        (allowed(&answer), answer.headers.get("vary").unwrap().to_str().unwrap()),
        (Some(SITE), "Origin")
    );
    let other = asked_by("https://example.com", known.clone(), get("/health")).await;
    assert_eq!(allowed(&other), None);
    assert!(other.headers.contains_key("vary"));

    let anybody = asked_by("https://example.com", Cors::Everybody, get("/health")).await;
    assert_eq!(allowed(&anybody), Some("*"));
    let failed = asked_by(SITE, known, get("/nothing")).await;
    assert_eq!((failed.status.as_u16(), allowed(&failed)), (404, Some(SITE)));
}
