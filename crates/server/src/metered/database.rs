//! How the store uses its connections.

use std::sync::Arc;

use adapter_postgres::PgStore;
use adapter_sqlite::SqliteStore;
use opentelemetry::KeyValue;
use opentelemetry::metrics::AsyncInstrument;

use super::meter;
use crate::database::Database;

/// Makes the instruments. They do not keep the store open.
pub(crate) fn measure(database: &Database) {
    match database {
        Database::Sqlite(store) => measure_groups(store),
        Database::Postgres { store, .. } => measure_connections(store),
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

fn measure_groups(store: &Arc<SqliteStore>) {
    let counter = |name, about, read: fn(&SqliteStore) -> u64| {
        let store = Arc::downgrade(store);
        let meter = meter();
        let counter = meter.u64_observable_counter(name).with_description(about);
        counter
            .with_callback(move |counter| {
                if let Some(store) = store.upgrade() {
                    counter.observe(read(&store), &[]);
                }
            })
            .build();
    };
    let commits = "Transactions that hold groups of calls";
    counter("sms_store_commits", commits, |store| store.groups().committed);
    counter("sms_store_grouped_calls", "Calls in them", |store| store.groups().calls);
    let store = Arc::downgrade(store);
    let meter = meter();
    let largest = meter.u64_observable_gauge("sms_store_largest_group");
    largest
        .with_description("The largest group since the start")
        .with_callback(move |gauge| {
            if let Some(store) = store.upgrade() {
                gauge.observe(store.groups().largest, &[]);
            }
        })
        .build();
}
