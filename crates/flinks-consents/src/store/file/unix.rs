//! Unix file access relative to an open directory, with permission checks.
//!
//! Files are opened relative to the open directory and never by path, so all steps of an operation
//! use the same directory. Symbolic links are not followed, and opening a FIFO does not block. The
//! type of a file is checked after the file is opened, so the file cannot be replaced between the
//! check and its use.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File, Metadata, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, fchown};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};

use super::access::{Purpose, Sharing, at_path};
use crate::store::StoreError;

/// An open directory.
pub(super) struct Handle(File);

impl Handle {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Self(File::from(rustix::fs::open(path, flags, Mode::empty())?)))
    }

    /// Opens a file. The caller must check that it is a regular file.
    pub(super) fn open_file(&self, name: &OsStr, purpose: Purpose) -> io::Result<File> {
        let access = match purpose {
            Purpose::Read => OFlags::RDONLY,
            Purpose::Lock => OFlags::RDWR | OFlags::CREATE,
            Purpose::Create => OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL,
        };
        let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        // A new file is never readable by other users, not even while it is empty.
        Ok(File::from(rustix::fs::openat(&self.0, name, flags, Mode::RUSR | Mode::WUSR)?))
    }

    /// Returns whether `name` is the name of a regular file. A symbolic link is not a regular file.
    pub(super) fn is_file(&self, name: &OsStr) -> io::Result<bool> {
        let status = rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(FileType::from_raw_mode(status.st_mode) == FileType::RegularFile)
    }

    /// Returns the version of a file without opening it.
    pub(super) fn version(&self, name: &OsStr) -> io::Result<Option<FileVersion>> {
        Ok(Some(FileVersion::new(&rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?)))
    }

    pub(super) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.0, from, &self.0, to)?)
    }

    pub(super) fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::empty())?)
    }

    pub(super) fn names(&self) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.0)? {
            names.push(OsStr::from_bytes(entry?.file_name().to_bytes()).to_owned());
        }
        Ok(names)
    }

    /// Flushes the directory's entries to disk so that a new file survives a power failure.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.0.sync_all()
    }
}

/// The version of a file. Every change to a file's content, owner or permissions changes the file's
/// version, and so does replacing the file with another one.
///
/// The system updates the time of the last change (`ctime`), which programs cannot set. The version
/// therefore also changes if a backup program restores the time of the last modification (`mtime`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileVersion {
    device: u64,
    inode: u64,
    size: u64,
    modified: Timestamp,
    changed: Timestamp,
}

/// Seconds and nanoseconds since the Unix epoch.
type Timestamp = (i64, u32);

impl FileVersion {
    pub(super) fn of(file: &File) -> io::Result<Option<Self>> {
        Ok(Some(Self::new(&rustix::fs::fstat(file)?)))
    }

    // The types of these fields differ between systems, and none has more than 64 bits.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::unnecessary_cast, trivial_numeric_casts)]
    fn new(status: &Stat) -> Self {
        Self {
            device: status.st_dev as u64,
            inode: status.st_ino as u64,
            size: status.st_size as u64,
            modified: (status.st_mtime as i64, status.st_mtime_nsec as u32),
            changed: (status.st_ctime as i64, status.st_ctime_nsec as u32),
        }
    }

    /// Returns whether a change at or after `now` would give the file a different version.
    ///
    /// File systems round times: FAT, for example, rounds them to multiples of two seconds. Two
    /// changes in quick succession can therefore result in the same time and, because inode numbers
    /// are reused, in the same version.
    pub(super) fn is_settled(&self, now: SystemTime) -> bool {
        const LONGEST_STEP: u64 = 2;
        let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        [self.modified, self.changed].iter().all(|(seconds, _)| {
            let seconds = u64::try_from(*seconds).unwrap_or(0);
            seconds.saturating_add(LONGEST_STEP) < now
        })
    }
}

/// Creates a directory and any missing parents.
pub(super) fn create_directory(path: &Path, sharing: Sharing) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    match sharing {
        Sharing::Owner => builder.mode(0o700).create(path),
        Sharing::Group => {
            builder.mode(0o770);
            if let Some(parent) = path.parent() {
                builder.create(parent)?;
            }
            match builder.recursive(false).create(path) {
                // Unlike `DirBuilder::mode`, this call ignores the umask. The set-group-ID bit
                // gives new files the directory's group.
                Ok(()) => fs::set_permissions(path, Permissions::from_mode(0o2770)),
                // Another process has created the directory in the meantime.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
                Err(error) => Err(error),
            }
        }
    }
}

/// The user and the group that can access a store's files.
#[derive(Debug)]
pub(super) struct Access {
    /// The owner of the files that this process creates.
    owner: u32,
    /// The group that the store is shared with, if any.
    group: Option<u32>,
}

impl Access {
    /// Determines the user from `probe` (a new file in the directory) and the group from the
    /// directory.
    ///
    /// # Errors
    ///
    /// Returns an error if the store is shared with a group and this process is not a member of the
    /// group.
    pub(super) fn new(sharing: Sharing, directory: &Handle, probe: &File) -> io::Result<Self> {
        let group = match sharing {
            Sharing::Owner => None,
            Sharing::Group => Some(directory.0.metadata()?.gid()),
        };
        let this = Self { owner: probe.metadata()?.uid(), group };
        this.share(probe)?;
        Ok(this)
    }

    pub(super) fn is_shared(&self) -> bool {
        self.group.is_some()
    }

    /// Gives the group access to a new file if the store is shared.
    pub(super) fn share(&self, file: &File) -> io::Result<()> {
        let Some(group) = self.group else { return Ok(()) };
        if file.metadata()?.gid() != group {
            fchown(file, None, Some(group))?;
        }
        file.set_permissions(Permissions::from_mode(0o660))
    }

    /// Checks the owner, the group and the permissions of the directory.
    pub(super) fn check_directory(&self, directory: &Handle, path: &Path) -> Result<(), StoreError> {
        let metadata = directory.0.metadata().map_err(at_path(path))?;
        let is_own = match self.group {
            Some(group) => metadata.gid() == group,
            None => metadata.uid() == self.owner,
        };
        if !is_own {
            let reason = "is in a directory that belongs to another user or group";
            return Err(StoreError::misconfigured(reason).at(path, None));
        }
        if self.is_writable_by_others(&metadata) {
            return Err(StoreError::misconfigured("is in a directory that other users can write to").at(path, None));
        }
        if self.is_shared() && metadata.mode() & STICKY != 0 {
            let reason =
                "is in a directory with the sticky bit, which prevents group members from replacing each other's files";
            return Err(StoreError::misconfigured(reason).at(path, None));
        }
        Ok(())
    }

    /// Checks that other users cannot replace the directory by renaming it or one of its parents.
    ///
    /// The owners of parent directories are trusted, except the owner of a directory inside a
    /// directory with the sticky bit, such as `/tmp`, where every user can create directories.
    pub(super) fn check_parents(&self, directory: &Path) -> Result<(), StoreError> {
        let mut child = directory;
        for parent in directory.ancestors().skip(1) {
            let metadata = fs::metadata(parent).map_err(at_path(parent))?;
            if self.allows_rename_by_others(&metadata) {
                if metadata.mode() & STICKY == 0 {
                    let reason = "is below a directory that other users can write to: remove that permission, \
                        move the store, or share it with the group";
                    return Err(StoreError::misconfigured(reason).at(parent, None));
                }
                // In a directory with the sticky bit, the owner of an entry can still rename it.
                let entry = fs::symlink_metadata(child).map_err(at_path(child))?;
                let is_trusted = [0, self.owner, metadata.uid()].contains(&entry.uid());
                if !is_trusted && self.group != Some(entry.gid()) {
                    let reason = "is below a directory that belongs to another user";
                    return Err(StoreError::misconfigured(reason).at(child, None));
                }
            }
            child = parent;
        }
        Ok(())
    }

    /// Returns whether other users could rename the directory's entries if the sticky bit were not
    /// set.
    fn allows_rename_by_others(&self, directory: &Metadata) -> bool {
        if directory.mode() & 0o002 != 0 {
            return true;
        }
        self.is_writable_by_others(directory) && !has_private_group(directory)
    }

    /// Returns whether users with whom the store is not shared can write to a directory.
    fn is_writable_by_others(&self, directory: &Metadata) -> bool {
        let others = if self.group == Some(directory.gid()) { 0o002 } else { 0o022 };
        directory.mode() & others != 0
    }

    /// Checks the owner of a file and corrects its permissions.
    ///
    /// A file may have several hard links. A hard link that serves as a backup stays intact,
    /// because a record's file is replaced and never overwritten.
    pub(super) fn check_file(&self, file: &File, path: &Path) -> Result<(), StoreError> {
        let metadata = file.metadata().map_err(at_path(path))?;
        let is_own = metadata.uid() == self.owner;
        let has_shared_group = self.group == Some(metadata.gid());
        if !is_own && !has_shared_group {
            return Err(StoreError::misconfigured("contains a file that belongs to another user").at(path, None));
        }
        let (mode, others) = if self.is_shared() { (0o660, 0o007) } else { (0o600, 0o077) };
        if metadata.mode() & others != 0 {
            file.set_permissions(Permissions::from_mode(mode)).map_err(at_path(path))?;
            tracing::warn!(file = %path.display(), "removed other users' access to a file in the token store");
        }
        if self.is_shared() && is_own && (!has_shared_group || metadata.mode() & 0o060 != 0o060) {
            self.share(file).map_err(at_path(path))?;
        }
        Ok(())
    }
}

/// The sticky bit. In a directory with the sticky bit, only the owner of a file or of the directory
/// can rename or remove the file.
const STICKY: u32 = 0o1000;

/// Returns whether the group of a directory is its owner's private group.
///
/// Most Linux distributions create a private group for each user and give that group write
/// permission by default. The private group has the same numeric id as the user and no other
/// members.
fn has_private_group(directory: &Metadata) -> bool {
    directory.gid() == directory.uid()
}
