//! The keys by which a repeated request is known.

use diesel::prelude::*;
use diesel::sqlite::Sqlite;
use domain::idempotency::{Decision, Earlier};
use domain::message::MessageId;
use domain::outbound::Outgoing;
use domain::ports::{Acceptance, MessageKey, NewOutbound};
use domain::timestamp::Timestamp;

use crate::failure::Failure;
use crate::prepared::Prepared;
use crate::rows::{time, uuid};
use crate::schema::idempotency_keys;
use crate::{jobs, outgoing};

/// A row of `idempotency_keys`.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = idempotency_keys, check_for_backend(Sqlite))]
#[diesel(treat_none_as_default_value = false)]
struct KeyRow {
    caller: String,
    key: String,
    request_hash: String,
    message_id: String,
    created_at: String,
    answered_at: Option<String>,
}

/// What the earlier request with the same key decides; `None` where the key is free.
pub(crate) fn earlier(
    conn: &mut SqliteConnection,
    new: &NewOutbound,
) -> Result<Option<Acceptance>, Failure> {
    let claim = &new.idempotency;
    let key = (&claim.caller, claim.stored_key());
    let row = idempotency_keys::table.find(key).select(KeyRow::as_select()).first(conn);
    let Some(row) = row.optional()? else {
        return Ok(None);
    };
    let message = MessageId(uuid(&row.message_id)?);
    let Some(outgoing) = outgoing::find(conn, &MessageKey::Id(message))? else {
        return Ok(None);
    };
    Ok(match claim.decide(&row.earlier(&outgoing)?, new.accepted_at) {
        Decision::Join => Some(Acceptance::Joined(Box::new(outgoing))),
        Decision::Conflict => Some(Acceptance::Conflict { existing: message }),
        Decision::Replace => {
            // Whoever has the key now sends the text: an operator must not send it once more.
            if outgoing.is_proven_unsent() {
                jobs::call_off_parked(conn, &outgoing.send_job(), new.accepted_at)?;
            }
            None
        }
    })
}

/// Gives the key to the new message, whoever had it before.
pub(crate) fn keep(conn: &mut SqliteConnection, new: &NewOutbound) -> Result<(), Failure> {
    diesel::replace_into(idempotency_keys::table).values(KeyRow::from(new)).execute(conn)?;
    Ok(())
}

/// Remembers that whoever asked for the message was told 2xx.
pub(crate) fn answered(
    conn: &mut SqliteConnection,
    message: MessageId,
    at: Timestamp,
) -> Result<(), Failure> {
    let unanswered = idempotency_keys::table
        .filter(idempotency_keys::message_id.eq(message.to_string()))
        .filter(idempotency_keys::answered_at.is_null());
    let update = diesel::update(unanswered).set(idempotency_keys::answered_at.eq(at.to_string()));
    Prepared(update).execute(conn)?;
    Ok(())
}

impl KeyRow {
    fn earlier(&self, outgoing: &Outgoing) -> Result<Earlier, Failure> {
        Ok(Earlier {
            request_hash: self.request_hash.clone(),
            created_at: time(&self.created_at)?,
            answered: self.answered_at.is_some(),
            state: outgoing.state(),
            frees_its_key: outgoing.frees_its_key(),
        })
    }
}

impl From<&NewOutbound> for KeyRow {
    fn from(new: &NewOutbound) -> Self {
        let claim = &new.idempotency;
        Self {
            caller: claim.caller.clone(),
            key: claim.stored_key(),
            request_hash: claim.request_hash.clone(),
            message_id: new.id.to_string(),
            created_at: new.accepted_at.to_string(),
            answered_at: None,
        }
    }
}
