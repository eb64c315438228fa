//! Keys, from the command line to the log.

use serde_json::json;

use crate::database::Database;
use crate::service::{Service, Settings, client};

/// A key and its entry for `API_KEYS`, as the program makes them.
pub(crate) fn new_key(name: &str, scopes: &str) -> (String, String) {
    let made = Settings::none().run(&["key", "new", "--name", name, "--scopes", scopes]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let said = String::from_utf8(made.stdout).unwrap();
    let word = |start: &str| said.split_whitespace().find(|word| word.starts_with(start)).unwrap();
    (word("smsf_").to_owned(), word(&format!("{name}:")).to_owned())
}

#[tokio::test]
async fn a_new_key_opens_what_it_is_for_and_its_name_is_in_the_log() {
    let (reader, first) = new_key("reader", "read");
    let (replacement, second) = new_key("reader", "read");
    assert_ne!(reader, replacement);
    let database = Database::sqlite();
    let settings = database.settings().with_keys(&format!("{first},{second}"));
    let service = Service::start(&settings.with("RUST_LOG", "debug"));
    for key in [&reader, &replacement] {
        let get = client().get(format!("{}/messages", service.url)).bearer_auth(key);
        assert_eq!(get.send().await.unwrap().status(), 200);
        let post = client().post(format!("{}/sms/send", service.url)).bearer_auth(key);
        assert_eq!(post.json(&json!({})).send().await.unwrap().status(), 403);
    }
    assert_eq!(service.get("/messages").await.0, 401);
    service.wait_for("the key's name in the log", || {
        service.log().iter().any(|line| line.contains("\"api_key\":\"reader\""))
    });
    let log = service.log().join("\n");
    assert!(!log.contains(&reader[5..]) && !log.contains(&replacement[5..]));
}

#[test]
fn a_key_that_would_open_nothing_is_not_made() {
    for (name, scopes) in [("reader", "all"), ("a:b", "read")] {
        let refused = Settings::none().run(&["key", "new", "--name", name, "--scopes", scopes]);
        assert_eq!(refused.status.code(), Some(1));
        assert!(refused.stdout.is_empty() && !refused.stderr.is_empty());
    }
}

#[tokio::test]
async fn a_developers_service_that_others_can_reach_is_closed() {
    let database = Database::sqlite();
    let settings = database.settings().with("API_AUTH", "on");
    let service = Service::start(&settings);
    let (status, answer) = service.get("/messages").await;
    assert_eq!(status, 401);
    assert!(answer["error"]["message"].as_str().unwrap().contains("PUBLIC_BASE_URL"), "{answer}");
    assert_eq!(service.get("/health").await.0, 200);
    assert!(service.log().iter().any(|line| line.contains("the API answers nobody")));
    drop(service);

    let service = Service::start(&settings.with("PUBLIC_BASE_URL", "http://127.0.0.1:8080"));
    assert_eq!(service.get("/messages").await.0, 200);
    let tunnel = client().get(format!("{}/messages", service.url));
    let tunnel = tunnel.header("x-forwarded-for", "203.0.113.7").send().await.unwrap();
    assert_eq!(tunnel.status(), 401);
}

#[tokio::test]
async fn whoever_turns_the_keys_off_is_warned() {
    let database = Database::sqlite();
    let service = Service::start(&database.settings().with("API_AUTH", "off"));
    assert!(service.log().iter().any(|line| line.contains("API_AUTH=off")));
    assert_eq!(service.get("/health").await.1["checks"]["config"], "degraded");
}

#[tokio::test]
async fn metrics_are_refused_like_everything_else() {
    let database = Database::sqlite();
    let service = Service::start(&database.settings());
    let answer = client().post(format!("{}/metrics", service.url)).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["allow"]),
        (405, &"GET".parse().unwrap())
    );
}
