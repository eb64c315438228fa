//! What the documentation says is so.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::access::new_key;
use crate::database::Database;
use crate::sending::Stage;
use crate::service::Service;

const API: &str = include_str!("../../../../docs/api.md");

/// An example and the status that it says it is answered with.
struct Example {
    status: String,
    commands: String,
}

fn examples() -> Vec<Example> {
    let blocks = API.split("\n```sh\n").skip(1).map(|block| block.split("\n```").next().unwrap());
    let example = |block: &str| {
        let (first, commands) = block.split_once('\n').unwrap();
        let status = first.strip_prefix("# Answers ").unwrap().to_owned();
        Example { status, commands: commands.to_owned() }
    };
    blocks.map(example).collect()
}

fn curl_is_there() -> bool {
    let asked = Command::new("curl").arg("--version").stdout(Stdio::null()).status();
    let there = asked.is_ok_and(|status| status.success());
    #[expect(clippy::disallowed_methods, reason = "a test that is skipped in CI is none")]
    let in_ci = std::env::var_os("CI").is_some();
    assert!(there || !in_ci, "CI needs curl");
    there
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_is_answered_as_it_says() {
    if !curl_is_there() {
        println!("skipped: there is no curl");
        return;
    }
    let database = Database::sqlite();
    let stage = Stage::set(&database).await;
    let (key, entry) = new_key("documents", "*");
    let service = Service::start(&stage.settings.clone().with_keys(&entry));
    let examples = examples();
    // Each example ends with a line that holds the status of its last answer.
    let mut script =
        "set -u\ncurl() { command curl -sS -w '\\n%{http_code}\\n' \"$@\"; }\n".to_owned();
    for example in &examples {
        script.push_str(&example.commands);
        script.push_str("\necho ==end\n");
    }
    let url = service.url.clone();
    let run = move || {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &script]).env("URL", url).env("KEY", key);
        shell.output().unwrap()
    };
    let ran = tokio::task::spawn_blocking(run).await.unwrap();
    assert!(
        ran.status.success() && ran.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    let said = String::from_utf8(ran.stdout).unwrap();
    let answers: Vec<_> = said.split("==end\n").collect();
    assert_eq!(answers.len(), examples.len() + 1);
    for (example, answer) in examples.iter().zip(answers) {
        let status = answer.trim_end().lines().last();
        assert_eq!(status, Some(&*example.status), "{}\n{answer}", example.commands);
    }
    assert_eq!(stage.twilio.messages().len(), 1);
}

#[tokio::test]
async fn every_endpoint_has_a_row_with_its_scope_and_an_example() {
    let database = Database::sqlite();
    let service = Service::start(&database.settings());
    let (_, document) = service.get("/openapi.json").await;
    let rows: Vec<_> = API.lines().filter(|line| line.starts_with("| `")).collect();
    let examples = examples();
    let mut endpoints = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let name = format!("| `{} {path}` |", method.to_uppercase());
            let row = rows.iter().find(|row| row.starts_with(&name));
            let row = row.unwrap_or_else(|| panic!("{name} has no row"));
            assert_eq!(row.split('|').nth(2).unwrap().trim(), scope(operation), "{name}");
            let begin = format!("$URL{}", path.split('{').next().unwrap());
            let has = |example: &Example| example.commands.contains(&begin);
            assert!(examples.iter().any(has), "{name} has no example");
            endpoints += 1;
        }
    }
    let listed = rows.iter().filter(|row| row.contains(" /")).count();
    assert_eq!(listed, endpoints, "a row for an endpoint that is not there");
}

/// The scope as the table has it.
fn scope(operation: &Value) -> String {
    if operation["security"].as_array().unwrap().is_empty() {
        return "none".to_owned();
    }
    if !operation["security"][0]["signature"].is_null() {
        return "Twilio's signature".to_owned();
    }
    let described = operation["description"].as_str().unwrap();
    described.rsplit("Scope: ").next().unwrap().trim_end_matches('.').to_owned()
}

const RUNS: &str = include_str!("../../../../.ci/conformance/documents");

/// Pages whose commands are run by a test above, and by `.ci/conformance/backup`.
const RUN_HERE: [&str; 2] = ["docs/api.md", "docs/operations.md"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The README and the pages in `docs`, by their path in the repository.
fn pages() -> Vec<(String, String)> {
    let files = std::fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|file| file.extension().is_some_and(|extension| extension == "md"));
    let name = |file: PathBuf| format!("docs/{}", file.file_name().unwrap().to_str().unwrap());
    let pages = files.map(name).chain(["README.md".to_owned(), "SECURITY.md".to_owned()]);
    let read = |page: String| {
        let text = std::fs::read_to_string(root().join(&page)).unwrap();
        (page, text)
    };
    pages.map(read).collect()
}

#[test]
fn every_page_that_is_pointed_to_is_there() {
    for (page, text) in pages() {
        let folder = Path::new(&page).parent().unwrap();
        for link in text.split("](").skip(1).map(|rest| rest.split([')', '#']).next().unwrap()) {
            let target = folder.join(link);
            if !link.contains("://") {
                assert!(root().join(&target).exists(), "{page} points to {link}");
            }
        }
    }
}

#[test]
fn every_command_is_run_by_a_test_or_says_what_it_needs() {
    let named = RUNS.lines().find_map(|line| line.strip_prefix("documents=")).unwrap();
    for (page, text) in pages() {
        let is_run = named.contains(&page) || RUN_HERE.contains(&&*page);
        let blocks = text.split("\n```sh\n").skip(1);
        let unmarked = blocks.filter(|block| !block.starts_with("# Needs ")).count();
        assert!(
            unmarked == 0 || is_run,
            "nobody runs the commands of {page}: name it in .ci/conformance/documents, or begin \
             its blocks with what they need: # Needs an account."
        );
    }
    assert!(pages().iter().any(|(page, _)| page == "README.md"));
}
