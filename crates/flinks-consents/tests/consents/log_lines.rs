//! Tests the log lines about a consent. (A3)

use crate::lines::Lines;

use crate::prelude::*;

/// Makes a refresh fail and returns the log lines and the name that identifies the consent in the
/// log.
async fn log_failed_refresh(setup: &Setup, consents: ConsentsBuilder) -> (Lines, String) {
    let lines = Lines::default();
    let consents = consents.build();
    let consent = consents.import(&id("user-canary"), refresh_token(), setup.now()).await.unwrap();
    let name = consent.log_name();
    {
        let _guard = lines.capture();
        setup.emulator.clear_faults();
        setup.emulator.fail_always(TOKEN, Fault::status(500));
        assert!(consent.access_token().await.is_err());
        // The refresh's background task logs the event. The shutdown waits for that task.
        consents.shutdown(SECOND * 500).await.unwrap();
    }
    (lines, name)
}

#[tokio::test]
async fn a3_log_names_a_consent_by_a_hash_unless_ids_are_logged() {
    let setup = start().await;
    let (lines, name) = log_failed_refresh(&setup, setup.builder()).await;
    let events = lines.with("could not refresh");
    assert_eq!(events.len(), 1);
    assert!(events[0].contains(&format!("consent=\"{name}\"")), "{events:?}");
    assert_eq!(name.len(), 8);
    assert!(lines.with("canary").is_empty());

    let (lines, name) = log_failed_refresh(&setup, setup.builder().log_ids()).await;
    assert_eq!(name, "user-canary");
    assert!(lines.with("could not refresh")[0].contains("consent=\"user-canary\""));
}

#[tokio::test]
async fn a3_consent_hash_differs_between_processes() {
    let setup = start().await;
    let one = setup.consents(MemoryStore::new());
    let other = setup.consents(MemoryStore::new());
    let name = one.consent(&user()).log_name();
    assert_eq!(one.consent(&user()).log_name(), name);
    assert_ne!(one.consent(&id("user-8")).log_name(), name);
    assert_ne!(other.consent(&user()).log_name(), name);
}
