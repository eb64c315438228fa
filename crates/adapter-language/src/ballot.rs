//! The votes about one text, and what they come to.

use domain::language::{Confidence, Detection, Language};

use crate::table::Likelier;

/// For each language the sum of its votes, in eighths of a natural logarithm of probability.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ballot {
    english: i32,
    spanish: i32,
    portuguese: i32,
}

/// More than this the letters of one word do not count against a language: foreign names and
/// slips of the thumb are as unlikely as can be, and still are only one word.
const WORST_OF_A_WORD: i32 = 48;
/// A smaller lead is a toss of a coin.
const COIN_TOSS: i32 = 2;
/// How often the leader of two is right, in thousandths, by its lead in whole logarithms: the
/// logistic function. `docs/decisions/language-detection.md` shows how often it really is.
const RIGHT: [u16; 7] = [500, 731, 881, 953, 982, 993, 995];
/// From this lead on the leader is as sure as can be.
pub(crate) const SURE: i32 = 48;
/// How sure a single word can make us at most, in thousandths: people borrow words.
const ONE_WORD: u16 = 950;

impl Ballot {
    /// Counts what the letters of a word say.
    pub(crate) fn count(&mut self, Likelier { spanish, portuguese }: Likelier) {
        let likeliest = spanish.max(portuguese).max(0);
        let behind = |likelihood: i32| (likelihood - likeliest).max(-WORST_OF_A_WORD);
        self.english += behind(0);
        self.spanish += behind(spanish);
        self.portuguese += behind(portuguese);
    }

    /// Adds a vote of its own for a language.
    pub(crate) fn favor(&mut self, language: Option<Language>, weight: i32) {
        match language {
            Some(Language::English) => self.english += weight,
            Some(Language::Spanish) => self.spanish += weight,
            Some(Language::Portuguese) => self.portuguese += weight,
            Some(Language::Unknown) | None => (),
        }
    }

    /// How far the leader is ahead of the second.
    pub(crate) fn lead(&self) -> i32 {
        let mut order = [self.english, self.spanish, self.portuguese];
        order.sort_unstable();
        let [_, second, first] = order;
        first - second
    }

    /// The leader of a text in which so many words can tell alone.
    pub(crate) fn decide(self, telling: usize) -> Detection {
        let mut order = [
            (self.english, Language::English),
            (self.spanish, Language::Spanish),
            (self.portuguese, Language::Portuguese),
        ];
        order.sort_unstable_by_key(|(votes, _)| -votes);
        let [(first, language), (second, _), _] = order;
        if first - second < COIN_TOSS {
            return Detection::UNKNOWN;
        }
        let right = right(first - second);
        let thousandths = if telling > 1 { right } else { right.min(ONE_WORD) };
        Detection { language, confidence: Confidence::from_thousandths(thousandths) }
    }
}

/// How often a leader with this lead is right, between the steps of [`RIGHT`] on a straight line.
fn right(lead: i32) -> u16 {
    let (whole, eighths) = (usize::try_from(lead / 8).unwrap_or(0), u16::try_from(lead % 8));
    match (RIGHT.get(whole), RIGHT.get(whole + 1)) {
        (Some(at), Some(next)) => at + (next - at) * eighths.unwrap_or(0) / 8,
        _ => RIGHT.last().copied().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_larger_lead_is_surer() {
        let sure: Vec<u16> = (0..100).map(right).collect();
        assert!(sure.is_sorted());
        assert_eq!((sure[0], sure[8], sure[99]), (500, 731, 995));
        assert_eq!(right(SURE), right(i32::MAX));
        assert!(right(SURE - 1) < right(SURE));
    }

    #[test]
    fn a_tie_is_unknown() {
        assert_eq!(Ballot::default().decide(3), Detection::UNKNOWN);
    }

    #[test]
    fn one_word_is_never_clear() {
        let mut ballot = Ballot::default();
        ballot.favor(Some(Language::Spanish), 1000);
        assert!(ballot.decide(1).confidence < Confidence::CLEAR);
        assert!(ballot.decide(2).confidence >= Confidence::CLEAR);
    }

    #[test]
    fn one_word_cannot_outvote_a_phrase() {
        let mut ballot = Ballot::default();
        ballot.count(Likelier { spanish: 1000, portuguese: 990 });
        for _ in 0..4 {
            ballot.count(Likelier { spanish: -20, portuguese: -20 });
        }
        assert_eq!(ballot.decide(5).language, Language::English);
    }
}
