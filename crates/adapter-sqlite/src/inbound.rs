//! A message to us, with its conversation and what must follow.

use diesel::dsl::{exists, select};
use diesel::prelude::*;
use domain::conversation::Conversation;
use domain::job::NewJob;
use domain::message::{Message, MessageId, TwilioSid};
use domain::ports::{ConversationKey, NewInbound, Recorded};

use crate::delivery::StoredDelivery;
use crate::failure::Failure;
use crate::reading;
use crate::rows::{ConversationRow, JobRow, MessageRow, SaidColumns, raw_to_column};
use crate::schema::{jobs, sms_conversations, sms_message_status_events, sms_messages};

/// Writes all that `inbound` leads to. Writes come one after the other, so to look for the SID
/// first is enough: a repeat leaves nothing.
pub(crate) fn record(
    conn: &mut SqliteConnection,
    inbound: &NewInbound,
) -> Result<Recorded, Failure> {
    if let Some(stored) = StoredDelivery::of(conn, &inbound.message.twilio_sid)? {
        return repeat(conn, &stored, inbound);
    }
    let key = ConversationKey::Address(inbound.message.from.clone());
    let known = reading::conversation(conn, &key)?;
    let is_first = known.is_none();
    let before = known.unwrap_or_else(|| Conversation::opened_by(inbound));
    let after = before.with(inbound);
    if is_first {
        insert_conversation(conn, &after)?;
    } else {
        update_conversation(conn, &after)?;
    }
    insert_message(conn, &inbound.stored_in(after.id), inbound)?;
    attach_waiting_events(conn, inbound.id, &inbound.message.twilio_sid)?;
    for job in after.follow_ups(inbound) {
        enqueue(conn, &job)?;
    }
    Ok(Recorded::New {
        message: inbound.id,
        conversation: after.id,
        before: before.language,
        after: after.language,
    })
}

fn repeat(
    conn: &mut SqliteConnection,
    stored: &StoredDelivery,
    inbound: &NewInbound,
) -> Result<Recorded, Failure> {
    let further = stored.state.advance_inbound(inbound.message.status);
    stored.move_to(conn, &further, inbound.received_at)?;
    Ok(Recorded::Duplicate { message: stored.message })
}

fn insert_conversation(conn: &mut SqliteConnection, opened: &Conversation) -> Result<(), Failure> {
    diesel::insert_into(sms_conversations::table)
        .values(ConversationRow::try_from(opened)?)
        .execute(conn)?;
    Ok(())
}

fn update_conversation(conn: &mut SqliteConnection, after: &Conversation) -> Result<(), Failure> {
    diesel::update(sms_conversations::table.find(after.id.to_string()))
        .set(SaidColumns::try_from(after)?)
        .execute(conn)?;
    Ok(())
}

fn insert_message(
    conn: &mut SqliteConnection,
    message: &Message,
    inbound: &NewInbound,
) -> Result<(), Failure> {
    let raw = raw_to_column(&inbound.message.raw)?;
    diesel::insert_into(sms_messages::table)
        .values((MessageRow::try_from(message)?, sms_messages::raw_webhook_data.eq(raw)))
        .execute(conn)?;
    Ok(())
}

/// Looks first, because there is hardly ever one, and diesel keeps a prepared `select` but parses
/// an `update` each time.
fn attach_waiting_events(
    conn: &mut SqliteConnection,
    message: MessageId,
    sid: &TwilioSid,
) -> Result<(), Failure> {
    let waiting = sms_message_status_events::table
        .filter(sms_message_status_events::twilio_sid.eq(sid.as_str()));
    if select(exists(waiting)).get_result(conn)? {
        diesel::update(waiting)
            .set(sms_message_status_events::message_id.eq(message.to_string()))
            .execute(conn)?;
    }
    Ok(())
}

/// Writes the job unless an unfinished one has its key: the partial unique index knows.
fn enqueue(conn: &mut SqliteConnection, job: &NewJob) -> Result<(), Failure> {
    diesel::insert_into(jobs::table)
        .values(JobRow::from(job))
        .on_conflict_do_nothing()
        .execute(conn)?;
    Ok(())
}
