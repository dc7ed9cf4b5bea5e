//! Consents in files.

mod access;
mod directory;
#[cfg(not(unix))]
mod portable;
mod record_file;
#[cfg(unix)]
mod unix;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::runtime::Handle as Runtime;

use self::access::{Creation, Sharing};
use self::directory::{Directory, OpenDirectory};
use self::record_file::Place;
use super::due::DueWindow;
use super::error::StoreError;
use super::id::{ConsentId, OwnerId};
use super::record::Record;
use super::token_store::{Page, StoreFuture, TokenStore};

/// Keeps each record in a file of its own, in one directory, for any number of processes on one machine.
///
/// A file is replaced as a whole, so it is the old one or the new one at any moment; it can be read by its owner only, and its
/// name is a hash that does not tell the consent. A file that holds no record is moved aside, to a name with `.damaged`, and
/// reported once: its consent is unknown then, until you put the file back or the end user consents again. It may hold a
/// secret, and nothing but you removes it.
///
/// If the directory is missing, or another one is in its place (a volume that is not mounted), each operation returns
/// [`StoreError::Unavailable`]. The store works again when the directory is back. An empty file whose name ends in `.id` tells
/// the directory from another one: copy it with the records, and do not remove it. A link to the directory is followed once,
/// when the store is opened. Links in the directory are never followed.
///
/// The directory should be on a local disk: not every network file system has locks that hold. The records are in clear text;
/// encrypt the disk.
#[derive(Clone, Debug)]
pub struct FileStore(Arc<Directory>);

impl FileStore {
    /// Opens the store in a directory, and creates the directory if it is missing. Files that a killed process left unfinished
    /// are removed.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError::Misconfigured`] if the directory belongs to another user, if others may write to it or to a directory
    /// above it, or if it cannot be written. Use a directory that holds nothing else, and let this function create it.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, StoreError> {
        Self::options().open(directory)
    }

    /// Returns the options of a store, for example for a directory that [`open`](Self::open) refuses.
    pub fn options() -> FileStoreOptions {
        FileStoreOptions { sharing: Sharing::Owner, creation: Creation::Allowed }
    }

    /// Files block, so this is done on a thread for that.
    fn blocking<'a, T: Send + 'static>(
        &self,
        work: impl FnOnce(&OpenDirectory<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> StoreFuture<'a, T> {
        let directory = Arc::clone(&self.0);
        Box::pin(async move {
            let runtime = Runtime::try_current().map_err(|_| StoreError::misconfigured("needs a tokio runtime"))?;
            let done = runtime.spawn_blocking(move || work(&directory.enter()?)).await;
            done.unwrap_or(Err(StoreError::unavailable("ended before it answered")))
        })
    }
}

/// The options of a [`FileStore`].
///
/// A volume of Kubernetes with an `fsGroup` belongs to root and can be written by its group:
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
    /// Shares the store with the group of its directory.
    ///
    /// The group may then write to the directory and to those above it. Files belong to the group and have mode 0660, a new
    /// directory has mode 2770, and a file may belong to any user of the group. Every process that uses the directory must set
    /// this option. It has no effect on Windows.
    pub fn shared_with_group(mut self) -> Self {
        self.sharing = Sharing::Group;
        self
    }

    /// Requires that the directory holds a store already.
    ///
    /// Without it, a process that starts before a volume is mounted creates an empty store at the mount point, in which every
    /// consent is unknown.
    pub fn must_exist(mut self) -> Self {
        self.creation = Creation::Refused;
        self
    }

    /// Opens a directory, as [`FileStore::open`] does.
    ///
    /// # Errors
    ///
    /// As [`FileStore::open`]. Also returns [`StoreError::Misconfigured`] if this process cannot share files with the group of the
    /// directory, and [`StoreError::Unavailable`] if a store [must exist](Self::must_exist) and does not.
    pub fn open(self, directory: impl Into<PathBuf>) -> Result<FileStore, StoreError> {
        let directory = Directory::new(&directory.into(), self.sharing, self.creation)?;
        Ok(FileStore(Arc::new(directory)))
    }
}

impl TokenStore for FileStore {
    fn load<'a>(&'a self, id: &'a ConsentId) -> StoreFuture<'a, Option<Record>> {
        let id = id.clone();
        self.blocking(move |directory| {
            let place = Place::new(directory, &id);
            match place.read() {
                // It may have been replaced since: only who has the lock may say that it is damaged.
                Err(StoreError::Damaged(_)) => place.lock()?.read(),
                read => read,
            }
        })
    }

    fn compare_and_swap<'a>(&'a self, expected: Option<u64>, record: &'a Record) -> StoreFuture<'a, bool> {
        let record = record.clone();
        self.blocking(move |directory| {
            let place = Place::new(directory, record.id()).lock()?;
            if place.read()?.map(|found| found.generation()) != expected {
                return Ok(false);
            }
            place.write(record.encode()?.expose_secret().as_bytes())?;
            Ok(true)
        })
    }

    fn remove<'a>(&'a self, id: &'a ConsentId, generation: u64) -> StoreFuture<'a, bool> {
        let id = id.clone();
        self.blocking(move |directory| {
            let place = Place::new(directory, &id).lock()?;
            if place.read()?.map(|found| found.generation()) != Some(generation) {
                return Ok(false);
            }
            place.remove()?;
            Ok(true)
        })
    }

    /// Reads each file, as [`due`](Self::due) does.
    fn list<'a>(&'a self, owner: &'a OwnerId, page: &'a Page) -> StoreFuture<'a, Vec<Record>> {
        let (owner, page) = (owner.clone(), page.clone());
        self.blocking(move |directory| Ok(page.select(&owner, read_all(directory)?.iter())))
    }

    /// Reads each file: that is for some ten thousand consents, within the timeout of a store.
    fn due(&self, window: DueWindow, limit: usize) -> StoreFuture<'_, Vec<ConsentId>> {
        self.blocking(move |directory| Ok(window.select(read_all(directory)?.iter(), limit)))
    }
}

/// Reads all records that can be read.
fn read_all(directory: &OpenDirectory<'_>) -> Result<Vec<Record>, StoreError> {
    let (mut records, mut unreadable) = (Vec::new(), 0_u32);
    for path in directory.records()? {
        let text = directory.read(&path);
        let decoded =
            text.and_then(|text| text.map(|text| Record::decode_any(text.expose_secret().as_bytes())).transpose());
        match decoded {
            Ok(record) => records.extend(record),
            Err(_) => unreadable = unreadable.saturating_add(1),
        }
    }
    // Loading such a record by its id moves the file aside and reports it.
    if unreadable > 0 {
        tracing::error!(
            unreadable,
            "some files of the token store cannot be read, so they are neither listed nor kept alive"
        );
    }
    // While a directory is removed, its records are, too.
    directory.check_marker()?;
    Ok(records)
}
