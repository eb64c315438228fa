//! What the log says of a signature that does not fit.

use adapter_twilio::{GateSettings, TwilioGate};
use domain::ports::{Refusal, SignatureMistake};

use crate::request::{BASE, BODY, Request, TARGET, TOKEN, gate, settings};

fn mistake(gate: &TwilioGate, request: &Request) -> SignatureMistake {
    match request.inbound(gate) {
        Err(Refusal::Forged(mistake)) => mistake,
        other => panic!("not forged: {other:?}"),
    }
}

#[test]
fn a_wrong_setting_is_named() {
    use SignatureMistake::{Host, Path, Port, Query, Scheme, Unexplained};
    let check = |base: &str, target: &str, headers: &[(&str, &str)], signed_as: &str, expected| {
        let request = Request::form(BODY).at(target).signed(signed_as);
        let request =
            headers.iter().fold(request, |request, (name, value)| request.with(name, value));
        let found = mistake(&gate(base), &request);
        assert_eq!(found, expected, "{base} {target} {headers:?} {signed_as}");
    };
    let host = |value: &'static str| [("host", value)];
    check("http://h", "/in", &[], "https://h/in", Scheme);
    check("https://h", "/in", &[], "http://h/in", Scheme);
    check("http://h:8080", "/in", &[], "https://h/in", Scheme);
    check("http://h/p", "/p/in", &[], "https://h/p/in", Scheme);
    check("http://127.0.0.1:8080", "/in", &host("h"), "https://h/in", Host);
    check("https://g/p", "/in", &host("h"), "https://h/p/in", Host);
    check("https://g", "/in", &host("h:81"), "http://h:81/in", Host);
    let forwarded = [
        ("host", "10.0.0.7:8080"),
        ("x-forwarded-host", "h, proxy"),
        ("x-forwarded-proto", "https"),
    ];
    check("https://g", "/in", &forwarded, "https://h/in", Host);
    check("https://h", "/in", &host("h:8443"), "https://h:8443/in", Port);
    check("https://h:1", "/in", &host("H:2"), "https://H:2/in", Port);
    check("https://h/p", "/in", &[], "https://h/in", Path);
    check("https://h/p/q", "/p/q/in", &[], "https://h/in", Path);
    check("https://h", "/in", &[], "https://h/in/", Path);
    check("https://h", "/in/?a=1", &[], "https://h/in?a=1", Path);
    check("https://h", "/in?added=1", &[], "https://h/in", Query);
    check("https://h", "/in", &host("g"), "https://h/other", Unexplained);
}

#[test]
fn values_that_were_trimmed_are_recognised() {
    let mut request = Request::form("MessageSid=SM1&Body=a+b").signed(&format!("{BASE}{TARGET}"));
    request.body = b"MessageSid=SM1&Body=+a+b%0A".to_vec();
    assert_eq!(mistake(&gate(BASE), &request), SignatureMistake::TrimmedValues);
}

#[test]
fn the_second_token_explains_too() {
    let gate = TwilioGate::new(GateSettings {
        auth_token: "new".into(),
        auth_token_secondary: Some(TOKEN.into()),
        ..settings("http://h")
    });
    let request = Request::form(BODY).at("/in").signed("https://h/in");
    assert_eq!(mistake(&gate, &request), SignatureMistake::Scheme);
}

#[test]
fn a_large_body_is_not_worth_an_explanation() {
    let body = format!("MessageSid=SM1&Body={}", "x".repeat(64 * 1024));
    let request = Request::form(&body).at("/in").signed("https://h/in");
    assert_eq!(mistake(&gate("http://h"), &request), SignatureMistake::Unexplained);
}

#[test]
fn an_explained_request_stays_outside() {
    let request = Request::form(BODY).at("/in").signed("https://h/in");
    let refusal = request.status(&gate("http://h")).unwrap_err();
    assert_eq!(refusal, Refusal::Forged(SignatureMistake::Scheme));
}
