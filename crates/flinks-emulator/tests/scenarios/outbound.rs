//! Scenarios for the Outbound client and its consents.

use flinks::Clock as _;
use flinks::outbound::{Client, ClientCredentials, RefreshToken};
use flinks_consents::{Consent, ConsentId, Consents, MemoryStore};
use flinks_emulator::credentials::*;
use flinks_emulator::{Kind, Operation};

use crate::{DAY, Duration, MINUTE, Setup};

fn client(setup: &Setup) -> Client {
    let credentials = ClientCredentials::new(OUTBOUND_CLIENT_ID, OUTBOUND_CLIENT_SECRET).unwrap();
    Client::builder(setup.base_url(), credentials).settings(&setup.settings()).build().unwrap()
}

fn refresh_token() -> RefreshToken {
    RefreshToken::new(OUTBOUND_REFRESH_TOKEN).unwrap()
}

/// Imports the refresh token, which was last used `idle` ago.
async fn consent(setup: &Setup, idle: Duration) -> Consent {
    let consents = Consents::builder(client(setup)).store(MemoryStore::new()).store_timeout(crate::TIMEOUT).build();
    let id: ConsentId = "user-7".parse().unwrap();
    consents.import(&id, refresh_token(), setup.clock.wall() - idle).await.unwrap()
}

/// Reads the accounts and returns the status.
async fn read_accounts(setup: &Setup, consent: &Consent) -> u16 {
    let token = consent.access_token().await.unwrap();
    let url = format!("{}/api/fdx/5/accounts", setup.emulator.base_url());
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    http.get(url).bearer_auth(token.expose_secret()).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn consent_revoked_ends_the_consent_after_the_first_read() {
    let setup = Setup::with("consent-revoked").await;
    let consent = consent(&setup, Duration::ZERO).await;
    assert_eq!(read_accounts(&setup, &consent).await, 200);
    assert_eq!(read_accounts(&setup, &consent).await, 401);
    let token = consent.access_token().await.unwrap();
    consent.invalidate(&token);
    setup.advance(MINUTE);
    let error = consent.access_token().await.unwrap_err();
    assert!(error.needs_consent(), "{error}");
    // No request revoked the token.
    assert_eq!(setup.emulator.find(OUTBOUND_REFRESH_TOKEN).unwrap().revoked.unwrap().by, 0);
}

#[tokio::test]
async fn idle_refresh_token_expires_after_one_more_day() {
    let setup = Setup::with("idle-refresh-token").await;
    let used = consent(&setup, 29 * DAY).await;
    let deadline = used.idle_deadline().await.unwrap();
    let left = deadline.duration_since(setup.clock.wall()).unwrap();
    assert!(left > DAY - MINUTE, "{left:?}");
    assert!(left <= DAY, "{left:?}");
    used.access_token().await.unwrap();
    setup.advance(2 * DAY);
    used.access_token().await.unwrap();

    let setup = Setup::with("idle-refresh-token").await;
    let unused = consent(&setup, 29 * DAY).await;
    setup.advance(DAY);
    assert!(unused.access_token().await.unwrap_err().needs_consent());
}

#[tokio::test]
async fn rotation_replaces_the_refresh_token_and_the_consent_keeps_the_new_one() {
    let setup = Setup::with("rotation").await;
    let consent = consent(&setup, Duration::ZERO).await;
    for _ in 0..3 {
        consent.access_token().await.unwrap();
        setup.advance(10 * MINUTE);
    }
    let tokens: Vec<_> = setup.emulator.issued().into_iter().filter(|token| token.kind == Kind::RefreshToken).collect();
    assert_eq!(tokens.len(), 4);
    assert!(tokens[..3].iter().all(|token| token.spent.is_some()));
    assert!(client(&setup).refresh(&refresh_token()).await.is_err(), "the first token is spent");
}

#[tokio::test]
async fn lost_token_response_is_retried_once() {
    let setup = Setup::with("lost-token-response").await;
    let consent = consent(&setup, Duration::ZERO).await;
    consent.access_token().await.unwrap();
    assert_eq!(setup.emulator.count(Operation::OutboundToken), 2);

    // A code is never exchanged twice, because the lost response may have contained the tokens.
    let setup = Setup::with("lost-token-response").await;
    let client = client(&setup);
    let redirect_uri = OUTBOUND_REDIRECT_URI.parse().unwrap();
    let flinks::Started { url, pending, .. } =
        client.authorization(OUTBOUND_PROVIDER_ID, &redirect_uri).unwrap().start();
    let url = url::Url::parse(url.expose_secret()).unwrap();
    let state = url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let code = client.verify(pending, &format!("/callback?code={OUTBOUND_CODE}&state={state}")).unwrap();
    let error = client.exchange_code(code).await.unwrap_err();
    assert!(matches!(error, flinks::SpendError::Unknown(_)), "{error}");
    assert_eq!(setup.emulator.count(Operation::OutboundToken), 1);
}
