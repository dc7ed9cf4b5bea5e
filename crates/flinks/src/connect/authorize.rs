//! The `/Authorize` endpoint and a bank's security questions (C6).

use std::collections::HashMap;
use std::time::Duration;

use flinks_connect::types;
use flinks_core::{ResponseHead, Secret};
use serde::{Deserialize, Serialize};

use super::{AuthorizeToken, Client, LoginId, RequestId, error_body};
use crate::error::{Error, Kind, SpendError};
use crate::operation::Operation;
use crate::retry::RetryPolicy;
use crate::running_call::Success;
use crate::validate::{REPEATS_A_SECRET, is_echo};
use crate::{FlinksCode, Language};

impl Client {
    /// Authorizes an end user and spends the token. The request is sent at most once, because banks
    /// count failed login attempts. [C6, A5](crate::rules)
    ///
    /// The call may take minutes. The default timeout is 240 seconds; see
    /// [`Settings::bank_timeout`](crate::Settings::bank_timeout).
    ///
    /// # Errors
    ///
    /// Returns a [`SpendError`] that reports the token's fate. Use [`Error::flinks_code`] to find
    /// out the reason.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the token and the resulting session or challenge are lost,
    /// although the end user may have been authorized. If the caller may be cancelled, run the call
    /// in a separate task (`tokio::spawn`).
    pub async fn authorize(
        &self,
        token: AuthorizeToken,
        request: &Authorize,
    ) -> Result<Outcome, SpendError<AuthorizeToken>> {
        self.spend(token, &request.0).await
    }

    /// Answers a challenge and spends a new token. The outcome may be another challenge.
    ///
    /// ```no_run
    /// use flinks::connect::{Answers, Challenge, Client, Session};
    /// # fn ask_the_user(_: &str, _: &[String]) -> String { String::new() }
    ///
    /// async fn answer_all(client: &Client, mut challenge: Challenge) -> Result<Session, flinks::Error> {
    ///     loop {
    ///         let mut answers = Answers::new();
    ///         for question in challenge.questions() {
    ///             answers = answers.to(question, ask_the_user(question.prompt(), question.choices()));
    ///         }
    ///         let token = client.generate_authorize_token().await?; // a new token each time
    ///         challenge = match client.answer(token, challenge, &answers).await {
    ///             Ok(flinks::connect::Outcome::Complete(session)) => return Ok(session),
    ///             Ok(flinks::connect::Outcome::Challenge(next)) => next,
    ///             // The answer was wrong, so ask the same question again.
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
    /// Returns an [`AnswerError`], which contains the challenge if it can be answered again.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the token and the challenge are lost, and the bank may have
    /// counted the answer as an attempt. If the caller may be cancelled, run the call in a separate
    /// task (`tokio::spawn`).
    pub async fn answer(
        &self,
        token: AuthorizeToken,
        challenge: Challenge,
        answers: &Answers,
    ) -> Result<Outcome, AnswerError> {
        if let Err(error) = answers.check(&challenge) {
            let error = SpendError::new(token, error.in_operation(Operation::ConnectAuthorize));
            return Err(AnswerError { error, challenge: Some(challenge) });
        }
        let request = types::AuthorizeRequest::new()
            .request_id(challenge.request_id.clone())
            .security_responses(answers.0.clone());
        self.spend(token, &request).await.map_err(|error| {
            let reason = error.error();
            let can_be_answered_again = matches!(error, SpendError::Unspent(..))
                || reason.flinks_code().is_some_and(|code| WRONG_ANSWER_CODES.contains(code))
                || reason.is_token_refused()
                || reason.is_rate_limited();
            AnswerError { error, challenge: can_be_answered_again.then_some(challenge) }
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
            let response = self.http.authorize(&self.customer_id.0, secret, request).send().await;
            let response =
                response.map_err(|error| Error::from_call(Operation::ConnectAuthorize, error, error_body))?;
            let (head, response) = response.into_parts();
            // A request id that equals the token is not rejected as an echo: the token is spent,
            // and one page of the Flinks documentation calls the token "the RequestId".
            let password = request.password.as_ref().map(Secret::expose_secret);
            let is_echo = |received: &str| is_echo(received, password);
            let value = Outcome::from_response(response, &head, &is_echo)?;
            Ok(Success { status: head.status(), value })
        };
        let outcome =
            self.bank_executor.call(Operation::ConnectAuthorize, RetryPolicy::Never, LIVE_TIMEOUT, attempt).await;
        outcome.map_err(|error| SpendError::new(token, error))
    }
}

/// The error codes for wrong answers. After an error with one of these codes, the challenge can be
/// answered again.
const WRONG_ANSWER_CODES: [FlinksCode; 4] = [
    FlinksCode::INVALID_SECURITY_RESPONSE,
    FlinksCode::QUESTION_NOT_FOUND,
    FlinksCode::SECURITY_RESPONSES_INCOMPLETE,
    FlinksCode::UNKNOWN_CHALLENGE_KEY,
];
/// The default timeout for a call to `/Authorize`. A call that fetches live data from the bank can
/// take up to 210 seconds.
const LIVE_TIMEOUT: Duration = Duration::from_secs(240);

/// A request to authorize an end user.
#[derive(Clone, derive_more::Debug)]
#[debug("Authorize {{ .. }}")]
#[must_use = "the request does nothing until it is sent with `authorize`"]
pub struct Authorize(types::AuthorizeRequest);

impl Authorize {
    /// Creates a request for an end user who has connected before. Flinks uses its cached data
    /// (`MostRecentCached: true`).
    pub fn cached(login_id: &LoginId) -> Self {
        Self(Self::from_login_id(login_id).most_recent_cached(true))
    }

    /// Creates a request for an end user who has connected before. Flinks fetches the data from the
    /// bank (`MostRecentCached: false`). The bank may ask security questions, and the call may take
    /// minutes.
    pub fn live(login_id: &LoginId) -> Self {
        Self(Self::from_login_id(login_id).most_recent_cached(false))
    }

    /// Creates a live request for an end user who has returned from custom OAuth. Flinks keeps the
    /// connection (`Save: true`), for example to refresh it nightly. [C7](crate::rules)
    pub fn after_oauth(login_id: &LoginId) -> Self {
        Self::live(login_id).save(true)
    }

    /// Creates a live request with an end user's bank credentials. Flinks keeps the connection
    /// (`Save: true`). If possible, let the widget or the bank's own page collect the credentials
    /// instead.
    pub fn with_bank_credentials(
        institution: impl Into<String>,
        username: impl Into<Secret>,
        password: impl Into<Secret>,
    ) -> Self {
        let request = types::AuthorizeRequest::new().institution(institution).username(username).password(password);
        Self(request.most_recent_cached(false)).save(true)
    }

    fn from_login_id(login_id: &LoginId) -> types::AuthorizeRequest {
        types::AuthorizeRequest::new().login_id(Secret::new(login_id.expose_secret()))
    }

    /// Sets `Save`, which determines whether Flinks keeps the connection.
    pub fn save(self, save: bool) -> Self {
        Self(self.0.save(save))
    }

    /// Sets `Language`, the language of the security questions.
    pub fn language(self, language: Language) -> Self {
        Self(self.0.language(match language {
            Language::English => types::Language::En,
            Language::French => types::Language::Fr,
        }))
    }

    /// Sets `Tag`, a string of your choice that Flinks returns with the data.
    pub fn tag(self, tag: impl Into<String>) -> Self {
        Self(self.0.tag(tag))
    }
}

/// The outcome of `/Authorize`.
#[derive(Debug)]
#[must_use = "a challenge must be answered before the end user is authorized"]
pub enum Outcome {
    /// The end user is authenticated (200).
    Complete(Session),
    /// The bank asks security questions (203). The end user is not authenticated yet.
    Challenge(Challenge),
}

impl Outcome {
    /// Reads a response. `is_echo` returns whether a string equals the bank password in the
    /// request.
    fn from_response(
        response: types::AuthorizeResponse,
        head: &ResponseHead,
        is_echo: &dyn Fn(&str) -> bool,
    ) -> Result<Self, Error> {
        let malformed = |field, reason| Err(Error::malformed(Operation::ConnectAuthorize, head, field, reason));
        let id = |id: Option<Secret>| id.and_then(|id| RequestId::new(id).ok());
        match response {
            types::AuthorizeResponse::Session(session) => {
                if session.http_status_code.is_some_and(|status| status != 200) {
                    return malformed("HttpStatusCode", "is not 200, although the HTTP status is 200");
                }
                let Some(request_id) = id(session.request_id) else { return malformed("RequestId", "is missing") };
                if is_echo(request_id.expose_secret()) {
                    return malformed("RequestId", REPEATS_A_SECRET);
                }
                let login_id = session.login.and_then(|login| login.id).and_then(|id| LoginId::new(id).ok());
                if login_id.as_ref().is_some_and(|login_id| is_echo(login_id.expose_secret())) {
                    return malformed("Login.Id", REPEATS_A_SECRET);
                }
                let institution = session.institution.or(session.institution_name);
                Ok(Self::Complete(Session { request_id, login_id, institution }))
            }
            types::AuthorizeResponse::Challenge(challenge) => {
                if challenge.http_status_code.is_some_and(|status| status != 203) {
                    return malformed("HttpStatusCode", "is not 203, although the HTTP status is 203");
                }
                let Some(RequestId(request_id)) = id(challenge.request_id) else {
                    return malformed("RequestId", "is missing");
                };
                let mut questions = Vec::new();
                for asked in challenge.security_challenges.unwrap_or_default() {
                    let Some(prompt) = asked.prompt else {
                        return malformed("SecurityChallenges", "contains a question without a `Prompt`");
                    };
                    questions.push(Question { prompt, choices: asked.iterables.unwrap_or_default() });
                }
                if questions.is_empty() {
                    return malformed("SecurityChallenges", "is missing or empty");
                }
                Ok(Self::Challenge(Challenge { request_id, questions }))
            }
            _ => malformed("HttpStatusCode", "is not a documented value"),
        }
    }
}

/// The session of an authenticated end user.
#[derive(Clone, derive_more::Debug)]
#[debug("Session {{ .. }}")]
pub struct Session {
    request_id: RequestId,
    login_id: Option<LoginId>,
    institution: Option<String>,
}

impl Session {
    /// Returns the request id, which the data endpoints require.
    pub fn request_id(&self) -> &RequestId {
        &self.request_id
    }

    /// Returns the end user's login id. Pass it to later calls instead of bank credentials.
    pub fn login_id(&self) -> Option<&LoginId> {
        self.login_id.as_ref()
    }

    /// Returns the bank's name as the server sent it.
    pub fn institution(&self) -> Option<&str> {
        self.institution.as_deref()
    }
}

/// The security questions from a bank.
///
/// [`Client::answer`] takes the challenge by value, so the challenge can be answered only once. You
/// can serialize the challenge into the end user's session, in case a different machine receives
/// the answer. Treat the challenge as a secret.
#[derive(Serialize, Deserialize, derive_more::Debug)]
#[debug("Challenge {{ questions: {}, .. }}", questions.len())]
#[must_use = "the end user is not authorized until the challenge is answered"]
pub struct Challenge {
    request_id: Secret,
    questions: Vec<Question>,
}

impl Challenge {
    /// Returns the questions; there is at least one. Their text comes from the bank and is
    /// untrusted.
    pub fn questions(&self) -> &[Question] {
        &self.questions
    }
}

/// A security question from a bank.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, derive_more::Debug)]
#[debug("Question {{ choices: {}, .. }}", choices.len())]
pub struct Question {
    prompt: String,
    choices: Vec<String>,
}

impl Question {
    /// Returns the text of the question.
    pub fn prompt(&self) -> &str {
        &self.prompt
    }

    /// Returns the answers that the end user can choose from. If the list is empty, any answer is
    /// allowed.
    pub fn choices(&self) -> &[String] {
        &self.choices
    }
}

/// The answers to a [`Challenge`].
#[derive(Default, derive_more::Debug)]
#[debug("Answers {{ .. }}")]
#[must_use = "answers do nothing until they are sent with `answer`"]
pub struct Answers(HashMap<String, Vec<Secret>>);

impl Answers {
    /// Creates an empty set of answers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an answer to a question. Some questions take several answers, so a second answer does
    /// not replace the first.
    pub fn to(mut self, question: &Question, answer: impl Into<Secret>) -> Self {
        self.0.entry(question.prompt.clone()).or_default().push(answer.into());
        self
    }

    /// Checks that each question has an answer and that each answer belongs to a question.
    fn check(&self, challenge: &Challenge) -> Result<(), Error> {
        let is_asked = |prompt: &String| challenge.questions.iter().any(|question| question.prompt == *prompt);
        if !self.0.keys().all(is_asked) {
            return Err(Error::input("answers", "must not include an answer to a question that was not asked"));
        }
        if !challenge.questions.iter().all(|question| self.0.contains_key(&question.prompt)) {
            return Err(Error::input("answers", "must include an answer to every question"));
        }
        Ok(())
    }
}

/// An error from [`Client::answer`].
#[derive(Debug, derive_more::Display)]
#[display("{error}")]
#[must_use = "the error may contain the challenge, which can be answered again"]
pub struct AnswerError {
    error: SpendError<AuthorizeToken>,
    challenge: Option<Challenge>,
}

impl AnswerError {
    /// Returns the underlying error, which reports the token's fate.
    pub fn error(&self) -> &SpendError<AuthorizeToken> {
        &self.error
    }

    /// Returns the challenge if it can be answered again.
    ///
    /// The challenge is returned if nothing was sent or the bank rejected the answer. It is also
    /// returned if the token was refused or a rate limit was exceeded, because the answer was not
    /// checked in these cases.
    pub fn challenge(&self) -> Option<&Challenge> {
        self.challenge.as_ref()
    }

    /// Splits this error into the underlying error and the challenge. The second value is `None` if
    /// the challenge cannot be answered again.
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
