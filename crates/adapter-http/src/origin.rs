//! What follows from a request says so.

use actix_web::{HttpMessage, HttpRequest};
use domain::origin::Origin;
use trace_context::TraceParent;

use crate::request_id::RequestId;

/// The request as the origin of what is about to be written, in the current span.
pub(crate) fn of(request: &HttpRequest) -> Origin {
    Origin {
        request_id: request.extensions().get::<RequestId>().map(|id| id.0.clone()),
        traceparent: TraceParent::current().map(|parent| parent.to_string()),
    }
}
