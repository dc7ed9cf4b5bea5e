//! The return of an end user, of whatever product.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use flinks_core::{Clock, Secret};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use crate::RedirectUrl;
use crate::error::{Error, Kind};
use crate::operation::Operation;

/// An authorization that has started: send the end user's browser to `url`, and keep `pending` in the end user's own session until
/// they are back.
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "the end user must be sent to the URL, and the pending authorization kept in their session"]
pub struct Started<P> {
    /// The address to which the end user's browser goes. It holds the state, so keep it out of logs.
    pub url: Secret,
    /// It verifies the return of the end user.
    pub pending: P,
}

/// What only the end user's own session knows, and when it began.
#[derive(Serialize, Deserialize)]
pub(crate) struct CsrfState {
    state: String,
    created_at: SystemTime,
}

/// An end user has logged in by then.
const MAX_AGE: Duration = Duration::from_secs(10 * 60);
/// Between the clocks of two machines.
const MAX_SKEW: Duration = Duration::from_secs(60);

impl CsrfState {
    pub(crate) fn new(clock: &dyn Clock) -> Self {
        // Twice 122 random bits of the operating system's.
        let state = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        Self { state, created_at: clock.wall() }
    }

    pub(crate) fn expose(&self) -> &str {
        &self.state
    }

    /// What the return says under `wanted` and `error`, of which one is there. With a foreign state nothing is believed,
    /// an error neither.
    pub(crate) fn verify(
        self,
        callback: &str,
        wanted: &str,
        operation: Operation,
        clock: &dyn Clock,
    ) -> Result<String, Error> {
        let refuse = |reason| Err(Error::new(operation, Kind::Callback(reason)));
        let mut parameters = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(query(callback).as_bytes()) {
            // The others are the caller's own.
            let is_added = added(wanted).contains(&&*name);
            if is_added && parameters.insert(name.into_owned(), value.into_owned()).is_some() {
                return refuse("has a parameter twice");
            }
        }
        let Some(state) = parameters.remove("state") else {
            return refuse("cannot be verified: `state` is missing");
        };
        if state.is_empty() {
            return refuse("cannot be verified: `state` is empty");
        }
        if !bool::from(state.as_bytes().ct_eq(self.state.as_bytes())) {
            return refuse("has another state than the one that is pending");
        }
        let is_of_its_time = match clock.wall().duration_since(self.created_at) {
            Ok(age) => age <= MAX_AGE,
            Err(from_the_future) => from_the_future.duration() <= MAX_SKEW,
        };
        if !is_of_its_time {
            return refuse("does not come within 10 minutes of its start");
        }
        match (parameters.remove(wanted), parameters.remove("error")) {
            (Some(value), None) => Ok(value),
            (None, Some(error)) => {
                Err(Error::callback_failed(operation, error, parameters.remove("error_description")))
            }
            (Some(_), Some(_)) => refuse("has a success and an error"),
            (None, None) => refuse("has neither a success nor an error"),
        }
    }
}

/// What a return adds to a redirect URL.
fn added(wanted: &str) -> [&str; 4] {
    ["state", wanted, "error", "error_description"]
}

/// Refuses a redirect URL that every return would break.
pub(crate) fn check(redirect_url: &RedirectUrl, wanted: &str) -> Result<(), Error> {
    let (_, query) = redirect_url.as_str().split_once('?').unwrap_or_default();
    match url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| added(wanted).contains(&&*name)) {
        true => Err(Error::configuration("redirect URL", "has a parameter that the return of the end user adds")),
        false => Ok(()),
    }
}

/// The query of a URL, of a path, or what is one already, in which a `?` may be, too.
fn query(callback: &str) -> &str {
    let is_of_a_url = |path: &str| {
        path.starts_with('/') || path.starts_with("http:") || path.starts_with("https:") || !path.contains(['=', '&'])
    };
    let query = match callback.split_once('?') {
        Some((path, query)) if is_of_a_url(path) => query,
        _ => callback,
    };
    query.split('#').next().unwrap_or_default()
}
