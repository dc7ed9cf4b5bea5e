//! The type of a topic, and its text for the terminal.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The content of `topics.toml`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    pub(super) topic: Vec<Topic>,
}

/// A code, a piece of advice or a kind of message, with its meaning and what to do about it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(super) kind: Kind,
    pub(super) products: Vec<Product>,
    /// The HTTP statuses with which the topic usually occurs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) statuses: Vec<u16>,
    pub(super) meaning: String,
    /// The name of a variant of [`flinks_consents::flinks::Advice`]. `None` if no error belongs to
    /// the topic, or if the advice depends on the case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) advice: Option<String>,
    /// `None` if the action depends on the case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) action: Option<String>,
    /// The last case applies if no other case does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) cases: Vec<Case>,
    /// Commands that may help.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) commands: Vec<String>,
    /// Parts of messages that identify this topic.
    #[serde(default, skip_serializing)]
    pub(super) fragments: Vec<String>,
}

/// What to do in one situation.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    /// A clause that follows "if".
    pub(super) when: String,
    /// `None` if the advice of another topic applies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) advice: Option<String>,
    pub(super) action: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    FlinksCode,
    #[serde(rename = "oauth-error")]
    OAuthError,
    Advice,
    Message,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Product {
    Pay,
    Connect,
    Outbound,
    Store,
}

impl Topic {
    /// Returns the first sentence of the meaning, without its full stop.
    pub(crate) fn summary(&self) -> &str {
        let first = self.meaning.split(". ").next().unwrap_or_default();
        first.trim_end_matches('.')
    }
}

impl Kind {
    fn label(self) -> &'static str {
        match self {
            Self::FlinksCode => "FlinksCode",
            Self::OAuthError => "OAuth error",
            Self::Advice => "advice",
            Self::Message => "message",
        }
    }
}

impl Product {
    fn label(self) -> &'static str {
        match self {
            Self::Pay => "Pay",
            Self::Connect => "Connect",
            Self::Outbound => "Outbound",
            Self::Store => "token store",
        }
    }
}

/// Writes several lines, the last one without a line break:
///
/// ```text
/// UNAUTHORIZED (FlinksCode; Connect; status 401)
///   Connect rejected the secret key, or …
///   If `authorize` returned it (AskUser): Ask the end user …
///   Commands: flinks doctor connect
/// ```
impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let products: Vec<_> = self.products.iter().map(|product| product.label()).collect();
        write!(f, "{} ({}; {}", self.name, self.kind.label(), products.join(", "))?;
        if !self.statuses.is_empty() {
            let statuses: Vec<_> = self.statuses.iter().map(u16::to_string).collect();
            write!(f, "; status {}", statuses.join(", "))?;
        }
        write!(f, ")\n  {}", self.meaning)?;
        if let Some(action) = &self.action {
            write!(f, "\n  What to do{}: {action}", in_parentheses(self.advice.as_deref()))?;
        }
        for Case { when, advice, action } in &self.cases {
            write!(f, "\n  If {when}{}: {action}", in_parentheses(advice.as_deref()))?;
        }
        if !self.commands.is_empty() {
            write!(f, "\n  Commands: {}", self.commands.join(", "))?;
        }
        Ok(())
    }
}

fn in_parentheses(advice: Option<&str>) -> String {
    advice.map(|advice| format!(" ({advice})")).unwrap_or_default()
}
