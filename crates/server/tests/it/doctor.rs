//! `sms-foundation doctor` against a local Twilio.

use twilio_sim::{MessagingService, NumberSettings, Simulator};

use crate::database::Database;
use crate::sending::{ACCOUNT, NUMBER};
use crate::service::{Service, Settings, TOKEN};

const WEBHOOK: &str = "https://sms.example.com/webhook/twilio/sms";

async fn stage(database: &Database) -> (Simulator, Settings) {
    let twilio = Simulator::builder(ACCOUNT, TOKEN).number(NUMBER).start().await.unwrap();
    let settings = database
        .settings()
        .with("TWILIO_ACCOUNT_SID", ACCOUNT)
        .with("TWILIO_PHONE_NUMBER", NUMBER)
        .with("TWILIO_API_BASE_URL", &twilio.base_url());
    (twilio, settings)
}

fn number(sms_url: &str) -> NumberSettings {
    NumberSettings { sms_url: sms_url.into(), ..NumberSettings::default() }
}

/// What it says, and whether all is well.
async fn asked(settings: &Settings) -> (String, bool) {
    let settings = settings.clone();
    let output = tokio::task::spawn_blocking(move || settings.run(&["doctor"])).await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(!said.contains(TOKEN), "{said}");
    (format!("{said}{}", String::from_utf8_lossy(&output.stderr)), output.status.success())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_installation_is_told_so() {
    for database in [Database::sqlite(), Database::postgres()] {
        let (twilio, settings) = stage(&database).await;
        twilio.set_number(NUMBER, number(&format!("{WEBHOOK}#rc=3&rp=all")));
        assert!(settings.run(&["migrate"]).status.success());
        let (said, well) = asked(&settings).await;
        assert!(well && said.contains("all is well"), "{said}");
        assert!(
            said.contains(&format!("settings, database, Twilio's account, {NUMBER}")),
            "{said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_told_in_plain_words() {
    let database = Database::postgres();
    let (twilio, settings) = stage(&database).await;
    let (said, well) = asked(&settings).await;
    for words in ["Nothing is called when a text comes", "not up to date", "sms-foundation migrate"]
    {
        assert!(!well && said.contains(words), "{words}: {said}");
    }
    assert!(settings.run(&["migrate"]).status.success());
    for (url, words) in [
        ("https://webhooks.twilio.com/v1/Accounts/AC1/Flows/FW1", "Studio flow"),
        ("https://old.example.com/sms", "go to https://old.example.com/sms"),
        (WEBHOOK, "is not sent again"),
    ] {
        twilio.set_number(NUMBER, number(url));
        let (said, well) = asked(&settings).await;
        assert!(!well && said.contains(words) && said.contains("one thing is wrong"), "{said}");
    }
    twilio.set_number(NUMBER, number(&format!("{WEBHOOK}#rp=all")));
    twilio.add_service(MessagingService {
        sid: "MG0123456789abcdef0123456789abcdef".into(),
        inbound_request_url: None,
        use_inbound_webhook_on_number: false,
        numbers: vec![NUMBER.into()],
    });
    let (said, well) = asked(&settings).await;
    assert!(!well && said.contains("MG0123456789abcdef0123456789abcdef drops the texts"), "{said}");
    let (said, _) = asked(&settings.clone().with("TWILIO_PHONE_NUMBER", "+18605550177")).await;
    assert!(said.contains("+18605550177 is not a number of this account"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_looked_at_is_told_too() {
    let database = Database::sqlite();
    let (twilio, settings) = stage(&database).await;
    twilio.set_number(NUMBER, number(&format!("{WEBHOOK}#rp=all")));
    let service = Service::start(&settings);
    let (said, well) = asked(&settings).await;
    assert!(well && said.contains("The service is running on this database file"), "{said}");
    drop(service);
    let (said, well) = asked(&settings.clone().with("TWILIO_AUTH_TOKEN", "another")).await;
    assert!(!well && said.contains("refuses the account or its token"), "{said}");
    drop(twilio);
    let (said, well) = asked(&settings).await;
    assert!(!well && said.contains("Twilio does not answer"), "{said}");
    let nowhere = settings.with("DATABASE_URL", "postgres://sms:hunter2@127.0.0.1:1/sms");
    let (said, _) = asked(&nowhere).await;
    assert!(said.contains("The database cannot be used") && !said.contains("hunter2"), "{said}");
    let (said, well) = asked(&Settings::none().with("APP_ENV", "prod")).await;
    assert!(!well && said.contains("DATABASE_URL"), "{said}");
}
