//! The keys by which a repeated request is known.

use diesel::prelude::*;
use domain::idempotency::Earlier;
use domain::message::MessageId;
use domain::outbound::Outgoing;
use domain::ports::NewOutbound;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::schema::idempotency_keys;

/// A row of `idempotency_keys`.
#[derive(Insertable, AsChangeset, Queryable, Selectable)]
#[diesel(table_name = idempotency_keys, check_for_backend(diesel::pg::Pg))]
#[diesel(primary_key(caller, key))]
#[diesel(treat_none_as_null = true, treat_none_as_default_value = false)]
pub(crate) struct KeyRow {
    caller: String,
    key: String,
    request_hash: String,
    message_id: Uuid,
    created_at: OffsetDateTime,
    answered_at: Option<OffsetDateTime>,
}

impl KeyRow {
    /// The key of a message that nobody was told of yet.
    pub(crate) fn of(new: &NewOutbound) -> Self {
        Self {
            caller: new.idempotency.caller.clone(),
            key: new.idempotency.stored_key(),
            request_hash: new.idempotency.request_hash.clone(),
            message_id: new.id.0,
            created_at: new.accepted_at.into(),
            answered_at: None,
        }
    }

    pub(crate) fn message(&self) -> MessageId {
        MessageId(self.message_id)
    }

    /// What a decision about a repetition needs, with the message that the key led to.
    pub(crate) fn earlier(&self, outgoing: &Outgoing) -> Earlier {
        Earlier {
            request_hash: self.request_hash.clone(),
            created_at: self.created_at.into(),
            answered: self.answered_at.is_some(),
            state: outgoing.state(),
            frees_its_key: outgoing.frees_its_key(),
        }
    }
}
