//! The time, the same for every process on one database.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use diesel::prelude::QueryableByName;
use diesel::result::QueryResult;
use diesel::sql_types::Timestamptz;
use diesel_async::AsyncPgConnection;
use domain::ports::Clock;
use domain::timestamp::Timestamp;
use time::OffsetDateTime;

use crate::prepared::Prepared;

/// The database's clock, as this process knows it.
///
/// Leases, deadlines and what is due are compared by processes that did not write them: on a machine
/// whose clock is an hour ahead, everybody else's work would look abandoned, and what it leaves behind
/// would wait for an hour. So time is what the database says, asked on each connection that is made or
/// has rested, and where it was last asked some seconds ago, and counted on by a clock that no step of
/// the machine's reaches (and that stands still while the machine is suspended). Before the first
/// connection it is the machine's.
pub(crate) struct PgClock {
    counted_from: Instant,
    /// Microseconds from the start of 1970 to `counted_from`, in the database's time.
    started_at: AtomicI64,
    /// Milliseconds from `counted_from` to when the database last said it.
    heard_at: AtomicU64,
}

/// The machine's clock is worth a word where it is so wrong.
const WORTH_A_WORD: Duration = Duration::from_secs(1);

impl PgClock {
    #[expect(clippy::disallowed_methods, reason = "this is where time comes in")]
    pub(crate) fn new() -> Self {
        let now = Timestamp::from(OffsetDateTime::now_utc());
        Self::starting(now)
    }

    fn starting(at: Timestamp) -> Self {
        let (started_at, heard_at) = (AtomicI64::new(at.as_micros()), AtomicU64::new(0));
        Self { counted_from: Instant::now(), started_at, heard_at }
    }

    /// How long ago the database last said it.
    pub(crate) fn age(&self) -> Duration {
        let heard_at = Duration::from_millis(self.heard_at.load(Ordering::Relaxed));
        self.counted_from.elapsed().saturating_sub(heard_at)
    }

    /// Asks the database on that connection, and goes by what it says.
    pub(crate) async fn ask(&self, mut conn: &AsyncPgConnection) -> QueryResult<()> {
        // Only here: its `load` would be taken for that of the number.
        use diesel_async::RunQueryDsl;

        #[derive(QueryableByName)]
        struct Said {
            #[diesel(sql_type = Timestamptz)]
            now: OffsetDateTime,
        }
        let question = Prepared(diesel::sql_query("select clock_timestamp() as now"));
        let asked = self.counted_from.elapsed();
        let said: Said = question.get_result(&mut conn).await?;
        self.hear(Timestamp::from(said.now), asked, self.counted_from.elapsed());
        Ok(())
    }

    /// The database's clock showed `said` at some time between `asked` and `heard`. Moved as little as
    /// that demands, so that it does not tremble with the time that answers take.
    fn hear(&self, said: Timestamp, asked: Duration, heard: Duration) {
        let (earliest, latest) = (said.before(heard).as_micros(), said.before(asked).as_micros());
        let known = self.started_at.load(Ordering::Relaxed);
        let right = known.clamp(earliest.min(latest), latest);
        self.started_at.store(right, Ordering::Relaxed);
        let heard_at = u64::try_from(heard.as_millis()).unwrap_or(u64::MAX);
        self.heard_at.fetch_max(heard_at, Ordering::Relaxed);
        let moved = Duration::from_micros(known.abs_diff(right));
        if moved >= WORTH_A_WORD {
            let word = if right < known { "ahead of" } else { "behind" };
            tracing::warn!(
                seconds = moved.as_secs(),
                "this machine's clock is {word} the database's, which is the one that counts"
            );
        }
    }
}

impl Clock for PgClock {
    fn now(&self) -> Timestamp {
        let start = Timestamp::from_micros(self.started_at.load(Ordering::Relaxed));
        start.unwrap_or(Timestamp::EPOCH).after(self.counted_from.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000).unwrap()
    }

    /// A clock that began to count at `seconds`.
    fn clock(seconds: i64) -> PgClock {
        PgClock::starting(at(seconds))
    }

    fn start(clock: &PgClock) -> i64 {
        clock.started_at.load(Ordering::Relaxed) / 1_000_000
    }

    #[test]
    fn what_the_database_says_is_the_time_however_far_off_the_machine_is() {
        for ours in [1_000, 4_600, 8_200] {
            let clock = clock(ours);
            clock.hear(at(4_610), Duration::from_secs(10), Duration::from_secs(10));
            assert_eq!(start(&clock), 4_600, "from {ours}");
            assert!(clock.now() >= at(4_600));
        }
    }

    #[test]
    fn a_slow_answer_moves_it_no_further_than_it_must() {
        let (asked, heard) = (Duration::from_secs(10), Duration::from_secs(14));
        for (ours, right) in [(990, 996), (996, 996), (998, 998), (1_000, 1_000), (1_009, 1_000)] {
            let clock = clock(ours);
            clock.hear(at(1_010), asked, heard);
            assert_eq!(start(&clock), right, "from {ours}");
        }
    }

    #[test]
    fn it_counts_on_between_the_answers() {
        let clock = clock(1_000);
        let first = clock.now();
        std::thread::sleep(Duration::from_millis(2));
        assert!(clock.now() > first);
    }
}
