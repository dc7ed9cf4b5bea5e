//! The change of a public item between two versions.

/// The change of a public item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its name, with its kind, such as `field types::TokenRequest.code`.
    pub key: String,
    /// How it was written; `None` if it is new.
    pub old: Option<String>,
    /// How it is written; `None` if it was removed.
    pub new: Option<String>,
}

impl Difference {
    /// Whether a dependant's build may fail for it, or mean something else. Each public type is `#[non_exhaustive]`, so
    /// that nothing is broken by what is new.
    pub fn is_breaking(&self) -> bool {
        self.old.is_some()
    }

    /// In one line.
    pub fn text(&self) -> String {
        match (&self.old, &self.new) {
            (Some(old), Some(new)) => format!("`{old}` is `{new}` now"),
            (Some(old), None) => format!("`{old}` is gone"),
            (None, new) => format!("`{}` is new", new.as_ref().unwrap_or(&self.key)),
        }
    }

    /// As a difference shows it.
    pub fn lines(&self) -> Vec<String> {
        let old = self.old.iter().map(|old| format!("- {old}"));
        old.chain(self.new.iter().map(|new| format!("+ {new}"))).collect()
    }
}
