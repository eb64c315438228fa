//! Everything that a form carried, as a JSON object that PostgreSQL can keep.
//!
//! A field is a member, a repeated field an array in order of arrival. JSON in PostgreSQL holds
//! neither NUL nor broken UTF-8: a field that has them is kept twice, without NUL and with U+FFFD
//! for what is no text under its name, and as it came under [`PERCENT_ENCODED`]:
//!
//! ```json
//! { "Body": "ab", "_percent_encoded": { "Body": "a%00b" } }
//! ```
//!
//! Names and values in there are in their encoded form, so that the very bytes can be had back.

use std::borrow::Cow;

use domain::message::RawPayload;
use percent_encoding::{CONTROLS, percent_encode};
use serde_json::map::Entry;
use serde_json::{Map, Value};

use crate::form::{Field, Form};

/// The member that is ours: the fields that JSON cannot hold, percent-encoded. A field that is
/// itself so named is found in it, and nowhere else.
pub const PERCENT_ENCODED: &str = "_percent_encoded";

/// The fields of `form`.
#[must_use]
pub fn raw_payload(form: &Form<'_>) -> RawPayload {
    let (mut members, mut encoded) = (Map::new(), Map::new());
    for field in form.fields() {
        let (name, value) = (storable(&field.name), storable(&field.value));
        let reserved = name == PERCENT_ENCODED;
        if reserved || !is_kept_whole(field) {
            add(&mut encoded, as_it_came(field.raw_name), as_it_came(field.raw_value));
        }
        if !reserved {
            add(&mut members, name.into_owned(), value.into_owned());
        }
    }
    if !encoded.is_empty() {
        members.insert(PERCENT_ENCODED.to_owned(), Value::Object(encoded));
    }
    RawPayload::new(members)
}

fn is_kept_whole(field: &Field<'_>) -> bool {
    [&field.name, &field.value]
        .into_iter()
        .all(|bytes| std::str::from_utf8(bytes).is_ok_and(|text| !text.contains('\0')))
}

fn storable(bytes: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(bytes);
    if text.contains('\0') { Cow::Owned(text.replace('\0', "")) } else { text }
}

/// Bytes that were sent without being encoded are encoded here.
fn as_it_came(raw: &[u8]) -> String {
    percent_encode(raw, CONTROLS).to_string()
}

fn add(members: &mut Map<String, Value>, name: String, value: String) {
    let value = Value::String(value);
    match members.entry(name) {
        Entry::Vacant(place) => {
            place.insert(value);
        }
        Entry::Occupied(mut place) => match place.get_mut() {
            Value::Array(values) => values.push(value),
            first => *first = Value::Array(vec![first.take(), value]),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn payload(body: &[u8]) -> Value {
        raw_payload(&Form::parse(body)).into_json()
    }

    #[test]
    fn a_form_becomes_an_object() {
        let check = |body: &str, expected: Value| {
            assert_eq!(payload(body.as_bytes()), expected, "{body}");
        };
        check("", json!({}));
        check("a=1&b=", json!({"a": "1", "b": ""}));
        check("a=2&b=x&a=1&a=2", json!({"a": ["2", "1", "2"], "b": "x"}));
        check("=x&Body=%F0%9F%98%80+%E2%80%AE", json!({"": "x", "Body": "\u{1F600} \u{202E}"}));
    }

    #[test]
    fn what_json_cannot_hold_is_kept_encoded_too() {
        let check = |body: &[u8], expected: Value| assert_eq!(payload(body), expected);
        check(
            b"Body=a+%00b&To=1",
            json!({"Body": "a b", "To": "1", "_percent_encoded": {"Body": "a+%00b"}}),
        );
        check(
            b"x=%C3%28&x=fine&x=%00",
            json!({
                "x": ["\u{fffd}(", "fine", ""],
                "_percent_encoded": {"x": ["%C3%28", "%00"]},
            }),
        );
        check(b"a%00=1&a=2", json!({"a": ["1", "2"], "_percent_encoded": {"a%00": "1"}}));
        check(b"a=\0\xff%zz", json!({"a": "\u{fffd}%zz", "_percent_encoded": {"a": "%00%FF%zz"}}));
    }

    #[test]
    fn a_field_with_our_reserved_name_hides_nothing() {
        assert_eq!(
            payload(b"_percent_encoded=x+y&_percent%5Fencoded=z&b=%00&_percent_encoded%00=q"),
            json!({
                "b": "",
                "_percent_encoded": {
                    "_percent_encoded": "x+y", "_percent%5Fencoded": "z", "b": "%00",
                    "_percent_encoded%00": "q",
                },
            })
        );
    }

    #[test]
    fn a_body_of_nothing_but_separators_and_repeats_is_read_in_linear_time() {
        let body = b"a&".repeat(128 * 1024);
        let Value::Object(members) = payload(&body) else { panic!("not an object") };
        assert_eq!(members["a"].as_array().map(Vec::len), Some(128 * 1024));
    }

    /// The fields that a payload was made from, in no particular order.
    fn recovered(payload: Value) -> Vec<(Vec<u8>, Vec<u8>)> {
        let Value::Object(mut members) = payload else { panic!("not an object") };
        let encoded = members.remove(PERCENT_ENCODED).unwrap_or(json!({}));
        let Value::Object(encoded) = encoded else { panic!("not an object") };
        let mut fields = Vec::new();
        for (name, value) in each(encoded) {
            let body = format!("{name}={value}");
            let form = Form::parse(body.as_bytes());
            let [Field { name, value, .. }] = form.fields() else { panic!("not one field") };
            fields.push((name.to_vec(), value.to_vec()));
        }
        let mut whole = each(members);
        for (name, value) in &fields {
            let stored = (storable(name).into_owned(), storable(value).into_owned());
            if stored.0 != PERCENT_ENCODED {
                let place = whole.iter().position(|field| *field == stored);
                whole.swap_remove(place.unwrap());
            }
        }
        fields.extend(whole.into_iter().map(|(name, value)| (name.into(), value.into())));
        fields
    }

    fn each(members: Map<String, Value>) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        for (name, value) in members {
            let values = match value {
                Value::Array(values) => values,
                one => vec![one],
            };
            let text = |value: Value| value.as_str().map(str::to_owned).unwrap();
            fields.extend(values.into_iter().map(|value| (name.clone(), text(value))));
        }
        fields
    }

    proptest! {
        #[test]
        fn the_very_bytes_can_be_had_back(pieces in prop::collection::vec(
            prop::sample::select(vec![
                "a", "b", "=", "=", "&", "&", "%00", "%C3", "%A9", "%", "+", "\0", "_percent_encoded",
            ]), 0..30,
        )) {
            let body = pieces.concat();
            let form = Form::parse(body.as_bytes());
            let pair = |field: &Field<'_>| (field.name.to_vec(), field.value.to_vec());
            let mut expected: Vec<_> = form.fields().iter().map(pair).collect();
            let mut recovered = recovered(payload(body.as_bytes()));
            expected.sort();
            recovered.sort();
            prop_assert_eq!(recovered, expected);
        }
    }
}
