//! Which language a text is in, and which one a conversation prefers.

use serde::{Deserialize, Serialize};

/// The languages that we tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    /// English.
    English,
    /// Spanish.
    Spanish,
    /// Portuguese.
    Portuguese,
    /// Not known: nothing was written, or nothing that tells.
    Unknown,
}

impl Language {
    /// The word of the data model: `en`, `es`, `pt` or `unknown`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Spanish => "es",
            Self::Portuguese => "pt",
            Self::Unknown => "unknown",
        }
    }

    /// A word of the data model; `None` for any other.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::English, Self::Spanish, Self::Portuguese, Self::Unknown]
            .into_iter()
            .find(|language| language.as_str() == word)
    }
}

/// How sure we are, in thousandths: 0 is a guess, 1000 is certain.
///
/// Whole numbers, so that folding evidence gives the same result in every store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Confidence(u16);

impl Confidence {
    /// Nothing is known.
    pub const NONE: Self = Self(0);

    /// This many thousandths, at most 1000.
    #[must_use]
    pub fn from_thousandths(thousandths: u16) -> Self {
        Self(thousandths.min(1000))
    }

    /// In thousandths.
    #[must_use]
    pub fn thousandths(self) -> u16 {
        self.0
    }

    /// Between 0 and 1.
    #[must_use]
    pub fn fraction(self) -> f32 {
        f32::from(self.0) / 1000.0
    }
}

/// What a detector says about one text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Detection {
    /// The language of the text.
    pub language: Language,
    /// How sure the detector is. Zero where the language is unknown.
    pub confidence: Confidence,
}

impl Detection {
    /// The text tells nothing.
    pub const UNKNOWN: Self = Self { language: Language::Unknown, confidence: Confidence::NONE };
}

/// The evidence of a conversation so far: for each language the sum of its votes, older ones
/// counting less, in thousandths.
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

/// Which language a conversation prefers, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LanguagePreference {
    /// The preferred language.
    pub language: Language,
    /// How sure we are of it.
    pub confidence: Confidence,
    /// What it rests on.
    pub evidence: Evidence,
}

/// What is left of older evidence when a new text votes, in hundredths.
const REMEMBERED: u32 = 60;
/// By how much another language must lead before the preference changes, in thousandths.
const LEAD: u32 = 300;

impl LanguagePreference {
    /// Before anything was written.
    pub const UNKNOWN: Self = Self {
        language: Language::Unknown,
        confidence: Confidence::NONE,
        evidence: Evidence { en: 0, es: 0, pt: 0, votes: 0 },
    };

    /// The preference after one more text. A text of unknown language changes nothing; another
    /// language takes over only when it clearly leads, so one weak word never flips a preference
    /// that better evidence set.
    #[must_use]
    pub fn fold(&self, detection: Detection) -> Self {
        let Some(evidence) = self.evidence.with(detection) else {
            return *self;
        };
        let leader = evidence.leader();
        let leads = evidence.of(leader) >= evidence.of(self.language) + LEAD;
        let language =
            if self.language == Language::Unknown || leads { leader } else { self.language };
        Self { language, confidence: evidence.share(language), evidence }
    }
}

impl Evidence {
    fn with(self, detection: Detection) -> Option<Self> {
        let vote = u32::from(detection.confidence.thousandths());
        let mut evidence = Self {
            en: self.en * REMEMBERED / 100,
            es: self.es * REMEMBERED / 100,
            pt: self.pt * REMEMBERED / 100,
            votes: self.votes.saturating_add(1),
        };
        let voted = match detection.language {
            Language::English => &mut evidence.en,
            Language::Spanish => &mut evidence.es,
            Language::Portuguese => &mut evidence.pt,
            Language::Unknown => return None,
        };
        *voted += vote;
        (vote > 0).then_some(evidence)
    }

    fn of(&self, language: Language) -> u32 {
        match language {
            Language::English => self.en,
            Language::Spanish => self.es,
            Language::Portuguese => self.pt,
            Language::Unknown => 0,
        }
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

    /// The part of all evidence that speaks for `language`; a single vote counts as much as it was sure.
    fn share(&self, language: Language) -> Confidence {
        let all = (self.en + self.es + self.pt).max(1000);
        let thousandths = self.of(language) * 1000 / all;
        Confidence::from_thousandths(u16::try_from(thousandths).unwrap_or(1000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vote(language: Language, thousandths: u16) -> Detection {
        Detection { language, confidence: Confidence::from_thousandths(thousandths) }
    }

    fn after(votes: &[Detection]) -> LanguagePreference {
        votes.iter().fold(LanguagePreference::UNKNOWN, |preference, vote| preference.fold(*vote))
    }

    #[test]
    fn the_first_text_sets_the_preference() {
        let preference = after(&[vote(Language::Spanish, 700)]);
        assert_eq!(preference.language, Language::Spanish);
        assert_eq!(preference.confidence.thousandths(), 700);
        assert_eq!(preference.evidence.votes, 1);
    }

    #[test]
    fn one_weak_word_does_not_flip_it() {
        let preference = after(&[vote(Language::English, 950), vote(Language::Spanish, 400)]);
        assert_eq!(preference.language, Language::English);
        assert!(preference.confidence < Confidence::from_thousandths(950));
    }

    #[test]
    fn a_stronger_more_recent_text_flips_it() {
        let preference = after(&[vote(Language::English, 900), vote(Language::Spanish, 990)]);
        assert_eq!(preference.language, Language::Spanish);
    }

    #[test]
    fn a_text_that_tells_nothing_is_no_vote() {
        let before = after(&[vote(Language::Portuguese, 900)]);
        assert_eq!(before.fold(Detection::UNKNOWN), before);
        assert_eq!(before.fold(vote(Language::English, 0)), before);
    }

    #[test]
    fn evidence_stays_bounded_however_many_texts_vote() {
        let preference = after(&[vote(Language::English, 1000); 1000]);
        assert!(preference.evidence.en <= 2500);
        assert_eq!(preference.confidence.thousandths(), 1000);
    }
}
