//! The id that ties a request, its answer and its log lines together.

use actix_web::HttpMessage;
use actix_web::dev::ServiceRequest;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

/// The header that carries it in and out.
const HEADER: &str = "x-request-id";

/// The id of a request: the caller's, where it is fit for a log line, else ours.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) String);

impl RequestId {
    /// Finds or makes the id and leaves it with the request.
    pub(crate) fn settle(request: &ServiceRequest, make: impl FnOnce() -> String) -> Self {
        let given = request.headers().get(HEADER).and_then(|value| value.to_str().ok());
        let id = Self(given.filter(|id| is_fit(id)).map_or_else(make, str::to_owned));
        request.extensions_mut().insert(id.clone());
        id
    }

    /// Gives it back to the caller.
    pub(crate) fn write_to(&self, headers: &mut HeaderMap) {
        if let Ok(value) = HeaderValue::try_from(&self.0) {
            headers.insert(HeaderName::from_static(HEADER), value);
        }
    }
}

/// Up to 128 letters, digits and `._-`: nothing that could forge a log line or hide a text.
fn is_fit(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=128).contains(&id.len()) && id.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_ids_are_taken_over() {
        assert!(is_fit("0195f2a0-7c1e-7000-8000-000000000001"));
        for odd in ["", "a b", "a\nb", "+18605550199", &"x".repeat(129)] {
            assert!(!is_fit(odd), "{odd:?}");
        }
    }
}
