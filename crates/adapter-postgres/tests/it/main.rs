//! The store on a real PostgreSQL. Every test has a schema of its own, so that all run at once.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that panics has failed")]

mod agreement;
mod database;
mod deadlines;
mod groups;
mod hooks;
mod migrations;
mod outages;
mod pages;
mod queue;
mod sending;
mod sharing;
mod tenants;
mod tls;

/// Runs a test to its end, on two threads.
fn wait<Test: Future<Output = ()>>(test: Test) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().unwrap().block_on(test);
}
