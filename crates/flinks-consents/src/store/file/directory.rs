//! A store's directory.
//!
//! ```text
//! store-<random>.id       the marker: an empty file whose name identifies this directory
//! <hash>.json             a record
//! <hash>.new              an unfinished record, which will replace the record by a rename
//! <hash>.damaged-<random> a damaged record, which was renamed
//! <two digits>.lock       the lock for all records whose hashes start with these two digits
//! ```
//!
//! Each operation opens the directory by its path, checks the marker, and does all its work in the
//! open directory. If a volume is not mounted, an operation therefore fails instead of treating the
//! empty mount point as a store. Operations succeed again as soon as the volume is mounted.
//!
//! Device and inode numbers cannot identify the directory: remounting changes the device number,
//! and many file systems reuse the inode number of a removed directory.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flinks::Secret;

use super::access::{Creation, NOT_A_DIRECTORY, Purpose, Sharing, at_path, io_error};
#[cfg(not(unix))]
pub(super) use super::portable::FileVersion;
#[cfg(not(unix))]
use super::portable::{Access, Handle, create_directory};
use super::record_name::{RECORD, RecordName};
#[cfg(unix)]
pub(super) use super::unix::FileVersion;
#[cfg(unix)]
use super::unix::{Access, Handle, create_directory};
use crate::store::StoreError;

/// The maximum number of bytes read from a file. A record is much smaller, because it contains only
/// two tokens, a few ids and some numbers.
const MAX_BYTES: u64 = 1024 * 1024;
/// The file extension of an unfinished record.
pub(super) const UNFINISHED: &str = "new";
/// The file extension of the marker.
const MARKER: &str = "id";
const NOT_A_FILE: StoreError = StoreError::misconfigured("contains an entry that is not a regular file");

/// The directory of a store. Each operation opens it.
#[derive(Debug)]
pub(super) struct Directory {
    /// The absolute path, with symbolic links resolved. It stays valid even if the working
    /// directory or the target of a link changes.
    path: PathBuf,
    /// The marker's file name.
    marker: OsString,
    access: Access,
}

impl Directory {
    /// Opens a store's directory. Creates the directory if it is missing and `creation` allows it.
    pub(super) fn new(given: &Path, sharing: Sharing, creation: Creation) -> Result<Self, StoreError> {
        let absolute = std::path::absolute(given).map_err(at_path(given))?;
        let is_new = !absolute.exists();
        if is_new {
            if let Creation::Refused = creation {
                return Err(StoreError::unavailable("does not exist").at(&absolute, None));
            }
            create_directory(&absolute, sharing).map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => NOT_A_DIRECTORY.at(&absolute, Some(&error)),
                _ => io_error(&absolute, &error),
            })?;
        }
        let path = fs::canonicalize(&absolute).map_err(at_path(&absolute))?;
        if is_new && let Some(parent) = path.parent() {
            Handle::open(parent).and_then(|parent| parent.sync()).map_err(at_path(parent))?;
        }
        let handle = open_directory(&path)?;
        let existing_marker = find_marker(&handle, &path)?;
        if let (None, Creation::Refused) = (&existing_marker, creation)
            && !holds_records(&handle, &path)?
        {
            return Err(StoreError::unavailable("was not found in its directory").at(&path, None));
        }
        let access = try_access(&handle, &path, sharing)?;
        access.check_directory(&handle, &path)?;
        access.check_parents(&absolute)?;
        access.check_parents(&path)?;
        let marker = match existing_marker {
            Some(marker) => marker,
            None => create_marker(&handle, &path, &access)?,
        };
        let this = Self { path, marker, access };
        this.enter()?.remove_unfinished()?;
        Ok(this)
    }

    /// Opens the directory for one operation and checks its permissions and its marker.
    pub(super) fn enter(&self) -> Result<OpenDirectory<'_>, StoreError> {
        let handle = open_directory(&self.path)?;
        self.access.check_directory(&handle, &self.path)?;
        let this = OpenDirectory { directory: self, handle };
        this.check_marker()?;
        Ok(this)
    }
}

fn open_directory(path: &Path) -> Result<Handle, StoreError> {
    Handle::open(path).map_err(|error| match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.is_dir() => NOT_A_DIRECTORY.at(path, Some(&error)),
        _ if error.kind() == io::ErrorKind::NotFound => {
            StoreError::unavailable("does not exist").at(path, Some(&error))
        }
        _ => io_error(path, &error),
    })
}

/// Returns the name of the marker, or `None` if the directory has no marker.
///
/// A directory has several markers if several processes opened a new store at the same time. Each
/// process keeps using the marker that it found or created, and no marker is removed.
fn find_marker(handle: &Handle, path: &Path) -> Result<Option<OsString>, StoreError> {
    let names = handle.names().map_err(at_path(path))?;
    Ok(names.into_iter().filter(|name| has_extension(name, MARKER)).min())
}

/// Returns whether the directory contains records, for example because a store was restored without
/// its marker.
fn holds_records(handle: &Handle, path: &Path) -> Result<bool, StoreError> {
    let names = handle.names().map_err(at_path(path))?;
    Ok(names.iter().any(|name| has_extension(name, RECORD)))
}

fn create_marker(handle: &Handle, path: &Path, access: &Access) -> Result<OsString, StoreError> {
    let marker = OsString::from(format!("store-{}.{MARKER}", uuid::Uuid::new_v4()));
    let created = handle.open_file(&marker, Purpose::Create).and_then(|file| access.share(&file));
    created.map_err(at_path(&path.join(&marker)))?;
    handle.sync().map_err(at_path(path))?;
    Ok(marker)
}

/// Creates a temporary file to determine which user owns new files and whether they can be shared
/// with the directory's group. Returns an error if this process cannot create files in the
/// directory or, for a shared store, cannot share them.
fn try_access(handle: &Handle, path: &Path, sharing: Sharing) -> Result<Access, StoreError> {
    let probe = OsString::from(format!("probe-{}.{UNFINISHED}", uuid::Uuid::new_v4()));
    let mut created = handle.open_file(&probe, Purpose::Create);
    for _ in 0..50 {
        match (&created, sharing) {
            // Another process has created the directory and is about to share it with the group.
            (Err(error), Sharing::Group) if error.kind() == io::ErrorKind::PermissionDenied => {
                std::thread::sleep(Duration::from_millis(1));
                created = handle.open_file(&probe, Purpose::Create);
            }
            _ => break,
        }
    }
    let created = created.map_err(at_path(&path.join(&probe)));
    let access = created.and_then(|file| {
        Access::new(sharing, handle, &file).map_err(|error| match sharing {
            Sharing::Owner => io_error(path, &error),
            Sharing::Group => {
                let reason = "cannot share files with the group that owns its directory: this process must be a member";
                StoreError::misconfigured(reason).at(path, Some(&error))
            }
        })
    });
    handle.remove(&probe).ok();
    access
}

fn has_extension(name: &OsStr, extension: &str) -> bool {
    Path::new(name).extension().is_some_and(|found| found == extension)
}

/// A store's directory, opened for one operation.
pub(super) struct OpenDirectory<'a> {
    directory: &'a Directory,
    handle: Handle,
}

impl OpenDirectory<'_> {
    /// Checks that the open directory still contains the marker of this store.
    pub(super) fn check_marker(&self) -> Result<(), StoreError> {
        let path = &self.directory.path;
        match self.handle.is_file(&self.directory.marker) {
            Ok(true) => Ok(()),
            Ok(false) => Err(NOT_A_FILE.at(&path.join(&self.directory.marker), None)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let reason = "has lost its marker file, or a different directory is at its path";
                Err(StoreError::unavailable(reason).at(path, None))
            }
            Err(error) => Err(io_error(path, &error)),
        }
    }

    /// Returns the names of all files whose extension is `extension`.
    fn files(&self, extension: &str) -> Result<Vec<OsString>, StoreError> {
        let mut names = self.handle.names().map_err(at_path(&self.directory.path))?;
        names.retain(|name| has_extension(name, extension));
        Ok(names)
    }

    /// Returns the names of all records. Ignores the files of other programs, even those with the
    /// same extension.
    pub(super) fn records(&self) -> Result<Vec<RecordName>, StoreError> {
        let names = self.handle.names().map_err(at_path(&self.directory.path))?;
        Ok(names.iter().filter_map(|name| RecordName::parse(name)).collect())
    }

    /// Returns the version of a file without opening it. Returns `None` if the file does not exist
    /// or if this system has no file versions.
    pub(super) fn version(&self, name: &OsStr) -> Option<FileVersion> {
        self.handle.version(name).ok().flatten()
    }

    pub(super) fn path(&self, name: &OsStr) -> PathBuf {
        self.directory.path.join(name)
    }

    /// Reads the text of a file. Returns `None` if the file does not exist.
    pub(super) fn read(&self, name: &OsStr) -> Result<Option<Secret>, StoreError> {
        self.open_to_read(name)?.map(|file| self.read_text(name, file)).transpose()
    }

    /// Reads the version and the text of a file. Returns `None` if the file does not exist.
    ///
    /// The version is not newer than the text: if another program writes to the file in the
    /// meantime, the file's version no longer equals the returned one.
    pub(super) fn read_with_version(&self, name: &OsStr) -> Result<Option<(Option<FileVersion>, Secret)>, StoreError> {
        let Some(file) = self.open_to_read(name)? else { return Ok(None) };
        let version = FileVersion::of(&file).map_err(at_path(&self.path(name)))?;
        Ok(Some((version, self.read_text(name, file)?)))
    }

    /// Opens a file. Returns `None` if the file does not exist.
    fn open_to_read(&self, name: &OsStr) -> Result<Option<File>, StoreError> {
        match self.handle.open_file(name, Purpose::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // If the directory is being removed, its records may already have been removed.
                self.check_marker()?;
                Ok(None)
            }
            file => self.check_opened(name, file).map(Some),
        }
    }

    fn read_text(&self, name: &OsStr, file: File) -> Result<Secret, StoreError> {
        // Without an initial capacity, reading a record of average size would take six system
        // calls.
        let size = file.metadata().map_or(0, |metadata| metadata.len().min(MAX_BYTES));
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default().saturating_add(1));
        file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(at_path(&self.path(name)))?;
        String::from_utf8(bytes)
            .map(Secret::new)
            .map_err(|_| StoreError::damaged("contains a file that is not UTF-8 text").at(&self.path(name), None))
    }

    /// Opens the lock file for a record. All records share 256 lock files: few enough to keep the
    /// directory small, but enough that threads rarely have to wait for each other.
    pub(super) fn lock_file(&self, name: &OsStr) -> Result<File, StoreError> {
        const STEP: Duration = Duration::from_millis(1);
        let digits = name.to_str().and_then(|name| name.get(..2));
        let digits = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit())).unwrap_or("00");
        let lock = OsString::from(format!("{digits}.lock"));
        for _ in 0..50 {
            match self.handle.open_file(&lock, Purpose::Lock) {
                // Another process has created the file and is about to share it with the group.
                Err(error) if self.may_become_shared(&error) => std::thread::sleep(STEP),
                file => return self.check_opened(&lock, file),
            }
        }
        self.check_opened(&lock, self.handle.open_file(&lock, Purpose::Lock))
    }

    fn may_become_shared(&self, error: &io::Error) -> bool {
        self.directory.access.is_shared() && error.kind() == io::ErrorKind::PermissionDenied
    }

    pub(super) fn create(&self, name: &OsStr) -> Result<File, StoreError> {
        let file = self.check_opened(name, self.handle.open_file(name, Purpose::Create))?;
        self.directory.access.share(&file).map_err(at_path(&self.path(name)))?;
        Ok(file)
    }

    pub(super) fn rename(&self, from: &OsStr, to: &OsStr) -> Result<(), StoreError> {
        self.handle.rename(from, to).map_err(|error| self.file_error(from, &error))
    }

    /// Removes a file if it exists.
    pub(super) fn remove(&self, name: &OsStr) -> Result<(), StoreError> {
        match self.handle.remove(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.file_error(name, &error)),
            _ => Ok(()),
        }
    }

    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.handle.sync().map_err(at_path(&self.directory.path))
    }

    /// Removes unfinished records, except those that another process is writing.
    fn remove_unfinished(&self) -> Result<(), StoreError> {
        for name in self.files(UNFINISHED)? {
            let lock = self.lock_file(&name)?;
            if lock.try_lock().is_ok() {
                self.handle.remove(&name).ok();
            }
        }
        Ok(())
    }

    /// Checks that an opened file is a regular file with an accepted owner, and returns the file.
    fn check_opened(&self, name: &OsStr, opened: io::Result<File>) -> Result<File, StoreError> {
        let file = opened.map_err(|error| self.file_error(name, &error))?;
        let path = self.path(name);
        if !file.metadata().map_err(at_path(&path))?.is_file() {
            return Err(NOT_A_FILE.at(&path, None));
        }
        self.directory.access.check_file(&file, &path)?;
        Ok(file)
    }

    /// Returns the error for a failed operation on a file. If the entry is a directory, a link or a
    /// socket, the error states that the entry is not a regular file, because the operating system
    /// returns many different errors for such entries.
    fn file_error(&self, name: &OsStr, error: &io::Error) -> StoreError {
        match self.handle.is_file(name) {
            Ok(false) => NOT_A_FILE.at(&self.path(name), Some(error)),
            _ => io_error(&self.path(name), error),
        }
    }
}
