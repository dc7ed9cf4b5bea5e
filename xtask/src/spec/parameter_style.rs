//! How parameters are written into a path, a query or a header.

use serde_json::Value;

/// How a parameter is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ParameterStyle {
    /// The value as text.
    Scalar,
    /// A list or an object in a query, written as several parameters.
    Exploded,
    /// A list or an object, with its parts joined by this separator.
    Joined(char),
    /// An object in a path or a header, written as pairs such as `a=1,b=2`.
    JoinedPairs,
    /// An object in a query, written as parameters such as `filter[a]=1`.
    DeepObject,
}

impl ParameterStyle {
    /// Returns the style of a parameter whose schema is `schema`, or `None` if the client cannot
    /// send such a parameter.
    pub(crate) fn of(parameter: &Value, schema: &Value) -> Option<Self> {
        let text = |key: &str| parameter.get(key).and_then(Value::as_str);
        let place = text("in")?;
        let default = if place == "query" { "form" } else { "simple" };
        let style = text("style").unwrap_or(default);
        let is_exploded = parameter.get("explode").and_then(Value::as_bool).unwrap_or(style == "form");
        let has = |key: &str| schema.get(key).is_some();
        let kind = match schema.get("type").and_then(Value::as_str) {
            Some("array") => "array",
            Some("object") => "object",
            Some(_) => "scalar",
            None if has("properties") => "object",
            None if has("oneOf") || has("anyOf") => "choice",
            None => "scalar",
        };
        let is_query = place == "query";
        match (style, kind) {
            ("simple", "scalar") if !is_query => Some(Self::Scalar),
            ("form", "scalar") if is_query => Some(Self::Scalar),
            ("simple", "object") if !is_query && is_exploded => Some(Self::JoinedPairs),
            ("simple", "array" | "object" | "choice") if !is_query => Some(Self::Joined(',')),
            ("form", "array" | "object" | "choice") if is_query && is_exploded => Some(Self::Exploded),
            ("form", "array" | "object" | "choice") if is_query => Some(Self::Joined(',')),
            ("spaceDelimited", "array" | "object") if is_query && !is_exploded => Some(Self::Joined(' ')),
            ("pipeDelimited", "array" | "object") if is_query && !is_exploded => Some(Self::Joined('|')),
            ("spaceDelimited" | "pipeDelimited", "array") if is_query => Some(Self::Exploded),
            ("deepObject", "object" | "choice") if is_query => Some(Self::DeepObject),
            _ => None,
        }
    }
}
