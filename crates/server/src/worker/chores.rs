//! What is done now and then, by every process: each chore takes its rows so that no two do the
//! same.

use std::time::Duration;

use domain::hook::HookState;
use opentelemetry::KeyValue;

use super::hooks::deliveries;
use super::{WorkTools, backfilling, cause_of};

/// How often Twilio is asked about messages that nobody reported the end of.
const CHECKS: Duration = Duration::from_mins(1);
/// How often what is no longer needed is deleted.
const SWEEPS: Duration = Duration::from_mins(10);

/// How often lookups are written for conversations that nobody knew long ago.
const RECONCILIATIONS: Duration = Duration::from_mins(10);

/// Never comes back.
pub(super) async fn do_for_ever(tools: &WorkTools) {
    tokio::join!(
        check_statuses(tools),
        sweep(tools),
        reconcile(tools),
        sweep_events(tools),
        backfilling::read_lists(tools),
    );
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
