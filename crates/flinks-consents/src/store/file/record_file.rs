//! The file of one record, and its lock.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::access::at_path;
use super::directory::{OpenDirectory, RECORD, UNFINISHED};
use crate::store::{ConsentId, Record, StoreError};

/// The place of a consent's record.
pub(super) struct Place<'a> {
    directory: &'a OpenDirectory<'a>,
    id: &'a ConsentId,
    name: OsString,
}

/// A place that nobody else changes, in this process or another, until this value is dropped.
pub(super) struct LockedPlace<'a> {
    place: Place<'a>,
    /// Unlocked when it is closed: also when the process is killed.
    _lock: File,
}

impl<'a> Place<'a> {
    pub(super) fn new(directory: &'a OpenDirectory<'a>, id: &'a ConsentId) -> Self {
        let hash: String = Sha256::digest(id.as_str()).iter().map(|byte| format!("{byte:02x}")).collect();
        Self { directory, id, name: format!("{hash}.{RECORD}").into() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path(&self.name)
    }

    /// The name of another file of the same record.
    fn beside(&self, extension: &str) -> OsString {
        Path::new(&self.name).with_extension(extension).into_os_string()
    }

    pub(super) fn read(&self) -> Result<Option<Record>, StoreError> {
        let text = self.directory.read(&self.name)?;
        let decoded = text.map(|text| Record::decode(self.id, text.expose_secret().as_bytes())).transpose();
        decoded.map_err(|error| error.at(&self.path(), None))
    }

    pub(super) fn lock(self) -> Result<LockedPlace<'a>, StoreError> {
        // Not `lock`, which would keep this thread for as long as another process is stopped, and with it the runtime.
        // Shorter than the default timeout of a store, after which it would count as unavailable.
        const LONGEST: Duration = Duration::from_secs(3);
        const STEP: Duration = Duration::from_millis(1);
        let lock = self.directory.lock_file(&self.name)?;
        let mut waited = Duration::ZERO;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(LockedPlace { place: self, _lock: lock }),
                Err(TryLockError::WouldBlock) if waited < LONGEST => std::thread::sleep(STEP),
                Err(TryLockError::WouldBlock) => {
                    return Err(StoreError::busy("is locked by another process").at(&self.path(), None));
                }
                Err(TryLockError::Error(error)) => return Err(at_path(&self.path())(error)),
            }
            waited = waited.saturating_add(STEP);
        }
    }
}

impl LockedPlace<'_> {
    /// Reads the record. If the file is damaged, it is moved aside, and the error names its new path.
    pub(super) fn read(&self) -> Result<Option<Record>, StoreError> {
        let Place { directory, name, .. } = &self.place;
        let error = match self.place.read() {
            Err(error @ StoreError::Damaged(_)) => error,
            read => return read,
        };
        let aside = self.place.beside(&format!("damaged-{}", uuid::Uuid::new_v4()));
        directory.rename(name, &aside)?;
        directory.sync()?;
        let error = error.at(&directory.path(&aside), None);
        tracing::error!(%error, "a damaged file of the token store was moved aside");
        Err(error)
    }

    pub(super) fn write(&self, bytes: &[u8]) -> Result<(), StoreError> {
        let Place { directory, name, .. } = &self.place;
        let unfinished = self.place.beside(UNFINISHED);
        // Of a process that was killed: whoever has the lock is the only one who writes it.
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
        let Place { directory, name, .. } = &self.place;
        directory.remove(&self.place.beside(UNFINISHED))?;
        directory.remove(name)?;
        directory.sync()
    }
}

fn write_to_disk(mut file: File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()
}
