//! Network faults: proxies, names and connections.

use crate::Tests;
use crate::servers::{Blackhole, closed_port, respond, response, silent};
use crate::support::Doctor;

pub(crate) const TESTS: Tests = &[
    ("an_invalid_proxy_variable_is_found", invalid_proxy),
    ("a_socks_proxy_is_found", socks_proxy),
    ("a_proxy_that_requires_credentials_is_found", proxy_credentials),
    ("a_proxy_that_forbids_the_host_is_found", proxy_forbids),
    ("a_proxy_that_cannot_reach_the_host_is_found", proxy_unreachable),
    ("a_proxy_that_does_not_run_is_found", proxy_closed),
    ("an_excluded_host_is_connected_directly", excluded_host),
    ("a_name_that_cannot_be_resolved_is_found", dns),
    ("a_closed_port_is_found", refused),
    ("a_blackhole_is_found", blackhole),
    ("a_server_that_does_not_respond_is_found", no_response),
];

/// A name that never exists (RFC 2606).
const NOWHERE: &str = "https://ob.invalid";

fn through_proxy(proxy: &str) -> Doctor {
    Doctor::outbound(NOWHERE).with("HTTPS_PROXY", proxy)
}

fn invalid_proxy() {
    let report = through_proxy("canary proxy").run(&["outbound"]);
    report
        .assert_failed("outbound", "proxy")
        .is("HTTPS_PROXY is not a valid proxy URL")
        .has_cure("http://proxy")
        .exits_with(4);
}

fn socks_proxy() {
    let report = through_proxy("socks5://canary:canary@127.0.0.1:1080").run(&["outbound"]);
    report.assert_failed("outbound", "proxy").is("`socks5`").has_cure("HTTP proxy").exits_with(4);
}

fn proxy_credentials() {
    let proxy = respond(response("407 Proxy Authentication Required", "Proxy-Authenticate: Basic\r\n"));
    let report = through_proxy(&format!("http://canary-user:canary-password@{}", proxy.address)).run(&["outbound"]);
    report.assert_failed("outbound", "tunnel").is("status 407").has_cure("HTTPS_PROXY").exits_with(4);
    assert_eq!(report.outcome("outbound", "credentials"), "skipped");
}

fn proxy_forbids() {
    let proxy = respond(response("403 Forbidden", ""));
    let report = through_proxy(&format!("http://{}", proxy.address)).run(&["outbound"]);
    report.assert_failed("outbound", "tunnel").is("status 403").has_cure("allow ob.invalid:443").exits_with(4);
}

fn proxy_unreachable() {
    let proxy = respond(response("502 Bad Gateway", ""));
    let report = through_proxy(&format!("http://{}", proxy.address)).run(&["outbound"]);
    report.assert_failed("outbound", "tunnel").is("status 502").has_cure("the proxy can resolve").exits_with(75);
}

fn proxy_closed() {
    let report = through_proxy(&format!("http://{}", closed_port())).run(&["outbound"]);
    report.assert_failed("outbound", "connection").is("the proxy").has_cure("HTTPS_PROXY").exits_with(75);
}

fn excluded_host() {
    let doctor = through_proxy(&format!("http://{}", closed_port())).with("NO_PROXY", "ob.invalid");
    let report = doctor.run_within("2s", &["outbound"]);
    assert_eq!(report.outcome("outbound", "proxy"), "passed");
    let _ = report.assert_failed("outbound", "name resolution");
}

fn dns() {
    let report = Doctor::outbound(NOWHERE).run_within("2s", &["outbound"]);
    let _ = report.assert_failed("outbound", "name resolution").is("ob.invalid").has_cure("check");
    assert_eq!(report.outcome("outbound", "connection"), "skipped");
}

fn refused() {
    let report = Doctor::outbound(&format!("http://{}", closed_port())).run(&["outbound"]);
    report.assert_failed("outbound", "connection").is("refused the connection").has_cure("port").exits_with(75);
}

fn blackhole() {
    let blackhole = Blackhole::new();
    let report = Doctor::outbound(&format!("http://{}", blackhole.address)).run_within("1s", &["outbound"]);
    report
        .assert_failed("outbound", "connection")
        .is("did not accept a connection in time")
        .has_cure("a firewall may drop the packets")
        .guessed()
        .exits_with(75);
}

fn no_response() {
    let (_listener, address) = silent();
    let report = Doctor::outbound(&format!("http://{address}")).run_within("3s", &["outbound"]);
    report
        .assert_failed("outbound", "reachability")
        .is("did not respond in time")
        .has_cure("try again later")
        .exits_with(75);
}
