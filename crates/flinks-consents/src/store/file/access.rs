//! How files are opened and shared, and the errors of the operating system.

use std::io;
use std::path::Path;

use crate::store::StoreError;

pub(super) const NOT_A_DIRECTORY: StoreError = StoreError::misconfigured("is in something that is not a directory");

/// The users who may use the files.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sharing {
    Owner,
    Group,
}

/// Whether a directory that holds no store yet becomes one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Creation {
    Allowed,
    Refused,
}

/// The purpose for which a file is opened.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    Read,
    /// It is created if it does not exist.
    Lock,
    /// It must not exist.
    Create,
}

/// Converts an error of the operating system, for `map_err`.
pub(super) fn at_path(path: &Path) -> impl Fn(io::Error) -> StoreError {
    move |error| problem(path, &error)
}

pub(super) fn problem(path: &Path, error: &io::Error) -> StoreError {
    let problem = match error.kind() {
        io::ErrorKind::PermissionDenied => StoreError::misconfigured("may not use its files"),
        io::ErrorKind::ReadOnlyFilesystem => StoreError::misconfigured("is on a file system that cannot be written"),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::unavailable("has no space left"),
        io::ErrorKind::FileTooLarge => StoreError::unavailable("may not write more"),
        io::ErrorKind::NotADirectory => NOT_A_DIRECTORY,
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidFilename => {
            StoreError::misconfigured("has an invalid path")
        }
        _ => StoreError::unavailable("could not read or write its files"),
    };
    problem.at(path, Some(error))
}
