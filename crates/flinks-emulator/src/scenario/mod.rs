//! Scenarios: settings, data for the banks, and a list of steps that change the emulator's
//! behaviour as requests arrive or time passes.
//!
//! | file | contents |
//! | --- | --- |
//! | `file` | the TOML format of a scenario |
//! | `check` | the checks that involve more than one value, such as whether names are unique |
//! | `run` | the steps of the loaded scenario, and what they changed |
//! | `built_in/` | the built-in scenarios |

mod check;
mod file;
mod run;

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

pub(crate) use self::run::ScenarioRun;

use self::file::Step;
use crate::bank::Banks;
use crate::file_error::{Content, FileError};

/// A scenario, which consists of banks, users, accounts, transactions, settings and steps.
///
/// [`Emulator::load_scenario`](crate::Emulator::load_scenario) loads it. `SCENARIOS.md` in this
/// crate's folder describes the format of a scenario file.
///
/// ```
/// use flinks_emulator::Scenario;
///
/// let scenario = Scenario::parse(
///     r#"
///     description = "The response to the second refresh is lost"
///
///     [[step]]
///     after = { operation = "outbound.token" }
///     do = { fault = { operation = "outbound.token", fault = { kind = "drop", when = "after" } } }
///     "#,
/// )?;
/// assert_eq!(scenario.step_count(), 1);
/// # Ok::<(), flinks_emulator::FileError>(())
/// ```
#[derive(Clone)]
pub struct Scenario {
    name: Option<&'static str>,
    description: String,
    banks: Banks,
    /// The settings that the scenario changes, keyed by section.
    settings: Map<String, Value>,
    steps: Arc<Vec<Step>>,
}

/// The built-in scenarios, each with its name and its file.
const BUILT_IN: [(&str, &str); 8] = [
    ("bank-outage", include_str!("built_in/bank-outage.toml")),
    ("consent-revoked", include_str!("built_in/consent-revoked.toml")),
    ("idle-refresh-token", include_str!("built_in/idle-refresh-token.toml")),
    ("lost-token-response", include_str!("built_in/lost-token-response.toml")),
    ("mfa", include_str!("built_in/mfa.toml")),
    ("rate-limit", include_str!("built_in/rate-limit.toml")),
    ("rotation", include_str!("built_in/rotation.toml")),
    ("slow-authorize", include_str!("built_in/slow-authorize.toml")),
];

impl Scenario {
    /// Returns the names of the built-in scenarios, in alphabetical order.
    pub fn built_in_names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(name, _)| *name)
    }

    /// Returns a built-in scenario.
    ///
    /// # Errors
    ///
    /// Returns an error if no built-in scenario has this name. The message lists the built-in
    /// names.
    pub fn built_in(name: &str) -> Result<Self, FileError> {
        let Some((name, text)) = BUILT_IN.iter().find(|(known, _)| *known == name) else {
            let names: Vec<&str> = Self::built_in_names().collect();
            let reason = format!("unknown name, expected one of {}", names.join(", "));
            return Err(FileError::new(Content::Scenario, reason));
        };
        let scenario = Self::parse(text)?;
        Ok(Self { name: Some(name), ..scenario })
    }

    /// Parses a scenario file, which is a TOML document. If it contains no banks, the default bank
    /// and its users are available.
    ///
    /// # Errors
    ///
    /// Returns an error that names the line and the reason if the text is not valid TOML, contains
    /// an unknown key, defines two users with the same name at one bank, or contains a step that
    /// cannot take effect. The message never contains a string from the file, because the string
    /// may be a credential.
    pub fn parse(text: &str) -> Result<Self, FileError> {
        file::parse(text)
    }

    /// Returns the name of a built-in scenario, or `None` for any other scenario.
    pub fn name(&self) -> Option<&str> {
        self.name
    }

    /// Returns the sentence that describes the scenario, or an empty string if the file contains
    /// none.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Returns the number of steps.
    pub fn step_count(&self) -> usize {
        self.steps.len()
    }
}

/// The `Debug` output contains no data, because a scenario may contain credentials.
impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scenario").field("name", &self.name).field("steps", &self.steps.len()).finish_non_exhaustive()
    }
}
