//! The bearer tokens that Pay and Outbound return, and their lifetimes (P2, O3).

use std::sync::Arc;
use std::time::SystemTime;

use flinks_core::{Clock, Deadline, ExpiresIn, ResponseHead, Secret, Timestamps};

use crate::error::Error;
use crate::operation::Operation;
use crate::validate::token_problem;

/// The response fields that describe a token.
pub(crate) struct BearerResponse {
    pub(crate) access_token: Secret,
    pub(crate) token_type: Option<String>,
    pub(crate) expires_in: Option<ExpiresIn>,
}

pub(crate) struct Bearer {
    secret: Secret,
    deadline: Option<Deadline>,
}

impl BearerResponse {
    /// Validates the token response. The token's lifetime starts at `sent`, the time when the
    /// request was sent.
    pub(crate) fn check(
        self,
        operation: Operation,
        head: &ResponseHead,
        sent: Timestamps,
        clock: &Arc<dyn Clock>,
    ) -> Result<Bearer, Error> {
        if let Some(problem) = token_problem(self.access_token.expose_secret()) {
            return Err(Error::malformed(operation, head, "access_token", problem));
        }
        // A token without a type is treated as a bearer token, the only kind in the Flinks
        // documentation (P2).
        if self.token_type.is_some_and(|token_type| !token_type.eq_ignore_ascii_case("bearer")) {
            return Err(Error::malformed(operation, head, "token_type", "is not `bearer`"));
        }
        let lifetime = self.expires_in.and_then(ExpiresIn::lifetime);
        let deadline = lifetime.map(|lifetime| Deadline::after(sent, lifetime, clock));
        Ok(Bearer { secret: self.access_token, deadline })
    }
}

impl Bearer {
    /// Restores a token that was issued earlier.
    #[cfg(feature = "outbound")]
    pub(crate) fn new(secret: Secret, deadline: Deadline) -> Self {
        Self { secret, deadline: Some(deadline) }
    }

    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Returns the token's deadline, or `None` if its lifetime is unknown (O3).
    pub(crate) fn deadline(&self) -> Option<&Deadline> {
        self.deadline.as_ref()
    }

    pub(crate) fn expires_at(&self) -> Option<SystemTime> {
        self.deadline().and_then(Deadline::wall)
    }

    pub(crate) fn is_expired(&self) -> bool {
        self.deadline().is_some_and(Deadline::is_past)
    }
}
