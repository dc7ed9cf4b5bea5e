//! The page at the base URL, which says what the emulator is and links on. Flinks does not have it.

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

/// The form of the start page that opens the page in the iframe.
pub(crate) const IFRAME_DEMO: &str = "/__pages/iframe-demo";

/// Whether a query belongs to the page in the iframe, which is at the same path.
pub(crate) fn is_iframe_query(query: &str) -> bool {
    url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| matches!(&*name, "authorizeToken" | "redirectUrl"))
}

/// The person who opens the start page.
pub(crate) enum Reader {
    /// On this machine, and not from a page of another origin.
    Local {
        base_url: String,
    },
    Stranger,
}

impl Reader {
    /// Applies the rule of the control API.
    pub(crate) fn of(head: &Parts, is_local: bool) -> Self {
        match head.headers.get(header::HOST).and_then(|host| host.to_str().ok()) {
            Some(host) if is_local => Self::Local { base_url: format!("http://{host}") },
            _ => Self::Stranger,
        }
    }
}

/// The start page. Only a local reader sees commands, credentials and the links to the control API.
pub(crate) fn page(config: &Config, query: &str, reader: &Reader) -> Reply {
    let is_return = pairs(query.as_bytes())
        .is_ok_and(|query| ["code", "loginId", "error"].iter().any(|name| query.get(name).is_some()));
    let content = html! {
        p { "This is the Flinks emulator: Pay, Connect and Outbound on one base URL, with made-up credentials." }
        @if is_return {
            p.alert role="status" {
                "You are back. An application would now read the parameters in the address of this page."
            }
        }
        @match reader {
            Reader::Local { base_url } => (local_content(config, base_url)),
            Reader::Stranger => p {
                "Open this page on the machine of the emulator, by a loopback address, to see commands for each endpoint."
            },
        }
        @for (product, prefix) in PRODUCTS {
            h2 { (product) }
            ul { @for (endpoint, purpose) in endpoints(prefix) { li { code { (endpoint) } " " (purpose) } } }
        }
    };
    Reply::page(StatusCode::OK, pages::start(&content)).with(header::X_FRAME_OPTIONS, "DENY")
}

fn local_content(config: &Config, base_url: &str) -> Markup {
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
            button type="submit" { "Open the page of Connect with a new authorize token" }
        }
        ul {
            li { a href={ "/v3/oauth/authorize?" (bank) } { "Connect: the bank's own page" } }
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

/// Returns the address to which a page sends the end user back: the first that is whitelisted, or
/// the start page.
fn return_url(whitelist: &[String], base_url: &str) -> String {
    whitelist.first().cloned().unwrap_or_else(|| format!("{base_url}/"))
}

/// Opens the page in the iframe with a new authorize token.
pub(crate) fn iframe_demo(state: &mut EmulatorState, number: u64, reader: &Reader) -> Reply {
    let Reader::Local { base_url } = reader else {
        return Reply::problem(StatusCode::FORBIDDEN, "The demo is open to this machine only, by a loopback name.");
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

const CONTROL: [(&str, &str); 5] = [
    ("/__emulator/", "its paths"),
    ("/__emulator/requests", "the requests that were received"),
    ("/__emulator/tokens", "the codes and tokens that were issued"),
    ("/__emulator/counts", "the number of requests of each operation"),
    ("/__emulator/config", "the settings"),
];

/// The products, with the prefix of the names of their operations.
const PRODUCTS: [(&str, &str); 3] = [("Pay", "pay."), ("Connect", "connect."), ("Outbound", "outbound.")];

/// Returns the endpoints of a product that Flinks has too, with their purpose.
fn endpoints(prefix: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    Operation::ALL
        .into_iter()
        .filter(move |operation| operation.to_string().starts_with(prefix))
        .filter_map(|operation| Some((*operation.routes().first()?, operation.purpose())))
        .filter(|(endpoint, _)| !endpoint.contains("/__pages/"))
}
