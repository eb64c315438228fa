//! The way in for other processes: `/sim`, JSON, without credentials. The simulator listens on this
//! machine only.

use std::str::FromStr;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use crate::account::{Account, Ledger};
use crate::creates::End;
use crate::message::{Change, Message, Told};
use crate::mix::{Dial, InvalidSetting, Mix};
use crate::server::{Answer, Heard};

/// A setting to change.
#[derive(Deserialize)]
struct Setting {
    /// What it is to be, in the words of the command line.
    mode: String,
    /// Only for that recipient.
    to: Option<String>,
}

/// The answer to a request that is about the simulator itself.
pub(crate) async fn answer(account: &Arc<Account>, request: &Heard) -> Option<Answer> {
    let what = request.path.strip_prefix("/sim")?;
    Some(match (request.method.as_str(), what) {
        ("GET", "" | "/") => Answer::json(200, &summary(account)),
        ("GET", "/messages") => Answer::json(200, &messages(account)),
        ("GET", "/creates") => Answer::json(200, &creates(account)),
        ("POST", "/failure") => turn(account, request, |ledger| &mut ledger.failures),
        ("POST", "/outcome") => turn(account, request, |ledger| &mut ledger.outcomes),
        ("POST", "/callbacks") => turn(account, request, |ledger| &mut ledger.callbacks),
        ("POST", "/delays") => set_delays(account, request),
        ("POST", "/tell-everything") => {
            let (heard, unheard) = account.tell_everything().await;
            Answer::json(200, &json!({ "heard": heard, "unheard": unheard }))
        }
        _ => Answer::json(404, &json!({ "message": "there is no such control" })),
    })
}

fn turn<T>(
    account: &Account,
    request: &Heard,
    dial: impl FnOnce(&mut Ledger) -> &mut Dial<T>,
) -> Answer
where
    T: FromStr<Err = InvalidSetting> + Clone + Default,
{
    changed(setting(request).and_then(|setting| {
        let mix: Mix<T> =
            setting.mode.parse().map_err(|error: InvalidSetting| error.to_string())?;
        let mut ledger = account.ledger();
        let dial = dial(&mut ledger);
        match setting.to {
            Some(to) => dial.set_for(&to, mix),
            None => dial.set(mix),
        }
        Ok(())
    }))
}

fn set_delays(account: &Account, request: &Heard) -> Answer {
    changed(setting(request).and_then(|setting| {
        let delays = setting.mode.parse().map_err(|error: InvalidSetting| error.to_string())?;
        account.ledger().delays = delays;
        Ok(())
    }))
}

fn setting(request: &Heard) -> Result<Setting, String> {
    serde_json::from_slice(&request.body).map_err(|error| error.to_string())
}

fn changed(result: Result<(), String>) -> Answer {
    match result {
        Ok(()) => Answer::empty(204),
        Err(message) => Answer::json(400, &json!({ "message": message })),
    }
}

fn summary(account: &Account) -> Value {
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

fn messages(account: &Account) -> Value {
    let ledger = account.ledger();
    let shown = ledger.messages().map(|message| message_json(message, &account.sid));
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

fn creates(account: &Account) -> Value {
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
