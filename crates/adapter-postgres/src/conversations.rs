//! A conversation, as whatever happens in it writes it.

use diesel::prelude::*;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use domain::conversation::{Conversation, ConversationId};
use domain::ports::{Annotated, Annotation, ConversationKey};

use crate::prepared::Prepared;
use crate::rows::ConversationRow;
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
