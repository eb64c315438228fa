//! Pages of messages.

use diesel::dsl::{count_star, sql};
use diesel::prelude::*;
use diesel::sql_types::Bool;
use diesel::sqlite::Sqlite;
use domain::conversation::ConversationId;
use domain::delivery::DeliveryStatus;
use domain::message::Message;
use domain::ports::{Cursor, MessagePage, MessageQuery, Order, Start, ThreadPage, ThreadQuery};

use crate::failure::Failure;
use crate::rows::MessageRow;
use crate::schema::sms_messages;

/// A page of the messages of a conversation.
pub(crate) fn thread(
    conn: &mut SqliteConnection,
    conversation: ConversationId,
    query: &ThreadQuery,
) -> Result<ThreadPage, Failure> {
    let total: i64 = sms_messages::table
        .filter(sms_messages::conversation_id.eq(conversation.to_string()))
        .select(count_star())
        .first(conn)?;
    let (messages, next) = load(conn, thread_page(conversation, query), query.limit)?;
    Ok(ThreadPage { messages, total: u64::try_from(total).unwrap_or_default(), next })
}

/// A page of all messages, the latest first.
pub(crate) fn latest(
    conn: &mut SqliteConnection,
    query: &MessageQuery,
) -> Result<MessagePage, Failure> {
    let (messages, next) = load(conn, latest_page(query), query.limit)?;
    Ok(MessagePage { messages, next })
}

type Page = sms_messages::BoxedQuery<
    'static,
    Sqlite,
    diesel::dsl::SqlTypeOf<diesel::dsl::AsSelect<MessageRow, Sqlite>>,
>;

fn thread_page(conversation: ConversationId, query: &ThreadQuery) -> Page {
    let page = sms_messages::table
        .filter(sms_messages::conversation_id.eq(conversation.to_string()))
        .select(MessageRow::as_select())
        .into_boxed();
    let page = match query.start {
        Start::Offset(offset) => page.offset(offset.into()),
        Start::Behind(cursor) => behind(page, query.order, &cursor),
    };
    ordered(page, query.order, query.limit)
}

fn latest_page(query: &MessageQuery) -> Page {
    let mut page: Page = sms_messages::table.select(MessageRow::as_select()).into_boxed();
    if let Some(status) = query.status {
        page = shown_as(page, status);
    }
    if let Some(direction) = query.direction {
        page = page.filter(sms_messages::direction.eq(direction.as_str()));
    }
    if let Some(since) = query.since {
        page = page.filter(sms_messages::created_at.ge(since.to_string()));
    }
    if let Some(cursor) = query.behind {
        page = behind(page, Order::NewestFirst, &cursor);
    }
    ordered(page, Order::NewestFirst, query.limit)
}

/// One message more than the page holds tells whether another follows.
fn ordered(page: Page, order: Order, limit: u32) -> Page {
    let page = match order {
        Order::NewestFirst => {
            page.order((sms_messages::created_at.desc(), sms_messages::id.desc()))
        }
        Order::OldestFirst => page.order((sms_messages::created_at, sms_messages::id)),
    };
    page.limit(i64::from(limit) + 1)
}

/// The first condition is what the index starts from; the second leaves out the cursor's own
/// instant up to its message.
fn behind(page: Page, order: Order, cursor: &Cursor) -> Page {
    let (at, id) = (cursor.created_at.to_string(), cursor.id.to_string());
    match order {
        Order::NewestFirst => page
            .filter(sms_messages::created_at.le(at.clone()))
            .filter(sms_messages::created_at.lt(at).or(sms_messages::id.lt(id))),
        Order::OldestFirst => page
            .filter(sms_messages::created_at.ge(at.clone()))
            .filter(sms_messages::created_at.gt(at).or(sms_messages::id.gt(id))),
    }
}

/// All but the received have an index, which SQLite takes where its condition is said again.
fn shown_as(page: Page, status: DeliveryStatus) -> Page {
    let page = page.filter(sms_messages::shown_status.eq(status.as_str()));
    match status {
        DeliveryStatus::Received => page,
        _ => page.filter(sql::<Bool>("shown_status <> 'received'")),
    }
}

/// The messages of a page, and where the next one begins.
fn load(
    conn: &mut SqliteConnection,
    page: Page,
    limit: u32,
) -> Result<(Vec<Message>, Option<Cursor>), Failure> {
    let rows: Vec<MessageRow> = page.load(conn)?;
    let messages = rows.into_iter().map(Message::try_from);
    let mut messages = messages.collect::<Result<Vec<_>, _>>()?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = messages.len() > limit;
    messages.truncate(limit);
    let last = messages.last().map(|last| Cursor { created_at: last.created_at, id: last.id });
    Ok((messages, last.filter(|_| more)))
}

#[cfg(test)]
mod tests {
    use domain::message::{Direction, MessageId};
    use domain::testing::fixture::{at, uuid};

    use super::*;
    use crate::plans::Tables;

    const CONVERSATIONS: &str = "
        insert into sms_conversations (id, phone_number_canonical, language_evidence, created_at,
            updated_at)
        values ('0195f2a0-7c1e-7000-8000-000000000001', '1', '{}', '', ''),
            ('0195f2a0-7c1e-7000-8000-000000000002', '2', '{}', '', '');";

    /// One in eight is from us; of those one in a hundred was not delivered.
    const MESSAGES: &str = "
        with recursive n (n) as (select 1 union all select n + 1 from n where n < 20000)
        insert into sms_messages (id, conversation_id, direction, from_number, to_number, media,
            delivery_status, source, created_at, updated_at)
        select printf('0195f2a0-7c1e-7000-8000-%012d', n),
            printf('0195f2a0-7c1e-7000-8000-%012d', 1 + n % 2),
            iif(n % 8 = 0, 'outbound', 'inbound'), '', '', '[]',
            iif(n % 8 > 0, 'received', iif(n % 800 = 0, 'undelivered', 'delivered')), 'api',
            at, at
        from (
            select n,
                strftime('%Y-%m-%dT%H:%M:%f000Z', 1795340000 + n * 7919 % 20000, 'unixepoch') at
            from n
        );";

    fn many() -> Tables {
        Tables::with(&[CONVERSATIONS, MESSAGES].concat())
    }

    /// Every choice of filters.
    fn queries() -> Vec<MessageQuery> {
        let behind = Cursor { created_at: at(10_000), id: MessageId(uuid(5000)) };
        let mut queries = Vec::new();
        for status in [None, Some(DeliveryStatus::Received), Some(DeliveryStatus::Undelivered)] {
            for direction in [None, Some(Direction::Inbound), Some(Direction::Outbound)] {
                for since in [None, Some(at(100))] {
                    for behind in [None, Some(behind)] {
                        queries.push(MessageQuery { status, direction, since, behind, limit: 20 });
                    }
                }
            }
        }
        queries
    }

    #[test]
    fn every_list_of_messages_is_read_in_the_order_of_an_index() {
        let tables = many();
        for statistics in ["", "analyze"] {
            tables.run(statistics);
            for query in queries() {
                let index = match query.status {
                    None | Some(DeliveryStatus::Received) => "sms_messages_latest",
                    Some(_) => "sms_messages_shown",
                };
                let plan = tables.plan_of(&latest_page(&query));
                assert!(plan.contains(&format!("USING INDEX {index}")), "{query:?}: {plan}");
                assert_eq!(plan.lines().count(), 1, "{query:?}: {plan}");
            }
        }
    }

    #[test]
    fn a_page_of_a_thread_far_down_reads_as_much_as_the_first() {
        let (tables, conversation) = (many(), ConversationId(uuid(1)));
        for order in [Order::NewestFirst, Order::OldestFirst] {
            let behind = Cursor { created_at: at(10_000), id: MessageId(uuid(1)) };
            let first = ThreadQuery { order, limit: 20, start: Start::Offset(0) };
            let far = ThreadQuery { start: Start::Behind(behind), ..first };
            let read = |query: &ThreadQuery| {
                let page = thread_page(conversation, query);
                let plan = tables.plan_of(&page);
                assert!(plan.contains("USING INDEX sms_messages_thread"), "{plan}");
                assert_eq!(plan.lines().count(), 1, "{plan}");
                tables.bytes_read(|conn| assert_eq!(load(conn, page, 20).unwrap().0.len(), 20))
            };
            let (first, far) = (read(&first), read(&far));
            assert!(far <= first * 2, "{far} bytes, where the first page took {first}");
        }
    }
}
