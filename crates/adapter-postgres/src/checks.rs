//! Asking Twilio about messages that are not final after a long time.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use domain::message::{MessageId, TwilioSid};
use domain::ports::MessageKey;
use domain::timestamp::Timestamp;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::locks::lock_message;
use crate::prepared::Prepared;
use crate::rows::{SendingRow, UnreadableRow};
use crate::schema::sms_messages;

/// A message about which Twilio is to be asked.
#[derive(QueryableByName)]
struct CheckRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    twilio_sid: String,
}

/// Those that are due, the longest first; nobody else is given them before `again_at`.
pub(crate) async fn claim(
    mut conn: &AsyncPgConnection,
    at: Timestamp,
    again_at: Timestamp,
    limit: u32,
) -> QueryResult<Vec<(MessageId, TwilioSid)>> {
    let claim = diesel::sql_query(
        "with due as ( \
             select id, next_check_at as due_at from sms_messages \
             where next_check_at <= $1 and twilio_sid is not null and send_state is not null \
             order by next_check_at, id limit $3 for no key update skip locked \
         ), moved as ( \
             update sms_messages set next_check_at = $2 from due where sms_messages.id = due.id \
             returning sms_messages.id, sms_messages.twilio_sid, due.due_at \
         ) \
         select id, twilio_sid from moved order by due_at, id",
    )
    .bind::<Timestamptz, _>(OffsetDateTime::from(at))
    .bind::<Timestamptz, _>(OffsetDateTime::from(again_at))
    .bind::<BigInt, _>(i64::from(limit));
    let rows: Vec<CheckRow> = Prepared(claim).load(&mut conn).await?;
    let read = rows.into_iter().map(|row| {
        let sid = TwilioSid::parse(&row.twilio_sid);
        Ok((MessageId(row.id), sid.map_err(|_| UnreadableRow("twilio_sid"))?))
    });
    Ok(read.collect::<Result<_, UnreadableRow>>()?)
}

/// A check was made.
pub(crate) async fn finish(
    conn: &mut AsyncPgConnection,
    message: MessageId,
    at: Timestamp,
) -> QueryResult<()> {
    let key = MessageKey::Id(message);
    conn.transaction(async |conn| {
        let mut conn = &*conn;
        let known = lock_message(conn, &key).await?;
        let Some(sending) = known.and_then(|message| message.sending) else {
            return Ok(());
        };
        let row = SendingRow::of(Some(&sending.checked(at)));
        let update = diesel::update(sms_messages::table.find(message.0)).set(row);
        Prepared(update).execute(&mut conn).await?;
        Ok(())
    })
    .await
}
