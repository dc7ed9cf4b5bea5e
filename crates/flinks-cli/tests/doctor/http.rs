//! Captive portals, gateways and clocks.

use std::time::{Duration, SystemTime};

use crate::Tests;
use crate::servers::{date, respond, response};
use crate::support::{Doctor, Report};

pub(crate) const TESTS: Tests = &[
    ("a_captive_portal_is_found", captive_portal),
    ("a_network_that_requires_a_login_is_found", login_required),
    ("a_gateway_in_trouble_is_found", gateway),
    ("a_response_that_is_not_http_is_found", not_http),
    ("a_clock_that_is_behind_is_found", clock_behind),
    ("a_clock_that_is_ahead_is_found", clock_ahead),
];

fn run(response: String) -> Report {
    let server = respond(response);
    let report = Doctor::outbound(&format!("http://{}", server.address)).run(&["outbound"]);
    assert_eq!(report.outcome("outbound", "credentials"), "skipped");
    let received = server.received();
    assert!(received.starts_with("GET / HTTP/1.1\r\n"), "{received}");
    assert!(!received.contains("canary"), "the server received a secret");
    report
}

fn captive_portal() {
    let report = run(response("302 Found", "Location: http://portal.example/login?canary\r\n"));
    report
        .assert_failed("outbound", "reachability")
        .is("redirects to portal.example")
        .has_cure("captive portal")
        .exits_with(1);
}

fn login_required() {
    let report = run(response("511 Network Authentication Required", ""));
    report.assert_failed("outbound", "reachability").is("status 511").has_cure("captive portal").exits_with(1);
}

fn gateway() {
    let report = run(response("503 Service Unavailable", ""));
    report.assert_failed("outbound", "reachability").is("status 503").has_cure("status.flinks.com").exits_with(75);
}

fn not_http() {
    let report = run("SSH-2.0-canary\r\n".to_owned());
    report.assert_failed("outbound", "reachability").is("not HTTP").has_cure("port").exits_with(1);
}

fn clock_behind() {
    let later = SystemTime::now() + Duration::from_secs(10 * 60);
    let report = run(response("404 Not Found", &date(later)));
    report.assert_failed("outbound", "clock").is("behind the server's clock").has_cure("set-ntp true").exits_with(1);
}

fn clock_ahead() {
    let earlier = SystemTime::now() - Duration::from_secs(10 * 60);
    let report = run(response("404 Not Found", &date(earlier)));
    report.assert_failed("outbound", "clock").is("ahead of the server's clock").has_cure("NTP").exits_with(1);
}
