//! The `/Authorize` endpoint, which logs an end user in to the bank and spends the authorize token
//! (C6).

use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use hyper::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::problem::{INVALID_LOGIN, Problem, Refused, invalid_request};
use crate::bank::{LoginStep, Refusal, Responses, UserKey};
use crate::config::{Customer, Party};
use crate::http::{Call, Fields, Reply};
use crate::ledger::Kind;
use crate::state::{Challenge, DataSession, EmulatorState, Login};

pub(in crate::rules) fn authorize(state: &mut EmulatorState, call: &Call) -> Reply {
    let config = &state.config.connect;
    let refused = Refused { status: config.rejected_token_status, code: &config.rejected_token_code }.reply();
    let Some(token) = call.header("flinks-auth-key") else { return refused };
    let Some(Customer { party, .. }) = config.customer(&call.parameter) else { return refused };
    let request = AuthorizeRequest::read(call);
    let needs_valid_token = match &request {
        Ok(AuthorizeRequest::Answer { request_id, .. }) if !config.mfa_answer_spends_token => {
            // The token that started the session may be used again.
            state
                .connect
                .challenges
                .get(request_id)
                .is_none_or(|challenge| challenge.token != token || challenge.party != party)
        }
        _ => true,
    };
    let issued = state.ledger.issued(Kind::AuthorizeToken, token);
    let is_valid = issued.is_some_and(|token| token.party == party && token.is_valid(state.now()));
    if needs_valid_token && !is_valid {
        return refused;
    }
    let spends_token = match &request {
        Ok(AuthorizeRequest::Answer { .. }) => config.mfa_answer_spends_token,
        _ => true,
    };
    let spends_token_on_failure = config.failed_authorize_spends_token;
    let is_live = request.as_ref().is_ok_and(AuthorizeRequest::is_live);
    let outcome = request.and_then(|request| request.ask_bank(state, token, party));
    let outcome = outcome.map(|(session, step)| session.proceed(step, state, call));
    if spends_token && (outcome.is_ok() || spends_token_on_failure) {
        state.spend(Kind::AuthorizeToken, token, call);
    }
    let wait = if is_live { state.scenario.slow_authorize() } else { Duration::ZERO };
    let reply = outcome.unwrap_or_else(|problem| problem.with_statuses(&state.config.connect).reply());
    Reply { wait, ..reply }
}

/// A request to `/Authorize`, in one of its three forms.
enum AuthorizeRequest {
    /// Answers one of the bank's security questions.
    Answer { request_id: String, responses: Responses },
    /// Uses an existing login.
    LogInAgain { login_id: String, from_cache: bool },
    /// Logs in with a user name and a password.
    LogIn { institution: String, username: String, password: String, save: bool },
}

impl AuthorizeRequest {
    fn read(call: &Call) -> Result<Self, Problem> {
        let body = call.json().map_err(|problem| match problem.field {
            Some(name) => Problem::invalid_fields([(name, "must appear exactly once")]),
            None => {
                invalid_request("The body must be a JSON object, and the Content-Type must be application/json").into()
            }
        })?;
        check_types(&body)?;
        // A GUID can be written in several ways.
        let guid = |name| body.text(name).and_then(|text| Uuid::parse_str(text).ok()).map(|guid| guid.to_string());
        let flag = |name| body.get(name).and_then(Value::as_bool).unwrap_or_default();
        let missing = |name, message| Err(Problem::invalid_fields([(name, message)]));
        match (guid("RequestId"), body.get("SecurityResponses")) {
            (Some(request_id), Some(responses)) => {
                let responses = serde_json::from_value(responses.clone()).unwrap_or_default();
                return Ok(Self::Answer { request_id, responses });
            }
            (Some(_), None) => return missing("SecurityResponses", "is missing; it is required with RequestId"),
            (None, Some(_)) => return missing("RequestId", "is missing; it is required with SecurityResponses"),
            (None, None) => {}
        }
        let credentials = ["Institution", "Username", "Password"];
        if let Some(login_id) = guid("LoginId") {
            let mut extra = credentials.into_iter().filter(|name| body.get(name).is_some()).peekable();
            if extra.peek().is_some() {
                return Err(Problem::invalid_fields(extra.map(|name| (name, "must be absent if LoginId is present"))));
            }
            return Ok(Self::LogInAgain { login_id, from_cache: flag("MostRecentCached") });
        }
        let text = |name| body.text(name).map(str::to_owned);
        match (text("Institution"), text("Username"), text("Password")) {
            (Some(institution), Some(username), Some(password)) => {
                Ok(Self::LogIn { institution, username, password, save: flag("Save") })
            }
            (None, None, None) => {
                let message = "is missing; specify either LoginId or all of Institution, Username and Password";
                Err(Problem::invalid_fields(["LoginId"].into_iter().chain(credentials).map(|name| (name, message))))
            }
            _ => {
                let missing = credentials.into_iter().filter(|name| body.get(name).is_none());
                Err(Problem::invalid_fields(
                    missing.map(|name| (name, "is missing; it is required to log in to the bank")),
                ))
            }
        }
    }

    /// Returns whether Flinks contacts the bank to process the request.
    fn is_live(&self) -> bool {
        !matches!(self, Self::LogInAgain { from_cache: true, .. })
    }

    fn ask_bank(
        self,
        state: &mut EmulatorState,
        token: &str,
        party: Party,
    ) -> Result<(BankSession, LoginStep), Problem> {
        match self {
            Self::Answer { request_id, responses } => {
                let nonexistent = Refusal::new(400, "SESSION_NONEXISTENT", "The session does not exist");
                let challenge = state.connect.challenges.get(&request_id);
                let challenge = challenge.filter(|challenge| challenge.party == party).ok_or(nonexistent)?;
                if state.now() >= challenge.expires_at {
                    return Err(Refusal::new(401, "SESSION_EXPIRED", "The session has expired").into());
                }
                state.require_bank(challenge.user.bank)?;
                let step = state.banks.answer(challenge.user, challenge.question, &responses)?;
                let challenge = state.connect.challenges.remove(&request_id).ok_or(nonexistent)?;
                let Challenge { user, token, login_id, save, .. } = challenge;
                Ok((BankSession { request_id, user, token, login_id, save, party, from_cache: false }, step))
            }
            Self::LogInAgain { login_id, from_cache } => {
                let unknown = Refusal::new(401, INVALID_LOGIN, "The LoginId is unknown");
                let login = state.connect.logins.get(&login_id);
                let login = login.filter(|login| login.party == party).ok_or(unknown)?;
                if !from_cache {
                    state.require_bank(login.user.bank)?;
                }
                let step = if from_cache || !login.has_mfa {
                    LoginStep::LoggedIn
                } else {
                    state.banks.log_in_again(login.user)?
                };
                let session = BankSession {
                    request_id: Uuid::new_v4().to_string(),
                    user: login.user,
                    token: token.to_owned(),
                    login_id: Some(login_id),
                    save: true,
                    party,
                    from_cache,
                };
                Ok((session, step))
            }
            Self::LogIn { institution, username, password, save } => {
                let Some(bank) = state.banks.named(&institution) else {
                    return Err(Problem::invalid_fields([("Institution", "must be the name of an existing bank")]));
                };
                let (user, step) = state.log_in(bank, &username, &password)?;
                let request_id = Uuid::new_v4().to_string();
                let token = token.to_owned();
                let session = BankSession { request_id, user, token, login_id: None, save, party, from_cache: false };
                Ok((session, step))
            }
        }
    }
}

type Check = fn(&Value) -> bool;

/// Checks the types of the fields that are present.
fn check_types(body: &Fields<Value>) -> Result<(), Problem> {
    let is_uuid: Check = |value| value.as_str().is_some_and(|text| Uuid::parse_str(text).is_ok());
    let is_language: Check = |value| matches!(value.as_str(), Some("en" | "fr"));
    let is_responses: Check = |value| serde_json::from_value::<Responses>(value.clone()).is_ok();
    let rules: [(&'static str, Check, &'static str); 10] = [
        ("LoginId", is_uuid, "must be a GUID"),
        ("MostRecentCached", Value::is_boolean, "must be true or false"),
        ("Save", Value::is_boolean, "must be true or false"),
        ("Language", is_language, "must be en or fr"),
        ("Tag", Value::is_string, "must be a string"),
        ("Institution", Value::is_string, "must be a string"),
        ("Username", Value::is_string, "must be a string"),
        ("Password", Value::is_string, "must be a string"),
        ("RequestId", is_uuid, "must be a GUID"),
        ("SecurityResponses", is_responses, "must contain a list of strings for each prompt"),
    ];
    let is_invalid = |(name, is_valid, _): &(&str, Check, &str)| body.get(name).is_some_and(|value| !is_valid(value));
    let mut invalid = rules.into_iter().filter(is_invalid).map(|(name, _, message)| (name, message)).peekable();
    if invalid.peek().is_none() {
        return Ok(());
    }
    Err(Problem::invalid_fields(invalid))
}

/// A bank login that is in progress.
struct BankSession {
    request_id: String,
    user: UserKey,
    /// The authorize token that started this session.
    token: String,
    /// The existing login that this session refreshes, if any.
    login_id: Option<String>,
    /// Whether to store a new login, as requested with `Save`.
    save: bool,
    /// The customer that started this session.
    party: Party,
    /// Whether the client has requested cached data, which is ready at once.
    from_cache: bool,
}

impl BankSession {
    /// Returns a response that contains either the login or the bank's next question.
    fn proceed(self, step: LoginStep, state: &mut EmulatorState, call: &Call) -> Reply {
        let Self { request_id, user, token, login_id, save, party, from_cache } = self;
        match step {
            LoginStep::LoggedIn => {
                let login_id = match login_id {
                    Some(login_id) => login_id,
                    None if save => {
                        let login = Login { user, has_mfa: true, party: party.clone() };
                        state.connect.logins.add(login, state.config.limits.tokens)
                    }
                    None => Uuid::new_v4().to_string(),
                };
                let reply = logged_in(state, call, user, &login_id, &request_id);
                let config = &state.config.connect;
                let lifetime = Duration::from_secs(config.session_seconds);
                let session = DataSession {
                    party,
                    user,
                    login_id,
                    expires_at: state.now().saturating_add(lifetime),
                    pending_replies: if from_cache { 0 } else { config.pending_replies },
                    request: None,
                };
                state.connect.sessions.insert(request_id, session, state.config.limits.tokens);
                reply
            }
            LoginStep::Questioned(question) => {
                let lifetime = Duration::from_secs(state.config.connect.challenge_seconds);
                let expires_at = state.now().saturating_add(lifetime);
                let challenge = Challenge { user, question, token, expires_at, login_id, save, party };
                state.connect.challenges.insert(request_id.clone(), challenge, state.config.limits.tokens);
                challenged(state, user, question, &request_id)
            }
        }
    }
}

/// Returns the 200 response for a successful login.
fn logged_in(state: &EmulatorState, call: &Call, user: UserKey, login_id: &str, request_id: &str) -> Reply {
    // The time is in UTC but has no offset, so it is not an RFC 3339 timestamp.
    let mut last_refresh = String::new();
    if let Some(now) = UNIX_EPOCH.checked_add(state.now()) {
        // Formatting fails if the clock was advanced beyond the year 9999.
        let _ = write!(last_refresh, "{}", humantime::format_rfc3339_micros(now));
    }
    let customer_id = &call.parameter;
    let bank = state.banks.bank(user.bank);
    let institution = state.banks.name(user.bank);
    let body = json!({
        "HttpStatusCode": 200,
        "Links": [{
            "rel": "AccountsDetail",
            "href": "/GetAccountsDetail",
            "example": format!("/v3/{customer_id}/BankingServices/GetAccountsDetail"),
        }],
        "InstitutionName": institution,
        "InstitutionId": bank.map(|bank| bank.id.get_ref()),
        "Institution": institution,
        "Login": {
            "Username": state.banks.user(user).map(|user| user.username.get_ref()),
            "IsScheduledRefresh": false,
            "LastRefresh": last_refresh.trim_end_matches('Z'),
            "Type": "Personal",
            "Id": login_id,
        },
        "RequestId": request_id,
    });
    Reply::json(StatusCode::OK, &body)
}

/// Returns the 203 response with one of the bank's security questions. A 203 response does not
/// indicate success.
fn challenged(state: &EmulatorState, user: UserKey, index: usize, request_id: &str) -> Reply {
    let challenge = state.banks.question(user, index).map(|question| match question.choices.as_slice() {
        [] => json!({"Type": "QuestionAndAnswer", "Prompt": question.prompt}),
        choices => json!({"Type": "MultipleChoice", "Prompt": question.prompt, "Iterables": choices}),
    });
    let body = json!({
        "HttpStatusCode": 203,
        "Links": [{"rel": "Authorize", "href": "/Authorize", "example": "/Authorize"}],
        "SecurityChallenges": Vec::from_iter(challenge),
        "Institution": state.banks.name(user.bank),
        "RequestId": request_id,
    });
    Reply::json(StatusCode::NON_AUTHORITATIVE_INFORMATION, &body)
}
