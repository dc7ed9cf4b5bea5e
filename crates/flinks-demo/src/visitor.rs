//! The user who sent a request, and the contents of their browser session.

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tower_sessions::Session;
use uuid::Uuid;

use crate::service::Failure;

/// The user who sent a request. A real application has user accounts and a login page. Here, each
/// new browser session creates a new user.
pub(crate) struct Visitor {
    pub(crate) user: String,
    session: Session,
}

pub(crate) const UNAVAILABLE: Failure = Failure(StatusCode::SERVICE_UNAVAILABLE, "Please try again later.", None);

impl Visitor {
    /// Stores a pending authorization in the session until the user returns.
    pub(crate) async fn keep(&self, name: &str, pending: &impl Serialize) -> Result<(), Failure> {
        self.session.insert(name, pending).await.map_err(|_| UNAVAILABLE)
    }

    /// Removes a pending authorization from the session and returns it. Each pending authorization
    /// can therefore be used only once. Without the call to `save`, the session would keep the
    /// pending authorization if this request failed. A session store shared by several processes
    /// must be able to remove and return a value atomically.
    pub(crate) async fn take<T: DeserializeOwned>(&self, name: &str) -> Result<T, Failure> {
        let pending = self.session.remove(name).await.map_err(|_| UNAVAILABLE)?;
        self.session.save().await.map_err(|_| UNAVAILABLE)?;
        pending.ok_or(Failure(StatusCode::CONFLICT, "Please start again.", None))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Visitor {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let session = Session::from_request_parts(parts, state).await.map_err(|_| UNAVAILABLE)?;
        let known: Option<String> = session.get("user").await.map_err(|_| UNAVAILABLE)?;
        let user = known.unwrap_or_else(|| Uuid::new_v4().to_string());
        session.insert("user", &user).await.map_err(|_| UNAVAILABLE)?;
        Ok(Self { user, session })
    }
}
