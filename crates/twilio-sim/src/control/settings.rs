//! What is to happen to the next messages.

use std::str::FromStr;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{number_in, read, refusal};
use crate::account::{Account, Ledger};
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

/// What holds for the number in the query, else for all.
pub(super) fn shown(account: &Account, query: &str) -> Value {
    let number = number_in(query);
    let number = number.as_deref();
    let ledger = account.ledger();
    json!({
        "account_sid": account.sid,
        "number": account.number(),
        "service": account.service.as_ref().map(|service| &service.base_url),
        "failure": ledger.failures.of(number).to_string(),
        "outcome": ledger.outcomes.of(number).to_string(),
        "callbacks": ledger.callbacks.of(number).to_string(),
        "delays": ledger.delays.to_string(),
        "opted_out": number.is_some_and(|number| ledger.opted_out.contains(number)),
    })
}

pub(super) fn turn<T>(
    account: &Account,
    request: &Heard,
    dial: impl FnOnce(&mut Ledger) -> &mut Dial<T>,
) -> Answer
where
    T: FromStr<Err = InvalidSetting> + Clone + Default,
{
    changed(read(request).and_then(|setting: Setting| {
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

pub(super) fn set_delays(account: &Account, request: &Heard) -> Answer {
    changed(read(request).and_then(|setting: Setting| {
        let delays = setting.mode.parse().map_err(|error: InvalidSetting| error.to_string())?;
        account.ledger().delays = delays;
        Ok(())
    }))
}

fn changed(result: Result<(), String>) -> Answer {
    match result {
        Ok(()) => Answer::empty(204),
        Err(message) => refusal(&message),
    }
}
