//! Random histories end as they do in memory.

use std::time::Duration;

use adapter_sqlite::{Limits, SqliteStore};
use domain::testing::{history, sending_history};
use proptest::prelude::{ProptestConfig, proptest};
use tempfile::TempDir;

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_history_ends_as_in_memory(history in history::histories(40)) {
        block_on(async {
            let (store, _folder) = patient_store().await;
            history::agrees_with_memory(&store, &history).await;
        });
    }

    #[test]
    fn every_history_of_sending_ends_as_in_memory(history in sending_history::histories(100)) {
        block_on(async {
            let (store, _folder) = patient_store().await;
            sending_history::agrees_with_memory(&store, &history).await;
        });
    }
}

fn block_on(life: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(life);
}

/// What a busy disk makes of a deadline is not the question here.
async fn patient_store() -> (SqliteStore, TempDir) {
    let limits = Limits { deadline: Duration::from_mins(1), ..Limits::default() };
    crate::store_with(limits).await
}
