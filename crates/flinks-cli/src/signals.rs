//! Ctrl-C and other requests to stop.

#[cfg(unix)]
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;

/// The handlers for the signals that stop the program. They are installed before a command starts,
/// so that a signal never stops the program in the middle of a change.
#[cfg(unix)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// Sent when the terminal is closed.
    hangup: Signal,
    /// The terminal settings from before a prompt changed them.
    terminal: Option<Termios>,
}

#[cfg(unix)]
impl Signals {
    /// Installs the handlers.
    ///
    /// # Errors
    ///
    /// Returns a failure if the operating system refuses to install them.
    pub(crate) fn install() -> Result<Self, Failure> {
        let install = |kind| signal(kind).map_err(|error| Failure::new(format!("failed to handle signals: {error}")));
        Ok(Self {
            interrupt: install(SignalKind::interrupt())?,
            terminate: install(SignalKind::terminate())?,
            hangup: install(SignalKind::hangup())?,
            terminal: tcgetattr(std::io::stdin()).ok(),
        })
    }

    /// Completes when the next signal arrives.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }

    /// Restores the terminal, because an interrupted prompt leaves it without echo or cursor.
    pub(crate) fn restore_terminal(&self) {
        if let Some(terminal) = &self.terminal {
            // Nothing can be done if the terminal is closed.
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, terminal);
            let _ = dialoguer::console::Term::stderr().show_cursor();
        }
    }
}

/// The handler for Ctrl-C.
#[cfg(not(unix))]
pub(crate) struct Signals;

#[cfg(not(unix))]
impl Signals {
    pub(crate) fn install() -> Result<Self, Failure> {
        Ok(Self)
    }

    pub(crate) async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }

    pub(crate) fn restore_terminal(&self) {}
}
