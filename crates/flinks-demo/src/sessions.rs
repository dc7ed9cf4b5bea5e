//! Keeps end users' sessions in memory. A real service would use its own session management.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, StatusCode};
use flinks_consents::flinks::outbound;
use uuid::Uuid;

use crate::error::{Failure, Reply};

const COOKIE_NAME: &str = "session";

/// All sessions, keyed by their secret name, which is the cookie value.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<String, State>>);

struct State {
    user: String,
    pending: Option<Pending>,
}

/// A consent that an end user has started.
pub(crate) struct Pending {
    pub(crate) bank: String,
    pub(crate) authorization: outbound::PendingAuthorization,
}

/// An end user's session.
pub(crate) struct Session {
    name: String,
    /// The end user's name, which is not secret.
    pub(crate) user: String,
}

impl Sessions {
    /// Returns a request's session. A cookie that this service did not issue is ignored.
    pub(crate) fn find(&self, headers: &HeaderMap) -> Reply<Session> {
        let cookies = headers.get(COOKIE).and_then(|cookies| cookies.to_str().ok()).unwrap_or_default();
        let name = cookies.split("; ").find_map(|cookie| cookie.strip_prefix(COOKIE_NAME)?.strip_prefix('='));
        let name = name.unwrap_or_default();
        match self.lock().get(name) {
            Some(State { user, .. }) => Ok(Session { name: name.to_owned(), user: user.clone() }),
            None => Err(Failure::new(StatusCode::UNAUTHORIZED, "no session: open a page of this service first")),
        }
    }

    pub(crate) fn find_or_start(&self, headers: &HeaderMap) -> Session {
        self.find(headers).unwrap_or_else(|_| {
            let (name, user) = (Uuid::new_v4().to_string(), Uuid::new_v4().to_string());
            self.lock().insert(name.clone(), State { user: user.clone(), pending: None });
            Session { name, user }
        })
    }

    pub(crate) fn keep(&self, session: &Session, pending: Pending) {
        if let Some(state) = self.lock().get_mut(&session.name) {
            state.pending = Some(pending);
        }
    }

    /// Takes the pending consent out of the session, so it can be used only once.
    pub(crate) fn take(&self, session: &Session) -> Reply<Pending> {
        let pending = self.lock().get_mut(&session.name).and_then(|state| state.pending.take());
        pending.ok_or(Failure::new(StatusCode::CONFLICT, "consent again"))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// Returns the session cookie. A service that browsers reach over `https` would add `Secure`.
    pub(crate) fn cookie(&self) -> String {
        format!("{COOKIE_NAME}={}; HttpOnly; SameSite=Lax; Path=/", self.name)
    }
}
