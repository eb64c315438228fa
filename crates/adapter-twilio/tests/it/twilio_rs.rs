//! Why `twilio-rs` is not used for more: `docs/decisions/twilio-rs.md`.

use httpclient::Error;
use serde_json::json;

use crate::stub::{ACCOUNT, Reply, Stub};

fn client(url: &str) -> twilio::TwilioClient {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let mut client = without_transport(url);
    client.client = httpclient::Client::over(http, 1000).base_url(url);
    client
}

fn without_transport(url: &str) -> twilio::TwilioClient {
    let basic_auth = "dXNlcjpwYXNzd29yZA==".to_owned();
    twilio::TwilioClient::new(url, twilio::TwilioAuthentication::BasicAuth { basic_auth })
}

#[tokio::test]
async fn its_create_message_posts_an_empty_form() {
    let stub = Stub::start([Reply::json(201, &json!({"sid": "SM1"}))]).await;
    client(&stub.url).create_message(ACCOUNT).await.unwrap();
    let asked = &stub.asked()[0];
    assert_eq!((asked.method.as_str(), asked.body.as_str()), ("POST", ""));
    assert_eq!(asked.header("content-type"), None);
}

#[tokio::test]
async fn its_date_filters_have_names_that_twilio_does_not_know() {
    let stub = Stub::start([Reply::json(200, &json!({"messages": []}))]).await;
    let client = client(&stub.url);
    let mut list = client.list_message(ACCOUNT);
    list.date_sent_gt = serde_json::from_value(json!("2026-01-02T00:00:00Z")).unwrap();
    list.await.unwrap();
    assert!(stub.asked()[0].target.contains("DateSent_gt="));
}

#[tokio::test]
async fn its_model_loses_what_it_does_not_know_and_fails_on_one_odd_member() {
    let stub = Stub::start([
        Reply::json(200, &json!({"sid": "SM1", "new_member": 1})),
        Reply::json(200, &json!({"sid": "SM1", "error_code": "30003"})),
    ])
    .await;
    let client = client(&stub.url);
    let message = client.fetch_message(ACCOUNT, "SM1").await.unwrap();
    assert_eq!(serde_json::to_value(message).unwrap(), json!({"sid": "SM1"}));
    let odd = client.fetch_message(ACCOUNT, "SM1").await;
    assert!(matches!(odd, Err(Error::Unreadable { .. })));
}

#[tokio::test]
async fn over_our_transport_nothing_is_repeated_and_a_malformed_sid_is_no_panic() {
    let stub = Stub::start(vec![Reply::Cut; 4]).await;
    let broken = client(&stub.url).fetch_account(ACCOUNT).await;
    assert!(matches!(broken, Err(Error::Broken(_))));
    assert_eq!(stub.asked().len(), 1);
    let odd = client("no url").fetch_account("A C\n").await;
    assert!(matches!(odd, Err(Error::Unusable(_))));
    let nowhere = without_transport(&stub.url).fetch_account(ACCOUNT).await;
    assert!(matches!(nowhere, Err(Error::NoTransport)));
}
