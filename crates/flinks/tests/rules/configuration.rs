//! Tests that constructors reject invalid configuration. Each error must name the field and must
//! not contain the invalid value.

use std::time::Duration;

use flinks::connect::{CustomerId, Instance, LoginId, RequestId, SecretKey};
use flinks::pay::{Credentials, NewSession};
use flinks::{BaseUrl, Cause, Error, RedirectUrl, Settings};
use flinks_emulator::{Fault, Operation, When};

use crate::{clients, local, local_with};

/// Asserts that the outcome is an error that names the field and does not contain the value.
pub(crate) fn check<T>(outcome: Result<T, Error>, field: &str, value: &str) {
    let error = outcome.err().unwrap_or_else(|| panic!("{field} accepted {value:?}"));
    assert!(matches!(error.cause(), Cause::Input | Cause::Configuration));
    assert!(!error.may_have_been_sent());
    assert!(!error.is_transient());
    assert_eq!(error.field(), Some(field));
    assert_eq!(error.attempts(), 0);
    assert_eq!(error.product(), None);
    let text = format!("{error} {error:?} {error:#?}");
    // The text `can` marks a secret in the invalid values.
    if value.contains("can") {
        assert!(!text.contains("can"), "{text}");
    }
}

#[test]
fn secrets_that_are_invalid_in_a_header_are_refused() {
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
fn c8_customer_id_that_changes_the_path_is_refused() {
    let guid = "43387ca6-0391-4c82-857d-70d95f087ecb";
    assert!(guid.parse::<CustomerId>().is_ok());
    assert!(guid.to_uppercase().parse::<CustomerId>().is_ok());
    let without_hyphens = guid.replace('-', "");
    for bad in [
        "..",
        ".",
        "",
        "a/b",
        "..\\..\\x",
        "%2e%2e",
        "a?x=1",
        &format!("{{{guid}}}"),
        &without_hyphens,
        &format!("urn:uuid:{guid}"),
        &format!("{guid} "),
    ] {
        check(bad.parse::<CustomerId>(), "customer id", bad);
    }
}

#[test]
fn c8_instance_that_changes_the_host_is_refused() {
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
    // With its suffix, this label has the maximum length of 63 characters.
    let longest: Instance = "a".repeat(56).parse().unwrap();
    let customer_id = "43387ca6-0391-4c82-857d-70d95f087ecb".parse().unwrap();
    assert!(flinks::connect::Client::builder(longest, customer_id, SecretKey::new("k").unwrap()).build().is_ok());
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
    let client = flinks::pay::Client::builder(base_url, Credentials::new("& = + % é", long).unwrap()).build().unwrap();
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
fn invalid_sessions_are_refused() {
    for (reference_id, cents, name, email, field) in [
        ("", 1, "a", "b", "referenceId"),
        ("r", 0, "a", "b", "amount"),
        ("r", 1_000_000_000_000_000, "a", "b", "amount"),
        ("r", 1, " ", "b", "customerName"),
        ("r", 1, "a", "", "customerEmail"),
    ] {
        check(
            NewSession::new(
                reference_id,
                flinks::pay::Cents(cents),
                flinks::pay::Customer { name: name.to_owned(), email: email.to_owned() },
            ),
            field,
            "canary",
        );
    }
}

/// An application would respond with 400 or 422 if an argument of a call is invalid, and with 500
/// if its own configuration is invalid.
#[tokio::test]
async fn advice_distinguishes_arguments_from_configuration() {
    use flinks::Advice;
    use flinks::connect::Answers;
    use flinks::outbound::{Client, ClientAuthentication, ClientCredentials, RefreshToken};
    let local = local().await;
    let base_url: BaseUrl = local.emulator.base_url().parse().unwrap();
    let redirect_url: RedirectUrl = "https://app.example/".parse().unwrap();
    let with_state: RedirectUrl = "https://app.example/?state=x".parse().unwrap();
    let outbound = Client::builder(base_url.clone(), ClientCredentials::new("id", "secret").unwrap()).build().unwrap();
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
        ("client id", Client::builder(base_url, no_client_id).build().err()),
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
        (
            "referenceId",
            NewSession::new(
                "",
                flinks::pay::Cents(1),
                flinks::pay::Customer { name: "a".to_owned(), email: "b".to_owned() },
            )
            .err(),
        ),
        (
            "amount",
            NewSession::new(
                "r",
                flinks::pay::Cents(0),
                flinks::pay::Customer { name: "a".to_owned(), email: "b".to_owned() },
            )
            .err(),
        ),
        (
            "customerName",
            NewSession::new(
                "r",
                flinks::pay::Cents(1),
                flinks::pay::Customer { name: String::new(), email: "b".to_owned() },
            )
            .err(),
        ),
        (
            "customerEmail",
            NewSession::new(
                "r",
                flinks::pay::Cents(1),
                flinks::pay::Customer { name: "a".to_owned(), email: String::new() },
            )
            .err(),
        ),
        ("login id", LoginId::new("").err()),
        ("request id", RequestId::new("").err()),
        ("answers", unanswered.err()),
        ("provider id", outbound.authorization("", &redirect_url).err()),
        ("refresh token", RefreshToken::new("").err()),
    ] {
        let error = error.unwrap();
        assert_eq!(error.field(), Some(field));
        assert_eq!(error.advice(), Advice::FixInput, "{field}");
        assert!(matches!(error.cause(), Cause::Input | Cause::Configuration), "{field}");
    }
}

#[tokio::test]
async fn p8_amount_is_sent_exactly() {
    let local = local().await;
    for (cents, text) in [
        (1, "0.01"),
        (10, "0.1"),
        (29, "0.29"),
        (1000, "10.0"),
        (123_456_789, "1234567.89"),
        (999_999_999_999_999, "9999999999999.99"),
    ] {
        let session = NewSession::new(
            "r",
            flinks::pay::Cents(cents),
            flinks::pay::Customer { name: "a".to_owned(), email: "b@example.com".to_owned() },
        )
        .unwrap();
        let token = local.pay.authorize().await.unwrap();
        local.pay.initiate_session(token, &session).await.unwrap();
        let sent = local.emulator.requests_of(Operation::PayInitiateSession).pop().unwrap();
        let body = String::from_utf8(sent.body.to_vec()).unwrap();
        assert!(body.contains(&format!("\"amount\":{text},")), "{body}");
    }
}

#[tokio::test]
async fn debug_names_the_type_and_no_secret() {
    use flinks::outbound::{Client, ClientCredentials};
    use flinks::pay::Credentials;
    let local = local().await;
    let credentials = ClientCredentials::new("canary", "canary").unwrap();
    let outbound = Client::builder(local.emulator.base_url().parse().unwrap(), credentials.clone()).build().unwrap();
    let redirect_url: RedirectUrl = "https://app.example/canary".parse().unwrap();
    let request = outbound.authorization("1000", &redirect_url).unwrap();
    let request_text = format!("{request:?}");
    let flinks::Started { pending, .. } = request.start();
    for (text, name) in [
        (format!("{:?}", local.pay), "Client { base_url: "),
        (format!("{:?}", local.connect), "Client { api: "),
        (format!("{outbound:?}"), "Client { base_url: "),
        (format!("{:?}", Credentials::new("canary", "canary").unwrap()), "Credentials { .. }"),
        (format!("{credentials:?}"), "ClientCredentials { .. }"),
        (format!("{:?}", local.pay.authorize().await.unwrap()), "SessionToken { is_expired: false, .. }"),
        (request_text, "AuthorizationRequest { .. }"),
        (format!("{pending:?}"), "PendingAuthorization { provider_id: \"1000\", .. }"),
        (format!("{:?}", Settings::new()), "Settings { timeout: None, "),
    ] {
        assert!(text.starts_with(name), "{text}");
        assert!(!text.contains("canary"), "{text}");
    }
}

#[tokio::test]
async fn settings_reach_the_client() {
    let was_called = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let hook = std::sync::Arc::clone(&was_called);
    let local = local_with(move |settings| {
        settings.http(move |http| {
            hook.store(true, std::sync::atomic::Ordering::Relaxed);
            http
        })
    });
    let local = local.await;
    assert!(was_called.load(std::sync::atomic::Ordering::Relaxed));
    // `Settings::http` does not reset the clock that was set earlier.
    let token = local.pay.authorize().await.unwrap();
    local.clock.advance(Duration::from_secs(299));
    assert!(token.is_expired());
}

/// A custom HTTP client with a timeout would otherwise interrupt calls that need longer, such as
/// Connect's `/Authorize`.
#[tokio::test]
async fn timeout_of_a_custom_http_client_does_not_limit_calls() {
    let local = local_with(|settings| settings.http(|http| http.timeout(Duration::ZERO))).await;
    let token = local.pay.authorize().await.unwrap();
    assert!(!token.is_expired());
}

#[tokio::test]
async fn zero_settings_are_clamped() {
    let local = local_with(|settings| settings.connect_timeout(Duration::ZERO).max_attempts(0)).await;
    // Connecting to a loopback address may take more than a millisecond, so the call may fail.
    // Either way, the call makes one attempt.
    let attempts = local.pay.authorize().await.map_or_else(|error| error.attempts(), |_| 1);
    assert_eq!(attempts, 1);
    // A timeout of zero does not disable the timeout.
    local.emulator.fail_always(Operation::PayAuthorize, Fault::Hold { when: When::Before });
    let base_url: BaseUrl = local.emulator.base_url().parse().unwrap();
    let (pay, _) = clients(&base_url, &Settings::new().timeout(Duration::ZERO));
    assert!(pay.authorize().await.unwrap_err().cause() == Cause::Timeout);
}

/// Applications store ids and URLs in a database and display them.
#[test]
fn ids_can_be_printed_stored_and_read_again() {
    fn check<T>(text: &str, bad: &str)
    where
        T: std::fmt::Display
            + serde::Serialize
            + serde::de::DeserializeOwned
            + TryFrom<String>
            + PartialEq
            + std::fmt::Debug,
        <T as TryFrom<String>>::Error: std::fmt::Debug,
    {
        let value = T::try_from(text.to_owned()).unwrap();
        assert_eq!(value.to_string(), text);
        let json = serde_json::to_string(&value).unwrap();
        assert_eq!(json, format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<T>(&json).unwrap(), value);
        assert!(serde_json::from_str::<T>(&format!("\"{bad}\"")).is_err());
    }
    check::<flinks::connect::Instance>("toolbox", "Tool box");
    check::<flinks::connect::CustomerId>("00000000-0000-4000-8000-000000000001", "1");
    check::<RedirectUrl>("https://app.example/done?a=b", "http://app.example");
    check::<BaseUrl>("https://app.example/flinks", "http://app.example");
    let login_id = |text: &str| LoginId::new(text).unwrap();
    assert_eq!(login_id("a"), login_id("a"));
    assert!(login_id("a") != login_id("b"));
}
