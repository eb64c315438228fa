//! The search for what webhooks did not bring, at start and from then on.

use std::time::Duration;

use domain::backfill::{Backfill, Tally};
use domain::ports::StoreError;
use opentelemetry::metrics::Counter;

use super::chores::pause;
use super::{WorkTools, cause_of};

/// How often a process looks whether a list is due: another may have read it, or a burst of refused
/// webhooks made it due early.
const LOOKS: Duration = Duration::from_secs(5);

/// Never comes back, unless there is no account.
pub(super) async fn read_lists(tools: &WorkTools) {
    let Some(backfill) = &tools.backfill else {
        return;
    };
    let meters = Meters::new();
    told(backfill.begin().await);
    read(backfill, &meters).await;
    told(backfill.look_again().await);
    loop {
        pause(tools, LOOKS).await;
        read(backfill, &meters).await;
    }
}

/// Leaves the list that was being read to whoever starts next.
pub(super) async fn give_back(tools: &WorkTools) {
    if let Some(backfill) = &tools.backfill {
        told(backfill.give_back().await);
    }
}

async fn read(backfill: &Backfill, meters: &Meters) {
    let mut found = Tally::default();
    told(backfill.run_due(&mut found).await);
    meters.add(found);
}

fn told(done: Result<(), StoreError>) {
    if let Err(error) = done {
        tracing::warn!(error = cause_of(&error), "Twilio's lists are read later");
    }
}

struct Meters {
    missed: Counter<u64>,
    statuses: Counter<u64>,
}

impl Meters {
    fn new() -> Self {
        let meter = opentelemetry::global::meter("sms-foundation");
        let counter = |name: &'static str, about: &'static str| {
            let counter = meter.u64_counter(name).with_description(about).build();
            // An alarm that watches it must see it before anything was counted.
            counter.add(0, &[]);
            counter
        };
        Self {
            missed: counter("sms_backfilled", "Texts that no webhook brought: webhooks fail"),
            statuses: counter("sms_backfilled_statuses", "Statuses that no callback brought"),
        }
    }

    fn add(&self, tally: Tally) {
        self.missed.add(tally.missed, &[]);
        self.statuses.add(tally.statuses, &[]);
        if tally.missed > 0 {
            let Tally { listed, missed, .. } = tally;
            tracing::error!(
                missed,
                listed,
                "texts came that no webhook brought; `sms-foundation doctor` says what may be wrong"
            );
        }
    }
}
