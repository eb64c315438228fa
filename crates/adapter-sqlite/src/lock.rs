//! The lock beside the file: one process, one store.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Nobody else opens the database file while this lives. The lock file itself stays: to remove it
/// would let two processes lock two files of the same name.
pub(crate) struct FileLock {
    _locked: File,
}

/// The lock could not be had.
#[derive(Debug)]
pub(crate) enum LockError {
    /// Somebody has it.
    Taken,
    /// The lock file cannot be made.
    File(io::Error),
}

impl FileLock {
    /// Locks the database file at `database`, which need not exist.
    pub(crate) fn take(database: &Path) -> Result<Self, LockError> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(beside(database))
            .map_err(LockError::File)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _locked: file }),
            Err(TryLockError::WouldBlock) => Err(LockError::Taken),
            Err(TryLockError::Error(error)) => Err(LockError::File(error)),
        }
    }
}

fn beside(database: &Path) -> PathBuf {
    let mut name = OsString::from(database);
    name.push(".lock");
    PathBuf::from(name)
}
