//! The way in for the phone page and for other processes: `/sim`, JSON, without credentials. Only
//! this machine may ask.

mod changes;
mod inbound;
mod settings;
mod shown;

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::json;

use crate::account::Account;
use crate::server::{Answer, Heard};

/// What is asked of the simulator itself, in a path.
pub(crate) fn path(path: &str) -> Option<&str> {
    path.strip_prefix("/sim").filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The answer to a request that is about the simulator itself.
pub(crate) async fn answer(account: &Arc<Account>, request: &Heard, path: &str) -> Answer {
    match (request.method.as_str(), path) {
        ("GET", "" | "/") => Answer::json(200, &shown::summary(account)),
        ("GET", "/messages") => Answer::json(200, &shown::messages(account, &request.query)),
        ("GET", "/creates") => Answer::json(200, &shown::creates(account)),
        ("GET", "/settings") => Answer::json(200, &settings::shown(account, &request.query)),
        ("GET", "/events") => changes::stream(account),
        ("POST", "/failure") => settings::turn(account, request, |ledger| &mut ledger.failures),
        ("POST", "/outcome") => settings::turn(account, request, |ledger| &mut ledger.outcomes),
        ("POST", "/callbacks") => settings::turn(account, request, |ledger| &mut ledger.callbacks),
        ("POST", "/delays") => settings::set_delays(account, request),
        ("POST", "/inbound") => inbound::deliver(account, request).await,
        ("POST", "/tell-everything") => {
            let (heard, unheard) = account.tell_everything().await;
            Answer::json(200, &json!({ "heard": heard, "unheard": unheard }))
        }
        _ => Answer::json(404, &json!({ "message": "there is no such control" })),
    }
}

fn read<T: DeserializeOwned>(request: &Heard) -> Result<T, String> {
    serde_json::from_slice(&request.body).map_err(|error| error.to_string())
}

fn refusal(message: &str) -> Answer {
    Answer::json(400, &json!({ "message": message }))
}

/// The number that a query asks about.
fn number_in(query: &str) -> Option<String> {
    let form = adapter_twilio::form::Form::parse(query.as_bytes());
    form.text("number").filter(|number| !number.is_empty()).map(String::from)
}
