//! What the account holds, to look at.

use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::number_in;
use crate::account::Account;
use crate::creates::End;
use crate::message::{Change, Message, Told};

pub(super) fn summary(account: &Account) -> Value {
    let ledger = account.ledger();
    json!({
        "account_sid": account.sid,
        "messages": ledger.messages().count(),
        "unsettled": *account.lives.borrow(),
        "creates": ledger.creates.count(),
        "creates_per_second": ledger.creates.per_second(),
        "most_in_flight": ledger.creates.most_in_flight(),
        "most_in_flight_per_recipient": ledger.creates.most_in_flight_per_recipient(),
    })
}

/// All messages, or those to and from the number in the query; oldest first.
pub(super) fn messages(account: &Account, query: &str) -> Value {
    let number = number_in(query);
    let is_wanted = |message: &&Message| {
        let is_number =
            |number: &String| message.to == *number || message.from.as_ref() == Some(number);
        number.as_ref().is_none_or(is_number)
    };
    let ledger = account.ledger();
    let wanted = ledger.messages().filter(is_wanted);
    let shown = wanted.map(|message| message_json(message, &account.sid));
    json!({ "messages": shown.collect::<Vec<_>>() })
}

/// As Twilio shows it, and what Twilio keeps to itself.
fn message_json(message: &Message, account_sid: &str) -> Value {
    let mut shown = message.json(account_sid);
    if let Some(members) = shown.as_object_mut() {
        members.insert("media".into(), json!(message.media));
        members.insert("status_callback".into(), json!(message.status_callback));
        members.insert("validity_period".into(), json!(message.validity_period));
        members.insert("created_at".into(), json!(message.created_at.format(&Rfc3339).ok()));
        members.insert("changes".into(), message.changes.iter().map(change_json).collect());
    }
    shown
}

fn change_json(change: &Change) -> Value {
    let told = match change.told {
        Told::No => "no",
        Told::Underway => "underway",
        Told::Yes => "yes",
        Told::Never => "never",
    };
    json!({
        "status": change.status.as_str(),
        "error_code": change.error_code,
        "at": change.at.format(&Rfc3339).ok(),
        "told": told,
    })
}

pub(super) fn creates(account: &Account) -> Value {
    let ledger = account.ledger();
    let shown = ledger.creates.iter().map(|request| {
        let end = request.end.map(|(_, end)| match end {
            End::Answered(status) => status.to_string(),
            End::Cut => "cut".to_owned(),
            End::CallerLeft => "caller left".to_owned(),
        });
        json!({
            "to": request.to,
            "came_at_ms": request.came_at.as_millis().to_string(),
            "ended_at_ms": request.end.map(|(at, _)| at.as_millis().to_string()),
            "end": end,
            "sid": request.sid,
            "mode": request.failure.to_string(),
        })
    });
    json!({ "creates": shown.collect::<Vec<_>>() })
}
