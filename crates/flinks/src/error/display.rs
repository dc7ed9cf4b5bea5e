//! Writes an error as text.

use std::fmt;

use flinks_core::TransportErrorKind;

use super::error::Error;
use super::kind::{Detail, Kind};
use super::refusal::Refusal;
use crate::{FlinksCode, OAuthError};

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.operation, &self.0.kind) {
            (Some(operation), _) => write!(f, "failed to {} ({}): ", operation.purpose(), operation.product())?,
            (None, Kind::Input { .. }) => f.write_str("invalid input: ")?,
            (None, Kind::Configuration { .. }) => f.write_str("invalid configuration: ")?,
            (None, _) => {}
        }
        self.write_reason(f)?;
        match self.oauth_error() {
            Some(code) if code.is_documented() => write!(f, ", {code}")?,
            Some(_) => f.write_str(", with an unknown error code")?,
            None => {}
        }
        match self.flinks_code() {
            Some(code) if code.is_documented() => write!(f, ", {code}")?,
            Some(_) => f.write_str(", with an unknown FlinksCode")?,
            None => {}
        }
        match self.status() {
            Some(404) if self.is_unknown_endpoint() => f.write_str(" (status 404): check the base URL")?,
            Some(status) => write!(f, " (status {status})")?,
            None => {}
        }
        if self.0.is_outcome_unknown {
            f.write_str("; it is unknown whether the call took effect")?;
        }
        Ok(())
    }
}

impl Error {
    fn write_reason(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.kind {
            Kind::Input { field, reason } | Kind::Configuration { field, reason } => write!(f, "{field} {reason}"),
            Kind::ExpiredLocally => f.write_str("the token has expired; nothing was sent"),
            Kind::ExpiredOnArrival => f.write_str("the token had expired when it arrived"),
            Kind::NotSent(kind) if self.may_have_been_sent() => {
                write!(f, "{kind}; an earlier try may have been received")
            }
            Kind::NotSent(kind) => write!(f, "{kind}; nothing was sent"),
            Kind::Interrupted(kind) => write!(f, "{kind}; the request may have been received"),
            Kind::Rejected | Kind::Status if self.status() == Some(407) => {
                write!(f, "{}", TransportErrorKind::ProxyCredentials)
            }
            Kind::Rejected => f.write_str(self.rejection()),
            Kind::Redirect => f.write_str("the server answered with a redirect, which is not followed"),
            Kind::Status => f.write_str("the server answered with an unexpected status"),
            Kind::Malformed { detail: Detail::Body(invalid), .. } => write!(f, "the reply is malformed; {invalid}"),
            Kind::Malformed { field, detail: Detail::Value(reason) } => {
                write!(f, "the reply is malformed; {} {reason}", field.unwrap_or("it"))
            }
            Kind::Callback(reason) => write!(f, "the callback {reason}"),
            Kind::CallbackError => f.write_str("the end user came back with an error"),
            Kind::Abandoned => f.write_str("the work ended before it was done; a request may have been received"),
            Kind::NoRuntime => f.write_str("it needs a tokio runtime with its time and I/O drivers enabled"),
        }
    }

    fn rejection(&self) -> &'static str {
        if self.is_credentials() {
            "the credentials were refused"
        } else if self.is_token_refused() {
            "the token was refused"
        } else if let Some(Refusal::Suspected { .. }) = self.refusal() {
            "the request was refused, perhaps by a gateway"
        } else {
            "the request was refused"
        }
    }

    /// Returns whether a 404 means that there is no such endpoint: Flinks itself would have sent a known code.
    fn is_unknown_endpoint(&self) -> bool {
        matches!(self.0.kind, Kind::Rejected | Kind::Status)
            && !self.oauth_error().is_some_and(OAuthError::is_documented)
            && !self.flinks_code().is_some_and(FlinksCode::is_documented)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({self})")
    }
}
