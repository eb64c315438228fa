//! JSON bodies: an object with known fields of the right type.

use actix_web::http::header;
use actix_web::{HttpRequest, web};
use domain::error::Invalid;
use serde_json::{Map, Value};

use crate::{ApiError, body};

/// No JSON body is larger: 1600 characters and ten addresses fit many times over.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// So many characters of an unknown field's name are repeated to the caller.
const SHOWN_NAME: usize = 64;

/// The fields of a JSON body that have not been taken yet. `null` is as good as absent.
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    /// Reads the object that a request carries. No other fields than the `known` may be in it.
    pub(crate) async fn read(
        request: &HttpRequest,
        payload: web::Payload,
        known: &'static [&'static str],
    ) -> Result<Self, ApiError> {
        if !is_json(request) {
            let hint = "send JSON: `Content-Type: application/json`";
            return Err(ApiError::UnsupportedMediaType(hint));
        }
        Self::parse(&body::read(request, payload, MAX_BODY_BYTES).await?, known)
    }

    fn parse(body: &[u8], known: &'static [&'static str]) -> Result<Self, ApiError> {
        let value = serde_json::from_slice(body)
            .map_err(|error| ApiError::NotJson { line: error.line(), column: error.column() })?;
        let Value::Object(fields) = value else {
            return Err(ApiError::NotAnObject);
        };
        if let Some(name) = fields.keys().find(|name| !known.contains(&name.as_str())) {
            let field = name.chars().take(SHOWN_NAME).collect();
            return Err(ApiError::UnknownField { field, known });
        }
        Ok(Self(fields))
    }

    /// Takes a field that holds a text.
    pub(crate) fn text(&mut self, field: &'static str) -> Result<Option<String>, Invalid> {
        match self.0.remove(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => wrong(field, "must be a string"),
        }
    }

    /// Takes a field whose absence leaves things as they are, and whose `null` empties them.
    #[expect(clippy::option_option, reason = "absent, emptied and given are three things")]
    pub(crate) fn change(
        &mut self,
        field: &'static str,
    ) -> Result<Option<Option<String>>, Invalid> {
        if self.0.contains_key(field) { self.text(field).map(Some) } else { Ok(None) }
    }

    /// Takes a text that callers know by two names. Blank is as good as absent.
    pub(crate) fn text_or(
        &mut self,
        field: &'static str,
        alias: &'static str,
    ) -> Result<Option<String>, Invalid> {
        let blank_is_absent = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        let (text, other) = (self.text(field)?, self.text(alias)?);
        match (blank_is_absent(text), blank_is_absent(other)) {
            (Some(text), Some(other)) if text != other => {
                let reason = format!("differs from {alias}, which is another name for it");
                Err(Invalid { field, reason: reason.into() })
            }
            (text, other) => Ok(text.or(other)),
        }
    }

    /// Takes an id: a text, or the number that it was before it was imported.
    pub(crate) fn id(&mut self, field: &'static str) -> Result<Option<String>, Invalid> {
        match self.0.get(field).and_then(Value::as_u64) {
            Some(number) => {
                self.0.remove(field);
                Ok(Some(number.to_string()))
            }
            None => self.text(field),
        }
    }

    /// Takes a field that says yes or no.
    pub(crate) fn flag(&mut self, field: &'static str) -> Result<Option<bool>, Invalid> {
        match self.0.remove(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(_) => wrong(field, "must be true or false"),
        }
    }

    /// Takes a field that holds one of a few words.
    pub(crate) fn word<T>(
        &mut self,
        field: &'static str,
        read: fn(&str) -> Option<T>,
        reason: &'static str,
    ) -> Result<Option<T>, Invalid> {
        let Some(word) = self.text(field)? else {
            return Ok(None);
        };
        read(&word).map(Some).ok_or(Invalid { field, reason: reason.into() })
    }

    /// Takes a list of texts whose absence leaves things as they are.
    pub(crate) fn list(&mut self, field: &'static str) -> Result<Option<Vec<String>>, Invalid> {
        if self.0.contains_key(field) { self.texts(field).map(Some) } else { Ok(None) }
    }

    /// Takes a field that holds a list of texts.
    pub(crate) fn texts(&mut self, field: &'static str) -> Result<Vec<String>, Invalid> {
        let list = match self.0.remove(field) {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(list)) => list,
            Some(_) => return wrong(field, "must be a list of strings"),
        };
        let text = |value| match value {
            Value::String(text) => Ok(text),
            _ => wrong(field, "must be a list of strings"),
        };
        list.into_iter().map(text).collect()
    }
}

/// Whether the request says that its body is JSON, in whatever encoding: JSON has only one.
fn is_json(request: &HttpRequest) -> bool {
    let value = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = value.and_then(|value| value.split(';').next()).unwrap_or_default();
    media_type.trim().eq_ignore_ascii_case("application/json")
}

fn wrong<T>(field: &'static str, reason: &'static str) -> Result<T, Invalid> {
    Err(Invalid { field, reason: reason.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(body: &str) -> Result<Fields, &'static str> {
        Fields::parse(body.as_bytes(), &["to", "alias", "list"]).map_err(|error| match error {
            ApiError::NotJson { .. } => "not JSON",
            ApiError::NotAnObject => "not an object",
            ApiError::UnknownField { .. } => "unknown",
            _ => "other",
        })
    }

    fn known(body: &str) -> Fields {
        fields(body).unwrap_or_else(|why| panic!("{body}: {why}"))
    }

    #[test]
    fn only_an_object_of_known_fields_is_read() {
        for (body, why) in [
            ("", "not JSON"),
            ("{", "not JSON"),
            ("{\"to\": 1e999}", "not JSON"),
            ("{\"to\": \"\\ud800\"}", "not JSON"),
            ("{} {}", "not JSON"),
            ("[]", "not an object"),
            ("null", "not an object"),
            ("{\"To\": \"\"}", "unknown"),
        ] {
            assert_eq!(fields(body).err(), Some(why), "{body}");
        }
        let deep = "[".repeat(60_000);
        assert_eq!(fields(&deep).err(), Some("not JSON"));
    }

    #[test]
    fn null_is_absent_and_another_type_is_named() {
        assert_eq!(known("{\"to\": null}").text("to"), Ok(None));
        assert_eq!(known("{\"to\": \"\"}").text("to"), Ok(Some(String::new())));
        for wrong in ["1", "true", "[]", "{}"] {
            let error = known(&format!("{{\"to\": {wrong}}}")).text("to").unwrap_err();
            assert_eq!(error.to_string(), "to: must be a string");
        }
        assert_eq!(known("{}").change("to"), Ok(None));
        assert_eq!(known("{\"to\": null}").change("to"), Ok(Some(None)));
        assert_eq!(known("{\"to\": \"a\"}").change("to"), Ok(Some(Some("a".to_owned()))));
        assert_eq!(known("{\"list\": null}").texts("list"), Ok(vec![]));
        assert_eq!(known("{\"list\": [\"a\"]}").texts("list"), Ok(vec!["a".to_owned()]));
        for wrong in ["\"a\"", "[1]", "[null]", "{}"] {
            let error = known(&format!("{{\"list\": {wrong}}}")).texts("list").unwrap_err();
            assert_eq!(error.to_string(), "list: must be a list of strings");
        }
    }

    #[test]
    fn an_id_is_a_text_or_a_number() {
        for (body, id) in [("17", "17"), ("\"17\"", "17"), ("\"x\"", "x")] {
            assert_eq!(known(&format!("{{\"to\": {body}}}")).id("to"), Ok(Some(id.to_owned())));
        }
        for wrong in ["-1", "1.5", "true", "[]"] {
            assert!(known(&format!("{{\"to\": {wrong}}}")).id("to").is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_text_goes_by_either_name() {
        let check = |body: &str| known(body).text_or("to", "alias");
        for body in [
            r#"{"to": "1"}"#,
            r#"{"alias": "1"}"#,
            r#"{"to": "1", "alias": "1"}"#,
            r#"{"to": " ", "alias": "1"}"#,
            r#"{"to": "1", "alias": null}"#,
        ] {
            assert_eq!(check(body), Ok(Some("1".to_owned())), "{body}");
        }
        assert_eq!(check("{}"), Ok(None));
        let error = check(r#"{"to": "1", "alias": "2"}"#).unwrap_err();
        assert_eq!(error.to_string(), "to: differs from alias, which is another name for it");
    }
}
