//! `GET /messages/{id or SID}` (wire contracts, section 7).

use actix_web::{HttpRequest, HttpResponse, web};

use crate::access::Scope;
use crate::views::MessageDetailBody;
use crate::{ApiError, Services};

/// A message with its raw payload and everything that Twilio reported about it.
#[tracing::instrument(name = "http.message", skip_all)]
pub(crate) async fn read(
    services: web::Data<Services>,
    request: HttpRequest,
    key: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    services.access.check(&request, Scope::Read)?;
    let detail = services.threads.message(&key).await?;
    Ok(HttpResponse::Ok().json(MessageDetailBody::new(&detail)))
}
