//! Tests consents that have an owner (O10).

use flinks_consents::{ConsentId, Consents, OwnerId, Page, Replaced};

use crate::backend::Backend;
use crate::common::{Tests, open, run};
use crate::flinks::emulator;

/// Returns the tests.
pub fn tests<B: Backend>() -> Tests {
    vec![
        ("o10_consents_of_an_owner_are_listed", || run(listed::<B>)),
        ("o10_replaced_consent_is_revoked_unless_the_subject_is_the_same", || run(replaced::<B>)),
    ]
}

/// The owner of all consents from [`import_banks`].
pub fn owner() -> OwnerId {
    "canary-owner".parse().unwrap()
}

/// Returns the id of a consent from [`import_banks`].
pub fn bank(number: u32) -> ConsentId {
    format!("canary/bank-{number}").parse().unwrap()
}

/// Imports consents with an owner and a label.
pub async fn import_banks<B: Backend>(server: &B, count: u32) -> Consents {
    let flinks = emulator().await;
    let consents = Consents::builder(flinks.client()).store(open::<B>(&server.address())).build();
    for number in 0..count {
        let new = consents.new_consent(&bank(number)).owner(owner()).label("canary label");
        let token = flinks.new_refresh_token().await;
        let _ = new.import(token, std::time::SystemTime::now()).await.unwrap();
    }
    consents
}

/// Lists the ids of the owner's consents.
pub async fn list_ids(consents: &Consents, page: &Page) -> Vec<ConsentId> {
    let listed = consents.list(&owner(), page).await.unwrap();
    assert!(listed.iter().all(|status| status.label.as_deref() == Some("canary label")));
    listed.into_iter().map(|status| status.id).collect()
}

async fn listed<B: Backend>() {
    let server = B::start();
    let consents = import_banks(&server, 7).await;
    let all = list_ids(&consents, &Page::first(100)).await;
    assert_eq!(all.len(), 7);
    let mut paged = list_ids(&consents, &Page::first(3)).await;
    while let Some(last) = paged.last().cloned() {
        let more = list_ids(&consents, &Page::after(last, 3)).await;
        if more.is_empty() {
            break;
        }
        paged.extend(more);
    }
    assert_eq!(paged, all);
    consents.consent(&bank(0)).forget().await.unwrap();
    assert_eq!(list_ids(&consents, &Page::first(100)).await.len(), 6);
}

async fn replaced<B: Backend>() {
    let server = B::start();
    let flinks = emulator().await;
    let consents = Consents::builder(flinks.client()).store(open::<B>(&server.address())).build();
    let replace = async || {
        let new = consents.new_consent(&bank(1)).owner(owner()).label("canary label").revoke_replaced();
        new.exchange_code(flinks.new_code(consents.client())).await.unwrap()
    };
    assert!(matches!(replace().await.replaced, Replaced::Nothing));
    let stored = replace().await;
    assert!(matches!(stored.replaced, Replaced::Revoked), "{:?}", stored.replaced);
    assert_eq!(flinks.revocations(), 1);
    let token = stored.consent.access_token().await.unwrap().expose_secret().to_owned();
    flinks.respond_next_with(format!(
        r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":299,"refresh_token":"emu_again"}}"#
    ));
    let stored = replace().await;
    assert!(matches!(stored.replaced, Replaced::SameSubject), "{:?}", stored.replaced);
    assert_eq!(flinks.revocations(), 1);
    assert_eq!(list_ids(&consents, &Page::first(100)).await, [bank(1)]);
}
