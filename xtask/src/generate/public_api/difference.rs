//! Describes a difference between two versions of the public API.

/// A difference between two versions of a public item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The item's kind and name, such as `field types::TokenRequest.code`.
    pub key: String,
    /// The old text. `None` if the item is new.
    pub old: Option<String>,
    /// The new text. `None` if the item was removed.
    pub new: Option<String>,
    /// The reason for the change, if the item itself did not change in the document.
    pub reason: Option<String>,
}

impl Difference {
    /// Returns whether the change may break the build or alter the behaviour of a dependent crate.
    /// Every public type is `#[non_exhaustive]`, so a new item is not a breaking change.
    pub fn is_breaking(&self) -> bool {
        self.old.is_some()
    }

    /// Returns the difference as one line.
    pub fn text(&self) -> String {
        let change = match (&self.old, &self.new) {
            (Some(old), Some(new)) => format!("`{old}` changed to `{new}`"),
            (Some(old), None) => format!("`{old}` was removed"),
            (None, new) => format!("`{}` was added", new.as_ref().unwrap_or(&self.key)),
        };
        match &self.reason {
            Some(reason) => format!("{change} ({reason})"),
            None => change,
        }
    }

    /// Returns the difference as removed and added lines.
    pub fn lines(&self) -> Vec<String> {
        let reason = self.reason.as_ref().map(|reason| format!(" // {}", reason.replace('`', ""))).unwrap_or_default();
        let old = self.old.iter().map(|old| format!("- {old}{reason}"));
        old.chain(self.new.iter().map(|new| format!("+ {new}{reason}"))).collect()
    }
}
