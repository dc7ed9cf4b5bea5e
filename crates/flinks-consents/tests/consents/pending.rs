//! Tests pending writes: a record whose write has failed stays in memory and is stored later, but
//! never replaces a newer record. (O5, O9)

use crate::prelude::*;

#[tokio::test]
async fn o5_flush_stores_pending_writes() {
    let setup = start().await;
    let store = FaultyStore::default();
    let consents = setup.consents(store.clone());
    consents.flush().await.unwrap();
    store.fail_next(CompareAndSwap, StoreFault::unavailable());
    assert!(consents.import(&user(), token("pending"), setup.now()).await.is_err());
    store.fail_next(CompareAndSwap, StoreFault::unavailable());
    assert!(consents.flush().await.unwrap_err().is_store());
    consents.flush().await.unwrap();
    assert!(stored_record(store.inner()).await.contains("pending"));
    assert_eq!(setup.token_requests(), 0);
}

#[tokio::test]
async fn o5_pending_write_is_stored_by_the_next_call_while_the_token_is_valid() {
    let setup = start().await;
    setup.rotate_refresh_tokens();
    let store = FaultyStore::default();
    let (builder, mut events) = with_event_channel(setup.builder().store(store.clone()));
    let consents = builder.build();
    let consent = setup.import(&consents).await;
    let first = consent.access_token().await.unwrap();
    setup.advance(SECOND);
    store.fail_nth(CompareAndSwap, 2, StoreFault::unavailable());
    assert!(consent.refresh_now().await.unwrap_err().is_store());
    // The cached token is returned during and after the back-off.
    assert_eq!(text(&consent.access_token().await.unwrap()), text(&first));
    setup.advance(SECOND);
    assert_eq!(text(&consent.access_token().await.unwrap()), text(&first));
    while !stored_record(store.inner()).await.contains(&setup.newest_refresh_token().value) {
        tokio::task::yield_now().await;
    }
    assert_eq!(setup.token_requests(), 2);
    let mut not_stored = 0;
    while let Ok(event) = events.try_recv() {
        not_stored += u32::from(matches!(event, Event::NotStored { .. }));
    }
    assert_eq!(not_stored, 1);
}

#[tokio::test]
async fn o5_pending_write_does_not_replace_a_newer_consent() {
    let setup = start().await;
    let store = FaultyStore::default();
    let one = setup.consents(store.clone());
    let other = setup.consents(store.inner().clone());
    store.fail_next(CompareAndSwap, StoreFault::unavailable());
    assert!(one.import(&user(), token("older"), setup.now()).await.unwrap_err().is_store());
    setup.advance(DAY);
    let _ = other.import(&user(), token("newer"), setup.now()).await.unwrap();
    one.flush().await.unwrap();
    assert!(stored_record(store.inner()).await.contains("newer"));

    // A pending write replaces an older consent, even if that consent was refreshed in the
    // meantime.
    store.fail_next(CompareAndSwap, StoreFault::unavailable());
    setup.advance(SECOND);
    assert!(one.import(&user(), token("newest"), setup.now()).await.is_err());
    setup.advance(SECOND);
    setup.emulator.fail_next(TOKEN, response_with_lifetime("299"));
    let _ = other.consent(&user()).refresh_now().await.unwrap();
    one.flush().await.unwrap();
    assert!(stored_record(store.inner()).await.contains("newest"));
}

#[tokio::test]
async fn o5_unconfirmed_write_does_not_replace_a_later_refresh() {
    let setup = start().await;
    setup.rotate_refresh_tokens();
    let store = FaultyStore::default();
    let one = setup.consents(store.clone());
    let other = setup.consents(store.inner().clone());
    store.fail_next(CompareAndSwap, StoreFault::lost_reply());
    assert!(one.import(&user(), refresh_token(), setup.now()).await.unwrap_err().is_store());
    setup.advance(SECOND);
    let _ = other.consent(&user()).refresh_now().await.unwrap();
    one.flush().await.unwrap();
    assert!(stored_record(store.inner()).await.contains(&setup.newest_refresh_token().value));
}

#[tokio::test]
async fn o5_old_refresh_does_not_replace_a_pending_new_consent() {
    let setup = start().await;
    setup.rotate_refresh_tokens();
    let store = FaultyStore::default();
    let consents = setup.consents(store.clone());
    let consent = setup.import(&consents).await;
    let call = setup.held_call(&consent, When::After).await;
    store.fail_always(StoreFault::unavailable());
    assert!(matches!(consents.exchange_code(&user(), setup.code()).await, Err(SpendError::Spent(_))));
    let newest = setup.newest_refresh_token();
    setup.emulator.release();
    assert!(call.await.unwrap().is_err());
    store.clear_faults();
    setup.advance(MINUTE);
    let token = consent.access_token().await.unwrap();
    assert!(stored_record(store.inner()).await.contains(&newest.value));
    assert_eq!(token.unverified_claims().unwrap().sub, newest.subject);
}

#[tokio::test]
async fn o5_old_token_is_not_returned_while_a_new_consent_is_pending() {
    let setup = start().await;
    let store = FaultyStore::default();
    let consents = setup.consents(store.clone());
    let consent = setup.import(&consents).await;
    let _ = consent.access_token().await.unwrap();
    store.fail_next(CompareAndSwap, StoreFault::unavailable());
    assert!(consents.import(&user(), token("newer"), setup.now()).await.is_err());
    setup.advance(SECOND);
    // The emulator does not know the new refresh token, so it refuses the refresh.
    assert!(consent.access_token().await.unwrap_err().needs_consent());
    assert!(stored_record(store.inner()).await.contains("newer"));
}

#[tokio::test]
async fn o9_consent_that_could_not_be_stored_is_kept_in_memory() {
    let setup = start().await;
    let store = FaultyStore::default();
    let consents = setup.consents(store.clone());
    store.fail_next(CompareAndSwap, StoreFault::unavailable());
    let Err(SpendError::Spent(error)) = consents.exchange_code(&user(), setup.code()).await else {
        panic!("expected the code to be spent")
    };
    assert!(error.is_store());
    let consent = consents.consent(&user());
    store.fail_next(CompareAndSwap, StoreFault::unavailable());
    assert!(consent.access_token().await.unwrap_err().is_store());
    setup.advance(SECOND);
    let _ = consent.access_token().await.unwrap();
    assert_eq!(setup.token_requests(), 1);
}

/// A delayed write from another process expects a generation of the removed record, so the new
/// record must not have that generation.
#[tokio::test]
async fn o5_consent_that_is_stored_after_a_removal_has_a_new_generation() {
    let setup = start().await;
    let store = FaultyStore::default();
    let consents = setup.consents(store.clone());
    let _ = consents.import(&user(), token("removed"), setup.now()).await.unwrap();
    let removed = store.inner().load(&user()).await.unwrap().unwrap();
    let before = store.count(CompareAndSwap);
    store.fail_nth(CompareAndSwap, 2, StoreFault::Hold);
    let import = tokio::spawn({
        let (consents, now) = (consents.clone(), setup.now());
        async move { consents.import(&user(), token("new"), now).await }
    });
    store.received(CompareAndSwap, before + 2).await;
    assert!(store.inner().remove(&user(), removed.generation()).await.unwrap());
    store.release();
    let _ = import.await.unwrap().unwrap();
    let stored = store.inner().load(&user()).await.unwrap().unwrap();
    assert!(stored_record(store.inner()).await.contains("new"));
    assert_ne!(stored.generation(), removed.generation() + 1);
}
