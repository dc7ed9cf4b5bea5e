//! Text, tables and JSON for the terminal.

use std::io::{self, IsTerminal as _, Write as _};

use anstyle::{AnsiColor, Style};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use crate::failure::{Exit, Failure};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const NOTE: Style = AnsiColor::Cyan.on_default();
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default();

/// Prints a line to standard output.
///
/// # Errors
///
/// Returns a failure if the text could not be written. If the reader of a pipe has
/// exited, the failure has no message.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    bytes(format!("{text}\n").as_bytes())
}

/// Writes bytes to standard output unchanged.
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|error| write_failure(&error))
}

/// Writes text from a server to standard output. On a terminal, control characters are replaced,
/// because they could change how the terminal shows other text.
pub(crate) fn foreign(text: &[u8]) -> Result<(), Failure> {
    if !io::stdout().is_terminal() {
        return bytes(text);
    }
    let is_unsafe = |character: char| character.is_control() && !matches!(character, '\n' | '\t');
    bytes(String::from_utf8_lossy(text).replace(is_unsafe, "\u{fffd}").as_bytes())
}

/// Prints coloured text to standard output. The colours are removed if the output does not support
/// them.
pub(crate) fn coloured(text: &str) -> Result<(), Failure> {
    let mut stdout = anstream::stdout().lock();
    writeln!(stdout, "{}", wrapped(text)).and_then(|()| stdout.flush()).map_err(|error| write_failure(&error))
}

fn write_failure(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Failure::silent(Exit::Failed);
    }
    Failure::new(format!("failed to write to standard output: {error}"))
}

/// Prints a value as JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    json_text(serde_json::to_string_pretty(value))
}

/// Prints a value as a single line of JSON.
pub(crate) fn json_line(value: &impl Serialize) -> Result<(), Failure> {
    json_text(serde_json::to_string(value))
}

fn json_text(text: serde_json::Result<String>) -> Result<(), Failure> {
    let text = text.map_err(|error| Failure::new(format!("failed to write JSON: {error}")))?;
    // JSON allows control characters from U+007F on in strings, but a terminal may act on them.
    line(&text.replace(|character: char| character.is_control() && character != '\n', "\u{fffd}"))
}

/// Prints a table that fits the terminal, or only the headings if there are no rows.
pub(crate) fn table(headings: &[&str], rows: Vec<Vec<String>>) -> Result<(), Failure> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_header(headings);
    if let Some((terminal_size::Width(width), _)) = terminal_size::terminal_size_of(io::stdout()) {
        table.set_width(width);
    }
    table.add_rows(rows.into_iter().map(|row| row.iter().map(|text| printable(text)).collect::<Vec<_>>()));
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    line(&table.trim_fmt())
}

/// Breaks long lines between words if standard output is a terminal. Continuation lines are
/// indented two spaces more than the line that they continue.
pub(crate) fn wrapped(text: &str) -> String {
    let Some((terminal_size::Width(width), _)) = terminal_size::terminal_size_of(io::stdout()) else {
        return text.to_owned();
    };
    let wrap = |line: &str| {
        let indent = line.chars().take_while(|character| *character == ' ').count().saturating_add(2).min(12);
        let indent = " ".repeat(indent);
        textwrap::fill(line, textwrap::Options::new(width.into()).subsequent_indent(&indent))
    };
    text.lines().map(wrap).collect::<Vec<_>>().join("\n")
}

/// Replaces control characters, which could change how the terminal shows other text.
pub(crate) fn printable(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

/// Prints an error to standard error.
pub(crate) fn error(message: &str) {
    // Nothing can be done if standard error is closed.
    let _ = writeln!(anstream::stderr(), "{ERROR}error:{ERROR:#} {message}");
}

/// Prints information to standard error, to keep it separate from the result.
pub(crate) fn note(message: &str) {
    let _ = writeln!(anstream::stderr(), "{NOTE}note:{NOTE:#} {message}");
}

/// Prints a warning to standard error.
pub(crate) fn warning(message: &str) {
    let _ = writeln!(anstream::stderr(), "{WARNING}warning:{WARNING:#} {message}");
}

/// Refuses to print a secret on a terminal, where other people can see it and the scrollback buffer
/// keeps it.
///
/// # Errors
///
/// Returns a failure if standard output is a terminal and `show` is not set.
pub(crate) fn check_secret_may_be_printed(show: bool, what: &str) -> Result<(), Failure> {
    if show || !io::stdout().is_terminal() {
        return Ok(());
    }
    Err(Failure::usage(format!("refusing to print {what} on a terminal: use it in `$(…)`, or pass --show")))
}
