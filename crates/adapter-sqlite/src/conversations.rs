//! Pages of conversations, and what the callers run in them.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use diesel::sqlite::Sqlite;
use domain::conversation::Conversation;
use domain::ports::{
    Annotated, Annotation, ConversationCursor, ConversationPage, ConversationQuery,
};

use crate::failure::Failure;
use crate::rows::ConversationRow;
use crate::schema::sms_conversations;
use crate::{reading, writing};

/// A page of conversations, the latest active first. One more than it holds tells whether another
/// page follows.
pub(crate) fn list(
    conn: &mut SqliteConnection,
    query: &ConversationQuery,
) -> Result<ConversationPage, Failure> {
    let rows: Vec<ConversationRow> = page(query).load(conn)?;
    let conversations = rows.into_iter().map(Conversation::try_from);
    let mut conversations = conversations.collect::<Result<Vec<_>, _>>()?;
    let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let more = conversations.len() > limit;
    conversations.truncate(limit);
    let next = conversations.last().map(place).filter(|_| more);
    Ok(ConversationPage { conversations, next })
}

/// Changes what the callers run in a conversation.
pub(crate) fn annotate(
    conn: &mut SqliteConnection,
    change: &Annotation,
) -> Result<Annotated, Failure> {
    let Some(known) = reading::conversation(conn, &change.key)? else {
        return Ok(Annotated::NotFound);
    };
    let Some(changed) = known.annotated(change) else {
        return Ok(Annotated::Outdated(Box::new(known)));
    };
    if changed != known {
        writing::go_on(conn, &changed)?;
    }
    Ok(Annotated::Done(Box::new(changed)))
}

type Page = sms_conversations::BoxedQuery<
    'static,
    Sqlite,
    diesel::dsl::SqlTypeOf<diesel::dsl::AsSelect<ConversationRow, Sqlite>>,
>;

fn page(query: &ConversationQuery) -> Page {
    let all = sms_conversations::table.select(ConversationRow::as_select());
    let mut page = narrowed(all.into_boxed(), query);
    if let Some(since) = query.since {
        page = page.filter(sms_conversations::last_activity_at.ge(since.to_string()));
    }
    if let Some(cursor) = &query.behind {
        page = behind(page, cursor);
    }
    page.order((sms_conversations::last_activity_at.desc(), sms_conversations::id.desc()))
        .limit(i64::from(query.limit) + 1)
}

/// Each of the columns has an index, in the order of the list. The first that is given, which
/// leaves the fewest, leads to its index; a `+` keeps SQLite, which would guess, from the others.
fn narrowed(mut page: Page, query: &ConversationQuery) -> Page {
    let wanted = [
        ("tenant_id", query.tenant.as_ref().map(ToString::to_string)),
        ("workflow_id", query.workflow_id.clone()),
        ("workflow_type", query.workflow_type.clone()),
        ("language_detected", query.language.map(|language| language.as_str().to_owned())),
    ];
    let mut plus = "";
    for (column, value) in wanted {
        let Some(value) = value else { continue };
        page = page.filter(sql::<Bool>(&format!("{plus}{column} = ")).bind::<Text, _>(value));
        plus = "+";
    }
    page
}

/// The first condition is what the index starts from; the second leaves out the cursor's own
/// instant up to its conversation.
fn behind(page: Page, cursor: &ConversationCursor) -> Page {
    let (at, id) = (cursor.last_activity_at.to_string(), cursor.id.to_string());
    page.filter(sms_conversations::last_activity_at.le(at.clone()))
        .filter(sms_conversations::last_activity_at.lt(at).or(sms_conversations::id.lt(id)))
}

fn place(conversation: &Conversation) -> ConversationCursor {
    ConversationCursor { last_activity_at: conversation.last_activity_at(), id: conversation.id }
}

#[cfg(test)]
mod tests {
    use domain::conversation::ConversationId;
    use domain::language::Language;
    use domain::tenant::TenantId;
    use domain::testing::fixture::{at, uuid};

    use super::*;
    use crate::plans::Tables;

    /// The order of activity is not that in which they were written.
    const CONVERSATIONS: &str = "
        with recursive n (n) as (select 1 union all select n + 1 from n where n < 20000)
        insert into sms_conversations (id, phone_number_canonical, tenant_id, workflow_id,
            workflow_type, language_detected, language_evidence, last_message_at, created_at,
            updated_at)
        select printf('0195f2a0-7c1e-7000-8000-%012d', n), printf('+1860%07d', n), 'T_' || (n % 5),
            'w' || (n % 7), 't' || (n % 3), iif(n % 4 = 0, 'es', 'en'),
            '{\"en\":0,\"es\":0,\"pt\":0,\"votes\":0}', at, at, at
        from (
            select n,
                strftime('%Y-%m-%dT%H:%M:%f000Z', 1795340000 + n * 7919 % 20000, 'unixepoch') at
            from n
        )";

    /// Every choice of filters, from none to all of them.
    fn queries() -> impl Iterator<Item = ConversationQuery> {
        (0..32_u8).map(|choice| {
            let given = |bit: u8| choice & (1 << bit) != 0;
            ConversationQuery {
                tenant: given(0).then(|| TenantId::parse("T_1").unwrap()),
                workflow_id: given(1).then(|| "w1".into()),
                workflow_type: given(2).then(|| "t1".into()),
                language: given(3).then_some(Language::Spanish),
                since: given(4).then(|| at(2000)),
                behind: None,
                limit: 5,
            }
        })
    }

    fn index_for(query: &ConversationQuery) -> &'static str {
        match query {
            ConversationQuery { tenant: Some(_), .. } => "sms_conversations_of_tenant",
            ConversationQuery { workflow_id: Some(_), .. } => "sms_conversations_of_workflow",
            ConversationQuery { workflow_type: Some(_), .. } => {
                "sms_conversations_of_workflow_type"
            }
            ConversationQuery { language: Some(_), .. } => "sms_conversations_of_language",
            _ => "sms_conversations_latest",
        }
    }

    /// The page of `first` that begins in the middle of all conversations.
    fn far(first: &ConversationQuery) -> ConversationQuery {
        let behind =
            ConversationCursor { last_activity_at: at(10_000), id: ConversationId(uuid(0)) };
        ConversationQuery { behind: Some(behind), ..first.clone() }
    }

    #[test]
    fn every_list_is_read_in_the_order_of_an_index() {
        let tables = Tables::with(CONVERSATIONS);
        for statistics in ["", "analyze"] {
            tables.run(statistics);
            for first in queries() {
                for query in [far(&first), first] {
                    let plan = tables.plan_of(&page(&query));
                    let index = format!("USING INDEX {} ", index_for(&query));
                    assert!(plan.replace('\n', " ").contains(&index), "{query:?}: {plan}");
                    assert_eq!(plan.lines().count(), 1, "{query:?}: {plan}");
                }
            }
        }
    }

    #[test]
    fn a_page_far_down_reads_as_much_as_the_first() {
        let tables = Tables::with(CONVERSATIONS);
        for first in queries() {
            let read = |query: &ConversationQuery| {
                tables.bytes_read(|conn| {
                    assert_eq!(list(conn, query).unwrap().conversations.len(), 5);
                })
            };
            let (near, far) = (read(&first), read(&far(&first)));
            assert!(far <= near * 2, "{first:?}: {far} bytes, where the first page took {near}");
        }
    }
}
