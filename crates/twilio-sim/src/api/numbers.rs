//! The account's numbers and Messaging Services: where their texts go.

use adapter_twilio::form::Form;
use serde_json::{Value, json};

use crate::account::Account;

/// The settings of one of the account's numbers, in Twilio's words.
///
/// An account without numbers owns every number, and lists none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberSettings {
    /// `SmsUrl`: what is called when a text comes in.
    pub sms_url: String,
    /// `SmsMethod`.
    pub sms_method: String,
    /// `SmsFallbackUrl`: what is called where that fails.
    pub sms_fallback_url: String,
    /// `SmsApplicationSid`: what takes its texts instead.
    pub sms_application_sid: String,
}

impl Default for NumberSettings {
    fn default() -> Self {
        Self {
            sms_url: String::new(),
            sms_method: "POST".into(),
            sms_fallback_url: String::new(),
            sms_application_sid: String::new(),
        }
    }
}

/// A Messaging Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessagingService {
    /// `MG` and 32 hexadecimal digits.
    pub sid: String,
    /// `InboundRequestUrl`: what is called when a text comes in to one of its numbers.
    pub inbound_request_url: Option<String>,
    /// `UseInboundWebhookOnNumber`: the number's own webhook is called instead.
    pub use_inbound_webhook_on_number: bool,
    /// The numbers in it.
    pub numbers: Vec<String>,
}

/// `IncomingPhoneNumbers.json`.
pub(crate) fn incoming(account: &Account, query: &str) -> Value {
    let form = Form::parse(query.as_bytes());
    let wanted = form.text("PhoneNumber").unwrap_or_default();
    let ledger = account.ledger();
    let shown = account.numbers.iter().filter(|number| number.contains(&*wanted)).map(|number| {
        let settings = ledger.number_settings.get(number).cloned().unwrap_or_default();
        json!({
            "account_sid": account.sid,
            "phone_number": number,
            "capabilities": { "sms": true, "mms": true, "voice": true, "fax": false },
            "sms_url": settings.sms_url,
            "sms_method": settings.sms_method,
            "sms_fallback_url": settings.sms_fallback_url,
            "sms_fallback_method": "POST",
            "sms_application_sid": settings.sms_application_sid,
            "status_callback": "",
        })
    });
    json!({ "incoming_phone_numbers": shown.collect::<Vec<_>>(), "next_page_uri": null })
}

/// What the messaging API has at that path, which has a host of its own at Twilio.
pub(crate) fn messaging(account: &Account, path: &str) -> Option<Value> {
    let ledger = account.ledger();
    let meta = json!({ "next_page_url": null });
    if path == "/v1/Services" {
        let shown = ledger.services.iter().map(|service| {
            json!({
                "sid": service.sid,
                "account_sid": account.sid,
                "inbound_request_url": service.inbound_request_url,
                "inbound_method": "POST",
                "fallback_url": null,
                "use_inbound_webhook_on_number": service.use_inbound_webhook_on_number,
            })
        });
        return Some(json!({ "services": shown.collect::<Vec<_>>(), "meta": meta }));
    }
    let sid = path.strip_prefix("/v1/Services/")?.strip_suffix("/PhoneNumbers")?;
    let service = ledger.services.iter().find(|service| service.sid == sid)?;
    let shown = service.numbers.iter().map(|number| json!({ "phone_number": number }));
    Some(json!({ "phone_numbers": shown.collect::<Vec<_>>(), "meta": meta }))
}
