//! Random histories end as they do in memory.

use domain::testing::history::{agrees_with_memory, histories};
use proptest::prelude::{ProptestConfig, proptest};

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_history_ends_as_in_memory(history in histories(40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (store, _folder) = crate::fresh_store().await;
            agrees_with_memory(&store, &history).await;
        });
    }
}
