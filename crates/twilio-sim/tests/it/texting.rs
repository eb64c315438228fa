//! Texts that are written on the phone page.

use serde_json::{Value, json};
use twilio_sim::{Callbacks, Simulator};

use crate::caller::{Caller, OURS, THEIRS, TOKEN, builder};
use crate::service::Service;

async fn stage() -> (Simulator, Service, Caller) {
    let service = Service::start().await;
    let simulator = builder().number(OURS).service(&*service.base_url, None).start().await.unwrap();
    let caller = Caller::new(&simulator);
    (simulator, service, caller)
}

async fn text(caller: &Caller, body: Value) -> (u16, Value) {
    let reply = caller.control("/inbound", Some(body)).await;
    (reply.status, reply.body)
}

#[tokio::test]
async fn a_text_is_signed_and_told_to_the_service() {
    let (_simulator, service, caller) = stage().await;
    let (status, said) = text(&caller, json!({ "from": THEIRS, "body": "Hola" })).await;
    assert_eq!(status, 200);
    assert_eq!((&said["heard"], &said["status"]), (&json!(true), &json!(204)));
    let heard = service.heard();
    assert_eq!(heard[0].target, "/webhook/twilio/sms");
    assert_eq!(heard[0].field("MessageSid").as_deref(), said["sid"].as_str());
    assert_eq!(heard[0].field("To").as_deref(), Some(OURS));
    let twilio = twilio_sim::LocalTwilio::builder(TOKEN).build().unwrap();
    let fields: Vec<_> = adapter_twilio::form::Form::parse(heard[0].body.as_bytes())
        .fields()
        .iter()
        .map(|field| {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            (text(&field.name), text(&field.value))
        })
        .collect();
    let again = twilio.request(&format!("{}/webhook/twilio/sms", service.base_url), &fields);
    assert_eq!(again.signature.as_deref(), Some(&*heard[0].signature));

    let kept = caller.control(&format!("/messages?number=%2B{}", &THEIRS[1..]), None).await;
    assert_eq!(kept.body["messages"][0]["changes"][0]["told"], "yes");
    let other = caller.control("/messages?number=%2B18605550177", None).await;
    assert_eq!(other.body["messages"], json!([]));
}

#[tokio::test]
async fn a_text_that_was_not_taken_can_be_sent_again_and_is_the_same() {
    let (simulator, service, caller) = stage().await;
    service.answer(503);
    let (_, said) = text(&caller, json!({ "from": THEIRS, "body": "Hola" })).await;
    assert_eq!(said["heard"], false);
    assert_eq!(said["message"], "the service answered 503");
    assert_eq!(simulator.tell_everything().await, (0, 0), "it is nobody's status");
    service.answer(200);
    let (_, again) = text(&caller, json!({ "sid": said["sid"] })).await;
    assert_eq!((&again["heard"], &again["sid"]), (&json!(true), &said["sid"]));
    let sids: Vec<_> =
        service.heard().iter().map(|heard| heard.field("MessageSid").unwrap()).collect();
    assert_eq!(sids, [said["sid"].as_str().unwrap(); 2]);
    assert_eq!(simulator.messages().len(), 1);
}

#[tokio::test]
async fn a_word_opts_out_and_another_in_again() {
    let (_simulator, _service, caller) = stage().await;
    let settings = format!("/settings?number=%2B{}", &THEIRS[1..]);
    text(&caller, json!({ "from": THEIRS, "body": " stop\n" })).await;
    assert_eq!(caller.text(THEIRS, "Hola").await.code(), 21610);
    assert_eq!(caller.control(&settings, None).await.body["opted_out"], true);
    text(&caller, json!({ "from": THEIRS, "body": "please do not stop" })).await;
    assert_eq!(caller.text(THEIRS, "Hola").await.code(), 21610);
    text(&caller, json!({ "from": THEIRS, "body": "Start" })).await;
    assert_eq!(caller.text(THEIRS, "Hola").await.status, 201);
    assert_eq!(caller.control(&settings, None).await.body["opted_out"], false);
}

#[tokio::test]
async fn what_is_no_text_is_refused() {
    let (_simulator, service, caller) = stage().await;
    for body in [
        json!({}),
        json!({ "from": " ", "body": "Hola" }),
        json!({ "from": THEIRS }),
        json!({ "from": THEIRS, "body": "x".repeat(1_601) }),
        json!({ "sid": "SM1" }),
    ] {
        let (status, said) = text(&caller, body).await;
        assert_eq!(status, 400);
        assert!(said["message"].is_string());
    }
    assert!(service.heard().is_empty());
    let alone = builder().start().await.unwrap();
    let (status, _) = text(&Caller::new(&alone), json!({ "from": THEIRS, "body": "Hola" })).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn what_holds_for_a_number_can_be_read() {
    let (simulator, service, caller) = stage().await;
    let set = json!({ "mode": "undelivered:30003", "to": THEIRS });
    assert_eq!(caller.control("/outcome", Some(set)).await.status, 204);
    simulator.set_callbacks(Callbacks::Twice);
    let of = async |query: &str| caller.control(&format!("/settings{query}"), None).await.body;
    let theirs = of("?number=%2B18605550199").await;
    assert_eq!(theirs["outcome"], "undelivered:30003");
    assert_eq!(theirs["callbacks"], "twice");
    assert_eq!((&theirs["number"], &theirs["delays"]), (&json!(OURS), &json!("10ms")));
    assert_eq!(theirs["service"], service.base_url);
    assert_eq!(of("").await["outcome"], "delivered");
}
