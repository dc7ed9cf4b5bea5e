//! Tests consents that have an owner (O10).

use flinks_consents::{ConsentId, Consents, OwnerId, Page, Replaced};

use crate::common::{Tests, run, store};
use crate::support::{self, Server};

pub(crate) const WITH_SERVER: Tests = &[
    ("o10_consents_of_an_owner_are_listed", || run(listed)),
    ("o10_replaced_consent_is_revoked_unless_the_subject_is_the_same", || run(replaced)),
    ("a3_owners_and_labels_are_not_readable", || run(not_readable)),
    ("entry_of_an_owner_without_its_record_is_removed_after_an_hour", || run(stale_entry)),
];

fn owner() -> OwnerId {
    "canary-owner".parse().unwrap()
}

fn bank(number: u32) -> ConsentId {
    format!("canary/bank-{number}").parse().unwrap()
}

async fn import_banks(server: &Server, count: u32) -> Consents {
    let flinks = support::emulator().await;
    let consents = Consents::builder(flinks.client()).store(store(&server.address())).build();
    for number in 0..count {
        let new = consents.new_consent(&bank(number)).owner(owner()).label("canary label");
        let token = flinks.new_refresh_token().await;
        let _ = new.import(token, std::time::SystemTime::now()).await.unwrap();
    }
    consents
}

async fn list_ids(consents: &Consents, page: &Page) -> Vec<ConsentId> {
    let listed = consents.list(&owner(), page).await.unwrap();
    assert!(listed.iter().all(|status| status.label.as_deref() == Some("canary label")));
    listed.into_iter().map(|status| status.id).collect()
}

async fn listed() {
    let server = Server::start(&[]);
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

async fn replaced() {
    let server = Server::start(&[]);
    let flinks = support::emulator().await;
    let consents = Consents::builder(flinks.client()).store(store(&server.address())).build();
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

async fn not_readable() {
    let server = Server::start(&[]);
    let _ = import_banks(&server, 1).await;
    for key in server.keys() {
        assert!(!key.contains("canary"), "{key}");
    }
    let index = server.keys().into_iter().find(|key| key.contains(":owner:")).unwrap();
    let entries: Vec<String> = server.query(&["HGETALL", &index]);
    assert!(!format!("{entries:?}").contains("canary"));
}

async fn stale_entry() {
    let server = Server::start(&[]);
    let consents = import_banks(&server, 2).await;
    let index = server.keys().into_iter().find(|key| key.contains(":owner:")).unwrap();
    let entries = || server.query::<u64>(&["HLEN", &index]);
    // Removing a record also removes its index entry.
    consents.consent(&bank(0)).forget().await.unwrap();
    assert_eq!(entries(), 1);
    // The store keeps an entry without a record at first, because another process may be about to
    // write the record.
    server.command(&["HSET", &index, &"0".repeat(32), "9223372036854775807"]);
    assert_eq!(list_ids(&consents, &Page::first(100)).await, [bank(1)]);
    assert_eq!(entries(), 2);
    // Once the entry is more than an hour old, the store removes it.
    let script =
        "for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do redis.call('HSET', KEYS[1], name, '1') end return 1";
    server.command(&["EVAL", script, "1", &index]);
    assert_eq!(list_ids(&consents, &Page::first(100)).await, [bank(1)]);
    assert_eq!(entries(), 1);
    // `restore_indexes` restores a lost index.
    server.command(&["DEL", &index]);
    assert!(list_ids(&consents, &Page::first(100)).await.is_empty());
    assert_eq!(store(&server.address()).restore_indexes().await, Ok(0));
    assert_eq!(list_ids(&consents, &Page::first(100)).await, [bank(1)]);
}
