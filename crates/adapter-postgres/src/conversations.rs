//! The conversation that a message belongs to, as both directions write it.

use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::conversation::Conversation;
use domain::ports::ConversationKey;

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
