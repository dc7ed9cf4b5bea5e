//! The options of a store on files.

use std::path::PathBuf;
use std::sync::Arc;

use super::FileStore;
use super::directory::{Creation, Directory, Sharing};
use crate::outbound::store::StoreError;

/// The options of a [`FileStore`].
///
/// A volume of Kubernetes with an `fsGroup` belongs to root and can be written by its group:
///
/// ```no_run
/// use flinks::outbound::FileStore;
///
/// let store = FileStore::options().shared_with_group().open("/var/lib/consents")?;
/// # Ok::<(), flinks::outbound::store::StoreError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct FileStoreOptions {
    sharing: Sharing,
    creation: Creation,
}

impl FileStoreOptions {
    pub(super) const fn new() -> Self {
        Self { sharing: Sharing::Owner, creation: Creation::Allowed }
    }

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
    /// As [`FileStore::open`]. Also returns [`StoreError::Refused`] if this process cannot share files with the group of the
    /// directory, and [`StoreError::Unavailable`] if a store [must exist](Self::must_exist) and does not.
    pub fn open(self, directory: impl Into<PathBuf>) -> Result<FileStore, StoreError> {
        let directory = Directory::new(&directory.into(), self.sharing, self.creation)?;
        Ok(FileStore(Arc::new(directory)))
    }
}
