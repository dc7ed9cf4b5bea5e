//! Whether a refusal means that the end user must consent again (O6).

use std::time::Duration;

use super::error::Error;
use super::kind::Kind;
use crate::OAuthError;
use crate::operation::Operation;

/// How certain it is that a refused refresh has ended a consent (O6).
///
/// ```
/// use flinks::{Error, Refusal};
///
/// fn must_ask_the_end_user(error: &Error) -> bool {
///     match error.refusal() {
///         Some(Refusal::Final) => true,
///         // A job waits; an interactive caller may ask the end user already.
///         Some(Refusal::Suspected { .. }) => false,
///         _ => error.needs_consent(),
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Flinks replied `invalid_grant` or `access_denied`, or a suspected refusal was confirmed. The end user must consent again.
    Final,
    /// The reply was a 400, 401 or 403 with an empty body, or with JSON whose `error` is missing or unknown. Flinks may have
    /// sent it, and so may a gateway between you and Flinks. The crate `flinks-consents` confirms it later.
    #[non_exhaustive]
    Suspected {
        /// How long to wait until another such refusal can confirm this one. Zero if only the refresh of another consent is
        /// missing; without one, the refusal is confirmed 24 hours after the first.
        confirm_after: Duration,
    },
}

impl Refusal {
    /// How long a refusal stays suspected before the same one can confirm it (O6): 10 minutes.
    pub const CONFIRM_AFTER: Duration = Duration::from_secs(10 * 60);

    /// Creates [`Suspected`](Self::Suspected).
    pub const fn suspected(confirm_after: Duration) -> Self {
        Self::Suspected { confirm_after }
    }
}

/// The codes that say that the grant is no longer valid.
const ENDS_THE_GRANT: [OAuthError; 2] = [OAuthError::INVALID_GRANT, OAuthError::ACCESS_DENIED];

impl Error {
    /// The end user must consent again: Outbound's code or refresh token is no longer valid (O6).
    ///
    /// A 400, 401 or 403 in reply to a refresh or a code exchange means that, unless its code names the caller's own mistake. A
    /// reply whose body cannot be read, such as a firewall's page, does not. [`refusal`](Self::refusal) returns whether a refused
    /// refresh is final.
    pub fn needs_consent(&self) -> bool {
        match self.0.operation {
            Some(Operation::OutboundRefresh) => self.refusal().is_some(),
            Some(Operation::OutboundExchangeCode) => self.is_refused_grant(),
            _ => false,
        }
    }

    /// Returns how certain it is that a refused refresh has ended the consent (O6). `None` if no refresh was refused, or if the
    /// code of the reply names another reason.
    pub fn refusal(&self) -> Option<Refusal> {
        if self.0.operation != Some(Operation::OutboundRefresh) {
            return None;
        }
        let suspected = Refusal::suspected(Refusal::CONFIRM_AFTER);
        if self.0.is_other_json && self.has_refusal_status() {
            return Some(suspected);
        }
        if !self.is_refused_grant() {
            return None;
        }
        Some(if self.has_oauth_error(&ENDS_THE_GRANT) { Refusal::Final } else { suspected })
    }

    /// Returns whether the status is one with which Flinks refuses a grant.
    fn has_refusal_status(&self) -> bool {
        matches!(self.status(), Some(400 | 401 | 403))
    }

    /// Returns whether the reply is a 400, 401 or 403 whose code, if there is one, may be about the grant.
    fn is_refused_grant(&self) -> bool {
        if !matches!(self.0.kind, Kind::Rejected) || !self.has_refusal_status() {
            return false;
        }
        match self.oauth_error() {
            None => true,
            Some(code) if code.is_documented() => ENDS_THE_GRANT.contains(code),
            Some(_) => !self.is_rate_limited(),
        }
    }
}
