//! Tests how one owner's consents are listed, labelled and replaced. (O10)

use flinks_consents::store::{EndReason, Page};
use flinks_consents::{ConsentStanding, OwnerId, Replaced};

use crate::prelude::*;

fn owner() -> OwnerId {
    "user-7".parse().unwrap()
}

fn bank(number: u32) -> ConsentId {
    id(&format!("user-7/bank-{number}"))
}

/// Creates two consents for one owner and a third consent without an owner.
async fn two_banks(setup: &Setup, store: impl TokenStore) -> Consents {
    let consents = setup.consents(store);
    for (number, label) in [(1, "First bank"), (2, "Second bank")] {
        let new = consents.new_consent(&bank(number)).owner(owner()).label(label);
        assert!(matches!(new.exchange_code(setup.code()).await.unwrap().replaced, Replaced::Nothing));
    }
    let _ = consents.exchange_code(&id("without owner"), setup.code()).await.unwrap();
    consents
}

async fn labels(consents: &Consents) -> Vec<(ConsentId, String)> {
    let listed = consents.list(&owner(), &Page::first(10)).await.unwrap();
    listed.into_iter().map(|status| (status.id, status.label.unwrap_or_default())).collect()
}

async fn check_owners(setup: &Setup, store: impl TokenStore) {
    let consents = two_banks(setup, store).await;
    let both = [(bank(1), "First bank".to_owned()), (bank(2), "Second bank".to_owned())];
    assert_eq!(labels(&consents).await, both);
    assert_eq!(consents.list(&owner(), &Page::after(bank(1), 10)).await.unwrap().len(), 1);
    assert!(consents.list(&"user-8".parse().unwrap(), &Page::first(10)).await.unwrap().is_empty());

    // A refresh does not change the labels.
    setup.advance(HOUR);
    let _ = consents.consent(&bank(1)).access_token().await.unwrap();
    assert_eq!(labels(&consents).await, both);

    // Another person's consent replaces the consent for the second bank. The old connection is
    // revoked.
    setup.advance(HOUR);
    let before = consents.consent(&bank(2)).access_token().await.unwrap();
    let new = consents.new_consent(&bank(2)).revoke_replaced();
    let stored = new.exchange_code(setup.code()).await.unwrap();
    assert!(matches!(stored.replaced, Replaced::Revoked), "{:?}", stored.replaced);
    assert_eq!(setup.revocation_requests(), 1);
    assert!(setup.is_revoked(&before));
    assert!(!setup.is_revoked(&stored.consent.access_token().await.unwrap()));
    assert_eq!(labels(&consents).await, both);

    // The same person consents again. Revoking the old token would also revoke the new connection,
    // so the old token is not revoked.
    let old = text(&stored.consent.access_token().await.unwrap());
    let body =
        format!(r#"{{"access_token":"{old}","token_type":"Bearer","expires_in":299,"refresh_token":"emu_again"}}"#);
    setup.emulator.fail_next(TOKEN, Fault::reply(200, body));
    let again = consents.new_consent(&bank(2)).label("Renamed").revoke_replaced().exchange_code(setup.code()).await;
    let again = again.unwrap();
    assert!(matches!(again.replaced, Replaced::SameSubject), "{:?}", again.replaced);
    assert_eq!(setup.revocation_requests(), 1);
    assert_eq!(labels(&consents).await, [both[0].clone(), (bank(2), "Renamed".to_owned())]);

    // Without `revoke_replaced`, the old connection is not revoked.
    let stored = consents.new_consent(&bank(1)).exchange_code(setup.code()).await.unwrap();
    assert!(matches!(stored.replaced, Replaced::Kept));
    assert_eq!(setup.revocation_requests(), 1);

    consents.consent(&bank(1)).forget().await.unwrap();
    assert_eq!(labels(&consents).await.len(), 1);
}

#[tokio::test]
async fn o10_consents_of_an_owner_are_listed_labelled_and_replaced_in_memory() {
    check_owners(&start().await, MemoryStore::new()).await;
}

#[tokio::test]
async fn o10_consents_of_an_owner_are_listed_labelled_and_replaced_in_files() {
    let directory = tempfile::tempdir().unwrap();
    check_owners(&start().await, FileStore::open(directory.path().join("store")).unwrap()).await;
}

#[tokio::test]
async fn o10_old_connection_of_an_unknown_subject_is_not_revoked() {
    let setup = start().await;
    let consents = setup.consents(MemoryStore::new());
    // An access token without claims does not identify its subject.
    let opaque = |number: u32| {
        Fault::reply(
            200,
            format!(
                r#"{{"access_token":"emu_{number}","token_type":"Bearer","expires_in":299,"refresh_token":"emu_r{number}"}}"#
            ),
        )
    };
    for number in 1..3 {
        setup.emulator.fail_next(TOKEN, opaque(number));
        let stored = consents.new_consent(&bank(1)).revoke_replaced().exchange_code(setup.code()).await.unwrap();
        if number == 1 {
            assert!(matches!(stored.replaced, Replaced::Nothing));
        } else {
            assert!(matches!(stored.replaced, Replaced::UnknownSubject), "{:?}", stored.replaced);
        }
    }
    assert_eq!(setup.revocation_requests(), 0);
}

#[tokio::test]
async fn o10_old_connection_that_cannot_be_revoked_is_reported() {
    let setup = start().await;
    let consents = two_banks(&setup, MemoryStore::new()).await;
    // The stored access token has expired, so the old refresh token is used once more.
    setup.advance(HOUR);
    let tokens = setup.token_requests();
    let stored = consents.new_consent(&bank(1)).revoke_replaced().exchange_code(setup.code()).await.unwrap();
    assert!(matches!(stored.replaced, Replaced::Revoked), "{:?}", stored.replaced);
    assert_eq!(setup.token_requests(), tokens + 2);

    setup.emulator.fail_next(REVOKE, Fault::status(503));
    let stored = consents.new_consent(&bank(1)).revoke_replaced().exchange_code(setup.code()).await.unwrap();
    let Replaced::Failed(error) = stored.replaced else { panic!("{:?}", stored.replaced) };
    assert_eq!(error.status(), Some(503));

    // A consent that has ended has no connection to revoke.
    setup.advance(31 * DAY);
    let stored = consents.new_consent(&bank(2)).revoke_replaced().exchange_code(setup.code()).await.unwrap();
    assert!(matches!(stored.replaced, Replaced::AlreadyEnded), "{:?}", stored.replaced);
}

#[tokio::test]
async fn o9_replacing_reads_the_old_consent_before_the_code_is_spent() {
    let setup = start().await;
    let store = FaultyStore::default();
    let consents = two_banks(&setup, store.clone()).await;
    store.fail_next(Load, StoreFault::unavailable());
    let outcome = consents.new_consent(&bank(1)).revoke_replaced().exchange_code(setup.code()).await;
    let Err(SpendError::Unspent(code, error)) = outcome else { panic!("expected the code to be unspent") };
    assert!(error.is_store());
    let _ = consents.new_consent(&bank(1)).revoke_replaced().exchange_code(code).await.unwrap();
}

#[tokio::test]
async fn o5_o6_status_reports_the_standing_of_a_consent() {
    let setup = start().await;
    let consents = two_banks(&setup, MemoryStore::new()).await;
    let consent = consents.consent(&bank(1));
    let status = consent.status().await.unwrap();
    assert_eq!(status.id, bank(1));
    assert_eq!(status.owner, Some(owner()));
    assert_eq!(status.standing, ConsentStanding::Active);
    assert_eq!(status.idle_deadline.duration_since(status.consented_at).unwrap(), 30 * DAY);
    assert!(status.access_token_expires_at.is_some());
    assert!(!format!("{:?}", consent.status().await.unwrap()).contains("emu_"));

    setup.advance(HOUR);
    setup.emulator.fail_next(TOKEN, Fault::status(403));
    let _ = consent.access_token().await.unwrap_err();
    let standing = consent.status().await.unwrap().standing;
    assert!(matches!(standing, ConsentStanding::Suspected { status: 403, .. }), "{standing:?}");

    setup.advance(HOUR);
    setup.emulator.fail_next(TOKEN, invalid_grant());
    let _ = consent.access_token().await.unwrap_err();
    let ConsentStanding::Ended { at: Some(at), reason: EndReason::Refused } = consent.status().await.unwrap().standing
    else {
        panic!("expected a consent that a refusal has ended")
    };
    assert!(at <= setup.now());

    setup.advance(31 * DAY);
    let idle = consents.consent(&bank(2)).status().await.unwrap();
    assert_eq!(idle.standing, ConsentStanding::Ended { at: Some(idle.idle_deadline), reason: EndReason::Idle });
    assert!(consents.consent(&id("unknown")).status().await.unwrap_err().is_unknown_consent());
}

/// Returns a response with an access token that was issued earlier, as if the same person had
/// consented again.
fn response_with_token(token: &str) -> Fault {
    let body =
        format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":299,"refresh_token":"emu_again"}}"#);
    Fault::reply(200, body)
}

#[tokio::test]
async fn o10_connection_of_another_consent_of_the_owner_is_not_revoked() {
    let setup = start().await;
    let consents = two_banks(&setup, MemoryStore::new()).await;
    // The end user connects the second bank again, but under the first id.
    let second = text(&consents.consent(&bank(2)).access_token().await.unwrap());
    setup.emulator.fail_next(TOKEN, response_with_token(&second));
    let stored = consents.new_consent(&bank(1)).exchange_code(setup.code()).await.unwrap();
    assert!(matches!(stored.replaced, Replaced::Kept));
    // Another person consents under the first id. The second id still uses the old connection.
    let stored = consents.new_consent(&bank(1)).revoke_replaced().exchange_code(setup.code()).await.unwrap();
    assert!(matches!(stored.replaced, Replaced::SameSubject), "{:?}", stored.replaced);
    assert_eq!(setup.revocation_requests(), 0);
}

#[tokio::test]
async fn o10_connection_that_was_stored_again_concurrently_is_not_revoked() {
    let setup = start().await;
    let store = FaultyStore::default();
    let consents = setup.consents(store.clone());
    let consent = consents.exchange_code(&user(), setup.code()).await.unwrap();
    let first = text(&consent.access_token().await.unwrap());
    // After the new consent is stored, the first person consents again in another browser tab.
    let swaps = store.count(CompareAndSwap);
    store.fail_nth(CompareAndSwap, 2, StoreFault::HoldAfter);
    let code = setup.code();
    let other = consents.clone();
    let replacing = tokio::spawn(async move { other.new_consent(&user()).revoke_replaced().exchange_code(code).await });
    store.received(CompareAndSwap, swaps + 2).await;
    setup.emulator.fail_next(TOKEN, response_with_token(&first));
    let another_process = setup.consents(store.inner().clone());
    let _ = another_process.exchange_code(&user(), setup.code()).await.unwrap();
    store.release();
    let stored = replacing.await.unwrap().unwrap();
    assert!(matches!(stored.replaced, Replaced::SameSubject), "{:?}", stored.replaced);
    assert_eq!(setup.revocation_requests(), 0);
}

#[tokio::test]
async fn consent_that_is_imported_again_gets_its_owner_and_label() {
    let setup = start().await;
    let consents = setup.consents(MemoryStore::new());
    let _ = consents.import(&bank(1), refresh_token(), setup.now()).await.unwrap();
    assert!(labels(&consents).await.is_empty());
    let new = consents.new_consent(&bank(1)).owner(owner()).label("First bank");
    let _ = new.import(refresh_token(), setup.now()).await.unwrap();
    assert_eq!(labels(&consents).await, [(bank(1), "First bank".to_owned())]);
    let _ = consents.consent(&bank(1)).access_token().await.unwrap();
}
