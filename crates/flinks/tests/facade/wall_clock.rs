//! A wall clock that was ahead: what it wrote must not hide a consent (O5, A4).

use std::time::{Duration, SystemTime};

use flinks::outbound::{Consents, FileStore, MemoryStore, TokenStore};
use flinks::{Clock, Settings, Sleep};

use crate::consents::{DAY, LIFETIME, SECOND, builder, id, start};
use crate::outbound::refresh_token;
use crate::{Local, TestClock};

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The clock of a test, whose wall clock is ahead.
struct Ahead(TestClock, Duration);

impl Clock for Ahead {
    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    fn wall(&self) -> SystemTime {
        self.0.wall() + self.1
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        self.0.sleep(duration)
    }
}

/// The consents of a process on a machine whose clock is ahead.
pub(crate) fn ahead(local: &Local, by: Duration, store: impl TokenStore) -> Consents {
    let settings = Settings::new().clock(Ahead(local.clock.clone(), by)).timeout(crate::TIMEOUT);
    let base_url = local.emulator.base_url().parse().unwrap();
    let client = flinks::outbound::Client::with_settings(base_url, crate::outbound::credentials(), &settings).unwrap();
    Consents::builder(client).store(store).store_timeout(crate::TIMEOUT).build()
}

async fn check(store: impl TokenStore + Clone) {
    for by in [YEAR, DAY, Duration::from_secs(3600)] {
        let local = start().await;
        let consents = builder(&local).store(store.clone()).build();
        let _ = consents.insert(&id("other"), refresh_token(), local.now()).await.unwrap();
        let wrong = ahead(&local, by, store.clone());
        let consent = wrong.insert(&id("user-7"), refresh_token(), local.now()).await.unwrap();
        let _ = consent.access_token().await.unwrap();
        // Nobody knows how old the refresh token is, so it is due, and comes first.
        assert_eq!(consents.due(DAY, 10).await.unwrap(), [id("user-7")], "{by:?}");
        assert_eq!(consents.due(Duration::MAX, 10).await.unwrap(), [id("user-7"), id("other")], "{by:?}");
        let consent = consents.consent(&id("user-7"));
        assert_eq!(consent.idle_deadline().await.unwrap(), local.now(), "{by:?}");
        // A refresh writes the true time.
        let _ = consent.exchange_now().await.unwrap();
        assert!(consents.due(29 * DAY, 10).await.unwrap().is_empty(), "{by:?}");
        assert!(consent.idle_deadline().await.unwrap() <= local.now() + 30 * DAY, "{by:?}");
        for name in ["user-7", "other"] {
            consents.consent(&id(name)).forget().await.unwrap();
        }
    }
}

#[tokio::test]
async fn o5_an_exchange_while_the_wall_clock_was_ahead_makes_the_consent_due() {
    check(MemoryStore::new()).await;
    let directory = tempfile::tempdir().unwrap();
    check(FileStore::open(directory.path().join("consents")).unwrap()).await;
}

#[tokio::test]
async fn o5_a_clock_that_is_ahead_by_seconds_makes_nothing_due() {
    let local = start().await;
    let store = MemoryStore::new();
    let wrong = ahead(&local, Duration::from_secs(30), store.clone());
    let _ = wrong.insert(&id("user-7"), refresh_token(), local.now()).await.unwrap();
    let _ = wrong.consent(&id("user-7")).access_token().await.unwrap();
    assert!(builder(&local).store(store).build().due(29 * DAY, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn o9_a_new_consent_replaces_one_that_was_given_in_the_future() {
    let local = start().await;
    let store = crate::consents::BadStore::default();
    let wrong = ahead(&local, YEAR, store.clone());
    let _ = wrong.insert(&id("user-7"), refresh_token(), local.now()).await.unwrap();
    // The end user consents again; the store takes it only later.
    let consents = builder(&local).store(store.clone()).build();
    let code = crate::outbound::code(&local, consents.client()).await;
    store.always(crate::consents::Plan::Fail);
    assert!(consents.exchange_code(&id("user-7"), code).await.is_err());
    store.always(crate::consents::Plan::Work);
    local.advance(SECOND);
    consents.flush().await.unwrap();
    let kept = store.good.load(&id("user-7")).await.unwrap().unwrap().encode().unwrap();
    assert!(!kept.expose_secret().contains(refresh_token().expose_secret()));
    local.advance(LIFETIME);
}

#[tokio::test]
async fn o5_an_insertion_with_the_true_time_corrects_one_in_the_future() {
    let local = start().await;
    let store = MemoryStore::new();
    let wrong = ahead(&local, YEAR, store.clone());
    let _ = wrong.insert(&id("user-7"), refresh_token(), local.now() + YEAR).await.unwrap();
    let consents = builder(&local).store(store).build();
    let consent = consents.insert(&id("user-7"), refresh_token(), local.now()).await.unwrap();
    assert_eq!(consent.idle_deadline().await.unwrap().duration_since(local.now()).unwrap().as_secs() / 86_400, 29);
}
