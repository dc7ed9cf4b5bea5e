//! Faults in a file store.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use flinks_emulator::Emulator;

use crate::Tests;
use crate::support::{Doctor, emulator};

pub(crate) const TESTS: Tests = &[
    ("nothing_is_wrong_with_files", nothing_is_wrong),
    ("a_damaged_record_is_found", damaged_record),
    ("a_record_that_was_moved_aside_is_found", moved_aside),
    ("a_folder_of_other_users_is_found", other_users),
    ("a_volume_that_is_not_mounted_is_found", not_mounted),
    ("a_consent_that_idles_out_soon_is_a_warning", due_consent),
];

/// Creates a store with one consent, and returns its folder.
fn store() -> (Emulator, Doctor, PathBuf) {
    let emulator = emulator();
    let doctor = Doctor::of(&emulator);
    doctor.add_consent("user-7", &[]);
    let folder = doctor.path().join("consents/default");
    (emulator, doctor, folder)
}

fn record(folder: &PathBuf) -> PathBuf {
    let mut entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.find(|path| path.extension().is_some_and(|extension| extension == "json")).unwrap()
}

fn nothing_is_wrong() {
    let (_emulator, doctor, _) = store();
    doctor.run(&["store"]).assert_nothing_is_wrong();
}

fn damaged_record() {
    let (_emulator, doctor, folder) = store();
    std::fs::write(record(&folder), "canary").unwrap();
    let report = doctor.run(&["store"]);
    report.assert_failed("store", "records").is("1 of 1 records are unreadable").has_cure("backup").exits_with(1);
}

fn moved_aside() {
    let (_emulator, doctor, folder) = store();
    let record = record(&folder);
    std::fs::rename(&record, record.with_extension("damaged-1")).unwrap();
    let report = doctor.run(&["store"]);
    report.assert_failed("store", "records").is("1 damaged files").has_cure("backup").exits_with(1);
}

fn other_users() {
    let (_emulator, doctor, folder) = store();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
    let report = doctor.run(&["store"]);
    report.assert_failed("store", "connection").has_cure("chmod 700").exits_with(4);
}

fn not_mounted() {
    let (_emulator, doctor, folder) = store();
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::create_dir(&folder).unwrap();
    let report = doctor.run(&["store"]);
    report.assert_failed("store", "connection").is("is empty").has_cure("mount the volume").guessed().exits_with(4);
}

fn due_consent() {
    let (_emulator, doctor, _) = store();
    let last_used = SystemTime::now() - Duration::from_secs(29 * 24 * 60 * 60);
    doctor.add_consent("user-8", &["--last-used", &humantime::format_rfc3339_seconds(last_used).to_string()]);
    let report = doctor.run(&["store"]);
    report
        .assert_warning("store", "consents")
        .is("1 consents idle out within 2 days")
        .has_cure("flinks keep-alive")
        .exits_with(0);
}
