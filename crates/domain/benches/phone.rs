//! What reading an address costs, once the metadata are there.

#![expect(missing_docs, reason = "criterion's macros make public functions")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use domain::phone::{Address, PhoneNumber, Region, lookup_variants, warm_up};
use domain::text::Text;

fn reading(criterion: &mut Criterion) {
    warm_up();
    let texts = [
        ("as Twilio writes it", "+18605550199"),
        ("as people write it", "(860) 555-0199"),
        ("with an extension", "860-555-0199 ext. 7"),
        ("an island", "+12424561234"),
        ("Portugal", "+351912345678"),
        ("Germany", "+4915112345678"),
        ("a short code", "12345"),
        ("WhatsApp", "whatsapp:+18605550199"),
        ("a sender", "RENT2024"),
    ];
    let mut group = criterion.benchmark_group("address");
    for (name, text) in texts {
        let text = Text::new(text);
        let read = || Address::read(black_box(&text), Region::default());
        group.bench_function(name, |bencher| bencher.iter(read));
    }
    group.finish();

    let crate_alone = |text: &str| {
        phonenumber::parse(None, text)
            .ok()
            .filter(phonenumber::is_valid)
            .map(|number| number.format().mode(phonenumber::Mode::E164).to_string())
    };
    let mut group = criterion.benchmark_group("number");
    for text in ["+18605550199", "+351912345678"] {
        let ours = || PhoneNumber::parse(black_box(text), Region::default());
        group.bench_function(format!("ours {text}"), |bencher| bencher.iter(ours));
        group.bench_function(format!("crate {text}"), |bencher| {
            bencher.iter(|| crate_alone(black_box(text)));
        });
    }
    group.finish();

    let text = Text::new("+1 860-555-0199");
    let variants = || lookup_variants(black_box(&text), Region::default());
    criterion.bench_function("lookup variants", |bencher| bencher.iter(variants));
}

criterion_group!(benches, reading);
criterion_main!(benches);
