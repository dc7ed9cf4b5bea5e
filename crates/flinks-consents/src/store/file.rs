//! A store that keeps records in files.

mod access;
mod directory;
mod index;
#[cfg(not(unix))]
mod portable;
mod record_file;
mod record_name;
#[cfg(unix)]
mod unix;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::runtime::Handle as Runtime;

use self::access::{Creation, Sharing};
use self::directory::{Directory, OpenDirectory};
use self::index::{Entry, Index, Refreshed};
use self::record_file::RecordFile;
use self::record_name::RecordName;
use super::due::DueWindow;
use super::error::StoreError;
use super::id::{ConsentId, OwnerId};
use super::record::Record;
use super::scan::{ScanPage, ScanRecords};
use super::token_store::{Page, StoreFuture, TokenStore};

/// A store that keeps each record in a separate file in one directory. Any number of processes on
/// one machine can use it.
///
/// - Files are replaced atomically, so a file always contains either the old or the new record.
/// - Only the owner of a file can read it, unless the store is shared with a group.
/// - The name of each file is a hash that does not reveal the id of the consent.
/// - The records are not encrypted, so use an encrypted disk.
/// - Use a local disk: file locks are unreliable on some network file systems.
///
/// # Damaged files
///
/// If a file does not contain a valid record, the store renames the file so that its name contains
/// `.damaged`, and reports the error once. The store has no record of the affected consent until
/// you restore the file or the end user authorizes again. This crate never removes a damaged file,
/// which may contain a secret.
///
/// # A missing directory
///
/// If the directory is missing or has been replaced with a different directory, for example because
/// a volume is not mounted, each operation returns [`StoreError::Unavailable`]. Operations succeed
/// again as soon as the directory is available. The store recognizes its directory by an empty file
/// whose name ends in `.id`. Copy this file together with the records, and do not remove it.
///
/// A path that is a symbolic link is resolved only once, when the store is opened. Symbolic links
/// inside the directory are never followed.
#[derive(Clone, Debug)]
pub struct FileStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    directory: Directory,
    index: Index,
}

impl FileStore {
    /// Opens the store in a directory. Creates the directory if it is missing, and removes any
    /// unfinished files left behind by processes that were killed.
    ///
    /// Use a directory that contains no other files. If possible, let this function create it.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError::Misconfigured`] if the directory belongs to another user, if this
    /// process cannot write to it, or if other users can write to it or to one of its parent
    /// directories.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, StoreError> {
        Self::options().open(directory)
    }

    /// Returns options for opening a store, for example in a directory that is shared with a group.
    pub fn options() -> FileStoreOptions {
        FileStoreOptions { sharing: Sharing::Owner, creation: Creation::Allowed }
    }

    /// Runs `work` on a Tokio thread for blocking operations, because file operations block.
    fn blocking<'a, T: Send + 'static>(
        &self,
        work: impl FnOnce(&OpenDirectory<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> StoreFuture<'a, T> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let runtime = Runtime::try_current().map_err(|_| StoreError::misconfigured("requires a Tokio runtime"))?;
            let result = runtime.spawn_blocking(move || work(&inner.directory.enter()?)).await;
            result.unwrap_or(Err(StoreError::unavailable("panicked, or its runtime shut down")))
        })
    }
}

/// Options for opening a [`FileStore`].
///
/// A Kubernetes volume with an `fsGroup` belongs to root and is writable by its group, so the store
/// must be shared with that group:
///
/// ```no_run
/// use flinks_consents::FileStore;
///
/// let store = FileStore::options().shared_with_group().open("/var/lib/consents")?;
/// # Ok::<(), flinks_consents::store::StoreError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "options do nothing until `open` is called"]
pub struct FileStoreOptions {
    sharing: Sharing,
    creation: Creation,
}

impl FileStoreOptions {
    /// Makes the store accessible to the Unix group that owns its directory.
    ///
    /// With this option, the group is allowed to have write permission on the directory and its
    /// parent directories, and the files can belong to any user in the group. Files have mode 0660,
    /// and a new directory has mode 2770. Every process that uses the directory must set this
    /// option. It has no effect on Windows.
    pub fn shared_with_group(mut self) -> Self {
        self.sharing = Sharing::Group;
        self
    }

    /// Requires the directory to already contain a store.
    ///
    /// Without this option, a process that starts before a volume is mounted creates a new, empty
    /// store at the mount point.
    pub fn must_exist(mut self) -> Self {
        self.creation = Creation::Refused;
        self
    }

    /// Opens the store in a directory as [`FileStore::open`] does, but with these options.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`FileStore::open`]. Also returns [`StoreError::Misconfigured`]
    /// if this process cannot share files with the directory's group, and
    /// [`StoreError::Unavailable`] if the store [must exist](Self::must_exist) but does not.
    pub fn open(self, directory: impl Into<PathBuf>) -> Result<FileStore, StoreError> {
        let directory = Directory::new(&directory.into(), self.sharing, self.creation)?;
        Ok(FileStore(Arc::new(Inner { directory, index: Index::default() })))
    }
}

impl TokenStore for FileStore {
    fn load<'a>(&'a self, id: &'a ConsentId) -> StoreFuture<'a, Option<Record>> {
        let id = id.clone();
        self.blocking(move |directory| {
            let file = RecordFile::new(directory, &id);
            match file.read() {
                // Only a read under the lock proves that the file is damaged, because another
                // process may be replacing the file.
                Err(StoreError::Damaged(_)) => file.lock()?.read(),
                result => result,
            }
        })
    }

    fn compare_and_swap<'a>(&'a self, expected: Option<u64>, record: &'a Record) -> StoreFuture<'a, bool> {
        let record = record.clone();
        self.blocking(move |directory| {
            let file = RecordFile::new(directory, record.id()).lock()?;
            if file.read()?.map(|found| found.generation()) != expected {
                return Ok(false);
            }
            file.write(record.encode()?.expose_secret().as_bytes())?;
            Ok(true)
        })
    }

    fn remove<'a>(&'a self, id: &'a ConsentId, generation: u64) -> StoreFuture<'a, bool> {
        let id = id.clone();
        self.blocking(move |directory| {
            let file = RecordFile::new(directory, &id).lock()?;
            if file.read()?.map(|found| found.generation()) != Some(generation) {
                return Ok(false);
            }
            file.remove()?;
            Ok(true)
        })
    }

    /// Lists the directory and requests the version of each file, as [`due`](Self::due) does, and
    /// then reads the files that contain the records on the page.
    fn list<'a>(&'a self, owner: &'a OwnerId, page: &'a Page) -> StoreFuture<'a, Vec<Record>> {
        let (inner, owner, page) = (Arc::clone(&self.0), owner.clone(), page.clone());
        self.blocking(move |directory| {
            let entries = inner.refresh_index(directory)?;
            inner.read_page(directory, &entries, &owner, &page)
        })
    }

    /// Lists the directory, requests the version of each file, and reads the files that have
    /// changed since the last call to this function or to [`list`](Self::list). On systems other
    /// than Unix, each call reads every file.
    ///
    /// The first call reads every file. If that takes longer than the store timeout, the call
    /// continues in the background, and a later call reads only the files that have changed in the
    /// meantime. On two cores and a local disk, a call for 100 000 consents took 1 second when it
    /// read every file, and 0.3 seconds when no file had changed. The store uses about 200 bytes of
    /// memory for each consent, plus the length of its id.
    fn due(&self, window: DueWindow, limit: usize) -> StoreFuture<'_, Vec<ConsentId>> {
        let inner = Arc::clone(&self.0);
        self.blocking(move |directory| {
            let entries = inner.refresh_index(directory)?;
            Ok(window.select(entries.iter().map(|entry| (entry.due, &entry.id)), limit))
        })
    }
}

/// A cursor is the file name of the last record on the previous page.
impl ScanRecords for FileStore {
    /// Lists the directory and reads the files that contain the records on the page.
    fn scan<'a>(&'a self, cursor: Option<&'a str>, limit: usize) -> StoreFuture<'a, ScanPage> {
        let after = match cursor.map(|cursor| RecordName::parse(cursor.as_ref())) {
            Some(None) => return Box::pin(std::future::ready(Err(ScanPage::INVALID_CURSOR))),
            Some(after) => after,
            None => None,
        };
        self.blocking(move |directory| {
            let mut names = directory.records()?;
            names.retain(|name| after.is_none_or(|after| *name > after));
            names.sort_unstable();
            names.dedup();
            let is_last = names.len() <= limit;
            names.truncate(limit);
            let mut page = ScanPage::default();
            for name in &names {
                match read_named(directory, *name) {
                    Ok(record) => page.records.extend(record),
                    Err(StoreError::Damaged(_) | StoreError::Misconfigured(_)) => {
                        page.unreadable = page.unreadable.saturating_add(1);
                    }
                    Err(error) => return Err(error),
                }
            }
            // If the directory is being removed, the list may be incomplete.
            directory.check_marker()?;
            if !is_last {
                page.next = names.last().and_then(|name| name.to_file_name().into_string().ok());
            }
            Ok(page)
        })
    }

    fn count(&self) -> StoreFuture<'_, Option<u64>> {
        self.blocking(|directory| Ok(u64::try_from(directory.records()?.len()).ok()))
    }
}

/// Reads the record in a file. Returns `None` if the file no longer exists.
fn read_named(directory: &OpenDirectory<'_>, name: RecordName) -> Result<Option<Record>, StoreError> {
    let Some(text) = directory.read(&name.to_file_name())? else { return Ok(None) };
    let record = Record::decode_any(text.expose_secret().as_bytes())?;
    if RecordName::of(record.id()) != name {
        return Err(StoreError::damaged("returned another consent's record"));
    }
    Ok(Some(record))
}

impl Inner {
    /// Brings the index up to date. Skips unreadable files and logs how many there are.
    fn refresh_index(&self, directory: &OpenDirectory<'_>) -> Result<Arc<[Entry]>, StoreError> {
        let Refreshed { entries, files_read, unreadable } = self.index.refresh(directory, SystemTime::now())?;
        tracing::debug!(records = entries.len(), files_read, "listed the token store");
        log_unreadable(unreadable);
        Ok(entries)
    }

    /// Reads the records on a page. A file may have changed since it was indexed, so the page
    /// contains a record only if its file still names the owner.
    fn read_page(
        &self,
        directory: &OpenDirectory<'_>,
        entries: &[Entry],
        owner: &OwnerId,
        page: &Page,
    ) -> Result<Vec<Record>, StoreError> {
        let mut candidates: Vec<_> = entries.iter().filter(|entry| self.index.may_belong_to(entry, owner)).collect();
        candidates.retain(|entry| page.after.as_ref().is_none_or(|after| entry.id > *after));
        candidates.sort_unstable_by_key(|entry| &entry.id);
        let mut records = Vec::new();
        let mut unreadable = 0_usize;
        for entry in candidates {
            if records.len() >= page.limit {
                break;
            }
            match read_record(directory, entry) {
                Ok(record) => records.extend(record.filter(|record| record.owner() == Some(owner))),
                Err(_) => unreadable = unreadable.saturating_add(1),
            }
        }
        log_unreadable(unreadable);
        directory.check_marker()?;
        Ok(records)
    }
}

fn read_record(directory: &OpenDirectory<'_>, entry: &Entry) -> Result<Option<Record>, StoreError> {
    let Some(text) = directory.read(&entry.name.to_file_name())? else { return Ok(None) };
    Record::decode(&entry.id, text.expose_secret().as_bytes()).map(Some)
}

/// Logs that some files are unreadable. A later `load` renames each damaged file and reports it.
fn log_unreadable(unreadable: usize) {
    if unreadable > 0 {
        tracing::error!(
            unreadable,
            "cannot read some files in the token store; their consents are neither listed nor kept alive"
        );
    }
}
