//! Tests the landing: the redirect that returns the end user from the widget.

use std::time::Duration;

use flinks::connect::{Authorize, Landing, Outcome, PendingLanding, Session, StatePlacement};
use flinks::{Advice, Cause, Error, FlinksCode, OAuthError, SpendError};
use flinks_emulator::credentials::*;
use flinks_emulator::{Fault, Operation, RedirectUrlPart};

use crate::pages::connect_bank;
use crate::{Local, local, login_id};

const PLACEMENTS: [StatePlacement; 3] = [StatePlacement::Query, StatePlacement::Path, StatePlacement::Session];
const REDIRECT_URL: &str = "https://app.example/landing?a=1";

/// Starts a widget. Returns the widget's redirect URL and the pending landing.
async fn start(local: &Local, redirect_url: &str, placement: StatePlacement) -> (String, PendingLanding) {
    let widget = local.connect.widget(&redirect_url.parse().unwrap());
    let started = widget.start(local.authorize_token().await, placement).unwrap();
    let url = url::Url::parse(started.url.expose_url()).unwrap();
    let (_, redirect_url) = url.query_pairs().find(|(name, _)| name == "redirectUrl").unwrap();
    (redirect_url.into_owned(), started.pending)
}

/// Returns a pending landing with the state `right`.
async fn pending(local: &Local, placement: StatePlacement) -> PendingLanding {
    let (_, pending) = start(local, REDIRECT_URL, placement).await;
    let mut stored = serde_json::to_value(&pending).unwrap();
    stored["state"]["state"] = "right".into();
    serde_json::from_value(stored).unwrap()
}

async fn verify(local: &Local, placement: StatePlacement, callback: &str) -> Result<Landing, Error> {
    local.connect.verify_landing(pending(local, placement).await, callback)
}

/// Returns the error for a callback that must be rejected.
async fn rejection(local: &Local, placement: StatePlacement, callback: &str) -> Error {
    let error = verify(local, placement, callback).await.map(|_| panic!("{callback}")).unwrap_err();
    assert_eq!(error.cause(), Cause::InvalidCallback, "{callback}");
    assert_eq!(error.advice(), Advice::StartOver, "{callback}");
    assert_eq!(error.oauth_error(), None, "{callback}");
    error
}

/// Calls `/Authorize` with the given request.
async fn session(local: &Local, request: &Authorize) -> Session {
    match local.connect.authorize(local.authorize_token().await, request).await.unwrap() {
        Outcome::Complete(session) => session,
        Outcome::Challenge(_) => panic!(),
    }
}

#[tokio::test]
async fn c5_state_is_verified_if_the_widget_keeps_its_place() {
    use RedirectUrlPart::{OriginOnly, Whole, WithoutQuery};
    use StatePlacement::{Path, Query, Session};
    let local = local().await;
    let missing = Some("`state` is missing");
    for (placement, part, problem) in [
        (Query, Whole, None),
        (Query, WithoutQuery, missing),
        (Query, OriginOnly, missing),
        (Path, Whole, None),
        (Path, WithoutQuery, None),
        (Path, OriginOnly, missing),
        (Session, Whole, None),
        (Session, WithoutQuery, None),
        (Session, OriginOnly, None),
    ] {
        let case = format!("{placement:?}, {part:?}");
        local.emulator.configure(|config| config.connect.redirect_url_part = part);
        let widget = local.connect.widget(&REDIRECT_URL.parse().unwrap());
        let started = widget.start(local.authorize_token().await, placement).unwrap();
        let callback = connect_bank(&local, started.url.expose_url()).await.landing;
        assert!(callback.starts_with("https://app.example/"), "{case}");
        match (local.connect.verify_landing(started.pending, &callback), problem) {
            (Ok(landing), None) => {
                assert_eq!(landing.institution.as_deref(), Some(BANK), "{case}");
                let session = session(&local, &landing.login_id.authorize()).await;
                let login_id = landing.login_id.confirm(&session).unwrap();
                assert!(callback.contains(login_id.expose_secret()), "{case}");
            }
            (Err(error), Some(problem)) => {
                assert_eq!(error.cause(), Cause::InvalidCallback, "{case}");
                assert!(error.to_string().contains(problem), "{case}: {error}");
            }
            (outcome, _) => panic!("{case}: {outcome:?}"),
        }
    }
}

#[tokio::test]
async fn c5_state_is_added_in_its_place_of_the_redirect_url() {
    use StatePlacement::{Path, Query, Session};
    let local = local().await;
    for (placement, given, expected) in [
        (Query, "https://app.example", "https://app.example?state=STATE"),
        (Query, "https://app.example/a?", "https://app.example/a?state=STATE"),
        (Query, "https://App.example/%7e?a=%7e", "https://App.example/%7e?a=%7e&state=STATE"),
        (Path, "https://app.example", "https://app.example/STATE"),
        (Path, "https://app.example/", "https://app.example/STATE"),
        (Path, "https://app.example/a/?b=/c", "https://app.example/a/STATE?b=/c"),
        (Session, "https://App.example/%7e?a=%7e", "https://App.example/%7e?a=%7e"),
    ] {
        let (redirect_url, pending) = start(&local, given, placement).await;
        let stored = serde_json::to_value(&pending).unwrap();
        let state = stored["state"]["state"].as_str().unwrap();
        assert!(state.len() >= 32);
        assert_eq!(redirect_url.replace(state, "STATE"), expected, "{given}");
    }
}

#[tokio::test]
async fn c5_landing_with_another_state_is_refused() {
    let local = local().await;
    for given in ["", "wrong", "rig", "rightx", "RIGHT", "%20right"] {
        // If the state is wrong, an error in the landing is not trusted either.
        for rest in ["loginId=l", "error=access_denied&error_description=canary"] {
            let query = format!("https://app.example/landing?{rest}&state={given}");
            let path = format!("https://app.example/landing/{given}?{rest}");
            for (placement, callback) in [(StatePlacement::Query, query), (StatePlacement::Path, path)] {
                let error = rejection(&local, placement, &callback).await;
                assert!(error.message().is_none());
                assert!(!format!("{error} {error:?}").contains("canary"));
            }
        }
    }
    // A state in another place does not count.
    rejection(&local, StatePlacement::Query, "/landing/right?loginId=l").await;
    rejection(&local, StatePlacement::Path, "/landing?loginId=l&state=right").await;
    rejection(&local, StatePlacement::Path, "/right/landing?loginId=l").await;
    rejection(&local, StatePlacement::Path, "loginId=l").await;
    rejection(&local, StatePlacement::Path, "").await;
}

#[tokio::test]
async fn c5_landing_of_another_session_is_refused_unless_the_state_is_only_in_the_session() {
    let local = local().await;
    for placement in PLACEMENTS {
        let (of_attacker, _) = start(&local, "https://app.example/landing?a=1", placement).await;
        let (of_end_user, pending_landing) = start(&local, "https://app.example/landing?a=1", placement).await;
        assert_eq!(of_attacker == of_end_user, placement == StatePlacement::Session);
        let outcome = local.connect.verify_landing(pending_landing, &format!("{of_attacker}&loginId=l"));
        assert_eq!(outcome.is_ok(), placement == StatePlacement::Session, "{placement:?}");
    }
}

#[tokio::test]
async fn c5_malformed_landings_are_refused() {
    let local = local().await;
    for bad in [
        "",
        "institution=b",
        "loginId=a&loginId=a",
        "loginId=a&institution=b&institution=b",
        "error=a&error=a",
        "loginId=a&state=right",
        "loginId=a&error=b",
        "loginId=&institution=b",
        "loginId=a%0ab",
        "loginId=a%20b",
    ] {
        rejection(&local, StatePlacement::Query, &format!("/landing?{bad}&state=right")).await;
    }
    for bad in ["", "?loginId=a&loginId=a", "?loginId=a&error=b", "?loginId=a&state=x&state=x"] {
        rejection(&local, StatePlacement::Path, &format!("/landing/right{bad}")).await;
        rejection(&local, StatePlacement::Session, &format!("/landing{bad}")).await;
    }
    for (placement, good) in [
        (StatePlacement::Query, "loginId=l&state=right"),
        (StatePlacement::Query, "?loginId=l&state=right"),
        (StatePlacement::Query, "/landing?x=1&x=2&loginId=l&state=right"),
        (StatePlacement::Query, "https://app.example/landing?loginId=l&state=right#f"),
        (StatePlacement::Path, "/right?loginId=l"),
        (StatePlacement::Path, "/landing/right?b=/c&loginId=l"),
        (StatePlacement::Path, "https://app.example/landing/right?loginId=l#/x"),
        (StatePlacement::Session, "https://app.example/?loginId=l"),
        (StatePlacement::Session, "loginId=l"),
    ] {
        let landing = verify(&local, placement, good).await.unwrap();
        assert_eq!(landing.institution, None, "{good}");
    }
}

#[tokio::test]
async fn c5_error_in_a_landing_is_returned() {
    let local = local().await;
    for (placement, start) in [
        (StatePlacement::Query, "/landing?state=right&"),
        (StatePlacement::Path, "/landing/right?"),
        (StatePlacement::Session, "/landing?"),
    ] {
        let callback = format!("{start}error=server_error&error_description=canary%20text&institution=b");
        let error = verify(&local, placement, &callback).await.unwrap_err();
        assert_eq!(error.cause(), Cause::ReturnedError);
        assert_eq!(error.oauth_error(), Some(&OAuthError::SERVER_ERROR));
        assert_eq!(error.message(), Some("canary text"));
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}

#[tokio::test]
async fn c5_pending_landing_expires_after_thirty_minutes() {
    let local = local().await;
    for (placement, callback) in [
        (StatePlacement::Query, "/landing?loginId=l&state=right"),
        (StatePlacement::Path, "/landing/right?loginId=l"),
        (StatePlacement::Session, "/landing?loginId=l"),
    ] {
        for (age, is_accepted) in [(0, true), (1800, true), (1801, false)] {
            let pending = pending(&local, placement).await;
            local.clock.advance(Duration::from_secs(age));
            let outcome = local.connect.verify_landing(pending, callback);
            assert_eq!(outcome.is_ok(), is_accepted, "{placement:?}, {age}");
        }
        let pending = pending(&local, placement).await;
        local.turn_wall_clock_back(Duration::from_secs(61));
        assert!(local.connect.verify_landing(pending, callback).is_err(), "{placement:?} from the future");
    }
}

#[tokio::test]
async fn c5_replayed_landing_finds_no_pending_landing() {
    let local = local().await;
    let (redirect_url, pending) = start(&local, REDIRECT_URL, StatePlacement::Query).await;
    // The application stores the pending landing, and another machine may receive the landing.
    let mut session = Some(serde_json::to_string(&pending).unwrap());
    let callback = format!("{redirect_url}&loginId=l&institution=b");
    let mut land = || {
        let pending: PendingLanding = serde_json::from_str(&session.take()?).unwrap();
        Some(local.connect.verify_landing(pending, &callback))
    };
    assert!(land().unwrap().is_ok());
    assert!(land().is_none());
}

#[tokio::test]
async fn c5_forged_login_id_is_not_confirmed() {
    let local = local().await;
    let landing = async |login_id: &str| {
        verify(&local, StatePlacement::Query, &format!("/landing?loginId={login_id}&state=right")).await.unwrap()
    };
    // `/Authorize` refuses an unknown login id.
    let forged = landing("00000000-0000-4000-8000-00000000dead").await.login_id;
    let error = local.connect.authorize(local.authorize_token().await, &forged.authorize()).await.unwrap_err();
    assert_eq!(error.error().flinks_code(), Some(&FlinksCode::INVALID_LOGIN));

    // A session for another login does not confirm this login id.
    let other = session(&local, &Authorize::cached(&login_id())).await;
    let error = forged.confirm(&other).unwrap_err();
    assert_eq!(error.cause(), Cause::InvalidCallback);
    assert_eq!(error.advice(), Advice::StartOver);
    assert!(error.to_string().contains("does not match the session"), "{error}");

    // A session that does not report its login id confirms nothing.
    let body = r#"{"HttpStatusCode":200,"RequestId":"r"}"#;
    local.emulator.fail_next(Operation::ConnectAuthorize, Fault::reply(200, body));
    let landed = landing(CONNECT_LOGIN_ID).await.login_id;
    let unnamed = session(&local, &landed.authorize()).await;
    let error = landed.confirm(&unnamed).unwrap_err();
    assert_eq!(error.cause(), Cause::Malformed);
    assert_eq!(error.field(), Some("Login.Id"));

    // Any known login id is confirmed, so the application must also compare it with its own
    // records.
    let landed = landing(CONNECT_LOGIN_ID).await.login_id;
    let session = session(&local, &landed.authorize()).await;
    let confirmed = landed.confirm(&session).unwrap();
    assert_eq!(confirmed, login_id());
    let sent = local.emulator.requests_of(Operation::ConnectAuthorize).pop().unwrap();
    let body: serde_json::Value = serde_json::from_slice(&sent.body).unwrap();
    assert_eq!(body["LoginId"], CONNECT_LOGIN_ID);
    assert_eq!(body["MostRecentCached"], true);
}

#[tokio::test]
async fn c5_widget_does_not_start_with_a_reserved_parameter_or_an_expired_token() {
    let local = local().await;
    for query in ["state=x", "a=b&error=", "loginId=1", "institution", "error_description=x", "%73tate=x"] {
        let widget = local.connect.widget(&format!("https://app.example/landing?{query}").parse().unwrap());
        for placement in PLACEMENTS {
            let error = widget.start(local.authorize_token().await, placement).unwrap_err();
            let SpendError::Unspent(token, error) = error else { panic!("{query}") };
            assert_eq!(error.field(), Some("redirect URL"), "{query}");
            assert!(!token.is_expired());
        }
    }
    let token = local.authorize_token().await;
    local.clock.advance(Duration::from_secs(1800));
    let error = local.connect.widget(&REDIRECT_URL.parse().unwrap()).start(token, StatePlacement::Query).unwrap_err();
    assert!(matches!(error, SpendError::Unspent(_, error) if error.cause() == Cause::Expired));
}

#[tokio::test]
async fn c5_a3_debug_of_a_landing_shows_no_state_and_no_login_id() {
    let local = local().await;
    let widget = local.connect.widget(&REDIRECT_URL.parse().unwrap());
    let started = widget.start(local.authorize_token().await, StatePlacement::Path).unwrap();
    let stored = serde_json::to_value(&started.pending).unwrap();
    let state = stored["state"]["state"].as_str().unwrap();
    let token = local.emulator.issued().pop().unwrap().value;
    let shown = format!("{started:?}");
    assert!(!shown.contains(state), "{shown}");
    assert!(!shown.contains(&token), "{shown}");
    assert_eq!(format!("{:?}", started.pending), "PendingLanding { .. }");

    let landing = verify(&local, StatePlacement::Session, "loginId=canary&institution=canary").await.unwrap();
    assert_eq!(format!("{landing:?}"), "Landing { .. }");
    assert_eq!(format!("{:?}", landing.login_id), "UnverifiedLoginId { .. }");
    assert!(!format!("{:?}", landing.login_id.authorize()).contains("canary"));
}
