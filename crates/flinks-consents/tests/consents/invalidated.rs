//! Tests that an access token is not returned again after an API has rejected it. (O4)

use crate::prelude::*;

#[tokio::test]
async fn o4_fifty_rejections_of_one_token_cause_one_refresh() {
    let setup = start().await;
    let consent = setup.consent().await;
    let rejected = consent.access_token().await.unwrap();
    setup.advance(SECOND);
    let mut tokens = Vec::new();
    for _ in 0..50 {
        consent.invalidate(&rejected);
        tokens.push(text(&consent.access_token().await.unwrap()));
    }
    tokens.dedup();
    assert_eq!(tokens.len(), 1);
    assert_ne!(tokens[0], text(&rejected));
    assert_eq!(setup.token_requests(), 2);

    // Rejecting a token from another source has no effect.
    let other = AppTokenSource::new(setup.client(), None).access_token().await.unwrap();
    consent.invalidate(&other);
    assert_eq!(text(&consent.access_token().await.unwrap()), tokens[0]);
    assert_eq!(setup.token_requests(), 3);

    let store = MemoryStore::new();
    let handle = consent_in(&setup, store.clone()).await;
    let rejected = handle.access_token().await.unwrap();
    let fresh = setup.consents(store).consent(&user());
    fresh.invalidate(&rejected);
    assert_ne!(text(&fresh.access_token().await.unwrap()), text(&rejected));
}

#[tokio::test]
async fn o4_token_that_is_issued_again_counts_as_a_new_token() {
    let setup = start().await;
    let consent = setup.consent().await;
    let first = consent.access_token().await.unwrap();
    setup.advance(SECOND);
    setup.emulator.fail_next(TOKEN, Fault::DuplicateToken);
    consent.invalidate(&first);
    let second = consent.access_token().await.unwrap();
    assert_eq!(text(&first), text(&second));
    consent.invalidate(&first);
    let _ = consent.access_token().await.unwrap();
    assert_eq!(setup.token_requests(), 2);
}

#[tokio::test]
async fn o4_rejected_token_stays_rejected_among_many_consents() {
    let setup = start().await;
    let consents = setup.consents(MemoryStore::new());
    let consent = setup.import(&consents).await;
    let rejected = consent.access_token().await.unwrap();
    setup.advance(2 * SECOND);
    consent.invalidate(&rejected);
    drop(consent);
    for number in 0..3000 {
        drop(consents.consent(&id(&number.to_string())));
    }
    assert_ne!(text(&consents.consent(&user()).access_token().await.unwrap()), text(&rejected));
}
