//! How much likelier a word is in Spanish and in Portuguese than in English, by its letters.

use crate::letters::{self, LONGEST};

/// An entry: what tells it from the others of its bucket (two bytes), then Spanish and Portuguese
/// against English in eighths of a natural logarithm.
static ENTRIES: &[[u8; 4]] = include_bytes!(concat!(env!("OUT_DIR"), "/entries.bin")).as_chunks().0;
/// Where the entries of each bucket start; one more for the end of the last.
static STARTS: &[[u8; 4]] = include_bytes!(concat!(env!("OUT_DIR"), "/starts.bin")).as_chunks().0;

/// How much likelier than in English a word is, in eighths of a natural logarithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Likelier {
    /// In Spanish.
    pub(crate) spanish: i32,
    /// In Portuguese.
    pub(crate) portuguese: i32,
}

/// Asks of every letter how probable it is behind the up to four letters before it.
pub(crate) fn likelier(word: &str) -> Likelier {
    let mut all = Likelier::default();
    let (mut group, mut letters) = (0, 0);
    for letter in word.chars() {
        let Some(number) = letters::number(letter) else {
            (group, letters) = (0, 0);
            continue;
        };
        group = letters::append(letters::last(group, LONGEST - 1), number);
        letters = LONGEST.min(letters + 1);
        let longest_known = (1..=letters).rev().find_map(|n| look_up(letters::last(group, n)));
        if let Some([spanish, portuguese]) = longest_known {
            all.spanish += i32::from(spanish);
            all.portuguese += i32::from(portuguese);
        }
    }
    all
}

fn look_up(group: u32) -> Option<[i8; 2]> {
    let (bucket, rest) = letters::place(group);
    let bucket = usize::try_from(bucket).ok()?;
    let entries = ENTRIES.get(start(bucket)?..start(bucket + 1)?)?;
    let found =
        entries.iter().find(|[low, high, ..]| u32::from(u16::from_le_bytes([*low, *high])) == rest);
    found.map(|[.., spanish, portuguese]| [spanish.cast_signed(), portuguese.cast_signed()])
}

fn start(bucket: usize) -> Option<usize> {
    STARTS.get(bucket).and_then(|start| usize::try_from(u32::from_le_bytes(*start)).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_likeliest_in_their_own_language() {
        let english = likelier("neighborhood");
        assert!(english.spanish < 0 && english.portuguese < 0);
        let spanish = likelier("vecindario");
        assert!(spanish.spanish > 0 && spanish.spanish > spanish.portuguese);
        let portuguese = likelier("vizinhança");
        assert!(portuguese.portuguese > 0 && portuguese.portuguese > portuguese.spanish);
    }

    #[test]
    fn what_has_no_letters_is_as_likely_everywhere() {
        for nothing in ["", "'", "123", "привет", "\u{1F600}"] {
            assert_eq!(likelier(nothing), Likelier::default());
        }
    }

    #[test]
    fn every_accented_letter_of_the_domain_is_known() {
        for (accented, plain, _) in domain::language::words::ACCENTED {
            assert!(letters::ACCENTED.contains(&(accented, plain)));
        }
    }
}
