//! `docs/dependencies.md` has a line for each crate of others that ours name, and no other line.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use figment::Figment;
use figment::providers::{Format, Toml};
use serde_json::Value;

const PAGE: &str = include_str!("../../../../docs/dependencies.md");

/// The chapters, each with a table.
const IN_CODE: &str = "## In code and build scripts";
const IN_TESTS: &str = "## In tests and benchmarks only";

/// Which of our crates name one of others'.
#[derive(Default)]
struct Users {
    /// In their code, or in that of their build script.
    code: BTreeSet<String>,
    tests: BTreeSet<String>,
}

impl Users {
    /// As the table has them.
    fn cell(&self) -> String {
        let code = joined(self.code.iter());
        let tests = joined(self.tests.difference(&self.code));
        match (code.is_empty(), tests.is_empty()) {
            (_, true) => code,
            (true, false) => format!("tests: {tests}"),
            (false, false) => format!("{code}; tests: {tests}"),
        }
    }
}

fn joined<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// What is read of a manifest.
struct Manifest {
    name: String,
    /// Names in `[dependencies]` and `[build-dependencies]`.
    code: BTreeSet<String>,
    /// Names in `[dev-dependencies]`.
    tests: BTreeSet<String>,
}

impl Manifest {
    fn read(text: &str) -> Self {
        let whole: Value = Figment::from(Toml::string(text)).extract().unwrap();
        // Dependencies can stand under `[target.'..']` too.
        let targets = whole["target"].as_object().into_iter().flat_map(|all| all.values());
        let (mut code, mut tests) = (BTreeSet::new(), BTreeSet::new());
        for part in targets.chain([&whole]) {
            code.extend(names(&part["dependencies"]));
            code.extend(names(&part["build-dependencies"]));
            tests.extend(names(&part["dev-dependencies"]));
        }
        Self { name: whole["package"]["name"].as_str().unwrap().to_owned(), code, tests }
    }

    /// Those of all members of the workspace.
    fn all() -> Vec<Self> {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let folders = fs::read_dir(crates).unwrap().map(|entry| entry.unwrap().path());
        let files = folders.map(|folder| folder.join("Cargo.toml")).filter(|file| file.exists());
        files.map(|file| Self::read(&fs::read_to_string(file).unwrap())).collect()
    }
}

/// The names of a table of dependencies: of the packages, where they are renamed.
fn names(dependencies: &Value) -> Vec<String> {
    let named = |(name, how): (&String, &Value)| how["package"].as_str().unwrap_or(name).to_owned();
    dependencies.as_object().into_iter().flatten().map(named).collect()
}

/// Every crate of others, and who names it.
fn dependencies() -> BTreeMap<String, Users> {
    let manifests = Manifest::all();
    let ours: BTreeSet<_> = manifests.iter().map(|manifest| manifest.name.as_str()).collect();
    let mut users = BTreeMap::<String, Users>::new();
    for Manifest { name, code, tests } in &manifests {
        for other in code.iter().filter(|other| !ours.contains(other.as_str())) {
            users.entry(other.clone()).or_default().code.insert(name.clone());
        }
        for other in tests.iter().filter(|other| !ours.contains(other.as_str())) {
            users.entry(other.clone()).or_default().tests.insert(name.clone());
        }
    }
    users
}

/// The lines of the table in that chapter: the crate, who names it, why it is this one.
fn lines(chapter: &str) -> Vec<[&'static str; 3]> {
    let (_, behind) = PAGE.split_once(chapter).unwrap();
    let table = behind.split("\n## ").next().unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let cells = |row: &'static str| {
        let mut cells = row.trim_matches('|').split('|').map(str::trim);
        let cells = [cells.next(), cells.next(), cells.next()].map(Option::unwrap);
        [cells[0].trim_matches('`'), cells[1], cells[2]]
    };
    rows.map(cells).collect()
}

#[test]
fn every_dependency_has_a_line_and_every_line_a_dependency() {
    let dependencies = dependencies();
    for (chapter, in_code) in [(IN_CODE, true), (IN_TESTS, false)] {
        let lines = lines(chapter);
        let written: Vec<_> = lines.iter().map(|[name, ..]| *name).collect();
        let of_chapter = dependencies.iter().filter(|(_, users)| users.code.is_empty() != in_code);
        let named: Vec<_> = of_chapter.map(|(name, _)| name.as_str()).collect();
        let missing: Vec<_> = named.iter().filter(|name| !written.contains(name)).collect();
        assert!(missing.is_empty(), "docs/dependencies.md, {chapter}: no line for {missing:?}");
        let idle: Vec<_> = written.iter().filter(|name| !named.contains(name)).collect();
        assert!(idle.is_empty(), "docs/dependencies.md, {chapter}: nobody needs {idle:?} there");
        assert_eq!(written, named, "{chapter}: in the order of their names, each once");
        for [name, users, why] in lines {
            assert_eq!(users, dependencies[name].cell(), "who names {name}");
            assert!(why.len() > 10, "{name}: why this one?");
        }
    }
}

#[test]
fn a_manifest_is_read_in_all_its_forms() {
    let manifest = Manifest::read(
        "[package]\nname = \"one\"\n\
         [dependencies]\nserde.workspace = true\nother = { package = \"real\", version = \"1\" }\n\
         [build-dependencies]\nfst = \"0.4\"\n\
         [dev-dependencies]\ntokio = { workspace = true, features = [\"net\"] }\n\
         [target.'cfg(unix)'.dependencies]\nnix = \"0.31\"\n\
         [[bench]]\nname = \"detect\"\nharness = false\n",
    );
    let users = Users { code: manifest.code, tests: manifest.tests };
    assert_eq!(manifest.name, "one");
    assert_eq!(users.cell(), "fst, nix, real, serde; tests: tokio");
}
