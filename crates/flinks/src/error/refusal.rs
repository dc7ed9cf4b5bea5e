//! The classification of refused refreshes (O6).

use std::time::Duration;

use super::error::Error;
use super::kind::Kind;
use crate::OAuthError;
use crate::operation::Operation;

/// How certain it is that a refused refresh means that the consent has ended. [O6](crate::rules)
///
/// ```
/// use flinks::{Error, Refusal};
///
/// fn must_ask_the_end_user(error: &Error) -> bool {
///     match error.refusal() {
///         Some(Refusal::Final) => true,
///         // A background job should wait. An interactive caller may ask the end user now.
///         Some(Refusal::Suspected { .. }) => false,
///         _ => error.needs_consent(),
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Flinks responded with `invalid_grant` or `access_denied`, or a suspected refusal was
    /// confirmed. The end user must consent again.
    Final,
    /// The response was a 400, 401 or 403 with an empty body, or with JSON whose `error` is missing
    /// or unknown. The response may have come from Flinks or from a gateway in front of Flinks. The
    /// `flinks-consents` crate can confirm the refusal later.
    #[non_exhaustive]
    Suspected {
        /// The minimum wait before a second refusal with the same status and error code can confirm
        /// this refusal.
        ///
        /// If `confirm_after` is zero, another such refusal confirms this one, provided that a
        /// different consent has been refreshed in between. Without such a refresh, the second
        /// refusal must come at least 24 hours after the first.
        confirm_after: Duration,
    },
}

impl Refusal {
    /// The minimum time between a suspected refusal and the refusal that confirms it: 10 minutes.
    /// [O6](crate::rules)
    pub const CONFIRM_AFTER: Duration = Duration::from_secs(10 * 60);

    /// Creates [`Suspected`](Self::Suspected).
    pub const fn suspected(confirm_after: Duration) -> Self {
        Self::Suspected { confirm_after }
    }
}

/// The OAuth error codes for a grant that is no longer valid.
const ENDS_THE_GRANT: [OAuthError; 2] = [OAuthError::INVALID_GRANT, OAuthError::ACCESS_DENIED];

impl Error {
    /// Returns whether the end user must consent again because the Outbound authorization code or
    /// refresh token is no longer valid.
    ///
    /// A 400, 401 or 403 in response to a refresh or a code exchange means that the end user must
    /// consent again, unless the error code names another reason. This does not apply to a response
    /// with an unreadable body, such as a firewall's error page. Use [`refusal`](Self::refusal) to
    /// find out whether a refused refresh is final. [O6](crate::rules)
    pub fn needs_consent(&self) -> bool {
        match self.0.operation {
            Some(Operation::OutboundRefresh) => self.refusal().is_some(),
            Some(Operation::OutboundExchangeCode) => self.is_refused_grant(),
            _ => false,
        }
    }

    /// Returns how certain it is that a refused refresh means that the consent has ended, or `None`
    /// if no refresh was refused or the error code names another reason. [O6](crate::rules)
    pub fn refusal(&self) -> Option<Refusal> {
        if self.0.operation != Some(Operation::OutboundRefresh) {
            return None;
        }
        let suspected = Refusal::suspected(Refusal::CONFIRM_AFTER);
        if self.0.is_undocumented_json && self.has_refusal_status() {
            return Some(suspected);
        }
        if !self.is_refused_grant() {
            return None;
        }
        Some(if self.has_oauth_error(&ENDS_THE_GRANT) { Refusal::Final } else { suspected })
    }

    /// Returns whether the status is one that Flinks uses to refuse a grant.
    fn has_refusal_status(&self) -> bool {
        matches!(self.status(), Some(400 | 401 | 403))
    }

    /// Returns whether the response is a 400, 401 or 403 whose error code, if any, may refer to the
    /// grant.
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
