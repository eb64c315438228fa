//! How far Twilio's lists were read, and who reads them.

use diesel::prelude::*;
use diesel::sql_types::{Int4, Nullable, Text as SqlText, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::message::{Message, TwilioSid};
use domain::ports::{ListClaim, ListMark, ListProgress, ListRun, PageToken, Unfinished};
use domain::timestamp::Timestamp;
use time::OffsetDateTime;

use crate::prepared::Prepared;
use crate::rows::{MessageRow, UnreadableRow, count, stored_count};
use crate::schema::sms_messages;

#[derive(QueryableByName)]
struct ListRow {
    #[diesel(sql_type = Int4)]
    run: i32,
    #[diesel(sql_type = Timestamptz)]
    first_at: OffsetDateTime,
    #[diesel(sql_type = Timestamptz)]
    watermark: OffsetDateTime,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    unfinished_until: Option<OffsetDateTime>,
    #[diesel(sql_type = Nullable<SqlText>)]
    next_page: Option<String>,
}

/// Takes a list to be read, in one statement; `None` where it is not due or another run has it.
pub(crate) async fn claim(
    mut conn: &AsyncPgConnection,
    claim: &ListClaim,
) -> QueryResult<Option<ListRun>> {
    // Whoever does not get it writes nothing: a list is looked at every few seconds. While a run has
    // it, it is due only where somebody wishes it: `hasten` writes that, and the end leaves it.
    let statement = diesel::sql_query(
        "insert into backfill_lists as known \
             (direction, number, first_at, watermark, due_at, run, lease_expires_at, updated_at) \
         values ($1, $2, $3, $3, 'infinity', 1, $4, $3) \
         on conflict (direction, number) do update \
             set run = known.run + 1, lease_expires_at = $4, updated_at = $3, \
                 due_at = case when known.due_at > $3 then known.due_at else 'infinity' end \
             where known.updated_at > $4 or known.lease_expires_at <= $3 \
                 or (known.lease_expires_at is null and known.due_at <= $3) \
         returning run, first_at, watermark, unfinished_until, next_page",
    )
    .bind::<SqlText, _>(claim.list.direction.as_str())
    .bind::<SqlText, _>(claim.list.number.as_str())
    .bind::<Timestamptz, _>(OffsetDateTime::from(claim.at))
    .bind::<Timestamptz, _>(OffsetDateTime::from(claim.lease_until));
    let row: Option<ListRow> = Prepared(statement).get_result(&mut conn).await.optional()?;
    let run = |row: ListRow| -> Result<ListRun, UnreadableRow> {
        let unfinished = row.unfinished_until.zip(row.next_page);
        Ok(ListRun {
            list: claim.list.clone(),
            number: count("run", row.run)?,
            first_at: row.first_at.into(),
            mark: ListMark {
                watermark: row.watermark.into(),
                unfinished: unfinished
                    .map(|(until, page)| Unfinished { until: until.into(), page: PageToken(page) }),
            },
        })
    };
    Ok(row.map(run).transpose()?)
}

/// Keeps how far a run got; `false` where the list is another's.
pub(crate) async fn save(
    mut conn: &AsyncPgConnection,
    run: &ListRun,
    progress: &ListProgress,
) -> QueryResult<bool> {
    let unfinished = progress.mark.unfinished.as_ref();
    let statement = diesel::sql_query(
        "update backfill_lists set watermark = $4, unfinished_until = $5, next_page = $6, \
             due_at = case when $8 is null then least(due_at, $7) else due_at end, \
             lease_expires_at = $8, updated_at = $9 \
         where direction = $1 and number = $2 and run = $3 and lease_expires_at is not null",
    )
    .bind::<SqlText, _>(run.list.direction.as_str())
    .bind::<SqlText, _>(run.list.number.as_str())
    .bind::<Int4, _>(stored_count(run.number))
    .bind::<Timestamptz, _>(OffsetDateTime::from(progress.mark.watermark))
    .bind::<Nullable<Timestamptz>, _>(unfinished.map(|part| OffsetDateTime::from(part.until)))
    .bind::<Nullable<SqlText>, _>(unfinished.map(|part| part.page.0.as_str()))
    .bind::<Timestamptz, _>(OffsetDateTime::from(progress.due_at))
    .bind::<Nullable<Timestamptz>, _>(progress.lease_until.map(OffsetDateTime::from))
    .bind::<Timestamptz, _>(OffsetDateTime::from(progress.at));
    Ok(Prepared(statement).execute(&mut conn).await? == 1)
}

/// Lets every list be due at that time that would be later.
pub(crate) async fn hasten(mut conn: &AsyncPgConnection, due_at: Timestamp) -> QueryResult<()> {
    let statement = diesel::sql_query("update backfill_lists set due_at = $1 where due_at > $1")
        .bind::<Timestamptz, _>(OffsetDateTime::from(due_at));
    Prepared(statement).execute(&mut conn).await?;
    Ok(())
}

/// The messages with these SIDs that are stored.
pub(crate) async fn messages_with(
    mut conn: &AsyncPgConnection,
    sids: &[TwilioSid],
) -> QueryResult<Vec<Message>> {
    let sids: Vec<&str> = sids.iter().map(TwilioSid::as_str).collect();
    let rows: Vec<MessageRow> = sms_messages::table
        .filter(sms_messages::twilio_sid.eq_any(sids))
        .select(MessageRow::as_select())
        .load(&mut conn)
        .await?;
    let messages = rows.into_iter().map(Message::try_from);
    Ok(messages.collect::<Result<_, UnreadableRow>>()?)
}
