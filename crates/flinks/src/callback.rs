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
/// in their session until the callback arrives.
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "redirect the end user to the URL and keep the pending authorization in their session"]
pub struct Started<P> {
    /// The URL to redirect the end user's browser to. It contains the `state`, so keep it out of
    /// logs.
    pub url: Secret,
    /// The pending authorization, which is required to verify the callback when the end user
    /// returns.
    pub pending: P,
}

/// An authorization's random `state` and start time.
#[derive(Serialize, Deserialize)]
pub(crate) struct CsrfState {
    state: String,
    created_at: SystemTime,
}

/// The maximum accepted clock skew between two machines.
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

    /// Verifies a callback whose query contains the `state`, and returns the value of its result
    /// parameter.
    pub(crate) fn verify(self, callback: &str, form: &CallbackForm, clock: &dyn Clock) -> Result<String, Error> {
        let mut parameters = form.parse(callback)?;
        self.check(parameters.take("state").as_deref(), form)?;
        self.check_age(form, clock)?;
        parameters.into_result(form)
    }

    /// Compares the `state` in a callback with the expected `state`. The comparison runs in
    /// constant time.
    pub(crate) fn check(&self, received: Option<&str>, form: &CallbackForm) -> Result<(), Error> {
        let Some(received) = received else {
            return Err(form.rejection("`state` is missing"));
        };
        if received.is_empty() {
            return Err(form.rejection("`state` is empty"));
        }
        if !bool::from(received.as_bytes().ct_eq(self.state.as_bytes())) {
            return Err(form.rejection(form.mismatch));
        }
        Ok(())
    }

    /// Rejects a callback that arrives too late. The start time may be slightly in the future,
    /// because the authorization may have been started on a machine whose clock is ahead.
    pub(crate) fn check_age(&self, form: &CallbackForm, clock: &dyn Clock) -> Result<(), Error> {
        let is_recent = match clock.wall().duration_since(self.created_at) {
            Ok(age) => age <= form.max_age,
            Err(from_the_future) => from_the_future.duration() <= MAX_SKEW,
        };
        if is_recent { Ok(()) } else { Err(form.rejection(form.too_late)) }
    }
}

/// The format of one kind of callback, and the messages for rejected callbacks.
pub(crate) struct CallbackForm {
    pub(crate) operation: Operation,
    /// The parameter that contains the result, such as `code`. A callback contains either the
    /// result parameter or `error`.
    pub(crate) result: &'static str,
    /// The parameters that can accompany the result.
    pub(crate) details: &'static [&'static str],
    /// The longest accepted time between the start of an authorization and its callback.
    pub(crate) max_age: Duration,
    /// The message for a callback that arrives after `max_age`.
    pub(crate) too_late: &'static str,
    /// The message for a callback whose `state` does not match.
    pub(crate) mismatch: &'static str,
}

impl CallbackForm {
    /// Rejects a redirect URL that already contains one of the parameters that Flinks adds to
    /// callbacks. Otherwise, every callback would contain that parameter twice.
    pub(crate) fn check_redirect_url(&self, redirect_url: &RedirectUrl) -> Result<(), Error> {
        let (_, query) = redirect_url.as_str().split_once('?').unwrap_or_default();
        if url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| self.adds(&name)) {
            return Err(Error::configuration("redirect URL", "must not contain a parameter that the callback adds"));
        }
        Ok(())
    }

    /// Parses a callback's query. Rejects the callback if a parameter that Flinks adds appears
    /// twice.
    pub(crate) fn parse(&self, callback: &str) -> Result<Parameters, Error> {
        let mut parameters = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(query(callback).as_bytes()) {
            // Other parameters belong to the application.
            if self.adds(&name) && parameters.insert(name.into_owned(), value.into_owned()).is_some() {
                return Err(self.rejection("a parameter appears more than once"));
            }
        }
        Ok(Parameters(parameters))
    }

    /// Returns whether Flinks may add a parameter with this name to the redirect URL.
    fn adds(&self, name: &str) -> bool {
        name == self.result || self.details.contains(&name) || ["state", "error", "error_description"].contains(&name)
    }

    pub(crate) fn rejection(&self, reason: &'static str) -> Error {
        Error::new(self.operation, Kind::Callback(reason))
    }
}

/// The parameters that Flinks added to the redirect URL. Do not trust them unless the `state`
/// matches.
pub(crate) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// Returns the value of the result parameter, or the error that the callback contains.
    pub(crate) fn into_result(mut self, form: &CallbackForm) -> Result<String, Error> {
        match (self.take(form.result), self.take("error")) {
            (Some(value), None) => Ok(value),
            (None, Some(error)) => Err(Error::callback_failed(form.operation, error, self.take("error_description"))),
            (Some(_), Some(_)) => Err(form.rejection("the callback contains both a result and an error")),
            (None, None) => Err(form.rejection("the callback contains neither a result nor an error")),
        }
    }
}

/// Returns the query of `callback`, which is a URL, a path with a query, or a bare query.
///
/// A value in a bare query can contain a `?`, so a `?` alone does not mark the start of the query.
/// The form of `callback` follows from the text before the first `?`.
fn query(callback: &str) -> &str {
    let query = match callback.split_once('?') {
        Some((before, after)) if is_url_or_path(before) => after,
        _ => callback,
    };
    query.split('#').next().unwrap_or_default()
}

/// Returns the last path segment of the URL or path in `callback`, or `None` if the path is empty
/// or ends with a slash.
pub(crate) fn last_path_segment(callback: &str) -> Option<&str> {
    let path = callback.split(['?', '#']).next()?;
    let (_, segment) = path.rsplit_once('/')?;
    if segment.is_empty() { None } else { Some(segment) }
}

/// Returns whether the text before a `?` is a URL or a path, rather than the start of a query.
fn is_url_or_path(text: &str) -> bool {
    let starts_like_one = ["/", "http:", "https:"].iter().any(|start| text.starts_with(start));
    let has_parameters = text.contains(['=', '&']);
    starts_like_one || !has_parameters
}
