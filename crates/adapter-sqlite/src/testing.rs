//! Looking into the store, and putting things there that no use case makes yet.

#![expect(clippy::unwrap_used, reason = "for tests only: to panic is to fail")]

use async_trait::async_trait;
use diesel::prelude::*;
use domain::conversation::{Conversation, ConversationId};
use domain::job::JobState;
use domain::message::{Message, MessageDetail, MessageId, RawPayload, StatusEvent};
use domain::ports::MessageKey;
use domain::tenant::TenantId;
use domain::testing::{Everything, Inspect, JobRecord};

use crate::failure::Failure;
use crate::rows::{ConversationRow, EventRow, JobRow, time, uuid};
use crate::schema::{jobs, sms_conversations, sms_message_status_events, sms_messages};
use crate::{SqliteStore, reading, writing};

#[async_trait]
impl Inspect for SqliteStore {
    async fn everything(&self) -> Everything {
        self.read(everything).await.unwrap()
    }

    async fn plant_message(&self, message: &Message) {
        let message = message.clone();
        let plant = move |conn: &mut SqliteConnection| {
            writing::message(conn, &message, &RawPayload::default())
        };
        self.write(plant).await.unwrap();
    }

    async fn plant_tenant(&self, conversation: ConversationId, tenant: &TenantId) {
        let tenant = tenant.to_string();
        let plant = move |conn: &mut SqliteConnection| {
            diesel::update(sms_conversations::table.find(conversation.to_string()))
                .set(sms_conversations::tenant_id.eq(tenant))
                .execute(conn)?;
            Ok(())
        };
        self.write(plant).await.unwrap();
    }

    async fn finish_jobs(&self) {
        let finish = |conn: &mut SqliteConnection| {
            diesel::update(jobs::table)
                .set(jobs::state.eq(JobState::Done.as_str()))
                .execute(conn)?;
            Ok(())
        };
        self.write(finish).await.unwrap();
    }
}

fn everything(conn: &mut SqliteConnection) -> Result<Everything, Failure> {
    Ok(Everything {
        conversations: conversations(conn)?,
        messages: messages(conn)?,
        parked_events: parked_events(conn)?,
        jobs: job_records(conn)?,
    })
}

fn conversations(conn: &mut SqliteConnection) -> Result<Vec<Conversation>, Failure> {
    let rows: Vec<ConversationRow> = sms_conversations::table
        .order(sms_conversations::id)
        .select(ConversationRow::as_select())
        .load(conn)?;
    rows.into_iter().map(Conversation::try_from).collect()
}

fn messages(conn: &mut SqliteConnection) -> Result<Vec<MessageDetail>, Failure> {
    let ids: Vec<String> =
        sms_messages::table.order(sms_messages::id).select(sms_messages::id).load(conn)?;
    let mut details = Vec::new();
    for id in ids {
        let key = MessageKey::Id(MessageId(uuid(&id)?));
        details.extend(reading::detail(conn, &key)?);
    }
    Ok(details)
}

fn parked_events(conn: &mut SqliteConnection) -> Result<Vec<StatusEvent>, Failure> {
    let rows: Vec<EventRow> = sms_message_status_events::table
        .filter(sms_message_status_events::message_id.is_null())
        .order(sms_message_status_events::id)
        .select(EventRow::as_select())
        .load(conn)?;
    rows.into_iter().map(StatusEvent::try_from).collect()
}

fn job_records(conn: &mut SqliteConnection) -> Result<Vec<JobRecord>, Failure> {
    let rows: Vec<JobRow> = jobs::table.order(jobs::id).select(JobRow::as_select()).load(conn)?;
    rows.into_iter().map(job_record).collect()
}

fn job_record(row: JobRow) -> Result<JobRecord, Failure> {
    Ok(JobRecord {
        id: row.id()?,
        attempts: row.attempts()?,
        failures: row.failures()?,
        payload: serde_json::from_str(&row.payload).map_err(|_| Failure::Unreadable("payload"))?,
        run_at: time(&row.run_at)?,
        lease_expires_at: row.lease_expires_at.as_deref().map(time).transpose()?,
        origin: row.origin(),
        kind: row.kind,
        unique_key: row.unique_key,
        state: row.state,
        last_error: row.last_error,
    })
}
