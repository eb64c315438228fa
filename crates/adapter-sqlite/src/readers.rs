//! The connections that only read: a few, beside the writer, opened when they are first needed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use domain::ports::StoreError;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::connection::connect;
use crate::failure::{Failure, NoAnswer};

/// Runs reads on the runtime's blocking threads, a bounded number at once.
pub(crate) struct Readers {
    pool: Arc<Pool>,
    /// One for each read that is running or waiting.
    places: Arc<Semaphore>,
    /// One for each read that is running.
    turns: Arc<Semaphore>,
}

struct Pool {
    file: String,
    idle: Mutex<Vec<SqliteConnection>>,
}

impl Readers {
    /// Up to `readers` reads run at once and up to `queue` wait.
    pub(crate) fn new(file: String, readers: usize, queue: usize) -> Self {
        let idle = Mutex::default();
        Self {
            pool: Arc::new(Pool { file, idle }),
            places: Arc::new(Semaphore::new(readers.saturating_add(queue))),
            turns: Arc::new(Semaphore::new(readers)),
        }
    }

    /// Runs `work` in a transaction, so that all it reads is of one moment.
    pub(crate) async fn run<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut SqliteConnection) -> Result<T, Failure> + Send + 'static,
    {
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| NoAnswer::QueueFull)?;
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.map_err(|_| NoAnswer::Gone)?;
        let pool = Arc::clone(&self.pool);
        let read = spawn_blocking(move || {
            // A caller who gives up frees neither: the read is still running.
            let _held = (place, turn);
            pool.read(work)
        });
        match read.await {
            Ok(answer) => Ok(answer?),
            Err(end) if end.is_panic() => Err(Failure::Panicked.into()),
            Err(_) => Err(NoAnswer::Gone.into()),
        }
    }
}

impl Pool {
    /// A connection goes back only if nothing is wrong with it; a new one takes its place.
    fn read<T>(
        &self,
        work: impl FnOnce(&mut SqliteConnection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut conn = self.take()?;
        let answer = conn.transaction(work);
        if !matches!(&answer, Err(failure) if !failure.is_permanent()) {
            self.idle().push(conn);
        }
        answer
    }

    fn take(&self) -> Result<SqliteConnection, Failure> {
        let idle = self.idle().pop();
        if let Some(conn) = idle {
            return Ok(conn);
        }
        let mut conn = connect(&self.file)?;
        conn.batch_execute("pragma query_only = on")?;
        Ok(conn)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<SqliteConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use diesel::RunQueryDsl;
    use diesel::dsl::sql;
    use diesel::sql_types::Integer;

    use super::*;

    #[tokio::test]
    async fn a_panic_does_not_cost_a_reader() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("test.db").to_str().unwrap().to_owned();
        let readers = Readers::new(file, 1, 0);
        let one =
            |conn: &mut SqliteConnection| Ok(sql::<Integer>("select 1").get_result::<i32>(conn)?);
        for _ in 0..2 {
            let failed = readers.run::<(), _>(|_| panic!("on purpose")).await;
            assert!(matches!(failed, Err(StoreError::Rejected(_))));
            assert_eq!(readers.run(one).await.unwrap(), 1);
        }
    }

    #[tokio::test]
    async fn a_reader_cannot_write() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("test.db").to_str().unwrap().to_owned();
        let readers = Readers::new(file, 1, 0);
        let write =
            |conn: &mut SqliteConnection| Ok(conn.batch_execute("create table no (it text)")?);
        assert!(readers.run(write).await.is_err());
    }
}
