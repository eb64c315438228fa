//! The README's table of settings is made from the commented defaults.

use std::fmt::Write;
use std::path::Path;

const DEFAULTS: &str = include_str!("../../config/defaults.toml");
const BEGIN: &str = "<!-- The settings: made from defaults.toml, see settings_table.rs -->\n";
const END: &str = "<!-- The end of the settings -->";

/// Settings that are explained together.
#[derive(Default)]
struct Group {
    meaning: String,
    /// Name and default; `None` where there is no default.
    settings: Vec<(String, Option<String>)>,
}

impl Group {
    /// A row of the table.
    fn row(&self) -> String {
        let settings = self.settings.iter().map(|(name, default)| match default {
            Some(default) => format!("`{name}` = `{default}`"),
            None => format!("`{name}`"),
        });
        let settings = settings.collect::<Vec<_>>();
        let meaning = self.meaning.trim().replace('|', "\\|");
        format!("| {} | {meaning} |\n", settings.join("<br>"))
    }
}

/// The comment lines in front of settings are what they mean. An empty line ends a group; a comment
/// without a setting behind it is about the file.
fn groups() -> Vec<Group> {
    let mut groups = Vec::new();
    let mut open = Group::default();
    for line in DEFAULTS.lines() {
        let comment = line.strip_prefix("# ");
        let begins_another = comment.is_some() && setting(line).is_none();
        if line.is_empty() || (begins_another && !open.settings.is_empty()) {
            groups.push(std::mem::take(&mut open));
        }
        if let Some(setting) = setting(line) {
            open.settings.push(setting);
        } else if let Some(comment) = comment {
            let _ = write!(open.meaning, "{comment} ");
        }
    }
    groups.push(open);
    groups.retain(|group| !group.settings.is_empty());
    groups
}

/// `NAME = "default"`, or with a `#` in front of it an example without a default.
fn setting(line: &str) -> Option<(String, Option<String>)> {
    let (is_example, line) = match line.strip_prefix("# ") {
        Some(line) => (true, line),
        None => (false, line),
    };
    let (name, value) = line.split_once(" = ")?;
    let is_name = name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    let value = value.trim_matches('"').to_owned();
    is_name.then(|| (name.to_owned(), (!is_example).then_some(value)))
}

fn table() -> String {
    let rows = groups().iter().map(Group::row).collect::<String>();
    format!("| setting | what it is |\n|---|---|\n{rows}")
}

#[test]
fn the_readme_has_the_settings_as_they_are() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once(BEGIN).unwrap();
    let (shown, after) = rest.split_once(END).unwrap();
    let table = format!("\n{}\n", table());
    #[expect(clippy::disallowed_methods, reason = "whoever changes a setting writes it down so")]
    let writes = std::env::var_os("UPDATE_DOCS").is_some();
    if writes {
        std::fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        return;
    }
    assert!(shown == table, "README.md has other settings than defaults.toml: `make docs`");
}

#[test]
fn every_setting_is_explained() {
    let groups = groups();
    assert!(groups.len() > 20);
    for group in &groups {
        assert!(group.meaning.len() > 10, "{}", group.row());
    }
    let lines = DEFAULTS.lines().filter(|line| line.contains(" = \"")).count();
    let settings: usize = groups.iter().map(|group| group.settings.len()).sum();
    assert_eq!(settings, lines);
}
