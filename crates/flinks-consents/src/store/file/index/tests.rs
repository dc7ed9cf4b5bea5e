//! Tests that the index reads only the files that have changed, and never misses a change.

#![allow(clippy::arithmetic_side_effects, clippy::disallowed_methods, clippy::unwrap_used)] // test helpers are tests too

use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flinks::outbound::RefreshToken;
use tempfile::TempDir;

use super::super::FileStore;
use super::super::access::{Creation, Sharing};
use super::super::directory::Directory;
use super::super::record_file::RecordFile;
use super::*;
use crate::store::{Page, TokenStore as _};

/// A store's directory and its index.
struct Fixture {
    _temporary: TempDir,
    path: PathBuf,
    directory: Directory,
    index: Index,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Fixture {
    /// Creates a store that contains the records `user-0`, `user-1` and `user-2`.
    fn new() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("consents");
        let directory = Directory::new(&path, Sharing::Owner, Creation::Allowed).unwrap();
        let fixture = Self { _temporary: temporary, path, directory, index: Index::default() };
        (0..3).for_each(|number| fixture.write(&record(number, SystemTime::now())));
        fixture
    }

    fn write(&self, record: &Record) {
        let directory = self.directory.enter().unwrap();
        let bytes = record.encode().unwrap();
        let file = RecordFile::new(&directory, record.id()).lock().unwrap();
        file.write(bytes.expose_secret().as_bytes()).unwrap();
    }

    /// Returns the path of a record's file.
    fn file(&self, number: u32) -> PathBuf {
        self.path.join(RecordName::of(&id(number)).to_file_name())
    }

    fn refresh_at(&self, now: SystemTime) -> Refreshed {
        self.index.refresh(&self.directory.enter().unwrap(), now).unwrap()
    }

    /// Brings the index up to date as if the files had last been changed ten seconds earlier.
    fn refresh_later(&self) -> Refreshed {
        self.refresh_at(SystemTime::now() + Duration::from_secs(10))
    }

    /// Returns the number of files that were read.
    fn files_read(&self) -> usize {
        self.refresh_later().files_read
    }
}

impl Refreshed {
    /// Returns the ids of the consents that are due within a week.
    fn due(&self) -> Vec<ConsentId> {
        let window = crate::store::DueWindow::new(SystemTime::now(), 7 * DAY);
        window.select(self.entries.iter().map(|entry| (entry.due, &entry.id)), 10)
    }
}

fn id(number: u32) -> ConsentId {
    format!("user-{number}").parse().unwrap()
}

fn record(number: u32, refreshed_at: SystemTime) -> Record {
    Record::new(id(number), RefreshToken::new("canary").unwrap(), refreshed_at, refreshed_at)
}

fn long_ago() -> SystemTime {
    SystemTime::now() - 28 * DAY
}

fn owned(number: u32, owner: &str) -> Record {
    Record { owner: Some(owner.parse().unwrap()), ..record(number, SystemTime::now()) }
}

/// Writes to a file without replacing it, and restores the time of its last modification.
fn overwrite(file: &Path, bytes: &[u8]) {
    let before = file.metadata().unwrap();
    fs::write(file, bytes).unwrap();
    let times = FileTimes::new().set_modified(before.modified().unwrap());
    File::options().write(true).open(file).unwrap().set_times(times).unwrap();
    let after = file.metadata().unwrap();
    assert_eq!(after.ino(), before.ino());
    assert_eq!(after.modified().unwrap(), before.modified().unwrap());
}

#[test]
fn unchanged_files_are_read_once() {
    let store = Fixture::new();
    assert_eq!(store.files_read(), 3);
    let second = store.refresh_later();
    assert_eq!(second.files_read, 0);
    assert_eq!(second.entries.len(), 3);
    assert_eq!(second.due(), []);
}

#[test]
fn recently_changed_files_are_read_again() {
    let store = Fixture::new();
    // The next change may have the same time, and the new file may have the same inode number.
    assert_eq!(store.refresh_at(SystemTime::now()).files_read, 3);
    assert_eq!(store.refresh_at(SystemTime::now()).files_read, 3);
    // A time in the future shows that the clock has been changed.
    assert_eq!(store.refresh_at(long_ago()).files_read, 3);
    assert_eq!(store.files_read(), 3);
    assert_eq!(store.files_read(), 0);
}

#[test]
fn o5_changed_record_is_read_again() {
    let store = Fixture::new();
    store.refresh_later();
    store.write(&record(1, long_ago()));
    let refreshed = store.refresh_later();
    assert_eq!(refreshed.files_read, 1);
    assert_eq!(refreshed.due(), [id(1)]);
    store.write(&record(1, SystemTime::now()));
    assert_eq!(store.refresh_later().due(), []);
}

#[test]
fn o5_record_overwritten_in_place_is_read_again() {
    let store = Fixture::new();
    let before = fs::read(store.file(1)).unwrap();
    store.refresh_later();
    let changed = Record { refreshed_at: long_ago(), ..Record::decode(&id(1), &before).unwrap() };
    let bytes = changed.encode().unwrap();
    assert_eq!(bytes.expose_secret().len(), before.len());
    overwrite(&store.file(1), bytes.expose_secret().as_bytes());
    let refreshed = store.refresh_later();
    assert_eq!(refreshed.files_read, 1);
    assert_eq!(refreshed.due(), [id(1)]);
}

#[test]
fn o5_restored_backup_with_an_older_time_is_read_again() {
    let store = Fixture::new();
    store.write(&record(1, long_ago()));
    let backup = store.path.join("backup");
    fs::copy(store.file(1), &backup).unwrap();
    store.write(&record(1, SystemTime::now()));
    assert_eq!(store.refresh_later().due(), []);
    let times = FileTimes::new().set_modified(long_ago());
    File::options().write(true).open(&backup).unwrap().set_times(times).unwrap();
    fs::rename(&backup, store.file(1)).unwrap();
    assert_eq!(store.refresh_later().due(), [id(1)]);
}

#[test]
fn entries_of_removed_files_are_removed() {
    let store = Fixture::new();
    store.refresh_later();
    fs::remove_file(store.file(1)).unwrap();
    let refreshed = store.refresh_later();
    assert_eq!(refreshed.files_read, 0);
    assert_eq!(refreshed.entries.len(), 2);
    assert_eq!(store.index.lock().len(), 2);
}

#[test]
fn unreadable_files_are_read_and_counted_each_time() {
    let store = Fixture::new();
    store.refresh_later();
    let bytes = fs::read(store.file(1)).unwrap();
    fs::write(store.file(1), "canary").unwrap();
    fs::remove_file(store.file(2)).unwrap();
    fs::create_dir(store.file(2)).unwrap();
    for _ in 0..2 {
        let refreshed = store.refresh_later();
        assert_eq!(refreshed.unreadable, 2);
        assert_eq!(refreshed.files_read, 2);
        assert_eq!(refreshed.entries.len(), 1);
    }
    fs::write(store.file(1), bytes).unwrap();
    let refreshed = store.refresh_later();
    assert_eq!(refreshed.unreadable, 1);
    assert_eq!(refreshed.entries.len(), 2);
}

#[test]
fn o5_permissions_of_an_unchanged_record_are_still_repaired() {
    let store = Fixture::new();
    store.refresh_later();
    fs::set_permissions(store.file(1), Permissions::from_mode(0o644)).unwrap();
    assert_eq!(store.files_read(), 1);
    assert_eq!(store.file(1).metadata().unwrap().mode() & 0o777, 0o600);
}

#[test]
fn o5_missing_directory_does_not_return_indexed_records() {
    let store = Fixture::new();
    let directory = store.directory.enter().unwrap();
    store.refresh_later();
    fs::rename(&store.path, store.path.with_extension("away")).unwrap();
    assert!(matches!(store.directory.enter(), Err(StoreError::Unavailable(_))));
    // A directory that is removed while it is being listed seems to contain fewer records.
    fs::remove_dir_all(store.path.with_extension("away")).unwrap();
    assert!(matches!(store.index.refresh(&directory, SystemTime::now()), Err(StoreError::Unavailable(_))));
    assert_eq!(store.index.lock().len(), 3);
}

#[test]
fn o5_copied_directory_is_read_again() {
    let store = Fixture::new();
    store.refresh_later();
    let original = store.path.with_extension("original");
    fs::rename(&store.path, &original).unwrap();
    fs::create_dir(&store.path).unwrap();
    fs::set_permissions(&store.path, Permissions::from_mode(0o700)).unwrap();
    for entry in fs::read_dir(&original).unwrap() {
        let entry = entry.unwrap();
        let copy = store.path.join(entry.file_name());
        fs::copy(entry.path(), &copy).unwrap();
        let times = FileTimes::new().set_modified(entry.metadata().unwrap().modified().unwrap());
        File::options().write(true).open(copy).unwrap().set_times(times).unwrap();
    }
    let refreshed = store.refresh_later();
    assert_eq!(refreshed.files_read, 3);
    assert_eq!(refreshed.entries.len(), 3);
}

#[test]
fn a3_debug_output_of_a_store_does_not_contain_ids() {
    let store = Fixture::new();
    store.refresh_later();
    let text = format!("{:?}", store.index);
    assert!(text.contains('3'), "{text}");
    assert!(!text.contains("user"), "{text}");
}

#[tokio::test]
async fn page_is_full_although_a_record_has_changed_since_it_was_indexed() {
    let fixture = Fixture::new();
    (0..3).for_each(|number| fixture.write(&owned(number, "owner")));
    let store = FileStore::open(&fixture.path).unwrap();
    let owner: OwnerId = "owner".parse().unwrap();
    let directory = store.0.directory.enter().unwrap();
    let entries = store.0.refresh_index(&directory).unwrap();
    let ids = |records: Vec<Record>| records.into_iter().map(|record| record.id).collect::<Vec<_>>();
    let page = |page: &Page| ids(store.0.read_page(&directory, &entries, &owner, page).unwrap());
    assert_eq!(page(&Page::first(2)), [id(0), id(1)]);
    // A page with fewer records than its limit would seem to be the last page.
    fixture.write(&owned(0, "other"));
    assert_eq!(page(&Page::first(2)), [id(1), id(2)]);
    assert_eq!(page(&Page::after(id(1), 2)), [id(2)]);
    fs::remove_file(fixture.file(1)).unwrap();
    assert_eq!(page(&Page::first(2)), [id(2)]);
    // A different process changed the records, and this store still lists them correctly.
    assert_eq!(ids(store.list(&owner, &Page::first(2)).await.unwrap()), [id(2)]);
    let other: OwnerId = "other".parse().unwrap();
    assert_eq!(ids(store.list(&other, &Page::first(2)).await.unwrap()), [id(0)]);
}
