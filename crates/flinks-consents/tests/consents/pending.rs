//! Rules O5 and O9: a write that failed is kept in memory, is stored later, and replaces nothing
//! newer.

use crate::prelude::*;

#[tokio::test]
async fn o5_flush_stores_pending_writes() {
    let local = start().await;
    let store = FaultyStore::default();
    let consents = local.consents(store.clone());
    consents.flush().await.unwrap();
    store.fail_next(CompareAndSwap, StoreFault::unavailable());
    assert!(consents.import(&user(), token("kept"), local.now()).await.is_err());
    store.fail_next(CompareAndSwap, StoreFault::unavailable());
    assert!(consents.flush().await.unwrap_err().is_store());
    consents.flush().await.unwrap();
    assert!(kept_in(store.inner()).await.contains("kept"));
    assert_eq!(local.tokens(), 0);
}

#[tokio::test]
async fn o5_pending_write_is_stored_by_the_next_call_while_the_token_is_valid() {
    let local = start().await;
    local.rotate_refresh_tokens();
    let store = FaultyStore::default();
    let (builder, mut events) = events_of(local.builder().store(store.clone()));
    let consents = builder.build();
    let consent = local.import(&consents).await;
    let first = consent.access_token().await.unwrap();
    local.advance(SECOND);
    store.fail_nth(CompareAndSwap, 2, StoreFault::unavailable());
    assert!(consent.refresh_now().await.unwrap_err().is_store());
    // During the pause, and after it, the token is returned.
    assert_eq!(text(&consent.access_token().await.unwrap()), text(&first));
    local.advance(SECOND);
    assert_eq!(text(&consent.access_token().await.unwrap()), text(&first));
    while !kept_in(store.inner()).await.contains(&local.newest_refresh_token().value) {
        tokio::task::yield_now().await;
    }
    assert_eq!(local.tokens(), 2);
    let mut not_stored = 0;
    while let Ok(event) = events.try_recv() {
        not_stored += u32::from(matches!(event, Event::NotStored { .. }));
    }
    assert_eq!(not_stored, 1);
}

#[tokio::test]
async fn o5_pending_write_does_not_replace_a_newer_consent() {
    let local = start().await;
    let store = FaultyStore::default();
    let one = local.consents(store.clone());
    let other = local.consents(store.inner().clone());
    store.fail_next(CompareAndSwap, StoreFault::unavailable());
    assert!(one.import(&user(), token("older"), local.now()).await.unwrap_err().is_store());
    local.advance(DAY);
    let _ = other.import(&user(), token("newer"), local.now()).await.unwrap();
    one.flush().await.unwrap();
    assert!(kept_in(store.inner()).await.contains("newer"));

    // A pending write replaces an older consent, although that was refreshed since.
    store.fail_next(CompareAndSwap, StoreFault::unavailable());
    local.advance(SECOND);
    assert!(one.import(&user(), token("newest"), local.now()).await.is_err());
    local.advance(SECOND);
    local.emulator.fail_next(TOKEN, lives("299"));
    let _ = other.consent(&user()).refresh_now().await.unwrap();
    one.flush().await.unwrap();
    assert!(kept_in(store.inner()).await.contains("newest"));
}

#[tokio::test]
async fn o5_unconfirmed_write_does_not_replace_what_followed_it() {
    let local = start().await;
    local.rotate_refresh_tokens();
    let store = FaultyStore::default();
    let one = local.consents(store.clone());
    let other = local.consents(store.inner().clone());
    store.fail_next(CompareAndSwap, StoreFault::lost_reply());
    assert!(one.import(&user(), refresh_token(), local.now()).await.unwrap_err().is_store());
    local.advance(SECOND);
    let _ = other.consent(&user()).refresh_now().await.unwrap();
    one.flush().await.unwrap();
    assert!(kept_in(store.inner()).await.contains(&local.newest_refresh_token().value));
}

#[tokio::test]
async fn o5_old_refresh_does_not_replace_a_pending_new_consent() {
    let local = start().await;
    local.rotate_refresh_tokens();
    let store = FaultyStore::default();
    let consents = local.consents(store.clone());
    let consent = local.import(&consents).await;
    let call = local.held_call(&consent, When::After).await;
    store.fail_always(StoreFault::unavailable());
    assert!(matches!(consents.exchange_code(&user(), local.code()).await, Err(SpendError::Spent(_))));
    let newest = local.newest_refresh_token();
    local.emulator.release();
    assert!(call.await.unwrap().is_err());
    store.clear_faults();
    local.advance(MINUTE);
    let token = consent.access_token().await.unwrap();
    assert!(kept_in(store.inner()).await.contains(&newest.value));
    assert_eq!(token.unverified_claims().unwrap().sub, newest.subject);
}

#[tokio::test]
async fn o5_replaced_consent_returns_no_old_token_while_its_write_is_pending() {
    let local = start().await;
    let store = FaultyStore::default();
    let consents = local.consents(store.clone());
    let consent = local.import(&consents).await;
    let _ = consent.access_token().await.unwrap();
    store.fail_next(CompareAndSwap, StoreFault::unavailable());
    assert!(consents.import(&user(), token("newer"), local.now()).await.is_err());
    local.advance(SECOND);
    assert!(consent.access_token().await.unwrap_err().needs_consent(), "the emulator does not know it");
    assert!(kept_in(store.inner()).await.contains("newer"));
}

#[tokio::test]
async fn o9_consent_that_could_not_be_stored_is_kept_in_memory() {
    let local = start().await;
    let store = FaultyStore::default();
    let consents = local.consents(store.clone());
    store.fail_next(CompareAndSwap, StoreFault::unavailable());
    let Err(SpendError::Spent(error)) = consents.exchange_code(&user(), local.code()).await else { panic!() };
    assert!(error.is_store());
    let consent = consents.consent(&user());
    store.fail_next(CompareAndSwap, StoreFault::unavailable());
    assert!(consent.access_token().await.unwrap_err().is_store());
    local.advance(SECOND);
    let _ = consent.access_token().await.unwrap();
    assert_eq!(local.tokens(), 1);
}
