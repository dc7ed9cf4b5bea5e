//! `flinks request`.

use std::io::Read as _;
use std::time::Duration;

use clap::Args;
use flinks_consents::flinks::{HeaderValue, outbound};
use flinks_consents::{AppTokenSource, ConsentId};
use reqwest::{Method, Response, StatusCode, Url, header, redirect};

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output;
use crate::profile::Section;

/// Send an authenticated request to the Open Banking API
///
/// The body of the response is printed to standard output. If the response is 401, the token is
/// refreshed and the request is sent once more.
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
    /// Another header, such as "x-fapi-interaction-id: 7"
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// Print the status and the headers of the response to standard error
    #[arg(long)]
    include: bool,
    /// How long to wait for the response
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

/// The maximum size of a body on standard input, in bytes.
const MAX_BODY: u64 = 16 * 1024 * 1024;

/// A request without its credentials, which can be sent twice.
struct Prepared {
    client: reqwest::Client,
    method: Method,
    url: Url,
    headers: header::HeaderMap,
    body: Option<Vec<u8>>,
}

impl Prepared {
    async fn send(&self, authorization: HeaderValue) -> Result<Response, reqwest::Error> {
        let mut request = self.client.request(self.method.clone(), self.url.clone()).headers(self.headers.clone());
        if let Some(body) = &self.body {
            request = request.body(body.clone());
        }
        request.header(header::AUTHORIZATION, authorization).send().await
    }
}

pub(crate) async fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let outbound = context.outbound()?;
    let prepared = prepare(arguments, context, &outbound)?;
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
    let response = response.map_err(|error| unsent(&error))?;
    print(response, arguments).await
}

fn prepare(arguments: &Arguments, context: &Context, outbound: &outbound::Client) -> Result<Prepared, Failure> {
    let url = url(outbound.base_url().as_str(), &arguments.path)?;
    let mut headers = header::HeaderMap::new();
    let body = match &arguments.data {
        Some(data) => {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            Some(read_body(data)?)
        }
        None => None,
    };
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    for text in &arguments.headers {
        let (name, value) = header(text)?;
        headers.insert(name, value);
    }
    let client = client(arguments, context)?;
    Ok(Prepared { client, method: arguments.method.clone(), url, headers, body })
}

/// Appends a path to the base URL. An absolute URL would send the token to another server.
fn url(base_url: &str, path: &str) -> Result<Url, Failure> {
    if !path.starts_with('/') || path.starts_with("//") || path.starts_with("/\\") {
        return Err(Failure::usage("invalid path: must start with a single `/`; the host comes from the profile"));
    }
    let base = Url::parse(base_url);
    let url = Url::parse(&format!("{base_url}{path}"));
    match (base, url) {
        (Ok(base), Ok(url)) if url.origin() == base.origin() => Ok(url),
        _ => Err(Failure::usage("invalid path")),
    }
}

fn header(text: &str) -> Result<(header::HeaderName, HeaderValue), Failure> {
    let invalid = || Failure::usage("invalid --header: expected `NAME: VALUE`");
    let (name, value) = text.split_once(':').ok_or_else(invalid)?;
    let name: header::HeaderName = name.trim().parse().map_err(|_| invalid())?;
    if name == header::AUTHORIZATION {
        return Err(Failure::usage("invalid --header: `authorization` is set by this command"));
    }
    let mut value: HeaderValue = value.trim().parse().map_err(|_| invalid())?;
    value.set_sensitive(true);
    Ok((name, value))
}

fn read_body(data: &str) -> Result<Vec<u8>, Failure> {
    let Some(file) = data.strip_prefix('@') else { return Ok(data.as_bytes().to_vec()) };
    let read = if file == "-" {
        let mut body = Vec::new();
        std::io::stdin().lock().take(MAX_BODY).read_to_end(&mut body).map(|_| body)
    } else {
        std::fs::read(file)
    };
    read.map_err(|error| Failure::usage(format!("failed to read the body: {error}")))
}

/// Creates an HTTP client with the certificates of the profile. It follows no redirects, which could
/// lead to another server.
fn client(arguments: &Arguments, context: &Context) -> Result<reqwest::Client, Failure> {
    let mut builder = reqwest::Client::builder()
        .timeout(arguments.timeout)
        .redirect(redirect::Policy::none())
        .user_agent(concat!("flinks-cli/", env!("CARGO_PKG_VERSION")));
    let values = context.profile()?.values(Section::Outbound)?;
    if let Some(path) = values.get("root_certificates").and_then(toml::Value::as_str) {
        let path = context.profile()?.folders().resolve(path);
        let invalid = |problem: String| Failure::configuration(format!("root_certificates: {problem}"));
        let pem =
            std::fs::read(&path).map_err(|error| invalid(format!("failed to read `{}`: {error}", path.display())))?;
        let certificates =
            reqwest::Certificate::from_pem_bundle(&pem).map_err(|_| invalid("must be in PEM format".into()))?;
        builder = builder.tls_certs_only(certificates);
    }
    builder.build().map_err(|_| {
        Failure::configuration("failed to create an HTTP client").with_next("run `flinks doctor outbound`")
    })
}

/// The failure of a request, without the URL, whose query may contain a secret.
fn unsent(error: &reqwest::Error) -> Failure {
    let problem = if error.is_timeout() {
        "timed out; the request may have reached the server"
    } else if error.is_connect() {
        "no connection to the server; nothing was sent"
    } else {
        "the connection failed; the request may have reached the server"
    };
    Failure::new(problem).with_exit(Exit::TryLater).with_next("run `flinks doctor outbound`")
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
            Ok(Some(chunk)) => output::bytes(&chunk)?,
            Ok(None) => break,
            Err(_) => return Err(Failure::new("the response is incomplete").with_exit(Exit::TryLater)),
        }
    }
    if status.is_success() {
        return Ok(());
    }
    let failure = Failure::new(format!("the server responded with {status}"));
    Err(match status.as_u16() {
        401 | 403 => failure.with_next("run `flinks doctor outbound`"),
        429 | 503 => failure.with_exit(Exit::TryLater),
        _ => failure,
    })
}
