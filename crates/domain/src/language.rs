//! Which language a text is in, and which one a conversation prefers.
//!
//! [`words`] says which words of a text can tell, and knows some of them; an adapter of
//! [`LanguageDetector`](crate::ports::LanguageDetector) judges the rest and gives a [`Detection`];
//! [`LanguagePreference::fold`] makes of many detections one preference.

mod lexicon;
mod preference;
pub mod words;

pub use preference::{Evidence, LanguagePreference};

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
/// Of a text it is how often such a text is in that language. Of a conversation it is how much
/// of the recent evidence speaks for the language: [`LanguagePreference::confidence`].
///
/// Whole numbers, so that folding evidence gives the same result in every store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Confidence(u16);

impl Confidence {
    /// Nothing is known.
    pub const NONE: Self = Self(0);

    /// From here on a text is clear: it alone can change what a conversation prefers. A detector
    /// MUST NOT be so sure of a single word.
    pub const CLEAR: Self = Self(960);

    /// How sure a detector may be at most of a single word that may be a name: too little to be told
    /// to others.
    pub const MAYBE_A_NAME: Self = Self(690);

    /// This many thousandths, at most 1000.
    #[must_use]
    pub fn from_thousandths(thousandths: u16) -> Self {
        Self(thousandths.min(1000))
    }

    /// In thousandths.
    #[must_use]
    pub const fn thousandths(self) -> u16 {
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
