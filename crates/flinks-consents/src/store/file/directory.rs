//! The directory of a store: how it is opened, and how it is recognized later.
//!
//! ```text
//! store-<random>.id       empty: its name tells this directory from another one at the same path
//! <hash>.json             a record
//! <hash>.new              a record that is not finished yet; it replaces the record by a rename
//! <hash>.damaged-<random> a damaged record, moved aside
//! <two digits>.lock       the lock of all records whose hash begins with these digits
//! ```
//!
//! Each operation opens the directory by its path, checks that it is the directory that the store was opened with, and does all
//! its work in the open directory. So a volume that is not mounted is an error, not a store without records, and the store works
//! again when the volume is back.
//!
//! The marker has to be a file: a new mount changes the device number of a directory, and many file systems use the inode
//! number of a removed directory again.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flinks::Secret;

use super::access::{Creation, NOT_A_DIRECTORY, Purpose, Sharing, at_path, problem};
#[cfg(not(unix))]
use super::portable::{Access, Handle, create_directory};
#[cfg(unix)]
use super::unix::{Access, Handle, create_directory};
use crate::store::StoreError;

/// The most bytes that are read from a file. A record (a consent's id, two tokens and a few numbers) is shorter.
const MAX_BYTES: u64 = 1024 * 1024;
pub(super) const RECORD: &str = "json";
/// The extension of a record that is not finished yet.
pub(super) const UNFINISHED: &str = "new";
/// The extension of the file whose name identifies the directory.
const MARKER: &str = "id";
const NOT_A_FILE: StoreError = StoreError::misconfigured("holds something that is not a regular file");

/// The directory of a store, between two operations.
#[derive(Debug)]
pub(super) struct Directory {
    /// Absolute and without links, so neither a new working directory nor another target of a link changes it.
    path: PathBuf,
    marker: OsString,
    access: Access,
}

impl Directory {
    /// Opens the directory of a store.
    pub(super) fn new(given: &Path, sharing: Sharing, creation: Creation) -> Result<Self, StoreError> {
        let absolute = std::path::absolute(given).map_err(at_path(given))?;
        let is_new = !absolute.exists();
        if is_new {
            if let Creation::Refused = creation {
                return Err(StoreError::unavailable("cannot find its directory").at(&absolute, None));
            }
            create_directory(&absolute, sharing).map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => NOT_A_DIRECTORY.at(&absolute, Some(&error)),
                _ => problem(&absolute, &error),
            })?;
        }
        let path = fs::canonicalize(&absolute).map_err(at_path(&absolute))?;
        if is_new && let Some(parent) = path.parent() {
            Handle::open(parent).and_then(|parent| parent.sync()).map_err(at_path(parent))?;
        }
        let handle = open_directory(&path)?;
        let known = find_marker(&handle, &path)?;
        if let (None, Creation::Refused) = (&known, creation)
            && !holds_records(&handle, &path)?
        {
            return Err(StoreError::unavailable("finds a directory that holds no store").at(&path, None));
        }
        let access = try_access(&handle, &path, sharing)?;
        access.check_directory(&handle, &path)?;
        access.check_above(&absolute)?;
        access.check_above(&path)?;
        let marker = match known {
            Some(marker) => marker,
            None => create_marker(&handle, &path, &access)?,
        };
        let this = Self { path, marker, access };
        this.enter()?.sweep()?;
        Ok(this)
    }

    /// Opens the directory for one operation, if it is the same one.
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
            StoreError::unavailable("cannot find its directory").at(path, Some(&error))
        }
        _ => problem(path, &error),
    })
}

/// Returns the name of the marker.
///
/// There are several if several processes opened a new store at once. Each process keeps to its own choice, and none is removed.
fn find_marker(handle: &Handle, path: &Path) -> Result<Option<OsString>, StoreError> {
    let names = handle.names().map_err(at_path(path))?;
    Ok(names.into_iter().filter(|name| has_extension(name, MARKER)).min())
}

/// Whether there are records, such as those of a store that was restored without its marker.
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

/// Finds out which user and group the files belong to. Also shows that files can be created in the directory.
fn try_access(handle: &Handle, path: &Path, sharing: Sharing) -> Result<Access, StoreError> {
    let probe = OsString::from(format!("probe-{}.{UNFINISHED}", uuid::Uuid::new_v4()));
    let mut created = handle.open_file(&probe, Purpose::Create);
    for _ in 0..50 {
        match (&created, sharing) {
            // Another process of the group has created the directory, and is about to share it.
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
            Sharing::Owner => problem(path, &error),
            Sharing::Group => {
                StoreError::misconfigured("cannot share files with the group of its directory").at(path, Some(&error))
            }
        })
    });
    handle.remove(&probe).ok();
    access
}

fn has_extension(name: &OsStr, extension: &str) -> bool {
    Path::new(name).extension().is_some_and(|found| found == extension)
}

/// The directory, open for one operation.
pub(super) struct OpenDirectory<'a> {
    directory: &'a Directory,
    handle: Handle,
}

impl OpenDirectory<'_> {
    pub(super) fn check_marker(&self) -> Result<(), StoreError> {
        let path = &self.directory.path;
        match self.handle.is_file(&self.directory.marker) {
            Ok(true) => Ok(()),
            Ok(false) => Err(NOT_A_FILE.at(&path.join(&self.directory.marker), None)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(StoreError::unavailable("finds another directory in place of the one that was opened")
                    .at(path, None))
            }
            Err(error) => Err(problem(path, &error)),
        }
    }

    /// The names of all files with this extension.
    pub(super) fn files(&self, extension: &str) -> Result<Vec<OsString>, StoreError> {
        let mut names = self.handle.names().map_err(at_path(&self.directory.path))?;
        names.retain(|name| has_extension(name, extension));
        Ok(names)
    }

    /// The names of all records. Other files with the extension of a record, such as the application's own, are left alone.
    pub(super) fn records(&self) -> Result<Vec<OsString>, StoreError> {
        let is_hash = |stem: &str| stem.len() == 64 && stem.bytes().all(|byte| byte.is_ascii_hexdigit());
        let mut names = self.files(RECORD)?;
        names.retain(|name| Path::new(name).file_stem().and_then(OsStr::to_str).is_some_and(is_hash));
        Ok(names)
    }

    pub(super) fn path(&self, name: &OsStr) -> PathBuf {
        self.directory.path.join(name)
    }

    /// Reads the text of a file. Returns `None` if the file does not exist.
    pub(super) fn read(&self, name: &OsStr) -> Result<Option<Secret>, StoreError> {
        let file = match self.handle.open_file(name, Purpose::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // A directory that is being removed loses its records first.
                self.check_marker()?;
                return Ok(None);
            }
            file => self.accept(name, file)?,
        };
        let mut bytes = Vec::new();
        file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(at_path(&self.path(name)))?;
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(Secret::new(text))),
            Err(_) => Err(StoreError::damaged("holds a file that is not text").at(&self.path(name), None)),
        }
    }

    /// Opens the lock of a record. All records share 256 locks: few files, and few threads that wait for each other.
    pub(super) fn lock_file(&self, name: &OsStr) -> Result<File, StoreError> {
        const STEP: Duration = Duration::from_millis(1);
        let digits = name.to_str().and_then(|name| name.get(..2));
        let digits = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit())).unwrap_or("00");
        let lock = OsString::from(format!("{digits}.lock"));
        for _ in 0..50 {
            match self.handle.open_file(&lock, Purpose::Lock) {
                // Another process of the group has created it, and is about to share it.
                Err(error) if self.may_become_shared(&error) => std::thread::sleep(STEP),
                file => return self.accept(&lock, file),
            }
        }
        self.accept(&lock, self.handle.open_file(&lock, Purpose::Lock))
    }

    fn may_become_shared(&self, error: &io::Error) -> bool {
        self.directory.access.is_shared() && error.kind() == io::ErrorKind::PermissionDenied
    }

    pub(super) fn create(&self, name: &OsStr) -> Result<File, StoreError> {
        let file = self.accept(name, self.handle.open_file(name, Purpose::Create))?;
        self.directory.access.share(&file).map_err(at_path(&self.path(name)))?;
        Ok(file)
    }

    pub(super) fn rename(&self, from: &OsStr, to: &OsStr) -> Result<(), StoreError> {
        self.handle.rename(from, to).map_err(|error| self.problem_of(from, &error))
    }

    /// Removes a file. Nothing happens if there is none.
    pub(super) fn remove(&self, name: &OsStr) -> Result<(), StoreError> {
        match self.handle.remove(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.problem_of(name, &error)),
            _ => Ok(()),
        }
    }

    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.handle.sync().map_err(at_path(&self.directory.path))
    }

    /// Removes files that were left unfinished, except those that another process is about to finish.
    fn sweep(&self) -> Result<(), StoreError> {
        for name in self.files(UNFINISHED)? {
            let lock = self.lock_file(&name)?;
            if lock.try_lock().is_ok() {
                self.handle.remove(&name).ok();
            }
        }
        Ok(())
    }

    /// Returns a file that was opened if it is a regular file of the right owner.
    fn accept(&self, name: &OsStr, opened: io::Result<File>) -> Result<File, StoreError> {
        let file = opened.map_err(|error| self.problem_of(name, &error))?;
        let path = self.path(name);
        if !file.metadata().map_err(at_path(&path))?.is_file() {
            return Err(NOT_A_FILE.at(&path, None));
        }
        self.directory.access.check_file(&file, &path)?;
        Ok(file)
    }

    /// Returns the error for a failed operation on a file. Directories, links and sockets fail in many ways.
    fn problem_of(&self, name: &OsStr, error: &io::Error) -> StoreError {
        match self.handle.is_file(name) {
            Ok(false) => NOT_A_FILE.at(&self.path(name), Some(error)),
            _ => problem(&self.path(name), error),
        }
    }
}
