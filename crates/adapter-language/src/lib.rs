//! The language detector behind the domain's port.
//!
//! The domain says which words of a text can tell, and knows the language of some of them. This
//! crate asks the letters of every word: how likely is it in each language, by the groups of up to
//! five letters that lingua counted (`table`), and by its edges (`edges`)? From three words on the
//! linear model of crate `whichlang` has a vote too. All votes are logarithms of probabilities;
//! their sum decides, and its lead is the confidence (`ballot`).
//!
//! Absent: the other languages of the world. A phrase that `whichlang` takes for one of them, and
//! of which the domain knows no word, is `unknown`; a single foreign word is not told from ours.

mod ballot;
mod edges;
mod letters;
mod table;

use domain::language::words::{self, Reading, Word};
use domain::language::{Confidence, Detection, Language};
use domain::ports::LanguageDetector;
use whichlang::Lang;

use ballot::Ballot;

/// Tells English, Spanish and Portuguese apart. Its table is part of the program: there is
/// nothing to load.
#[derive(Debug, Clone, Copy, Default)]
pub struct NgramDetector;

/// What it weighs that a word is known to be of one language, or not to be of one, in eighths of a
/// natural logarithm.
const KNOWN_WORD: i32 = 24;
/// What it weighs how a word begins and ends.
const EDGES: i32 = 16;
/// What "¿" and "¡" weigh.
const INVERTED_MARK: i32 = 24;
/// What the vote of `whichlang` weighs.
const SECOND_OPINION: i32 = 16;
/// From so many words on `whichlang` is asked.
const PHRASE: usize = 3;
/// From so many words on it is believed that a text is of a foreign language.
const FOREIGN_PHRASE: usize = 5;

impl LanguageDetector for NgramDetector {
    fn detect(&self, text: &str) -> Detection {
        let reading = words::read(text);
        if reading.words.is_empty() {
            return Detection::UNKNOWN;
        }
        let mut ballot = first_votes(&reading);
        if opinion_matters(&reading, &ballot) {
            match second_opinion(&reading) {
                Opinion::Foreign => return Detection::UNKNOWN,
                Opinion::Of(language) => ballot.favor(Some(language), SECOND_OPINION),
                Opinion::None => (),
            }
        }
        let telling = reading.words.iter().filter(|word| word.tells_alone()).count();
        let detection = ballot.decide(telling);
        if reading.maybe_a_name {
            let confidence = detection.confidence.min(Confidence::MAYBE_A_NAME);
            return Detection { confidence, ..detection };
        }
        detection
    }
}

fn first_votes(reading: &Reading) -> Ballot {
    let mut ballot = Ballot::default();
    for word in &reading.words {
        ballot.count(table::likelier(word.letters()));
        ballot.favor(word.language(), KNOWN_WORD);
        ballot.favor(word.foreign_to(), -KNOWN_WORD);
        ballot.favor(edges::only_in(word.letters()), EDGES);
        ballot.favor(edges::never_in(word.letters()), -EDGES);
    }
    if reading.inverted_marks {
        ballot.favor(Some(Language::Spanish), INVERTED_MARK);
    }
    ballot
}

/// Whether `whichlang` can change anything: it costs as much as all the rest. It cannot where the lead is
/// as sure without its vote as with it, and the text is not foreign.
fn opinion_matters(reading: &Reading, ballot: &Ballot) -> bool {
    may_be_foreign(&reading.words) || ballot.lead() < ballot::SURE + SECOND_OPINION
}

fn may_be_foreign(words: &[Word]) -> bool {
    words.len() >= FOREIGN_PHRASE && words.iter().all(|word| word.language().is_none())
}

/// What `whichlang` says.
enum Opinion {
    Of(Language),
    Foreign,
    None,
}

fn second_opinion(reading: &Reading) -> Opinion {
    let words = &reading.words;
    if words.len() < PHRASE {
        return Opinion::None;
    }
    let phrase: Vec<&str> = words.iter().map(Word::letters).collect();
    match whichlang::detect_language(&phrase.join(" ")) {
        Lang::Eng => Opinion::Of(Language::English),
        Lang::Spa => Opinion::Of(Language::Spanish),
        Lang::Por => Opinion::Of(Language::Portuguese),
        _ if may_be_foreign(words) => Opinion::Foreign,
        _ => Opinion::None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::*;
    use Language::{English, Portuguese, Spanish, Unknown};

    fn check(cases: &[(&str, Language)]) {
        for (text, language) in cases {
            assert_eq!(NgramDetector.detect(text).language, *language, "{text}");
        }
    }

    #[test]
    fn sentences_are_told_apart() {
        check(&[
            ("Hello, my sink is leaking again, can someone come by today?", English),
            ("Buenos días, se dañó el calentador de agua del apartamento", Spanish),
            ("Bom dia, o aquecedor de água do apartamento não está funcionando", Portuguese),
        ]);
    }

    #[test]
    fn greetings_and_answers_are_told_apart() {
        check(&[
            ("Yes", English),
            ("Hello", English),
            ("Good morning", English),
            ("Sí", Spanish),
            ("Si", Spanish),
            ("Hola", Spanish),
            ("Buenas tardes", Spanish),
            ("Sim", Portuguese),
            ("Oi", Portuguese),
            ("Boa tarde", Portuguese),
        ]);
    }

    #[test]
    fn a_word_of_one_language_in_another_does_not_mislead() {
        check(&[
            ("my sim card is broken", English),
            ("Hola, when can you fix the heater?", English),
            ("Thanks, ya hice el pago de la renta", Spanish),
            ("Gracias, mas o aquecedor ainda não funciona", Portuguese),
        ]);
    }

    #[test]
    fn missing_accents_and_abbreviations_do_not_matter() {
        check(&[
            ("cant pay til fri, lmk if thats ok w u", English),
            ("cuando me van a devolver el deposito? ya pasaron dos meses", Spanish),
            ("xq no contestan? llevo dias llamando", Spanish),
            ("a agua nao esta saindo do chuveiro", Portuguese),
            ("vc pode vir amanha cedo? obg", Portuguese),
        ]);
    }

    #[test]
    fn links_numbers_and_names_in_a_text_do_not_matter() {
        check(&[
            ("Mike https://example.com/que/hola 12/05 please call 415-555-0123", English),
            ("soy Jennifer Smith del 4B, necesito ayuda www.example.com", Spanish),
        ]);
    }

    #[test]
    fn what_tells_nothing_is_unknown() {
        for text in [
            "",
            "  ",
            "12345",
            "😀😀",
            "ok",
            "OK 👍",
            "k",
            "!!",
            "a",
            "Maria",
            "hotel",
            "no",
            "casa",
            "https://example.com/hola",
            "someone@example.com",
            "ABC-123",
            "haha",
            "???",
        ] {
            assert_eq!(NgramDetector.detect(text), Detection::UNKNOWN, "{text}");
        }
    }

    #[test]
    fn a_phrase_of_another_language_is_unknown() {
        check(&[
            ("Bonjour, je voudrais payer mon loyer demain matin", Unknown),
            ("Ich kann die Miete erst morgen bezahlen", Unknown),
            ("Здравствуйте, у нас нет воды", Unknown),
            ("你好，我家没有热水", Unknown),
        ]);
    }

    #[test]
    fn one_word_never_makes_clear_what_a_sentence_does() {
        for word in ["gracias", "Hello!!!", "obrigada", "ok thanks", "¡sí!"] {
            let confidence = NgramDetector.detect(word).confidence;
            assert!(confidence > Confidence::NONE && confidence < Confidence::CLEAR, "{word}");
        }
        let sentence = NgramDetector.detect("muchas gracias por arreglar la puerta");
        assert!(sentence.confidence >= Confidence::CLEAR);
    }

    #[test]
    fn nothing_but_names_is_unknown_and_one_that_may_be_a_name_is_doubtful() {
        for names in ["Zhang Wei", "Svetlana Petrova", "Mohammed Ali Khan", "Okay"] {
            assert_eq!(NgramDetector.detect(names), Detection::UNKNOWN, "{names}");
        }
        for name in ["Priya", "Fatoumata"] {
            let confidence = NgramDetector.detect(name).confidence;
            assert!(confidence <= Confidence::MAYBE_A_NAME, "{name}: {confidence:?}");
        }
        check(&[
            ("Svetlana Petrova llamó ayer", Spanish),
            ("Zhang Wei here, the heater broke", English),
        ]);
    }

    /// Words of each kind, to be put together at random.
    const WORDS: [&str; 16] = [
        "hello",
        "sink",
        "leaking",
        "again",
        "gracias",
        "mañana",
        "arreglar",
        "puerta",
        "obrigada",
        "aquecedor",
        "amanhã",
        "loyer",
        "Wohnung",
        "Zhang",
        "¿cuándo",
        "ok",
    ];

    #[test]
    fn only_a_clear_text_of_ours_is_told_without_a_second_opinion() {
        for (text, matters) in [
            ("Hello, my sink is leaking again, can someone come by today?", false),
            ("muchas gracias por arreglar la puerta", false),
            ("gracias", true),
            ("Bonjour, je voudrais payer mon loyer demain matin", true),
        ] {
            let reading = words::read(text);
            assert_eq!(opinion_matters(&reading, &first_votes(&reading)), matters, "{text}");
        }
    }

    proptest! {
        #[test]
        fn who_is_not_asked_would_have_changed_nothing(
            words in proptest::collection::vec(proptest::sample::select(&WORDS[..]), 1..12)
        ) {
            let text = words.join(" ");
            let reading = words::read(&text);
            let ballot = first_votes(&reading);
            if !reading.words.is_empty() && !opinion_matters(&reading, &ballot) {
                let telling = reading.words.iter().filter(|word| word.tells_alone()).count();
                for language in [English, Spanish, Portuguese] {
                    let mut asked = ballot;
                    asked.favor(Some(language), SECOND_OPINION);
                    prop_assert_eq!(asked.decide(telling), ballot.decide(telling), "{}", text);
                }
                prop_assert!(!matches!(second_opinion(&reading), Opinion::Foreign), "{}", text);
            }
        }

        #[test]
        fn no_text_is_too_strange(text in any::<String>()) {
            let Detection { language, confidence } = NgramDetector.detect(&text);
            prop_assert_eq!(language == Unknown, confidence == Confidence::NONE);
            prop_assert!(confidence <= Confidence::from_thousandths(995));
        }
    }
}
