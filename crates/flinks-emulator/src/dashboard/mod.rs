//! The dashboard at `/__emulator/ui`, which shows what has happened and controls what happens next.
//!
//! | file | contents |
//! | --- | --- |
//! | `layout` | the HTML document around each page, the sign-in page, and the rendering of redacted text |
//! | `requests` | the list of requests and the page for one request |
//! | `tokens` | the tokens and consents |
//! | `controls` | the clock, the end user and the faults |
//! | `commands` | the credentials, a command for each endpoint and the `.env` block |
//! | `stream` | the server-sent events that keep an open page up to date |
//!
//! The pages themselves only read the state. Their buttons send requests to the control API or, to
//! act as an end user, to the pages for end users. All text from clients passes through
//! [`crate::redaction`] and is escaped by `maud`.

mod commands;
mod controls;
mod layout;
mod requests;
mod stream;
mod tokens;
mod view;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use hyper::http::request::Parts;
use hyper::{Method, StatusCode, header};
use maud::{Markup, html};

use self::view::View;
use crate::control;
use crate::http::{Body, Reply};
use crate::shared::Shared;

/// The path of the dashboard.
pub(crate) const PATH: &str = "/__emulator/ui";

const CONTENT_SECURITY_POLICY: &str =
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'";

/// The files that the pages load, each with its path, media type and content.
const ASSETS: [(&str, &str, &str); 3] = [
    ("/style.css", "text/css; charset=utf-8", include_str!("style.css")),
    ("/script.js", "text/javascript; charset=utf-8", include_str!("script.js")),
    ("/icon.svg", "image/svg+xml", include_str!("icon.svg")),
];

/// Returns whether a path belongs to the dashboard.
pub(crate) fn owns(path: &str) -> bool {
    path.strip_prefix(PATH).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

pub(crate) fn respond(shared: &Arc<Shared>, peer: SocketAddr, head: &Parts, body: &Bytes) -> hyper::Response<Body> {
    let path = head.uri.path().strip_prefix(PATH).unwrap_or_default();
    if let Some((_, media_type, text)) = ASSETS.iter().find(|(asset, ..)| *asset == path && head.method == Method::GET)
    {
        let reply = Reply { body: Bytes::from_static(text.as_bytes()), ..Reply::empty(StatusCode::OK) };
        let reply = reply.with(header::CONTENT_TYPE, media_type).with(header::CACHE_CONTROL, "no-cache");
        return reply.with(header::X_CONTENT_TYPE_OPTIONS, "nosniff").into_hyper();
    }
    let access = &shared.observer.access;
    if path == "/session" && head.method == Method::POST {
        return sign_in(shared, head, body).into_hyper();
    }
    if !access.allows(peer, head) {
        return refuse(access.accepts_host(head)).into_hyper();
    }
    let view = View::from_query(head.uri.query().unwrap_or_default());
    let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let base_url = format!("{}://{host}", shared.transport.scheme());
    if head.method != Method::GET {
        let reply = Reply::problem(StatusCode::METHOD_NOT_ALLOWED, "The dashboard supports only GET.");
        return reply.with(header::ALLOW, "GET").into_hyper();
    }
    match path.trim_end_matches('/') {
        "" => page(StatusCode::OK, home(shared, &view, &base_url)).into_hyper(),
        "/events" => stream::respond(shared, view),
        other => match other.strip_prefix("/requests/").and_then(|number| number.parse().ok()) {
            Some(number) => match requests::page(shared, &view, number) {
                Some(found) => page(StatusCode::OK, found).into_hyper(),
                None => not_found("This request was removed from the ledger, or never existed.").into_hyper(),
            },
            None => not_found("The dashboard has no such page.").into_hyper(),
        },
    }
}

fn page(status: StatusCode, page: Markup) -> Reply {
    let mut reply = Reply::page(status, page);
    reply.headers.retain(|(name, _)| name != header::CONTENT_SECURITY_POLICY);
    reply.with(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY).with(header::X_FRAME_OPTIONS, "DENY")
}

fn home(shared: &Shared, view: &View, base_url: &str) -> Markup {
    let state = shared.state();
    let content = html! {
        div.columns {
            div.stack {
                (requests::panel(shared, &state, view))
                (tokens::panel(&state, view))
            }
            div.stack.side {
                (controls::clock(&state))
                (controls::end_user(&state))
                (controls::faults(&state))
            }
        }
        (commands::panel(&state.config, &shared.transport, view, base_url))
    };
    layout::home(view, base_url, &content)
}

fn not_found(message: &str) -> Reply {
    page(StatusCode::NOT_FOUND, layout::message("Page not found", message))
}

/// Signs in a user who knows the access token.
fn sign_in(shared: &Shared, head: &Parts, body: &[u8]) -> Reply {
    let access = &shared.observer.access;
    if !access.accepts_host(head) {
        return Reply::problem(StatusCode::FORBIDDEN, crate::access::REFUSAL);
    }
    let is_token = std::str::from_utf8(body).is_ok_and(|token| access.is_token(token.trim()));
    if !is_token {
        return Reply::problem(StatusCode::FORBIDDEN, "The access token is wrong. The emulator prints it at startup.");
    }
    let secure = if shared.transport.scheme() == "https" { "; Secure" } else { "" };
    Reply::empty(StatusCode::NO_CONTENT).with(header::SET_COOKIE, &format!("{}{secure}", access.set_cookie()))
}

fn refuse(accepts_host: bool) -> Reply {
    if accepts_host {
        return page(StatusCode::UNAUTHORIZED, layout::sign_in());
    }
    let message = "The emulator does not accept this host name. Open the dashboard at localhost, or start the \
        emulator with --allow-host and the name in the address bar.";
    page(StatusCode::FORBIDDEN, layout::message("Host name not accepted", message))
}

/// Returns the path of an endpoint of the control API.
fn control_path(endpoint: &str) -> String {
    format!("{}/{endpoint}", control::PREFIX)
}
