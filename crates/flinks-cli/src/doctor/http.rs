//! A single request without credentials, which shows whether a gateway responds instead of Flinks
//! and whether this machine's clock is right.

use std::error::Error;
use std::io;
use std::time::{Duration, SystemTime};

use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderName, LOCATION};
use reqwest::redirect::Policy;

use super::bounded;
use super::configuration::{Product, Target};
use super::report::Outcome;
use super::tls::{self, Tls, TlsFailure};
use crate::failure::Exit;
use crate::timestamp;

/// The clock skew above which tokens may be affected.
const CLOCK_WARNING: Duration = Duration::from_secs(60);
const CLOCK_FAILURE: Duration = Duration::from_secs(5 * 60);

/// The relevant parts of a response.
#[derive(Clone, Debug, Default)]
pub(super) struct Response {
    status: u16,
    /// The host to which the response redirects, if that host differs from the host of the request.
    /// Escaped and limited in length.
    other_host: Option<String>,
    is_html: bool,
    date: Option<SystemTime>,
}

/// The reason there was no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestFailure {
    Timeout,
    Tls(TlsFailure),
    /// No connection was established.
    Connection,
    /// The connection was closed, or the response is not HTTP.
    Interrupted,
}

/// Requests the base URL. Redirects are not followed, and the body is not read.
pub(super) async fn request(target: &Target, tls: &Tls, limit: Duration) -> Result<Response, RequestFailure> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("flinks-cli/", env!("CARGO_PKG_VERSION")))
        .tls_backend_preconfigured(tls.config.clone())
        .redirect(Policy::none())
        .referer(false)
        .http1_only()
        .timeout(limit);
    // The clients do not use a proxy in these cases either.
    if target.is_loopback || !target.is_https {
        builder = builder.no_proxy();
    }
    let client = builder.build().map_err(|_| RequestFailure::Connection)?;
    let response = client.get(target.url.clone()).send().await.map_err(|error| failure_of(&error))?;
    let headers = response.headers();
    Ok(Response {
        status: response.status().as_u16(),
        other_host: other_host(headers, target),
        is_html: text(headers, &CONTENT_TYPE).is_some_and(|value| value.starts_with("text/html")),
        date: text(headers, &DATE).and_then(|value| httpdate::parse_http_date(value).ok()),
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn other_host(headers: &HeaderMap, target: &Target) -> Option<String> {
    let location = target.url.join(text(headers, &LOCATION)?).ok()?;
    let host = location.host_str()?;
    (Some(host) != target.url.host_str()).then(|| bounded(host))
}

fn failure_of(error: &reqwest::Error) -> RequestFailure {
    if let Some(failure) = tls_failure(error) {
        return RequestFailure::Tls(failure);
    }
    if error.is_timeout() {
        return RequestFailure::Timeout;
    }
    if error.is_connect() {
        return RequestFailure::Connection;
    }
    RequestFailure::Interrupted
}

/// Finds the rustls error among the sources of an error.
fn tls_failure(error: &reqwest::Error) -> Option<TlsFailure> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return Some(TlsFailure::of(error));
        }
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(error) = inner.and_then(|error| error.downcast_ref::<rustls::Error>()) {
            return Some(TlsFailure::of(error));
        }
        source = error.source();
    }
    None
}

/// Returns the outcome of the request. Most statuses are accepted, because the base URL is not an
/// endpoint.
pub(super) fn reachability(
    result: &Result<Response, RequestFailure>,
    product: Product,
    target: &Target,
    now: SystemTime,
) -> Outcome {
    let host = &target.host;
    let response = match result {
        Ok(response) => response,
        Err(failure) => return no_response(*failure, target, now),
    };
    if let Some(other) = &response.other_host
        && (300..400).contains(&response.status)
    {
        return Outcome::failed(
            Exit::Failed,
            format!("{host} redirects to {other}"),
            "a captive portal or a gateway may require a login: log in to the network in a browser; otherwise, check the \
             base URL",
        );
    }
    match response.status {
        407 => Outcome::failed(
            Exit::Configuration,
            "a proxy requires valid credentials (status 407)",
            "put the user name and the password into the URL in HTTPS_PROXY, such as http://USER:PASSWORD@proxy:3128",
        ),
        511 => Outcome::failed(
            Exit::Failed,
            "the network requires a login (status 511)",
            "log in to the captive portal of the network in a browser",
        ),
        status @ 502..=504 => Outcome::failed(
            Exit::TryLater,
            format!("the gateway in front of {host} returned an error (status {status})"),
            "try again later, and check https://status.flinks.com",
        ),
        status @ 500..=599 => Outcome::warning(
            format!("{host} returned an error (status {status})"),
            "check https://status.flinks.com if the next check fails",
        ),
        // Pay's host also serves the payment page, and the emulator serves a start page.
        200 if response.is_html && product != Product::Pay && target.is_https && !target.is_loopback => {
            Outcome::warning(
                format!("{host} returned a web page, but an API does not serve web pages"),
                "a captive portal or a gateway may have sent it: open the base URL in a browser, and check the host",
            )
            .guess()
        }
        status => Outcome::passed(format!("{host} responds (status {status})")),
    }
}

fn no_response(failure: RequestFailure, target: &Target, now: SystemTime) -> Outcome {
    let host = &target.host;
    match failure {
        RequestFailure::Tls(failure) => tls::outcome(failure, None, target, now),
        RequestFailure::Timeout => Outcome::failed(
            Exit::TryLater,
            format!("{host} accepted the connection, but did not respond in time"),
            "the server, or a firewall in front of it, may be failing: try again later, or use a longer --timeout",
        )
        .guess(),
        RequestFailure::Connection => Outcome::failed(
            Exit::TryLater,
            format!("the HTTP client cannot connect to {host}"),
            "check the proxy and the firewall, or try again later",
        ),
        RequestFailure::Interrupted => Outcome::failed(
            Exit::Failed,
            format!("{host} closed the connection, or its response is not HTTP"),
            "check the host and the port in the base URL, and a proxy or gateway in front of the server",
        ),
    }
}

/// Compares this machine's clock with the server's clock.
pub(super) fn clock(response: &Response, now: SystemTime) -> Outcome {
    let Some(date) = response.date else { return Outcome::skipped("the response has no Date header") };
    let (difference, direction) = match now.duration_since(date) {
        Ok(difference) => (difference, "ahead of"),
        Err(difference) => (difference.duration(), "behind"),
    };
    let problem = format!("this machine's clock is {} {direction} the server's clock", timestamp::duration(difference));
    let cure = "synchronize the clock with NTP, for example with `timedatectl set-ntp true`";
    if difference > CLOCK_FAILURE {
        return Outcome::failed(Exit::Failed, problem, cure);
    }
    if difference > CLOCK_WARNING {
        return Outcome::warning(problem, cure);
    }
    Outcome::passed(format!("differs from the server's clock by {} seconds", difference.as_secs()))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn target(url: &str) -> Target {
        Target::new(url, url.contains("127.0.0.1"), &toml::Table::new()).unwrap()
    }

    const REMOTE: &str = "https://ob.flinksapp.com";
    const LOCAL: &str = "http://127.0.0.1:8080";

    fn outcome(status: u16, is_html: bool, url: &str) -> Outcome {
        let response = Response { status, is_html, ..Response::default() };
        reachability(&Ok(response), Product::Outbound, &target(url), UNIX_EPOCH)
    }

    fn exit(outcome: &Outcome) -> Option<Exit> {
        match outcome {
            Outcome::Failed { exit, .. } => Some(*exit),
            _ => None,
        }
    }

    #[test]
    fn any_response_of_an_api_is_accepted() {
        for status in [200, 204, 301, 400, 401, 403, 404, 405] {
            assert!(matches!(outcome(status, false, REMOTE), Outcome::Passed { .. }), "{status}");
        }
        assert!(matches!(outcome(200, true, LOCAL), Outcome::Passed { .. }));
    }

    #[test]
    fn gateways_and_proxies_are_recognized_by_their_status() {
        assert_eq!(exit(&outcome(407, false, REMOTE)), Some(Exit::Configuration));
        assert_eq!(exit(&outcome(511, false, REMOTE)), Some(Exit::Failed));
        assert_eq!(exit(&outcome(503, false, REMOTE)), Some(Exit::TryLater));
        assert!(matches!(outcome(500, false, REMOTE), Outcome::Warning(_)));
    }

    #[test]
    fn a_web_page_is_a_guess() {
        let Outcome::Warning(finding) = outcome(200, true, REMOTE) else { panic!("expected a warning") };
        assert!(finding.is_guess);
        assert!(finding.cure.contains("captive portal"));
    }

    #[test]
    fn a_redirect_to_another_host_is_a_captive_portal() {
        let response = Response { status: 302, other_host: Some("portal.example".to_owned()), ..Response::default() };
        let outcome = reachability(&Ok(response), Product::Outbound, &target(LOCAL), UNIX_EPOCH);
        let Outcome::Failed { finding, .. } = outcome else { panic!("expected a failure") };
        assert_eq!(finding.problem, "127.0.0.1 redirects to portal.example");
        let headers =
            |location| HeaderMap::from_iter([(LOCATION, reqwest::header::HeaderValue::from_static(location))]);
        assert_eq!(other_host(&headers("/login"), &target(LOCAL)), None);
        assert_eq!(
            other_host(&headers("http://portal.example/x?canary"), &target(LOCAL)).as_deref(),
            Some("portal.example")
        );
    }

    #[test]
    fn the_clock_is_compared_with_the_server() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let at =
            |seconds: u64| Response { date: Some(UNIX_EPOCH + Duration::from_secs(seconds)), ..Response::default() };
        assert!(matches!(clock(&at(1_000_060), now), Outcome::Passed { .. }));
        assert!(matches!(clock(&at(999_939), now), Outcome::Warning(_)));
        let Outcome::Failed { finding, .. } = clock(&at(1_000_600), now) else { panic!("expected a failure") };
        assert_eq!(finding.problem, "this machine's clock is 10m behind the server's clock");
        assert!(matches!(clock(&Response::default(), now), Outcome::Skipped { .. }));
    }
}
