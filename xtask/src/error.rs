//! One located error for all stages.

use std::fmt;
use std::path::{Path, PathBuf};

/// The result of a stage.
pub type Result<T> = std::result::Result<T, Error>;

/// What is wrong, where, and what to do about it.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug, Default)]
struct Inner {
    file: Option<PathBuf>,
    operation: Option<String>,
    pointer: Option<String>,
    message: String,
    help: Option<String>,
    also: Vec<Error>,
}

impl Error {
    /// Several errors as one, if there are any.
    ///
    /// # Errors
    ///
    /// The first of `errors`, which shows the others too.
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

    /// An error that is not located yet.
    pub fn new(message: impl Into<String>) -> Self {
        Self(Box::new(Inner { message: message.into(), ..Inner::default() }))
    }

    /// Names the file; the innermost name stays.
    #[must_use]
    pub fn in_file(mut self, file: &Path) -> Self {
        self.0.file.get_or_insert_with(|| file.to_owned());
        self.0.also = self.0.also.into_iter().map(|other| other.in_file(file)).collect();
        self
    }

    /// Names the operation.
    #[must_use]
    pub fn in_operation(mut self, operation: impl Into<String>) -> Self {
        self.0.operation = Some(operation.into());
        self
    }

    /// Says where in the document, as a JSON pointer.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        self.0.pointer = Some(pointer.into());
        self
    }

    /// Says where in the document, unless a more exact place is known.
    #[must_use]
    pub fn or_at(mut self, pointer: impl Into<String>) -> Self {
        self.0.pointer.get_or_insert_with(|| pointer.into());
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    /// Says what to do, where nothing better is said.
    #[must_use]
    pub fn or_help(mut self, help: impl Into<String>) -> Self {
        self.0.help.get_or_insert_with(|| help.into());
        self
    }

    /// The operation that the error lies in.
    pub fn operation(&self) -> Option<&str> {
        self.0.operation.as_deref()
    }

    /// The JSON pointer.
    pub fn pointer(&self) -> Option<&str> {
        self.0.pointer.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { file, operation, pointer, message, help, also } = &*self.0;
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
