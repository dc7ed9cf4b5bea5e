//! The consent page, which redirects the end user back with a code after consent, or with an error
//! after a refusal (O10).

use hyper::{Method, StatusCode, header};
use maud::Markup;
use url::Url;
use uuid::Uuid;

use super::refusal::Refusal;
use crate::bank::{Banks, UserKey};
use crate::config::{EndUser, Pkce};
use crate::http::{Call, Reply};
use crate::ledger::Issued;
use crate::pages::{self, ConsentPage, Form, Look};
use crate::pkce::CodeChallenge;
use crate::return_url::{self, Fragment};
use crate::state::{Consent, EmulatorState};

/// The scopes that an end user can consent to.
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
const UNAVAILABLE: Refusal = Refusal::new("temporarily_unavailable", "The bank is unavailable.");

pub(in crate::rules) fn authorize(state: &mut EmulatorState, call: &Call) -> Reply {
    let look = call.look();
    let refuse = |message: &str| Reply::page(StatusCode::BAD_REQUEST, pages::refusal(look, message)).with_ids();
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
    // Unlike Connect's pages, the consent page does not accept an address without a scheme.
    let return_url = Url::parse(redirect_uri).map_err(|_| "is not an absolute URL");
    let return_url = match return_url.and_then(|_| return_url::parse(redirect_uri, &[], Fragment::Forbidden)) {
        Ok(url) => url,
        Err(problem) => return refuse(&format!("redirect_uri {problem}.")),
    };
    let scopes = query.text("scope").unwrap_or_default().split(' ').filter(|scope| !scope.is_empty());
    let provider = state.banks.provider(query.text("provider_id").unwrap_or_default());
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
        look,
        bank: provider,
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
    let Some(bank) = provider else {
        return fail(Refusal::invalid_request("provider_id is unknown."));
    };
    match config.end_user {
        EndUser::Agrees if state.require_bank(bank).is_err() => fail(UNAVAILABLE),
        EndUser::Agrees => back(consent.agreed(state, None, call)),
        EndUser::Refuses => fail(ACCESS_DENIED),
        EndUser::Asked => {
            let id = Uuid::new_v4().to_string();
            let address = address(&id);
            let page = consent.page(state, &address, Some(&address));
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
    let Some(consent) = state.outbound.consents.get(&call.parameter).cloned() else {
        return consent_page(StatusCode::NOT_FOUND, pages::unknown_visit(Look::default()));
    };
    let refuse = |message: &str| consent_page(StatusCode::BAD_REQUEST, pages::refusal(consent.look, message));
    let address = address(&call.parameter);
    if call.method == Method::GET {
        return consent_page(StatusCode::OK, consent.page(state, &address, None));
    }
    let form = match call.form() {
        Ok(form) => form,
        Err(problem) => return refuse(&problem.message),
    };
    if let Some(url) = &consent.end {
        return Reply::see_other(url.as_str()).with_ids();
    }
    let url = match form.text("decision") {
        // The page shows that the bank is unavailable, and the end user can agree later.
        Some("agree") if consent.bank.is_some_and(|bank| state.require_bank(bank).is_err()) => {
            return Reply::see_other(&address).with_ids();
        }
        Some("agree") => match consent.user(&state.banks, form.text("user")) {
            Ok(user) => consent.agreed(state, user, call),
            Err(message) => return refuse(message),
        },
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
    fn page(&self, state: &EmulatorState, action: &str, address: Option<&str>) -> Markup {
        let banks = &state.banks;
        let (look, Some(bank)) = (self.look, self.bank) else { return pages::unknown_visit(self.look) };
        if let Some(url) = &self.end {
            return pages::complete(look, banks.bank(bank), url);
        }
        let client = state.config.outbound.client_of(&self.party);
        let page = ConsentPage {
            look,
            banks,
            bank,
            client_id: client.map_or("", |client| client.id),
            scopes: &self.scopes,
            return_url: &self.return_url,
            is_unavailable: state.require_bank(bank).is_err(),
        };
        pages::consent(&page, &Form { action, step: "decision" }, address)
    }

    /// Returns the user whose accounts the end user shares. A script may omit the `user` field.
    fn user(&self, banks: &Banks, username: Option<&str>) -> Result<Option<UserKey>, &'static str> {
        let Some(username) = username else { return Ok(None) };
        let user = self.bank.and_then(|bank| banks.user_named(bank, username));
        let is_able = user.is_some_and(|user| banks.able_users().contains(&user));
        if is_able { Ok(user) } else { Err("user must be the name of a user who can log in to the bank.") }
    }

    /// Issues a code and returns the URL that contains it. If `user` is `None`, the code belongs to
    /// the bank's first user who can log in.
    fn agreed(&self, state: &mut EmulatorState, user: Option<UserKey>, call: &Call) -> Url {
        let first_user = || state.banks.able_users().into_iter().find(|user| Some(user.bank) == self.bank);
        let user = user.or_else(first_user);
        let subject = state.new_subject(user, Some(self.scopes.clone()));
        let code = state.code(subject, self.redirect_uri.clone(), Some(call));
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
