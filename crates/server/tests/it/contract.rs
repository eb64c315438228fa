//! The data beside the project that nobody tuned to our code.

use std::path::PathBuf;

/// The lines of a file of `../shared/contract` (or `CONTRACT_DIR`); `None` where it is not there,
/// which is said, and which is a failure where `CI=true`.
pub(crate) fn lines(name: &str) -> Option<Vec<serde_json::Value>> {
    let text = text(name)?;
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// The same for a file that is one document.
pub(crate) fn json(name: &str) -> Option<serde_json::Value> {
    Some(serde_json::from_str(&text(name)?).unwrap())
}

fn text(name: &str) -> Option<String> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/contract");
    let folder = variable("CONTRACT_DIR").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    let Ok(text) = std::fs::read_to_string(folder.join(name)) else {
        assert_ne!(variable("CI").as_deref(), Some("true"), "{name} is missing: set CONTRACT_DIR");
        println!("skipped: {name} is not there; set CONTRACT_DIR");
        return None;
    };
    Some(text)
}

#[expect(clippy::disallowed_methods, reason = "a test is told by its environment where data are")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
