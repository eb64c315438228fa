//! How often the detector is right. `-- --nocapture` prints the tables of
//! `docs/decisions/language-detection.md`.

use std::collections::BTreeMap;

use adapter_language::NgramDetector;
use domain::language::{Detection, Language};
use domain::ports::LanguageDetector;

use crate::contract_data::{Row, lang_sms, lang_test};

/// How many of so many are right.
#[derive(Clone, Copy, Default)]
struct Score {
    right: u32,
    of: u32,
}

impl Score {
    fn count(&mut self, right: bool) {
        self.right += u32::from(right);
        self.of += 1;
    }

    fn percent(self) -> f64 {
        100.0 * f64::from(self.right) / f64::from(self.of.max(1))
    }
}

#[test]
fn every_stratum_of_the_public_texts_is_told_well_enough() {
    let Some(rows) = lang_test() else { return };
    let goals = [
        ("1-word", 93.0),
        ("2-words", 93.0),
        ("3-5-words", 98.5),
        ("sentence", 98.5),
        ("sms", 98.5),
        ("sms-derived", 98.5),
    ];
    print_by("stratum", &rows, |row| row.kind.clone());
    print_by("language", &rows, |row| row.label.as_str().to_owned());
    print_by("source", &rows, |row| format!("{}: {}", row.kind, row.source));
    for (stratum, goal) in goals {
        let score = score(rows.iter().filter(|row| row.kind == stratum));
        assert!(score.of > 0 && score.percent() >= goal, "{stratum}: {:.1} %", score.percent());
    }
}

#[test]
fn texts_of_tenants_are_told_well_enough() {
    let Some(rows) = lang_sms() else { return };
    print_by("language", &rows, |row| row.label.as_str().to_owned());
    let unknown = score(rows.iter().filter(|row| row.label == Language::Unknown));
    assert!(unknown.percent() >= 90.0, "unknown: {:.1} %", unknown.percent());
    let all = score(&rows);
    assert!(all.percent() >= 95.0, "all: {:.1} %", all.percent());
}

#[test]
fn the_confidence_is_how_often_it_is_right() {
    let (Some(test), Some(sms)) = (lang_test(), lang_sms()) else { return };
    let bands = [(1, 599), (600, 799), (800, 899), (900, 949), (950, 959), (960, 989), (990, 1000)];
    println!("| confidence | texts | right |\n|---|---|---|");
    for (low, high) in bands {
        let mut score = Score::default();
        for row in test.iter().chain(&sms) {
            let Detection { language, confidence } = NgramDetector.detect(&row.text);
            if (low..=high).contains(&confidence.thousandths()) {
                score.count(language == row.label);
            }
        }
        println!("| {low}-{high} | {} | {:.1} % |", score.of, score.percent());
        // What few texts show by chance is left room for; surer than right it must not be.
        let promised = f64::from(low) / 10.0;
        let chance = 300.0 * (0.25 / f64::from(score.of.max(1))).sqrt();
        assert!(score.of == 0 || score.percent() >= promised - chance.min(15.0), "{low}-{high}");
    }
}

fn score<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Score {
    let mut score = Score::default();
    for row in rows {
        score.count(NgramDetector.detect(&row.text).language == row.label);
    }
    score
}

/// Prints how often texts of each kind are told right: all of them, and each random half.
fn print_by(what: &str, rows: &[Row], kind: impl Fn(&Row) -> String) {
    let mut kinds: BTreeMap<String, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        kinds.entry(kind(row)).or_default().push(row);
    }
    println!("| {what} | texts | right | half A | half B |\n|---|---|---|---|---|");
    for (kind, rows) in kinds {
        let half = |half| score(rows.iter().copied().filter(|row| row.half == half)).percent();
        let all = score(rows.iter().copied());
        println!(
            "| {kind} | {} | {:.1} % | {:.1} % | {:.1} % |",
            all.of,
            all.percent(),
            half(0),
            half(1)
        );
    }
}
