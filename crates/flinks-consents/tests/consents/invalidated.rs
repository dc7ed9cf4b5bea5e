//! Rule O4: an access token that a server refused is not used again.

use crate::prelude::*;

#[tokio::test]
async fn o4_fifty_rejections_of_one_token_cause_one_refresh() {
    let local = start().await;
    let consent = local.consent().await;
    let refused = consent.access_token().await.unwrap();
    local.advance(SECOND);
    let mut tokens = Vec::new();
    for _ in 0..50 {
        consent.invalidate(&refused);
        tokens.push(text(&consent.access_token().await.unwrap()));
    }
    tokens.dedup();
    assert_eq!(tokens.len(), 1);
    assert_ne!(tokens[0], text(&refused));
    assert_eq!(local.tokens(), 2);

    // Rejecting the token of another source changes nothing.
    let other = AppTokenSource::new(local.client(), None).access_token().await.unwrap();
    consent.invalidate(&other);
    assert_eq!(text(&consent.access_token().await.unwrap()), tokens[0]);
    assert_eq!(local.tokens(), 3);

    let store = MemoryStore::new();
    let handle = consent_in(&local, store.clone()).await;
    let refused = handle.access_token().await.unwrap();
    let fresh = local.consents(store).consent(&user());
    fresh.invalidate(&refused);
    assert_ne!(text(&fresh.access_token().await.unwrap()), text(&refused));
}

#[tokio::test]
async fn o4_token_that_is_issued_again_counts_as_a_new_token() {
    let local = start().await;
    let consent = local.consent().await;
    let first = consent.access_token().await.unwrap();
    local.advance(SECOND);
    local.emulator.fail_next(TOKEN, Fault::DuplicateToken);
    consent.invalidate(&first);
    let second = consent.access_token().await.unwrap();
    assert_eq!(text(&first), text(&second));
    consent.invalidate(&first);
    let _ = consent.access_token().await.unwrap();
    assert_eq!(local.tokens(), 2);
}

#[tokio::test]
async fn o4_rejected_token_stays_rejected_among_many_consents() {
    let local = start().await;
    let consents = local.consents(MemoryStore::new());
    let consent = local.import(&consents).await;
    let refused = consent.access_token().await.unwrap();
    local.advance(2 * SECOND);
    consent.invalidate(&refused);
    drop(consent);
    for number in 0..3000 {
        drop(consents.consent(&id(&number.to_string())));
    }
    assert_ne!(text(&consents.consent(&user()).access_token().await.unwrap()), text(&refused));
}
