//! What calls wait for, and in which order, so that no two ever wait for each other:
//! a SID, an idempotency key, a tenant or the reconciliation, then a message, then conversations that
//! are opened (in the order of their addresses), then those that are there, then jobs (in the order
//! of their conversations), then rows of keys. Several SIDs are held in the order of their hashes,
//! several messages or conversations locked in that of their ids. What a call does not need it leaves
//! out; it never goes back.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::conversation::ConversationId;
use domain::idempotency::IdempotencyClaim;
use domain::message::{Message, MessageId};
use domain::ports::MessageKey;
use domain::tenant::TenantId;

use crate::prepared::Prepared;
use crate::rows::MessageRow;
use crate::schema::sms_messages;

diesel::define_sql_function! {
    fn pg_advisory_xact_lock(key: BigInt);
}
diesel::define_sql_function! {
    fn hashtextextended(text: Text, seed: BigInt) -> BigInt;
}

/// Tell apart what is held: the same text means different things.
const OF_SIDS: i64 = 0;
const OF_KEYS: i64 = 1;
const OF_TENANTS: i64 = 2;
const OF_THE_QUEUE: i64 = 3;

/// Waits until no other transaction works on what Twilio calls by these SIDs, then lets none until
/// this one ends.
///
/// A message and a report about it can arrive at the same instant, each in a transaction that does
/// not see the other's row. With this, whoever comes second sees what the first has committed, so
/// that no report stays parked beside its message.
pub(crate) async fn hold_sids(mut conn: &AsyncPgConnection, sids: &[&str]) -> QueryResult<()> {
    let hold = diesel::sql_query(
        "select pg_advisory_xact_lock(key) from ( \
             select distinct hashtextextended(sid, $2) as key from unnest($1) as sids (sid) \
             order by key offset 0 \
         ) as keys",
    )
    .bind::<Array<Text>, _>(sids)
    .bind::<BigInt, _>(OF_SIDS);
    Prepared(hold).execute(&mut conn).await?;
    Ok(())
}

/// The same for requests with that idempotency key, which may have no row yet.
pub(crate) async fn hold_key(
    conn: &AsyncPgConnection,
    claim: &IdempotencyClaim,
) -> QueryResult<()> {
    // Where two keys sound alike, one waits for the other for nothing, and that is all.
    let key = format!("{} {}", claim.caller, claim.stored_key());
    hold(conn, &key, OF_KEYS).await
}

/// The same for what conversations of that tenant take from each other: while one joins, nothing
/// is carried past it.
pub(crate) async fn hold_tenant(conn: &AsyncPgConnection, tenant: &TenantId) -> QueryResult<()> {
    hold(conn, tenant.as_str(), OF_TENANTS).await
}

/// The same for the tenant that a conversation has, which is given; it may have another one when
/// it is locked.
pub(crate) async fn hold_tenant_of(
    mut conn: &AsyncPgConnection,
    conversation: ConversationId,
) -> QueryResult<Option<String>> {
    let select = diesel::sql_query(
        "select tenant_id, pg_advisory_xact_lock(hashtextextended(tenant_id, $2)) \
         from sms_conversations where id = $1",
    )
    .bind::<SqlUuid, _>(conversation.0)
    .bind::<BigInt, _>(OF_TENANTS);
    let held: Option<HeldRow> = Prepared(select).get_result(&mut conn).await.optional()?;
    Ok(held.and_then(|row| row.tenant_id))
}

#[derive(QueryableByName)]
struct HeldRow {
    #[diesel(sql_type = Nullable<Text>)]
    tenant_id: Option<String>,
}

/// The same for whoever writes many lookups in one transaction: two would wait for each other where
/// their conversations come in another order.
pub(crate) async fn hold_reconciliation(conn: &AsyncPgConnection) -> QueryResult<()> {
    hold(conn, "tenant_lookup", OF_THE_QUEUE).await
}

async fn hold(mut conn: &AsyncPgConnection, text: &str, seed: i64) -> QueryResult<()> {
    let key = hashtextextended(text, seed);
    diesel::select(pg_advisory_xact_lock(key)).execute(&mut conn).await?;
    Ok(())
}

/// The message with that id or SID; nobody else changes it until the transaction ends.
pub(crate) async fn lock_message(
    mut conn: &AsyncPgConnection,
    key: &MessageKey,
) -> QueryResult<Option<Message>> {
    let messages = sms_messages::table.select(MessageRow::as_select()).for_no_key_update();
    let found: Option<MessageRow> = match key {
        MessageKey::Id(MessageId(id)) => {
            messages.filter(sms_messages::id.eq(id)).get_result(&mut conn).await
        }
        MessageKey::Sid(sid) => {
            messages.filter(sms_messages::twilio_sid.eq(sid.as_str())).get_result(&mut conn).await
        }
    }
    .optional()?;
    Ok(found.map(Message::try_from).transpose()?)
}
