//! What is done now and then, by every process: each chore takes its rows so that no two do the
//! same.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use domain::hook::HookState;
use futures_util::FutureExt;
use opentelemetry::KeyValue;

use super::hooks::deliveries;
use super::{WorkTools, backfilling, cause_of};

/// How often Twilio is asked about messages that nobody reported the end of.
const CHECKS: Duration = Duration::from_mins(1);
/// How often what is no longer needed is deleted.
const SWEEPS: Duration = Duration::from_mins(10);

/// Before a chore that panicked begins anew.
const AFTER_A_PANIC: Duration = Duration::from_mins(1);
/// How often lookups are written for conversations that nobody knew long ago.
const RECONCILIATIONS: Duration = Duration::from_mins(10);

/// Never comes back.
pub(super) async fn do_for_ever(tools: &WorkTools) {
    tokio::join!(
        through_panics(AFTER_A_PANIC, || check_statuses(tools)),
        through_panics(AFTER_A_PANIC, || sweep(tools)),
        through_panics(AFTER_A_PANIC, || reconcile(tools)),
        through_panics(AFTER_A_PANIC, || sweep_events(tools)),
        through_panics(AFTER_A_PANIC, || backfilling::read_lists(tools)),
    );
}

/// Begins a chore again after a panic: one odd row must not end the process, again and again.
async fn through_panics<Doing>(pause: Duration, chore: impl Fn() -> Doing)
where
    Doing: Future<Output = ()>,
{
    while AssertUnwindSafe(chore()).catch_unwind().await.is_err() {
        tracing::error!("a chore panicked: it begins anew");
        tokio::time::sleep(pause).await;
    }
}

async fn check_statuses(tools: &WorkTools) {
    let Some(outbox) = &tools.outbox else {
        return;
    };
    loop {
        pause(tools, CHECKS).await;
        match outbox.check_statuses(tools.store.as_ref()).await {
            Ok(0) => {}
            Ok(checked) => tracing::info!(checked, "asked Twilio about messages without an end"),
            Err(error) => tracing::warn!(error = cause_of(&error), "statuses not checked"),
        }
    }
}

async fn sweep(tools: &WorkTools) {
    loop {
        pause(tools, SWEEPS).await;
        match tools.backlog.sweep().await {
            Ok(swept) => tracing::debug!(?swept, "swept"),
            Err(error) => tracing::warn!(error = cause_of(&error), "nothing swept"),
        }
    }
}

async fn sweep_events(tools: &WorkTools) {
    let told = deliveries();
    loop {
        pause(tools, SWEEPS).await;
        match tools.hooks.park_overdue(tools.keep_events).await {
            Ok(0) => {}
            Ok(parked) => {
                told.add(parked, &[KeyValue::new("result", HookState::Parked.as_str())]);
                tracing::warn!(parked, "given up: what subscribers could not be told in time");
            }
            Err(error) => tracing::warn!(error = cause_of(&error), "nothing given up"),
        }
        if let Err(error) = tools.hooks.sweep(tools.keep_events, tools.keep_deliveries).await {
            tracing::warn!(error = cause_of(&error), "no events swept");
        }
    }
}

async fn reconcile(tools: &WorkTools) {
    if !tools.identify.has_directory() {
        return;
    }
    loop {
        pause(tools, RECONCILIATIONS).await;
        match tools.identify.reconcile().await {
            Ok(0) => {}
            Ok(written) => tracing::info!(written, "tenants are looked up again"),
            Err(error) => tracing::warn!(error = cause_of(&error), "tenants not reconciled"),
        }
    }
}

/// About that long, so that many processes do not work at once.
pub(super) async fn pause(tools: &WorkTools, about: Duration) {
    let micros = u64::try_from(about.as_micros()).unwrap_or(u64::MAX).max(1);
    let wait = about / 2 + Duration::from_micros(tools.chance.next() % micros);
    tokio::time::sleep(wait).await;
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_chore_that_panics_begins_anew() {
        let begun = AtomicU32::new(0);
        through_panics(Duration::ZERO, || async {
            assert!(begun.fetch_add(1, Ordering::Relaxed) > 1, "an odd row");
        })
        .await;
        assert_eq!(begun.into_inner(), 3);
    }
}
