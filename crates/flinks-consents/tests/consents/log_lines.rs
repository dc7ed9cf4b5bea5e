//! The log lines of a consent, as an operator reads them (A3).

use crate::lines::Lines;

use crate::prelude::*;

async fn failing(local: &Local, consents: ConsentsBuilder) -> (Lines, String) {
    let lines = Lines::default();
    let consents = consents.build();
    let consent = consents.import(&id("user-canary"), refresh_token(), local.now()).await.unwrap();
    let name = consent.log_name();
    {
        let _guard = lines.capture();
        local.emulator.clear_faults();
        local.emulator.fail_always(TOKEN, Fault::status(500));
        assert!(consent.access_token().await.is_err());
        // The task of the refresh logs the event.
        consents.shutdown(SECOND * 500).await.unwrap();
    }
    (lines, name)
}

#[tokio::test]
async fn a3_event_names_its_consent_by_a_hash_unless_ids_are_logged() {
    let local = start().await;
    let (lines, name) = failing(&local, local.builder()).await;
    let events = lines.with("could not refresh");
    assert_eq!(events.len(), 1);
    assert!(events[0].contains(&format!("consent=\"{name}\"")), "{events:?}");
    assert_eq!(name.len(), 8);
    assert!(lines.with("canary").is_empty());

    let (lines, name) = failing(&local, local.builder().log_ids()).await;
    assert_eq!(name, "user-canary");
    assert!(lines.with("could not refresh")[0].contains("consent=\"user-canary\""));
}

#[tokio::test]
async fn a3_consent_hash_differs_between_processes() {
    let local = start().await;
    let one = local.consents(MemoryStore::new());
    let other = local.consents(MemoryStore::new());
    let name = one.consent(&user()).log_name();
    assert_eq!(one.consent(&user()).log_name(), name);
    assert_ne!(one.consent(&id("user-8")).log_name(), name);
    assert_ne!(other.consent(&user()).log_name(), name);
}
