//! `GET /conversations`, `GET` and `PATCH /conversations/{number or id}` (wire contracts,
//! section 2), `GET /conversations/{number or id}/messages`.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use domain::conversation::Conversation;
use domain::error::{Error, Invalid, Thing};
use domain::language::Language;
use domain::message::{Message, MessageId};
use domain::ports::{Annotated, ConversationQuery, Cursor, Order, Start, ThreadQuery};
use domain::tenant::TenantId;
use domain::workflow;
use uuid::Uuid;

use crate::access::Scope;
use crate::cursor::{self, Turn};
use crate::fields::Fields;
use crate::parameters::{MAX_OFFSET, Parameters};
use crate::views::{
    Asked, ConversationBody, ConversationsBody, MessageBody, ThreadBody, ThreadPageBody,
};
use crate::{ApiError, Services};

/// Every field of a change.
pub(crate) const FIELDS: &[&str] = &["workflow_type", "workflow_id"];

/// Every parameter of a list of conversations.
pub(crate) const LIST_PARAMETERS: &[&str] =
    &["tenant_id", "workflow_type", "workflow_id", "language", "since", "cursor", "limit"];
/// Every parameter of a conversation.
pub(crate) const READ_PARAMETERS: &[&str] = &["page", "limit", "offset", "cursor", "order"];
/// Every parameter of a page of its messages.
pub(crate) const MESSAGES_PARAMETERS: &[&str] = &["order", "cursor", "limit"];

/// Conversations, the latest active first.
#[tracing::instrument(name = "http.conversations", skip_all)]
pub(crate) async fn list(
    services: web::Data<Services>,
    request: HttpRequest,
    parameters: web::Query<Parameters>,
) -> Result<HttpResponse, ApiError> {
    services.allow(&request, Scope::Read)?;
    parameters.expect(LIST_PARAMETERS)?;
    let query = list_asked_for(&parameters)?;
    let page = services.threads.list(&query).await?;
    Ok(HttpResponse::Ok().json(ConversationsBody::new(&page, query.limit)))
}

/// A conversation and a page of its messages, newest first unless asked otherwise.
#[tracing::instrument(name = "http.conversation", skip_all)]
pub(crate) async fn read(
    services: web::Data<Services>,
    request: HttpRequest,
    key: web::Path<String>,
    parameters: web::Query<Parameters>,
) -> Result<HttpResponse, ApiError> {
    services.allow(&request, Scope::Read)?;
    parameters.expect(READ_PARAMETERS)?;
    let (query, asked) = page_asked_for(&parameters)?;
    let (conversation, thread) = services.threads.conversation(&key, &query).await?;
    let body = ThreadBody::new(&conversation, &thread, &asked);
    Ok(HttpResponse::Ok().insert_header(etag(&conversation)).json(body))
}

/// Changes what the callers run in a conversation. With `If-Match`, only what the caller has seen.
#[tracing::instrument(name = "http.annotate", skip_all)]
pub(crate) async fn annotate(
    services: web::Data<Services>,
    request: HttpRequest,
    key: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    services.allow(&request, Scope::Write)?;
    let if_versions = if_match(&request)?;
    let mut fields = Fields::read(&request, payload, FIELDS).await?;
    let workflow_type = fields.change("workflow_type")?;
    let workflow_id = fields.change("workflow_id")?;
    let threads = &services.threads;
    match threads.annotate(&key, workflow_type, workflow_id, if_versions).await? {
        Annotated::Done(conversation) => Ok(HttpResponse::Ok()
            .insert_header(etag(&conversation))
            .json(ConversationBody::new(&conversation))),
        Annotated::Outdated(_) => Err(ApiError::Outdated),
        Annotated::NotFound => Err(Error::NotFound(Thing::Conversation).into()),
    }
}

/// A page of a conversation's messages, from which one can turn both ways.
#[tracing::instrument(name = "http.thread", skip_all)]
pub(crate) async fn messages(
    services: web::Data<Services>,
    request: HttpRequest,
    key: web::Path<String>,
    parameters: web::Query<Parameters>,
) -> Result<HttpResponse, ApiError> {
    services.allow(&request, Scope::Read)?;
    parameters.expect(MESSAGES_PARAMETERS)?;
    let (order, turn, limit) = (order(&parameters)?, parameters.turn()?, parameters.limit()?);
    let backward = turn.is_some_and(|turn| turn.backward);
    let start = turn.map_or(Start::Offset(0), |turn| Start::Behind(turn.at));
    let query = ThreadQuery { order: if backward { reversed(order) } else { order }, start, limit };
    let (conversation, mut thread) = services.threads.conversation(&key, &query).await?;
    if backward {
        thread.messages.reverse();
    }
    let ends = Ends::of(&thread.messages, order, turn, thread.next);
    Ok(HttpResponse::Ok().json(ThreadPageBody {
        conversation_id: conversation.id.to_string(),
        messages: thread.messages.iter().map(MessageBody::new).collect(),
        limit,
        total: thread.total,
        next_cursor: ends.next.as_ref().map(cursor::write),
        previous_cursor: ends.previous.as_ref().map(cursor::write_backward),
    }))
}

/// Where a page of a thread ends on either side.
struct Ends {
    next: Option<Cursor>,
    previous: Option<Cursor>,
}

impl Ends {
    /// `more` is where the store says that reading went on.
    fn of(messages: &[Message], order: Order, turn: Option<Turn>, more: Option<Cursor>) -> Self {
        let place = |message: &Message| Cursor { created_at: message.created_at, id: message.id };
        let (first, last) = (messages.first().map(place), messages.last().map(place));
        // An empty page lies where it was asked for.
        let asked = turn.map(|turn| turn.at);
        let next = match turn {
            // Whoever turned back came from there: from the message at that place, which comes next.
            Some(Turn { at, backward: true }) => Some(last.unwrap_or_else(|| before(at, order))),
            _ => more,
        };
        Self { next, previous: first.or(asked) }
    }
}

/// The place right before that of a message, so that what lies behind it begins with the message.
fn before(at: Cursor, order: Order) -> Cursor {
    let id = at.id.0.as_u128();
    let neighbour = match order {
        Order::OldestFirst => id.saturating_sub(1),
        Order::NewestFirst => id.saturating_add(1),
    };
    Cursor { id: MessageId(Uuid::from_u128(neighbour)), ..at }
}

fn list_asked_for(parameters: &Parameters) -> Result<ConversationQuery, Invalid> {
    let tenant = |text: &str| TenantId::parse(text).ok();
    let workflow = |field| {
        // None has a NUL, and no store can be asked for one. Blank is as good as absent.
        let name = |text: &str| workflow::name(field, text).ok().filter(|_| !text.contains('\0'));
        let name = parameters.read(field, name, "must have 1 to 200 characters, none of them NUL");
        name.map(Option::flatten)
    };
    Ok(ConversationQuery {
        tenant: parameters.read(
            "tenant_id",
            tenant,
            "must be 1 to 64 letters, digits, '-' or '_'",
        )?,
        workflow_type: workflow("workflow_type")?,
        workflow_id: workflow("workflow_id")?,
        language: parameters.read(
            "language",
            Language::from_word,
            "must be en, es, pt or unknown",
        )?,
        since: parameters.time("since")?,
        behind: parameters.activity_cursor()?,
        limit: parameters.limit()?,
    })
}

/// `page` and `offset` are for old clients; `cursor` wins over `offset`, which wins over `page`.
fn page_asked_for(parameters: &Parameters) -> Result<(ThreadQuery, Asked), Invalid> {
    let limit = parameters.limit()?;
    let reason = "must be a whole number from 1, with at most 10000 messages before the page: \
                  further on, follow next_cursor";
    let page = parameters.number("page", 1..=MAX_OFFSET + 1, reason)?.unwrap_or(1);
    let before = (page - 1).saturating_mul(limit);
    let (offset, behind) = (parameters.offset()?, parameters.cursor()?);
    if offset.is_none() && behind.is_none() && before > MAX_OFFSET {
        return Err(Invalid { field: "page", reason: reason.into() });
    }
    let offset = offset.unwrap_or(before.min(MAX_OFFSET));
    let start = behind.map_or(Start::Offset(offset), Start::Behind);
    let query = ThreadQuery { order: order(parameters)?, start, limit };
    Ok((query, Asked { page, limit, offset }))
}

fn order(parameters: &Parameters) -> Result<Order, Invalid> {
    let order = parameters.read("order", read_order, "must be asc or desc")?;
    Ok(order.unwrap_or(Order::NewestFirst))
}

fn read_order(word: &str) -> Option<Order> {
    match word {
        "desc" => Some(Order::NewestFirst),
        "asc" => Some(Order::OldestFirst),
        _ => None,
    }
}

fn reversed(order: Order) -> Order {
    match order {
        Order::NewestFirst => Order::OldestFirst,
        Order::OldestFirst => Order::NewestFirst,
    }
}

/// The version of what the callers run in it, as HTTP spells versions (RFC 9110, section 8.8.3).
fn etag(conversation: &Conversation) -> (header::HeaderName, String) {
    (header::ETAG, format!("\"{}\"", conversation.workflow_version))
}

/// Which versions will do for the caller; `None` where it does not matter (RFC 9110, section 13.1.1).
fn if_match(request: &HttpRequest) -> Result<Option<Vec<u32>>, Invalid> {
    let wrong =
        || Invalid { field: "If-Match", reason: "must be ETags separated by commas, or *".into() };
    let lines = request.headers().get_all(header::IF_MATCH).map(header::HeaderValue::to_str);
    let lines: Vec<_> = lines.collect::<Result<_, _>>().map_err(|_| wrong())?;
    let given = lines.join(",");
    if lines.is_empty() || given.trim() == "*" {
        return Ok(None);
    }
    let tags = entity_tags(&given).ok_or_else(wrong)?;
    // A weak tag does not do here, and one that we never gave fits nothing.
    let strong = tags.into_iter().filter(|(is_weak, _)| !is_weak);
    Ok(Some(strong.filter_map(|(_, tag)| tag.parse().ok()).collect()))
}

/// The tags of a list, and whether each is weak; `None` where it is no such list, or an empty one.
/// What stands in quotation marks may hold commas, and a list empty elements (section 5.6.1).
fn entity_tags(mut list: &str) -> Option<Vec<(bool, &str)>> {
    let mut tags = Vec::new();
    loop {
        list = list.trim_start_matches([',', ' ', '\t']);
        if list.is_empty() {
            return Some(tags).filter(|tags| !tags.is_empty());
        }
        let strong = list.strip_prefix("W/");
        let (tag, rest) = strong.unwrap_or(list).strip_prefix('"')?.split_once('"')?;
        tags.push((strong.is_some(), tag));
        list = rest.trim_start_matches([' ', '\t']);
        if !list.is_empty() && !list.starts_with(',') {
            return None;
        }
    }
}
