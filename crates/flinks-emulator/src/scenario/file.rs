//! The TOML format of a scenario.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use toml::Spanned;

use super::Scenario;
use super::check;
use crate::bank::{Bank, Banks};
use crate::config::Config;
use crate::fault::Fault;
use crate::file_error::{Content, FileError};
use crate::operation::Operation;

/// A scenario file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    description: String,
    /// This field is used only to check the settings. [`Settings`] contains the settings that the
    /// file sets.
    #[serde(default)]
    config: Option<Spanned<Config>>,
    #[serde(default, rename = "bank")]
    banks: Option<Vec<Bank>>,
    #[serde(default, rename = "step")]
    pub(super) steps: Vec<Step>,
}

/// The settings that a scenario file contains. Missing settings do not get a default value.
#[derive(Deserialize)]
struct Settings {
    #[serde(default)]
    config: Map<String, Value>,
}

/// A change to the emulator, and the event that the change waits for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    /// The event that the step waits for once the previous step has taken effect, or `None` if the
    /// step takes effect immediately.
    #[serde(default)]
    pub(super) after: Option<Spanned<After>>,
    #[serde(rename = "do")]
    pub(super) action: Spanned<Action>,
}

/// An event that a step waits for. `check` makes sure that exactly one of `operation` and `time` is
/// present.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct After {
    /// The operation whose requests are counted.
    pub(super) operation: Option<Operation>,
    /// The number of requests that must be completed first. The default is 1.
    pub(super) count: Option<u64>,
    /// The time to wait, on the emulator's clock.
    #[serde(default, deserialize_with = "optional_time")]
    pub(super) time: Option<Duration>,
}

/// A change that a step makes.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    /// Advances the clock.
    #[serde(deserialize_with = "time")]
    Advance(Duration),
    /// Schedules a fault.
    Fault(FaultAction),
    /// Makes a bank unavailable.
    Outage(OutageAction),
    /// Refuses requests that exceed a rate.
    RateLimit(RateLimitAction),
    /// Revokes every consent of a user at the bank.
    Revoke(RevokeAction),
    /// Changes settings.
    Set(Map<String, Value>),
    /// Delays the response to each live request to `/Authorize`.
    #[serde(deserialize_with = "time")]
    SlowAuthorize(Duration),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FaultAction {
    pub(crate) operation: Operation,
    pub(crate) fault: Fault,
    /// The number of requests that the fault applies to. The default is 1.
    pub(crate) times: Option<u64>,
    #[serde(default)]
    pub(crate) always: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OutageAction {
    #[serde(deserialize_with = "time")]
    pub(crate) time: Duration,
    /// The bank, or `None` for all banks.
    pub(crate) bank: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RateLimitAction {
    pub(crate) operation: Operation,
    /// The number of requests that are accepted within `time`.
    pub(crate) requests: usize,
    #[serde(deserialize_with = "time")]
    pub(crate) time: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RevokeAction {
    pub(crate) user: String,
    /// The bank, or `None` for the first bank that has a user with this name.
    pub(crate) bank: Option<String>,
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text)
        .map_err(|_| serde::de::Error::custom("a time must be a number with a unit, such as \"10m\" or \"29d\""))
}

fn optional_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    time(deserializer).map(Some)
}

pub(super) fn parse(text: &str) -> Result<Scenario, FileError> {
    let invalid = |reason: &str, offset| FileError::new(Content::Scenario, reason).at(text, offset);
    let not_toml = |error| FileError::toml(Content::Scenario, text, &error);
    let file: File = toml::from_str(text).map_err(not_toml)?;
    let settings: Settings = toml::from_str(text).map_err(not_toml)?;
    if let Some(config) = &file.config
        && let Some(problem) = config.get_ref().problem()
    {
        return Err(invalid(problem, config.span().start));
    }
    let banks = file.banks.map_or_else(Banks::default, Banks::new);
    check::banks(&banks)
        .and_then(|()| check::steps(&file.steps, &banks))
        .map_err(|problem| invalid(&problem.reason, problem.offset))?;
    Ok(Scenario {
        name: None,
        description: file.description,
        banks,
        settings: settings.config,
        steps: Arc::new(file.steps),
    })
}
