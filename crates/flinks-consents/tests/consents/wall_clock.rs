//! Tests that a consent is still refreshed if its record was written while the wall clock was
//! ahead. (O5, A4)

use crate::prelude::*;

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Creates a `Consents` value for a machine whose wall clock is ahead by `by`.
pub(crate) fn consents_with_fast_clock(setup: &Setup, by: Duration, store: impl TokenStore) -> Consents {
    let clock = auto_advancing_clock();
    clock.set_wall(setup.now() + by);
    let client = client_at(&setup.emulator, &clock, credentials());
    Consents::builder(client).store(store).store_timeout(TIMEOUT).build()
}

async fn check_fast_clock(store: impl TokenStore + Clone) {
    for by in [YEAR, DAY, HOUR] {
        let setup = start().await;
        let consents = setup.consents(store.clone());
        let _ = consents.import(&id("other"), refresh_token(), setup.now()).await.unwrap();
        let fast = consents_with_fast_clock(&setup, by, store.clone());
        let consent = setup.import(&fast).await;
        let _ = consent.access_token().await.unwrap();
        // The age of the refresh token is unknown, so the consent is due and is listed first.
        assert_eq!(consents.due_within(DAY, 10).await.unwrap(), [user()], "{by:?}");
        assert_eq!(consents.due_within(Duration::MAX, 10).await.unwrap(), [user(), id("other")], "{by:?}");
        let consent = consents.consent(&user());
        assert_eq!(consent.idle_deadline().await.unwrap(), setup.now(), "{by:?}");
        // A refresh writes the correct time.
        let _ = consent.refresh_now().await.unwrap();
        assert!(consents.due_within(29 * DAY, 10).await.unwrap().is_empty(), "{by:?}");
        assert!(consent.idle_deadline().await.unwrap() <= setup.now() + 30 * DAY, "{by:?}");
        for name in ["user-7", "other"] {
            consents.consent(&id(name)).forget().await.unwrap();
        }
    }
}

#[tokio::test]
async fn o5_refresh_on_a_fast_clock_makes_the_consent_due() {
    check_fast_clock(MemoryStore::new()).await;
    let directory = tempfile::tempdir().unwrap();
    check_fast_clock(FileStore::open(directory.path().join("consents")).unwrap()).await;
}

#[tokio::test]
async fn o5_clock_that_is_fast_by_seconds_makes_no_consent_due() {
    let setup = start().await;
    let store = MemoryStore::new();
    let fast = consents_with_fast_clock(&setup, Duration::from_secs(30), store.clone());
    let _ = setup.import(&fast).await;
    let _ = fast.consent(&user()).access_token().await.unwrap();
    assert!(setup.consents(store).due_within(29 * DAY, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn o9_new_consent_replaces_a_record_with_a_future_time() {
    let setup = start().await;
    let store = FaultyStore::default();
    let fast = consents_with_fast_clock(&setup, YEAR, store.clone());
    let _ = setup.import(&fast).await;
    // The end user consents again. The new consent cannot be stored yet and is flushed later.
    let consents = setup.consents(store.clone());
    store.fail_always(StoreFault::unavailable());
    assert!(consents.exchange_code(&user(), setup.code()).await.is_err());
    store.clear_faults();
    setup.advance(SECOND);
    consents.flush().await.unwrap();
    assert!(!stored_record(store.inner()).await.contains(refresh_token().expose_secret()));
    setup.advance(LIFETIME);
}

#[tokio::test]
async fn o5_import_with_the_correct_time_replaces_a_future_time() {
    let setup = start().await;
    let store = MemoryStore::new();
    let fast = consents_with_fast_clock(&setup, YEAR, store.clone());
    let _ = fast.import(&user(), refresh_token(), setup.now() + YEAR).await.unwrap();
    let consents = setup.consents(store);
    let consent = setup.import(&consents).await;
    assert_eq!(consent.idle_deadline().await.unwrap().duration_since(setup.now()).unwrap().as_secs() / 86_400, 29);
}
