//! Twilio's REST API, as far as messages go: paths, credentials and answers.

pub(crate) mod error;
mod list;
pub(crate) mod numbers;
pub(crate) mod order;

use std::sync::Arc;

use adapter_twilio::form::Form;
use base64::prelude::{BASE64_STANDARD, Engine};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use subtle::ConstantTimeEq;
use time::format_description::well_known::Rfc2822;

use crate::account::{Account, CreateInFlight};
use crate::api::error::ApiError;
use crate::api::order::Order;
use crate::creates::End;
use crate::failure::Failure;
use crate::message::Message;
use crate::server::{Answer, Cut, Heard};

const ACCOUNTS: &str = "/2010-04-01/Accounts/";

/// Answers a request, or tells to cut the connection.
pub(crate) async fn answer(account: &Arc<Account>, request: &Heard) -> Result<Answer, Cut> {
    let found = match authorized(account, request) {
        Ok(()) => Resource::find(&account.sid, &request.path),
        Err(error) => Err(error),
    };
    let resource = match found {
        Ok(resource) => resource,
        Err(error) => return Ok(refusal(&error)),
    };
    if let (Resource::Messages, "POST") = (&resource, request.method.as_str()) {
        return create(account, &request.body).await;
    }
    Ok(reply(account, &resource, request).unwrap_or_else(|error| refusal(&error)))
}

enum Resource<'a> {
    Account,
    Numbers,
    Media(&'a str),
    Messaging(&'a str),
    Messages,
    Message(&'a str),
}

impl<'a> Resource<'a> {
    fn find(account_sid: &str, path: &'a str) -> Result<Self, ApiError> {
        let unknown = || ApiError::of(20404, path);
        if path.starts_with("/v1/Services") {
            return Ok(Self::Messaging(path));
        }
        let rest = path.strip_prefix(ACCOUNTS).and_then(|path| path.strip_suffix(".json"));
        let rest = rest.and_then(|path| path.strip_prefix(account_sid)).ok_or_else(unknown)?;
        match rest {
            "" => Ok(Self::Account),
            "/Messages" => Ok(Self::Messages),
            "/IncomingPhoneNumbers" => Ok(Self::Numbers),
            _ => {
                let message = rest.strip_prefix("/Messages/").ok_or_else(unknown)?;
                let media = message.strip_suffix("/Media").map(Self::Media);
                Ok(media.unwrap_or(Self::Message(message)))
            }
        }
    }
}

fn authorized(account: &Account, request: &Heard) -> Result<(), ApiError> {
    let name = format!("{}:{}", account.sid, account.auth_token.expose_secret());
    let expected = format!("Basic {}", BASE64_STANDARD.encode(name));
    let given = request.authorization().unwrap_or_default();
    if bool::from(expected.as_bytes().ct_eq(given.as_bytes())) {
        Ok(())
    } else {
        Err(ApiError::of(20003, ""))
    }
}

fn reply(
    account: &Arc<Account>,
    resource: &Resource<'_>,
    request: &Heard,
) -> Result<Answer, ApiError> {
    let shown = |message: Message| Answer::json(200, &message.json(&account.sid));
    match (resource, request.method.as_str()) {
        (Resource::Account, "GET") => Ok(Answer::json(200, &account_json(account))),
        (Resource::Numbers, "GET") => {
            Ok(Answer::json(200, &numbers::incoming(account, &request.query)))
        }
        (Resource::Media(sid), "GET") => {
            account.find(sid).map(|message| Answer::json(200, &message.media_json(&account.sid)))
        }
        (Resource::Messaging(path), "GET") => {
            let found = numbers::messaging(account, path);
            found.map(|found| Answer::json(200, &found)).ok_or_else(|| ApiError::of(20404, path))
        }
        (Resource::Messages, "GET") => {
            list::page(account, &request.query).map(|page| Answer::json(200, &page))
        }
        (Resource::Message(sid), "GET") => account.find(sid).map(shown),
        (Resource::Message(sid), "POST") => update(account, sid, &request.body).map(shown),
        (Resource::Message(sid), "DELETE") => account.delete(sid).map(|()| Answer::empty(204)),
        _ => Err(ApiError::of(20004, "")),
    }
}

/// Only two things can be changed: a message is cancelled, or loses its words.
fn update(account: &Arc<Account>, sid: &str, body: &[u8]) -> Result<Message, ApiError> {
    let form = Form::parse(body);
    match (form.text("Status").as_deref(), form.text("Body").as_deref()) {
        (Some("canceled"), _) => account.cancel(sid),
        (Some(_), _) => Err(ApiError::of(20001, "Status")),
        (None, Some("")) => account.redact(sid),
        (None, Some(_)) => Err(ApiError::of(20001, "Body")),
        (None, None) => account.find(sid),
    }
}

async fn create(account: &Arc<Account>, body: &[u8]) -> Result<Answer, Cut> {
    let order = Order::parse(body);
    let request = account.begin_create(&order.to);
    let outcome = match play(account, order, &request).await {
        Ok(answer) => Ok(answer),
        Err(Unmade::Refused(error)) => Ok(refusal(&error)),
        Err(Unmade::Cut) => Err(Cut),
    };
    request.end(outcome.as_ref().map_or(End::Cut, |answer| End::Answered(answer.status)));
    outcome
}

/// Why a request to create a message gets no message for an answer.
enum Unmade {
    Refused(ApiError),
    Cut,
}

impl From<ApiError> for Unmade {
    fn from(error: ApiError) -> Self {
        Self::Refused(error)
    }
}

async fn play(
    account: &Arc<Account>,
    order: Order,
    request: &CreateInFlight,
) -> Result<Answer, Unmade> {
    match request.failure {
        Failure::Answer => Ok(make(account, order, request).await?),
        Failure::AnswerSlowly(wait) => {
            let answer = make(account, order, request).await?;
            tokio::time::sleep(wait).await;
            Ok(answer)
        }
        Failure::DropAfterAccepting => {
            make(account, order, request).await?;
            Err(Unmade::Cut)
        }
        Failure::DropBeforeAccepting => Err(Unmade::Cut),
        Failure::Hang { created } => {
            if created {
                make(account, order, request).await?;
            }
            std::future::pending().await
        }
        Failure::Error500 { created } => {
            if created {
                make(account, order, request).await?;
            }
            Ok(Answer::html(500, "<html><body>Internal Server Error</body></html>"))
        }
        Failure::TooMany { retry_after } => Err(ApiError::too_many(retry_after).into()),
        Failure::Error(code) => Err(ApiError::of(code, &order.to).into()),
    }
}

/// Makes the message. Its answer shows it as it was then, whatever has happened since.
async fn make(
    account: &Arc<Account>,
    order: Order,
    request: &CreateInFlight,
) -> Result<Answer, ApiError> {
    let made = account.make(order)?;
    request.made(&made.message.sid);
    if made.early {
        // No word comes where the life was stopped.
        let _ = made.first_told.await;
    }
    Ok(Answer::json(201, &made.message.json(&account.sid)))
}

fn refusal(error: &ApiError) -> Answer {
    let mut answer = Answer::json(error.status, &error.json());
    answer.retry_after = error.retry_after;
    answer
}

fn account_json(account: &Account) -> Value {
    let sid = &account.sid;
    let opened_at = account.opened_at.format(&Rfc2822).ok();
    json!({
        "auth_token": account.auth_token.expose_secret(),
        "date_created": opened_at,
        "date_updated": opened_at,
        "friendly_name": "twilio-sim",
        "owner_account_sid": sid,
        "sid": sid,
        "status": "active",
        "subresource_uris": { "messages": format!("{ACCOUNTS}{sid}/Messages.json") },
        "type": if account.trial { "Trial" } else { "Full" },
        "uri": format!("{ACCOUNTS}{sid}.json"),
    })
}
