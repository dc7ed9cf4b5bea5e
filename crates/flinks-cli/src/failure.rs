//! The program's errors and exit codes.

use std::fmt;
use std::process::ExitCode;

use flinks_consents::flinks::{self, Advice, Product};
use flinks_consents::store::StoreError;
use flinks_consents::{ConsentError, ConsentId};

use crate::{output, shell};

/// The exit codes, which are stable. `flinks explain exit-3`, for example, describes a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// The command failed.
    Failed = 1,
    /// The arguments or the input are wrong.
    Usage = 2,
    /// The end user must consent.
    ConsentNeeded = 3,
    /// The configuration is wrong.
    Configuration = 4,
    /// The command may succeed later. The code is that of `EX_TEMPFAIL` in `sysexits.h`.
    TryLater = 75,
    /// The user interrupted the command.
    Interrupted = 130,
}

/// An error with its exit code and the command to try next. It contains no secrets.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    message: String,
    next: Option<String>,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { exit: Exit::Failed, message: message.into(), next: None }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, ..Self::new(message) }
    }

    pub(crate) fn configuration(message: impl Into<String>) -> Self {
        Self { exit: Exit::Configuration, ..Self::new(message) }
    }

    /// The error for a command that the user interrupted. `consequence` states the possible effect.
    pub(crate) fn interrupted(consequence: &str) -> Self {
        let message =
            if consequence.is_empty() { "interrupted".to_owned() } else { format!("interrupted; {consequence}") };
        Self { exit: Exit::Interrupted, ..Self::new(message) }
    }

    pub(crate) fn is_interruption(&self) -> bool {
        self.exit == Exit::Interrupted
    }

    /// A failure without a message, for example because the reader of a pipe has exited.
    pub(crate) fn silent(exit: Exit) -> Self {
        Self { exit, ..Self::new(String::new()) }
    }

    pub(crate) fn with_exit(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }

    /// Sets the next step, such as "run `flinks doctor pay`".
    pub(crate) fn with_next(self, next: impl Into<String>) -> Self {
        Self { next: Some(next.into()), ..self }
    }

    /// Creates the failure for a failed operation on a consent. The message names the consent.
    pub(crate) fn of_consent(id: &ConsentId, error: &ConsentError) -> Self {
        let failure = Self::from(error);
        let is_gone = error.needs_consent() || error.is_unknown_consent();
        let message = format!("consent {}: {}", id.as_str(), failure.message);
        let failure = Self { message, ..failure };
        if is_gone {
            let mut next = format!("run {}", login_command(id));
            if error.is_unknown_consent() {
                next =
                    format!("{} lists the consents; to obtain this consent, {next}", shell::command("consents list"));
            }
            return failure.with_next(next);
        }
        failure
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    pub(crate) fn exit_code(&self) -> u8 {
        self.exit as u8
    }

    /// Prints the error and returns the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        if !self.message.is_empty() {
            output::error(&self.message);
        }
        if let Some(next) = &self.next {
            output::note(next);
        }
        ExitCode::from(self.exit_code())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Returns the exit code for an error from the library.
pub(crate) fn exit_for(advice: Advice) -> Exit {
    match advice {
        Advice::RetryLater | Advice::WaitOrStartOver => Exit::TryLater,
        Advice::FixConfiguration => Exit::Configuration,
        Advice::FixInput => Exit::Usage,
        Advice::AskUser | Advice::StartOver => Exit::ConsentNeeded,
        _ => Exit::Failed,
    }
}

/// Returns the command that asks the end user for the consent again.
pub(crate) fn login_command(id: &ConsentId) -> String {
    shell::command(&format!("login --consent {}", shell::quoted(id.as_str())))
}

/// Returns the exit code for a store error.
pub(crate) fn exit_for_store(error: &StoreError) -> Exit {
    match error {
        StoreError::Unavailable(_) | StoreError::Busy(_) => Exit::TryLater,
        StoreError::Misconfigured(_) => Exit::Configuration,
        _ => Exit::Failed,
    }
}

fn product_name(product: Product) -> &'static str {
    match product {
        Product::Pay => "pay",
        Product::Connect => "connect",
        _ => "outbound",
    }
}

impl From<flinks::Error> for Failure {
    fn from(error: flinks::Error) -> Self {
        Self::from(&error)
    }
}

impl From<&flinks::Error> for Failure {
    fn from(error: &flinks::Error) -> Self {
        let failure = Self::new(error.to_string()).with_exit(exit_for(error.advice()));
        let doctor = match error.product() {
            Some(product) => shell::command(&format!("doctor {}", product_name(product))),
            None => shell::command("doctor"),
        };
        match error.advice() {
            Advice::FixConfiguration | Advice::Investigate => failure.with_next(format!("run {doctor}")),
            Advice::RetryLater => failure.with_next(format!("try again later, or run {doctor}")),
            _ => failure,
        }
    }
}

impl From<ConsentError> for Failure {
    fn from(error: ConsentError) -> Self {
        Self::from(&error)
    }
}

impl From<&ConsentError> for Failure {
    fn from(error: &ConsentError) -> Self {
        if let Some(call) = error.call() {
            return Self { message: error.to_string(), ..Self::from(call) }.with_exit(exit_for(error.advice()));
        }
        let failure = Self::new(error.to_string()).with_exit(exit_for(error.advice()));
        if error.is_store() { failure.with_next(format!("run {}", shell::command("doctor store"))) } else { failure }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::new(error.to_string())
            .with_exit(exit_for_store(&error))
            .with_next(format!("run {}", shell::command("doctor store")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_determines_the_exit_code() {
        for (advice, exit) in [
            (Advice::RetryLater, Exit::TryLater),
            (Advice::FixConfiguration, Exit::Configuration),
            (Advice::FixInput, Exit::Usage),
            (Advice::AskUser, Exit::ConsentNeeded),
            (Advice::StartOver, Exit::ConsentNeeded),
            (Advice::WaitOrStartOver, Exit::TryLater),
            (Advice::NewToken, Exit::Failed),
            (Advice::Investigate, Exit::Failed),
        ] {
            assert_eq!(exit_for(advice), exit, "{advice:?}");
        }
    }
}
