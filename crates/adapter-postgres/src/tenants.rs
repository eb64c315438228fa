//! Whom a conversation belongs to, and what the conversations of one tenant take from each other.

use std::cmp::Reverse;

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::result::Error as QueryError;
use diesel::sql_types::{Bool, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use domain::conversation::{Conversation, ConversationId};
use domain::event::NewEvent;
use domain::language::Language;
use domain::ports::{Carried, ConversationKey, LanguageTaken, LookupKept, LookupResult};
use domain::tenant::TenantId;
use domain::timestamp::Timestamp;
use futures_util::future::try_join_all;
use futures_util::try_join;

use crate::locks::{hold_tenant, hold_tenant_of};
use crate::prepared::{Prepared, Rows};
use crate::rows::{ConversationColumns, ConversationRow, read_conversations};
use crate::schema::sms_conversations;
use crate::{conversations, feed, hooks, jobs};

/// Keeps what a lookup said of a conversation's number.
pub(crate) async fn record_lookup(
    conn: &mut AsyncPgConnection,
    found: &LookupResult,
) -> QueryResult<Option<LookupKept>> {
    let key = ConversationKey::Id(found.conversation);
    conn.transaction(async |conn| {
        let conn = &*conn;
        let ((), before, other) = try_join!(
            hold_named(conn, found),
            conversations::lock(conn, &key),
            latest_known(conn, found),
        )?;
        let Some(before) = before else {
            return Ok(None);
        };
        let after = before.looked_up(found);
        let joined = other.filter(|_| after.tenant_id != before.tenant_id);
        let after = joined.map_or_else(|| after.clone(), |other| after.joined(&other, found.at));
        let news = after.language_news(found.language_job, found.at, &found.origin);
        let events = NewEvent::of_conversation(&before, &after, found.at);
        try_join!(
            conversations::update(conn, &after),
            jobs::enqueue(conn, news.as_slice()),
            feed::record(conn, &events),
            hooks::release_waiting(conn, found.conversation, found.at),
        )?;
        let taken = LanguageTaken::between(&before, &after);
        Ok(Some(LookupKept { before: before.tenant_id, after: after.tenant_id, taken }))
    })
    .await
}

async fn hold_named(conn: &AsyncPgConnection, found: &LookupResult) -> QueryResult<()> {
    match &found.tenant {
        Some(tenant) => hold_tenant(conn, tenant).await,
        None => Ok(()),
    }
}

/// The other conversation of the tenant that was named that was active last, of those whose language
/// is known. It is not locked: what changes in it now is carried on by itself.
async fn latest_known(
    mut conn: &AsyncPgConnection,
    found: &LookupResult,
) -> QueryResult<Option<Conversation>> {
    use sms_conversations::dsl;
    let Some(tenant) = &found.tenant else {
        return Ok(None);
    };
    let latest: Option<ConversationRow> = dsl::sms_conversations
        .filter(dsl::tenant_id.eq(tenant.as_str()))
        .filter(dsl::id.ne(found.conversation.0))
        .filter(dsl::language_detected.ne(Language::Unknown.as_str()))
        .order((dsl::last_activity_at.desc(), dsl::id.desc()))
        .select(ConversationRow::as_select())
        .first(&mut conn)
        .await
        .optional()?;
    Ok(latest.map(Conversation::try_from).transpose()?)
}

/// Carries a conversation's language to the others of its tenant.
pub(crate) async fn carry_language(
    conn: &mut AsyncPgConnection,
    conversation: ConversationId,
    at: Timestamp,
) -> QueryResult<Option<Carried>> {
    loop {
        match carry(conn, conversation, at).await {
            // It got another tenant while we waited: others are to be locked.
            Err(QueryError::RollbackTransaction) => {}
            carried => return carried,
        }
    }
}

/// `RollbackTransaction` where the tenant that is held is not the conversation's any more.
async fn carry(
    conn: &mut AsyncPgConnection,
    conversation: ConversationId,
    at: Timestamp,
) -> QueryResult<Option<Carried>> {
    conn.transaction(async |conn| {
        let conn = &*conn;
        let (held, locked) =
            try_join!(hold_tenant_of(conn, conversation), lock_family(conn, conversation))?;
        let (known, mut others): (Vec<_>, Vec<_>) =
            locked.into_iter().partition(|locked| locked.id == conversation);
        others.sort_by_key(|other| Reverse((other.last_activity_at(), other.id)));
        let Some(known) = known.into_iter().next() else {
            return Ok(None);
        };
        if known.tenant_id.as_ref().map(TenantId::as_str) != held.as_deref() {
            return Err(QueryError::RollbackTransaction);
        }
        // One that left the tenant in that moment is none of the others.
        let others = others.iter().filter(|other| other.tenant_id == known.tenant_id);
        let carried = others.map(|other| (other, other.beside(&known, at)));
        let changed: Vec<_> = carried.filter(|(other, after)| *other != after).collect();
        let events: Vec<_> = changed
            .iter()
            .flat_map(|(other, after)| NewEvent::of_conversation(other, after, at))
            .collect();
        let updates = changed.iter().map(|(_, after)| conversations::update(conn, after));
        try_join!(try_join_all(updates), feed::record(conn, &events))?;
        let taken =
            changed.iter().filter_map(|(other, after)| LanguageTaken::between(other, after));
        Ok(Some(Carried { taken: taken.collect(), conversation: known }))
    })
    .await
}

async fn lock_family(
    mut conn: &AsyncPgConnection,
    conversation: ConversationId,
) -> QueryResult<Vec<Conversation>> {
    let rows: Vec<ConversationRow> = family(conversation).load(&mut conn).await?;
    read_conversations(rows)
}

/// The conversation and the others of its tenant, locked in the order of their ids.
pub(crate) fn family(
    ConversationId(id): ConversationId,
) -> Prepared<impl Rows<ConversationColumns>> {
    let of_tenant = sql::<Bool>("id = ")
        .bind::<SqlUuid, _>(id)
        .sql(" or tenant_id = (select tenant_id from sms_conversations where id = ")
        .bind::<SqlUuid, _>(id)
        .sql(")");
    let rows = sms_conversations::table
        .filter(of_tenant)
        .order(sms_conversations::id)
        .select(ConversationRow::as_select())
        .for_no_key_update();
    Prepared(rows)
}

/// Remembers what the tenant's profile was told, while the conversation is still that tenant's.
pub(crate) async fn mark_language_told(
    conn: &mut AsyncPgConnection,
    conversation: ConversationId,
    tenant: &TenantId,
    language: Language,
) -> QueryResult<Option<Conversation>> {
    conn.transaction(async |conn| {
        let conn = &*conn;
        // One conversation after the other in the order of their ids, before any is written.
        let ((), family) = try_join!(hold_tenant(conn, tenant), lock_family(conn, conversation))?;
        let known = family.into_iter().find(|known| known.id == conversation);
        let Some(known) = known.filter(|known| known.tenant_id.as_ref() == Some(tenant)) else {
            return Ok(None);
        };
        set_told(conn, tenant, language).await?;
        Ok(Some(Conversation { told_language: Some(language), ..known }))
    })
    .await
}

async fn set_told(
    mut conn: &AsyncPgConnection,
    tenant: &TenantId,
    language: Language,
) -> QueryResult<()> {
    let theirs = sms_conversations::table.filter(sms_conversations::tenant_id.eq(tenant.as_str()));
    let update = diesel::update(theirs).set(sms_conversations::told_language.eq(language.as_str()));
    Prepared(update).execute(&mut conn).await?;
    Ok(())
}
