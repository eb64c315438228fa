//! A conversation, as whatever happens in it writes it.

use diesel::prelude::*;
use diesel::sql_types::{Array, Float4, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use domain::conversation::{Conversation, ConversationId};
use domain::ports::{Annotated, Annotation, ConversationKey};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::prepared::{Binding, Prepared, places};
use crate::rows::{ConversationRow, column, json_text};
use crate::schema::sms_conversations;

/// Writes it where there is none with its address.
pub(crate) async fn open(mut conn: &AsyncPgConnection, opened: &Conversation) -> QueryResult<()> {
    diesel::insert_into(sms_conversations::table)
        .values(ConversationRow::of(opened)?)
        .on_conflict_do_nothing()
        .execute(&mut conn)
        .await?;
    Ok(())
}

/// Writes those that have an address which no conversation has, each unless the message that would
/// open it is there already: `sids` has one for each. Of several with one address the first counts.
pub(crate) async fn open_unless_known(
    mut conn: &AsyncPgConnection,
    opened: &[Conversation],
    sids: &[&str],
) -> QueryResult<()> {
    let languages = opened.iter().map(LanguageColumns::of).collect::<QueryResult<Vec<_>>>()?;
    let insert = diesel::sql_query(
        "insert into sms_conversations (id, phone_number_canonical, phone_number_original, \
             language_detected, language_confidence, language_evidence, created_at, updated_at) \
         select distinct on (canonical) id, canonical, original, detected, confidence, \
             evidence::jsonb, created_at, created_at \
         from unnest($1, $2, $3, $4, $5, $6, $7, $8) with ordinality \
             as new (id, canonical, original, detected, confidence, evidence, created_at, sid, nth) \
         where not exists (select from sms_messages where twilio_sid = sid) \
         order by canonical, nth \
         on conflict (phone_number_canonical) do nothing",
    )
    .bind::<Array<SqlUuid>, _>(column(opened, |new| new.id.0))
    .bind::<Array<Text>, _>(column(opened, |new| new.phone_number_canonical.as_str()))
    .bind::<Array<Text>, _>(column(opened, |new| new.phone_number_original.as_str()))
    .bind::<Array<Text>, _>(column(&languages, |language| language.detected))
    .bind::<Array<Float4>, _>(column(&languages, |language| language.confidence))
    .bind::<Array<Text>, _>(column(&languages, |language| language.evidence.as_str()))
    .bind::<Array<Timestamptz>, _>(column(opened, |new| OffsetDateTime::from(new.created_at)))
    .bind::<Array<Text>, _>(sids);
    Prepared(insert).execute(&mut conn).await?;
    Ok(())
}

/// Waits until nobody else changes these; then nobody does until the transaction ends.
pub(crate) async fn hold(
    mut conn: &AsyncPgConnection,
    conversations: &[ConversationId],
) -> QueryResult<()> {
    // One cannot come in the wrong order.
    if conversations.len() < 2 {
        return Ok(());
    }
    let hold = sms_conversations::table
        .filter(sms_conversations::id.eq_any(column(conversations, |id| id.0)))
        .order(sms_conversations::id)
        .select(sms_conversations::id)
        .for_no_key_update();
    let _: Vec<Uuid> = Prepared(hold).load(&mut conn).await?;
    Ok(())
}

/// How many values [`bind_after_texts`] binds.
pub(crate) const VALUES_AFTER_TEXTS: usize = 7;

/// The part of a statement that writes what texts to us have made of conversations, which are
/// locked and whose values are [bound](bind_after_texts) from that place on.
pub(crate) fn update_after_texts(first: usize) -> String {
    let places = places(first, VALUES_AFTER_TEXTS);
    format!(
        "update sms_conversations set language_detected = detected, \
             language_confidence = confidence, language_evidence = evidence::jsonb, \
             our_number = changed.our_number, last_message_at = changed.last_message_at, \
             updated_at = changed.updated_at \
         from unnest({places}) as changed (id, detected, confidence, evidence, \
             our_number, last_message_at, updated_at) \
         where sms_conversations.id = changed.id"
    )
}

/// Binds what texts to us have made of these.
pub(crate) fn bind_after_texts<'a>(
    statement: Binding<'a>,
    conversations: &'a [Conversation],
) -> QueryResult<Binding<'a>> {
    let evidence = conversations.iter().map(|known| json_text(&known.language.evidence));
    let evidence = evidence.collect::<QueryResult<Vec<_>>>()?;
    let language = |known: &Conversation| known.language.language.as_str();
    let confidence = |known: &Conversation| known.language.confidence.fraction();
    Ok(statement
        .bind::<Array<SqlUuid>, _>(column(conversations, |known| known.id.0))
        .bind::<Array<Text>, _>(column(conversations, language))
        .bind::<Array<Float4>, _>(column(conversations, confidence))
        .bind::<Array<Text>, _>(evidence)
        .bind::<Array<Nullable<Text>>, _>(column(conversations, |known| {
            known.our_number.as_ref().map(domain::text::Text::as_str)
        }))
        .bind::<Array<Nullable<Timestamptz>>, _>(column(conversations, |known| {
            known.last_message_at.map(OffsetDateTime::from)
        }))
        .bind::<Array<Timestamptz>, _>(column(conversations, |known| {
            OffsetDateTime::from(known.updated_at)
        })))
}

/// The columns of a conversation's language, as elements of arrays.
struct LanguageColumns {
    detected: &'static str,
    confidence: f32,
    evidence: String,
}

impl LanguageColumns {
    fn of(conversation: &Conversation) -> QueryResult<Self> {
        let preference = &conversation.language;
        Ok(Self {
            detected: preference.language.as_str(),
            confidence: preference.confidence.fraction(),
            evidence: json_text(&preference.evidence)?,
        })
    }
}

/// The conversation with that address or id; nobody else changes it until the transaction ends.
pub(crate) async fn lock(
    mut conn: &AsyncPgConnection,
    key: &ConversationKey,
) -> QueryResult<Option<Conversation>> {
    let conversations =
        sms_conversations::table.select(ConversationRow::as_select()).for_no_key_update();
    let found: Option<ConversationRow> = match key {
        ConversationKey::Id(id) => {
            conversations.filter(sms_conversations::id.eq(id.0)).get_result(&mut conn).await
        }
        ConversationKey::Address(address) => {
            conversations
                .filter(sms_conversations::phone_number_canonical.eq(address.canonical()))
                .get_result(&mut conn)
                .await
        }
    }
    .optional()?;
    Ok(found.map(Conversation::try_from).transpose()?)
}

/// Whoever writes a job to a lane of the conversation has it locked, so that a place that is given
/// later is seen later too: no job runs beside one that comes before it.
pub(crate) async fn hold_lane(conn: &AsyncPgConnection, id: ConversationId) -> QueryResult<()> {
    lock(conn, &ConversationKey::Id(id)).await?;
    Ok(())
}

/// Writes what has become of it.
pub(crate) async fn update(
    mut conn: &AsyncPgConnection,
    conversation: &Conversation,
) -> QueryResult<()> {
    let row = ConversationRow::of(conversation)?;
    let update = diesel::update(sms_conversations::table.find(conversation.id.0)).set(row);
    Prepared(update).execute(&mut conn).await?;
    Ok(())
}

/// Changes what the callers run in it.
pub(crate) async fn annotate(
    conn: &mut AsyncPgConnection,
    change: &Annotation,
) -> QueryResult<Annotated> {
    conn.transaction(async |conn| {
        let conn = &*conn;
        let Some(known) = lock(conn, &change.key).await? else {
            return Ok(Annotated::NotFound);
        };
        let Some(changed) = known.annotated(change) else {
            return Ok(Annotated::Outdated(Box::new(known)));
        };
        if changed != known {
            update(conn, &changed).await?;
        }
        Ok(Annotated::Done(Box::new(changed)))
    })
    .await
}
