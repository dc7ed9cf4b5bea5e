//! The predicates of an error.

use flinks_core::TransportErrorKind;

use super::error::Error;
use super::kind::Kind;
use crate::operation::{Operation, Product};
use crate::{FlinksCode, OAuthError};

impl Error {
    /// The credentials were refused: Pay's user name and password (P6; that 400 has no body, so it may also be about the request
    /// itself), Connect's secret key ("You must provide a valid auth key"), or Outbound's client id and secret.
    ///
    /// Flinks advises to check which of two values went where: the secret key goes to `/GenerateAuthorizeToken` only, and
    /// the token to `/Authorize` or the iframe only. The types of this crate ensure that, so check the key itself, its
    /// instance and its customer id. Flinks rotates credentials that may be known to others.
    pub fn is_credentials(&self) -> bool {
        let Some(operation) = self.0.operation else { return false };
        match operation.product() {
            Product::Pay => operation == Operation::PayAuthorize && matches!(self.status(), Some(400 | 401)),
            Product::Connect => {
                operation == Operation::ConnectGenerateAuthorizeToken
                    && self.has_flinks_code(&[FlinksCode::UNAUTHORIZED])
            }
            Product::Outbound => self.has_oauth_error(&[OAuthError::INVALID_CLIENT, OAuthError::UNAUTHORIZED_CLIENT]),
        }
    }

    /// A token was refused ("You must provide a valid authorize token"; for Pay, a 401 in reply to a session; for Outbound, a 401
    /// in reply to a revocation).
    ///
    /// It was spent already, has expired, or belongs to another customer or environment. Flinks advises to get a new token for
    /// each attempt.
    pub fn is_token_refused(&self) -> bool {
        match self.0.operation {
            Some(Operation::ConnectAuthorize) => self.has_flinks_code(&[FlinksCode::ACCESS_DENIED]),
            Some(Operation::OutboundRevoke) => self.status() == Some(401) && !self.is_credentials(),
            Some(Operation::PayInitiateSession) => matches!(self.0.kind, Kind::Rejected) && self.status() == Some(401),
            _ => false,
        }
    }

    /// The end user must do something: enter another user name, password or answer, or act at the bank (C6); or they
    /// refused on the bank's page (C7).
    pub fn needs_user(&self) -> bool {
        self.has_oauth_error(&[OAuthError::ACCESS_DENIED])
            || self.has_flinks_code(&[
                FlinksCode::DISABLED_LOGIN,
                FlinksCode::INVALID_LOGIN,
                FlinksCode::INVALID_PASSWORD,
                FlinksCode::INVALID_SECURITY_RESPONSE,
                FlinksCode::INVALID_USERNAME,
                FlinksCode::NEW_ACCOUNT,
                FlinksCode::QUESTION_NOT_FOUND,
                FlinksCode::SECURITY_RESPONSES_INCOMPLETE,
                FlinksCode::UNKNOWN_CHALLENGE_KEY,
            ])
    }

    /// There is a rate limit: 429, or `TOO_MANY_REQUESTS` with any status (C6). [`retry_after`](Self::retry_after) may say for how
    /// long.
    pub fn is_rate_limited(&self) -> bool {
        self.status() == Some(429)
            || self.has_flinks_code(&[FlinksCode::TOO_MANY_REQUESTS])
            || self.oauth_error().is_some_and(|code| code.as_str() == FlinksCode::TOO_MANY_REQUESTS.as_str())
    }

    /// The same call may succeed later: the network, the server or the bank failed, or there is a rate limit.
    ///
    /// This says nothing about a token that the call would have spent: [`SpendError`](crate::SpendError) does.
    pub fn is_transient(&self) -> bool {
        const BUSY_OR_FAILED: [FlinksCode; 4] = [
            FlinksCode::AGGREGATION_ERROR,
            FlinksCode::CARD_IN_USE,
            FlinksCode::CONCURRENT_SESSION,
            FlinksCode::RETRY_LATER,
        ];
        match self.0.kind {
            Kind::NotSent(kind) | Kind::Interrupted(kind) => !matches!(
                kind,
                TransportErrorKind::ClientCertificate
                    | TransportErrorKind::ProxyCredentials
                    | TransportErrorKind::PublicAddress
                    | TransportErrorKind::Tls
                    | TransportErrorKind::TooLarge
            ),
            Kind::Abandoned => true,
            _ => {
                self.has_flinks_code(&BUSY_OR_FAILED)
                    || matches!(self.status(), Some(408 | 500..))
                    || self.has_oauth_error(&[OAuthError::SERVER_ERROR, OAuthError::TEMPORARILY_UNAVAILABLE])
                    || self.is_rate_limited()
            }
        }
    }

    /// Returns whether the server may have received a request. `false` only if it is certain that it did not.
    pub fn may_have_been_sent(&self) -> bool {
        self.0.earlier_may_have_been_sent
            || !matches!(
                self.0.kind,
                Kind::Input { .. }
                    | Kind::Configuration { .. }
                    | Kind::ExpiredLocally
                    | Kind::NotSent(_)
                    | Kind::Callback(_)
                    | Kind::CallbackError
                    | Kind::NoRuntime
            )
    }
}
