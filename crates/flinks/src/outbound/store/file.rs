//! In files.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use flinks_core::Secret;
use sha2::{Digest as _, Sha256};
use tokio::runtime::Handle;

use super::{ConsentId, DueWindow, Record, StoreError, StoreFuture, TokenStore, memory};

/// Keeps each record in a file of its own, in one directory, for any number of processes on one machine.
///
/// A file is replaced as a whole, so it is the old one or the new one at any moment; it can be read by its owner only, and its
/// name is a hash that does not tell the consent. A file that holds no record is moved aside, to a name with `.damaged`, and
/// reported once: its consent is unknown then, until you put the file back or the end user consents again. It may hold a
/// secret, and nothing but you removes it.
///
/// The directory should be on a local disk: not every network file system has locks that hold. The records are in clear text;
/// encrypt the disk.
#[derive(Clone, Debug)]
pub struct FileStore(Arc<Directory>);

#[derive(Debug)]
struct Directory {
    path: PathBuf,
    /// Whom a file must belong to.
    #[cfg(unix)]
    owner: u32,
}

/// What is read of a file. Larger than any record, which is a consent's id, two tokens and a few numbers.
const MAX_BYTES: u64 = 1024 * 1024;
const RECORD: &str = "json";
/// What is written, before it takes the place of the record.
const UNFINISHED: &str = "new";

impl FileStore {
    /// Opens a directory, and makes it if it is not there. What a process left unfinished when it was killed is removed.
    ///
    /// # Errors
    ///
    /// [`StoreError::Refused`] where the directory belongs to somebody else, where others may write to it, or where it cannot
    /// be written. Take a directory of its own, and let this make it.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, StoreError> {
        // Whatever the working directory is later.
        let path = std::path::absolute(directory.into()).map_err(problem)?;
        let is_new = !path.exists();
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path).map_err(problem)?;
        if let Some(parent) = path.parent().filter(|_| is_new) {
            sync(parent).map_err(problem)?;
        }
        // Also shows that files can be made here.
        let probe = path.join(format!("probe-{}.{UNFINISHED}", uuid::Uuid::new_v4()));
        #[cfg_attr(not(unix), allow(unused_variables))]
        let made = create(&probe).and_then(|file| file.metadata()).map_err(problem);
        fs::remove_file(&probe).ok();
        let made = made?;
        #[cfg(unix)]
        let owner = {
            use std::os::unix::fs::MetadataExt as _;
            let directory = fs::metadata(&path).map_err(problem)?;
            if directory.uid() != made.uid() {
                return Err(StoreError::refused("is in a directory that belongs to somebody else"));
            }
            if directory.mode() & 0o022 != 0 {
                return Err(StoreError::refused("is in a directory that others may write to"));
            }
            made.uid()
        };
        let this = Directory {
            path,
            #[cfg(unix)]
            owner,
        };
        this.sweep()?;
        Ok(Self(Arc::new(this)))
    }

    /// Files block, so this is done on a thread for that.
    fn blocking<'a, T: Send + 'static>(
        &self,
        work: impl FnOnce(&Directory) -> Result<T, StoreError> + Send + 'static,
    ) -> StoreFuture<'a, T> {
        let directory = Arc::clone(&self.0);
        Box::pin(async move {
            let runtime = Handle::try_current().map_err(|_| StoreError::refused("needs a tokio runtime"))?;
            let done = runtime.spawn_blocking(move || work(&directory)).await;
            done.unwrap_or(Err(StoreError::unavailable("ended before it answered")))
        })
    }
}

impl TokenStore for FileStore {
    fn load<'a>(&'a self, id: &'a ConsentId) -> StoreFuture<'a, Option<Record>> {
        let id = id.clone();
        self.blocking(move |directory| {
            let place = directory.place(&id);
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
            let place = directory.place(record.id()).lock()?;
            if place.read()?.map(|found| found.generation()) != expected {
                return Ok(false);
            }
            place.write(record.encode()?.expose_secret().as_bytes()).map_err(problem)?;
            Ok(true)
        })
    }

    fn remove<'a>(&'a self, id: &'a ConsentId, generation: u64) -> StoreFuture<'a, bool> {
        let id = id.clone();
        self.blocking(move |directory| {
            let place = directory.place(&id).lock()?;
            if place.read()?.map(|found| found.generation()) != Some(generation) {
                return Ok(false);
            }
            place.remove().map_err(problem)?;
            Ok(true)
        })
    }

    /// Reads each file: that is for some ten thousand consents, within the timeout of a store.
    fn due(&self, window: DueWindow, limit: usize) -> StoreFuture<'_, Vec<ConsentId>> {
        self.blocking(move |directory| {
            let (mut records, mut unreadable) = (Vec::new(), 0_u32);
            for path in directory.files(RECORD)? {
                let text = directory.read(&path);
                let decoded = text
                    .and_then(|text| text.map(|text| Record::decode_any(text.expose_secret().as_bytes())).transpose());
                match decoded {
                    Ok(record) => records.extend(record),
                    Err(_) => unreadable = unreadable.saturating_add(1),
                }
            }
            // Each is moved aside and reported when it is asked for by its id.
            if unreadable > 0 {
                tracing::error!(unreadable, "some files of the token store cannot be read, so they are not kept alive");
            }
            Ok(memory::due(records.iter(), window, limit))
        })
    }
}

impl Directory {
    fn place<'a>(&'a self, id: &'a ConsentId) -> Place<'a> {
        let name: String = Sha256::digest(id.as_str()).iter().map(|byte| format!("{byte:02x}")).collect();
        Place { directory: self, id, path: self.path.join(name).with_extension(RECORD) }
    }

    /// The lock of a file, which 256 share: few files, and few who wait for each other.
    fn lock_file(&self, path: &Path) -> io::Result<File> {
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.get(..2)).unwrap_or("00");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        only_for_the_owner(&mut options);
        options.open(self.path.join(name).with_extension("lock"))
    }

    /// Removes what was left unfinished, unless somebody is about to finish it.
    fn sweep(&self) -> Result<(), StoreError> {
        for path in self.files(UNFINISHED)? {
            let lock = self.lock_file(&path).map_err(problem)?;
            if lock.try_lock().is_ok() {
                fs::remove_file(&path).ok();
            }
        }
        Ok(())
    }

    fn files(&self, extension: &str) -> Result<Vec<PathBuf>, StoreError> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(problem)? {
            let path = entry.map_err(problem)?.path();
            if path.extension().is_some_and(|found| found == extension) {
                files.push(path);
            }
        }
        Ok(files)
    }

    /// The text of a file that is ours alone.
    fn read(&self, path: &Path) -> Result<Option<Secret>, StoreError> {
        let metadata = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            metadata => metadata.map_err(problem)?,
        };
        if !metadata.is_file() {
            return Err(StoreError::refused("holds something that is no file"));
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
            if metadata.uid() != self.owner {
                return Err(StoreError::refused("holds a file that belongs to somebody else"));
            }
            if metadata.mode() & 0o077 != 0 {
                tracing::warn!("a file of the token store could be read by others; it no longer can");
                fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(problem)?;
            }
        }
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(problem)?,
        };
        let mut bytes = Vec::new();
        file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(problem)?;
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(Secret::new(text))),
            Err(_) => Err(StoreError::damaged("holds something that is no text")),
        }
    }
}

/// Where the record of a consent is.
struct Place<'a> {
    directory: &'a Directory,
    id: &'a ConsentId,
    path: PathBuf,
}

/// A place that nobody else changes meanwhile, in this process or another.
struct LockedPlace<'a> {
    place: Place<'a>,
    /// Unlocked when it is closed: also when the process is killed.
    _lock: File,
}

impl<'a> Place<'a> {
    fn read(&self) -> Result<Option<Record>, StoreError> {
        let text = self.directory.read(&self.path)?;
        text.map(|text| Record::decode(self.id, text.expose_secret().as_bytes())).transpose()
    }

    fn lock(self) -> Result<LockedPlace<'a>, StoreError> {
        // Not `lock`, which would keep this thread for as long as another process is stopped, and with it the runtime.
        const LONGEST: Duration = Duration::from_secs(5);
        const STEP: Duration = Duration::from_millis(1);
        let lock = self.directory.lock_file(&self.path).map_err(problem)?;
        let mut waited = Duration::ZERO;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(LockedPlace { place: self, _lock: lock }),
                Err(TryLockError::WouldBlock) if waited < LONGEST => std::thread::sleep(STEP),
                Err(TryLockError::WouldBlock) => return Err(StoreError::unavailable("is locked by another process")),
                Err(TryLockError::Error(error)) => return Err(problem(error)),
            }
            waited = waited.saturating_add(STEP);
        }
    }
}

impl LockedPlace<'_> {
    /// Moves aside what is damaged.
    fn read(&self) -> Result<Option<Record>, StoreError> {
        let read = self.place.read();
        if let Err(StoreError::Damaged(reason)) = &read {
            let aside = self.place.path.with_extension(format!("damaged-{}", uuid::Uuid::new_v4()));
            fs::rename(&self.place.path, &aside).map_err(problem)?;
            sync(&self.place.directory.path).map_err(problem)?;
            tracing::error!(file = %aside.display(), %reason, "a damaged file of the token store was moved aside");
        }
        read
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let unfinished = self.place.path.with_extension(UNFINISHED);
        self.remove_unfinished()?;
        let written = create(&unfinished).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&unfinished, &self.place.path)
        });
        if written.is_err() {
            fs::remove_file(&unfinished).ok();
        }
        written?;
        sync(&self.place.directory.path)
    }

    fn remove(&self) -> io::Result<()> {
        self.remove_unfinished()?;
        fs::remove_file(&self.place.path)?;
        sync(&self.place.directory.path)
    }

    /// Of a process that was killed: whoever has the lock is the only one who writes it.
    fn remove_unfinished(&self) -> io::Result<()> {
        match fs::remove_file(self.place.path.with_extension(UNFINISHED)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// So that a new name in a directory survives a loss of power.
fn sync(directory: &Path) -> io::Result<()> {
    match cfg!(unix) {
        true => File::open(directory)?.sync_all(),
        false => Ok(()),
    }
}

/// A new file that is never readable by others, not even empty.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    only_for_the_owner(&mut options);
    options.open(path)
}

#[cfg_attr(not(unix), allow(unused_variables))]
fn only_for_the_owner(options: &mut OpenOptions) {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
}

/// What can be said of a failure without a path.
#[allow(clippy::needless_pass_by_value)] // for map_err
fn problem(error: io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::PermissionDenied => StoreError::refused("may not use its files"),
        io::ErrorKind::ReadOnlyFilesystem => StoreError::refused("is on a file system that cannot be written"),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::unavailable("has no space left"),
        io::ErrorKind::FileTooLarge => StoreError::unavailable("may not write more"),
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            StoreError::refused("is in something that is no directory")
        }
        _ => StoreError::unavailable("could not read or write its files"),
    }
}
