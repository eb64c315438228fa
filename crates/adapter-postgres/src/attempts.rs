//! The beginning and the end of an attempt to hand a message over.

use diesel::prelude::*;
use diesel_async::{AsyncConnection, AsyncPgConnection};
use domain::message::{StatusEvent, TwilioSid};
use domain::outbound::{AttemptEnd, Moved, NewAttempt, SendState};
use domain::ports::{AttemptRecorded, Begun, MessageKey, SendOutcome};
use futures_util::try_join;

use crate::locks::hold_sids;
use crate::{events, idempotency, jobs, outgoing};

/// Begins an attempt, if the job is still the worker's for long enough.
pub(crate) async fn begin(conn: &mut AsyncPgConnection, new: &NewAttempt) -> QueryResult<Begun> {
    let key = MessageKey::Id(new.message);
    conn.transaction(async |conn| {
        let conn = &*conn;
        let (outgoing, holds) = try_join!(
            outgoing::lock(conn, &key),
            jobs::lock_ticket(conn, new.ticket, new.deadline),
        )?;
        let Some(outgoing) = outgoing.filter(|_| holds) else {
            return Ok(Begun::Lost);
        };
        let (step, beginning) = outgoing.begin(new);
        outgoing::write(conn, &outgoing, &step, Some(new.ticket), new.at).await?;
        Ok(Begun::As(beginning, Box::new(step.after)))
    })
    .await
}

/// Ends an attempt, with the reports that came before its SID was known.
pub(crate) async fn record(
    conn: &mut AsyncPgConnection,
    end: &AttemptEnd,
) -> QueryResult<Option<AttemptRecorded>> {
    let key = MessageKey::Id(end.message);
    let sid = match &end.outcome {
        SendOutcome::Accepted(made) => Some(&made.sid),
        _ => None,
    };
    conn.transaction(async |conn| {
        let conn = &*conn;
        let (parked, outgoing) = try_join!(hold_parked(conn, sid), outgoing::lock(conn, &key))?;
        let Some(outgoing) = outgoing else {
            return Ok(None);
        };
        let step = outgoing.record(end, &parked);
        try_join!(
            events::attach(conn, &parked, end.message),
            outgoing::write(conn, &outgoing, &step, Some(end.ticket), end.at),
            mark_attended(conn, end, step.after.state()),
        )?;
        let moved = Moved::between(&outgoing.message, &step.after.message);
        Ok(Some(AttemptRecorded { outgoing: step.after, overturned: step.overturned, moved }))
    })
    .await
}

/// Holds the SID, if there is one, and reads the reports that wait for it.
async fn hold_parked(
    conn: &AsyncPgConnection,
    sid: Option<&TwilioSid>,
) -> QueryResult<Vec<StatusEvent>> {
    let Some(sid) = sid else {
        return Ok(Vec::new());
    };
    let sids = [sid.as_str()];
    let ((), parked) = try_join!(hold_sids(conn, &sids), events::parked(conn, &sids))?;
    Ok(parked)
}

async fn mark_attended(
    conn: &AsyncPgConnection,
    end: &AttemptEnd,
    state: SendState,
) -> QueryResult<()> {
    if end.attended && !matches!(state, SendState::Refused | SendState::NotSent) {
        idempotency::mark_answered(conn, end.message, end.at).await?;
    }
    Ok(())
}
