//! `GET /conversations/{phone number or id}` (wire contracts, section 2).

use std::collections::HashMap;

use actix_web::{HttpRequest, HttpResponse, web};
use domain::error::Invalid;
use domain::ports::{Order, Start, ThreadQuery};

use crate::access::Scope;
use crate::views::{Asked, ConversationBody};
use crate::{ApiError, Services, cursor};

const DEFAULT_LIMIT: u32 = 20;
const MAX_LIMIT: u32 = 100;

/// A conversation and a page of its messages, newest first unless asked otherwise.
#[tracing::instrument(name = "http.conversation", skip_all)]
pub(crate) async fn read(
    services: web::Data<Services>,
    request: HttpRequest,
    key: web::Path<String>,
    parameters: web::Query<HashMap<String, String>>,
) -> Result<HttpResponse, ApiError> {
    services.access.check(&request, Scope::Read)?;
    let (query, asked) = page_asked_for(&parameters)?;
    let (conversation, thread) = services.threads.conversation(&key, &query).await?;
    Ok(HttpResponse::Ok().json(ConversationBody::new(&conversation, &thread, &asked)))
}

/// `page` and `offset` are for old clients; `cursor` wins over `offset`, which wins over `page`.
fn page_asked_for(parameters: &HashMap<String, String>) -> Result<(ThreadQuery, Asked), Invalid> {
    let given =
        |name: &str| parameters.get(name).map(String::as_str).filter(|text| !text.is_empty());
    let number = |field, from, to, reason: &'static str| match given(field).map(str::parse::<u32>) {
        None => Ok(None),
        Some(Ok(number)) if (from..=to).contains(&number) => Ok(Some(number)),
        Some(_) => Err(Invalid { field, reason: reason.into() }),
    };
    let limit = number("limit", 1, MAX_LIMIT, "must be a whole number from 1 to 100")?;
    let page = number("page", 1, u32::MAX, "must be a whole number from 1")?;
    let offset = number("offset", 0, u32::MAX, "must be a whole number from 0")?;
    let order = match given("order") {
        None | Some("desc") => Order::NewestFirst,
        Some("asc") => Order::OldestFirst,
        Some(_) => {
            return Err(Invalid { field: "order", reason: "must be asc or desc".into() });
        }
    };
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    let page = page.unwrap_or(1);
    let offset = offset.unwrap_or_else(|| (page - 1).saturating_mul(limit));
    let start = match given("cursor") {
        None => Start::Offset(offset),
        Some(text) => Start::Behind(cursor::read(text).ok_or_else(|| Invalid {
            field: "cursor",
            reason: "must be the next_cursor of an earlier page".into(),
        })?),
    };
    Ok((ThreadQuery { order, start, limit }, Asked { page, limit, offset }))
}
