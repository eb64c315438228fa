//! Requests that Twilio's Python library signed, genuine and tampered with, through the gate.

use std::collections::BTreeMap;

use adapter_twilio::{GateSettings, TwilioGate};
use domain::ports::Refusal;
use serde::Deserialize;
use serde_json::Value;

use crate::contract_data;
use crate::request::{Request, settings};

#[derive(Deserialize)]
struct Row {
    id: String,
    endpoint: String,
    public_base_url: String,
    url: String,
    auth_token: String,
    headers: Vec<(String, String)>,
    raw_body: String,
    params: Vec<(String, String)>,
    valid: bool,
    valid_over_http: Option<bool>,
    #[serde(default)]
    ambiguous: bool,
    why: String,
}

impl Row {
    fn gate(&self) -> TwilioGate {
        TwilioGate::new(GateSettings {
            auth_token: self.auth_token.as_str().into(),
            ..settings(&self.public_base_url)
        })
    }

    /// The request as an HTTP server hands it on.
    fn request(&self) -> Request {
        let headers = self.headers.iter();
        Request {
            target: self.url.strip_prefix(&self.public_base_url).unwrap().to_owned(),
            headers: headers
                .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().into()))
                .collect(),
            body: self.raw_body.clone().into_bytes(),
        }
    }

    fn open(&self) -> Result<(), Refusal> {
        let (gate, request) = (self.gate(), self.request());
        match self.endpoint.as_str() {
            "sms" => {
                let message = request.inbound(&gate)?;
                assert_eq!(*message.raw.members(), self.members(), "{}", self.id);
                assert_eq!(message.body.map(|body| body.as_str().to_owned()), self.first("Body"));
            }
            _ => drop(request.status(&gate)?),
        }
        Ok(())
    }

    fn first(&self, name: &str) -> Option<String> {
        let mut params = self.params.iter();
        params.find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    fn members(&self) -> serde_json::Map<String, Value> {
        let mut values: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for (name, value) in &self.params {
            values.entry(name).or_default().push(value.as_str().into());
        }
        let member = |mut values: Vec<Value>| match values.len() {
            1 => values.remove(0),
            _ => Value::Array(values),
        };
        let values = values.into_iter();
        values.map(|(name, values)| (name.to_owned(), member(values))).collect()
    }
}

#[test]
fn the_gate_opens_for_what_the_official_library_signed_and_nothing_else() {
    let Some(text) = contract_data::read("sdk_signed_requests.dev.jsonl") else {
        return;
    };
    let rows: Vec<Row> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!rows.is_empty());
    let mut wrong = Vec::new();
    for row in &rows {
        let opened = row.open();
        assert!(matches!(opened, Ok(()) | Err(Refusal::Forged(_))), "{}: {opened:?}", row.id);
        if row.ambiguous {
            println!("not graded: {} ({}) gave {opened:?}", row.id, row.why);
        } else if opened.is_ok() != row.valid_over_http.unwrap_or(row.valid) {
            wrong.push((&row.id, &row.why, opened));
        }
    }
    assert!(wrong.is_empty(), "of {} requests these are wrong: {wrong:?}", rows.len());
}
