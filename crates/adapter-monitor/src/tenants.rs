//! Whose a number is, as the Monitor writes it: wire contracts, section 4.
//!
//! A tenant is an object with `tenant_id`; an answer is one tenant, a list of tenants, or an object
//! that holds either as `tenants`, `results` or `data`. Members that are not known are not looked
//! at, and nothing is nobody: an empty body, `null`, `""`, an empty list, no id.
//!
//! Numbers are read digit by digit as they are written: as a double, a long id would be another's.

use domain::ports::TenantMatch;
use domain::tenant::TenantId;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::fault::Fault;

/// What the body of a 200 says.
pub(crate) fn read(body: &[u8]) -> Result<TenantMatch, Fault> {
    if body.trim_ascii().is_empty() {
        return Ok(TenantMatch::Nobody);
    }
    let answer: &RawValue =
        serde_json::from_slice(body).map_err(|_| Fault::Unreadable("it is not JSON"))?;
    Ok(same(ids_in(answer)?))
}

/// A tenant, or what holds tenants.
#[derive(Deserialize)]
struct AnswerBody<'a> {
    #[serde(borrow)]
    tenant_id: Option<&'a RawValue>,
    #[serde(borrow)]
    tenants: Option<&'a RawValue>,
    #[serde(borrow)]
    results: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

fn ids_in(answer: &RawValue) -> Result<Vec<TenantId>, Fault> {
    if kind(answer) != Kind::Object {
        return listed(answer);
    }
    let AnswerBody { tenant_id, tenants, results, data } = object(answer)?;
    let mut ids: Vec<_> = tenant_id.map(id).transpose()?.flatten().into_iter().collect();
    for inner in [tenants, results, data].into_iter().flatten() {
        ids.extend(listed(inner)?);
    }
    Ok(ids)
}

/// The ids of a list, of one tenant, or of `null`.
fn listed(value: &RawValue) -> Result<Vec<TenantId>, Fault> {
    let tenants: Vec<&RawValue> = match kind(value) {
        Kind::Null => Vec::new(),
        Kind::Object => vec![value],
        Kind::List => serde_json::from_str(value.get()).map_err(|_| odd())?,
        Kind::Text | Kind::Other => return Err(odd()),
    };
    tenants.into_iter().filter_map(|tenant| id_of(tenant).transpose()).collect()
}

fn id_of(tenant: &RawValue) -> Result<Option<TenantId>, Fault> {
    match kind(tenant) {
        Kind::Object => object(tenant)?.tenant_id.map_or(Ok(None), id),
        _ => Err(odd()),
    }
}

/// An id, written as text or as a whole number; `None` where it is empty.
fn id(value: &RawValue) -> Result<Option<TenantId>, Fault> {
    let text = match kind(value) {
        Kind::Text => serde_json::from_str(value.get()).map_err(|_| odd())?,
        _ if is_whole_number(value.get()) => value.get().to_owned(),
        _ => return Err(Fault::Unreadable("a tenant's id is neither text nor a whole number")),
    };
    if text.is_empty() {
        return Ok(None);
    }
    let id = TenantId::parse(&text);
    id.map(Some).map_err(|_| Fault::Unreadable("a tenant's id has odd characters or too many"))
}

fn same(ids: Vec<TenantId>) -> TenantMatch {
    let mut ids = ids.into_iter();
    match ids.next() {
        None => TenantMatch::Nobody,
        Some(first) if ids.all(|other| other == first) => TenantMatch::Tenant(first),
        Some(_) => TenantMatch::Ambiguous,
    }
}

#[derive(PartialEq, Eq)]
enum Kind {
    Object,
    List,
    Text,
    Null,
    Other,
}

/// The first byte tells: there is no blank before it.
fn kind(value: &RawValue) -> Kind {
    match value.get().bytes().next() {
        Some(b'{') => Kind::Object,
        Some(b'[') => Kind::List,
        Some(b'"') => Kind::Text,
        Some(b'n') => Kind::Null,
        _ => Kind::Other,
    }
}

fn object(value: &RawValue) -> Result<AnswerBody<'_>, Fault> {
    serde_json::from_str(value.get()).map_err(|_| odd())
}

/// Fractions and exponents are none: whoever wrote them lost digits before us.
fn is_whole_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn odd() -> Fault {
    Fault::Unreadable("it is neither a tenant nor a list of tenants")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(body: &str, expected: &str) {
        let told = match read(body.as_bytes()) {
            Ok(TenantMatch::Tenant(id)) => format!("tenant {id}"),
            Ok(TenantMatch::Nobody) => "nobody".to_owned(),
            Ok(TenantMatch::Ambiguous) => "ambiguous".to_owned(),
            Err(Fault::Unreadable(_)) => "unreadable".to_owned(),
            Err(fault) => fault.to_string(),
        };
        assert_eq!(told, expected, "{body}");
    }

    #[test]
    fn an_id_is_text_or_a_whole_number_of_any_length() {
        check(r#"{"tenant_id": "T_12-x"}"#, "tenant T_12-x");
        check(r#" {"name": {"a": []}, "tenant_id": "\u0054\u0031"} "#, "tenant T1");
        check(r#"{"tenant_id": 12}"#, "tenant 12");
        check(r#"{"tenant_id": 9007199254740993}"#, "tenant 9007199254740993");
        check(r#"{"tenant_id": 18446744073709551617}"#, "tenant 18446744073709551617");
        let longest = "9".repeat(64);
        check(&format!("{{\"tenant_id\": {longest}}}"), &format!("tenant {longest}"));
        check(r#"{"tenant_id": 0}"#, "tenant 0");
    }

    #[test]
    fn nothing_is_nobody() {
        for body in
            ["", " \n", "null", "{}", "[]", r#"{"tenant_id": null}"#, r#"{"tenant_id": ""}"#]
        {
            check(body, "nobody");
        }
        for body in ["[{}]", r#"{"tenants": []}"#, r#"{"results": null}"#, r#"{"data": {}}"#] {
            check(body, "nobody");
        }
        check(r#"[{"tenant_id": null}, {"tenant_id": ""}, {"name": "x"}]"#, "nobody");
        check(r#"{"TENANT_ID": "T1", "id": "T2"}"#, "nobody");
    }

    #[test]
    fn a_list_that_names_one_tenant_is_that_tenants() {
        check(r#"[{"tenant_id": "T1"}]"#, "tenant T1");
        check(r#"[{"tenant_id": "7"}, {"tenant_id": 7}, {"tenant_id": null}]"#, "tenant 7");
        check(r#"{"tenants": [{"tenant_id": "T1"}], "total": 1}"#, "tenant T1");
        check(r#"{"results": [{"tenant_id": "T1"}, {"tenant_id": "T1"}]}"#, "tenant T1");
        check(r#"{"data": [{"tenant_id": 5}]}"#, "tenant 5");
        check(r#"{"data": {"tenant_id": 5}}"#, "tenant 5");
        check(r#"{"tenant_id": "T1", "tenants": [{"tenant_id": "T1"}]}"#, "tenant T1");
        check(r#"{"tenant_id": null, "tenants": [{"tenant_id": "T1"}]}"#, "tenant T1");
    }

    #[test]
    fn several_tenants_are_ambiguous_wherever_they_are_named() {
        check(r#"[{"tenant_id": "T1"}, {"tenant_id": "T2"}]"#, "ambiguous");
        check(
            r#"{"tenants": [{"tenant_id": 1}, {"tenant_id": 1}, {"tenant_id": 2}]}"#,
            "ambiguous",
        );
        check(r#"{"tenant_id": "T1", "results": [{"tenant_id": "T2"}]}"#, "ambiguous");
        let close = r#"[{"tenant_id": 9007199254740993}, {"tenant_id": 9007199254740992}]"#;
        check(close, "ambiguous");
    }

    #[test]
    fn an_id_that_is_none_is_not_guessed_at() {
        for id in ["true", "{}", "[1]", "1.0", "1e3", "9.007199254740993e15", "-", "01", "NaN"] {
            check(&format!("{{\"tenant_id\": {id}}}"), "unreadable");
        }
        for id in ["a b", " T1", "../x", "T1\\n", "\\ud800", "é", &"1".repeat(65)] {
            check(&format!("{{\"tenant_id\": \"{id}\"}}"), "unreadable");
        }
        check(r#"[{"tenant_id": "T1"}, {"tenant_id": "a b"}]"#, "unreadable");
        check(r#"{"tenant_id": "T1", "tenant_id": "T2"}"#, "unreadable");
    }

    #[test]
    fn what_is_no_answer_is_unreadable() {
        for body in ["<html>", "{", r#"{"tenant_id": "T1"}}"#, "\u{feff}{}", "5", "true", "\"T1\""]
        {
            check(body, "unreadable");
        }
        for body in [r#"["T1"]"#, "[null]", "[[]]", r#"{"tenants": "T1"}"#, r#"{"data": [5]}"#] {
            check(body, "unreadable");
        }
        assert!(read(b"{\"tenant_id\": \"\xff\"}").is_err());
    }

    #[test]
    fn depth_does_not_matter() {
        let deep = |open: &str, close: &str| format!("{}{}", open.repeat(9999), close.repeat(9999));
        check(&deep("[", "]"), "unreadable");
        check(&deep(r#"{"data":"#, "}").replace(":}", ":1}"), "nobody");
        check(&format!("{{\"x\": {}, \"tenant_id\": 1}}", deep("[", "]")), "tenant 1");
    }

    /// Bodies made of the pieces that answers are made of.
    fn any_pieces() -> impl Strategy<Value = String> {
        let pieces = prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ":",
            ",",
            "\"tenant_id\"",
            "\"tenants\"",
            "\"data\"",
            "null",
            "1",
            "\"T1\"",
            "\"\"",
            "1e5",
            "-",
            " ",
            "\"",
            "\\u",
            "true",
        ]);
        prop::collection::vec(pieces, 0..24).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn no_body_panics(bytes: Vec<u8>, text: String, pieces in any_pieces()) {
            let _ = (read(&bytes), read(text.as_bytes()), read(pieces.as_bytes()));
        }

        #[test]
        fn every_id_comes_back_as_it_is_written(id in "[A-Za-z0-9_-]{1,64}", number in "[1-9][0-9]{0,63}") {
            check(&format!("[{{\"tenant_id\":\"{id}\"}}]"), &format!("tenant {id}"));
            check(&format!("{{\"tenant_id\":{number}}}"), &format!("tenant {number}"));
        }
    }
}
