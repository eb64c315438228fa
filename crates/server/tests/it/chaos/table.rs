//! What the suite has found: a line for each fault, which `make chaos` puts into
//! `docs/reliability.md`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

const HEAD: &str = "\
| fault | times | texts taken | sends answered | lost | doubled | recovery |
| --- | --- | --- | --- | --- | --- | --- |
";

/// What was found of one fault.
#[derive(Default)]
pub(crate) struct Line {
    pub(crate) times: usize,
    pub(crate) texts: usize,
    pub(crate) sends: usize,
    pub(crate) lost: usize,
    pub(crate) doubled: usize,
    pub(crate) recovery: Duration,
}

impl Line {
    pub(crate) fn add(&mut self, other: &Self) {
        self.times += other.times;
        self.texts += other.texts;
        self.sends += other.sends;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.recovery = self.recovery.max(other.recovery);
    }

    /// Puts it into the table. Each test is a process of its own: a line is a file, and whoever
    /// comes last sees all of them.
    pub(crate) fn write(&self, fault: &str) {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("chaos");
        std::fs::create_dir_all(&folder).unwrap();
        let Self { times, texts, sends, lost, doubled, recovery } = self;
        let seconds = recovery.as_secs_f64();
        let line = format!(
            "| {fault} | {times} | {texts} | {sends} | {lost} | {doubled} | {seconds:.1} s |\n"
        );
        print!("{line}");
        std::fs::write(folder.join(format!("{fault}.line")), line).unwrap();
        let mut lines: Vec<_> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|name| name == "line"))
            .map(|path| std::fs::read_to_string(path).unwrap())
            .collect();
        lines.sort_unstable();
        let mut page = HEAD.to_owned();
        for line in lines {
            page.write_str(&line).unwrap();
        }
        let fresh = folder.join(format!("{}.new", std::process::id()));
        std::fs::write(&fresh, page).unwrap();
        std::fs::rename(fresh, folder.join("faults.md")).unwrap();
    }
}
