//! FlinksCapital, the bank of Flinks' sandbox: its users and the questions that it asks.

use std::collections::BTreeMap;

use crate::credentials::*;

/// What Connect says of a failure: `{HttpStatusCode, Message, FlinksCode}`.
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

/// Under each prompt, its answers.
pub(crate) type Responses = BTreeMap<String, Vec<String>>;

/// How far a user has come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    LoggedIn,
    /// The bank asks [`QUESTIONS`] of this index.
    Asked(usize),
}

pub(crate) struct Question {
    pub(crate) prompt: &'static str,
    /// The answers to choose from; none where any text may be given.
    pub(crate) choices: &'static [&'static str],
    answer: &'static str,
}

/// What a user with MFA is asked, one after the other.
const QUESTIONS: [Question; 3] = [
    Question { prompt: "What city were you born in?", choices: &[], answer: "Montreal" },
    Question { prompt: "What is the best country?", choices: &[], answer: "Canada" },
    Question { prompt: "What shape do you like?", choices: &["Circle", "Square", "Triangle"], answer: "Triangle" },
];

pub(crate) fn question(asked: usize) -> Option<&'static Question> {
    QUESTIONS.get(asked)
}

pub(crate) fn log_in(username: &str, password: &str) -> Result<Step, Refusal> {
    if ![BANK_USER, BANK_USER_NO_MFA, BANK_USER_DISABLED, BANK_USER_UNAVAILABLE].contains(&username) {
        return Err(Refusal::new(401, "INVALID_USERNAME", "The bank does not know the user name"));
    }
    if password != BANK_PASSWORD {
        return Err(Refusal::new(401, "INVALID_PASSWORD", "The bank refused the password"));
    }
    visit(username)
}

/// Comes back without a password, as Flinks does with a login that it has.
pub(crate) fn visit(username: &str) -> Result<Step, Refusal> {
    match username {
        BANK_USER_DISABLED => Err(Refusal::new(401, "DISABLED_LOGIN", "The bank has disabled the login")),
        BANK_USER_UNAVAILABLE => Err(Refusal::new(401, "RETRY_LATER", "The bank is out of reach")),
        BANK_USER => Ok(Step::Asked(0)),
        _ => Ok(Step::LoggedIn),
    }
}

/// Answers the question that a user was asked: under its prompt, byte for byte, one answer.
pub(crate) fn answer(asked: usize, responses: &Responses) -> Result<Step, Refusal> {
    let Some(question) = question(asked) else { return Ok(Step::LoggedIn) };
    if responses.keys().any(|prompt| prompt != question.prompt) {
        return Err(Refusal::new(401, "QUESTION_NOT_FOUND", "A prompt is not one that was asked"));
    }
    let Some([answer]) = responses.get(question.prompt).map(Vec::as_slice) else {
        return Err(Refusal::new(401, "SECURITYRESPONSES_INCOMPLETE", "Each prompt must have one answer"));
    };
    if answer != question.answer {
        return Err(Refusal::new(401, "INVALID_SECURITY_RESPONSE", "The bank refused the answer"));
    }
    Ok(match QUESTIONS.len() > asked.saturating_add(1) {
        true => Step::Asked(asked.saturating_add(1)),
        false => Step::LoggedIn,
    })
}
