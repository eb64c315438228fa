//! A job that was given up is tried again.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use domain::conversation::ConversationId;
use domain::job::{Job, JobState};
use domain::message::MessageId;
use domain::ports::{JobRetried, JobRetry, MessageKey};
use futures_util::try_join;
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::prepared::Prepared;
use crate::schema::jobs;
use crate::{conversations, outgoing};

/// Queues a parked job again. The message that it sends is revived first, if it may be.
pub(crate) async fn retry(
    conn: &mut AsyncPgConnection,
    retry: &JobRetry,
) -> QueryResult<JobRetried> {
    conn.transaction(async |conn| {
        let conn = &*conn;
        let Some((kind, payload)) = read(conn, retry).await? else {
            return Ok(JobRetried::NotFound);
        };
        match Job::from_stored(&kind, &payload) {
            Some(Job::Send { message, conversation }) => {
                revive(conn, message, conversation, retry).await
            }
            Some(Job::TellLanguage { conversation, .. }) => {
                conversations::hold_lane(conn, conversation).await?;
                queue(conn, retry).await
            }
            _ => queue(conn, retry).await,
        }
    })
    .await
}

/// The message is locked before its conversation and its job, as everywhere.
async fn revive(
    conn: &AsyncPgConnection,
    message: MessageId,
    conversation: ConversationId,
    retry: &JobRetry,
) -> QueryResult<JobRetried> {
    let key = MessageKey::Id(message);
    let (known, ()) =
        try_join!(outgoing::lock(conn, &key), conversations::hold_lane(conn, conversation))?;
    if !lock_parked(conn, retry).await? {
        return Ok(JobRetried::NotParked);
    }
    let step = known.as_ref().and_then(|known| known.revive(retry.at, retry.expires_at));
    let (Some(known), Some(step)) = (known, step) else {
        return Ok(JobRetried::MaybeSent);
    };
    outgoing::write(conn, &known, &step, None, retry.at).await?;
    queue(conn, retry).await
}

async fn read(
    mut conn: &AsyncPgConnection,
    retry: &JobRetry,
) -> QueryResult<Option<(String, Value)>> {
    let job = jobs::table.find(retry.id.0).select((jobs::kind, jobs::payload));
    job.get_result(&mut conn).await.optional()
}

/// Whether it is parked, and then stays so until the transaction ends.
async fn lock_parked(mut conn: &AsyncPgConnection, retry: &JobRetry) -> QueryResult<bool> {
    let parked: Option<Uuid> = jobs::table
        .filter(jobs::id.eq(retry.id.0))
        .filter(jobs::state.eq(JobState::Parked.as_str()))
        .select(jobs::id)
        .for_no_key_update()
        .get_result(&mut conn)
        .await
        .optional()?;
    Ok(parked.is_some())
}

async fn queue(mut conn: &AsyncPgConnection, retry: &JobRetry) -> QueryResult<JobRetried> {
    let at = OffsetDateTime::from(retry.at);
    let parked = jobs::table
        .filter(jobs::id.eq(retry.id.0))
        .filter(jobs::state.eq(JobState::Parked.as_str()));
    let queue = diesel::update(parked).set((
        jobs::state.eq(JobState::Queued.as_str()),
        jobs::failures.eq(0),
        jobs::run_at.eq(at),
        jobs::updated_at.eq(at),
        jobs::finished_at.eq(None::<OffsetDateTime>),
        // Behind all others.
        jobs::place.eq(sql::<BigInt>("default")),
    ));
    let queued = Prepared(queue).execute(&mut conn).await? == 1;
    Ok(if queued { JobRetried::Queued } else { JobRetried::NotParked })
}
