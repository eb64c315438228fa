//! A report of Twilio's about a message.

use diesel::prelude::*;
use domain::message::{Direction, StatusEvent};
use domain::ports::{NewStatusEvent, StatusRecorded};

use crate::delivery::StoredDelivery;
use crate::failure::Failure;
use crate::rows::EventRow;
use crate::schema::sms_message_status_events;

/// Keeps the report and moves the status of a message from us.
pub(crate) fn record(
    conn: &mut SqliteConnection,
    event: &NewStatusEvent,
) -> Result<StatusRecorded, Failure> {
    let stored = StoredDelivery::of(conn, &event.report.twilio_sid)?;
    let message = stored.as_ref().map(|stored| stored.message);
    keep_once(conn, event.stored_for(message))?;
    let Some(stored) = stored else {
        return Ok(StatusRecorded::Parked);
    };
    let delivery = match stored.direction {
        Direction::Inbound => stored.state.clone(),
        Direction::Outbound => stored.state.advance(Direction::Outbound, &event.report),
    };
    stored.move_to(conn, &delivery, event.received_at)?;
    Ok(StatusRecorded::Applied { message: stored.message, delivery })
}

/// The unique index over SID, word and error knows whether it is there already.
fn keep_once(conn: &mut SqliteConnection, event: StatusEvent) -> Result<(), Failure> {
    diesel::insert_into(sms_message_status_events::table)
        .values(EventRow::try_from(event)?)
        .on_conflict_do_nothing()
        .execute(conn)?;
    Ok(())
}
