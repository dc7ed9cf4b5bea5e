//! A wall clock that was ahead: what it wrote must not hide a consent (O5, A4).

use crate::prelude::*;

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The consents of a process on a machine whose clock is ahead.
pub(crate) fn ahead(local: &Local, by: Duration, store: impl TokenStore) -> Consents {
    let clock = auto_advancing_clock();
    clock.set_wall(local.now() + by);
    let client = client_at(&local.emulator, &clock, credentials());
    Consents::builder(client).store(store).store_timeout(TIMEOUT).build()
}

async fn check(store: impl TokenStore + Clone) {
    for by in [YEAR, DAY, HOUR] {
        let local = start().await;
        let consents = local.consents(store.clone());
        let _ = consents.import(&id("other"), refresh_token(), local.now()).await.unwrap();
        let wrong = ahead(&local, by, store.clone());
        let consent = local.import(&wrong).await;
        let _ = consent.access_token().await.unwrap();
        // The age of the refresh token is unknown, so it is due, and comes first.
        assert_eq!(consents.due_within(DAY, 10).await.unwrap(), [user()], "{by:?}");
        assert_eq!(consents.due_within(Duration::MAX, 10).await.unwrap(), [user(), id("other")], "{by:?}");
        let consent = consents.consent(&user());
        assert_eq!(consent.idle_deadline().await.unwrap(), local.now(), "{by:?}");
        // A refresh writes the true time.
        let _ = consent.refresh_now().await.unwrap();
        assert!(consents.due_within(29 * DAY, 10).await.unwrap().is_empty(), "{by:?}");
        assert!(consent.idle_deadline().await.unwrap() <= local.now() + 30 * DAY, "{by:?}");
        for name in ["user-7", "other"] {
            consents.consent(&id(name)).forget().await.unwrap();
        }
    }
}

#[tokio::test]
async fn o5_refresh_on_a_clock_ahead_makes_the_consent_due() {
    check(MemoryStore::new()).await;
    let directory = tempfile::tempdir().unwrap();
    check(FileStore::open(directory.path().join("consents")).unwrap()).await;
}

#[tokio::test]
async fn o5_clock_ahead_by_seconds_makes_nothing_due() {
    let local = start().await;
    let store = MemoryStore::new();
    let wrong = ahead(&local, Duration::from_secs(30), store.clone());
    let _ = local.import(&wrong).await;
    let _ = wrong.consent(&user()).access_token().await.unwrap();
    assert!(local.consents(store).due_within(29 * DAY, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn o9_new_consent_replaces_one_from_the_future() {
    let local = start().await;
    let store = FaultyStore::default();
    let wrong = ahead(&local, YEAR, store.clone());
    let _ = local.import(&wrong).await;
    // The end user consents again, and the store accepts that only later.
    let consents = local.consents(store.clone());
    store.fail_always(StoreFault::unavailable());
    assert!(consents.exchange_code(&user(), local.code()).await.is_err());
    store.clear_faults();
    local.advance(SECOND);
    consents.flush().await.unwrap();
    assert!(!kept_in(store.inner()).await.contains(refresh_token().expose_secret()));
    local.advance(LIFETIME);
}

#[tokio::test]
async fn o5_insertion_with_the_true_time_corrects_one_from_the_future() {
    let local = start().await;
    let store = MemoryStore::new();
    let wrong = ahead(&local, YEAR, store.clone());
    let _ = wrong.import(&user(), refresh_token(), local.now() + YEAR).await.unwrap();
    let consents = local.consents(store);
    let consent = local.import(&consents).await;
    assert_eq!(consent.idle_deadline().await.unwrap().duration_since(local.now()).unwrap().as_secs() / 86_400, 29);
}
