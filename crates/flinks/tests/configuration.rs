//! Tests configuration from environment variables and from a map. A snapshot contains the message
//! for each invalid value.
//!
//! A process cannot safely change its own environment variables, so this program starts itself once
//! for each test case. Each child process prints the outcome.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::print_stdout, clippy::unwrap_used)] // test helpers are tests too

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::process::Command;

use flinks::{ClientBuilder, Error, connect, outbound, pay, pool};
use libtest_mimic::{Arguments, Trial};

const CHILD: &str = "FLINKS_TEST_PRODUCT";
/// A marker in secret values and in invalid values. Messages must not contain this marker.
const CANARY: &str = "canary";

const PAY: &[(&str, &str)] = &[
    ("FLINKS_PAY_URL", "https://payments-uat.flinksapp.com"),
    ("FLINKS_PAY_USERNAME", "canary-user"),
    ("FLINKS_PAY_PASSWORD", "canary-password"),
];
const CONNECT: &[(&str, &str)] = &[
    ("FLINKS_CONNECT_INSTANCE", "toolbox"),
    ("FLINKS_CONNECT_CUSTOMER_ID", "00000000-0000-4000-8000-000000000001"),
    ("FLINKS_CONNECT_SECRET_KEY", "canary-key"),
];
const OUTBOUND: &[(&str, &str)] = &[
    ("FLINKS_OUTBOUND_URL", "https://ob.flinksapp.com"),
    ("FLINKS_OUTBOUND_CLIENT_ID", "canary-id"),
    ("FLINKS_OUTBOUND_CLIENT_SECRET", "canary-secret"),
];

fn main() {
    if let Ok(product) = std::env::var(CHILD) {
        return println!("{}", from_env(&product));
    }
    let trials = vec![
        Trial::test("every_variable_is_checked", || {
            every_variable_is_checked();
            Ok(())
        }),
        Trial::test("every_field_is_checked", || {
            every_field_is_checked();
            Ok(())
        }),
        Trial::test("certificates_are_read_from_files", || {
            certificates_are_read_from_files();
            Ok(())
        }),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn from_env(product: &str) -> String {
    let outcome = match product {
        "pool" => pool::PoolSize::from_env::<pay::Client>().map(|size| format!("{size:?}")),
        "pay" => pay::Client::from_env().map(|client| format!("{client:?}")),
        "connect" => connect::Client::from_env().map(|client| format!("{client:?}")),
        _ => outbound::Client::from_env().map(|client| format!("{client:?}")),
    };
    outcome.unwrap_or_else(|error| text_of(&error))
}

/// Returns the message of a configuration error after checking that the message does not contain
/// the canary.
fn text_of(error: &Error) -> String {
    assert!(error.field().is_some());
    assert!(!error.may_have_been_sent());
    let text = error.to_string();
    assert!(!format!("{text} {error:?}").contains(CANARY), "{text}");
    text
}

/// Runs this program with the variables in `valid`, after changing or removing one of them. Returns
/// the program's output.
fn outcome(valid: &[(&str, &str)], name: &str, value: Option<&OsStr>) -> String {
    let product = match name {
        "FLINKS_PAY_POOL_SIZE" => "pool".to_owned(),
        _ => valid.first().unwrap().0.split('_').nth(1).unwrap().to_ascii_lowercase(),
    };
    let mut command = Command::new(std::env::current_exe().unwrap());
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("FLINKS_") {
            command.env_remove(variable);
        }
    }
    command.env(CHILD, product).envs(valid.iter().copied());
    match value {
        Some(value) => command.env(name, value),
        None => command.env_remove(name),
    };
    let output = command.output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn every_variable_is_checked() {
    let mut table = String::new();
    let mut row = |name: &str, shown: &str, text: String| writeln!(table, "{name} | {shown} | {text}").unwrap();
    for base in [PAY, CONNECT, OUTBOUND] {
        row("(all)", "valid", outcome(base, "FLINKS_NOTHING", None));
        for (name, valid) in base {
            row(name, "(missing)", outcome(base, name, None));
            row(name, "(empty)", outcome(base, name, Some(OsStr::new(""))));
            row(name, "(blank)", outcome(base, name, Some(OsStr::new(" "))));
            let broken = format!("{valid}\n");
            row(name, "(with a line break)", outcome(base, name, Some(OsStr::new(&broken))));
            row(name, "(not UTF-8)", outcome(base, name, Some(&not_utf8())));
        }
    }
    for (base, name, value) in [
        (PAY, "FLINKS_PAY_URL", "canary"),
        (PAY, "FLINKS_PAY_URL", "http://payments.flinksapp.com"),
        (PAY, "FLINKS_PAY_URL", "https://payments.flinksapp.com/api/v1/authorize"),
        (PAY, "FLINKS_PAY_URL", "https://toolbox-api.private.fin.ag"),
        (PAY, "FLINKS_PAY_URL", "https://canary@payments.flinksapp.com"),
        (PAY, "FLINKS_PAY_TIMEOUT_SECONDS", "10"),
        (PAY, "FLINKS_PAY_TIMEOUT_SECONDS", "0"),
        (PAY, "FLINKS_PAY_TIMEOUT_SECONDS", "1.5"),
        (PAY, "FLINKS_PAY_TIMEOUT_SECONDS", "-1"),
        (PAY, "FLINKS_PAY_TIMEOUT_SECONDS", "99999999999999999999"),
        (PAY, "FLINKS_PAY_CONNECT_TIMEOUT_SECONDS", "canary"),
        (PAY, "FLINKS_PAY_MAX_ATTEMPTS", "3"),
        (PAY, "FLINKS_PAY_MAX_ATTEMPTS", "4"),
        (PAY, "FLINKS_PAY_POOL_SIZE", "8"),
        (PAY, "FLINKS_PAY_POOL_SIZE", "0"),
        (PAY, "FLINKS_PAY_POOL_SIZE", "1001"),
        (PAY, "FLINKS_PAY_POOL_SIZE", "canary"),
        (PAY, "FLINKS_PAY_POOL_SIZE", ""),
        (PAY, "FLINKS_ROOT_CERTIFICATES", "/canary/nowhere.pem"),
        (PAY, "FLINKS_ROOT_CERTIFICATES", "/"),
        (PAY, "FLINKS_CLIENT_CERTIFICATE", "/canary/nowhere.pem"),
        (PAY, "FLINKS_CRYPTO_PROVIDER", "ring"),
        (PAY, "FLINKS_CRYPTO_PROVIDER", "canary"),
        (PAY, "FLINKS_CRYPTO_PROVIDER", "process"),
        (PAY, "FLINKS_DANGEROUS_PLAIN_HTTP_HOST", "emulator"),
        (CONNECT, "FLINKS_CONNECT_INSTANCE", "https://toolbox-api.private.fin.ag"),
        (CONNECT, "FLINKS_CONNECT_INSTANCE", "toolbox-api"),
        (CONNECT, "FLINKS_CONNECT_URL", "https://toolbox-api.private.fin.ag"),
        (CONNECT, "FLINKS_CONNECT_CUSTOMER_ID", "canary"),
        (CONNECT, "FLINKS_CONNECT_SECRET_KEY", "canary key"),
        (CONNECT, "FLINKS_CONNECT_BANK_TIMEOUT_SECONDS", "canary"),
        (&CONNECT[1..], "FLINKS_CONNECT_URL", "https://toolbox-api.private.fin.ag"),
        (&CONNECT[1..], "FLINKS_CONNECT_URL", "https://payments.flinksapp.com"),
        (&CONNECT[1..], "FLINKS_CONNECT_URL", "https://toolbox-api.private.fin.ag/v3"),
        (&CONNECT[1..], "FLINKS_CONNECT_URL", "https://gateway.example/flinks"),
        (OUTBOUND, "FLINKS_OUTBOUND_URL", "https://payments.flinksapp.com"),
        (OUTBOUND, "FLINKS_OUTBOUND_URL", "https://ob.flinksapp.com/api/v1/token"),
        (OUTBOUND, "FLINKS_OUTBOUND_CLIENT_AUTHENTICATION", "basic"),
        (OUTBOUND, "FLINKS_OUTBOUND_CLIENT_AUTHENTICATION", "none"),
        (OUTBOUND, "FLINKS_OUTBOUND_CLIENT_AUTHENTICATION", "canary"),
    ] {
        row(name, value, outcome(base, name, Some(OsStr::new(value))));
    }
    for (url, host) in [
        ("http://emulator:8080", "emulator"),
        ("http://emulator:8080", "other"),
        ("http://api.flinks.io", "api.flinks.io"),
        ("http://fin.ag", "FIN.AG."),
        ("http://8.8.8.8", "8.8.8.8"),
        ("http://10.0.0.7:8080", "10.0.0.7"),
    ] {
        let base = [&[("FLINKS_PAY_URL", url)], &PAY[1..]].concat();
        let text = outcome(&base, "FLINKS_DANGEROUS_PLAIN_HTTP_HOST", Some(OsStr::new(host)));
        row("FLINKS_DANGEROUS_PLAIN_HTTP_HOST", &format!("{host} for {url}"), text);
    }
    insta::assert_snapshot!("variables", table);
}

#[cfg(unix)]
fn not_utf8() -> OsString {
    use std::os::unix::ffi::OsStringExt as _;
    OsString::from_vec(b"canary\xff".to_vec())
}

#[cfg(not(unix))]
fn not_utf8() -> OsString {
    use std::os::windows::ffi::OsStringExt as _;
    OsString::from_wide(&[0x63, 0xD800])
}

fn every_field_is_checked() {
    let mut table = String::new();
    for json in [
        r#"{"url":"https://payments.flinksapp.com","username":"canary","password":"canary","timeout_seconds":10}"#,
        r#"{"url":"https://payments.flinksapp.com","username":"canary","password":5}"#,
        r#"{"url":"https://payments.flinksapp.com","username":"canary"}"#,
        r#"{"url":"https://payments.flinksapp.com","username":"canary","password":""}"#,
        r#"{"url":"https://payments.flinksapp.com","username":"canary","password":"canary\n"}"#,
        r#"{"url":"https://payments.flinksapp.com","username":"canary","password":null}"#,
        r#"{"url":"https://payments.flinksapp.com","username":"canary","password":["canary"]}"#,
        r#"{"url":"https://payments.flinksapp.com","username":"canary","password":{"canary":1}}"#,
        r#"{"url":"https://payments.flinksapp.com","username":"canary","password":1.5}"#,
        r#"{"url":"https://payments.flinksapp.com","username":"canary","password":true}"#,
        r#"{"url":"https://payments.flinksapp.com","username":"canary","username":"canary","password":"p"}"#,
        r#"{"url":"canary","username":"canary","password":"canary"}"#,
        r#"{"url":"https://payments.flinksapp.com","username":"u","password":"p","passwrod":"canary"}"#,
        r#"{"url":"https://payments.flinksapp.com","username":"u","password":"p","secret_key":"canary"}"#,
        r#"{"url":"https://payments.flinksapp.com","username":"u","password":"p","timeout_seconds":"canary"}"#,
        r#"{"url":"https://payments.flinksapp.com","username":"u","password":"p","timeout_seconds":-10}"#,
        r#"{"url":"https://payments.flinksapp.com","username":"u","password":"p","client_key":"/canary"}"#,
        r#"{"url":"https://payments.flinksapp.com","username":"u","password":"p","Canary 7!":"canary"}"#,
        r#""canary""#,
        "424242",
        "[]",
    ] {
        let outcome: Result<ClientBuilder<pay::Client>, _> = serde_json::from_str(json);
        let text = match outcome {
            Ok(builder) => builder.build().map_or_else(|error| text_of(&error), |client| format!("{client:?}")),
            Err(error) => error.to_string(),
        };
        writeln!(table, "{json} | {text}").unwrap();
        assert!(!text.contains(CANARY), "{text}");
    }
    for toml in [
        "password = 99999999999999999999999",
        "password = 1.5",
        "password = 424242424242",
        "password = { canary = 1 }",
        "password = 1979-05-27",
    ] {
        let text = format!("url = \"https://payments.flinksapp.com\"\nusername = \"u\"\n{toml}\n");
        let error = toml::from_str::<ClientBuilder<pay::Client>>(&text).unwrap_err();
        // The TOML error's `Display` output quotes the line, as documented for `ClientBuilder`.
        assert!(
            !["canary", "9999", "4242", "1.5", "1979"].iter().any(|value| error.message().contains(value)),
            "{error}"
        );
        writeln!(table, "{toml} | {}", error.message()).unwrap();
    }
    insta::assert_snapshot!("fields", table);
}

fn certificates_are_read_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let other = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["client".to_owned()]).unwrap().self_signed(&key).unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let certificate = write("certificate.pem", &certificate.pem());
    let own_key = write("key.pem", &key.serialize_pem());
    let other_key = write("other.pem", &other.serialize_pem());
    let text = write("canary.pem", "canary");
    let cut = write("cut.pem", "-----BEGIN CERTIFICATE-----\ncanary\n");
    for (roots, chain, key, expected) in [
        (&certificate, &certificate, &own_key, "Client { "),
        (&text, &certificate, &own_key, "invalid configuration: root_certificates must contain a PEM certificate"),
        (&cut, &certificate, &own_key, "invalid configuration: root_certificates must be valid PEM"),
        (&certificate, &text, &own_key, "invalid configuration: client_certificate must contain a PEM certificate"),
        (&certificate, &certificate, &text, "invalid configuration: client_key must contain a PEM private key"),
        (&certificate, &certificate, &certificate, "invalid configuration: client_key must contain a PEM private key"),
        (
            &certificate,
            &certificate,
            &other_key,
            "invalid configuration: client certificate is invalid or does not match the private key",
        ),
    ] {
        let json = serde_json::json!({
            "url": "https://payments.flinksapp.com", "username": "u", "password": "p",
            "root_certificates": roots, "client_certificate": chain, "client_key": key,
        });
        let text = match serde_json::from_value::<ClientBuilder<pay::Client>>(json) {
            Ok(builder) => builder.build().map_or_else(|error| text_of(&error), |client| format!("{client:?}")),
            Err(error) => error.to_string(),
        };
        assert!(text.starts_with(expected), "{text}\n{expected}");
    }
}
