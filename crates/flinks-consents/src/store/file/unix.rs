//! Files on Unix: an open directory, and the permissions of its files.
//!
//! Names are looked up in the open directory and never by a path, so that one operation works in one directory. No link is
//! followed, and opening a FIFO does not block. The kind of a file is checked after it was opened, so nobody can replace it in
//! between.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File, Metadata, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, fchown};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};

use super::access::{Purpose, Sharing, at_path};
use crate::store::StoreError;

/// An open directory.
pub(super) struct Handle(File);

impl Handle {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Self(File::from(rustix::fs::open(path, flags, Mode::empty())?)))
    }

    /// Opens a file. The caller checks that it is a regular file.
    pub(super) fn open_file(&self, name: &OsStr, purpose: Purpose) -> io::Result<File> {
        let access = match purpose {
            Purpose::Read => OFlags::RDONLY,
            Purpose::Lock => OFlags::RDWR | OFlags::CREATE,
            Purpose::Create => OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL,
        };
        let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        // A new file is never readable by others, not even while it is empty.
        Ok(File::from(rustix::fs::openat(&self.0, name, flags, Mode::RUSR | Mode::WUSR)?))
    }

    /// Whether the name is that of a regular file. A link is not one.
    pub(super) fn is_file(&self, name: &OsStr) -> io::Result<bool> {
        let status = rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(FileType::from_raw_mode(status.st_mode) == FileType::RegularFile)
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

    /// Writes the names in the directory to the disk, so that a new name survives a loss of power.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.0.sync_all()
    }
}

/// Creates a directory and its missing parents.
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
                // Not restricted by the umask. The set-group-ID bit gives new files the group of the directory.
                Ok(()) => fs::set_permissions(path, Permissions::from_mode(0o2770)),
                // Another member of the group was faster.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
                Err(error) => Err(error),
            }
        }
    }
}

/// The user and the group that may use the files of a store.
#[derive(Debug)]
pub(super) struct Access {
    /// The user that owns the files that this process creates.
    owner: u32,
    /// The group that the store is shared with.
    group: Option<u32>,
}

impl Access {
    /// `probe` is a new file in the directory.
    pub(super) fn new(sharing: Sharing, directory: &Handle, probe: &File) -> io::Result<Self> {
        let group = match sharing {
            Sharing::Owner => None,
            Sharing::Group => Some(directory.0.metadata()?.gid()),
        };
        let this = Self { owner: probe.metadata()?.uid(), group };
        // Fails if this process does not belong to the group.
        this.share(probe)?;
        Ok(this)
    }

    pub(super) fn is_shared(&self) -> bool {
        self.group.is_some()
    }

    /// Gives a new file to the group, if there is one.
    pub(super) fn share(&self, file: &File) -> io::Result<()> {
        let Some(group) = self.group else { return Ok(()) };
        if file.metadata()?.gid() != group {
            fchown(file, None, Some(group))?;
        }
        file.set_permissions(Permissions::from_mode(0o660))
    }

    pub(super) fn check_directory(&self, directory: &Handle, path: &Path) -> Result<(), StoreError> {
        let metadata = directory.0.metadata().map_err(at_path(path))?;
        let belongs = match self.group {
            Some(group) => metadata.gid() == group,
            None => metadata.uid() == self.owner,
        };
        if !belongs {
            return Err(StoreError::misconfigured("is in a directory that belongs to somebody else").at(path, None));
        }
        if self.is_open_to_others(&metadata) {
            return Err(StoreError::misconfigured("is in a directory that others may write to").at(path, None));
        }
        if self.is_shared() && metadata.mode() & STICKY != 0 {
            let reason = "is in a sticky directory, in which a member of the group cannot replace the files of another";
            return Err(StoreError::misconfigured(reason).at(path, None));
        }
        Ok(())
    }

    /// Checks that others cannot move the directory away and put another one in its place.
    ///
    /// The owner of a directory above it is trusted, unless that directory is in a sticky one, in which everybody may create
    /// directories.
    pub(super) fn check_above(&self, directory: &Path) -> Result<(), StoreError> {
        let mut child = directory;
        for parent in directory.ancestors().skip(1) {
            let metadata = fs::metadata(parent).map_err(at_path(parent))?;
            if self.lets_others_rename(&metadata) {
                if metadata.mode() & STICKY == 0 {
                    let reason = "is below a directory that its group or others may write to: remove that permission, \
                        move the store, or share it with the group";
                    return Err(StoreError::misconfigured(reason).at(parent, None));
                }
                // The owner of a file in such a directory may rename it.
                let below = fs::symlink_metadata(child).map_err(at_path(child))?;
                let is_trusted = [0, self.owner, metadata.uid()].contains(&below.uid());
                if !is_trusted && self.group != Some(below.gid()) {
                    return Err(StoreError::misconfigured("is below a directory of somebody else's").at(child, None));
                }
            }
            child = parent;
        }
        Ok(())
    }

    /// Whether others may rename what is in a directory, unless it is sticky.
    fn lets_others_rename(&self, directory: &Metadata) -> bool {
        if directory.mode() & 0o002 != 0 {
            return true;
        }
        self.is_open_to_others(directory) && !has_private_group(directory)
    }

    fn is_open_to_others(&self, directory: &Metadata) -> bool {
        let others = if self.group == Some(directory.gid()) { 0o002 } else { 0o022 };
        directory.mode() & others != 0
    }

    /// Checks the owner of a file, and repairs its permissions.
    ///
    /// A file with a second name (a hard link) is accepted: the second name may be a backup, and a record is replaced, never
    /// overwritten.
    pub(super) fn check_file(&self, file: &File, path: &Path) -> Result<(), StoreError> {
        let metadata = file.metadata().map_err(at_path(path))?;
        let is_own = metadata.uid() == self.owner;
        let is_of_group = self.group == Some(metadata.gid());
        if !is_own && !is_of_group {
            return Err(StoreError::misconfigured("holds a file that belongs to somebody else").at(path, None));
        }
        let (mode, others) = if self.is_shared() { (0o660, 0o007) } else { (0o600, 0o077) };
        if metadata.mode() & others != 0 {
            file.set_permissions(Permissions::from_mode(mode)).map_err(at_path(path))?;
            tracing::warn!(file = %path.display(), "others could use a file of the token store; they no longer can");
        }
        if self.is_shared() && is_own && (!is_of_group || metadata.mode() & 0o060 != 0o060) {
            self.share(file).map_err(at_path(path))?;
        }
        Ok(())
    }
}

/// In a directory with this bit, only the owner of a file may rename or remove it.
const STICKY: u32 = 0o1000;

/// Whether the group of a directory is the private group of its owner, which has the same number and no other member. Most Linux
/// distributions create one for each user, and let that group write.
fn has_private_group(directory: &Metadata) -> bool {
    directory.gid() == directory.uid()
}
