//! What becomes of a message otherwise than by an attempt: it is found, given up, cancelled.

use diesel::dsl::{exists, sql};
use diesel::prelude::*;
use diesel::sql_types::Bool;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use domain::job::Job;
use domain::message::{Message, MessageId, TwilioSid};
use domain::outbound::Moved;
use domain::ports::{Adopted, Canceled, MessageKey, NewStatusEvent};
use domain::timestamp::Timestamp;
use futures_util::try_join;

use crate::locks::hold_sids;
use crate::prepared::Prepared;
use crate::schema::sms_messages;
use crate::{events, jobs, outgoing, status};

/// Takes a message that Twilio listed as the one that `event` names by our id.
pub(crate) async fn adopt(
    conn: &mut AsyncPgConnection,
    event: &NewStatusEvent,
) -> QueryResult<Adopted> {
    let sid = &event.report.twilio_sid;
    let sids = [sid.as_str()];
    conn.transaction(async |conn| {
        let conn = &*conn;
        let ((), is_taken, named, parked) = try_join!(
            hold_sids(conn, &sids),
            is_known(conn, sid),
            status::lock_nameless(conn, event.report.message),
            events::parked(conn, &sids),
        )?;
        let Some(named) = named.filter(|_| !is_taken) else {
            return Ok(Adopted::NotIt);
        };
        if has_rival(conn, &named.message).await? {
            return Ok(Adopted::Wait);
        }
        let step = status::apply(conn, &named, event, &parked).await?;
        let moved = Moved::between(&named.message, &step.after.message);
        Ok(Adopted::Taken { overturned: step.overturned, moved })
    })
    .await
}

async fn is_known(mut conn: &AsyncPgConnection, sid: &TwilioSid) -> QueryResult<bool> {
    let of_sid = sms_messages::table.filter(sms_messages::twilio_sid.eq(sid.as_str()));
    diesel::select(exists(of_sid)).get_result(&mut conn).await
}

/// Whether another message of the conversation is on its way, whose SID it might be.
async fn has_rival(mut conn: &AsyncPgConnection, message: &Message) -> QueryResult<bool> {
    let rivals = sms_messages::table
        .filter(sms_messages::conversation_id.eq(message.conversation.0))
        .filter(sms_messages::id.ne(message.id.0))
        // In this word, and not with a parameter: it is that of the partial index.
        .filter(sql::<Bool>("send_state = 'in_flight'"));
    Prepared(diesel::select(exists(rivals))).get_result(&mut conn).await
}

/// Gives an ambiguous message up; `false` where it is none.
pub(crate) async fn conclude(
    conn: &mut AsyncPgConnection,
    message: MessageId,
    at: Timestamp,
) -> QueryResult<bool> {
    let key = MessageKey::Id(message);
    conn.transaction(async |conn| {
        let conn = &*conn;
        let known = outgoing::lock(conn, &key).await?;
        let Some(known) = known else {
            return Ok(false);
        };
        let Some(step) = known.conclude(at) else {
            return Ok(false);
        };
        outgoing::write(conn, &known, &step, None, at).await?;
        Ok(true)
    })
    .await
}

/// Cancels a message, and finishes the job that would send it, also one that was given up.
pub(crate) async fn cancel(
    conn: &mut AsyncPgConnection,
    key: &MessageKey,
    at: Timestamp,
) -> QueryResult<Canceled> {
    conn.transaction(async |conn| {
        let conn = &*conn;
        let Some(known) = outgoing::lock(conn, key).await? else {
            return Ok(Canceled::NotFound);
        };
        let Some(step) = known.cancel(at) else {
            return Ok(Canceled::TooLate(Box::new(known.message)));
        };
        let send =
            Job::Send { message: known.message.id, conversation: known.message.conversation };
        try_join!(
            outgoing::write(conn, &known, &step, None, at),
            jobs::finish_unclaimed(conn, &send, at),
            jobs::finish_parked(conn, &send, at),
        )?;
        Ok(Canceled::Done(Box::new(step.after.message)))
    })
    .await
}
