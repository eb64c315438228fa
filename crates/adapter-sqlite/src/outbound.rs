//! Messages from us: taken in, handed over, found again, given up.

use diesel::dsl::{exists, select, sql};
use diesel::prelude::*;
use diesel::sql_types::Bool;
use domain::conversation::Conversation;
use domain::job::{ClaimedJob, NewJob};
use domain::message::{Message, MessageId, RawPayload};
use domain::outbound::{AttemptEnd, Moved, NewAttempt, SendState};
use domain::ports::{
    Acceptance, Adopted, AttemptRecorded, Begun, Canceled, ConversationKey, MessageKey,
    NewOutbound, NewStatusEvent, SendOutcome, StatusRecorded,
};
use domain::timestamp::Timestamp;

use crate::failure::Failure;
use crate::prepared::Prepared;
use crate::schema::sms_messages;
use crate::{idempotency, jobs, outgoing, reading, status, writing};

/// Takes a message in: all that follows from it, unless its key is known already.
pub(crate) fn accept(
    conn: &mut SqliteConnection,
    new: &NewOutbound,
) -> Result<Acceptance, Failure> {
    if let Some(answer) = idempotency::earlier(conn, new)? {
        return Ok(answer);
    }
    let known = addressed(conn, new)?;
    let is_first = known.is_none();
    let before = match new.open(known) {
        Ok(before) => before,
        Err(refusal) => return Ok(refusal),
    };
    let message = new.stored_in(&before);
    let after = before.with_outbound(new, &message.from_number);
    if is_first {
        writing::open(conn, &after)?;
    } else {
        writing::go_on(conn, &after)?;
    }
    writing::message(conn, &message, &RawPayload::default())?;
    for job in after.follow_ups(&new.follow_ups()) {
        jobs::enqueue(conn, &job)?;
    }
    let job = enqueue_send(conn, new, &after)?;
    idempotency::keep(conn, new)?;
    Ok(Acceptance::New { message: Box::new(message), job })
}

/// The conversation that the message is for, if it is there.
fn addressed(
    conn: &mut SqliteConnection,
    new: &NewOutbound,
) -> Result<Option<Conversation>, Failure> {
    let key = match (new.recipient.conversation, &new.recipient.address) {
        (Some(id), _) => ConversationKey::Id(id),
        (None, Some((address, _))) => ConversationKey::Address(address.clone()),
        (None, None) => return Ok(None),
    };
    reading::conversation(conn, &key)
}

/// The job belongs to this process at once where no other of its lane comes first.
fn enqueue_send(
    conn: &mut SqliteConnection,
    new: &NewOutbound,
    to: &Conversation,
) -> Result<Option<ClaimedJob>, Failure> {
    let job = NewJob {
        id: new.send_job,
        job: new.job(to.id),
        run_at: new.accepted_at,
        origin: new.origin.clone(),
    };
    if jobs::is_lane_taken(conn, &job.job)? {
        jobs::enqueue(conn, &job)?;
        return Ok(None);
    }
    jobs::enqueue_leased(conn, &job, new.lease_until)?;
    Ok(Some(new.claimed(to.id)))
}

/// Begins an attempt, where the job is the worker's for long enough.
pub(crate) fn begin(conn: &mut SqliteConnection, new: &NewAttempt) -> Result<Begun, Failure> {
    if !jobs::is_leased(conn, new.ticket, new.deadline)? {
        return Ok(Begun::Lost);
    }
    let Some(before) = outgoing::find(conn, &MessageKey::Id(new.message))? else {
        return Ok(Begun::Lost);
    };
    let (step, beginning) = before.begin(new);
    outgoing::write(conn, &before, &step, Some(new.ticket), new.at)?;
    Ok(Begun::As(beginning, Box::new(step.after)))
}

/// Ends an attempt.
pub(crate) fn record(
    conn: &mut SqliteConnection,
    end: &AttemptEnd,
) -> Result<Option<AttemptRecorded>, Failure> {
    let Some(before) = outgoing::find(conn, &MessageKey::Id(end.message))? else {
        return Ok(None);
    };
    let parked = match &end.outcome {
        SendOutcome::Accepted(made) => writing::attach(conn, &made.sid, end.message)?,
        _ => Vec::new(),
    };
    let step = before.record(end, &parked);
    outgoing::write(conn, &before, &step, Some(end.ticket), end.at)?;
    let moved = Moved::between(&before.message, &step.after.message);
    let (outgoing, overturned) = (step.after, step.overturned);
    if end.attended && !matches!(outgoing.state(), SendState::Refused | SendState::NotSent) {
        idempotency::answered(conn, end.message, end.at)?;
    }
    Ok(Some(AttemptRecorded { outgoing, overturned, moved }))
}

/// Takes a message that Twilio listed as ours, unless it may be another's.
pub(crate) fn adopt(
    conn: &mut SqliteConnection,
    event: &NewStatusEvent,
) -> Result<Adopted, Failure> {
    let report = &event.report;
    let Some(message) = outgoing::nameless(conn, report.message)? else {
        return Ok(Adopted::NotIt);
    };
    let sid = MessageKey::Sid(report.twilio_sid.clone());
    if reading::message(conn, &sid)?.is_some() {
        return Ok(Adopted::NotIt);
    }
    if is_another_in_flight(conn, &message)? {
        return Ok(Adopted::Wait);
    }
    Ok(match status::record(conn, event)? {
        StatusRecorded::Applied { overturned, moved, .. } => Adopted::Taken { overturned, moved },
        StatusRecorded::Parked => Adopted::NotIt,
    })
}

fn is_another_in_flight(conn: &mut SqliteConnection, message: &Message) -> Result<bool, Failure> {
    let others = sms_messages::table
        .filter(sms_messages::conversation_id.eq(message.conversation.to_string()))
        .filter(sms_messages::id.ne(message.id.to_string()))
        // In the words of the partial index, which SQLite compares.
        .filter(sql::<Bool>("send_state = 'in_flight'"));
    Ok(Prepared(select(exists(others))).get_result(conn)?)
}

/// Gives an ambiguous message up; `false` where it is none.
pub(crate) fn conclude(
    conn: &mut SqliteConnection,
    message: MessageId,
    at: Timestamp,
) -> Result<bool, Failure> {
    let before = outgoing::find(conn, &MessageKey::Id(message))?;
    let step = before.as_ref().and_then(|before| before.conclude(at));
    let (Some(before), Some(step)) = (before, step) else {
        return Ok(false);
    };
    outgoing::write(conn, &before, &step, None, at)?;
    Ok(true)
}

/// Cancels a message, and finishes its send job, also one that was given up.
pub(crate) fn cancel(
    conn: &mut SqliteConnection,
    key: &MessageKey,
    at: Timestamp,
) -> Result<Canceled, Failure> {
    let Some(before) = outgoing::find(conn, key)? else {
        return Ok(Canceled::NotFound);
    };
    let Some(step) = before.cancel(at) else {
        return Ok(Canceled::TooLate(Box::new(before.message)));
    };
    jobs::call_off(conn, &before.send_job(), at)?;
    jobs::call_off_parked(conn, &before.send_job(), at)?;
    outgoing::write(conn, &before, &step, None, at)?;
    Ok(Canceled::Done(Box::new(step.after.message)))
}
