//! The table.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::load::Seen;

/// What is measured, with the number of clients or connections. In the order of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Line {
    Reference(usize),
    Inbound(usize),
    Status(usize),
    Page(usize),
    Sqlite(usize),
    FilledInbound(usize),
    FilledPage(usize),
}

/// One measurement.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    pub(crate) seen: Seen,
    /// What our process used of the processors; `None` for the reference.
    pub(crate) cpu: Option<Duration>,
    /// What it held of memory afterwards, in MiB.
    pub(crate) memory: Option<f64>,
}

impl From<Seen> for Measured {
    fn from(seen: Seen) -> Self {
        Self { seen, cpu: None, memory: None }
    }
}

impl Measured {
    /// Microseconds for each request.
    fn cpu_micros(&self) -> Option<f64> {
        self.cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / f64::from(self.seen.requests))
    }
}

/// All measurements.
pub(crate) struct Report {
    machine: String,
    binary: f64,
    starts: Vec<f64>,
    idle: Vec<f64>,
    lines: BTreeMap<Line, Vec<Measured>>,
}

impl Report {
    pub(crate) fn new(program: &Path, postgres: &str) -> Result<Self> {
        let size = fs::metadata(program).with_context(|| format!("{}", program.display()))?.len();
        let kib = u32::try_from(size / 1024)?;
        let cores = std::thread::available_parallelism()?;
        let model = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = model.lines().find_map(|line| line.strip_prefix("model name"));
        let model =
            model.map_or("unknown processor", |model| model.trim_start_matches(['\t', ' ', ':']));
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().unwrap_or("?").to_owned();
        let machine = format!(
            "{model}, {cores} processors shared by load, service and database; load average at the \
             beginning {load}; PostgreSQL {postgres}; {}; {}.",
            said("rustc", &["--version"]),
            said("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
        );
        Ok(Self {
            machine,
            binary: f64::from(kib) / 1024.0,
            starts: Vec::new(),
            idle: Vec::new(),
            lines: BTreeMap::new(),
        })
    }

    pub(crate) fn started(&mut self, took: Duration, memory: f64) {
        self.starts.push(took.as_secs_f64() * 1000.0);
        self.idle.push(memory);
    }

    pub(crate) fn add(&mut self, line: Line, measured: Measured) {
        self.lines.entry(line).or_default().push(measured);
    }

    /// The round with the median throughput.
    fn median(&self, line: Line) -> Option<&Measured> {
        let mut rounds: Vec<_> = self.lines.get(&line)?.iter().collect();
        rounds.sort_by(|one, other| one.seen.rate().total_cmp(&other.seen.rate()));
        rounds.get(rounds.len() / 2).copied()
    }

    fn rate(&self, line: Line) -> Option<f64> {
        Some(self.median(line)?.seen.rate())
    }

    /// The best throughput of the reference at any number of clients.
    fn limit(&self) -> Option<f64> {
        let reference = self.lines.keys().filter(|line| matches!(line, Line::Reference(_)));
        reference.filter_map(|line| self.rate(*line)).max_by(f64::total_cmp)
    }

    /// What is to be reached, and what is.
    fn goals(&self) -> Vec<(&'static str, &'static str, Option<f64>)> {
        let at = |line, hundredths| Some(self.median(line)?.seen.within(hundredths));
        let ratio = |one: Option<f64>, other: Option<f64>| Some(one? / other?);
        let inbound = Line::Inbound(64);
        let memory = self.lines.values().flatten().filter_map(|measured| measured.memory);
        vec![
            (
                "inbound at 64 connections / best of pgbench",
                "at least 1.2",
                ratio(self.rate(inbound), self.limit()),
            ),
            (
                "p50 at 1 connection / pgbench at 1 client",
                "at most 1.6",
                ratio(at(Line::Inbound(1), 50), at(Line::Reference(1), 50)),
            ),
            ("p99 / p50 at 64 connections", "at most 5", ratio(at(inbound, 99), at(inbound, 50))),
            (
                "processor time for each inbound webhook, µs",
                "at most 60",
                self.median(inbound).and_then(Measured::cpu_micros),
            ),
            ("memory idle, MiB", "at most 24", middle(&self.idle)),
            ("memory under load, MiB, the most seen", "at most 64", memory.max_by(f64::total_cmp)),
            ("start to the first 200 on /health/ready, ms", "at most 35", middle(&self.starts)),
            ("binary, MiB", "at most 25", Some(self.binary)),
            (
                "inbound, filled / empty",
                "at least 0.8",
                ratio(self.rate(Line::FilledInbound(64)), self.rate(inbound)),
            ),
            (
                "p50 of reading a page, filled / empty",
                "at most 1.3",
                ratio(at(Line::FilledPage(16), 50), at(Line::Page(16), 50)),
            ),
        ]
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.machine)?;
        writeln!(f, "| what | requests/s | p50 ms | p99 ms | our CPU µs/request | memory MiB |")?;
        writeln!(f, "|---|---|---|---|---|---|")?;
        for line in self.lines.keys() {
            let Some(measured) = self.median(*line) else {
                continue;
            };
            let seen = &measured.seen;
            let or_none =
                |value: Option<f64>| value.map(|value| format!("{value:.0}")).unwrap_or_default();
            writeln!(
                f,
                "| {line} | {:.0} | {:.2} | {:.2} | {} | {} |",
                seen.rate(),
                seen.within(50),
                seen.within(99),
                or_none(measured.cpu_micros()),
                or_none(measured.memory),
            )?;
        }
        writeln!(f, "\n| figure | to reach | measured |")?;
        writeln!(f, "|---|---|---|")?;
        for (what, goal, measured) in self.goals() {
            if let Some(measured) = measured {
                writeln!(f, "| {what} | {goal} | {measured:.2} |")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reference(clients) => write!(f, "pgbench, {clients} clients"),
            Self::Inbound(connections) => write!(f, "inbound webhook, {connections} connections"),
            Self::Status(connections) => write!(f, "status callback, {connections} connections"),
            Self::Page(connections) => write!(f, "reading a page, {connections} connections"),
            Self::Sqlite(connections) => {
                write!(f, "inbound webhook on SQLite, {connections} connections")
            }
            Self::FilledInbound(connections) => {
                write!(f, "inbound webhook, filled database, {connections} connections")
            }
            Self::FilledPage(connections) => {
                write!(f, "reading a page, filled database, {connections} connections")
            }
        }
    }
}

fn middle(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

const BEGIN: &str = "<!-- measured by `make bench` -->";
const END: &str = "<!-- end -->";

/// Puts the table between the marks of that file.
pub(crate) fn put_into(file: &Path, table: &str) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("{}", file.display()))?;
    let (before, rest) = text.split_once(BEGIN).context("the file has no mark to begin at")?;
    let (_, after) = rest.split_once(END).context("the file has no mark to end at")?;
    Ok(fs::write(file, format!("{before}{BEGIN}\n{table}{END}{after}"))?)
}
