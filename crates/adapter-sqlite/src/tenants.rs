//! Which tenant a conversation belongs to, and the language that it shares with others of them.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Text};
use diesel::sqlite::Sqlite;
use domain::conversation::{Conversation, ConversationId};
use domain::event::NewEvent;
use domain::job::{Job, JobId, NewJob};
use domain::language::Language;
use domain::origin::Origin;
use domain::ports::{
    Carried, ConversationKey, LanguageTaken, LookupKept, LookupResult, Reconciliation,
};
use domain::tenant::TenantId;
use domain::timestamp::Timestamp;

use crate::failure::Failure;
use crate::prepared::Prepared;
use crate::rows::{ConversationRow, uuid};
use crate::schema::sms_conversations;
use crate::{feed, hooks, jobs, reading, writing};

/// In the words of the indexes, which SQLite compares.
const UNKNOWN: &str = "
    select id from sms_conversations
    where tenant_id is null and coalesce(tenant_checked_at, created_at) < ?1
        and not exists (
            select 1 from jobs
            where unique_key = 'tenant_lookup:' || sms_conversations.id and state <> 'done'
        )
    order by coalesce(tenant_checked_at, created_at), id
    limit ?2";

#[derive(QueryableByName)]
struct Unknown {
    #[diesel(sql_type = Text)]
    id: String,
}

/// Keeps what a lookup said; `None` where there is no such conversation.
pub(crate) fn record_lookup(
    conn: &mut SqliteConnection,
    found: &LookupResult,
) -> Result<Option<LookupKept>, Failure> {
    let key = ConversationKey::Id(found.conversation);
    let Some(before) = reading::conversation(conn, &key)? else {
        return Ok(None);
    };
    let mut after = before.looked_up(found);
    if after.tenant_id != before.tenant_id
        && let Some(other) = latest_known(conn, &after)?
    {
        after = after.joined(&other, found.at);
    }
    writing::revise(conn, &after)?;
    if let Some(news) = after.language_news(found.language_job, found.at, &found.origin) {
        jobs::enqueue(conn, &news)?;
    }
    feed::record(conn, &NewEvent::of_conversation(&before, &after, found.at))?;
    hooks::release_waiting(conn, found.conversation, found.at)?;
    let taken = LanguageTaken::between(&before, &after);
    Ok(Some(LookupKept { before: before.tenant_id, after: after.tenant_id, taken }))
}

/// Writes lookups that are due again, the longest waiting first; gives how many.
pub(crate) fn reconcile(conn: &mut SqliteConnection, due: &Reconciliation) -> Result<u64, Failure> {
    let limit = i64::try_from(due.jobs.len()).unwrap_or(i64::MAX);
    let unknown = sql_query(UNKNOWN)
        .bind::<Text, _>(due.looked_up_before.to_string())
        .bind::<BigInt, _>(limit);
    let unknown: Vec<Unknown> = Prepared(unknown).load(conn)?;
    for (row, id) in unknown.iter().zip(&due.jobs) {
        jobs::enqueue(conn, &lookup(row, *id, due.at)?)?;
    }
    Ok(u64::try_from(unknown.len()).unwrap_or(u64::MAX))
}

fn lookup(row: &Unknown, id: JobId, at: Timestamp) -> Result<NewJob, Failure> {
    let conversation = ConversationId(uuid(&row.id)?);
    let job = Job::TenantLookup { conversation };
    Ok(NewJob { id, job, run_at: at, origin: Origin::default() })
}

/// Carries a conversation's language to the others of its tenant; `None` where there is no such
/// conversation.
pub(crate) fn carry_language(
    conn: &mut SqliteConnection,
    conversation: ConversationId,
    at: Timestamp,
) -> Result<Option<Carried>, Failure> {
    let key = ConversationKey::Id(conversation);
    let Some(conversation) = reading::conversation(conn, &key)? else {
        return Ok(None);
    };
    let mut taken = Vec::new();
    for other in others(conn, &conversation)? {
        let after = other.beside(&conversation, at);
        if let Some(change) = LanguageTaken::between(&other, &after) {
            writing::revise(conn, &after)?;
            feed::record(conn, &NewEvent::of_conversation(&other, &after, at))?;
            taken.push(change);
        }
    }
    Ok(Some(Carried { conversation, taken }))
}

/// Remembers what the tenant's profile was told, while the conversation is still that tenant's.
pub(crate) fn mark_told(
    conn: &mut SqliteConnection,
    conversation: ConversationId,
    tenant: &TenantId,
    language: Language,
) -> Result<Option<Conversation>, Failure> {
    let known = reading::conversation(conn, &ConversationKey::Id(conversation))?;
    let Some(known) = known.filter(|known| known.tenant_id.as_ref() == Some(tenant)) else {
        return Ok(None);
    };
    let theirs = sms_conversations::table.filter(sms_conversations::tenant_id.eq(tenant.as_str()));
    let update = diesel::update(theirs).set(sms_conversations::told_language.eq(language.as_str()));
    Prepared(update).execute(conn)?;
    Ok(Some(Conversation { told_language: Some(language), ..known }))
}

/// The other conversation of its tenant that was active last, of those whose language is known.
fn latest_known(
    conn: &mut SqliteConnection,
    of: &Conversation,
) -> Result<Option<Conversation>, Failure> {
    let Some(tenant) = &of.tenant_id else {
        return Ok(None);
    };
    let known = sms_conversations::language_detected.ne(Language::Unknown.as_str());
    let others = others_of(tenant, of.id).filter(known);
    let row: Option<ConversationRow> = others.first(conn).optional()?;
    row.map(Conversation::try_from).transpose()
}

/// The other conversations of its tenant, the latest active first.
fn others(conn: &mut SqliteConnection, of: &Conversation) -> Result<Vec<Conversation>, Failure> {
    let Some(tenant) = &of.tenant_id else {
        return Ok(Vec::new());
    };
    let rows: Vec<ConversationRow> = others_of(tenant, of.id).load(conn)?;
    rows.into_iter().map(Conversation::try_from).collect()
}

#[diesel::dsl::auto_type(no_type_alias)]
fn others_of(tenant: &TenantId, id: ConversationId) -> _ {
    let (tenant, id): (String, String) = (tenant.to_string(), id.to_string());
    let row: diesel::dsl::AsSelect<ConversationRow, Sqlite> = ConversationRow::as_select();
    sms_conversations::table
        .filter(sms_conversations::tenant_id.eq(tenant))
        .filter(sms_conversations::id.ne(id))
        .order((sms_conversations::last_activity_at.desc(), sms_conversations::id.desc()))
        .select(row)
}

#[cfg(test)]
mod tests {
    use domain::testing::fixture::uuid;

    use super::*;
    use crate::plans::{Tables, plan};

    #[test]
    fn the_longest_waiting_are_read_in_the_order_of_an_index() {
        let plan = plan(UNKNOWN);
        for index in ["sms_conversations_unknown", "jobs_unfinished"] {
            assert!(plan.contains(index), "{plan}");
        }
        assert!(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{plan}");
    }

    #[test]
    fn the_others_of_a_tenant_are_read_in_the_order_of_an_index() {
        let tenant = TenantId::parse("T_1").unwrap();
        let plan = Tables::empty().plan_of(&others_of(&tenant, ConversationId(uuid(1))));
        assert!(plan.contains("SEARCH") && plan.contains("sms_conversations_of_tenant"), "{plan}");
        assert_eq!(plan.lines().count(), 1, "{plan}");
    }
}
