use adapter_twilio::signature::{Key, Payload, sign};
use adapter_twilio::{GateSettings, TwilioGate};
use domain::ports::{Refusal, SignatureMistake, StatusDelivery};
use proptest::prelude::*;

use crate::request::{BASE, BODY, Request, TARGET, TOKEN, gate, settings};

fn public(target: &str) -> String {
    format!("{BASE}{target}")
}

fn genuine() -> Request {
    Request::form(BODY).signed(&public(TARGET))
}

#[test]
fn a_genuine_message_is_let_in() {
    let message = genuine().inbound(&gate(BASE)).unwrap();
    assert_eq!(message.twilio_sid.as_str(), "SM1");
    assert_eq!(message.body.unwrap().as_str(), "Hola \u{e9}");
    assert_eq!(message.raw.members()["Body"], serde_json::json!(["Hola \u{e9}", "2"]));
}

#[test]
fn the_signature_header_must_be_there_once_and_whole() {
    let check = |request: Request, mistake: SignatureMistake| {
        let refusal = request.inbound(&gate(BASE)).unwrap_err();
        assert_eq!(refusal, Refusal::Forged(mistake), "{:?}", request.headers);
    };
    let header = "x-twilio-signature";
    check(Request::form(BODY), SignatureMistake::Missing);
    check(genuine().signed(&public(TARGET)), SignatureMistake::Repeated);
    check(genuine().with(header, ""), SignatureMistake::Repeated);
    for odd in ["", " ", "FAIL", "a, b", "\"Ut7PBOvcPLECsqUKvRTrRihHSX0=\""] {
        check(Request::form(BODY).with(header, odd), SignatureMistake::Malformed);
    }
    let other = "Ut7PBOvcPLECsqUKvRTrRihHSX0=";
    check(Request::form(BODY).with(header, other), SignatureMistake::Unexplained);
}

#[test]
fn blanks_around_the_signature_are_no_part_of_it() {
    let mut request = genuine();
    let (_, signature) = request.headers.last_mut().unwrap();
    *signature = [b" \t", signature.as_slice(), b"\t "].concat();
    assert!(request.inbound(&gate(BASE)).is_ok());
}

#[test]
fn the_url_is_the_public_one_whatever_the_request_says_of_itself() {
    let evil = Request::form(BODY)
        .with("host", "evil.example")
        .with("x-forwarded-host", "evil.example")
        .with("x-forwarded-proto", "https")
        .signed("https://evil.example/webhook/twilio/sms");
    assert!(evil.inbound(&gate(BASE)).is_err());
    assert!(genuine().with("host", "10.0.0.7:8080").inbound(&gate(BASE)).is_ok());
}

#[test]
fn every_public_url_and_prefix_is_accepted() {
    let check = |setting: &str, target: &str, url: &str| {
        let request = Request::form(BODY).at(target).signed(url);
        assert!(request.inbound(&gate(setting)).is_ok(), "{setting} {target} {url}");
    };
    check("https://a,https://b/p", "/in", "https://a/in");
    check("https://a,https://b/p", "/in", "https://b/p/in");
    check("https://a,https://b/p", "/p/in", "https://b/p/in");
    check("https://a/", "/in/?x=%20y", "https://a/in/?x=%20y");
    check("https://a:8443", "/in", "https://a/in");
    check("https://a", "/in", "https://a:443/in");
}

#[test]
fn either_token_will_do_and_a_blank_one_is_none() {
    let check = |primary: &str, secondary: Option<&str>, signed_with: &str, let_in: bool| {
        let gate = TwilioGate::new(GateSettings {
            auth_token: primary.into(),
            auth_token_secondary: secondary.map(Into::into),
            ..settings(BASE)
        });
        let request = Request::form(BODY).signed_with(&public(TARGET), signed_with);
        assert_eq!(request.inbound(&gate).is_ok(), let_in, "{primary:?} {secondary:?}");
    };
    check("new", Some("old"), "new", true);
    check("new", Some("old"), "old", true);
    check("", Some("old"), "old", true);
    check("new", None, "old", false);
    check("new\n", None, "new", false);
    check("new\n", None, "new\n", true);
    check("", None, "new", false);
}

#[test]
fn nothing_signed_with_an_empty_key_is_let_in() {
    // Computed elsewhere: an HMAC with the empty key over this URL and `MessageSid`, `SM1`.
    let signed_by_anybody =
        Request::form("MessageSid=SM1").with("x-twilio-signature", "SOEdsQHlkXM8kasgYvoPNjrwgAE=");
    for (primary, secondary) in [("", None), ("", Some("")), (" ", Some("\t")), ("", Some(" "))] {
        let gate = TwilioGate::new(GateSettings {
            auth_token: primary.into(),
            auth_token_secondary: secondary.map(Into::into),
            ..settings(BASE)
        });
        let refusal = signed_by_anybody.inbound(&gate).unwrap_err();
        assert_eq!(refusal, Refusal::Forged(SignatureMistake::Unexplained));
    }
}

#[test]
fn the_content_type_says_what_is_signed() {
    let check = |content_type: &str, let_in: bool| {
        let request = genuine().without("content-type").with("content-type", content_type);
        assert_eq!(request.inbound(&gate(BASE)).is_ok(), let_in, "{content_type}");
    };
    check("application/x-www-form-urlencoded", true);
    check("Application/X-WWW-Form-Urlencoded ; charset=UTF-8", true);
    check("", true);
    check("application/json", false);
    check("application/x-www-form-urlencoded-not", false);
    assert!(genuine().without("content-type").inbound(&gate(BASE)).is_ok());
}

#[test]
fn a_signed_body_that_is_no_form_is_refused_for_that() {
    let hash = "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862";
    let json = |target: &str, body: &str| {
        let key = Key::new(TOKEN).unwrap();
        let signature = sign(&public(target), &Payload::Body(body.as_bytes()), &key);
        Request::form(body)
            .at(target)
            .without("content-type")
            .with("content-type", "application/json")
            .with("x-twilio-signature", &signature.to_string())
    };
    let named = format!("{TARGET}?bodySHA256={hash}");
    let check = |request: Request, refusal: Refusal| {
        assert_eq!(request.inbound(&gate(BASE)), Err(refusal.clone()));
        assert_eq!(request.status(&gate(BASE)), Err(refusal));
    };
    check(json(&named, r#"{"a":1}"#), Refusal::NotAForm);
    check(json(&named, r#"{"a":1}"#).without("content-type"), Refusal::NotAForm);
    let forged = |mistake| Refusal::Forged(mistake);
    check(json(&named, r#"{"a":2}"#), forged(SignatureMistake::BodyHash));
    check(json(TARGET, r#"{"a":1}"#), forged(SignatureMistake::BodyHash));
    let moved = json(&named, r#"{"a":1}"#).at(&format!("{named}&b=1"));
    check(moved, forged(SignatureMistake::Unexplained));
}

#[test]
fn the_query_of_the_url_never_stands_for_a_field() {
    let target = format!("{TARGET}?MessageSid=SM9&Body=query&AccountSid=AC2");
    let signed = |body: &str| Request::form(body).at(&target).signed(&public(&target));
    let message = signed("MessageSid=SM1").inbound(&gate(BASE)).unwrap();
    assert_eq!((message.twilio_sid.as_str(), message.body), ("SM1", None));
    let without_sid = signed("Body=x").inbound(&gate(BASE));
    assert_eq!(without_sid, Err(Refusal::NoMessageSid));
}

#[test]
fn a_signed_message_without_a_usable_sid_is_refused_for_that() {
    for body in ["SmsSid=SM1", "", "MessageSid=", "MessageSid=%00"] {
        let request = Request::form(body).signed(&public(TARGET));
        assert_eq!(request.inbound(&gate(BASE)), Err(Refusal::NoMessageSid), "{body}");
    }
}

#[test]
fn bytes_that_are_no_text_may_have_been_signed_either_way() {
    let exact = Request::form("MessageSid=SM1&Body=%C3%28").signed(&public(TARGET));
    assert_eq!(exact.inbound(&gate(BASE)).unwrap().body.unwrap().as_str(), "\u{fffd}(");
    let mut replaced = Request::form("MessageSid=SM1&Body=%EF%BF%BD%28").signed(&public(TARGET));
    replaced.body = b"MessageSid=SM1&Body=%C3%28".to_vec();
    assert!(replaced.inbound(&gate(BASE)).is_ok());
    replaced.body = b"MessageSid=SM1&Body=%C3%29".to_vec();
    assert!(replaced.inbound(&gate(BASE)).is_err());
}

#[test]
fn a_report_about_another_account_is_set_apart() {
    let gate = TwilioGate::new(GateSettings { account_sid: Some("AC1".into()), ..settings(BASE) });
    let report = |account: &str| {
        let body = format!("MessageSid=SM1&MessageStatus=sent&AccountSid={account}");
        Request::form(&body).signed(&public(TARGET)).status(&gate).unwrap()
    };
    assert_eq!(report("AC2"), StatusDelivery::OtherAccount);
    assert!(matches!(report("AC1"), StatusDelivery::Ours(_)));
}

#[test]
fn a_sender_without_a_plus_is_in_the_form_of_our_country() {
    let request = Request::form("MessageSid=SM1&From=11987654321").signed(&public(TARGET));
    let sender = |region: &str| {
        let gate =
            TwilioGate::new(GateSettings { region: region.parse().unwrap(), ..settings(BASE) });
        request.inbound(&gate).unwrap().from.canonical()
    };
    assert_eq!(sender("BR"), "+5511987654321");
    assert_ne!(sender("US"), sender("BR"));
}

#[test]
fn debug_of_the_settings_shows_no_secret() {
    let shown = format!(
        "{:?}",
        GateSettings {
            auth_token_secondary: Some("another-secret".into()),
            ..settings("https://user:password@h")
        }
    );
    for secret in [TOKEN, "another-secret", "password"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

proptest! {
    #[test]
    fn no_request_panics_and_none_is_let_in_unsigned(
        target in "[/?&=%a#'. ]{0,30}",
        content_type in "[a-z/;= ]{0,40}",
        host in any::<Vec<u8>>(),
        body in any::<Vec<u8>>(),
    ) {
        let mut request = Request::form("")
            .at(&target)
            .without("content-type")
            .with("content-type", &content_type)
            .with("x-twilio-signature", "Ut7PBOvcPLECsqUKvRTrRihHSX0=");
        request.headers.push(("host".into(), host));
        request.body = body;
        let refusal = request.inbound(&gate("https://h/p")).unwrap_err();
        prop_assert!(matches!(refusal, Refusal::Forged(_)));
    }
}

#[test]
fn an_unproven_request_that_names_our_account_is_told_apart() {
    let ours = TwilioGate::new(GateSettings { account_sid: Some("AC1".into()), ..settings(BASE) });
    let nobodys = TwilioGate::new(GateSettings { account_sid: None, ..settings(BASE) });
    for (body, expected) in
        [("AccountSid=AC1&x=y", true), ("AccountSid=AC2", false), ("", false), ("%00=&&", false)]
    {
        let request = Request::form(body);
        assert_eq!(request.names_the_account_of(&ours), expected, "{body}");
        assert!(!request.names_the_account_of(&nobodys), "{body}");
    }
}
