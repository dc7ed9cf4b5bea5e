//! The rows of "Configuration": refused where it enters, naming the field and never the value.

use std::time::Duration;

use flinks::connect::{CustomerId, Instance, LoginId, RequestId, SecretKey};
use flinks::pay::{Credentials, NewSession};
use flinks::{BaseUrl, Error, RedirectUrl, Settings};
use flinks_emulator::{Fault, Operation, When};

use crate::{clients, local, local_with};

/// The error names the field and holds nothing of the value.
fn check<T>(outcome: Result<T, Error>, field: &str, value: &str) {
    let error = outcome.err().unwrap_or_else(|| panic!("{field} took {value:?}"));
    assert!(error.is_invalid_input() && !error.may_have_been_sent() && !error.is_transient());
    assert_eq!((error.field(), error.attempts(), error.product()), (Some(field), 0, None));
    let text = format!("{error} {error:?} {error:#?}");
    assert!(!text.contains("can") || !value.contains("can"), "{text}");
}

#[test]
fn secrets_that_no_header_may_hold() {
    for bad in [
        "",
        " ",
        "   \t",
        "canary\n",
        "canary\r\nx: y",
        "can\0ary",
        "canary\x7f",
        "can\tary",
        " canary",
        "canary ",
        "canaré",
        "can ary",
    ] {
        check(SecretKey::new(bad), "secret key", bad);
        check(LoginId::new(bad), "login id", bad);
        check(RequestId::new(bad), "request id", bad);
    }
    assert_eq!(SecretKey::new("c4569c54-e167").unwrap().expose_secret(), "c4569c54-e167");
}

#[test]
fn c8_customer_ids_that_move_the_path() {
    let guid = "43387ca6-0391-4c82-857d-70d95f087ecb";
    assert!(guid.parse::<CustomerId>().is_ok() && guid.to_uppercase().parse::<CustomerId>().is_ok());
    let bare = guid.replace('-', "");
    for bad in [
        "..",
        ".",
        "",
        "a/b",
        "..\\..\\x",
        "%2e%2e",
        "a?x=1",
        &format!("{{{guid}}}"),
        &bare,
        &format!("urn:uuid:{guid}"),
        &format!("{guid} "),
    ] {
        check(bad.parse::<CustomerId>(), "customer id", bad);
    }
}

#[test]
fn c8_instances_that_choose_the_host() {
    for good in ["toolbox", "my-company-ca", "a", "0"] {
        assert_eq!(good.parse::<Instance>().unwrap().as_str(), good);
    }
    let long = "a".repeat(64);
    for bad in [
        "",
        "evil.com/#",
        "evil.com?",
        "u:p@evil.com/",
        "127.0.0.1:80/",
        "a.b",
        "-x",
        "x-",
        &long,
        "Toolbox",
        "ＴＯＯＬ",
        "ſ",
        "K",
        "tool box",
        "toolbox\n",
    ] {
        check(bad.parse::<Instance>(), "instance", bad);
    }
    // With what comes after it, the label still fits.
    let longest: Instance = "a".repeat(56).parse().unwrap();
    let customer_id = "43387ca6-0391-4c82-857d-70d95f087ecb".parse().unwrap();
    assert!(flinks::connect::Client::new(longest, customer_id, SecretKey::new("k").unwrap()).is_ok());
}

#[test]
fn a1_p7_base_urls() {
    for bad in [
        "https://{host}",
        "https://www.{baseurl}.com",
        "http://127.0.0.1.evil.com",
        "http://evil.com",
        "https://canary@evil.com",
        "https://evil.com?canary",
        "https://evil.com/#canary",
        "file:///etc/passwd",
        "https://evil.com:0",
    ] {
        let error = Error::from(bad.parse::<BaseUrl>().unwrap_err());
        assert!(error.is_invalid_input() && error.field() == Some("base URL"));
        assert!(!error.to_string().contains("canary") && !error.to_string().contains("evil"), "{error}");
    }
}

/// The client appends the path of the endpoint, so that such a URL would be called with it twice.
#[test]
fn a_base_url_with_the_path_of_an_endpoint_is_refused() {
    let id = "43387ca6-0391-4c82-857d-70d95f087ecb";
    for path in [
        "/api/v1/token",
        "/api/v1/authorize",
        "/api/v1/revoke",
        "/api/v1/sessions/initiate",
        "/api/v1",
        "/flinks/api/v1/token",
        "/v3/oauth/authorize",
        &format!("/v3/{id}"),
        &format!("/v3/{id}/BankingServices"),
        &format!("/v3/{id}/BankingServices/GenerateAuthorizeToken"),
        &format!("/v3/{id}/BankingServices/Authorize"),
        &format!("/flinks/v3/{}/BankingServices/Authorize", id.replace('-', "")),
    ] {
        for path in [path.to_owned(), format!("{path}/"), path.to_uppercase(), path.to_lowercase()] {
            let error = format!("https://x.example{path}").parse::<BaseUrl>().map_err(Error::from).unwrap_err();
            assert_eq!(error.field(), Some("base URL"));
            assert!(error.to_string().contains("endpoint"), "{path}: {error}");
        }
    }
    for path in [
        "",
        "/",
        "/flinks",
        "/flinks/",
        "/api",
        "/v1",
        "/v3",
        "/flinks/v1",
        "/v1/flinks",
        "/api/v1/flinks",
        "/api/v1/banking/flinks",
        "/token",
        "/authorize",
        "/token-proxy/v1",
        "/apis/v2",
        "/api/v1beta/flinks",
        &format!("/tenants/{id}"),
    ] {
        assert!(format!("https://x.example{path}").parse::<BaseUrl>().is_ok(), "{path}");
    }
}

/// Each endpoint of the generated clients, so that a new one is not forgotten.
#[test]
fn every_documented_path_is_refused_in_a_base_url() {
    let mut paths = 0;
    for product in ["pay", "connect", "outbound"] {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(file.join(format!("../flinks-{product}/src/generated.rs"))).unwrap();
        for path in text.split('"').filter(|text| text.starts_with('/') && !text.contains(char::is_whitespace)) {
            let path = path.replace("{}", "43387ca6-0391-4c82-857d-70d95f087ecb");
            assert!(format!("https://x.example{path}").parse::<BaseUrl>().is_err(), "{path}");
            paths += 1;
        }
    }
    assert_eq!(paths, 6, "one for each operation");
}

#[tokio::test]
async fn a_404_says_to_check_the_base_url() {
    let local = local().await;
    for (fault, is_of_the_url) in [
        (Fault::status(404), true),
        (Fault::reply(404, "<html>Not Found</html>"), true),
        (Fault::reply(404, r#"{"error":"Not Found"}"#), true),
        (Fault::reply(404, r#"{"FlinksCode":"NO_ROUTE"}"#), true),
        (Fault::reply(404, r#"{"FlinksCode":"SESSION_NONEXISTENT"}"#), false),
        (Fault::status(403), false),
    ] {
        local.emulator.fail_next(Operation::ConnectGenerateAuthorizeToken, fault.clone());
        let error = local.connect.generate_authorize_token().await.unwrap_err();
        assert_eq!(error.to_string().contains("check the base URL"), is_of_the_url, "{error}");
        assert!(!error.to_string().contains("NO_ROUTE"), "{error}");
    }
    local.emulator.fail_next(Operation::PayAuthorize, Fault::status(404));
    let error = local.pay.authorize().await.unwrap_err();
    assert!(error.to_string().contains("check the base URL"), "{error}");
}

#[tokio::test]
async fn a1_a_base_url_is_normalised_once() {
    let local = local().await;
    for suffix in ["/", "/flinks", "/flinks/"] {
        let base_url: BaseUrl = format!("{}{suffix}", local.emulator.base_url()).parse().unwrap();
        let (pay, connect) = clients(&base_url, &Settings::new());
        let _ = pay.authorize().await;
        let _ = connect.generate_authorize_token().await;
    }
    let targets: Vec<String> = local.emulator.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(
        (targets[0].as_str(), targets[2].as_str(), targets[4].as_str()),
        ("/api/v1/authorize", "/flinks/api/v1/authorize", "/flinks/api/v1/authorize")
    );
    assert!(targets.len() == 6 && !targets.iter().any(|target| target.contains("//")), "{targets:?}");
}

#[tokio::test]
async fn p1_user_name_and_password_are_sent_exactly() {
    let local = local().await;
    let long = "é&=+% ".repeat(700);
    local.emulator.configure(|config| {
        config.pay.username = "& = + % é".to_owned();
        config.pay.password = long.clone();
    });
    let base_url = local.emulator.base_url().parse().unwrap();
    let client = flinks::pay::Client::new(base_url, Credentials::new("& = + % é", long).unwrap()).unwrap();
    let _ = client.authorize().await.unwrap();
    for (username, password, field) in [
        ("", "x", "username"),
        (" ", "x", "username"),
        ("x", "", "password"),
        ("x", "canary\n", "password"),
        ("can\0ary", "x", "username"),
    ] {
        check(Credentials::new(username, password), field, "canary");
    }
}

#[test]
fn sessions_that_cannot_be_meant() {
    for (reference_id, cents, name, email, field) in [
        ("", 1, "a", "b", "referenceId"),
        ("r", 0, "a", "b", "amount"),
        ("r", 1_000_000_000_000_000, "a", "b", "amount"),
        ("r", 1, " ", "b", "customerName"),
        ("r", 1, "a", "", "customerEmail"),
    ] {
        check(NewSession::new(reference_id, cents, name, email), field, "canary");
    }
}

/// An application answers 400 or 422 to a value of a call, and 500 to a mistake in its configuration.
#[tokio::test]
async fn the_advice_tells_a_value_of_a_call_from_a_setting() {
    use flinks::Advice;
    use flinks::connect::Answers;
    use flinks::outbound::{Client, ClientAuthentication, ClientCredentials, ConsentId, RefreshToken};
    let local = local().await;
    let base_url: BaseUrl = local.emulator.base_url().parse().unwrap();
    let redirect_url: RedirectUrl = "https://app.example/".parse().unwrap();
    let with_state: RedirectUrl = "https://app.example/?state=x".parse().unwrap();
    let outbound = Client::new(base_url.clone(), ClientCredentials::new("id", "secret").unwrap()).unwrap();
    let no_client_id = ClientAuthentication::None { client_id: String::new() };
    let widget = local.connect.widget(&redirect_url);
    let challenge: flinks::connect::Challenge =
        serde_json::from_str(r#"{"request_id":"r","questions":[{"prompt":"p","choices":[]}]}"#).unwrap();
    let token = local.authorize_token().await;
    let unanswered = local.connect.answer(token, challenge, &Answers::new()).await.map_err(Error::from);

    for (field, error) in [
        ("username", Credentials::new("", "p").err()),
        ("password", Credentials::new("u", "").err()),
        ("secret key", SecretKey::new("").err()),
        ("customer id", "x".parse::<CustomerId>().err()),
        ("instance", "".parse::<Instance>().err()),
        ("client id", ClientCredentials::new("", "s").err()),
        ("client id", Client::new(base_url, no_client_id).err()),
        ("client secret", ClientCredentials::new("c", "").err()),
        ("base URL", "x".parse::<BaseUrl>().map_err(Error::from).err()),
        ("redirect URL", "x".parse::<RedirectUrl>().err()),
        ("redirect URL", local.connect.custom_oauth(14, &with_state).err()),
        ("redirect URL", outbound.authorization("1000", &with_state).err()),
        ("parameter", widget.parameter("", "x").err()),
    ] {
        let error = error.unwrap();
        assert_eq!(error.field(), Some(field));
        assert_eq!(error.advice(), Advice::FixConfiguration, "{field}");
    }
    for (field, error) in [
        ("referenceId", NewSession::new("", 1, "a", "b").err()),
        ("amount", NewSession::new("r", 0, "a", "b").err()),
        ("customerName", NewSession::new("r", 1, "", "b").err()),
        ("customerEmail", NewSession::new("r", 1, "a", "").err()),
        ("login id", LoginId::new("").err()),
        ("request id", RequestId::new("").err()),
        ("answers", unanswered.err()),
        ("provider id", outbound.authorization("", &redirect_url).err()),
        ("refresh token", RefreshToken::new("").err()),
        ("consent id", ConsentId::new("").err()),
    ] {
        let error = error.unwrap();
        assert_eq!(error.field(), Some(field));
        assert_eq!(error.advice(), Advice::FixInput, "{field}");
        assert!(error.is_invalid_input(), "{field}");
    }
}

#[tokio::test]
async fn p8_an_amount_is_sent_exactly() {
    let local = local().await;
    for (cents, text) in [
        (1, "0.01"),
        (10, "0.1"),
        (29, "0.29"),
        (1000, "10.0"),
        (123_456_789, "1234567.89"),
        (999_999_999_999_999, "9999999999999.99"),
    ] {
        let session = NewSession::new("r", cents, "a", "b@example.com").unwrap();
        let token = local.pay.authorize().await.unwrap();
        local.pay.initiate_session(token, &session).await.unwrap();
        let sent = local.emulator.requests_of(Operation::PayInitiateSession).pop().unwrap();
        let body = String::from_utf8(sent.body.to_vec()).unwrap();
        assert!(body.contains(&format!("\"amount\":{text},")), "{body}");
    }
}

#[test]
fn redirect_urls() {
    for bad in [
        "",
        "done",
        "/done",
        "//evil.com",
        "https:\\\\evil.com",
        "javascript:alert(1)",
        "data:text/html,x",
        "http://evil.com/canary",
        "http://127.0.0.1.evil.com",
        "https://u:canary@evil.com",
        "https://canary@evil.com",
        "https://:canary@evil.com",
        "https://evil.com/#canary",
        "https://evil.com/ canary",
        "https://evil.com/\ncanary",
        "app.example:80/x",
    ] {
        check(bad.parse::<RedirectUrl>(), "redirect URL", bad);
    }
    // Hosts that a browser, a resolver and a URL parser read in different ways.
    for host in [
        "a_b.example",
        "-x.example",
        "x-.example",
        "a..example",
        ".example",
        "app.example.",
        "app.example:0",
        "%61pp.example",
        "app%2eexample",
        "app.example%00",
        "@app.example",
        ":@app.example",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "127.1",
        "2130706433",
        "127.0.0.1.",
        "1.2.3",
        "a!b.example",
        "a'b.example",
        "*.example",
    ] {
        for scheme in ["https", "http"] {
            let url = format!("{scheme}://{host}/done");
            check(url.parse::<RedirectUrl>(), "redirect URL", &url);
            check(url.parse::<BaseUrl>().map_err(Error::from), "base URL", &url);
        }
    }
    for good in ["https://APP.example:443/%7e/", "http://127.0.0.1:8080/x?y=z", "http://[::1]/", "http://localhost:1"] {
        assert_eq!(good.parse::<RedirectUrl>().unwrap().as_str(), good, "byte for byte");
    }
    let url: RedirectUrl = "https://APP.example:443/canary?canary=canary".parse().unwrap();
    assert_eq!(
        (url.origin(), format!("{url:?}").as_str()),
        ("https://app.example", "RedirectUrl(\"https://app.example\")")
    );
}

#[tokio::test]
async fn what_is_shown_names_its_type_and_no_secret() {
    use flinks::outbound::{AppTokenSource, Client, ClientCredentials, Consents};
    use flinks::pay::Credentials;
    let local = local().await;
    let credentials = ClientCredentials::new("canary", "canary").unwrap();
    let outbound = Client::new(local.emulator.base_url().parse().unwrap(), credentials.clone()).unwrap();
    let redirect_url: RedirectUrl = "https://app.example/canary".parse().unwrap();
    let request = outbound.authorization("1000", &redirect_url).unwrap();
    let builder = Consents::builder(outbound.clone());
    let request_text = format!("{request:?}");
    let (_, pending) = request.start();
    let consents = Consents::builder(outbound.clone()).build();
    for (text, name) in [
        (format!("{:?}", local.pay), "Client { base_url: "),
        (format!("{:?}", local.connect), "Client { api: "),
        (format!("{outbound:?}"), "Client { base_url: "),
        (format!("{:?}", Credentials::new("canary", "canary").unwrap()), "Credentials { .. }"),
        (format!("{credentials:?}"), "ClientCredentials { .. }"),
        (format!("{:?}", local.pay.authorize().await.unwrap()), "SessionToken { is_expired: false, .. }"),
        (request_text, "AuthorizationRequest { .. }"),
        (format!("{pending:?}"), "PendingAuthorization { provider_id: \"1000\", .. }"),
        (format!("{:?}", AppTokenSource::new(outbound, None)), "AppTokenSource {"),
        (format!("{builder:?}"), "ConsentsBuilder {"),
        (format!("{:?}", consents.consent(&"user-7".parse().unwrap())), "Consent {"),
        (format!("{consents:?}"), "Consents {"),
        (format!("{:?}", flinks::outbound::MemoryStore::new()), "MemoryStore { records: 0 }"),
        (format!("{:?}", Settings::new()), "Settings { timeout: None, "),
    ] {
        assert!(text.starts_with(name) && !text.contains("canary"), "{text}");
    }
}

#[tokio::test]
async fn settings_reach_the_client() {
    let seen = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let hook = std::sync::Arc::clone(&seen);
    let local = local_with(move |settings| {
        settings.http(move |http| {
            hook.store(true, std::sync::atomic::Ordering::Relaxed);
            http
        })
    });
    let local = local.await;
    assert!(seen.load(std::sync::atomic::Ordering::Relaxed));
    // And none that was set before is lost.
    let token = local.pay.authorize().await.unwrap();
    local.clock.advance(Duration::from_secs(299));
    assert!(token.is_expired());
}

#[tokio::test]
async fn settings_of_nothing_are_clamped() {
    let local = local_with(|settings| settings.connect_timeout(Duration::ZERO).max_attempts(0)).await;
    // A millisecond does for a connection on this machine, or does not; one try it is.
    let attempts = local.pay.authorize().await.map_or_else(|error| error.attempts(), |_| 1);
    assert_eq!(attempts, 1);
    // Nothing is not "no limit".
    local.emulator.fail_always(Operation::PayAuthorize, Fault::Hold { when: When::Before });
    let base_url: BaseUrl = local.emulator.base_url().parse().unwrap();
    let (pay, _) = clients(&base_url, &Settings::new().timeout(Duration::ZERO));
    assert!(pay.authorize().await.unwrap_err().is_timeout());
}
