//! Starts an authorization in a browser and verifies the end user's callback.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use flinks_core::{Clock, Secret};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use crate::RedirectUrl;
use crate::error::{Error, Kind};
use crate::operation::Operation;

/// An authorization that has started. Redirect the end user's browser to `url`, and keep `pending`
/// in the end user's session until the callback arrives.
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "redirect the end user to the URL and keep the pending authorization in their session"]
pub struct Started<P> {
    /// The URL to redirect the end user's browser to. It contains the `state`, so keep it out of
    /// logs.
    pub url: Secret,
    /// The pending authorization, which verifies the callback when the end user returns.
    pub pending: P,
}

/// An authorization's random `state` and start time.
#[derive(Serialize, Deserialize)]
pub(crate) struct CsrfState {
    state: String,
    created_at: SystemTime,
}

/// The longest accepted time between the start of an authorization and its callback.
const MAX_AGE: Duration = Duration::from_secs(10 * 60);
/// The largest accepted difference between the clocks of two machines.
const MAX_SKEW: Duration = Duration::from_secs(60);

impl CsrfState {
    pub(crate) fn new(clock: &dyn Clock) -> Self {
        // Two UUIDs, each with 122 bits from the operating system's random number generator.
        let state = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        Self { state, created_at: clock.wall() }
    }

    pub(crate) fn expose(&self) -> &str {
        &self.state
    }

    /// Verifies a callback and returns the value of its result parameter, such as `code`.
    ///
    /// A callback contains either that parameter or `error`. Neither parameter is trusted unless
    /// the `state` matches.
    pub(crate) fn verify(
        self,
        callback: &str,
        result_parameter: &str,
        operation: Operation,
        clock: &dyn Clock,
    ) -> Result<String, Error> {
        let reject = |reason| Err(Error::new(operation, Kind::Callback(reason)));
        let mut parameters = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(query(callback).as_bytes()) {
            // Other parameters belong to the application.
            let is_reserved = reserved_parameters(result_parameter).contains(&&*name);
            if is_reserved && parameters.insert(name.into_owned(), value.into_owned()).is_some() {
                return reject("a parameter occurs more than once");
            }
        }
        let Some(state) = parameters.remove("state") else {
            return reject("`state` is missing");
        };
        if state.is_empty() {
            return reject("`state` is empty");
        }
        if !bool::from(state.as_bytes().ct_eq(self.state.as_bytes())) {
            return reject("`state` does not match the pending authorization");
        }
        if !self.is_recent(clock) {
            return reject("the authorization was not completed within 10 minutes");
        }
        match (parameters.remove(result_parameter), parameters.remove("error")) {
            (Some(value), None) => Ok(value),
            (None, Some(error)) => {
                Err(Error::callback_failed(operation, error, parameters.remove("error_description")))
            }
            (Some(_), Some(_)) => reject("the callback contains both a result and an error"),
            (None, None) => reject("the callback contains neither a result nor an error"),
        }
    }

    /// Returns whether the authorization started at most [`MAX_AGE`] ago. The start may be slightly
    /// in the future if another machine started the authorization.
    fn is_recent(&self, clock: &dyn Clock) -> bool {
        match clock.wall().duration_since(self.created_at) {
            Ok(age) => age <= MAX_AGE,
            Err(from_the_future) => from_the_future.duration() <= MAX_SKEW,
        }
    }
}

/// Returns the parameters that a callback adds to the redirect URL.
fn reserved_parameters(result_parameter: &str) -> [&str; 4] {
    ["state", result_parameter, "error", "error_description"]
}

/// Rejects a redirect URL that contains a reserved parameter, because every callback would then
/// contain that parameter twice.
pub(crate) fn check_redirect_url(redirect_url: &RedirectUrl, result_parameter: &str) -> Result<(), Error> {
    let reserved = reserved_parameters(result_parameter);
    let (_, query) = redirect_url.as_str().split_once('?').unwrap_or_default();
    if url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| reserved.contains(&&*name)) {
        return Err(Error::configuration("redirect URL", "must not contain a parameter that the callback adds"));
    }
    Ok(())
}

/// Returns the query of `callback`, which is a URL, a path with a query, or a query alone.
///
/// A query alone may contain a `?` in a value, so the text before the first `?` determines which
/// form it is.
fn query(callback: &str) -> &str {
    let query = match callback.split_once('?') {
        Some((before, after)) if is_url_or_path(before) => after,
        _ => callback,
    };
    query.split('#').next().unwrap_or_default()
}

/// Returns whether the text before a `?` is a URL or a path. Otherwise, the text is the start of a
/// query.
fn is_url_or_path(text: &str) -> bool {
    let starts_like_one = ["/", "http:", "https:"].iter().any(|start| text.starts_with(start));
    let has_parameters = text.contains(['=', '&']);
    starts_like_one || !has_parameters
}
