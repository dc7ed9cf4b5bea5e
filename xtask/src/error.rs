//! The error type for all stages. An error states the location of the problem.

use std::fmt;
use std::path::{Path, PathBuf};

/// The result of a stage.
pub type Result<T> = std::result::Result<T, Error>;

/// An error message, the location of the problem in a document, and a hint on how to fix the
/// problem.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug, Default)]
struct Inner {
    file: Option<PathBuf>,
    operation: Option<String>,
    pointer: Option<String>,
    message: String,
    help: Option<String>,
    cure: Option<Cure>,
    also: Vec<Error>,
}

/// An overlay action that fixes a problem in a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Cure {
    /// The JSON pointer to the action's target.
    pub pointer: String,
    /// The update that is merged into the target, or `None` to remove the target.
    pub update: Option<serde_json::Value>,
}

impl Error {
    /// Combines several errors into one error.
    ///
    /// # Errors
    ///
    /// Returns an error unless `errors` is empty. The error displays all of `errors`.
    pub fn all(errors: Vec<Self>) -> Result<()> {
        let mut errors = errors.into_iter();
        match errors.next() {
            None => Ok(()),
            Some(mut first) => {
                first.0.also.extend(errors);
                Err(first)
            }
        }
    }

    /// Creates an error without a location.
    pub fn new(message: impl Into<String>) -> Self {
        Self(Box::new(Inner { message: message.into(), ..Inner::default() }))
    }

    /// Sets the file, unless it is already set.
    #[must_use]
    pub fn in_file(mut self, file: &Path) -> Self {
        self.0.file.get_or_insert_with(|| file.to_owned());
        self.0.also = self.0.also.into_iter().map(|other| other.in_file(file)).collect();
        self
    }

    /// Sets the operation.
    #[must_use]
    pub fn in_operation(mut self, operation: impl Into<String>) -> Self {
        self.0.operation = Some(operation.into());
        self
    }

    /// Sets the location in the document as a JSON pointer.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        self.0.pointer = Some(pointer.into());
        self
    }

    /// Sets the location in the document, unless it is already set.
    #[must_use]
    pub fn or_at(mut self, pointer: impl Into<String>) -> Self {
        self.0.pointer.get_or_insert_with(|| pointer.into());
        self
    }

    /// Replaces the pointers in this error and in all errors combined with it. If `map` returns
    /// `None` for a pointer, that pointer is kept.
    #[must_use]
    pub(crate) fn map_pointers(mut self, map: &dyn Fn(&str) -> Option<String>) -> Self {
        if let Some(pointer) = &mut self.0.pointer
            && let Some(new) = map(pointer)
        {
            *pointer = new;
        }
        if let Some(cure) = &mut self.0.cure
            && let Some(new) = map(&cure.pointer)
        {
            cure.pointer = new;
        }
        self.0.also = self.0.also.into_iter().map(|other| other.map_pointers(map)).collect();
        self
    }

    /// Sets the overlay action that fixes the problem: an update that is merged into the object at
    /// `pointer`.
    #[must_use]
    pub fn cured_by_update(mut self, pointer: impl Into<String>, update: serde_json::Value) -> Self {
        self.0.cure = Some(Cure { pointer: pointer.into(), update: Some(update) });
        self
    }

    /// Sets the overlay action that fixes the problem: the removal of the object at `pointer`.
    #[must_use]
    pub fn cured_by_removal(mut self, pointer: impl Into<String>) -> Self {
        self.0.cure = Some(Cure { pointer: pointer.into(), update: None });
        self
    }

    /// Returns the overlay action that fixes the problem.
    pub fn cure(&self) -> Option<&Cure> {
        self.0.cure.as_ref()
    }

    /// Returns the message without the location and the help.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the help text.
    pub fn help_text(&self) -> Option<&str> {
        self.0.help.as_deref()
    }

    /// Splits this error and all errors combined with it into separate errors.
    #[must_use]
    pub fn split(mut self) -> Vec<Self> {
        let also = std::mem::take(&mut self.0.also);
        std::iter::once(self).chain(also.into_iter().flat_map(Self::split)).collect()
    }

    /// Sets the help text.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    /// Sets the help text, unless it is already set. Applies to all combined errors.
    #[must_use]
    pub fn or_help(mut self, help: &str) -> Self {
        self.0.help.get_or_insert_with(|| help.to_owned());
        self.0.also = self.0.also.into_iter().map(|other| other.or_help(help)).collect();
        self
    }

    /// Returns the operation that contains the problem.
    pub fn operation(&self) -> Option<&str> {
        self.0.operation.as_deref()
    }

    /// Returns the location of the problem as a JSON pointer.
    pub fn pointer(&self) -> Option<&str> {
        self.0.pointer.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { file, operation, pointer, message, help, also, cure: _ } = &*self.0;
        if let Some(file) = file {
            write!(f, "{}: ", file.display())?;
        }
        f.write_str(message)?;
        if let Some(operation) = operation {
            write!(f, "\n  operation: {operation}")?;
        }
        if let Some(pointer) = pointer {
            write!(f, "\n  at: {pointer}")?;
        }
        if let Some(help) = help {
            write!(f, "\n  help: {help}")?;
        }
        also.iter().try_for_each(|other| write!(f, "\n\n{other}"))
    }
}

impl std::error::Error for Error {}
