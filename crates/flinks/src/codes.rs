//! The codes of errors: `FlinksCode` of Connect, and the OAuth 2.0 errors of Outbound.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Defines a type for the codes that a server sends as text, with a constant for each documented code.
macro_rules! codes {
    ($(#[$attribute:meta])* $name:ident { $($(#[$doc:meta])* $constant:ident = $text:literal,)* }) => {
        $(#[$attribute])*
        ///
        /// Compare it with the constants, or match on [`as_str`](Self::as_str).
        ///
        /// A code without a constant is untrusted text of the server: `Debug` and `Display` do not show it, and
        /// [`as_str`](Self::as_str) returns it.
        #[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Cow<'static, str>);

        impl $name {
            $($(#[$doc])* pub const $constant: Self = Self(Cow::Borrowed($text));)*

            const DOCUMENTED: &[&str] = &[$($text),*];

            /// Returns the code as the server wrote it.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Returns whether there is a constant for this code.
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
                f.write_str(if self.is_documented() { self.as_str() } else { "an undocumented code" })
            }
        }

        /// Shows only a documented code (A6).
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), if self.is_documented() { self.as_str() } else { ".." })
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
        ACCESS_DENIED = "ACCESS_DENIED",
        /// `AGGREGATION_ERROR`: something failed at Flinks.
        AGGREGATION_ERROR = "AGGREGATION_ERROR",
        /// `ALREADY_AUTHORIZED`: the session needs no answer any more.
        ALREADY_AUTHORIZED = "ALREADY_AUTHORIZED",
        /// `CARD_IN_USE`: another call is at work on the same login.
        CARD_IN_USE = "CARD_IN_USE",
        /// `CONCURRENT_SESSION`: another session is open at the bank.
        CONCURRENT_SESSION = "CONCURRENT_SESSION",
        /// `DISABLED_INSTITUTION`: the bank is not available.
        DISABLED_INSTITUTION = "DISABLED_INSTITUTION",
        /// `DISABLED_LOGIN`: the bank has locked the end user out, who must act there.
        DISABLED_LOGIN = "DISABLED_LOGIN",
        /// `INVALID_LOGIN`: the `LoginId` is not known, or of another customer; or the bank refused user name and password.
        INVALID_LOGIN = "INVALID_LOGIN",
        /// `INVALID_PASSWORD`: the bank refused the password.
        INVALID_PASSWORD = "INVALID_PASSWORD",
        /// `INVALID_REQUEST`: the request is incomplete or malformed.
        INVALID_REQUEST = "INVALID_REQUEST",
        /// `INVALID_SECURITY_RESPONSE`: the bank refused an answer.
        INVALID_SECURITY_RESPONSE = "INVALID_SECURITY_RESPONSE",
        /// `INVALID_USERNAME`: the bank refused the user name.
        INVALID_USERNAME = "INVALID_USERNAME",
        /// `NEW_ACCOUNT`: the end user must act at the bank first, such as accept its terms.
        NEW_ACCOUNT = "NEW_ACCOUNT",
        /// `OPERATION_DISPATCHED`: still running.
        OPERATION_DISPATCHED = "OPERATION_DISPATCHED",
        /// `OPERATION_PENDING`: still running.
        OPERATION_PENDING = "OPERATION_PENDING",
        /// `QUESTION_NOT_FOUND`: an answer is to a prompt that was not asked.
        QUESTION_NOT_FOUND = "QUESTION_NOT_FOUND",
        /// `RETRY_LATER`: the bank is out of reach.
        RETRY_LATER = "RETRY_LATER",
        /// `SECURITYRESPONSES_INCOMPLETE`: a prompt has no answer.
        SECURITY_RESPONSES_INCOMPLETE = "SECURITYRESPONSES_INCOMPLETE",
        /// `SESSION_EXPIRED`: the `RequestId` has expired.
        SESSION_EXPIRED = "SESSION_EXPIRED",
        /// `SESSION_NONEXISTENT`: the `RequestId` is not known.
        SESSION_NONEXISTENT = "SESSION_NONEXISTENT",
        /// `TOO_MANY_REQUESTS`: a rate limit.
        TOO_MANY_REQUESTS = "TOO_MANY_REQUESTS",
        /// `UNAUTHORIZED`: from `/GenerateAuthorizeToken`, the secret key was refused; from `/Authorize`, the bank refused.
        UNAUTHORIZED = "UNAUTHORIZED",
        /// `UNKNOWN_CHALLENGE_KEY`: an answer is to a prompt that is not known.
        UNKNOWN_CHALLENGE_KEY = "UNKNOWN_CHALLENGE_KEY",
    }
}

codes! {
    /// An `error` of Outbound, which distinguishes its failures. Never distinguish them by their text (O7).
    ///
    /// The codes are those of RFC 6749, sections 4.1.2.1 and 5.2, and of RFC 7009, as Flinks lists them.
    OAuthError {
        /// `access_denied`: the end user refused.
        ACCESS_DENIED = "access_denied",
        /// `invalid_client`: the client id or secret is wrong.
        INVALID_CLIENT = "invalid_client",
        /// `invalid_grant`: the code or the refresh token is no longer valid; the end user must consent again.
        INVALID_GRANT = "invalid_grant",
        /// `invalid_request`: the request is incomplete or malformed.
        INVALID_REQUEST = "invalid_request",
        /// `invalid_scope`: the scope is not known, or not allowed.
        INVALID_SCOPE = "invalid_scope",
        /// `server_error`: something failed at Flinks.
        SERVER_ERROR = "server_error",
        /// `temporarily_unavailable`: later.
        TEMPORARILY_UNAVAILABLE = "temporarily_unavailable",
        /// `unauthorized_client`: the client may not do this.
        UNAUTHORIZED_CLIENT = "unauthorized_client",
        /// `unsupported_grant_type`: the grant is not offered.
        UNSUPPORTED_GRANT_TYPE = "unsupported_grant_type",
        /// `unsupported_response_type`: the response type is not offered.
        UNSUPPORTED_RESPONSE_TYPE = "unsupported_response_type",
        /// `unsupported_token_type`: this kind of token cannot be revoked.
        UNSUPPORTED_TOKEN_TYPE = "unsupported_token_type",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c6_o7_documented_code_equals_its_constant_and_is_shown() {
        let code = FlinksCode::from("SECURITYRESPONSES_INCOMPLETE".to_owned());
        assert_eq!(code, FlinksCode::SECURITY_RESPONSES_INCOMPLETE);
        assert_eq!(code.to_string(), "SECURITYRESPONSES_INCOMPLETE");
        assert_eq!(format!("{code:?}"), "FlinksCode(SECURITYRESPONSES_INCOMPLETE)");
        assert_eq!(OAuthError::from("invalid_grant".to_owned()), OAuthError::INVALID_GRANT);
    }

    #[test]
    fn a6_undocumented_code_is_kept_and_not_shown() {
        let code = FlinksCode::from("canary".to_owned());
        assert_eq!((code.as_str(), code.as_ref()), ("canary", "canary"));
        assert_eq!(code.to_string(), "an undocumented code");
        assert_eq!(format!("{code:?}"), "FlinksCode(..)");
        assert_eq!(format!("{:?}", OAuthError::from("canary".to_owned())), "OAuthError(..)");
    }

    #[test]
    fn a_code_can_be_stored_and_read_again() {
        for text in ["\"invalid_grant\"", "\"canary\""] {
            let code: OAuthError = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&code).unwrap(), text);
        }
    }
}
