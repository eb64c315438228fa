//! What waits, and how much there is.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};
use domain::job::JobState;
use domain::language::Language;
use domain::ports::{ConversationTally, JobTally, Survey, Tally};

use crate::failure::Failure;
use crate::prepared::Prepared;
use crate::rows::time;

const JOBS: &str = "
    select kind, state, count(*) as count,
        min(case state when 'queued' then run_at else updated_at end) as oldest
    from jobs where state <> 'done' group by 1, 2 order by 1, 2";

/// The second condition says nothing new: it is that of the index.
const AMBIGUOUS: &str = "
    select count(*) as count, min(updated_at) as oldest from sms_messages
    where shown_status = 'unknown' and shown_status <> 'received' and send_state = 'ambiguous'
        and source <> 'database'";

const PARKED_EVENTS: &str = "
    select count(*) as count, min(created_at) as oldest
    from sms_message_status_events indexed by sms_message_status_events_parked
    where message_id is null";

const CONVERSATIONS: &str = "
    select tenant_id is not null as has_tenant, language_detected as language, count(*) as count
    from sms_conversations group by 1, 2 order by 1, 2";

/// What waits: each part is read through a partial index that holds no more than that.
pub(crate) fn survey(conn: &mut SqliteConnection) -> Result<Survey, Failure> {
    let jobs: Vec<JobRow> = Prepared(sql_query(JOBS)).load(conn)?;
    Ok(Survey {
        jobs: jobs.into_iter().map(JobRow::tally).collect::<Result<Vec<_>, _>>()?,
        ambiguous: tally(conn, AMBIGUOUS)?,
        parked_events: tally(conn, PARKED_EVENTS)?,
    })
}

/// Conversations by what is known of them.
pub(crate) fn census(conn: &mut SqliteConnection) -> Result<Vec<ConversationTally>, Failure> {
    let rows: Vec<ConversationRow> = Prepared(sql_query(CONVERSATIONS)).load(conn)?;
    Ok(rows.into_iter().map(ConversationTally::from).collect())
}

fn tally(conn: &mut SqliteConnection, query: &str) -> Result<Tally, Failure> {
    let row: TallyRow = Prepared(sql_query(query)).get_result(conn)?;
    Ok(Tally { count: count(row.count), oldest: row.oldest.as_deref().map(time).transpose()? })
}

fn count(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or_default()
}

#[derive(QueryableByName)]
struct TallyRow {
    #[diesel(sql_type = BigInt)]
    count: i64,
    #[diesel(sql_type = Nullable<Text>)]
    oldest: Option<String>,
}

#[derive(QueryableByName)]
struct JobRow {
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = BigInt)]
    count: i64,
    #[diesel(sql_type = Nullable<Text>)]
    oldest: Option<String>,
}

impl JobRow {
    fn tally(self) -> Result<JobTally, Failure> {
        let state = JobState::from_word(&self.state).ok_or(Failure::Unreadable("state"))?;
        let oldest = self.oldest.as_deref().map(time).transpose()?;
        Ok(JobTally { kind: self.kind, state, tally: Tally { count: count(self.count), oldest } })
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

#[cfg(test)]
mod tests {
    use crate::plans::plan;

    use super::*;

    #[test]
    fn what_waits_is_read_from_partial_indexes() {
        for (query, index) in [
            (JOBS, "jobs_unfinished"),
            (AMBIGUOUS, "sms_messages_shown"),
            (PARKED_EVENTS, "sms_message_status_events_parked"),
        ] {
            let plan = plan(query);
            assert!(plan.contains(index), "{plan}");
        }
    }
}
