//! `flinks consents` and `flinks keep-alive` with the store in files.

use std::fs;

use flinks_emulator::credentials::OUTBOUND_REFRESH_TOKEN;
use flinks_emulator::{Fault, Operation};

use crate::support::{Home, assert_command};

#[test]
fn consents_are_listed_and_shown() {
    let home = Home::with_profile();
    assert_command!(home, ["consents", "list"]);
    home.add_consent("user-7");
    assert_command!(home, ["consents", "list"]);
    assert_command!(home, ["consents", "list", "--owner", "user-7", "--json"]);
    assert_command!(home, ["consents", "show", "user-7"]);
    assert_command!(home, ["consents", "show", "user-7", "--json"]);
    assert_command!(home, ["consents", "show", "user-8"]);
}

#[test]
fn a_consent_is_refreshed_and_revoked() {
    let home = Home::with_profile();
    home.add_consent("user-7");
    assert_command!(home, ["consents", "refresh", "user-7"]);
    assert_eq!(home.emulator.count(Operation::OutboundToken), 1);
    assert_command!(home, ["consents", "revoke", "user-7"]);
    assert_eq!(home.emulator.count(Operation::OutboundRevoke), 1);
    assert_command!(home, ["consents", "revoke", "user-7"]);
}

#[test]
fn o5_an_unused_consent_is_due_and_kept_alive() {
    let home = Home::with_profile();
    assert_command!(home, ["consents", "due"]);
    // 25 days ago.
    let last_used = std::time::SystemTime::now() - std::time::Duration::from_secs(25 * 24 * 60 * 60);
    let last_used = humantime::format_rfc3339_seconds(last_used).to_string();
    let arguments = ["consents", "import", "idle", "--last-used", &last_used];
    assert!(home.run_with_input(&arguments, OUTBOUND_REFRESH_TOKEN).status.success());
    assert_command!(home, ["consents", "due", "--json"]);
    assert_command!(home, ["keep-alive", "--once"]);
    assert_command!(home, ["keep-alive", "--json"]);
    assert_eq!(home.emulator.count(Operation::OutboundToken), 1);
}

#[test]
fn a_keep_alive_run_reports_what_needs_attention() {
    let home = Home::with_profile();
    let arguments = ["consents", "import", "idle", "--last-used", "2020-01-01T00:00:00Z"];
    assert!(home.run_with_input(&arguments, OUTBOUND_REFRESH_TOKEN).status.success());
    assert_command!(home, ["keep-alive"]);

    let last_used = std::time::SystemTime::now() - std::time::Duration::from_secs(25 * 24 * 60 * 60);
    let last_used = humantime::format_rfc3339_seconds(last_used).to_string();
    let arguments = ["consents", "import", "outage", "--last-used", &last_used];
    assert!(home.run_with_input(&arguments, "another-refresh-token").status.success());
    home.emulator.fail_always(Operation::OutboundToken, Fault::status(503));
    assert_command!(home, ["keep-alive"]);
}

#[test]
fn an_invalid_refresh_token_is_refused() {
    let home = Home::with_profile();
    assert_command!(home, ["consents", "import", "user-7"], input: "");
    assert_command!(home, ["consents", "import", "user-7"], input: "two\nlines");
    assert_command!(home, ["consents", "import", ""], input: "token");
}

#[test]
fn o8_a_line_break_after_a_refresh_token_is_removed() {
    let home = Home::with_profile();
    let output = home.run_with_input(&["consents", "import", "user-7"], &format!("{OUTBOUND_REFRESH_TOKEN}\r\n"));
    assert!(output.status.success());
    home.succeed(&["token", "outbound", "--consent", "user-7"]);
}

#[test]
fn a_replaced_refresh_token_survives_the_end_of_the_command() {
    let home = Home::with_rotation();
    home.add_consent("user-7");
    for _ in 0..3 {
        home.succeed(&["consents", "refresh", "user-7"]);
    }
    assert_eq!(home.emulator.count(Operation::OutboundToken), 3);
}

#[test]
fn a_damaged_record_is_reported() {
    let home = Home::with_profile();
    home.add_consent("user-7");
    home.add_consent("user-8");
    let folder = home.path().join("consents/emulator");
    let record = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "json"));
    let record = record.unwrap();
    fs::write(&record, "{").unwrap();
    let output = home.run(&["consents", "list"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("unreadable records: 1"));
}

#[test]
fn consents_move_to_the_store_of_another_profile() {
    let home = Home::with_profile();
    home.add_consent("user-7");
    home.add_consent("user-8");
    let sections = "[store]\nkind = \"file\"\npath = \"other-store\"\n";
    assert!(home.run_with_input(&["init", "--profile", "other", "--secrets", "file"], sections).status.success());
    assert_command!(home, ["consents", "migrate", "--to", "other"]);
    assert_command!(home, ["consents", "list"]);
    assert!(home.path().join("other-store").is_dir());
    home.succeed(&["config", "set", "store.path", "other-store"]);
    assert!(home.succeed(&["consents", "list"]).contains("user-8"));
    assert_command!(home, ["consents", "migrate", "--to", "emulator"]);
}

#[test]
fn a_forgotten_consent_is_not_revoked() {
    let home = Home::with_profile();
    home.add_consent("user-7");
    assert_command!(home, ["consents", "forget", "user-7"]);
    assert_command!(home, ["consents", "forget", "user-7"]);
    assert_eq!(home.emulator.count(Operation::OutboundRevoke), 0);
}

#[test]
fn a_missing_folder_is_not_the_old_store_of_a_migration() {
    let home = Home::with_profile();
    let sections = "[store]\nkind = \"file\"\npath = \"other-store\"\n";
    assert!(home.run_with_input(&["init", "--profile", "other", "--secrets", "file"], sections).status.success());
    home.succeed(&["config", "set", "store.path", "unmounted"]);
    assert!(!home.run(&["consents", "migrate", "--to", "other"]).status.success());
    assert!(!home.path().join("unmounted").exists());
}

#[test]
fn a_consent_that_is_in_both_stores_is_named() {
    let home = Home::with_profile();
    let sections = "[store]\nkind = \"file\"\npath = \"other-store\"\n";
    assert!(home.run_with_input(&["init", "--profile", "other", "--secrets", "file"], sections).status.success());
    for path in ["other-store", "store"] {
        home.succeed(&["config", "set", "store.path", path]);
        home.add_consent("user-7");
    }
    home.add_consent("user-8");
    assert_command!(home, ["consents", "migrate", "--to", "other"]);
}

#[test]
fn a_store_that_cannot_be_opened_is_a_configuration_error() {
    let home = Home::with_profile();
    home.succeed(&["config", "set", "store.kind", "postgres"]);
    assert_command!(home, ["consents", "list"]);
    home.succeed(&["config", "set", "store.url", "postgres://app@db.internal/app"]);
    assert_command!(home, ["consents", "list"]);
}
