//! `make bench`: what a webhook costs, beside the limit of the database.
//!
//! The reference is `pgbench` writing the least that a service must write, one commit for each
//! webhook. Both sides share one server, take turns, and are measured three times; the table has
//! the round with the median throughput. It is a table and no test: figures of other machines, and
//! of busy ones, differ.

mod database;
mod load;
mod monitor;
mod report;
mod requests;
mod service;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;

use database::Database;
use load::Seen;
use report::{Line, Measured, Report};
use requests::{Signer, TENANTS, pages};
use service::Service;

/// Measures the service beside the reference and prints one table.
#[derive(Parser)]
#[command(name = "bench")]
struct Arguments {
    /// The program to measure.
    #[arg(long, default_value = "target/release/sms-foundation")]
    program: PathBuf,
    /// Seconds for each measurement.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// How often everything is measured.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// One round of a second each: to see whether something has changed while developing.
    #[arg(long)]
    quick: bool,
    /// Measures so many connections of inbound webhooks and nothing else: for a profile.
    #[arg(long)]
    only: Option<usize>,
    /// Also measures a database that holds so many messages before.
    #[arg(long)]
    messages: Option<u64>,
    /// Puts the table between the marks of this file.
    #[arg(long)]
    into: Option<PathBuf>,
}

/// How many requests a second are signed beforehand. Faster ones end early.
const MOST_A_SECOND: u64 = 25_000;
/// How many conversations a filled database has.
const CONVERSATIONS: u64 = 50_000;

fn main() -> Result<()> {
    let mut arguments = Arguments::parse();
    if arguments.quick {
        (arguments.seconds, arguments.rounds) = (1, 1);
    }
    let bench = Bench::start(&arguments)?;
    let mut report = Report::new(&arguments.program, &bench.database.version()?)?;
    if let Some(connections) = arguments.only {
        bench.measure_only(connections, &mut report)?;
        print(&report.to_string());
        return Ok(());
    }
    bench.measure_start(&mut report)?;
    for round in 0..arguments.rounds {
        progress(&format!("round {} of {}", round + 1, arguments.rounds));
        bench.measure_round(round, &mut report)?;
    }
    let table = report.to_string();
    print(&table);
    match &arguments.into {
        Some(file) => report::put_into(file, &table),
        None => Ok(()),
    }
}

struct Bench<'a> {
    arguments: &'a Arguments,
    database: Database,
    signer: Signer,
    monitor: SocketAddr,
    folder: tempfile::TempDir,
}

impl<'a> Bench<'a> {
    fn start(arguments: &'a Arguments) -> Result<Self> {
        let bench = Self {
            arguments,
            database: Database::start()?,
            signer: Signer::new()?,
            monitor: monitor::start()?,
            folder: tempfile::tempdir()?,
        };
        bench.database.create("ours")?;
        bench.introduce_tenants()?;
        if let Some(messages) = arguments.messages {
            progress(&format!("writing {messages} messages"));
            bench.database.create("filled")?;
            drop(bench.service("filled")?);
            bench.database.seed("filled", messages, CONVERSATIONS)?;
        }
        Ok(bench)
    }

    /// Makes the tables, and a conversation for every tenant: one that asks for a page finds it.
    fn introduce_tenants(&self) -> Result<()> {
        let service = self.service("ours")?;
        load::run(service.address, self.signer.first_texts(), 64, Duration::from_mins(1))?;
        self.database.wait_for_work("ours")
    }

    fn service(&self, database: &str) -> Result<Service> {
        Service::start(&self.arguments.program, &self.database.url(database), self.monitor)
    }

    fn time(&self) -> Duration {
        Duration::from_secs(self.arguments.seconds)
    }

    fn most(&self) -> Result<usize> {
        Ok(usize::try_from(self.arguments.seconds * MOST_A_SECOND)?)
    }

    fn measure_start(&self, report: &mut Report) -> Result<()> {
        for _ in 0..7 {
            let service = self.service("ours")?;
            thread::sleep(Duration::from_millis(500));
            report.started(service.started_in, service.memory()?);
        }
        Ok(())
    }

    /// Inbound webhooks over so many connections, beside the reference.
    fn measure_only(&self, connections: usize, report: &mut Report) -> Result<()> {
        let ours = self.service("ours")?;
        self.inbound(&ours, 64)?;
        for _ in 0..self.arguments.rounds {
            self.database.settle()?;
            let seen = self.database.pgbench(connections.min(16), self.time())?;
            report.add(Line::Reference(connections.min(16)), seen.into());
            self.database.settle()?;
            report.add(Line::Inbound(connections), self.inbound(&ours, connections)?);
        }
        Ok(())
    }

    fn measure_round(&self, round: usize, report: &mut Report) -> Result<()> {
        let ours = self.service("ours")?;
        // The connections and the caches of a process that has just started are not what is asked.
        self.inbound(&ours, 64)?;
        for (clients, connections) in [
            (Some(1), Some(1)),
            (Some(8), None),
            (Some(16), Some(16)),
            (Some(32), None),
            (Some(64), Some(64)),
            (None, Some(256)),
        ] {
            if let Some(clients) = clients {
                self.database.settle()?;
                let seen = self.database.pgbench(clients, self.time())?;
                report.add(Line::Reference(clients), seen.into());
            }
            if let Some(connections) = connections {
                self.database.settle()?;
                report.add(Line::Inbound(connections), self.inbound(&ours, connections)?);
            }
        }
        self.measure_others(round, &ours, report)?;
        drop(ours);
        self.measure_sqlite(report)?;
        if self.arguments.messages.is_some() {
            self.measure_filled(report)?;
        }
        Ok(())
    }

    /// Status callbacks, and reading.
    fn measure_others(&self, round: usize, ours: &Service, report: &mut Report) -> Result<()> {
        let sids = self.database.seed_sent("ours", round, self.most()? / 2)?;
        self.database.settle()?;
        let requests = self.signer.reports(&sids);
        report.add(Line::Status(64), self.measured(ours, requests, 64)?);
        let requests = pages(self.most()?, TENANTS);
        report.add(Line::Page(16), self.measured(ours, requests, 16)?);
        Ok(())
    }

    fn measure_sqlite(&self, report: &mut Report) -> Result<()> {
        let file = self.folder.path().join("sms.db");
        let url = format!("sqlite://{}", file.display());
        let service = Service::start(&self.arguments.program, &url, self.monitor)?;
        report.add(Line::Sqlite(64), self.inbound(&service, 64)?);
        Ok(())
    }

    fn measure_filled(&self, report: &mut Report) -> Result<()> {
        let service = self.service("filled")?;
        self.inbound(&service, 64)?;
        self.database.settle()?;
        report.add(Line::FilledInbound(64), self.inbound(&service, 64)?);
        let requests = pages(self.most()?, CONVERSATIONS);
        report.add(Line::FilledPage(16), self.measured(&service, requests, 16)?);
        Ok(())
    }

    fn inbound(&self, service: &Service, connections: usize) -> Result<Measured> {
        let few = if connections == 1 { 10 } else { 1 };
        let requests = self.signer.texts(self.most()? / few);
        self.measured(service, requests, connections)
    }

    fn measured(
        &self,
        service: &Service,
        requests: Vec<Vec<u8>>,
        connections: usize,
    ) -> Result<Measured> {
        let before = service.cpu()?;
        let seen: Seen = load::run(service.address, requests, connections, self.time())
            .with_context(|| format!("{connections} connections"))?;
        let cpu = service.cpu()?.saturating_sub(before);
        Ok(Measured { cpu: Some(cpu), memory: Some(service.memory()?), seen })
    }
}

#[expect(clippy::print_stdout, reason = "its output is its purpose")]
fn print(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "this is how a tool says how far it is")]
fn progress(text: &str) {
    eprintln!("bench: {text}");
}
