//! `GET /docs`: the API to read and to try out. Everything comes from this program, so that it
//! works without the Internet.

use std::borrow::Cow;
use std::sync::Arc;

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use utoipa_swagger_ui::{Config, SwaggerFile};

use crate::ApiError;

/// What Swagger UI needs: its styles are in part written into elements.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data:; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

const PAGE: &str = include_str!("docs/page.html");
const START: &str = include_str!("docs/start.js");

/// The files of Swagger UI that the page loads.
const FILES: [&str; 3] = ["swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"];

/// The page.
pub(crate) async fn page() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .body(PAGE)
}

/// What the page loads.
pub(crate) async fn file(name: web::Path<String>) -> Result<HttpResponse, ApiError> {
    let mut answer = HttpResponse::Ok();
    answer.insert_header((header::CACHE_CONTROL, "max-age=3600"));
    if *name == "start.js" {
        return Ok(answer.content_type("text/javascript").body(START));
    }
    let file = vendored(&name).ok_or(ApiError::NoSuchPath)?;
    if file.gzpipped {
        answer.insert_header((header::CONTENT_ENCODING, "gzip"));
    }
    let bytes: web::Bytes = match file.bytes {
        Cow::Borrowed(bytes) => web::Bytes::from_static(bytes),
        Cow::Owned(bytes) => bytes.into(),
    };
    Ok(answer.content_type(file.content_type).body(bytes))
}

fn vendored(name: &str) -> Option<SwaggerFile<'static>> {
    let name = FILES.into_iter().find(|file| *file == name)?;
    utoipa_swagger_ui::serve(name, Arc::new(Config::default())).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_that_the_page_loads_is_there() {
        for name in FILES {
            assert!(vendored(name).is_some(), "{name}");
            assert!(PAGE.contains(&format!("docs/{name}")), "{name}");
        }
        assert!(vendored("index.html").is_none());
        assert!(PAGE.contains("docs/start.js"));
    }
}
