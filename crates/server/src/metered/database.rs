//! How the store uses its connections.

use std::sync::Arc;

use adapter_postgres::{GroupCounts, PgStore};
use adapter_sqlite::SqliteStore;
use opentelemetry::KeyValue;
use opentelemetry::metrics::AsyncInstrument;

use super::meter;
use crate::database::Database;

/// Makes the instruments. They do not keep the store open.
pub(crate) fn measure(database: &Database) {
    match database {
        Database::Sqlite(store) => {
            let store = Arc::downgrade(store);
            measure_groups(move || {
                store.upgrade().map_or_else(Vec::new, |store| of_sqlite(&store))
            });
        }
        Database::Postgres { store, .. } => {
            measure_connections(store);
            let store = Arc::downgrade(store);
            measure_groups(move || {
                store.upgrade().map_or_else(Vec::new, |store| of_postgres(&store))
            });
        }
    }
}

fn measure_connections(store: &Arc<PgStore>) {
    let gauge = |name, about, observe: fn(&PgStore, &dyn AsyncInstrument<u64>)| {
        let store = Arc::downgrade(store);
        let meter = meter();
        let gauge = meter.u64_observable_gauge(name).with_description(about);
        gauge
            .with_callback(move |gauge| {
                if let Some(store) = store.upgrade() {
                    observe(&store, gauge);
                }
            })
            .build();
    };
    gauge("sms_database_connections", "Connections to PostgreSQL", |store, gauge| {
        let usage = store.connections();
        gauge.observe(usage.idle, &[KeyValue::new("state", "idle")]);
        gauge.observe(usage.in_use, &[KeyValue::new("state", "in_use")]);
    });
    gauge("sms_database_connections_max", "The most that there may be", |store, gauge| {
        gauge.observe(store.connections().most, &[]);
    });
    gauge("sms_database_waiting", "Calls that wait for a connection", |store, gauge| {
        gauge.observe(store.connections().waiting, &[]);
    });
}

/// What calls that shared transactions have come to since the start.
struct Groups {
    /// What they wrote.
    kind: &'static str,
    committed: u64,
    calls: u64,
    largest: u64,
    /// How many failed, so that their calls went on apart.
    parted: u64,
}

fn of_sqlite(store: &SqliteStore) -> Vec<Groups> {
    let adapter_sqlite::Groups { committed, calls, largest } = store.groups();
    // Nobody else writes there: no group waits for a lock.
    vec![Groups { kind: "all", committed, calls, largest, parted: 0 }]
}

fn of_postgres(store: &PgStore) -> Vec<Groups> {
    let counted = [("messages", store.message_groups()), ("reports", store.report_groups())];
    let groups =
        counted.into_iter().map(|(kind, GroupCounts { committed, calls, largest, parted })| {
            Groups { kind, committed, calls, largest, parted }
        });
    groups.collect()
}

fn measure_groups(read: impl Fn() -> Vec<Groups> + Clone + Send + Sync + 'static) {
    let observe = move |instrument: &dyn AsyncInstrument<u64>, value: fn(&Groups) -> u64| {
        for groups in read() {
            instrument.observe(value(&groups), &[KeyValue::new("kind", groups.kind)]);
        }
    };
    let counter = |name, about, value: fn(&Groups) -> u64| {
        let (observe, meter) = (observe.clone(), meter());
        let counter = meter.u64_observable_counter(name).with_description(about);
        counter.with_callback(move |counter| observe(counter, value)).build();
    };
    let commits = "Transactions that hold groups of calls";
    counter("sms_store_commits", commits, |groups| groups.committed);
    counter("sms_store_grouped_calls", "Calls in them", |groups| groups.calls);
    let parted = "Groups that failed, so that their calls went on apart";
    counter("sms_store_parted_groups", parted, |groups| groups.parted);
    let (observe, meter) = (observe.clone(), meter());
    let largest = meter.u64_observable_gauge("sms_store_largest_group");
    largest
        .with_description("The largest group since the start")
        .with_callback(move |gauge| observe(gauge, |groups| groups.largest))
        .build();
}
