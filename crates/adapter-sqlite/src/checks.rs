//! Messages about which Twilio is to be asked.

use diesel::prelude::*;
use domain::message::{MessageId, TwilioSid};
use domain::outbound::Sending;
use domain::ports::MessageKey;
use domain::timestamp::Timestamp;

use crate::failure::Failure;
use crate::prepared::Prepared;
use crate::reading;
use crate::rows::{SendingColumns, sid, uuid};
use crate::schema::sms_messages;

/// Takes the longest due; nobody else gets them before `again_at`.
pub(crate) fn claim(
    conn: &mut SqliteConnection,
    at: Timestamp,
    again_at: Timestamp,
    limit: u32,
) -> Result<Vec<(MessageId, TwilioSid)>, Failure> {
    let due: Vec<(String, String)> = sms_messages::table
        .filter(sms_messages::next_check_at.le(at.to_string()))
        .filter(sms_messages::twilio_sid.is_not_null())
        .order((sms_messages::next_check_at, sms_messages::id))
        .limit(limit.into())
        .select((sms_messages::id, sms_messages::twilio_sid.assume_not_null()))
        .load(conn)?;
    for (id, _) in &due {
        let update = diesel::update(sms_messages::table.find(id))
            .set(sms_messages::next_check_at.eq(again_at.to_string()));
        Prepared(update).execute(conn)?;
    }
    due.iter().map(|(id, twilio_sid)| Ok((MessageId(uuid(id)?), sid(twilio_sid)?))).collect()
}

/// A check was made.
pub(crate) fn finish(
    conn: &mut SqliteConnection,
    message: MessageId,
    at: Timestamp,
) -> Result<(), Failure> {
    let stored = reading::message(conn, &MessageKey::Id(message))?;
    let Some(sending) = stored.and_then(|stored| stored.sending) else {
        return Ok(());
    };
    let checked: Sending = sending.checked(at);
    let update = diesel::update(sms_messages::table.find(message.to_string()))
        .set(SendingColumns::from(&checked));
    Prepared(update).execute(conn)?;
    Ok(())
}
