//! How a service is told of the status of its messages.

use std::time::Duration;

use adapter_twilio::form::Form;
use adapter_twilio::signature::{Key, Payload, Signature, verify};
use twilio_sim::{Callbacks, Delays, Failure, Outcome, Simulator, Status, Told};

use crate::caller::{ACCOUNT, Caller, OURS, Reply, THEIRS, TOKEN, builder, simulator};
use crate::service::{Heard, Service};

async fn send(simulator: &Simulator, service: &Service) -> Reply {
    let callback = service.callback();
    let form = [("To", THEIRS), ("From", OURS), ("Body", "Hola"), ("StatusCallback", &callback)];
    Caller::new(simulator).create(&form).await
}

fn is_signed(service: &Service, heard: &Heard) -> bool {
    let form = Form::parse(heard.body.as_bytes());
    let fields = form.fields().iter().map(|field| (&*field.name, &*field.value));
    let url = format!("{}{}", service.base_url, heard.target);
    let signature = Signature::parse(heard.signature.as_bytes()).unwrap();
    verify(&url, &Payload::Form(fields.collect()), &signature, &Key::new(TOKEN).unwrap())
}

#[tokio::test]
async fn each_change_but_the_first_status_is_told_in_order_and_signed() {
    let (simulator, service) = (simulator().await, Service::start().await);
    let made = send(&simulator, &service).await;
    simulator.settled().await;
    assert_eq!(service.statuses(), ["sending", "sent", "delivered"]);
    for heard in service.heard() {
        assert_eq!(heard.target, "/webhook/twilio/status?message_id=0197&x=a%20b");
        assert!(is_signed(&service, &heard));
        assert_eq!(heard.field("MessageSid").as_deref(), Some(made.sid()));
        assert_eq!(heard.field("AccountSid").as_deref(), Some(ACCOUNT));
        assert_eq!(heard.field("SmsStatus"), heard.field("MessageStatus"));
        assert_eq!(heard.field("ErrorCode"), None);
    }
    let message = &simulator.messages()[0];
    let told: Vec<_> = message.changes.iter().map(|change| change.told).collect();
    assert_eq!(told, [Told::Never, Told::Yes, Told::Yes, Told::Yes]);
}

#[tokio::test]
async fn a_signature_covers_the_query() {
    let (simulator, service) = (simulator().await, Service::start().await);
    send(&simulator, &service).await;
    simulator.settled().await;
    let mut heard = service.heard()[0].clone();
    heard.target = heard.target.replace("0197", "0198");
    assert!(!is_signed(&service, &heard));
}

#[tokio::test]
async fn a_message_can_end_badly() {
    let check = async |outcome: Outcome, statuses: &[&str], code: Option<&str>| {
        let (simulator, service) = (simulator().await, Service::start().await);
        simulator.set_outcome_for(THEIRS, outcome);
        send(&simulator, &service).await;
        simulator.settled().await;
        assert_eq!(service.statuses(), statuses);
        assert_eq!(service.heard().last().unwrap().field("ErrorCode").as_deref(), code);
        assert_eq!(
            simulator.messages()[0].error_code().map(|code| code.to_string()).as_deref(),
            code
        );
    };
    check(Outcome::Undelivered(30003), &["sending", "sent", "undelivered"], Some("30003")).await;
    check(Outcome::Failed(30008), &["sending", "failed"], Some("30008")).await;
    check(Outcome::Sent, &["sending", "sent"], None).await;
}

#[tokio::test]
async fn an_early_callback_comes_before_the_answer() {
    let service = Service::start().await;
    let slow = Delays::each(Duration::from_mins(1));
    let simulator = builder().delays(slow).start().await.unwrap();
    simulator.set_callbacks(Callbacks::Early);
    let made = send(&simulator, &service).await;
    assert_eq!(service.statuses(), ["sending"]);
    assert_eq!(made.body["status"], "queued");
    assert_eq!(simulator.messages()[0].status(), Status::Sending);
}

#[tokio::test]
async fn an_early_callback_can_be_all_that_is_ever_heard() {
    let (simulator, service) = (simulator().await, Service::start().await);
    simulator.set_callbacks(Callbacks::Early);
    simulator.set_failure(Failure::DropAfterAccepting);
    let callback = service.callback();
    let form = [("To", THEIRS), ("From", OURS), ("Body", "Hola"), ("StatusCallback", &callback)];
    Caller::new(&simulator).try_create(&form).await.unwrap_err();
    let sid = simulator.messages()[0].sid.clone();
    assert_eq!(service.heard()[0].field("MessageSid"), Some(sid));
}

#[tokio::test]
async fn callbacks_are_late_doubled_or_out_of_order_on_demand() {
    let check = async |callbacks: Callbacks, statuses: &[&str]| {
        let (simulator, service) = (simulator().await, Service::start().await);
        simulator.set_callbacks(callbacks);
        send(&simulator, &service).await;
        simulator.settled().await;
        assert_eq!(service.statuses(), statuses);
    };
    let twice = ["sending", "sending", "sent", "sent", "delivered", "delivered"];
    check(Callbacks::Twice, &twice).await;
    check(Callbacks::Reversed, &["delivered", "sent", "sending"]).await;
    check(Callbacks::Late(Duration::from_millis(5)), &["sending", "sent", "delivered"]).await;
}

#[tokio::test]
async fn what_was_lost_is_told_in_the_end() {
    let (simulator, service) = (simulator().await, Service::start().await);
    simulator.set_callbacks(Callbacks::Lost);
    send(&simulator, &service).await;
    send(&simulator, &service).await;
    simulator.settled().await;
    assert!(service.heard().is_empty());
    assert_eq!(simulator.tell_everything().await, (6, 0));
    let first = simulator.messages()[0].sid.clone();
    let of_first = service.heard().into_iter();
    let of_first = of_first.filter(|heard| heard.field("MessageSid").as_ref() == Some(&first));
    let statuses: Vec<_> = of_first.map(|heard| heard.field("MessageStatus").unwrap()).collect();
    assert_eq!(statuses, ["sending", "sent", "delivered"]);
    assert_eq!(simulator.tell_everything().await, (0, 0));
}

#[tokio::test]
async fn what_a_service_refused_is_told_again_in_the_end() {
    let (simulator, service) = (simulator().await, Service::start().await);
    service.answer(503);
    send(&simulator, &service).await;
    simulator.settled().await;
    assert_eq!(service.heard().len(), 3);
    assert_eq!(simulator.tell_everything().await, (0, 3));
    service.answer(200);
    assert_eq!(simulator.tell_everything().await, (3, 0));
}

#[tokio::test]
async fn nobody_is_told_where_nobody_asked() {
    let (simulator, service) = (simulator().await, Service::start().await);
    simulator.set_callbacks(Callbacks::Early);
    Caller::new(&simulator).text(THEIRS, "Hola").await;
    simulator.settled().await;
    assert_eq!(simulator.tell_everything().await, (0, 0));
    assert!(service.heard().is_empty());
    assert_eq!(simulator.messages()[0].status(), Status::Delivered);
}
