//! The iframe page (C5). Opening it spends the authorize token. The response to each submitted form
//! redirects to the page for the current stage.
//!
//! ```text
//! Choosing <-> LoggingIn <-> Questioned -> Connected
//!    ^             |             |
//!    |             v             v
//!    +--------- Cancelled (from each stage except Connected)
//! ```

use std::collections::BTreeMap;

use hyper::{Method, StatusCode};
use maud::Markup;
use uuid::Uuid;

use super::fragment;
use crate::bank::{Banks, LoginStep, Refusal};
use crate::http::{Call, Fields, Reply};
use crate::ledger::Kind;
use crate::pages::{self, Events, Form, LogIn, Look, Questioned};
use crate::return_url;
use crate::state::{EmulatorState, Iframe, Login, Stage};

pub(in crate::rules) fn iframe(state: &mut EmulatorState, call: &Call) -> Reply {
    let look = call.look();
    let refuse = |status, message: &str| Reply::page(status, pages::refusal(look, message));
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
            "You must provide a valid authorize token. A token can be used only once and is valid for 30 minutes. \
             Request a new one with GenerateAuthorizeToken each time you open this page.",
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
    let mut iframe = Iframe {
        party,
        look,
        has_back: query.text("backEnable") != Some("false"),
        return_url,
        stage: Stage::Choosing,
        turn: 0,
        problem: None,
        user: None,
        events,
    };
    let page = iframe.page(&state.banks, &address, Some(&address));
    state.connect.iframes.insert(id, iframe, state.config.limits.pages);
    Reply::page(StatusCode::OK, page)
}

fn address(id: &str) -> String {
    format!("/__pages/connect/{id}")
}

pub(in crate::rules) fn iframe_step(state: &mut EmulatorState, call: &Call) -> Reply {
    let address = address(&call.parameter);
    let banks = state.banks.clone();
    let Some(iframe) = state.connect.iframes.get_mut(&call.parameter) else {
        return Reply::page(StatusCode::NOT_FOUND, pages::unknown_visit(Look::default()));
    };
    if call.method == Method::GET {
        return Reply::page(StatusCode::OK, iframe.page(&banks, &address, None));
    }
    let form = match call.form() {
        Ok(form) => form,
        Err(problem) => {
            return Reply::page(StatusCode::BAD_REQUEST, pages::refusal(iframe.look, &problem.message));
        }
    };
    let page = Reply::see_other(&address);
    // The Back button can show a form from an earlier step, and a double click submits a form
    // twice. Submitting an outdated form changes nothing. A script may omit the `step` field.
    if form.text("step").is_some_and(|step| step != iframe.step()) {
        return page;
    }
    if iframe.navigate(&form) {
        return page;
    }
    let party = iframe.party.clone();
    let field = |name| form.text(name).unwrap_or_default();
    let outcome = match iframe.stage {
        Stage::Choosing => {
            if let Some(bank) = banks.named(field("institution")) {
                iframe.proceed(Stage::LoggingIn { bank });
                iframe.events.step_with_institution("INSTITUTION_SELECTED", banks.name(bank));
            }
            return page;
        }
        Stage::LoggingIn { bank } => {
            iframe.user = banks.user_named(bank, field("username"));
            state.log_in(bank, field("username"), field("password"))
        }
        Stage::Questioned { user, question } => {
            let prompt = banks.question(user, question).map_or_else(String::new, |question| question.prompt.clone());
            let responses = BTreeMap::from([(prompt, vec![field("answer").to_owned()])]);
            let answered = state.require_bank(user.bank).and_then(|()| banks.answer(user, question, &responses));
            answered.map(|step| (user, step))
        }
        Stage::Connected { .. } | Stage::Cancelled => return page,
    };
    let login_id = match &outcome {
        Ok((user, LoginStep::LoggedIn)) => {
            let login = Login { user: *user, has_mfa: true, party };
            Some(state.connect.logins.add(login, state.config.limits.tokens))
        }
        _ => None,
    };
    let Some(iframe) = state.connect.iframes.get_mut(&call.parameter) else { return page };
    match outcome {
        Ok((user, LoginStep::LoggedIn)) => iframe.connect(banks.name(user.bank), &login_id.unwrap_or_default()),
        Ok((user, LoginStep::Questioned(question))) => iframe.proceed(Stage::Questioned { user, question }),
        Err(Refusal { code, .. }) => {
            iframe.turn = iframe.turn.wrapping_add(1);
            iframe.problem = Some(code);
            // The error code is also the name of the event.
            iframe.events.step(code);
        }
    }
    page
}

impl Iframe {
    /// Returns the page for the current stage, including the events that have not been sent yet.
    fn page(&mut self, banks: &Banks, action: &str, address: Option<&str>) -> Markup {
        let events = self.events.take();
        let step = self.step();
        let form = Form { action, step: &step };
        let Self { look, has_back, return_url, problem, .. } = self;
        let (look, has_back, problem) = (*look, *has_back, *problem);
        match &self.stage {
            Stage::Choosing => pages::choose_bank(look, &form, banks, return_url, address, &events),
            Stage::LoggingIn { bank } => {
                let visit = LogIn { look, banks, bank: *bank, user: self.user, problem, return_url };
                pages::log_in(&visit, &form, has_back, &events)
            }
            Stage::Questioned { user, question } => {
                let visit = Questioned { look, banks, user: *user, index: *question, problem, return_url };
                pages::question(&visit, &form, has_back, &events)
            }
            Stage::Connected { url } => {
                let bank = self.user.and_then(|user| banks.bank(user.bank));
                pages::connected(look, bank, url, &events)
            }
            Stage::Cancelled => pages::cancelled(look, &form, return_url, &events),
        }
    }

    /// Handles the Back, Cancel and Start over buttons, and adds the events that Flinks documents
    /// for them. Returns whether one of the buttons was pressed.
    fn navigate(&mut self, form: &Fields<String>) -> bool {
        let is_pressed = |name| form.get(name).is_some();
        if is_pressed("cancel") {
            if !matches!(self.stage, Stage::Connected { .. } | Stage::Cancelled) {
                self.proceed(Stage::Cancelled);
                self.user = None;
                self.events.step("COMPONENT_CLOSE_SESSION");
            }
            return true;
        }
        if !is_pressed("back") && !is_pressed("restart") {
            return false;
        }
        match self.stage {
            Stage::LoggingIn { .. } | Stage::Cancelled => {
                self.proceed(Stage::Choosing);
                self.events.step("COMPONENT_LOAD_INSTITUTION_SELECTOR");
            }
            Stage::Questioned { user, .. } => {
                self.proceed(Stage::LoggingIn { bank: user.bank });
                self.events.step("COMPONENT_LOAD_CREDENTIAL");
            }
            Stage::Choosing | Stage::Connected { .. } => {}
        }
        true
    }

    fn proceed(&mut self, stage: Stage) {
        self.turn = self.turn.wrapping_add(1);
        self.problem = None;
        self.stage = stage;
    }

    fn connect(&mut self, institution: &str, login_id: &str) {
        let parameters = [("loginId", Some(login_id)), ("institution", Some(institution))];
        let url = return_url::with_parameters(self.return_url.clone(), &parameters);
        self.events.redirect(institution, &url);
        self.proceed(Stage::Connected { url });
    }

    /// Returns the value of the `step` field in the current form.
    fn step(&self) -> String {
        let turn = self.turn;
        match &self.stage {
            Stage::Choosing => format!("institution-{turn}"),
            Stage::LoggingIn { .. } => format!("login-{turn}"),
            Stage::Questioned { question, .. } => format!("question-{question}-{turn}"),
            Stage::Connected { .. } => "connected".to_owned(),
            Stage::Cancelled => format!("cancelled-{turn}"),
        }
    }
}
