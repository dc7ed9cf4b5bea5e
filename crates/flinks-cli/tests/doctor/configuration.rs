//! Configuration faults, and reports for a working configuration.

use flinks_emulator::Kind;

use crate::Tests;
use crate::support::{Doctor, emulator};

pub(crate) const TESTS: Tests = &[
    ("nothing_is_wrong_with_an_emulator", nothing_is_wrong),
    ("one_unused_token_is_requested_for_each_product", one_token),
    ("the_text_of_the_report_lists_each_check", text),
    ("only_the_selected_sections_are_checked", selected_sections),
    ("a_missing_value_is_found", missing_value),
    ("values_for_no_product_are_found", no_product),
    ("an_unknown_profile_is_found", unknown_profile),
    ("a_secret_in_the_configuration_file_is_found", secret_in_file),
    ("the_base_url_of_another_product_is_found", other_product),
    ("a_missing_certificate_file_is_found", missing_file),
    ("a_missing_key_of_a_store_is_found", missing_store_key),
];

fn nothing_is_wrong() {
    let emulator = emulator();
    let report = Doctor::of(&emulator).run(&[]);
    report.assert_nothing_is_wrong();
    report.assert_has_log();
}

fn one_token() {
    let emulator = emulator();
    Doctor::of(&emulator).run(&["pay", "connect", "outbound"]).assert_nothing_is_wrong();
    // The emulator starts with a code and a refresh token.
    for kind in [Kind::SessionToken, Kind::AuthorizeToken, Kind::AccessToken] {
        let issued: Vec<_> = emulator.issued().into_iter().filter(|token| token.kind == kind).collect();
        assert_eq!(issued.len(), 1, "{kind:?}");
        assert!(issued[0].spent.is_none(), "{kind:?}");
    }
}

fn text() {
    let emulator = emulator();
    let text = Doctor::of(&emulator).text(&[]);
    for expected in ["pay", "connect", "outbound", "store", "credentials", "no problems found"] {
        assert!(text.contains(expected), "{text}");
    }
    assert!(!text.contains('\u{1b}'), "{text}");
    let text = Doctor::of(&emulator).with("FLINKS_PAY_PASSWORD", "canary").text(&["pay"]);
    assert!(text.contains("guess: "), "{text}");
    assert!(text.contains("1 failed"), "{text}");
}

fn selected_sections() {
    let emulator = emulator();
    let doctor = Doctor::of(&emulator).with("FLINKS_PAY_PASSWORD", "canary");
    doctor.run(&["connect", "store"]).assert_nothing_is_wrong();
    let report = doctor.run(&["pay"]);
    let _ = report.assert_failed("pay", "credentials");
}

fn missing_value() {
    let emulator = emulator();
    let report = Doctor::of(&emulator).without("FLINKS_PAY_PASSWORD").run(&["pay"]);
    report.assert_failed("pay", "configuration").is("password").has_cure("flinks init").exits_with(4);
    assert_eq!(report.outcome("pay", "credentials"), "skipped");
}

fn no_product() {
    let report = Doctor::new().run(&[]);
    report.assert_failed("profile", "products").is("no values").has_cure("flinks init").exits_with(4);
}

fn unknown_profile() {
    let emulator = emulator();
    let report = Doctor::of(&emulator).with("FLINKS_PROFILE", "sandbox").run(&[]);
    report
        .assert_failed("profile", "configuration")
        .is("`sandbox`")
        .has_cure("flinks init --profile sandbox")
        .exits_with(4);
}

fn secret_in_file() {
    let doctor = Doctor::new();
    let text = "default_profile = \"sandbox\"\n[profiles.sandbox.pay]\nusername = \"app\"\npassword = \"canary\"\n";
    std::fs::write(doctor.path().join("config.toml"), text).unwrap();
    let report = doctor.run(&[]);
    report
        .assert_failed("profile", "configuration")
        .is("contains the secret pay.password")
        .has_cure("flinks config set-secret pay.password")
        .exits_with(4);
}

fn other_product() {
    let report = Doctor::outbound("https://payments.flinksapp.com").run(&["outbound"]);
    report.assert_failed("outbound", "configuration").is("belongs to Flinks Pay").has_cure("flinks init").exits_with(4);
}

fn missing_file() {
    let doctor = Doctor::outbound("https://ob.flinksapp.com").with("FLINKS_ROOT_CERTIFICATES", "missing.pem");
    let report = doctor.run(&["outbound"]);
    report.assert_failed("outbound", "configuration").is("root_certificates").exits_with(4);
}

fn missing_store_key() {
    let emulator = emulator();
    let doctor = Doctor::of(&emulator).with("FLINKS_REDIS_URL", "redis://:canary@127.0.0.1:7");
    let report = doctor.run(&["store"]);
    report.assert_failed("store", "configuration").is("name_key").has_cure("store.name_key").exits_with(4);
}
