//! Custom OAuth, in which the end user logs in on the bank's own page and returns with a `LoginId`
//! (C7).

use hyper::{Method, StatusCode, header};
use url::Url;

use super::fragment;
use crate::bank::{self, Refusal};
use crate::config::{ConnectConfig, EndUser, Party};
use crate::credentials::{BANK, BANK_ID, BANK_USER_NO_MFA};
use crate::http::{Call, Reply};
use crate::pages::{self, Form};
use crate::return_url;
use crate::state::{BankRedirect, EmulatorState, Login};

pub(in crate::rules) fn oauth_authorize(state: &mut EmulatorState, call: &Call) -> Reply {
    let refuse = |message: &str| Reply::page(StatusCode::BAD_REQUEST, pages::refusal("Bad request", message));
    let query = match call.query() {
        Ok(query) => query,
        Err(problem) => return refuse(&problem.message),
    };
    let config = &state.config.connect;
    // Never redirect to an untrusted address, not even with an error.
    let return_url = query.text("redirect_uri").ok_or("is missing");
    let (party, return_url) = match return_url.and_then(|url| customer_and_url(config, url)) {
        Ok(found) => found,
        Err(problem) => return refuse(&format!("redirect_uri {problem}.")),
    };
    let visit =
        BankRedirect { party, return_url, state: query.text("state").map(str::to_owned), problem: None, end: None };
    // The pages of Flinks' documentation disagree on this parameter's name.
    let institution = query.text("institution_id").or(query.text("institution")).unwrap_or_default();
    if institution != BANK && institution != BANK_ID.to_string() {
        return Reply::redirect(visit.failed("invalid_request", "The institution is unknown.").as_str());
    }
    match config.end_user {
        EndUser::Agrees => Reply::redirect(visit.connected(&log_in(state, &visit)).as_str()),
        EndUser::Refuses => Reply::redirect(visit.refused().as_str()),
        EndUser::Asked => {
            let id = state.connect.bank_redirects.add(visit, state.config.limits.pages);
            Reply::redirect(&address(&id))
        }
    }
}

fn address(id: &str) -> String {
    format!("/__pages/bank/{id}")
}

/// Finds the customer that sent the end user, and parses the return URL.
///
/// The request does not contain a customer id, so the return URL determines the customer: the first
/// one that has whitelisted its origin, or else the first one without a whitelist.
fn customer_and_url(config: &ConnectConfig, url: &str) -> Result<(Party, Url), &'static str> {
    let parse = |origins| return_url::parse(url, origins, fragment(config));
    let customers = || config.all_customers();
    let listed = customers().filter(|customer| !customer.redirect_origins.is_empty());
    let unlisted = customers().filter(|customer| customer.redirect_origins.is_empty());
    let mut found = listed.chain(unlisted).map(|customer| Ok((customer.party, parse(customer.redirect_origins)?)));
    let first: Result<_, &'static str> = found.next().unwrap_or(Err("has an origin that is not whitelisted"));
    first.or_else(|problem| found.find(Result::is_ok).unwrap_or(Err(problem)))
}

/// Adds a login and returns its `LoginId`. The bank has already asked its security questions on its
/// own page, so it does not ask them again.
fn log_in(state: &mut EmulatorState, visit: &BankRedirect) -> String {
    let login = Login { username: BANK_USER_NO_MFA.to_owned(), has_mfa: false, party: visit.party.clone() };
    state.connect.logins.add(login, state.config.limits.tokens)
}

pub(in crate::rules) fn oauth_step(state: &mut EmulatorState, call: &Call) -> Reply {
    let page = |status, page| Reply::page(status, page).with(header::X_FRAME_OPTIONS, "DENY");
    let address = address(&call.parameter);
    let Some(visit) = state.connect.bank_redirects.get_mut(&call.parameter) else {
        return page(StatusCode::NOT_FOUND, pages::unknown_visit());
    };
    if call.method == Method::GET {
        let shown = match &visit.end {
            Some(url) => pages::complete(url),
            None => pages::log_in_or_cancel(&Form { action: &address, step: "login" }, visit.problem),
        };
        return page(StatusCode::OK, shown);
    }
    let form = match call.form() {
        Ok(form) => form,
        Err(problem) => return page(StatusCode::BAD_REQUEST, pages::refusal("Bad request", &problem.message)),
    };
    if let Some(url) = &visit.end {
        return Reply::see_other(url.as_str());
    }
    if form.get("cancel").is_some() {
        return Reply::see_other(visit.end.insert(visit.refused()).as_str());
    }
    let field = |name| form.text(name).unwrap_or_default();
    if let Err(Refusal { message, .. }) = bank::log_in(field("username"), field("password")) {
        visit.problem = Some(message);
        return Reply::see_other(&address);
    }
    let login = Login { username: field("username").to_owned(), has_mfa: false, party: visit.party.clone() };
    let login_id = state.connect.logins.add(login, state.config.limits.tokens);
    Reply::see_other(visit.end.insert(visit.connected(&login_id)).as_str())
}

impl BankRedirect {
    fn connected(&self, login_id: &str) -> Url {
        self.return_with(&[("loginId", Some(login_id)), ("state", self.state.as_deref())])
    }

    fn refused(&self) -> Url {
        self.failed("access_denied", "The end user refused.")
    }

    fn failed(&self, error: &str, description: &str) -> Url {
        let state = self.state.as_deref();
        self.return_with(&[("state", state), ("error", Some(error)), ("error_description", Some(description))])
    }

    fn return_with(&self, parameters: &[(&str, Option<&str>)]) -> Url {
        return_url::with_parameters(self.return_url.clone(), parameters)
    }
}
