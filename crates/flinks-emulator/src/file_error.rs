//! The error returned for an invalid file.

use std::fmt;

/// The error returned if a scenario or a configuration is invalid. It states the line and the
/// reason.
///
/// The message contains no values from the file, because they may be credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    content: Content,
    line: Option<usize>,
    reason: String,
}

/// The expected content of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Configuration,
    Scenario,
}

impl FileError {
    pub(crate) fn new(content: Content, reason: impl Into<String>) -> Self {
        Self { content, line: None, reason: reason.into() }
    }

    /// Adds the number of the line that contains the byte at `offset`.
    pub(crate) fn at(mut self, text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or_default();
        self.line = Some(before.bytes().filter(|byte| *byte == b'\n').count().saturating_add(1));
        self
    }

    /// Converts a parser error. Keeps only the start of the parser's message and the list of
    /// expected names, because the rest may quote the file.
    pub(crate) fn toml(content: Content, text: &str, error: &toml::de::Error) -> Self {
        let message = error.message();
        let what = message.split(['`', '"', '\n']).next().unwrap_or_default().trim_end_matches([' ', ',', ':']);
        let expected = message.rsplit_once(", expected ").map(|(_, expected)| format!(", expected {expected}"));
        let invalid = Self::new(content, format!("{what}{}", expected.unwrap_or_default()));
        match error.span() {
            Some(span) => invalid.at(text, span.start),
            None => invalid,
        }
    }

    /// Returns the number of the line that contains the error, starting from 1, or `None` if the
    /// error does not belong to a line.
    pub fn line(&self) -> Option<usize> {
        self.line
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content = match self.content {
            Content::Configuration => "configuration",
            Content::Scenario => "scenario",
        };
        write!(f, "invalid {content}: ")?;
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        f.write_str(&self.reason)
    }
}

impl std::error::Error for FileError {}
