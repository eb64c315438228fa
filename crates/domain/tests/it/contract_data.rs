//! The data that are kept beside the project.

use std::path::PathBuf;

/// The text of a contract file. Where there is none the test has nothing to do, which it says and
/// which is a failure in CI.
#[expect(clippy::disallowed_methods, reason = "where the data are is a setting of the test run")]
pub(crate) fn read(name: &str) -> Option<String> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/contract");
    let folder = std::env::var_os("CONTRACT_DIR").map_or(PathBuf::from(beside), PathBuf::from);
    let text = std::fs::read_to_string(folder.join(name)).ok();
    if text.is_none() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "no {name}: set CONTRACT_DIR");
        println!("skipped: there is no {name}; CONTRACT_DIR says where it is");
    }
    text
}
