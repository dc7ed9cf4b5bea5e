//! The values that the emulator issued or is configured with, and their names.

use std::borrow::Cow;

use crate::config::{Config, PayUser};
use crate::credentials::CONNECT_LOGIN_ID;
use crate::ledger::{Issued, Kind};
use crate::state::EmulatorState;

/// Returns the name of a known value, or `None` if the value is unknown.
pub(super) fn label(state: &EmulatorState, value: &str) -> Option<Cow<'static, str>> {
    if value.is_empty() {
        return None;
    }
    if let Some(issued) = state.ledger.find(value) {
        return Some(issued_label(issued).into());
    }
    configured(state, value).or_else(|| created(state, value)).map(Cow::Borrowed)
}

/// Returns the name of a code or token, such as `code from request 3`.
pub(crate) fn issued_label(issued: &Issued) -> String {
    let kind = kind_name(issued.kind);
    match issued.issued_by {
        Some(number) => format!("{kind} from request {number}"),
        None => format!("{kind} from the start or the control API"),
    }
}

pub(crate) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::SessionToken => "session token",
        Kind::AuthorizeToken => "authorize token",
        Kind::Code => "code",
        Kind::AccessToken => "access token",
        Kind::RefreshToken => "refresh token",
    }
}

/// Returns the configured credentials and their names.
fn credentials(Config { pay, connect, outbound, .. }: &Config) -> impl Iterator<Item = (&str, &'static str)> {
    let main: [(&str, &'static str); 7] = [
        (&pay.username, "pay.username"),
        (&pay.password, "pay.password"),
        (&connect.customer_id, "connect.customer_id"),
        (&connect.secret_key, "connect.secret_key"),
        (&connect.api_key, "connect.api_key"),
        (&outbound.client_id, "outbound.client_id"),
        (&outbound.client_secret, "outbound.client_secret"),
    ];
    let users = pay.users.iter().flat_map(|PayUser { username, password }| {
        [(&**username, "pay.users.username"), (&**password, "pay.users.password")]
    });
    let customers = connect.customers.iter().flat_map(|customer| {
        [
            (&*customer.customer_id, "connect.customers.customer_id"),
            (&*customer.secret_key, "connect.customers.secret_key"),
            (&*customer.api_key, "connect.customers.api_key"),
        ]
    });
    let clients = outbound.clients.iter().flat_map(|client| {
        [(&*client.client_id, "outbound.clients.client_id"), (&*client.client_secret, "outbound.clients.client_secret")]
    });
    main.into_iter().chain(users).chain(customers).chain(clients)
}

/// Returns the name of a configured credential that a string contains, such as the customer id in a
/// link.
pub(super) fn credential_in(state: &EmulatorState, text: &str) -> Option<&'static str> {
    let is_in = |credential: &str| !credential.is_empty() && text.contains(credential);
    credentials(&state.config).find(|(credential, _)| is_in(credential)).map(|(_, label)| label)
}

fn configured(state: &EmulatorState, value: &str) -> Option<&'static str> {
    let config = &state.config;
    let first_login = (CONNECT_LOGIN_ID, "the first LoginId");
    if let Some((_, label)) = credentials(config).chain([first_login]).find(|(known, _)| *known == value) {
        return Some(label);
    }
    if let Some(label) = of_bank(state, value) {
        return Some(label);
    }
    let is_listed = |list: &[String]| list.iter().any(|known| known == value);
    if config.outbound.all_clients().any(|client| is_listed(client.redirect_uris)) {
        return Some("outbound.redirect_uris");
    }
    let is_origin = config.connect.all_customers().any(|customer| is_listed(customer.redirect_origins));
    is_origin.then_some("connect.redirect_origins")
}

/// Returns the name of a value in the banks' data.
fn of_bank(state: &EmulatorState, value: &str) -> Option<&'static str> {
    state.banks.users().find_map(|(_, user)| {
        let mut questions = user.questions.iter().map(toml::Spanned::get_ref);
        if user.username.get_ref() == value {
            Some("bank user")
        } else if user.password == value {
            Some("bank password")
        } else if questions.clone().any(|question| question.prompt == value) {
            Some("bank question")
        } else if questions.any(|question| question.answer == value) {
            Some("bank answer")
        } else if user.accounts.iter().any(|account| account.id.get_ref() == value) {
            Some("account")
        } else {
            None
        }
    })
}

/// Returns the name of an id that the emulator created.
fn created(state: &EmulatorState, value: &str) -> Option<&'static str> {
    let EmulatorState { pay, connect, outbound, .. } = state;
    if pay.sessions.get(value).is_some() {
        Some("sessionId")
    } else if pay.payment_requests.get(value).is_some() {
        Some("requestId")
    } else if connect.logins.get(value).is_some() {
        Some("LoginId")
    } else if connect.challenges.get(value).is_some() || connect.sessions.get(value).is_some() {
        Some("RequestId")
    } else if connect.iframes.get(value).is_some()
        || connect.bank_redirects.get(value).is_some()
        || outbound.consents.get(value).is_some()
    {
        Some("visit")
    } else {
        None
    }
}
