//! Tests how a store treats directory entries that are named like its files but are not regular
//! files. The store does not follow or remove such entries, and does not block on them.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::prelude::*;
use crate::{NOWHERE, assert_holds, consents, files, id, mode, record_file, stored};

type Create = fn(&Path);

pub(crate) fn create_fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

fn create_socket(path: &Path) {
    UnixListener::bind(path).unwrap();
}

/// Creates a link to a file that belongs to the same user but is outside the store's directory.
fn create_link(path: &Path) {
    let target = path.parent().unwrap().parent().unwrap().join("target");
    fs::write(&target, "target").unwrap();
    symlink(&target, path).unwrap();
}

const KINDS: [(&str, Create); 6] = [
    ("FIFO", create_fifo),
    ("socket", create_socket),
    ("directory", |path| fs::create_dir(path).unwrap()),
    ("link", create_link),
    ("dangling link", |path| symlink("nowhere", path).unwrap()),
    ("link to a FIFO", |path| {
        let target = path.parent().unwrap().parent().unwrap().join("fifo");
        create_fifo(&target);
        symlink(&target, path).unwrap();
    }),
];

/// Waits for `work`. Panics if `work` does not complete within ten seconds, because a thread is
/// then probably blocked.
async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), work).await.unwrap()
}

fn assert_refused(error: &StoreError, path: &Path, kind: &str) {
    assert!(matches!(error, StoreError::Misconfigured(_)), "{kind}: {error:?}");
    assert!(error.to_string().contains(path.to_str().unwrap()), "{kind}: {error}");
}

fn assert_target_is_untouched(directory: &Path) {
    let target = directory.parent().unwrap().join("target");
    if target.exists() {
        assert_eq!(fs::read_to_string(target).unwrap(), "target");
    }
    assert!(!directory.join("nowhere").exists());
}

pub(crate) async fn o5_record_that_is_not_a_regular_file_is_refused() {
    for (kind, create) in KINDS {
        let (_temporary, directory, consent) = stored().await;
        let store = FileStore::open(&directory).unwrap();
        let record = store.load(&id("user-7")).await.unwrap().unwrap();
        let path = record_file(&directory);
        fs::remove_file(&path).unwrap();
        create(&path);
        let before = fs::symlink_metadata(&path).unwrap().file_type();

        assert_refused(&soon(store.load(&id("user-7"))).await.unwrap_err(), &path, kind);
        assert_refused(&soon(store.compare_and_swap(None, &record)).await.unwrap_err(), &path, kind);
        assert_refused(&soon(store.remove(&id("user-7"), record.generation())).await.unwrap_err(), &path, kind);
        let due = soon(store.due(DueWindow::new(SystemTime::now(), Duration::from_secs(100 * 86400)), 10)).await;
        assert!(due.unwrap().is_empty(), "{kind}");
        let error = soon(consent.access_token()).await.unwrap_err();
        assert_eq!(error.advice(), flinks::Advice::FixConfiguration, "{kind}: {error}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{kind}: {error}");

        assert_eq!(fs::symlink_metadata(&path).unwrap().file_type(), before, "{kind}");
        assert!(files(&directory, ".damaged-").is_empty(), "{kind}");
        assert_target_is_untouched(&directory);
    }
}

pub(crate) async fn o5_lock_that_is_not_a_regular_file_is_refused() {
    for (kind, create) in KINDS {
        let (_temporary, directory, _) = stored().await;
        let store = FileStore::open(&directory).unwrap();
        let record = store.load(&id("user-7")).await.unwrap().unwrap();
        let [lock] = &files(&directory, ".lock")[..] else { panic!("expected one lock file") };
        fs::remove_file(lock).unwrap();
        create(lock);
        let swap = soon(store.compare_and_swap(Some(record.generation()), &record)).await;
        assert_refused(&swap.unwrap_err(), lock, kind);
        let remove = soon(store.remove(&id("user-7"), record.generation())).await;
        assert_refused(&remove.unwrap_err(), lock, kind);
        assert_holds(&store, &record).await;
        assert_target_is_untouched(&directory);

        // When a store is opened and finds an unfinished file, it also uses the lock file.
        fs::write(record_file(&directory).with_extension("new"), "").unwrap();
        let directory_of_thread = directory.clone();
        let open = tokio::task::spawn_blocking(move || FileStore::open(directory_of_thread).unwrap_err());
        assert_refused(&soon(open).await.unwrap(), lock, kind);
    }
}

pub(crate) async fn o5_irregular_unfinished_file_is_removed_or_refused() {
    for (kind, create) in KINDS {
        let (_temporary, directory, _) = stored().await;
        let store = FileStore::open(&directory).unwrap();
        let record = store.load(&id("user-7")).await.unwrap().unwrap();
        let unfinished = record_file(&directory).with_extension("new");
        create(&unfinished);
        let swap = soon(store.compare_and_swap(Some(record.generation()), &record)).await;
        if kind == "directory" {
            assert_refused(&swap.unwrap_err(), &unfinished, kind);
        } else {
            assert!(swap.unwrap(), "{kind}");
            assert!(fs::symlink_metadata(&unfinished).is_err(), "{kind}");
        }
        assert_holds(&store, &record).await;
        assert_target_is_untouched(&directory);
    }
}

pub(crate) async fn o5_opening_a_store_does_not_follow_an_unfinished_link() {
    for (kind, create) in KINDS {
        let (_temporary, directory, _) = stored().await;
        let names = ["probe-1.new", "00.new", "..x.new", ".new", "\u{20ac}.new"].map(|name| directory.join(name));
        for path in names {
            create(&path);
            let directory_of_thread = directory.clone();
            let open = tokio::task::spawn_blocking(move || FileStore::open(directory_of_thread));
            let _ = soon(open).await.unwrap().unwrap();
            assert_target_is_untouched(&directory);
            remove(&path);
            remove(&directory.parent().unwrap().join("fifo"));
        }
        assert_eq!(fs::read_dir(directory.parent().unwrap()).unwrap().count(), expected_beside(&directory), "{kind}");
    }
}

fn remove(path: &Path) {
    if path.is_dir() {
        fs::remove_dir(path).unwrap();
    } else {
        fs::remove_file(path).ok();
    }
}

fn expected_beside(directory: &Path) -> usize {
    1 + usize::from(directory.parent().unwrap().join("target").exists())
}

pub(crate) async fn o5_marker_that_is_not_a_regular_file_is_refused() {
    for (kind, create) in KINDS {
        let (_temporary, directory, _) = stored().await;
        let store = FileStore::open(&directory).unwrap();
        let [marker] = &files(&directory, ".id")[..] else { panic!("expected one marker file") };
        fs::remove_file(marker).unwrap();
        create(marker);
        assert_refused(&soon(store.load(&id("user-7"))).await.unwrap_err(), marker, kind);
        assert_refused(&FileStore::open(&directory).unwrap_err(), marker, kind);
    }
}

pub(crate) async fn o5_device_is_refused() {
    let (_temporary, directory, _) = stored().await;
    let store = FileStore::open(&directory).unwrap();
    let path = record_file(&directory);
    fs::remove_file(&path).unwrap();
    // This device is /dev/zero, which can be read endlessly.
    assert!(Command::new("mknod").arg(&path).args(["c", "1", "5"]).status().unwrap().success());
    assert_refused(&soon(store.load(&id("user-7"))).await.unwrap_err(), &path, "device");
    assert!(fs::symlink_metadata(&path).unwrap().file_type().is_char_device());
}

pub(crate) async fn o5_hard_link_to_a_record_is_not_written() {
    let (temporary, directory, _) = stored().await;
    let store = FileStore::open(&directory).unwrap();
    let record = store.load(&id("user-7")).await.unwrap().unwrap();
    let backup = temporary.path().join("backup");
    fs::hard_link(record_file(&directory), &backup).unwrap();
    let before = fs::read(&backup).unwrap();
    assert_holds(&store, &record).await;
    assert!(store.remove(&id("user-7"), record.generation()).await.unwrap());
    assert!(store.compare_and_swap(None, &record).await.unwrap());
    assert_eq!(fs::read(&backup).unwrap(), before);
}

pub(crate) async fn o5_mode_of_a_lock_is_repaired() {
    let (_temporary, directory, consent) = stored().await;
    let [lock] = &files(&directory, ".lock")[..] else { panic!("expected one lock file") };
    fs::set_permissions(lock, fs::Permissions::from_mode(0o666)).unwrap();
    consent.forget().await.unwrap();
    assert_eq!(mode(lock), 0o600);
}

fn with_mode(path: PathBuf, mode: u32) -> PathBuf {
    fs::create_dir_all(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path
}

pub(crate) async fn o5_directory_that_others_can_rename_is_refused() {
    let modes =
        [(0o777, false), (0o757, false), (0o1777, true), (0o1775, true), (0o755, true), (0o700, true), (0o555, true)];
    for (mode, is_accepted) in modes {
        let temporary = tempfile::tempdir().unwrap();
        let parent = temporary.path().join("parent");
        let directory = parent.join("between").join("consents");
        with_mode(directory.clone(), 0o700);
        with_mode(parent.clone(), mode);
        match FileStore::open(&directory) {
            Ok(_) => assert!(is_accepted, "{mode:o}"),
            Err(error) => {
                assert!(!is_accepted, "{mode:o}: {error}");
                assert_refused(&error, &parent, "parent");
            }
        }
        // Opening the store through a link in a safe directory makes no difference.
        let link = temporary.path().join("link");
        symlink(&directory, &link).unwrap();
        assert_eq!(FileStore::open(&link).is_ok(), is_accepted, "{mode:o}");
        with_mode(parent, 0o700);
    }
}

/// On most Linux distributions, each user has a private group with write access to the user's
/// directories.
pub(crate) async fn o5_only_the_private_group_of_the_owner_may_write_above_a_store() {
    let temporary = tempfile::tempdir().unwrap();
    let parent = temporary.path().join("parent");
    let directory = parent.join("consents");
    let _ = FileStore::open(&directory).unwrap();
    let owner = parent.metadata().unwrap().uid();
    for mode in [0o775, 0o770, 0o730] {
        with_mode(parent.clone(), mode);
        // Only root can change the group of a directory.
        for group in [owner, 54_321] {
            if std::os::unix::fs::chown(&parent, None, Some(group)).is_ok() {
                assert_eq!(FileStore::open(&directory).is_ok(), group == owner, "{mode:o} {group}");
            }
        }
    }
}

pub(crate) async fn o5_link_that_others_can_replace_is_refused() {
    let temporary = tempfile::tempdir().unwrap();
    let (_elsewhere, directory, _) = stored().await;
    let parent = with_mode(temporary.path().join("parent"), 0o777);
    symlink(&directory, parent.join("link")).unwrap();
    assert_refused(&FileStore::open(parent.join("link")).unwrap_err(), &parent, "link");
}

pub(crate) async fn o5_directory_that_becomes_writable_for_others_is_refused() {
    let (_temporary, directory, _) = stored().await;
    let store = FileStore::open(&directory).unwrap();
    with_mode(directory.clone(), 0o777);
    assert_refused(&store.load(&id("user-7")).await.unwrap_err(), &directory, "later");
    with_mode(directory.clone(), 0o700);
    assert!(store.load(&id("user-7")).await.unwrap().is_some());
}

pub(crate) async fn o5_foreign_file_with_the_extension_of_a_record_is_ignored() {
    let (_temporary, directory, _) = stored().await;
    let foreign = directory.join("settings.json");
    fs::write(&foreign, "{}").unwrap();
    fs::set_permissions(&foreign, fs::Permissions::from_mode(0o644)).unwrap();
    let consents = consents(&directory, NOWHERE);
    assert_eq!(consents.due_within(Duration::MAX, 10).await.unwrap().len(), 1);
    let _ = consents.list(&"nobody".parse().unwrap(), &flinks_consents::Page::first(10)).await.unwrap();
    assert_eq!(mode(&foreign), 0o644);
}
