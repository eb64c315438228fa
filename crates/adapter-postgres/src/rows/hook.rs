//! What subscribers are to be told.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Int4, Nullable, Text as SqlText, Timestamptz, Uuid as SqlUuid};
use domain::conversation::ConversationId;
use domain::event::{EventCursor, EventUuid};
use domain::hook::HookState;
use domain::message::MessageId;
use domain::ports::HookView;
use domain::timestamp::Timestamp;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{UnreadableRow, count, event_kind};

/// What may be claimed.
#[derive(QueryableByName)]
pub(crate) struct DueHookRow {
    #[diesel(sql_type = SqlUuid)]
    pub(crate) subscription_id: Uuid,
    #[diesel(sql_type = BigInt)]
    pub(crate) transaction: i64,
    #[diesel(sql_type = BigInt)]
    pub(crate) place: i64,
    #[diesel(sql_type = SqlText)]
    state: String,
    #[diesel(sql_type = Int4)]
    attempts: i32,
    #[diesel(sql_type = Int4)]
    failures: i32,
    #[diesel(sql_type = Timestamptz)]
    since: OffsetDateTime,
    #[diesel(sql_type = Timestamptz)]
    run_at: OffsetDateTime,
}

impl DueHookRow {
    /// Which comes first.
    pub(crate) fn turn(&self) -> (OffsetDateTime, i64) {
        (self.run_at, self.place)
    }

    pub(crate) fn cursor(&self) -> EventCursor {
        EventCursor { transaction: self.transaction, place: self.place }
    }

    /// Whether an earlier claim of it was never ended.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.state == HookState::Running.as_str()
    }

    /// The attempt that a claim of it is.
    pub(crate) fn next_attempt(&self) -> Result<u32, UnreadableRow> {
        count::<u32>("attempts", self.attempts).map(|attempts| attempts.saturating_add(1))
    }

    pub(crate) fn failures(&self) -> Result<u32, UnreadableRow> {
        count("failures", self.failures)
    }

    pub(crate) fn since(&self) -> Timestamp {
        self.since.into()
    }
}

/// What an operator sees of it.
#[derive(QueryableByName)]
pub(crate) struct HookViewRow {
    #[diesel(sql_type = BigInt)]
    transaction: i64,
    #[diesel(sql_type = BigInt)]
    place: i64,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = SqlText)]
    #[diesel(column_name = "type")]
    kind: String,
    #[diesel(sql_type = SqlUuid)]
    conversation_id: Uuid,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    message_id: Option<Uuid>,
    #[diesel(sql_type = SqlText)]
    state: String,
    #[diesel(sql_type = Int4)]
    attempts: i32,
    #[diesel(sql_type = Nullable<Int4>)]
    status_code: Option<i32>,
    #[diesel(sql_type = Nullable<SqlText>)]
    last_error: Option<String>,
    #[diesel(sql_type = Timestamptz)]
    run_at: OffsetDateTime,
    #[diesel(sql_type = Timestamptz)]
    created_at: OffsetDateTime,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    finished_at: Option<OffsetDateTime>,
}

impl TryFrom<HookViewRow> for HookView {
    type Error = UnreadableRow;

    fn try_from(row: HookViewRow) -> Result<Self, UnreadableRow> {
        let status_code = row.status_code.map(|code| count("status_code", code));
        Ok(Self {
            cursor: EventCursor { transaction: row.transaction, place: row.place },
            event: EventUuid(row.id),
            kind: event_kind(&row.kind)?,
            conversation: ConversationId(row.conversation_id),
            message: row.message_id.map(MessageId),
            state: HookState::from_word(&row.state).ok_or(UnreadableRow("state"))?,
            attempts: count("attempts", row.attempts)?,
            status_code: status_code.transpose()?,
            last_error: row.last_error,
            run_at: row.run_at.into(),
            created_at: row.created_at.into(),
            finished_at: row.finished_at.map(Timestamp::from),
        })
    }
}
