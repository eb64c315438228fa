//! The settings of the search for what webhooks did not bring.

use std::time::Duration;

use domain::backfill::BackfillRules;
use domain::phone::Region;

use super::Reader;

/// How often Twilio's lists are read, and which part of them.
pub(super) fn read(reader: &mut Reader, region: Region) -> BackfillRules {
    let rules = BackfillRules {
        interval: reader.span("BACKFILL_INTERVAL"),
        overlap: reader.span("BACKFILL_OVERLAP"),
        grace: reader.span("BACKFILL_GRACE"),
        region,
    };
    // Each list is at least one request to Twilio.
    if rules.interval < Duration::from_secs(1) {
        reader.problem("BACKFILL_INTERVAL", "must be at least 1s");
    }
    rules
}
