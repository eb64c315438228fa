//! The account's numbers and Messaging Services, and the media of messages.

use serde_json::{Value, json};
use twilio_sim::{InboundText, MessagingService, NumberSettings};

use crate::caller::{Caller, OURS, SERVICE_SID, THEIRS, builder};

#[tokio::test]
async fn numbers_show_where_their_texts_go() {
    let simulator = builder().number(OURS).start().await.unwrap();
    let caller = Caller::new(&simulator);
    let url = "https://sms.example.com/webhook/twilio/sms";
    simulator.set_number(OURS, NumberSettings { sms_url: url.into(), ..NumberSettings::default() });
    let found = caller.get("/IncomingPhoneNumbers.json?PhoneNumber=%2B18605550100").await;
    let found = &found.body["incoming_phone_numbers"];
    assert_eq!((&found[0]["phone_number"], &found[0]["sms_url"]), (&json!(OURS), &json!(url)));
    assert_eq!((&found[0]["sms_method"], &found[1]), (&json!("POST"), &Value::Null));
    let other = caller.get("/IncomingPhoneNumbers.json?PhoneNumber=%2B18605550199").await;
    assert_eq!(other.body["incoming_phone_numbers"], json!([]));
}

#[tokio::test]
async fn messaging_services_show_their_numbers() {
    let simulator = builder().start().await.unwrap();
    let caller = Caller::new(&simulator);
    simulator.add_service(MessagingService {
        sid: SERVICE_SID.into(),
        inbound_request_url: None,
        use_inbound_webhook_on_number: true,
        numbers: vec![OURS.into()],
    });
    let services = caller.follow("/v1/Services?PageSize=100").await;
    assert_eq!(services.body["services"][0]["use_inbound_webhook_on_number"], true);
    let numbers = caller.follow(&format!("/v1/Services/{SERVICE_SID}/PhoneNumbers")).await;
    assert_eq!(numbers.body["phone_numbers"], json!([{ "phone_number": OURS }]));
    assert_eq!(caller.follow("/v1/Services/MG1/PhoneNumbers").await.code(), 20404);
}

#[tokio::test]
async fn a_message_shows_its_media() {
    let simulator = builder().start().await.unwrap();
    let caller = Caller::new(&simulator);
    let text = InboundText::new(THEIRS, OURS).media("https://h/a.png");
    simulator.receive(&text);
    let media = caller.get(&format!("/Messages/{}/Media.json", text.message_sid())).await;
    assert_eq!(media.body["media_list"][0]["content_type"], "image/png");
    assert!(media.body["media_list"][0]["uri"].as_str().unwrap().contains("/Media/ME"));
}
