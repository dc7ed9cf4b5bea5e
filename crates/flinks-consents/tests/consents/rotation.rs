//! Rule O5: a new refresh token is stored before the access token is returned, and is used next.

use crate::prelude::*;

#[tokio::test]
async fn o5_rotated_refresh_token_is_stored_and_used_next() {
    let local = start().await;
    local.rotate_refresh_tokens();
    let store = MemoryStore::new();
    let consent = consent_in(&local, store.clone()).await;
    for _ in 0..3 {
        let _ = consent.access_token().await.unwrap();
        local.advance(LIFETIME);
    }
    // The record says that there was a rotation, so a new process does not repeat a refresh whose
    // reply was lost (A5).
    let consent = local.consents(store).consent(&user());
    local.emulator.fail_next(TOKEN, Fault::Drop { when: When::Before });
    let error = consent.access_token().await.unwrap_err();
    assert_eq!(error.attempts(), 1);
    assert_eq!(local.tokens(), 4);
    local.advance(SECOND);
    let _ = consent.access_token().await.unwrap();
    assert_eq!(local.tokens(), 5);
}

#[tokio::test]
async fn o5_rotated_refresh_token_is_stored_before_the_access_token_is_returned() {
    let cases =
        [(StoreFault::unavailable(), false), (StoreFault::lost_reply(), false), (StoreFault::lost_reply(), true)];
    for (fault, restarts) in cases {
        let local = start().await;
        local.rotate_refresh_tokens();
        let store = FaultyStore::default();
        let (builder, mut events) = events_of(local.builder().store(store.clone()));
        let consents = builder.build();
        let consent = local.import(&consents).await;
        // The lease can be stored, and the result of the refresh cannot.
        store.fail_nth(CompareAndSwap, 2, fault);
        let error = consent.access_token().await.unwrap_err();
        assert!(error.is_store(), "{error}");
        assert!(error.may_have_been_sent(), "{error}");
        assert!(!error.needs_consent(), "{error}");
        assert!(matches!(events.recv().await, Some(Event::NotStored { .. })));
        assert!(consent.idle_deadline().await.unwrap() > local.now() + 29 * DAY);
        // The refresh token is in memory until it is stored, although nobody holds the consent.
        drop(consent);
        local.advance(SECOND);
        let consents = if restarts { local.consents(store.clone()) } else { consents };
        let consent = consents.consent(&user());
        let _ = consent.access_token().await.unwrap();
        assert_eq!(local.tokens(), 1, "the token of the first refresh is returned");
        local.advance(LIFETIME);
        let _ = consent.access_token().await.unwrap();
        assert_eq!(local.tokens(), 2);
        let newest = local.newest_refresh_token();
        assert!(kept_in(store.inner()).await.contains(&newest.value));
    }
}

#[tokio::test]
async fn o5_failed_write_without_a_rotation_still_returns_the_token() {
    let local = start().await;
    let store = FaultyStore::default();
    let consent = consent_in(&local, store.clone()).await;
    store.fail_nth(CompareAndSwap, 2, StoreFault::unavailable());
    let token = consent.access_token().await.unwrap();
    assert_eq!(text(&consent.access_token().await.unwrap()), text(&token));
    local.advance(LIFETIME);
    let _ = consent.access_token().await.unwrap();
    assert_eq!(local.tokens(), 2);
}

#[tokio::test]
async fn o5_rotation_seen_in_the_store_counts_for_every_consent() {
    let local = start().await;
    local.rotate_refresh_tokens();
    let store = FaultyStore::default();
    let machine = || local.consents_with(store.clone(), OutagePolicy::RefreshWithoutStore);
    let first = machine().import(&user(), refresh_token(), local.now()).await.unwrap();
    let _ = first.access_token().await.unwrap();
    // Another machine reads that record, and takes over a consent.
    let other = machine();
    let _ = other.consent(&user()).access_token().await.unwrap();
    let consent = other.import(&id("user-8"), token("emu_other"), local.now()).await.unwrap();
    store.fail_always(StoreFault::unavailable());
    assert!(consent.access_token().await.unwrap_err().is_store());
    assert_eq!(local.tokens(), 1);
}

#[tokio::test]
async fn o5_rotated_token_survives_damage_to_the_record() {
    for moved_aside in [false, true] {
        let local = start().await;
        local.rotate_refresh_tokens();
        let directory = tempfile::tempdir().unwrap();
        let store = FileStore::open(directory.path()).unwrap();
        let consent = consent_in(&local, store.clone()).await;
        let call = local.held_call(&consent, When::After).await;
        for entry in std::fs::read_dir(directory.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().unwrap() == "json" {
                std::fs::write(path, "garbage").unwrap();
            }
        }
        if moved_aside {
            // Another process loads the record, which moves it aside.
            assert!(matches!(store.load(&user()).await, Err(StoreError::Damaged(_))));
        }
        local.emulator.release();
        assert_eq!(call.await.unwrap().is_ok(), moved_aside);
        local.advance(SECOND);
        let _ = consent.access_token().await.unwrap();
        assert_eq!(local.tokens(), 1);
        let newest = local.newest_refresh_token();
        assert!(kept_in(&store).await.contains(&newest.value));
    }
}
