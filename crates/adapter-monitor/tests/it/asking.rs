//! What is asked, and how.

use adapter_monitor::testing::{Asked, Reply};
use adapter_monitor::{MonitorClient, MonitorError, MonitorSettings, Patience};
use domain::phone::{Region, lookup_variants};
use domain::ports::TenantDirectory;
use domain::text::Text;

use crate::wire::{PHONE, QUICK, base, client, look_up, monitor, settings, stub};

async fn asked_with(change: impl FnOnce(MonitorSettings) -> MonitorSettings) -> Asked {
    let stub = stub().await;
    let client = client(&change(settings(&stub.base_url())));
    assert_eq!(look_up(&client, PHONE).await, "nobody");
    stub.asked().remove(0)
}

#[tokio::test]
async fn a_number_is_looked_up_by_its_spelling() {
    let asked = asked_with(|settings| settings).await;
    assert_eq!(asked.method, "GET");
    assert_eq!(asked.target, "/tenants/lookup?phone=%2B18605550199");
    assert_eq!((asked.subject.as_str(), asked.body.as_str()), (PHONE, ""));
    assert_eq!(asked.header("accept"), Some("application/json"));
    assert_eq!(asked.header("authorization"), None);
}

#[tokio::test]
async fn the_path_and_the_base_are_settings() {
    let template = |lookup_path: &'static str| {
        move |settings| MonitorSettings { lookup_path: lookup_path.parse().unwrap(), ..settings }
    };
    let asked = asked_with(template("/v2/phones/{phone}")).await;
    assert_eq!(
        (asked.target.as_str(), asked.subject.as_str()),
        ("/v2/phones/%2B18605550199", PHONE)
    );
    let asked = asked_with(template("/who?kind=sms&phone={phone}")).await;
    assert_eq!(asked.target, "/who?kind=sms&phone=%2B18605550199");
    let prefix = |settings: MonitorSettings| {
        let base_url = base(&format!("{}/monitor/api/", settings.base_url.as_str()));
        MonitorSettings { base_url, ..settings }
    };
    let asked = asked_with(prefix).await;
    assert_eq!(asked.target, "/monitor/api/tenants/lookup?phone=%2B18605550199");
}

#[tokio::test]
async fn every_spelling_arrives_as_it_was_given() {
    let stub = stub().await;
    let spellings =
        ["+1 (860) 555-0199", "whatsapp:+18605550199", "RENT & Co/#?%2B", "Müller", "\t1"];
    for spelling in spellings {
        stub.set_lookup_for(spelling, Reply::tenant("T1"));
        assert_eq!(look_up(&monitor(&stub), spelling).await, "tenant T1", "{spelling}");
    }
    assert_eq!(stub.subjects(), spellings);
}

#[tokio::test]
async fn the_spellings_of_a_number_are_asked_one_by_one_in_their_order() {
    let stub = stub().await;
    stub.set_lookup(Reply::answer(404, r#"{"detail": "no such number"}"#));
    stub.set_lookup_for("8605550199", Reply::tenant("T1"));
    let client = monitor(&stub);
    let variants = lookup_variants(&Text::new("+1 860-555-0199"), Region::default());
    let mut answers = Vec::new();
    for variant in &variants {
        answers.push(look_up(&client, variant).await);
    }
    assert_eq!(answers, ["nobody", "nobody", "nobody", "tenant T1"]);
    assert_eq!(stub.subjects(), variants);
    let mut connections = stub.asked().into_iter().map(|asked| asked.connection);
    assert!(connections.all(|connection| connection == 0), "a connection is used again");
}

#[tokio::test]
async fn the_same_question_is_asked_again_after_trouble() {
    let stub = stub().await;
    stub.set_outage(Some(Reply::status(503)));
    let client = monitor(&stub);
    assert_eq!(look_up(&client, PHONE).await, "unavailable");
    assert_eq!(look_up(&client, "8605550199").await, "unavailable");
    let expected = [[PHONE; 4], ["8605550199"; 4]].concat();
    assert_eq!(stub.subjects(), expected);
    stub.set_outage(None);
    assert_eq!(look_up(&client, PHONE).await, "nobody");
}

#[tokio::test]
async fn how_often_is_a_setting() {
    for (attempts, requests) in [(0, 1), (1, 1), (2, 2), (5, 5)] {
        let stub = stub().await;
        stub.set_outage(Some(Reply::status(500)));
        let patience = Patience { attempts, ..QUICK };
        let client = client(&MonitorSettings { patience, ..settings(&stub.base_url()) });
        assert_eq!(look_up(&client, PHONE).await, "unavailable");
        assert_eq!(stub.asked().len(), requests);
    }
}

#[tokio::test]
async fn blank_text_and_dots_are_nobodys_and_not_asked_for() {
    let stub = stub().await;
    stub.set_lookup(Reply::tenant("somebody"));
    for nothing in ["", " ", "\0", ".", ".."] {
        assert_eq!(look_up(&monitor(&stub), nothing).await, "nobody", "{nothing:?}");
    }
    assert_eq!(stub.asked(), []);
}

#[tokio::test]
async fn the_key_goes_with_every_request() {
    let stub = stub().await;
    let api_key = Some("k3y-of-ours".into());
    let client = client(&MonitorSettings { api_key, ..settings(&stub.base_url()) });
    stub.reply_next(Reply::status(503));
    assert_eq!(look_up(&client, PHONE).await, "nobody");
    client.check().await.unwrap();
    let asked = stub.asked();
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|one| one.header("authorization") == Some("Bearer k3y-of-ours")));
}

#[test]
fn a_key_that_cannot_be_sent_is_an_error_of_the_settings() {
    for key in ["", " ", "a b", "a\r\nX-Evil: 1", "schlüssel"] {
        let api_key = Some(key.into());
        let settings = MonitorSettings { api_key, ..settings("http://127.0.0.1:1") };
        assert!(matches!(MonitorClient::new(&settings), Err(MonitorError::ApiKey)), "{key:?}");
    }
}

#[tokio::test]
async fn questions_at_the_same_time_do_not_wait_for_each_other() {
    let stub = stub().await;
    stub.set_lookup_for("1", Reply::hang());
    stub.set_lookup_for("2", Reply::tenant("T2"));
    let client = monitor(&stub);
    let (one, two) = (Text::new("1"), Text::new("2"));
    let hanging = client.look_up(&one);
    tokio::select! {
        biased;
        _ = hanging => panic!("it hangs"),
        answer = async { stub.was_asked(1).await; client.look_up(&two).await } => {
            assert!(answer.is_ok());
        }
    }
    assert_eq!(stub.subjects(), ["1", "2"]);
}
