//! What many texts together say about the language of a conversation.

use serde::{Deserialize, Serialize};

use super::{Confidence, Detection, Language};

/// Which language a conversation prefers, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LanguagePreference {
    /// The preferred language.
    pub language: Language,
    /// How much of the recent evidence speaks for it: the moving average that [`Evidence`] keeps
    /// of it. The first text gives its own confidence; texts that repeat each other never make a
    /// conversation surer than the surest of them.
    pub confidence: Confidence,
    /// What it rests on.
    pub evidence: Evidence,
}

/// The evidence of a conversation so far: for each language the moving average of the
/// confidences that texts gave it, in thousandths. A text gives the other languages nothing, so
/// that the three together are never more than 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Evidence {
    /// For English.
    pub en: u32,
    /// For Spanish.
    pub es: u32,
    /// For Portuguese.
    pub pt: u32,
    /// How many texts have voted.
    pub votes: u32,
}

/// By how much another language must lead before the preference changes, in thousandths.
const LEAD: u32 = 300;

impl LanguagePreference {
    /// Before anything was written.
    pub const UNKNOWN: Self = Self {
        language: Language::Unknown,
        confidence: Confidence::NONE,
        evidence: Evidence { en: 0, es: 0, pt: 0, votes: 0 },
    };

    /// The preference after one more text. A text of unknown language changes nothing.
    ///
    /// Another language takes over only when it clearly leads: one clear text is enough, whatever
    /// was said before; of texts that are not clear it takes two or more in a row, unless the
    /// preference was hardly more than a guess.
    #[must_use]
    pub fn fold(&self, detection: Detection) -> Self {
        let Some(evidence) = self.evidence.with(detection) else {
            return *self;
        };
        let leader = evidence.leader();
        let leads = evidence.of(leader) >= evidence.of(self.language) + LEAD;
        let language =
            if self.language == Language::Unknown || leads { leader } else { self.language };
        Self { language, confidence: evidence.confidence(language), evidence }
    }
}

impl Evidence {
    /// `None` where the text tells nothing.
    fn with(self, detection: Detection) -> Option<Self> {
        let vote = u32::from(detection.confidence.thousandths());
        if vote == 0 || detection.language == Language::Unknown {
            return None;
        }
        let quarters = self.quarters_for(detection.confidence);
        let average = |language| {
            let said = if detection.language == language { vote } else { 0 };
            (self.of(language) * (4 - quarters) + said * quarters) / 4
        };
        Some(Self {
            en: average(Language::English),
            es: average(Language::Spanish),
            pt: average(Language::Portuguese),
            votes: self.votes.saturating_add(1),
        })
    }

    /// How much of the average a new text takes: all if it is the first, three quarters if it is
    /// clear, else one half.
    fn quarters_for(&self, confidence: Confidence) -> u32 {
        match confidence {
            _ if self.votes == 0 => 4,
            _ if confidence >= Confidence::CLEAR => 3,
            _ => 2,
        }
    }

    /// At most 1000, whatever was stored.
    fn of(&self, language: Language) -> u32 {
        let thousandths = match language {
            Language::English => self.en,
            Language::Spanish => self.es,
            Language::Portuguese => self.pt,
            Language::Unknown => 0,
        };
        thousandths.min(1000)
    }

    fn leader(&self) -> Language {
        let mut leader = Language::English;
        for language in [Language::Spanish, Language::Portuguese] {
            if self.of(language) > self.of(leader) {
                leader = language;
            }
        }
        leader
    }

    fn confidence(&self, language: Language) -> Confidence {
        Confidence::from_thousandths(u16::try_from(self.of(language)).unwrap_or(1000))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::*;
    use Language::{English, Portuguese, Spanish};

    /// As sure as a sentence.
    const SENTENCE: u16 = 990;
    /// As sure as one word can be.
    const WORD: u16 = Confidence::CLEAR.thousandths() - 1;

    fn vote(language: Language, thousandths: u16) -> Detection {
        Detection { language, confidence: Confidence::from_thousandths(thousandths) }
    }

    fn after(votes: &[(Language, u16)]) -> LanguagePreference {
        votes
            .iter()
            .map(|(language, thousandths)| vote(*language, *thousandths))
            .fold(LanguagePreference::UNKNOWN, |preference, vote| preference.fold(vote))
    }

    #[test]
    fn the_first_text_sets_the_preference() {
        let preference = after(&[(Spanish, 700)]);
        assert_eq!(preference.language, Spanish);
        assert_eq!(preference.confidence.thousandths(), 700);
        assert_eq!(preference.evidence.votes, 1);
    }

    #[test]
    fn one_weak_word_flips_nothing_that_better_evidence_set() {
        for english in [&[(English, WORD)][..], &[(English, SENTENCE)], &[(English, SENTENCE); 9]] {
            let before = after(english);
            let preference = before.fold(vote(Spanish, WORD));
            assert_eq!(preference.language, English);
            assert!(preference.confidence < before.confidence);
        }
    }

    #[test]
    fn the_same_language_again_and_again_takes_over() {
        let preference = after(&[(English, SENTENCE), (Spanish, WORD), (Spanish, WORD)]);
        assert_eq!(preference.language, Spanish);
        let guesses = [(Spanish, 500); 4];
        let preference = after(&[&[(English, SENTENCE)][..], &guesses].concat());
        assert_eq!(preference.language, Spanish);
    }

    #[test]
    fn one_clear_text_takes_over_whatever_was_before() {
        let before = [(English, SENTENCE); 50];
        assert_eq!(after(&before).fold(vote(Spanish, 970)).language, Spanish);
        assert_eq!(after(&[(English, 900), (Portuguese, SENTENCE)]).language, Portuguese);
    }

    #[test]
    fn a_preference_comes_back_as_it_went() {
        let there_and_back = after(&[(English, 990), (Spanish, 990), (English, 990)]);
        assert_eq!(there_and_back.language, English);
    }

    #[test]
    fn repetition_makes_nothing_surer_than_the_surest_text() {
        for thousandths in [1, 333, 700, 931, 959, 960, 999] {
            let preference = after(&[(English, thousandths); 100]);
            assert_eq!(preference.confidence.thousandths(), thousandths);
        }
    }

    #[test]
    fn a_text_that_tells_nothing_is_no_vote() {
        let before = after(&[(Portuguese, 900)]);
        assert_eq!(before.fold(Detection::UNKNOWN), before);
        assert_eq!(before.fold(vote(English, 0)), before);
    }

    proptest! {
        #[test]
        fn whatever_was_stored_the_average_stays_an_average(
            en in any::<u32>(), es in any::<u32>(), pt in any::<u32>(), votes in any::<u32>(),
            thousandths in 1..=1000_u16,
        ) {
            let evidence = Evidence { en, es, pt, votes };
            let stored = LanguagePreference {
                language: Spanish, confidence: Confidence::NONE, evidence,
            };
            let folded = stored.fold(vote(English, thousandths));
            prop_assert!([folded.evidence.en, folded.evidence.es, folded.evidence.pt]
                .iter().all(|average| *average <= 1000));
            prop_assert_eq!(folded.evidence.votes, votes.saturating_add(1));
        }

        #[test]
        fn the_averages_together_are_never_more_than_the_whole(
            texts in proptest::collection::vec((0..3_usize, 0..=1000_u16), 1..40),
        ) {
            let texts: Vec<_> = texts
                .into_iter()
                .map(|(of, thousandths)| ([English, Spanish, Portuguese][of], thousandths))
                .collect();
            let Evidence { en, es, pt, .. } = after(&texts).evidence;
            prop_assert!(en + es + pt <= 1000);
        }
    }
}
