//! TLS faults.

use std::path::Path;

use flinks_emulator::{ClientCertificates, Config, Emulator, Tls};
use rcgen::CertificateParams;

use crate::Tests;
use crate::certificates::{Authority, parameters, serve_self_signed, valid_in_years};
use crate::servers::{close, proxy_to, respond, response, silent};
use crate::support::{Doctor, Report, block_on};

pub(crate) const TESTS: Tests = &[
    ("nothing_is_wrong_with_tls", nothing_is_wrong),
    ("tls_through_a_proxy_is_verified", through_a_proxy),
    ("an_interception_of_tls_by_a_proxy_is_found", interception_by_a_proxy),
    ("an_expired_certificate_is_found", expired),
    ("a_certificate_that_is_not_valid_yet_is_found", not_valid_yet),
    ("a_self_signed_certificate_is_found", self_signed),
    ("an_interception_of_tls_is_found", interception),
    ("a_certificate_for_another_name_is_found", other_name),
    ("a_server_without_tls_is_found", plain_http),
    ("a_required_client_certificate_is_found", client_certificate),
    ("a_connection_that_is_closed_during_the_handshake_is_found", closed),
    ("a_handshake_that_does_not_complete_is_found", silent_server),
    ("a_certificate_that_expires_soon_is_a_warning", expires_soon),
];

/// Runs the command against a server whose certificate was issued by a trusted authority.
fn run_with(parameters: &CertificateParams) -> Report {
    let authority = Authority::new();
    let address = authority.serve(parameters);
    let doctor = Doctor::outbound(&format!("https://{address}"));
    std::fs::write(doctor.path().join("authority.pem"), authority.pem()).unwrap();
    doctor.with("FLINKS_ROOT_CERTIFICATES", "authority.pem").run(&["outbound"])
}

fn start_emulator(folder: &Path, certificates: ClientCertificates) -> Emulator {
    let tls = Tls::new(&[]).unwrap().client_certificates(certificates).write_to(folder).unwrap();
    block_on(tls.start_with(Config::default())).unwrap()
}

fn nothing_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let emulator = start_emulator(folder.path(), ClientCertificates::Required);
    Doctor::of(&emulator).run(&["pay", "connect", "outbound"]).assert_nothing_is_wrong();
}

/// Starts an emulator that a client reaches as `ob.example` through a proxy.
fn behind_a_proxy(folder: &Path) -> (Emulator, Doctor) {
    let tls = Tls::new(&["ob.example".to_owned()]).unwrap().write_to(folder).unwrap();
    let emulator = block_on(tls.start_with(Config::default())).unwrap();
    emulator.allow_host("ob.example");
    let address = emulator.base_url().strip_prefix("https://").unwrap().parse().unwrap();
    let proxy = format!("http://canary-user:canary-password@{}", proxy_to(address));
    let doctor = Doctor::of(&emulator).with("FLINKS_OUTBOUND_URL", "https://ob.example").with("HTTPS_PROXY", &proxy);
    (emulator, doctor)
}

fn through_a_proxy() {
    let folder = tempfile::tempdir().unwrap();
    let (_emulator, doctor) = behind_a_proxy(folder.path());
    let report = doctor.run(&["outbound"]);
    assert_eq!(report.outcome("outbound", "tunnel"), "passed");
    assert_eq!(report.outcome("outbound", "TLS"), "passed");
    // The emulator has a page at its base URL.
    report
        .assert_warning("outbound", "reachability")
        .is("a web page")
        .has_cure("captive portal")
        .guessed()
        .exits_with(0);
}

fn interception_by_a_proxy() {
    let folder = tempfile::tempdir().unwrap();
    let (emulator, doctor) = behind_a_proxy(folder.path());
    let report = doctor.without("FLINKS_ROOT_CERTIFICATES").without("SSL_CERT_FILE").run(&["outbound"]);
    report.assert_failed("outbound", "TLS").has_cure("root_certificates").guessed().exits_with(4);
    assert_eq!(emulator.requests().len(), 0);
}

fn expired() {
    let report = run_with(&valid_in_years(2020, 2021));
    report.assert_failed("outbound", "TLS").is("expired at 2021-01-01").has_cure("timedatectl").exits_with(1);
    assert_eq!(report.outcome("outbound", "credentials"), "skipped");
}

fn not_valid_yet() {
    let report = run_with(&valid_in_years(2090, 2099));
    report.assert_failed("outbound", "TLS").is("not valid before 2090-01-01").has_cure("timedatectl").exits_with(1);
}

fn self_signed() {
    let report = Doctor::outbound(&format!("https://{}", serve_self_signed())).run(&["outbound"]);
    report.assert_failed("outbound", "TLS").is("self-signed").has_cure("root_certificates").exits_with(4);
}

fn interception() {
    let address = Authority::new().serve(&parameters("127.0.0.1"));
    let report = Doctor::outbound(&format!("https://{address}")).run(&["outbound"]);
    report
        .assert_failed("outbound", "TLS")
        .is("CN=Example Inspection Authority")
        .has_cure("a proxy may intercept TLS")
        .guessed()
        .exits_with(4);
}

fn other_name() {
    let report = run_with(&parameters("ob.example"));
    report
        .assert_failed("outbound", "TLS")
        .is("not valid for the host name 127.0.0.1")
        .has_cure("base URL")
        .exits_with(4);
}

fn plain_http() {
    let address = respond(response("400 Bad Request", "")).address;
    let report = Doctor::outbound(&format!("https://{address}")).run_within("2s", &["outbound"]);
    report.assert_failed("outbound", "TLS").is("does not use TLS").has_cure("port").exits_with(4);
}

fn client_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let emulator = start_emulator(folder.path(), ClientCertificates::Required);
    let doctor = Doctor::of(&emulator).without("FLINKS_CLIENT_CERTIFICATE").without("FLINKS_CLIENT_KEY");
    let report = doctor.run(&["pay"]);
    report
        .assert_failed("pay", "reachability")
        .is("client certificate")
        .has_cure("FLINKS_CLIENT_CERTIFICATE")
        .exits_with(4);
    assert_eq!(report.outcome("pay", "credentials"), "skipped");
}

fn closed() {
    let report = Doctor::outbound(&format!("https://{}", close())).run(&["outbound"]);
    report.assert_failed("outbound", "TLS").is("closed the connection").has_cure("firewall").guessed().exits_with(75);
}

fn silent_server() {
    let (_listener, address) = silent();
    let report = Doctor::outbound(&format!("https://{address}")).run_within("3s", &["outbound"]);
    report
        .assert_failed("outbound", "TLS")
        .is("did not complete the TLS handshake")
        .has_cure("firewall")
        .exits_with(75);
}

fn expires_soon() {
    // The emulator would accept the credentials, but its certificates do not expire soon.
    let authority = Authority::new();
    let mut parameters = parameters("127.0.0.1");
    let now = std::time::SystemTime::now();
    parameters.not_before = (now - std::time::Duration::from_secs(24 * 60 * 60)).into();
    parameters.not_after = (now + std::time::Duration::from_secs(24 * 60 * 60)).into();
    let address = authority.serve(&parameters);
    let doctor = Doctor::outbound(&format!("https://{address}"));
    std::fs::write(doctor.path().join("authority.pem"), authority.pem()).unwrap();
    let report = doctor.with("FLINKS_ROOT_CERTIFICATES", "authority.pem").run(&["outbound"]);
    assert_eq!(report.outcome("outbound", "TLS"), "warning");
    // The server responds with 404 to the request for a token.
    let _ = report.assert_failed("outbound", "credentials").has_cure("base URL");
}
