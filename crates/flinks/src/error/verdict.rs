//! The table that determines whether a call is retried and what happens to its token (A5).

use flinks_core::TransportErrorKind;

use super::error::Error;
use super::kind::Kind;
use crate::OAuthError;

/// The class of a failure, which determines whether a call is retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryClass {
    /// Nothing left this machine.
    NotSent,
    /// The request may have been received.
    Interrupted,
    /// The server is limiting the request rate or is temporarily unavailable.
    Busy,
    /// The server failed for a reason not covered by [`Busy`](Self::Busy).
    Failed,
    /// The token in the response had already expired.
    ExpiredOnArrival,
    /// A retry would also fail or would not be safe.
    Final,
}

/// The fate of a token that a call would have spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenFate {
    Unspent,
    Spent,
    Unknown,
}

/// The retry class of a failure, and the fate of a token that the server may have received.
struct Verdict {
    class: RetryClass,
    fate: TokenFate,
}

const fn verdict(class: RetryClass, fate: TokenFate) -> Verdict {
    Verdict { class, fate }
}

impl Error {
    pub(crate) fn token_fate(&self) -> TokenFate {
        if !self.may_have_been_sent() {
            return TokenFate::Unspent;
        }
        self.verdict().fate
    }

    pub(crate) fn retry_class(&self) -> RetryClass {
        self.verdict().class
    }

    /// Looks up this error in the table of retry classes and token fates.
    /// [`retry_class`](Self::retry_class) and [`token_fate`](Self::token_fate) share the table, so
    /// the two results cannot contradict each other. The fates in the table apply to tokens that
    /// the server may have received.
    fn verdict(&self) -> Verdict {
        match self.0.kind {
            // The same credentials would be refused again, and repeated failures might lock an
            // account.
            Kind::NotSent(
                TransportErrorKind::ClientCertificate
                | TransportErrorKind::ProxyCredentials
                | TransportErrorKind::PublicAddress,
            ) => verdict(RetryClass::Final, TokenFate::Unknown),
            Kind::NotSent(_) => verdict(RetryClass::NotSent, TokenFate::Unknown),
            Kind::Interrupted(TransportErrorKind::ClientCertificate | TransportErrorKind::TooLarge) => {
                verdict(RetryClass::Final, TokenFate::Unknown)
            }
            Kind::Interrupted(_) => verdict(RetryClass::Interrupted, TokenFate::Unknown),
            Kind::ExpiredOnArrival => verdict(RetryClass::ExpiredOnArrival, TokenFate::Unknown),
            Kind::Rejected => self.verdict_on_response(TokenFate::Spent),
            Kind::Status => self.verdict_on_response(TokenFate::Unknown),
            _ => verdict(RetryClass::Final, TokenFate::Unknown),
        }
    }

    /// Returns the verdict for a response that does not indicate success. `rejected` is the fate of
    /// a token that Flinks itself has rejected.
    fn verdict_on_response(&self, rejected: TokenFate) -> Verdict {
        // The server, or a gateway in front of it, failed. Only a `FlinksCode` proves that Flinks
        // itself rejected the token, because a gateway's error body may resemble the documented
        // error body.
        let failed = match self.flinks_code() {
            Some(_) => rejected,
            None => TokenFate::Unknown,
        };
        let says = |code: OAuthError| self.oauth_error() == Some(&code);
        match self.status() {
            // The server timed out while waiting for the request. The request may have arrived
            // anyway, and the body cannot disprove that.
            Some(408) => verdict(RetryClass::Interrupted, TokenFate::Unknown),
            Some(500..) if self.is_rate_limited() => verdict(RetryClass::Busy, failed),
            _ if self.is_rate_limited() => verdict(RetryClass::Busy, rejected),
            _ if says(OAuthError::TEMPORARILY_UNAVAILABLE) => verdict(RetryClass::Busy, failed),
            _ if says(OAuthError::SERVER_ERROR) => verdict(RetryClass::Failed, failed),
            Some(503) => verdict(RetryClass::Busy, failed),
            Some(500..) => verdict(RetryClass::Failed, failed),
            _ => verdict(RetryClass::Final, rejected),
        }
    }
}

#[cfg(all(test, feature = "connect", feature = "outbound"))]
mod tests {
    use flinks_core::TransportErrorKind;

    use super::*;
    use crate::FlinksCode;
    use crate::error::kind::Detail;
    use crate::operation::Operation;

    const OPERATION: Operation = Operation::OutboundExchangeCode;

    /// Creates the error for a response with this status and, if given, a `FlinksCode` or an OAuth
    /// `error`.
    fn response_error(kind: Kind, status: u16, code: Option<&str>, oauth: Option<&str>) -> Error {
        Error::new(Some(OPERATION), kind).change(|inner| {
            inner.status = Some(status);
            inner.body.code = code.map(|code| FlinksCode::from(code.to_owned()));
            inner.body.oauth = oauth.map(|code| OAuthError::from(code.to_owned()));
        })
    }

    #[test]
    fn a5_one_table_decides_retries_and_token_fate() {
        use RetryClass::{Busy, Failed, Final, Interrupted};
        use TokenFate::{Spent, Unknown};
        // Each row ends with the fates for a documented error body and for any other body.
        for (status, code, oauth, class, documented, other) in [
            (200, None, Some("invalid_grant"), Final, Spent, Unknown),
            (200, None, Some("server_error"), Failed, Unknown, Unknown),
            (200, Some("UNAUTHORIZED"), None, Final, Spent, Unknown),
            (400, None, None, Final, Spent, Unknown),
            (400, None, Some("invalid_grant"), Final, Spent, Unknown),
            (400, None, Some("server_error"), Failed, Unknown, Unknown),
            (400, None, Some("temporarily_unavailable"), Busy, Unknown, Unknown),
            (400, None, Some("TOO_MANY_REQUESTS"), Busy, Spent, Unknown),
            (401, Some("UNAUTHORIZED"), None, Final, Spent, Unknown),
            (401, Some("TOO_MANY_REQUESTS"), None, Busy, Spent, Unknown),
            (403, None, None, Final, Spent, Unknown),
            (404, None, None, Final, Spent, Unknown),
            (408, None, None, Interrupted, Unknown, Unknown),
            (408, None, Some("invalid_grant"), Interrupted, Unknown, Unknown),
            (408, None, Some("TOO_MANY_REQUESTS"), Interrupted, Unknown, Unknown),
            (408, Some("UNAUTHORIZED"), None, Interrupted, Unknown, Unknown),
            (429, None, None, Busy, Spent, Unknown),
            (429, Some("TOO_MANY_REQUESTS"), None, Busy, Spent, Unknown),
            (500, None, None, Failed, Unknown, Unknown),
            (500, None, Some("invalid_grant"), Failed, Unknown, Unknown),
            (500, None, Some("server_error"), Failed, Unknown, Unknown),
            (500, None, Some("TOO_MANY_REQUESTS"), Busy, Unknown, Unknown),
            (500, Some("INVALID_PASSWORD"), None, Failed, Spent, Unknown),
            (502, None, None, Failed, Unknown, Unknown),
            (503, None, None, Busy, Unknown, Unknown),
            (503, None, Some("server_error"), Failed, Unknown, Unknown),
            (503, Some("RETRY_LATER"), None, Busy, Spent, Unknown),
            (504, None, Some("temporarily_unavailable"), Busy, Unknown, Unknown),
        ] {
            for (kind, fate) in [(Kind::Rejected, documented), (Kind::Status, other)] {
                let error = response_error(kind, status, code, oauth);
                assert_eq!(error.retry_class(), class, "{error}");
                assert_eq!(error.token_fate(), fate, "{error}");
            }
        }
    }

    #[test]
    fn a5_token_of_an_interrupted_call_is_never_spent() {
        for status in 100..=599 {
            for (code, oauth) in [(None, None), (Some("UNAUTHORIZED"), None), (None, Some("invalid_grant"))] {
                for kind in [Kind::Rejected, Kind::Status] {
                    let error = response_error(kind, status, code, oauth);
                    if error.retry_class() == RetryClass::Interrupted {
                        assert_eq!(error.token_fate(), TokenFate::Unknown, "{error}");
                    }
                }
            }
        }
    }

    #[test]
    fn a5_class_and_token_fate_of_failures_without_a_status() {
        use TransportErrorKind::{Connect, Timeout, TooLarge};
        let malformed = || Kind::Malformed { field: None, detail: Detail::Value("is missing") };
        for (kind, class, fate) in [
            (Kind::Input { field: "code", reason: "must not be empty" }, RetryClass::Final, TokenFate::Unspent),
            (Kind::ExpiredLocally, RetryClass::Final, TokenFate::Unspent),
            (Kind::NotSent(Connect), RetryClass::NotSent, TokenFate::Unspent),
            (Kind::Interrupted(Timeout), RetryClass::Interrupted, TokenFate::Unknown),
            (Kind::Interrupted(TooLarge), RetryClass::Final, TokenFate::Unknown),
            (Kind::Redirect, RetryClass::Final, TokenFate::Unknown),
            (malformed(), RetryClass::Final, TokenFate::Unknown),
            (Kind::ExpiredOnArrival, RetryClass::ExpiredOnArrival, TokenFate::Unknown),
            (Kind::Abandoned, RetryClass::Final, TokenFate::Unknown),
        ] {
            let error = Error::new(Some(OPERATION), kind);
            assert_eq!(error.retry_class(), class, "{error}");
            assert_eq!(error.token_fate(), fate, "{error}");
        }
        // An earlier attempt may have reached the server.
        assert_eq!(
            Error::new(OPERATION, Kind::NotSent(TransportErrorKind::Connect)).after_attempts(2, true).token_fate(),
            TokenFate::Unknown
        );
    }
}
