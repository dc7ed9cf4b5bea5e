//! `flinks request`.

use flinks_emulator::{Fault, Operation};

use crate::support::{Home, assert_command};

const ACCOUNTS: &str = "/api/fdx/5/accounts";

#[test]
fn the_body_of_the_response_is_printed() {
    let home = Home::with_profile();
    home.add_consent("user-7");
    let body = home.succeed(&["request", "GET", ACCOUNTS, "--consent", "user-7"]);
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert!(body["accounts"].is_array());
}

#[test]
fn a_refused_token_is_replaced_once() {
    let home = Home::with_profile();
    home.add_consent("user-7");
    home.emulator.fail_next(Operation::OutboundAccounts, Fault::status(401));
    home.succeed(&["request", "GET", ACCOUNTS, "--consent", "user-7"]);
    assert_eq!(home.emulator.count(Operation::OutboundAccounts), 2);
    assert_eq!(home.emulator.count(Operation::OutboundToken), 2);

    home.emulator.fail_always(Operation::OutboundAccounts, Fault::status(401));
    assert_command!(home, ["request", "GET", ACCOUNTS, "--consent", "user-7"]);
}

#[test]
fn an_absolute_url_is_refused() {
    let home = Home::with_profile();
    home.add_consent("user-7");
    for path in ["https://evil.example/", "//evil.example/", "/\\evil.example", "api", "@evil.example/"] {
        let output = home.run(&["request", "GET", path, "--consent", "user-7"]);
        assert_eq!(output.status.code(), Some(2), "{path}");
    }
    assert_command!(home, ["request", "GET", "https://evil.example/", "--consent", "user-7"]);
    assert_eq!(home.emulator.count(Operation::OutboundToken), 0);
}

#[test]
fn a_body_and_headers_are_sent() {
    let home = Home::with_profile();
    let arguments = ["request", "POST", "/api/x", "--data", "@-", "--header", "x-interaction: 7"];
    let output = home.run_with_input(&arguments, r#"{"a": 1}"#);
    assert_eq!(output.status.code(), Some(1));
    let sent = home.emulator.requests().into_iter().last().unwrap();
    assert_eq!(&sent.body[..], br#"{"a": 1}"#);
    assert_eq!(sent.header("x-interaction").collect::<Vec<_>>(), ["7"]);
    assert_eq!(sent.header("content-type").collect::<Vec<_>>(), ["application/json"]);
    assert_command!(home, ["request", "GET", "/", "--header", "authorization: Bearer x"]);
}

#[test]
fn the_application_s_own_token_is_the_default() {
    let home = Home::with_profile();
    home.emulator.fail_always(Operation::OutboundAccounts, Fault::status(401));
    let output = home.run(&["request", "GET", ACCOUNTS]);
    assert_eq!(home.emulator.count(Operation::OutboundToken), 2);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a3_a_proxy_never_receives_the_token_for_a_loopback_address() {
    let home = Home::with_profile();
    let proxy = Home::empty();
    let mut command = home.command(&["request", "GET", ACCOUNTS]);
    let output =
        command.env("HTTP_PROXY", proxy.emulator.base_url()).env("http_proxy", proxy.emulator.base_url()).output();
    assert!(output.is_ok());
    assert!(proxy.emulator.requests().is_empty());
    assert_eq!(home.emulator.count(Operation::OutboundAccounts), 1);
}

#[test]
fn a_long_body_is_refused() {
    let home = Home::with_profile();
    let body = "x".repeat(16 * 1024 * 1024 + 1);
    assert_command!(home, ["request", "POST", "/api/x", "--data", "@-"], input: &body);
    assert!(home.emulator.requests().is_empty());
}

#[test]
fn only_an_idempotent_request_may_be_repeated() {
    let home = Home::with_profile();
    home.emulator.fail_always(Operation::OutboundAccounts, Fault::status(503));
    assert_eq!(home.run(&["request", "GET", ACCOUNTS]).status.code(), Some(75));
    home.emulator.fail_always(Operation::OutboundAccounts, Fault::Reset { when: flinks_emulator::When::After });
    assert_eq!(home.run(&["request", "GET", ACCOUNTS]).status.code(), Some(75));
}

#[test]
fn an_unknown_consent_needs_a_login() {
    let home = Home::with_profile();
    assert_command!(home, ["request", "GET", ACCOUNTS, "--consent", "user-7"]);
}
