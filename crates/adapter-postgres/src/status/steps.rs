//! What reports have made of messages from us, written for all of a group together.

use std::collections::BTreeMap;

use diesel::QueryResult;
use diesel::sql_types::{Array, Int2, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::conversation::ConversationId;
use domain::message::{Message, TwilioSid};
use domain::outbound::{Outgoing, SendError, Step};
use domain::timestamp::Timestamp;
use futures_util::future::try_join_all;
use futures_util::try_join;
use time::OffsetDateTime;

use crate::outgoing;
use crate::prepared::Prepared;
use crate::rows::column;

/// Writes them, each message once.
pub(super) async fn write(conn: &AsyncPgConnection, steps: &[(Outgoing, Step)]) -> QueryResult<()> {
    let (plain, others): (Vec<_>, Vec<_>) =
        steps.iter().partition(|(before, step)| is_plain(before, step));
    let changed: Vec<&Message> = plain
        .iter()
        .filter(|(before, step)| before.message != step.after.message)
        .map(|(_, step)| &step.after.message)
        .collect();
    let touches = Touch::of(&plain);
    let others =
        others.iter().map(|(before, step)| outgoing::write_untold(conn, before, step, None));
    try_join!(
        update_messages(conn, &changed),
        touch_conversations(conn, &touches),
        try_join_all(others),
    )?;
    Ok(())
}

/// Nearly every report moves its message, perhaps its conversation, and nothing else.
fn is_plain(before: &Outgoing, step: &Step) -> bool {
    step.follow_up.is_none() && step.ending.is_none() && before.attempts == step.after.attempts
}

/// All that a rule can change of a message from us: the columns of `OutgoingRow`.
async fn update_messages(mut conn: &AsyncPgConnection, messages: &[&Message]) -> QueryResult<()> {
    if messages.is_empty() {
        return Ok(());
    }
    let sending = || messages.iter().map(|message| message.sending.as_ref());
    let error = || sending().map(|sending| sending?.error.as_ref());
    let update = diesel::sql_query(
        "update sms_messages set twilio_sid = changed.twilio_sid, \
             from_number = changed.from_number, delivery_status = changed.delivery_status, \
             error_code = changed.error_code, error_message = changed.error_message, \
             send_state = changed.send_state, send_error_code = changed.send_error_code, \
             send_error_message = changed.send_error_message, \
             send_expires_at = changed.send_expires_at, status_checks = changed.status_checks, \
             next_check_at = changed.next_check_at, updated_at = changed.updated_at \
         from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) as changed (id, \
             twilio_sid, from_number, delivery_status, error_code, error_message, send_state, \
             send_error_code, send_error_message, send_expires_at, status_checks, next_check_at, \
             updated_at) \
         where sms_messages.id = changed.id",
    )
    .bind::<Array<SqlUuid>, _>(column(messages, |after| after.id.0))
    .bind::<Array<Nullable<Text>>, _>(column(messages, |after| {
        after.twilio_sid.as_ref().map(TwilioSid::as_str)
    }))
    .bind::<Array<Text>, _>(column(messages, |after| after.from_number.as_str()))
    .bind::<Array<Text>, _>(column(messages, |after| after.delivery.status.as_str()))
    .bind::<Array<Nullable<Text>>, _>(column(messages, |after| {
        after.delivery.error_code.as_deref()
    }))
    .bind::<Array<Nullable<Text>>, _>(column(messages, |after| {
        after.delivery.error_message.as_deref()
    }))
    .bind::<Array<Nullable<Text>>, _>(
        sending().map(|sending| Some(sending?.state.as_str())).collect::<Vec<_>>(),
    )
    .bind::<Array<Nullable<Text>>, _>(
        error().map(|error: Option<&SendError>| Some(error?.code.as_str())).collect::<Vec<_>>(),
    )
    .bind::<Array<Nullable<Text>>, _>(
        error().map(|error: Option<&SendError>| error?.message.as_deref()).collect::<Vec<_>>(),
    )
    .bind::<Array<Nullable<Timestamptz>>, _>(
        sending()
            .map(|sending| Some(OffsetDateTime::from(sending?.expires_at)))
            .collect::<Vec<_>>(),
    )
    .bind::<Array<Int2>, _>(
        sending()
            .map(|sending| sending.map_or(0, |sending| i16::from(sending.checks)))
            .collect::<Vec<_>>(),
    )
    .bind::<Array<Nullable<Timestamptz>>, _>(
        sending()
            .map(|sending| sending?.next_check_at.map(OffsetDateTime::from))
            .collect::<Vec<_>>(),
    )
    .bind::<Array<Timestamptz>, _>(column(messages, |after| {
        OffsetDateTime::from(after.updated_at)
    }));
    Prepared(update).execute(&mut conn).await?;
    Ok(())
}

/// That something was sent in a conversation: when, and from which number last.
struct Touch<'a> {
    conversation: ConversationId,
    sent_at: Timestamp,
    our_number: &'a str,
}

impl<'a> Touch<'a> {
    /// One for each conversation.
    fn of(steps: &[&'a (Outgoing, Step)]) -> Vec<Self> {
        let mut touches: BTreeMap<ConversationId, Self> = BTreeMap::new();
        for (_, step) in steps {
            let Some(sent_at) = step.sent_at else { continue };
            let message = &step.after.message;
            let (conversation, our_number) = (message.conversation, message.from_number.as_str());
            let touch = Self { conversation, sent_at, our_number };
            let known = touches.entry(conversation).or_insert(touch);
            known.sent_at = known.sent_at.max(sent_at);
            known.our_number = our_number;
        }
        touches.into_values().collect()
    }
}

async fn touch_conversations(
    mut conn: &AsyncPgConnection,
    touches: &[Touch<'_>],
) -> QueryResult<()> {
    if touches.is_empty() {
        return Ok(());
    }
    let update = diesel::sql_query(
        "update sms_conversations set \
             last_message_at = greatest(last_message_at, touch.sent_at), \
             updated_at = greatest(updated_at, touch.sent_at), our_number = touch.our_number \
         from unnest($1, $2, $3) as touch (conversation_id, sent_at, our_number) \
         where sms_conversations.id = touch.conversation_id",
    )
    .bind::<Array<SqlUuid>, _>(column(touches, |touch| touch.conversation.0))
    .bind::<Array<Timestamptz>, _>(column(touches, |touch| OffsetDateTime::from(touch.sent_at)))
    .bind::<Array<Text>, _>(column(touches, |touch| touch.our_number));
    Prepared(update).execute(&mut conn).await?;
    Ok(())
}
