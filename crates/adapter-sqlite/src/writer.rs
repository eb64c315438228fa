//! The one thread that writes: it gathers the calls that are waiting into one transaction.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use diesel::{Connection, SqliteConnection};
use domain::ports::StoreError;
use tokio::sync::oneshot;

use crate::connection::connect;
use crate::failure::{Failure, NoAnswer};

/// Runs operations in the order in which they come, each once, and answers after the commit.
///
/// When it is dropped, what was taken in is finished first.
pub(crate) struct Writer {
    queue: Option<SyncSender<Box<dyn Operation>>>,
    thread: Option<JoinHandle<()>>,
    counters: Arc<Counters>,
}

/// What the writer has done since the store was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Groups {
    /// How many transactions it committed.
    pub committed: u64,
    /// How many calls were in them.
    pub calls: u64,
    /// How many calls were in the largest.
    pub largest: u64,
}

impl Writer {
    /// Starts the thread. Up to `queue` calls wait; up to `group` share a transaction.
    pub(crate) fn start(
        file: String,
        conn: SqliteConnection,
        queue: usize,
        group: usize,
    ) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(queue);
        let counters = Arc::<Counters>::default();
        let worker = Worker {
            file,
            conn: Some(conn),
            queue: receiver,
            group,
            counters: Arc::clone(&counters),
        };
        let thread =
            thread::Builder::new().name("sqlite-writer".to_owned()).spawn(move || worker.work())?;
        Ok(Self { queue: Some(sender), thread: Some(thread), counters })
    }

    /// Runs `work` in a savepoint of the next transaction.
    pub(crate) async fn run<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut SqliteConnection) -> Result<T, Failure> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.hand_over(Box::new(Call { work: Some(work), outcome: None, reply }))?;
        answer.await.map_err(|_| NoAnswer::Gone)?
    }

    pub(crate) fn groups(&self) -> Groups {
        self.counters.read()
    }

    fn hand_over(&self, call: Box<dyn Operation>) -> Result<(), NoAnswer> {
        let queue = self.queue.as_ref().ok_or(NoAnswer::Gone)?;
        queue.try_send(call).map_err(|refused| match refused {
            TrySendError::Full(_) => NoAnswer::QueueFull,
            TrySendError::Disconnected(_) => NoAnswer::Gone,
        })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Without a sender the thread ends once the queue is empty.
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the writer of the store had panicked");
        }
    }
}

/// What the thread owns.
struct Worker {
    file: String,
    /// `None` after a failed transaction: whatever is wrong with it, a new connection has not.
    conn: Option<SqliteConnection>,
    queue: Receiver<Box<dyn Operation>>,
    group: usize,
    counters: Arc<Counters>,
}

impl Worker {
    fn work(mut self) {
        while let Ok(first) = self.queue.recv() {
            let group = self.gather(first);
            // A call's own panic is caught where it happens. diesel has others: it panics where a
            // broken connection cannot be closed.
            if catch_unwind(AssertUnwindSafe(|| self.serve(group))).is_err() {
                self.conn = None;
            }
        }
    }

    /// The first call and those that are waiting already: nobody waits for company.
    fn gather(&self, first: Box<dyn Operation>) -> Vec<Box<dyn Operation>> {
        let company = self.queue.try_iter().take(self.group.saturating_sub(1));
        std::iter::once(first).chain(company).collect()
    }

    fn serve(&mut self, mut group: Vec<Box<dyn Operation>>) {
        let committed = self.commit(&mut group).map_err(Arc::new);
        match &committed {
            Ok(()) => self.counters.count(group.len()),
            Err(_) => self.conn = None,
        }
        for call in group {
            call.answer(&committed);
        }
    }

    fn commit(&mut self, group: &mut [Box<dyn Operation>]) -> Result<(), Failure> {
        let conn = match &mut self.conn {
            Some(conn) => conn,
            none => none.insert(connect(&self.file)?),
        };
        conn.immediate_transaction(|conn| {
            let mut awaited = group.iter_mut().filter(|call| call.is_awaited());
            awaited.try_for_each(|call| call.run(conn))
        })
    }
}

/// A call, whatever it writes and answers.
trait Operation: Send {
    /// Whether anybody still waits for the answer.
    fn is_awaited(&self) -> bool;

    /// Runs it in a savepoint and keeps the outcome. A failure of its own is an outcome; one of
    /// the database is an error, and ends the transaction: after some of them SQLite has rolled
    /// it back by itself.
    fn run(&mut self, conn: &mut SqliteConnection) -> Result<(), Failure>;

    /// Gives the caller the outcome, or the reason why the transaction failed.
    fn answer(self: Box<Self>, committed: &Result<(), Arc<Failure>>);
}

struct Call<T, F> {
    work: Option<F>,
    outcome: Option<Result<T, Failure>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Operation for Call<T, F>
where
    T: Send,
    F: FnOnce(&mut SqliteConnection) -> Result<T, Failure> + Send,
{
    fn is_awaited(&self) -> bool {
        !self.reply.is_closed()
    }

    fn run(&mut self, conn: &mut SqliteConnection) -> Result<(), Failure> {
        let Some(work) = self.work.take() else {
            return Ok(());
        };
        // A panic is caught inside the savepoint, so that it is rolled back like any failure.
        let guarded = |conn: &mut SqliteConnection| {
            catch_unwind(AssertUnwindSafe(|| work(conn))).unwrap_or(Err(Failure::Panicked))
        };
        match conn.transaction(guarded) {
            Err(failure) if !failure.is_permanent() => Err(failure),
            outcome => {
                self.outcome = Some(outcome);
                Ok(())
            }
        }
    }

    fn answer(self: Box<Self>, committed: &Result<(), Arc<Failure>>) {
        let answer = match (committed, self.outcome) {
            (Ok(()), Some(outcome)) => outcome.map_err(StoreError::from),
            (Ok(()), None) => Err(NoAnswer::Gone.into()),
            (Err(cause), _) => Err(NoAnswer::NotCommitted(Arc::clone(cause)).into()),
        };
        // A caller whose deadline has passed meanwhile is not there to hear it.
        drop(self.reply.send(answer));
    }
}

#[derive(Default)]
struct Counters {
    committed: AtomicU64,
    calls: AtomicU64,
    largest: AtomicU64,
}

impl Counters {
    fn count(&self, calls: usize) {
        let calls = u64::try_from(calls).unwrap_or(u64::MAX);
        self.committed.fetch_add(1, Ordering::Relaxed);
        self.calls.fetch_add(calls, Ordering::Relaxed);
        self.largest.fetch_max(calls, Ordering::Relaxed);
    }

    fn read(&self) -> Groups {
        Groups {
            committed: self.committed.load(Ordering::Relaxed),
            calls: self.calls.load(Ordering::Relaxed),
            largest: self.largest.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use diesel::RunQueryDsl;
    use diesel::connection::SimpleConnection;
    use diesel::dsl::sql;
    use diesel::result::Error as DieselError;
    use diesel::sql_types::BigInt;
    use tempfile::TempDir;
    use tokio::join;

    use super::*;

    /// A writer of a file with an empty table `kept`.
    fn writer() -> (Writer, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("test.db").to_str().unwrap().to_owned();
        let mut conn = connect(&file).unwrap();
        conn.batch_execute("create table kept (it text)").unwrap();
        (Writer::start(file, conn, 16, 16).unwrap(), folder)
    }

    fn keep(conn: &mut SqliteConnection) -> Result<(), Failure> {
        Ok(conn.batch_execute("insert into kept values ('it')")?)
    }

    async fn kept(writer: &Writer) -> i64 {
        let count = |conn: &mut SqliteConnection| {
            Ok(sql::<BigInt>("select count(*) from kept").get_result(conn)?)
        };
        writer.run(count).await.unwrap()
    }

    #[tokio::test]
    async fn a_panic_fails_neither_the_neighbours_nor_the_writer() {
        let (writer, _folder) = writer();
        let (go, wait) = mpsc::channel::<()>();
        let first = writer.run(move |_| {
            wait.recv().unwrap();
            Ok(())
        });
        let panicking = writer.run::<(), _>(|conn| {
            keep(conn)?;
            panic!("on purpose")
        });
        let release = async { go.send(()).unwrap() };
        let (_, before, failed, after, ()) =
            join!(first, writer.run(keep), panicking, writer.run(keep), release);
        before.unwrap();
        after.unwrap();
        assert!(matches!(failed, Err(StoreError::Rejected(_))));
        assert_eq!(kept(&writer).await, 2);
    }

    #[tokio::test]
    async fn a_failure_of_the_database_fails_the_group_and_not_the_next() {
        let (writer, _folder) = writer();
        let (go, wait) = mpsc::channel::<()>();
        let first = writer.run(move |_| {
            wait.recv().unwrap();
            Ok(())
        });
        // What SQLite does by itself when the disk is full.
        let rolled_back = writer.run::<(), _>(|conn| {
            conn.batch_execute("rollback")?;
            Err(DieselError::BrokenTransactionManager.into())
        });
        let release = async { go.send(()).unwrap() };
        let (_, before, failed, after, ()) =
            join!(first, writer.run(keep), rolled_back, writer.run(keep), release);
        for answer in [before, failed, after] {
            assert!(matches!(answer, Err(StoreError::Unavailable(_))));
        }
        assert_eq!(kept(&writer).await, 0);
        writer.run(keep).await.unwrap();
        assert_eq!(kept(&writer).await, 1);
    }

    #[tokio::test]
    async fn a_full_disk_is_unavailable_until_there_is_room() {
        let (writer, _folder) = writer();
        // Holds for this connection only: the next one has room.
        let fill = |conn: &mut SqliteConnection| {
            let pages: i64 = sql::<BigInt>("pragma page_count").get_result(conn)?;
            Ok(conn.batch_execute(&format!("pragma max_page_count = {pages}"))?)
        };
        let keep_much = |conn: &mut SqliteConnection| {
            Ok(conn.batch_execute("insert into kept values (hex(zeroblob(100000)))")?)
        };
        writer.run(fill).await.unwrap();
        let failed = writer.run(keep_much).await;
        assert!(matches!(failed, Err(StoreError::Unavailable(_))));
        writer.run(keep_much).await.unwrap();
        assert_eq!(kept(&writer).await, 1);
    }
}
