//! `flinks token`, `flinks widget-url`, `flinks inspect` and `flinks env`.

use std::io::Write as _;
use std::process::Stdio;

use flinks_emulator::{Fault, Operation};

use crate::support::{Home, assert_command, assert_output};

#[test]
fn a_token_is_printed_alone() {
    let home = Home::with_profile();
    for (product, operation) in [
        ("pay", Operation::PayAuthorize),
        ("connect", Operation::ConnectGenerateAuthorizeToken),
        ("outbound", Operation::OutboundToken),
    ] {
        let token = home.succeed(&["token", product]);
        let issued = home.emulator.find(token.trim_end()).unwrap();
        assert!(issued.spent.is_none());
        assert_eq!(token, format!("{}\n", issued.value));
        assert_eq!(home.emulator.count(operation), 1, "{product}");
    }
}

#[test]
fn a_header_and_json_contain_the_same_token() {
    let home = Home::with_profile();
    for (product, name, prefix) in [
        ("pay", "authorization", "Bearer "),
        ("connect", "flinks-auth-key", ""),
        ("outbound", "authorization", "Bearer "),
    ] {
        let header = home.succeed(&["token", product, "--output", "header"]);
        let value = header.trim_end().strip_prefix(&format!("{name}: {prefix}")).unwrap();
        assert!(home.emulator.find(value).is_some(), "{product}");

        let json: serde_json::Value =
            serde_json::from_str(&home.succeed(&["token", product, "--output", "json"])).unwrap();
        let token = json["token"].as_str().unwrap();
        assert!(home.emulator.find(token).is_some());
        assert_eq!(json["header_name"], name);
        assert_eq!(json["header_value"], format!("{prefix}{token}"));
        assert!(json["expires_at"].is_string());
    }
}

#[test]
fn a_single_use_token_comes_with_a_note() {
    let home = Home::with_profile();
    let output = home.run(&["token", "pay"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("valid for one use"), "{stderr}");
    let output = home.run(&["token", "outbound"]);
    assert!(output.stderr.is_empty());
}

#[test]
fn the_token_of_a_consent_is_refreshed_and_stored() {
    let home = Home::with_profile();
    home.add_consent("user-7");
    let first = home.succeed(&["token", "outbound", "--consent", "user-7"]);
    let second = home.succeed(&["token", "outbound", "--consent", "user-7"]);
    assert_eq!(first, second);
    assert_eq!(home.emulator.count(Operation::OutboundToken), 1);
}

#[test]
fn an_unknown_consent_leaves_standard_output_empty() {
    let home = Home::with_profile();
    assert_command!(home, ["token", "outbound", "--consent", "user 8"]);
}

#[test]
fn an_ended_consent_leaves_standard_output_empty() {
    let home = Home::with_profile();
    home.add_consent("user-7");
    home.emulator.fail_always(Operation::OutboundToken, Fault::reply(400, r#"{"error": "invalid_grant"}"#));
    assert_command!(home, ["token", "outbound", "--consent", "user-7"]);
}

#[test]
fn refused_credentials_are_a_configuration_error() {
    let home = Home::with_profile();
    let output = home.run_with_input(&["config", "set-secret", "connect.secret_key"], "wrong-key\n");
    assert!(output.status.success());
    assert_command!(home, ["token", "connect"]);
}

#[test]
fn a_rate_limit_is_temporary() {
    let home = Home::with_profile();
    home.emulator.fail_always(Operation::PayAuthorize, Fault::status(429));
    assert_command!(home, ["token", "pay"]);
}

#[test]
fn an_unavailable_server_is_temporary() {
    let home = Home::with_profile();
    home.emulator.fail_always(Operation::OutboundToken, Fault::status(503));
    assert_command!(home, ["token", "outbound"]);
}

#[test]
fn a_missing_value_is_a_configuration_error() {
    let home = Home::empty();
    assert_command!(home, ["token", "pay"]);
}

#[test]
fn options_of_another_product_are_refused() {
    let home = Home::with_profile();
    assert_command!(home, ["token", "pay", "--consent", "user-7"]);
}

#[test]
fn variables_replace_values_of_the_profile() {
    let home = Home::with_profile();
    let mut command = home.command(&["token", "pay"]);
    let output = command.env("FLINKS_PAY_PASSWORD", "wrong").output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    let mut command = home.command(&["token", "pay", "--profile", "missing"]);
    assert_eq!(command.output().unwrap().status.code(), Some(4));
}

#[test]
fn variables_are_enough_without_a_profile() {
    let home = Home::empty();
    let mut command = home.command(&["token", "connect"]);
    let output = command.envs(home.emulator.env()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(home.emulator.find(String::from_utf8(output.stdout).unwrap().trim_end()).is_some());
}

#[test]
fn a_closed_pipe_is_not_an_error_message() {
    let home = Home::with_profile();
    let mut command = home.command(&["env", "--all"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = command.stdout(writer).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn c3_the_widget_url_contains_a_new_token() {
    let home = Home::with_profile();
    let url =
        home.succeed(&["widget-url", "--redirect-url", "https://app.example/landing", "--demo", "--language", "fr"]);
    let token = url.split("authorizeToken=").nth(1).unwrap().split('&').next().unwrap().trim_end();
    assert!(home.emulator.find(token).is_some());
    assert!(url.starts_with(home.emulator.base_url()));
    assert_command!(home, ["widget-url", "--redirect-url", "app.example"]);
}

#[test]
fn a_browser_receives_the_url_through_a_redirect() {
    let home = Home::with_profile();
    // The program starts `xdg-open` from PATH, which here writes down its argument and requests it.
    let seen = home.path().join("arguments");
    let browser = home.path().join("xdg-open");
    std::fs::write(&browser, format!("#!/bin/sh\necho \"$1\" > '{0}.new'; mv '{0}.new' '{0}'\ncurl -s -o /dev/null -w '%{{redirect_url}}' \"$1\" > '{0}.url'\n", seen.display())).unwrap();
    std::fs::set_permissions(&browser, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", home.path().display(), std::env::var("PATH").unwrap());
    let mut command = home.command(&["widget-url", "--redirect-url", "https://app.example/landing", "--open"]);
    let output = command.env("PATH", path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let arguments = std::fs::read_to_string(&seen).unwrap();
    assert!(arguments.starts_with("http://127.0.0.1:"));
    home.assert_no_secret(&arguments);
}

#[test]
fn a_jwt_is_shown_with_a_warning() {
    let home = Home::empty();
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1c2VyLTciLCJpYXQiOjE3MDAwMDAwMDAsImV4cCI6MTcwMDAwMDI5OX0.c2lnbmF0dXJl";
    assert_command!(home, ["inspect"], input: &format!("Bearer {jwt}\n"));
}

#[test]
fn a_token_that_is_not_a_jwt_is_refused() {
    let home = Home::empty();
    assert_command!(home, ["inspect"], input: "opaque\n");
    let output = home.run_with_input(&["inspect"], "");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn env_prints_names_and_with_show_values() {
    let home = Home::with_profile();
    assert_command!(home, ["env"]);
    let exports = home.succeed(&["env", "--show"]);
    let mut shell = std::process::Command::new("sh").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let script = format!("{exports}\nprintf %s \"$FLINKS_PAY_PASSWORD\"");
    shell.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = shell.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), home.emulator.config().pay.password);
}

#[test]
fn a3_verbose_output_contains_no_secret() {
    let home = Home::with_rotation();
    home.add_consent("user-7");
    home.add_consent("user-8");
    for arguments in [
        &["token", "pay"][..],
        &["token", "connect"],
        &["token", "outbound"],
        &["consents", "refresh", "user-7"],
        &["keep-alive", "--within", "29days"],
        &["request", "GET", "/api/fdx/5/accounts", "--consent", "user-7"],
        &["consents", "revoke", "user-7"],
        &["consents", "forget", "user-8"],
    ] {
        let mut command = home.command(&[arguments, &["--verbose"]].concat());
        let output = command.env("RUST_LOG", "trace").output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{arguments:?}: {stderr}");
        assert!(!stderr.is_empty(), "{arguments:?}");
        home.assert_no_secret(&stderr);
    }
}

#[test]
fn describe_shows_all_parts() {
    let home = Home::empty();
    let output = home.run(&["config", "path"]);
    assert_output!(home, ["config", "path"], output);
}
