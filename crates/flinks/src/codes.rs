//! The error codes from Connect (`FlinksCode`) and Outbound (OAuth 2.0 errors).

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Defines a type for error codes that a server sends as text. The type has a constant for each
/// documented code.
macro_rules! codes {
    ($(#[$attribute:meta])* $name:ident { $($(#[$doc:meta])* $constant:ident = $text:literal,)* }) => {
        $(#[$attribute])*
        ///
        /// Compare a code with the constants, or match on [`as_str`](Self::as_str).
        ///
        /// A code without a constant is untrusted text from the server. [`as_str`](Self::as_str)
        /// returns this text, but `Debug` and `Display` omit it.
        #[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Cow<'static, str>);

        impl $name {
            $($(#[$doc])* pub const $constant: Self = Self(Cow::Borrowed($text));)*

            const DOCUMENTED: &[&str] = &[$($text),*];

            /// Returns the code as the server sent it.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Returns whether this is one of the documented codes, each of which has a constant.
            pub fn is_documented(&self) -> bool {
                Self::DOCUMENTED.contains(&self.as_str())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(Cow::Owned(text))
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(if self.is_documented() { self.as_str() } else { "undocumented code" })
            }
        }

        /// Omits the text of an undocumented code. [A6](crate::rules)
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), if self.is_documented() { self.as_str() } else { ".." })
            }
        }
    };
}

codes! {
    /// The `FlinksCode` in a Connect error. Use this code, not the HTTP status, to identify the
    /// kind of error. [C6](crate::rules)
    ///
    /// The codes and their meanings come from several pages of the Flinks documentation.
    FlinksCode {
        /// `ACCESS_DENIED`: `/Authorize` did not receive a valid authorize token.
        ACCESS_DENIED = "ACCESS_DENIED",
        /// `AGGREGATION_ERROR`: an internal error at Flinks.
        AGGREGATION_ERROR = "AGGREGATION_ERROR",
        /// `ALREADY_AUTHORIZED`: the session is already authorized and needs no further answer.
        ALREADY_AUTHORIZED = "ALREADY_AUTHORIZED",
        /// `CARD_IN_USE`: another call is using the same login.
        CARD_IN_USE = "CARD_IN_USE",
        /// `CONCURRENT_SESSION`: another session is open at the bank.
        CONCURRENT_SESSION = "CONCURRENT_SESSION",
        /// `DISABLED_INSTITUTION`: the bank is unavailable.
        DISABLED_INSTITUTION = "DISABLED_INSTITUTION",
        /// `DISABLED_LOGIN`: the bank has locked the login. The end user must ask the bank to
        /// unlock it.
        DISABLED_LOGIN = "DISABLED_LOGIN",
        /// `INVALID_LOGIN`: the `LoginId` is unknown or belongs to another customer, or the bank
        /// rejected the user name and password.
        INVALID_LOGIN = "INVALID_LOGIN",
        /// `INVALID_PASSWORD`: the bank rejected the password.
        INVALID_PASSWORD = "INVALID_PASSWORD",
        /// `INVALID_REQUEST`: the request is incomplete or malformed.
        INVALID_REQUEST = "INVALID_REQUEST",
        /// `INVALID_SECURITY_RESPONSE`: the bank rejected the answer to a security question.
        INVALID_SECURITY_RESPONSE = "INVALID_SECURITY_RESPONSE",
        /// `INVALID_USERNAME`: the bank rejected the user name.
        INVALID_USERNAME = "INVALID_USERNAME",
        /// `NEW_ACCOUNT`: the end user must take action at the bank, such as accepting new terms.
        NEW_ACCOUNT = "NEW_ACCOUNT",
        /// `OPERATION_DISPATCHED`: the operation is still running.
        OPERATION_DISPATCHED = "OPERATION_DISPATCHED",
        /// `OPERATION_PENDING`: the operation is still running.
        OPERATION_PENDING = "OPERATION_PENDING",
        /// `QUESTION_NOT_FOUND`: an answer refers to a prompt that was not shown.
        QUESTION_NOT_FOUND = "QUESTION_NOT_FOUND",
        /// `RETRY_LATER`: the bank cannot be reached.
        RETRY_LATER = "RETRY_LATER",
        /// `SECURITYRESPONSES_INCOMPLETE`: a prompt has no answer.
        SECURITY_RESPONSES_INCOMPLETE = "SECURITYRESPONSES_INCOMPLETE",
        /// `SESSION_EXPIRED`: the `RequestId` has expired.
        SESSION_EXPIRED = "SESSION_EXPIRED",
        /// `SESSION_NONEXISTENT`: the `RequestId` is unknown.
        SESSION_NONEXISTENT = "SESSION_NONEXISTENT",
        /// `TOO_MANY_REQUESTS`: a rate limit was exceeded.
        TOO_MANY_REQUESTS = "TOO_MANY_REQUESTS",
        /// `UNAUTHORIZED`: from `/GenerateAuthorizeToken`, the code means that the secret key was
        /// rejected; from `/Authorize`, it means that the bank rejected the login.
        UNAUTHORIZED = "UNAUTHORIZED",
        /// `UNKNOWN_CHALLENGE_KEY`: an answer refers to an unknown prompt.
        UNKNOWN_CHALLENGE_KEY = "UNKNOWN_CHALLENGE_KEY",
    }
}

codes! {
    /// An OAuth 2.0 `error` code from Outbound. Distinguish errors by this code, never by the error
    /// description. [O7](crate::rules)
    ///
    /// The codes are those that the Flinks documentation lists from RFC 6749 (sections 4.1.2.1 and
    /// 5.2) and RFC 7009.
    OAuthError {
        /// `access_denied`: the end user declined.
        ACCESS_DENIED = "access_denied",
        /// `invalid_client`: the client id or secret is wrong.
        INVALID_CLIENT = "invalid_client",
        /// `invalid_grant`: the authorization code or the refresh token is no longer valid. The end
        /// user must consent again.
        INVALID_GRANT = "invalid_grant",
        /// `invalid_request`: the request is incomplete or malformed.
        INVALID_REQUEST = "invalid_request",
        /// `invalid_scope`: the scope is unknown or not allowed.
        INVALID_SCOPE = "invalid_scope",
        /// `server_error`: an internal error at Flinks.
        SERVER_ERROR = "server_error",
        /// `temporarily_unavailable`: the server is temporarily unavailable.
        TEMPORARILY_UNAVAILABLE = "temporarily_unavailable",
        /// `unauthorized_client`: the client is not allowed to use this grant.
        UNAUTHORIZED_CLIENT = "unauthorized_client",
        /// `unsupported_grant_type`: the server does not support the grant type.
        UNSUPPORTED_GRANT_TYPE = "unsupported_grant_type",
        /// `unsupported_response_type`: the server does not support the response type.
        UNSUPPORTED_RESPONSE_TYPE = "unsupported_response_type",
        /// `unsupported_token_type`: this type of token cannot be revoked.
        UNSUPPORTED_TOKEN_TYPE = "unsupported_token_type",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c6_o7_documented_code_equals_its_constant_and_is_displayed() {
        let code = FlinksCode::from("SECURITYRESPONSES_INCOMPLETE".to_owned());
        assert_eq!(code, FlinksCode::SECURITY_RESPONSES_INCOMPLETE);
        assert_eq!(code.to_string(), "SECURITYRESPONSES_INCOMPLETE");
        assert_eq!(format!("{code:?}"), "FlinksCode(SECURITYRESPONSES_INCOMPLETE)");
        assert_eq!(OAuthError::from("invalid_grant".to_owned()), OAuthError::INVALID_GRANT);
    }

    #[test]
    fn a6_undocumented_code_is_stored_but_not_displayed() {
        let code = FlinksCode::from("canary".to_owned());
        assert_eq!(code.as_str(), "canary");
        assert_eq!(code.as_ref(), "canary");
        assert_eq!(code.to_string(), "undocumented code");
        assert_eq!(format!("{code:?}"), "FlinksCode(..)");
        assert_eq!(format!("{:?}", OAuthError::from("canary".to_owned())), "OAuthError(..)");
    }

    #[test]
    fn code_survives_serialization() {
        for text in ["\"invalid_grant\"", "\"canary\""] {
            let code: OAuthError = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&code).unwrap(), text);
        }
    }
}
