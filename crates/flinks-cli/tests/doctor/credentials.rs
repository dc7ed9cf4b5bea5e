//! Credential faults, and errors from Flinks.

use flinks_emulator::{Emulator, Fault, Kind, Operation};

use crate::Tests;
use crate::support::{Doctor, emulator};

pub(crate) const TESTS: Tests = &[
    ("a_wrong_password_for_pay_is_found", wrong_password),
    ("a_wrong_secret_key_is_found", wrong_secret_key),
    ("an_authorize_token_in_place_of_the_secret_key_is_found", swapped_key_and_token),
    ("the_customer_id_of_another_instance_is_found", wrong_instance),
    ("a_customer_id_in_place_of_the_secret_key_is_found", customer_id_as_key),
    ("a_wrong_client_secret_is_found", wrong_client_secret),
    ("a_swapped_client_id_and_secret_are_found", swapped_client),
    ("a_rate_limit_is_found", rate_limit),
    ("an_unavailable_server_is_found", unavailable),
    ("an_endpoint_that_does_not_exist_is_found", not_found),
    ("a_response_of_another_server_is_found", malformed),
    ("a_redirect_of_the_endpoint_is_found", redirect),
];

fn wrong_password() {
    let emulator = emulator();
    let report = Doctor::of(&emulator).with("FLINKS_PAY_PASSWORD", "canary").run(&["pay"]);
    report
        .assert_failed("pay", "credentials")
        .is("credentials were refused")
        .has_cure("flinks config set-secret pay.password")
        .exits_with(4);
    assert_eq!(emulator.count(Operation::PayAuthorize), 1);
}

fn wrong_secret_key() {
    let emulator = emulator();
    let report = Doctor::of(&emulator).with("FLINKS_CONNECT_SECRET_KEY", "canary").run(&["connect"]);
    report
        .assert_failed("connect", "credentials")
        .is("UNAUTHORIZED")
        .has_cure("flinks config set-secret connect.secret_key")
        .guessed()
        .exits_with(4);
}

/// Returns an authorize token that `flinks doctor` has requested and not used.
fn authorize_token(emulator: &Emulator) -> String {
    Doctor::of(emulator).run(&["connect"]).assert_nothing_is_wrong();
    let mut issued = emulator.issued().into_iter();
    issued.find(|token| token.kind == Kind::AuthorizeToken).unwrap().value
}

fn swapped_key_and_token() {
    let emulator = emulator();
    let token = authorize_token(&emulator);
    let report = Doctor::of(&emulator).hide(&token).with("FLINKS_CONNECT_SECRET_KEY", &token).run(&["connect"]);
    report.assert_failed("connect", "credentials").has_cure("may be an authorize token").guessed().exits_with(4);
}

fn wrong_instance() {
    let emulator = emulator();
    let other = "00000000-0000-4000-8000-0000000000ff";
    let report = Doctor::of(&emulator).with("FLINKS_CONNECT_CUSTOMER_ID", other).run(&["connect"]);
    let _ = report.assert_failed("connect", "credentials").has_cure("instance").guessed();
}

fn customer_id_as_key() {
    let emulator = emulator();
    let customer_id = emulator.config().connect.customer_id;
    let report = Doctor::of(&emulator).with("FLINKS_CONNECT_SECRET_KEY", &customer_id).run(&["connect"]);
    report
        .assert_failed("connect", "credentials")
        .has_cure("the secret key is the customer id")
        .guessed()
        .exits_with(4);
}

fn wrong_client_secret() {
    let emulator = emulator();
    let report = Doctor::of(&emulator).with("FLINKS_OUTBOUND_CLIENT_SECRET", "canary").run(&["outbound"]);
    report
        .assert_failed("outbound", "credentials")
        .is("invalid_client")
        .has_cure("flinks config set-secret outbound.client_secret")
        .guessed()
        .exits_with(4);
}

fn swapped_client() {
    let emulator = emulator();
    let config = emulator.config().outbound;
    let doctor = Doctor::of(&emulator)
        .with("FLINKS_OUTBOUND_CLIENT_ID", &config.client_secret)
        .with("FLINKS_OUTBOUND_CLIENT_SECRET", &config.client_id);
    let report = doctor.run(&["outbound"]);
    report.assert_failed("outbound", "credentials").has_cure("may be swapped").guessed().exits_with(4);
}

fn rate_limit() {
    let emulator = emulator();
    let fault =
        Fault::Reply { status: 429, headers: vec![("Retry-After".to_owned(), "90".to_owned())], body: String::new() };
    emulator.fail_always(Operation::PayAuthorize, fault);
    let report = Doctor::of(&emulator).run(&["pay"]);
    report.assert_failed("pay", "credentials").is("429").has_cure("wait 1m 30s").exits_with(75);
    assert_eq!(emulator.count(Operation::PayAuthorize), 1);
}

fn unavailable() {
    let emulator = emulator();
    emulator.fail_always(Operation::OutboundToken, Fault::status(503));
    let report = Doctor::of(&emulator).run(&["outbound"]);
    report.assert_failed("outbound", "credentials").has_cure("status.flinks.com").exits_with(75);
    assert_eq!(emulator.count(Operation::OutboundToken), 1);
}

fn not_found() {
    let emulator = emulator();
    emulator.fail_always(Operation::OutboundToken, Fault::status(404));
    let report = Doctor::of(&emulator).run(&["outbound"]);
    report.assert_failed("outbound", "credentials").is("404").has_cure("base URL").guessed().exits_with(4);
}

fn malformed() {
    let emulator = emulator();
    emulator.fail_always(Operation::PayAuthorize, Fault::reply(200, "<html>canary</html>"));
    let report = Doctor::of(&emulator).run(&["pay"]);
    report.assert_failed("pay", "credentials").has_cure("may not be Flinks").guessed().exits_with(1);
}

fn redirect() {
    let emulator = emulator();
    let location = "https://gateway.example/?canary".to_owned();
    emulator.fail_always(Operation::ConnectGenerateAuthorizeToken, Fault::Redirect { status: 302, location });
    let report = Doctor::of(&emulator).run(&["connect"]);
    report.assert_failed("connect", "credentials").is("redirect").has_cure("gateway").exits_with(4);
}
