//! A record's file and its lock.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::access::at_path;
use super::directory::{OpenDirectory, UNFINISHED};
use super::record_name::RecordName;
use crate::store::{ConsentId, Record, StoreError};

/// The file for a consent's record. It might not exist yet.
pub(super) struct RecordFile<'a> {
    directory: &'a OpenDirectory<'a>,
    id: &'a ConsentId,
    name: OsString,
}

/// A locked record file. No other thread or process can change the file until this value is
/// dropped.
pub(super) struct LockedRecordFile<'a> {
    file: RecordFile<'a>,
    /// The lock is released when this file is closed, even if the process is killed.
    _lock: File,
}

impl<'a> RecordFile<'a> {
    pub(super) fn new(directory: &'a OpenDirectory<'a>, id: &'a ConsentId) -> Self {
        Self { directory, id, name: RecordName::of(id).to_file_name() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path(&self.name)
    }

    /// Returns the name of the record file with a different extension.
    fn with_extension(&self, extension: &str) -> OsString {
        Path::new(&self.name).with_extension(extension).into_os_string()
    }

    pub(super) fn read(&self) -> Result<Option<Record>, StoreError> {
        let text = self.directory.read(&self.name)?;
        let decoded = text.map(|text| Record::decode(self.id, text.expose_secret().as_bytes())).transpose();
        decoded.map_err(|error| error.at(&self.path(), None))
    }

    pub(super) fn lock(self) -> Result<LockedRecordFile<'a>, StoreError> {
        // `File::lock` would block this thread and the runtime's shutdown for as long as another
        // process holds the lock. The maximum wait is shorter than the default store timeout, so
        // that the error is `Busy` and not `Unavailable`.
        const MAX_WAIT: Duration = Duration::from_secs(3);
        const STEP: Duration = Duration::from_millis(1);
        let lock = self.directory.lock_file(&self.name)?;
        let mut waited = Duration::ZERO;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(LockedRecordFile { file: self, _lock: lock }),
                Err(TryLockError::WouldBlock) if waited < MAX_WAIT => std::thread::sleep(STEP),
                Err(TryLockError::WouldBlock) => {
                    return Err(StoreError::busy("is locked by another process").at(&self.path(), None));
                }
                Err(TryLockError::Error(error)) => return Err(at_path(&self.path())(error)),
            }
            waited = waited.saturating_add(STEP);
        }
    }
}

impl LockedRecordFile<'_> {
    /// Reads the record. If the file is damaged, renames it and returns an error that contains the
    /// new path.
    pub(super) fn read(&self) -> Result<Option<Record>, StoreError> {
        let RecordFile { directory, name, .. } = &self.file;
        let error = match self.file.read() {
            Err(error @ StoreError::Damaged(_)) => error,
            result => return result,
        };
        let new_name = self.file.with_extension(&format!("damaged-{}", uuid::Uuid::new_v4()));
        directory.rename(name, &new_name)?;
        directory.sync()?;
        let error = error.at(&directory.path(&new_name), None);
        tracing::error!(%error, "moved aside a damaged file in the token store");
        Err(error)
    }

    pub(super) fn write(&self, bytes: &[u8]) -> Result<(), StoreError> {
        let RecordFile { directory, name, .. } = &self.file;
        let unfinished = self.file.with_extension(UNFINISHED);
        // If the file exists, a killed process left it behind, because only the lock holder writes
        // this file.
        directory.remove(&unfinished)?;
        let file = directory.create(&unfinished)?;
        let written = write_to_disk(file, bytes).map_err(at_path(&directory.path(&unfinished)));
        let replaced = written.and_then(|()| directory.rename(&unfinished, name));
        if replaced.is_err() {
            directory.remove(&unfinished).ok();
        }
        replaced?;
        directory.sync()
    }

    pub(super) fn remove(&self) -> Result<(), StoreError> {
        let RecordFile { directory, name, .. } = &self.file;
        directory.remove(&self.file.with_extension(UNFINISHED))?;
        directory.remove(name)?;
        directory.sync()
    }
}

fn write_to_disk(mut file: File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()
}
