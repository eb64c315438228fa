//! How words begin and end: the letter groups were counted without regard to the edges of words.

use domain::language::Language;

/// The language that alone has words with such edges.
pub(crate) fn only_in(word: &str) -> Option<Language> {
    let english = begins_with_s_and_consonant(word) || word.ends_with(ENGLISH_ENDINGS);
    english.then_some(Language::English)
}

/// The language that has no words with such an ending, while both others do.
pub(crate) fn never_in(word: &str) -> Option<Language> {
    match word.chars().next_back()? {
        'm' => Some(Language::Spanish),
        'n' | 'd' | 'y' => Some(Language::Portuguese),
        _ => None,
    }
}

/// Spanish and Portuguese words end in vowels and few consonants, not in these.
const ENGLISH_ENDINGS: [char; 10] = ['b', 'c', 'f', 'g', 'h', 'k', 'p', 't', 'v', 'w'];

/// "special" is "especial" in both other languages.
fn begins_with_s_and_consonant(word: &str) -> bool {
    let mut letters = word.chars();
    letters.next() == Some('s') && letters.next().is_some_and(|c| "ckpqtlmnw".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_tell_what_the_middle_does_not() {
        for english in ["street", "scan", "habitat", "magic"] {
            assert_eq!(only_in(english), Some(Language::English), "{english}");
        }
        for anybody in ["", "s", "animal", "cama", "sal"] {
            assert_eq!((only_in(anybody), never_in(anybody)), (None, None), "{anybody}");
        }
        assert_eq!(never_in("tem"), Some(Language::Spanish));
        assert_eq!(never_in("ciudad"), Some(Language::Portuguese));
    }
}
