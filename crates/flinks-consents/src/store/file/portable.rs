//! File access on systems other than Unix. Files are opened by path and have the system's default
//! permissions.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::access::{Purpose, Sharing};
use crate::store::StoreError;

/// The path of a directory.
pub(super) struct Handle(PathBuf);

impl Handle {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if !fs::symlink_metadata(path)?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self(path.to_owned()))
    }

    pub(super) fn open_file(&self, name: &OsStr, purpose: Purpose) -> io::Result<File> {
        let mut options = OpenOptions::new();
        match purpose {
            Purpose::Read => options.read(true),
            Purpose::Lock => options.write(true).create(true).truncate(false),
            Purpose::Create => options.write(true).create_new(true),
        };
        options.open(self.0.join(name))
    }

    /// Returns whether `name` is the name of a regular file. A symbolic link is not a regular file.
    pub(super) fn is_file(&self, name: &OsStr) -> io::Result<bool> {
        Ok(fs::symlink_metadata(self.0.join(name))?.is_file())
    }

    /// Returns `None`, because these systems have no file versions.
    #[allow(clippy::unnecessary_wraps, clippy::unused_self)] // the signature is the same on Unix
    pub(super) fn version(&self, _: &OsStr) -> io::Result<Option<FileVersion>> {
        Ok(None)
    }

    pub(super) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        fs::rename(self.0.join(from), self.0.join(to))
    }

    pub(super) fn remove(&self, name: &OsStr) -> io::Result<()> {
        fs::remove_file(self.0.join(name))
    }

    pub(super) fn names(&self) -> io::Result<Vec<OsString>> {
        fs::read_dir(&self.0)?.map(|entry| Ok(entry?.file_name())).collect()
    }

    /// Does nothing, because a directory cannot be opened as a file on these systems.
    #[allow(clippy::unnecessary_wraps)] // the signature is the same on Unix
    pub(super) fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

/// A placeholder for file versions, which do not exist on these systems: the standard library
/// provides neither a file's unique number nor the time of its last change, and any program can set
/// the time of its last modification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileVersion {}

impl FileVersion {
    #[allow(clippy::unnecessary_wraps)] // the signature is the same on Unix
    pub(super) fn of(_: &File) -> io::Result<Option<Self>> {
        Ok(None)
    }

    pub(super) fn is_settled(&self, _: SystemTime) -> bool {
        match *self {}
    }
}

pub(super) fn create_directory(path: &Path, _: Sharing) -> io::Result<()> {
    fs::create_dir_all(path)
}

/// Access checks that do nothing, because the system decides who can access the files.
#[derive(Debug)]
pub(super) struct Access;

#[allow(clippy::unnecessary_wraps, clippy::unused_self)] // the signatures are the same on Unix
impl Access {
    pub(super) fn new(_: Sharing, _: &Handle, _: &File) -> io::Result<Self> {
        Ok(Self)
    }

    pub(super) fn is_shared(&self) -> bool {
        false
    }

    pub(super) fn share(&self, _: &File) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn check_directory(&self, _: &Handle, _: &Path) -> Result<(), StoreError> {
        Ok(())
    }

    pub(super) fn check_parents(&self, _: &Path) -> Result<(), StoreError> {
        Ok(())
    }

    pub(super) fn check_file(&self, _: &File, _: &Path) -> Result<(), StoreError> {
        Ok(())
    }
}
