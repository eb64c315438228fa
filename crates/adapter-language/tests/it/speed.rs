//! A text cannot keep the detector busy. What it costs exactly, the benchmark says.

use std::time::{Duration, Instant};

use adapter_language::NgramDetector;
use domain::ports::LanguageDetector;
use proptest::prelude::{ProptestConfig, any, prop_assert, proptest};
use proptest::sample::select;

/// Hundreds of times what it takes, because the machine may be busy.
const LONG: Duration = Duration::from_millis(250);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_hundred_thousand_characters_are_read_in_no_time(
        piece in any::<String>(),
        usual in select(vec!["a", "ñ", "hola ", "1 ", "'", "\u{301}", "@", "a.", "😀", "é\u{303}"]),
    ) {
        for piece in [piece.as_str(), usual] {
            let text: String = piece.chars().cycle().take(100_000).collect();
            let started = Instant::now();
            NgramDetector.detect(&text);
            prop_assert!(started.elapsed() < LONG);
        }
    }
}
