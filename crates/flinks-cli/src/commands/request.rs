//! `flinks request`.

use std::error::Error as _;
use std::time::Duration;

use clap::Args;
use flinks_consents::flinks::{HeaderValue, outbound};
use flinks_consents::{AppTokenSource, ConsentId};
use reqwest::{Method, Response, StatusCode, Url, header};

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::{input, output, shell, timestamp};

/// Send an authenticated request to the Open Banking API
///
/// The response body is printed to standard output. If the status is 401, the token is refreshed
/// and the request is sent once more.
///
/// Example: flinks request GET /api/fdx/5/accounts --consent user-7
#[derive(Args)]
pub(crate) struct Arguments {
    /// The method, such as GET
    method: Method,
    /// The path with its query, such as /api/fdx/5/accounts?limit=10
    path: String,
    /// Use the access token of this consent instead of the application's own token
    #[arg(long, value_name = "ID")]
    consent: Option<ConsentId>,
    /// The scope of the application's own token
    #[arg(long, conflicts_with = "consent")]
    scope: Option<String>,
    /// The JSON body of the request, or @FILE, or @- for standard input
    #[arg(long, value_name = "JSON")]
    data: Option<String>,
    /// An additional header, such as "x-fapi-interaction-id: 7"; can be repeated
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// Print the status and the headers of the response to standard error
    #[arg(long)]
    include: bool,
    /// How long to wait for the response
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = timestamp::parse_duration)]
    timeout: Duration,
}

/// The maximum size of a body, in bytes.
const MAX_BODY: u64 = 16 * 1024 * 1024;

/// A request that can be sent twice. It does not contain the credentials.
struct Prepared {
    client: reqwest::Client,
    method: Method,
    url: Url,
    headers: header::HeaderMap,
    body: Option<Vec<u8>>,
    timeout: Duration,
}

impl Prepared {
    async fn send(&self, authorization: HeaderValue) -> Result<Response, reqwest::Error> {
        let request = self.client.request(self.method.clone(), self.url.clone()).headers(self.headers.clone());
        let mut request = request.timeout(self.timeout).header(header::AUTHORIZATION, authorization);
        if let Some(body) = &self.body {
            request = request.body(body.clone());
        }
        request.send().await
    }
}

pub(crate) async fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let outbound = context.outbound()?;
    let prepared = prepare(arguments, &outbound).await?;
    let send = |authorization| prepared.send(authorization);
    let is_rejected = |response: &Result<Response, reqwest::Error>| matches!(response, Ok(response) if response.status() == StatusCode::UNAUTHORIZED);
    let response = match &arguments.consent {
        Some(id) => {
            let (consents, _) = context.consents().await?;
            let sent = consents.consent(id).send(send, is_rejected).await;
            sent.map_err(|error| Failure::of_consent(id, &error))?
        }
        None => AppTokenSource::new(outbound, arguments.scope.as_deref()).send(send, is_rejected).await?,
    };
    let response = response.map_err(|error| unsent(&error, &arguments.method))?;
    print(response, arguments).await
}

async fn prepare(arguments: &Arguments, outbound: &outbound::Client) -> Result<Prepared, Failure> {
    let url = url(outbound.base_url().as_str(), &arguments.path)?;
    let mut headers = header::HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    let body = match &arguments.data {
        Some(data) => {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            let data = data.clone();
            let read = tokio::task::spawn_blocking(move || read_body(&data)).await;
            Some(read.unwrap_or_else(|_| Err(Failure::new("failed to read the body")))?)
        }
        None => None,
    };
    let mut custom = header::HeaderMap::new();
    for text in &arguments.headers {
        let (name, value) = header(text)?;
        custom.append(name, value);
    }
    // Replaces `accept` and `content-type`.
    headers.extend(custom);
    let (client, method) = (outbound.http_client().clone(), arguments.method.clone());
    Ok(Prepared { client, method, url, headers, body, timeout: arguments.timeout })
}

/// Appends a path to the base URL. Rejects a path that could send the token to another server or to
/// another path on a gateway.
fn url(base_url: &str, path: &str) -> Result<Url, Failure> {
    if !path.starts_with('/') || path.starts_with("//") || path.starts_with("/\\") {
        return Err(Failure::usage("invalid path: must start with a single `/`; the host comes from the profile"));
    }
    let outside = || Failure::usage("invalid path: must not lead outside the profile's base URL");
    let base = Url::parse(base_url).map_err(|_| outside())?;
    let url = Url::parse(&format!("{base_url}{path}")).map_err(|_| outside())?;
    let prefix = format!("{}/", base.path().trim_end_matches('/'));
    if url.origin() == base.origin() && url.path().starts_with(&prefix) { Ok(url) } else { Err(outside()) }
}

/// The headers that the user cannot set, because the program sets them or because they could cause
/// another server to process the request.
const RESERVED_HEADERS: [header::HeaderName; 5] = [
    header::AUTHORIZATION,
    header::CONTENT_LENGTH,
    header::HOST,
    header::PROXY_AUTHORIZATION,
    header::TRANSFER_ENCODING,
];

fn header(text: &str) -> Result<(header::HeaderName, HeaderValue), Failure> {
    let invalid = || Failure::usage("invalid --header: expected `NAME: VALUE`");
    let (name, value) = text.split_once(':').ok_or_else(invalid)?;
    let name: header::HeaderName = name.trim().parse().map_err(|_| invalid())?;
    if RESERVED_HEADERS.contains(&name) {
        return Err(Failure::usage(format!("invalid --header: `{name}` is set by this command")));
    }
    let mut value: HeaderValue = value.trim().parse().map_err(|_| invalid())?;
    value.set_sensitive(true);
    Ok((name, value))
}

fn read_body(data: &str) -> Result<Vec<u8>, Failure> {
    let Some(path) = data.strip_prefix('@') else { return Ok(data.as_bytes().to_vec()) };
    if path == "-" {
        return input::limited(std::io::stdin().lock(), MAX_BODY, "the body");
    }
    let file = std::fs::File::open(path);
    let file = file.map_err(|error| Failure::usage(format!("failed to read the body: {error}")))?;
    input::limited(file, MAX_BODY, "the body")
}

/// The failure for a request that received no response. It does not contain the URL, because the
/// query may contain a secret.
fn unsent(error: &reqwest::Error, method: &Method) -> Failure {
    let doctor = format!("run {}", shell::command("doctor outbound"));
    if is_tls(error) {
        return Failure::configuration("TLS failed; nothing was sent").with_next(doctor);
    }
    if error.is_connect() {
        let failure = Failure::new("no connection to the server; nothing was sent");
        return failure.with_exit(Exit::TryLater).with_next(doctor);
    }
    let problem = if error.is_timeout() { "timed out" } else { "the connection failed" };
    let failure = Failure::new(format!("{problem}; the request may have reached the server")).with_next(doctor);
    // Only an idempotent request can be repeated without first checking whether it took effect.
    if method.is_idempotent() { failure.with_exit(Exit::TryLater) } else { failure }
}

/// Returns whether the TLS handshake failed.
fn is_tls(error: &reqwest::Error) -> bool {
    let mut next = error.source();
    while let Some(source) = next {
        let of_io = source.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if source.is::<rustls::Error>() || of_io.is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>)
        {
            return true;
        }
        next = source.source();
    }
    false
}

async fn print(mut response: Response, arguments: &Arguments) -> Result<(), Failure> {
    let status = response.status();
    if arguments.include {
        output::note(&status.to_string());
        for (name, value) in response.headers() {
            output::note(&format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()).escape_debug()));
        }
    }
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => output::foreign(&chunk)?,
            Ok(None) => break,
            Err(_) => return Err(Failure::new("the response is incomplete").with_exit(Exit::TryLater)),
        }
    }
    if status.is_success() {
        return Ok(());
    }
    let failure = Failure::new(format!("the server responded with {status}"));
    Err(match status.as_u16() {
        401 | 403 => failure.with_next(format!("run {}", shell::command("doctor outbound"))),
        429 => failure.with_exit(Exit::TryLater),
        502..=504 if arguments.method.is_idempotent() => failure.with_exit(Exit::TryLater),
        _ => failure,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_below_the_base_url() {
        for (base, path, expected) in [
            ("https://ob.example", "/api/x?a=b", Some("https://ob.example/api/x?a=b")),
            ("https://gw.example/flinks", "/api", Some("https://gw.example/flinks/api")),
            ("https://gw.example/flinks", "/../admin", None),
            ("https://gw.example/flinks", "/%2e%2e/admin", None),
            ("https://gw.example/flinks", "/../flinks-admin", None),
            ("https://ob.example", "https://evil.example/", None),
            ("https://ob.example", "//evil.example/", None),
            ("https://ob.example", "/\\evil.example/", None),
            ("https://ob.example", "@evil.example/", None),
            ("https://ob.example", ":80/", None),
        ] {
            let found = url(base, path).ok();
            assert_eq!(found.as_ref().map(Url::as_str), expected, "{path}");
        }
    }

    #[test]
    fn headers_that_redirect_a_request_are_refused() {
        for text in ["host: evil.example", "Authorization: Bearer x", "content-length: 1", "x", "a b: c", "x: a\nb"] {
            assert!(header(text).is_err(), "{text}");
        }
        assert_eq!(header("x-id: 7").unwrap().1, "7");
    }
}
