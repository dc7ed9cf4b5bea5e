//! The codes of errors: `FlinksCode` of Connect, and the OAuth 2.0 errors of Outbound.

use std::fmt;

/// Defines an enum of codes that a server sends as text. A code that is not listed is kept as text.
macro_rules! codes {
    ($(#[$attribute:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$attribute])*
        #[derive(Clone, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$doc])* $variant,)*
            /// Another code, as the server wrote it. It is untrusted: take care where you show it.
            Other(String),
        }

        impl $name {
            /// Returns the code as the server writes it.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other(code) => code,
                }
            }

            pub(crate) fn parse(text: String) -> Self {
                match text.as_str() {
                    $($text => Self::$variant,)*
                    _ => Self::Other(text),
                }
            }
        }

        /// A code that is not listed is text of the server, and is not shown (A6).
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(if let Self::Other(_) = self { "Other(..)" } else { self.as_str() })
            }
        }
    };
}

codes! {
    /// A `FlinksCode`, which distinguishes the errors of Connect: their HTTP status is not a category (C6).
    ///
    /// Several of Flinks' pages list the codes and what they mean.
    FlinksCode {
        /// `ACCESS_DENIED`: `/Authorize` got no valid authorize token.
        AccessDenied = "ACCESS_DENIED",
        /// `AGGREGATION_ERROR`: something failed at Flinks.
        AggregationError = "AGGREGATION_ERROR",
        /// `ALREADY_AUTHORIZED`: the session needs no answer any more.
        AlreadyAuthorized = "ALREADY_AUTHORIZED",
        /// `CARD_IN_USE`: another call is at work on the same login.
        CardInUse = "CARD_IN_USE",
        /// `CONCURRENT_SESSION`: another session is open at the bank.
        ConcurrentSession = "CONCURRENT_SESSION",
        /// `DISABLED_INSTITUTION`: the bank is not available.
        DisabledInstitution = "DISABLED_INSTITUTION",
        /// `DISABLED_LOGIN`: the bank has locked the end user out, who must act there.
        DisabledLogin = "DISABLED_LOGIN",
        /// `INVALID_LOGIN`: the `LoginId` is not known, or of another customer; or the bank refused user name and password.
        InvalidLogin = "INVALID_LOGIN",
        /// `INVALID_PASSWORD`: the bank refused the password.
        InvalidPassword = "INVALID_PASSWORD",
        /// `INVALID_REQUEST`: the request is incomplete or malformed.
        InvalidRequest = "INVALID_REQUEST",
        /// `INVALID_SECURITY_RESPONSE`: the bank refused an answer.
        InvalidSecurityResponse = "INVALID_SECURITY_RESPONSE",
        /// `INVALID_USERNAME`: the bank refused the user name.
        InvalidUsername = "INVALID_USERNAME",
        /// `NEW_ACCOUNT`: the end user must act at the bank first, such as accept its terms.
        NewAccount = "NEW_ACCOUNT",
        /// `OPERATION_DISPATCHED`: still running.
        OperationDispatched = "OPERATION_DISPATCHED",
        /// `OPERATION_PENDING`: still running.
        OperationPending = "OPERATION_PENDING",
        /// `QUESTION_NOT_FOUND`: an answer is to a prompt that was not asked.
        QuestionNotFound = "QUESTION_NOT_FOUND",
        /// `RETRY_LATER`: the bank is out of reach.
        RetryLater = "RETRY_LATER",
        /// `SECURITYRESPONSES_INCOMPLETE`: a prompt has no answer.
        SecurityResponsesIncomplete = "SECURITYRESPONSES_INCOMPLETE",
        /// `SESSION_EXPIRED`: the `RequestId` has expired.
        SessionExpired = "SESSION_EXPIRED",
        /// `SESSION_NONEXISTENT`: the `RequestId` is not known.
        SessionNonexistent = "SESSION_NONEXISTENT",
        /// `TOO_MANY_REQUESTS`: a rate limit.
        TooManyRequests = "TOO_MANY_REQUESTS",
        /// `UNAUTHORIZED`: from `/GenerateAuthorizeToken`, the secret key was refused; from `/Authorize`, the bank refused.
        Unauthorized = "UNAUTHORIZED",
        /// `UNKNOWN_CHALLENGE_KEY`: an answer is to a prompt that is not known.
        UnknownChallengeKey = "UNKNOWN_CHALLENGE_KEY",
    }
}

codes! {
    /// An `error` of Outbound, which distinguishes its failures. Never distinguish them by their text (O7).
    ///
    /// The codes are those of RFC 6749, sections 4.1.2.1 and 5.2, and of RFC 7009, as Flinks lists them.
    OAuthError {
        /// `access_denied`: the end user refused.
        AccessDenied = "access_denied",
        /// `invalid_client`: the client id or secret is wrong.
        InvalidClient = "invalid_client",
        /// `invalid_grant`: the code or the refresh token is no longer valid; the end user must consent again.
        InvalidGrant = "invalid_grant",
        /// `invalid_request`: the request is incomplete or malformed.
        InvalidRequest = "invalid_request",
        /// `invalid_scope`: the scope is not known, or not allowed.
        InvalidScope = "invalid_scope",
        /// `server_error`: something failed at Flinks.
        ServerError = "server_error",
        /// `temporarily_unavailable`: later.
        TemporarilyUnavailable = "temporarily_unavailable",
        /// `unauthorized_client`: the client may not do this.
        UnauthorizedClient = "unauthorized_client",
        /// `unsupported_grant_type`: the grant is not offered.
        UnsupportedGrantType = "unsupported_grant_type",
        /// `unsupported_response_type`: the response type is not offered.
        UnsupportedResponseType = "unsupported_response_type",
        /// `unsupported_token_type`: this kind of token cannot be revoked.
        UnsupportedTokenType = "unsupported_token_type",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c6_o7_every_code_is_read_and_written() {
        for text in ["ACCESS_DENIED", "SECURITYRESPONSES_INCOMPLETE", "UNKNOWN_CHALLENGE_KEY"] {
            let code = FlinksCode::parse(text.to_owned());
            assert!(!matches!(code, FlinksCode::Other(_)), "{text}");
            assert_eq!(code.as_str(), text);
            assert_eq!(format!("{code:?}"), text);
        }
        for text in ["access_denied", "invalid_grant", "unsupported_token_type"] {
            let code = OAuthError::parse(text.to_owned());
            assert!(!matches!(code, OAuthError::Other(_)), "{text}");
            assert_eq!(code.as_str(), text);
        }
    }

    #[test]
    fn a6_unlisted_code_is_kept_and_not_shown() {
        let code = FlinksCode::parse("canary".to_owned());
        assert_eq!(code.as_str(), "canary");
        assert_eq!(format!("{code:?}"), "Other(..)");
        assert_eq!(format!("{:?}", OAuthError::parse("canary".to_owned())), "Other(..)");
    }
}
