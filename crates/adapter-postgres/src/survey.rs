//! What waits, and how much there is.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, Text, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use domain::job::JobState;
use domain::language::Language;
use domain::ports::{ConversationTally, JobTally, Survey, Tally};
use domain::timestamp::Timestamp;
use futures_util::try_join;
use time::OffsetDateTime;

use crate::prepared::Prepared;

/// What waits: each part is read through a partial index that holds no more than that.
pub(crate) async fn survey(conn: &mut AsyncPgConnection) -> QueryResult<Survey> {
    conn.transaction(async |conn| {
        let conn = &*conn;
        let (jobs, ambiguous, parked_events) = try_join!(
            jobs(conn),
            tally(
                conn,
                "select count(*) as count, min(updated_at) as oldest from sms_messages \
                 where shown_status = 'unknown' and send_state = 'ambiguous' \
                     and source <> 'database'",
            ),
            tally(
                conn,
                "select count(*) as count, min(created_at) as oldest \
                 from sms_message_status_events where message_id is null",
            ),
        )?;
        Ok(Survey { jobs, ambiguous, parked_events })
    })
    .await
}

/// Conversations by what is known of them.
pub(crate) async fn census(mut conn: &AsyncPgConnection) -> QueryResult<Vec<ConversationTally>> {
    let query = diesel::sql_query(
        "select tenant_id is not null as has_tenant, language_detected as language, \
             count(*) as count \
         from sms_conversations group by 1, 2 order by 1, 2",
    );
    let rows: Vec<ConversationRow> = Prepared(query).load(&mut conn).await?;
    Ok(rows.into_iter().map(ConversationTally::from).collect())
}

async fn jobs(mut conn: &AsyncPgConnection) -> QueryResult<Vec<JobTally>> {
    let query = diesel::sql_query(
        "select kind, state, count(*) as count, \
             min(case state when 'queued' then run_at else updated_at end) as oldest \
         from jobs where state <> 'done' group by 1, 2 order by 1, 2",
    );
    let rows: Vec<JobRow> = Prepared(query).load(&mut conn).await?;
    Ok(rows.into_iter().filter_map(JobRow::tally).collect())
}

async fn tally(mut conn: &AsyncPgConnection, query: &'static str) -> QueryResult<Tally> {
    let row: TallyRow = Prepared(diesel::sql_query(query)).get_result(&mut conn).await?;
    Ok(Tally { count: count(row.count), oldest: row.oldest.map(Timestamp::from) })
}

fn count(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or_default()
}

#[derive(QueryableByName)]
struct TallyRow {
    #[diesel(sql_type = BigInt)]
    count: i64,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    oldest: Option<OffsetDateTime>,
}

#[derive(QueryableByName)]
struct JobRow {
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = BigInt)]
    count: i64,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    oldest: Option<OffsetDateTime>,
}

impl JobRow {
    fn tally(self) -> Option<JobTally> {
        let state = JobState::from_word(&self.state)?;
        let tally = Tally { count: count(self.count), oldest: self.oldest.map(Timestamp::from) };
        Some(JobTally { kind: self.kind, state, tally })
    }
}

#[derive(QueryableByName)]
struct ConversationRow {
    #[diesel(sql_type = Bool)]
    has_tenant: bool,
    #[diesel(sql_type = Text)]
    language: String,
    #[diesel(sql_type = BigInt)]
    count: i64,
}

impl From<ConversationRow> for ConversationTally {
    fn from(row: ConversationRow) -> Self {
        let language = Language::from_word(&row.language).unwrap_or(Language::Unknown);
        Self { has_tenant: row.has_tenant, language, count: count(row.count) }
    }
}
