//! Each fuzz target has a row in `docs/reliability.md`, kept inputs beside it, and is run by
//! `.ci/fuzz`. Without its inputs a target would pass on noise alone.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = include_str!("../../../../docs/reliability.md");
const RUNNER: &str = include_str!("../../../../.ci/fuzz");

/// File and name of each target of the table: "| `domain/tests/it/fuzz.rs::address` | ..".
fn rows() -> Vec<(&'static str, &'static str)> {
    let chapter = PAGE.split("\n## Fuzzing\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let first = chapter.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    first.map(|target| target.split_once("::").unwrap()).collect()
}

/// Every folder of kept inputs below `folder`.
fn kept(folder: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.ends_with("corpus") {
            found.insert(entry);
        } else if entry.is_dir() {
            kept(&entry, found);
        }
    }
}

#[test]
fn every_fuzz_target_has_a_row_and_inputs_beside_it() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folder = |(file, name): (&str, &str)| {
        crates.join(file).parent().unwrap().join("__fuzz__").join(name).join("corpus")
    };
    let expected: BTreeSet<_> = rows().into_iter().map(folder).collect();
    let mut found = BTreeSet::new();
    kept(crates, &mut found);
    assert_eq!(found, expected);
    for folder in found {
        assert!(fs::read_dir(&folder).unwrap().next().is_some(), "{folder:?} is empty");
    }
}

#[test]
fn every_target_of_the_table_is_one_and_is_run() {
    let rows = rows();
    assert!(rows.len() >= 5, "{rows:?}");
    for (file, name) in rows {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let code = fs::read_to_string(crates.join(file)).unwrap();
        assert!(code.contains(&format!("bolero::check!(name = \"{name}\")")), "{file}: {name}");
        let all = RUNNER.lines().find_map(|line| line.split(" || set -- ").nth(1)).unwrap();
        assert!(all.split(' ').any(|target| target == name), ".ci/fuzz does not run {name}");
    }
}
