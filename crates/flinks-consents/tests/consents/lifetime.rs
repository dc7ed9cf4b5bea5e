//! Tests how long an access token is used and which clocks determine when it expires. (O3, O4, A4)

use crate::prelude::*;
use flinks_consents::flinks::Cause;

#[tokio::test]
async fn o3_token_of_unknown_lifetime_serves_its_waiters_and_is_not_cached() {
    for expires_in in ["0", "null"] {
        let setup = start().await;
        let consent = setup.consent().await;
        setup.emulator.fail_always(TOKEN, response_with_lifetime(expires_in));
        let all = spawn_many(&consent, 10);
        for one in all {
            let _ = one.await.unwrap().unwrap();
        }
        assert_eq!(setup.token_requests(), 1);
        let _ = waits(&setup.clock);
        for _ in 0..3 {
            let token = consent.access_token().await.unwrap();
            assert!(token.expires_at().is_none());
        }
        // Each call refreshes the token, one second after the previous refresh.
        assert_eq!(setup.token_requests(), 4);
        let one_second_waits = waits(&setup.clock).into_iter().filter(|wait| *wait == SECOND).count();
        assert_eq!(one_second_waits, 3);
        // The token is not returned if a later refresh fails.
        setup.emulator.clear_faults();
        setup.emulator.fail_always(TOKEN, Fault::status(404));
        assert_eq!(consent.access_token().await.unwrap_err().status(), Some(404));
    }
}

#[tokio::test]
async fn o3_token_that_expired_on_arrival_is_an_error() {
    let setup = start().await;
    let consent = setup.consent().await;
    setup.emulator.fail_always(TOKEN, response_with_lifetime("-1"));
    assert_eq!(consent.access_token().await.unwrap_err().cause(), Some(Cause::Expired));
    assert_eq!(setup.token_requests(), 2);
}

#[tokio::test]
async fn o3_expired_application_token_is_not_fetched_in_a_loop() {
    let setup = start().await;
    let source = AppTokenSource::new(setup.client(), None);
    let body = r#"{"access_token":"emu_a","expires_in":-1,"refresh_token":"emu_new"}"#;
    setup.emulator.fail_always(TOKEN, Fault::reply(200, body));
    for _ in 0..10 {
        assert_eq!(source.access_token().await.unwrap_err().cause(), Some(Cause::Expired));
    }
    assert_eq!(setup.emulator.count(TOKEN), 2, "a call during the back-off sent a request");
}

#[tokio::test]
async fn o4_token_is_used_for_its_lifetime_and_not_longer() {
    for lifetime in [1, 2, 10, 299, 599, 3600, 86_400, u64::MAX] {
        let setup = start().await;
        let consent = setup.consent().await;
        setup.emulator.fail_always(TOKEN, response_with_lifetime(&lifetime.to_string()));
        let end = Duration::from_secs(lifetime.min(86_400));
        let first = consent.access_token().await.unwrap();
        setup.advance(end.mul_f64(0.79));
        let again = consent.access_token().await.unwrap();
        assert_eq!(first.expires_at(), again.expires_at(), "{lifetime}");
        assert_eq!(setup.token_requests(), 1, "{lifetime}");
        setup.advance(end.mul_f64(0.21));
        let next = consent.access_token().await.unwrap();
        assert!(first.is_expired(), "{lifetime}");
        assert!(!next.is_expired(), "{lifetime}");
        assert_eq!(setup.token_requests(), 2, "{lifetime}");
    }
}

#[tokio::test]
async fn a4_consent_token_expires_on_either_clock() {
    let setup = start().await;
    let consent = setup.consent().await;
    setup.emulator.fail_always(TOKEN, response_with_lifetime("299"));
    let first = consent.access_token().await.unwrap();
    setup.move_wall_clock_forward(Duration::from_secs(600));
    assert!(first.is_expired());
    let second = consent.access_token().await.unwrap();
    assert_eq!(setup.token_requests(), 2);
    setup.move_wall_clock_back(HOUR);
    let _ = consent.access_token().await.unwrap();
    assert_eq!(setup.token_requests(), 2);
    // The token has expired according to the monotonic clock but not according to the wall clock.
    setup.clock.advance(Duration::from_secs(299));
    setup.move_wall_clock_back(Duration::from_secs(299));
    assert!(second.is_expired());
    let _ = consent.access_token().await.unwrap();
    assert_eq!(setup.token_requests(), 3);
}

#[tokio::test]
async fn a4_server_clock_does_not_affect_the_lifetime() {
    let setup = start().await;
    setup.emulator.advance(Duration::from_secs(600));
    let consent = setup.consent().await;
    let token = consent.access_token().await.unwrap();
    assert_eq!(token.expires_at().unwrap().duration_since(setup.now()).unwrap(), LIFETIME);
    setup.clock.advance(LIFETIME - Duration::from_secs(301));
    let _ = consent.access_token().await.unwrap();
    assert_eq!(setup.token_requests(), 1);
}

#[tokio::test]
async fn a4_consent_token_lifetime_counts_from_before_the_request() {
    let setup = start().await;
    let consent = setup.consent().await;
    let call = setup.held_call(&consent, When::After).await;
    setup.advance(Duration::from_secs(20));
    setup.emulator.release();
    let token = call.await.unwrap().unwrap();
    let left = token.expires_at().unwrap().duration_since(setup.now()).unwrap();
    assert_eq!(left, LIFETIME - Duration::from_secs(20));
}

#[tokio::test]
async fn a4_setting_the_wall_clock_back_does_not_make_an_expired_token_valid() {
    let setup = start().await;
    let consent = setup.consent().await;
    let first = consent.access_token().await.unwrap();
    setup.clock.advance(LIFETIME / 2);
    setup.move_wall_clock_back(LIFETIME / 3);
    setup.clock.advance(LIFETIME / 2);
    assert!(first.is_expired());
    // The store also contains the token, which is still valid according to the wall clock.
    assert_ne!(text(&consent.access_token().await.unwrap()), text(&first));
    assert_eq!(setup.token_requests(), 2);
}
