//! The iframe page (C5). Opening it spends the authorize token. The response to each submitted form
//! redirects to the page for the current stage.

use std::collections::BTreeMap;

use hyper::{Method, StatusCode};
use maud::Markup;
use uuid::Uuid;

use super::fragment;
use crate::bank::{self, Refusal, Step};
use crate::credentials::BANK;
use crate::http::{Call, Reply};
use crate::ledger::Kind;
use crate::pages::{self, Events, Form};
use crate::return_url;
use crate::state::{EmulatorState, Iframe, Login, Stage};

pub(in crate::rules) fn iframe(state: &mut EmulatorState, call: &Call) -> Reply {
    let refuse = |status, message: &str| Reply::page(status, pages::refusal("This page cannot be shown", message));
    let query = match call.query() {
        Ok(query) => query,
        Err(problem) => return refuse(StatusCode::BAD_REQUEST, &problem.message),
    };
    let token = query.text("authorizeToken").unwrap_or_default();
    let config = &state.config.connect;
    let issued = state.ledger.issued(Kind::AuthorizeToken, token).filter(|token| token.is_valid(state.now()));
    let Some(customer) = issued.and_then(|issued| config.customer_of(&issued.party)) else {
        return refuse(
            StatusCode::UNAUTHORIZED,
            "You must provide a valid authorize token. A token can be used only once and is valid for 30 minutes.",
        );
    };
    let party = customer.party.clone();
    let return_url = query.text("redirectUrl").ok_or("is missing");
    let return_url = return_url
        .and_then(|url| return_url::parse(url, customer.redirect_origins, fragment(config)))
        .map(|url| return_url::keep(url, config.redirect_url_part));
    let event_target = config.event_target;
    if return_url.is_ok() || config.failed_iframe_spends_token {
        state.spend(Kind::AuthorizeToken, token, call);
    }
    let return_url = match return_url {
        Ok(url) => url,
        Err(problem) => return refuse(StatusCode::BAD_REQUEST, &format!("redirectUrl {problem}.")),
    };
    let id = Uuid::new_v4().to_string();
    let address = address(&id);
    let mut events = Events::new(&return_url, event_target);
    events.step("APP_MOUNTED");
    let mut iframe = Iframe { party, return_url, stage: Stage::Choosing, problem: None, events };
    let page = iframe.page(&address, Some(&address));
    state.connect.iframes.insert(id, iframe, state.config.limits.pages);
    Reply::page(StatusCode::OK, page)
}

fn address(id: &str) -> String {
    format!("/__pages/connect/{id}")
}

pub(in crate::rules) fn iframe_step(state: &mut EmulatorState, call: &Call) -> Reply {
    let address = address(&call.parameter);
    let Some(iframe) = state.connect.iframes.get_mut(&call.parameter) else {
        return Reply::page(StatusCode::NOT_FOUND, pages::unknown_visit());
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
    // Back can show a form from an earlier step. Submitting that form changes nothing. A script may
    // omit the `step` field.
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
        Stage::Questioned { username, question } => {
            let prompt = bank::question(*question).map_or_else(String::new, |question| question.prompt.to_owned());
            let responses = BTreeMap::from([(prompt, vec![field("answer").to_owned()])]);
            (username.clone(), bank::answer(*question, &responses))
        }
        Stage::Connected { .. } => return page,
    };
    iframe.problem = None;
    match outcome {
        Ok(Step::LoggedIn) => {
            let login = Login { username, has_mfa: true, party: iframe.party.clone() };
            iframe.connect(&state.connect.logins.add(login, state.config.limits.tokens));
        }
        Ok(Step::Questioned(question)) => iframe.stage = Stage::Questioned { username, question },
        Err(Refusal { code, message, .. }) => {
            iframe.problem = Some(message);
            // The error code is also the name of the event.
            iframe.events.step(code);
        }
    }
    page
}

impl Iframe {
    /// Returns the page for the current stage, with the events that have not been sent yet.
    fn page(&mut self, action: &str, address: Option<&str>) -> Markup {
        let events = self.events.take();
        let step = self.stage.step();
        let form = Form { action, step: &step };
        match &self.stage {
            Stage::Choosing => pages::choose_bank(&form, address, &events),
            Stage::LoggingIn => pages::log_in(&form, self.problem, &events),
            Stage::Questioned { question, .. } => match bank::question(*question) {
                Some(question) => pages::question(&form, question, self.problem, &events),
                None => pages::unknown_visit(),
            },
            Stage::Connected { url } => pages::connected(url, &events),
        }
    }

    fn connect(&mut self, login_id: &str) {
        let parameters = [("loginId", Some(login_id)), ("institution", Some(BANK))];
        let url = return_url::with_parameters(self.return_url.clone(), &parameters);
        self.events.redirect(&url);
        self.stage = Stage::Connected { url };
    }
}

impl Stage {
    /// Returns the value of the `step` field in the form for this stage.
    fn step(&self) -> String {
        match self {
            Self::Choosing => "institution".to_owned(),
            Self::LoggingIn => "login".to_owned(),
            Self::Questioned { question, .. } => format!("question-{question}"),
            Self::Connected { .. } => "connected".to_owned(),
        }
    }
}
