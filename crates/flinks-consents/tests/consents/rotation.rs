//! Tests that a rotated refresh token is stored before the access token is returned. Also tests
//! that the next refresh uses the new refresh token. (O5)

use crate::prelude::*;

#[tokio::test]
async fn o5_rotated_refresh_token_is_stored_and_used_next() {
    let setup = start().await;
    setup.rotate_refresh_tokens();
    let store = MemoryStore::new();
    let consent = consent_in(&setup, store.clone()).await;
    for _ in 0..3 {
        let _ = consent.access_token().await.unwrap();
        setup.advance(LIFETIME);
    }
    // The record shows that Flinks has rotated the refresh token, so a new process does not retry a
    // refresh whose response was lost. (A5)
    let consent = setup.consents(store).consent(&user());
    setup.emulator.fail_next(TOKEN, Fault::Drop { when: When::Before });
    let error = consent.access_token().await.unwrap_err();
    assert_eq!(error.attempts(), 1);
    assert_eq!(setup.token_requests(), 4);
    setup.advance(SECOND);
    let _ = consent.access_token().await.unwrap();
    assert_eq!(setup.token_requests(), 5);
}

#[tokio::test]
async fn o5_rotated_refresh_token_is_stored_before_the_access_token_is_returned() {
    let cases =
        [(StoreFault::unavailable(), false), (StoreFault::lost_reply(), false), (StoreFault::lost_reply(), true)];
    for (fault, restarts) in cases {
        let setup = start().await;
        setup.rotate_refresh_tokens();
        let store = FaultyStore::default();
        let (builder, mut events) = with_event_channel(setup.builder().store(store.clone()));
        let consents = builder.build();
        let consent = setup.import(&consents).await;
        // Writing the lease succeeds, but writing the result fails.
        store.fail_nth(CompareAndSwap, 2, fault);
        let error = consent.access_token().await.unwrap_err();
        assert!(error.is_store(), "{error}");
        assert!(error.may_have_been_sent(), "{error}");
        assert!(!error.needs_consent(), "{error}");
        assert!(matches!(events.recv().await, Some(Event::NotStored { .. })));
        assert!(consent.idle_deadline().await.unwrap() > setup.now() + 29 * DAY);
        // The refresh token stays in memory until it is stored, even if no handle to the consent
        // exists.
        drop(consent);
        setup.advance(SECOND);
        let consents = if restarts { setup.consents(store.clone()) } else { consents };
        let consent = consents.consent(&user());
        let _ = consent.access_token().await.unwrap();
        assert_eq!(setup.token_requests(), 1, "the token of the first refresh was not returned");
        setup.advance(LIFETIME);
        let _ = consent.access_token().await.unwrap();
        assert_eq!(setup.token_requests(), 2);
        let newest = setup.newest_refresh_token();
        assert!(stored_record(store.inner()).await.contains(&newest.value));
    }
}

#[tokio::test]
async fn o5_failed_write_without_a_rotation_still_returns_the_token() {
    let setup = start().await;
    let store = FaultyStore::default();
    let consent = consent_in(&setup, store.clone()).await;
    store.fail_nth(CompareAndSwap, 2, StoreFault::unavailable());
    let token = consent.access_token().await.unwrap();
    assert_eq!(text(&consent.access_token().await.unwrap()), text(&token));
    setup.advance(LIFETIME);
    let _ = consent.access_token().await.unwrap();
    assert_eq!(setup.token_requests(), 2);
}

#[tokio::test]
async fn o5_rotation_of_one_consent_applies_to_all_consents() {
    let setup = start().await;
    setup.rotate_refresh_tokens();
    let store = FaultyStore::default();
    let new_machine = || setup.consents_with(store.clone(), OutagePolicy::RefreshWithoutStore);
    let first = new_machine().import(&user(), refresh_token(), setup.now()).await.unwrap();
    let _ = first.access_token().await.unwrap();
    // Another machine loads that record and imports another consent.
    let other = new_machine();
    let _ = other.consent(&user()).access_token().await.unwrap();
    let consent = other.import(&id("user-8"), token("emu_other"), setup.now()).await.unwrap();
    store.fail_always(StoreFault::unavailable());
    assert!(consent.access_token().await.unwrap_err().is_store());
    assert_eq!(setup.token_requests(), 1);
}

#[tokio::test]
async fn o5_rotated_token_survives_damage_to_the_record() {
    for is_moved_aside in [false, true] {
        let setup = start().await;
        setup.rotate_refresh_tokens();
        let directory = tempfile::tempdir().unwrap();
        let store = FileStore::open(directory.path()).unwrap();
        let consent = consent_in(&setup, store.clone()).await;
        let call = setup.held_call(&consent, When::After).await;
        for entry in std::fs::read_dir(directory.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().unwrap() == "json" {
                std::fs::write(path, "garbage").unwrap();
            }
        }
        if is_moved_aside {
            // Another process tries to load the record. The store then moves the damaged file
            // aside.
            assert!(matches!(store.load(&user()).await, Err(StoreError::Damaged(_))));
        }
        setup.emulator.release();
        assert_eq!(call.await.unwrap().is_ok(), is_moved_aside);
        setup.advance(SECOND);
        let _ = consent.access_token().await.unwrap();
        assert_eq!(setup.token_requests(), 1);
        let newest = setup.newest_refresh_token();
        assert!(stored_record(&store).await.contains(&newest.value));
    }
}
