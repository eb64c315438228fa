//! `sms-foundation import`: takes over what the Python original has stored. To run it again is safe,
//! and quick: what is stored is brought forward where the original has gone on, and else passed over
//! (docs/migrating.md).

mod address;
mod rows;

use std::collections::HashMap;

use adapter_postgres::{Original, OriginalRow, OriginalTable, PgSettings};
use anyhow::{Context, bail};
use clap::Args;
use domain::history::{HistoricConversation, HistoricMessage};
use domain::message::{EventId, Message, TwilioSid};
use domain::ports::{IdSource, Imported, MessageKey, NewStatusEvent, Sender};
use domain::text::Text;
use futures_util::{StreamExt, TryStreamExt, stream};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::config::Settings;
use crate::database::{Database, Stores};
use crate::ports::UuidV7;
use rows::{Reading, Unreadable};

/// So many rows are read at once.
const BATCH: u32 = 500;
/// So many are written at the same time.
const AT_ONCE: usize = 8;

/// From where, and how.
#[derive(Args)]
pub(crate) struct ImportArguments {
    /// The original's database, as it has it itself or without its driver:
    /// `postgres://user:password@host/database`.
    #[arg(long, value_name = "URL", env = "IMPORT_FROM", hide_env_values = true)]
    from: SecretString,
    /// The schema of its tables there; the one that the connection finds first unless given.
    #[arg(long, value_name = "SCHEMA")]
    schema: Option<String>,
    /// Only count what is not here yet.
    #[arg(long)]
    dry_run: bool,
}

/// What became of the rows of a table.
#[derive(Debug, Default)]
struct Counts {
    read: u64,
    new: u64,
    known: u64,
    completed: u64,
    taken: u64,
    unreadable: u64,
}

/// Takes everything over, and says how much that was.
pub(crate) async fn run(settings: &Settings, wanted: ImportArguments) -> anyhow::Result<()> {
    let mut from = PgSettings::new(address::of_postgres(wanted.from.expose_secret())?);
    from.schema.clone_from(&wanted.schema);
    let original = Original::connect(&from).await.context("--from, --schema")?;
    let database = Database::open(&settings.database)
        .context("stop the service first where it uses the same file")?;
    database.prepare(settings, wanted.dry_run).await?;
    let stores = database.stores();
    let reading = Reading {
        region: settings.region,
        our_number: our_number(settings),
        now: stores.clock.now(),
    };
    let mut import = Import { original, stores, reading, dry_run: wanted.dry_run };
    let conversations = import.conversations().await?;
    let messages = import.messages().await?;
    let events = import.events().await?;
    let unreadable = conversations.unreadable + messages.unreadable + events.unreadable;
    if unreadable > 0 {
        bail!("{unreadable} rows could not be read, and were left out; the rest is here");
    }
    if conversations.taken > 0 {
        bail!(
            "{} old conversation ids belong to conversations of an earlier import already: were two \
             databases imported into one?",
            conversations.taken
        );
    }
    say(if wanted.dry_run { "dry run: nothing was written" } else { "everything is here" });
    Ok(())
}

/// The original did not keep which number it sent from: it had only one.
fn our_number(settings: &Settings) -> Text {
    match settings.sending.senders.first() {
        Some(Sender::Number(number)) => number.clone(),
        _ => Text::default(),
    }
}

struct Import {
    original: Original,
    stores: Stores,
    reading: Reading,
    dry_run: bool,
}

impl Import {
    async fn conversations(&mut self) -> anyhow::Result<Counts> {
        let mut counts = Counts::default();
        let mut after = 0;
        while let Some(batch) = self.batch(OriginalTable::Conversations, &mut after).await? {
            let this = &*self;
            let old = counts.readable(&batch, "conversation", |row| {
                this.reading.conversation(row, UuidV7.next())
            });
            let imports = old.iter().map(|old| this.conversation(old));
            let done: Vec<Imported> =
                stream::iter(imports).buffer_unordered(AT_ONCE).try_collect().await?;
            for imported in done {
                counts.count(imported);
            }
            counts.tell("conversations", after);
        }
        Ok(counts)
    }

    async fn conversation(&self, old: &HistoricConversation) -> anyhow::Result<Imported> {
        if !self.dry_run {
            return Ok(self.stores.history.import_conversation(old).await?);
        }
        let known = self.stores.conversations.imported_conversation(old.old_id).await?;
        Ok(if known.is_some() { Imported::Known } else { Imported::New })
    }

    async fn messages(&mut self) -> anyhow::Result<Counts> {
        let mut counts = Counts::default();
        let mut after = 0;
        while let Some(batch) = self.batch(OriginalTable::Messages, &mut after).await? {
            let this = &*self;
            let old =
                counts.readable(&batch, "message", |row| this.reading.message(row, UuidV7.next()));
            let stored = &this.stored(&old).await?;
            let imports = old.iter().map(|old| async move {
                match old.message.twilio_sid.as_ref().and_then(|sid| stored.get(sid)) {
                    Some(stored) if old.brings_forward(stored, &[]).is_none() => {
                        Ok(Imported::Known)
                    }
                    Some(_) if this.dry_run => Ok(Imported::Completed),
                    _ => this.message(old).await,
                }
            });
            let done: Vec<Imported> =
                stream::iter(imports).buffer_unordered(AT_ONCE).try_collect().await?;
            for imported in done {
                counts.count(imported);
            }
            counts.tell_of_messages(after);
        }
        Ok(counts)
    }

    async fn message(&self, old: &HistoricMessage) -> anyhow::Result<Imported> {
        if !self.dry_run {
            return Ok(self.stores.history.import_message(old).await?);
        }
        let key = MessageKey::Id(old.message.id);
        Ok(match self.stores.messages.find_message(&key).await? {
            None => Imported::New,
            Some(stored) if old.brings_forward(&stored.message, &[]).is_some() => {
                Imported::Completed
            }
            Some(_) => Imported::Known,
        })
    }

    /// The messages whose SIDs are here already: where a second run finds nothing new about one, it
    /// passes over it without a transaction.
    async fn stored(&self, old: &[HistoricMessage]) -> anyhow::Result<HashMap<TwilioSid, Message>> {
        let sids = old.iter().filter_map(|old| old.message.twilio_sid.clone());
        let stored = self.stores.lists.messages_with(&sids.collect::<Vec<_>>()).await?;
        let by_sid = |message: Message| Some((message.twilio_sid.clone()?, message));
        Ok(stored.into_iter().filter_map(by_sid).collect())
    }

    /// What Twilio reported, once more: the same report is kept once.
    async fn events(&mut self) -> anyhow::Result<Counts> {
        let mut counts = Counts::default();
        if !self.original.has(OriginalTable::StatusEvents).await? {
            return Ok(counts);
        }
        let mut after = 0;
        while let Some(batch) = self.batch(OriginalTable::StatusEvents, &mut after).await? {
            let this = &*self;
            let old = counts.readable(&batch, "status event", rows::report);
            let reports = old.into_iter().flatten().filter(|_| !this.dry_run);
            let reports = reports.map(|(report, received_at)| async move {
                let id = EventId(UuidV7.next());
                let event = NewStatusEvent { id, report, received_at };
                this.stores.messages.record_status(&event).await
            });
            stream::iter(reports)
                .buffer_unordered(AT_ONCE)
                .try_for_each(|_| std::future::ready(Ok(())))
                .await?;
            say(&format!("status events: {} read (up to {after})", counts.read));
        }
        Ok(counts)
    }

    /// The next rows; `None` at the end.
    async fn batch(
        &mut self,
        table: OriginalTable,
        after: &mut i64,
    ) -> anyhow::Result<Option<Vec<OriginalRow>>> {
        let rows = self.original.rows(table, *after, BATCH).await?;
        let last = rows.last().map(|row| row.id);
        *after = last.unwrap_or(*after);
        Ok(last.map(|_| rows))
    }
}

impl Counts {
    fn readable<T>(
        &mut self,
        batch: &[OriginalRow],
        what: &str,
        read: impl Fn(&Value) -> Result<T, Unreadable>,
    ) -> Vec<T> {
        let mut readable = Vec::new();
        for row in batch {
            self.read += 1;
            match rows::parse(&row.json).and_then(|value| read(&value)) {
                Ok(old) => readable.push(old),
                Err(why) => {
                    self.unreadable += 1;
                    say(&format!("{what} {} is left out: {why}", row.id));
                }
            }
        }
        readable
    }

    fn count(&mut self, imported: Imported) {
        match imported {
            Imported::New => self.new += 1,
            Imported::Known => self.known += 1,
            Imported::Completed => self.completed += 1,
            Imported::Taken => self.taken += 1,
        }
    }

    fn tell(&self, what: &str, after: i64) {
        say(&self.told(what, after));
    }

    fn tell_of_messages(&self, after: i64) {
        say(&format!("{}, {} completed", self.told("messages", after), self.completed));
    }

    fn told(&self, what: &str, after: i64) -> String {
        let Self { read, new, known, .. } = self;
        format!("{what}: {read} read (up to {after}), {new} new, {known} here already")
    }
}

#[expect(clippy::print_stdout, reason = "a command that answers")]
fn say(line: &str) {
    println!("{line}");
}
