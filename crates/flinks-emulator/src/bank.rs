//! FlinksCapital, the bank in Flinks' sandbox: its users and its security questions.

use std::collections::BTreeMap;

use crate::credentials::*;

/// A Connect error: `{HttpStatusCode, Message, FlinksCode}`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) message: &'static str,
}

impl Refusal {
    pub(crate) const fn new(status: u16, code: &'static str, message: &'static str) -> Self {
        Self { status, code, message }
    }
}

/// The answers, by prompt.
pub(crate) type Responses = BTreeMap<String, Vec<String>>;

/// The next step of a login.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    LoggedIn,
    /// The bank asks the security question with this index.
    Questioned(usize),
}

pub(crate) struct Question {
    pub(crate) prompt: &'static str,
    /// The possible answers, or an empty slice if the answer is free text.
    pub(crate) choices: &'static [&'static str],
    answer: &'static str,
}

/// The security questions, in the order the bank asks them.
const QUESTIONS: [Question; 3] = [
    Question { prompt: "What city were you born in?", choices: &[], answer: "Montreal" },
    Question { prompt: "What is the best country?", choices: &[], answer: "Canada" },
    Question { prompt: "What shape do you like?", choices: &["Circle", "Square", "Triangle"], answer: "Triangle" },
];

pub(crate) fn question(index: usize) -> Option<&'static Question> {
    QUESTIONS.get(index)
}

pub(crate) fn questions() -> impl Iterator<Item = &'static Question> {
    QUESTIONS.iter()
}

impl Question {
    /// Returns the answer that the bank accepts.
    pub(crate) fn answer(&self) -> &'static str {
        self.answer
    }
}

pub(crate) fn log_in(username: &str, password: &str) -> Result<Step, Refusal> {
    if ![BANK_USER, BANK_USER_NO_MFA, BANK_USER_DISABLED, BANK_USER_UNAVAILABLE].contains(&username) {
        return Err(Refusal::new(401, "INVALID_USERNAME", "The user name is unknown to the bank"));
    }
    if password != BANK_PASSWORD {
        return Err(Refusal::new(401, "INVALID_PASSWORD", "The bank rejected the password"));
    }
    log_in_again(username)
}

/// Logs in without a password, as Flinks does for an existing login.
pub(crate) fn log_in_again(username: &str) -> Result<Step, Refusal> {
    match username {
        BANK_USER_DISABLED => Err(Refusal::new(401, "DISABLED_LOGIN", "The bank has disabled the login")),
        BANK_USER_UNAVAILABLE => Err(Refusal::new(401, "RETRY_LATER", "The bank is unavailable")),
        BANK_USER => Ok(Step::Questioned(0)),
        _ => Ok(Step::LoggedIn),
    }
}

/// Checks the answer to a question. The responses must contain exactly one answer, under a prompt
/// that matches the question byte for byte.
pub(crate) fn answer(index: usize, responses: &Responses) -> Result<Step, Refusal> {
    let Some(question) = question(index) else { return Ok(Step::LoggedIn) };
    if responses.keys().any(|prompt| prompt != question.prompt) {
        return Err(Refusal::new(401, "QUESTION_NOT_FOUND", "A prompt does not match the bank's question"));
    }
    let Some([answer]) = responses.get(question.prompt).map(Vec::as_slice) else {
        return Err(Refusal::new(401, "SECURITYRESPONSES_INCOMPLETE", "Each prompt must have exactly one answer"));
    };
    if answer != question.answer {
        return Err(Refusal::new(401, "INVALID_SECURITY_RESPONSE", "The bank rejected the answer"));
    }
    let next = index.saturating_add(1);
    if next == QUESTIONS.len() {
        return Ok(Step::LoggedIn);
    }
    Ok(Step::Questioned(next))
}
