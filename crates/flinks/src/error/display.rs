//! Formats error messages.

use std::fmt;

use flinks_core::TransportErrorKind;

use super::error::Error;
use super::kind::{Detail, Kind};
use super::refusal::Refusal;
use crate::{FlinksCode, OAuthError};

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(operation) = self.0.operation {
            write!(f, "failed to {} ({}): ", operation.purpose(), operation.product())?;
        }
        self.write_reason(f)?;
        self.write_codes(f)?;
        if let Some(status) = self.status() {
            write!(f, " (status {status})")?;
        }
        if self.status() == Some(404) && self.is_unknown_endpoint() {
            f.write_str("; check the base URL")?;
        }
        if matches!(self.0.kind, Kind::Rejected) && matches!(self.refusal(), Some(Refusal::Suspected { .. })) {
            f.write_str("; a gateway may have sent this response")?;
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
            Kind::Input { field, reason } => write!(f, "invalid {field}: {reason}"),
            Kind::Configuration { field, reason } => write!(f, "invalid configuration: {field} {reason}"),
            Kind::ExpiredLocally => f.write_str("the token has expired; nothing was sent"),
            Kind::ExpiredOnArrival => f.write_str("the token in the response had already expired"),
            Kind::NotSent(kind) if self.may_have_been_sent() => {
                write!(f, "{kind}; an earlier attempt may have reached the server")
            }
            Kind::NotSent(kind) => write!(f, "{kind}; nothing was sent"),
            Kind::Interrupted(kind) => write!(f, "{kind}; the request may have reached the server"),
            Kind::Rejected | Kind::Status if self.status() == Some(407) => {
                write!(f, "{}", TransportErrorKind::ProxyCredentials)
            }
            Kind::Rejected => f.write_str(self.rejection()),
            Kind::Redirect => f.write_str("the server sent a redirect, and redirects are not followed"),
            Kind::Status => f.write_str("unexpected response"),
            Kind::Malformed { detail: Detail::Body(invalid), .. } => write!(f, "malformed response: {invalid}"),
            Kind::Malformed { field: Some(field), detail: Detail::Value(reason) } => {
                write!(f, "malformed response: {field} {reason}")
            }
            Kind::Malformed { field: None, detail: Detail::Value(reason) } => {
                write!(f, "malformed response: {reason}")
            }
            Kind::Callback(reason) => f.write_str(reason),
            Kind::CallbackError => f.write_str("the callback contains an error"),
            Kind::Abandoned => f.write_str("the request was aborted; it may have reached the server"),
            Kind::NoRuntime => f.write_str("not running in a Tokio runtime with time and I/O drivers"),
        }
    }

    /// Writes the error code if the code is documented. An undocumented code is described as
    /// unknown, and its text is omitted.
    fn write_codes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.oauth_error() {
            Some(code) if code.is_documented() => write!(f, ": {code}")?,
            Some(_) => f.write_str(" with an unknown error code")?,
            None => {}
        }
        match self.flinks_code() {
            Some(code) if code.is_documented() => write!(f, ": {code}"),
            Some(_) => f.write_str(" with an unknown FlinksCode"),
            None => Ok(()),
        }
    }

    fn rejection(&self) -> &'static str {
        if self.is_credentials() {
            "the credentials were refused"
        } else if self.is_token_refused() {
            "the token was refused"
        } else {
            "the request was refused"
        }
    }

    /// Returns whether a 404 means that the endpoint does not exist. If the endpoint existed, a 404
    /// from Flinks would contain a documented error code.
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
