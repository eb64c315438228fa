//! Which pages of other sites may call from a browser (the Fetch standard, "CORS protocol").
//!
//! Keys travel in a header that scripts must set, never in cookies: so no credentials are allowed.

use actix_web::HttpResponse;
use actix_web::dev::ServiceRequest;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderValue};

/// Which sites' pages may read answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Cors {
    /// None.
    #[default]
    Off,
    /// All.
    Everybody,
    /// These: `https://dashboard.example.com`.
    Origins(Vec<String>),
}

impl Cors {
    /// Reads origins separated by commas, or `*`.
    ///
    /// # Errors
    /// What an origin looks like.
    pub fn parse(setting: &str) -> Result<Self, &'static str> {
        if setting.trim() == "*" {
            return Ok(Self::Everybody);
        }
        let origins = setting.split(',').map(str::trim).filter(|origin| !origin.is_empty());
        let origins: Vec<_> = origins.map(str::to_owned).collect();
        let is_origin = |origin: &String| {
            let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '*', ' ', '@']))
        };
        if !origins.iter().all(is_origin) {
            return Err("must be origins such as https://dashboard.example.com, or *");
        }
        Ok(Self::Origins(origins))
    }

    /// Answers a browser that asks beforehand; `None` for any other request.
    pub(crate) fn preflight(&self, request: &ServiceRequest) -> Option<HttpResponse> {
        let asked = request.headers();
        let is_preflight = request.method() == Method::OPTIONS
            && asked.contains_key(header::ORIGIN)
            && asked.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if !is_preflight || *self == Self::Off {
            return None;
        }
        let mut answer = HttpResponse::NoContent().finish();
        let headers = answer.headers_mut();
        for (name, value) in [
            (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PATCH, DELETE"),
            (
                header::ACCESS_CONTROL_ALLOW_HEADERS,
                "authorization, content-type, idempotency-key, if-match, last-event-id, x-request-id",
            ),
            (header::ACCESS_CONTROL_MAX_AGE, "600"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        Some(answer)
    }

    /// Lets a page of `origin` read the answer, where it may.
    pub(crate) fn write_to(&self, headers: &mut HeaderMap, origin: Option<&HeaderValue>) {
        let allowed = match (self, origin) {
            (Self::Off, _) => return,
            (Self::Everybody, _) => Some(HeaderValue::from_static("*")),
            (Self::Origins(known), Some(origin)) => known
                .iter()
                .any(|known| known.as_bytes() == origin.as_bytes())
                .then(|| origin.clone()),
            (Self::Origins(_), None) => None,
        };
        if matches!(self, Self::Origins(_)) {
            headers.append(header::VARY, HeaderValue::from_static("Origin"));
        }
        let Some(allowed) = allowed else {
            return;
        };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        let readable = HeaderValue::from_static("etag, retry-after, x-request-id");
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, readable);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_read() {
        let two = Cors::parse("https://a.example, http://localhost:3000").unwrap();
        let listed = ["https://a.example", "http://localhost:3000"].map(str::to_owned).to_vec();
        assert_eq!(two, Cors::Origins(listed));
        assert_eq!(Cors::parse("*"), Ok(Cors::Everybody));
        for wrong in ["a.example", "https://", "https://a.example/", "https://*.a.example"] {
            assert!(Cors::parse(wrong).is_err(), "{wrong}");
        }
    }
}
