//! For tests: looking into the store, and putting things there that no use case makes yet.
#![expect(clippy::unwrap_used, reason = "only tests call this: to panic is to fail")]

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::conversation::{Conversation, ConversationId};
use domain::job::{JobId, JobState};
use domain::message::{Message, MessageDetail, MessageId, StatusEvent};
use domain::origin::Origin;
use domain::ports::MessageKey;
use domain::tenant::TenantId;
use domain::testing::{Everything, Inspect, JobRecord};
use domain::timestamp::Timestamp;
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::PgStore;
use crate::reading;
use crate::rows::{ConversationRow, MessageRow, StatusEventRow};
use crate::schema::{jobs, sms_conversations, sms_message_status_events, sms_messages};

#[async_trait]
impl Inspect for PgStore {
    async fn everything(&self) -> Everything {
        self.pool
            .run(async |conn| {
                Ok(Everything {
                    conversations: conversations(conn).await?,
                    messages: messages(conn).await?,
                    parked_events: parked_events(conn).await?,
                    jobs: all_jobs(conn).await?,
                })
            })
            .await
            .unwrap()
    }

    async fn plant_message(&self, message: &Message) {
        let row = MessageRow::of(message).unwrap();
        self.pool
            .run(async |conn| {
                diesel::insert_into(sms_messages::table).values(row).execute(conn).await
            })
            .await
            .unwrap();
    }

    async fn plant_tenant(&self, conversation: ConversationId, tenant: &TenantId) {
        self.pool
            .run(async |conn| {
                diesel::update(sms_conversations::table.find(conversation.0))
                    .set(sms_conversations::tenant_id.eq(tenant.as_str()))
                    .execute(conn)
                    .await
            })
            .await
            .unwrap();
    }

    async fn finish_jobs(&self) {
        self.pool
            .run(async |conn| {
                diesel::update(jobs::table)
                    .set(jobs::state.eq(JobState::Done.as_str()))
                    .execute(conn)
                    .await
            })
            .await
            .unwrap();
    }
}

async fn conversations(conn: &mut AsyncPgConnection) -> QueryResult<Vec<Conversation>> {
    let rows: Vec<ConversationRow> = sms_conversations::table
        .order(sms_conversations::id)
        .select(ConversationRow::as_select())
        .load(conn)
        .await?;
    Ok(rows.into_iter().map(|row| row.try_into().unwrap()).collect())
}

async fn messages(conn: &mut AsyncPgConnection) -> QueryResult<Vec<MessageDetail>> {
    let ids: Vec<Uuid> =
        sms_messages::table.order(sms_messages::id).select(sms_messages::id).load(conn).await?;
    let mut messages = Vec::new();
    for id in ids {
        let key = MessageKey::Id(MessageId(id));
        messages.extend(reading::message(conn, &key).await?);
    }
    Ok(messages)
}

async fn parked_events(conn: &mut AsyncPgConnection) -> QueryResult<Vec<StatusEvent>> {
    let rows: Vec<StatusEventRow> = sms_message_status_events::table
        .filter(sms_message_status_events::message_id.is_null())
        .order(sms_message_status_events::id)
        .select(StatusEventRow::as_select())
        .load(conn)
        .await?;
    Ok(rows.into_iter().map(|row| row.try_into().unwrap()).collect())
}

async fn all_jobs(conn: &mut AsyncPgConnection) -> QueryResult<Vec<JobRecord>> {
    let rows: Vec<JobRecordRow> =
        jobs::table.order(jobs::id).select(JobRecordRow::as_select()).load(conn).await?;
    Ok(rows.into_iter().map(JobRecord::from).collect())
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = jobs, check_for_backend(diesel::pg::Pg))]
struct JobRecordRow {
    id: Uuid,
    kind: String,
    unique_key: String,
    payload: Value,
    state: String,
    run_at: OffsetDateTime,
    attempts: i32,
    failures: i32,
    last_error: Option<String>,
    lease_expires_at: Option<OffsetDateTime>,
    request_id: Option<String>,
    traceparent: Option<String>,
}

impl From<JobRecordRow> for JobRecord {
    fn from(row: JobRecordRow) -> Self {
        Self {
            id: JobId(row.id),
            kind: row.kind,
            unique_key: row.unique_key,
            payload: row.payload,
            state: row.state,
            run_at: row.run_at.into(),
            attempts: row.attempts.try_into().unwrap(),
            failures: row.failures.try_into().unwrap(),
            last_error: row.last_error,
            lease_expires_at: row.lease_expires_at.map(Timestamp::from),
            origin: Origin { request_id: row.request_id, traceparent: row.traceparent },
        }
    }
}
