//! What a webhook costs at the gate: reading its form, checking its signature, both and all.
//!
//! `cargo bench -p adapter-twilio`

#![expect(missing_docs, reason = "criterion's macros make public functions")]
#![expect(clippy::unwrap_used, reason = "a benchmark that panics has failed")]

use std::hint::black_box;

use adapter_twilio::form::Form;
use adapter_twilio::signature::{Fields, Key, Payload, sign, verify};
use adapter_twilio::{GateSettings, TwilioGate};
use criterion::{Criterion, criterion_group, criterion_main};
use domain::phone::Region;
use domain::ports::{RawWebhook, WebhookGate};

const TOKEN: &str = "7f3c1e0b9a8d4c6f5e2b1a0d9c8f7e6b";
const BASE: &str = "https://sms.example.com";
const TARGET: &str = "/webhook/twilio/sms";
const BODY: &[u8] =
    b"ToCountry=US&ToState=CT&SmsMessageSid=SMda08419398639e0ffd6485f7ee2f8d98&NumMedia=0\
    &ToCity=HARTFORD&FromZip=06103&SmsSid=SMda08419398639e0ffd6485f7ee2f8d98&FromState=CT\
    &SmsStatus=received&FromCity=HARTFORD&Body=Hello%2C+my+sink+is+leaking+again&FromCountry=US\
    &To=%2B18605550100&ToZip=06103&NumSegments=1&MessageSid=SMda08419398639e0ffd6485f7ee2f8d98\
    &AccountSid=AC5d41402abc4b2a76b9719d911017c592&From=%2B18605550199&ApiVersion=2010-04-01";

fn fields<'a>(form: &'a Form<'_>) -> Fields<'a> {
    form.fields().iter().map(|field| (&*field.name, &*field.value)).collect()
}

fn webhook(criterion: &mut Criterion) {
    let url = format!("{BASE}{TARGET}");
    let key = Key::new(TOKEN).unwrap();
    let form = Form::parse(BODY);
    let payload = Payload::Form(fields(&form));
    let signature = sign(&url, &payload, &key);
    let header = signature.to_string();
    let gate = TwilioGate::new(GateSettings {
        auth_token: TOKEN.to_owned().into(),
        auth_token_secondary: None,
        account_sid: None,
        public_urls: BASE.parse().unwrap(),
        region: Region::default(),
    });
    let headers = [
        ("content-type", b"application/x-www-form-urlencoded".as_slice()),
        ("x-twilio-signature", header.as_bytes()),
    ];
    let request = RawWebhook { target: TARGET, headers: &headers, body: BODY };
    assert!(gate.open_inbound(&request).is_ok());

    criterion.bench_function("form", |bencher| bencher.iter(|| Form::parse(black_box(BODY))));
    criterion.bench_function("signature", |bencher| {
        bencher.iter(|| verify(black_box(&url), &payload, &signature, &key));
    });
    criterion.bench_function("gate, genuine", |bencher| {
        bencher.iter(|| gate.open_inbound(black_box(&request)));
    });
    let forged = [headers[0], ("x-twilio-signature", b"AAAAAAAAAAAAAAAAAAAAAAAAAAA=".as_slice())];
    let forged = RawWebhook { headers: &forged, ..request };
    criterion.bench_function("gate, forged", |bencher| {
        bencher.iter(|| gate.open_inbound(black_box(&forged)));
    });
}

criterion_group!(benches, webhook);
criterion_main!(benches);
