//! The sessions of end users, in memory. A real service has these already.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, StatusCode};
use flinks_consents::OwnerId;
use flinks_consents::flinks::outbound;

use crate::error::{Failure, Reply};

const NAME: &str = "session";

/// What is pending in each session. A random name identifies it, and the end user in it.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<String, Pending>>);

pub(crate) struct Pending {
    pub(crate) bank: String,
    pub(crate) authorization: outbound::PendingAuthorization,
}

/// The session of a request, new or known.
pub(crate) struct Session {
    name: String,
}

impl Session {
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let cookies = headers.get(COOKIE)?.to_str().ok()?;
        let name = cookies.split("; ").find_map(|cookie| cookie.strip_prefix(NAME)?.strip_prefix('='))?;
        Some(Self { name: name.to_owned() })
    }

    pub(crate) fn required(headers: &HeaderMap) -> Reply<Self> {
        Self::of(headers).ok_or(Failure::new(StatusCode::UNAUTHORIZED, "start a session first"))
    }

    pub(crate) fn new() -> Self {
        Self { name: uuid::Uuid::new_v4().to_string() }
    }

    /// The cookie. A service that is reached by `https` adds `Secure`.
    pub(crate) fn cookie(&self) -> String {
        format!("{NAME}={}; HttpOnly; SameSite=Lax; Path=/", self.name)
    }

    /// Whose consents these are: here, those of the session.
    pub(crate) fn owner(&self) -> Reply<OwnerId> {
        self.name.parse().map_err(|_| Failure::new(StatusCode::UNAUTHORIZED, "start a session first"))
    }
}

impl Sessions {
    pub(crate) fn keep(&self, session: &Session, pending: Pending) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(session.name.clone(), pending);
    }

    /// Takes what is pending, so that it is used once.
    pub(crate) fn take(&self, session: &Session) -> Reply<Pending> {
        let pending = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&session.name);
        pending.ok_or(Failure::new(StatusCode::CONFLICT, "consent again"))
    }
}
