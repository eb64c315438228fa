//! What pages name of the code is there: `crate/path/file.rs::name`, in backticks.

use std::fs;
use std::path::Path;

/// Pages that name tests and functions, and how many of them at least.
const PAGES: [(&str, usize); 2] = [("SECURITY.md", 40), ("docs/scaling.md", 30)];

/// Files and names in them, as a page has them.
fn named(page: &str) -> Vec<(&str, &str)> {
    let quoted = page.split('`').skip(1).step_by(2);
    let parts = quoted.filter_map(|text| text.split_once(".rs::"));
    // In a path to a file there is no blank.
    parts.filter(|(file, _)| !file.contains(char::is_whitespace)).collect()
}

/// Whether something of that name is made in that file.
fn is_there(file: &str, name: &str) -> bool {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file));
    let text = text.unwrap_or_default();
    let is_name = |rest: &str| {
        let end = rest.strip_prefix(name).map(|rest| rest.chars().next());
        end.is_some_and(|next| !next.is_some_and(|next| next.is_alphanumeric() || next == '_'))
    };
    ["fn ", "const ", "struct ", "enum "].iter().any(|kind| text.split(kind).skip(1).any(is_name))
}

#[test]
fn what_pages_name_of_the_code_is_there() {
    for (page, least) in PAGES {
        let text = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(page);
        let text = fs::read_to_string(text).unwrap();
        let named = named(&text);
        assert!(named.len() >= least, "{page} names only {} things", named.len());
        let missing: Vec<_> = named
            .into_iter()
            .filter(|(file, name)| !is_there(&format!("{file}.rs"), name))
            .collect();
        assert!(missing.is_empty(), "{page} names what is not there: {missing:#?}");
    }
}

#[test]
fn a_name_is_whole() {
    let page = "Shown by `server/tests/it/named_code.rs::a_name_is_whole`, or `no path.rs::x`.";
    assert_eq!(named(page), [("server/tests/it/named_code", "a_name_is_whole")]);
    assert!(is_there("server/tests/it/named_code.rs", "a_name_is_whole"));
    assert!(!is_there("server/tests/it/named_code.rs", "a_name_is"));
    assert!(!is_there("server/tests/it/nowhere.rs", "a_name_is_whole"));
}
