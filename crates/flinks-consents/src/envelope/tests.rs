//! Tests for the envelope.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use crate::consents::Consents;
use crate::store::ConsentId;
use crate::store::{MemoryStore, StoreError, TokenStore as _};
use flinks::ManualClock;
use flinks::outbound::{Client, ClientAuthentication, RefreshToken};

use super::format::NONCE;
use super::*;

/// Creates a record by importing a consent, because only `Consents` can create records.
async fn record() -> Record {
    let store = MemoryStore::new();
    let nowhere = "http://127.0.0.1:9".parse().unwrap();
    let client = Client::builder(nowhere, ClientAuthentication::None { client_id: "a".to_owned() }).build().unwrap();
    let id: ConsentId = "user-7".parse().unwrap();
    let consents = Consents::builder(client).store(store.clone()).build();
    consents.import(&id, RefreshToken::new("canary").unwrap(), SystemTime::now()).await.unwrap();
    store.load(&id).await.unwrap().unwrap()
}

fn keys() -> EncryptionKeys {
    keys_with(1, 1)
}

fn keys_with(id: u32, key: u8) -> EncryptionKeys {
    EncryptionKeys::new(Key::new([7; 32]), id, Key::new([key; 32]))
}

fn opened(value: &[u8], keys: &EncryptionKeys) -> Result<u64, EnvelopeError> {
    keys.open(value, "name").map(|record| record.generation())
}

#[tokio::test]
async fn value_opens_only_at_its_location() {
    let record = record().await;
    let sealed = keys().seal(&record, "name").unwrap();
    assert_eq!(opened(&sealed, &keys()), Ok(record.generation()));
    assert_eq!(keys().open(&sealed, "other").map(drop), Err(EnvelopeError::Damaged));
}

#[tokio::test]
async fn value_with_changed_generation_is_damaged() {
    let record = record().await;
    let mut sealed = keys().seal(&record, "name").unwrap();
    let text = format!(":{}:", record.generation()).into_bytes();
    let at = sealed.windows(text.len()).position(|window| window == text).unwrap();
    sealed.splice(at..at + text.len(), b":77:".iter().copied());
    assert_eq!(opened(&sealed, &keys()), Err(EnvelopeError::Damaged));
}

#[tokio::test]
async fn a3_value_contains_neither_token_nor_id() {
    let sealed = keys().seal(&record().await, "name").unwrap();
    let text = String::from_utf8_lossy(&sealed);
    assert!(!text.contains("canary"));
    assert!(!text.contains("user-7"));
}

#[tokio::test]
async fn sealing_twice_uses_different_nonces() {
    let record = record().await;
    let one = keys().seal(&record, "name").unwrap();
    let other = keys().seal(&record, "name").unwrap();
    let header = one.iter().zip(&other).take_while(|(one, other)| one == other).count();
    assert!(header < one.len() - 16 - NONCE);
    assert_ne!(one[header..header + 8], other[header..header + 8]);
}

#[tokio::test]
async fn every_key_of_the_set_opens_values() {
    let record = record().await;
    let sealed = keys().seal(&record, "name").unwrap();
    let rotated = keys_with(2, 2).with_decryption_key(1, Key::new([1; 32])).unwrap();
    assert_eq!(opened(&sealed, &rotated), Ok(record.generation()));
    assert_eq!(opened(&sealed, &keys_with(2, 2)), Err(EnvelopeError::UnknownKey { id: 1 }));
    assert_eq!(opened(&sealed, &keys_with(1, 9)), Err(EnvelopeError::Damaged));
    // Once the record has been sealed again, only the newest key is needed.
    let sealed_again = rotated.seal(&record, "name").unwrap();
    assert_eq!(opened(&sealed_again, &keys_with(2, 2)), Ok(record.generation()));
}

#[test]
fn malformed_values_are_damaged() {
    for bytes in [&b""[..], b"x", b"flinks1:", b"flinks1:a:b:c", b"flinks1:7:1:", b"flinks1:7:1:short", b"a:b:c:d"] {
        assert_eq!(opened(bytes, &keys()), Err(EnvelopeError::Damaged), "{bytes:?}");
    }
    assert_eq!(opened(b"flinks3:7:1:x", &keys()), Err(EnvelopeError::NewerVersion));
}

#[test]
fn envelope_errors_convert_into_store_errors() {
    assert!(matches!(StoreError::from(EnvelopeError::Damaged), StoreError::Damaged(_)));
    assert!(matches!(StoreError::from(EnvelopeError::NewerVersion), StoreError::Misconfigured(_)));
    assert!(matches!(StoreError::from(EnvelopeError::UnknownKey { id: 1 }), StoreError::Misconfigured(_)));
    assert!(matches!(StoreError::from(EnvelopeError::NoRandomness), StoreError::Unavailable(_)));
}

/// A key service that wraps a key by storing it.
#[derive(Clone, Default)]
struct FakeService(Arc<Mutex<Service>>);

#[derive(Default)]
struct Service {
    keys: Vec<Key>,
    generated: usize,
    unwrapped: usize,
    failure: Option<KeyError>,
    /// If this is `Some`, calls wait for a notification.
    gate: Option<Arc<tokio::sync::Notify>>,
}

impl FakeService {
    fn lock(&self) -> MutexGuard<'_, Service> {
        self.0.lock().unwrap()
    }

    fn calls(&self) -> (usize, usize) {
        let service = self.lock();
        (service.generated, service.unwrapped)
    }

    fn fail(&self, failure: impl Into<Option<KeyError>>) {
        self.lock().failure = failure.into();
    }

    async fn arrive(&self, count: fn(&mut Service)) -> Result<(), KeyError> {
        let gate = {
            let mut service = self.lock();
            count(&mut service);
            service.gate.clone()
        };
        if let Some(gate) = gate {
            gate.notified().await;
        }
        self.lock().failure.map_or(Ok(()), Err)
    }
}

impl KeyProvider for FakeService {
    fn generate_key(&self) -> KeyFuture<'_, DataKey> {
        Box::pin(async move {
            self.arrive(|service| service.generated += 1).await?;
            let mut service = self.lock();
            let number = u8::try_from(service.keys.len()).unwrap();
            let key = Key::new([number; 32]);
            service.keys.push(key.clone());
            Ok(DataKey { key, wrapped: vec![b'w', number] })
        })
    }

    fn unwrap_key<'a>(&'a self, wrapped: &'a [u8]) -> KeyFuture<'a, Key> {
        Box::pin(async move {
            self.arrive(|service| service.unwrapped += 1).await?;
            let [b'w', number] = wrapped else { return Err(KeyError::Damaged) };
            self.lock().keys.get(usize::from(*number)).cloned().ok_or(KeyError::Damaged)
        })
    }
}

fn data_keys(service: &FakeService, clock: &Arc<ManualClock>) -> DataKeys {
    DataKeys::new(service.clone()).clock(Arc::<ManualClock>::clone(clock))
}

/// Returns an envelope like that of another process, which uses the same service but has no keys in
/// memory.
fn envelope(service: &FakeService, clock: &Arc<ManualClock>) -> Envelope {
    Envelope::new(Key::new([7; 32]), data_keys(service, clock))
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new())
}

async fn opens(envelope: &Envelope, value: &[u8]) -> Result<(), EnvelopeError> {
    envelope.open(value, "name").await.map(drop)
}

#[tokio::test]
async fn value_sealed_with_a_data_key_opens_in_another_process() {
    let (service, clock, record) = (FakeService::default(), clock(), record().await);
    let sealed = envelope(&service, &clock).seal(&record, "name").await.unwrap();
    assert!(sealed.starts_with(format!("flinks2:{}:", record.generation()).as_bytes()));
    let other = envelope(&service, &clock);
    let opened = other.open(&sealed, "name").await.unwrap();
    assert_eq!(opened.encode().unwrap().expose_secret(), record.encode().unwrap().expose_secret());
    assert_eq!(other.open(&sealed, "other").await.map(drop), Err(EnvelopeError::Damaged));
}

#[tokio::test]
async fn wrapped_key_is_authenticated() {
    let (service, clock, record) = (FakeService::default(), clock(), record().await);
    let sealed = envelope(&service, &clock).max_one().seal(&record, "name").await.unwrap();
    envelope(&service, &clock).seal(&record, "name").await.unwrap();
    // The service's second key is valid but did not encrypt this value.
    let text = String::from_utf8_lossy(&sealed).into_owned();
    let wrapped = text.split(':').nth(2).unwrap();
    let at = sealed.windows(wrapped.len()).position(|window| window == wrapped.as_bytes()).unwrap();
    for other in [base64_of(b"w\x01"), base64_of(b"w\x09"), "***".to_owned(), String::new()] {
        let mut changed = sealed.clone();
        changed.splice(at..at + wrapped.len(), other.bytes());
        let error = opens(&envelope(&service, &clock), &changed).await.unwrap_err();
        assert!(matches!(StoreError::from(error), StoreError::Damaged(_)), "{other}");
    }
    assert_eq!(opens(&envelope(&service, &clock), &sealed).await, Ok(()));
}

fn base64_of(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

impl Envelope {
    /// Uses each data key for only one value.
    fn max_one(self) -> Self {
        match self.keys {
            Keys::Data(data_keys, keys) => Self { keys: Keys::Data(data_keys.max_values(1), keys), ..self },
            Keys::Configured(..) => self,
        }
    }
}

#[tokio::test]
async fn data_key_is_used_for_many_values_and_unwrapped_once() {
    let (service, clock, record) = (FakeService::default(), clock(), record().await);
    let (one, other) = (envelope(&service, &clock), envelope(&service, &clock));
    for _ in 0..100 {
        let sealed = one.seal(&record, "name").await.unwrap();
        assert_eq!(opens(&one, &sealed).await, Ok(()));
        assert_eq!(opens(&other, &sealed).await, Ok(()));
    }
    assert_eq!(service.calls(), (1, 1));
}

#[tokio::test]
async fn data_key_is_replaced_after_its_values_or_its_age() {
    let (service, clock, record) = (FakeService::default(), clock(), record().await);
    let keys = data_keys(&service, &clock).max_values(3).max_age(Duration::from_secs(60));
    let envelope = Envelope::new(Key::new([7; 32]), keys);
    for generated in [1, 1, 1, 2, 2, 2] {
        envelope.seal(&record, "name").await.unwrap();
        assert_eq!(service.calls().0, generated);
    }
    clock.advance(Duration::from_secs(60));
    envelope.seal(&record, "name").await.unwrap();
    assert_eq!(service.calls(), (3, 0));
}

#[tokio::test]
async fn concurrent_opens_share_one_call() {
    let (service, clock, record) = (FakeService::default(), clock(), record().await);
    let sealed = envelope(&service, &clock).seal(&record, "name").await.unwrap();
    for failure in [Some(KeyError::Unavailable), None] {
        let gate = Arc::new(tokio::sync::Notify::new());
        service.lock().gate = Some(Arc::clone(&gate));
        service.fail(failure);
        let before = service.calls().1;
        let other = envelope(&service, &clock);
        let mut waiting = futures_util::future::join_all((0..100).map(|_| opens(&other, &sealed)));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        // The first waiting caller is cancelled, which does not affect the others.
        let mut cancelled = Box::pin(opens(&other, &sealed));
        assert!(futures_util::poll!(&mut cancelled).is_pending());
        drop(cancelled);
        gate.notify_one();
        let expected = failure.map_or(Ok(()), |failure| Err(EnvelopeError::DataKey(failure)));
        assert!(waiting.await.into_iter().all(|result| result == expected));
        assert_eq!(service.calls().1, before + 1);
    }
}

#[tokio::test]
async fn call_completes_after_its_caller_was_cancelled() {
    let (service, clock, record) = (FakeService::default(), clock(), record().await);
    let gate = Arc::new(tokio::sync::Notify::new());
    service.lock().gate = Some(Arc::clone(&gate));
    let envelope = envelope(&service, &clock);
    let mut seal = Box::pin(envelope.seal(&record, "name"));
    assert!(futures_util::poll!(&mut seal).is_pending());
    drop(seal);
    gate.notify_one();
    while envelope.is_generating() {
        tokio::task::yield_now().await;
    }
    envelope.seal(&record, "name").await.unwrap();
    assert_eq!(service.calls(), (1, 0));
}

impl Envelope {
    /// Returns whether a data key is being generated.
    fn is_generating(&self) -> bool {
        match &self.keys {
            Keys::Data(data_keys, _) => data_keys.is_generating(),
            Keys::Configured(..) => false,
        }
    }
}

#[tokio::test]
async fn cached_keys_work_while_the_service_fails() {
    for (failure, is_unavailable) in [(KeyError::Unavailable, true), (KeyError::Refused, false)] {
        let (service, clock, record) = (FakeService::default(), clock(), record().await);
        let keys = data_keys(&service, &clock).max_age(Duration::from_secs(60));
        let envelope = Envelope::new(Key::new([7; 32]), keys);
        let sealed = envelope.seal(&record, "name").await.unwrap();
        service.fail(failure);
        assert_eq!(opens(&envelope, &sealed).await, Ok(()));
        assert!(envelope.seal(&record, "name").await.is_ok());
        // An old key is used up to twice its age. A replacement is requested every 10 seconds.
        clock.advance(Duration::from_secs(60));
        for _ in 0..5 {
            assert!(envelope.seal(&record, "name").await.is_ok());
        }
        assert_eq!(service.calls().0, 2);
        clock.advance(Duration::from_secs(10));
        assert!(envelope.seal(&record, "name").await.is_ok());
        assert_eq!(service.calls().0, 3);
        clock.advance(Duration::from_secs(50));
        let mut errors = vec![envelope.seal(&record, "name").await.unwrap_err()];
        // Another process has no keys in memory.
        let other = self::envelope(&service, &clock);
        errors.push(other.seal(&record, "name").await.unwrap_err());
        errors.push(opens(&other, &sealed).await.unwrap_err());
        for error in errors {
            let error = StoreError::from(error);
            assert_eq!(matches!(error, StoreError::Unavailable(_)), is_unavailable, "{error}");
            assert_eq!(matches!(error, StoreError::Misconfigured(_)), !is_unavailable, "{error}");
        }
        // A failure is not remembered.
        service.fail(None);
        assert_eq!(opens(&other, &sealed).await, Ok(()));
        assert!(envelope.seal(&record, "name").await.is_ok());
    }
}

#[tokio::test]
async fn call_that_hangs_or_panics_is_an_outage() {
    struct Panics;
    impl KeyProvider for Panics {
        fn generate_key(&self) -> KeyFuture<'_, DataKey> {
            Box::pin(async { panic!("the test's provider panics") })
        }
        fn unwrap_key<'a>(&'a self, _: &'a [u8]) -> KeyFuture<'a, Key> {
            Box::pin(std::future::pending())
        }
    }
    let (clock, record) = (clock(), record().await);
    let keys = DataKeys::new(Panics).clock(Arc::<ManualClock>::clone(&clock)).timeout(Duration::from_secs(1));
    let envelope = Envelope::new(Key::new([7; 32]), keys);
    for _ in 0..2 {
        let error = envelope.seal(&record, "name").await.unwrap_err();
        assert_eq!(error, EnvelopeError::DataKey(KeyError::Unavailable));
    }
    let sealed = self::envelope(&FakeService::default(), &clock).seal(&record, "name").await.unwrap();
    let mut open = Box::pin(opens(&envelope, &sealed));
    assert!(futures_util::poll!(&mut open).is_pending());
    clock.advance(Duration::from_secs(1));
    assert_eq!(open.await, Err(EnvelopeError::DataKey(KeyError::Unavailable)));
}

#[tokio::test]
async fn keys_for_decryption_are_bounded() {
    let (service, clock, record) = (FakeService::default(), clock(), record().await);
    let mut values = Vec::new();
    for _ in 0..5 {
        values.push(envelope(&service, &clock).seal(&record, "name").await.unwrap());
    }
    let other = Envelope::new(Key::new([7; 32]), data_keys(&service, &clock).capacity(2));
    for (value, unwrapped) in [(0, 1), (1, 2), (0, 2), (2, 3), (0, 3), (1, 4), (0, 4), (1, 4), (2, 5)] {
        assert_eq!(opens(&other, &values[value]).await, Ok(()));
        assert_eq!(service.calls().1, unwrapped);
    }
}

#[tokio::test]
async fn application_moves_to_a_key_service_and_back() {
    let (service, clock, record) = (FakeService::default(), clock(), record().await);
    let configured = Envelope::from(keys());
    let old = configured.seal(&record, "name").await.unwrap();
    let with_service = envelope(&service, &clock).with_decryption_keys(keys());
    let new = with_service.seal(&record, "name").await.unwrap();
    let back = Envelope::from(keys()).with_decryption_data_keys(data_keys(&service, &clock));
    let newest = back.seal(&record, "name").await.unwrap();
    assert!(newest.starts_with(b"flinks1:"));
    for value in [&old, &new, &newest] {
        assert_eq!(opens(&with_service, value).await, Ok(()));
        assert_eq!(opens(&back, value).await, Ok(()));
    }
    assert_eq!(opens(&configured, &new).await, Err(EnvelopeError::NoKeyProvider));
    assert_eq!(keys().open(&new, "name").map(drop), Err(EnvelopeError::NoKeyProvider));
    assert_eq!(opens(&envelope(&service, &clock), &old).await, Err(EnvelopeError::UnknownKey { id: 1 }));
    let id = record.id();
    assert_eq!(with_service.hidden_name(id), configured.hidden_name(id));
}

#[tokio::test]
async fn a3_debug_output_of_an_envelope_contains_no_key() {
    let service = FakeService::default();
    let envelope = envelope(&service, &clock()).with_decryption_keys(keys_with(1, 77));
    envelope.seal(&record().await, "name").await.unwrap();
    let data_key = service.generate_key().await.unwrap();
    let text = format!("{envelope:?} {data_key:?}");
    assert!(!text.contains("77"), "{text}");
    assert!(!text.contains("[1, 1"), "{text}");
}

/// Sealing and opening with configured keys must never wait, and must not allocate more than the
/// functions of `EncryptionKeys` do.
#[tokio::test]
async fn configured_keys_never_wait() {
    use futures_util::FutureExt as _;
    let record = record().await;
    let envelope = Envelope::from(keys());
    let sealed = envelope.seal(&record, "name").now_or_never().unwrap().unwrap();
    assert!(envelope.open(&sealed, "name").now_or_never().unwrap().is_ok());
}
