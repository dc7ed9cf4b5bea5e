//! `/Authorize`, and what the bank asks (C6).

use std::collections::HashMap;
use std::time::Duration;

use flinks_connect::types;
use flinks_core::{ResponseHead, Secret};
use serde::{Deserialize, Serialize};

use super::{AuthorizeToken, Client, LoginId, RequestId, error_body};
use crate::error::{Error, Kind, SpendError};
use crate::operation::Operation;
use crate::retry::RetryPolicy;
use crate::validate::{ECHO, is_echo};
use crate::{FlinksCode, Language};

impl Client {
    /// Spends a token on an end user (C6). It is sent once, whatever comes of it (A5): a bank counts wrong passwords.
    ///
    /// It may take minutes. The timeout is 240 seconds by default; [`Settings::bank_timeout`](crate::Settings::bank_timeout)
    /// changes it.
    ///
    /// # Errors
    ///
    /// A [`SpendError`] that says what became of the token. Tell its reasons apart by [`Error::flinks_code`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the token is lost. The end user may have been authorized, and the session or challenge is lost: run the call in
    /// a separate task (`tokio::spawn`) if the caller may be dropped.
    pub async fn authorize(
        &self,
        token: AuthorizeToken,
        request: &Authorize,
    ) -> Result<Outcome, SpendError<AuthorizeToken>> {
        self.spend(token, &request.0).await
    }

    /// Spends a fresh token on the answers to a challenge. What comes of it may be another challenge.
    ///
    /// ```no_run
    /// use flinks::connect::{Answers, Challenge, Client, Session};
    /// # fn ask_the_user(_: &str, _: &[String]) -> String { String::new() }
    ///
    /// async fn all_answered(client: &Client, mut challenge: Challenge) -> Result<Session, flinks::Error> {
    ///     loop {
    ///         let mut answers = Answers::new();
    ///         for question in challenge.questions() {
    ///             answers = answers.to(question, ask_the_user(question.prompt(), question.choices()));
    ///         }
    ///         let token = client.generate_authorize_token().await?; // a fresh one each time
    ///         challenge = match client.answer(token, challenge, &answers).await {
    ///             Ok(flinks::connect::Outcome::Complete(session)) => return Ok(session),
    ///             Ok(flinks::connect::Outcome::Challenge(next)) => next,
    ///             // A wrong answer: the same question again.
    ///             Err(error) => match error.into_parts() {
    ///                 (reason, Some(again)) if reason.error().needs_user() => again,
    ///                 (reason, _) => return Err(reason.into()),
    ///             },
    ///         };
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// An [`AnswerError`], with the challenge where it can be answered again.
    ///
    /// # Cancel safety
    ///
    /// As [`authorize`](Self::authorize). The challenge is lost, too, and the bank may have counted the answer.
    pub async fn answer(
        &self,
        token: AuthorizeToken,
        challenge: Challenge,
        answers: &Answers,
    ) -> Result<Outcome, AnswerError> {
        if let Err(error) = answers.fit(&challenge) {
            let error = SpendError::new(token, error.in_operation(Operation::ConnectAuthorize));
            return Err(AnswerError { error, challenge: Some(challenge) });
        }
        let request = types::AuthorizeRequest::new()
            .request_id(challenge.request_id.clone())
            .security_responses(answers.0.clone());
        self.spend(token, &request).await.map_err(|error| {
            let reason = error.error();
            let is_open = matches!(error, SpendError::Unspent(..))
                || reason.flinks_code().is_some_and(|code| OF_THE_ANSWER.contains(code))
                || reason.is_token_refused()
                || reason.is_rate_limited();
            AnswerError { error, challenge: is_open.then_some(challenge) }
        })
    }

    async fn spend(
        &self,
        token: AuthorizeToken,
        request: &types::AuthorizeRequest,
    ) -> Result<Outcome, SpendError<AuthorizeToken>> {
        if token.is_expired() {
            return Err(SpendError::new(token, Error::new(Operation::ConnectAuthorize, Kind::ExpiredLocally)));
        }
        let secret = &token.secret;
        let attempt = || async move {
            let reply = self.http.authorize(&self.customer_id.0, secret, request).send().await;
            let reply = reply.map_err(|error| Error::from_call(Operation::ConnectAuthorize, error, error_body))?;
            let head = reply.head().clone();
            // Not the token: it is spent, and Flinks' pages call it "the RequestId" in one place.
            let password = request.password.as_ref().map(Secret::expose_secret);
            Outcome::of(reply.into_inner(), &head, &|replied| is_echo(replied, password))
        };
        let outcome =
            self.bank_executor.call(Operation::ConnectAuthorize, RetryPolicy::Never, LIVE_TIMEOUT, attempt).await;
        outcome.map_err(|error| SpendError::new(token, error))
    }
}

/// The answer was wrong, and the question stands.
const OF_THE_ANSWER: [FlinksCode; 4] = [
    FlinksCode::INVALID_SECURITY_RESPONSE,
    FlinksCode::QUESTION_NOT_FOUND,
    FlinksCode::SECURITY_RESPONSES_INCOMPLETE,
    FlinksCode::UNKNOWN_CHALLENGE_KEY,
];
/// A live call may take 210 seconds.
const LIVE_TIMEOUT: Duration = Duration::from_secs(240);

/// Whom to authorize, and how.
#[derive(Clone, derive_more::Debug)]
#[debug("Authorize {{ .. }}")]
#[must_use = "nothing is authorized until this is sent with `authorize`"]
pub struct Authorize(types::AuthorizeRequest);

impl Authorize {
    /// An end user who has connected, from what Flinks has stored (`MostRecentCached: true`).
    pub fn cached(login_id: &LoginId) -> Self {
        Self(Self::of(login_id).most_recent_cached(true))
    }

    /// An end user who has connected, from the bank (`MostRecentCached: false`): it may ask, and take minutes.
    pub fn live(login_id: &LoginId) -> Self {
        Self(Self::of(login_id).most_recent_cached(false))
    }

    /// An end user who comes from custom OAuth: live, and kept for nightly refreshes and more (`Save: true`, C7).
    pub fn after_oauth(login_id: &LoginId) -> Self {
        Self::live(login_id).save(true)
    }

    /// An end user whose user name and password for the bank you hold: live, and kept. Where you can, let the widget or the
    /// bank's own page ask for them instead.
    pub fn with_bank_credentials(
        institution: impl Into<String>,
        username: impl Into<Secret>,
        password: impl Into<Secret>,
    ) -> Self {
        let request = types::AuthorizeRequest::new().institution(institution).username(username).password(password);
        Self(request.most_recent_cached(false)).save(true)
    }

    fn of(login_id: &LoginId) -> types::AuthorizeRequest {
        types::AuthorizeRequest::new().login_id(Secret::new(login_id.expose_secret()))
    }

    /// `Save`: whether Flinks keeps the connection.
    pub fn save(self, is_kept: bool) -> Self {
        Self(self.0.save(is_kept))
    }

    /// Sets `Language`, that of the bank's questions.
    pub fn language(self, language: Language) -> Self {
        Self(self.0.language(match language {
            Language::English => types::Language::En,
            Language::French => types::Language::Fr,
        }))
    }

    /// `Tag`: a text of yours that comes back with the data.
    pub fn tag(self, tag: impl Into<String>) -> Self {
        Self(self.0.tag(tag))
    }
}

/// What comes of `/Authorize`.
#[derive(Debug)]
#[must_use = "a challenge is not a success yet"]
pub enum Outcome {
    /// The end user is authenticated (200).
    Complete(Session),
    /// The bank asks more (203): this is no success yet.
    Challenge(Challenge),
}

impl Outcome {
    /// Reads a reply. `is_echo` returns whether a text is the bank password that the request sent.
    fn of(reply: types::AuthorizeResponse, head: &ResponseHead, is_echo: &dyn Fn(&str) -> bool) -> Result<Self, Error> {
        let malformed = |field, reason| Err(Error::malformed(Operation::ConnectAuthorize, head, field, reason));
        let id = |id: Option<Secret>| id.and_then(|id| RequestId::new(id).ok());
        match reply {
            types::AuthorizeResponse::Session(session) => {
                if session.http_status_code.is_some_and(|status| status != 200) {
                    return malformed("HttpStatusCode", "is not 200, though the status is");
                }
                let Some(request_id) = id(session.request_id) else { return malformed("RequestId", "is missing") };
                if is_echo(request_id.expose_secret()) {
                    return malformed("RequestId", ECHO);
                }
                let login_id = session.login.and_then(|login| login.id).and_then(|id| LoginId::new(id).ok());
                if login_id.as_ref().is_some_and(|login_id| is_echo(login_id.expose_secret())) {
                    return malformed("Login.Id", ECHO);
                }
                let institution = session.institution.or(session.institution_name);
                Ok(Self::Complete(Session { request_id, login_id, institution }))
            }
            types::AuthorizeResponse::Challenge(challenge) => {
                if challenge.http_status_code.is_some_and(|status| status != 203) {
                    return malformed("HttpStatusCode", "is not 203, though the status is");
                }
                let Some(RequestId(request_id)) = id(challenge.request_id) else {
                    return malformed("RequestId", "is missing");
                };
                let mut questions = Vec::new();
                for asked in challenge.security_challenges.unwrap_or_default() {
                    let Some(prompt) = asked.prompt else { return malformed("SecurityChallenges", "has no Prompt") };
                    questions.push(Question { prompt, choices: asked.iterables.unwrap_or_default() });
                }
                match questions.is_empty() {
                    true => malformed("SecurityChallenges", "is missing or empty"),
                    false => Ok(Self::Challenge(Challenge { request_id, questions })),
                }
            }
            _ => malformed("HttpStatusCode", "has no known meaning"),
        }
    }
}

/// An authenticated end user.
#[derive(Clone, derive_more::Debug)]
#[debug("Session {{ .. }}")]
pub struct Session {
    request_id: RequestId,
    login_id: Option<LoginId>,
    institution: Option<String>,
}

impl Session {
    /// What the data endpoints ask for.
    pub fn request_id(&self) -> &RequestId {
        &self.request_id
    }

    /// The end user's login, with which later calls need no bank password.
    pub fn login_id(&self) -> Option<&LoginId> {
        self.login_id.as_ref()
    }

    /// The bank, as the server names it.
    pub fn institution(&self) -> Option<&str> {
        self.institution.as_deref()
    }
}

/// What the bank asks. It is answered by value, once, with [`Client::answer`]. It can be stored in the end user's session
/// until they answer, as a secret, for another machine may get the answer.
#[derive(Serialize, Deserialize, derive_more::Debug)]
#[debug("Challenge {{ questions: {}, .. }}", questions.len())]
#[must_use = "the session ends without an answer"]
pub struct Challenge {
    request_id: Secret,
    questions: Vec<Question>,
}

impl Challenge {
    /// The questions, of which there is at least one. The bank wrote them.
    pub fn questions(&self) -> &[Question] {
        &self.questions
    }
}

/// One question of the bank's.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, derive_more::Debug)]
#[debug("Question {{ choices: {}, .. }}", choices.len())]
pub struct Question {
    prompt: String,
    choices: Vec<String>,
}

impl Question {
    /// The text to show.
    pub fn prompt(&self) -> &str {
        &self.prompt
    }

    /// The answers to choose from; empty where any text may be given.
    pub fn choices(&self) -> &[String] {
        &self.choices
    }
}

/// Answers to a [`Challenge`].
#[derive(Default, derive_more::Debug)]
#[debug("Answers {{ .. }}")]
#[must_use = "answers do nothing until they are sent with `answer`"]
pub struct Answers(HashMap<String, Vec<Secret>>);

impl Answers {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// With the answer to a question. Another to the same question is added, for some take several.
    pub fn to(mut self, question: &Question, answer: impl Into<Secret>) -> Self {
        self.0.entry(question.prompt.clone()).or_default().push(answer.into());
        self
    }

    /// Whether each question has an answer, and each answer its question.
    fn fit(&self, challenge: &Challenge) -> Result<(), Error> {
        let is_asked = |prompt: &String| challenge.questions.iter().any(|question| question.prompt == *prompt);
        if !self.0.keys().all(is_asked) {
            return Err(Error::input("answers", "hold one to a question that was not asked"));
        }
        if !challenge.questions.iter().all(|question| self.0.contains_key(&question.prompt)) {
            return Err(Error::input("answers", "leave out a question"));
        }
        Ok(())
    }
}

/// Why an answer failed.
#[derive(Debug, derive_more::Display)]
#[display("{error}")]
#[must_use = "it may hold the challenge, which can be answered again"]
pub struct AnswerError {
    error: SpendError<AuthorizeToken>,
    challenge: Option<Challenge>,
}

impl AnswerError {
    /// Returns what went wrong, and what became of the token.
    pub fn error(&self) -> &SpendError<AuthorizeToken> {
        &self.error
    }

    /// Returns the challenge if it can be answered again: nothing was sent, the bank refused the answer, or nobody has looked at
    /// it, because the token was refused or there is a rate limit.
    pub fn challenge(&self) -> Option<&Challenge> {
        self.challenge.as_ref()
    }

    /// Returns both by value, to answer the challenge again.
    pub fn into_parts(self) -> (SpendError<AuthorizeToken>, Option<Challenge>) {
        (self.error, self.challenge)
    }
}

impl std::error::Error for AnswerError {}

impl From<AnswerError> for Error {
    fn from(error: AnswerError) -> Self {
        error.error.into_error()
    }
}
