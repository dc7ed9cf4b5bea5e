//! Tests that an access token is refreshed before it expires and that refreshes back off after a
//! failure. (O4)

use crate::prelude::*;

#[tokio::test]
async fn o4_token_is_refreshed_early_while_it_is_returned() {
    let setup = start().await;
    let (consent, mut events) = setup.consent_with_events().await;
    let first = consent.access_token().await.unwrap();
    assert!(matches!(events.recv().await, Some(Event::Refreshed { expires_at: Some(_), .. })));
    // The maximum slack is a fifth of the lifetime, but no more than 300 seconds. The slack is
    // random and at least half of the maximum. Here, it is 150 to 300 seconds.
    setup.advance(LIFETIME - Duration::from_secs(301));
    assert_eq!(text(&consent.access_token().await.unwrap()), text(&first));
    assert_eq!(setup.token_requests(), 1);
    setup.advance(Duration::from_secs(151));
    // Within the slack, callers do not wait.
    setup.emulator.fail_next(TOKEN, hold(When::After));
    assert_eq!(text(&consent.access_token().await.unwrap()), text(&first));
    setup.emulator.received(TOKEN, 2).await;
    assert_eq!(text(&consent.access_token().await.unwrap()), text(&first));
    setup.emulator.release();
    assert!(matches!(events.recv().await, Some(Event::Refreshed { .. })));
    assert_ne!(text(&consent.access_token().await.unwrap()), text(&first));
    assert_eq!(setup.token_requests(), 2);
}

#[tokio::test]
async fn o4_failed_early_refresh_keeps_the_valid_token() {
    let setup = start().await;
    let (consent, mut events) = setup.consent_with_events().await;
    let first = consent.access_token().await.unwrap();
    let _ = events.recv().await;
    setup.emulator.fail_always(TOKEN, Fault::status(500));
    setup.advance(LIFETIME - MINUTE);
    assert_eq!(text(&consent.access_token().await.unwrap()), text(&first));
    let Some(Event::RefreshFailed { error, valid_until, .. }) = events.recv().await else {
        panic!("expected Event::RefreshFailed")
    };
    assert_eq!(error.status(), Some(500));
    assert_eq!(valid_until, first.expires_at());
    assert_eq!(setup.token_requests(), 3);
    // During the back-off, calls send no requests.
    for _ in 0..100 {
        assert_eq!(text(&consent.access_token().await.unwrap()), text(&first));
    }
    assert_eq!(setup.token_requests(), 3);
    // Shortly before the token expires, a caller waits for the refresh. The refresh fails, and the
    // caller receives the current token, which is still valid.
    let left = first.expires_at().unwrap().duration_since(setup.now()).unwrap();
    setup.advance(left - Duration::from_secs(5));
    assert_eq!(text(&consent.access_token().await.unwrap()), text(&first));
    assert_eq!(setup.token_requests(), 5);
    setup.advance(Duration::from_secs(5));
    assert_eq!(consent.access_token().await.unwrap_err().status(), Some(500));
}

#[tokio::test]
async fn o4_refresh_backs_off_during_an_outage_and_recovers() {
    let setup = start().await;
    let consent = setup.consent().await;
    setup.emulator.fail_always(TOKEN, Fault::status(502));
    for _ in 0..600 {
        assert_eq!(consent.access_token().await.unwrap_err().status(), Some(502));
        setup.advance(SECOND);
    }
    // The maximum waits are 1, 2, 4, 8, 16, 32 and then 60 seconds. Each wait is at least half of
    // its maximum. Each refresh makes two attempts.
    let requests = setup.token_requests();
    assert!((20..=60).contains(&requests), "{requests}");
    setup.emulator.clear_faults();
    setup.advance(MINUTE);
    let _ = consent.access_token().await.unwrap();
    assert_eq!(setup.token_requests(), requests + 1);
    // The back-off starts again with a wait of at most one second.
    setup.advance(LIFETIME);
    setup.emulator.fail_times(TOKEN, Fault::status(502), 2);
    assert_eq!(consent.access_token().await.unwrap_err().status(), Some(502));
    setup.advance(SECOND);
    let _ = consent.access_token().await.unwrap();
}

#[tokio::test]
async fn o4_retry_after_delays_the_next_refresh() {
    let setup = start().await;
    let consent = setup.consent().await;
    let busy = |seconds: &str| {
        let headers = vec![("retry-after".to_owned(), seconds.to_owned())];
        setup.emulator.fail_next(TOKEN, Fault::Reply { status: 429, headers, body: String::new() });
    };
    for (retry_after, waited) in [("120", 120), ("99999999999999999999", 300)] {
        busy(retry_after);
        let before = setup.token_requests();
        assert!(consent.access_token().await.unwrap_err().is_rate_limited());
        setup.advance(Duration::from_secs(waited - 1));
        assert!(consent.access_token().await.unwrap_err().is_rate_limited());
        assert_eq!(setup.token_requests(), before + 1);
        setup.advance(SECOND);
        let _ = consent.access_token().await.unwrap();
        setup.advance(LIFETIME);
    }
}
