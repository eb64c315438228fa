//! What an account's settings say about the way that its texts take, for `sms-foundation doctor`.

use domain::ports::ProviderError;
use domain::timestamp::Timestamp;
use serde_json::Value;

use crate::client::TwilioClient;
use crate::form::encode;
use crate::{answer, outcome};

/// The account, and what time it is at Twilio.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountState {
    /// `active`, `suspended` or `closed`.
    pub status: String,
    /// `Full` or `Trial`.
    pub kind: String,
    /// Twilio's clock when it answered, whole seconds.
    pub clock: Option<Timestamp>,
}

/// One of the account's numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NumberSettings {
    /// The number, `+18605550100`.
    pub number: String,
    /// Whether it can take texts.
    pub takes_texts: bool,
    /// What is called when a text comes in. Empty where nothing is.
    pub sms_url: String,
    /// How: `POST` or `GET`.
    pub sms_method: String,
    /// What is called where that fails.
    pub sms_fallback_url: String,
    /// A TwiML application that takes its texts instead (`AP...`).
    pub sms_application_sid: String,
}

/// A Messaging Service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServiceSettings {
    /// `MG...`.
    pub sid: String,
    /// What is called when a text comes in to one of its numbers. Empty where nothing is.
    pub inbound_url: String,
    /// How: `POST` or `GET`.
    pub inbound_method: String,
    /// What is called where that fails.
    pub fallback_url: String,
    /// Whether the numbers' own webhooks are called instead.
    pub defers_to_numbers: bool,
    /// Its numbers.
    pub numbers: Vec<String>,
}

impl TwilioClient {
    /// How the account is.
    ///
    /// # Errors
    /// [`ProviderError::Account`] where Twilio refuses it.
    pub async fn account_state(&self) -> Result<AccountState, ProviderError> {
        let path = format!("/2010-04-01/Accounts/{}.json", self.account_sid());
        let response = self.respond(&path).await.map_err(outcome::of_asking)?;
        let account: Value = response.json().map_err(outcome::of_asking)?;
        Ok(AccountState {
            status: text(&account, "status"),
            kind: text(&account, "type"),
            clock: answer::date_header(&response).map(Timestamp::from),
        })
    }

    /// The settings of a number; `None` where the account has no such number.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn number_settings(
        &self,
        number: &str,
    ) -> Result<Option<NumberSettings>, ProviderError> {
        let query = encode([("PhoneNumber", number)]);
        let account = self.account_sid();
        let path = format!("/2010-04-01/Accounts/{account}/IncomingPhoneNumbers.json?{query}");
        let answer = self.ask(&path).await?;
        let Some(Value::Array(found)) = answer.get("incoming_phone_numbers") else {
            return Err(outcome::odd_list("the answer is no list of numbers"));
        };
        // The filter also finds numbers that only contain the text.
        Ok(found.iter().map(number_settings).find(|found| found.number == number))
    }

    /// All Messaging Services of the account, with their numbers.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn services(&self) -> Result<Vec<ServiceSettings>, ProviderError> {
        let mut services = Vec::new();
        for service in self.messaging_list("/v1/Services", "services").await? {
            let sid = text(&service, "sid");
            let path = format!("/v1/Services/{sid}/PhoneNumbers");
            let numbers = self.messaging_list(&path, "phone_numbers").await?;
            services.push(ServiceSettings {
                numbers: numbers.iter().map(|one| text(one, "phone_number")).collect(),
                inbound_url: text(&service, "inbound_request_url"),
                inbound_method: text(&service, "inbound_method"),
                fallback_url: text(&service, "fallback_url"),
                defers_to_numbers: is_true(service.get("use_inbound_webhook_on_number")),
                sid,
            });
        }
        Ok(services)
    }
}

fn number_settings(one: &Value) -> NumberSettings {
    NumberSettings {
        number: text(one, "phone_number"),
        takes_texts: is_true(one.pointer("/capabilities/sms")),
        sms_url: text(one, "sms_url"),
        sms_method: text(one, "sms_method"),
        sms_fallback_url: text(one, "sms_fallback_url"),
        sms_application_sid: text(one, "sms_application_sid"),
    }
}

fn is_true(value: Option<&Value>) -> bool {
    value.and_then(Value::as_bool).unwrap_or(false)
}

/// A missing member is as good as an empty one.
fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}
