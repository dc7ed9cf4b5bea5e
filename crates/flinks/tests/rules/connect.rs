//! Tests rules C1 to C8.

use std::time::Duration;

use flinks::connect::{AnswerError, Answers, Authorize, AuthorizeHeader, Challenge, Outcome, SecretKey, Theme};
use flinks::{BaseUrl, Cause, FlinksCode, OAuthError, RedirectUrl, SpendError};
use flinks_emulator::credentials::*;
use flinks_emulator::{EndUser, Fault, Kind, Operation, When};

use crate::{Local, get, local, login_id};

#[tokio::test]
async fn c1_request_has_no_body_and_each_header_once() {
    let local = local().await;
    let _ = local.authorize_token().await;
    let request = &local.emulator.requests()[0];
    for (name, value) in
        [("content-type", "application/json"), ("accept", "application/json"), ("flinks-auth-key", CONNECT_SECRET_KEY)]
    {
        assert_eq!(request.header(name).collect::<Vec<_>>(), [value]);
    }
    assert!(request.body.is_empty());
}

#[tokio::test]
async fn c2_refused_key_is_reported_with_its_code() {
    let local = local().await;
    local.emulator.configure(|config| config.connect.secret_key = "another".to_owned());
    let error = local.connect.generate_authorize_token().await.unwrap_err();
    assert!(error.is_credentials());
    assert!(!error.is_token_refused());
    assert_eq!(error.status(), Some(401));
    assert_eq!(error.flinks_code(), Some(&FlinksCode::UNAUTHORIZED));
    assert_eq!(error.message(), Some("You must provide a valid auth key"));
    assert_eq!(local.emulator.count(Operation::ConnectGenerateAuthorizeToken), 1);
    let expected = "failed to request an authorize token (Flinks Connect): the credentials were refused: UNAUTHORIZED (status 401)";
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn c3_token_is_single_use_and_expires_after_30_minutes() {
    let local = local().await;
    let token = local.authorize_token().await;
    local.clock.advance(Duration::from_secs(1799));
    assert!(!token.is_expired());
    local.clock.advance(Duration::from_secs(1));
    let Err(SpendError::Unspent(token, error)) = local.connect.authorize(token, &Authorize::cached(&login_id())).await
    else {
        panic!("an expired token was sent");
    };
    assert!(error.cause() == Cause::Expired);
    let widget = local.connect.widget(&"https://app.example/".parse().unwrap());
    assert!(matches!(widget.url(token), Err(SpendError::Unspent(_, error)) if error.cause() == Cause::Expired));
    let expired = local.authorize_token().await;
    local.clock.advance(Duration::from_secs(1800));
    assert!(expired.into_header().unwrap_err().cause() == Cause::Expired);
    assert_eq!(local.emulator.count(Operation::ConnectAuthorize), 0);

    // `into_header` returns the token as a header value for a custom request.
    let header = local.authorize_token().await.into_header().unwrap();
    assert!(local.emulator.find(header.expose_value()).is_some());
    assert_eq!(AuthorizeHeader::NAME, "flinks-auth-key");

    let first = local.authorize_token().await;
    let outcome = local.connect.authorize(first, &Authorize::cached(&login_id())).await.unwrap();
    let Outcome::Complete(session) = outcome else { panic!() };
    assert_eq!(session.login_id().unwrap().expose_secret(), CONNECT_LOGIN_ID);
    assert_eq!(session.institution(), Some(BANK));
    assert!(!session.request_id().expose_secret().is_empty());
}

#[tokio::test]
async fn c4_key_and_token_are_sent_to_their_endpoints_only() {
    let local = local().await;
    let token = local.authorize_token().await;
    local.connect.authorize(token, &Authorize::cached(&login_id())).await.map(drop).unwrap();
    let token = local.authorize_token().await;
    let url = local.connect.widget(&"https://app.example/".parse().unwrap()).url(token).unwrap();
    let requests = local.emulator.requests();
    for request in &requests {
        let is_generate = request.operation == Some(Operation::ConnectGenerateAuthorizeToken);
        assert_eq!(request.carries(CONNECT_SECRET_KEY), is_generate);
    }
    let tokens: Vec<String> = local
        .emulator
        .issued()
        .into_iter()
        .filter(|issued| issued.kind == Kind::AuthorizeToken)
        .map(|issued| issued.value)
        .collect();
    assert_eq!(requests[1].header("flinks-auth-key").collect::<Vec<_>>(), [&tokens[0]]);
    assert!(url.expose_url().ends_with(&format!("authorizeToken={}", tokens[1])));
    assert_eq!(local.emulator.count_carrying(&tokens[0]), 1);
}

#[tokio::test]
async fn c5_widget_url_has_the_documented_form() {
    let local = local().await;
    let redirect_url: RedirectUrl = "https://app.example/done?a=1&b=é".replace('é', "%C3%A9").parse().unwrap();
    let name = "A & B = \"<C>\" +%é";
    let widget = local
        .connect
        .widget(&redirect_url)
        .demo(true)
        .language(flinks::Language::French)
        .theme(Theme::Dark)
        .consent(false);
    let widget = widget.customer_name(name).tag("t").terms_url("https://app.example/terms").schedule_refresh(true);
    let widget = widget.days_of_transactions("Days90").parameter("headerEnable", "false").unwrap();
    assert_eq!(widget.message_origin(), local.emulator.base_url());
    let url = widget.url(local.authorize_token().await).unwrap();

    let parsed = url::Url::parse(url.expose_url()).unwrap();
    assert_eq!(parsed.path(), "/v2/");
    let pairs: Vec<(String, String)> = parsed.query_pairs().into_owned().collect();
    let expected = [
        ("redirectUrl", redirect_url.as_str()),
        ("demo", "true"),
        ("language", "fr"),
        ("theme", "dark"),
        ("consentEnable", "false"),
        ("customerName", name),
        ("tag", "t"),
        ("termsUrl", "https://app.example/terms"),
        ("scheduleRefresh", "true"),
        ("daysOfTransactions", "Days90"),
        ("headerEnable", "false"),
    ];
    assert_eq!(pairs[..11], expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(pairs.len(), 12);
    assert_eq!(pairs[11].0.as_str(), "authorizeToken");
    let attribute = url.to_html_attribute();
    assert!(!attribute.contains(['"', '\'', '<', '>', ' ']));
    assert_eq!(attribute.replace("&amp;", "&"), url.expose_url());
    assert!(!attribute.replace("&amp;", "").contains('&'));
    assert_eq!(format!("{url:?}"), "WidgetUrl([redacted])");

    // The widget page accepts the token only once.
    assert_eq!(get(&local, url.expose_url()).await.0, 200);
    assert_eq!(get(&local, url.expose_url()).await.0, 401);
    let spent = local.emulator.find(&pairs[11].1).unwrap().spent.unwrap();
    assert_eq!(spent.by, 2);
}

/// Calls `/Authorize` and returns the security challenge from the emulator's response.
async fn request_challenge(local: &Local) -> Challenge {
    let request = Authorize::with_bank_credentials(BANK, BANK_USER, BANK_PASSWORD);
    match local.connect.authorize(local.authorize_token().await, &request).await.unwrap() {
        Outcome::Challenge(challenge) => challenge,
        Outcome::Complete(_) => panic!("203 was treated as a success"),
    }
}

#[tokio::test]
async fn c6_203_is_a_challenge_that_answers_resolve() {
    let local = local().await;
    let mut challenge = request_challenge(&local).await;
    for answer in ["Montreal", "Canada"] {
        let answers = Answers::new().to(&challenge.questions()[0], answer);
        let outcome = local.connect.answer(local.authorize_token().await, challenge, &answers).await.unwrap();
        let Outcome::Challenge(next) = outcome else { panic!() };
        challenge = next;
    }
    assert_eq!(challenge.questions()[0].choices(), ["Circle", "Square", "Triangle"]);

    // After Flinks refuses an answer, the client can send another answer with a new token.
    let answers = Answers::new().to(&challenge.questions()[0], "Circle");
    let error = local.connect.answer(local.authorize_token().await, challenge, &answers).await.unwrap_err();
    assert!(matches!(error.error(), SpendError::Spent(error) if error.needs_user()));
    let challenge = error.into_parts().1.unwrap();
    let answers = Answers::new().to(&challenge.questions()[0], "Triangle");
    let outcome = local.connect.answer(local.authorize_token().await, challenge, &answers).await.unwrap();
    let Outcome::Complete(session) = outcome else { panic!() };

    // The session's login id can be used without a password.
    let request = Authorize::cached(session.login_id().unwrap());
    let outcome = local.connect.authorize(local.authorize_token().await, &request).await.unwrap();
    assert!(matches!(outcome, Outcome::Complete(_)));
}

#[tokio::test]
async fn c6_answers_to_other_questions_are_not_sent() {
    let local = local().await;
    let one = request_challenge(&local).await;
    let other = request_challenge(&local).await;
    let montreal = Answers::new().to(&one.questions()[0], "Montreal");
    let next = local.connect.answer(local.authorize_token().await, other, &montreal);
    let Outcome::Challenge(other) = next.await.unwrap() else { panic!() };
    let sent = local.emulator.count(Operation::ConnectAuthorize);
    for answers in [Answers::new(), Answers::new().to(&other.questions()[0], "x").to(&one.questions()[0], "y")] {
        let error = local
            .connect
            .answer(local.authorize_token().await, request_challenge(&local).await, &answers)
            .await
            .unwrap_err();
        assert!(matches!(error.error(), SpendError::Unspent(_, error) if error.field() == Some("answers")));
        assert!(error.challenge().is_some());
    }
    assert_eq!(local.emulator.count(Operation::ConnectAuthorize), sent + 2, "invalid answers were sent");
}

#[tokio::test]
async fn c6_challenge_survives_a_refused_token_and_a_restart() {
    let local = local().await;
    let mut challenge = request_challenge(&local).await;
    for body in [r#"{"FlinksCode":"ACCESS_DENIED"}"#, r#"{"FlinksCode":"TOO_MANY_REQUESTS"}"#] {
        local.emulator.fail_next(Operation::ConnectAuthorize, Fault::reply(401, body));
        let answers = Answers::new().to(&challenge.questions()[0], "Montreal");
        let error = local.connect.answer(local.authorize_token().await, challenge, &answers).await.unwrap_err();
        challenge = error.into_parts().1.unwrap();
    }
    // If it is unknown whether Flinks received the answer, the error contains no challenge.
    let lost = lose_response_to_answer(&local).await;
    assert!(lost.challenge().is_none());
    assert!(matches!(lost.error(), SpendError::Unknown(_)));

    let stored = serde_json::to_string(&challenge).unwrap();
    let challenge: Challenge = serde_json::from_str(&stored).unwrap();
    let answers = Answers::new().to(&challenge.questions()[0], "Montreal");
    let outcome = local.connect.answer(local.authorize_token().await, challenge, &answers).await.unwrap();
    assert!(matches!(outcome, Outcome::Challenge(_)));
}

/// Answers a challenge, but the emulator drops the response. Returns the resulting error.
async fn lose_response_to_answer(local: &Local) -> AnswerError {
    let challenge = request_challenge(local).await;
    local.emulator.fail_next(Operation::ConnectAuthorize, Fault::Drop { when: When::After });
    let answers = Answers::new().to(&challenge.questions()[0], "Montreal");
    local.connect.answer(local.authorize_token().await, challenge, &answers).await.unwrap_err()
}

#[tokio::test]
async fn c6_errors_are_distinguished_by_code() {
    let local = local().await;
    for (username, password, code, needs_user, is_transient) in [
        ("nobody", BANK_PASSWORD, FlinksCode::INVALID_USERNAME, true, false),
        (BANK_USER, "wrong", FlinksCode::INVALID_PASSWORD, true, false),
        (BANK_USER_DISABLED, BANK_PASSWORD, FlinksCode::DISABLED_LOGIN, true, false),
        (BANK_USER_UNAVAILABLE, BANK_PASSWORD, FlinksCode::RETRY_LATER, false, true),
    ] {
        let request = Authorize::with_bank_credentials(BANK, username, password);
        let error = local.connect.authorize(local.authorize_token().await, &request).await.unwrap_err();
        let SpendError::Spent(error) = error else { panic!("{error}") };
        assert_eq!(error.flinks_code(), Some(&code));
        assert_eq!(error.status(), Some(401));
        assert_eq!(error.needs_user(), needs_user);
        assert_eq!(error.is_transient(), is_transient);
        assert!(!error.is_credentials());
    }
    assert_eq!(local.emulator.count(Operation::ConnectAuthorize), 4, "a request was retried");

    local.emulator.reset();
    let token = local.authorize_token().await;
    local.emulator.reset();
    let error = local.connect.authorize(token, &Authorize::live(&login_id())).await.unwrap_err();
    assert!(error.error().is_token_refused());
}

#[tokio::test]
async fn c7_custom_oauth_leads_to_a_login() {
    let local = local().await;
    let redirect_uri: RedirectUrl = "https://app.example/back?a=%7e".parse().unwrap();
    for (end_user, has_agreed) in [(EndUser::Agrees, true), (EndUser::Refuses, false)] {
        local.emulator.configure(|config| config.connect.end_user = end_user);
        let flinks::Started { url, pending, .. } = local
            .connect
            .custom_oauth(BANK_ID, &redirect_uri)
            .unwrap()
            .language(flinks::Language::French)
            .tag("a b")
            .start();
        let (status, callback) = get(&local, url.expose_secret()).await;
        assert_eq!(status, 302);
        let callback = callback.unwrap();
        assert!(callback.starts_with("https://app.example/back?a=%7e"));
        match local.connect.verify_oauth(pending, &callback) {
            Ok(login_id) => {
                assert!(has_agreed);
                let outcome =
                    local.connect.authorize(local.authorize_token().await, &Authorize::after_oauth(&login_id)).await;
                assert!(matches!(outcome.unwrap(), Outcome::Complete(_)));
                let sent = local.emulator.requests().pop().unwrap();
                let body: serde_json::Value = serde_json::from_slice(&sent.body).unwrap();
                assert_eq!(body["MostRecentCached"], false);
                assert_eq!(body["Save"], true);
            }
            Err(error) => {
                assert!(!has_agreed);
                assert!(error.needs_user());
                assert!(error.cause() != Cause::InvalidCallback);
                assert_eq!(error.oauth_error(), Some(&OAuthError::ACCESS_DENIED));
            }
        }
        let sent = &local.emulator.requests_of(Operation::ConnectOAuthAuthorize)[0];
        assert!(sent.target.contains("institution_id=14"), "{}", sent.target);
        assert!(sent.target.contains("tag=a%20b"), "{}", sent.target);
    }
}

#[tokio::test]
async fn c8_other_base_url_replaces_both_hosts() {
    let base_url: BaseUrl = "http://127.0.0.1:1/flinks".parse().unwrap();
    let key = SecretKey::new("key").unwrap();
    let one =
        flinks::connect::Client::builder(base_url, CONNECT_CUSTOMER_ID.parse().unwrap(), key.clone()).build().unwrap();
    let redirect_url = "https://app.example/".parse().unwrap();
    assert_eq!(one.widget(&redirect_url).message_origin(), "http://127.0.0.1:1");
    assert!(
        one.custom_oauth(14, &redirect_url)
            .unwrap()
            .start()
            .url
            .expose_secret()
            .starts_with("http://127.0.0.1:1/flinks/v3/oauth/authorize?")
    );

    let instance: flinks::connect::Instance = "toolbox".parse().unwrap();
    let two = flinks::connect::Client::builder(instance, CONNECT_CUSTOMER_ID.parse().unwrap(), key).build().unwrap();
    assert_eq!(two.widget(&redirect_url).message_origin(), "https://toolbox-iframe.private.fin.ag");
    let flinks::Started { url, .. } = two.custom_oauth(14, &redirect_url).unwrap().start();
    assert!(url.expose_secret().starts_with("https://toolbox-api.private.fin.ag/v3/oauth/authorize?"));
}

#[test]
fn c8_base_url_of_an_instance_sets_both_hosts() {
    use flinks::connect::Client;
    let secret_key = || SecretKey::new("k").unwrap();
    let redirect_url: RedirectUrl = "https://app.example/".parse().unwrap();
    let customer_id = CONNECT_CUSTOMER_ID.parse().unwrap();
    for address in [
        "https://toolbox-api.private.fin.ag",
        "https://toolbox-api.private.fin.ag/",
        "https://toolbox-iframe.private.fin.ag",
        "https://TOOLBOX-API.private.fin.ag:443/",
    ] {
        let client = Client::builder(address.parse::<BaseUrl>().unwrap(), customer_id, secret_key()).build().unwrap();
        assert_eq!(format!("{client:?}"), r#"Client { api: "https://toolbox-api.private.fin.ag", .. }"#, "{address}");
        let origin = client.widget(&redirect_url).message_origin();
        assert_eq!(origin, "https://toolbox-iframe.private.fin.ag", "{address}");
        let flinks::Started { url, .. } = client.custom_oauth(14, &redirect_url).unwrap().start();
        assert!(url.expose_secret().starts_with("https://toolbox-api.private.fin.ag/v3/"), "{address}");
    }
    // Any other host is used for both the API and the widget.
    for address in [
        "https://toolbox-api.private.fin.ag:8443",
        "https://toolbox.private.fin.ag",
        "https://-api.private.fin.ag.example",
        "https://x.toolbox-api.private.fin.ag",
        "https://toolbox-api.private.fin.ag.example",
        "https://toolbox-api.fin.ag",
        "https://toolbox-api-iframe.private.fin.ag",
        "https://api.private.fin.ag",
        "http://localhost:1",
    ] {
        let Ok(base_url) = address.parse::<BaseUrl>() else { continue };
        let client = Client::builder(base_url, customer_id, secret_key()).build().unwrap();
        let origin = client.widget(&redirect_url).message_origin();
        assert!(address.starts_with(&origin), "{address}: {origin}");
    }
    // A base URL with a Flinks host must not have a path.
    let base_url: BaseUrl = "https://toolbox-api.private.fin.ag/flinks".parse().unwrap();
    let error = Client::builder(base_url, customer_id, secret_key()).build().unwrap_err();
    assert_eq!(error.field(), Some("base URL"));
    // Certificates and `event.origin` treat a host name with a trailing dot as a different name.
    assert!("https://toolbox-api.private.fin.ag./".parse::<BaseUrl>().is_err());
}
