//! What the simulator makes is what the gate accepts.

use adapter_twilio::{GateSettings, TwilioGate};
use domain::message::{InboundMessage, Media};
use domain::phone::Region;
use domain::ports::{RawWebhook, Refusal, SignatureMistake, WebhookGate};
use twilio_sim::{InboundText, LocalTwilio, WebhookRequest};

const BASE: &str = "http://127.0.0.1:8080";
const TARGET: &str = "/webhook/twilio/sms?tenant=42";
const TOKEN: &str = "local-development-token";

fn signed(token: &str, text: &InboundText) -> WebhookRequest {
    let twilio = LocalTwilio::builder(token).build().unwrap();
    twilio.request(&format!("{BASE}{TARGET}"), &text.fields())
}

fn opened(request: &WebhookRequest) -> Result<InboundMessage, Refusal> {
    let gate = TwilioGate::new(GateSettings {
        auth_token: TOKEN.into(),
        auth_token_secondary: None,
        account_sid: None,
        public_urls: BASE.parse().unwrap(),
        region: Region::default(),
    });
    let signature = request.signature.iter();
    let headers: Vec<(&str, &[u8])> =
        signature.map(|signature| ("x-twilio-signature", signature.as_bytes())).collect();
    gate.open_inbound(&RawWebhook {
        target: TARGET,
        headers: &headers,
        body: request.body.as_bytes(),
    })
}

#[test]
fn a_text_arrives_as_it_was_sent() {
    for body in ["", "Hola, \u{bf}qu\u{e9} tal?", "1+1=2 & 100% %2B\n'\"*~", "a\0b \u{1F600}"] {
        let text = InboundText::new("+18605550199", "+18605550100").body(body);
        let message = opened(&signed(TOKEN, &text)).unwrap();
        assert_eq!(message.twilio_sid.as_str(), text.message_sid());
        assert_eq!(message.from_number.as_str(), "+18605550199");
        assert_eq!(message.to_number.as_str(), "+18605550100");
        assert_eq!(message.body.unwrap().as_str(), body.replace('\0', ""));
        assert_eq!(message.raw.members()["SmsStatus"], "received");
    }
}

#[test]
fn media_arrive_in_order() {
    let text = InboundText::new("whatsapp:+18605550199", "+18605550100")
        .media("https://h/a.png")
        .media("https://h/b?c=d&e=f");
    let media = |url: &str, content_type: &str| Media {
        url: url.into(),
        content_type: Some(content_type.into()),
    };
    let expected =
        [media("https://h/a.png", "image/png"), media("https://h/b?c=d&e=f", "image/jpeg")];
    assert_eq!(opened(&signed(TOKEN, &text)).unwrap().media, expected);
}

#[test]
fn another_token_or_none_is_refused() {
    let text = InboundText::new("+18605550199", "+18605550100").sid("SM1");
    let check = |token: &str, mistake| {
        assert_eq!(opened(&signed(token, &text)), Err(Refusal::Forged(mistake)), "{token:?}");
    };
    check("another", SignatureMistake::Unexplained);
    check(" ", SignatureMistake::Missing);
}
