//! The data beside the project that nobody tuned to our code.

use std::path::PathBuf;

use domain::language::Language;

/// A text and what it is.
pub(crate) struct Row {
    /// The language that somebody gave it.
    pub(crate) label: Language,
    /// Its kind: a stratum of `lang_test`, a tag of `lang_sms`.
    pub(crate) kind: String,
    /// Where it is from.
    pub(crate) source: String,
    /// Itself.
    pub(crate) text: String,
    /// Which random half of the data it belongs to.
    pub(crate) half: usize,
}

/// The rows of `lang_test`; `None` where it is not there.
pub(crate) fn lang_test() -> Option<Vec<Row>> {
    rows("lang_test.dev.meta.tsv", |fields| match fields {
        [id, label, kind, source, text] => Some(row(id, label, kind, source, text)),
        _ => None,
    })
}

/// The rows of `lang_sms`; `None` where it is not there.
pub(crate) fn lang_sms() -> Option<Vec<Row>> {
    rows("lang_sms.dev.meta.tsv", |fields| match fields {
        [id, label, kind, text] => Some(row(id, label, kind, "lang_sms", text)),
        _ => None,
    })
}

fn row(id: &str, label: &str, kind: &str, source: &str, text: &str) -> Row {
    // Any even spread that has nothing to do with the order of the rows.
    let spread = id.bytes().fold(0, |sum: u32, byte| sum.wrapping_mul(31) ^ u32::from(byte));
    Row {
        label: Language::from_word(label).unwrap(),
        kind: kind.to_owned(),
        source: source.to_owned(),
        text: text.to_owned(),
        half: usize::from(spread.wrapping_mul(0x9E37_79B1) >> 31 == 1),
    }
}

/// The rows of a file of `../shared/contract` (or `CONTRACT_DIR`); `None` where it is not there,
/// which is said, and which is a failure where `CI=true`.
fn rows(name: &str, parse: impl Fn(&[&str]) -> Option<Row>) -> Option<Vec<Row>> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/contract");
    let folder = variable("CONTRACT_DIR").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    let Ok(text) = std::fs::read_to_string(folder.join(name)) else {
        assert_ne!(variable("CI").as_deref(), Some("true"), "{name} is missing: set CONTRACT_DIR");
        println!("skipped: {name} is not there; set CONTRACT_DIR");
        return None;
    };
    let lines = text.lines().skip(1);
    Some(lines.map(|line| parse(&line.split('\t').collect::<Vec<_>>()).unwrap()).collect())
}

#[expect(clippy::disallowed_methods, reason = "a test is told by its environment where data are")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
