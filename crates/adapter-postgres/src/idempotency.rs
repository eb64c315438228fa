//! The keys by which a repeated request is known.

use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::idempotency::{Decision, IdempotencyClaim};
use domain::message::{Message, MessageId};
use domain::outbound::Outgoing;
use domain::ports::{Acceptance, NewOutbound};
use domain::timestamp::Timestamp;
use futures_util::try_join;
use time::OffsetDateTime;

use crate::outgoing::{outgoing, read_attempts};
use crate::prepared::Prepared;
use crate::rows::{AttemptRow, KeyRow, MessageRow};
use crate::schema::{idempotency_keys, sms_messages, sms_send_attempts};

/// An earlier request, and the message that it made.
pub(crate) struct Known {
    key: KeyRow,
    outgoing: Outgoing,
}

/// The request that had the same key. Who holds the key sees what the last one wrote.
pub(crate) async fn find(
    conn: &AsyncPgConnection,
    claim: &IdempotencyClaim,
) -> QueryResult<Option<Known>> {
    // In this order: attempts that are newer than their message prove no less than they should.
    let (found, attempts) = try_join!(find_message(conn, claim), find_attempts(conn, claim))?;
    let Some((key, message)) = found else {
        return Ok(None);
    };
    let attempts = read_attempts(attempts)?;
    let known = outgoing(Message::try_from(message)?, attempts);
    Ok(known.map(|outgoing| Known { key, outgoing }))
}

impl Known {
    /// The earlier message, where it was given up and so its key is free: who takes the key over
    /// sends the text, and an operator must not send it once more.
    pub(crate) fn given_up(&self) -> Option<&Outgoing> {
        Some(&self.outgoing).filter(|outgoing| outgoing.is_proven_unsent())
    }

    /// The answer to the repetition; `None` where it is none and the key is free.
    pub(crate) fn answer(&self, new: &NewOutbound) -> Option<Acceptance> {
        let earlier = self.key.earlier(&self.outgoing);
        match new.idempotency.decide(&earlier, new.accepted_at) {
            Decision::Join => Some(Acceptance::Joined(Box::new(self.outgoing.clone()))),
            Decision::Conflict => Some(Acceptance::Conflict { existing: self.key.message() }),
            Decision::Replace => None,
        }
    }
}

/// Gives the key to the new message, also where an earlier one had it.
pub(crate) async fn keep(mut conn: &AsyncPgConnection, new: &NewOutbound) -> QueryResult<()> {
    let keep = diesel::insert_into(idempotency_keys::table)
        .values(KeyRow::of(new))
        .on_conflict((idempotency_keys::caller, idempotency_keys::key))
        .do_update()
        .set(KeyRow::of(new));
    Prepared(keep).execute(&mut conn).await?;
    Ok(())
}

/// Remembers that whoever asked for the message was told 2xx.
pub(crate) async fn mark_answered(
    mut conn: &AsyncPgConnection,
    MessageId(message): MessageId,
    at: Timestamp,
) -> QueryResult<()> {
    let unanswered = idempotency_keys::table
        .filter(idempotency_keys::message_id.eq(message))
        .filter(idempotency_keys::answered_at.is_null());
    let mark =
        diesel::update(unanswered).set(idempotency_keys::answered_at.eq(OffsetDateTime::from(at)));
    Prepared(mark).execute(&mut conn).await?;
    Ok(())
}

async fn find_message(
    mut conn: &AsyncPgConnection,
    claim: &IdempotencyClaim,
) -> QueryResult<Option<(KeyRow, MessageRow)>> {
    idempotency_keys::table
        .inner_join(sms_messages::table)
        .filter(idempotency_keys::caller.eq(&claim.caller))
        .filter(idempotency_keys::key.eq(claim.stored_key()))
        .select((KeyRow::as_select(), MessageRow::as_select()))
        .get_result(&mut conn)
        .await
        .optional()
}

async fn find_attempts(
    mut conn: &AsyncPgConnection,
    claim: &IdempotencyClaim,
) -> QueryResult<Vec<AttemptRow>> {
    let message = idempotency_keys::table
        .filter(idempotency_keys::caller.eq(&claim.caller))
        .filter(idempotency_keys::key.eq(claim.stored_key()))
        .select(idempotency_keys::message_id);
    sms_send_attempts::table
        .filter(sms_send_attempts::message_id.eq_any(message))
        .order(sms_send_attempts::number)
        .select(AttemptRow::as_select())
        .load(&mut conn)
        .await
}
