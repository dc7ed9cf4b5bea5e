//! The application that a payer visits at `/app/?sessionId=…` to approve or cancel a payment.

use hyper::{Method, StatusCode};

use crate::config::EndUser;
use crate::http::{Call, Reply};
use crate::pages::{self, Look};
use crate::state::{Decision, EmulatorState};

/// Shows the payment, or its result if the payer has already decided.
pub(in crate::rules) fn app(state: &mut EmulatorState, call: &Call) -> Reply {
    let look = call.look();
    let refuse = |status, message: &str| refuse(look, status, message);
    let query = match call.query() {
        Ok(query) => query,
        Err(problem) => return refuse(StatusCode::BAD_REQUEST, &problem.message),
    };
    let Some(session_id) = query.text("sessionId") else {
        return refuse(StatusCode::BAD_REQUEST, "sessionId is missing.");
    };
    match state.config.pay.payer {
        EndUser::Asked => {}
        EndUser::Agrees => decide(state, session_id, Decision::Approved { at: state.now() }),
        EndUser::Refuses => decide(state, session_id, Decision::Cancelled),
    }
    let now = state.now();
    let EmulatorState { pay, config, banks, .. } = state;
    let Some(session) = pay.sessions.get(session_id) else {
        return refuse(StatusCode::NOT_FOUND, "The session does not exist. Start a new session.");
    };
    let request = session.request_id.as_ref().and_then(|id| pay.payment_requests.get_mut(id));
    let Some(request) = request else {
        let message = "The session has no payment request. Create one with POST /api/v1/paymentrequests first.";
        return refuse(StatusCode::BAD_REQUEST, message);
    };
    let is_first_visit = !request.is_open;
    request.is_open = true;
    let payment = pages::Payment {
        look,
        bank: banks.iter().next().map(|(_, bank)| bank),
        reference_id: &session.reference_id,
        amount: session.amount.to_string(),
        status: request.status(now, &config.pay),
        is_first_visit,
    };
    let action = with_query(format!("/__pages/pay/{session_id}"), &look_parameters(call));
    Reply::page(StatusCode::OK, pages::payment(&action, &payment))
}

/// Accepts the payer's decision, and redirects to the page for the payment. The first decision is
/// final.
pub(in crate::rules) fn app_step(state: &mut EmulatorState, call: &Call) -> Reply {
    let look = call.look();
    let session_id = &call.parameter;
    let mut parameters = vec![("sessionId".to_owned(), session_id.clone())];
    parameters.extend(look_parameters(call));
    let page = Reply::see_other(&with_query("/app/".to_owned(), &parameters));
    if call.method == Method::GET {
        return page;
    }
    let form = match call.form() {
        Ok(form) => form,
        Err(problem) => return refuse(look, StatusCode::BAD_REQUEST, &problem.message),
    };
    let decision = match form.text("decision") {
        Some("approve") => Decision::Approved { at: state.now() },
        Some("cancel") => Decision::Cancelled,
        _ => return refuse(look, StatusCode::BAD_REQUEST, "decision must be `approve` or `cancel`."),
    };
    decide(state, session_id, decision);
    page
}

/// Returns the parameters that select the language and the theme, which the next page needs too.
fn look_parameters(call: &Call) -> Vec<(String, String)> {
    let parameters = url::form_urlencoded::parse(call.query.as_bytes()).into_owned();
    parameters.filter(|(name, _)| matches!(&**name, "lang" | "language" | "theme")).collect()
}

fn with_query(address: String, parameters: &[(String, String)]) -> String {
    if parameters.is_empty() {
        return address;
    }
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    format!("{address}?{query}")
}

fn refuse(look: Look, status: StatusCode, message: &str) -> Reply {
    Reply::page(status, pages::refusal(look, message))
}

/// Records a decision, unless the payer has already decided or the payment request has expired.
fn decide(state: &mut EmulatorState, session_id: &str, decision: Decision) {
    let now = state.now();
    let EmulatorState { pay, config, .. } = state;
    let request_id = pay.sessions.get(session_id).and_then(|session| session.request_id.as_ref());
    if let Some(request) = request_id.and_then(|id| pay.payment_requests.get_mut(id))
        && request.status(now, &config.pay).is_undecided()
    {
        request.decision = Some(decision);
    }
}
