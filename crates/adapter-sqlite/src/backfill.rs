//! How far Twilio's lists were read, and who reads them.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Nullable, Text};
use domain::message::{Message, TwilioSid};
use domain::ports::{ListClaim, ListMark, ListProgress, ListRun, PageToken, Unfinished};
use domain::timestamp::Timestamp;

use crate::failure::Failure;
use crate::prepared::Prepared;
use crate::rows::{MessageRow, time};
use crate::schema::sms_messages;

/// Whoever does not get a list writes nothing. While a run has one, it is due only where somebody
/// wishes it: `hasten` writes that, and the end leaves it.
const CLAIM: &str = "
    insert into backfill_lists
        (direction, number, first_at, watermark, due_at, run, lease_expires_at, updated_at)
    values (?1, ?2, ?3, ?3, '9999-12-31T23:59:59.999999Z', 1, ?4, ?3)
    on conflict (direction, number) do update
        set run = run + 1, lease_expires_at = excluded.lease_expires_at,
            updated_at = excluded.updated_at,
            due_at = case when due_at > excluded.updated_at then due_at else excluded.due_at end
        where updated_at > excluded.lease_expires_at
            or lease_expires_at <= excluded.updated_at
            or (lease_expires_at is null and due_at <= excluded.updated_at)
    returning run, first_at, watermark, unfinished_until, next_page";

const SAVE: &str = "
    update backfill_lists
    set watermark = ?4, unfinished_until = ?5, next_page = ?6,
        due_at = case when ?8 is null then min(due_at, ?7) else due_at end,
        lease_expires_at = ?8, updated_at = ?9
    where direction = ?1 and number = ?2 and run = ?3 and lease_expires_at is not null";

#[derive(QueryableByName)]
struct ListRow {
    #[diesel(sql_type = BigInt)]
    run: i64,
    #[diesel(sql_type = Text)]
    first_at: String,
    #[diesel(sql_type = Text)]
    watermark: String,
    #[diesel(sql_type = Nullable<Text>)]
    unfinished_until: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    next_page: Option<String>,
}

/// Takes a list to be read; `None` where it is not due or another run has it.
pub(crate) fn claim(
    conn: &mut SqliteConnection,
    claim: &ListClaim,
) -> Result<Option<ListRun>, Failure> {
    let statement = sql_query(CLAIM)
        .bind::<Text, _>(claim.list.direction.as_str())
        .bind::<Text, _>(claim.list.number.as_str())
        .bind::<Text, _>(claim.at.to_string())
        .bind::<Text, _>(claim.lease_until.to_string());
    let row: Option<ListRow> = Prepared(statement).get_result(conn).optional()?;
    row.map(|row| row.run_of(claim)).transpose()
}

impl ListRow {
    fn run_of(self, claim: &ListClaim) -> Result<ListRun, Failure> {
        let unfinished = self.unfinished_until.as_deref().map(time).transpose()?;
        let unfinished = unfinished.zip(self.next_page);
        Ok(ListRun {
            list: claim.list.clone(),
            number: self.run.try_into().map_err(|_| Failure::Unreadable("run"))?,
            first_at: time(&self.first_at)?,
            mark: ListMark {
                watermark: time(&self.watermark)?,
                unfinished: unfinished
                    .map(|(until, page)| Unfinished { until, page: PageToken(page) }),
            },
        })
    }
}

/// Keeps how far a run got; `false` where the list is another's.
pub(crate) fn save(
    conn: &mut SqliteConnection,
    run: &ListRun,
    progress: &ListProgress,
) -> Result<bool, Failure> {
    let unfinished = progress.mark.unfinished.as_ref();
    let statement = sql_query(SAVE)
        .bind::<Text, _>(run.list.direction.as_str())
        .bind::<Text, _>(run.list.number.as_str())
        .bind::<BigInt, _>(i64::from(run.number))
        .bind::<Text, _>(progress.mark.watermark.to_string())
        .bind::<Nullable<Text>, _>(unfinished.map(|part| part.until.to_string()))
        .bind::<Nullable<Text>, _>(unfinished.map(|part| part.page.0.clone()))
        .bind::<Text, _>(progress.due_at.to_string())
        .bind::<Nullable<Text>, _>(progress.lease_until.map(|until| until.to_string()))
        .bind::<Text, _>(progress.at.to_string());
    Ok(Prepared(statement).execute(conn)? == 1)
}

/// Lets every list be due at that time that would be later.
pub(crate) fn hasten(conn: &mut SqliteConnection, due_at: Timestamp) -> Result<(), Failure> {
    let statement = sql_query("update backfill_lists set due_at = ?1 where due_at > ?1")
        .bind::<Text, _>(due_at.to_string());
    Prepared(statement).execute(conn)?;
    Ok(())
}

/// The messages with these SIDs that are stored.
pub(crate) fn messages_with(
    conn: &mut SqliteConnection,
    sids: &[TwilioSid],
) -> Result<Vec<Message>, Failure> {
    let sids = sids.iter().map(TwilioSid::as_str);
    let rows: Vec<MessageRow> = sms_messages::table
        .filter(sms_messages::twilio_sid.eq_any(sids))
        .select(MessageRow::as_select())
        .load(conn)?;
    rows.into_iter().map(Message::try_from).collect()
}
