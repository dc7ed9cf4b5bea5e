//! Rules O3, O4 and A4: how long an access token is used, and which clocks decide that.

use crate::prelude::*;
use flinks_consents::flinks::Cause;

#[tokio::test]
async fn o3_token_of_unknown_lifetime_serves_its_waiters_and_is_not_cached() {
    for expires_in in ["0", "null"] {
        let local = start().await;
        let consent = local.consent().await;
        local.emulator.fail_always(TOKEN, lives(expires_in));
        let all = spawn_many(&consent, 10);
        for one in all {
            let _ = one.await.unwrap().unwrap();
        }
        assert_eq!(local.tokens(), 1);
        let _ = waits(&local.clock);
        for _ in 0..3 {
            let token = consent.access_token().await.unwrap();
            assert!(token.expires_at().is_none());
        }
        // Each call makes one refresh, a second after the previous one.
        assert_eq!(local.tokens(), 4);
        let floors = waits(&local.clock).into_iter().filter(|wait| *wait == SECOND).count();
        assert_eq!(floors, 3);
        // The token is not kept for a failure of the server either.
        local.emulator.clear_faults();
        local.emulator.fail_always(TOKEN, Fault::status(404));
        assert_eq!(consent.access_token().await.unwrap_err().status(), Some(404));
    }
}

#[tokio::test]
async fn o3_token_that_expired_on_arrival_is_an_error() {
    let local = start().await;
    let consent = local.consent().await;
    local.emulator.fail_always(TOKEN, lives("-1"));
    assert!(consent.access_token().await.unwrap_err().cause() == Some(Cause::Expired));
    assert_eq!(local.tokens(), 2);
}

#[tokio::test]
async fn o3_expired_application_token_is_not_fetched_in_a_loop() {
    let local = start().await;
    let source = AppTokenSource::new(local.client(), None);
    let body = r#"{"access_token":"emu_a","expires_in":-1,"refresh_token":"emu_new"}"#;
    local.emulator.fail_always(TOKEN, Fault::reply(200, body));
    for _ in 0..10 {
        assert!(source.access_token().await.unwrap_err().cause() == Some(Cause::Expired));
    }
    assert_eq!(local.emulator.count(TOKEN), 2, "the others wait out the pause");
}

#[tokio::test]
async fn o4_token_is_used_for_its_lifetime_and_not_longer() {
    for lifetime in [1, 2, 10, 299, 599, 3600, 86_400, u64::MAX] {
        let local = start().await;
        let consent = local.consent().await;
        local.emulator.fail_always(TOKEN, lives(&lifetime.to_string()));
        let end = Duration::from_secs(lifetime.min(86_400));
        let first = consent.access_token().await.unwrap();
        local.advance(end.mul_f64(0.79));
        let again = consent.access_token().await.unwrap();
        assert_eq!(first.expires_at(), again.expires_at(), "{lifetime}");
        assert_eq!(local.tokens(), 1, "{lifetime}");
        local.advance(end.mul_f64(0.21));
        let next = consent.access_token().await.unwrap();
        assert!(first.is_expired(), "{lifetime}");
        assert!(!next.is_expired(), "{lifetime}");
        assert_eq!(local.tokens(), 2, "{lifetime}");
    }
}

#[tokio::test]
async fn a4_consent_token_expires_on_either_clock() {
    let local = start().await;
    let consent = local.consent().await;
    local.emulator.fail_always(TOKEN, lives("299"));
    let first = consent.access_token().await.unwrap();
    local.turn_wall_clock_ahead(Duration::from_secs(600));
    assert!(first.is_expired());
    let second = consent.access_token().await.unwrap();
    assert_eq!(local.tokens(), 2);
    local.turn_wall_clock_back(HOUR);
    let _ = consent.access_token().await.unwrap();
    assert_eq!(local.tokens(), 2);
    // Only the monotonic clock gets there.
    local.clock.advance(Duration::from_secs(299));
    local.turn_wall_clock_back(Duration::from_secs(299));
    assert!(second.is_expired());
    let _ = consent.access_token().await.unwrap();
    assert_eq!(local.tokens(), 3);
}

#[tokio::test]
async fn a4_server_clock_has_no_effect() {
    let local = start().await;
    local.emulator.advance(Duration::from_secs(600));
    let consent = local.consent().await;
    let token = consent.access_token().await.unwrap();
    assert_eq!(token.expires_at().unwrap().duration_since(local.now()).unwrap(), LIFETIME);
    local.clock.advance(LIFETIME - Duration::from_secs(301));
    let _ = consent.access_token().await.unwrap();
    assert_eq!(local.tokens(), 1);
}

#[tokio::test]
async fn a4_consent_token_lifetime_counts_from_before_the_request() {
    let local = start().await;
    let consent = local.consent().await;
    let call = local.held_call(&consent, When::After).await;
    local.advance(Duration::from_secs(20));
    local.emulator.release();
    let token = call.await.unwrap().unwrap();
    let left = token.expires_at().unwrap().duration_since(local.now()).unwrap();
    assert_eq!(left, LIFETIME - Duration::from_secs(20));
}

#[tokio::test]
async fn a4_setting_the_wall_clock_back_does_not_make_an_expired_token_valid() {
    let local = start().await;
    let consent = local.consent().await;
    let first = consent.access_token().await.unwrap();
    local.clock.advance(LIFETIME / 2);
    local.turn_wall_clock_back(LIFETIME / 3);
    local.clock.advance(LIFETIME / 2);
    assert!(first.is_expired());
    // The store has the token too, where the wall clock alone would call it valid.
    assert_ne!(text(&consent.access_token().await.unwrap()), text(&first));
    assert_eq!(local.tokens(), 2);
}
