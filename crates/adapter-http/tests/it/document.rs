//! The API as it is described, and the page that shows it.

use std::collections::BTreeSet;

use actix_web::http::Method;
use actix_web::test::TestRequest;

use crate::service::{ask, get};

#[actix_web::test]
async fn every_path_refuses_the_methods_that_the_document_does_not_know() {
    let document = ask(get("/openapi.json")).await.json();
    assert_eq!(document["openapi"], "3.1.0");
    for (path, operations) in document["paths"].as_object().unwrap() {
        // Mounted by the program.
        if path == "/metrics" {
            continue;
        }
        let mut known: BTreeSet<_> = operations.as_object().unwrap().keys().cloned().collect();
        // Probes may leave the body out; the document says that once, with GET.
        if path.starts_with("/health") {
            known.insert("head".to_owned());
        }
        let path = path.replace(['{', '}'], "");
        for method in ["get", "put", "post", "patch", "delete", "head", "options", "trace"] {
            // It does not end.
            if (path.as_str(), method) == ("/events", "get") {
                continue;
            }
            let name = method.to_uppercase();
            let request =
                TestRequest::default().method(Method::from_bytes(name.as_bytes()).unwrap());
            let answer = ask(request.uri(&path)).await;
            assert_eq!(answer.status == 405, !known.contains(method), "{name} {path}");
            if answer.status == 405 {
                let allow = answer.headers.get("allow").unwrap().to_str().unwrap().to_owned();
                let allowed: BTreeSet<_> = allow.split(", ").map(str::to_lowercase).collect();
                assert_eq!(allowed, known, "{path}");
                assert_eq!(answer.json()["error"]["code"], "sms.validation_error");
            }
        }
    }
}

#[actix_web::test]
async fn the_page_loads_nothing_from_elsewhere() {
    for path in ["/docs", "/docs/"] {
        let page = ask(get(path)).await;
        assert_eq!(page.status, 200);
        assert_eq!(page.headers.get("content-type").unwrap(), "text/html; charset=utf-8");
        assert!(!page.body.contains("//"), "no other host: {}", page.body);
        for file in page.body.split("=\"/docs/").skip(1) {
            let name = file.split('"').next().unwrap();
            let answer = ask(get(&format!("/docs/{name}"))).await;
            assert_eq!(answer.status, 200, "{name}");
        }
    }
    for path in ["/docs/index.html", "/docs/..%2fopenapi.json", "/docs/swagger-ui.js"] {
        assert_eq!(ask(get(path)).await.status, 404, "{path}");
    }
}
