//! `GET /openapi.json`: the API, described for programs (`OpenAPI` 3.1).
//!
//! The schemas of answers are derived from the bodies that are sent; what each endpoint takes and
//! gives is in [`operations`]. `docs/openapi.json` is a copy that a test keeps up to date.

#![expect(clippy::indexing_slicing, reason = "members of JSON objects are written: no index is")]

mod examples;
mod operations;
mod schemas;
pub(crate) mod words;

use std::sync::OnceLock;

use actix_web::HttpResponse;
use serde_json::{Value, json};

/// The document. It holds nothing that needs a key.
pub(crate) async fn read() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(text())
}

/// The document as text, made once.
fn text() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| format!("{:#}\n", document()))
}

fn document() -> Value {
    let mut paths = json!({});
    let operations = operations::all();
    for operation in &operations {
        paths[operation.path][operation.method] = operation.describe();
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "SMS Foundation",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Texts to and from tenants.",
            "description": include_str!("introduction.md"),
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "This service." }],
        "tags": operations::TAGS.map(|(name, description)| {
            json!({ "name": name, "description": description })
        }),
        "paths": paths,
        "webhooks": operations::calls(),
        "components": {
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key of this service: `Authorization: Bearer <key>`. Which \
                                    scope an endpoint needs stands in its description.",
                },
                "signature": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-Twilio-Signature",
                    "description": "Twilio's signature of the request.",
                },
            },
            "schemas": schemas::all(),
            "responses": operations::errors(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the copy is.
    const COPY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");

    #[test]
    fn the_copy_in_the_repository_is_up_to_date() {
        let copy = std::fs::read_to_string(COPY).unwrap_or_default();
        if copy != text() {
            std::fs::write(COPY, text()).unwrap();
            panic!("docs/openapi.json was not up to date: it is now, look at what has changed");
        }
    }

    #[test]
    fn the_parameters_that_are_known_are_those_that_are_described() {
        use crate::{conversations, events, jobs, messages, subscriptions};
        let document = document();
        for (path, known) in [
            ("/conversations", conversations::LIST_PARAMETERS),
            ("/conversations/{number_or_id}", conversations::READ_PARAMETERS),
            ("/conversations/{number_or_id}/messages", conversations::MESSAGES_PARAMETERS),
            ("/messages", messages::PARAMETERS),
            ("/jobs", jobs::PARAMETERS),
            ("/events", events::PARAMETERS),
            ("/subscriptions/{id}/deliveries", subscriptions::DELIVERIES_PARAMETERS),
            ("/subscriptions/{id}/redeliver", subscriptions::REDELIVER_PARAMETERS),
        ] {
            let operations = &document["paths"][path];
            let described = operations.get("get").unwrap_or(&operations["post"]);
            let described = described["parameters"].as_array().unwrap();
            let described = described.iter().filter(|parameter| parameter["in"] == "query");
            let mut described: Vec<_> =
                described.map(|parameter| parameter["name"].as_str().unwrap()).collect();
            let mut known = known.to_vec();
            described.sort_unstable();
            known.sort_unstable();
            assert_eq!(described, known, "{path}");
        }
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_component_is_used() {
        let document = document();
        let text = document.to_string();
        for kind in ["schemas", "responses"] {
            for name in document["components"][kind].as_object().unwrap().keys() {
                let reference = format!("\"#/components/{kind}/{name}\"");
                assert!(text.contains(&reference), "{reference} is not used");
            }
        }
        for reference in text.split("\"#/components/").skip(1) {
            let (pointer, _) = reference.split_once('"').unwrap();
            assert!(document["components"].pointer(&format!("/{pointer}")).is_some(), "{pointer}");
        }
    }
}
