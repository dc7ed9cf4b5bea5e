//! The proxy variables, and a tunnel through a proxy.

use std::time::Duration;

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::header::HeaderValue;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::bounded;
use super::configuration::Target;
use super::report::{Outcome, Step};
use crate::failure::Exit;

/// The route to the server.
#[derive(Clone, Debug)]
pub(super) enum Route {
    Direct,
    Through(Proxy),
}

/// A proxy that the environment selects.
#[derive(Clone, Debug)]
pub(super) struct Proxy {
    pub(super) host: String,
    pub(super) port: u16,
    /// Whether the connection to the proxy itself uses TLS.
    pub(super) is_tls: bool,
    /// The credentials, which are sent only to the proxy.
    authorization: Option<HeaderValue>,
}

/// The values of the proxy variables. Each value comes from the variable with the upper-case name
/// or, if that variable is not set, from the one with the lower-case name.
#[derive(Default)]
struct Variables {
    https: String,
    all: String,
    no: String,
    /// Whether `REQUEST_METHOD` is set. If it is, the HTTP client ignores the variables, because
    /// `HTTP_PROXY` may contain a header from a CGI request.
    is_cgi: bool,
}

impl Variables {
    fn from_env() -> Self {
        let first = |upper: &str, lower: &str| {
            std::env::var(upper).ok().or_else(|| std::env::var(lower).ok()).unwrap_or_default()
        };
        Self {
            https: first("HTTPS_PROXY", "https_proxy"),
            all: first("ALL_PROXY", "all_proxy"),
            no: first("NO_PROXY", "no_proxy"),
            is_cgi: std::env::var_os("REQUEST_METHOD").is_some(),
        }
    }

    /// Returns the name and the value of the variable that applies to `https`.
    fn selected(&self) -> Option<(&'static str, &str)> {
        [("HTTPS_PROXY", self.https.as_str()), ("ALL_PROXY", self.all.as_str())]
            .into_iter()
            .find(|(_, value)| !value.is_empty())
    }
}

/// Returns the route that the HTTP client takes to the server.
pub(super) fn check(target: &Target) -> Step<Route> {
    decide(target, &Variables::from_env())
}

/// Selects the proxy with the same code as the HTTP client. `HTTP_PROXY` is not relevant, because
/// the clients connect directly to every server that does not use `https`.
fn decide(target: &Target, variables: &Variables) -> Step<Route> {
    let direct = |detail: &str| Ok((Outcome::passed(detail), Route::Direct));
    let Some((name, value)) = variables.selected() else { return direct("no proxy is set for https") };
    if target.is_loopback {
        return direct("requests to this machine do not use a proxy");
    }
    if !target.is_https {
        return direct("requests over plain HTTP do not use a proxy");
    }
    if variables.is_cgi {
        return direct("the proxy variables are ignored, because REQUEST_METHOD is set");
    }
    // The HTTP client ignores an invalid value and connects directly.
    let alone = Matcher::builder().all(value).build();
    let Ok(uri) = target.url.as_str().parse() else { return direct("the base URL needs no proxy") };
    let Some(selected) = alone.intercept(&uri) else {
        let problem = format!("{name} is not a valid proxy URL, so it is ignored");
        let cure = format!("set {name} to a URL such as http://proxy.internal:3128, or remove it");
        return Err(Outcome::failed(Exit::Configuration, problem, cure));
    };
    let is_excluded = Matcher::builder().all(value).no(variables.no.as_str()).build().intercept(&uri).is_none();
    let scheme = selected.uri().scheme_str().unwrap_or("http");
    let host = selected.uri().host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
    let is_tls = scheme == "https";
    let port = selected.uri().port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    if is_excluded {
        return direct(&format!("{name} names {host}:{port}, but NO_PROXY excludes this server"));
    }
    if !is_tls && scheme != "http" {
        let problem = format!("{name} names a proxy with the scheme `{scheme}`, which is not supported");
        let cure = format!("set {name} to the URL of an HTTP proxy, or add {} to NO_PROXY", target.host);
        return Err(Outcome::failed(Exit::Configuration, problem, cure));
    }
    let detail = format!("{host}:{port}, from {name}");
    let authorization = selected.basic_auth().cloned();
    Ok((Outcome::passed(detail), Route::Through(Proxy { host, port, is_tls, authorization })))
}

/// Asks the proxy to connect to the server.
pub(super) async fn open_tunnel(stream: &mut TcpStream, proxy: &Proxy, target: &Target, limit: Duration) -> Outcome {
    let status = timeout(limit, request_tunnel(stream, proxy, target)).await;
    tunnel_outcome(status.ok().flatten(), proxy, target)
}

/// Returns the status of the response, or `None` if no valid response arrives.
async fn request_tunnel(stream: &mut TcpStream, proxy: &Proxy, target: &Target) -> Option<u16> {
    const MAX_HEAD: usize = 16 * 1024;
    let host = if target.host.contains(':') { format!("[{}]", target.host) } else { target.host.clone() };
    let authority = format!("{host}:{}", target.port);
    let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n").into_bytes();
    if let Some(credentials) = &proxy.authorization {
        request.extend([b"Proxy-Authorization: ", credentials.as_bytes(), b"\r\n"].concat());
    }
    request.extend(b"\r\n");
    stream.write_all(&request).await.ok()?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        // Reads one byte at a time, so that no byte of the TLS handshake is read.
        head.push(stream.read_u8().await.ok()?);
        if head.len() > MAX_HEAD {
            return None;
        }
    }
    let line = head.split(|byte| *byte == b'\r').next()?;
    let line = std::str::from_utf8(line).ok()?.strip_prefix("HTTP/1.")?;
    line.split(' ').nth(1)?.parse().ok()
}

fn tunnel_outcome(status: Option<u16>, proxy: &Proxy, target: &Target) -> Outcome {
    let place = format!("{}:{}", bounded(&proxy.host), proxy.port);
    match status {
        Some(200..=299) => Outcome::passed(format!("the proxy connects to {}:{}", target.host, target.port)),
        Some(407) => Outcome::failed(
            Exit::Configuration,
            format!("the proxy {place} requires valid credentials (status 407)"),
            "put the user name and the password into the URL in HTTPS_PROXY, such as http://USER:PASSWORD@proxy:3128",
        ),
        Some(403) => Outcome::failed(
            Exit::Configuration,
            format!("the proxy {place} does not allow connections to {} (status 403)", target.host),
            format!("ask the administrator of the proxy to allow {}:{}", target.host, target.port),
        ),
        Some(status) => Outcome::failed(
            Exit::TryLater,
            format!("the proxy {place} did not connect to {} (status {status})", target.host),
            "check that the proxy can resolve and reach the host, or try again later",
        ),
        None => Outcome::failed(
            Exit::TryLater,
            format!("the proxy {place} did not send a valid response to CONNECT in time"),
            "check the address in HTTPS_PROXY, or ask the administrator of the proxy",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> Target {
        Target::new(url, url.contains("127.0.0.1"), &toml::Table::new()).unwrap()
    }

    fn variables(https: &str, all: &str, no: &str) -> Variables {
        Variables { https: https.to_owned(), all: all.to_owned(), no: no.to_owned(), is_cgi: false }
    }

    #[test]
    fn the_environment_selects_the_route() {
        const REMOTE: &str = "https://ob.flinksapp.com";
        for (url, variables, expected) in [
            (REMOTE, variables("", "", ""), "no proxy is set for https"),
            (REMOTE, variables("http://u:canary@proxy:3128", "", ""), "proxy:3128, from HTTPS_PROXY"),
            (REMOTE, variables("", "proxy", ""), "proxy:80, from ALL_PROXY"),
            (
                REMOTE,
                variables("http://u:canary@proxy:3128", "", "flinksapp.com"),
                "HTTPS_PROXY names proxy:3128, but NO_PROXY excludes this server",
            ),
            ("https://127.0.0.1:7", variables("http://proxy", "", ""), "requests to this machine do not use a proxy"),
            ("http://emulator", variables("http://proxy", "", ""), "requests over plain HTTP do not use a proxy"),
            (
                REMOTE,
                Variables { is_cgi: true, ..variables("http://proxy", "", "") },
                "the proxy variables are ignored, because REQUEST_METHOD is set",
            ),
        ] {
            let (outcome, _) = decide(&target(url), &variables).unwrap();
            assert_eq!(outcome, Outcome::passed(expected));
        }
    }

    #[test]
    fn invalid_and_unsupported_proxies_are_failures() {
        for value in ["canary proxy", "ftp://canary", "socks5://u:canary@proxy"] {
            let outcome = decide(&target("https://ob.flinksapp.com"), &variables(value, "", "")).unwrap_err();
            assert!(outcome.is_failed());
            assert!(!format!("{outcome:?}").contains("canary"), "{outcome:?}");
        }
    }

    #[test]
    fn the_status_of_the_proxy_decides() {
        let proxy = Proxy { host: "proxy".to_owned(), port: 3128, is_tls: false, authorization: None };
        let outcome = |status| tunnel_outcome(status, &proxy, &target("https://ob.flinksapp.com"));
        assert!(!outcome(Some(200)).is_failed());
        for (status, expected) in [
            (Some(407), "requires valid credentials (status 407)"),
            (Some(403), "does not allow connections"),
            (Some(502), "did not connect"),
            (None, "did not send a valid response"),
        ] {
            let Outcome::Failed { finding, .. } = outcome(status) else { panic!("{status:?}") };
            assert!(finding.problem.contains(expected), "{}", finding.problem);
        }
    }
}
