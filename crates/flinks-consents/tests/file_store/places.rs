//! Tests a store whose directory is missing or has been replaced. Every operation on such a store
//! returns an error, so the store never looks empty (O5).

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, SystemTime};

use flinks::Advice;
use flinks::outbound::RefreshToken;
use flinks_emulator::Emulator;
use flinks_emulator::credentials::OUTBOUND_REFRESH_TOKEN;

use crate::kinds::create_fifo;
use crate::prelude::*;
use crate::{NOWHERE, assert_holds, client, consents, files, id, stored};

/// Calls a store's operations, checks that each call fails, and returns the errors.
async fn failures(store: &FileStore, record: &Record) -> Vec<StoreError> {
    let id = id("user-7");
    vec![
        store.load(&id).await.unwrap_err(),
        store.compare_and_swap(None, record).await.unwrap_err(),
        store.compare_and_swap(Some(record.generation()), record).await.unwrap_err(),
        store.remove(&id, record.generation()).await.unwrap_err(),
        store.due(DueWindow::new(SystemTime::now(), Duration::from_secs(100 * 86400)), 10).await.unwrap_err(),
    ]
}

async fn assert_unavailable(store: &FileStore, record: &Record, directory: &Path) {
    for error in failures(store, record).await {
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        assert!(error.to_string().contains(directory.to_str().unwrap()), "{error}");
        let error = ConsentError::from(error);
        assert_eq!(error.advice(), Advice::RetryLater);
        assert!(!error.needs_consent());
    }
}

pub(crate) async fn o5_missing_directory_is_unavailable_until_it_returns() {
    let (temporary, directory, _) = stored().await;
    let store = FileStore::open(&directory).unwrap();
    let record = store.load(&id("user-7")).await.unwrap().unwrap();

    let away = temporary.path().join("away");
    fs::rename(&directory, &away).unwrap();
    assert_unavailable(&store, &record, &directory).await;
    fs::rename(&away, &directory).unwrap();
    assert_holds(&store, &record).await;
    assert!(store.compare_and_swap(Some(record.generation()), &record).await.unwrap());

    fs::remove_dir_all(&directory).unwrap();
    assert_unavailable(&store, &record, &directory).await;
    assert!(!directory.exists(), "an operation created the directory");
}

pub(crate) async fn o5_consent_in_a_missing_directory_is_not_unknown() {
    let (_temporary, directory, consent) = stored().await;
    fs::remove_dir_all(&directory).unwrap();
    let error = consent.access_token().await.unwrap_err();
    assert!(error.is_store(), "{error}");
    assert!(!error.is_unknown_consent());
    assert!(!error.needs_consent());
    assert_eq!(error.advice(), Advice::RetryLater);
    assert!(error.to_string().contains(directory.to_str().unwrap()), "{error}");
    assert!(error.to_string().contains("No such file or directory"), "{error}");
}

pub(crate) async fn o5_empty_directory_is_unavailable() {
    let (temporary, directory, _) = stored().await;
    let store = FileStore::open(&directory).unwrap();
    let record = store.load(&id("user-7")).await.unwrap().unwrap();

    // A mount point looks like this while its volume is not mounted.
    let volume = temporary.path().join("volume");
    fs::rename(&directory, &volume).unwrap();
    fs::create_dir(&directory).unwrap();
    assert_unavailable(&store, &record, &directory).await;
    assert!(files(&directory, "").is_empty(), "the store wrote to the directory");

    fs::remove_dir(&directory).unwrap();
    fs::rename(&volume, &directory).unwrap();
    assert_holds(&store, &record).await;
}

pub(crate) async fn o5_recreated_directory_is_unavailable() {
    // Many file systems reuse the inode number of a removed directory.
    let (_temporary, directory, _) = stored().await;
    let store = FileStore::open(&directory).unwrap();
    let record = store.load(&id("user-7")).await.unwrap().unwrap();
    fs::remove_dir_all(&directory).unwrap();
    fs::create_dir(&directory).unwrap();
    assert_unavailable(&store, &record, &directory).await;
}

pub(crate) async fn o5_directory_of_another_store_is_unavailable() {
    let (_temporary, directory, _) = stored().await;
    let store = FileStore::open(&directory).unwrap();
    let record = store.load(&id("user-7")).await.unwrap().unwrap();
    fs::remove_dir_all(&directory).unwrap();
    let other = FileStore::open(&directory).unwrap();
    assert_unavailable(&store, &record, &directory).await;
    assert!(other.load(&id("user-7")).await.unwrap().is_none());
}

pub(crate) async fn o5_missing_parent_is_unavailable() {
    let temporary = tempfile::tempdir().unwrap();
    let parent = temporary.path().join("volume");
    let directory = parent.join("consents");
    let refresh_token = RefreshToken::new(OUTBOUND_REFRESH_TOKEN).unwrap();
    consents(&directory, NOWHERE).import(&id("user-7"), refresh_token, SystemTime::now()).await.unwrap();
    let store = FileStore::open(&directory).unwrap();
    let record = store.load(&id("user-7")).await.unwrap().unwrap();
    fs::remove_dir_all(&parent).unwrap();
    assert_unavailable(&store, &record, &directory).await;
}

pub(crate) async fn o5_file_or_link_instead_of_a_directory_is_refused() {
    type Replace = fn(&Path, &Path);
    let replaces: [(&str, Replace); 4] = [
        ("file", |directory, _| fs::write(directory, "").unwrap()),
        ("FIFO", |directory, _| create_fifo(directory)),
        ("link", |directory, away| symlink(away, directory).unwrap()),
        ("dangling link", |directory, _| symlink("nowhere", directory).unwrap()),
    ];
    for (name, replace) in replaces {
        let (temporary, directory, _) = stored().await;
        let store = FileStore::open(&directory).unwrap();
        let record = store.load(&id("user-7")).await.unwrap().unwrap();
        let away = temporary.path().join("away");
        fs::rename(&directory, &away).unwrap();
        replace(&directory, &away);
        for error in failures(&store, &record).await {
            assert!(matches!(error, StoreError::Misconfigured(_)), "{name}: {error:?}");
            assert!(error.to_string().contains(directory.to_str().unwrap()), "{name}: {error}");
        }
    }
}

pub(crate) async fn o5_link_to_a_store_is_resolved_when_it_is_opened() {
    let (temporary, directory, _) = stored().await;
    let link = temporary.path().join("link");
    symlink(&directory, &link).unwrap();
    let store = FileStore::open(&link).unwrap();
    assert!(store.load(&id("user-7")).await.unwrap().is_some());

    let elsewhere = temporary.path().join("elsewhere");
    let _ = FileStore::open(&elsewhere).unwrap();
    fs::remove_file(&link).unwrap();
    symlink(&elsewhere, &link).unwrap();
    assert!(store.load(&id("user-7")).await.unwrap().is_some());
    fs::remove_file(&link).unwrap();
    assert!(store.load(&id("user-7")).await.unwrap().is_some());
}

pub(crate) async fn o5_outage_policy_applies_to_a_missing_directory() {
    let emulator = Emulator::start().await.unwrap();
    let (temporary, directory, _) = stored().await;
    let consents = Consents::builder(client(emulator.base_url()))
        .store(FileStore::open(&directory).unwrap())
        .outage_policy(OutagePolicy::RefreshWithoutStore)
        .build();
    let consent = consents.consent(&id("user-7"));
    consent.idle_deadline().await.unwrap();
    let away = temporary.path().join("away");
    fs::rename(&directory, &away).unwrap();
    let _ = consent.access_token().await.unwrap();
    fs::rename(&away, &directory).unwrap();
    consents.flush().await.unwrap();
}

pub(crate) async fn o5_store_opened_twice_concurrently_is_one_store() {
    for _ in 0..50 {
        let temporary = tempfile::tempdir().unwrap();
        let directory = temporary.path().join("consents");
        let barrier = std::sync::Barrier::new(4);
        let stores: Vec<_> = std::thread::scope(|scope| {
            let open = || {
                barrier.wait();
                FileStore::open(&directory).unwrap()
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for store in stores {
            assert!(store.load(&id("user-7")).await.unwrap().is_none());
        }
    }
}

pub(crate) async fn invalid_path_is_refused() {
    use std::os::unix::ffi::OsStrExt as _;
    let temporary = tempfile::tempdir().unwrap();
    for path in [String::new(), "a\0b".to_owned(), "x".repeat(300)] {
        let path = if path.is_empty() { path.into() } else { temporary.path().join(path) };
        let error = FileStore::open(path).unwrap_err();
        assert!(matches!(error, StoreError::Misconfigured(_)), "{error:?}");
    }
    let store = FileStore::open(temporary.path().join(std::ffi::OsStr::from_bytes(b"not \xff UTF-8"))).unwrap();
    assert!(store.load(&id("user-7")).await.unwrap().is_none());
}

pub(crate) async fn store_at_a_dangling_link_is_refused() {
    let temporary = tempfile::tempdir().unwrap();
    let link = temporary.path().join("consents");
    symlink(temporary.path().join("volume"), &link).unwrap();
    let error = FileStore::open(&link).unwrap_err();
    assert!(matches!(error, StoreError::Misconfigured(_)), "{error:?}");
    assert!(!temporary.path().join("volume").exists());
}

pub(crate) async fn store_error_names_the_path_and_the_system_error() {
    let temporary = tempfile::tempdir().unwrap();
    let file = temporary.path().join("file");
    File::create(&file).unwrap();
    let error = ConsentError::from(FileStore::open(file.join("consents")).unwrap_err());
    assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
    assert!(error.to_string().contains("Not a directory (os error 20)"), "{error}");
    assert_eq!(error.advice(), Advice::FixConfiguration);
}
