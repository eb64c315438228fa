//! New messages to us, as a part of a statement.

use std::borrow::Cow;

use diesel::QueryResult;
use diesel::sql_types::{Array, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use domain::message::{Message, RawPayload, TwilioSid};
use time::OffsetDateTime;

use crate::prepared::{Binding, places};
use crate::rows::{column, json_text, raw_text};

/// How many values [`bind`] binds.
pub(super) const VALUES: usize = 12;

/// Writes the messages whose values are [bound](bind) from that place on. What no message to us has
/// is left empty.
pub(super) fn insert(first: usize) -> String {
    let places = places(first, VALUES);
    format!(
        "insert into sms_messages (id, conversation_id, twilio_sid, from_number, to_number, \
             message_content, delivery_status, source, media, raw_webhook_data, created_at, \
             updated_at, direction) \
         select id, conversation_id, twilio_sid, from_number, to_number, message_content, \
             delivery_status, source, media::jsonb, raw::jsonb, created_at, updated_at, 'inbound' \
         from unnest({places}) \
             as new (id, conversation_id, twilio_sid, from_number, to_number, message_content, \
                 delivery_status, source, media, raw, created_at, updated_at)"
    )
}

/// Binds the values of messages, with what came with them.
pub(super) fn bind<'a>(
    statement: Binding<'a>,
    messages: &'a [(Message, Cow<'_, RawPayload>)],
) -> QueryResult<Binding<'a>> {
    let media =
        messages.iter().map(|new| json_text(&new.0.media)).collect::<QueryResult<Vec<_>>>()?;
    let raw = messages.iter().map(|new| raw_text(&new.1)).collect::<QueryResult<Vec<_>>>()?;
    Ok(statement
        .bind::<Array<SqlUuid>, _>(column(messages, |(new, _)| new.id.0))
        .bind::<Array<SqlUuid>, _>(column(messages, |(new, _)| new.conversation.0))
        .bind::<Array<Nullable<Text>>, _>(column(messages, |(new, _)| {
            new.twilio_sid.as_ref().map(TwilioSid::as_str)
        }))
        .bind::<Array<Text>, _>(column(messages, |(new, _)| new.from_number.as_str()))
        .bind::<Array<Text>, _>(column(messages, |(new, _)| new.to_number.as_str()))
        .bind::<Array<Nullable<Text>>, _>(column(messages, |(new, _)| {
            new.content.as_ref().map(domain::text::Text::as_str)
        }))
        .bind::<Array<Text>, _>(column(messages, |(new, _)| new.delivery.status.as_str()))
        .bind::<Array<Text>, _>(column(messages, |(new, _)| new.source.as_str()))
        .bind::<Array<Text>, _>(media)
        .bind::<Array<Nullable<Text>>, _>(raw)
        .bind::<Array<Timestamptz>, _>(column(messages, |(new, _)| {
            OffsetDateTime::from(new.created_at)
        }))
        .bind::<Array<Timestamptz>, _>(column(messages, |(new, _)| {
            OffsetDateTime::from(new.updated_at)
        })))
}
