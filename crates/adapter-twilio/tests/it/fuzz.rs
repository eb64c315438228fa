//! Forms and signatures as anybody may write them.

use adapter_twilio::form::{Form, encode};
use adapter_twilio::payload::raw_payload;
use adapter_twilio::signature::{Fields, Key, Payload, Signature, sign, verify};

/// Read as an independent parser reads it, and written so that it is read back.
#[test]
fn form() {
    bolero::check!(name = "form").with_iterations(1000).for_each(|input: &[u8]| {
        let form = Form::parse(input);
        let pairs = |form: &Form<'_>| -> Vec<(String, String)> {
            let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
            form.fields().iter().map(|field| (text(&field.name), text(&field.value))).collect()
        };
        let ours = pairs(&form);
        let theirs: Vec<_> = url::form_urlencoded::parse(input).into_owned().collect();
        assert_eq!(ours, theirs);
        let written = encode(ours.iter().map(|(name, value)| (&**name, &**value)));
        assert_eq!(pairs(&Form::parse(written.as_bytes())), ours);
        // What JSON cannot hold is in one member more.
        assert!(raw_payload(&form).members().len() <= ours.len() + 1);
    });
}

/// What was signed is genuine; what anybody else signed, or what was changed since, is not.
#[test]
fn signature() {
    let [ours, theirs] = ["a token", "another"].map(|token| Key::new(token).unwrap());
    bolero::check!(name = "signature").with_iterations(1000).for_each(|input: &[u8]| {
        let mut lines = input.splitn(2, |byte| *byte == b'\n');
        let [head, body] = [lines.next(), lines.next()].map(Option::unwrap_or_default);
        let url = String::from_utf8_lossy(head);
        let form = Form::parse(body);
        let fields = || form.fields().iter().map(|field| (&*field.name, &*field.value));
        let payload = Payload::Form(fields().collect::<Fields<'_>>());
        let made = sign(&url, &payload, &ours);
        assert!(verify(&url, &payload, &made, &ours));
        assert!(!verify(&url, &payload, &sign(&url, &payload, &theirs), &ours));
        // A field that is there already changes nothing: Twilio signs equal ones once.
        let forged = (&b"Body"[..], &b"forged \xff"[..]);
        let more = Payload::Form(fields().chain([forged]).collect::<Fields<'_>>());
        assert_eq!(verify(&url, &more, &made, &ours), fields().any(|field| field == forged));
        let read = Signature::parse(made.to_string().as_bytes()).unwrap();
        assert!(verify(&url, &payload, &read, &ours));
        if let Ok(guessed) = Signature::parse(head) {
            assert!(!verify(&url, &payload, &guessed, &ours));
        }
        let _ = verify(&url, &Payload::Body(body), &made, &ours);
    });
}
