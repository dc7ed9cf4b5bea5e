//! Predicates that classify an [`Error`].

use flinks_core::TransportErrorKind;

use super::error::Error;
use super::kind::Kind;
use crate::operation::{Operation, Product};
use crate::{FlinksCode, OAuthError};

impl Error {
    /// Returns whether the credentials were refused: the user name and password for Pay, the secret
    /// key for Connect, or the client id and secret for Outbound. Connect refuses a secret key with
    /// the message "You must provide a valid auth key".
    ///
    /// Pay refuses credentials with a 400 that has no body, so this method also returns `true` if
    /// Pay sends a 400 for any other reason. [P6](crate::rules)
    ///
    /// Flinks recommends checking that the secret key is sent only to `/GenerateAuthorizeToken`,
    /// and the token only to `/Authorize` or the iframe. This crate's types already ensure this, so
    /// check the secret key, the instance and the customer id instead. If credentials may have been
    /// exposed, have Flinks replace them.
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

    /// Returns whether a token was refused.
    ///
    /// If Connect refuses a token, the message is "You must provide a valid authorize token". Pay
    /// and Outbound refuse a token with a 401: Pay when a payment session is started, and Outbound
    /// when a connection is revoked.
    ///
    /// A refused token has already been spent, has expired, or belongs to another customer or
    /// environment. Flinks recommends requesting a new token for each attempt.
    pub fn is_token_refused(&self) -> bool {
        match self.0.operation {
            Some(Operation::ConnectAuthorize) => self.has_flinks_code(&[FlinksCode::ACCESS_DENIED]),
            Some(Operation::OutboundRevoke) => self.status() == Some(401) && !self.is_credentials(),
            Some(Operation::PayInitiateSession) => matches!(self.0.kind, Kind::Rejected) && self.status() == Some(401),
            _ => false,
        }
    }

    /// Returns whether the end user must enter a different user name, password or answer, or must
    /// take action at the bank. Also returns `true` if the end user declined to consent on the
    /// bank's page. [C6, C7](crate::rules)
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

    /// Returns whether a rate limit was exceeded: the status is 429, or the code is
    /// `TOO_MANY_REQUESTS`. For how long to wait, see [`retry_after`](Self::retry_after).
    /// [C6](crate::rules)
    pub fn is_rate_limited(&self) -> bool {
        self.status() == Some(429)
            || self.has_flinks_code(&[FlinksCode::TOO_MANY_REQUESTS])
            || self.oauth_error().is_some_and(|code| code.as_str() == FlinksCode::TOO_MANY_REQUESTS.as_str())
    }

    /// Returns whether the failure is temporary (the network, the server or the bank failed, or a
    /// rate limit was exceeded), in which case the same call may succeed later.
    ///
    /// This method does not report the fate of a token that the call would have spent; see
    /// [`SpendError`](crate::SpendError).
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

    /// Returns whether the server may have received a request. Returns `false` only if it is
    /// certain that the server did not receive one.
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
