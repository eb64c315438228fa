//! Somebody texts one of the account's numbers.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;

use super::{read, refusal};
use crate::InboundText;
use crate::account::Account;
use crate::local_twilio::{Answer as Webhook, DeliveryError};
use crate::server::{Answer, Heard};

/// The longest text that Twilio brings.
const LONGEST_BODY: usize = 1_600;
const LONGEST_ADDRESS: usize = 64;

/// A text to be sent to the service.
#[derive(Deserialize)]
struct Text {
    from: String,
    /// The account's first number unless given.
    to: Option<String>,
    #[serde(default)]
    body: String,
    #[serde(default)]
    media: Vec<String>,
}

/// A text to be sent once more.
#[derive(Deserialize)]
struct Again {
    sid: String,
}

/// Tells the service of a text, new or (`{"sid": ..}`) once more, and says what it answered.
pub(super) async fn deliver(account: &Arc<Account>, request: &Heard) -> Answer {
    let Some(service) = &account.service else {
        return refusal("this simulator was given no service (--service)");
    };
    let text = match text(account, request) {
        Ok(text) => text,
        Err(message) => return refusal(&message),
    };
    let webhook = account.deliver(&text, &service.webhook()).await;
    let status = webhook.as_ref().ok().map(|answer| answer.status);
    let heard = webhook.as_ref().is_ok_and(Webhook::is_success);
    let sid = text.message_sid();
    Answer::json(
        200,
        &json!({ "sid": sid, "heard": heard, "status": status, "message": explained(&webhook) }),
    )
}

fn text(account: &Account, request: &Heard) -> Result<InboundText, String> {
    if let Ok(Again { sid }) = read(request) {
        let message = account.find(&sid).ok().filter(|message| message.inbound);
        return message
            .map(|message| InboundText::of(&message, &account.sid))
            .ok_or_else(|| "there is no such text".to_owned());
    }
    let Text { from, to, body, media } = read(request)?;
    if from.trim().is_empty() || from.chars().count() > LONGEST_ADDRESS {
        return Err("`from` must be a number, such as +18605550199".to_owned());
    }
    if body.is_empty() && media.is_empty() {
        return Err("the text says nothing".to_owned());
    }
    if body.chars().count() > LONGEST_BODY {
        return Err("a text has at most 1600 characters".to_owned());
    }
    let to = to.unwrap_or_else(|| account.number().to_owned());
    let text = InboundText::new(from.trim(), to).body(body).account_sid(&account.sid);
    let text = media.into_iter().fold(text, InboundText::media);
    account.receive(&text);
    Ok(text)
}

/// What went wrong, for people; nothing where nothing did.
fn explained(webhook: &Result<Webhook, DeliveryError>) -> Option<String> {
    match webhook {
        Ok(answer) if answer.is_success() => None,
        Ok(answer) if answer.status == 403 => Some(
            "the service refused the signature (403): it has another TWILIO_AUTH_TOKEN or \
             PUBLIC_BASE_URL"
                .to_owned(),
        ),
        Ok(answer) => Some(format!("the service answered {}", answer.status)),
        Err(error) => Some(format!("the service did not take it: {}", error.reason())),
    }
}
