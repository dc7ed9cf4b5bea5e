//! Tests for secrets and values. They use the mock keyring from `keyring-core`.

use flinks_consents::flinks::Secret;
use toml::Value;

use super::*;

#[cfg(feature = "keyring")]
#[test]
fn secrets_are_stored_in_the_mock_keyring() {
    keyring_core::set_default_store(keyring_core::mock::Store::new().unwrap());
    assert!(is_keyring_available());
    check(&SecretStore::Keyring);
}

#[test]
fn secrets_are_stored_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    check(&SecretStore::File(folder.path().join("new/secrets.toml")));
}

fn check(store: &SecretStore) {
    let name = secret_name("sandbox", Section::Pay, "password");
    assert_eq!(name, "sandbox/pay.password");
    assert!(store.get(&name).unwrap().is_none());
    store.remove(&name).unwrap();
    for secret in ["first", "sécond \"'\\\n"] {
        store.set(&name, &Secret::new(secret)).unwrap();
        assert_eq!(store.get(&name).unwrap().unwrap().expose_secret(), secret);
        assert!(store.get("sandbox/pay.passwor").unwrap().is_none());
    }
    store.remove(&name).unwrap();
    assert!(store.get(&name).unwrap().is_none());
}

#[test]
fn a_damaged_secrets_file_is_not_quoted() {
    let folder = tempfile::tempdir().unwrap();
    let store = SecretStore::File(folder.path().join("secrets.toml"));
    store.set("a", &Secret::new("b")).unwrap();
    std::fs::write(folder.path().join("secrets.toml"), "\"a\" = canary").unwrap();
    let failure = store.get("a").unwrap_err();
    assert!(!failure.message().contains("canary"));
}

#[test]
fn an_address_with_a_password_is_a_secret() {
    let is_plain = |text: &str| is_plain(Section::Store, "url", &Value::String(text.to_owned()));
    assert!(is_plain("postgres://app@db.internal/app?sslmode=verify-full"));
    assert!(is_plain("rediss://redis.internal:6380/0"));
    for text in ["postgres://app:p@db/app", "redis://:p@host", "postgres://db/app?password=p", "not a URL", ""] {
        assert!(!is_plain(text), "{text}");
    }
}

#[test]
fn each_secret_of_a_section_is_a_field() {
    for kind in [StoreKind::Redis, StoreKind::Postgres] {
        for section in Section::ALL {
            let secrets: Vec<_> = section
                .variables(kind)
                .into_iter()
                .map(|(field, _)| field)
                .filter(|field| section.is_secret(field))
                .collect();
            let expected = if section == Section::Store { 3 } else { 1 };
            assert_eq!(secrets.len(), expected, "{section:?}");
        }
    }
}
