//! What the test suites of seven official libraries assert.

use adapter_twilio::signature::{Key, Payload, Signature, verify};
use serde::Deserialize;
use serde_json::Value;

use crate::contract_data;

#[derive(Deserialize)]
struct File {
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    id: String,
    auth_token: String,
    url: String,
    params: Vec<(String, String)>,
    json_body: Option<String>,
    signature: Option<String>,
    /// `None` where the library's own test asserts nothing.
    valid: Option<bool>,
    python_sdk: Value,
    node_sdk: Value,
}

impl Vector {
    fn is_genuine(&self) -> bool {
        let payload = match &self.json_body {
            Some(body) => Payload::Body(body.as_bytes()),
            None => Payload::Form(self.params.iter().map(|(name, value)| (name, value)).collect()),
        };
        let signature = self.signature.as_deref().unwrap_or_default();
        let key = Key::new(&self.auth_token).unwrap();
        Signature::parse(signature.as_bytes())
            .is_ok_and(|signature| verify(&self.url, &payload, &signature, &key))
    }
}

#[test]
fn we_agree_with_the_official_libraries() {
    let Some(text) = contract_data::read("signature_vectors.dev.json") else {
        return;
    };
    let File { vectors } = serde_json::from_str(&text).unwrap();
    assert!(!vectors.is_empty());
    let mut wrong = Vec::new();
    for vector in &vectors {
        let genuine = vector.is_genuine();
        if vector.python_sdk != vector.node_sdk {
            let Vector { id, valid, python_sdk, node_sdk, .. } = vector;
            println!("{id}: ours {genuine}, source {valid:?}, {python_sdk} and {node_sdk}");
        }
        if vector.valid.is_some_and(|valid| valid != genuine) {
            wrong.push(&vector.id);
        }
    }
    assert!(wrong.is_empty(), "of {} vectors these are wrong: {wrong:?}", vectors.len());
}
