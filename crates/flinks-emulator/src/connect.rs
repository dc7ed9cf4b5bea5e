//! Connect (C1-C7).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use hyper::{Method, StatusCode, header};
use maud::Markup;
use serde_json::{Map, Value, json};
use url::Url;
use uuid::Uuid;

use crate::bank::{self, Refusal, Responses, Step};
use crate::config::{Config, EndUser};
use crate::credentials::*;
use crate::http::{Call, Fields, Reply};
use crate::ledger::Kind;
use crate::pages::{self, Events, Form, landing, with_parameters};
use crate::shelf::Shelf;
use crate::world::{World, made_up};

pub(crate) struct State {
    /// By `LoginId`.
    logins: Shelf<Login>,
    /// What waits for an answer, by `RequestId`.
    challenges: Shelf<Challenge>,
    /// Pages in an iframe, by the id in the address of their forms.
    iframes: Shelf<Iframe>,
    /// End users who were sent to the bank's own page, by the id in its address.
    visits: Shelf<Visit>,
}

/// An end user who has connected.
struct Login {
    username: String,
    /// Whether the bank may ask questions: after custom OAuth it has done so itself.
    is_asked: bool,
}

struct Challenge {
    username: String,
    asked: usize,
    /// The token that began it.
    token: String,
    expires_at: Duration,
    /// The login that it is about, where there was one already.
    login_id: Option<String>,
    save: bool,
}

/// A visit of an end user to the page in the iframe. Each form changes it and redirects to the page, which shows it as it is then.
struct Iframe {
    landing: Url,
    stage: Stage,
    /// Why the bank refused the last form.
    problem: Option<&'static str>,
    /// The events that no page has sent to its parent yet.
    events: Events,
}

enum Stage {
    Choosing,
    LoggingIn,
    Asked { username: String, question: usize },
    Connected { url: Url },
}

/// A visit of an end user to the bank's page of custom OAuth.
struct Visit {
    landing: Url,
    state: Option<String>,
    /// Why the bank refused the last login.
    problem: Option<&'static str>,
    /// Where the end user was sent back to. A visit ends once, whatever is sent after that.
    end: Option<Url>,
}

impl State {
    pub(crate) fn new(config: &Config) -> Self {
        let mut logins = Shelf::default();
        let login = Login { username: BANK_USER_NO_MFA.into(), is_asked: false };
        logins.insert(CONNECT_LOGIN_ID.into(), login, config.limits.tokens);
        Self { logins, challenges: Shelf::default(), iframes: Shelf::default(), visits: Shelf::default() }
    }
}

/// The secret key for an authorize token (C1-C4).
pub(crate) fn generate_authorize_token(world: &mut World, call: &Call) -> Reply {
    let config = &world.config.connect;
    let key = call.header("flinks-auth-key");
    if key != Some(&config.secret_key) || !call.parameter.eq_ignore_ascii_case(&config.customer_id) {
        return refuse(&Refusal::new(401, "UNAUTHORIZED", "You must provide a valid auth key"));
    }
    // The status is 401 too: the document has no other.
    if let Some(message) = broken_rule_of_c1(call) {
        return refuse(&Refusal::new(401, "INVALID_REQUEST", message));
    }
    let lifetime = config.token_seconds;
    let token = world.issue(world.token(Kind::AuthorizeToken, made_up(), Some(call), lifetime));
    Reply::json(StatusCode::OK, &json!({"HttpStatusCode": 200, "Token": token}))
}

fn broken_rule_of_c1(call: &Call) -> Option<&'static str> {
    if call.media_type() != "application/json" {
        Some("Content-Type must be application/json, once")
    } else if !accepts_json(call) {
        Some("Accept must include application/json")
    } else if !call.body.is_empty() {
        Some("There must be no body")
    } else {
        None
    }
}

/// Whether the client accepts JSON (RFC 9110, section 12.5.1). No `Accept`, or an empty one, excludes nothing. Several
/// `Accept` headers are one list. The most specific range that covers JSON decides.
fn accepts_json(call: &Call) -> bool {
    let lines = call.headers.get_all(header::ACCEPT).iter();
    let list = lines.map(|line| String::from_utf8_lossy(line.as_bytes()).to_ascii_lowercase()).collect::<Vec<_>>();
    let ranges: Vec<&str> =
        list.iter().flat_map(|line| line.split(',')).filter(|range| !range.trim().is_empty()).collect();
    if ranges.is_empty() {
        return true;
    }
    for json in ["application/json", "application/*", "*/*"] {
        let mut found = ranges.iter().filter(|range| range.split(';').next().is_some_and(|range| range.trim() == json));
        if let Some(range) = found.next() {
            return has_weight(range) || found.any(|range| has_weight(range));
        }
    }
    false
}

/// Whether the weight of a media range is above 0, which it is by default.
fn has_weight(range: &str) -> bool {
    let mut parameters = range.split(';').skip(1);
    !parameters.any(|parameter| parameter.trim().strip_prefix("q=").is_some_and(|weight| weight.parse() == Ok(0.0)))
}

/// Spends an authorize token on an end user (C6).
pub(crate) fn authorize(world: &mut World, call: &Call) -> Reply {
    let config = &world.config.connect;
    let refused = refuse(&Refusal::new(401, "ACCESS_DENIED", "You must provide a valid authorize token"));
    let Some(token) =
        call.header("flinks-auth-key").filter(|_| call.parameter.eq_ignore_ascii_case(&config.customer_id))
    else {
        return refused;
    };
    let ask = Ask::read(call);
    let is_good = world.ledger.issued(Kind::AuthorizeToken, token).is_some_and(|token| token.is_good(world.now()));
    let (is_answer, began_it) = match &ask {
        Ok(Ask::Answer { request_id, .. }) => {
            (true, world.connect.challenges.get(request_id).is_some_and(|challenge| challenge.token == token))
        }
        _ => (false, false),
    };
    let needs_fresh_token = !is_answer || config.mfa_answer_spends_token;
    if !is_good && (needs_fresh_token || !began_it) {
        return refused;
    }
    let spends_on_failure = config.failed_authorize_spends_token;
    let outcome = ask.and_then(|ask| ask.put(world, call, token));
    if needs_fresh_token && (outcome.is_ok() || spends_on_failure) {
        world.spend(Kind::AuthorizeToken, token, call);
    }
    outcome.unwrap_or_else(|problem| problem.reply())
}

/// What `/Authorize` is asked.
enum Ask {
    Answer { request_id: String, responses: Responses },
    Return { login_id: String, from_cache: bool },
    LogIn { institution: String, username: String, password: String, save: bool },
}

/// Why it fails, with the fields that are wrong.
struct Problem {
    refusal: Refusal,
    details: Map<String, Value>,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, details: Map::new() }
    }
}

const INVALID_FIELDS: Refusal = invalid_request("A field is not valid: see ValidationDetails");

impl Problem {
    /// A request that is not valid, with each field that is a reason and what is wrong with it.
    fn of(fields: impl IntoIterator<Item = (&'static str, &'static str)>) -> Self {
        let details = fields.into_iter().map(|(name, message)| (name.to_owned(), json!([message])));
        Self { refusal: INVALID_FIELDS, details: details.collect() }
    }

    fn reply(self) -> Reply {
        let Self { refusal: Refusal { status, code, message }, details } = self;
        let body = match details.is_empty() {
            true => json!({"HttpStatusCode": status, "Message": message, "FlinksCode": code}),
            false => json!({
                "HttpStatusCode": status, "Message": message, "FlinksCode": code, "ValidationDetails": details,
            }),
        };
        Reply::json(StatusCode::from_u16(status).unwrap_or(StatusCode::UNAUTHORIZED), &body)
    }
}

const fn invalid_request(message: &'static str) -> Refusal {
    Refusal::new(400, "INVALID_REQUEST", message)
}

impl Ask {
    fn read(call: &Call) -> Result<Self, Problem> {
        let body = call.json().map_err(|problem| match problem.field {
            Some(name) => Problem::of([(name, "must occur once")]),
            None => invalid_request("The body must be a JSON object, with the Content-Type application/json").into(),
        })?;
        let details = wrong_fields(&body);
        if !details.is_empty() {
            return Err(Problem { refusal: INVALID_FIELDS, details });
        }
        let text = |name| body.text(name).map(str::to_owned);
        // Each is a GUID, which may be written in several ways.
        let guid = |name| body.text(name).and_then(|text| Uuid::parse_str(text).ok()).map(|guid| guid.to_string());
        let flag = |name| body.get(name).and_then(Value::as_bool).unwrap_or_default();
        match (guid("RequestId"), body.get("SecurityResponses")) {
            (Some(request_id), Some(responses)) => {
                let responses = serde_json::from_value(responses.clone()).unwrap_or_default();
                return Ok(Self::Answer { request_id, responses });
            }
            (Some(_), None) => return Err(Problem::of([("SecurityResponses", "is missing: RequestId needs it")])),
            (None, Some(_)) => return Err(Problem::of([("RequestId", "is missing: SecurityResponses needs it")])),
            (None, None) => {}
        }
        let credentials = ["Institution", "Username", "Password"];
        if let Some(login_id) = guid("LoginId") {
            let mut extra = credentials.into_iter().filter(|name| body.get(name).is_some()).peekable();
            if extra.peek().is_some() {
                return Err(Problem::of(extra.map(|name| (name, "must be absent if there is a LoginId"))));
            }
            return Ok(Self::Return { login_id, from_cache: flag("MostRecentCached") });
        }
        match (text("Institution"), text("Username"), text("Password")) {
            (Some(institution), Some(username), Some(password)) => {
                Ok(Self::LogIn { institution, username, password, save: flag("Save") })
            }
            (None, None, None) => {
                let missing = "is missing: either LoginId is needed, or Institution, Username and Password";
                Err(Problem::of(["LoginId"].into_iter().chain(credentials).map(|name| (name, missing))))
            }
            _ => {
                let missing = credentials.into_iter().filter(|name| body.get(name).is_none());
                Err(Problem::of(missing.map(|name| (name, "is missing: a login at the bank needs it"))))
            }
        }
    }

    fn put(self, world: &mut World, call: &Call, token: &str) -> Result<Reply, Problem> {
        let (request_id, username, token, login_id, save, step) = match self {
            Self::Answer { request_id, responses } => {
                let (expires_at, asked) = match world.connect.challenges.get(&request_id) {
                    Some(challenge) => (challenge.expires_at, challenge.asked),
                    None => return Err(Refusal::new(400, "SESSION_NONEXISTENT", "There is no such session").into()),
                };
                if world.now() >= expires_at {
                    return Err(Refusal::new(401, "SESSION_EXPIRED", "The session has expired").into());
                }
                let step = bank::answer(asked, &responses)?;
                let Some(Challenge { username, token, login_id, save, .. }) =
                    world.connect.challenges.remove(&request_id)
                else {
                    return Err(Refusal::new(400, "SESSION_NONEXISTENT", "There is no such session").into());
                };
                (request_id, username, token, login_id, save, step)
            }
            Self::Return { login_id, from_cache } => {
                let Some(login) = world.connect.logins.get(&login_id) else {
                    return Err(Refusal::new(401, "INVALID_LOGIN", "The LoginId is not known").into());
                };
                let step = match from_cache || !login.is_asked {
                    true => Step::LoggedIn,
                    false => bank::visit(&login.username)?,
                };
                (Uuid::new_v4().to_string(), login.username.clone(), token.to_owned(), Some(login_id), true, step)
            }
            Self::LogIn { institution, username, password, save } => {
                if institution != BANK {
                    return Err(Problem::of([("Institution", "must be FlinksCapital")]));
                }
                let step = bank::log_in(&username, &password)?;
                (Uuid::new_v4().to_string(), username, token.to_owned(), None, save, step)
            }
        };
        match step {
            Step::LoggedIn => {
                let login_id = login_id.unwrap_or_else(|| match save {
                    true => world.log_in(&username, true),
                    false => Uuid::new_v4().to_string(),
                });
                Ok(session(world, call, &username, &login_id, &request_id))
            }
            Step::Asked(asked) => {
                let lifetime = Duration::from_secs(world.config.connect.challenge_seconds);
                let expires_at = world.now().saturating_add(lifetime);
                let challenge = Challenge { username, asked, token, expires_at, login_id, save };
                world.connect.challenges.insert(request_id.clone(), challenge, world.config.limits.tokens);
                Ok(challenged(asked, &request_id))
            }
        }
    }
}

type Check = fn(&Value) -> bool;

/// What is wrong with the fields that are there, by field.
fn wrong_fields(body: &Fields<Value>) -> Map<String, Value> {
    let is_uuid: Check = |value| value.as_str().is_some_and(|text| Uuid::parse_str(text).is_ok());
    let is_language: Check = |value| matches!(value.as_str(), Some("en" | "fr"));
    let is_responses: Check = |value| serde_json::from_value::<Responses>(value.clone()).is_ok();
    let rules: [(&str, Check, &str); 10] = [
        ("LoginId", is_uuid, "must be a GUID"),
        ("MostRecentCached", Value::is_boolean, "must be true or false"),
        ("Save", Value::is_boolean, "must be true or false"),
        ("Language", is_language, "must be en or fr"),
        ("Tag", Value::is_string, "must be text"),
        ("Institution", Value::is_string, "must be text"),
        ("Username", Value::is_string, "must be text"),
        ("Password", Value::is_string, "must be text"),
        ("RequestId", is_uuid, "must be a GUID"),
        ("SecurityResponses", is_responses, "must have a list of texts under each prompt"),
    ];
    let wrong = rules.iter().filter(|(name, is_right, _)| body.get(name).is_some_and(|value| !is_right(value)));
    wrong.map(|(name, _, message)| ((*name).to_owned(), json!([message]))).collect()
}

fn session(world: &World, call: &Call, username: &str, login_id: &str, request_id: &str) -> Reply {
    // UTC without an offset, which is not RFC 3339.
    let mut last_refresh = String::new();
    if let Some(now) = UNIX_EPOCH.checked_add(world.now()) {
        // It fails after the year 9999, to which the clock may have been advanced.
        let _ = write!(last_refresh, "{}", humantime::format_rfc3339_micros(now));
    }
    let customer_id = &call.parameter;
    let body = json!({
        "HttpStatusCode": 200,
        "Links": [{
            "rel": "AccountsDetail",
            "href": "/GetAccountsDetail",
            "example": format!("/v3/{customer_id}/BankingServices/GetAccountsDetail"),
        }],
        "InstitutionName": BANK,
        "InstitutionId": BANK_ID,
        "Institution": BANK,
        "Login": {
            "Username": username,
            "IsScheduledRefresh": false,
            "LastRefresh": last_refresh.trim_end_matches('Z'),
            "Type": "Personal",
            "Id": login_id,
        },
        "RequestId": request_id,
    });
    Reply::json(StatusCode::OK, &body)
}

/// The bank asks: 203, which is no success (C6).
fn challenged(asked: usize, request_id: &str) -> Reply {
    let challenge = bank::question(asked).map(|question| match question.choices {
        [] => json!({"Type": "QuestionAndAnswer", "Prompt": question.prompt}),
        choices => json!({"Type": "MultipleChoice", "Prompt": question.prompt, "Iterables": choices}),
    });
    let body = json!({
        "HttpStatusCode": 203,
        "Links": [{"rel": "Authorize", "href": "/Authorize", "example": "/Authorize"}],
        "SecurityChallenges": Vec::from_iter(challenge),
        "Institution": BANK,
        "RequestId": request_id,
    });
    Reply::json(StatusCode::NON_AUTHORITATIVE_INFORMATION, &body)
}

fn refuse(refusal: &Refusal) -> Reply {
    Problem::from(*refusal).reply()
}

/// The page in the iframe: showing it spends the token (C5).
pub(crate) fn iframe(world: &mut World, call: &Call) -> Reply {
    let refuse = |status, message: &str| Reply::page(status, pages::refusal("This page cannot be shown", message));
    let query = match call.query() {
        Ok(query) => query,
        Err(problem) => return refuse(StatusCode::BAD_REQUEST, &problem.message),
    };
    let token = query.text("authorizeToken").unwrap_or_default();
    if !world.ledger.issued(Kind::AuthorizeToken, token).is_some_and(|token| token.is_good(world.now())) {
        return refuse(
            StatusCode::UNAUTHORIZED,
            "You must provide a valid authorize token. It can be used once, within 30 minutes.",
        );
    }
    let landing = query.text("redirectUrl").ok_or("is missing");
    let landing = match landing.and_then(|url| landing_of(world, url)) {
        Ok(landing) => landing,
        Err(problem) => return refuse(StatusCode::BAD_REQUEST, &format!("redirectUrl {problem}.")),
    };
    world.spend(Kind::AuthorizeToken, token, call);
    let id = Uuid::new_v4().to_string();
    let address = iframe_address(&id);
    let mut events = Events::to(&landing);
    events.step("APP_MOUNTED");
    let mut iframe = Iframe { landing, stage: Stage::Choosing, problem: None, events };
    let page = iframe.page(&address, Some(&address));
    world.connect.iframes.insert(id, iframe, world.config.limits.pages);
    Reply::page(StatusCode::OK, page)
}

fn iframe_address(id: &str) -> String {
    format!("/__pages/connect/{id}")
}

fn landing_of(world: &World, url: &str) -> Result<Url, &'static str> {
    landing(url, &world.config.connect.redirect_origins)
}

/// The page in the iframe as it is now, or a form that it sends.
pub(crate) fn iframe_step(world: &mut World, call: &Call) -> Reply {
    let address = iframe_address(&call.parameter);
    let Some(iframe) = world.connect.iframes.get_mut(&call.parameter) else {
        return Reply::page(StatusCode::NOT_FOUND, visit_not_found());
    };
    if call.method == Method::GET {
        return Reply::page(StatusCode::OK, iframe.page(&address, None));
    }
    let form = match call.form() {
        Ok(form) => form,
        Err(problem) => {
            return Reply::page(StatusCode::BAD_REQUEST, pages::refusal("Bad request", &problem.message));
        }
    };
    let page = Reply::see_other(&address);
    // The form of an earlier step, which Back has shown, changes nothing. A script may leave out the step.
    if form.text("step").is_some_and(|step| step != iframe.stage.step()) {
        return page;
    }
    let field = |name| form.text(name).unwrap_or_default();
    let (username, outcome) = match &iframe.stage {
        Stage::Choosing => {
            if field("institution") == BANK {
                iframe.stage = Stage::LoggingIn;
                iframe.events.step_with_institution("INSTITUTION_SELECTED");
            }
            return page;
        }
        Stage::LoggingIn => (field("username").to_owned(), bank::log_in(field("username"), field("password"))),
        Stage::Asked { username, question } => {
            let prompt = bank::question(*question).map_or_else(String::new, |question| question.prompt.to_owned());
            let responses = BTreeMap::from([(prompt, vec![field("answer").to_owned()])]);
            (username.clone(), bank::answer(*question, &responses))
        }
        Stage::Connected { .. } => return page,
    };
    iframe.problem = None;
    match outcome {
        Ok(Step::LoggedIn) => {
            let login_id = world.log_in(&username, true);
            if let Some(iframe) = world.connect.iframes.get_mut(&call.parameter) {
                iframe.connect(&login_id);
            }
        }
        Ok(Step::Asked(question)) => iframe.stage = Stage::Asked { username, question },
        Err(Refusal { code, message, .. }) => {
            iframe.problem = Some(message);
            // The code of the failure is the name of the event.
            iframe.events.step(code);
        }
    }
    page
}

fn visit_not_found() -> Markup {
    pages::refusal("This page is unknown", "Start again.")
}

impl Iframe {
    /// The page of the current step. Its events are sent once.
    fn page(&mut self, action: &str, address: Option<&str>) -> Markup {
        let events = self.events.take();
        let step = self.stage.step();
        let form = Form { action, step: &step };
        match &self.stage {
            Stage::Choosing => pages::choose_bank(&form, address, &events),
            Stage::LoggingIn => pages::log_in(&form, self.problem, &events),
            Stage::Asked { question, .. } => match bank::question(*question) {
                Some(question) => pages::ask(&form, question, self.problem, &events),
                None => visit_not_found(),
            },
            Stage::Connected { url } => pages::connected(url, &events),
        }
    }

    fn connect(&mut self, login_id: &str) {
        let parameters = [("loginId", Some(login_id)), ("institution", Some(BANK))];
        let url = with_parameters(self.landing.clone(), &parameters);
        self.events.redirect(&url);
        self.stage = Stage::Connected { url };
    }
}

impl Stage {
    /// The name that a form of this step carries.
    fn step(&self) -> String {
        match self {
            Self::Choosing => "institution".to_owned(),
            Self::LoggingIn => "login".to_owned(),
            Self::Asked { question, .. } => format!("question-{question}"),
            Self::Connected { .. } => "connected".to_owned(),
        }
    }
}

/// Sends the end user to the bank's own page (C7).
pub(crate) fn oauth_authorize(world: &mut World, call: &Call) -> Reply {
    let refuse = |message: &str| Reply::page(StatusCode::BAD_REQUEST, pages::refusal("Bad request", message));
    let query = match call.query() {
        Ok(query) => query,
        Err(problem) => return refuse(&problem.message),
    };
    // Nobody is sent to an address that cannot be trusted, not even with an error.
    let landing = query.text("redirect_uri").ok_or("is missing");
    let landing = match landing.and_then(|url| landing_of(world, url)) {
        Ok(landing) => landing,
        Err(problem) => return refuse(&format!("redirect_uri {problem}.")),
    };
    let visit = Visit { landing, state: query.text("state").map(str::to_owned), problem: None, end: None };
    // The pages disagree on the name of this parameter.
    let institution = query.text("institution_id").or(query.text("institution")).unwrap_or_default();
    if institution != BANK && institution != BANK_ID.to_string() {
        return Reply::redirect(visit.failed("invalid_request", "The institution is not known.").as_str());
    }
    match world.config.connect.end_user {
        EndUser::Agrees => Reply::redirect(visit.connected(&world.log_in(BANK_USER_NO_MFA, false)).as_str()),
        EndUser::Refuses => Reply::redirect(visit.refused().as_str()),
        EndUser::Asked => {
            let id = Uuid::new_v4().to_string();
            let location = visit_address(&id);
            world.connect.visits.insert(id, visit, world.config.limits.pages);
            Reply::redirect(&location)
        }
    }
}

fn visit_address(id: &str) -> String {
    format!("/__pages/bank/{id}")
}

/// The bank's own page, and its form.
pub(crate) fn oauth_step(world: &mut World, call: &Call) -> Reply {
    let page = |status, page| Reply::page(status, page).with(header::X_FRAME_OPTIONS, "DENY");
    let address = visit_address(&call.parameter);
    let Some(visit) = world.connect.visits.get_mut(&call.parameter) else {
        return page(StatusCode::NOT_FOUND, visit_not_found());
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
    let login_id = world.log_in(field("username"), false);
    match world.connect.visits.get_mut(&call.parameter) {
        Some(visit) => Reply::see_other(visit.end.insert(visit.connected(&login_id)).as_str()),
        None => page(StatusCode::NOT_FOUND, visit_not_found()),
    }
}

impl Visit {
    fn connected(&self, login_id: &str) -> Url {
        self.back_with(&[("loginId", Some(login_id)), ("state", self.state.as_deref())])
    }

    fn refused(&self) -> Url {
        self.failed("access_denied", "The end user refused.")
    }

    fn failed(&self, error: &str, description: &str) -> Url {
        let parameters =
            [("state", self.state.as_deref()), ("error", Some(error)), ("error_description", Some(description))];
        self.back_with(&parameters)
    }

    fn back_with(&self, parameters: &[(&str, Option<&str>)]) -> Url {
        with_parameters(self.landing.clone(), parameters)
    }
}

impl World {
    /// Enters a login, and gives its `LoginId`.
    fn log_in(&mut self, username: &str, is_asked: bool) -> String {
        let id = Uuid::new_v4().to_string();
        let login = Login { username: username.to_owned(), is_asked };
        self.connect.logins.insert(id.clone(), login, self.config.limits.tokens);
        id
    }
}
