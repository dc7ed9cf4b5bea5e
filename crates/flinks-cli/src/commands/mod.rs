//! The commands, one module for each.

pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod consents;
pub(crate) mod emulator;
pub(crate) mod env;
pub(crate) mod explain;
pub(crate) mod init;
pub(crate) mod inspect;
pub(crate) mod keep_alive;
pub(crate) mod login;
pub(crate) mod request;
pub(crate) mod token;
pub(crate) mod widget_url;

use std::io::{IsTerminal as _, Read as _};

use flinks_consents::flinks::Secret;

use crate::failure::Failure;
use crate::profile::without_line_break;

/// The maximum size of a secret on standard input, in bytes.
const MAX_SECRET: u64 = 64 * 1024;

/// Asks for a secret on the terminal without showing it, or reads standard input. One line break at
/// the end is removed.
///
/// # Errors
///
/// Returns a failure if the input is empty or not UTF-8.
fn secret_from_stdin(what: &str) -> Result<Secret, Failure> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        let prompt = dialoguer::Password::new().with_prompt(format!("Enter {what}"));
        let text = prompt.interact().map_err(|error| Failure::new(format!("failed to read {what}: {error}")))?;
        return Ok(Secret::new(text));
    }
    let mut text = String::new();
    stdin
        .lock()
        .take(MAX_SECRET)
        .read_to_string(&mut text)
        .map_err(|error| Failure::usage(format!("failed to read {what} from standard input: {}", error.kind())))?;
    if text.trim().is_empty() {
        return Err(Failure::usage(format!("standard input is empty: expected {what}")));
    }
    Ok(without_line_break(&text))
}
