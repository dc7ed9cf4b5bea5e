//! Tests the file store: its files, changes by other programs, and concurrent processes (O5).
//!
//! If a test needs another process, it runs this program again with one of the roles in
//! `processes.rs`.

#![cfg(unix)]
#![allow(clippy::indexing_slicing, clippy::panic, clippy::print_stdout, clippy::unwrap_used)] // test helpers are tests too

mod kinds;
mod places;
mod processes;
mod shared;

/// Imports that all files share.
mod prelude {
    pub(crate) use flinks_consents::store::{DueWindow, FileStore, Record, StoreError, TokenStore, conformance};
    pub(crate) use flinks_consents::{Consent, ConsentError, ConsentId, Consents, OutagePolicy};
}

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use flinks::BaseUrl;
use flinks::outbound::{Client, ClientCredentials, RefreshToken};
use flinks_emulator::credentials::{OUTBOUND_CLIENT_ID, OUTBOUND_CLIENT_SECRET, OUTBOUND_REFRESH_TOKEN};
use flinks_emulator::{Emulator, Operation};
use libtest_mimic::{Arguments, Failed, Trial};
use tempfile::TempDir;

use crate::prelude::*;

fn main() {
    if let Some(role) = std::env::args().nth(1).filter(|argument| argument.starts_with("role:")) {
        return processes::run_role(&role);
    }
    let mut trials = Vec::new();
    macro_rules! tests {
        ($($test:path),* $(,)?) => {
            $(trials.push(Trial::test(stringify!($test), || in_a_runtime($test())));)*
        };
    }
    tests![
        file_store_conforms,
        missing_file_is_no_record,
        damaged_record_is_moved_aside_and_reported,
        foreign_entry_is_not_moved_or_overwritten,
        files_are_readable_by_their_owner_only,
        directory_that_others_can_write_to_is_refused,
        unfinished_file_is_removed,
        lock_that_is_never_released_times_out,
        held_lock_does_not_keep_a_runtime_alive,
        forgotten_consent_leaves_no_unfinished_file,
        file_names_and_locks_reveal_nothing,
        places::o5_missing_directory_is_unavailable_until_it_returns,
        places::o5_consent_in_a_missing_directory_is_not_unknown,
        places::o5_empty_directory_is_unavailable,
        places::o5_recreated_directory_is_unavailable,
        places::o5_directory_of_another_store_is_unavailable,
        places::o5_missing_parent_is_unavailable,
        places::o5_file_or_link_instead_of_a_directory_is_refused,
        places::o5_link_to_a_store_is_resolved_when_it_is_opened,
        places::o5_outage_policy_applies_to_a_missing_directory,
        places::o5_store_opened_twice_concurrently_is_one_store,
        places::invalid_path_is_refused,
        places::store_at_a_dangling_link_is_refused,
        places::store_error_names_the_path_and_the_system_error,
        kinds::o5_record_that_is_not_a_regular_file_is_refused,
        kinds::o5_lock_that_is_not_a_regular_file_is_refused,
        kinds::o5_marker_that_is_not_a_regular_file_is_refused,
        kinds::o5_irregular_unfinished_file_is_removed_or_refused,
        kinds::o5_opening_a_store_does_not_follow_an_unfinished_link,
        kinds::o5_hard_link_to_a_record_is_not_written,
        kinds::o5_mode_of_a_lock_is_repaired,
        kinds::o5_directory_that_others_can_rename_is_refused,
        kinds::o5_only_the_private_group_of_the_owner_may_write_above_a_store,
        kinds::o5_link_that_others_can_replace_is_refused,
        kinds::o5_directory_that_becomes_writable_for_others_is_refused,
        kinds::o5_foreign_file_with_the_extension_of_a_record_is_ignored,
        shared::directory_of_a_group_is_accepted_on_request,
        shared::new_shared_store_ignores_the_umask,
        shared::private_store_can_become_a_shared_store,
        shared::only_the_same_group_may_write_above_a_shared_store,
        shared::o5_store_that_must_exist_is_not_created,
        processes::relative_path_is_resolved_when_the_store_is_opened,
        processes::full_disk_leaves_the_old_record,
        processes::killed_process_leaves_the_old_or_the_new_record,
        processes::reader_never_sees_half_a_record,
        processes::concurrent_writers_lose_nothing,
        processes::o5_eight_processes_make_one_refresh_of_a_rotating_token,
    ];
    // Permissions do not apply to root, so these tests start a child process as another user. Only
    // root can do that.
    let is_root = own_uid() == 0;
    macro_rules! tests_of_root {
        ($($test:path),* $(,)?) => {
            $(trials.push(
                Trial::test(stringify!($test), || in_a_runtime($test())).with_ignored_flag(!is_root)
            );)*
        };
    }
    tests_of_root![
        kinds::o5_device_is_refused,
        processes::another_user_is_refused,
        shared::two_users_of_a_group_share_a_store_and_a_third_is_refused,
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn in_a_runtime(test: impl Future<Output = ()> + Send + 'static) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(async { tokio::spawn(test).await });
    // Shuts down without waiting for a thread that is blocked on a lock.
    runtime.shutdown_background();
    outcome.map_err(Failed::from)
}

fn own_uid() -> u32 {
    tempfile::tempdir().unwrap().path().metadata().unwrap().uid()
}

fn id(text: &str) -> ConsentId {
    text.parse().unwrap()
}

fn client(base_url: &str) -> Client {
    let credentials = ClientCredentials::new(OUTBOUND_CLIENT_ID, OUTBOUND_CLIENT_SECRET).unwrap();
    let base_url: BaseUrl = base_url.parse().unwrap();
    Client::builder(base_url, credentials).build().unwrap()
}

/// An address on which no server listens.
const NOWHERE: &str = "http://127.0.0.1:9";

fn consents(directory: &Path, base_url: &str) -> Consents {
    Consents::builder(client(base_url)).store(FileStore::open(directory).unwrap()).build()
}

/// Creates a directory with a store that contains the consent "user-7".
async fn stored() -> (TempDir, PathBuf, Consent) {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path().join("consents");
    let refresh_token = RefreshToken::new(OUTBOUND_REFRESH_TOKEN).unwrap();
    let consents = consents(&directory, NOWHERE);
    let consent = consents.import(&id("user-7"), refresh_token, SystemTime::now()).await.unwrap();
    (temporary, directory, consent)
}

/// Returns the files in `directory` whose paths contain `text`.
fn files(directory: &Path, text: &str) -> Vec<PathBuf> {
    let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.to_str().unwrap().contains(text)).collect()
}

fn record_file(directory: &Path) -> PathBuf {
    let [file] = &files(directory, ".json")[..] else { panic!("expected one record file") };
    file.clone()
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().mode() & 0o777
}

async fn load(directory: &Path) -> Result<Option<Record>, StoreError> {
    FileStore::open(directory).unwrap().load(&id("user-7")).await
}

fn assert_refused(error: &StoreError, clause: &str, path: &Path) {
    assert!(matches!(error, StoreError::Misconfigured(_)), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(clause), "{text}");
    assert!(text.contains(path.to_str().unwrap()), "{text}");
}

async fn assert_holds(store: &FileStore, record: &Record) {
    let found = store.load(record.id()).await.unwrap().unwrap();
    assert_eq!(found.encode().unwrap().expose_secret(), record.encode().unwrap().expose_secret());
}

async fn file_store_conforms() {
    let (_temporary, directory, _) = stored().await;
    conformance::check(|| FileStore::open(&directory).unwrap()).await.unwrap();
    assert!(files(&directory, ".new").is_empty());
    assert!(files(&directory, ".damaged").is_empty());
    let one = FileStore::open(&directory).unwrap();
    conformance::check(|| one.clone()).await.unwrap();
}

async fn missing_file_is_no_record() {
    let (_temporary, directory, consent) = stored().await;
    fs::remove_file(record_file(&directory)).unwrap();
    assert!(load(&directory).await.unwrap().is_none());
    let error = consent.access_token().await.unwrap_err();
    assert!(error.needs_consent());
    assert!(!error.may_have_been_sent());
}

async fn damaged_record_is_moved_aside_and_reported() {
    let emulator = Emulator::start().await.unwrap();
    type Damage = fn(&Path, Vec<u8>);
    let damages: [(&str, Damage); 9] = [
        ("empty", |path, _| fs::write(path, "").unwrap()),
        ("truncated", |path, bytes| fs::write(path, &bytes[..bytes.len() - 1]).unwrap()),
        ("truncated to one byte", |path, bytes| fs::write(path, &bytes[..1]).unwrap()),
        ("trailing bytes", |path, bytes| fs::write(path, [&bytes[..], b"}"].concat()).unwrap()),
        ("not UTF-8", |path, bytes| fs::write(path, [&bytes[..], b"\xff"].concat()).unwrap()),
        ("zeros", |path, bytes| fs::write(path, vec![0; bytes.len()]).unwrap()),
        ("another field", |path, bytes| {
            let text = String::from_utf8(bytes).unwrap();
            fs::write(path, text.replace("\"is_ended\"", "\"is_over_\"")).unwrap();
        }),
        ("another consent", |path, bytes| {
            let text = String::from_utf8(bytes).unwrap();
            fs::write(path, text.replace("user-7", "user-8")).unwrap();
        }),
        ("1 GiB", |path, _| File::options().write(true).open(path).unwrap().set_len(1 << 30).unwrap()),
    ];
    for (name, damage) in damages {
        let (_temporary, directory, _) = stored().await;
        let consents = consents(&directory, emulator.base_url());
        let consent = consents.consent(&id("user-7"));
        let path = record_file(&directory);
        damage(&path, fs::read(&path).unwrap());
        let length = path.metadata().unwrap().len();
        let inode = path.metadata().unwrap().ino();

        let error = consent.access_token().await.unwrap_err();
        assert!(error.is_store(), "{name}: {error}");
        assert!(!error.is_transient(), "{name}: {error}");
        assert!(!error.needs_consent(), "{name}: {error}");
        assert!(!error.to_string().contains("emu_"));
        // The damaged file was renamed, and the damage is reported once.
        let [aside] = &files(&directory, ".damaged-")[..] else { panic!("{name}: expected one damaged file") };
        assert!(error.to_string().contains(aside.to_str().unwrap()), "{name}: {error}");
        assert_eq!(aside.metadata().unwrap().len(), length, "{name}");
        assert_eq!(aside.metadata().unwrap().ino(), inode, "{name}");
        assert!(files(&directory, ".json").is_empty());
        assert!(load(&directory).await.unwrap().is_none());

        let refresh_token = RefreshToken::new(OUTBOUND_REFRESH_TOKEN).unwrap();
        let consent = consents.import(&id("user-7"), refresh_token, SystemTime::now()).await.unwrap();
        let _ = consent.access_token().await.unwrap();
        assert_eq!(files(&directory, ".damaged-").len(), 1);
    }
    assert_eq!(emulator.count(Operation::OutboundToken), 9);
}

async fn foreign_entry_is_not_moved_or_overwritten() {
    // Replaces the record with a record that has a newer version, with a directory, or with a link
    // to another file.
    type Replace = fn(&Path);
    let replaces: [Replace; 3] = [
        |path| {
            let text = fs::read_to_string(path).unwrap();
            fs::write(path, text.replace("\"version\":1", "\"version\":9,\"new\":true")).unwrap();
        },
        |path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        },
        |path| {
            let elsewhere = path.parent().unwrap().parent().unwrap().join("elsewhere");
            fs::rename(path, &elsewhere).unwrap();
            symlink(elsewhere, path).unwrap();
        },
    ];
    for replace in replaces {
        let (_temporary, directory, consent) = stored().await;
        let path = record_file(&directory);
        replace(&path);
        assert!(matches!(load(&directory).await, Err(StoreError::Misconfigured(_))));
        let error = consent.access_token().await.unwrap_err();
        assert!(error.is_store());
        assert!(!error.is_transient());
        assert_eq!(error.advice(), flinks::Advice::FixConfiguration);
        assert!(fs::symlink_metadata(&path).is_ok());
        assert!(files(&directory, ".damaged-").is_empty());
    }
}

async fn files_are_readable_by_their_owner_only() {
    let (_temporary, directory, consent) = stored().await;
    let path = record_file(&directory);
    assert_eq!(mode(&directory), 0o700);
    assert_eq!(mode(&path), 0o600);
    assert!(files(&directory, ".lock").iter().all(|lock| mode(lock) == 0o600));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(consent.idle_deadline().await.is_ok());
    assert_eq!(mode(&path), 0o600);
}

async fn directory_that_others_can_write_to_is_refused() {
    let temporary = tempfile::tempdir().unwrap();
    for (mode, is_accepted) in [(0o770, false), (0o777, false), (0o1777, false), (0o755, true), (0o700, true)] {
        fs::set_permissions(temporary.path(), fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(FileStore::open(temporary.path()).is_ok(), is_accepted, "{mode:o}");
    }
    let file = temporary.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(FileStore::open(&file).is_err());
    assert!(FileStore::open(file.join("below")).is_err());
    assert!(files(temporary.path(), ".new").is_empty(), "the probe file was not removed");
}

async fn unfinished_file_is_removed() {
    let (_temporary, directory, consent) = stored().await;
    let unfinished = record_file(&directory).with_extension("new");
    fs::write(&unfinished, "emu_secret").unwrap();
    let _ = FileStore::open(&directory).unwrap();
    assert!(!unfinished.exists());
    // If the store stays open, the next write replaces the unfinished file, whatever the file's
    // mode.
    fs::write(&unfinished, "emu_secret").unwrap();
    fs::set_permissions(&unfinished, fs::Permissions::from_mode(0o644)).unwrap();
    consent.forget().await.unwrap();
    let refresh_token = RefreshToken::new(OUTBOUND_REFRESH_TOKEN).unwrap();
    let _ = consents(&directory, NOWHERE).import(&id("user-7"), refresh_token, SystemTime::now()).await.unwrap();
    assert!(!unfinished.exists());
    assert_eq!(mode(&record_file(&directory)), 0o600);
    // An unfinished file whose lock is held is not removed.
    let [lock] = &files(&directory, ".lock")[..] else { panic!("expected one lock file") };
    let lock = File::open(lock).unwrap();
    lock.lock().unwrap();
    fs::write(&unfinished, "emu_secret").unwrap();
    let _ = FileStore::open(&directory).unwrap();
    assert!(unfinished.exists());
}

async fn lock_that_is_never_released_times_out() {
    let emulator = Emulator::start().await.unwrap();
    let (_temporary, directory, _) = stored().await;
    let consents = Consents::builder(client(emulator.base_url()))
        .store(FileStore::open(&directory).unwrap())
        .store_timeout(Duration::from_millis(20))
        .build();
    let [lock] = &files(&directory, ".lock")[..] else { panic!("expected one lock file") };
    let held = File::open(lock).unwrap();
    held.lock().unwrap();
    let error = consents.consent(&id("user-7")).access_token().await.unwrap_err();
    assert!(error.is_store(), "{error}");
    assert!(error.is_transient(), "{error}");
    assert_eq!(error.to_string(), "the token store did not respond in time");
    assert_eq!(emulator.count(Operation::OutboundToken), 0);
}

async fn held_lock_does_not_keep_a_runtime_alive() {
    let (_temporary, directory, _) = stored().await;
    let [lock] = &files(&directory, ".lock")[..] else { panic!("expected one lock file") };
    let held = File::open(lock).unwrap();
    held.lock().unwrap();
    let store = FileStore::open(&directory).unwrap();
    let record = store.load(&id("user-7")).await.unwrap().unwrap();
    let swap = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(store.compare_and_swap(Some(record.generation()), &record))
        // The runtime is dropped here. The drop waits for the runtime's threads.
    };
    let outcome = tokio::task::spawn_blocking(swap).await.unwrap();
    let error = outcome.unwrap_err();
    assert!(error.to_string().contains("the token store is locked by another process"), "{error}");
    // If the error were `Unavailable`, this process might refresh without the store and use a
    // refresh token that the other process is using.
    assert!(matches!(error, StoreError::Busy(_)), "{error:?}");
}

async fn forgotten_consent_leaves_no_unfinished_file() {
    let (_temporary, directory, consent) = stored().await;
    let unfinished = record_file(&directory).with_extension("new");
    fs::write(&unfinished, "emu_secret").unwrap();
    consent.forget().await.unwrap();
    assert!(files(&directory, ".json").is_empty());
    assert!(!unfinished.exists());
}

async fn file_names_and_locks_reveal_nothing() {
    let (_temporary, directory, _) = stored().await;
    for path in files(&directory, "") {
        let text = fs::read_to_string(&path).unwrap();
        assert!(!path.to_str().unwrap().contains("user-7"));
        assert_eq!(text.contains("emu_"), path == record_file(&directory));
    }
    let mut debug = Vec::new();
    write!(debug, "{:?}", load(&directory).await.unwrap().unwrap()).unwrap();
    assert!(!String::from_utf8(debug).unwrap().contains("emu_"));
}
