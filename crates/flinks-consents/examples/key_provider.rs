//! Encrypts a record with data keys from a key management service.
//!
//! The service in this example runs in memory and wraps a key by storing it. A real service, such
//! as AWS KMS, encrypts it with a master key. The documentation for `KeyProvider` contains a
//! provider for AWS KMS.
//!
//! Run it with `cargo run -p flinks-consents --example key_provider`.

#![allow(clippy::print_stdout)] // a terminal program

use std::error::Error;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use flinks_consents::envelope::{DataKey, DataKeys, Envelope, Key, KeyError, KeyFuture, KeyProvider};
use flinks_consents::flinks::outbound::{Client, ClientCredentials, RefreshToken};
use flinks_consents::{ConsentId, Consents, MemoryStore, TokenStore as _};

/// A key service in memory. The wrapped form of a key is its number.
#[derive(Default)]
struct FakeService(Mutex<Vec<Key>>);

impl KeyProvider for FakeService {
    fn generate_key(&self) -> KeyFuture<'_, DataKey> {
        Box::pin(async {
            let mut bytes = [0; 32];
            getrandom::fill(&mut bytes).map_err(|_| KeyError::Unavailable)?;
            let key = Key::new(bytes);
            let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let wrapped = keys.len().to_string().into_bytes();
            keys.push(key.clone());
            println!("The service generated key {}.", keys.len());
            Ok(DataKey { key, wrapped })
        })
    }

    fn unwrap_key<'a>(&'a self, wrapped: &'a [u8]) -> KeyFuture<'a, Key> {
        Box::pin(async {
            let number = std::str::from_utf8(wrapped).ok().and_then(|text| text.parse::<usize>().ok());
            let keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            number.and_then(|number| keys.get(number).cloned()).ok_or(KeyError::Damaged)
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // In an application, the name key comes from the configuration. Here, it is random.
    let mut name_key = [0; 32];
    getrandom::fill(&mut name_key)?;
    let envelope = Envelope::new(Key::new(name_key), DataKeys::new(FakeService::default()));

    // `Consents` creates the records.
    let client = Client::builder("http://127.0.0.1:8080".parse()?, ClientCredentials::new("id", "secret")?).build()?;
    let store = MemoryStore::new();
    let id: ConsentId = "user-7".parse()?;
    let consents = Consents::builder(client).store(store.clone()).build();
    consents.import(&id, RefreshToken::new("refresh-token")?, SystemTime::now()).await?;
    let record = store.load(&id).await?.ok_or("the record is missing")?;

    // A store seals each record that it writes, and opens each value that it reads.
    let location = envelope.hidden_name(&id).to_string();
    for _ in 0..3 {
        let value = envelope.seal(&record, &location).await?;
        let opened = envelope.open(&value, &location).await?;
        println!("A value of {} bytes contains generation {}.", value.len(), opened.generation());
    }
    Ok(())
}
