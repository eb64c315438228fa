//! The words of a text that can tell its language.
//!
//! Links, addresses, numbers, codes and emoji are no words; names, brands, "ok", laughter and
//! words that all the languages share are words that tell nothing. What is left is spelled in one
//! way, so that a detector need not care for capitals, curly apostrophes or "holaaaaa".

use super::Language;
use super::lexicon::{self, Known};

/// What of a text can tell its language.
#[derive(Clone, Default)]
pub struct Reading {
    /// The words that can, in their order.
    pub words: Vec<Word>,
    /// Whether "¿" or "¡" was written: only Spanish has them.
    pub inverted_marks: bool,
    /// Whether the one word that tells may be a name: nobody knows it, and it is written like one.
    /// A detector MUST NOT be surer than [`Confidence::MAYBE_A_NAME`] of it.
    ///
    /// [`Confidence::MAYBE_A_NAME`]: super::Confidence::MAYBE_A_NAME
    pub maybe_a_name: bool,
}

/// A word that can tell its language. Personal text, and so without `Debug`.
#[derive(Clone)]
pub struct Word {
    letters: String,
    known: Option<Known>,
    /// Whether it begins with a capital letter and has small ones too.
    is_capitalised: bool,
}

impl Word {
    /// The word in lower case: `a` to `z`, the [`ACCENTED`] letters, and apostrophes inside.
    #[must_use]
    pub fn letters(&self) -> &str {
        &self.letters
    }

    /// The language that is known to have this word, and the others not.
    #[must_use]
    pub fn language(&self) -> Option<Language> {
        match self.known {
            Some(Known::Of(language)) => Some(language),
            _ => None,
        }
    }

    /// The language that is known not to have this word, and both others have it.
    #[must_use]
    pub fn foreign_to(&self) -> Option<Language> {
        match self.known {
            Some(Known::NotOf(language)) => Some(language),
            _ => None,
        }
    }

    /// Whether the word tells something without company. A word of two languages does not, nor a
    /// single plain letter: it is a menu choice, an apartment or an abbreviation.
    #[must_use]
    pub fn tells_alone(&self) -> bool {
        let of_one = matches!(self.known, Some(Known::Of(_)) | None);
        of_one && self.letters.len() > 1
    }

    /// Whether it may be a name that is in no list.
    fn is_like_a_name(&self) -> bool {
        self.known.is_none() && self.is_capitalised
    }

    /// `None` where the word tells nothing.
    fn of(letters: String, known: Option<Known>, is_capitalised: bool) -> Option<Self> {
        (known != Some(Known::Nothing)).then_some(Self { letters, known, is_capitalised })
    }
}

/// The accented letters of the three languages, each with its plain letter and the mark that
/// some telephones write behind it.
pub const ACCENTED: [(char, char, char); 14] = [
    ('á', 'a', '\u{301}'),
    ('é', 'e', '\u{301}'),
    ('í', 'i', '\u{301}'),
    ('ó', 'o', '\u{301}'),
    ('ú', 'u', '\u{301}'),
    ('ü', 'u', '\u{308}'),
    ('ñ', 'n', '\u{303}'),
    ('ã', 'a', '\u{303}'),
    ('õ', 'o', '\u{303}'),
    ('ç', 'c', '\u{327}'),
    ('â', 'a', '\u{302}'),
    ('ê', 'e', '\u{302}'),
    ('ô', 'o', '\u{302}'),
    ('à', 'a', '\u{300}'),
];

/// No more characters of a text are looked at: a longest message of SMS.
const READ: usize = 1600;
/// Nor more words: the language of a longer text is clear by then.
const ENOUGH: usize = 24;
/// A longer run of letters, in bytes, is no word.
const LONGEST: usize = 40;

/// Reads `text`. The work is bounded however long the text is.
#[must_use]
pub fn read(text: &str) -> Reading {
    let end = text.char_indices().nth(READ).map_or(text.len(), |(end, _)| end);
    let text = text.get(..end).unwrap_or_default();
    let tokens = text.split_whitespace().filter(|token| !is_link(token));
    let mut words = Vec::new();
    for token in tokens.flat_map(|token| token.split(parts_words)) {
        if token.contains(char::is_numeric) {
            words.extend(digit_word(token));
        } else {
            words.extend(token.split(|c| !is_part_of_word(c)).filter_map(word));
        }
        if words.len() >= ENOUGH {
            break;
        }
    }
    let names = likely_names(&words);
    if names > 1 || !words.iter().any(Word::tells_alone) {
        words.clear();
    }
    let inverted_marks = text.contains(['¿', '¡']);
    Reading { words, inverted_marks, maybe_a_name: names == 1 && !inverted_marks }
}

/// What stands between the parts of a name.
const PARTICLES: [&str; 14] =
    ["al", "bin", "da", "das", "de", "del", "den", "der", "di", "do", "dos", "la", "van", "von"];

/// Between two other names a word of so few letters may be one, whatever else it is: "Ali" is Portuguese
/// for "there".
const SHORT_NAME: usize = 3;

/// How many words there are that may be names, where nothing but names may have been written: not
/// one word that somebody knows, and all of them written like names. Of "Zhang Wei" the letters
/// tell which language would spell so, not which language is written.
fn likely_names(words: &[Word]) -> usize {
    let inside = 1..words.len().saturating_sub(1);
    let is_part = |(nth, word): &(usize, &Word)| {
        let is_short = word.is_capitalised && word.letters.len() <= SHORT_NAME;
        PARTICLES.contains(&word.letters.as_str()) || (inside.contains(nth) && is_short)
    };
    let mut names = words.iter().enumerate().filter(|word| !is_part(word));
    let count = names.clone().count();
    if names.all(|(_, word)| word.is_like_a_name()) { count } else { 0 }
}

/// Marks that stand between words, even between a word and a number.
fn parts_words(c: char) -> bool {
    matches!(c, ',' | ';' | ':' | '!' | '?' | '¿' | '¡' | '(' | ')' | '[' | ']' | '"' | '…')
}

/// Some abbreviations have a digit ("gr8"); everything else with one is a number, a date, a code.
fn digit_word(token: &str) -> Option<Word> {
    let letters = token.trim_end_matches('.').to_lowercase();
    let known = lexicon::look_up(&letters)?;
    Word::of(letters, Some(known), false)
}

fn is_link(token: &str) -> bool {
    const HOSTS_END_IN: [&str; 10] =
        ["com", "org", "net", "edu", "gov", "info", "io", "app", "ly", "br"];
    if token.contains('@') || (token.contains(':') && token.contains("://")) {
        return true;
    }
    let token = token.trim_matches(|c: char| !c.is_alphanumeric());
    let host = token.split('/').next().unwrap_or_default();
    let is_host = |(name, end): (&str, &str)| {
        !name.is_empty() && HOSTS_END_IN.contains(&end.to_ascii_lowercase().as_str())
    };
    token.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("www."))
        || host.rsplit_once('.').is_some_and(is_host)
}

fn is_part_of_word(c: char) -> bool {
    c.is_alphabetic() || is_apostrophe(c) || is_mark(c)
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '’' | '‘' | '`' | '´')
}

/// An accent that stands behind its letter.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36F}')
}

/// The one spelling of a word; `None` where it has letters that none of the languages has.
fn spelled(word: &str) -> Option<String> {
    let word = word.trim_matches(is_apostrophe);
    if word.is_empty() || word.len() > LONGEST {
        return None;
    }
    let mut letters = String::with_capacity(word.len());
    for c in word.chars().flat_map(char::to_lowercase) {
        match c {
            'a'..='z' => letters.push(c),
            _ if is_apostrophe(c) => letters.push('\''),
            _ if is_mark(c) => accent(&mut letters, c),
            _ if ACCENTED.iter().any(|(accented, ..)| *accented == c) => letters.push(c),
            _ => return None,
        }
    }
    Some(letters)
}

/// Puts the mark on the last letter if such a letter exists.
fn accent(letters: &mut String, mark: char) {
    let Some(last) = letters.pop() else {
        return;
    };
    let accented = ACCENTED.iter().find(|(_, plain, with)| (*plain, *with) == (last, mark));
    letters.push(accented.map_or(last, |(accented, ..)| *accented));
}

/// The word with what is known of it; `None` where it tells nothing.
fn word(written: &str) -> Option<Word> {
    let mut letters = spelled(written)?;
    let mut known = laughter(&letters).or_else(|| known(&letters));
    if known.is_none()
        && let Some(shorter) = without_runs(&letters)
    {
        known = self::known(&shorter);
        letters = shorter;
    }
    let is_word = known.is_some() || letters.contains(is_vowel);
    let is_capitalised = written.trim_start_matches(is_apostrophe).starts_with(char::is_uppercase)
        && written.contains(char::is_lowercase);
    if is_word { Word::of(letters, known, is_capitalised) } else { None }
}

/// An accent may tell words apart ("qué", "que"); else it may be missing, like the apostrophe.
fn known(word: &str) -> Option<Known> {
    let is_plain = word.bytes().all(|byte| byte.is_ascii_lowercase());
    let without = || if is_plain { None } else { lexicon::look_up(&plain(word)) };
    lexicon::look_up(word).or_else(without)
}

/// How one laughs: "jajaja" in Spanish, "kkkk" or "rsrs" in Portuguese, "haha" everywhere.
fn laughter(word: &str) -> Option<Known> {
    let (letters, shortest, known) = match word.bytes().next()? {
        b'k' => ("k", 3, Known::Of(Language::Portuguese)),
        b'r' => ("rs", 4, Known::Of(Language::Portuguese)),
        b'j' => ("jaei", 4, Known::Of(Language::Spanish)),
        b'h' => ("haei", 4, Known::Nothing),
        _ => return None,
    };
    (word.len() >= shortest && word.chars().all(|c| letters.contains(c))).then_some(known)
}

/// Without accents and apostrophes, as many people type.
fn plain(word: &str) -> String {
    let plain = |c| ACCENTED.iter().find(|(accented, ..)| *accented == c).map_or(c, |(_, c, _)| *c);
    word.chars().filter(|c| *c != '\'').map(plain).collect()
}

/// "holaaaa" is "hola": no word of the three languages has a letter three times in a row. `None`
/// where there is no such run.
fn without_runs(word: &str) -> Option<String> {
    let is_run = |three: &[u8]| matches!(three, [a, b, c] if a == b && b == c);
    if !word.as_bytes().windows(3).any(is_run) {
        return None;
    }
    let letters: Vec<char> = word.chars().collect();
    let runs = letters.chunk_by(|a, b| a == b);
    Some(runs.flat_map(|run| run.iter().take(if run.len() > 2 { 1 } else { run.len() })).collect())
}

fn is_vowel(c: char) -> bool {
    "aeiouy".contains(c) || (!c.is_ascii() && c != 'ñ' && c != 'ç')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, proptest};

    use super::*;
    use Language::{English, Portuguese, Spanish};

    fn letters(text: &str) -> Vec<String> {
        read(text).words.iter().map(|word| word.letters().to_owned()).collect()
    }

    #[test]
    fn what_is_no_word_is_left_out() {
        for nothing in [
            "",
            " \n",
            "12345",
            "+1 415 555 0123",
            "05/12/2024",
            "$1,200.50",
            "10:30pm",
            "4B",
            "#12-A",
            "\u{1F600}\u{1F44D}\u{1F3FD}",
            "❤️",
            "???",
            "...",
            "https://example.com/hola?que=tal",
            "HTTP://EXAMPLE.COM",
            "www.example.org.",
            "(example.com/pay)",
            "bit.ly/abc",
            "someone@example.com",
            "@someone",
            "Спасибо",
            "謝謝",
        ] {
            assert!(read(nothing).words.is_empty(), "{nothing}");
        }
    }

    #[test]
    fn words_that_everybody_writes_tell_nothing() {
        for nothing in [
            "ok",
            "OK!",
            "Ok 👍",
            "Okay",
            "okey",
            "okkkk",
            "k",
            "hmm",
            "hmmmm",
            "haha",
            "hahahahaha",
            "hehe",
            "lol",
            "Maria",
            "José",
            "Carlos Silva",
            "zelle",
            "WhatsApp",
            "hotel",
            "taxi",
        ] {
            assert!(read(nothing).words.is_empty(), "{nothing}");
        }
    }

    #[test]
    fn names_that_are_in_no_list_are_known_by_how_they_are_written() {
        for name in [
            "Zhang Wei",
            "Svetlana Petrova",
            "Mohammed Ali Khan",
            "Maria Kowalczyk-Nowak",
            "Siobhan O'Shaughnessy",
            "Thandiwe van der Westhuizen, 4B",
        ] {
            assert!(read(name).words.is_empty(), "{name}");
        }
        for text in ["zhang wei", "ZHANG WEI", "Zhang pagou", "Leaky Faucet", "Hi Svetlana Petrova"]
        {
            let reading = read(text);
            assert!(!reading.words.is_empty() && !reading.maybe_a_name, "{text}");
        }
        for (word, maybe) in [("Priya", true), ("priya", false), ("PRIYA", false), ("Hola", false)]
        {
            assert_eq!(read(word).maybe_a_name, maybe, "{word}");
        }
    }

    #[test]
    fn words_of_two_languages_tell_nothing_alone() {
        for shared in ["no", "casa", "por favor", "a", "e", "x"] {
            assert!(read(shared).words.is_empty(), "{shared}");
        }
        assert_eq!(letters("no entiendo"), ["no", "entiendo"]);
    }

    #[test]
    fn greetings_and_answers_are_known() {
        let cases = [
            ("yes", English),
            ("Hello!", English),
            ("thanks", English),
            ("thx", English),
            ("can't", English),
            ("CAN’T", English),
            ("gr8", English),
            ("sí", Spanish),
            ("Si", Spanish),
            ("¡Hola!", Spanish),
            ("gracias", Spanish),
            ("adios", Spanish),
            ("xfa", Spanish),
            ("jajaja", Spanish),
            ("sim", Portuguese),
            ("Não", Portuguese),
            ("nao", Portuguese),
            ("obrigada", Portuguese),
            ("vc", Portuguese),
            ("kkkkk", Portuguese),
            ("rsrs", Portuguese),
        ];
        for (text, language) in cases {
            let known: Vec<_> = read(text).words.iter().map(Word::language).collect();
            assert_eq!(known, [Some(language)], "{text}");
        }
    }

    #[test]
    fn an_accent_that_tells_words_apart_is_heeded() {
        assert_eq!(known("qué"), Some(Known::Of(Spanish)));
        assert_eq!(known("que"), Some(Known::NotOf(English)));
        assert_eq!(known("acá"), Some(Known::Of(Spanish)));
        assert_eq!(known("dont"), known("don't"));
    }

    #[test]
    fn a_word_has_one_spelling() {
        let cases = [
            ("Mañana", "mañana"),
            ("man\u{303}ana", "mañana"),
            ("MAÑANA", "mañana"),
            ("holaaaaa", "hola"),
            ("pleeeease", "please"),
            ("Don’t", "don't"),
            ("don´t", "don't"),
            ("'thanks'", "thanks"),
        ];
        for (text, spelled) in cases {
            assert_eq!(letters(text), [spelled], "{text}");
        }
    }

    #[test]
    fn marks_part_words_and_links_do_not() {
        assert_eq!(letters("gracias,nos vemos!!bye"), ["gracias", "nos", "vemos", "bye"]);
        assert_eq!(letters("quarta-feira"), ["quarta", "feira"]);
        assert_eq!(letters("mira https://example.com/a,b!c ahora"), ["mira", "ahora"]);
    }

    #[test]
    fn inverted_marks_are_seen() {
        assert!(read("¿mañana?").inverted_marks);
        assert!(!read("mañana?").inverted_marks);
    }

    #[test]
    fn a_long_text_is_read_to_a_limit() {
        assert_eq!(letters(&"hello ".repeat(20_000)).len(), ENOUGH);
        assert!(read(&"a".repeat(100_000)).words.is_empty());
        assert!(read(&"1 ".repeat(100_000)).words.is_empty());
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in ".{0,300}") {
            for word in read(&text).words {
                let known = |c: char| {
                    c.is_ascii_lowercase()
                        || c == '\''
                        || ACCENTED.iter().any(|(accented, ..)| *accented == c)
                };
                let abbreviation = word.known.is_some();
                prop_assert!(abbreviation || word.letters().chars().all(known));
            }
        }
    }
}
