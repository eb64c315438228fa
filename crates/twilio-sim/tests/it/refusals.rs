//! What is refused, with which code.

use crate::caller::{Caller, OURS, SERVICE_SID, THEIRS, builder, simulator};

const NOWHERE: &str = "+18605550177";

#[tokio::test]
async fn a_form_that_is_wrong_is_refused_and_nothing_is_made() {
    let simulator = builder().number(OURS).start().await.unwrap();
    let caller = Caller::new(&simulator);
    let long = "x".repeat(1_601);
    let base = [("To", THEIRS), ("From", OURS), ("Body", "Hola")];
    let check = async |changed: &[(&str, &str)], code: u64| {
        let untouched = |(name, _): &&(&str, &str)| changed.iter().all(|(other, _)| other != name);
        let mut form: Vec<_> = base.iter().filter(untouched).copied().collect();
        form.extend(changed);
        let reply = caller.create(&form).await;
        assert_eq!((reply.status, reply.code()), (400, code), "{changed:?}");
        assert_eq!(reply.body["status"], 400);
    };
    check(&[("To", "")], 21604).await;
    check(&[("From", "")], 21603).await;
    check(&[("Body", "")], 21602).await;
    check(&[("Body", &long)], 21617).await;
    for to in ["12345", "+0", "+1abc", "someone", "+1234567890123456"] {
        check(&[("To", to)], 21211).await;
    }
    check(&[("From", "*")], 21212).await;
    check(&[("From", NOWHERE)], 21606).await;
    check(&[("From", ""), ("MessagingServiceSid", "MG1")], 21701).await;
    check(&[("MediaUrl", "file:///etc/passwd")], 21620).await;
    check(&[("MediaUrl", "https://h/a"); 11], 21623).await;
    check(&[("StatusCallback", "/status")], 21609).await;
    check(&[("StatusCallback", "https://my_host.com/status")], 21609).await;
    for seconds in ["0", "36001", "long"] {
        check(&[("ValidityPeriod", seconds)], 20001).await;
    }
    check(&[("SendAt", "2999-12-24T10:30:00Z")], 20001).await;
    assert!(simulator.messages().is_empty());
}

#[tokio::test]
async fn the_numbers_of_twilios_test_credentials_do_what_they_are_for() {
    let simulator = builder().number(OURS).start().await.unwrap();
    let caller = Caller::new(&simulator);
    for (to, code) in [
        ("+15005550001", 21211),
        ("+15005550002", 21612),
        ("+15005550003", 21408),
        ("+15005550004", 21610),
        ("+15005550009", 21614),
    ] {
        assert_eq!(caller.text(to, "Hola").await.code(), code, "{to}");
    }
    for (from, code) in [
        ("+15005550001", 21212),
        ("+15005550007", 21606),
        ("+15005550008", 21611),
        ("+15005550006", 0),
    ] {
        let form = [("To", THEIRS), ("From", from), ("Body", "Hola")];
        assert_eq!(caller.create(&form).await.code(), code, "{from}");
    }
    assert_eq!(simulator.messages().len(), 1);
}

#[tokio::test]
async fn what_is_only_just_right_is_taken() {
    let simulator = simulator().await;
    let caller = Caller::new(&simulator);
    let longest = "\u{1F600}".repeat(1_600);
    assert_eq!(caller.text(THEIRS, &longest).await.status, 201);
    for from in ["12345", "MYBRAND", "whatsapp:+14155238886"] {
        let form = [("To", THEIRS), ("From", from), ("Body", "Hola")];
        assert_eq!(caller.create(&form).await.status, 201, "{from}");
    }
    let form = [
        ("To", "whatsapp:+5511987654321"),
        ("MessagingServiceSid", SERVICE_SID),
        ("Body", "oi"),
        ("ValidityPeriod", "36000"),
    ];
    assert_eq!(caller.create(&form).await.status, 201);
    assert_eq!(simulator.messages()[4].validity_period, Some(36_000));
}

#[tokio::test]
async fn nobody_who_opted_out_is_sent_a_text() {
    let simulator = simulator().await;
    let caller = Caller::new(&simulator);
    simulator.opt_out(THEIRS);
    assert_eq!(caller.text(THEIRS, "Hola").await.code(), 21610);
    simulator.opt_in(THEIRS);
    assert_eq!(caller.text(THEIRS, "Hola").await.status, 201);
}

#[tokio::test]
async fn a_refusal_repeats_the_number_as_twilios_do() {
    let simulator = simulator().await;
    let refused = Caller::new(&simulator).text("+15005550001", "Hola").await;
    assert!(refused.body["message"].as_str().unwrap().contains("+15005550001"));
}
