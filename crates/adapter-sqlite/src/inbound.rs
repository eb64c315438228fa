//! A message to us, with its conversation and what must follow.

use diesel::prelude::*;
use domain::conversation::Conversation;
use domain::event::NewEvent;
use domain::message::{Message, MessageId};
use domain::ports::{Completion, ConversationKey, MessageKey, NewInbound, Recorded};

use crate::delivery::StoredDelivery;
use crate::failure::Failure;
use crate::prepared::Prepared;
use crate::rows::{raw_to_column, to_json};
use crate::schema::sms_messages;
use crate::{feed, jobs, reading, writing};

/// Writes all that `inbound` leads to. Writes come one after the other, so to look for the SID
/// first is enough: a repeat leaves nothing.
pub(crate) fn record(
    conn: &mut SqliteConnection,
    inbound: &NewInbound,
) -> Result<Recorded, Failure> {
    let message = &inbound.message;
    if let Some(stored) = StoredDelivery::of(conn, &message.twilio_sid)? {
        return repeat(conn, &stored, inbound);
    }
    let key = ConversationKey::Address(message.from.clone());
    let known = reading::conversation(conn, &key)?;
    let is_first = known.is_none();
    let before = known.unwrap_or_else(|| Conversation::opened_by(inbound));
    let after = before.with(inbound);
    if is_first {
        writing::open(conn, &after)?;
    } else {
        writing::go_on(conn, &after)?;
    }
    writing::message(conn, &inbound.stored_in(after.id), &message.raw)?;
    writing::attach(conn, &message.twilio_sid, inbound.id)?;
    let follow_ups = after.follow_ups(&inbound.follow_ups());
    for job in &follow_ups {
        jobs::enqueue(conn, job)?;
    }
    feed::record(conn, &NewEvent::of_inbound(inbound, &before, &after))?;
    Ok(Recorded::New {
        message: inbound.id,
        conversation: after.id,
        before: before.language,
        after: after.language,
        has_jobs: !follow_ups.is_empty(),
    })
}

fn repeat(
    conn: &mut SqliteConnection,
    stored: &StoredDelivery,
    inbound: &NewInbound,
) -> Result<Recorded, Failure> {
    let further = stored.state.advance_inbound(inbound.message.status);
    if further != stored.state {
        let before = reading::message(conn, &MessageKey::Id(stored.message))?;
        stored.move_to(conn, &further, inbound.received_at)?;
        let before = before.ok_or(Failure::Unreadable("message"))?;
        let after = Message { delivery: further, ..before.clone() };
        let events = NewEvent::of_change(&before, &after, false, inbound.received_at);
        feed::record(conn, &events)?;
    }
    if stored.was_found {
        complete(conn, stored.message, inbound)?;
    }
    Ok(Recorded::Duplicate { message: stored.message })
}

/// The webhook of a message that was found in Twilio's list comes after all.
fn complete(
    conn: &mut SqliteConnection,
    message: MessageId,
    inbound: &NewInbound,
) -> Result<(), Failure> {
    let Some(known) = reading::detail(conn, &MessageKey::Id(message))? else {
        return Ok(());
    };
    let Some(Completion { raw, media }) = inbound.completes(&known.message, &known.raw) else {
        return Ok(());
    };
    let updated_at = known.message.updated_at.max(inbound.received_at);
    let update = diesel::update(sms_messages::table.find(message.to_string())).set((
        sms_messages::raw_webhook_data.eq(raw_to_column(&raw)?),
        sms_messages::media.eq(to_json(&media)?),
        sms_messages::updated_at.eq(updated_at.to_string()),
    ));
    Prepared(update).execute(conn)?;
    Ok(())
}
