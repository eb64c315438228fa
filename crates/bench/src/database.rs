//! The server that both sides share, and the reference: `pgbench` with one statement and one commit
//! for each webhook.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use pg_cluster::{Cluster, Durability};
use tokio_postgres::NoTls;

use crate::load::Seen;

const SCHEMA: &str = include_str!("../reference/schema.sql");
const WEBHOOK: &str = include_str!("../reference/inbound.sql");

/// A private server with the durability that PostgreSQL comes with.
pub(crate) struct Database {
    cluster: Cluster,
    folder: tempfile::TempDir,
}

impl Database {
    pub(crate) fn start() -> Result<Self> {
        let cluster = Cluster::start(Durability::Default)?;
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("inbound.sql"), WEBHOOK)?;
        let database = Self { cluster, folder };
        for parameter in ["fsync", "synchronous_commit", "full_page_writes"] {
            let value = database.ask("postgres", &format!("show {parameter}"))?;
            ensure!(value == "on", "{parameter} is {value}: a benchmark without it proves nothing");
        }
        database.run("postgres", "create database reference")?;
        database.run("reference", SCHEMA)?;
        Ok(database)
    }

    /// A new database with that name; gives its address.
    pub(crate) fn create(&self, name: &str) -> Result<String> {
        self.run("postgres", &format!("create database {name}"))?;
        Ok(self.url(name))
    }

    pub(crate) fn url(&self, name: &str) -> String {
        let url = self.cluster.url();
        url.strip_suffix("/postgres")
            .map_or_else(|| url.clone(), |server| format!("{server}/{name}"))
    }

    pub(crate) fn version(&self) -> Result<String> {
        self.ask("postgres", "show server_version")
    }

    /// So that neither side pays for what the other has left to be written.
    pub(crate) fn settle(&self) -> Result<()> {
        self.run("postgres", "checkpoint")
    }

    /// Until no job waits: the lookups of new conversations are not what a text costs.
    pub(crate) fn wait_for_work(&self, name: &str) -> Result<()> {
        for _ in 0..600 {
            if self.ask(name, "select count(*) from jobs where state <> 'done'")? == "0" {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(100));
        }
        bail!("jobs of {name} are not done after a minute");
    }

    /// Runs statements.
    pub(crate) fn run(&self, name: &str, statements: &str) -> Result<()> {
        self.connected(name, async |client| Ok(client.batch_execute(statements).await?))
    }

    /// The first column of the first row, as text.
    pub(crate) fn ask(&self, name: &str, query: &str) -> Result<String> {
        self.connected(name, async |client| {
            let rows = client.simple_query(query).await?;
            let row = rows.iter().find_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
                _ => None,
            });
            Ok(row.context("no row")?.to_owned())
        })
    }

    fn connected<R>(
        &self,
        name: &str,
        work: impl AsyncFnOnce(&tokio_postgres::Client) -> Result<R>,
    ) -> Result<R> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&self.url(name), NoTls).await?;
            let driving = tokio::spawn(connection);
            let result = work(&client).await;
            drop(client);
            driving.await??;
            result
        })
    }

    /// The reference with so many clients.
    pub(crate) fn pgbench(&self, clients: usize, time: Duration) -> Result<Seen> {
        let prefix = self.folder.path().join(format!("waits-{clients}"));
        let done = Command::new("pgbench")
            .args(["-n", "-M", "prepared", "-j", "1", "-l", "-f"])
            .arg(self.folder.path().join("inbound.sql"))
            .arg(format!("--log-prefix={}", prefix.display()))
            .args(["-c", &clients.to_string(), "-T", &time.as_secs().max(1).to_string()])
            .arg(self.url("reference"))
            .output()
            .context("pgbench cannot be started: it comes with PostgreSQL")?;
        ensure!(done.status.success(), "pgbench: {}", String::from_utf8_lossy(&done.stderr));
        let waits = self.waits(&prefix)?;
        // Its own figure leaves out the time that it takes to connect.
        let said = String::from_utf8_lossy(&done.stdout);
        let rate = said.lines().find_map(|line| line.strip_prefix("tps = "));
        let rate: f64 = rate.and_then(|rate| rate.split(' ').next()).context("no tps")?.parse()?;
        let took = f64::from(u32::try_from(waits.len())?) / rate;
        Seen::of(Duration::from_secs_f64(took), waits)
    }

    /// The third field of each line of the log: microseconds.
    fn waits(&self, prefix: &std::path::Path) -> Result<Vec<u32>> {
        let name = prefix.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let mut waits = Vec::new();
        for entry in fs::read_dir(self.folder.path())? {
            let path: PathBuf = entry?.path();
            let is_ours = path.file_name().and_then(|file| file.to_str());
            if !is_ours.is_some_and(|file| file.starts_with(&format!("{name}."))) {
                continue;
            }
            for line in fs::read_to_string(&path)?.lines() {
                waits
                    .push(line.split(' ').nth(2).context("an odd line of pgbench's log")?.parse()?);
            }
            fs::remove_file(path)?;
        }
        Ok(waits)
    }

    /// Fills a migrated database: so many messages to us in so many conversations, over a year,
    /// with their statistics.
    pub(crate) fn seed(&self, name: &str, messages: u64, conversations: u64) -> Result<()> {
        self.run(
            name,
            &format!(
                "set synchronous_commit = off;
                insert into sms_conversations (id, phone_number_canonical, phone_number_original,
                    tenant_id, tenant_checked_at, language_detected, language_confidence,
                    language_evidence, told_language, our_number, last_message_at, created_at,
                    updated_at)
                select md5('c' || n)::uuid, '+1860' || (2000000 + n), '+1860' || (2000000 + n),
                    'T' || n, now(), 'en', 0.9, '{{\"en\":900,\"es\":0,\"pt\":0,\"votes\":9}}', 'en',
                    '+18605550100', now() - n * interval '1 second', now() - interval '1 year', now()
                from generate_series(0, {conversations} - 1) n;
                insert into sms_messages (id, conversation_id, direction, twilio_sid, from_number,
                    to_number, message_content, delivery_status, raw_webhook_data, source,
                    created_at, updated_at)
                select md5('m' || n)::uuid, md5('c' || n % {conversations})::uuid, 'inbound',
                    'SM' || md5(n::text), '+1860' || (2000000 + n % {conversations}),
                    '+18605550100', 'My sink is leaking, message ' || n, 'received',
                    '{{\"NumMedia\":\"0\",\"ApiVersion\":\"2010-04-01\"}}', 'webhook', at, at
                from (select n, now() - interval '1 year' + n * (interval '1 year' / {messages}) as at
                    from generate_series(0, {messages} - 1) n) numbered"
            ),
        )?;
        self.run(name, "vacuum analyze")
    }

    /// Messages from us that Twilio has taken; gives their SIDs.
    pub(crate) fn seed_sent(&self, name: &str, round: usize, count: usize) -> Result<Vec<String>> {
        self.run(
            name,
            &format!(
                "insert into sms_messages (id, conversation_id, direction, twilio_sid, from_number,
                    to_number, message_content, delivery_status, source, send_state,
                    send_expires_at, next_check_at, created_at, updated_at)
                select md5('s{round} ' || n)::uuid,
                    (select id from sms_conversations order by phone_number_canonical limit 1),
                    'outbound', 'SMs{round}' || lpad(n::text, 30, '0'), '+18605550100',
                    '+18602000000', 'We will come by at four', 'queued', 'api', 'accepted',
                    now() + interval '4 hours', now() + interval '12 hours', now(), now()
                from generate_series(1, {count}) n;
                analyze sms_messages"
            ),
        )?;
        Ok((1..=count).map(|number| format!("SMs{round}{number:030}")).collect())
    }
}
