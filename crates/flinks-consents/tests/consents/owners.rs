//! Consents of one owner: listed, labelled, replaced.

use flinks_consents::store::{EndReason, Page};
use flinks_consents::{ConsentStanding, OwnerId, Replaced};

use crate::prelude::*;

fn owner() -> OwnerId {
    "user-7".parse().unwrap()
}

fn bank(number: u32) -> ConsentId {
    id(&format!("user-7/bank-{number}"))
}

/// Two consents of one owner, in a store.
async fn two_banks(local: &Local, store: impl TokenStore) -> Consents {
    let consents = local.consents(store);
    for (number, label) in [(1, "First bank"), (2, "Second bank")] {
        let new = consents.new_consent(&bank(number)).owner(owner()).label(label);
        assert!(matches!(new.exchange_code(local.code()).await.unwrap().replaced, Replaced::Nothing));
    }
    let _ = consents.exchange_code(&id("of nobody"), local.code()).await.unwrap();
    consents
}

async fn labels(consents: &Consents) -> Vec<(ConsentId, String)> {
    let listed = consents.list(&owner(), &Page::first(10)).await.unwrap();
    listed.into_iter().map(|status| (status.id, status.label.unwrap_or_default())).collect()
}

async fn check_owners(local: &Local, store: impl TokenStore) {
    let consents = two_banks(local, store).await;
    let both = [(bank(1), "First bank".to_owned()), (bank(2), "Second bank".to_owned())];
    assert_eq!(labels(&consents).await, both);
    assert_eq!(consents.list(&owner(), &Page::after(bank(1), 10)).await.unwrap().len(), 1);
    assert!(consents.list(&"user-8".parse().unwrap(), &Page::first(10)).await.unwrap().is_empty());

    // A refresh keeps them.
    local.advance(HOUR);
    let _ = consents.consent(&bank(1)).access_token().await.unwrap();
    assert_eq!(labels(&consents).await, both);

    // The end user consents again at the second bank, as another person there: the old connection ends.
    local.advance(HOUR);
    let before = consents.consent(&bank(2)).access_token().await.unwrap();
    let new = consents.new_consent(&bank(2)).revoke_replaced();
    let stored = new.exchange_code(local.code()).await.unwrap();
    assert!(matches!(stored.replaced, Replaced::Revoked), "{:?}", stored.replaced);
    assert_eq!(local.revocations(), 1);
    assert!(local.is_revoked(&before));
    assert!(!local.is_revoked(&stored.consent.access_token().await.unwrap()));
    assert_eq!(labels(&consents).await, both);

    // The same person: to revoke would end the new connection.
    let old = text(&stored.consent.access_token().await.unwrap());
    let body =
        format!(r#"{{"access_token":"{old}","token_type":"Bearer","expires_in":299,"refresh_token":"emu_again"}}"#);
    local.emulator.fail_next(TOKEN, Fault::reply(200, body));
    let again = consents.new_consent(&bank(2)).label("Renamed").revoke_replaced().exchange_code(local.code()).await;
    let again = again.unwrap();
    assert!(matches!(again.replaced, Replaced::SameSubject), "{:?}", again.replaced);
    assert_eq!(local.revocations(), 1);
    assert_eq!(labels(&consents).await, [both[0].clone(), (bank(2), "Renamed".to_owned())]);

    // Without the request, the old connection stays.
    let kept = consents.new_consent(&bank(1)).exchange_code(local.code()).await.unwrap();
    assert!(matches!(kept.replaced, Replaced::Kept));
    assert_eq!(local.revocations(), 1);

    consents.consent(&bank(1)).forget().await.unwrap();
    assert_eq!(labels(&consents).await.len(), 1);
}

#[tokio::test]
async fn o10_consents_of_an_owner_are_listed_labelled_and_replaced_in_memory() {
    check_owners(&start().await, MemoryStore::new()).await;
}

#[tokio::test]
async fn o10_consents_of_an_owner_are_listed_labelled_and_replaced_in_files() {
    let folder = tempfile::tempdir().unwrap();
    check_owners(&start().await, FileStore::open(folder.path().join("store")).unwrap()).await;
}

#[tokio::test]
async fn o10_old_connection_that_may_be_the_new_one_is_not_revoked() {
    let local = start().await;
    let consents = local.consents(MemoryStore::new());
    // Tokens without claims do not tell whose they are.
    let opaque = |number: u32| {
        Fault::reply(
            200,
            format!(
                r#"{{"access_token":"emu_{number}","token_type":"Bearer","expires_in":299,"refresh_token":"emu_r{number}"}}"#
            ),
        )
    };
    for number in 1..3 {
        local.emulator.fail_next(TOKEN, opaque(number));
        let stored = consents.new_consent(&bank(1)).revoke_replaced().exchange_code(local.code()).await.unwrap();
        match number {
            1 => assert!(matches!(stored.replaced, Replaced::Nothing)),
            _ => assert!(matches!(stored.replaced, Replaced::UnknownSubject), "{:?}", stored.replaced),
        }
    }
    assert_eq!(local.revocations(), 0);
}

#[tokio::test]
async fn o10_old_connection_that_cannot_be_revoked_is_reported() {
    let local = start().await;
    let consents = two_banks(&local, MemoryStore::new()).await;
    // The stored access token has expired, so the old refresh token is used once more.
    local.advance(HOUR);
    let tokens = local.tokens();
    let stored = consents.new_consent(&bank(1)).revoke_replaced().exchange_code(local.code()).await.unwrap();
    assert!(matches!(stored.replaced, Replaced::Revoked), "{:?}", stored.replaced);
    assert_eq!(local.tokens(), tokens + 2);

    local.emulator.fail_next(REVOKE, Fault::status(503));
    let stored = consents.new_consent(&bank(1)).revoke_replaced().exchange_code(local.code()).await.unwrap();
    let Replaced::Failed(error) = stored.replaced else { panic!("{:?}", stored.replaced) };
    assert_eq!(error.status(), Some(503));

    // A consent that has ended has no connection to revoke.
    local.advance(31 * DAY);
    let stored = consents.new_consent(&bank(2)).revoke_replaced().exchange_code(local.code()).await.unwrap();
    assert!(matches!(stored.replaced, Replaced::AlreadyEnded), "{:?}", stored.replaced);
}

#[tokio::test]
async fn o9_replacing_reads_the_old_consent_before_the_code_is_spent() {
    let local = start().await;
    let store = FaultyStore::default();
    let consents = two_banks(&local, store.clone()).await;
    store.fail_next(Load, StoreFault::unavailable());
    let outcome = consents.new_consent(&bank(1)).revoke_replaced().exchange_code(local.code()).await;
    let Err(SpendError::Unspent(code, error)) = outcome else { panic!() };
    assert!(error.is_store());
    let _ = consents.new_consent(&bank(1)).revoke_replaced().exchange_code(code).await.unwrap();
}

#[tokio::test]
async fn o5_o6_status_names_the_standing_of_a_consent() {
    let local = start().await;
    let consents = two_banks(&local, MemoryStore::new()).await;
    let consent = consents.consent(&bank(1));
    let status = consent.status().await.unwrap();
    assert_eq!((status.id.clone(), status.owner), (bank(1), Some(owner())));
    assert_eq!(status.standing, ConsentStanding::Active);
    assert_eq!(status.idle_deadline.duration_since(status.consented_at).unwrap(), 30 * DAY);
    assert!(status.access_token_expires_at.is_some());
    assert!(!format!("{:?}", consent.status().await.unwrap()).contains("emu_"));

    local.advance(HOUR);
    local.emulator.fail_next(TOKEN, Fault::status(403));
    let _ = consent.access_token().await.unwrap_err();
    let standing = consent.status().await.unwrap().standing;
    assert!(matches!(standing, ConsentStanding::Suspected { status: 403, .. }), "{standing:?}");

    local.advance(HOUR);
    local.emulator.fail_next(TOKEN, invalid_grant());
    let _ = consent.access_token().await.unwrap_err();
    let ConsentStanding::Ended { at: Some(at), reason: EndReason::Refused } = consent.status().await.unwrap().standing
    else {
        panic!()
    };
    assert!(at <= local.now());

    local.advance(31 * DAY);
    let idle = consents.consent(&bank(2)).status().await.unwrap();
    assert_eq!(idle.standing, ConsentStanding::Ended { at: Some(idle.idle_deadline), reason: EndReason::Idle });
    assert!(consents.consent(&id("unknown")).status().await.unwrap_err().is_unknown_consent());
}

/// A reply with the access token of another one, as if the same person had consented.
fn reply_with(token: &str) -> Fault {
    let body =
        format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":299,"refresh_token":"emu_again"}}"#);
    Fault::reply(200, body)
}

#[tokio::test]
async fn o10_connection_of_another_consent_of_the_owner_is_not_revoked() {
    let local = start().await;
    let consents = two_banks(&local, MemoryStore::new()).await;
    // The end user has connected the second bank a second time, under the first id.
    let second = text(&consents.consent(&bank(2)).access_token().await.unwrap());
    local.emulator.fail_next(TOKEN, reply_with(&second));
    let stored = consents.new_consent(&bank(1)).exchange_code(local.code()).await.unwrap();
    assert!(matches!(stored.replaced, Replaced::Kept));
    // Another person consents under the first id: the connection is still that of the second id.
    let stored = consents.new_consent(&bank(1)).revoke_replaced().exchange_code(local.code()).await.unwrap();
    assert!(matches!(stored.replaced, Replaced::SameSubject), "{:?}", stored.replaced);
    assert_eq!(local.revocations(), 0);
}

#[tokio::test]
async fn o10_connection_that_was_stored_again_in_the_meantime_is_not_revoked() {
    let local = start().await;
    let store = FaultyStore::default();
    let consents = local.consents(store.clone());
    let consent = consents.exchange_code(&user(), local.code()).await.unwrap();
    let first = text(&consent.access_token().await.unwrap());
    // The new consent is stored, and then another tab stores the first person again.
    let swaps = store.count(CompareAndSwap);
    store.fail_nth(CompareAndSwap, 2, StoreFault::HoldAfter);
    let code = local.code();
    let other = consents.clone();
    let replacing = tokio::spawn(async move { other.new_consent(&user()).revoke_replaced().exchange_code(code).await });
    store.received(CompareAndSwap, swaps + 2).await;
    local.emulator.fail_next(TOKEN, reply_with(&first));
    let another_process = local.consents(store.inner().clone());
    let _ = another_process.exchange_code(&user(), local.code()).await.unwrap();
    store.release();
    let stored = replacing.await.unwrap().unwrap();
    assert!(matches!(stored.replaced, Replaced::SameSubject), "{:?}", stored.replaced);
    assert_eq!(local.revocations(), 0);
}

#[tokio::test]
async fn a_consent_that_is_imported_again_gets_its_owner_and_label() {
    let local = start().await;
    let consents = local.consents(MemoryStore::new());
    let _ = consents.import(&bank(1), refresh_token(), local.now()).await.unwrap();
    assert!(labels(&consents).await.is_empty());
    let new = consents.new_consent(&bank(1)).owner(owner()).label("First bank");
    let _ = new.import(refresh_token(), local.now()).await.unwrap();
    assert_eq!(labels(&consents).await, [(bank(1), "First bank".to_owned())]);
    let _ = consents.consent(&bank(1)).access_token().await.unwrap();
}
