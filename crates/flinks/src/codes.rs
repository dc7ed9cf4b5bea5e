//! What Connect and Outbound call their errors.

use std::fmt;

/// A `FlinksCode`: what Connect's errors are told apart by, for their HTTP status is no category (C6).
///
/// Which codes there are, and what they mean, is told on several of Flinks' pages. A code that is not here is kept as text.
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FlinksCode {
    /// `ACCESS_DENIED`: `/Authorize` got no valid authorize token.
    AccessDenied,
    /// `AGGREGATION_ERROR`: something failed at Flinks.
    AggregationError,
    /// `ALREADY_AUTHORIZED`: the session needs no answer any more.
    AlreadyAuthorized,
    /// `CARD_IN_USE`: another call is at work on the same login.
    CardInUse,
    /// `CONCURRENT_SESSION`: another session is open at the bank.
    ConcurrentSession,
    /// `DISABLED_INSTITUTION`: the bank is not available.
    DisabledInstitution,
    /// `DISABLED_LOGIN`: the bank has locked the end user out, who must act there.
    DisabledLogin,
    /// `INVALID_LOGIN`: the `LoginId` is not known, or of another customer; or the bank refused user name and password.
    InvalidLogin,
    /// `INVALID_PASSWORD`: the bank refused the password.
    InvalidPassword,
    /// `INVALID_REQUEST`: the request is incomplete or malformed.
    InvalidRequest,
    /// `INVALID_SECURITY_RESPONSE`: the bank refused an answer.
    InvalidSecurityResponse,
    /// `INVALID_USERNAME`: the bank refused the user name.
    InvalidUsername,
    /// `NEW_ACCOUNT`: the end user must act at the bank first, such as accept its terms.
    NewAccount,
    /// `OPERATION_DISPATCHED`: still running.
    OperationDispatched,
    /// `OPERATION_PENDING`: still running.
    OperationPending,
    /// `QUESTION_NOT_FOUND`: an answer is to a prompt that was not asked.
    QuestionNotFound,
    /// `RETRY_LATER`: the bank is out of reach.
    RetryLater,
    /// `SECURITYRESPONSES_INCOMPLETE`: a prompt has no answer.
    SecurityResponsesIncomplete,
    /// `SESSION_EXPIRED`: the `RequestId` has expired.
    SessionExpired,
    /// `SESSION_NONEXISTENT`: the `RequestId` is not known.
    SessionNonexistent,
    /// `TOO_MANY_REQUESTS`: a rate limit.
    TooManyRequests,
    /// `UNAUTHORIZED`: from `/GenerateAuthorizeToken`, the secret key was refused; from `/Authorize`, the bank refused.
    Unauthorized,
    /// `UNKNOWN_CHALLENGE_KEY`: an answer is to a prompt that is not known.
    UnknownChallengeKey,
    /// Another, as the server wrote it: take care where it is shown.
    Other(String),
}

use FlinksCode::*;

impl FlinksCode {
    const KNOWN: [(&'static str, Self); 23] = [
        ("ACCESS_DENIED", AccessDenied),
        ("AGGREGATION_ERROR", AggregationError),
        ("ALREADY_AUTHORIZED", AlreadyAuthorized),
        ("CARD_IN_USE", CardInUse),
        ("CONCURRENT_SESSION", ConcurrentSession),
        ("DISABLED_INSTITUTION", DisabledInstitution),
        ("DISABLED_LOGIN", DisabledLogin),
        ("INVALID_LOGIN", InvalidLogin),
        ("INVALID_PASSWORD", InvalidPassword),
        ("INVALID_REQUEST", InvalidRequest),
        ("INVALID_SECURITY_RESPONSE", InvalidSecurityResponse),
        ("INVALID_USERNAME", InvalidUsername),
        ("NEW_ACCOUNT", NewAccount),
        ("OPERATION_DISPATCHED", OperationDispatched),
        ("OPERATION_PENDING", OperationPending),
        ("QUESTION_NOT_FOUND", QuestionNotFound),
        ("RETRY_LATER", RetryLater),
        ("SECURITYRESPONSES_INCOMPLETE", SecurityResponsesIncomplete),
        ("SESSION_EXPIRED", SessionExpired),
        ("SESSION_NONEXISTENT", SessionNonexistent),
        ("TOO_MANY_REQUESTS", TooManyRequests),
        ("UNAUTHORIZED", Unauthorized),
        ("UNKNOWN_CHALLENGE_KEY", UnknownChallengeKey),
    ];

    /// The code as Flinks writes it.
    pub fn as_str(&self) -> &str {
        match self {
            Other(code) => code,
            known => Self::KNOWN.iter().find(|(_, code)| code == known).map_or("", |(name, _)| name),
        }
    }

    pub(crate) fn parse(text: String) -> Self {
        Self::KNOWN.iter().find(|(name, _)| *name == text).map_or(Other(text), |(_, code)| code.clone())
    }
}

/// A code that is not known is text of the server's, and is not shown (A6).
impl fmt::Debug for FlinksCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Other(_) => f.write_str("Other(..)"),
            known => f.write_str(known.as_str()),
        }
    }
}

/// An `error` of Outbound: what its failures are told apart by, never their text (O7).
///
/// The codes are those of RFC 6749, sections 4.1.2.1 and 5.2, and RFC 7009, as Flinks lists them. Another is kept as text.
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OAuthError {
    /// `access_denied`: the end user refused.
    AccessDenied,
    /// `invalid_client`: the client id or secret is wrong.
    InvalidClient,
    /// `invalid_grant`: the code or the refresh token is no longer valid; the end user must consent again.
    InvalidGrant,
    /// `invalid_request`: the request is incomplete or malformed.
    InvalidRequest,
    /// `invalid_scope`: the scope is not known, or not allowed.
    InvalidScope,
    /// `server_error`: something failed at Flinks.
    ServerError,
    /// `temporarily_unavailable`: later.
    TemporarilyUnavailable,
    /// `unauthorized_client`: the client may not do this.
    UnauthorizedClient,
    /// `unsupported_grant_type`: the grant is not offered.
    UnsupportedGrantType,
    /// `unsupported_response_type`: the response type is not offered.
    UnsupportedResponseType,
    /// `unsupported_token_type`: this kind of token cannot be revoked.
    UnsupportedTokenType,
    /// Another, as the server wrote it: take care where it is shown.
    Other(String),
}

impl OAuthError {
    const KNOWN: [(&'static str, Self); 11] = [
        ("access_denied", Self::AccessDenied),
        ("invalid_client", Self::InvalidClient),
        ("invalid_grant", Self::InvalidGrant),
        ("invalid_request", Self::InvalidRequest),
        ("invalid_scope", Self::InvalidScope),
        ("server_error", Self::ServerError),
        ("temporarily_unavailable", Self::TemporarilyUnavailable),
        ("unauthorized_client", Self::UnauthorizedClient),
        ("unsupported_grant_type", Self::UnsupportedGrantType),
        ("unsupported_response_type", Self::UnsupportedResponseType),
        ("unsupported_token_type", Self::UnsupportedTokenType),
    ];

    /// The code as it is written.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Other(code) => code,
            known => Self::KNOWN.iter().find(|(_, code)| code == known).map_or("", |(name, _)| name),
        }
    }

    pub(crate) fn parse(text: String) -> Self {
        Self::KNOWN.iter().find(|(name, _)| *name == text).map_or(Self::Other(text), |(_, code)| code.clone())
    }
}

/// A code that is not known is text of the server's, and is not shown (A6).
impl fmt::Debug for OAuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(_) => f.write_str("Other(..)"),
            known => f.write_str(known.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c6_o7_every_code_is_read_and_written() {
        for (name, code) in FlinksCode::KNOWN {
            assert_eq!((FlinksCode::parse(name.to_owned()), code.as_str()), (code.clone(), name));
        }
        for (name, code) in OAuthError::KNOWN {
            assert_eq!((OAuthError::parse(name.to_owned()), code.as_str()), (code.clone(), name));
        }
        assert_eq!(format!("{:?}", OAuthError::parse("canary".to_owned())), "Other(..)");
        let other = FlinksCode::parse("canary".to_owned());
        assert_eq!((other.as_str(), format!("{other:?}").as_str()), ("canary", "Other(..)"));
    }
}
