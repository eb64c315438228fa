//! What becomes of one request to send, whatever Twilio or the network does with it.

use std::time::{Duration, Instant};

use adapter_twilio::{ClientError, ClientSettings, TwilioClient, form::Form};
use domain::message::MessageId;
use domain::ports::{
    Provider, ProviderFault, Refusal, SendOrder, SendOutcome, Sender, StatusDelivery, UnsentReason,
};
use domain::text::Text;
use serde_json::json;
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::request::{BASE, Request, gate};
use crate::stub::{Reply, Stub, settings};

fn order() -> SendOrder {
    SendOrder {
        message: MessageId(Uuid::from_u128(0x0190_d3a5_7c4e_7b1f_8a2d_3f5e_6c7b_8a9d)),
        to: Text::new("+18605550199"),
        sender: Sender::Number(Text::new("+18605550100")),
        body: Some(Text::new("Hi")),
        media: Vec::new(),
        validity: Duration::from_mins(10),
    }
}

fn created() -> Reply {
    Reply::json(201, &json!({"sid": "SM1", "status": "queued"}))
}

fn code(fault: &ProviderFault) -> &str {
    fault.code.as_deref().unwrap()
}

/// The outcome in one line: what, why, code, and how long to wait.
fn told(outcome: &SendOutcome) -> String {
    match outcome {
        SendOutcome::Accepted(message) => format!("accepted {} {}", message.sid, message.status),
        SendOutcome::Refused(fault) => format!("refused {}", code(fault)),
        SendOutcome::Ambiguous(fault) => format!("ambiguous {}", code(fault)),
        SendOutcome::Unsent { reason, fault, retry_after } => {
            let wait = retry_after.map(|wait| format!(" {}s", wait.as_secs()));
            format!("{} {}{}", reason.as_str(), code(fault), wait.unwrap_or_default())
        }
    }
}

async fn check(reply: Reply, expected: &str) {
    let stub = Stub::start([reply.clone()]).await;
    let outcome = stub.client().send(&order()).await;
    assert_eq!(told(&outcome), expected, "{reply:?}");
    assert_eq!(stub.asked().len(), 1, "one request for {reply:?}");
    let shown = format!("{outcome:?}");
    assert!(!shown.contains("8605550199"), "{shown}");
}

fn answer(status: u16, headers: &'static str, body: &str) -> Reply {
    Reply::Answer { status, headers, body: body.to_owned() }
}

#[tokio::test]
async fn an_answer_with_a_sid_is_an_accepted_message() {
    check(created(), "accepted SM1 queued").await;
    check(answer(200, "", r#"{"sid":"SM1"}"#), "accepted SM1 ").await;
    let odd = json!({"sid": "SM1", "status": "accepted", "error_code": {}, "body": 5});
    check(Reply::json(201, &odd), "accepted SM1 accepted").await;
}

#[tokio::test]
async fn a_success_without_a_sid_is_ambiguous() {
    for body in
        ["", "{}", "null", "<html>", r#"{"sid":""}"#, r#"{"sid":null}"#, r#"[{"sid":"SM1"}]"#]
    {
        check(answer(201, "", body), "ambiguous unreadable").await;
    }
    check(answer(200, "", &"x".repeat(5 << 20)), "ambiguous unreadable").await;
}

#[tokio::test]
async fn an_answer_that_is_no_clear_no_is_ambiguous() {
    for status in [300, 302, 304, 307, 408, 500, 502, 503, 504, 599] {
        check(answer(status, "location: /x\r\n", ""), "ambiguous unclear").await;
    }
    check(Reply::error(500, 20500), "ambiguous 20500").await;
    check(Reply::error(503, 20429), "ambiguous 20429").await;
    check(Reply::error(408, 21211), "ambiguous 21211").await;
}

#[tokio::test]
async fn a_no_with_a_code_means_what_the_table_says() {
    for code in [21211, 21408, 21610, 21617, 20404, 21606, 99999] {
        check(Reply::error(400, code), &format!("refused {code}")).await;
    }
    check(Reply::error(404, 20404), "refused 20404").await;
    check(Reply::error(400, 21611), "window 21611").await;
    check(Reply::error(400, 30022), "busy 30022").await;
    check(Reply::error(401, 20003), "account 20003").await;
    check(Reply::error(403, 20003), "account 20003").await;
    check(Reply::error(401, 20005), "account 20005").await;
    check(Reply::error(401, 70051), "account 70051").await;
    check(Reply::error(403, 99999), "refused 99999").await;
}

#[tokio::test]
async fn a_no_without_a_code_means_what_its_status_says() {
    for (status, expected) in [
        (400, "refused unreadable"),
        (401, "account unreadable"),
        (403, "refused unreadable"),
        (404, "refused unreadable"),
        (413, "refused unreadable"),
        (429, "busy unreadable"),
    ] {
        check(answer(status, "", "<html>"), expected).await;
        check(answer(status, "", r#"{"code": "+18605550199"}"#), expected).await;
    }
}

#[tokio::test]
async fn too_many_requests_say_how_long_to_wait() {
    let too_many = |headers| answer(429, headers, r#"{"code": 20429}"#);
    check(too_many(""), "busy 20429").await;
    check(too_many("retry-after: 7\r\n"), "busy 20429 7s").await;
    check(too_many("retry-after: soon\r\n"), "busy 20429").await;
    check(
        too_many(
            "date: Wed, 21 Oct 2026 07:28:00 GMT\r\nretry-after: Wed, 21 Oct 2026 07:29:30 GMT\r\n",
        ),
        "busy 20429 90s",
    )
    .await;
    check(too_many("retry-after: Wed, 21 Oct 2026 07:29:30 GMT\r\n"), "busy 20429").await;
    let past =
        "date: Wed, 21 Oct 2026 07:28:00 GMT\r\nretry-after: Wed, 21 Oct 2026 07:27:00 GMT\r\n";
    check(too_many(past), "busy 20429").await;
    check(answer(429, "retry-after: 60\r\n", r#"{"code": 63038}"#), "window 63038 60s").await;
}

#[tokio::test]
async fn the_text_of_an_error_is_ours() {
    let stub = Stub::start([Reply::error(400, 21610), Reply::error(400, 99999)]).await;
    let client = stub.client();
    for expected in ["opted out", "not known here"] {
        let SendOutcome::Refused(fault) = client.send(&order()).await else { panic!() };
        assert_eq!(fault.status, Some(400));
        assert!(fault.message.unwrap().contains(expected));
    }
    assert!(client.explain("21610").is_some());
    assert_eq!(client.explain("99999"), None);
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_request_is_ambiguous() {
    check(Reply::Cut, "ambiguous broken").await;
    check(Reply::CutWithin, "ambiguous broken").await;
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_is_ambiguous() {
    let stub = Stub::start([Reply::Silence]).await;
    let timeout = Duration::from_millis(200);
    let client = TwilioClient::new(&ClientSettings { timeout, ..settings(&stub.url) }).unwrap();
    let begun = Instant::now();
    assert_eq!(told(&client.send(&order()).await), "ambiguous timeout");
    assert!(begun.elapsed() < timeout * 5);
    assert_eq!(client.call_timeout(), timeout);
    assert_eq!(stub.asked().len(), 1);
}

#[tokio::test]
async fn nothing_was_sent_where_nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = TwilioClient::new(&settings(&url)).unwrap();
    let outcome = client.send(&order()).await;
    assert_eq!(told(&outcome), "busy connect");
    let SendOutcome::Unsent { reason: UnsentReason::Busy, fault, .. } = outcome else { panic!() };
    assert_eq!(fault.status, None);
}

#[tokio::test]
async fn nothing_was_sent_where_tls_fails_or_hangs() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let connect_timeout = Duration::from_millis(200);
    let client = TwilioClient::new(&ClientSettings { connect_timeout, ..settings(&url) }).unwrap();
    let refused = async { drop(listener.accept().await.unwrap()) };
    let order = order();
    let (outcome, ()) = tokio::join!(client.send(&order), refused);
    assert_eq!(told(&outcome), "busy connect");
    // Now the handshake is accepted by the system, and never answered.
    assert_eq!(told(&client.send(&order).await), "busy connect");
}

#[tokio::test]
async fn a_kept_connection_that_breaks_is_ambiguous_and_nothing_is_repeated() {
    let stub = Stub::start([created(), Reply::Cut, created()]).await;
    let client = stub.client();
    assert_eq!(told(&client.send(&order()).await), "accepted SM1 queued");
    assert_eq!(told(&client.send(&order()).await), "ambiguous broken");
    assert_eq!(told(&client.send(&order()).await), "accepted SM1 queued");
    let connections: Vec<_> = stub.asked().iter().map(|asked| asked.connection).collect();
    assert_eq!(connections, [0, 0, 1], "the second request came on the kept connection");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_message_is_asked_for_twice_over_connections_that_die_at_any_moment() {
    const ORDERS: usize = 300;
    let reply = Reply::AnswerAndClose(json!({"sid": "SM1", "status": "queued"}).to_string());
    let stub = Stub::start(vec![reply; 2 * ORDERS]).await;
    let client = stub.client();
    let mut accepted = 0;
    for number in 0..ORDERS {
        let message = MessageId(Uuid::from_u128(number.try_into().unwrap()));
        match client.send(&SendOrder { message, ..order() }).await {
            SendOutcome::Accepted(_) => accepted += 1,
            SendOutcome::Ambiguous(fault) => assert_eq!(code(&fault), "broken"),
            other => panic!("{other:?}"),
        }
    }
    let mut bodies: Vec<_> = stub.asked().into_iter().map(|asked| asked.body).collect();
    let asked = bodies.len();
    bodies.sort();
    bodies.dedup();
    assert_eq!(bodies.len(), asked, "each message was asked for once");
    assert!((accepted..=ORDERS).contains(&asked), "{accepted} accepted, {asked} asked for");
}

#[tokio::test]
async fn each_message_says_where_to_report_to_and_how_long_it_may_wait() {
    let form = async |order: SendOrder| {
        let stub = Stub::start([created()]).await;
        stub.client().send(&order).await;
        stub.asked()[0].body.clone()
    };
    let value = |body: &str, name: &str| {
        Form::parse(body.as_bytes()).text(name).map(std::borrow::Cow::into_owned)
    };
    let body = form(order()).await;
    assert_eq!(
        value(&body, "StatusCallback").as_deref(),
        Some(
            "https://sms.example.com/webhook/twilio/status\
            ?message_id=0190d3a5-7c4e-7b1f-8a2d-3f5e6c7b8a9d"
        )
    );
    for (validity, expected) in [
        (Duration::ZERO, "1"),
        (Duration::from_millis(1999), "1"),
        (Duration::from_mins(10), "600"),
        (Duration::from_secs(40_000), "36000"),
    ] {
        let body = form(SendOrder { validity, ..order() }).await;
        assert_eq!(value(&body, "ValidityPeriod").as_deref(), Some(expected));
    }
    let body = form(SendOrder { body: None, media: vec!["https://h/a b".into()], ..order() }).await;
    assert_eq!(
        (value(&body, "Body"), value(&body, "MediaUrl").as_deref()),
        (None, Some("https://h/a b"))
    );
}

#[tokio::test]
async fn a_report_to_the_address_that_we_gave_is_let_in_with_our_id() {
    let stub = Stub::start([created()]).await;
    stub.client().send(&order()).await;
    let body = stub.asked()[0].body.clone();
    let callback = Form::parse(body.as_bytes()).text("StatusCallback").unwrap().into_owned();
    let target = callback.strip_prefix(BASE).unwrap();
    let report = |target: &str| {
        let form = Request::form("MessageSid=SM1&MessageStatus=sent").at(target);
        form.signed(&callback).status(&gate(BASE))
    };
    let Ok(StatusDelivery::Ours(report_of_ours)) = report(target) else { panic!() };
    assert_eq!(report_of_ours.message, Some(order().message));
    let of_another = target.replace("8a9d", "8a9e");
    assert!(matches!(report(&of_another), Err(Refusal::Forged(_))));
}

#[test]
fn settings_that_cannot_work_say_what_to_change() {
    let check = |settings: ClientSettings, expected: &str| {
        let said = TwilioClient::new(&settings).err().unwrap();
        assert!(matches!(
            said,
            ClientError::AccountSid | ClientError::AuthToken | ClientError::PublicHost
        ));
        assert!(said.to_string().contains(expected), "{said}");
    };
    let usual = || settings("http://127.0.0.1:1");
    for sid in
        ["", "AC1", "SKaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/"]
    {
        check(ClientSettings { account_sid: sid.into(), ..usual() }, "AC and 32");
    }
    check(ClientSettings { auth_token: " \n".into(), ..usual() }, "auth token");
    let public_urls = "https://my_host.example.com".parse().unwrap();
    check(ClientSettings { public_urls, ..usual() }, "underscore");
    assert!(!format!("{:?}", usual()).contains(crate::request::TOKEN));
}
