//! The start page at the base URL. It describes the emulator and links to its other pages. Flinks
//! itself does not have a start page.

use hyper::http::request::Parts;
use hyper::{StatusCode, header};
use maud::{Markup, html};
use url::form_urlencoded::Serializer;

use crate::config::Config;
use crate::credentials::{BANK_ID, OUTBOUND_PROVIDER_ID};
use crate::guide::guide;
use crate::http::{Reply, pairs};
use crate::ledger::{Issued, Kind};
use crate::operation::Operation;
use crate::pages;
use crate::state::{EmulatorState, fake_id};

/// The address to which the start page submits the form that opens the iframe page.
pub(crate) const IFRAME_DEMO: &str = "/__pages/iframe-demo";

/// Returns whether the query of a request for `/` selects the iframe page, which shares this path
/// with the start page.
pub(crate) fn is_iframe_query(query: &str) -> bool {
    url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| matches!(&*name, "authorizeToken" | "redirectUrl"))
}

/// The sender of a request for the start page or its form.
pub(crate) enum Viewer {
    /// A viewer that may use the control API, because its request comes from this machine and not
    /// from a web page with another origin.
    Trusted {
        base_url: String,
    },
    Untrusted,
}

impl Viewer {
    /// Creates a viewer from a request. `is_local` is the result of
    /// [`access::is_local`](crate::access::is_local).
    pub(crate) fn from_request(head: &Parts, scheme: &str, is_local: bool) -> Self {
        match head.headers.get(header::HOST).and_then(|host| host.to_str().ok()) {
            Some(host) if is_local => Self::Trusted { base_url: format!("{scheme}://{host}") },
            _ => Self::Untrusted,
        }
    }
}

/// Returns the start page. Only a trusted viewer sees commands, credentials and links to the
/// control API.
pub(crate) fn page(config: &Config, query: &str, viewer: &Viewer) -> Reply {
    let has_returned = pairs(query.as_bytes())
        .is_ok_and(|query| ["code", "loginId", "error"].iter().any(|name| query.get(name).is_some()));
    let content = html! {
        p { "This emulator serves Flinks Pay, Connect and Outbound at one base URL, with test credentials." }
        @if has_returned {
            p.status role="status" {
                "You are back. Your application would now read the parameters in this page's address."
            }
        }
        @match viewer {
            Viewer::Trusted { base_url } => (trusted_content(config, base_url)),
            Viewer::Untrusted => p {
                "To see a command for each endpoint, open this page on the machine that runs the emulator, "
                "at localhost or a loopback address."
            },
        }
        @for (product, prefix) in PRODUCTS {
            h2 { (product) }
            ul { @for (endpoint, purpose) in endpoints(prefix) { li { code { (endpoint) } " " (purpose) } } }
        }
    };
    Reply::page(StatusCode::OK, pages::start(&content)).with(header::X_FRAME_OPTIONS, "DENY")
}

fn trusted_content(config: &Config, base_url: &str) -> Markup {
    let consent = Serializer::new(String::new())
        .append_pair("client_id", &config.outbound.client_id)
        .append_pair("redirect_uri", &return_url(&config.outbound.redirect_uris, base_url))
        .append_pair("state", "1")
        .append_pair("response_type", "code")
        .append_pair("scope", "ACCOUNT_BASIC")
        .append_pair("provider_id", OUTBOUND_PROVIDER_ID)
        .finish();
    let bank = Serializer::new(String::new())
        .append_pair("institution_id", &BANK_ID.to_string())
        .append_pair("redirect_uri", &return_url(&config.connect.redirect_origins, base_url))
        .append_pair("state", "1")
        .finish();
    html! {
        h2 { "Pages for end users" }
        form method="post" action=(IFRAME_DEMO) {
            button type="submit" { "Open the Connect iframe page with a new authorize token" }
        }
        ul {
            li { a href={ "/v3/oauth/authorize?" (bank) } { "Connect: the bank's login page" } }
            li { a href={ "/api/v1/authorize?" (consent) } { "Outbound: the consent page" } }
        }
        h2 { "Control API" }
        ul {
            @for (path, purpose) in CONTROL { li { a href=(path) { (purpose) } } }
        }
        h2 { "Commands" }
        pre tabindex="0" { (guide(base_url, config)) }
    }
}

/// Returns the first whitelisted return URL, or the start page's URL if there is no whitelist.
fn return_url(whitelist: &[String], base_url: &str) -> String {
    whitelist.first().cloned().unwrap_or_else(|| format!("{base_url}/"))
}

/// Issues an authorize token and redirects to the iframe page with that token.
pub(crate) fn iframe_demo(state: &mut EmulatorState, number: u64, viewer: &Viewer) -> Reply {
    let Viewer::Trusted { base_url } = viewer else {
        let message = "The demo accepts only requests that this machine sends to localhost or a loopback address.";
        return Reply::problem(StatusCode::FORBIDDEN, message);
    };
    let return_url = return_url(&state.config.connect.redirect_origins, base_url);
    let token = state.token(Kind::AuthorizeToken, fake_id(), None, state.config.connect.token_seconds);
    let token = state.issue(Issued { issued_by: Some(number), ..token });
    let query = Serializer::new(String::new())
        .append_pair("authorizeToken", &token)
        .append_pair("redirectUrl", &return_url)
        .finish();
    Reply::see_other(&format!("/v2/?{query}"))
}

const CONTROL: [(&str, &str); 6] = [
    ("/__emulator/ui", "The dashboard"),
    ("/__emulator/", "The endpoints of the control API"),
    ("/__emulator/requests", "The requests that arrived"),
    ("/__emulator/tokens", "The codes and tokens that were issued"),
    ("/__emulator/counts", "The number of requests for each operation"),
    ("/__emulator/config", "The configuration"),
];

/// The products, each with the prefix of its operation names.
const PRODUCTS: [(&str, &str); 3] = [("Pay", "pay."), ("Connect", "connect."), ("Outbound", "outbound.")];

/// Returns a product's endpoints with their purposes, except the endpoints that exist only in the
/// emulator.
fn endpoints(prefix: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    Operation::ALL
        .into_iter()
        .filter(move |operation| operation.to_string().starts_with(prefix))
        .filter_map(|operation| Some((*operation.routes().first()?, operation.purpose())))
        .filter(|(endpoint, _)| !endpoint.contains("/__pages/"))
}
