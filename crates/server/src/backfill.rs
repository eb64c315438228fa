//! `sms-foundation backfill`: looks for what webhooks did not bring, from a time on.

use anyhow::{Context, bail};
use clap::Args;
use domain::backfill::{ByHand, Progress, Tally};
use domain::message::Direction;
use domain::text::Text;
use domain::timestamp::Timestamp;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime, Time};
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::database::Database;
use crate::parts;

/// What is wanted. Texts that are found are news: subscribers are told of them, an orchestrator may answer
/// them.
#[derive(Args)]
pub(crate) struct BackfillArguments {
    /// From when on: 2026-11-01, or 2026-11-01T08:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = time_of)]
    since: Timestamp,
    /// Only this number of ours; may be repeated. All of `TWILIO_PHONE_NUMBER` unless given.
    #[arg(long, value_name = "NUMBER")]
    number: Vec<String>,
    /// Keep also what other programs sent from our numbers, a day ago or longer.
    #[arg(long)]
    include_sent: bool,
    /// Only count what is missing.
    #[arg(long)]
    dry_run: bool,
}

/// Reads Twilio's lists and tells how far it is.
pub(crate) async fn run(settings: &Settings, wanted: BackfillArguments) -> anyhow::Result<()> {
    let hurry = CancellationToken::new();
    let twilio = parts::twilio(settings, &hurry)?;
    let Some(twilio) = twilio.filter(|_| !settings.sending.senders.is_empty()) else {
        bail!(
            "TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and TWILIO_PHONE_NUMBER are needed to read \
             Twilio's lists"
        );
    };
    let database = Database::open(&settings.database)
        .context("stop the service first where it uses the same file")?;
    database.prepare(settings, wanted.dry_run).await?;
    let backfill = parts::backfill(settings, &database.stores(), twilio);
    let backfill = backfill.context("there is no number whose lists could be read")?;
    let by_hand = ByHand {
        since: wanted.since,
        numbers: wanted.number.iter().map(Text::new).collect(),
        include_sent: wanted.include_sent,
        dry_run: wanted.dry_run,
    };
    let tally = backfill.by_hand(&by_hand, &mut |progress| say(&progress_line(progress))).await?;
    say(&end_line(tally, &by_hand));
    Ok(())
}

fn progress_line(progress: &Progress) -> String {
    let Progress { list, tally, back_to } = progress;
    let way = match list.direction {
        Direction::Inbound => "to",
        Direction::Outbound => "from",
    };
    let back_to = back_to.map_or_else(String::new, |at| format!(", back to {at}"));
    format!("{way} {}: {}{back_to}", list.number.as_str(), counts(*tally))
}

fn end_line(tally: Tally, wanted: &ByHand) -> String {
    let done = if wanted.dry_run { "dry run, nothing was written" } else { "done" };
    format!("{done}: {}", counts(tally))
}

fn counts(tally: Tally) -> String {
    let Tally { listed, missed, statuses, foreign } = tally;
    format!(
        "{listed} listed, {missed} missing texts, {statuses} newer statuses, {foreign} sent by others"
    )
}

fn time_of(text: &str) -> Result<Timestamp, &'static str> {
    let day = format_description!("[year]-[month]-[day]");
    let midnight = |date: Date| date.with_time(Time::MIDNIGHT).assume_utc();
    let at = Date::parse(text, day).map(midnight);
    let at = at.or_else(|_| OffsetDateTime::parse(text, &Rfc3339));
    at.map(Timestamp::from).map_err(|_| "must be a day or a time: 2026-11-01, 2026-11-01T08:00:00Z")
}

#[expect(clippy::print_stdout, reason = "a command that answers")]
fn say(line: &str) {
    println!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight() {
        for (text, at) in [
            ("2026-11-01", "2026-11-01T00:00:00.000000Z"),
            ("2026-11-01T08:00:00Z", "2026-11-01T08:00:00.000000Z"),
            ("2026-11-01T08:00:00-05:00", "2026-11-01T13:00:00.000000Z"),
        ] {
            assert_eq!(time_of(text).unwrap().to_string(), at);
        }
        assert!(time_of("yesterday").is_err());
    }
}
