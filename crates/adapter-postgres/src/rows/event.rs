//! Events.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, Text as SqlText, Timestamptz, Uuid as SqlUuid};
use domain::conversation::ConversationId;
use domain::delivery::DeliveryStatus;
use domain::event::{Event, EventCursor, EventKind, EventMessage, EventUuid};
use domain::language::Language;
use domain::message::{Message, MessageId};
use domain::tenant::TenantId;
use domain::text::Text;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{UnreadableRow, direction};

/// A row of `sms_events`, with what its conversation is now.
#[derive(QueryableByName)]
pub(crate) struct EventRow {
    #[diesel(sql_type = BigInt)]
    pub(crate) transaction: i64,
    #[diesel(sql_type = BigInt)]
    pub(crate) place: i64,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = SqlText)]
    #[diesel(column_name = "type")]
    kind: String,
    #[diesel(sql_type = SqlUuid)]
    conversation_id: Uuid,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    message_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<SqlText>)]
    direction: Option<String>,
    #[diesel(sql_type = Nullable<SqlText>)]
    delivery_status: Option<String>,
    #[diesel(sql_type = Nullable<SqlText>)]
    error_code: Option<String>,
    #[diesel(sql_type = Nullable<SqlText>)]
    tenant_id: Option<String>,
    #[diesel(sql_type = Nullable<SqlText>)]
    workflow_type: Option<String>,
    #[diesel(sql_type = Nullable<SqlText>)]
    workflow_id: Option<String>,
    #[diesel(sql_type = SqlText)]
    language_detected: String,
    #[diesel(sql_type = Nullable<SqlText>)]
    previous: Option<String>,
    #[diesel(sql_type = Timestamptz)]
    created_at: OffsetDateTime,
    #[diesel(sql_type = SqlText)]
    phone_number_canonical: String,
    #[diesel(sql_type = Nullable<SqlText>)]
    tenant_now: Option<String>,
    #[diesel(sql_type = Bool)]
    pub(crate) was_looked_up: bool,
}

impl EventRow {
    /// The message that it is about.
    pub(crate) fn message(&self) -> Option<Uuid> {
        self.message_id
    }

    /// The conversation's tenant now.
    pub(crate) fn tenant_now(&self) -> Result<Option<TenantId>, UnreadableRow> {
        tenant(self.tenant_now.as_deref())
    }

    /// The event, about that message.
    pub(crate) fn event(self, content: Option<Message>) -> Result<Event, UnreadableRow> {
        let message = self.kept()?;
        Ok(Event {
            cursor: EventCursor { transaction: self.transaction, place: self.place },
            id: EventUuid(self.id),
            kind: event_kind(&self.kind)?,
            at: self.created_at.into(),
            conversation: ConversationId(self.conversation_id),
            tenant_id: tenant(self.tenant_id.as_deref())?,
            phone_number_canonical: Text::new(self.phone_number_canonical),
            workflow_type: self.workflow_type,
            workflow_id: self.workflow_id,
            language: Language::from_word(&self.language_detected)
                .ok_or(UnreadableRow("language_detected"))?,
            message,
            content,
            previous: self.previous,
        })
    }

    fn kept(&self) -> Result<Option<EventMessage>, UnreadableRow> {
        let (Some(id), Some(way), Some(status)) =
            (self.message_id, &self.direction, &self.delivery_status)
        else {
            return Ok(None);
        };
        let status = DeliveryStatus::from_word(status).ok_or(UnreadableRow("delivery_status"))?;
        Ok(Some(EventMessage {
            id: MessageId(id),
            direction: direction(way)?,
            status,
            error_code: self.error_code.clone(),
        }))
    }
}

/// The word in a column `type` or `events`.
pub(crate) fn event_kind(word: &str) -> Result<EventKind, UnreadableRow> {
    EventKind::from_word(word).ok_or(UnreadableRow("type"))
}

fn tenant(text: Option<&str>) -> Result<Option<TenantId>, UnreadableRow> {
    text.map(TenantId::parse).transpose().map_err(|_| UnreadableRow("tenant_id"))
}
