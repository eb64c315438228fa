//! The language detector behind the domain's port: a linear model over letter patterns (crate
//! `whichlang`, 16 languages, microseconds), asked only about words.
//!
//! Absent: telling the languages of single words apart, which the model is weak at. Short texts
//! therefore get a low confidence.

use domain::language::{Confidence, Detection, Language};
use domain::ports::LanguageDetector;
use whichlang::Lang;

/// Detects English, Spanish and Portuguese.
#[derive(Debug, Clone, Copy, Default)]
pub struct WhichlangDetector;

/// So many letters are read at most: more do not make the model surer.
const ENOUGH: usize = 400;

impl LanguageDetector for WhichlangDetector {
    fn detect(&self, text: &str) -> Detection {
        let words = words(text);
        let confidence = match words.split(' ').filter(|word| word.chars().count() > 1).count() {
            0 => return Detection::UNKNOWN,
            1 => 400,
            2 => 600,
            _ => 900,
        };
        let language = match whichlang::detect_language(&words) {
            Lang::Eng => Language::English,
            Lang::Spa => Language::Spanish,
            Lang::Por => Language::Portuguese,
            _ => return Detection::UNKNOWN,
        };
        Detection { language, confidence: Confidence::from_thousandths(confidence) }
    }
}

/// The words of a text in lower case, without links, addresses and anything that has a digit.
fn words(text: &str) -> String {
    let mut words = String::new();
    for token in text.split_whitespace() {
        let tells = !token.contains("://") && !token.contains('@') && !token.starts_with("www.");
        if !tells || token.chars().any(char::is_numeric) || words.len() > ENOUGH {
            continue;
        }
        let letters = |c: &char| c.is_alphabetic() || *c == '\'';
        let word: String = token.chars().filter(letters).take(ENOUGH).collect();
        if !word.is_empty() {
            if !words.is_empty() {
                words.push(' ');
            }
            words.push_str(&word.to_lowercase());
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, language: Language) {
        assert_eq!(WhichlangDetector.detect(text).language, language, "{text}");
    }

    #[test]
    fn sentences_are_told_apart() {
        check("Hello, my sink is leaking again, can someone come by today?", Language::English);
        check("Buenos días, se dañó el calentador de agua del apartamento", Language::Spanish);
        check(
            "Bom dia, o aquecedor de água do apartamento não está funcionando",
            Language::Portuguese,
        );
    }

    #[test]
    fn what_has_no_words_is_unknown() {
        for text in ["", "  ", "12345", "\u{1F600}\u{1F600}", "https://example.com/hola", "a", "!!"]
        {
            check(text, Language::Unknown);
        }
    }

    #[test]
    fn few_words_give_little_confidence() {
        let of = |text| WhichlangDetector.detect(text).confidence;
        assert!(of("gracias") < of("muchas gracias"));
        assert!(of("muchas gracias") < of("muchas gracias por todo"));
    }
}
