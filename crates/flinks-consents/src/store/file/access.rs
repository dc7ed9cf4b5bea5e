//! Options for opening and sharing files, and the conversion of operating system errors.

use std::io;
use std::path::Path;

use crate::store::StoreError;

pub(super) const NOT_A_DIRECTORY: StoreError = StoreError::misconfigured("is not a directory");

/// The users who can access the files.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sharing {
    Owner,
    Group,
}

/// Whether to create a store if the directory does not contain one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Creation {
    Allowed,
    Refused,
}

/// The purpose for which a file is opened.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    Read,
    /// To lock the file. The file is created if it does not exist.
    Lock,
    /// To create the file. The file must not exist yet.
    Create,
}

/// Returns a function for `map_err` that converts an operating system error into a [`StoreError`].
pub(super) fn at_path(path: &Path) -> impl Fn(io::Error) -> StoreError {
    move |error| io_error(path, &error)
}

/// Converts an operating system error for a file or directory into a [`StoreError`].
pub(super) fn io_error(path: &Path, error: &io::Error) -> StoreError {
    let store_error = match error.kind() {
        io::ErrorKind::PermissionDenied => StoreError::misconfigured(
            "is not accessible: this process needs permission to read and write the files in it",
        ),
        io::ErrorKind::ReadOnlyFilesystem => StoreError::misconfigured("is on a read-only file system"),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::unavailable("has no disk space left"),
        io::ErrorKind::FileTooLarge => StoreError::unavailable("has reached a file size limit"),
        io::ErrorKind::NotADirectory => NOT_A_DIRECTORY,
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidFilename => {
            StoreError::misconfigured("has an invalid path")
        }
        _ => StoreError::unavailable("failed to read or write its files"),
    };
    store_error.at(path, Some(error))
}
