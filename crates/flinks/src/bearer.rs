//! A bearer token with its lifetime, as Pay and Outbound reply it (P2, O3).

use std::sync::Arc;
use std::time::SystemTime;

use flinks_core::{ExpiresIn, ResponseHead, Secret};

use crate::error::{Error, Operation};
use crate::text::token_problem;
use crate::time::{Clock, Deadline, Moment};

pub(crate) struct Bearer {
    secret: Secret,
    deadline: Option<Deadline>,
}

impl Bearer {
    /// Reads the fields of a reply to a request that was sent at `sent`.
    pub(crate) fn read(
        operation: &'static Operation,
        head: &ResponseHead,
        (access_token, token_type, expires_in): (Secret, Option<String>, Option<ExpiresIn>),
        sent: Moment,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        if let Some(problem) = token_problem(access_token.expose_secret()) {
            return Err(Error::malformed(operation, head, "access_token", problem));
        }
        // Without one it is taken as a bearer token, the only kind that the pages know (P2).
        if !token_type.is_none_or(|token_type| token_type.eq_ignore_ascii_case("bearer")) {
            return Err(Error::malformed(operation, head, "token_type", "is not bearer"));
        }
        let lifetime = expires_in.and_then(ExpiresIn::lifetime);
        let deadline = lifetime.map(|lifetime| Deadline::after(sent, lifetime, clock));
        Ok(Self { secret: access_token, deadline })
    }

    /// One that was read before.
    pub(crate) fn new(secret: Secret, deadline: Option<Deadline>) -> Self {
        Self { secret, deadline }
    }

    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
    }

    /// None where its lifetime is unknown (O3).
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
