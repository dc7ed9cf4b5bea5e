//! The consent page, which redirects the end user back with a code after consent, or with an error
//! after a refusal (O10).

use hyper::{Method, StatusCode, header};
use maud::Markup;
use url::Url;
use uuid::Uuid;

use super::refusal::Refusal;
use crate::config::{EndUser, Pkce};
use crate::credentials::OUTBOUND_PROVIDER_ID;
use crate::http::{Call, Reply};
use crate::ledger::Issued;
use crate::pages::{self, Form};
use crate::pkce::CodeChallenge;
use crate::return_url::{self, Fragment};
use crate::state::{Consent, EmulatorState};

/// The scopes that an end user can agree to.
pub(super) const SCOPES: [&str; 8] = [
    "ACCOUNT_BASIC",
    "ACCOUNT_DETAILED",
    "ACCOUNT_PAYMENTS",
    "INVESTMENTS",
    "STATEMENTS",
    "CUSTOMER_CONTACT",
    "CUSTOMER_PERSONAL",
    "TRANSACTIONS",
];

const ACCESS_DENIED: Refusal = Refusal::new("access_denied", "The end user refused.");

pub(in crate::rules) fn authorize(state: &mut EmulatorState, call: &Call) -> Reply {
    let refuse =
        |message: &str| Reply::page(StatusCode::BAD_REQUEST, pages::refusal("Bad request", message)).with_ids();
    let query = match call.query() {
        Ok(query) => query,
        Err(problem) => return refuse(&problem.message),
    };
    let config = &state.config.outbound;
    // Never redirect to an untrusted address, not even with an error (RFC 6749, section 4.1.2.1).
    let Some(client) = query.text("client_id").and_then(|id| config.client(id)) else {
        return refuse("client_id is unknown.");
    };
    let redirect_uri = query.text("redirect_uri").unwrap_or_default();
    if !client.redirect_uris.is_empty() && !client.redirect_uris.iter().any(|allowed| allowed == redirect_uri) {
        return refuse("redirect_uri is not whitelisted.");
    }
    // Only the iframe page accepts an address without a scheme.
    let return_url = Url::parse(redirect_uri).map_err(|_| "is not an absolute URL");
    let return_url = match return_url.and_then(|_| return_url::parse(redirect_uri, &[], Fragment::Forbidden)) {
        Ok(url) => url,
        Err(problem) => return refuse(&format!("redirect_uri {problem}.")),
    };
    let scopes = query.text("scope").unwrap_or_default().split(' ').filter(|scope| !scope.is_empty());
    let (challenge, method) = (query.text("code_challenge"), query.text("code_challenge_method"));
    let code_challenge = match config.pkce {
        Pkce::Ignored => Ok(None),
        Pkce::Checked => CodeChallenge::read(challenge, method),
        Pkce::Required if challenge.is_none() => Err("code_challenge is missing."),
        Pkce::Required => CodeChallenge::read(challenge, method),
    };
    let (code_challenge, challenge_problem) = match code_challenge {
        Ok(challenge) => (challenge, None),
        Err(problem) => (None, Some(problem)),
    };
    let consent = Consent {
        code_challenge,
        party: client.party,
        return_url,
        scopes: scopes.map(str::to_owned).collect(),
        redirect_uri: redirect_uri.to_owned(),
        state: query.text("state").map(str::to_owned),
        end: None,
    };
    let back = |url: Url| Reply::redirect(url.as_str()).with_ids();
    let fail = |refusal| back(consent.refused(refusal));
    if let Some(problem) = challenge_problem {
        return fail(Refusal::invalid_request(problem));
    }
    if query.text("response_type") != Some("code") {
        return fail(Refusal::new("unsupported_response_type", "response_type must be code."));
    }
    let is_known = |scope: &String| SCOPES.contains(&scope.as_str());
    if !consent.scopes.iter().any(|scope| scope == "ACCOUNT_BASIC") || !consent.scopes.iter().all(is_known) {
        let description = "scope must contain `ACCOUNT_BASIC` and no unknown scopes.";
        return fail(Refusal::new("invalid_scope", description));
    }
    if query.text("provider_id") != Some(OUTBOUND_PROVIDER_ID) {
        return fail(Refusal::invalid_request("provider_id is unknown."));
    }
    match config.end_user {
        EndUser::Agrees => back(consent.agreed(state, call)),
        EndUser::Refuses => fail(ACCESS_DENIED),
        EndUser::Asked => {
            let id = Uuid::new_v4().to_string();
            let address = address(&id);
            let page = consent.page(client.id, &address, Some(&address));
            state.outbound.consents.insert(id, consent, state.config.limits.pages);
            consent_page(StatusCode::OK, page)
        }
    }
}

fn address(id: &str) -> String {
    format!("/__pages/consent/{id}")
}

fn consent_page(status: StatusCode, page: Markup) -> Reply {
    Reply::page(status, page).with(header::X_FRAME_OPTIONS, "DENY").with_ids()
}

pub(in crate::rules) fn authorize_step(state: &mut EmulatorState, call: &Call) -> Reply {
    let refuse =
        |message: &str| consent_page(StatusCode::BAD_REQUEST, pages::refusal("This page cannot continue", message));
    let Some(consent) = state.outbound.consents.get(&call.parameter).cloned() else {
        return consent_page(StatusCode::NOT_FOUND, pages::unknown_visit());
    };
    if call.method == Method::GET {
        let address = address(&call.parameter);
        let client = state.config.outbound.client_of(&consent.party);
        let client_id = client.map(|client| client.id).unwrap_or_default();
        return consent_page(StatusCode::OK, consent.page(client_id, &address, None));
    }
    let form = match call.form() {
        Ok(form) => form,
        Err(problem) => return refuse(&problem.message),
    };
    if let Some(url) = &consent.end {
        return Reply::see_other(url.as_str()).with_ids();
    }
    let url = match form.text("decision") {
        Some("agree") => consent.agreed(state, call),
        Some("refuse") => consent.refused(ACCESS_DENIED),
        _ => return refuse("decision must be `agree` or `refuse`."),
    };
    let reply = Reply::see_other(url.as_str()).with_ids();
    if let Some(consent) = state.outbound.consents.get_mut(&call.parameter) {
        consent.end = Some(url);
    }
    reply
}

impl Consent {
    fn page(&self, client_id: &str, action: &str, address: Option<&str>) -> Markup {
        match &self.end {
            Some(url) => pages::complete(url),
            None => {
                pages::consent(&Form { action, step: "decision" }, address, client_id, &self.scopes, &self.return_url)
            }
        }
    }

    fn agreed(&self, state: &mut EmulatorState, call: &Call) -> Url {
        let code = state.code(self.redirect_uri.clone(), Some(call));
        let (code_challenge, party) = (self.code_challenge.clone(), self.party.clone());
        let code = state.issue(Issued { code_challenge, party, ..code });
        return_url::with_parameters(
            self.return_url.clone(),
            &[("code", Some(&*code)), ("state", self.state.as_deref())],
        )
    }

    fn refused(&self, Refusal { error, description }: Refusal) -> Url {
        let parameters =
            [("error", Some(error)), ("error_description", Some(&*description)), ("state", self.state.as_deref())];
        return_url::with_parameters(self.return_url.clone(), &parameters)
    }
}
