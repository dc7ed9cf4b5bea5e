//! An index of the records in a directory, so that listing them does not require reading every
//! file.
//!
//! The index exists only in memory, and each process has its own. For each file, it contains the
//! file's version and the part of the record that [`FileStore`](super::FileStore) needs to select
//! records, but no token.
//!
//! Each call lists the directory, requests the version of each file, and reads only the files whose
//! version has changed. On a local file system, the result is therefore the same as if the call had
//! read every file, no matter which process or program changed a file. Every call reads the
//! following files:
//!
//! - a file that was changed less than about two seconds before it was last read, because the next
//!   change might not give the file a new version;
//! - a file without a readable record, so that it is reported every time;
//! - every file on systems without file versions.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::directory::{FileVersion, OpenDirectory};
use super::record_name::RecordName;
use crate::store::due::DueState;
use crate::store::{ConsentId, OwnerId, Record, StoreError};

/// An index of the records in a directory.
#[derive(Default)]
pub(super) struct Index {
    /// The entries from the last call, ordered by name. The lock is held only to copy or to replace
    /// the pointer. If two calls overlap, the entries from either call are correct.
    entries: Mutex<Arc<[Entry]>>,
    /// The keys of the hash function for owner ids.
    hashing: RandomState,
}

/// A record's entry in the index.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) name: RecordName,
    pub(super) id: ConsentId,
    pub(super) due: DueState,
    /// A hash of the owner's id. Different owners may have the same hash.
    owner: Option<u64>,
    /// The version of the file that was read, or `None` if the file must be read again.
    version: Option<FileVersion>,
}

/// The result of bringing the index up to date.
pub(super) struct Refreshed {
    pub(super) entries: Arc<[Entry]>,
    /// The number of files that were read.
    pub(super) files_read: usize,
    /// The number of files that could not be read or do not contain a record.
    pub(super) unreadable: usize,
}

impl Index {
    /// Returns an entry for each readable record. Reads only the files whose current version is not
    /// in the index. `now` is the current time according to the system clock.
    pub(super) fn refresh(&self, directory: &OpenDirectory<'_>, now: SystemTime) -> Result<Refreshed, StoreError> {
        let known = Arc::clone(&self.lock());
        let mut names = directory.records()?;
        names.sort_unstable();
        names.dedup();
        let mut entries = Vec::with_capacity(names.len());
        let mut files_read = 0_usize;
        let mut unreadable = 0_usize;
        for name in names {
            if let Some(entry) = find_current(&known, name, directory) {
                entries.push(entry.clone());
                continue;
            }
            files_read = files_read.saturating_add(1);
            match self.read_entry(directory, name, now) {
                Ok(entry) => entries.extend(entry),
                Err(_) => unreadable = unreadable.saturating_add(1),
            }
        }
        // If the directory is being removed, the list may be incomplete.
        directory.check_marker()?;
        let entries: Arc<[Entry]> = entries.into();
        *self.lock() = Arc::clone(&entries);
        Ok(Refreshed { entries, files_read, unreadable })
    }

    /// Returns whether a record may belong to an owner. If the result is `false`, the record
    /// certainly does not.
    pub(super) fn may_belong_to(&self, entry: &Entry, owner: &OwnerId) -> bool {
        entry.owner == Some(self.hashing.hash_one(owner))
    }

    fn read_entry(
        &self,
        directory: &OpenDirectory<'_>,
        name: RecordName,
        now: SystemTime,
    ) -> Result<Option<Entry>, StoreError> {
        let Some((version, text)) = directory.read_with_version(&name.to_file_name())? else { return Ok(None) };
        let record = Record::decode_any(text.expose_secret().as_bytes())?;
        Ok(Some(Entry {
            name,
            due: DueState::of(&record),
            owner: record.owner().map(|owner| self.hashing.hash_one(owner)),
            version: version.filter(|version| version.is_settled(now)),
            id: record.id,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Arc<[Entry]>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the entry for a file if the file still has the version that was read.
fn find_current<'a>(known: &'a [Entry], name: RecordName, directory: &OpenDirectory<'_>) -> Option<&'a Entry> {
    let position = known.binary_search_by_key(&name, |entry| entry.name).ok()?;
    let entry = known.get(position)?;
    let version = entry.version.as_ref()?;
    (directory.version(&name.to_file_name()).as_ref() == Some(version)).then_some(entry)
}

/// The output contains neither ids nor hashes.
impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index").field("entries", &self.lock().len()).finish_non_exhaustive()
    }
}

#[cfg(all(test, unix))]
mod tests;
