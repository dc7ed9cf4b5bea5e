//! Rule O4: an access token is refreshed before it expires, and a server that fails is left alone
//! for a while.

use crate::prelude::*;

#[tokio::test]
async fn o4_token_is_refreshed_early_while_it_is_returned() {
    let local = start().await;
    let (consent, mut events) = local.consent_with_events().await;
    let first = consent.access_token().await.unwrap();
    assert!(matches!(events.recv().await, Some(Event::Refreshed { expires_at: Some(_), .. })));
    // The slack is a tenth to a fifth, and 300 seconds at most: here 150 to 300.
    local.advance(LIFETIME - Duration::from_secs(301));
    assert_eq!(text(&consent.access_token().await.unwrap()), text(&first));
    assert_eq!(local.tokens(), 1);
    local.advance(Duration::from_secs(151));
    // Within the slack, callers do not wait.
    local.emulator.fail_next(TOKEN, hold(When::After));
    assert_eq!(text(&consent.access_token().await.unwrap()), text(&first));
    local.emulator.received(TOKEN, 2).await;
    assert_eq!(text(&consent.access_token().await.unwrap()), text(&first));
    local.emulator.release();
    assert!(matches!(events.recv().await, Some(Event::Refreshed { .. })));
    assert_ne!(text(&consent.access_token().await.unwrap()), text(&first));
    assert_eq!(local.tokens(), 2);
}

#[tokio::test]
async fn o4_failed_early_refresh_keeps_the_valid_token() {
    let local = start().await;
    let (consent, mut events) = local.consent_with_events().await;
    let first = consent.access_token().await.unwrap();
    let _ = events.recv().await;
    local.emulator.fail_always(TOKEN, Fault::status(500));
    local.advance(LIFETIME - MINUTE);
    assert_eq!(text(&consent.access_token().await.unwrap()), text(&first));
    let Some(Event::RefreshFailed { error, valid_until, .. }) = events.recv().await else { panic!() };
    assert_eq!(error.status(), Some(500));
    assert_eq!(valid_until, first.expires_at());
    assert_eq!(local.tokens(), 3);
    // During the pause there is no request.
    for _ in 0..100 {
        assert_eq!(text(&consent.access_token().await.unwrap()), text(&first));
    }
    assert_eq!(local.tokens(), 3);
    // Shortly before the end, a caller waits for the refresh, and still gets the valid token.
    let left = first.expires_at().unwrap().duration_since(local.now()).unwrap();
    local.advance(left - Duration::from_secs(5));
    assert_eq!(text(&consent.access_token().await.unwrap()), text(&first));
    assert_eq!(local.tokens(), 5);
    local.advance(Duration::from_secs(5));
    assert_eq!(consent.access_token().await.unwrap_err().status(), Some(500));
}

#[tokio::test]
async fn o4_refresh_backs_off_during_an_outage_and_recovers() {
    let local = start().await;
    let consent = local.consent().await;
    local.emulator.fail_always(TOKEN, Fault::status(502));
    for _ in 0..600 {
        assert_eq!(consent.access_token().await.unwrap_err().status(), Some(502));
        local.advance(SECOND);
    }
    // Pauses of 1, 2, 4, 8, 16 and 32 seconds, and then of a minute, each of them or half of it;
    // two tries each.
    let requests = local.tokens();
    assert!((20..=60).contains(&requests), "{requests}");
    local.emulator.clear_faults();
    local.advance(MINUTE);
    let _ = consent.access_token().await.unwrap();
    assert_eq!(local.tokens(), requests + 1);
    // The back-off starts again: the next pause is at most a second.
    local.advance(LIFETIME);
    local.emulator.fail_times(TOKEN, Fault::status(502), 2);
    assert_eq!(consent.access_token().await.unwrap_err().status(), Some(502));
    local.advance(SECOND);
    let _ = consent.access_token().await.unwrap();
}

#[tokio::test]
async fn o4_retry_after_delays_the_next_refresh() {
    let local = start().await;
    let consent = local.consent().await;
    let busy = |seconds: &str| {
        let headers = vec![("retry-after".to_owned(), seconds.to_owned())];
        local.emulator.fail_next(TOKEN, Fault::Reply { status: 429, headers, body: String::new() });
    };
    for (asked, waited) in [("120", 120), ("99999999999999999999", 300)] {
        busy(asked);
        let before = local.tokens();
        assert!(consent.access_token().await.unwrap_err().is_rate_limited());
        local.advance(Duration::from_secs(waited - 1));
        assert!(consent.access_token().await.unwrap_err().is_rate_limited());
        assert_eq!(local.tokens(), before + 1);
        local.advance(SECOND);
        let _ = consent.access_token().await.unwrap();
        local.advance(LIFETIME);
    }
}
