//! Tests the widget URL's parameters and the callback from a custom OAuth authorization.

use std::time::Duration;

use flinks::connect::PendingAuthorization;
use flinks::{Cause, OAuthError, Secret};

use crate::local;
use crate::outbound_client::parameter;

#[tokio::test]
async fn c5_parameters_of_the_widget_cannot_be_overridden() {
    let local = local().await;
    let widget = local.connect.widget(&"https://app.example/".parse().unwrap());
    for bad in
        ["authorizeToken", "AUTHORIZETOKEN", "redirectUrl", "redirecturl", "", "a&b", "a=b", "a b", "a#", "é", "a%"]
    {
        let error = widget.clone().parameter(bad, "x").unwrap_err();
        assert!(matches!(error.cause(), Cause::Input | Cause::Configuration), "{bad}");
        assert_eq!(error.field(), Some("parameter"), "{bad}");
    }
    // A parameter that is set several times appears only once in the URL.
    let widget = widget
        .language(flinks::Language::English)
        .parameter("Language", "fr")
        .unwrap()
        .language(flinks::Language::English);
    let url = widget.url(local.authorize_token().await).unwrap();
    assert_eq!(url.expose_url().to_lowercase().matches("language=").count(), 1);
}

#[tokio::test]
async fn c7_callback_with_another_state_is_refused() {
    let local = local().await;
    let start = || local.connect.custom_oauth(14, &"https://app.example/back".parse().unwrap()).unwrap().start();
    let other_url = start().url;
    let url = start().url;
    let state = parameter(&url, "state");
    assert!(state.len() >= 32);
    assert_ne!(state, parameter(&other_url, "state"));
    let last = if state.ends_with('0') { "1" } else { "0" };
    let wrong_state = format!("{}{last}", &state[..state.len() - 1]);
    for given in
        ["", &wrong_state, &state[..10], &format!("{state}0"), &parameter(&other_url, "state"), &state.to_uppercase()]
    {
        if *given == state {
            continue;
        }
        let (_, pending) = with_state(&local, &state);
        // If the state is wrong, the client does not trust an error in the callback either.
        for rest in ["loginId=l", "error=access_denied&error_description=canary"] {
            let pending: PendingAuthorization = clone(&pending);
            let error = local
                .connect
                .verify_oauth(pending, &format!("https://app.example/back?{rest}&state={given}"))
                .unwrap_err();
            assert!(error.cause() == Cause::InvalidCallback);
            assert!(error.oauth_error().is_none());
            assert!(error.message().is_none());
            assert!(!format!("{error} {error:?}").contains("canary"));
            assert!(!format!("{error:?}").contains(&state));
        }
    }
    let (_, pending) = with_state(&local, &state);
    let error = local.connect.verify_oauth(pending, "https://app.example/back?loginId=l").unwrap_err();
    assert!(error.cause() == Cause::InvalidCallback, "a missing state was not reported as such");
    let (_, pending) = with_state(&local, "");
    assert!(
        local.connect.verify_oauth(pending, "https://app.example/back?loginId=l").is_err(),
        "a callback without a state was accepted for an empty state"
    );
}

#[tokio::test]
async fn c7_callback_without_a_state_has_a_specific_error() {
    let local = local().await;
    for callback in [
        "",
        "?",
        "/back",
        "https://app.example/back",
        "loginId=l",
        "https://app.example/back?loginId=l",
        "error=access_denied",
        "State=right&loginId=l",
        "https://app.example/back#state=right",
    ] {
        let (_, pending) = with_state(&local, "right");
        let error = local.connect.verify_oauth(pending, callback).unwrap_err();
        assert!(error.cause() == Cause::InvalidCallback, "{callback}");
        assert!(error.to_string().contains("`state` is missing"), "{callback}: {error}");
    }
    let (_, pending) = with_state(&local, "right");
    let error = local.connect.verify_oauth(pending, "state=&loginId=l").unwrap_err();
    assert!(error.to_string().contains("`state` is empty"), "{error}");
    let (_, pending) = with_state(&local, "right");
    let error = local.connect.verify_oauth(pending, "state=wrong&loginId=l").unwrap_err();
    assert!(error.to_string().contains("`state` does not match"), "{error}");
}

/// Returns an authorization URL and a pending authorization that has the given state.
fn with_state(local: &crate::Local, state: &str) -> (Secret, PendingAuthorization) {
    let flinks::Started { url, pending, .. } =
        local.connect.custom_oauth(14, &"https://app.example/back".parse().unwrap()).unwrap().start();
    let mut stored = serde_json::to_value(&pending).unwrap();
    stored["state"] = state.into();
    (url, serde_json::from_value(stored).unwrap())
}

fn clone(pending: &PendingAuthorization) -> PendingAuthorization {
    serde_json::from_value(serde_json::to_value(pending).unwrap()).unwrap()
}

#[tokio::test]
async fn c7_malformed_callbacks_are_refused() {
    let local = local().await;
    let verify = |query: &str| {
        let (_, pending) = with_state(&local, "right");
        assert!(!format!("{pending:?}").contains("right"));
        local.connect.verify_oauth(pending, query)
    };
    for bad in [
        "",
        "state=right",
        "loginId=a&loginId=a&state=right",
        "loginId=a&state=right&state=right",
        "loginId=a&error=b&state=right",
        "loginId=&state=right",
        "loginId=a%0ab&state=right",
        "loginId=a%20b&state=right",
    ] {
        let error = verify(bad).unwrap_err();
        assert!(error.cause() == Cause::InvalidCallback, "{bad}");
        assert!(!error.may_have_been_sent(), "{bad}");
    }
    for good in [
        "loginId=a&state=right",
        "?loginId=a&state=right",
        "/back?loginId=a&state=right",
        "https://app.example/back?x=1&loginId=a&state=right#f",
        "/back?x[]=1&x[]=2&loginId=a&state=right",
        "loginId=a&state=right&x=what?",
        "/back;x=y?loginId=a&state=right",
        "http://localhost/x=y?loginId=a&state=right",
        "https://app.example/x=y?loginId=a&state=right",
    ] {
        assert_eq!(verify(good).unwrap().expose_secret(), "a", "{good}");
    }
    let error = verify("error=server_error&error_description=canary%20text&state=right").unwrap_err();
    assert_eq!(error.oauth_error(), Some(&OAuthError::SERVER_ERROR));
    assert_eq!(error.message(), Some("canary text"));
    assert!(error.cause() != Cause::InvalidCallback);
    assert!(!format!("{error} {error:?}").contains("canary"));
}

#[tokio::test]
async fn c7_redirect_url_with_reserved_parameters_is_refused() {
    let local = local().await;
    for query in ["state=x", "a=b&error=", "loginId=1", "error_description"] {
        let url = format!("https://app.example/back?{query}").parse().unwrap();
        assert_eq!(local.connect.custom_oauth(14, &url).unwrap_err().field(), Some("redirect URL"), "{query}");
    }
}

#[tokio::test]
async fn c7_pending_authorization_expires_after_ten_minutes() {
    let local = local().await;
    for (age, is_accepted) in [(0, true), (600, true), (601, false)] {
        let (_, pending) = with_state(&local, "right");
        local.clock.advance(Duration::from_secs(age));
        assert_eq!(local.connect.verify_oauth(pending, "loginId=a&state=right").is_ok(), is_accepted, "{age}");
    }
    // Another machine's clock may be slightly behind.
    let (_, pending) = with_state(&local, "right");
    local.turn_wall_clock_back(Duration::from_secs(60));
    assert!(local.connect.verify_oauth(pending, "loginId=a&state=right").is_ok());
    let (_, pending) = with_state(&local, "right");
    local.turn_wall_clock_back(Duration::from_secs(61));
    assert!(
        local.connect.verify_oauth(pending, "loginId=a&state=right").is_err(),
        "a pending authorization from the future was accepted"
    );
}
