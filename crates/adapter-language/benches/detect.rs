//! What it costs to tell the language of a text, by its length.

use std::hint::black_box;

use adapter_language::NgramDetector;
use criterion::Criterion;
use domain::ports::LanguageDetector;

const SHORT: [&str; 8] =
    ["Yes", "gracias", "Não", "ok", "appliances", "muchas gracias", "good morning", "vizinhança"];

const MESSAGES: [&str; 6] = [
    "when is rent due",
    "Hi, the kitchen sink is leaking again, can someone come by today?",
    "cuando van a arreglar la puerta?",
    "Buenas tardes, le escribo porque el techo del cuarto tiene una mancha de humedad",
    "vc pode vir hj?",
    "Boa tarde, o aquecedor parou de funcionar e estamos sem água quente desde ontem",
];

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    detect(&mut criterion);
    criterion.final_summary();
}

fn detect(criterion: &mut Criterion) {
    let mut each = |name: &str, texts: &[&str]| {
        let mut texts = texts.iter().cycle();
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| NgramDetector.detect(black_box(texts.next().copied().unwrap_or(""))));
        });
    };
    each("one or two words", &SHORT);
    each("three words or more", &MESSAGES);
    let longest = MESSAGES.join(" ").repeat(5);
    each("a longest message", &[longest.get(..1600).unwrap_or(&longest)]);
}
