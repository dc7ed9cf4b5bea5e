//! Custom OAuth, in which the end user logs in on the bank's own page and returns with a `LoginId`
//! (C7).

use hyper::{Method, StatusCode, header};
use url::Url;

use super::fragment;
use crate::bank::{Refusal, UserKey};
use crate::config::{ConnectConfig, EndUser, Party};
use crate::http::{Call, Reply};
use crate::pages::{self, Form, LogIn, Look};
use crate::return_url;
use crate::state::{BankRedirect, EmulatorState, Login, Return};

pub(in crate::rules) fn oauth_authorize(state: &mut EmulatorState, call: &Call) -> Reply {
    let look = call.look();
    let refuse = |message: &str| Reply::page(StatusCode::BAD_REQUEST, pages::refusal(look, message));
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
    let return_to = Return { url: return_url, state: query.text("state").map(str::to_owned) };
    // The pages of Flinks' documentation disagree on this parameter's name.
    let institution = query.text("institution_id").or(query.text("institution")).unwrap_or_default();
    let Some(bank) = state.banks.institution(institution) else {
        return Reply::redirect(return_to.failed("invalid_request", "The institution is unknown.").as_str());
    };
    let visit = BankRedirect { party, look, bank, return_to, problem: None, user: None, end: None };
    let first_user = state.banks.able_users().into_iter().find(|user| user.bank == bank);
    match (config.end_user, first_user) {
        (EndUser::Agrees, Some(user)) if state.require_bank(bank).is_ok() => {
            let BankRedirect { party, return_to, .. } = visit;
            Reply::redirect(return_to.connected(&log_in(state, user, party)).as_str())
        }
        (EndUser::Agrees, _) => {
            let unavailable = visit.return_to.failed("temporarily_unavailable", "The bank is unavailable.");
            Reply::redirect(unavailable.as_str())
        }
        (EndUser::Refuses, _) => Reply::redirect(visit.return_to.refused().as_str()),
        (EndUser::Asked, _) => {
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
/// customer that has whitelisted the URL's origin, or else the first customer without a whitelist.
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
fn log_in(state: &mut EmulatorState, user: UserKey, party: Party) -> String {
    let login = Login { user, has_mfa: false, party };
    state.connect.logins.add(login, state.config.limits.tokens)
}

pub(in crate::rules) fn oauth_step(state: &mut EmulatorState, call: &Call) -> Reply {
    let page = |status, page| Reply::page(status, page).with(header::X_FRAME_OPTIONS, "DENY");
    let address = address(&call.parameter);
    let banks = state.banks.clone();
    let Some(visit) = state.connect.bank_redirects.get_mut(&call.parameter) else {
        return page(StatusCode::NOT_FOUND, pages::unknown_visit(Look::default()));
    };
    if call.method == Method::GET {
        let shown = match &visit.end {
            Some(url) => pages::complete(visit.look, banks.bank(visit.bank), url),
            None => {
                let BankRedirect { look, bank, user, problem, .. } = *visit;
                let page = LogIn { look, banks: &banks, bank, user, problem, return_url: &visit.return_to.url };
                pages::log_in_or_cancel(&page, &Form { action: &address, step: "login" })
            }
        };
        return page(StatusCode::OK, shown);
    }
    let form = match call.form() {
        Ok(form) => form,
        Err(problem) => return page(StatusCode::BAD_REQUEST, pages::refusal(visit.look, &problem.message)),
    };
    if let Some(url) = &visit.end {
        return Reply::see_other(url.as_str());
    }
    if form.get("cancel").is_some() {
        return Reply::see_other(visit.end.insert(visit.return_to.refused()).as_str());
    }
    let field = |name| form.text(name).unwrap_or_default();
    let (party, bank, username) = (visit.party.clone(), visit.bank, field("username"));
    let outcome = state.log_in(bank, username, field("password"));
    let login_id = match &outcome {
        Ok((user, _)) => log_in(state, *user, party),
        Err(_) => String::new(),
    };
    let Some(visit) = state.connect.bank_redirects.get_mut(&call.parameter) else { return Reply::see_other(&address) };
    if let Err(Refusal { code, .. }) = outcome {
        visit.problem = Some(code);
        visit.user = banks.user_named(bank, username);
        return Reply::see_other(&address);
    }
    Reply::see_other(visit.end.insert(visit.return_to.connected(&login_id)).as_str())
}

impl Return {
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
        return_url::with_parameters(self.url.clone(), parameters)
    }
}
