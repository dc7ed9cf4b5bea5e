//! Custom OAuth: the end user logs in on the bank's own page (C7).

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use flinks_core::Secret;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use super::{Client, LoginId};
use crate::RedirectUrl;
use crate::error::{Error, Operation, Product};

impl Client {
    /// An authorization at a bank, by its institution id, that comes back to `redirect_uri` (C7).
    ///
    /// # Errors
    ///
    /// An [`Error`] where `redirect_uri` has a parameter of its own that the return adds: `state`, `loginId`, `error` or
    /// `error_description`.
    pub fn custom_oauth(&self, institution_id: u32, redirect_uri: &RedirectUrl) -> Result<CustomOAuth<'_>, Error> {
        let (_, query) = redirect_uri.as_str().split_once('?').unwrap_or_default();
        if url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| ADDED.contains(&&*name)) {
            return Err(Error::input("redirect URL", "has a parameter that the return of the end user adds"));
        }
        let parameters =
            vec![("institution_id", institution_id.to_string()), ("redirect_uri", redirect_uri.as_str().to_owned())];
        Ok(CustomOAuth { client: self, parameters })
    }

    /// Verifies the URL, or its query, with which an end user came back, and consumes what was pending (C7). Continue with
    /// [`Authorize::after_oauth`](super::Authorize::after_oauth).
    ///
    /// # Errors
    ///
    /// [`Error::is_invalid_callback`] where the `state` is missing, is not the one that is pending, or is older than 10
    /// minutes; where a parameter is there twice; where there is neither a login nor an error, or both. With the right
    /// `state` and an error of the bank's, [`Error::callback_error`] tells it.
    pub fn verify_oauth(&self, pending: PendingAuthorization, callback: &str) -> Result<LoginId, Error> {
        let refuse = |reason| Err(Error::callback(&OAUTH, reason));
        // What stands before a `?` is a path; or it is a query, in which that character may be, too.
        let query = match callback.split_once('?') {
            Some((path, query)) if !path.contains(['=', '&']) => query,
            _ => callback,
        };
        let query = query.split('#').next().unwrap_or_default();
        let mut parameters = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            // The others are the caller's own.
            if ADDED.contains(&&*name) && parameters.insert(name.into_owned(), value.into_owned()).is_some() {
                return refuse("has a parameter twice");
            }
        }
        // The state comes first: without it, nobody knows who wrote the rest.
        let state = parameters.remove("state").unwrap_or_default();
        if state.is_empty() || !bool::from(state.as_bytes().ct_eq(pending.state.as_bytes())) {
            return refuse("has another state than the one that is pending");
        }
        let is_of_its_time = match self.caller.clock.wall().duration_since(pending.created_at) {
            Ok(age) => age <= MAX_AGE,
            Err(from_the_future) => from_the_future.duration() <= MAX_SKEW,
        };
        if !is_of_its_time {
            return refuse("does not come within 10 minutes of its start");
        }
        match (parameters.remove("loginId"), parameters.remove("error")) {
            (Some(login_id), None) => {
                LoginId::new(login_id).or_else(|_| refuse("has a loginId that is empty or no plain text"))
            }
            (None, Some(error)) => Err(Error::callback_failed(&OAUTH, error, parameters.remove("error_description"))),
            (Some(_), Some(_)) => refuse("has a loginId and an error"),
            (None, None) => refuse("has neither a loginId nor an error"),
        }
    }
}

/// What the return of an end user adds to the redirect URL.
const ADDED: [&str; 4] = ["state", "loginId", "error", "error_description"];
/// Between the clocks of two machines.
const MAX_SKEW: Duration = Duration::from_secs(60);
/// An end user has logged in by then.
const MAX_AGE: Duration = Duration::from_secs(10 * 60);
const OAUTH: Operation =
    Operation { product: Product::Connect, id: "oauth", purpose: "verify the return of an end user" };

/// An authorization at a bank, before it starts.
#[must_use]
pub struct CustomOAuth<'a> {
    client: &'a Client,
    parameters: Vec<(&'static str, String)>,
}

impl CustomOAuth<'_> {
    /// `lang`: `en` or `fr`.
    pub fn language(self, language: impl Into<String>) -> Self {
        self.set("lang", language.into())
    }

    /// `tag`: a text of yours that comes back with the data.
    pub fn tag(self, tag: impl Into<String>) -> Self {
        self.set("tag", tag.into())
    }

    fn set(mut self, name: &'static str, value: String) -> Self {
        self.parameters.retain(|(known, _)| *known != name);
        self.parameters.push((name, value));
        self
    }

    /// The address to which the end user's browser goes, which holds the state, and what is pending until they are back. Keep the latter in the
    /// end user's own session, and nowhere that another could reach: that is what makes a forged return fail.
    pub fn start(self) -> (Secret, PendingAuthorization) {
        let Self { client, parameters } = self;
        // Twice 122 random bits of the operating system's.
        let state = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(parameters)
            .append_pair("state", &state)
            .finish()
            .replace('+', "%20");
        let url = format!("{}/v3/oauth/authorize?{query}", client.api);
        (Secret::new(url), PendingAuthorization { state, created_at: client.caller.clock.wall() })
    }
}

impl fmt::Debug for CustomOAuth<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CustomOAuth").finish_non_exhaustive()
    }
}

/// An authorization that has started. It is verified by value, once (C7). It can be stored in the end user's session, which
/// is then to be emptied of it.
#[derive(Serialize, Deserialize)]
#[must_use]
pub struct PendingAuthorization {
    state: String,
    created_at: SystemTime,
}

impl fmt::Debug for PendingAuthorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingAuthorization").field("created_at", &self.created_at).finish_non_exhaustive()
    }
}
