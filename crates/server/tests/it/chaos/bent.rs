//! A clock that steps and a disk that is full, for one process: what it calls in the C library is
//! answered by `bent.c` first. The C compiler that SQLite needs makes it.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::service::Settings;

/// What a process sees of time and disk.
pub(crate) struct BentWorld {
    _folder: TempDir,
    library: PathBuf,
    state: PathBuf,
}

impl BentWorld {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let (library, state) = (folder.path().join("bent.so"), folder.path().join("world"));
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/chaos/bent.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source);
        assert!(compiler.status().unwrap().success());
        std::fs::write(&state, [0; 16]).unwrap();
        Self { _folder: folder, library, state }
    }

    /// A service that lives in it.
    pub(crate) fn around(&self, settings: Settings) -> Settings {
        settings
            .with("LD_PRELOAD", self.library.to_str().unwrap())
            .with("BENT_WORLD", self.state.to_str().unwrap())
    }

    /// Its clock is so many seconds ahead of ours.
    pub(crate) fn clock_ahead(&self, seconds: i64) {
        self.write(0, seconds);
    }

    /// Its disk takes nothing more.
    pub(crate) fn disk_full(&self, full: bool) {
        self.write(8, i64::from(full));
    }

    fn write(&self, at: u64, value: i64) {
        let file = OpenOptions::new().write(true).open(&self.state).unwrap();
        file.write_all_at(&value.to_ne_bytes(), at).unwrap();
    }
}
