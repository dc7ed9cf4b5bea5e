//! Secrets and other text from standard input.

use std::io::{IsTerminal as _, Read};

use flinks_consents::flinks::Secret;

use crate::failure::{Exit, Failure};

/// The maximum size of a secret or other short text on standard input, in bytes.
pub(crate) const MAX_TEXT: u64 = 64 * 1024;

/// Prompts for a secret on the terminal without echoing it, or reads it from standard input. One
/// trailing line break is removed.
///
/// # Errors
///
/// Returns a failure if the input is empty, too long or not UTF-8.
pub(crate) fn secret(what: &str) -> Result<Secret, Failure> {
    if std::io::stdin().is_terminal() {
        // Without this setting, the prompt would be repeated indefinitely.
        let prompt = dialoguer::Password::new().with_prompt(format!("Enter {what}")).allow_empty_password(true);
        let text = prompt.interact().map_err(|error| prompt_failure(&error))?;
        if text.is_empty() {
            return Err(Failure::usage(format!("nothing was entered: expected {what}")));
        }
        return Ok(Secret::new(text));
    }
    let text = text(what)?;
    if text.trim().is_empty() {
        return Err(Failure::usage(format!("standard input is empty: expected {what}")));
    }
    Ok(without_line_break(&text))
}

/// Like [`secret`], for a command that does other work on the same thread.
pub(crate) async fn secret_in_background(what: &'static str) -> Result<Secret, Failure> {
    match tokio::task::spawn_blocking(move || secret(what)).await {
        Ok(secret) => secret,
        Err(_) => Err(Failure::new(format!("failed to read {what}"))),
    }
}

/// Reads text from standard input.
///
/// # Errors
///
/// Returns a failure if the input is too long or not UTF-8.
pub(crate) fn text(what: &str) -> Result<String, Failure> {
    let bytes = limited(std::io::stdin().lock(), MAX_TEXT, what)?;
    String::from_utf8(bytes).map_err(|_| Failure::usage(format!("{what} on standard input must be UTF-8")))
}

/// Reads everything from a file or from standard input.
///
/// # Errors
///
/// Returns a failure if there are more than `max` bytes.
pub(crate) fn limited(reader: impl Read, max: u64, what: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = reader.take(max.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|error| Failure::usage(format!("failed to read {what}: {error}")))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > max) {
        return Err(Failure::usage(format!("{what} is too large: must be at most {max} bytes")));
    }
    Ok(bytes)
}

/// Returns the failure for a prompt that failed, for example because the user pressed Ctrl-C.
pub(crate) fn prompt_failure(error: &dialoguer::Error) -> Failure {
    let dialoguer::Error::IO(error) = error;
    match error.kind() {
        std::io::ErrorKind::Interrupted => Failure::silent(Exit::Interrupted),
        _ => Failure::new(format!("failed to read from the terminal: {error}")),
    }
}

/// Removes one line break from the end of a secret that was read from standard input or a file.
fn without_line_break(text: &str) -> Secret {
    let text = text.strip_suffix('\n').unwrap_or(text);
    Secret::new(text.strip_suffix('\r').unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_break_is_removed_from_a_secret() {
        for (text, secret) in [("a\n", "a"), ("a\r\n", "a"), ("a", "a"), ("a\n\n", "a\n"), (" a ", " a "), ("\n", "")] {
            assert_eq!(without_line_break(text).expose_secret(), secret);
        }
    }

    #[test]
    fn long_input_is_refused() {
        assert_eq!(limited(&b"1234"[..], 4, "input").unwrap(), b"1234");
        let failure = limited(&b"12345"[..], 4, "input").unwrap_err();
        assert_eq!(failure.message(), "input is too large: must be at most 4 bytes");
    }
}
