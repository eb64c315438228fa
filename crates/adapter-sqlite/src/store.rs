//! The store: opened once, then asked to write and to read.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use diesel::SqliteConnection;
use domain::error::BoxError;
use domain::ports::StoreError;
use tokio::task::spawn_blocking;

use crate::connection::{Pragmas, connect};
use crate::failure::{Failure, NoAnswer};
use crate::lock::{FileLock, LockError};
use crate::migrate::{self, MigrateError};
use crate::readers::Readers;
use crate::writer::{Groups, Writer};

/// A [`MessageStore`](domain::ports::MessageStore), [`OutboundStore`](domain::ports::OutboundStore),
/// [`ConversationStore`](domain::ports::ConversationStore) and [`JobQueue`](domain::ports::JobQueue)
/// in one SQLite file, for one process.
///
/// When it is dropped, the writes that were taken in are finished first, and then the file is
/// free for the next.
pub struct SqliteStore {
    // Dropped in this order: the lock goes last.
    readers: Readers,
    writer: Writer,
    file: String,
    deadline: Duration,
    lock: Arc<FileLock>,
}

/// How long a call may take and how many may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For one call, waiting included.
    pub deadline: Duration,
    /// How many writes, and how many reads, wait for their turn; more are refused at once.
    pub queue: usize,
    /// How many writes share a transaction at most.
    pub group: usize,
    /// How many reads run at once.
    pub readers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { deadline: Duration::from_millis(1500), queue: 4096, group: 256, readers: 4 }
    }
}

/// The store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another store has the file. One process is all that a file serves.
    #[error(
        "the database file {} is in use by another process; for several use PostgreSQL",
        .0.display()
    )]
    InUse(PathBuf),
    /// The place of the file is wrong, or not ours to write.
    #[error("the database file {} cannot be made", path.display())]
    Place {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is no database, or lies on a file system that cannot keep one.
    #[error("the database file {} cannot be used", path.display())]
    Unusable {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: BoxError,
    },
}

impl SqliteStore {
    /// Opens the file at `path`; makes it, and its folder, where they are not there. Its tables
    /// are made by [`migrate`](Self::migrate).
    ///
    /// # Errors
    /// [`OpenError`], in particular [`OpenError::InUse`] while another store has the file.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Self::open_with(path, Limits::default())
    }

    /// As [`open`](Self::open), with other limits.
    ///
    /// # Errors
    /// [`OpenError`], as above.
    pub fn open_with(path: &Path, limits: Limits) -> Result<Self, OpenError> {
        let place = |source| OpenError::Place { path: path.to_owned(), source };
        let unusable = |source| OpenError::Unusable { path: path.to_owned(), source };
        let (real, file) = real_path(path).map_err(place)?;
        let lock = FileLock::take(&real).map_err(|error| match error {
            LockError::Taken => OpenError::InUse(path.to_owned()),
            LockError::File(source) => place(source),
        })?;
        let conn = connect(&file).map_err(|error| unusable(error.into()))?;
        let writer = Writer::start(file.clone(), conn, limits.queue, limits.group);
        Ok(Self {
            readers: Readers::new(file.clone(), limits.readers, limits.queue),
            writer: writer.map_err(|error| unusable(error.into()))?,
            file,
            deadline: limits.deadline,
            lock: Arc::new(lock),
        })
    }

    /// Makes the tables, or what has been added to them since; gives the names of the migrations
    /// that ran. Has no deadline.
    ///
    /// # Errors
    /// [`MigrateError`], in particular [`MigrateError::Strangers`].
    pub async fn migrate(&self) -> Result<Vec<String>, MigrateError> {
        self.with_own_connection(migrate::run_pending).await
    }

    /// The names of the migrations that [`migrate`](Self::migrate) would run.
    ///
    /// # Errors
    /// [`MigrateError`], as there.
    pub async fn pending_migrations(&self) -> Result<Vec<String>, MigrateError> {
        self.with_own_connection(migrate::pending).await
    }

    /// Drops every table with all that is stored.
    ///
    /// # Errors
    /// [`MigrateError::Failed`].
    #[cfg(feature = "testing")]
    pub async fn revert_all(&self) -> Result<(), MigrateError> {
        self.with_own_connection(migrate::revert_all).await
    }

    /// The settings of the writer's connection and of a reader's, as SQLite reports them now.
    ///
    /// # Errors
    /// [`StoreError`] where a connection does not answer.
    pub async fn pragmas(&self) -> Result<[Pragmas; 2], StoreError> {
        let of = |conn: &mut SqliteConnection| Ok(Pragmas::of(conn)?);
        Ok([self.write(of).await?, self.read(of).await?])
    }

    /// What the writer has done since the store was opened.
    #[must_use]
    pub fn groups(&self) -> Groups {
        self.writer.groups()
    }

    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut SqliteConnection) -> Result<T, Failure> + Send + 'static,
    {
        self.in_time(self.writer.run(work)).await
    }

    pub(crate) async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut SqliteConnection) -> Result<T, Failure> + Send + 'static,
    {
        self.in_time(self.readers.run(work)).await
    }

    async fn in_time<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        tokio::time::timeout(self.deadline, call)
            .await
            .unwrap_or_else(|_| Err(NoAnswer::TooLate.into()))
    }

    /// Migrations open and close transactions of their own, so the writer cannot run them.
    async fn with_own_connection<T: Send + 'static>(
        &self,
        work: fn(&mut SqliteConnection) -> Result<T, MigrateError>,
    ) -> Result<T, MigrateError> {
        let (file, lock) = (self.file.clone(), Arc::clone(&self.lock));
        let done = spawn_blocking(move || {
            // It runs to its end even if nobody waits for it, and so long the file is not free.
            let _held = lock;
            work(&mut connect(&file)?)
        });
        done.await.unwrap_or_else(|end| Err(MigrateError::Failed(end.into())))
    }
}

/// The one path of the file, however it was spelled, so that two spellings meet at one lock. Also
/// as text, which is what diesel takes; being absolute, it is never read as a URI.
fn real_path(path: &Path) -> io::Result<(PathBuf, String)> {
    let real = match fs::canonicalize(path) {
        Ok(real) => real,
        Err(error) if error.kind() == io::ErrorKind::NotFound => real_folder(path)?,
        Err(error) => return Err(error),
    };
    let text = real.to_str().map(str::to_owned);
    let text = text.ok_or_else(|| io::Error::other("the path is not Unicode"))?;
    Ok((real, text))
}

/// The path of a file that is not there yet, in its folder, which is made.
fn real_folder(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name();
    let name = name.ok_or_else(|| io::Error::other("the path names no file"))?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder)?;
    Ok(fs::canonicalize(folder)?.join(name))
}
